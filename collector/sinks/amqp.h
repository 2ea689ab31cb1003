// An exchange (or a queue) of an AMQP 0-9-1 server as a sink, and answers to who asked. An outcome
// is written when the server has confirmed it, which for a quorum queue means that most of its
// nodes have it on disk.
//
//     put --> a part for the exchange, a part for who asked (reply_to) --both confirmed--> said
//
// Each is mandatory: one that no queue takes comes back, and waits; an answer that nobody waits for
// any more is left. The message id is the sender's, or the task's name: who reads can tell what
// comes twice, after the loss of a connection or of this process. As dead letters what is published
// is the message, as it came, with why it did not complete.
//
// Owned by the collector's server, on its thread; never blocks. Memory: what waits.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <unordered_map>
#include <utility>

#include "collector/sinks/amqp_publisher.h"
#include "collector/sinks/sink.h"
#include "collector/sinks/table.h"
#include "common/wire/message_properties.h"

namespace curfew {

class AmqpSink final : public Sink {
public:
    /// `messages`: as dead letters.
    using Carries = SinkFlags::Carries;
    /// `group`: which group it is, among others. `format`: of `json`.
    AmqpSink(AmqpPublisher::Place place, std::string group, Carries carries, Format format);

    void put(const OutcomeRecord& outcome) override;
    void flush(Instant now, Written& written) override;
    /// Nothing: what was put is published, and counts when it comes again.
    void forget_waiting() override {}
    void wait_for(Poller& poller) override { publisher_.wait_for(poller); }
    [[nodiscard]] Instant next_deadline() const override { return wait_.next_deadline(); }
    [[nodiscard]] std::size_t waiting() const override { return pending_.size(); }
    [[nodiscard]] std::size_t waiting_bytes() const override { return waiting_bytes_; }
    [[nodiscard]] std::uint64_t bytes() const override { return bytes_; }
    bool close(Instant now, Instant until) override;
    [[nodiscard]] std::string_view waits_for() const override { return wait_.what(); }

private:
    struct Pending {
        std::uint64_t sync = 0;
        Epoch epoch = 0;
        Seq seq = 0;
        std::size_t bytes = 0;
        std::size_t parts = 0;  // that are not confirmed
    };
    [[nodiscard]] std::string body_of(const OutcomeRecord& outcome) const;
    [[nodiscard]] Outgoing part_of(const OutcomeRecord& outcome, const wire::MessageProperties& said) const;
    void publish(std::uint64_t handle, Pending& pending, Outgoing&& part);
    void say_what_it_waits_for(Instant now);

    const std::string group_;
    const Carries carries_;
    const Format format_;
    SaidWait wait_;
    std::unordered_map<std::uint64_t, Pending> pending_;      // by handle
    std::map<std::pair<Epoch, Seq>, std::uint64_t> handles_;  // of those
    std::uint64_t last_handle_ = 0;
    std::size_t waiting_bytes_ = 0;
    std::uint64_t bytes_ = 0;
    std::uint64_t unasked_ = 0;  // outcomes that go nowhere: nobody asked
    Written unsaid_;             // of those
    AmqpPublisher publisher_;
};

}  // namespace curfew

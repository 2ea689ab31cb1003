// An exchange (or a queue) of an AMQP 0-9-1 server as a sink, and answers to who asked. An outcome
// is written when the server has confirmed it, which for a quorum queue means that most of its
// nodes have it on disk.
//
//     put --> a part for the exchange, a part for who asked (reply_to) --both confirmed--> said
//
// Each is mandatory: one that no queue takes comes back, and waits; an answer that nobody waits for
// any more, or that the server refuses, is left. What goes to the dead letters is only answered
// here. The message id is the sender's, or the task's name: who reads can tell what
// comes twice, after the loss of a connection or of this process. As dead letters what is published
// is the message, as it came, with why it did not complete.
//
// Owned by the collector's server, on its thread; never blocks. Memory: what waits.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <tuple>
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
    bool answer(const OutcomeRecord& outcome) override;
    void take_answered(Written& answered) override;
    void flush(Instant now, Written& written) override;
    /// Nothing: what was put is published, and counts when it comes again.
    void forget_waiting() override {}
    void wait_for(Poller& poller) override { publisher_.wait_for(poller); }
    [[nodiscard]] Instant next_deadline() const override { return wait_.next_deadline(); }
    [[nodiscard]] std::size_t waiting() const override { return pending_.size() - answers_; }
    [[nodiscard]] std::size_t waiting_bytes() const override { return waiting_bytes_; }
    [[nodiscard]] std::uint64_t bytes() const override { return bytes_; }
    bool close(Instant now, Instant until) override;
    [[nodiscard]] std::string_view waits_for() const override { return wait_.what(); }

private:
    /// Of an outcome, or of its answer where that alone is published here.
    struct Key {
        Epoch epoch = 0;
        Seq seq = 0;
        bool answers = false;
        bool operator<(const Key& other) const {
            return std::tie(epoch, seq, answers) < std::tie(other.epoch, other.seq, other.answers);
        }
    };
    struct Pending {
        std::uint64_t sync = 0;
        Key key{};
        std::size_t bytes = 0;
        std::size_t parts = 0;  // that are not confirmed
    };
    [[nodiscard]] std::string body_of(const OutcomeRecord& outcome) const;
    [[nodiscard]] Outgoing part_of(const OutcomeRecord& outcome, const wire::MessageProperties& said) const;
    [[nodiscard]] bool asks(const wire::MessageProperties& said) const {
        return !said.reply_to.empty() && carries_ != Carries::messages;
    }
    /// The handle of one that is new; 0: it is on its way, and counts for this broker now.
    [[nodiscard]] std::uint64_t begin(const Key& key, std::uint64_t sync);
    void publish(std::uint64_t handle, Outgoing&& part);
    void publish_answer(std::uint64_t handle, Outgoing part, const std::string& reply_to);
    void collect();
    void say_what_it_waits_for(Instant now);
    void say_what_is_refused();

    const std::string group_;
    const Carries carries_;
    const Format format_;
    SaidWait wait_;
    std::unordered_map<std::uint64_t, Pending> pending_;  // by handle
    std::map<Key, std::uint64_t> handles_;                // of those
    std::size_t answers_ = 0;                             // of those, alone
    std::uint64_t last_handle_ = 0;
    std::size_t waiting_bytes_ = 0;
    std::uint64_t bytes_ = 0;
    std::uint64_t unasked_ = 0;  // outcomes that go nowhere: nobody asked
    Written done_, answered_;    // to be said
    std::string refused_;        // the last that was said
    AmqpPublisher publisher_;
};

}  // namespace curfew

// A queue of an AMQP 0-9-1 server (RabbitMQ) as a source: it hands a message over again until it is
// acknowledged, and it is acknowledged when its outcome is with the sink. So many groups, on many
// machines, can share one queue, and a group that dies loses nothing.
//
// What comes is taken by a thread (amqp_consumer.h); what of it is ours, and what is acknowledged
// when, say the Deliveries. This class joins them to the loop. How many messages are asked for
// follows the workers: what they can have in hand, no more, so that no group sits on what another
// could do (prefetch.h).
//
// A server closes the channel of who holds a message for longer than its consumer timeout
// (`consumer_timeout`, 30 minutes unless said otherwise), and hands all that it had over again. So
// a task's deadline is no later than that; what nobody has begun after half of it goes back; and
// nothing more is taken while most of what is here waits for the sink for longer.
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <unordered_set>

#include "broker/sources/amqp_consumer.h"
#include "broker/sources/deliveries.h"
#include "broker/sources/prefetch.h"
#include "broker/sources/source.h"
#include "common/process/log.h"

namespace curfew {

class AmqpSource final : public Source {
public:
    struct Config {
        Deliveries::Config deliveries;
        /// As often as that a message has come before it runs alone: it may be what kills those who
        /// have it.
        std::uint64_t most_deliveries = 5;
        /// Of a task that did not complete: to the dead letters of the queue.
        bool rejects = true;
        Duration consumer_timeout = std::chrono::minutes(30);
        std::uint64_t max_message = 0;
        /// What is in flight when the server has been lost for two heartbeats is called home:
        /// others may have it by now. Else it is finished.
        bool cancels_when_lost = false;
    };
    /// What a message and its sender say is handed on up to so many bytes.
    static constexpr std::size_t kMostProperties = 65'536;

    AmqpSource(const Config& config, AmqpConsumer::Place place);

    bool next(Incoming& message) override;
    bool ended() const override { return hangs_up_ && items_.empty(); }
    bool has_buffered() const override { return !items_.empty() || refusal_; }
    void settled(Instant now, std::span<const SettledTag> tags) override;
    void wait_for(Poller& poller) override { consumer_.wait_for(poller); }
    Instant asks_at() const override { return asks_at_; }
    void expect(Instant now, std::size_t messages) override;
    bool takes_back(Instant now) override;
    void taken_back(std::span<const std::uint64_t> tags) override;
    std::uint64_t refused() const override { return refused_; }
    Rest position() const override { return {.kind = Rest::Kind::queue}; }
    Instant hang_up(Instant now) override;
    bool let_go(Instant now) override;
    void describe(Instant now, JsonObject& out) const override;

private:
    struct Here {
        std::string id, properties, body;
    };
    void fetch();
    void drop_items();
    [[nodiscard]] bool take(Instant now, const AmqpConsumer::Item& item, Incoming& message);
    void refuse(std::uint64_t handle, const amqp::Delivered& came, bool is_long);
    void give_back_all();
    void say_acks();
    void say_what_happens();

    const Config config_;
    const std::string queue_;
    AmqpConsumer consumer_;
    Deliveries deliveries_;
    std::deque<AmqpConsumer::Item> items_;  // taken from the consumer, and not handed over
    Here here_;                             // what the last next() has handed over
    std::uint64_t generation_ = 0;
    std::unordered_set<std::uint64_t> refused_tags_;  // handles of those in flight
    std::uint64_t refused_ = 0, redelivered_ = 0;
    std::size_t items_bytes_ = 0;  // of those
    Prefetch prefetch_;
    Instant asks_at_{};
    Instant closes_by_ = kNever;
    Instant lost_since_ = kNever;
    bool hangs_up_ = false;
    bool gave_back_ = false;  // what nobody began; no more is asked for before a message is wanted
    struct Said {
        std::uint64_t renewed = 0, unreadable = 0;
        bool lost = false, stands = false;
        std::string note;
    } said_;
};

}  // namespace curfew

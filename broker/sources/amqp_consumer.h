// A queue of an AMQP server, consumed on a thread of its own (common/amqp/kept_connection.h). A
// connection that only consumes: one that has published is not read any more while the server has
// an alarm, and acknowledgements would stand with it.
//
// Each connection is a generation: it begins with a `begun` among what is taken, and tags of an
// older one are void; a `gone` says that it has ended, and what was not handed on is for others.
//
// Owned by the source, which calls it on the loop's thread. Memory: what the server hands over and
// was not taken, which want() bounds.
#pragma once

#include <cstdint>
#include <deque>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "broker/sources/consumer_watch.h"
#include "broker/sources/deliveries.h"
#include "common/amqp/kept_connection.h"
#include "common/process/poller.h"

namespace curfew {

class AmqpConsumer final : private amqp::Talk {
public:
    struct Place {
        amqp::Access access;
        std::string queue;
        bool declare = false;         ///< make the queue where there is none
        std::size_t max_message = 0;  ///< of longer ones the beginning is kept
    };
    struct Item {
        bool begun = false, gone = false;  ///< a generation; else a message
        /// of std::chrono::steady_clock: a server's patience does not stand still
        Instant came_at{};
        amqp::Delivered message{};
    };
    struct State {
        std::string note{};            ///< what is odd about the queue
        std::uint64_t depth = 0;       ///< messages that wait in the queue, a few seconds ago
        std::uint64_t prefetch = 0;    ///< 0: nothing is consumed
        std::uint64_t renewed = 0;     ///< consumers that the server had forgotten, ever
        std::uint64_t unreadable = 0;  ///< messages, rejected, ever
        std::string why_unreadable{};  ///< the last of those
    };

    /// Connects, and looks for the queue. Throws Unusable.
    explicit AmqpConsumer(Place place);
    ~AmqpConsumer() override { kept_.stop(); }

    /// What has come since.
    [[nodiscard]] std::deque<Item> take();
    /// `generation`: how many `begun` were taken. Of an older one they are dropped.
    void acknowledge(std::uint64_t generation, const std::vector<Deliveries::Ack>& acks);
    /// So many messages may be here that are not acknowledged; 0: no more is consumed.
    void want(std::uint16_t prefetch);
    [[nodiscard]] State look() const;
    [[nodiscard]] amqp::KeptConnection::State connection() const { return kept_.look(); }
    [[nodiscard]] bool close() { return kept_.close(); }
    void wait_for(Poller& poller) const { kept_.wait_for(poller); }

private:
    struct Orders {
        std::vector<Deliveries::Ack> acks{};
        std::uint16_t prefetch = 0;
    };
    void begin(amqp::Connection& connection) override;
    void serve(amqp::Connection& connection) override;
    void lost() override;
    bool has_said_all() override;
    [[nodiscard]] std::optional<amqp::Event> next(amqp::Connection& connection, Instant until);
    [[nodiscard]] Orders take_orders();
    void obey(amqp::Connection& connection, const Orders& orders);
    void consume(amqp::Connection& connection, std::uint16_t prefetch);
    void look_at_depth(amqp::Connection& connection);
    void add(std::deque<Item>&& items);

    const Place place_;
    // The thread's own
    std::uint16_t consumes_ = 0;  // the prefetch of the consumer that there is
    Instant looks_at_{};
    ConsumerWatch watch_;
    struct Shared {
        State state;
        std::deque<Item> items;
        Orders orders;
        std::uint64_t generation = 0;
    };
    mutable std::mutex mutex_;
    Shared shared_;  // guarded by mutex_
    amqp::KeptConnection kept_;
};

}  // namespace curfew

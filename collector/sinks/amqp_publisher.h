// Publishes at an AMQP server on a thread of its own (common/amqp/kept_connection.h). What is not
// confirmed goes again over the next connection, under the same id: the server may then have it
// twice.
//
//     put --> Unconfirmed --publish--> the server --confirm--> taken back by take_done()
//
// A connection of its own, on which nothing is consumed: while the server has an alarm it reads
// nothing from who publishes.
//
// Owned by the sink, which calls it on the loop's thread. Memory: what was put and is not
// confirmed.
#pragma once

#include <cstdint>
#include <mutex>
#include <string>
#include <vector>

#include "collector/sinks/unconfirmed.h"
#include "common/amqp/kept_connection.h"
#include "common/process/poller.h"

namespace curfew {

class AmqpPublisher final : private amqp::Talk {
public:
    struct Place {
        std::string flag;  ///< which names it: --sink
        amqp::Access access;
        /// Empty: the one that every server has, which goes to the queue of the key's name.
        std::string exchange{};
        std::string key{};     ///< with an empty exchange empty too: answers alone are published
        bool declare = false;  ///< make that queue where there is none
        bool patient = false;  ///< the server may come later
        [[nodiscard]] bool is_queue() const { return exchange.empty() && !key.empty(); }
        [[nodiscard]] bool answers_alone() const { return exchange.empty() && key.empty(); }
    };
    struct State {
        std::string blocked;         ///< why the server takes nothing
        std::string returned;        ///< to where no queue has taken it, last; empty: it was taken
        std::string refused;         ///< an outcome that it does not take, and why; or empty
        std::uint64_t unheard = 0;   ///< answers that nobody waited for, or that the server refuses
        std::string refused_answer;  ///< the last of those, and why
    };

    /// Connects, and looks for exchange and queue. Throws Unusable.
    explicit AmqpPublisher(Place place);
    ~AmqpPublisher() override { kept_.stop(); }

    [[nodiscard]] const Place& place() const { return place_; }
    void put(Outgoing&& outgoing);
    /// Handles of what the server has, one for each part.
    [[nodiscard]] std::vector<std::uint64_t> take_done();
    [[nodiscard]] State look() const;
    [[nodiscard]] amqp::KeptConnection::State connection() const { return kept_.look(); }
    [[nodiscard]] bool close() { return kept_.close(); }
    void wait_for(Poller& poller) const { kept_.wait_for(poller); }

private:
    void begin(amqp::Connection& connection) override;
    void serve(amqp::Connection& connection) override;
    void lost() override;
    bool has_said_all() override;
    void look_for_queue(amqp::Connection& connection) const;
    void publish_what_waits(amqp::Connection& connection);
    void publish_slice(amqp::Connection& connection);
    void look_for_troubles(const amqp::Connection& connection) const;
    bool hear_what_is_there(amqp::Connection& connection);
    void hear(const amqp::Connection& connection, const amqp::Event& event);
    void say();

    const Place place_;
    // The thread's own
    Unconfirmed unconfirmed_;
    struct Shared {
        State state;
        std::vector<Outgoing> outgoing;
        std::vector<std::uint64_t> done;
    };
    mutable std::mutex mutex_;
    Shared shared_;  // guarded by mutex_
    amqp::KeptConnection kept_;
};

}  // namespace curfew

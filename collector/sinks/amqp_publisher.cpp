#include "collector/sinks/amqp_publisher.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <utility>
#include <variant>

#include "common/amqp/failure.h"

namespace curfew {
namespace {

using SystemClock = std::chrono::steady_clock;

std::string name_of(const AmqpPublisher::Place& place) {
    return place.exchange.empty() ? place.key : place.exchange;
}

}  // namespace

AmqpPublisher::AmqpPublisher(Place place) : place_(std::move(place)), kept_(place_.access, *this) {
    try {
        kept_.start(place_.patient);
    } catch (const amqp::Lost& error) {
        throw amqp::unusable(place_.flag, place_.access, name_of(place_), error);
    } catch (const amqp::Refused& error) {
        throw amqp::unusable(place_.flag, place_.access, name_of(place_), error);
    }
}

// ---- the loop's side ---------------------------------------------------------------------------

void AmqpPublisher::put(Outgoing&& outgoing) {
    bool is_first = false;
    {
        const std::lock_guard lock(mutex_);
        is_first = shared_.outgoing.empty();
        shared_.outgoing.push_back(std::move(outgoing));
    }
    if (is_first) kept_.wake();
}

std::vector<std::uint64_t> AmqpPublisher::take_done() {
    kept_.quieten();
    const std::lock_guard lock(mutex_);
    return std::exchange(shared_.done, {});
}

AmqpPublisher::State AmqpPublisher::look() const {
    const std::lock_guard lock(mutex_);
    return shared_.state;
}

// ---- the thread --------------------------------------------------------------------------------

void AmqpPublisher::begin(amqp::Connection& connection) {
    if (place_.is_queue()) look_for_queue(connection);
    if (!place_.exchange.empty()) connection.look_at_exchange(place_.exchange);
    connection.confirm_publishes();
    unconfirmed_.begin();
    const std::lock_guard lock(mutex_);
    shared_.state.blocked.clear();
}

void AmqpPublisher::look_for_queue(amqp::Connection& connection) const {
    try {
        (void)connection.look_at_queue(place_.key);
    } catch (const amqp::Refused& refused) {
        if (refused.code != amqp::kNotFound || !place_.declare) throw;
        connection.open_channel();
        connection.declare_queue(place_.key, {});
    }
}

void AmqpPublisher::serve(amqp::Connection& connection) {
    {
        const std::lock_guard lock(mutex_);
        for (Outgoing& outgoing : std::exchange(shared_.outgoing, {})) unconfirmed_.put(std::move(outgoing));
    }
    publish_what_waits(connection);
    const Instant until = std::min(
        {unconfirmed_.next_deadline(), unconfirmed_.overdue_at(), SystemClock::now() + std::chrono::seconds(1)});
    auto event = connection.next(kept_.woken(), until);
    const Instant now = SystemClock::now();
    // Woken, it has not looked at what came meanwhile: a confirm may be there
    if (!event) event = connection.next(kept_.woken(), {});
    const bool heard = event.has_value();
    // All that is there: the loop is told once of many. No more comes than is in the air
    for (; event; event = connection.next(kept_.woken(), {})) hear(*event);
    if (heard) say();
    if (now >= unconfirmed_.overdue_at())
        throw amqp::Lost(fmt::format("{}: the server has not confirmed an outcome for {} s", connection.host(),
                                     Unconfirmed::kPatience.count()));
}

void AmqpPublisher::publish_what_waits(amqp::Connection& connection) {
    const Instant now = SystemClock::now();
    if (unconfirmed_.next(now) == nullptr) return;
    connection.hold(true);
    while (const Outgoing* next = unconfirmed_.next(now)) {
        connection.publish(next->exchange, next->key, next->properties, next->body);
        unconfirmed_.sent(SystemClock::now());
    }
    connection.hold(false);
}

void AmqpPublisher::hear(const amqp::Event& event) {
    if (const auto* confirmed = std::get_if<amqp::Confirmed>(&event)) {
        unconfirmed_.confirmed(SystemClock::now(), confirmed->tag, confirmed->multiple, confirmed->taken);
        // RabbitMQ refuses all that follows on a channel whose first publish met a queue without a
        // leader: another one is confirmed at once
        if (!confirmed->taken) throw amqp::Lost("the server could not take an outcome (nack)");
    } else if (const auto* returned = std::get_if<amqp::Returned>(&event)) {
        unconfirmed_.returned(*returned);
    } else if (const auto* blocked = std::get_if<amqp::Blocked>(&event)) {
        unconfirmed_.block(SystemClock::now(), !blocked->reason.empty());
        const std::lock_guard lock(mutex_);
        shared_.state.blocked = blocked->reason;
    }
}

/// What the loop is to know.
void AmqpPublisher::say() {
    const auto done = unconfirmed_.take_done();
    {
        const std::lock_guard lock(mutex_);
        shared_.done.insert(shared_.done.end(), done.begin(), done.end());
        shared_.state.returned = unconfirmed_.returned_to();
        shared_.state.unheard = unconfirmed_.unheard();
    }
    kept_.signal();
}

void AmqpPublisher::lost() {
    say();  // what was confirmed before
    const std::lock_guard lock(mutex_);
    shared_.state.blocked.clear();
}

bool AmqpPublisher::has_said_all() {
    const std::lock_guard lock(mutex_);
    return unconfirmed_.empty() && shared_.outgoing.empty();
}

}  // namespace curfew

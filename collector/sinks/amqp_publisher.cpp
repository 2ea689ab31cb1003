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

constexpr std::size_t kSlice = 65'536;  // bytes written before it is heard what the server says
constexpr std::size_t kBesideBody = 512;

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
    try {
        publish_what_waits(connection);
        const Instant until = std::min(
            {unconfirmed_.next_deadline(), unconfirmed_.overdue_at(), SystemClock::now() + std::chrono::seconds(1)});
        const auto event = connection.next(kept_.woken(), until);
        if (event) hear(connection, *event);
        // Woken, it has not looked at what came meanwhile: a confirm may be there
        const bool more = hear_what_is_there(connection);
        if (event && !more) say();
    } catch (const amqp::Closed& closed) {
        unconfirmed_.closed(SystemClock::now(), closed.what());
        throw;
    }
    look_for_troubles(connection);
}

void AmqpPublisher::look_for_troubles(const amqp::Connection& connection) const {
    const Instant now = SystemClock::now();
    if (unconfirmed_.wants_channel(now))
        throw amqp::Lost(fmt::format("{}: the server does not take an outcome (nack)", connection.host()));
    if (now >= unconfirmed_.overdue_at())
        throw amqp::Lost(fmt::format("{}: the server has not confirmed an outcome for {} s", connection.host(),
                                     Unconfirmed::kPatience.count()));
}

/// What is heard between two slices may end it: a server with an alarm reads no more. So little of
/// what was written by then stands in front of it.
void AmqpPublisher::publish_what_waits(amqp::Connection& connection) {
    while (unconfirmed_.next(SystemClock::now()) != nullptr) {
        connection.hold(true);
        try {
            publish_slice(connection);
        } catch (const amqp::Lost&) {
            hear_what_is_there(connection);  // confirms; why it is closed
            throw;
        }
        connection.hold(false);
        hear_what_is_there(connection);
    }
}

void AmqpPublisher::publish_slice(amqp::Connection& connection) {
    std::size_t bytes = 0;
    while (bytes < kSlice && unconfirmed_.next(SystemClock::now()) != nullptr) {
        const Outgoing& outgoing = unconfirmed_.sent(SystemClock::now());
        bytes += outgoing.body.size() + kBesideBody;
        connection.publish(outgoing.exchange, outgoing.key, outgoing.properties, outgoing.body);
        unconfirmed_.written(SystemClock::now());
    }
}

/// Whether anything was. The loop is told once of many; no more comes than is in the air.
bool AmqpPublisher::hear_what_is_there(amqp::Connection& connection) {
    auto event = connection.next(kept_.woken(), {});
    if (!event) return false;
    for (; event; event = connection.next(kept_.woken(), {})) hear(connection, *event);
    say();
    return true;
}

void AmqpPublisher::hear(const amqp::Connection& connection, const amqp::Event& event) {
    if (const auto* confirmed = std::get_if<amqp::Confirmed>(&event)) {
        unconfirmed_.confirmed(SystemClock::now(), confirmed->tag, confirmed->multiple, confirmed->taken);
        if (confirmed->taken) kept_.works();
    } else if (const auto* returned = std::get_if<amqp::Returned>(&event)) {
        unconfirmed_.returned(*returned);
    } else if (const auto* blocked = std::get_if<amqp::Blocked>(&event)) {
        unconfirmed_.block(SystemClock::now(), !blocked->reason.empty());
        connection.server_reads(blocked->reason.empty());
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
        shared_.state.refused = unconfirmed_.refused();
        shared_.state.refused_answer = unconfirmed_.refused_answer();
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

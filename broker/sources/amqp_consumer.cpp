#include "broker/sources/amqp_consumer.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <iterator>
#include <utility>
#include <variant>

#include "common/amqp/failure.h"

namespace curfew {
namespace {

using SystemClock = std::chrono::steady_clock;

constexpr auto kLookEvery = std::chrono::seconds(5);  // at the depth of the queue
constexpr std::size_t kAtOnce = 256;                  // messages
constexpr std::int64_t kDeliveryLimit = 20;           // of a queue that we make

/// Quorum, and with a limit: else a message that kills its workers goes round for ever.
void declare(amqp::Connection& connection, const std::string& queue) {
    connection.declare_queue(queue, {{"x-delivery-limit", kDeliveryLimit}});
}

AmqpConsumer::Place only_consumes(AmqpConsumer::Place place) {
    place.access.publishes = false;
    return place;
}

}  // namespace

AmqpConsumer::AmqpConsumer(Place place) : place_(only_consumes(std::move(place))), kept_(place_.access, *this) {
    try {
        kept_.start(false);
    } catch (const amqp::Lost& error) {
        throw amqp::unusable("--source", place_.access, place_.queue, error);
    } catch (const amqp::Refused& error) {
        throw amqp::unusable("--source", place_.access, place_.queue, error);
    }
}

// ---- the loop's side ---------------------------------------------------------------------------

std::deque<AmqpConsumer::Item> AmqpConsumer::take() {
    kept_.quieten();
    const std::lock_guard lock(mutex_);
    return std::exchange(shared_.items, {});
}

void AmqpConsumer::acknowledge(std::uint64_t generation, const std::vector<Deliveries::Ack>& acks) {
    {
        const std::lock_guard lock(mutex_);
        if (generation != shared_.generation) return;
        auto& waiting = shared_.orders.acks;
        waiting.insert(waiting.end(), acks.begin(), acks.end());
    }
    kept_.wake();
}

void AmqpConsumer::want(std::uint16_t prefetch) {
    {
        const std::lock_guard lock(mutex_);
        if (std::exchange(shared_.orders.prefetch, prefetch) == prefetch) return;
    }
    kept_.wake();
}

AmqpConsumer::State AmqpConsumer::look() const {
    const std::lock_guard lock(mutex_);
    return shared_.state;
}

// ---- the thread --------------------------------------------------------------------------------

void AmqpConsumer::begin(amqp::Connection& connection) {
    State state;
    try {
        state.depth = connection.look_at_queue(place_.queue);
    } catch (const amqp::Refused& refused) {
        if (refused.code != amqp::kNotFound || !place_.declare) throw;
        connection.open_channel();
        declare(connection, place_.queue);
    }
    // Once more as what it should be: the answer says what it is
    try {
        declare(connection, place_.queue);
    } catch (const amqp::Refused& refused) {
        state.note = amqp::what_is_odd(place_.queue, refused);
        connection.open_channel();
    }
    consumes_ = 0;
    watch_.begin();
    looks_at_ = SystemClock::now() + kLookEvery;
    const std::lock_guard lock(mutex_);
    state.renewed = shared_.state.renewed;
    state.unreadable = shared_.state.unreadable;
    state.why_unreadable = shared_.state.why_unreadable;
    shared_.state = std::move(state);
    shared_.orders.acks.clear();
    ++shared_.generation;
    shared_.items.push_back({.begun = true});
}

void AmqpConsumer::serve(amqp::Connection& connection) {
    obey(connection, take_orders());
    if (SystemClock::now() >= looks_at_) look_at_depth(connection);
    // What has come by then goes to the loop at once, with one lock and one wake
    std::deque<Item> items;
    auto event = next(connection, looks_at_);
    for (; event; event = next(connection, {})) {
        if (auto* message = std::get_if<amqp::Delivered>(&*event)) {
            watch_.came(message->tag);
            items.push_back({.came_at = SystemClock::now(), .message = std::move(*message)});
        } else if (std::holds_alternative<amqp::ConsumerCancelled>(*event)) {
            throw amqp::Lost(fmt::format("{}: the queue '{}' was deleted", connection.host(), place_.queue));
        }
        if (items.size() >= kAtOnce) break;
    }
    add(std::move(items));
}

std::optional<amqp::Event> AmqpConsumer::next(amqp::Connection& connection, Instant until) {
    try {
        return connection.next(kept_.woken(), until);
    } catch (const amqp::Unreadable& unreadable) {
        const std::lock_guard lock(mutex_);
        ++shared_.state.unreadable;
        shared_.state.why_unreadable = unreadable.what();
        throw;
    }
}

AmqpConsumer::Orders AmqpConsumer::take_orders() {
    const std::lock_guard lock(mutex_);
    Orders orders{.prefetch = shared_.orders.prefetch};
    std::swap(orders.acks, shared_.orders.acks);
    return orders;
}

void AmqpConsumer::obey(amqp::Connection& connection, const Orders& orders) {
    // What goes back is not to come again to us
    if (orders.prefetch == 0 && consumes_ > 0) consume(connection, 0);
    if (orders.acks.size() > 1) connection.hold(true);
    for (const Deliveries::Ack& ack : orders.acks) {
        watch_.acknowledged(ack);
        ack.rejects ? connection.reject(ack.tag, ack.requeues) : connection.acknowledge(ack.tag, ack.multiple);
    }
    if (orders.acks.size() > 1) connection.hold(false);
    // Another prefetch is another consumer, and what the old one holds does not count for the new
    // one: so not for a little
    const std::uint32_t wanted = orders.prefetch, has = consumes_;
    const bool is_near = wanted > has / 2 && wanted < has * 2;
    if (wanted == has || is_near) return;
    consume(connection, orders.prefetch);
}

/// In place of the consumer that there is.
void AmqpConsumer::consume(amqp::Connection& connection, std::uint16_t prefetch) {
    if (consumes_ > 0) connection.stop_consuming();
    if (prefetch > 0) connection.consume(place_.queue, prefetch, place_.max_message);
    consumes_ = prefetch;
    watch_.consumes(prefetch);
    const std::lock_guard lock(mutex_);
    shared_.state.prefetch = consumes_;
}

void AmqpConsumer::look_at_depth(amqp::Connection& connection) {
    const std::uint64_t depth = connection.look_at_queue(place_.queue);
    looks_at_ = SystemClock::now() + kLookEvery;
    const bool is_forgotten = watch_.looked(depth);
    if (is_forgotten) consume(connection, consumes_);
    const std::lock_guard lock(mutex_);
    shared_.state.depth = depth;
    shared_.state.renewed += is_forgotten ? 1 : 0;
}

void AmqpConsumer::add(std::deque<Item>&& items) {
    if (items.empty()) return;
    {
        const std::lock_guard lock(mutex_);
        if (shared_.items.empty())
            shared_.items = std::move(items);
        else
            std::ranges::move(items, std::back_inserter(shared_.items));
    }
    kept_.signal();
}

/// What has come and was not taken comes again.
void AmqpConsumer::lost() {
    const std::lock_guard lock(mutex_);
    shared_.state.prefetch = 0;
    std::erase_if(shared_.items, [](const Item& item) { return !item.begun; });
    shared_.items.push_back({.gone = true});
}

bool AmqpConsumer::has_said_all() {
    const std::lock_guard lock(mutex_);
    return shared_.orders.acks.empty();
}

}  // namespace curfew

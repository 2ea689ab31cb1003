#include "broker/sources/amqp.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <utility>

#include "common/wire/message_properties.h"

namespace curfew {
namespace {

using namespace std::chrono_literals;

constexpr auto kAsksEvery = 100ms;
constexpr auto kGoodbye = 5s;  // for the last acknowledgements

/// Of a message: how long it may take, as AMQP says it: milliseconds, as text.
std::optional<Duration> time_of(const std::string& expiration) {
    std::uint64_t millis = 0;
    const char* end = expiration.data() + expiration.size();
    const auto [read, error] = std::from_chars(expiration.data(), end, millis);
    constexpr std::uint64_t kMost = 100ULL * 365 * 24 * 3600 * 1000;
    if (expiration.empty() || error != std::errc() || read != end) return std::nullopt;
    return std::chrono::milliseconds(std::min(millis, kMost));
}

Deliveries::Message about(const amqp::Delivered& came) {
    return {.tag = came.tag,
            .id = came.properties.message_id,
            .body = came.body,
            .reply_to = came.properties.reply_to,
            .correlation_id = came.properties.correlation_id};
}

wire::MessageProperties said_by_sender(const amqp::Properties& properties) {
    return {.reply_to = properties.reply_to,
            .correlation_id = properties.correlation_id,
            .content_type = properties.content_type,
            .headers = properties.headers};
}

/// As far as it takes memory.
std::size_t bytes_of(const AmqpConsumer::Item& item) {
    std::size_t bytes = item.message.body.size();
    for (const auto& [name, value] : item.message.properties.headers) bytes += name.size() + value.size();
    return bytes;
}

/// A task that is to be acknowledged before the server loses patience: so long it may take.
Duration time_left(Duration consumer_timeout, Duration held) {
    const Duration margin = std::min<Duration>(consumer_timeout / 10, 1min);
    return std::max<Duration>(consumer_timeout - margin - held, Duration::zero());
}

}  // namespace

AmqpSource::AmqpSource(const Config& config, AmqpConsumer::Place place)
    : config_(config), queue_(place.queue), consumer_(std::move(place)), deliveries_(config.deliveries) {
    const amqp::KeptConnection::State state = consumer_.connection();
    log::info("source_connected queue={} host={} server={} depth={}", log::quoted(queue_), state.host,
              log::quoted(state.server), consumer_.look().depth);
}

// ---- messages ----------------------------------------------------------------------------------

/// What is known is done with at once; what was not begun when the connection broke is for others.
void AmqpSource::fetch() {
    for (AmqpConsumer::Item& item : consumer_.take()) {
        if (item.begun) {
            ++generation_;
            deliveries_.begin_generation();
        }
        if (item.begun || item.gone) {
            drop_items();
            continue;
        }
        redelivered_ += item.message.redelivered ? 1 : 0;
        const bool is_known = deliveries_.knows(std::chrono::steady_clock::now(), about(item.message));
        if (is_known) continue;
        prefetch_.came(bytes_of(item));
        items_bytes_ += bytes_of(item);
        items_.push_back(std::move(item));
    }
}

void AmqpSource::drop_items() {
    items_.clear();
    items_bytes_ = 0;
}

bool AmqpSource::next(Incoming& message) {
    gave_back_ = false;
    fetch();
    const Instant now = std::chrono::steady_clock::now();
    while (!items_.empty() && !refusal_) {
        const AmqpConsumer::Item item = std::move(items_.front());
        items_.pop_front();
        items_bytes_ -= bytes_of(item);
        if (take(now, item, message)) return true;
    }
    say_acks();
    return false;
}

/// False where it is known, or refused.
bool AmqpSource::take(Instant now, const AmqpConsumer::Item& item, Incoming& message) {
    const amqp::Delivered& came = item.message;
    const amqp::Properties& said = came.properties;
    const auto handle = deliveries_.came(now, about(came));
    if (!handle) return false;
    here_ = {said.message_id, wire::pack(said_by_sender(said)), came.body};
    const bool is_long = came.size > config_.max_message;
    if (is_long || here_.properties.size() > kMostProperties) {
        refuse(*handle, came, is_long);
        return false;
    }
    message = {.payload = here_.body, .tag = *handle, .properties = here_.properties};
    if (!here_.id.empty()) message.id = here_.id;
    message.left = time_left(config_.consumer_timeout, now - item.came_at);
    if (const auto own = time_of(said.expiration)) message.left = std::min(*message.left, *own);
    message.alone = said.delivery_count >= config_.most_deliveries;
    return true;
}

/// Who asked, and by which name, is kept as far as it is no burden itself.
void AmqpSource::refuse(std::uint64_t handle, const amqp::Delivered& came, bool is_long) {
    ++refused_;
    refused_tags_.insert(handle);
    amqp::Properties said = came.properties;
    if (here_.properties.size() > kMostProperties) said.headers.clear();
    refusal_ = {.number = refused_,
                .size = is_long ? came.size : here_.properties.size(),
                .first = came.body.substr(0, RefusedMessage::kFirstBytes),
                .tag = handle,
                .why = is_long ? ""
                               : fmt::format("its properties and headers have {} bytes, over {}",
                                             here_.properties.size(), kMostProperties),
                .id = said.message_id,
                .properties = wire::pack(said_by_sender(said))};
}

/// Of one that was refused nobody has more than the beginning: it is for the queue's dead letters.
void AmqpSource::settled(Instant, std::span<const SettledTag> tags) {
    using enum Deliveries::Fate;
    const Instant now = std::chrono::steady_clock::now();  // as all that is remembered there
    for (const SettledTag& settled : tags) {
        const bool rejects = refused_tags_.erase(settled.tag) > 0 || config_.rejects;
        const auto fate = settled.outcome == Outcome::completed ? completed : rejects ? rejected : failed;
        deliveries_.settled(now, settled.tag, fate);
    }
    say_acks();
}

void AmqpSource::say_acks() {
    if (const auto acks = deliveries_.take_acks(); !acks.empty()) consumer_.acknowledge(generation_, acks);
}

/// What was fetched and not begun. It counts as a delivery at the server, so this is not for flow
/// control.
void AmqpSource::give_back_all() {
    fetch();
    for (const AmqpConsumer::Item& item : items_) deliveries_.give_back(item.message.tag);
    drop_items();
    say_acks();
}

// ---- how many ----------------------------------------------------------------------------------

void AmqpSource::expect(Instant now, std::size_t messages) {
    asks_at_ = now + kAsksEvery;
    say_what_happens();
    fetch();
    say_acks();
    const Instant began_at = std::chrono::steady_clock::now() - config_.consumer_timeout / 2;
    const bool too_long =
        std::ranges::any_of(items_, [began_at](const AmqpConsumer::Item& item) { return item.came_at < began_at; });
    if (too_long) {
        log::warn("source_gives_back messages={} reason=\"nobody has begun them for half of --consumer-timeout\"",
                  items_.size());
        // Nothing more before: else they would come again, and be thrown away when they have come
        // too often
        gave_back_ = true;
        consumer_.want(0);
        give_back_all();
    }
    const Instant overdue_since = std::chrono::steady_clock::now() - time_left(config_.consumer_timeout, {});
    const std::uint16_t wanted = prefetch_.wanted(messages, {.in_flight = deliveries_.in_flight(),
                                                             .overdue = deliveries_.older_than(overdue_since),
                                                             .fetched = items_.size(),
                                                             .fetched_bytes = items_bytes_});
    consumer_.want(hangs_up_ || gave_back_ ? 0 : wanted);
}

/// Twice the heartbeat is when the server gives up who does not answer.
bool AmqpSource::takes_back(Instant now) {
    if (!config_.cancels_when_lost || !consumer_.connection().host.empty()) {
        lost_since_ = kNever;
        return false;
    }
    if (lost_since_ == kNever) lost_since_ = now;
    return now - lost_since_ >= 2 * amqp::Access::kHeartbeat && deliveries_.in_flight() > 0;
}

void AmqpSource::taken_back(std::span<const std::uint64_t> tags) {
    for (const std::uint64_t tag : tags) deliveries_.forget(tag);
}

// ---- the end -----------------------------------------------------------------------------------

Instant AmqpSource::hang_up(Instant) {
    if (!std::exchange(hangs_up_, true)) consumer_.want(0);
    give_back_all();
    return kNever;
}

/// What is acknowledged on a connection that is closed in good order has arrived.
bool AmqpSource::let_go(Instant now) {
    if (closes_by_ == kNever) {
        hang_up(now);
        closes_by_ = now + kGoodbye;
    }
    give_back_all();
    if (consumer_.close()) return true;
    if (now < closes_by_) return false;
    log::warn(
        "source_not_told queue={} reason=\"the server does not answer: what was acknowledged last may come again\"",
        log::quoted(queue_));
    return true;
}

// ---- looking -----------------------------------------------------------------------------------

void AmqpSource::say_what_happens() {
    const amqp::KeptConnection::State state = consumer_.connection();
    const bool lost = state.host.empty();
    if (lost && !std::exchange(said_.lost, true)) {
        log::warn(
            "source_lost queue={} in_flight={} reason={} next=\"it is tried again until the server answers; what "
            "is in flight {}, and others may be given it\"",
            log::quoted(queue_), deliveries_.in_flight(), log::quoted(state.trouble),
            config_.cancels_when_lost ? "is called home if that takes long" : "is finished");
    } else if (!lost && std::exchange(said_.lost, false)) {
        log::warn("source_is_back queue={} host={} losses={}", log::quoted(queue_), state.host, state.losses);
    }
    if (std::exchange(said_.stands, prefetch_.stands()) != prefetch_.stands())
        log::warn("{} queue={} in_flight={} reason=\"most of it waits for longer than --consumer-timeout\"",
                  prefetch_.stands() ? "source_stands" : "source_goes_on", log::quoted(queue_),
                  deliveries_.in_flight());
    const AmqpConsumer::State seen = consumer_.look();
    if (!seen.note.empty() && std::exchange(said_.note, seen.note) != seen.note)
        log::warn("queue_is_odd note={}", log::quoted(seen.note));
    if (std::exchange(said_.unreadable, seen.unreadable) != seen.unreadable)
        log::warn(
            "message_rejected queue={} ever={} reason={} next=\"the dead letters of its queue have it, if there are "
            "such\"",
            log::quoted(queue_), seen.unreadable, log::quoted(seen.why_unreadable));
    if (std::exchange(said_.renewed, seen.renewed) == 0 && seen.renewed > 0)
        log::warn("consumer_renewed queue={} reason=\"messages waited, and the server gave us none\"",
                  log::quoted(queue_));
}

void AmqpSource::describe(Instant, JsonObject& out) const {
    const AmqpConsumer::State state = consumer_.look();
    const amqp::KeptConnection::State connection = consumer_.connection();
    const Deliveries::Counts& counts = deliveries_.counts();
    const auto oldest = deliveries_.oldest();
    const Instant now = std::chrono::steady_clock::now();
    const auto since = [now](Instant at) { return std::optional<Duration>(now - at); };
    out.add("queue", queue_)
        .add("connected", connection.host)
        .add("trouble", connection.trouble)
        .add("lost_for_s", connection.host.empty() ? since(connection.lost_at) : std::nullopt)
        .add("depth", state.depth)
        .add("prefetch", state.prefetch)
        .add("fetched", static_cast<std::uint64_t>(items_.size()))
        .add("unacked", static_cast<std::uint64_t>(deliveries_.in_flight()))
        .add("oldest_unacked_s", oldest ? since(*oldest) : std::nullopt)
        .add("redelivered", redelivered_)
        .add("adopted", counts.adopted)
        .add("known", counts.known)
        .add("stale", counts.stale)
        .add("connections_lost", connection.losses)
        .add("consumers_renewed", state.renewed)
        .add("unreadable", state.unreadable);
}

}  // namespace curfew

#include "broker/sources/deliveries.h"

#include <algorithm>
#include <functional>

namespace curfew {
namespace {

/// Of the same sender, the same bytes, and for the same place: some use an id for more than one
/// message.
std::string key_of(const Deliveries::Message& message) {
    if (message.id.empty()) return {};
    std::string key(message.id);
    for (const std::string_view part : {message.body, message.reply_to, message.correlation_id}) {
        const std::uint64_t digest = std::hash<std::string_view>()(part);
        key.append(reinterpret_cast<const char*>(&digest), sizeof digest);
    }
    return key;
}

}  // namespace

void Deliveries::begin_generation() {
    ++generation_;
    resolved_.clear();
    ready_.clear();
}

bool Deliveries::knows(Instant now, const Message& message) {
    forget_old(now);
    const std::string key = key_of(message);
    if (settled_keys_.contains(key)) {
        ++counts_.known;
        resolve(message.tag, false, false);
        return true;
    }
    const auto known = handles_.find(key);
    if (known == handles_.end()) return false;
    ++counts_.adopted;
    Flight& flight = flights_.at(known->second);
    if (std::exchange(flight.generation, generation_) != generation_) flight.tags.clear();
    flight.tags.push_back(message.tag);
    return true;
}

std::optional<std::uint64_t> Deliveries::came(Instant now, const Message& message) {
    if (knows(now, message)) return std::nullopt;
    std::string key = key_of(message);
    const std::uint64_t handle = ++last_handle_;
    if (!key.empty()) handles_.emplace(key, handle);
    flights_.emplace(handle, Flight{now, std::move(key), generation_, {message.tag}});
    return handle;
}

void Deliveries::settled(Instant now, std::uint64_t handle, Fate fate) {
    const auto at = flights_.find(handle);
    if (at == flights_.end()) return;
    Flight flight = std::move(at->second);
    flights_.erase(at);
    if (flight.generation != generation_) {
        ++counts_.stale;  // the server hands it over again: it is known then, if it has an id
    } else {
        for (const std::uint64_t tag : flight.tags) resolve(tag, fate == Fate::rejected, false);
    }
    if (flight.key.empty()) return;
    handles_.erase(flight.key);
    if (fate == Fate::completed) remember(now, std::move(flight.key));
}

void Deliveries::forget(std::uint64_t handle) {
    const auto at = flights_.find(handle);
    if (at == flights_.end()) return;
    handles_.erase(at->second.key);
    flights_.erase(at);
}

void Deliveries::give_back(std::uint64_t tag) {
    resolve(tag, true, true);
}

void Deliveries::resolve(std::uint64_t tag, bool rejects, bool requeues) {
    if (resolved_.insert(tag)) ready_.push_back({.tag = tag, .rejects = rejects, .requeues = requeues});
}

/// One frame for all up to the first hole; what is rejected is said before it, one by one.
std::vector<Deliveries::Ack> Deliveries::take_acks() {
    std::vector<Ack> acks = std::exchange(ready_, {});
    const std::uint64_t hole = resolved_.next_missing(1);
    Ack* last = nullptr;  // that all before it are resolved with
    std::size_t count = 0;
    for (Ack& ack : acks) {
        if (ack.rejects || ack.tag >= hole) continue;
        ++count;
        if (last == nullptr || ack.tag > last->tag) last = &ack;
    }
    if (count < 2) return acks;
    const Ack all{.tag = last->tag, .multiple = true};
    std::erase_if(acks, [&](const Ack& ack) { return !ack.rejects && ack.tag <= all.tag; });
    acks.push_back(all);
    return acks;
}

std::optional<Instant> Deliveries::oldest() const {
    const auto at = std::ranges::min_element(flights_, {}, [](const auto& flight) { return flight.second.since; });
    return at == flights_.end() ? std::nullopt : std::optional(at->second.since);
}

std::size_t Deliveries::older_than(Instant when) const {
    const auto older =
        std::ranges::count_if(flights_, [when](const auto& flight) { return flight.second.since < when; });
    return static_cast<std::size_t>(older);
}

void Deliveries::remember(Instant now, std::string key) {
    if (config_.most == 0 || config_.window <= Duration::zero() || !settled_keys_.insert(key).second) return;
    settled_.emplace_back(now, std::move(key));
    if (settled_.size() <= config_.most) return;
    settled_keys_.erase(settled_.front().second);
    settled_.pop_front();
}

void Deliveries::forget_old(Instant now) {
    while (!settled_.empty() && now - settled_.front().first > config_.window) {
        settled_keys_.erase(settled_.front().second);
        settled_.pop_front();
    }
}

}  // namespace curfew

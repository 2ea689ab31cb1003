#include "broker/collector_link.h"

#include <algorithm>

namespace curfew {
namespace {

/// Acknowledgements wait this long for a frame that carries them, and no more than so many.
constexpr Duration kAckWithin = std::chrono::milliseconds(20);
constexpr std::uint32_t kMostAcksOwed = 32;

}  // namespace

// ---- in ----------------------------------------------------------------------------------------

CollectorLink::Asks CollectorLink::receive(Instant now, const wire::Envelope& envelope, wire::Reader& reader) {
    if (envelope.number == 0) {
        if (const std::optional<Asks> asks = receive_beside(now, envelope, reader)) return *asks;
    }
    if (!is_from_it(envelope)) {
        ++counts_.refused;
        return Asks::nothing;
    }
    if (state_ == State::unknown) return Asks::nothing;
    if (now - std::exchange(heard_at_, now) >= limits::kAloneAfter * heartbeat_) heard_since_ = now;
    if (!sender_.acknowledge(now, envelope.acked) && is_synced() && settled_down(now)) {
        complaint_ = "collector: it acknowledges what was not sent; who else sends there?";
        return Asks::sync;
    }
    if (envelope.number == 0) return Asks::nothing;
    // A turned bit makes a number of none; what has one and is no batch would take the place of
    // one.
    const std::uint64_t first = reader.first_type();
    if (reader.records().empty() || first == wire::CollectorHello::kType) {
        ++counts_.malformed;
        return Asks::nothing;
    }
    if (ack_at_ == kNever) ack_at_ = now + kAckWithin;
    if (++acks_owed_ >= kMostAcksOwed) ack_at_ = now;
    return receiver_.expects(envelope.number) ? Asks::records : Asks::nothing;
}

/// A frame beside the stream: a hello, a ping, or nothing but an acknowledgement. None: it is
/// looked at further.
std::optional<CollectorLink::Asks> CollectorLink::receive_beside(Instant now, const wire::Envelope& envelope,
                                                                 wire::Reader& reader) {
    std::optional<wire::CollectorHello> hello;
    std::optional<wire::CollectorPing> ping;
    const auto keep = [&](auto& record) {
        if constexpr (std::is_same_v<std::decay_t<decltype(record)>, wire::CollectorHello>) {
            hello = std::move(record);
        } else {
            ping = record;
        }
    };
    if (reader.each<wire::road::BesideToBroker>(keep) != wire::Error::none) ++counts_.malformed;
    counts_.malformed += reader.strayed();
    if (hello) return on_hello(now, envelope, *hello);
    if (ping && is_from_it(envelope) && is_synced() && !receiver_.agrees(ping->number, ping->digest)) {
        complaint_ = "collector: it has not sent what came as its batches; who else sends here?";
        return Asks::sync;
    }
    return std::nullopt;
}

CollectorLink::Asks CollectorLink::on_hello(Instant now, const wire::Envelope& envelope,
                                            const wire::CollectorHello& hello) {
    const Incarnation collector = envelope.peer;
    // An order of incarnations counts only while the greater one is there: it may be a forgery, or
    // a clock set back.
    const bool silent = now - heard_at_ >= limits::kAloneAfter * heartbeat_;
    if ((collector < collector_ && !silent) || envelope.broker > broker_) {
        ++counts_.refused;
        return Asks::nothing;
    }
    if (collector == collector_) {
        // It has this sync and wants another, perhaps before we heard that it has it. The same one
        // would set its streams back to the beginning, and ours may have gone on: what it has
        // acknowledged is not kept.
        if (hello.round == sync_round_) return on_unreadable_there(hello);
        // Else, once it is synced, a hello of the same incarnation is an old one that was under
        // way. It does not have our sync any more: somebody has spoken to it in our name.
        if (is_synced() && settled_down(now)) return Asks::sync;
        send_sync_ = state_ == State::syncing;
        return Asks::nothing;
    }
    // One frame is not enough to leave a collector that is known (one flipped bit would do); hellos
    // are repeated.
    if (is_known() && std::exchange(newcomer_, collector) != collector) return Asks::nothing;
    collector_ = collector;
    return Asks::sync;
}

/// The collector cannot read a batch of ours. All is said anew behind a sync; of the same record
/// again the dispatcher may know better.
CollectorLink::Asks CollectorLink::on_unreadable_there(const wire::CollectorHello& hello) {
    if (hello.bad_type == 0) {  // no record has a name, or somebody else's batch was taken for ours
        complaint_ = "ours, at the collector: it has taken what was not sent, or cannot be read";
        return Asks::sync;
    }
    const wire::Reader::BadPlace bad{0, hello.bad_type, hello.bad_key, 0};
    complaint_ = "ours, at the collector: a record of type " + std::to_string(bad.type) + ", of " +
                 std::to_string(bad.key) + ", cannot be read there";
    return std::exchange(bad_there_, bad) == bad ? Asks::another_say : Asks::sync;
}

/// A batch that cannot be read is not acknowledged, so that it comes again: once may be noise. The
/// second time the pair begins anew. What was read of it before is read again; each record says
/// what is, so that does no harm.
bool CollectorLink::read(std::uint64_t number, std::string_view records, wire::Error error,
                         const wire::Reader::BadPlace& bad) {
    if (error == wire::Error::none) {
        receiver_.take(number, records);
        return true;
    }
    ++counts_.malformed;
    complaint_ = "collector, batch " + std::to_string(number) + ", " + describe(bad);
    return !receiver_.unreadable(number);
}

// ---- sync --------------------------------------------------------------------------------------

void CollectorLink::begin_sync(Instant now) {
    state_ = State::syncing;
    heard_at_ = now;
    backlog_ = kUnknown;
    ++sync_round_;
    receiver_.reset(stream_base(sync_round_));
}

/// What was about to be said is dropped: all is said behind the sync.
void CollectorLink::offer(const wire::Sync& sync) {
    sender_.reset(stream_base(sync_round_));
    to_collector_.clear();
    wire::Writer writer;
    writer.add(sync);
    sync_frame_ = writer.finish({wire::Kind::to_collector, broker_, collector_, 0, 0});
    send_sync_ = true;
}

bool CollectorLink::synced(Instant now) {
    if (state_ != State::syncing) return false;
    state_ = State::synced;
    heard_since_ = synced_at_ = now;
    sync_frame_ = {};
    send_sync_ = false;
    return true;
}

// ---- out ---------------------------------------------------------------------------------------

/// A batch of the stream; it goes with the next flush.
void CollectorLink::close_batch(Instant now) {
    const wire::Envelope envelope{wire::Kind::to_collector, broker_, collector_, sender_.next_number(),
                                  receiver_.received()};
    sender_.keep(now, to_collector_.finish(envelope));
}

void CollectorLink::flush(Instant now, bool drained, std::vector<OutFrame>& frames) {
    const wire::Envelope envelope{wire::Kind::to_collector, broker_, collector_, 0, receiver_.received()};
    if (std::exchange(send_sync_, false)) frames.push_back({Road::collector, {}, sync_frame_.copy()});
    if (!to_collector_.empty()) close_batch(now);
    const bool carries_ack = sender_.next_number() != next_batch_;
    next_batch_ = sender_.next_number();
    sender_.send_due(now, heartbeat_, [&](const Frame& frame) {
        frames.push_back({Road::collector, {}, frame.copy()});
    });
    if (carries_ack && sender_.all_sent()) ack_at_ = kNever;  // it is in the batch
    if (std::exchange(ping_due_, false))
        to_collector_.add(wire::BrokerPing{0, sender_.next_number() - 1, sender_.digest()});
    const bool ack_due = now >= ack_at_ || (ack_at_ != kNever && drained);
    if (ack_due || !to_collector_.empty()) {
        frames.push_back({Road::collector, {}, to_collector_.finish(envelope)});
        ack_at_ = kNever;
    }
    if (ack_at_ == kNever) acks_owed_ = 0;
}

}  // namespace curfew

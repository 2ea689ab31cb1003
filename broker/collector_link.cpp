#include "broker/collector_link.h"

namespace curfew {

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
    hearing_.heard(now);
    if (!batches_.acknowledge(now, envelope.acked) && is_synced() && hearing_.has_settled_down(now)) {
        counts_.complaint = "collector: it acknowledges what was not sent; who else sends there?";
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
    ack_.owe(now);
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
        counts_.complaint = "collector: it has not sent what came as its batches; who else sends here?";
        return Asks::sync;
    }
    return std::nullopt;
}

CollectorLink::Asks CollectorLink::on_hello(Instant now, const wire::Envelope& envelope,
                                            const wire::CollectorHello& hello) {
    const Incarnation collector = envelope.peer;
    // An order of incarnations counts only while the greater one is there: it may be a forgery, or
    // a clock set back.
    if ((collector < collector_ && !hearing_.is_alone(now)) || envelope.broker > broker_) {
        ++counts_.refused;
        return Asks::nothing;
    }
    if (collector == collector_) {
        // It has this sync and wants another, perhaps before we heard that it has it. The same one
        // would set its streams back to the beginning, and ours may have gone on: what it has
        // acknowledged is not kept.
        if (hello.round == sync_.round()) return on_unreadable_there(hello);
        // Else, once it is synced, a hello of the same incarnation is an old one that was under
        // way. It does not have our sync any more: somebody has spoken to it in our name.
        if (is_synced() && hearing_.has_settled_down(now)) return Asks::sync;
        sync_.ask_again();
        return Asks::nothing;
    }
    // One frame is not enough to leave a collector that is known (one flipped bit would do); hellos
    // are repeated.
    if (is_known() && std::exchange(newcomer_, collector) != collector) return Asks::nothing;
    collector_ = collector;
    return Asks::exchange;
}

/// The collector cannot read a batch of ours. All is said anew behind a sync; of the same record
/// again the dispatcher may know better.
CollectorLink::Asks CollectorLink::on_unreadable_there(const wire::CollectorHello& hello) {
    if (hello.bad_type == 0) {  // no record has a name, or somebody else's batch was taken for ours
        counts_.complaint = "ours, at the collector: it has taken what was not sent, or cannot be read";
        return Asks::sync;
    }
    const wire::Reader::BadPlace bad{0, hello.bad_type, hello.bad_key, 0};
    counts_.complaint = "ours, at the collector: a record of type " + std::to_string(bad.type) + ", of " +
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
    counts_.complaint = "collector, batch " + std::to_string(number) + ", " + describe(bad);
    return !receiver_.unreadable(number);
}

// ---- sync --------------------------------------------------------------------------------------

void CollectorLink::begin_sync(Instant now) {
    state_ = State::syncing;
    hearing_.heard(now);
    backlog_ = kUnknown;
    sync_.begin_round();
    receiver_.reset(stream_base(sync_.round()));
}

void CollectorLink::offer(const wire::Sync& sync) {
    batches_.reset(sync_.round());
    wire::Writer writer;
    writer.add(sync);
    sync_.offer(writer.finish({wire::Kind::to_collector, broker_, collector_, 0, 0}));
}

bool CollectorLink::synced(Instant now) {
    if (state_ != State::syncing) return false;
    state_ = State::synced;
    hearing_.synced(now);
    sync_.taken();
    return true;
}

// ---- out ---------------------------------------------------------------------------------------

void CollectorLink::flush(Instant now, bool drained, std::vector<OutFrame>& frames) {
    const auto send = [&](Frame frame) { frames.push_back({Road::collector, {}, std::move(frame)}); };
    if (std::optional<Frame> sync = sync_.take_due()) send(std::move(*sync));
    if (batches_.flush(now, envelope(), send)) ack_.given();
    wire::Writer& beside = batches_.batch();
    const StreamSender& sent = batches_.stream();
    if (std::exchange(ping_due_, false)) beside.add(wire::BrokerPing{0, sent.next_number() - 1, sent.digest()});
    if (beside.empty() && !ack_.is_due(now, drained)) return;
    send(beside.finish(envelope()));
    ack_.given();
}

}  // namespace curfew

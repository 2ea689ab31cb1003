#include "collector/broker_link.h"

namespace curfew {

// ---- in ----------------------------------------------------------------------------------------

BrokerLink::Asks BrokerLink::receive(Instant now, const wire::Envelope& envelope, wire::Reader& reader,
                                     wire::Sync& sync) {
    const bool known = envelope.broker == broker_ || !is_synced_;
    if (known && number_.meet(envelope.peer)) {
        is_synced_ = false;
        hello_.at_once();
    }
    // Whoever it means: a newer broker may have taken an old hello, that was under way for long,
    // for ours.
    if (is_new(now, envelope)) return meet_broker(now, envelope, reader, sync);
    const bool for_me = envelope.peer == incarnation() || envelope.peer == 0;
    if (envelope.broker < broker_ || !for_me) {
        refuse(now, envelope);
        return Asks::nothing;
    }
    hearing_.heard(now);
    if (is_synced_ && envelope.peer == incarnation() && !batches_.acknowledge(now, envelope.acked) &&
        hearing_.has_settled_down(now)) {
        want_sync({.record = 1}, "broker: it acknowledges what was not sent; who else sends there?");
        return Asks::nothing;
    }
    if (envelope.number == 0) return read_beside(now, envelope, reader, sync);
    // A turned bit makes a number of none; what has one and is no batch would take the place of
    // one.
    const std::uint64_t first = reader.first_type();
    if (reader.records().empty() || first == wire::BrokerPing::kType || first == wire::Sync::kType) {
        ++counts_.malformed;
        return Asks::nothing;
    }
    owes_ack_ = true;
    return is_synced_ && receiver_.expects(envelope.number) ? Asks::records : Asks::nothing;
}

void BrokerLink::refuse(Instant now, const wire::Envelope& envelope) {
    ++counts_.refused;
    // Our broker speaks to somebody else, who may be a forgery: it lets us in again when that one
    // is silent.
    const bool left = is_synced_ && envelope.broker == broker_ && hearing_.is_alone(now);
    if (left) want_sync({}, "broker: it has left us for collector " + std::to_string(envelope.peer));
}

/// What goes beside the stream: a sync, a ping, or nothing but an acknowledgement.
BrokerLink::Asks BrokerLink::read_beside(Instant now, const wire::Envelope& envelope, wire::Reader& reader,
                                         wire::Sync& sync) {
    bool has_sync = false, agrees = true;
    const auto visit = [&](auto& record) {
        if constexpr (std::is_same_v<std::decay_t<decltype(record)>, wire::Sync>) {
            if (envelope.peer != incarnation()) return;
            sync = std::move(record);
            has_sync = true;
        } else {
            owes_ack_ = owes_ping_ = true;
            if (is_synced_ && envelope.peer == incarnation() && record.digest != 0)
                agrees = receiver_.agrees(record.number, record.digest);
        }
    };
    if (reader.each<wire::road::BesideToCollector>(visit) != wire::Error::none) ++counts_.malformed;
    counts_.malformed += reader.strayed();
    if (has_sync) return take_sync(now, sync);
    if (!agrees) want_sync({.record = 1}, "broker: it has not sent what came as its batches; who else sends here?");
    return Asks::nothing;
}

/// A batch that cannot be read is not acknowledged. The second time the pair begins anew: a hello
/// that says why.
void BrokerLink::read(std::uint64_t number, std::string_view records, wire::Error error,
                      const wire::Reader::BadPlace& bad) {
    if (error == wire::Error::none) {
        receiver_.take(number, records);
        return;
    }
    ++counts_.malformed;
    complaint_ = "broker, batch " + std::to_string(number) + ", " + describe(bad);
    if (receiver_.unreadable(number)) want_sync(bad, complaint_);
}

// ---- who it is ---------------------------------------------------------------------------------

/// A greater incarnation is newer. So is any other once the broker that was known is silent:
/// incarnations are times, and clocks are set back.
bool BrokerLink::is_new(Instant now, const wire::Envelope& envelope) const {
    if (envelope.broker == broker_) return false;
    return envelope.broker > broker_ || hearing_.is_alone(now);
}

/// A newer broker shows itself. Its word alone is not enough to leave the old one (one flipped bit
/// would do): it is said hello, and taken when it answers with a Sync for us.
BrokerLink::Asks BrokerLink::meet_broker(Instant now, const wire::Envelope& envelope, wire::Reader& reader,
                                         wire::Sync& sync) {
    newcomer_ = envelope.broker;
    bool has_sync = false;
    const auto visit = [&](auto& record) {
        if constexpr (std::is_same_v<std::decay_t<decltype(record)>, wire::Sync>) {
            sync = std::move(record);
            has_sync = true;
        }
    };
    if (envelope.number != 0) return Asks::nothing;
    if (reader.each<wire::road::BesideToCollector>(visit) != wire::Error::none) ++counts_.malformed;
    counts_.malformed += reader.strayed();
    if (!has_sync) return Asks::nothing;
    if (envelope.peer != incarnation()) {
        ++counts_.refused;
        return Asks::nothing;
    }
    broker_ = envelope.broker;
    hearing_.heard(now);
    newcomer_ = 0;
    is_synced_ = false;
    return take_sync(now, sync);
}

// ---- sync --------------------------------------------------------------------------------------

/// A hello that says that it has a sync, and wants another.
void BrokerLink::want_sync(const wire::Reader::BadPlace& why, std::string complaint) {
    complaint_ = std::move(complaint);
    unread_ = why;
    is_synced_ = false;
    hello_.at_once();
    hello_.short_again();
}

/// One that comes unasked may be a forgery: it is not taken, but asked for. The broker knows
/// whether it means another. Behind one that asks what did not complete the next may come.
BrokerLink::Asks BrokerLink::take_sync(Instant now, const wire::Sync& sync) {
    if (is_synced_ && sync.round == sync_round_) return Asks::nothing;
    if (is_synced_ && !next_may_come_) {
        want_sync({.record = 1}, "broker: a sync that was not asked for");
        return Asks::nothing;
    }
    hearing_.synced(now);
    sync_round_ = sync.round;
    next_may_come_ = sync.exchange == 3;
    unread_ = {};
    batches_.reset(sync.round);
    receiver_.reset(stream_base(sync.round));
    is_synced_ = true;
    hello_.short_again();
    return Asks::sync;
}

// ---- out ---------------------------------------------------------------------------------------

void BrokerLink::say_hello(Instant now, Epoch epoch, std::vector<Frame>& frames) {
    if ((is_synced_ && newcomer_ == 0) || now < hello_.due_at()) return;
    hello_.said(now);
    const wire::Envelope to{wire::Kind::to_broker, newcomer_ != 0 ? newcomer_ : broker_, incarnation(), 0, 0};
    const std::uint64_t round = unread_.record == 0 ? 0 : sync_round_;
    batch().add(wire::CollectorHello{epoch, {}, round, unread_.type, unread_.key});
    frames.push_back(batch().finish(to));
    newcomer_ = 0;
}

void BrokerLink::flush(Instant now, std::vector<Frame>& frames) {
    const auto send = [&](Frame frame) { frames.push_back(std::move(frame)); };
    const bool carried = batches_.flush(now, envelope(), send) && !owes_ping_;
    const StreamSender& sent = stream();
    if (std::exchange(owes_ping_, false)) batch().add(wire::CollectorPing{sent.next_number() - 1, sent.digest()});
    if (std::exchange(owes_ack_, false) && !carried) send(batch().finish(envelope()));
}

}  // namespace curfew

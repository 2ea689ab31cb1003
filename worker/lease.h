// A worker's session with a broker, and how long it may believe in it: the hello until it is
// welcomed, the heartbeats, and the lease, which ends when no ping has come for limits::kAloneAfter
// heartbeats. After a standstill of its own loop it is in doubt until a ping answers what it says
// then (docs/protocol.md, "After a standstill"). Pure.
//
//     none --hello, Welcome--> in session --gone, or the lease is over--> none
//                                |     ^
//             its loop stood still     a ping that names this standstill
//                                v     |
//                               in doubt
#pragma once

#include <algorithm>
#include <cstdint>

#include "common/wire/wire.h"
#include "common/words/limits.h"
#include "common/words/mutant.h"
#include "common/words/vocabulary.h"

namespace curfew {

class Lease {
public:
    Lease(Incarnation worker, Duration heartbeat) : worker_(worker), heartbeat_(heartbeat), pause_(first_pause()) {}

    // ---- in
    /// True if it begins a session.
    bool welcome(Instant now, const wire::Envelope& envelope, const wire::Welcome& welcome) {
        const bool mine = welcome.worker == worker_ && welcome.hello == hello_;
        const bool older = envelope.broker < broker_ && now - heard_at_ < limits::kAloneAfter * heartbeat_;
        if (!mine || session_ != 0 || older) return false;
        broker_ = envelope.broker;
        session_ = envelope.peer;
        epoch_ = welcome.epoch;
        collector_ = welcome.collector;
        heard_at_ = now;
        heartbeat_at_ = now;
        pause_ = first_pause();
        return true;
    }
    /// False: it was sent before our standstill, and says nothing of now.
    bool ping(Instant now, const wire::Ping& ping) {
        if (in_doubt_ && ping.stood != stood_) return false;
        in_doubt_ = false;
        heard_at_ = now;
        return true;
    }
    /// True if the collector is a new one.
    bool meet_collector(Incarnation collector) {
        if (collector <= collector_) return false;
        collector_ = collector;
        return true;
    }
    void stood_still(Instant now) {
        if (session_ == 0) return;
        ++stood_;
        in_doubt_ = !mutated(Mutant::standstill_forgotten);
        heard_at_ = now;  // from here on a lease
        heartbeat_at_ = now;
        pause_ = first_pause();
    }
    void end(Instant now) {
        in_doubt_ = false;
        session_ = 0;
        ++hello_;
        hello_at_ = now;
        pause_ = first_pause();
    }

    // ---- out
    /// A hello is to be said now.
    bool take_hello(Instant now) {
        if (now < hello_at_) return false;
        hello_at_ = now + pause_;
        pause_ = std::min(2 * pause_, heartbeat_ / 4);
        return true;
    }
    /// A heartbeat is to be said now: each heartbeat, and at once when there are more or fewer
    /// slots.
    bool take_heartbeat(Instant now, std::uint32_t slots) {
        if (now < heartbeat_at_ && slots == told_slots_) return false;
        heartbeat_at_ = now + pause_;
        pause_ = std::min(2 * pause_, heartbeat_);
        told_slots_ = slots;
        return true;
    }
    /// The broker is to know at once.
    void heartbeat_now(Instant now) { heartbeat_at_ = now; }
    [[nodiscard]] Instant next_deadline() const {
        return session_ == 0 ? hello_at_ : std::min(heartbeat_at_, heard_at_ + limits::kAloneAfter * heartbeat_);
    }

    // ---- looking
    [[nodiscard]] bool is_over(Instant now) const {
        return session_ != 0 && now - heard_at_ >= limits::kAloneAfter * heartbeat_ &&
               !mutated(Mutant::lease_forgotten);
    }
    [[nodiscard]] bool is_of(const wire::Envelope& envelope) const {
        return session_ != 0 && envelope.peer == session_ && envelope.broker == broker_;
    }
    [[nodiscard]] Session session() const { return session_; }
    [[nodiscard]] Epoch epoch() const { return epoch_; }
    [[nodiscard]] Incarnation broker() const { return broker_; }
    /// Which one is said next, or was answered.
    [[nodiscard]] std::uint64_t hello() const { return hello_; }
    [[nodiscard]] bool in_doubt() const { return in_doubt_; }
    [[nodiscard]] std::uint64_t stood() const { return stood_; }

private:
    /// What is said at the beginning, hellos and heartbeats, is said again soon, and then less and
    /// less often.
    [[nodiscard]] Duration first_pause() const { return heartbeat_ / 64; }

    const Incarnation worker_;
    const Duration heartbeat_;
    Incarnation broker_ = 0;
    Incarnation collector_ = 0;
    Session session_ = 0;
    Epoch epoch_ = 0;
    std::uint64_t hello_ = 1;
    Instant hello_at_{};
    Instant heartbeat_at_{};
    // Before the next hello or heartbeat: short at first, the first may be lost
    Duration pause_;
    std::uint32_t told_slots_ = 0;  // in the last heartbeat
    Instant heard_at_{};
    std::uint64_t stood_ = 0;  // how often, in this life
    bool in_doubt_ = false;    // it stood still, and does not know yet whether its session lives
};

}  // namespace curfew

// When an output is synced each second: how much may be said before the disk has it. Pure.
//
// What is said is on the disk a second later, or was not said: a sync begins half a second after
// the first outcome that needs one, one at a time, and while the oldest outcome that is not on the
// disk is older than a second, nothing is said but what is there. So a slow disk slows the group
// down, and what a power loss may take stays within that second.
#pragma once

#include <chrono>
#include <utility>

#include "common/words/vocabulary.h"

namespace curfew {

class SyncPace {
public:
    static constexpr Duration kSyncEvery = std::chrono::milliseconds(500);
    static constexpr Duration kUnsynced = std::chrono::seconds(1);

    /// `is_done`: all that was asked for is on the disk. `has_more`: outcomes were written for
    /// which nothing was asked. True if they are to be asked for now.
    [[nodiscard]] bool take_ask(Instant now, bool is_done, bool has_more) {
        if (!has_more) return false;
        if (waits_since_ == kNever) waits_since_ = now;
        if (!is_done || now < waits_since_ + kSyncEvery) return false;
        asked_since_ = std::exchange(waits_since_, kNever);
        return true;
    }
    /// Only what is on the disk may be said.
    [[nodiscard]] bool holds(Instant now, bool is_done) const { return !is_done && now - asked_since_ >= kUnsynced; }
    /// When to ask at the latest; when a sync has ended its owner looks anyhow.
    [[nodiscard]] Instant next_deadline(bool is_done) const {
        return is_done && waits_since_ != kNever ? waits_since_ + kSyncEvery : kNever;
    }

private:
    Instant waits_since_ = kNever;  // the oldest for which nothing was asked
    Instant asked_since_{};         // the oldest of what was asked for last
};

}  // namespace curfew

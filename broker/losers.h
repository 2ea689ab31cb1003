// Attempts that another has beaten, before they are called home. Quick work would end before the
// cancel reached it, so it is given a tick to do so: there a cancel costs more than it saves. Pure.
//
//     add --the worker is slow------------------------------> called home by the next flush
//      \---the worker is quick--> new --a tick--> old --a tick--> called home, if it is still there
//
// Memory: one entry for each loser of the last two ticks. Deques, since after a long turn there are
// many, and a vector would never shrink.
#pragma once

#include <deque>
#include <utility>
#include <vector>

#include "common/tables/histogram.h"
#include "common/words/mutant.h"
#include "common/words/vocabulary.h"

namespace curfew {

class Losers {
public:
    /// Quick work that has lost may come to its end by itself within one or two of these.
    static constexpr Duration kTick = std::chrono::milliseconds(1);

    /// It has lost its task by what was received in this turn.
    void add(AttemptId id) { beaten_.push_back(id); }

    /// Calls call_home(id) for those whose time has come; is_quick(session) says whether a worker's
    /// work is.
    template <typename IsQuick, typename CallHome>
    void call_home(Instant now, IsQuick&& is_quick, CallHome&& call_home) {
        for (const AttemptId id : beaten_) {
            if (is_quick(id.session)) {
                new_quick_.push_back(id);
            } else {
                call_home(id);
            }
        }
        beaten_.clear();
        if (now >= tick_at_) {
            for (const AttemptId id : old_quick_) {
                if (!mutated(Mutant::loser_at_large)) call_home(id);
            }
            old_quick_.clear();
            std::swap(old_quick_, new_quick_);
            tick_at_ = kNever;
        }
        const bool some_wait = !old_quick_.empty() || !new_quick_.empty();
        if (some_wait && tick_at_ == kNever) tick_at_ = now + kTick;
    }
    [[nodiscard]] Instant next_deadline() const { return tick_at_; }

    /// One that was called home has come to its end, so long after.
    void ended(Duration after) { time_.add(after); }
    /// From the call to the end.
    [[nodiscard]] const Histogram& time() const { return time_; }

private:
    std::vector<AttemptId> beaten_;
    std::deque<AttemptId> new_quick_, old_quick_;
    Instant tick_at_ = kNever;
    Histogram time_;
};

}  // namespace curfew

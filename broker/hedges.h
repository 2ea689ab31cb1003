// When tasks get their next attempt although the earlier ones have not failed: the hedging policy,
// and its timers. Pure.
//
//     a start -> the timer runs --the delay is over, there is a token--> released: one more attempt is due
//                   ^                 \--no token--> withheld --a token--> released
//                   \-- each further start sets it anew
//
// Memory: an entry for each task in flight, in one of two heaps that are swept.
#pragma once

#include <algorithm>
#include <cstdint>

#include "broker/hedging.h"
#include "broker/ledger.h"
#include "common/tables/timer_heap.h"
#include "common/words/mutant.h"

namespace curfew {

class Hedges {
public:
    Hedges(const Hedging::Config& config, std::uint32_t fanout, Ledger& ledger)
        : policy_(config), fanout_(fanout), ledger_(ledger) {}

    [[nodiscard]] Hedging& policy() { return policy_; }
    [[nodiscard]] const Hedging& policy() const { return policy_; }

    /// An attempt has started, or one that was recalled stays where it is: the time before the next
    /// begins.
    void restart(Instant now, Seq seq, Task& task);

    /// Calls start(seq, task) for each task that now has a hedge due.
    template <typename Start>
    void fire(Instant now, Start&& start) {
        withheld_.fire_while(now, [&](Seq seq, Instant due_at) {
            if (Task* task = wants_hedge(seq, due_at)) return release(seq, *task, start);
            policy_.withheld();
            return true;
        });
        timers_.fire_while(now, [&](Seq seq, Instant due_at) {
            Task* task = mutated(Mutant::hedge_timer_missed) ? nullptr : wants_hedge(seq, due_at);
            if (task == nullptr || release(seq, *task, start) || mutated(Mutant::hedge_not_kept)) return true;
            withheld_.set(due_at, seq);
            return true;
        });
        sweep();
    }
    [[nodiscard]] Instant next_deadline() const {
        return std::min(timers_.next(), policy_.has_token() ? withheld_.next() : kNever);
    }

private:
    [[nodiscard]] Task* wants_hedge(Seq seq, Instant due_at);
    void sweep();

    /// False if there is no budget for it.
    template <typename Start>
    bool release(Seq seq, Task& task, Start&& start) {
        if (!policy_.take_token()) return false;
        task.hedge_at = kNever;
        ++task.released;
        ++task.hedges_due;
        start(seq, task);
        return true;
    }

    Hedging policy_;
    std::uint32_t fanout_;
    Ledger& ledger_;
    TimerHeap timers_;
    TimerHeap withheld_;  // due, and there was no token
};

}  // namespace curfew

// When tasks get their next attempt although the earlier ones have not failed: the hedging policy,
// and its timers. Pure.
//
//     a start -> the timer runs --the delay is over, there is a token--> released: one more attempt is due
//                   ^                 \--no token--> withheld --a token--> released
//                   \-- each further start sets it anew
//
// With `--hedge idle` there is no timer: broker/idle_hedges.h. Memory: an entry for each task in
// flight, in one of two heaps that are swept.
#pragma once

#include <algorithm>
#include <cstdint>

#include "broker/hedging.h"
#include "broker/idle_hedges.h"
#include "broker/ledger.h"
#include "common/tables/timer_heap.h"
#include "common/words/mutant.h"

namespace curfew {

class Hedges {
public:
    Hedges(const Hedging::Config& config, std::uint32_t fanout, Ledger& ledger, Roster& roster)
        : policy_(config), fanout_(fanout), ledger_(ledger), idle_(ledger, roster, fanout) {}

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
    /// An attempt of it has ended, and none takes its place.
    void attempt_ended(Seq seq, const Task& task) {
        if (policy_.idle() && idle_.wants(task)) idle_.note(seq, task);
    }
    /// Calls start(seq, task, worker) for each hedge that may start on a slot that nobody waits
    /// for.
    template <typename Start>
    void fire_idle(Start&& start) {
        if (!policy_.idle()) return;
        idle_.fire([&](Seq seq, Task& task, WorkerSession& worker) {
            ++task.released;
            // One that came back has been counted, and is the same attempt.
            if (!task.came_back() && policy_.take_token()) ++task.hedges_due;
            start(seq, task, worker);
        });
    }
    /// It was called back before it had begun: its slot is wanted for something else, and it is
    /// placed anew when one is free.
    void returned(Task& task, const Attempt& attempt) const {
        if (policy_.idle() && attempt.hedge) --task.released;
    }

    [[nodiscard]] Instant next_deadline() const {
        if (policy_.idle()) return idle_.hopeful() ? Instant::min() : kNever;
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
    IdleHedges idle_;
    TimerHeap timers_;
    TimerHeap withheld_;  // due, and there was no token
};

}  // namespace curfew

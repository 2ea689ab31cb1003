// Deadlines of tasks: when a task is past its own, and when one that is past it is decided whatever
// its workers say. The caller's deadline is kept although work may hang, and a worker may be
// unreachable. Pure.
//
//     in flight --deadline--> expired: its attempts are called home --they end, or force()--> given up
//
// Memory: an entry for each task in flight with a deadline, in heaps that are swept.
#pragma once

#include <algorithm>

#include "broker/collector_link.h"
#include "broker/ledger.h"
#include "broker/roster.h"
#include "common/tables/timer_heap.h"

namespace curfew {

class Expiry {
public:
    Expiry(const Ledger& ledger, const Roster& roster, const CollectorLink& link, Duration heartbeat)
        : ledger_(ledger), roster_(roster), link_(link), heartbeat_(heartbeat) {}

    void set(Instant deadline_at, Seq seq) { deadlines_.set(deadline_at, seq); }
    /// It is past its deadline, and attempts of it have no end: on_forced is called at forced_at()
    /// at the latest.
    void force(Instant now, Seq seq, const Task& task) { forced_.set(forced_at(now, task), seq); }
    void force_at(Instant at, Seq seq) { forced_.set(at, seq); }
    [[nodiscard]] Instant forced_at(Instant now, const Task& task) const;

    template <typename OnDeadline, typename OnForced>
    void fire(Instant now, OnDeadline&& on_deadline, OnForced&& on_forced) {
        deadlines_.fire(now, on_deadline);
        forced_.fire(now, on_forced);
        sweep();
    }
    [[nodiscard]] Instant next_deadline() const { return std::min(deadlines_.next(), forced_.next()); }

private:
    void sweep();

    const Ledger& ledger_;
    const Roster& roster_;
    const CollectorLink& link_;
    const Duration heartbeat_;
    TimerHeap deadlines_;
    TimerHeap forced_;
};

}  // namespace curfew

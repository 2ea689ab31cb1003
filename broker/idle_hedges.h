// The hedges of `--hedge idle`: one more attempt of a task starts where a slot is free and nothing
// waits for one (work-conserving hedging, as in LAEDGE: Primorac, Argyraki, Bugnion, NSDI 2021).
// There is no delay, no budget and no parameter: the load is what bounds them. Pure.
//
//     started --noted--> candidate --a free slot that nobody waits for--> one more starts --noted--> ...
//                            \-- decided, expired, all attempts alive: passed over when it is seen
//
// Those with the fewest attempts alive come first, and of these the oldest. Memory: an entry for
// each task in flight and each number of its attempts, swept when there are twice as many as tasks.
#pragma once

#include <cstddef>
#include <cstdint>
#include <set>
#include <utility>

#include "broker/ledger.h"
#include "broker/roster.h"

namespace curfew {

class IdleHedges {
public:
    IdleHedges(Ledger& ledger, Roster& roster, std::uint32_t fanout)
        : ledger_(ledger), roster_(roster), fanout_(fanout) {}

    /// It may get one more attempt from now on.
    void note(Seq seq, const Task& task) {
        candidates_.emplace(task.alive.size(), seq);
        in_vain_ = 0;
    }
    /// Nothing is due of it, something of it runs, and the fanout allows one more.
    [[nodiscard]] bool wants(const Task& task) const;

    /// Calls start(seq, task, worker) for each hedge that may start now; its credit is taken.
    template <typename Start>
    void fire(Start&& start) {
        if (std::exchange(changes_, roster_.changes()) != roster_.changes()) in_vain_ = 0;
        for (std::size_t vain = 0; vain < kMostVain && unfinished() && roster_.has_idle_slot();) {
            auto at = candidates_.lower_bound(next_);
            if (at == candidates_.end()) at = candidates_.begin();
            const auto [alive, seq] = *at;
            Task* task = ledger_.task(seq);
            if (task == nullptr || task->alive.size() != alive || !wants(*task)) {
                candidates_.erase(at);
                continue;
            }
            WorkerSession* worker = roster_.choose_idle(*task);
            if (worker == nullptr) {
                next_ = {alive, seq + 1};
                ++in_vain_;
                ++vain;
                continue;
            }
            candidates_.erase(at);
            start(seq, *task, *worker);
        }
        sweep();
    }
    /// The last fire() had a bound, and some have not been asked since something changed.
    [[nodiscard]] bool hopeful() const { return unfinished() && roster_.has_idle_slot(); }

private:
    using Candidate = std::pair<std::size_t, Seq>;  // attempts alive when it was noted
    // A turn asks so many for which no slot will do; the rest follow in the next.
    static constexpr std::size_t kMostVain = 64;

    [[nodiscard]] bool unfinished() const { return in_vain_ < candidates_.size(); }
    void sweep();

    Ledger& ledger_;
    Roster& roster_;
    std::uint32_t fanout_;
    std::set<Candidate> candidates_;
    Candidate next_{};           // to be asked
    std::size_t in_vain_ = 0;    // have been asked in vain since one was noted, or `changes_`
    std::uint64_t changes_ = 0;  // of the roster
};

}  // namespace curfew

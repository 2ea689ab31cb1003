// The tasks with attempts due for which there is no worker yet: first those that are tried again or
// came back, then the others, each in their order. A task that finds no worker goes to the end of
// its queue, and is not asked again before another task joins it, or before a worker may take
// something that it could not take before (Roster::changes()). Pure. Memory: an entry for each task
// that waits, and for as many that have ended meanwhile.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <utility>

#include "broker/ledger.h"
#include "broker/roster.h"

namespace curfew {

class Waiting {
public:
    Waiting(Ledger& ledger, const Roster& roster) : ledger_(ledger), roster_(roster) {}

    void wait(Seq seq, Task& task) { others_.push(seq, task.waiting); }
    /// What is tried again goes before all that waits.
    void try_again(Seq seq, Task& task) { again_.push(seq, task.again); }

    /// Calls start(seq, task) for those that may find a worker now; false says that one has not.
    template <typename Start>
    void start_again(Start&& start) {
        start_from(again_, &Task::again, start);
    }
    template <typename Start>
    void start_others(Start&& start) {
        start_from(others_, &Task::waiting, start);
    }

    /// Some of them may find a worker: do not sleep.
    [[nodiscard]] bool hopeful() const { return hopeful(again_) || hopeful(others_); }

private:
    /// A turn has a bound on how many it asks in vain; the rest follow in the next.
    static constexpr std::size_t kMostVain = 64;

    struct Queue {
        std::deque<Seq> seqs;
        std::size_t fruitless = 0;  // at its back: they have found no worker since `changes`
        std::uint64_t changes = 0;  // of the roster

        void push(Seq seq, bool& stands_here) {
            if (std::exchange(stands_here, true)) return;
            fruitless = 0;
            seqs.push_back(seq);
        }
    };

    [[nodiscard]] bool hopeful(const Queue& queue) const {
        return queue.changes != roster_.changes() ? !queue.seqs.empty() : queue.fruitless < queue.seqs.size();
    }

    template <typename Start>
    void start_from(Queue& queue, bool Task::*stands_here, Start&& start) {
        for (std::size_t vain = 0; vain < kMostVain && hopeful(queue) && roster_.has_credit();) {
            if (std::exchange(queue.changes, roster_.changes()) != roster_.changes()) queue.fruitless = 0;
            const Seq seq = queue.seqs.front();
            queue.seqs.pop_front();
            Task* task = ledger_.task(seq);
            if (task == nullptr) continue;
            task->*stands_here = false;
            if (start(seq, *task)) continue;
            task->*stands_here = true;
            queue.seqs.push_back(seq);
            ++queue.fruitless;
            ++vain;
        }
        if (queue.seqs.size() > 2 * ledger_.tasks_in_flight() + 64) {
            std::erase_if(queue.seqs, [&](Seq seq) { return ledger_.task(seq) == nullptr; });
            queue.fruitless = 0;
        }
    }

    Ledger& ledger_;
    const Roster& roster_;
    Queue again_, others_;
};

}  // namespace curfew

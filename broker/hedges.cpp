#include "broker/hedges.h"

#include <utility>

namespace curfew {

void Hedges::restart(Instant now, Seq seq, Task& task) {
    if (policy_.race() || task.alone() || task.alive.size() >= fanout_) return;
    if (policy_.idle()) {
        if (!mutated(Mutant::idle_hedge_missed)) idle_.note(seq, task);
        return;
    }
    const Instant hedge_at = now + policy_.delay();
    // Once for two of a turn
    if (std::exchange(task.hedge_at, hedge_at) != hedge_at) timers_.set(hedge_at, seq);
}

/// The task, if it still wants the hedge that was due then: it runs, and no attempt has started
/// since. Else null, and it has no hedge any more.
Task* Hedges::wants_hedge(Seq seq, Instant due_at) {
    Task* task = ledger_.task(seq);
    if (task == nullptr || task->hedge_at != due_at) return nullptr;
    const auto alive = static_cast<std::uint32_t>(task->alive.size());
    // Where all that is alive comes back, none of it runs: the time before the hedge begins when
    // one does.
    const bool runs = std::ranges::any_of(task->alive, [&](AttemptId id) { return !ledger_.attempt(id)->recalled; });
    const bool room = runs && alive + (task->released - task->started) < fanout_;
    if (room && task->state == TaskState::open && !task->expired) return task;
    task->hedge_at = kNever;
    return nullptr;
}

void Hedges::sweep() {
    withheld_.sweep([&](Seq seq, Instant due_at) {
        if (wants_hedge(seq, due_at) != nullptr) return true;
        policy_.withheld();
        return false;
    });
    timers_.sweep([&](Seq seq, Instant at) {
        const Task* task = ledger_.task(seq);
        return task != nullptr && task->hedge_at == at;
    });
}

}  // namespace curfew

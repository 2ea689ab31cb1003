#include "broker/idle_hedges.h"

#include <algorithm>

namespace curfew {

bool IdleHedges::wants(const Task& task) const {
    if (task.state != TaskState::open || task.expired || task.cancelled || task.alone()) return false;
    if (task.released != task.started || task.alive.size() >= fanout_) return false;
    return std::ranges::any_of(task.alive, [&](AttemptId id) { return !ledger_.attempt(id)->recalled; });
}

void IdleHedges::sweep() {
    if (candidates_.size() <= 2 * ledger_.tasks_in_flight() + 64) return;
    std::erase_if(candidates_, [&](const Candidate& candidate) {
        const Task* task = ledger_.task(candidate.second);
        return task == nullptr || task->alive.size() != candidate.first || !wants(*task);
    });
    in_vain_ = 0;
}

}  // namespace curfew

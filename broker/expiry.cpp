#include "broker/expiry.h"

#include "common/words/limits.h"

namespace curfew {

/// By then the work of its attempts is over, has been killed, or nobody will say any more: what the
/// workers have said that it may take, and one lease. While no synced collector is heard nothing
/// can be decided, and what was finished may not have come: the time begins anew.
Instant Expiry::forced_at(Instant now, const Task& task) const {
    if (!link_.is_synced() || link_.is_silent(now)) return now + heartbeat_;
    Duration patience{};
    for (const AttemptId id : task.alive) {
        const WorkerSession* worker = roster_.find(id.session);
        if (worker != nullptr) patience = std::max(patience, worker->patience);
    }
    return std::max(task.deadline_at, link_.heard_since()) + patience + limits::kAloneAfter * heartbeat_;
}

void Expiry::sweep() {
    forced_.sweep([&](Seq seq, Instant) { return ledger_.task(seq) != nullptr; });
    deadlines_.sweep([&](Seq seq, Instant) {
        const Task* task = ledger_.task(seq);
        return task != nullptr && !task->expired;
    });
}

}  // namespace curfew

// The `exec` handler's part for supervisors that have died: what they took with them, and what they
// left. See exec.h for the drawing.
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "worker/handlers/exec.h"
#include "worker/handlers/exec_end.h"
#include "worker/handlers/exec_spawn.h"
#include "worker/supervisor/process_tree.h"

namespace curfew {
/// Its link closes before a dying process hands over its children: only when it can be reaped are
/// its orphans ours. One that a debugger holds cannot be reaped before that lets go; if the
/// debugger is an orphan itself, it is killed as one.
void ExecHandler::reap_supervisors() {
    for (SlotEntry& entry : slots_) {
        if (entry.state != State::dying) continue;
        Death death = reap(entry.supervisor);
        if (death == Death::none && state_of(entry.supervisor) == 'Z') death = Death::other;
        if (death == Death::none) continue;
        orphans_ = orphans_ || death == Death::other;
        entry.supervisor = 0;
        entry.death.reset();
        entry.standstill.idle();
        entry.state = State::clearing;
        pass_at_ = Instant{};
        pause_ = kFirstPause;
    }
}

/// Work that was to stop by now has been stopped, in whichever way.
WorkEnd ExecHandler::end_without_supervisor(Instant now, Slot slot) {
    const SlotEntry& entry = slots_[slot];
    if (entry.stop_asked || now >= entry.deadline_at) {
        return {.slot = slot, .finish = Finish::stopped, .result = {}, .error = {}};
    }
    return failed(slot, entry.killed ? "its supervisor was stopped (SIGSTOP, a debugger) and did not go on, so both "
                                       "were killed"
                                     : "its supervisor died");
}

void ExecHandler::bury(Instant now, std::vector<WorkEnd>& ends) {
    if (!any(State::clearing) || now < pass_at_) return;
    if (orphans_ && !clear_orphans()) {
        pass_at_ = now + pause_;
        pause_ = std::min(2 * pause_, kLongestPause);
        return;
    }
    orphans_ = false;
    for (Slot slot = 0; slot < slots_.size(); ++slot) {
        SlotEntry& entry = slots_[slot];
        if (entry.state != State::clearing) continue;
        if (std::exchange(entry.running, false)) ends.push_back(end_without_supervisor(now, slot));
        back_off(now, entry);
    }
}

/// Kills what dead supervisors have left to us, and reaps what is dead of it. True: there is
/// nothing of it.
bool ExecHandler::clear_orphans() {
    const std::vector<pid_t> spared = supervisors();
    kill_descendants(spared);
    for (const Process& process : descendants(spared)) {
        if (process.parent == ::getpid()) (void)reap(process.pid);
    }
    return descendants(spared).empty();
}

}  // namespace curfew

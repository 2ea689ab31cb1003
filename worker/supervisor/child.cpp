#include "worker/supervisor/child.h"

#include <signal.h>
#include <sys/wait.h>

#include <algorithm>
#include <cerrno>

#include "common/process/clock.h"
#include "worker/supervisor/process_tree.h"

namespace curfew {
namespace {

using namespace std::chrono_literals;

constexpr Duration kFirstPause = 1ms;
constexpr Duration kLongestPause = 1s;

}  // namespace

void Child::stop(Instant now) {
    if (phase_ != Phase::running) return;
    phase_ = Phase::stopping;
    kill_at_ = now + grace_;
    terminate_descendants(kill_at_);
}

void Child::kill(Instant now) {
    if (phase_ != Phase::running && phase_ != Phase::stopping) return;
    phase_ = Phase::killing;
    pass_at_ = now;
    pause_ = kFirstPause;
    // One stroke for all that stayed in the group, which no fork escapes. Not when its leader is
    // reaped: the number of the group may be somebody else's then.
    if (!reaped_) ::kill(-pid_, SIGKILL);
}

void Child::fire_timers(Instant now) {
    if (phase_ == Phase::stopping && now >= kill_at_) kill(now);
    if (phase_ != Phase::killing || now < pass_at_) return;
    const bool grew = kill_descendants();
    pass_at_ = Clock::now() + pause_;
    // What the kernel will not let die is asked again ever less often: its end is a signal, not a
    // matter of asking.
    pause_ = grew ? kFirstPause : std::min(2 * pause_, kLongestPause);
}

bool Child::reap(Instant now) {
    for (;;) {
        siginfo_t info{};
        if (::waitid(P_ALL, 0, &info, WEXITED | WNOHANG | __WALL) < 0) {
            if (errno == EINTR) continue;
            return exists();
        }
        if (info.si_pid == 0) break;
        if (info.si_pid != pid_) continue;
        reaped_ = true;
        (info.si_code == CLD_EXITED ? exit_code_ : signal_) = info.si_status;
    }
    if (reaped_) kill(now);
    return false;
}

Instant Child::next_deadline() const {
    switch (phase_) {
        case Phase::none:
        case Phase::running: return kNever;
        case Phase::stopping: return kill_at_;
        case Phase::killing: return pass_at_;
    }
    return kNever;
}

}  // namespace curfew

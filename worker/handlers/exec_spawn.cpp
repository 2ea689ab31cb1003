#include "worker/handlers/exec_spawn.h"

#include <signal.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

namespace curfew {

int spawn(const ExecOptions& options, const RunSetup& setup, const HandedOn& handed_on, SpawnedSupervisor& spawned) {
    int ends[2];
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) != 0) return errno;
    OwnedDescriptor ours(ends[0]);
    const OwnedDescriptor theirs(ends[1]);
    pid_t pid = 0;
    const int failed = start_supervisor_process({.path = options.supervisor_path,
                                                 .grace = options.grace,
                                                 .max_output = options.max_output,
                                                 .setup = setup,
                                                 .handed_on = handed_on.descriptors,
                                                 .environment = options.environment},
                                                options.command, theirs, pid);
    if (failed != 0) return failed;
    spawned.death.reset(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
    if (!spawned.death) {
        const int error = errno;
        ::kill(pid, SIGKILL);  // it has no work yet, so nothing keeps it from dying at once
        ::waitid(P_PID, static_cast<id_t>(pid), nullptr, WEXITED);
        return error;
    }
    spawned.pid = pid;
    spawned.link = std::move(ours);
    return 0;
}

Death reap(pid_t child) {
    siginfo_t info{};
    if (::waitid(P_PID, static_cast<id_t>(child), &info, WEXITED | WNOHANG) < 0) {
        return errno == ECHILD ? Death::other : Death::none;
    }
    if (info.si_pid != child) return Death::none;
    return info.si_code == CLD_EXITED && info.si_status == 0 ? Death::clean : Death::other;
}

}  // namespace curfew

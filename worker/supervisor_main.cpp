// curfew-supervisor: runs the command of one slot for a curfew-worker, which starts it with a link on descriptor 3.
//
// A process of its own, so that the work's deadline holds while the worker stands still, and so that the work ends when
// the worker does. It is a subreaper: whatever its work forks stays under it. In its own session, all signals blocked,
// it is ended by neither a terminal nor a kill of the worker's process group, but by the link, when that closes.
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <charconv>
#include <cstdio>
#include <cstring>
#include <optional>

#include "worker/supervisor.h"

namespace {

using curfew::OwnedDescriptor;

constexpr int kUsage = 64;
constexpr int kOsError = 71;
constexpr int kFirstOfCommand = 4;

std::optional<std::int64_t> number(const char* text) {
    std::int64_t value = 0;
    const char* end = text + std::strlen(text);
    const auto [stop, error] = std::from_chars(text, end, value);
    if (error != std::errc() || stop != end || value < 0) return std::nullopt;
    return value;
}

std::optional<curfew::SupervisorOptions> parse(int argc, char** argv) {
    if (argc <= kFirstOfCommand || number(argv[1]) != curfew::kLinkVersion) return std::nullopt;
    const auto grace_us = number(argv[2]);
    const auto max_output = number(argv[3]);
    if (!grace_us || !max_output) return std::nullopt;
    return curfew::SupervisorOptions{.grace = std::chrono::microseconds(*grace_us),
                                     .max_output = static_cast<std::size_t>(*max_output),
                                     .command = {argv + kFirstOfCommand, argv + argc}};
}

/// What a started command inherits of us is to be as if we were not there: no descriptor of the worker's, no signal
/// ignored. Our own signals are all blocked; the one that matters comes through the descriptor that is returned.
OwnedDescriptor prepare_process() {
    ::setsid();
    // A stopped process does not see that its link has closed: when the worker dies, this one goes on, to kill the
    // work.
    ::prctl(PR_SET_PDEATHSIG, SIGCONT);
    if (::prctl(PR_SET_CHILD_SUBREAPER, 1) != 0) return OwnedDescriptor();
    ::fcntl(curfew::kLinkDescriptor, F_SETFD, FD_CLOEXEC);
    ::syscall(SYS_close_range, curfew::kLinkDescriptor + 1, ~0U, 0);
    sigset_t all;
    ::sigfillset(&all);
    ::sigprocmask(SIG_SETMASK, &all, nullptr);
    for (int signal = 1; signal < NSIG; ++signal) ::signal(signal, SIG_DFL);
    sigset_t children;
    ::sigemptyset(&children);
    ::sigaddset(&children, SIGCHLD);
    return OwnedDescriptor(::signalfd(-1, &children, SFD_CLOEXEC | SFD_NONBLOCK));
}

}  // namespace

int main(int argc, char** argv) {
    auto options = parse(argc, argv);
    struct stat link {};
    if (!options || ::fstat(curfew::kLinkDescriptor, &link) != 0 || !S_ISSOCK(link.st_mode)) {
        std::fputs("curfew-supervisor: this is a part of curfew-worker, which starts it (--handler exec)\n", stderr);
        return kUsage;
    }
    OwnedDescriptor child_signals = prepare_process();
    if (!child_signals) {
        std::perror("curfew-supervisor");
        return kOsError;
    }
    curfew::Supervisor(OwnedDescriptor(curfew::kLinkDescriptor), std::move(child_signals), std::move(*options)).run();
    return 0;
}

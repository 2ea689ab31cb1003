// curfew-supervisor: runs the command of one slot for a curfew-worker, which starts it with a link
// on descriptor 3.
//
// A process of its own, so that the work's deadline holds while the worker stands still, and so
// that the work ends when the worker does. It is a subreaper: whatever its work forks stays under
// it. In its own session, all signals blocked, it is ended by neither a terminal nor a kill of the
// worker's process group, but by the link, when that closes.
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <optional>
#include <string_view>
#include <vector>

#include "worker/supervisor/coprocess.h"
#include "worker/supervisor/supervisor.h"

namespace {

using curfew::OwnedDescriptor;

constexpr int kUsage = 64;
constexpr int kOsError = 71;
constexpr int kFirstOfCommand = 10;

std::optional<std::uint64_t> number(std::string_view text) {
    std::uint64_t value = 0;
    const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || stop != text.data() + text.size()) return std::nullopt;
    return value;
}

/// By commas; nothing is none.
std::optional<std::vector<int>> numbers(std::string_view text) {
    std::vector<int> found;
    while (!text.empty()) {
        const std::size_t end = std::min(text.find(','), text.size());
        const auto value = number(text.substr(0, end));
        if (!value) return std::nullopt;
        found.push_back(static_cast<int>(*value));
        text.remove_prefix(std::min(end + 1, text.size()));
    }
    return found;
}

std::optional<curfew::RunSetup> parse_setup(char** argv) {
    const auto descriptors = number(argv[2]);
    const auto handed_on = numbers(argv[3]);
    const std::string_view framing = argv[4];
    const auto recycle = number(argv[5]);
    if (*argv[1] == '\0' || !descriptors || !handed_on || !recycle) return std::nullopt;
    const bool line = std::string_view(argv[0]) == "line";
    return curfew::RunSetup{.stdin_form = line ? curfew::StdinForm::line : curfew::StdinForm::exact,
                            .placeholder = argv[1],
                            .descriptors = *descriptors,
                            .handed_on = *handed_on,
                            .framing = framing == "line"        ? curfew::Framing::line
                                       : framing == "netstring" ? curfew::Framing::netstring
                                                                : curfew::Framing::none,
                            .recycle = *recycle};
}

std::optional<curfew::SupervisorOptions> parse(int argc, char** argv) {
    if (argc <= kFirstOfCommand || number(argv[1]) != curfew::kLinkVersion) return std::nullopt;
    const auto grace_us = number(argv[2]);
    const auto max_output = number(argv[3]);
    auto setup = parse_setup(argv + 4);
    if (!grace_us || !max_output || !setup) return std::nullopt;
    return curfew::SupervisorOptions{.grace = std::chrono::microseconds(*grace_us),
                                     .max_output = static_cast<std::size_t>(*max_output),
                                     .setup = std::move(*setup),
                                     .handed_on = {},
                                     .command = {argv + kFirstOfCommand, argv + argc}};
}

/// What a started command inherits of us is to be as if we were not there: no descriptor of the
/// worker's, no signal ignored. Our own signals are all blocked; the one that matters comes through
/// the descriptor that is returned.
OwnedDescriptor prepare_process(std::size_t handed_on) {
    ::setsid();
    // A stopped process does not see that its link has closed: when the worker dies, this one goes
    // on, to kill the work.
    ::prctl(PR_SET_PDEATHSIG, SIGCONT);
    if (::prctl(PR_SET_CHILD_SUBREAPER, 1) != 0) return OwnedDescriptor();
    const int last = curfew::kLinkDescriptor + static_cast<int>(handed_on);
    for (int descriptor = curfew::kLinkDescriptor; descriptor <= last; ++descriptor)
        ::fcntl(descriptor, F_SETFD, FD_CLOEXEC);
    ::syscall(SYS_close_range, last + 1, ~0U, 0);
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
    const std::size_t handed_on = options->setup.handed_on.size();
    OwnedDescriptor child_signals = prepare_process(handed_on);
    if (!child_signals) {
        std::perror("curfew-supervisor");
        return kOsError;
    }
    for (std::size_t i = 0; i < handed_on; ++i)
        options->handed_on.emplace_back(curfew::kLinkDescriptor + 1 + static_cast<int>(i));
    const bool stays = options->setup.framing != curfew::Framing::none;
    OwnedDescriptor own_link(curfew::kLinkDescriptor);
    if (stays) {
        curfew::Coprocess(std::move(own_link), std::move(child_signals), std::move(*options)).run();
    } else {
        curfew::Supervisor(std::move(own_link), std::move(child_signals), std::move(*options)).run();
    }
    return 0;
}

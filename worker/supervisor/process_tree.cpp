// Processes: starting one, finding its descendants in /proc, signalling them without hitting a
// stranger.
#include "worker/supervisor/process_tree.h"

#include <dirent.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <optional>
#include <string_view>
#include <unordered_map>
#include <unordered_set>

#include "common/process/clock.h"
#include "worker/supervisor/link.h"
#include "worker/supervisor/program_file.h"

namespace curfew {
namespace {

/// Passes of one call: a tree that still grows after so many is left to the next call.
constexpr int kPasses = 8;

struct CloseDirectory {
    void operator()(DIR* directory) const { ::closedir(directory); }
};
using Directory = std::unique_ptr<DIR, CloseDirectory>;

std::optional<pid_t> as_pid(std::string_view text) {
    pid_t pid = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), pid);
    if (error != std::errc() || end != text.data() + text.size() || pid <= 0) return std::nullopt;
    return pid;
}

/// The numeric entries of a directory in /proc.
std::vector<pid_t> numbers_in(const char* path) {
    std::vector<pid_t> numbers;
    const Directory directory(::opendir(path));
    if (!directory) return numbers;
    while (const dirent* entry = ::readdir(directory.get())) {
        if (const auto pid = as_pid(entry->d_name)) numbers.push_back(*pid);
    }
    return numbers;
}

std::optional<std::string> contents(const std::string& path) {
    const OwnedDescriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!file) return std::nullopt;
    std::string text;
    std::array<char, 4096> chunk;
    for (;;) {
        const ssize_t n = ::read(file.get(), chunk.data(), chunk.size());
        if (n <= 0) return n == 0 ? std::optional(std::move(text)) : std::nullopt;
        text.append(chunk.data(), static_cast<std::size_t>(n));
    }
}

/// The fields of its stat from the third on; empty if the process is gone. The name in the second
/// may hold anything, so counting starts behind its last ')'.
std::string stat_of(pid_t pid) {
    const auto stat = contents("/proc/" + std::to_string(pid) + "/stat");
    const std::size_t name_end = stat ? stat->rfind(") ") : std::string::npos;
    return name_end == std::string::npos ? std::string() : stat->substr(name_end + 2);
}

/// 0 if the process is gone.
pid_t parent_of(pid_t pid) {
    const std::string stat = stat_of(pid);
    if (stat.size() < 3) return 0;
    const std::size_t begin = 2;  // behind "S "
    return as_pid(std::string_view(stat).substr(begin, stat.find(' ', begin) - begin)).value_or(0);
}

bool contains(std::span<const pid_t> pids, pid_t pid) {
    return std::find(pids.begin(), pids.end(), pid) != pids.end();
}

/// A child of ours keeps its number until we reap it. That of a deeper process may by now be a
/// stranger's: so it is pinned first, and then asked again whose child it is. One that has just
/// been adopted by somebody else waits for the next pass.
void send(const Process& process, int signal) {
    const pid_t self = ::getpid();
    if (process.parent == self) {
        ::kill(process.pid, signal);
        return;
    }
    const OwnedDescriptor pinned(static_cast<int>(::syscall(SYS_pidfd_open, process.pid, 0)));
    if (!pinned) return;
    const pid_t parent = parent_of(process.pid);
    if (parent == process.parent || parent == self) ::syscall(SYS_pidfd_send_signal, pinned.get(), signal, nullptr, 0);
}

/// The descendants that were not there, or not seen, in an earlier pass.
std::vector<Process> unseen_descendants(std::span<const pid_t> spared, std::unordered_set<pid_t>& seen) {
    std::vector<Process> found = descendants(spared);
    std::erase_if(found, [&](const Process& process) { return !seen.insert(process.pid).second; });
    return found;
}

bool try_next_path(int error) {
    return error == ENOENT || error == ENOTDIR || error == EACCES || error == ESTALE || error == ENODEV ||
           error == ETIMEDOUT;
}

/// What the child of a launch reads, and writes for its parent to see: they share their memory
/// until the exec.
struct Handover {
    const Launch& what;
    pid_t parent;
    int error = 0;  ///< 0: it runs
    std::size_t path = 0;
};

/// Returns errno.
int exec_file(const Launch& what, const char* path) {
    ::execve(path, what.argv, what.envp);
    if (errno != ENOEXEC || what.shell_argv == nullptr) return errno;
    if (!may_be_a_script(path)) return ENOEXEC;
    what.shell_argv[1] = const_cast<char*>(path);
    ::execve(what.shell_argv[0], what.shell_argv, what.envp);
    return errno;
}

void limit_descriptors(rlim_t soft) {
    rlimit limit{};
    if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
    limit.rlim_cur = std::min(soft, limit.rlim_max);
    ::setrlimit(RLIMIT_NOFILE, &limit);
}

/// Tries every path as execvp() does. EACCES is remembered, as it says more than the ENOENT of the
/// last path. The parent takes an error for a failure, so it is written when all have failed.
void exec_any(Handover& handover) {
    const Launch& what = handover.what;
    bool denied = false;
    int error = ENOENT;
    for (std::size_t i = 0; i <= what.paths.size(); ++i) {
        const std::size_t path = i == 0 ? what.first : i - 1;
        if (path >= what.paths.size() || (i > 0 && path == what.first)) continue;
        handover.path = path;
        error = exec_file(what, what.paths[path].c_str());
        denied = denied || error == EACCES;
        if (!try_next_path(error)) break;
    }
    handover.error = denied && try_next_path(error) ? EACCES : error;
}

/// The child's side, on a stack of its own: it calls the kernel and no more.
int become(void* argument) {
    Handover& handover = *static_cast<Handover*>(argument);
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != handover.parent) return 127;  // the one to die with has died already
    ::setpgid(0, 0);
    ::dup2(handover.what.in, STDIN_FILENO);
    ::dup2(handover.what.out, STDOUT_FILENO);
    ::dup2(handover.what.err, STDERR_FILENO);
    for (const DescriptorPlace& place : handover.what.handed_on) ::dup2(place.from, place.number);
    limit_descriptors(handover.what.descriptors);
    sigset_t none;
    ::sigemptyset(&none);
    ::sigprocmask(SIG_SETMASK, &none, nullptr);
    exec_any(handover);
    return 127;
}

}  // namespace

std::vector<std::string> paths_of(const std::string& command) {
    if (command.empty()) return {};
    if (command.find('/') != std::string::npos) return {command};
    const char* variable = std::getenv("PATH");
    std::string_view rest = variable != nullptr ? variable : "/bin:/usr/bin";
    std::vector<std::string> paths;
    for (;;) {
        const std::size_t colon = rest.find(':');
        const std::string_view folder = rest.substr(0, colon);
        const std::string path = folder.empty() ? "./" + command : std::string(folder) + "/" + command;
        // A folder that is closed to us says "permission denied" for a command that is nowhere.
        const std::string in = path.substr(0, path.size() - command.size());
        if (::faccessat(AT_FDCWD, in.c_str(), X_OK, AT_EACCESS) == 0 || errno != EACCES) paths.push_back(path);
        if (colon == std::string_view::npos) return paths;
        rest.remove_prefix(colon + 1);
    }
}

/// As vfork(): nothing is copied, and we stand still until the child has called exec or has ended.
/// But a function of its own on its own stack, which leaves the compiler no room to misread who
/// writes what.
Launched launch(const Launch& what) {
    alignas(64) static std::array<char, 64 * 1024> stack;
    Handover handover{.what = what, .parent = ::getpid()};
    const pid_t pid = ::clone(become, stack.data() + stack.size(), CLONE_VM | CLONE_VFORK | SIGCHLD, &handover);
    if (pid < 0) return {.error = errno};
    return {.pid = pid, .error = handover.error, .path = handover.path};
}

char state_of(pid_t pid) {
    const std::string stat = stat_of(pid);
    return stat.empty() ? '\0' : stat.front();
}

std::vector<pid_t> children_of(pid_t pid, bool& complete) {
    std::vector<pid_t> children;
    const std::string tasks = "/proc/" + std::to_string(pid) + "/task";
    for (const pid_t task : numbers_in(tasks.c_str())) {
        const auto list = contents(tasks + "/" + std::to_string(task) + "/children");
        if (!list) {
            // Gone meanwhile, or is it that this kernel has no such file?
            if (::access((tasks + "/" + std::to_string(task)).c_str(), F_OK) == 0) complete = false;
            continue;
        }
        std::string_view rest = *list;
        while (!rest.empty()) {
            const std::size_t space = std::min(rest.find(' '), rest.size());
            if (const auto child = as_pid(rest.substr(0, space))) children.push_back(*child);
            rest.remove_prefix(std::min(space + 1, rest.size()));
        }
    }
    return children;
}

std::vector<Process> descendants(std::span<const pid_t> spared) {
    bool complete = true;
    std::vector<Process> found;
    std::unordered_set<pid_t> known;
    pid_t parent = ::getpid();
    for (std::size_t at = 0;; ++at) {
        for (const pid_t child : children_of(parent, complete)) {
            if (!contains(spared, child) && known.insert(child).second) found.push_back({child, parent});
        }
        if (!complete) return descendants_by_scan(spared);
        if (at == found.size()) return found;
        parent = found[at].pid;
    }
}

std::vector<Process> descendants_by_scan(std::span<const pid_t> spared) {
    std::unordered_map<pid_t, std::vector<pid_t>> children;
    for (const pid_t pid : numbers_in("/proc")) children[parent_of(pid)].push_back(pid);
    std::vector<Process> found;
    pid_t parent = ::getpid();
    for (std::size_t at = 0;; ++at) {
        // Each list is taken out of the map: so this ends, whatever circle a reused number may have
        // drawn.
        for (const pid_t child : std::exchange(children[parent], {})) {
            if (!contains(spared, child)) found.push_back({child, parent});
        }
        if (at == found.size()) return found;
        parent = found[at].pid;
    }
}

void terminate_descendants(Instant kill_at) {
    std::unordered_set<pid_t> seen;
    for (int pass = 0; pass < kPasses; ++pass) {
        const std::vector<Process> fresh = unseen_descendants({}, seen);
        if (fresh.empty()) return;
        for (const Process& process : fresh) {
            if (Clock::now() >= kill_at) return;
            send(process, SIGTERM);
            send(process, SIGCONT);
        }
    }
}

bool kill_descendants(std::span<const pid_t> spared) {
    std::unordered_set<pid_t> seen;
    for (const Process& process : unseen_descendants(spared, seen)) send(process, SIGKILL);
    // What appears now was forked meanwhile. It is stopped first: dead processes make room for
    // more, stopped ones do not.
    std::vector<Process> stopped;
    for (int pass = 1; pass < kPasses; ++pass) {
        const std::vector<Process> fresh = unseen_descendants(spared, seen);
        if (fresh.empty()) break;
        for (const Process& process : fresh) send(process, SIGSTOP);
        stopped.insert(stopped.end(), fresh.begin(), fresh.end());
    }
    for (const Process& process : stopped) send(process, SIGKILL);
    return !stopped.empty();
}

}  // namespace curfew

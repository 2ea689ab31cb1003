// Starting a program, and finding and signalling everything that comes of it: what a supervisor
// needs of the kernel, and what its worker needs when a supervisor has died.
//
// Free functions, no state, for a single thread of a process that is a child subreaper: then
// whatever descends from it stays under it, also after setsid() and double forks. Nothing here
// waits for children, and nothing fails: what cannot be found or signalled now is left to the
// caller's next pass, and only "no children left" from the kernel is the truth.
#pragma once

#include <sys/resource.h>
#include <sys/types.h>

#include <span>
#include <string>
#include <vector>

#include "common/words/vocabulary.h"

namespace curfew {

/// The paths execvp() would try for `command`, in that order, less those in folders that are closed
/// to us.
[[nodiscard]] std::vector<std::string> paths_of(const std::string& command);

/// A descriptor that a program inherits, and the number that it has there; `from` is above all
/// numbers.
struct DescriptorPlace {
    int from = -1;
    int number = -1;
};

/// All that a program is started with, laid out beforehand: between fork and exec nothing may be
/// allocated.
struct Launch {
    std::span<const std::string> paths;
    /// Which of them to try before all the others: the one that ran last time.
    std::size_t first = 0;
    char* const* argv = nullptr;
    /// The same for a file that the kernel does not know: "/bin/sh", room for the path, then the
    /// arguments.
    char** shell_argv = nullptr;
    char* const* envp = nullptr;
    int in = -1;
    int out = -1;
    int err = -1;
    std::span<const DescriptorPlace> handed_on;
    rlim_t descriptors = RLIM_INFINITY;  ///< soft limit, as far as the hard one allows
};

struct Launched {
    /// 0: not even the fork succeeded; else a child to be reaped, whether it runs or not.
    pid_t pid = 0;
    int error = 0;         ///< errno of what failed; 0: it runs
    std::size_t path = 0;  ///< which path it was
};

/// Starts a program in its own process group, to be killed when this thread dies, no signal
/// blocked. The dispositions of this process must be the default ones, its descriptors
/// close-on-exec, and all its signals blocked. A file that the kernel does not know, neither a
/// binary nor one that begins with #!, is run by /bin/sh, as execvp() does.
[[nodiscard]] Launched launch(const Launch& what);

struct Process {
    pid_t pid = 0;
    pid_t parent = 0;
};

/// What the third field of its stat says: R, S, D, T (stopped), t (by a debugger), Z (dead, not
/// reaped); 0: gone.
[[nodiscard]] char state_of(pid_t pid);

/// The children of a process, zombies too. `complete` turns false if the kernel does not tell.
[[nodiscard]] std::vector<pid_t> children_of(pid_t pid, bool& complete);

/// Every descendant of this process, parents before their children, without `spared` and what is
/// under those.
[[nodiscard]] std::vector<Process> descendants(std::span<const pid_t> spared = {});
/// The same by reading the parent of every process there is: for kernels that do not list children.
[[nodiscard]] std::vector<Process> descendants_by_scan(std::span<const pid_t> spared = {});

/// SIGTERM to every descendant, and SIGCONT, since what is stopped cannot obey. Breaks off when
/// they are to be killed: a tree of a thousand busy processes can take longer to ask than the grace
/// it is given.
void terminate_descendants(Instant kill_at);

/// SIGKILL to every descendant that is not under `spared`. True: the tree grew meanwhile, look
/// again soon.
bool kill_descendants(std::span<const pid_t> spared = {});

}  // namespace curfew

// The exit codes of broker, worker and collector, which launch shares
// (scripts/launch_lib/exits.py). The table with those of all programs is in docs/architecture.md.
#pragma once

#include <cerrno>

namespace curfew {

enum ExitCode : int {
    kExitOk = 0,
    kExitIncomplete = 1,  ///< some task did not complete
    /// Wrong flags, config, endpoints; a run directory or an endpoint in use.
    kExitUsage = 64,
    kExitWornOut = 69,      ///< a worker whose work ignores its stop: start it again
    kExitUnavailable = 69,  ///< a server that is not there, or lacks what was named
    kExitImbalance = 70,    ///< the books do not balance
    kExitIo = 74,           ///< a source or a sink failed, a disk is full, descriptors are used up
    /// Messages were left without an outcome, or the source was not at its end; or it was stopped
    /// before it was ready.
    kExitLeftBehind = 75,
};

/// Of what the system says of a place that somebody has chosen, such as the run directory: that it
/// cannot be there is wrong usage (0 too: the system was not asked), but a full or broken disk, or
/// no descriptors, are not.
[[nodiscard]] constexpr int exit_code_of(int error) {
    switch (error) {
        case ENOSPC:
        case EDQUOT:
        case EIO:
        case EMFILE:
        case ENFILE:
        case ENOMEM: return kExitIo;
        default: return kExitUsage;
    }
}

}  // namespace curfew

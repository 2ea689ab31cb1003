// The exit codes of broker, worker and collector, which launch shares (scripts/launch_lib/exits.py). The table with
// those of all programs is in docs/architecture.md.
#pragma once

namespace curfew {

enum ExitCode : int {
    kExitOk = 0,
    kExitIncomplete = 1,   ///< some task did not complete
    kExitUsage = 64,       ///< wrong flags, config, endpoints; a run directory or an endpoint in use
    kExitWornOut = 69,     ///< a worker whose work ignores its stop: start it again
    kExitImbalance = 70,   ///< the books do not balance
    kExitIo = 74,          ///< a source or a sink failed
    kExitLeftBehind = 75,  ///< messages were left without an outcome, or the source was not at its end
};

}  // namespace curfew

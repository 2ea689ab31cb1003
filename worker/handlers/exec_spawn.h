// Starting and reaping the supervisors of the exec handler. Free functions, for its thread.
#pragma once

#include <sys/types.h>

#include <cstdint>

#include "worker/handlers/exec.h"
#include "worker/supervisor/handed_on.h"
#include "worker/supervisor/link.h"

namespace curfew {

struct SpawnedSupervisor {
    pid_t pid = 0;
    OwnedDescriptor death;  ///< pidfd of it: readable when it is dead
    OwnedDescriptor link;   ///< our end
};

/// Returns errno; 0: it runs.
[[nodiscard]] int spawn(const ExecOptions& options, const RunSetup& setup, const HandedOn& handed_on,
                        SpawnedSupervisor& spawned);

enum class Death : std::uint8_t { none, clean, other };

/// Reaps a child, if it is dead.
[[nodiscard]] Death reap(pid_t child);

}  // namespace curfew

// What the monitor does for each of its commands: asks, and prints. One thread, its caller's.
#pragma once

#include "monitor/options.h"

namespace curfew {

/// Runs the command that check() has let pass. Returns the exit code; throws std::exception.
[[nodiscard]] int run_command(const MonitorOptions& options);

}  // namespace curfew

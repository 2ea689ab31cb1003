// `curfew-monitor dead-letters ls|show|retry FILE`: looks at what did not complete, and gives its
// messages out to be tried again. Needs no running group, and changes nothing. One thread.
#pragma once

#include <string>

#include "monitor/options.h"

namespace curfew {

/// Runs what check() has let pass. Returns the exit code: 0; 1: some line was no outcome, or
/// something that was wanted is not there or cannot be given out. Throws Unusable.
[[nodiscard]] int dead_letters(const MonitorOptions& options);

}  // namespace curfew

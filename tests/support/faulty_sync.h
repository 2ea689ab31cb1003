// Syncs that fail on demand: in the program of the unit tests fdatasync() is this one, also for
// libraries.
#pragma once

#include <atomic>

namespace curfew::support {

/// How many there were, ever.
extern std::atomic<int> syncs;
/// errno of each from now on; 0: it goes well.
extern std::atomic<int> sync_error;

}  // namespace curfew::support

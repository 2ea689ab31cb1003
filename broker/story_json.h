// The story of one task, as the broker shows it to the monitor. Field by field: docs/monitor.md.
#pragma once

#include <cstdint>
#include <string>

#include "broker/dispatcher.h"
#include "common/look/json_object.h"

namespace curfew {

/// Its task's number, EPOCH-NUMBER as outcomes have it, or what the task's sender called it: then
/// of several the one that is in flight, or the last. 0: there is none.
[[nodiscard]] Seq find_task(const Dispatcher& dispatcher, const std::string& task);

/// What is known of `task` (see find_task()), in flight or ended; without it where there is no such
/// task or its story is not told any more. `wall_us` is `now`, in microseconds since 1970.
[[nodiscard]] JsonObject broker_story(const Dispatcher& dispatcher, Instant now, std::uint64_t wall_us,
                                      const std::string& task);

}  // namespace curfew

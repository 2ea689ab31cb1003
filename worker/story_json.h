// What a worker tells of its work for one task. Field by field: docs/monitor.md.
#pragma once

#include <cstdint>

#include "common/look/json_object.h"
#include "worker/session.h"

namespace curfew {

/// Work of that task, done or in a slot. `wall_us` is `now`, in microseconds since 1970.
[[nodiscard]] JsonObject worker_story(const WorkerCore& core, Instant now, std::uint64_t wall_us, Seq seq);

}  // namespace curfew

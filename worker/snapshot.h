// What a worker shows the monitor of its live attempts. Field by field: docs/monitor.md.
#pragma once

#include <memory>

#include "common/look/reply.h"
#include "worker/handlers/handler.h"
#include "worker/session.h"

namespace curfew {

/// Attempts held, oldest first, at most `query.limit`; beside them the number of all, where they
/// are, and the slots that are out of service. Core and handler must outlive it. It begins with
/// `first`.
[[nodiscard]] std::unique_ptr<Reply> worker_dump(const WorkerCore& core, const Handler& handler, Instant now,
                                                 const DumpQuery& query, const JsonObject& first);

}  // namespace curfew

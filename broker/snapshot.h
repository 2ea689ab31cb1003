// What the broker shows the monitor, as members of a JSON object. Field by field: docs/monitor.md.
#pragma once

#include <string>

#include "broker/dispatcher.h"
#include "common/daemon.h"

namespace curfew {

[[nodiscard]] std::string broker_stats(const Dispatcher& dispatcher, Instant now);
/// Live attempts, oldest first, at most `query.limit`; beside them the number of all, and where they are.
[[nodiscard]] std::string broker_dump(const Dispatcher& dispatcher, Instant now, const DumpQuery& query);

}  // namespace curfew

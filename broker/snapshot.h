// What the broker shows the monitor, as members of a JSON object. Field by field: docs/monitor.md.
#pragma once

#include <string>

#include "broker/dispatcher.h"

namespace curfew {

[[nodiscard]] std::string broker_stats(const Dispatcher& dispatcher, Instant now);
/// Live attempts, oldest first, at most `limit`; the number of all stands beside them.
[[nodiscard]] std::string broker_dump(const Dispatcher& dispatcher, Instant now, std::size_t limit);

}  // namespace curfew

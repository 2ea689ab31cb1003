// What the broker shows the monitor. Field by field: docs/monitor.md.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "broker/dispatcher.h"
#include "common/look/reply.h"

namespace curfew {

/// By which a task is known: as its sender named it (`given`), or, where that is empty, by its
/// number.
[[nodiscard]] std::string id_of(const Dispatcher& dispatcher, Seq seq, std::string_view given);
[[nodiscard]] JsonObject broker_stats(const Dispatcher& dispatcher, Instant now);
/// Live attempts, oldest first, at most `query.limit`; beside them the number of all, and where
/// they are. Each is shown as it was when it was looked at: all at one instant, unless there are so
/// many that it takes several turns. It begins with `first`.
[[nodiscard]] std::unique_ptr<Reply> broker_dump(const Dispatcher& dispatcher, Instant now, const DumpQuery& query,
                                                 const JsonObject& first);
/// The ends that were noted after that one, for a follower; the first question begins it.
[[nodiscard]] JsonObject broker_ends(Dispatcher& dispatcher, Instant now, std::optional<std::uint64_t> after);

}  // namespace curfew

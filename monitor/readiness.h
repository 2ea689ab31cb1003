// Whether messages come in and outcomes go out: the queue at the source, what the sink waits for,
// and whether the group is ready. What is short is passed over: a connection that is made anew, a
// reader that is slow. Pure.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "monitor/group.h"

namespace curfew {

/// Seconds: a heartbeat of a queue server, and as long as a sink waits before it says so.
inline constexpr double kShortLoss = 5, kShortWait = 1;

/// The source of the broker, where it is a queue; else null.
[[nodiscard]] const nlohmann::json& queue_of(const nlohmann::json& broker);
/// What the collector says of its sink; null: it does not.
[[nodiscard]] const nlohmann::json& sink_of(const std::vector<Said>& stats);

/// Of a queue: `jobs is not connected for 12.0s (why)`; empty: it is.
[[nodiscard]] std::string words_of_loss(const nlohmann::json& queue);

/// What should be looked at, each: a source that is not connected, a sink that waits.
[[nodiscard]] std::vector<std::string> troubles_of_ends(const std::vector<Said>& stats);
/// Why no more messages should come here for now; empty: the group is ready.
[[nodiscard]] std::string why_not_ready(const std::vector<Said>& stats);

}  // namespace curfew

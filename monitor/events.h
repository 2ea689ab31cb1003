// `curfew-monitor events`: the ends of attempts as they happen, one JSON line each
// (docs/monitor.md).
#pragma once

#include <chrono>
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "monitor/client.h"

namespace curfew {

/// The lines for one answer of the broker to `ends`, oldest first; `now` is when it came. Pure.
[[nodiscard]] std::string end_lines(const nlohmann::json& answer, std::chrono::system_clock::time_point now);

/// Prints them until the broker does not answer within `patience` any more. The exit code.
int follow_ends(Client& client, const Target& broker, Duration patience);

}  // namespace curfew

// `curfew-monitor events`: follows the ends of attempts (docs/monitor.md, what ends). One thread.
#pragma once

#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "monitor/client.h"
#include "monitor/end_view.h"

namespace curfew {

/// Prints what `show` makes of each answer, until the broker does not answer within `patience` any
/// more. The exit code.
int follow_ends(Client& client, const Target& broker, Duration patience,
                const std::function<std::string(const nlohmann::json& answer, WallTime now)>& show);

}  // namespace curfew

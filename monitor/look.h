// One look at the group, as `curfew-monitor top` gets it.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

namespace curfew {

/// Name and parsed stats of each process; null JSON for one that does not answer any more.
struct Look {
    /// Broker first, then collector, then workers.
    std::vector<std::pair<std::string, nlohmann::json>> stats;
    /// docs/monitor.md, of the whole group; may be null.
    nlohmann::json dump;
};

}  // namespace curfew

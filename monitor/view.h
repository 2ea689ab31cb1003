// Snapshots as text for people. Pure: JSON in, text out. Unknown members are passed over, missing
// ones shown as such.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

namespace curfew {

/// The state of one process: the books for a broker, counts for the others.
[[nodiscard]] std::string stats_text(const nlohmann::json& snapshot);
/// One line for `stats --watch`: time of day, in flight, ends.
[[nodiscard]] std::string watch_line(const nlohmann::json& broker_snapshot, const std::string& time);
/// The live attempts of one process, one a line, under a heading.
[[nodiscard]] std::string dump_text(const nlohmann::json& snapshot);

}  // namespace curfew

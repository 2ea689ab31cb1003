// The live attempts of a group as text for people. Pure.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

namespace curfew {

/// Of a dump of the group (docs/monitor.md, dump): where they are, and, if they are asked for,
/// each, oldest first, in at most `width` columns.
[[nodiscard]] std::string group_dump_text(const nlohmann::json& dump, bool each, int width);

}  // namespace curfew

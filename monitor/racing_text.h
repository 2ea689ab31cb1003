// What racing gave, of the `stats` of a broker: how long tasks took, what hedges gave, which pools
// won, why work failed. In the words of launch's summary (scripts/launch_lib/summary.py), so that
// who has read the one knows the other. Pure: any field may be missing.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

namespace curfew {

/// Lines of at most `width` columns, each with a label of ten; none of what there is none of.
[[nodiscard]] std::vector<std::string> racing_text(const nlohmann::json& broker, int width);

/// The pools that had attempts which ended, who won most first. They point into `broker`.
[[nodiscard]] std::vector<const nlohmann::json*> pools_by_wins(const nlohmann::json& broker);
/// Why, in one line. Of one that came once with its numbers.
[[nodiscard]] std::string reason_of(const nlohmann::json& failure, bool utf8);
/// `message 13 at w1`.
[[nodiscard]] std::string example_of(const nlohmann::json& failure, bool utf8);
/// Three digits, as 10.1 ms or 2 min 5 s.
[[nodiscard]] std::string three_digits(double us);

}  // namespace curfew

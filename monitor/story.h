// The story of one task: what its broker knows of it, and when its workers did the work. Field by
// field: docs/monitor.md.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "monitor/client.h"

namespace curfew {

/// A process and what it said; null: it does not answer.
using Said = std::pair<std::string, nlohmann::json>;

/// Puts together what the broker says of it (an object) and what workers do. Attempts stand in the
/// order in which they were sent. Pure.
[[nodiscard]] nlohmann::json merge_story(const nlohmann::json& broker, const std::vector<Said>& workers);

/// Asks the broker among `targets` for `task` (its number, or what its sender called it), and then
/// the workers that had its attempts. Null: the broker does not answer.
[[nodiscard]] nlohmann::json ask_story(Client& client, const std::vector<Target>& targets, const std::string& task,
                                       Duration patience);

/// Why there is none, of one that the broker has answered for. Empty: there is.
[[nodiscard]] std::string why_no_story(const nlohmann::json& story, const std::string& task);

/// For a terminal of so many columns: each attempt as a bar on one time line, and its times.
[[nodiscard]] std::string story_text(const nlohmann::json& story, int width, bool utf8);

}  // namespace curfew

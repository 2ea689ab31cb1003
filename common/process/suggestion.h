// What somebody may have meant who mistyped the name of a flag, a command or a handler. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace curfew {

/// The one of `known` that is nearest to `word`, where it is near enough to be meant; empty if none
/// is. Dashes, underscores and capitals make no difference; the beginning of just one of them is
/// near.
[[nodiscard]] std::string nearest(std::string_view word, const std::vector<std::string>& known);

/// `; did you mean NAME?` for a message, or nothing.
[[nodiscard]] std::string did_you_mean(std::string_view word, const std::vector<std::string>& known);

}  // namespace curfew

// A frame in words, for --trace.
#pragma once

#include <string>
#include <string_view>

namespace curfew::simulation {

[[nodiscard]] std::string describe(std::string_view frame);

}  // namespace curfew::simulation

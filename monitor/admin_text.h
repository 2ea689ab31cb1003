// What the broker answered to drain, pause, resume or cancel, as a sentence. Pure.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>

namespace curfew {

/// `answer`: to `{"do":"VERB"}`, and where it was a cancel, of the task `seq`. One line, without
/// its end; fit for a terminal, whatever was answered.
[[nodiscard]] std::string admin_text(const std::string& verb, std::uint64_t seq, const nlohmann::json& answer);

}  // namespace curfew

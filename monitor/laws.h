// The two laws of the books, as the monitor checks them: the terms, and what they leave over. Pure.
#pragma once

#include <array>
#include <cstdint>
#include <nlohmann/json.hpp>

#include "monitor/fields.h"

namespace curfew {

inline constexpr std::array kOutcomeWords = {"completed", "failed", "expired", "cancelled"};
inline constexpr std::array kEndWords = {"won", "late", "cancelled", "failed", "expired", "lost"};

/// Accepted or started, less what has ended and what is in flight: 0, or the books are wrong.
template <std::size_t n>
[[nodiscard]] std::int64_t residue_of(const nlohmann::json& books, const char* all,
                                      const std::array<const char*, n>& ends) {
    std::uint64_t accounted = count(books, "in_flight");
    for (const char* end : ends) accounted += count(books, end);
    return static_cast<std::int64_t>(count(books, all) - accounted);
}

[[nodiscard]] inline std::int64_t tasks_residue(const nlohmann::json& broker) {
    return residue_of(field(broker, "tasks"), "accepted", kOutcomeWords);
}
[[nodiscard]] inline std::int64_t attempts_residue(const nlohmann::json& broker) {
    return residue_of(field(broker, "attempts"), "started", kEndWords);
}

}  // namespace curfew

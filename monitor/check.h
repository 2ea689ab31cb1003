// Is the group well? One line in the form of the monitoring plugins, for alerts and for CI. Pure.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "monitor/group.h"

namespace curfew {

struct Limits {
    std::optional<std::uint64_t> most_in_flight;  ///< attempts
    std::optional<Duration> oldest;               ///< attempt
    bool drained = false;                         ///< nothing may be alive
    std::optional<double> most_failed;            ///< share of the attempts that end
    nlohmann::json earlier{};                     ///< what the broker said before they did
};

enum class Health : std::uint8_t { ok = 0, warning = 1, critical = 2, unknown = 3 };

struct Finding {
    Health health = Health::ok;
    std::string line;  ///< `CURFEW OK - ... | perfdata`
};

[[nodiscard]] Finding check(const std::vector<Said>& stats, const Limits& limits);

/// Attempts that ended between two looks at one life of the broker. Those that were called home and
/// stopped say nothing of the work: they are left out.
struct EndsBetween {
    std::uint64_t all = 0;
    std::uint64_t failed = 0;  ///< or expired, or lost
};
[[nodiscard]] EndsBetween ends_between(const nlohmann::json& earlier, const nlohmann::json& later);

/// A broker whose intake has ended and whose tasks all have their outcomes waits for attempts
/// alone. As launch says it.
[[nodiscard]] std::string words_of_waiting(std::uint64_t attempts, double seconds);

/// What `samples` (attempts in flight, taken evenly) say of a leak: the least of each fifth is more
/// than that of the fifth before. A load that grows for the whole of the window looks the same:
/// choose it longer than that.
[[nodiscard]] bool only_rises(const std::vector<std::uint64_t>& samples);

/// The same finding, made worse by a leak.
[[nodiscard]] Finding with_growth(const Finding& finding, const std::vector<std::uint64_t>& samples, Duration window);

}  // namespace curfew

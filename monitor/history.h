// What was in flight, how fast, how slow: a sample each second for ten minutes, and one each minute
// for a day. Bounded. Pure.
#pragma once

#include <array>
#include <deque>
#include <nlohmann/json.hpp>
#include <optional>
#include <vector>

#include "monitor/group.h"
#include "monitor/recent_times.h"

namespace curfew {

class History {
public:
    /// A look at the group, `time` in seconds since the epoch. It begins with the first answer of a
    /// broker; one that does not answer later is a gap.
    void add(double time, const std::vector<Said>& stats);

    /// The last so many seconds: docs/monitor.md, /history.json.
    [[nodiscard]] nlohmann::json json(double now, double seconds) const;

private:
    static constexpr std::size_t kFields = 10;
    struct Sample {
        double time = 0;
        std::array<std::optional<double>, kFields> values;
    };
    static constexpr std::size_t kSeconds = 600, kMinutes = 1440;

    [[nodiscard]] Sample sample_of(double time, const nlohmann::json& broker);

    std::deque<Sample> seconds_, minutes_;
    std::array<RecentTimes, 3> recent_;
    bool answered_ = false;  // the broker, at the last look
};

}  // namespace curfew

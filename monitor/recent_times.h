// Quantiles of what was counted in the last ten seconds. What the broker says of a histogram is of
// all its life, and moves little after a day; how many were at most each bound (`le_us`, `counts`:
// docs/monitor.md) tells of any part of it, right within 15%. Pure.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <vector>

#include "monitor/lately.h"

namespace curfew {

class RecentTimes {
public:
    /// `histogram` of the broker's life `incarnation`, at `time` in seconds. Of another life than
    /// before, or where there is none: anew.
    void add(const nlohmann::json& histogram, std::uint64_t incarnation, double time);

    /// In microseconds; none where nothing was counted lately.
    [[nodiscard]] std::optional<double> quantile(double share) const;

private:
    std::uint64_t incarnation_ = 0;
    std::vector<double> bounds_;  // in microseconds
    Lately<std::vector<double>> counts_;
};

}  // namespace curfew

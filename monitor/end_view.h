// The ends of attempts for those who follow them: JSON lines for scripts, a table for people
// (docs/monitor.md, what ends). Pure.
#pragma once

#include <array>
#include <chrono>
#include <nlohmann/json_fwd.hpp>
#include <string>

namespace curfew {

using WallTime = std::chrono::system_clock::time_point;

/// The JSON lines for one answer of the broker to `ends`, oldest first; `now` is when it came.
[[nodiscard]] std::string end_lines(const nlohmann::json& answer, WallTime now);

/// The same for people, a line of at most `width` columns for each end. Its columns only grow, so
/// that what comes next stands below what was printed.
class EndTable {
public:
    EndTable(int width, bool utf8);
    [[nodiscard]] std::string lines(const nlohmann::json& answer, WallTime now);

private:
    static constexpr std::size_t kColumns = 8;
    using Row = std::array<std::string, kColumns>;

    [[nodiscard]] Row row_of(const nlohmann::json& end, WallTime now) const;
    [[nodiscard]] std::string line_of(const Row& row) const;

    int width_;
    bool utf8_;
    bool headed_ = false;
    std::array<int, kColumns> wide_, most_;  // of each column: now, and at most
};

}  // namespace curfew

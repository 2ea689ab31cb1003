// A figure over time, drawn with blocks: a column a look, the newest at the right; a gap where
// there was none. It begins with the first figure. Pure.
//
// Memory: as many looks as a wide terminal has columns.
#pragma once

#include <deque>
#include <optional>
#include <vector>

#include "monitor/terminal_text.h"

namespace curfew {

class Chart {
public:
    explicit Chart(bool utf8) : utf8_(utf8) {}

    void add(std::optional<double> figure);
    /// Anew.
    void begin() { figures_.clear(); }
    /// With `title` and the scale at its left.
    [[nodiscard]] std::vector<Line> draw(const char* title, int width, int height) const;

private:
    bool utf8_;
    std::deque<std::optional<double>> figures_;
};

}  // namespace curfew

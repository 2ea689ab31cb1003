#include "monitor/chart.h"

#include <algorithm>
#include <array>
#include <cmath>

namespace curfew {
namespace {

constexpr std::size_t kLooks = 600;

}  // namespace

void Chart::add(std::optional<double> figure) {
    if (figures_.empty() && !figure) return;
    figures_.push_back(figure);
    if (figures_.size() > kLooks) figures_.pop_front();
}

std::vector<Line> Chart::draw(const char* title, int width, int height) const {
    constexpr std::array kBlocks = {" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
    constexpr std::array kAscii = {" ", ".", ".", ":", ":", "+", "+", "#", "#"};
    const auto room = static_cast<std::size_t>(std::max(0, width - 10));
    const std::size_t first = figures_.size() - std::min(room, figures_.size());
    double most = 1;
    for (std::size_t i = first; i < figures_.size(); ++i) most = std::max(most, figures_[i].value_or(0));
    std::vector<Line> lines;
    for (int row = 0; row < height; ++row) {
        const int below = (height - 1 - row) * 8;
        const std::string label = row == 0            ? short_count(most)
                                  : row == height - 1 ? "0"
                                  : row == height / 2 ? title
                                                      : "";
        std::string bars(room - (figures_.size() - first), ' ');
        for (std::size_t i = first; i < figures_.size(); ++i) {
            const double value = figures_[i].value_or(0);
            const int eighths = value > 0 ? std::max(1, static_cast<int>(std::lround(value / most * height * 8))) : 0;
            const auto level = static_cast<std::size_t>(std::clamp(eighths - below, 0, 8));
            bars += utf8_ ? kBlocks[level] : kAscii[level];
        }
        lines.push_back({{fitted(label, 9, true) + " ", Style::dim}, {bars, Style::good}});
    }
    return lines;
}

}  // namespace curfew

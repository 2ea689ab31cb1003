#include "monitor/recent_times.h"

#include <algorithm>
#include <iterator>
#include <numeric>
#include <utility>

#include "monitor/fields.h"

namespace curfew {
namespace {

std::vector<double> numbers(const nlohmann::json& list) {
    std::vector<double> out;
    if (!list.is_array()) return out;
    for (const auto& number : list) out.push_back(number.is_number() ? number.get<double>() : 0);
    return out;
}

}  // namespace

void RecentTimes::add(const nlohmann::json& histogram, std::uint64_t incarnation, double time) {
    std::vector<double> bounds = numbers(field(histogram, "le_us"));
    std::vector<double> counts = numbers(field(histogram, "counts"));
    if (incarnation != incarnation_ || bounds != bounds_) counts_.begin();
    incarnation_ = incarnation;
    bounds_ = std::move(bounds);
    if (!histogram.is_object()) counts_.begin();
    if (counts.size() == bounds_.size() + 1) counts_.add(std::move(counts), time);
}

std::optional<double> RecentTimes::quantile(double share) const {
    if (!counts_.known()) return std::nullopt;
    std::vector<double> grown;
    std::ranges::transform(counts_.now(), counts_.then(), std::back_inserter(grown),
                           [](double now, double then) { return std::max(0.0, now - then); });
    const double all = std::accumulate(grown.begin(), grown.end(), 0.0);
    if (all == 0) return std::nullopt;
    double left = share * all;
    for (std::size_t i = 0; i < bounds_.size(); ++i) {
        const double below = i == 0 ? 0 : bounds_[i - 1];
        if (grown[i] > 0 && left <= grown[i]) return below + (bounds_[i] - below) * left / grown[i];
        left -= grown[i];
    }
    return bounds_.empty() ? std::nullopt : std::optional(bounds_.back());  // longer than any bound
}

}  // namespace curfew

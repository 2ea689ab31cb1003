// Intervals in a sorted vector. Numbers arrive nearly in order, so almost every insert touches the
// end.
#include "common/tables/interval_set.h"

#include <algorithm>
#include <limits>

namespace curfew {

std::size_t IntervalSet::lower_bound(std::uint64_t n) const {
    if (intervals_.empty() || intervals_.back().last < n) return intervals_.size();
    const auto at =
        std::lower_bound(intervals_.begin(), intervals_.end(), n,
                         [](const Interval& interval, std::uint64_t value) { return interval.last < value; });
    return static_cast<std::size_t>(at - intervals_.begin());
}

bool IntervalSet::contains(std::uint64_t n) const {
    const std::size_t i = lower_bound(n);
    return i < intervals_.size() && intervals_[i].first <= n;
}

std::uint64_t IntervalSet::next_missing(std::uint64_t n) const {
    const std::size_t i = lower_bound(n);
    return i < intervals_.size() && intervals_[i].first <= n ? intervals_[i].last + 1 : n;
}

Intervals IntervalSet::missing(Interval range) const {
    Intervals holes;
    std::uint64_t from = range.first;
    for (std::size_t i = lower_bound(range.first); i < intervals_.size() && intervals_[i].first <= range.last; ++i) {
        if (intervals_[i].first > from) holes.push_back({from, intervals_[i].first - 1});
        if (intervals_[i].last == UINT64_MAX) return holes;
        from = intervals_[i].last + 1;
    }
    if (from <= range.last && (from > range.first || !contains(range.first))) holes.push_back({from, range.last});
    return holes;
}

bool IntervalSet::insert_inside(std::uint64_t n) {
    const std::size_t i = lower_bound(n);
    if (i < intervals_.size() && intervals_[i].first <= n) return false;
    const bool joins_before = i > 0 && intervals_[i - 1].last + 1 == n;
    const bool joins_after = i < intervals_.size() && intervals_[i].first == n + 1;
    const auto at = intervals_.begin() + static_cast<std::ptrdiff_t>(i);
    if (joins_before && joins_after) {
        intervals_[i - 1].last = intervals_[i].last;
        intervals_.erase(at);
    } else if (joins_before) {
        intervals_[i - 1].last = n;
    } else if (joins_after) {
        intervals_[i].first = n;
    } else {
        intervals_.insert(at, Interval{n, n});
    }
    return true;
}

void IntervalSet::insert(Interval range) {
    if (range.first > range.last) return;
    // The run of intervals that overlap or touch the range becomes one.
    std::size_t from = lower_bound(range.first == 0 ? 0 : range.first - 1);
    std::size_t to = from;
    const std::uint64_t reach = range.last == std::numeric_limits<std::uint64_t>::max() ? range.last : range.last + 1;
    while (to < intervals_.size() && intervals_[to].first <= reach) {
        range.first = std::min(range.first, intervals_[to].first);
        range.last = std::max(range.last, intervals_[to].last);
        ++to;
    }
    const auto begin = intervals_.begin() + static_cast<std::ptrdiff_t>(from);
    if (from == to) {
        intervals_.insert(begin, range);
    } else {
        *begin = range;
        intervals_.erase(begin + 1, intervals_.begin() + static_cast<std::ptrdiff_t>(to));
    }
}

void IntervalSet::insert(const Intervals& ranges) {
    const auto by_first = [](const Interval& a, const Interval& b) { return a.first < b.first; };
    if (std::ranges::is_sorted(ranges, by_first)) {
        for (const Interval& range : ranges) insert(range);
        return;
    }
    Intervals sorted = ranges;
    std::ranges::sort(sorted, by_first);
    for (const Interval& range : sorted) insert(range);
}

std::uint64_t IntervalSet::size() const {
    return count_numbers(intervals_);
}

Intervals common_to(const IntervalSet& a, const IntervalSet& b) {
    Intervals both;
    auto of_a = a.intervals().begin();
    auto of_b = b.intervals().begin();
    while (of_a != a.intervals().end() && of_b != b.intervals().end()) {
        const Interval common{std::max(of_a->first, of_b->first), std::min(of_a->last, of_b->last)};
        if (common.first <= common.last) both.push_back(common);
        (of_a->last < of_b->last ? of_a : of_b)++;
    }
    return both;
}

void append_number(Intervals& list, std::uint64_t n) {
    if (!list.empty() && list.back().last + 1 == n) {
        list.back().last = n;
    } else {
        list.push_back({n, n});
    }
}

std::uint64_t count_numbers(const Intervals& list) {
    std::uint64_t count = 0;
    for (const Interval& range : list) {
        if (range.first > range.last) continue;
        const std::uint64_t length = range.last - range.first;
        if (length >= std::numeric_limits<std::uint64_t>::max() - count)
            return std::numeric_limits<std::uint64_t>::max();
        count += length + 1;
    }
    return count;
}

IntervalSet without(const IntervalSet& all, const IntervalSet& some) {
    IntervalSet left;
    for (const Interval& range : all.intervals()) left.insert(some.missing(range));
    return left;
}

}  // namespace curfew

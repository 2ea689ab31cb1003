// A set of 64-bit numbers kept as disjoint intervals: what has been settled, received, ended. The
// numbers are dense, so the set costs as much as it has holes, and the holes are what is in flight.
//
// Pure. Not thread safe. Worst case memory: one entry for each hole.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

namespace curfew {

/// A closed range of numbers, `first <= last`. Also what the wire carries.
struct Interval {
    std::uint64_t first = 0;
    std::uint64_t last = 0;
    bool operator==(const Interval&) const = default;
};

using Intervals = std::vector<Interval>;

class IntervalSet {
public:
    IntervalSet() = default;

    /// Adds one number; false if it was there. Mostly it is the one behind the last.
    bool insert(std::uint64_t n) {
        if (intervals_.empty() || n == 0 || intervals_.back().last != n - 1) return insert_inside(n);
        intervals_.back().last = n;
        return true;
    }

    /// Adds a closed range, whatever of it is there already. Hearsay that is not a range (first >
    /// last) is ignored.
    void insert(Interval range);
    /// In any order; what it costs follows how many there are.
    void insert(const Intervals& ranges);

    [[nodiscard]] bool contains(std::uint64_t n) const;
    /// The smallest number that is at least n and not in the set.
    [[nodiscard]] std::uint64_t next_missing(std::uint64_t n) const;
    /// What of the range is not in the set.
    [[nodiscard]] Intervals missing(Interval range) const;
    [[nodiscard]] std::uint64_t size() const;  ///< how many numbers; O(intervals)
    [[nodiscard]] bool empty() const { return intervals_.empty(); }
    [[nodiscard]] const Intervals& intervals() const { return intervals_; }
    void clear() { intervals_.clear(); }

    bool operator==(const IntervalSet&) const = default;

private:
    /// Index of the first interval whose `last` is at least n.
    [[nodiscard]] std::size_t lower_bound(std::uint64_t n) const;

    bool insert_inside(std::uint64_t n);

    Intervals intervals_;  // sorted, disjoint, not adjacent
};

/// Asks a set about numbers that only rise: each question goes on where the one before has ended.
/// The set must outlive it, unchanged.
class IntervalCursor {
public:
    explicit IntervalCursor(const IntervalSet& set) : next_(set.intervals().begin()), end_(set.intervals().end()) {}
    [[nodiscard]] bool contains(std::uint64_t n) {
        while (next_ != end_ && next_->last < n) ++next_;
        return next_ != end_ && next_->first <= n;
    }

private:
    Intervals::const_iterator next_, end_;
};

/// What is in both sets.
[[nodiscard]] Intervals common_to(const IntervalSet& a, const IntervalSet& b);

/// The numbers of `all` that are not in `some`.
[[nodiscard]] IntervalSet without(const IntervalSet& all, const IntervalSet& some);

/// Puts one more number behind a list that is being built for the wire: joins it to the last range
/// where it fits.
void append_number(Intervals& list, std::uint64_t n);

/// Numbers in a list as it came from the wire: 0 for ranges that are none, saturating.
[[nodiscard]] std::uint64_t count_numbers(const Intervals& list);

}  // namespace curfew

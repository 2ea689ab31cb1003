// The interval set against std::set, and at the ends of the 64 bits.
#include "common/tables/interval_set.h"

#include <gtest/gtest.h>

#include <limits>
#include <random>
#include <set>

namespace curfew {
namespace {

constexpr std::uint64_t kMax = std::numeric_limits<std::uint64_t>::max();

Intervals intervals_of(const std::set<std::uint64_t>& numbers) {
    Intervals list;
    for (const std::uint64_t n : numbers) append_number(list, n);
    return list;
}

/// Sorted, disjoint, not adjacent.
bool is_normal(const Intervals& list) {
    for (std::size_t i = 0; i < list.size(); ++i) {
        if (list[i].first > list[i].last) return false;
        if (i > 0 && (list[i - 1].last == kMax || list[i - 1].last + 1 >= list[i].first)) return false;
    }
    return true;
}

TEST(IntervalSet, ANewOneIsEmpty) {
    const IntervalSet set;
    EXPECT_TRUE(set.empty());
    EXPECT_EQ(set.size(), 0U);
    EXPECT_FALSE(set.contains(0));
    EXPECT_FALSE(set.contains(kMax));
}

TEST(IntervalSet, ANumberIsInsertedOnce) {
    IntervalSet set;
    EXPECT_TRUE(set.insert(5));
    EXPECT_FALSE(set.insert(5));
    EXPECT_EQ(set.size(), 1U);
}

TEST(IntervalSet, NumbersInOrderCostOneInterval) {
    IntervalSet set;
    for (std::uint64_t n = 1; n <= 100'000; ++n) EXPECT_TRUE(set.insert(n));
    EXPECT_EQ(set.intervals(), (Intervals{{1, 100'000}}));
}

TEST(IntervalSet, NumbersInReverseCostOneInterval) {
    IntervalSet set;
    for (std::uint64_t n = 1000; n > 0; --n) set.insert(n);
    EXPECT_EQ(set.intervals(), (Intervals{{1, 1000}}));
}

TEST(IntervalSet, ANumberThatClosesAHoleJoinsItsNeighbours) {
    IntervalSet set;
    set.insert({1, 4});
    set.insert({6, 9});
    EXPECT_EQ(set.intervals().size(), 2U);
    EXPECT_TRUE(set.insert(5));
    EXPECT_EQ(set.intervals(), (Intervals{{1, 9}}));
}

TEST(IntervalSet, ItCostsAsMuchAsItHasHoles) {
    constexpr std::uint64_t kOffset = 1'000'000'000'000;
    IntervalSet set;
    set.insert({1, kOffset});
    std::mt19937_64 random(7);
    std::vector<std::uint64_t> in_flight;
    std::uint64_t next = kOffset + 1;
    for (int i = 0; i < 50'000; ++i) {
        in_flight.push_back(next++);
        if (in_flight.size() < 64) continue;
        const std::size_t at = random() % in_flight.size();
        EXPECT_TRUE(set.insert(in_flight[at]));
        in_flight[at] = in_flight.back();
        in_flight.pop_back();
        EXPECT_LE(set.intervals().size(), 65U);
    }
    EXPECT_EQ(set.size(), next - 1 - in_flight.size());
}

TEST(IntervalSet, RangesOverlapTouchAndSwallow) {
    IntervalSet set;
    set.insert(Intervals{{10, 20}, {30, 40}, {50, 60}});
    set.insert({21, 29});
    EXPECT_EQ(set.intervals(), (Intervals{{10, 40}, {50, 60}}));
    set.insert({35, 55});
    EXPECT_EQ(set.intervals(), (Intervals{{10, 60}}));
    set.insert({1, 100});
    EXPECT_EQ(set.intervals(), (Intervals{{1, 100}}));
    set.insert({50, 51});
    EXPECT_EQ(set.intervals(), (Intervals{{1, 100}}));
}

TEST(IntervalSet, WhatIsNoRangeIsIgnored) {
    IntervalSet set;
    set.insert({9, 3});
    EXPECT_TRUE(set.empty());
    EXPECT_EQ(count_numbers({{9, 3}, {1, 2}}), 2U);
}

TEST(IntervalSet, BothEndsOfTheNumbersAreNumbers) {
    IntervalSet set;
    EXPECT_TRUE(set.insert(kMax));
    EXPECT_TRUE(set.insert(0));
    EXPECT_FALSE(set.insert(kMax));
    EXPECT_TRUE(set.insert(kMax - 1));
    EXPECT_TRUE(set.contains(kMax));
    EXPECT_EQ(set.intervals(), (Intervals{{0, 0}, {kMax - 1, kMax}}));
    set.insert({0, kMax});
    EXPECT_EQ(set.intervals(), (Intervals{{0, kMax}}));
    EXPECT_EQ(set.size(), kMax) << "saturates";
    set.insert({1, kMax});
    EXPECT_EQ(set.intervals().size(), 1U);
}

TEST(IntervalSet, CountsSaturate) {
    EXPECT_EQ(count_numbers({{0, kMax}, {1, 2}}), kMax);
    EXPECT_EQ(count_numbers({{1, 2}, {1, kMax}}), kMax);
    EXPECT_EQ(count_numbers({{1, 3}, {1, 3}}), 6U);
}

TEST(IntervalSet, SingleNumbersBehaveAsInAStdSet) {
    for (const std::uint64_t offset : {std::uint64_t{0}, std::uint64_t{3'000'000'000}, kMax - 400}) {
        std::mt19937_64 random(42);
        IntervalSet set;
        std::set<std::uint64_t> model;
        for (int i = 0; i < 1500; ++i) {
            const std::uint64_t n = offset + random() % 401;
            EXPECT_EQ(set.insert(n), model.insert(n).second);
        }
        for (std::uint64_t n = 0; n <= 400; ++n) EXPECT_EQ(set.contains(offset + n), model.contains(offset + n));
        EXPECT_EQ(set.intervals(), intervals_of(model));
        EXPECT_EQ(set.size(), model.size());
    }
}

TEST(IntervalSet, RangesBehaveAsInAStdSet) {
    std::mt19937_64 random(43);
    for (int round = 0; round < 60; ++round) {
        IntervalSet set;
        std::set<std::uint64_t> model;
        for (int i = 0; i < 25; ++i) {
            const std::uint64_t first = random() % 300;
            const Interval range{first, first + random() % 12};
            set.insert(range);
            for (std::uint64_t n = range.first; n <= range.last; ++n) model.insert(n);
            ASSERT_TRUE(is_normal(set.intervals()));
            ASSERT_EQ(set.intervals(), intervals_of(model));
        }
    }
}

TEST(IntervalCursor, NumbersThatRiseAreFoundAsInTheSet) {
    std::mt19937_64 random(44);
    for (int round = 0; round < 60; ++round) {
        IntervalSet set;
        for (int i = 0; i < 20; ++i) {
            const std::uint64_t first = random() % 300;
            set.insert(Interval{first, first + random() % 12});
        }
        IntervalCursor cursor(set);
        for (std::uint64_t n = 0; n < 320; n += random() % 5) ASSERT_EQ(cursor.contains(n), set.contains(n)) << n;
    }
}

TEST(IntervalCursor, AnEmptySetHasNothing) {
    const IntervalSet set;
    EXPECT_FALSE(IntervalCursor(set).contains(0));
}

TEST(IntervalSet, WhatIsMissingInARangeIsItsHoles) {
    IntervalSet set;
    set.insert(Intervals{{3, 5}, {8, 8}, {20, 30}});
    EXPECT_EQ(set.missing({1, 10}), (Intervals{{1, 2}, {6, 7}, {9, 10}}));
    EXPECT_EQ(set.missing({4, 5}), Intervals{});
    EXPECT_EQ(set.missing({25, 40}), (Intervals{{31, 40}}));
    EXPECT_EQ(set.missing({9, 19}), (Intervals{{9, 19}}));
    EXPECT_EQ(IntervalSet().missing({7, 7}), (Intervals{{7, 7}}));
}

TEST(IntervalSet, WithoutLeavesWhatIsInTheFirstAlone) {
    std::mt19937 random(7);
    for (int round = 0; round < 200; ++round) {
        IntervalSet all, some;
        std::set<std::uint64_t> left;
        for (std::uint64_t n = 1; n <= 40; ++n) {
            const bool in_all = random() % 3 != 0, in_some = random() % 2 != 0;
            if (in_all) all.insert(n);
            if (in_some) some.insert(n);
            if (in_all && !in_some) left.insert(n);
        }
        std::set<std::uint64_t> found;
        const IntervalSet rest = without(all, some);
        for (const Interval& range : rest.intervals())
            for (std::uint64_t n = range.first; n <= range.last; ++n) found.insert(n);
        EXPECT_EQ(found, left);
    }
    IntervalSet all, last;
    all.insert({5, UINT64_MAX});
    last.insert({7, UINT64_MAX});
    EXPECT_EQ(without(all, last).intervals(), (Intervals{{5, 6}}));
}

TEST(IntervalSet, WhatIsInBothIsFoundWhateverTheirOrder) {
    IntervalSet a, b;
    a.insert(Intervals{{20, 30}, {1, 5}, {8, 10}});  // in any order
    b.insert(Intervals{{4, 9}, {25, 25}, {40, 50}});
    EXPECT_EQ(common_to(a, b), (Intervals{{4, 5}, {8, 9}, {25, 25}}));
    EXPECT_EQ(common_to(b, a), common_to(a, b));
    EXPECT_TRUE(common_to(a, {}).empty());
}

}  // namespace
}  // namespace curfew

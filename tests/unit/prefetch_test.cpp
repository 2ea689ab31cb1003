// How many messages a queue server is asked for: Prefetch.
#include "broker/sources/prefetch.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace curfew {
namespace {

constexpr std::size_t kMiB = 1 << 20;

TEST(PrefetchTest, WhatTheWorkersCanHaveInHand) {
    Prefetch prefetch;
    EXPECT_EQ(prefetch.wanted(0, {}), 0);
    EXPECT_EQ(prefetch.wanted(12, {}), 12);
    EXPECT_EQ(prefetch.wanted(12, {.in_flight = 8, .fetched = 4}), 12);
    EXPECT_EQ(prefetch.wanted(100'000, {}), 65'535);
}

TEST(PrefetchTest, LargeMessagesAreFewer) {
    Prefetch prefetch;
    for (int i = 0; i < 100; ++i) prefetch.came(8 * kMiB);
    EXPECT_EQ(prefetch.wanted(1000, {}), 8);
    for (int i = 0; i < 200; ++i) prefetch.came(1000 * kMiB);
    EXPECT_EQ(prefetch.wanted(1000, {}), 1);
    EXPECT_EQ(prefetch.wanted(0, {}), 0);
    for (int i = 0; i < 400; ++i) prefetch.came(100);
    EXPECT_EQ(prefetch.wanted(1000, {}), 1000);
}

TEST(PrefetchTest, WithTwiceOfItHereNoMoreUntilHalfIsGone) {
    Prefetch prefetch;
    EXPECT_EQ(prefetch.wanted(10, {.in_flight = 10, .fetched = 10}), 10);
    EXPECT_EQ(prefetch.wanted(10, {.in_flight = 10, .fetched = 11}), 0);
    EXPECT_EQ(prefetch.wanted(10, {.in_flight = 10, .fetched = 1}), 0);
    EXPECT_EQ(prefetch.wanted(10, {.in_flight = 10, .fetched = 0}), 10);
    // The workers are gone, and one comes back
    EXPECT_EQ(prefetch.wanted(0, {.in_flight = 5}), 0);
    EXPECT_EQ(prefetch.wanted(1, {.in_flight = 5}), 0);
    EXPECT_EQ(prefetch.wanted(1, {.in_flight = 1}), 1);
}

TEST(PrefetchTest, WithTooManyBytesHereNoMoreUntilHalfOfThoseAreGone) {
    Prefetch prefetch;
    EXPECT_EQ(prefetch.wanted(1000, {.fetched = 200, .fetched_bytes = 128 * kMiB}), 1000);
    EXPECT_EQ(prefetch.wanted(1000, {.fetched = 201, .fetched_bytes = 129 * kMiB}), 0);
    EXPECT_EQ(prefetch.wanted(1000, {.fetched = 101, .fetched_bytes = 65 * kMiB}), 0);
    EXPECT_EQ(prefetch.wanted(1000, {.fetched = 100, .fetched_bytes = 64 * kMiB}), 1000);
}

TEST(PrefetchTest, NothingWhereMostOfItWaitsLongerThanTheServerDoes) {
    Prefetch prefetch;
    EXPECT_EQ(prefetch.wanted(10, {.in_flight = 4, .overdue = 2}), 10);
    EXPECT_FALSE(prefetch.stands());
    EXPECT_EQ(prefetch.wanted(10, {.in_flight = 4, .overdue = 3}), 0);
    EXPECT_TRUE(prefetch.stands());
    EXPECT_EQ(prefetch.wanted(10, {.in_flight = 4, .overdue = 0}), 10);
    EXPECT_FALSE(prefetch.stands());
}

/// A server that gives each new consumer all of its prefetch, beside what the old ones have; room
/// that flips as where quick and slow work take turns.
TEST(PrefetchTest, HoweverOftenItIsAskedAnewWhatIsHereIsBounded) {
    Prefetch prefetch;
    std::size_t here = 0, has = 0, most_here = 0;
    for (int turn = 0; turn < 10'000; ++turn) {
        const std::size_t room = turn % 2 == 0 ? 64 : 200;
        const std::size_t wanted = prefetch.wanted(room, {.in_flight = here});
        const bool is_near = wanted > has / 2 && wanted < has * 2;
        if (wanted != has && !is_near) {
            has = wanted;
            here += wanted;  // a deep queue
        }
        most_here = std::max(most_here, here);
        if (turn % 10 == 0 && here > 0) --here;  // slower than it comes
    }
    EXPECT_LE(most_here, 3U * 200);
    EXPECT_GT(most_here, 200U);
}

}  // namespace
}  // namespace curfew

// A disk that is synced each second: what was said and may be lost is never older than that.
#include "collector/sinks/sync_pace.h"

#include <gtest/gtest.h>

namespace curfew {
namespace {

using namespace std::chrono_literals;

constexpr Instant kStart{1h};

TEST(SyncPace, AsksHalfASecondAfterTheFirstThatNeedsIt) {
    SyncPace pace;
    EXPECT_FALSE(pace.take_ask(kStart, true, false)) << "nothing is there";
    EXPECT_EQ(pace.next_deadline(true), kNever);
    EXPECT_FALSE(pace.take_ask(kStart, true, true));
    EXPECT_EQ(pace.next_deadline(true), kStart + 500ms);
    EXPECT_FALSE(pace.take_ask(kStart + 499ms, true, true));
    EXPECT_TRUE(pace.take_ask(kStart + 500ms, true, true));
    EXPECT_EQ(pace.next_deadline(true), kNever);
}

TEST(SyncPace, HoldsWhatIsSaidWhileASyncTakesLonger) {
    SyncPace pace;
    (void)pace.take_ask(kStart, true, true);
    ASSERT_TRUE(pace.take_ask(kStart + 500ms, true, true));
    EXPECT_FALSE(pace.holds(kStart + 999ms, false));
    EXPECT_TRUE(pace.holds(kStart + 1s, false)) << "the oldest is a second old";
    EXPECT_FALSE(pace.take_ask(kStart + 1s, false, true)) << "one sync at a time";
    EXPECT_FALSE(pace.holds(kStart + 5s, true)) << "until it has ended";
}

TEST(SyncPace, WhatWaitedForASlowSyncIsHeldUntilItsOwnHasEnded) {
    SyncPace pace;
    (void)pace.take_ask(kStart, true, true);
    ASSERT_TRUE(pace.take_ask(kStart + 500ms, true, true));
    (void)pace.take_ask(kStart + 600ms, false, true);
    ASSERT_TRUE(pace.take_ask(kStart + 3s, true, true));
    EXPECT_TRUE(pace.holds(kStart + 3s, false));
}

}  // namespace
}  // namespace curfew

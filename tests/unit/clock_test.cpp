// The clock of a process, and how a loop notices that it stood still.
#include "common/process/clock.h"

#include <gtest/gtest.h>

#include "tests/support/frames.h"

namespace curfew {
namespace {

using namespace std::chrono_literals;
using support::kStart;

TEST(StandstillWatch, WhatALoopTakesForATurnCountsAndWhatIsMoreDoesNot) {
    StandstillWatch watch(250ms);
    EXPECT_EQ(watch.look(kStart), 0ms) << "nothing is known before the first look";
    EXPECT_EQ(watch.look(kStart + 250ms), 0ms);
    EXPECT_EQ(watch.look(kStart + 10s), 9500ms);
    EXPECT_EQ(watch.look(kStart + 10s - 9500ms + 250ms), 0ms) << "the clock has moved by what was lost";
}

TEST(StandstillWatch, ALoopThatSleepsAsLongAsItLikesSaysSo) {
    StandstillWatch watch(250ms);
    (void)watch.look(kStart);
    watch.forget();
    EXPECT_EQ(watch.look(kStart + 1h), 0ms);
    EXPECT_EQ(watch.look(kStart + 1h + 1s), 750ms);
}

TEST(Clock, StandsForAsLongAsItIsTold) {
    const Instant before = Clock::now();
    const Duration stood = Clock::stood();
    Clock::stand(1h);
    EXPECT_LT(Clock::now(), before);
    EXPECT_EQ(Clock::stood() - stood, 1h);
    EXPECT_EQ(Clock::of_system(before) - before, Clock::stood());
    EXPECT_EQ(Clock::of_system(kNever), kNever);
    Clock::stand(-1h);
}

}  // namespace
}  // namespace curfew

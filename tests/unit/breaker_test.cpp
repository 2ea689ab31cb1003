// A service that refuses is left alone for a while, then asked once; one that asks to be left alone
// is.
#include "worker/handlers/breaker.h"

#include <gtest/gtest.h>

namespace curfew {
namespace {

using namespace std::chrono_literals;

class BreakerTest : public testing::Test {
protected:
    /// True: it is held from now on.
    bool refuse() { return breaker.refused(now, now); }
    void refuse_in_a_row() {
        for (int i = 0; i < Breaker::kRefusals; ++i) (void)refuse();
    }

    Breaker breaker;
    Instant now{1h};
};

TEST_F(BreakerTest, FiveRefusalsInARowHoldItAndNoFewer) {
    for (int i = 1; i < Breaker::kRefusals; ++i) EXPECT_FALSE(refuse());
    EXPECT_EQ(breaker.open(now), UINT32_MAX);
    EXPECT_TRUE(refuse());
    EXPECT_EQ(breaker.open(now), 0U);
    EXPECT_EQ(breaker.next_deadline(now), now + 1s);
}

TEST_F(BreakerTest, AnAnswerInBetweenBeginsTheRowAnew) {
    for (int round = 0; round < 3; ++round) {
        for (int i = 1; i < Breaker::kRefusals; ++i) EXPECT_FALSE(refuse());
        breaker.answered(now);
    }
    EXPECT_EQ(breaker.times_held(), 0U);
}

TEST_F(BreakerTest, AfterThePauseASingleOneIsAsked) {
    refuse_in_a_row();
    now += 1s;
    EXPECT_EQ(breaker.open(now), 1U);
    EXPECT_TRUE(breaker.is_probing(now));
    breaker.answered(now);
    EXPECT_EQ(breaker.open(now), UINT32_MAX);
    EXPECT_FALSE(breaker.is_probing(now));
}

TEST_F(BreakerTest, EachProbeThatIsRefusedDoublesThePauseUpToAMinute) {
    refuse_in_a_row();
    for (const Duration expected :
         {Duration(2s), Duration(4s), Duration(8s), Duration(16s), Duration(32s), Duration(60s), Duration(60s)}) {
        now = breaker.held_until();
        EXPECT_TRUE(refuse());
        EXPECT_EQ(breaker.held_until() - now, expected);
    }
    now = breaker.held_until();
    breaker.answered(now);
    refuse_in_a_row();
    EXPECT_EQ(breaker.held_until() - now, 1s) << "an answer makes it a stranger again";
}

TEST_F(BreakerTest, WhatBeganBeforeThePauseSaysNothingAfterIt) {
    const Instant before = now;
    refuse_in_a_row();
    now += 500ms;
    EXPECT_FALSE(breaker.refused(now, before));
    EXPECT_EQ(breaker.held_until(), before + 1s) << "the pause is no longer than it was";
    breaker.answered(before);
    EXPECT_EQ(breaker.open(now), 0U) << "it had been asked when it still worked";
    now = breaker.held_until();
    EXPECT_FALSE(breaker.refused(now, before));
    EXPECT_EQ(breaker.open(now), 1U);
}

TEST_F(BreakerTest, ItIsLeftAloneForAsLongAsItAsksWithinBounds) {
    breaker.asked_to_wait(now, 7s);
    EXPECT_EQ(breaker.next_deadline(now), now + 7s);
    breaker.asked_to_wait(now, 2s);
    EXPECT_EQ(breaker.next_deadline(now), now + 7s) << "the longer wait counts";
    EXPECT_EQ(breaker.times_held(), 1U);
    now += 7s;
    EXPECT_EQ(breaker.open(now), 1U) << "not all that wait at once";
    breaker.asked_to_wait(now, 0s);
    EXPECT_EQ(breaker.next_deadline(now), now + Breaker::kShortestWait);
    now += 1s;
    breaker.asked_to_wait(now, 100h);
    EXPECT_EQ(breaker.next_deadline(now), now + Breaker::kLongestWait);
}

TEST_F(BreakerTest, WhatIsFromBeforeThePauseIsNoProbeAndDoesNotKeepOneFromBeginning) {
    const Instant before = now;
    for (int i = 0; i < 3; ++i) breaker.begins();
    breaker.ends(before);
    breaker.asked_to_wait(now, 7s);
    now += 7s;
    EXPECT_EQ(breaker.open(now), 3U) << "two that last, and the probe";
    breaker.begins();
    EXPECT_EQ(breaker.open(now), 3U);
    breaker.ends(before);
    EXPECT_EQ(breaker.open(now), 2U) << "the other, and the probe";
    breaker.ends(now);
    EXPECT_EQ(breaker.open(now), 2U) << "the probe was called home: the next may begin";
    breaker.begins();
    breaker.asked_to_wait(now, 7s);
    breaker.ends(now);
    now += 7s;
    EXPECT_EQ(breaker.open(now), 2U);
}

}  // namespace
}  // namespace curfew

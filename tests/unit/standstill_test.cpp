// When a supervisor that stands still is told to go on, and when it is killed.
#include "worker/handlers/standstill.h"

#include <gtest/gtest.h>

namespace curfew {
namespace {

using namespace std::chrono_literals;
using Act = Standstill::Act;

constexpr Instant kStart{1000s};

/// Looks whenever a look is due at a supervisor that does not go on, until it is killed. Returns
/// when that was.
Instant killed_at(Standstill& standstill, Instant give_up_at) {
    for (Instant now = standstill.next_look(); now < give_up_at; now = standstill.next_look()) {
        if (standstill.seen(now, true) == Act::kill) return now;
    }
    return kNever;
}

TEST(Standstill, OneThatIsStoppedIsToldToGoOnAtOnce) {
    Standstill standstill;
    EXPECT_EQ(standstill.seen(kStart, true), Act::go_on);
}

TEST(Standstill, OneThatIsStillStoppedASecondLaterIsKilled) {
    Standstill standstill;
    standstill.work_given(kStart, kNever, 60s);
    ASSERT_EQ(standstill.seen(kStart, true), Act::go_on);
    const Instant at = killed_at(standstill, kStart + 60s);
    EXPECT_GE(at, kStart + 1s);
    EXPECT_LE(at, kStart + 1200ms);
}

TEST(Standstill, OneThatWentOnHasASecondAnew) {
    Standstill standstill;
    ASSERT_EQ(standstill.seen(kStart, true), Act::go_on);
    ASSERT_EQ(standstill.seen(kStart + 100ms, false), Act::none);
    EXPECT_EQ(standstill.seen(kStart + 5s, true), Act::go_on);
}

TEST(Standstill, OneThatIsStoppedAgainAndAgainIsKilledHoweverOftenItWentOn) {
    Standstill standstill;
    standstill.work_given(kStart, kNever, 60s);
    int stops = 0;
    Instant now = kStart;
    for (Act act = Act::none; act != Act::kill && stops < 10'000; ++stops) {
        act = standstill.seen(now += 1ms, true);
        (void)standstill.seen(now += 1ms, false);
    }
    EXPECT_LE(stops, 200);
    standstill.work_given(now, kNever, 60s);
    EXPECT_EQ(standstill.seen(now, true), Act::go_on) << "the next work begins with a clean record";
}

TEST(Standstill, OneIsKilledWithinGraceAndASecondSinceThenItsWorkCountsAsUnkillable) {
    for (const Duration grace : {Duration(0ms), Duration(100ms), Duration(1s), Duration(10s)}) {
        Standstill told;
        told.work_given(kStart, kNever, grace);
        told.work_runs();
        ASSERT_EQ(told.seen(kStart + 49'950ms, false), Act::none);
        told.end_is_due(kStart + 50s, grace);
        EXPECT_LT(killed_at(told, kStart + 100s), kStart + 50s + grace + 900ms);

        Standstill late;
        late.work_given(kStart, kStart + 50s, grace);
        late.work_runs();
        ASSERT_EQ(late.seen(kStart + 49'950ms, false), Act::none);
        EXPECT_LT(killed_at(late, kStart + 100s), kStart + 50s + grace + 900ms) << "nobody told it to stop";
    }
}

TEST(Standstill, NobodyIsKilledForTheFirstSightOfItHoweverLate) {
    Standstill standstill;
    standstill.work_given(kStart, kStart + 1s, 1s);
    standstill.end_is_due(kStart + 1s, 1s);
    EXPECT_EQ(standstill.seen(kStart + 1000s, true), Act::go_on);
    EXPECT_EQ(standstill.seen(kStart + 1000s + 100ms, false), Act::none);
}

TEST(Standstill, ItIsLookedAtOnceASecondWhileItHasWorkAndAtOnceWhereAnAnswerIsOverdue) {
    Standstill standstill;
    EXPECT_EQ(standstill.next_look(), kNever);
    standstill.work_given(kStart, kStart + 50s, 1s);
    EXPECT_EQ(standstill.next_look(), kStart + 100ms) << "it may not have taken the work";
    ASSERT_EQ(standstill.seen(kStart + 100ms, false), Act::none);
    EXPECT_EQ(standstill.next_look(), kStart + 200ms);
    standstill.work_runs();
    ASSERT_EQ(standstill.seen(kStart + 200ms, false), Act::none);
    EXPECT_EQ(standstill.next_look(), kStart + 1200ms);
    ASSERT_EQ(standstill.seen(kStart + 49'500ms, false), Act::none);
    EXPECT_EQ(standstill.next_look(), kStart + 50s + 100ms) << "the deadline";
    standstill.end_is_due(kStart + 49'600ms, 1s);
    EXPECT_EQ(standstill.next_look(), kStart + 49'700ms);
    standstill.idle();
    EXPECT_EQ(standstill.next_look(), kNever);
    ASSERT_EQ(standstill.seen(kStart + 60s, true), Act::go_on);
    ASSERT_EQ(standstill.seen(standstill.next_look(), false), Act::none);
    EXPECT_EQ(standstill.next_look(), kNever);
}

}  // namespace
}  // namespace curfew

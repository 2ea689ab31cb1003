// The log of ends: who follows gets them once and in order, and a flood costs an allowance and no
// more.
#include "broker/end_log.h"

#include <gtest/gtest.h>

#include "tests/support/frames.h"

namespace curfew {
namespace {

using namespace std::chrono_literals;
using support::kStart;

class EndLogTest : public testing::Test {
protected:
    void end(End kind, AttemptNumber number = 1) {
        Attempt attempt;
        attempt.seq = 40 + number;
        attempt.started_at = now - 5ms;
        if (log.followed()) log.note({3, number}, attempt, kind, "w1", "no", "mine");
    }
    void pass(Duration time) { log.turn(now += time); }
    std::uint64_t begin() { return log.follow(now, {}).last; }

    EndLog log;
    Instant now = kStart;
};

TEST_F(EndLogTest, NobodyFollowsUntilSomebodyAsks) {
    EXPECT_FALSE(log.followed());
    EXPECT_TRUE(log.follow(now, {}).entries.empty());
    EXPECT_TRUE(log.followed());
}

TEST_F(EndLogTest, EachEndIsGivenOnceInOrder) {
    const std::uint64_t from = begin();
    end(End::won, 1);
    pass(1ms);
    end(End::late, 2);
    const EndLog::Part part = log.follow(now, from);
    ASSERT_EQ(part.entries.size(), 2U);
    EXPECT_EQ(part.entries[0].id, (AttemptId{3, 1}));
    EXPECT_EQ(part.entries[0].attempt.seq, 41U);
    EXPECT_EQ(part.entries[0].end, End::won);
    EXPECT_EQ(part.entries[0].worker, "w1");
    EXPECT_EQ(part.entries[0].error, "no");
    EXPECT_EQ(part.entries[0].task_id, "mine");
    EXPECT_EQ(part.entries[1].ended_at - part.entries[0].ended_at, 1ms);
    EXPECT_EQ(part.missed, 0U);
    EXPECT_TRUE(log.follow(now, part.last).entries.empty());
}

TEST_F(EndLogTest, ThePoolsOfSessionsAreKnownUntilNobodyFollows) {
    (void)begin();
    log.know_pools({{3, "fast"}});
    EXPECT_EQ(log.pool_of(3), "fast");
    EXPECT_EQ(log.pool_of(4), "");
    pass(EndLog::kPatience + 1ms);
    EXPECT_FALSE(log.followed());
    EXPECT_EQ(log.pool_of(3), "");
}

TEST_F(EndLogTest, TwoFollowersGetTheSame) {
    const std::uint64_t from = begin();
    end(End::won);
    EXPECT_EQ(log.follow(now, from).entries.size(), 1U);
    EXPECT_EQ(log.follow(now, from).entries.size(), 1U);
}

TEST_F(EndLogTest, AFloodIsSampledAndWhatIsLeftOutIsCounted) {
    const std::uint64_t from = begin();
    std::uint64_t ends = 0;
    for (int turn = 0; turn < 2000; ++turn) {  // two seconds, a million a second
        pass(1ms);
        for (int i = 0; i < 1000; ++i, ++ends) end(End::won);
        if (turn % 500 == 0) (void)log.follow(now, from);
    }
    const EndLog::Part part = log.follow(now, from);
    EXPECT_NEAR(static_cast<double>(part.entries.size()), 3 * EndLog::kASecond,
                3);  // its first allowance is a second's
    std::uint64_t counted = 0;
    for (const EndLog::Entry& entry : part.entries) counted += 1 + entry.left_out;
    EXPECT_LE(counted, ends);
    // Since the last entry: at most those of the five milliseconds between two
    EXPECT_GE(counted, ends - 6000);
}

TEST_F(EndLogTest, ARareKindIsNotLostAmongTheMany) {
    const std::uint64_t from = begin();
    for (int i = 0; i < 100'000; ++i) end(End::won);
    end(End::failed, 7);
    const EndLog::Part part = log.follow(now, from);
    EXPECT_EQ(part.entries.back().end, End::failed);
    EXPECT_EQ(part.entries.back().left_out, 0U);
}

TEST_F(EndLogTest, WhoAsksTooSeldomIsToldHowManyHeMissed) {
    const std::uint64_t from = begin();
    const int all = static_cast<int>(EndLog::kMost) + 100;
    for (int i = 0; i < all; ++i) {
        pass(20ms);
        if (i % 100 == 0) (void)log.follow(now, {});
        end(End::won, static_cast<AttemptNumber>(i + 1));
    }
    const EndLog::Part part = log.follow(now, from);
    EXPECT_EQ(part.entries.size(), EndLog::kMost);
    EXPECT_EQ(part.missed, 100U);
    EXPECT_EQ(part.entries.front().id.number, 101U);
}

TEST_F(EndLogTest, WithoutQuestionsItEndsAndForgets) {
    const std::uint64_t from = begin();
    end(End::won);
    pass(EndLog::kPatience + 1ms);
    EXPECT_FALSE(log.followed());
    end(End::won);
    const EndLog::Part part = log.follow(now, from);
    EXPECT_TRUE(part.entries.empty());
    EXPECT_EQ(part.missed, 2U) << "the one that had been noted, and the time without following";
}

TEST_F(EndLogTest, ANumberFromElsewhereGivesNothing) {
    begin();
    end(End::won);
    EXPECT_TRUE(log.follow(now, 1'000'000).entries.empty());
}

}  // namespace
}  // namespace curfew

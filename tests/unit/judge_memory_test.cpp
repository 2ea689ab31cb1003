// One epoch, two memories: what a collector has when its broker was another life, and what its sink
// remembers.
#include <gtest/gtest.h>

#include "collector/judge.h"
#include "tests/support/judge_bench.h"

namespace curfew {
namespace {

using support::report;

class JudgeMemory : public support::JudgeTest {
protected:
    /// The sync of a broker that has not met this collector; returns what is said to have.
    wire::Synced meet(Incarnation incarnation, std::uint64_t exchange = 2, const Intervals& settled = {},
                      Seq last = 100) {
        wire::Sync all;
        all.last = last;
        all.exchange = exchange;
        all.settled = settled;
        all.round = ++round_;
        sync(all, incarnation);
        return news.only<wire::Synced>();
    }
    /// The same of the broker that it has, which does not count what the collector knows.
    wire::Synced begin_anew(const Intervals& settled = {}, Seq last = 100) {
        wire::Sync unasked;
        unasked.round = ++round_;
        sync(unasked);  // it asks for it then
        return meet(1, 0, settled, last);
    }

private:
    std::uint64_t round_ = 0;
};

TEST_F(JudgeMemory, ABrokerThatStartsAgainIsToldWhatHasSettledAndWhatIsDecided) {
    EXPECT_TRUE(meet(1).settled.empty());
    hear(1, report(1, 10));
    (void)write_all();
    (void)flush();
    hear(1, report(2, 11));
    hear(1, report(3, 12, ReportKind::rejected));
    (void)flush();
    const wire::Synced synced = meet(2);
    EXPECT_EQ(synced.settled, (Intervals{{10, 10}}));
    EXPECT_EQ(synced.remembers, 0U);
    ASSERT_EQ(synced.decided.size(), 2U);
    EXPECT_EQ(synced.decided[0].seq, 11U);
    EXPECT_EQ(synced.decided[0].winner.session, 0U) << "sessions are numbered from 1 again";
    EXPECT_EQ(synced.decided[1].outcome, Outcome::failed);
}

TEST_F(JudgeMemory, OfWhatHasSettledANewBrokerIsToldHowManyDidNotComplete) {
    judge.remember({{.epoch = 1, .settled = {{1, 9}}, .not_completed = {{3, Outcome::expired}, {5, Outcome::failed}}}});
    EXPECT_EQ(meet(1).not_completed, 2U);
    hear(1, report(1, 10));
    hear(1, report(2, 11, ReportKind::rejected));
    (void)write_all();
    (void)flush();
    const wire::Synced synced = meet(2);
    EXPECT_EQ(synced.not_completed, 3U);
    EXPECT_TRUE(synced.decided.empty()) << "it has no task that they could end";
    EXPECT_EQ(meet(3, 1, {{1, 4}}).decided.size(), 3U) << "one that has tasks may not know how they ended";
}

TEST_F(JudgeMemory, WhatIsDecidedIsSaidThoughTheBrokerBelievesItSettled) {
    judge.remember({{.epoch = 1, .settled = {}, .not_completed = {}}});
    (void)meet(1);
    hear(1, report(1, 3));
    const wire::Synced synced = meet(2, 2, {{1, 4}});
    EXPECT_TRUE(synced.settled.empty()) << "the sink has lost it all";
    ASSERT_EQ(synced.decided.size(), 1U);
    EXPECT_EQ(synced.decided[0].seq, 3U);
}

TEST_F(JudgeMemory, ABrokerThatAsksIsToldWhichDidNotComplete) {
    judge.remember({{.epoch = 1, .settled = {{1, 9}}, .not_completed = {{3, Outcome::expired}, {5, Outcome::failed}}}});
    EXPECT_TRUE(meet(1, 2, {{1, 9}}).failed.empty());
    EXPECT_EQ(meet(2, 3, {{1, 9}}).failed, (Intervals{{3, 3}, {5, 5}}));
}

TEST_F(JudgeMemory, BehindThatAnswerTheSyncOfTheNextEpochIsTakenThoughNobodyAsked) {
    judge.remember({{.epoch = 1, .settled = {{1, 9}}, .not_completed = {{3, Outcome::failed}}}});
    (void)meet(1, 3, {{1, 9}});
    wire::Sync next;
    next.epoch = 5;
    next.exchange = 2;
    next.passed = {{1, 2}, {4, 9}};
    next.round = 2;
    sync(next, 1);
    EXPECT_EQ(news.only<wire::Synced>().settled, (Intervals{{1, 2}, {4, 9}}));
    EXPECT_EQ(judge.epoch(), 5U);
    next.round = 3;
    sync(next, 1);
    EXPECT_FALSE(judge.synced()) << "one, and no more";
}

TEST_F(JudgeMemory, WhatAnEarlierEpochHasSettledStaysSo) {
    judge.remember({{.epoch = 7, .settled = {{1, 9}}, .not_completed = {}}});
    wire::Sync all;
    all.exchange = 2;
    all.last = 100;
    all.passed = {{1, 4}, {6, 9}};
    all.round = 50;
    sync(all, 1);
    EXPECT_EQ(news.only<wire::Synced>().settled, (Intervals{{1, 4}, {6, 9}})) << "the sink has nothing of this epoch";
    hear(1, report(1, 6));
    hear(1, report(2, 5));
    EXPECT_EQ(written_seqs(), (std::vector<Seq>{5}));
}

TEST_F(JudgeMemory, WhatIsDecidedIsWrittenOnceWhateverTheNextBrokerDoes) {
    (void)meet(1);
    hear(1, report(1, 10));
    (void)meet(2);
    hear(1, report(1, 10));
    EXPECT_EQ(written_seqs(), (std::vector<Seq>{10}));
    EXPECT_EQ(flush().only<wire::Settled>().seqs, (Intervals{{10, 10}}));
    (void)meet(3, 2, {{10, 10}});
    hear(1, report(1, 10));
    EXPECT_TRUE(written_seqs().empty());
}

TEST_F(JudgeMemory, AnOutcomeThatIsWithTheSinkSettlesForTheNextBroker) {
    (void)meet(1);
    hear(1, report(1, 10));
    const OutcomeRecord* outcome = judge.next_outcome();
    ASSERT_NE(outcome, nullptr);
    const std::uint64_t handed_out = outcome->sync;
    (void)meet(2);
    judge.written(handed_out, 10);
    EXPECT_EQ(flush().only<wire::Settled>().seqs, (Intervals{{10, 10}}));
}

TEST_F(JudgeMemory, WhatTheBrokerHasAcknowledgedIsNotSaidAgain) {
    (void)meet(1);
    hear(1, report(1, 10));
    (void)write_all();
    (void)flush();
    hear_ping(stream_base(1) + 2);
    (void)flush();
    EXPECT_TRUE(meet(2, 2, {{10, 10}}).decided.empty());
}

TEST_F(JudgeMemory, DamageBeginsAnew) {
    (void)meet(1);
    hear(1, report(1, 10));
    const wire::Synced synced = begin_anew();
    EXPECT_TRUE(synced.decided.empty()) << "it may have been what was never given";
    hear(1, report(1, 10));
    EXPECT_EQ(written_seqs(), (std::vector<Seq>{10}));
}

TEST_F(JudgeMemory, AnotherEpochBeginsAnew) {
    (void)meet(1);
    hear(1, report(1, 10));
    wire::Sync other;
    other.epoch = 9;
    other.exchange = 2;
    other.round = 9;
    sync(other, 2);
    EXPECT_TRUE(news.only<wire::Synced>().decided.empty());
    EXPECT_TRUE(written_seqs().empty()) << "its number means another message";
}

TEST_F(JudgeMemory, TheSinksWordIsTheTruthForABrokerThatHasTakenNothing) {
    judge.remember({{.epoch = 1, .settled = {{1, 7}, {9, 9}}, .not_completed = {{3, Outcome::expired}}}});
    const wire::Synced synced = meet(1, 2, {{1, 8}});
    EXPECT_EQ(synced.remembers, 1U);
    EXPECT_EQ(synced.settled, (Intervals{{1, 7}, {9, 9}})) << "8 was lost with the power";
    hear(1, report(1, 8));
    hear(1, report(2, 9));
    EXPECT_EQ(written_seqs(), (std::vector<Seq>{8}));
}

TEST_F(JudgeMemory, TheSinksMemorySaysHowTheyEndedWhereTheBrokerMayNotKnow) {
    judge.remember({{.epoch = 1, .settled = {{1, 9}}, .not_completed = {{3, Outcome::expired}, {5, Outcome::failed}}}});
    const wire::Synced synced = meet(1, 1, {{1, 4}});
    ASSERT_EQ(synced.decided.size(), 1U);
    EXPECT_EQ(synced.decided[0].seq, 5U);
    EXPECT_EQ(synced.decided[0].outcome, Outcome::failed);
}

TEST_F(JudgeMemory, WhatTheSinkRemembersSurvivesDamage) {
    judge.remember({{.epoch = 1, .settled = {{1, 3}}, .not_completed = {}}});
    (void)meet(1);
    hear(1, report(1, 4, ReportKind::rejected));
    (void)write_all();
    const wire::Synced synced = begin_anew({{1, 3}});
    EXPECT_EQ(synced.settled, (Intervals{{1, 4}}));
    ASSERT_EQ(synced.decided.size(), 1U);
    EXPECT_EQ(synced.decided[0].outcome, Outcome::failed);
}

TEST_F(JudgeMemory, WhatWasReportedOfAMessageThatIsYetToComeIsForgottenWithTheDamage) {
    judge.remember({{.epoch = 1, .settled = {{1, 3}}, .not_completed = {}}});
    (void)meet(1);
    hear(1, report(1, 50));
    (void)write_all();
    EXPECT_EQ(begin_anew({{1, 3}}, 3).settled, (Intervals{{1, 3}}));
    hear(1, report(2, UINT64_MAX));
    EXPECT_EQ(judge.counts().malformed, 1U) << "the last number there is, which no set can go beyond";
}

TEST_F(JudgeMemory, OfTwoSinksCountsWhatTheyHaveOfTheBrokersEpoch) {
    judge.remember({{.epoch = 8, .settled = {{1, 9}}, .not_completed = {}},
                    {.epoch = 1, .settled = {{2, 2}}, .not_completed = {{2, Outcome::failed}}}});
    EXPECT_EQ(meet(1).settled, (Intervals{{2, 2}}));
}

}  // namespace
}  // namespace curfew

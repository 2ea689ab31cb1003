// A new collector and a new broker: the sync, what is refused afterwards, and news that are
// repeated.
#include <gtest/gtest.h>

#include "collector/judge.h"
#include "tests/support/judge_bench.h"

namespace curfew {
namespace {

using namespace std::chrono_literals;
using support::frame_of;
using support::kMe;
using support::report;
using support::Sent;
using wire::Kind;
using JudgeSync = support::JudgeTest;

TEST_F(JudgeSync, ItSaysHelloUntilTheSyncComesAndJudgesNothingBefore) {
    // Soon again at first, since the first may be lost; four times a heartbeat in the end.
    std::vector<Duration> pauses;
    for (int i = 0; i < 6; ++i) {
        EXPECT_EQ(flush().count<wire::CollectorHello>(), 1U);
        EXPECT_TRUE(flush().frames.empty());
        pauses.push_back(judge.next_deadline() - now);
        now = judge.next_deadline();
    }
    EXPECT_EQ(pauses, (std::vector<Duration>{15625us, 31250us, 62500us, 125ms, 250ms, 250ms}));
    now += 250ms;
    EXPECT_EQ(flush().count<wire::CollectorHello>(), 1U);
    hear(1, report(1, 10));
    EXPECT_EQ(judge.counts().refused, 1U);
    sync();
    EXPECT_EQ(news.count<wire::Synced>(), 1U);
    EXPECT_TRUE(judge.synced());
}

TEST_F(JudgeSync, WhatIsSettledIsNotJudgedAgain) {
    wire::Sync all;
    all.settled = {{1, 9}};
    sync(all);
    hear(1, report(1, 5));
    EXPECT_TRUE(write_all().empty());
    EXPECT_EQ(ends(End::late), 1U);
}

TEST_F(JudgeSync, ReportsOfAttemptsThatHadEndedAreOld) {
    wire::Sync all;
    all.sessions = {{1, "a", "cats", {{1, 3}}}};
    sync(all);
    hear(1, report(2, 10));
    EXPECT_TRUE(write_all().empty());
    EXPECT_EQ(judge.counts().duplicates, 1U);
}

TEST_F(JudgeSync, AWinnerWhoseReportWasLostIsAwaitedAndNobodyElseWins) {
    wire::Sync all;
    all.winners = {{10, {1, 4}}};
    sync(all);
    hear(2, report(1, 10, ReportKind::ok, "other"));
    EXPECT_EQ(ends(End::late), 1U);
    EXPECT_TRUE(write_all().empty());
    hear(1, report(4, 10, ReportKind::ok, "winner"));
    EXPECT_EQ(flush().count<wire::Decided>(), 0U) << "the broker knows";
    EXPECT_EQ(write_all().at(0).result.view(), "winner");
    EXPECT_EQ(flush().only<wire::Settled>().seqs, (Intervals{{10, 10}}));
}

TEST_F(JudgeSync, AnAwaitedWinnerThatHasNoResultAnyMoreIsReopened) {
    wire::Sync all;
    all.winners = {{10, {1, 4}}};
    sync(all);
    hear(1, report(4, 10, ReportKind::late));
    EXPECT_EQ(flush().only<wire::Ended>().end, End::late);
    hear(2, report(1, 10, ReportKind::ok, "other"));
    EXPECT_EQ(flush().only<wire::Decided>().session, 2U);
    EXPECT_EQ(write_all().at(0).result.view(), "other");
}

TEST_F(JudgeSync, AnAwaitedWinnerWhoseSessionIsGoneIsReopened) {
    wire::Sync all;
    all.winners = {{10, {1, 4}}, {11, {2, 1}}};
    sync(all);
    say(wire::SessionGone{1});
    EXPECT_EQ(flush().only<wire::Refused>().reopened, (Intervals{{10, 10}}));
    hear(2, report(2, 10, ReportKind::ok, "second try"));
    EXPECT_EQ(write_all().at(0).result.view(), "second try");
}

TEST_F(JudgeSync, ANewerBrokerIsSaidHelloAndTakenWhenItAnswersWithASync) {
    sync();
    judge.receive(now, frame_of({Kind::to_collector, 2, 0, 0, 0}, wire::BrokerPing{7}));
    const Sent sent = flush();
    EXPECT_EQ(sent.count<wire::CollectorHello>(), 1U);
    EXPECT_EQ(sent.frames.at(0).envelope.broker, 2U);
    EXPECT_TRUE(judge.synced()) << "one frame alone does not make it leave the old one";
    hear(1, report(1, 10));
    EXPECT_EQ(written_seqs(), std::vector<Seq>{10});
    wire::Sync fresh;
    fresh.epoch = 2;
    sync(fresh, 2);
    EXPECT_EQ(judge.broker(), 2U);
    EXPECT_EQ(news.count<wire::Synced>(), 1U);
}

TEST_F(JudgeSync, ANewerBrokerThatTakesItForItsPredecessorIsSaidHello) {
    sync();
    judge.receive(now, frame_of({Kind::to_collector, 2, kMe - 1, 0, 0}, wire::BrokerPing{7}));
    const Sent sent = flush();
    EXPECT_EQ(sent.count<wire::CollectorHello>(), 1U);
    EXPECT_EQ(sent.frames.at(0).envelope.broker, 2U);
    EXPECT_EQ(sent.frames.at(0).envelope.peer, kMe);
}

TEST_F(JudgeSync, AfterANewerBrokersSyncTheOlderIsRefused) {
    sync();
    wire::Sync fresh;
    fresh.epoch = 2;
    sync(fresh, 2);
    const auto refused = judge.counts().refused;
    broker = 1;
    say(wire::SessionGone{1});
    hear(1, report(2, 11));
    sync();
    EXPECT_EQ(judge.counts().refused, refused + 3);
    EXPECT_EQ(judge.broker(), 2U);
    EXPECT_TRUE(write_all().empty());
}

TEST_F(JudgeSync, ABrokerWithASmallerIncarnationIsTakenOnceTheOtherIsSilent) {
    sync({}, 5);
    const auto ping = frame_of({Kind::to_collector, 4, 0, 0, 0}, wire::BrokerPing{7});
    now += 2s - 1ns;
    judge.receive(now, ping);
    EXPECT_EQ(flush().count<wire::CollectorHello>(), 0U);
    now += 1ns;
    judge.receive(now, ping);
    const Sent sent = flush();
    EXPECT_EQ(sent.count<wire::CollectorHello>(), 1U);
    EXPECT_EQ(sent.frames.at(0).envelope.broker, 4U);
    wire::Sync fresh;
    fresh.epoch = 2;
    sync(fresh, 4);
    EXPECT_EQ(judge.broker(), 4U);
    hear(1, report(1, 10));
    EXPECT_EQ(written_seqs(), std::vector<Seq>{10});
}

TEST_F(JudgeSync, ACollectorWhoseIncarnationIsTooSmallTakesTheNextThatIsNot) {
    const auto ping = frame_of({Kind::to_collector, 1, kMe + 7, 0, 0}, wire::BrokerPing{7});
    judge.receive(now, ping);
    EXPECT_EQ(flush().frames.at(0).envelope.peer, kMe) << "it may be a turned bit";
    judge.receive(now, ping);
    const Incarnation raised = flush().frames.at(0).envelope.peer;
    EXPECT_GT(raised, kMe + 1'000'000) << "and those that were under way as it started";
    wire::Sync fresh;
    fresh.epoch = 1;
    judge.receive(now, frame_of({Kind::to_collector, 1, raised, 0, 0}, fresh));
    EXPECT_TRUE(judge.synced());
}

TEST_F(JudgeSync, ACollectorWhoseBrokerTookAnOldHelloForItsOwnBeginsAnew) {
    sync();
    hear(1, report(1, 10));
    const OutcomeRecord old = std::move(*judge.next_outcome());
    const auto ping = frame_of({Kind::to_collector, 1, kMe + 7, 0, 0}, wire::BrokerPing{1});
    judge.receive(now, ping);
    EXPECT_TRUE(judge.synced()) << "it may be a turned bit";
    judge.receive(now, ping);
    EXPECT_FALSE(judge.synced());
    const Sent sent = flush();
    EXPECT_EQ(sent.count<wire::CollectorHello>(), 1U);
    wire::Sync again;
    again.epoch = 1;
    again.winners = {{10, {1, 1}}};
    judge.receive(now, frame_of({Kind::to_collector, 1, sent.frames.at(0).envelope.peer, 0, 0}, again));
    EXPECT_TRUE(judge.synced());
    judge.written(old.sync, old.seq);
    EXPECT_EQ(flush().count<wire::Settled>(), 0U) << "the broker does not know it, and asks for the result again";
}

TEST_F(JudgeSync, ANewEpochForgetsWhatTheOldOneLeft) {
    sync();
    hear(1, report(1, 10));
    const OutcomeRecord old = std::move(*judge.next_outcome());
    hear(1, report(2, 11));
    wire::Sync fresh;
    fresh.epoch = 2;
    sync(fresh, 2);
    EXPECT_TRUE(write_all().empty());
    judge.written(old.sync, old.seq);
    EXPECT_EQ(flush().count<wire::Settled>(), 0U) << "written for a broker that is no more";
    hear(1, report(1, 10));
    EXPECT_EQ(written_seqs(), std::vector<Seq>{10});
}

TEST_F(JudgeSync, ASyncForAnotherLifeOfTheCollectorIsRefused) {
    judge.receive(now, frame_of({Kind::to_collector, 1, kMe - 1, 0, 0}, wire::Sync{1, {}, {}, {}}));
    EXPECT_FALSE(judge.synced());
    EXPECT_EQ(judge.counts().refused, 1U);
}

TEST_F(JudgeSync, NewsAreRepeatedUntilAcknowledged) {
    sync();
    hear(1, report(1, 10));
    const std::uint64_t number = flush().frames.at(0).envelope.number;
    hear_ping(number - 1);
    EXPECT_EQ(judge.next_deadline(), kNever) << "a broker that stands still has not read it yet";
    hear_ping(number - 1);
    now += 1s;
    EXPECT_EQ(judge.next_deadline(), now);
    EXPECT_EQ(flush().count<wire::Decided>(), 1U) << "sent again";
    hear_ping(number);
    EXPECT_EQ(judge.unacknowledged(), 0U);
    flush();
    now += 1h;
    EXPECT_TRUE(flush().frames.empty());
}

TEST_F(JudgeSync, APingIsAnsweredSoThatTheBrokerHearsItsCollector) {
    sync();
    flush();
    hear_ping(1);
    const Sent sent = flush();
    ASSERT_EQ(sent.frames.size(), 1U);
    EXPECT_EQ(sent.frames[0].envelope.number, 0U);
    EXPECT_TRUE(flush().frames.empty());
}

TEST_F(JudgeSync, ABatchOfTheBrokerIsTakenOnceAndAcknowledged) {
    sync();
    say(wire::Admit{3, "c", "p"});
    flush();
    --stream;
    say(wire::Admit{3, "c", "p"});
    const Sent sent = flush();
    EXPECT_EQ(sent.count<wire::Admitted>(), 0U);
    ASSERT_EQ(sent.frames.size(), 1U);
    EXPECT_EQ(sent.frames[0].envelope.acked, 1U);
    stream = 5;
    say(wire::SessionGone{3});
    EXPECT_EQ(flush().count<wire::Refused>(), 0U) << "some before it are missing";
}

TEST_F(JudgeSync, WhoIsGoneIsNotWaitedFor) {
    sync();
    const std::uint64_t synced = news.frames.at(0).envelope.number;
    EXPECT_TRUE(judge.waits_for_broker(now)) << "it has not acknowledged that the sync was taken over";
    hear_ping(synced);
    EXPECT_FALSE(judge.waits_for_broker(now));
    hear(1, report(1, 1));
    (void)flush();
    EXPECT_TRUE(judge.waits_for_broker(now)) << "of the decision";
    now += std::chrono::seconds(2);
    EXPECT_TRUE(judge.waits_for_broker(now));
    hear_ping(synced);
    now += std::chrono::seconds(2);
    EXPECT_TRUE(judge.waits_for_broker(now)) << "it lives";
    now += std::chrono::seconds(1);
    EXPECT_FALSE(judge.waits_for_broker(now)) << "silent for three heartbeats";
}

}  // namespace
}  // namespace curfew

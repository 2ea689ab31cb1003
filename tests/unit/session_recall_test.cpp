// A recall at the worker: what has not begun is returned, and the answer follows; the worker alone
// says what has begun.
#include <gtest/gtest.h>

#include "tests/support/worker_bench.h"

namespace curfew {
namespace {

using support::WorkerBench;
using namespace std::chrono_literals;

TEST(SessionRecall, WhatIsQueuedIsReturnedAndTheAnswerFollows) {
    WorkerBench bench;
    bench.task(1);
    bench.task(2);
    bench.turn();
    bench.control(wire::Recall{7, {{1, 2}}});
    bench.turn();
    EXPECT_EQ(bench.report().number, 2U);
    EXPECT_EQ(bench.report().kind, ReportKind::returned);
    EXPECT_EQ(bench.sent.only<wire::Answered>().round, 7U);
    EXPECT_EQ(bench.state(1), AttemptState::running) << "it has begun, so it stays";
    bench.end(0, Finish::ok, "answer");
    EXPECT_EQ(bench.handler.started.size(), 1U) << "what was returned is not started";
}

TEST(SessionRecall, OneThatComesBeforeItsTaskIsReturnedAndTheTaskIsADuplicate) {
    WorkerBench bench;
    bench.control(wire::Recall{1, {{5, 5}}});
    bench.turn();
    EXPECT_EQ(bench.report().seq, 0U);
    EXPECT_EQ(bench.report().kind, ReportKind::returned);
    bench.task(5);
    bench.turn();
    EXPECT_TRUE(bench.handler.started.empty());
    EXPECT_EQ(bench.worker.counts().duplicates, 1U);
}

TEST(SessionRecall, SaidTwiceItIsAnsweredTwiceAndReturnedOnce) {
    WorkerBench bench;
    bench.task(1);
    bench.task(2);
    bench.turn();
    bench.control(wire::Recall{1, {{2, 2}}});
    bench.turn();
    bench.control(wire::Recall{2, {{2, 2}}});
    bench.turn();
    EXPECT_EQ(bench.sent.count<wire::Report>(), 0U);
    EXPECT_EQ(bench.sent.only<wire::Answered>().round, 2U);
}

TEST(SessionRecall, EachHasItsAnswerSinceOneBeforeItMayHaveBeenLost) {
    WorkerBench bench;
    bench.control(wire::Recall{3, {{7, 7}}});
    bench.control(wire::Recall{5, {{8, 8}}});
    bench.turn();
    const auto answers = bench.sent.all<wire::Answered>();
    ASSERT_EQ(answers.size(), 2U);
    EXPECT_EQ(answers[0].round, 3U);
    EXPECT_EQ(answers[1].round, 5U);
}

TEST(SessionRecall, MoreNumbersThanItCanHoldAreRefused) {
    WorkerBench bench;
    bench.control(wire::Recall{1, {{1, 1'000'000'000}}});
    bench.turn();
    EXPECT_EQ(bench.worker.counts().malformed, 1U);
    EXPECT_EQ(bench.sent.count<wire::Answered>(), 0U);
}

TEST(SessionSlots, AreToldWhenTheyChangeAndThoseOfAnOlderSessionAreNotFree) {
    WorkerCore::Config config;
    config.slots = 2;
    WorkerBench bench(config);
    bench.task(1);
    bench.turn();
    bench.control(wire::Gone{});
    bench.meet_broker(1, 2);
    EXPECT_EQ(bench.sent_to_broker.only<wire::Heartbeat>().slots, 1U) << "one still stops the old session's work";
    bench.end(0, Finish::stopped);
    EXPECT_EQ(bench.sent_to_broker.only<wire::Heartbeat>().slots, 2U);
}

TEST(SessionSlots, NoneIsToldByAWorkerThatLeaves) {
    WorkerCore::Config config;
    config.slots = 2;
    WorkerBench bench(config);
    bench.task(1);
    bench.turn();
    bench.worker.leave(bench.now);
    bench.turn();
    EXPECT_EQ(bench.sent_to_broker.only<wire::Heartbeat>().slots, 0U) << "what came would only be returned";
}

TEST(SessionSlots, OverItsBudgetOfKeptResultsAWorkerHasOne) {
    WorkerCore::Config config;
    config.slots = 3;
    config.credit = 8;
    config.kept_bytes = 4;
    WorkerBench bench(config);
    for (AttemptNumber number = 1; number <= 3; ++number) bench.task(number);
    bench.turn();
    bench.end(0, Finish::ok, "12345");
    EXPECT_EQ(bench.sent_to_broker.only<wire::Heartbeat>().slots, 2U) << "those that are at work";
    bench.handler.end(1, Finish::ok, "x");
    bench.end(2, Finish::ok, "y");
    EXPECT_EQ(bench.sent_to_broker.only<wire::Heartbeat>().slots, 1U);
    bench.confirm(1);
    bench.turn();
    EXPECT_EQ(bench.sent_to_broker.only<wire::Heartbeat>().slots, 3U);
}

TEST(SessionSlots, TheFirstHeartbeatsComeSoonAgainSinceOneMayBeLost) {
    WorkerBench bench;
    int heartbeats = 0;
    const Instant end = bench.now + 500ms;
    while ((bench.now = bench.worker.next_deadline()) < end) {
        bench.turn();
        heartbeats += static_cast<int>(bench.sent_to_broker.count<wire::Heartbeat>());
    }
    EXPECT_GE(heartbeats, 4);
    EXPECT_LE(heartbeats, 6);
}

}  // namespace
}  // namespace curfew

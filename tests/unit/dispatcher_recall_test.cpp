// Nothing waits behind a busy slot while another is free: what stands is recalled, and placed anew
// as the same attempt.
#include <gtest/gtest.h>

#include "tests/support/broker_bench.h"

namespace curfew {
namespace {

using namespace std::chrono_literals;
using Numbers = std::vector<AttemptNumber>;

support::BrokerBench::Config raced(std::uint32_t fanout, std::uint32_t await_workers = 0) {
    support::BrokerBench::Config config;
    config.fanout = fanout;
    config.await_workers = await_workers;
    return config;
}
support::BrokerBench::Config alone(std::uint32_t await_workers = 0) {
    return raced(1, await_workers);
}

/// One slot each, and credit for four: three wait behind the first.
struct Bench : support::BrokerBench {
    explicit Bench(const Config& config = alone(), int workers = 2) : BrokerBench(config) {
        meet_collector();
        for (int i = 1; i <= workers; ++i) add_worker("w" + std::to_string(i));
    }
    [[nodiscard]] Numbers recalled(Session session) {
        Numbers all;
        for (const auto& recall : to_session[session].all<wire::Recall>()) {
            for (const AttemptNumber n : support::each_of(recall.numbers)) all.push_back(n);
        }
        return all;
    }
    void later(Duration duration) {
        now += duration;
        turn();
    }
    void say_returned(AttemptId id) { say(wire::Ended{id.session, End::cancelled, {{id.number, id.number}}, {}, 1}); }
};

/// Four tasks at the first worker, of which the first runs; then the second worker comes.
struct Stuck : Bench {
    explicit Stuck(const Config& config = alone()) : Bench(config, 1) {
        for (int i = 0; i < 4; ++i) accept();
        turn();
    }
    void add_free_worker() {
        other = add_worker("w2");
        turn();
    }
    Session other = 0;
};

TEST(DispatcherRecall, AFreeSlotGoesBeforeCreditElsewhere) {
    Bench bench;
    bench.accept();
    bench.accept();
    bench.turn();
    ASSERT_EQ(bench.tasks.size(), 2U);
    EXPECT_NE(bench.tasks[0].id.session, bench.tasks[1].id.session);
}

TEST(DispatcherRecall, WhatStandsIsRecalledForAFreeSlotTheOldestTaskFirst) {
    Stuck bench;
    bench.add_free_worker();
    EXPECT_EQ(bench.recalled(1), Numbers{}) << "not before it stands";
    bench.later(10ms);
    EXPECT_EQ(bench.recalled(1), Numbers{2}) << "one slot is free, and the first runs";
    bench.later(10ms);
    EXPECT_EQ(bench.recalled(1), Numbers{}) << "the slot is held for what comes back";
}

TEST(DispatcherRecall, WhatComesBackIsTheSameAttemptElsewhere) {
    Stuck bench;
    bench.add_free_worker();
    bench.later(10ms);
    bench.say_returned({1, 2});
    bench.turn();
    ASSERT_EQ(bench.tasks.size(), 1U);
    EXPECT_EQ(bench.tasks[0].id.session, bench.other);
    EXPECT_EQ(bench.tasks[0].seq, 2U);
    EXPECT_EQ(bench.tasks[0].record.ordinal, 1U);
    EXPECT_EQ(bench.tasks[0].record.attempts, 1U) << "started less moved";
    EXPECT_EQ(bench.books().moved, 1U);
    EXPECT_EQ(bench.books().of(End::cancelled), 1U);
    EXPECT_EQ(bench.books().started, 5U);
    EXPECT_TRUE(bench.books().balanced());
    EXPECT_EQ(bench.broker.hedging().took().count(), 0U) << "time in a queue teaches nothing";
    EXPECT_TRUE(bench.broker.ledger().task(2)->past->history.empty());
}

TEST(DispatcherRecall, ASlotThatIsHeldIsNotGivenToANewMessage) {
    Stuck bench;
    bench.add_free_worker();
    bench.later(10ms);
    EXPECT_FALSE(bench.broker.wants_message());
    bench.say(wire::Answered{1, 1});
    bench.later(1ms);
    EXPECT_EQ(bench.recalled(1), Numbers{1}) << "2 has begun after all, so the slot is not that of 1";
}

TEST(DispatcherRecall, AWorkerThatDoesNotAnswerIdlesNobody) {
    Stuck bench;
    bench.add_free_worker();
    bench.later(10ms);
    bench.later(50ms);
    EXPECT_TRUE(bench.broker.wants_message());
    EXPECT_EQ(bench.recalled(1), Numbers{2}) << "the same once more, and nothing else";
    bench.say_returned({1, 2});
    bench.turn();
    EXPECT_EQ(bench.tasks.at(0).id.session, bench.other) << "it still comes back";
}

TEST(DispatcherRecall, WhereTheWayRoundIsLongAnAnswerToAnyOfItsRoundsEndsIt) {
    Stuck bench;
    bench.add_free_worker();
    bench.later(10ms);
    const std::uint64_t first = bench.to_session[1].all<wire::Recall>().at(0).round;
    bench.later(50ms);
    bench.later(50ms);
    EXPECT_EQ(bench.to_session[1].all<wire::Recall>().at(0).round, first + 2);
    bench.say(wire::Answered{1, first});
    bench.later(1ms);
    EXPECT_FALSE(bench.broker.ledger().session(1)->open.find(2)->recalled);
    EXPECT_EQ(bench.recalled(1), Numbers{1}) << "2 has begun";
}

TEST(DispatcherRecall, TwoRoundsOfTheTokenWithoutAnAnswerEndIt) {
    Stuck bench;
    bench.add_free_worker();
    bench.later(10ms);
    for (int round = 0; round < 2; ++round) {
        EXPECT_TRUE(bench.broker.ledger().session(1)->open.find(2)->recalled);
        bench.pass(1s);
        wire::TokenReport token;
        token.session = 1;
        token.queued = {{2, 4}};
        token.running = {{1, 1}};
        bench.answer_token(token);
        bench.turn();
    }
    EXPECT_EQ(bench.recalled(1), Numbers{2}) << "begun anew";
    EXPECT_EQ(bench.worker(bench.other).reserved, 1U);
}

TEST(DispatcherRecall, QuickWorkThatMovesTakesWhatStandsThoughItsSlotsAreNeverFree) {
    Stuck bench;
    bench.other = bench.add_worker("w2", {.credit = 100});
    for (int i = 0; i < 90; ++i) bench.accept();  // the source goes on and on
    bench.turn();
    Numbers recalled;
    for (Seq seq = 5; recalled.empty() && seq < 50; ++seq) {
        bench.win({{bench.other, seq - 4}, seq, {}});
        bench.later(1ms);
        recalled = bench.recalled(1);
    }
    EXPECT_EQ(recalled, (Numbers{1, 2, 3, 4})) << "as many as may be sent ahead; which has begun the worker says";
    EXPECT_EQ(bench.worker(bench.other).reserved, 0U) << "and new messages go on there";
    bench.say_returned({1, 2});
    bench.turn();
    ASSERT_EQ(bench.tasks.size(), 1U);
    EXPECT_EQ(bench.tasks[0].id.session, bench.other);
}

TEST(DispatcherRecall, SlowWorkOfALargeCreditIsNoPlaceForWhatStands) {
    Stuck bench;
    bench.other = bench.add_worker("w2", {.credit = 100});
    for (int i = 0; i < 20; ++i) bench.accept();
    bench.turn();
    for (Seq seq = 5; seq < 15; ++seq) {
        bench.win({{bench.other, seq - 4}, seq, {}});
        bench.later(500ms);
        bench.heartbeats();
        EXPECT_EQ(bench.recalled(1), Numbers{});
    }
}

TEST(DispatcherRecall, OfTwoThatCameBackTheFirstIsTheFirstAgain) {
    Stuck bench(raced(2));
    bench.add_free_worker();
    const auto& open = bench.broker.ledger().task(1)->alive;
    const std::vector<AttemptId> both(open.begin(), open.end());
    ASSERT_EQ(both.size(), 2U);
    for (const AttemptId id : both) bench.say_returned(id);
    bench.broker.turn(bench.now);
    EXPECT_LE(bench.broker.ledger().task(1)->started, 2U);
    for (const AttemptId id : bench.broker.ledger().task(1)->alive) {
        const Attempt& attempt = *bench.broker.ledger().session(id.session)->open.find(id.number);
        EXPECT_LE(attempt.ordinal, bench.broker.ledger().task(1)->started);
    }
}

TEST(DispatcherRecall, ItsSessionsEndLetsTheSlotGo) {
    Stuck bench;
    bench.add_free_worker();
    bench.later(10ms);
    EXPECT_EQ(bench.worker(bench.other).reserved, 1U);
    bench.bury("w1", 1);
    EXPECT_EQ(bench.worker(bench.other).reserved, 0U);
}

TEST(DispatcherRecall, ANewCollectorEndsIt) {
    Stuck bench;
    bench.add_free_worker();
    bench.later(10ms);
    bench.collector = 51;
    bench.hear_collector_hellos();
    EXPECT_EQ(bench.worker(bench.other).reserved, 0U);
}

TEST(DispatcherRecall, OnlyWhatTheFreeSlotMayRunIsRecalled) {
    Stuck bench(raced(2));
    bench.add_free_worker();
    bench.turn();  // the second attempts of the first tasks fill it
    bench.later(10ms);
    EXPECT_EQ(bench.recalled(1), Numbers{}) << "each of its tasks has an attempt there, or the slot is busy";
    EXPECT_EQ(bench.recalled(bench.other), Numbers{});
}

TEST(DispatcherRecall, WorkThatEndsMeansThatNothingStands) {
    Stuck bench;
    bench.now += 9ms;
    bench.win({{1, 1}, 1, {}});
    bench.add_free_worker();
    bench.later(9ms);
    EXPECT_EQ(bench.recalled(1), Numbers{});
    bench.later(1ms);
    EXPECT_EQ(bench.recalled(1), Numbers{3});
}

TEST(DispatcherRecall, NothingIsSentAheadToWhoStandsUntilWorkEndsThere) {
    Stuck bench;
    bench.later(10ms);
    EXPECT_TRUE(bench.worker(1).standing);
    EXPECT_FALSE(bench.broker.wants_message());
    bench.win({{1, 1}, 1, {}});
    bench.turn();
    EXPECT_FALSE(bench.worker(1).standing);
    EXPECT_TRUE(bench.broker.wants_message());
}

TEST(DispatcherRecall, WhatIsDecidedOrCalledHomeIsNotRecalled) {
    Stuck bench;
    (void)bench.broker.cancel_task(bench.now, 2);
    bench.add_free_worker();
    bench.later(10ms);
    EXPECT_EQ(bench.recalled(1), Numbers{3});
}

TEST(DispatcherRecall, NoHedgeStartsWhileAllAttemptsAreUnderRecallAndItsTimeBeginsAnew) {
    support::BrokerBench::Config config;
    config.hedging.delay = Hedging::Config::Delay::fixed;
    config.hedging.fixed = 20ms;
    Stuck bench(config);
    bench.add_free_worker();
    bench.add_worker("w3");
    bench.later(10ms);
    EXPECT_EQ(bench.recalled(1), (Numbers{2, 3}));
    bench.later(10ms);
    for (const auto& task : bench.tasks) EXPECT_TRUE(task.seq == 1 || task.seq == 4);
    bench.say_returned({1, 2});
    bench.turn();
    const auto again = std::ranges::find(bench.tasks, Seq{2}, &support::BrokerBench::SentTask::seq);
    ASSERT_NE(again, bench.tasks.end());
    EXPECT_EQ(bench.broker.ledger().task(2)->hedge_at, bench.now + 20ms);
    EXPECT_FALSE(bench.broker.ledger().session(again->id.session)->open.find(again->id.number)->hedge);
}

TEST(DispatcherRecall, AWorkerThatDoesNotKnowRecallIsLeftAlone) {
    Stuck bench;
    const_cast<WorkerSession&>(bench.worker(1)).knows_recall = false;
    bench.add_free_worker();
    bench.later(10ms);
    EXPECT_EQ(bench.recalled(1), Numbers{});
}

// ---- the start ---------------------------------------------------------------------------------

TEST(DispatcherGathering, MessagesAreTakenWhenTheWorkersAreReady) {
    Bench bench(alone(3), 2);
    EXPECT_FALSE(bench.broker.wants_message());
    bench.add_worker("w3");
    EXPECT_TRUE(bench.broker.wants_message());
}

TEST(DispatcherGathering, OrHalfASecondAfterTheFirstOfThem) {
    Bench bench(alone(3), 1);
    bench.later(499ms);
    EXPECT_FALSE(bench.broker.wants_message());
    EXPECT_LE(bench.broker.next_deadline(), bench.now + 1ms);
    bench.later(1ms);
    EXPECT_TRUE(bench.broker.wants_message());
}

}  // namespace
}  // namespace curfew

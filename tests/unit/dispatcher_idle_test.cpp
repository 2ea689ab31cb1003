// `--hedge idle`: hedges start where a slot is free and nothing waits for one, and make room for
// what does.
#include <gtest/gtest.h>

#include "tests/support/broker_bench.h"

namespace curfew {
namespace {

using namespace std::chrono_literals;
using Sessions = std::vector<Session>;

struct Bench : support::BrokerBench {
    explicit Bench(std::uint32_t fanout = 2, const std::vector<support::WorkerShape>& workers = {{}, {}})
        : BrokerBench(idle(fanout)) {
        meet_collector();
        for (std::size_t i = 0; i < workers.size(); ++i) add_worker("w" + std::to_string(i + 1), workers[i]);
    }
    static Config idle(std::uint32_t fanout) {
        Config config;
        config.fanout = fanout;
        config.attempts = 2;
        config.hedging.delay = Hedging::Config::Delay::idle;
        return config;
    }
    [[nodiscard]] bool is_hedge(const SentTask& task) const {
        return broker.ledger().session(task.id.session)->open.find(task.id.number)->hedge;
    }
    /// The tasks of the hedges of the last turn.
    [[nodiscard]] std::vector<Seq> hedged() const {
        std::vector<Seq> all;
        for (const SentTask& task : tasks) {
            if (is_hedge(task)) all.push_back(task.seq);
        }
        return all;
    }
    void say_slots(Session session, std::uint32_t slots) {
        wire::Heartbeat heartbeat;
        heartbeat.slots = slots;
        broker.receive(now, support::frame_of({wire::Kind::life, config().incarnation, session, 0, 0}, heartbeat));
    }
    [[nodiscard]] const Config& config() const { return broker.config(); }
};

TEST(DispatcherIdle, AHedgeStartsAtOnceWhereASlotIsFree) {
    Bench bench;
    bench.start();
    ASSERT_EQ(bench.tasks.size(), 2U);
    EXPECT_NE(bench.tasks[0].id.session, bench.tasks[1].id.session);
    EXPECT_EQ(bench.hedged(), std::vector<Seq>{1});
    EXPECT_EQ(bench.broker.hedging().counts().sent, 1U);
}

TEST(DispatcherIdle, NewMessagesComeFirst) {
    Bench bench;
    bench.accept();
    bench.accept();
    bench.turn();
    EXPECT_EQ(bench.tasks.size(), 2U);
    EXPECT_EQ(bench.hedged(), std::vector<Seq>{});
}

TEST(DispatcherIdle, TheSlotThatBecomesFreeGoesToTheOldestWithTheFewestAttempts) {
    Bench bench(3, {{}, {}, {}, {}, {}});
    for (int i = 0; i < 4; ++i) bench.accept();
    bench.turn();
    EXPECT_EQ(bench.hedged(), std::vector<Seq>{1}) << "four tasks and five slots";
    const auto fourth = std::ranges::find(bench.tasks, Seq{4}, &support::BrokerBench::SentTask::seq);
    ASSERT_NE(fourth, bench.tasks.end());
    bench.win(*fourth);
    bench.turn();
    EXPECT_EQ(bench.hedged(), std::vector<Seq>{2}) << "1 has two already";
}

TEST(DispatcherIdle, NoMoreAreAliveThanTheFanout) {
    Bench bench(2, {{}, {}, {}});
    bench.start();
    EXPECT_EQ(bench.tasks.size(), 2U);
    bench.turn();
    EXPECT_EQ(bench.tasks.size(), 0U);
}

TEST(DispatcherIdle, NoneStartsWhileSomethingWaitsBehindASlot) {
    Bench bench(2, {{.credit = 2}, {.credit = 1}});
    for (int i = 0; i < 3; ++i) bench.accept();
    bench.turn();
    ASSERT_EQ(bench.tasks.size(), 3U);
    const auto second = std::ranges::find(bench.tasks, Session{2}, [](const auto& task) { return task.id.session; });
    bench.win(*second);
    bench.turn();
    EXPECT_EQ(bench.hedged(), std::vector<Seq>{}) << "one waits at the first worker, and will be fetched";
}

TEST(DispatcherIdle, ItNeverGoesWhereTheTaskHasFailed) {
    Bench bench(2, {{}, {}});
    bench.start();
    ASSERT_EQ(bench.tasks.size(), 2U);
    const AttemptId hedge = bench.tasks[1].id;
    bench.say_ended(hedge, End::failed, "no");
    bench.turn();
    EXPECT_EQ(bench.tasks.size(), 0U) << "the other worker has it, and this one has failed";
    const Session third = bench.add_worker("w3");
    bench.turn();
    EXPECT_EQ(bench.broker.ledger().task(1)->alive.back().session, third);
}

TEST(DispatcherIdle, AfterALossTheTaskIsHedgedAgain) {
    Bench bench(2, {{}, {}, {}});
    bench.start();
    ASSERT_EQ(bench.tasks.size(), 2U);
    bench.bury("w2", 2);
    bench.turn();
    const auto& alive = bench.broker.ledger().task(1)->alive;
    ASSERT_EQ(alive.size(), 2U);
    EXPECT_EQ(alive.back().session, 3U);
}

TEST(DispatcherIdle, AWorkerThatTakesSeveralTogetherGetsOneMoreWhereNoOtherHasASlot) {
    Bench bench(2, {});
    bench.hello_of("many", {.credit = 8, .slots = 4}, 7, 1, [](wire::Hello& hello) { hello.together = 4; });
    bench.say(wire::Admitted{1});
    bench.heartbeat(1);
    bench.turn();
    bench.start();
    EXPECT_EQ(bench.tasks.size(), 2U);
    EXPECT_EQ(bench.hedged(), std::vector<Seq>{1});
}

/// The hedge is at a worker whose only slot goes out of service before it has begun.
TEST(DispatcherIdle, OneThatWaitsForASlotIsCalledBackThoughNoneIsFree) {
    Bench bench;
    bench.start();
    const AttemptId hedge = bench.tasks[1].id;
    bench.say_slots(hedge.session, 0);
    bench.turn();
    EXPECT_EQ(bench.to_session[hedge.session].all<wire::Recall>().size(), 1U);
}

TEST(DispatcherIdle, WhatComesBackWaitsUntilASlotIsIdleAndIsTheSameAttempt) {
    Bench bench;
    bench.start();
    const AttemptId hedge = bench.tasks[1].id;
    bench.say_slots(hedge.session, 0);
    bench.say(wire::Ended{hedge.session, End::cancelled, {{hedge.number, hedge.number}}, {}, 1});
    bench.turn();
    EXPECT_EQ(bench.tasks.size(), 0U);
    EXPECT_EQ(bench.broker.ledger().task(1)->released, 1U) << "nothing of it is due";
    bench.say_slots(hedge.session, 1);
    bench.turn();
    ASSERT_EQ(bench.tasks.size(), 1U);
    EXPECT_EQ(bench.tasks[0].record.ordinal, 2U);
    EXPECT_TRUE(bench.is_hedge(bench.tasks[0]));
    EXPECT_EQ(bench.broker.hedging().counts().sent, 1U);
    EXPECT_EQ(bench.books().moved, 1U);
}

TEST(DispatcherIdle, ItsWinIsCounted) {
    Bench bench;
    bench.start();
    bench.win(bench.tasks[1]);
    bench.turn();
    EXPECT_EQ(bench.broker.hedging().counts().won, 1U);
    EXPECT_EQ(bench.books().of(Outcome::completed), 1U);
}

}  // namespace
}  // namespace curfew

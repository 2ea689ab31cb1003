// What a sender may say of its message: its own deadline, properties that travel with it, that it
// is to run alone; and a source that takes its messages back.
#include <gtest/gtest.h>

#include "broker/dispatcher.h"
#include "tests/support/broker_bench.h"

namespace curfew {
namespace {

using namespace std::chrono_literals;

struct SenderTest : ::testing::Test {
    static Dispatcher::Config raced() {
        Dispatcher::Config config;
        config.fanout = 3;
        config.attempts = 3;
        return config;
    }
    void meet(support::BrokerBench& bench) {
        bench.meet_collector();
        for (int i = 1; i <= 3; ++i) bench.add_worker("w" + std::to_string(i));
    }
    Seq accept(support::BrokerBench& bench, const Incoming& message) {
        const Seq seq = bench.broker.accept(bench.now, message);
        bench.turn();
        return seq;
    }
};

TEST_F(SenderTest, PropertiesGoToTheWorkersAndWithAVerdict) {
    support::BrokerBench bench(raced());
    meet(bench);
    const Seq seq = accept(bench, {.payload = "m", .id = "i", .properties = "p"});
    ASSERT_EQ(bench.tasks.size(), 3U) << "a race, though it is written for each";
    for (const auto& task : bench.tasks) EXPECT_EQ(task.record.properties, "p");
    EXPECT_TRUE(bench.broker.cancel_task(bench.now, seq));
    bench.turn();
    const auto verdict = bench.control.only<wire::Verdict>();
    EXPECT_EQ(verdict.properties, "p");
    EXPECT_EQ(verdict.unsaid, 0U);
}

TEST_F(SenderTest, TheShorterDeadlineCounts) {
    support::BrokerBench bench(raced());
    meet(bench);
    accept(bench, {.payload = "m", .left = 2s});
    ASSERT_EQ(bench.tasks.size(), 3U);
    EXPECT_EQ(bench.tasks[0].record.left_us, 2'000'000);
    accept(bench, {.payload = "m", .left = 2h});
    EXPECT_EQ(bench.tasks[0].record.left_us, 30'000'000);
}

TEST_F(SenderTest, WhoseDeadlineItWasIsSaid) {
    Dispatcher::Config config = raced();
    config.past_deadline = "past ours";
    support::BrokerBench bench(config);
    bench.meet_collector();  // and no worker: nothing is to be called home
    const auto said_after = [&](Duration left) {
        bench.broker.accept(bench.now, {.payload = "m", .left = left});
        bench.pass(31s);
        return std::string(bench.control.only<wire::Verdict>().error);
    };
    EXPECT_EQ(said_after(1500ms), "deadline exceeded: 1500ms, the message's own");
    EXPECT_EQ(said_after(2h), "past ours");
}

TEST_F(SenderTest, OneThatIsToRunAloneHasOneAttemptAtATime) {
    support::BrokerBench bench(raced());
    meet(bench);
    const Seq seq = accept(bench, {.payload = "m", .alone = true});
    ASSERT_EQ(bench.tasks.size(), 1U);
    const support::BrokerBench::SentTask first = bench.tasks[0];
    bench.say_ended(first.id, End::failed, "no");
    bench.turn();
    ASSERT_EQ(bench.tasks.size(), 1U) << "another takes its place";
    EXPECT_NE(bench.tasks[0].id.session, first.id.session);
    EXPECT_EQ(bench.broker.ledger().task(seq)->alive.size(), 1U);
}

TEST_F(SenderTest, OneThatIsToRunAloneIsNotHedged) {
    Dispatcher::Config config = raced();
    config.hedging.delay = Hedging::Config::Delay::fixed;
    config.hedging.fixed = 10ms;
    support::BrokerBench bench(config);
    meet(bench);
    accept(bench, {.payload = "m", .alone = true});
    bench.pass(1s);
    EXPECT_TRUE(bench.tasks.empty());
    accept(bench, {.payload = "m"});
    bench.pass(1s);
    EXPECT_FALSE(bench.tasks.empty()) << "as any other is";
}

TEST_F(SenderTest, WhatIsTakenBackEndsAndNobodyHearsOfIt) {
    support::BrokerBench bench(raced());
    meet(bench);
    const Seq tagged = accept(bench, {.payload = "m", .tag = 7});
    const Seq other = accept(bench, {.payload = "m"});
    const auto decided = accept(bench, {.payload = "m", .tag = 8});
    bench.say_decided(decided, bench.tasks[0].id);
    EXPECT_EQ(bench.broker.abandon_all(bench.now), std::vector<std::uint64_t>{7});
    bench.turn();
    const auto verdict = bench.control.only<wire::Verdict>();
    EXPECT_EQ(verdict.seq, tagged);
    EXPECT_EQ(verdict.outcome, Outcome::cancelled);
    EXPECT_EQ(verdict.unsaid, 1U);
    EXPECT_TRUE(bench.in_flight(other));
}

TEST_F(SenderTest, RoomIsWhatTheWorkersCanHaveInHand) {
    Dispatcher::Config config = raced();
    config.window = 10;
    support::BrokerBench bench(config);
    bench.meet_collector();
    EXPECT_EQ(bench.broker.room(), 0U) << "no worker yet";
    bench.add_worker("w1", {.credit = 4, .slots = 4});
    EXPECT_EQ(bench.broker.room(), 2U) << "of a race of three, rounded up";
    bench.add_worker("w2", {.credit = 400, .slots = 4});
    EXPECT_EQ(bench.broker.room(), 10U) << "the window at most";
    bench.broker.pause(true);
    EXPECT_EQ(bench.broker.room(), 0U);
    bench.broker.pause(false);
    bench.broker.end_intake();
    EXPECT_EQ(bench.broker.room(), 0U);
}

}  // namespace
}  // namespace curfew

// The credit of a worker that may adapt it: what its slots do in a few milliseconds, told by the
// heartbeat.
#include <gtest/gtest.h>

#include "tests/support/worker_bench.h"

namespace curfew {
namespace {

using namespace std::chrono_literals;

class CreditBench : public support::WorkerBench {
public:
    explicit CreditBench(std::uint32_t most) : support::WorkerBench(config(most)) {}

    /// Each slot works on one task after the other, for so long each; returns the credit that was
    /// told last, 0: none.
    std::uint32_t work(Duration each, int tasks) {
        std::uint32_t told = 0;
        for (int i = 0; i < tasks; ++i) {
            task(++number_);
            task(++number_);
            turn();
            now += each;
            ping();
            handler.end(0, Finish::ok);
            handler.end(1, Finish::ok);
            turn();
            for (const auto& heartbeat : sent_to_broker.all<wire::Heartbeat>()) told = heartbeat.credit;
            control(wire::Confirm{{{1, number_}}});
        }
        return told;
    }

private:
    static WorkerCore::Config config(std::uint32_t most) {
        WorkerCore::Config config;
        config.slots = 2;
        config.credit = 4;
        config.most_credit = most;
        return config;
    }
    AttemptNumber number_ = 0;
};

TEST(Credit, SlowWorkIsNotHoarded) {
    CreditBench bench(1000);
    EXPECT_EQ(bench.work(200ms, 10), 2U) << "its slots, and nothing ahead";
    EXPECT_EQ(bench.worker.credit(), 2U);
    EXPECT_EQ(bench.work(26ms, 50), 2U);
}

TEST(Credit, WorkOfSomeMillisecondsHasTheNextAttemptBesideIt) {
    CreditBench bench(1000);
    EXPECT_EQ(bench.work(20ms, 50), 3U) << "one more than there are slots";
}

TEST(Credit, QuickWorkIsSentAhead) {
    CreditBench bench(1000);
    EXPECT_EQ(bench.work(100us, 3000), 102U) << "what two slots do in 5 ms, and those that run";
}

TEST(Credit, ItFollowsTheWork) {
    CreditBench bench(1000);
    bench.work(100us, 3000);
    EXPECT_EQ(bench.work(200ms, 10), 2U);
    EXPECT_EQ(bench.work(100us, 3000), 102U);
}

TEST(Credit, ItNeverExceedsItsMost) {
    CreditBench bench(50);
    EXPECT_EQ(bench.work(1us, 300'000), 50U);
}

TEST(Credit, OneThatWasSaidStays) {
    CreditBench bench(0);
    bench.work(1us, 200'000);
    EXPECT_EQ(bench.worker.credit(), 4U);
    EXPECT_EQ(bench.work(200ms, 10), 4U);
}

// ---- a service that asks for a pause, or is tried again ----------------------------------------

class ProbeTest : public testing::Test {
protected:
    ProbeTest() : bench(config()) { bench.pass(1s); }

    static WorkerCore::Config config() {
        WorkerCore::Config config;
        config.slots = 4;
        config.credit = 100;
        return config;
    }
    wire::Heartbeat told() {
        bench.turn();
        return bench.sent_to_broker.only<wire::Heartbeat>();
    }

    support::WorkerBench bench;
};

TEST_F(ProbeTest, NothingIsSentAheadToAProbe) {
    bench.handler.open = 1;
    const wire::Heartbeat probing = told();
    EXPECT_EQ(probing.slots, 1U);
    EXPECT_EQ(probing.credit, 1U) << "it would only come back";
    bench.handler.open = UINT32_MAX;
    const wire::Heartbeat healthy = told();
    EXPECT_EQ(healthy.slots, 4U);
    EXPECT_EQ(healthy.credit, 100U);
}

TEST_F(ProbeTest, WhatIsFromBeforeThePauseGoesOnBesideIt) {
    bench.task(1);
    bench.task(2);
    bench.turn();
    bench.handler.open = 0;
    EXPECT_EQ(told().slots, 0U);
    bench.handler.open = 3;
    EXPECT_EQ(told().slots, 3U) << "two that run, and the probe";
    bench.task(3);
    bench.task(4);
    bench.turn();
    EXPECT_EQ(bench.handler.running.size(), 3U);
    EXPECT_EQ(bench.state(4), AttemptState::queued);
}

TEST_F(ProbeTest, ASlotThatIsOutOfServiceIsNotOfferedForIt) {
    bench.task(1);
    bench.turn();
    bench.cancel(1, CancelReason::decided);
    bench.pass(3s);
    ASSERT_TRUE(bench.worker.slots()[bench.handler.started.front().slot].out_of_service);
    bench.handler.open = 1;
    EXPECT_EQ(told().slots, 0U) << "it is busy, and nobody knows for how long";
    bench.handler.open = 2;
    EXPECT_EQ(told().slots, 1U);
    bench.task(2);
    bench.turn();
    EXPECT_EQ(bench.handler.running.size(), 2U);
}

}  // namespace
}  // namespace curfew

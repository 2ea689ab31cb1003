// Poison: which deaths of workers count against a task, and which do not.
#include <gtest/gtest.h>

#include "broker/dispatcher.h"
#include "tests/support/broker_bench.h"

namespace curfew {
namespace {

using namespace std::chrono_literals;

Dispatcher::Config lone(std::uint32_t poison) {
    Dispatcher::Config config;
    config.fanout = 1;
    config.poison = poison;
    return config;
}

struct Bench : support::BrokerBench {
    explicit Bench(const Config& config) : BrokerBench(config) { meet_collector(); }
};

TEST(DispatcherPoison, ATaskThatRanInPoisonWorkersWhenTheyDiedIsGivenUp) {
    Dispatcher::Config config = lone(3);
    config.attempts = 99;
    Bench bench(config);
    for (int i = 1; i <= 3; ++i) bench.add_worker("w" + std::to_string(i));
    bench.start();
    for (int death = 1; death <= 3; ++death) {
        ASSERT_EQ(bench.tasks.size(), 1U);
        const Session session = bench.tasks[0].id.session;
        bench.bury("w" + std::to_string(session), session);
    }
    const auto verdict = bench.control.only<wire::Verdict>();
    EXPECT_EQ(verdict.outcome, Outcome::failed);
    EXPECT_EQ(verdict.history.size(), 3U);
    EXPECT_EQ(verdict.history[0].end, End::lost);
}

TEST(DispatcherPoison, WithoutACollectorADeathBlamesNobody) {
    Bench bench(lone(1));
    bench.add_worker("w");
    const Seq seq = bench.start();
    bench.broker.worker_died(bench.now, "w", 1000);
    bench.turn();
    bench.meet_collector(51);  // the old one died first, and with it what the worker had reported
    EXPECT_EQ(bench.broker.ledger().task(seq)->state, TaskState::open);
}

TEST(DispatcherPoison, AWorkerThatEndsWithCode0InTheMiddleOfItsWorkCountsAsPoisoned) {
    Bench bench(lone(1));
    bench.add_worker("w");
    const Seq seq = bench.start();
    bench.broker.worker_left(bench.now, "w", 1000);
    bench.turn();
    bench.say(wire::Refused{1, {}});
    EXPECT_EQ(bench.broker.ledger().task(seq)->state, TaskState::giving_up);
    bench.turn();
    EXPECT_EQ(bench.control.only<wire::Verdict>().history.at(0).error, "its worker left");
}

TEST(DispatcherPoison, ATaskThatWasOnlyQueuedWhenItsWorkerDiedIsNotPoisoned) {
    Bench bench(lone(1));
    bench.add_worker("w", {.credit = 2, .slots = 1});
    const Seq running = bench.start();
    const Seq queued = bench.start();
    bench.broker.worker_died(bench.now, "w", 1000);
    bench.turn();
    bench.say(wire::Refused{1, {}});
    EXPECT_EQ(bench.broker.ledger().task(running)->state, TaskState::giving_up);
    EXPECT_EQ(bench.broker.ledger().task(queued)->state, TaskState::open)
        << "the worker has one slot, and it was not in it";
}

TEST(DispatcherPoison, ADeathBlamesWhatRanAndNotWhatCameBeforeIt) {
    Dispatcher::Config config = lone(1);
    config.what_ran = [](const std::string& name, Incarnation) {
        EXPECT_EQ(name, "w");
        return std::optional<std::vector<AttemptId>>({{1, 2}, {99, 1}});  // 99: of a session before
    };
    Bench bench(config);
    bench.add_worker("w", {.credit = 3, .slots = 1});
    const Seq finished = bench.start();  // its report did not get out any more
    const Seq running = bench.start();
    const Seq queued = bench.start();
    bench.broker.worker_died(bench.now, "w", 1000);
    bench.turn();
    bench.say(wire::Refused{1, {}});
    EXPECT_EQ(bench.broker.ledger().task(finished)->state, TaskState::open);
    EXPECT_EQ(bench.broker.ledger().task(running)->state, TaskState::giving_up);
    EXPECT_EQ(bench.broker.ledger().task(queued)->state, TaskState::open);
}

TEST(DispatcherPoison, AWorkerThatDiedWithItsSlotsEmptyBlamesNobody) {
    Dispatcher::Config config = lone(1);
    config.what_ran = [](const std::string&, Incarnation) { return std::optional(std::vector<AttemptId>()); };
    Bench bench(config);
    bench.add_worker("w");
    const Seq seq = bench.start();
    bench.broker.worker_died(bench.now, "w", 1000);
    bench.turn();
    bench.say(wire::Refused{1, {}});
    EXPECT_EQ(bench.broker.ledger().task(seq)->state, TaskState::open);
}

TEST(DispatcherPoison, WorkersThatFallSilentDoNotCountAsPoisoned) {
    Bench bench(lone(1));
    bench.add_worker("w");
    bench.start();
    bench.now += 3s;
    bench.turn();
    bench.say(wire::Refused{1, {}});
    bench.turn();
    EXPECT_EQ(bench.control.count<wire::Verdict>(), 0U);
}

}  // namespace
}  // namespace curfew

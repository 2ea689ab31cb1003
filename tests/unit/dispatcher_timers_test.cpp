// What the dispatcher promises about time: deadlines, and hedges with their budget.
//
// The test plays workers and collector (tests/support/broker_bench.h).
#include <gtest/gtest.h>

#include "broker/dispatcher.h"
#include "tests/support/broker_bench.h"

namespace curfew {
namespace {

using namespace std::chrono_literals;
using support::BrokerBench;
using Numbers = std::vector<AttemptNumber>;

struct Bench : BrokerBench {
    explicit Bench(const Config& config = {}, int workers = 3, std::uint32_t credit = 4, std::uint32_t slots = 1)
        : BrokerBench(config) {
        meet_collector();
        for (int i = 1; i <= workers; ++i) add_worker("w" + std::to_string(i), {.credit = credit, .slots = slots});
    }
};

Dispatcher::Config hedged(Duration delay, std::uint32_t fanout = 2) {
    Dispatcher::Config config;
    config.fanout = fanout;
    config.hedging.delay = Hedging::Config::Delay::fixed;
    config.hedging.fixed = delay;
    return config;
}

// ---- deadlines ---------------------------------------------------------------------------------

TEST(DispatcherTimers, PastTheDeadlineNothingIsStartedAndWhatRunsIsCalledHome) {
    Dispatcher::Config config;
    config.deadline = 5s;
    config.attempts = 9;
    Bench bench(config);
    bench.start();
    const auto sent = bench.tasks;
    bench.pass(5s);
    EXPECT_EQ(bench.cancelled(sent[0].id.session, CancelReason::deadline), Numbers{1});
    EXPECT_EQ(bench.cancelled(sent[1].id.session, CancelReason::deadline), Numbers{1});
    EXPECT_EQ(bench.control.count<wire::Verdict>(), 0U) << "only when the ends are in";
    bench.say_ended(sent[0].id, End::failed, "no");
    bench.turn();
    EXPECT_TRUE(bench.tasks.empty());
    EXPECT_EQ(bench.control.count<wire::Verdict>(), 0U);
    bench.say_ended(sent[1].id, End::expired);
    bench.turn();
    EXPECT_EQ(bench.control.only<wire::Verdict>().outcome, Outcome::expired);
}

TEST(DispatcherTimers, ATaskThatFoundNoWorkerExpiresByItself) {
    Dispatcher::Config config;
    config.fanout = 1;
    config.deadline = 2s;
    Bench bench(config, 1, 1);
    bench.start();
    const Seq waiting = bench.accept();
    bench.pass(2s);
    EXPECT_EQ(bench.control.only<wire::Verdict>().seq, waiting);
}

TEST(DispatcherTimers, ATaskThatNoWorkerWouldTakeSaysSo) {
    Dispatcher::Config config;
    config.fanout = 1;
    config.deadline = 2s;
    Bench bench(config, 2, 1);
    const auto heartbeat = [&](Session session, std::uint32_t slots) {
        bench.broker.receive(bench.now,
                             support::frame_of({wire::Kind::life, 1, session, 0, 0}, wire::Heartbeat{.slots = slots}));
    };
    const auto expires_with = [&] {
        bench.accept();
        bench.turn();
        bench.now += 2s;  // without the heartbeats of pass()
        bench.turn();
        return std::string(bench.control.only<wire::Verdict>().error);
    };
    for (const auto& [session, worker] : bench.broker.roster().sessions()) heartbeat(session, 0);
    EXPECT_EQ(expires_with(), "deadline exceeded; no worker took it, whose logs say why: no slot in service at w1, w2");
    bench.start();
    heartbeat(bench.broker.roster().sessions().begin()->first, 1);
    bench.turn();
    EXPECT_EQ(expires_with(), "deadline exceeded") << "it waited for a slot";
}

TEST(DispatcherTimers, AnOkReportInTimeStillWinsAfterTheDeadline) {
    Dispatcher::Config config;
    config.deadline = 2s;
    Bench bench(config);
    const Seq seq = bench.start();
    const auto sent = bench.tasks;
    bench.pass(2s);
    bench.win(sent[0]);
    EXPECT_FALSE(bench.in_flight(seq));
    EXPECT_EQ(bench.books().of(Outcome::completed), 1U);
    bench.turn();
    EXPECT_EQ(bench.cancelled(sent[1].id.session, CancelReason::decided), Numbers{1})
        << "the reason has become a decision";
    bench.say_ended(sent[1].id, End::expired);
    bench.turn();
    EXPECT_EQ(bench.control.count<wire::Verdict>(), 0U);
    EXPECT_TRUE(bench.books().balanced());
}

// ---- hedges ------------------------------------------------------------------------------------

TEST(DispatcherTimers, AHedgeStartsWhenTheLastAttemptHasRunTheDelay) {
    Bench bench(hedged(20ms, 3));
    bench.start();
    ASSERT_EQ(bench.tasks.size(), 1U);
    EXPECT_LE(bench.broker.next_deadline(), bench.now + 20ms);
    bench.now += 19ms;
    bench.turn();
    EXPECT_TRUE(bench.tasks.empty());
    bench.now += 1ms;
    bench.turn();
    EXPECT_EQ(bench.tasks.size(), 1U);
    bench.now += 20ms;
    bench.turn();
    EXPECT_EQ(bench.tasks.size(), 1U);
    bench.now += 20ms;
    bench.turn();
    EXPECT_TRUE(bench.tasks.empty()) << "the fanout is reached";
    EXPECT_EQ(bench.broker.hedging().counts().sent, 2U);
}

TEST(DispatcherTimers, ADecidedTaskIsNotHedged) {
    Bench bench(hedged(20ms));
    const Seq seq = bench.start();
    bench.say_decided(seq, bench.tasks.at(0).id);
    bench.now += 1s;
    bench.turn();
    EXPECT_TRUE(bench.tasks.empty());
    EXPECT_EQ(bench.broker.hedging().counts().sent, 0U);
}

/// Sixteen tasks that are all slow: the budget's floor lets ten hedges start, and each fourth task
/// adds one.
struct SpentBudget : Bench {
    static constexpr int kTasks = 16;

    explicit SpentBudget(double share) : Bench(with_budget(share), 2, 100, 100) {
        for (int i = 0; i < kTasks; ++i) accept();
        turn();
        first = tasks;
        now += 20ms;
        turn();
    }

    static Dispatcher::Config with_budget(double share) {
        Dispatcher::Config config = hedged(20ms);
        config.hedging.budget = share;
        return config;
    }

    /// So many new tasks; those whose second attempt started after it.
    std::vector<Seq> hedged_after(int accepted) {
        for (int i = 0; i < accepted; ++i) accept();
        flush();
        turn();
        std::vector<Seq> seqs;
        for (const SentTask& task : tasks) seqs.push_back(task.seq);
        return seqs;
    }

    [[nodiscard]] AttemptId first_of(Seq seq) const { return std::ranges::find(first, seq, &SentTask::seq)->id; }

    std::vector<SentTask> first;
};

TEST(DispatcherTimers, AHedgeWithoutBudgetWaitsForItAndTheOldestIsFirst) {
    SpentBudget bench(0.25);
    ASSERT_EQ(bench.tasks.size(), 14U);
    EXPECT_GT(bench.broker.next_deadline(), bench.now) << "time does not help";
    bench.now += 1ms;
    EXPECT_EQ(bench.hedged_after(3), std::vector<Seq>{});
    EXPECT_EQ(bench.hedged_after(1), std::vector<Seq>{15});
    EXPECT_EQ(bench.hedged_after(4), std::vector<Seq>{16});
    EXPECT_EQ(bench.broker.hedging().counts().sent, 16U);
    EXPECT_EQ(bench.broker.hedging().counts().withheld, 0U);
}

TEST(DispatcherTimers, ATokenForAHedgeThatWaitsWakesTheBroker) {
    SpentBudget bench(0.25);
    for (int i = 0; i < 4; ++i) bench.accept();
    EXPECT_LE(bench.broker.next_deadline(), bench.now);
}

TEST(DispatcherTimers, AHedgeThatNobodyWantsAnyMoreIsWithheld) {
    SpentBudget bench(0.25);
    bench.say_decided(15, bench.first_of(15));
    bench.turn();
    EXPECT_EQ(bench.broker.hedging().counts().withheld, 1U);
    EXPECT_EQ(bench.hedged_after(4), std::vector<Seq>{16}) << "and what budget there is goes to the next";
}

TEST(DispatcherTimers, AnAttemptThatReplacesAFailedOneHasItsOwnTimeBeforeItsHedge) {
    SpentBudget bench(0.25);
    bench.now += 10ms;
    bench.say_ended(bench.first_of(15), End::failed, "no");
    bench.turn();
    ASSERT_EQ(bench.tasks.size(), 1U) << "the replacement, which costs no budget";
    EXPECT_EQ(bench.hedged_after(4), std::vector<Seq>{16});
    EXPECT_EQ(bench.broker.hedging().counts().withheld, 1U);
    bench.now += 20ms;
    EXPECT_EQ(bench.hedged_after(4), std::vector<Seq>{15}) << "20 ms after the replacement";
}

TEST(DispatcherTimers, EachHedgeIsSentOrWithheldOnce) {
    Bench bench(SpentBudget::with_budget(0.0), 2, 100);
    for (int i = 0; i < 10'000; ++i) {
        bench.start();
        const BrokerBench::SentTask sent = bench.tasks.at(0);
        bench.now += 20ms;
        bench.heartbeats();
        bench.turn();
        bench.win(sent);
        for (const BrokerBench::SentTask& hedge : bench.tasks) bench.say_ended(hedge.id, End::cancelled);
        bench.turn();
    }
    EXPECT_EQ(bench.broker.hedging().counts().sent, 10U);
    EXPECT_EQ(bench.broker.hedging().counts().withheld, 9'990U);
}

TEST(DispatcherTimers, TwoAttemptsThatStartTogetherHaveOneHedge) {
    Dispatcher::Config config = hedged(20ms, 3);
    config.hedging.budget = 0.0;
    Bench bench(config, 1, 10);
    for (int i = 0; i < 10; ++i) bench.accept();
    bench.turn();
    bench.now += 20ms;
    bench.turn();
    EXPECT_EQ(bench.broker.hedging().counts().sent, 10U) << "the floor; they wait for a worker";
    bench.bury("w1", bench.broker.roster().sessions().begin()->first);
    bench.hello("w2", {.credit = 100}, 8);
    bench.hello("w3", {.credit = 100}, 9);
    for (const auto& [session, worker] : bench.broker.roster().sessions()) {
        bench.say(wire::Admitted{session});
        bench.heartbeat(session);
    }
    bench.turn();
    const auto sent = bench.tasks;
    EXPECT_EQ(sent.size(), 20U) << "the hedges, and those in place of the lost ones";
    bench.now += 20ms;
    bench.turn();
    EXPECT_EQ(bench.broker.hedging().counts().sent, 10U);
    for (Seq seq = 1; seq <= 10; ++seq)
        bench.say_decided(seq, std::ranges::find(sent, seq, &BrokerBench::SentTask::seq)->id);
    bench.turn();
    EXPECT_EQ(bench.broker.hedging().counts().withheld, 10U);
}

TEST(DispatcherTimers, AFailedAttemptReleasesTheNextAtOnceWithoutBudget) {
    Dispatcher::Config config = hedged(10s);
    config.hedging.budget = 0.0;
    Bench bench(config);
    bench.start();
    bench.say_ended(bench.tasks.at(0).id, End::failed, "no");
    bench.turn();
    EXPECT_EQ(bench.tasks.size(), 1U);
    EXPECT_EQ(bench.broker.hedging().counts().sent, 0U);
}

TEST(DispatcherTimers, AnAttemptThatReplacesALostOneIsHedgedToo) {
    Bench bench(hedged(20ms, 2));
    bench.start();
    bench.say_ended(bench.tasks.at(0).id, End::lost);
    bench.turn();
    ASSERT_EQ(bench.tasks.size(), 1U);
    bench.now += 20ms;
    bench.turn();
    EXPECT_EQ(bench.tasks.size(), 1U) << "one alive of two";
}

TEST(DispatcherTimers, AHedgeThatWinsIsCounted) {
    Bench bench(hedged(20ms, 2));
    bench.start();
    bench.now += 20ms;
    bench.turn();
    bench.win(bench.tasks.at(0));
    EXPECT_EQ(bench.broker.hedging().counts().won, 1U);
    bench.start();
    bench.win(bench.tasks.at(0));
    EXPECT_EQ(bench.broker.hedging().counts().won, 1U) << "the first attempt is no hedge";
}

TEST(DispatcherTimers, LosersTeachTheHedgeDelayTheirAge) {
    Bench bench;
    const Seq seq = bench.start();
    const auto sent = bench.tasks;
    bench.now += 100ms;
    bench.say_decided(seq, sent[0].id);
    bench.flush();
    EXPECT_EQ(bench.broker.hedging().took().count(), 2U);
    EXPECT_GT(bench.broker.hedging().took().quantile(0), 90ms);
    bench.say_ended(sent[1].id, End::cancelled);
    EXPECT_EQ(bench.broker.hedging().took().count(), 2U) << "once each";
}

// ---- quick work --------------------------------------------------------------------------------

TEST(DispatcherTimers, QuickWorkThatHasLostIsCalledHomeAFewMillisecondsLater) {
    Bench bench({}, 2, 1000);
    const Seq first = bench.start();
    const auto of_first = bench.tasks;
    const Seq second = bench.start();
    const auto of_second = bench.tasks;
    const auto losers = [&](const BrokerBench::SentTask& task) {
        return bench.cancelled(task.id.session, CancelReason::decided);
    };
    bench.say_decided(first, of_first[0].id);
    bench.turn();
    EXPECT_TRUE(losers(of_first[1]).empty());
    EXPECT_EQ(bench.broker.next_deadline(), bench.now + 1ms);
    bench.now += 1ms;
    bench.turn();
    EXPECT_TRUE(losers(of_first[1]).empty());
    bench.now += 1ms;
    bench.say_decided(second, of_second[0].id);
    bench.turn();
    EXPECT_EQ(losers(of_first[1]), Numbers{of_first[1].id.number}) << "and not who has just lost";
    bench.now += 2ms;
    bench.turn();
    EXPECT_EQ(losers(of_second[1]), Numbers{of_second[1].id.number});
    bench.now += 10ms;
    bench.turn();
    EXPECT_TRUE(losers(of_second[1]).empty()) << "once";
}

TEST(DispatcherTimers, QuickWorkOfATaskThatWasReopenedIsWantedAgain) {
    Bench bench({}, 2, 1000);
    const Seq seq = bench.start();
    const auto sent = bench.tasks;
    const AttemptId winner = sent[0].id;
    bench.say_decided(seq, winner);
    bench.turn();
    bench.broker.worker_died(bench.now, bench.worker(winner.session).name, 1000);
    bench.say(wire::Refused{winner.session, {{seq, seq}}});
    for (int i = 0; i < 5; ++i) {
        bench.now += 1ms;
        bench.turn();
        EXPECT_TRUE(bench.cancelled(sent[1].id.session, CancelReason::decided).empty());
    }
    bench.win(sent[1]);
    EXPECT_EQ(bench.books().of(Outcome::completed), 1U);
}

TEST(DispatcherTimers, QuickWorkThatHasLostAndEndedByItselfIsNotCalledHome) {
    Bench bench({}, 2, 1000);
    const Seq seq = bench.start();
    const auto sent = bench.tasks;
    bench.say_decided(seq, sent[0].id);
    bench.turn();
    bench.now += 1ms;
    bench.say_ended(sent[1].id, End::late);
    bench.turn();
    bench.now += 2ms;
    bench.turn();
    EXPECT_TRUE(bench.cancelled(sent[1].id.session, CancelReason::decided).empty());
}

TEST(DispatcherTimers, WorkOfManySlotsIsNotQuickAndIsCalledHomeAtOnce) {
    BrokerBench bench{Dispatcher::Config{}};
    bench.meet_collector();
    for (const char* name : {"w1", "w2"}) bench.add_worker(name, {.credit = 1000, .slots = 500});
    const Seq seq = bench.start();
    const auto sent = bench.tasks;
    bench.say_decided(seq, sent[0].id);
    bench.turn();
    EXPECT_EQ(bench.cancelled(sent[1].id.session, CancelReason::decided), Numbers{sent[1].id.number});
}

}  // namespace
}  // namespace curfew

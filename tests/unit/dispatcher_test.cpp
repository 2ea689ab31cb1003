// What the dispatcher promises for tasks: who gets attempts and when, and what ends a task.
// Deadlines and hedges: dispatcher_timers_test.cpp.
//
// The test plays workers and collector (tests/support/broker_bench.h).
#include "broker/dispatcher.h"

#include <gtest/gtest.h>

#include <set>

#include "tests/support/broker_bench.h"

namespace curfew {
namespace {

using namespace std::chrono_literals;
using support::BrokerBench;
using Numbers = std::vector<AttemptNumber>;

/// A bench with a collector and `workers` workers, each in a pool of its own.
struct Bench : BrokerBench {
    explicit Bench(const Config& config = {}, int workers = 3, std::uint32_t credit = 4) : BrokerBench(config) {
        meet_collector();
        for (int i = 1; i <= workers; ++i) {
            const std::string n = std::to_string(i);
            add_worker("w" + n, {.credit = credit, .pool = "p" + n});
        }
    }
    [[nodiscard]] std::set<Session> sessions_of_tasks() const {
        std::set<Session> sessions;
        for (const SentTask& task : tasks) sessions.insert(task.id.session);
        return sessions;
    }
};

// ---- intake ------------------------------------------------------------------------------------

TEST(Dispatcher, TakesNoMessageBeforeThereAreACollectorAndAWorker) {
    BrokerBench bench;
    EXPECT_FALSE(bench.broker.wants_message());
    bench.meet_collector();
    EXPECT_FALSE(bench.broker.wants_message());
    bench.add_worker("w1");
    EXPECT_TRUE(bench.broker.wants_message());
}

TEST(Dispatcher, TakesNoMoreMessagesThanTheWindow) {
    Dispatcher::Config config;
    config.window = 2;
    Bench bench(config);
    bench.start();
    EXPECT_TRUE(bench.broker.wants_message());
    bench.start();
    EXPECT_FALSE(bench.broker.wants_message());
}

TEST(Dispatcher, TakesNoMoreBytesThanTheWindow) {
    Dispatcher::Config config;
    config.window_bytes = 10;
    Bench bench(config);
    const Seq seq = bench.start("0123456789");
    EXPECT_FALSE(bench.broker.wants_message());
    bench.say_decided(seq, bench.tasks.at(0).id);
    EXPECT_FALSE(bench.broker.wants_message()) << "what waits for the sink keeps its place";
    bench.say_settled(seq);
    EXPECT_TRUE(bench.broker.wants_message());
}

TEST(Dispatcher, APauseStopsTheIntakeOnly) {
    Bench bench;
    bench.accept();
    bench.broker.pause(true);
    EXPECT_FALSE(bench.broker.wants_message());
    bench.turn();
    EXPECT_EQ(bench.tasks.size(), 2U);
    bench.broker.pause(false);
    EXPECT_TRUE(bench.broker.wants_message());
}

TEST(Dispatcher, IsDrainedWhenTheIntakeHasEndedAndBothInFlightAreZero) {
    Bench bench;
    const Seq seq = bench.start();
    const auto sent = bench.tasks;
    bench.broker.end_intake();
    EXPECT_FALSE(bench.broker.wants_message());
    EXPECT_FALSE(bench.broker.drained());
    bench.win(sent[0]);
    EXPECT_FALSE(bench.in_flight(seq));
    EXPECT_FALSE(bench.broker.drained()) << "the loser is still being stopped";
    bench.say_ended(sent[1].id, End::cancelled);
    EXPECT_TRUE(bench.broker.drained());
    EXPECT_TRUE(bench.books().balanced());
    EXPECT_EQ(bench.broker.ledger().audit(), std::nullopt);
}

// ---- starting ----------------------------------------------------------------------------------

TEST(Dispatcher, ARaceStartsFanoutAttemptsAtOnceOnDifferentWorkers) {
    Dispatcher::Config config;
    config.fanout = 3;
    Bench bench(config, 4);
    bench.start("work");
    ASSERT_EQ(bench.tasks.size(), 3U);
    EXPECT_EQ(bench.sessions_of_tasks().size(), 3U);
    for (std::uint32_t i = 0; i < 3; ++i) {
        EXPECT_EQ(bench.tasks[i].record.payload, "work");
        EXPECT_EQ(bench.tasks[i].record.attempts, 3U);
        EXPECT_EQ(bench.tasks[i].id.number, 1U) << "dense from 1 within the session";
    }
}

TEST(Dispatcher, OrdinalsCountTheAttemptsOfATaskFromOne) {
    Dispatcher::Config config;
    config.fanout = 3;
    Bench bench(config);
    bench.start();
    std::set<std::uint32_t> ordinals;
    for (const auto& task : bench.tasks) ordinals.insert(task.record.ordinal);
    EXPECT_EQ(ordinals, (std::set<std::uint32_t>{1, 2, 3}));
}

TEST(Dispatcher, ATaskNeverHasTwoAttemptsOnOneWorker) {
    Bench bench({}, 1, 8);
    bench.start();
    EXPECT_EQ(bench.tasks.size(), 1U);
    bench.pass(2s);
    EXPECT_TRUE(bench.tasks.empty());
    bench.add_worker("late");
    EXPECT_EQ(bench.tasks.size(), 1U) << "attempts that are still due follow";
    EXPECT_EQ(bench.books().started, 2U);
}

TEST(Dispatcher, CreditIsNeverExceeded) {
    Dispatcher::Config config;
    config.fanout = 1;
    Bench bench(config, 2, 3);
    std::map<Session, int> sent;
    int accepted = 0;
    while (bench.broker.wants_message()) {
        ++accepted;
        bench.start();
        for (const auto& task : bench.tasks) ++sent[task.id.session];
    }
    EXPECT_EQ(accepted, 6);
    for (const auto& [session, n] : sent) EXPECT_EQ(n, 3);
    for (const auto& [session, worker] : bench.broker.roster().sessions()) EXPECT_EQ(worker->in_flight, worker->credit);
}

TEST(Dispatcher, DeadlinesTravelAsTheTimeLeft) {
    Dispatcher::Config config;
    config.deadline = 10s;
    config.fanout = 1;
    Bench bench(config);
    bench.start();
    ASSERT_EQ(bench.tasks.size(), 1U);
    EXPECT_EQ(bench.tasks[0].record.left_us, 10'000'000);
    EXPECT_EQ(bench.tasks[0].record.age_us, 0U);
    const AttemptId id = bench.tasks[0].id;
    bench.now += 3s;
    bench.heartbeats();
    bench.say_ended(id, End::failed, "no");
    bench.turn();
    ASSERT_EQ(bench.tasks.size(), 1U);
    EXPECT_EQ(bench.tasks[0].record.left_us, 7'000'000);
    EXPECT_EQ(bench.tasks[0].record.age_us, 3'000'000U);
}

TEST(Dispatcher, WithoutADeadlineNoTimeLeftIsSaid) {
    Dispatcher::Config config;
    config.deadline.reset();
    Bench bench(config);
    bench.start();
    ASSERT_FALSE(bench.tasks.empty());
    EXPECT_EQ(bench.tasks[0].record.left_us, -1);
}

TEST(Dispatcher, TheSendersIdTravelsWithTheTask) {
    Bench bench;
    bench.broker.accept(bench.now, {.payload = "x", .id = "their id"});
    bench.turn();
    ASSERT_FALSE(bench.tasks.empty());
    EXPECT_EQ(bench.tasks[0].record.id, "their id");
}

// ---- decisions -------------------------------------------------------------------------

TEST(Dispatcher, ADecisionCallsTheOtherAttemptsHome) {
    Bench bench;
    const Seq seq = bench.start();
    const auto sent = bench.tasks;
    bench.say_decided(seq, sent[0].id);
    bench.turn();
    EXPECT_EQ(bench.cancelled(sent[1].id.session, CancelReason::decided), Numbers{sent[1].id.number});
    EXPECT_TRUE(bench.cancelled(sent[0].id.session, CancelReason::decided).empty());
    EXPECT_TRUE(bench.in_flight(seq)) << "until the sink has it";
}

TEST(Dispatcher, CancelsLeaveBeforeTheTasksOfTheirTurn) {
    Bench bench({}, 2);
    const Seq seq = bench.start();
    const AttemptId loser = bench.tasks[1].id;
    bench.say_decided(seq, bench.tasks[0].id);
    bench.start();
    const auto& frames = bench.to_session[loser.session].frames;
    ASSERT_EQ(frames.size(), 2U);
    EXPECT_EQ(frames[0].all<wire::Cancel>().size(), 1U);
    EXPECT_EQ(frames[1].all<wire::SharedTasks>().size(), 1U);
}

TEST(Dispatcher, WhoHasLostIsCalledHomeBeforeMessagesAreTakenAndOnce) {
    Bench bench({}, 2);
    const Seq seq = bench.start();
    const AttemptId loser = bench.tasks[1].id;
    bench.say_decided(seq, bench.tasks[0].id);
    std::vector<Dispatcher::OutFrame> frames;
    bench.broker.flush_cancels(bench.now, frames);
    ASSERT_EQ(frames.size(), 1U);
    EXPECT_EQ(frames[0].road, Dispatcher::Road::control);
    EXPECT_EQ(frames[0].sessions, std::vector<Session>{loser.session});
    bench.start();
    const auto& later = bench.to_session[loser.session].frames;
    ASSERT_EQ(later.size(), 1U) << "the tasks, and no second cancel";
    EXPECT_EQ(later[0].all<wire::SharedTasks>().size(), 1U);
}

TEST(Dispatcher, AWinnerEndsWonOnlyWhenItsTaskSettles) {
    Bench bench;
    const Seq seq = bench.start();
    const auto sent = bench.tasks;
    bench.say_decided(seq, sent[0].id);
    EXPECT_EQ(bench.books().of(End::won), 0U);
    bench.turn();
    EXPECT_TRUE(bench.confirmed(sent[0].id.session).empty()) << "a winner's report is confirmed when it is settled";
    bench.say_settled(seq);
    bench.turn();
    bench.pass(5ms);
    EXPECT_EQ(bench.confirmed(sent[0].id.session), Numbers{sent[0].id.number});
    EXPECT_EQ(bench.books().of(End::won), 1U);
    EXPECT_EQ(bench.books().of(Outcome::completed), 1U);
}

TEST(Dispatcher, AWinnerThatWaitsForTheSinkHoldsNoCredit) {
    Dispatcher::Config config;
    config.fanout = 1;
    Bench bench(config, 1, 1);
    const Seq seq = bench.start();
    EXPECT_FALSE(bench.broker.wants_message());
    bench.say_decided(seq, bench.tasks.at(0).id);
    EXPECT_TRUE(bench.broker.wants_message());
    EXPECT_EQ(bench.worker(1).in_flight, 0U);
    bench.say_settled(seq);
    EXPECT_EQ(bench.worker(1).in_flight, 0U) << "given back once, not twice";
}

TEST(Dispatcher, ALoserThatHasReportedAlreadyIsNotCancelled) {
    Bench bench;
    const Seq seq = bench.start();
    const auto sent = bench.tasks;
    bench.say(wire::Decided{seq, sent[0].id.session, sent[0].id.number},
              wire::Ended{sent[1].id.session, End::late, {{1, 1}}, {}});
    bench.turn();
    EXPECT_TRUE(bench.cancelled(sent[1].id.session, CancelReason::decided).empty());
    EXPECT_EQ(bench.books().of(End::late), 1U);
}

// ---- failures ----------------------------------------------------------------------------------

TEST(Dispatcher, AFailureIsReplacedAtOnceAndElsewhere) {
    Dispatcher::Config config;
    config.fanout = 1;
    Bench bench(config, 2);
    bench.start();
    const AttemptId first = bench.tasks.at(0).id;
    bench.say_ended(first, End::failed, "no");
    bench.turn();
    ASSERT_EQ(bench.tasks.size(), 1U);
    EXPECT_NE(bench.tasks[0].id.session, first.session);
    EXPECT_EQ(bench.tasks[0].record.ordinal, 2U);
}

TEST(Dispatcher, WhatIsTriedAgainGoesBeforeWhatWaits) {
    Dispatcher::Config config;
    config.fanout = 2;
    config.attempts = 3;
    Bench bench(config, 2, 1);
    const Seq first = bench.start("first");
    const auto sent = bench.tasks;
    ASSERT_EQ(sent.size(), 2U);
    const Seq second = bench.accept("second");  // nobody has credit for it
    bench.say_ended(sent[0].id, End::failed, "no");
    bench.say_ended(sent[1].id, End::failed, "no");
    bench.turn();
    ASSERT_EQ(bench.tasks.size(), 2U);
    EXPECT_EQ(bench.tasks[0].seq, first) << "one failure is left to it: one attempt";
    EXPECT_EQ(bench.tasks[1].seq, second);
}

TEST(Dispatcher, AttemptsCountsFailuresOnly) {
    Dispatcher::Config config;
    config.fanout = 1;
    config.attempts = 2;
    config.poison = 0;
    Bench bench(config, 3);
    const Seq seq = bench.start();
    for (Session lost = 1; lost <= 2; ++lost) {  // workers that leave cost nothing
        const AttemptId id = bench.tasks.at(0).id;
        bench.say(wire::Bye{id.session});
        bench.turn();
        bench.say(wire::Refused{id.session, {}});
        bench.turn();
        ASSERT_EQ(bench.tasks.size(), 1U);
    }
    EXPECT_EQ(bench.control.count<wire::Verdict>(), 0U);
    bench.say_ended(bench.tasks[0].id, End::failed, "once");
    bench.turn();
    ASSERT_EQ(bench.tasks.size(), 1U) << "one failure of two";
    bench.say_ended(bench.tasks[0].id, End::failed, "twice");
    bench.turn();
    const auto verdict = bench.control.only<wire::Verdict>();
    EXPECT_EQ(verdict.seq, seq);
    EXPECT_EQ(verdict.outcome, Outcome::failed);
    EXPECT_EQ(verdict.error, "twice");
    EXPECT_EQ(verdict.attempts, 4U);
    EXPECT_EQ(verdict.history.size(), 4U);
}

TEST(Dispatcher, AVerdictIsNoOutcomeYet) {
    Dispatcher::Config config;
    config.fanout = 2;
    config.attempts = 1;
    Bench bench(config);
    const Seq seq = bench.start();
    const auto sent = bench.tasks;
    bench.say_ended(sent[0].id, End::failed, "no");
    bench.turn();
    EXPECT_EQ(bench.control.count<wire::Verdict>(), 1U);
    // The collector had decided for the other one before: its word is the truth.
    bench.win(sent[1]);
    EXPECT_FALSE(bench.in_flight(seq));
    EXPECT_EQ(bench.books().of(Outcome::completed), 1U);
}

TEST(Dispatcher, ARejectedAttemptSettlesItsTaskAtOnce) {
    Dispatcher::Config config;
    config.attempts = 5;
    Bench bench(config);
    const Seq seq = bench.start();
    const auto sent = bench.tasks;
    bench.say(wire::Decided{seq, 0, 0}, wire::Ended{sent[0].id.session, End::failed, {{1, 1}}, "never"});
    bench.turn();
    EXPECT_TRUE(bench.tasks.empty()) << "no replacement";
    EXPECT_EQ(bench.cancelled(sent[1].id.session, CancelReason::decided), Numbers{1});
    bench.say_settled(seq, Outcome::failed);
    EXPECT_EQ(bench.books().of(Outcome::failed), 1U);
    EXPECT_EQ(bench.broker.counts().surprises, 0U);
}

TEST(Dispatcher, WhatExpiresByTheClockOfItsWorkerIsNotTriedAgain) {
    support::BrokerBench::Config config;
    config.fanout = 1;
    Bench bench(config);
    const Seq seq = bench.start();
    bench.say_ended(bench.tasks.at(0).id, End::expired);
    bench.turn();
    EXPECT_TRUE(bench.tasks.empty());
    EXPECT_EQ(bench.control.only<wire::Verdict>().outcome, Outcome::expired);
    EXPECT_TRUE(bench.in_flight(seq)) << "until it is decided";
}

// ---- a person ----------------------------------------------------------------------------------

TEST(Dispatcher, APersonsCancelIsAVerdictAndTheTaskSettlesCancelled) {
    Bench bench;
    const Seq seq = bench.start();
    const auto sent = bench.tasks;
    EXPECT_TRUE(bench.broker.cancel_task(bench.now, seq));
    bench.turn();
    EXPECT_EQ(bench.control.only<wire::Verdict>().outcome, Outcome::cancelled);
    for (const auto& task : sent) {
        EXPECT_EQ(bench.cancelled(task.id.session, CancelReason::decided), Numbers{1})
            << "at once: there may be no collector that decides";
    }
    EXPECT_FALSE(bench.broker.cancel_task(bench.now, seq)) << "it is given up already";
    bench.say(wire::Decided{seq, 0, 0}, wire::Settled{Outcome::cancelled, {{seq, seq}}});
    bench.turn();
    EXPECT_EQ(bench.books().of(Outcome::cancelled), 1U);
    EXPECT_FALSE(bench.broker.cancel_task(bench.now, 99));
}

TEST(Dispatcher, ARefusedMessageFailsAtOnceWithItsPlaceAndStaysInTheBooks) {
    Bench bench;
    const Seq good = bench.start();
    bench.tasks.clear();
    const RefusedMessage message{.number = 2, .byte = 7, .size = 5000, .first = "the first"};
    const Seq refused = bench.broker.refuse_message(bench.now, message, "refused: too long");
    bench.turn();
    EXPECT_EQ(refused, good + 1) << "it has its place among the others";
    EXPECT_TRUE(bench.tasks.empty()) << "nobody works on it";
    const auto verdict = bench.control.only<wire::Verdict>();
    EXPECT_EQ(verdict.outcome, Outcome::failed);
    EXPECT_EQ(verdict.error, "refused: too long");
    EXPECT_EQ(verdict.message, "the first");
    EXPECT_EQ(verdict.refused_number, 2U);
    EXPECT_EQ(verdict.refused_byte, 7U);
    EXPECT_EQ(verdict.refused_size, 5000U);
    bench.say_decided(refused, {});
    bench.say_settled(refused, Outcome::failed);
    bench.turn();
    EXPECT_EQ(bench.books().of(Outcome::failed), 1U);
    EXPECT_TRUE(bench.books().balanced());
}

TEST(Dispatcher, WhatADrainHasNoTimeForIsCancelledWithTheReasonAndStaysSo) {
    support::BrokerBench::Config config;
    config.fanout = 1;
    Bench bench(config);
    const Seq first = bench.start();
    const AttemptId winner = bench.tasks.at(0).id;
    const Seq second = bench.start();
    const AttemptId other = bench.tasks.at(0).id;
    bench.broker.end_intake();
    bench.say_decided(second, other);
    EXPECT_EQ(bench.broker.cancel_all(bench.now, "no time"), 1U) << "what is decided is not taken back";
    EXPECT_EQ(bench.broker.cancel_all(bench.now, "no time"), 0U);
    bench.turn();
    EXPECT_EQ(bench.cancelled(winner.session, CancelReason::decided), Numbers{winner.number});
    EXPECT_EQ(bench.control.only<wire::Verdict>().outcome, Outcome::cancelled);
    EXPECT_EQ(bench.control.only<wire::Verdict>().error, "no time");
    bench.say_decided(first, winner);  // its result was there first
    bench.say_settled(second);
    bench.meet_collector(60);  // which never got it
    bench.say_ended(winner, End::failed, "killed");
    bench.turn();
    EXPECT_TRUE(bench.tasks.empty());
    EXPECT_EQ(bench.control.only<wire::Verdict>().error, "no time");
    bench.say_decided(first, {});
    bench.say_settled(first, Outcome::cancelled);
    bench.turn();
    EXPECT_TRUE(bench.broker.drained());
    EXPECT_EQ(bench.books().of(Outcome::cancelled), 1U);
    EXPECT_TRUE(bench.books().balanced());
}

TEST(Dispatcher, WhatAPersonCancelledStaysSoWhenItsWinnersResultIsLost) {
    support::BrokerBench::Config config;
    config.fanout = 1;
    Bench bench(config);
    const Seq seq = bench.start();
    const AttemptId winner = bench.tasks.at(0).id;
    EXPECT_TRUE(bench.broker.cancel_task(bench.now, seq));
    bench.say_decided(seq, winner);  // its result was there first
    bench.meet_collector(60);        // which never got it
    bench.say_ended(winner, End::late);
    bench.turn();
    EXPECT_TRUE(bench.tasks.empty());
    EXPECT_EQ(bench.control.only<wire::Verdict>().outcome, Outcome::cancelled);
    bench.say_decided(seq, {});
    bench.say_settled(seq, Outcome::cancelled);
    EXPECT_TRUE(bench.books().balanced());
    EXPECT_EQ(bench.books().of(Outcome::cancelled), 1U);
}

}  // namespace
}  // namespace curfew

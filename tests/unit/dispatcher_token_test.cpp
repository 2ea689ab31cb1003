// What the dispatcher promises about the token, and about what it says to workers again.
#include <gtest/gtest.h>

#include <vector>

#include "broker/dispatcher.h"
#include "tests/support/lone_bench.h"

namespace curfew {
namespace {

using namespace std::chrono_literals;
using Bench = support::LoneBench;
using Numbers = std::vector<AttemptNumber>;

// ---- the token -------------------------------------------------------------------------

TEST(DispatcherToken, AVanishedAttemptIsGivenUpAfterTwoRoundsAndNotAfterOne) {
    Bench bench;
    const Session session = bench.add_worker("w");
    bench.start();
    bench.pass(1s);
    bench.answer_token(bench.token(session));
    bench.turn();
    EXPECT_EQ(bench.control.count<wire::Lose>(), 0U) << "one round may have overtaken it";
    bench.pass(1s);
    bench.answer_token(bench.token(session));
    bench.flush();
    const auto lose = bench.control.only<wire::Lose>();
    EXPECT_EQ(lose.session, session);
    EXPECT_EQ(lose.numbers, (Intervals{{1, 1}}));
    EXPECT_EQ(bench.cancelled(session, CancelReason::lost), Numbers{1}) << "should it come after all";
    EXPECT_EQ(bench.books().of(End::lost), 0U) << "the collector has the word";
    bench.say_ended({session, 1}, End::lost);
    EXPECT_EQ(bench.books().of(End::lost), 1U);
}

TEST(DispatcherToken, AnAttemptThatIsHeldIsNotDoubted) {
    Bench bench;
    const Session session = bench.add_worker("w");
    bench.start();
    for (int round = 0; round < 5; ++round) {
        bench.pass(1s);
        wire::TokenReport token = bench.token(session);
        (round % 2 == 0 ? token.queued : token.running) = {{1, 1}};
        bench.answer_token(token);
        bench.flush();
        EXPECT_EQ(bench.control.count<wire::Lose>(), 0U);
    }
}

TEST(DispatcherToken, WhatRunsIsShownAsRunning) {
    Bench bench;
    const Session session = bench.add_worker("w");
    bench.start();
    const auto state = [&] { return bench.broker.ledger().session(session)->open.find(1)->state; };
    EXPECT_EQ(state(), AttemptState::queued);
    bench.pass(1s);
    wire::TokenReport token = bench.token(session);
    token.running = {{1, 1}};
    bench.answer_token(token);
    EXPECT_EQ(state(), AttemptState::running);
}

TEST(DispatcherToken, SeveralRoundsOfTheTokenAskForACancelOnce) {
    Dispatcher::Config config;
    config.fanout = 2;
    Bench bench(config);
    const Session winner = bench.add_worker("v");
    const Session session = bench.add_worker("w");
    const Seq seq = bench.start();
    bench.say_decided(seq, {winner, 1});
    bench.turn();
    bench.pass(3s);
    wire::TokenReport token = bench.token(session);
    token.running = {{1, 1}};
    const std::uint64_t last = bench.rounds.at(session);
    for (token.round = last - 2; token.round <= last; ++token.round) bench.say(token);
    bench.flush();
    EXPECT_EQ(bench.cancelled(session, CancelReason::decided), Numbers{1});
}

TEST(DispatcherToken, WhatWasSentAfterTheTokenIsNotDoubted) {
    Bench bench;
    const Session session = bench.add_worker("w");
    bench.pass(1s);
    bench.start();
    for (int round = 0; round < 2; ++round) {
        bench.answer_token(bench.token(session));  // of the round before the attempt
        bench.flush();
        EXPECT_EQ(bench.control.count<wire::Lose>(), 0U);
    }
}

TEST(DispatcherToken, AnAnswerThatComesTwiceIsOneRound) {
    Bench bench;
    const Session session = bench.add_worker("w");
    bench.start();
    bench.pass(1s);
    for (int i = 0; i < 3; ++i) bench.answer_token(bench.token(session));
    bench.flush();
    EXPECT_EQ(bench.control.count<wire::Lose>(), 0U);
}

TEST(DispatcherToken, AHeldReportThatHasNotComeIsAskedForAgain) {
    Bench bench;
    const Session session = bench.add_worker("w");
    bench.start();
    wire::TokenReport token = bench.token(session);
    token.received = token.reported = {{1, 1}};
    for (int round = 1; round <= 2; ++round) {
        bench.pass(1s);
        bench.answer_token(token);
        bench.flush();
        EXPECT_EQ(bench.to_session[session].count<wire::Resend>(), round == 2 ? 1U : 0U) << round;
        EXPECT_EQ(bench.control.count<wire::Lose>(), 0U);
    }
    EXPECT_EQ(bench.broker.counts().resends_asked, 1U);
}

TEST(DispatcherToken, AConfirmationThatWasLostIsRepeated) {
    Bench bench;
    const Session session = bench.add_worker_with_an_end();
    bench.pass(5ms);
    EXPECT_EQ(bench.confirmed(session), Numbers{1});
    wire::TokenReport token = bench.token(session);
    token.received = token.reported = {{1, 1}};
    bench.pass(1s);
    bench.answer_token(token);
    bench.flush();
    bench.pass(5ms);
    EXPECT_EQ(bench.confirmed(session), Numbers{1});
}

TEST(DispatcherToken, AConfirmationWaitsForAFrameThatCarriesIt) {
    Bench bench;
    const Session session = bench.add_worker_with_an_end();
    EXPECT_TRUE(bench.confirmed(session).empty());
    EXPECT_EQ(bench.broker.next_deadline(), bench.now + 5ms) << "but not for long";
    const Seq other = bench.start();
    EXPECT_TRUE(bench.confirmed(session).empty());
    bench.broker.cancel_task(bench.now, other);
    bench.turn();
    EXPECT_EQ(bench.confirmed(session), Numbers{1}) << "beside the cancel";
}

TEST(DispatcherToken, AConfirmationThatFoundNoFrameGoesAlone) {
    Bench bench;
    const Session session = bench.add_worker_with_an_end();
    bench.now += 5ms;
    bench.turn();
    EXPECT_EQ(bench.confirmed(session), Numbers{1});
    EXPECT_GT(bench.broker.next_deadline(), bench.now);
    bench.turn();
    EXPECT_TRUE(bench.confirmed(session).empty()) << "once";
}

TEST(DispatcherToken, AWorkerThatLeavesIsToldItsConfirmationsBeforeGone) {
    Bench bench;
    const Session session = bench.add_worker_with_an_end();
    bench.broker.worker_left(bench.now, "w", 1000);
    bench.turn();
    EXPECT_EQ(bench.confirmed(session), Numbers{1});
    const auto& records = bench.to_session[session].frames.back().records;
    EXPECT_TRUE(std::holds_alternative<wire::Gone>(records.back())) << "what comes behind it would be refused";
}

TEST(DispatcherToken, AConfirmationDoesNotWaitOnceAllIsDone) {
    Bench bench;
    const Session session = bench.add_worker("w");
    const Seq seq = bench.start();
    bench.broker.end_intake();
    bench.say_decided(seq, bench.tasks[0].id);
    bench.say_settled(seq);
    bench.turn();
    EXPECT_EQ(bench.confirmed(session), Numbers{1});
}

TEST(DispatcherToken, ACancelThatWasLostIsRepeated) {
    Dispatcher::Config config;
    config.fanout = 2;
    Bench bench(config);
    bench.add_worker("w1");
    bench.add_worker("w2");
    const Seq seq = bench.start();
    const AttemptId loser = bench.tasks.at(1).id;
    bench.say_decided(seq, bench.tasks.at(0).id);
    bench.turn();
    wire::TokenReport token = bench.token(loser.session);
    token.received = token.running = {{1, 1}};
    bench.pass(1s);
    bench.answer_token(token);
    bench.flush();
    EXPECT_EQ(bench.cancelled(loser.session, CancelReason::decided), Numbers{1});
}

TEST(DispatcherToken, AWorkerWithoutASlotInServiceGetsNoAttempts) {
    Bench bench;
    const Session session = bench.add_worker("w");
    const auto beat = [&](std::uint32_t slots) {
        bench.broker.receive(bench.now,
                             support::frame_of({wire::Kind::life, 1, session, 0, 0}, wire::Heartbeat{slots}));
    };
    beat(0);
    EXPECT_FALSE(bench.broker.wants_message());
    beat(1);
    EXPECT_TRUE(bench.broker.wants_message());
}

TEST(DispatcherToken, ABlockedSocketGetsNoAttemptsAndNoToken) {
    Bench bench;
    const Session session = bench.add_worker("w");
    bench.broker.set_blocked(session, Dispatcher::Road::tasks, true);
    EXPECT_FALSE(bench.broker.wants_message());
    bench.pass(2s);
    EXPECT_EQ(bench.control.count<wire::Token>(), 0U);
    bench.broker.set_blocked(session, Dispatcher::Road::tasks, false);
    EXPECT_TRUE(bench.broker.wants_message());
}

TEST(DispatcherToken, WhatIsToBeSaidWaitsWhileControlIsBlocked) {
    Bench bench;
    const Session session = bench.add_worker("w");
    bench.start();
    bench.broker.set_blocked(session, Dispatcher::Road::control, true);
    bench.say_ended({session, 1}, End::failed, "no");
    bench.turn();
    EXPECT_TRUE(bench.confirmed(session).empty());
    bench.broker.set_blocked(session, Dispatcher::Road::control, false);
    bench.turn();
    bench.pass(5ms);
    EXPECT_EQ(bench.confirmed(session), Numbers{1});
}

TEST(DispatcherToken, AHeartbeatChangesTheCredit) {
    Bench bench;
    const Session session = bench.add_worker("w", {.credit = 2});
    const auto beat = [&](std::uint32_t credit) {
        bench.broker.receive(bench.now,
                             support::frame_of({wire::Kind::life, bench.broker.config().incarnation, session, 0, 0},
                                               wire::Heartbeat{1, credit}));
    };
    beat(5);
    EXPECT_EQ(bench.worker(session).credit, 5U);
    beat(0);
    EXPECT_EQ(bench.worker(session).credit, 5U) << "as before";
    beat(1);
    EXPECT_EQ(bench.worker(session).credit, 1U);
}

}  // namespace
}  // namespace curfew

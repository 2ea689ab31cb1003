// What the broker makes of peers that go wrong: deadlines that no worker keeps, batches that cannot
// be read, forged incarnations, ranges out of nowhere, a sink that does not keep up.
#include <gtest/gtest.h>

#include "tests/support/broker_bench.h"

namespace curfew {
namespace {

using namespace std::chrono_literals;
using support::BrokerBench;
using support::frame_of;

struct Bench : BrokerBench {
    explicit Bench(const Config& config = with_deadline()) : BrokerBench(config) {
        meet_collector();
        add_worker("w1");
    }
    static Config with_deadline() {
        Config config;
        config.fanout = 1;
        config.deadline = 2s;
        return config;
    }
    std::vector<wire::Verdict> verdicts() { return control.all<wire::Verdict>(); }
    /// The collector is heard meanwhile.
    std::size_t verdicts_within(Duration duration) {
        std::size_t count = 0;
        for (Duration left = duration; left > 0ms; left -= 500ms) {
            pass(500ms);
            hear_ack(acked);
            count += verdicts().size();
        }
        return count;
    }
};

// ---- the caller's deadline ---------------------------------------------------------------------

TEST(DispatcherHostile, ADeadlineIsDecidedWhateverTheWorkersSay) {
    Bench bench;
    const Seq seq = bench.start();
    EXPECT_EQ(bench.verdicts_within(3500ms), 0U) << "deadline and lease are not over";
    ASSERT_EQ(bench.verdicts_within(1s), 1U);
    bench.say_decided(seq, {});
    bench.say_settled(seq, Outcome::expired);
    bench.turn();
    EXPECT_FALSE(bench.in_flight(seq));
    EXPECT_EQ(bench.books().attempts_in_flight, 1U) << "until its own end";
    EXPECT_TRUE(bench.books().balanced());
    EXPECT_EQ(bench.broker.counts().forced, 1U);
    bench.say_ended({1, 1}, End::expired);
    EXPECT_EQ(bench.books().attempts_in_flight, 0U);
}

TEST(DispatcherHostile, WhatTheWorkerSaysThatItNeedsIsWaitedFor) {
    BrokerBench bench(Bench::with_deadline());
    bench.meet_collector();
    bench.hello_of("w1", {}, 7, 1, [](wire::Hello& hello) { hello.patience_us = 3'000'000; });
    bench.say(wire::Admitted{1});
    bench.heartbeat(1);
    bench.turn();
    bench.start();
    bench.pass(6900ms);
    EXPECT_EQ(bench.control.count<wire::Verdict>(), 0U);
    bench.pass(1s);
    EXPECT_EQ(bench.control.count<wire::Verdict>(), 1U);
}

TEST(DispatcherHostile, AttemptsAliveStandInTheHistoryAsStillRunning) {
    Bench bench;
    bench.start();
    bench.pass(5s);
    const auto verdicts = bench.verdicts();
    ASSERT_EQ(verdicts.size(), 1U);
    ASSERT_EQ(verdicts[0].history.size(), 1U);
    EXPECT_EQ(verdicts[0].history[0].worker, "w1");
    EXPECT_EQ(verdicts[0].history[0].error, "still running");
}

TEST(DispatcherHostile, WhatWasFinishedInTimeIsAskedForFirst) {
    Bench bench;
    const Seq seq = bench.start();
    for (int i = 0; i < 3; ++i) {
        bench.pass(1s);
        wire::TokenReport token;
        token.session = 1;
        token.received = token.reported = {{1, 1}};
        bench.answer_token(token);
        bench.turn();
    }
    bench.pass(1s);
    EXPECT_EQ(bench.verdicts().size(), 0U) << "the token shows it as reported";
    EXPECT_GE(bench.control.count<wire::Resend>(), 1U);
    bench.say_decided(seq, {1, 1});
    bench.say_settled(seq);
    EXPECT_EQ(bench.books().of(Outcome::completed), 1U);
}

TEST(DispatcherHostile, ItsClockRunsOnlyWhileASyncedCollectorIsHeard) {
    Bench bench;
    bench.acknowledges = false;
    bench.start();
    bench.pass(10s);
    EXPECT_EQ(bench.verdicts().size(), 0U) << "who would decide it";
    bench.acknowledges = true;
    EXPECT_EQ(bench.verdicts_within(1500ms), 0U) << "results may be on their way to the new one";
    EXPECT_EQ(bench.verdicts_within(3s), 1U);
}

TEST(DispatcherHostile, HoldsForATaskThatIsOpenAgainPastItsDeadline) {
    BrokerBench::Config config = Bench::with_deadline();
    config.fanout = 2;
    Bench bench(config);
    bench.add_worker("w2");
    const Seq seq = bench.start();
    bench.say_decided(seq, {1, 1});
    EXPECT_EQ(bench.verdicts_within(5s), 0U) << "its winner waits for the sink, the other is being stopped";
    bench.meet_collector(60);
    bench.say_ended({1, 1}, End::late);  // without its result
    EXPECT_EQ(bench.verdicts_within(6s), 1U);
}

// ---- what cannot be read -----------------------------------------------------------------------

TEST(DispatcherHostile, VerdictsWithTheirMessagesAreSplitIntoFramesOfABoundedSize) {
    BrokerBench::Config config = Bench::with_deadline();
    config.window_bytes = 1ULL << 30;
    Bench bench(config);
    const std::string large(1 << 20, 'x');
    for (int i = 0; i < 40; ++i) bench.accept(large);
    bench.pass(5s);
    EXPECT_EQ(bench.verdicts().size(), 40U);
    for (const support::Frame& frame : bench.control.frames)
        EXPECT_LE(frame.bytes->size(), wire::kFrameBytes + large.size() + 1000);
}

TEST(DispatcherHostile, AfterTheFirstTimeAllIsSaidAnewAfterTheSecondAVerdictGoesBare) {
    Bench bench;
    const Seq seq = bench.start("the message");
    (void)bench.broker.cancel_task(bench.now, seq);
    bench.turn();
    EXPECT_EQ(bench.verdicts().at(0).message, "the message");
    for (int time = 1; time <= 2; ++time) {
        const std::uint64_t round = bench.syncs.at(0).round;
        wire::CollectorHello hello;
        hello.round = round;
        hello.bad_type = wire::Verdict::kType;
        hello.bad_key = seq;
        const wire::Envelope envelope{wire::Kind::to_broker, 1, bench.collector, 0, 0};
        bench.broker.receive(bench.now, frame_of(envelope, hello));
        EXPECT_FALSE(bench.broker.collector_synced());
        bench.broker.receive(bench.now, frame_of(envelope, hello));  // under way since
        bench.turn();
        bench.syncs = bench.control.all<wire::Sync>();
        ASSERT_EQ(bench.syncs.size(), 1U);
        EXPECT_EQ(bench.syncs[0].round, round + 1);
        EXPECT_EQ(bench.verdicts().at(0).message, time == 1 ? "the message" : "");
        bench.restart_stream();
        bench.say(wire::Synced{});
        bench.turn();
    }
    EXPECT_TRUE(bench.broker.broken().empty());
    EXPECT_NE(bench.broker.take_complaint().find("type 25"), std::string::npos);
}

TEST(DispatcherHostile, OfAnythingElseNobodyKnowsBetter) {
    Bench bench;
    for (int time = 0; time < 2; ++time) {
        EXPECT_TRUE(bench.broker.broken().empty());
        wire::CollectorHello hello;
        hello.round = bench.syncs.at(0).round;
        hello.bad_type = wire::Admit::kType;
        hello.bad_key = 1;
        bench.broker.receive(bench.now, frame_of({wire::Kind::to_broker, 1, bench.collector, 0, 0}, hello));
        bench.turn();
        bench.syncs = bench.control.all<wire::Sync>();
        bench.restart_stream();
        bench.say(wire::Synced{});
    }
    EXPECT_NE(bench.broker.broken().find("type 22"), std::string::npos);
}

TEST(DispatcherHostile, ABatchThatTheCollectorHasNotSentMakesThePairBeginAnew) {
    Bench bench;
    const Seq seq = bench.start();
    bench.say(wire::Backlog{1 << 30});  // a forgery: the collector does not know of it
    const wire::Envelope envelope{wire::Kind::to_broker, 1, bench.collector, 0, 0};
    for (int i = 0; i < 2; ++i) {
        EXPECT_TRUE(bench.broker.collector_synced());
        bench.broker.receive(bench.now, frame_of(envelope, wire::CollectorPing{bench.base() + 3, 77}));
    }
    EXPECT_FALSE(bench.broker.collector_synced());
    EXPECT_EQ(bench.broker.backlog(), 0U);
    EXPECT_TRUE(bench.in_flight(seq));
}

TEST(DispatcherHostile, ABatchThatWasReadInPartBlamesNobodyWhenItComesAgain) {
    Bench bench;
    const Seq seq = bench.start();
    const wire::Envelope envelope{wire::Kind::to_broker, 1, bench.collector, bench.base() + 3, 0};
    const wire::Decided decided{seq, 1, 1};
    const wire::Settled settled{Outcome::completed, {{seq, seq}}};
    bench.broker.receive(bench.now, support::frame_with_tail(envelope, "\x92\x20\x05", decided, settled));
    EXPECT_FALSE(bench.in_flight(seq)) << "what could be read was taken";
    bench.broker.receive(bench.now, frame_of(envelope, decided, settled, wire::Backlog{5}));
    EXPECT_EQ(bench.broker.backlog(), 5U);
    EXPECT_EQ(bench.worker(1).state, SessionState::ready);
    EXPECT_TRUE(bench.broker.collector_synced());
}

TEST(DispatcherHostile, ABatchWhoseFirstRecordIsNoneIsUnreadableToo) {
    Bench bench;
    const wire::Envelope envelope{wire::Kind::to_broker, 1, bench.collector, bench.base() + 3, 0};
    for (int i = 0; i < 2; ++i) {
        EXPECT_TRUE(bench.broker.collector_synced());
        bench.broker.receive(bench.now, support::frame_with_tail(envelope, "\xc1\xc1"));
    }
    EXPECT_FALSE(bench.broker.collector_synced());
}

TEST(DispatcherHostile, AWorkerThatGoesWrongAgainIsPutOffForTwiceAsLong) {
    Bench bench;
    Session session = 1;
    for (const Duration pause : {2s, 4s, 8s}) {
        bench.say(wire::Complaint{session, "nonsense"});
        bench.turn();
        bench.say(wire::Refused{session, {}});
        bench.turn();
        const std::uint64_t before = bench.broker.counts().hellos_put_off;
        bench.pass(pause - 1s);
        bench.hello("w1", {}, 8);
        EXPECT_EQ(bench.broker.counts().hellos_put_off, before + 1);
        bench.pass(1s);
        session = bench.add_worker("w1", {}, 8);
        EXPECT_EQ(bench.worker(session).state, SessionState::ready);
    }
}

TEST(DispatcherHostile, AWinnerThatAForgedDecisionHasReplacedIsAskedForAgain) {
    BrokerBench::Config config = Bench::with_deadline();
    config.fanout = 2;
    Bench bench(config);
    bench.add_worker("w2");
    const Seq seq = bench.start();
    bench.say_decided(seq, {1, 1});
    bench.say_decided(seq, {2, 1});  // a forgery
    bench.say_settled(seq);
    wire::TokenReport token;
    token.session = 1;
    token.received = token.reported = {{1, 1}};
    for (int i = 0; i < 2; ++i) {
        bench.pass(1s);
        bench.answer_token(token);
        bench.turn();
    }
    EXPECT_EQ(bench.to_session[1].count<wire::Resend>(), 1U);
    bench.say_ended({1, 1}, End::late);
    EXPECT_EQ(bench.books().attempts_in_flight, 0U);
    EXPECT_EQ(bench.worker(1).in_flight, 0U) << "its credit was given back once";
}

TEST(DispatcherHostile, ABadWorkerIsGoneAndWhatItHeldIsTriedElsewhere) {
    Bench bench;
    const Seq seq = bench.start();
    bench.say(wire::Complaint{1, "record 1 (type 12, of 1): field 8 cannot be read"});
    bench.turn();
    EXPECT_EQ(bench.worker(1).state, SessionState::leaving);
    EXPECT_EQ(bench.broker.counts().workers_refused, 1U);
    bench.add_worker("w2");
    bench.say(wire::Refused{1, {}});
    bench.turn();
    ASSERT_EQ(bench.tasks.size(), 1U);
    EXPECT_EQ(bench.tasks[0].seq, seq);
    EXPECT_EQ(bench.tasks[0].id.session, 2U);
}

// ---- hearsay -----------------------------------------------------------------------------------

TEST(DispatcherHostile, RangesOutOfNowhereCostNoMoreThanWhatIsInFlight) {
    Bench bench;
    for (int i = 0; i < 3; ++i) bench.start();
    bench.say(wire::Settled{Outcome::completed, {{1, UINT64_MAX - 2}}});
    bench.say(wire::Ended{1, End::late, {{10, UINT64_MAX - 2}}, {}});
    bench.say(wire::Decided{1, 1, 1, UINT64_MAX - 5, 1});
    bench.say(wire::Refused{1, {{1, UINT64_MAX - 2}}});
    EXPECT_GE(bench.broker.counts().surprises, 2U);
    EXPECT_TRUE(bench.books().balanced());
    EXPECT_EQ(bench.books().tasks_in_flight, 3U);
}

TEST(DispatcherHostile, AnyCollectorIsLetInOnceTheKnownOneHasBeenSilent) {
    Bench bench;
    const Incarnation real = bench.collector;
    bench.collector = UINT64_MAX - 1;  // a forgery
    bench.hear_collector_hellos();
    EXPECT_FALSE(bench.broker.collector_synced());
    bench.collector = real;
    bench.hear_collector_hellos();
    EXPECT_EQ(bench.broker.collector(), UINT64_MAX - 1) << "it might be there";
    bench.pass(2s);
    bench.meet_collector(real);
    EXPECT_TRUE(bench.broker.collector_synced());
    EXPECT_EQ(bench.broker.collector(), real);
}

TEST(DispatcherHostile, AboveTheBacklogNoMessageIsTaken) {
    Bench bench;
    EXPECT_TRUE(bench.broker.wants_message());
    bench.say(wire::Backlog{64 << 20});
    EXPECT_FALSE(bench.broker.wants_message());
    bench.say(wire::Backlog{1 << 20});
    EXPECT_TRUE(bench.broker.wants_message());
}

TEST(DispatcherHostile, WhenOnlyCalledHomeWorkIsLeftThePingsSaySo) {
    Bench bench;
    const Seq seq = bench.start();
    bench.broker.end_intake();
    bench.pass(500ms);
    EXPECT_EQ(bench.control.all<wire::Ping>().back().ending, 0U);
    bench.say_decided(seq, {});
    bench.say_settled(seq, Outcome::failed);
    bench.pass(500ms);
    EXPECT_EQ(bench.control.all<wire::Ping>().back().ending, 1U);
}

}  // namespace
}  // namespace curfew

// What the dispatcher promises about the collector: the sync with a new one, the stream to it, and
// that everything is repeated until it is known to have arrived. Numbers in test names: the edge
// rules of the design.
#include <gtest/gtest.h>

#include "broker/dispatcher.h"
#include "tests/support/broker_bench.h"

namespace curfew {
namespace {

using namespace std::chrono_literals;
using support::BrokerBench;

struct Bench : BrokerBench {
    explicit Bench(const Config& config = {}) : BrokerBench(config) {
        meet_collector();
        add_worker("w1");
        add_worker("w2");
    }
};

TEST(DispatcherCollector, ASyncIsRepeatedUntilItIsAnswered) {
    BrokerBench bench;
    for (int i = 0; i < 3; ++i) {
        bench.hear_collector_hello();
        bench.turn();
        EXPECT_EQ(bench.control.count<wire::Sync>(), 1U);
        EXPECT_FALSE(bench.broker.collector_synced());
    }
    bench.syncs = bench.control.all<wire::Sync>();
    bench.restart_stream();
    bench.say(wire::Synced{});
    EXPECT_TRUE(bench.broker.collector_synced());
    bench.hear_collector_hello();  // was under way
    bench.turn();
    EXPECT_EQ(bench.control.count<wire::Sync>(), 0U);
    EXPECT_TRUE(bench.broker.collector_synced());
}

TEST(DispatcherCollector, ANewCollectorIsToldSettledTasksWinnersAndSessions) {
    Bench bench;
    const Seq settled = bench.start();
    bench.win(bench.tasks.at(0));
    const Seq decided = bench.start();
    const AttemptId winner = bench.tasks.at(0).id;
    bench.say_decided(decided, winner);
    bench.turn();
    bench.meet_collector(60);
    ASSERT_EQ(bench.syncs.size(), 1U);
    const wire::Sync& sync = bench.syncs[0];
    EXPECT_EQ(sync.settled, (Intervals{{settled, settled}}));
    ASSERT_EQ(sync.winners.size(), 1U);
    EXPECT_EQ(sync.winners[0].seq, decided);
    EXPECT_EQ(sync.winners[0].attempt, winner);
    EXPECT_EQ(sync.sessions.size(), 2U);
}

TEST(DispatcherCollector, WorkersHearOfANewCollectorOnTheirPing) {
    Bench bench;
    bench.meet_collector(60);
    const auto pings = bench.control.all<wire::Ping>();
    ASSERT_EQ(pings.size(), 2U);
    EXPECT_EQ(pings[0].collector, 60U);
}

TEST(DispatcherCollector, WhatAnOldCollectorStillSaysIsRefused) {
    Bench bench;
    const Seq seq = bench.start();
    const AttemptId id = bench.tasks.at(0).id;
    bench.meet_collector(60);
    const auto refused = bench.broker.counts().refused;
    const wire::Envelope old{wire::Kind::to_broker, 1, BrokerBench::kCollector, 3, 0};
    bench.broker.receive(bench.now, support::frame_of(old, wire::Decided{seq, id.session, id.number}));
    EXPECT_EQ(bench.broker.counts().refused, refused + 1);
    EXPECT_EQ(bench.broker.ledger().task(seq)->state, TaskState::open);
    bench.collector = BrokerBench::kCollector;
    bench.hear_collector_hellos();
    EXPECT_EQ(bench.broker.counts().refused, refused + 3);
    EXPECT_EQ(bench.broker.collector(), 60U);
}

TEST(DispatcherCollector, AVerdictIsRepeatedToANewCollector) {
    Bench bench;
    const Seq open = bench.start();
    bench.broker.cancel_task(bench.now, open);
    const Seq decided = bench.start();
    bench.broker.cancel_task(bench.now, decided);
    bench.say(wire::Decided{decided, 0, 0});
    bench.turn();
    bench.collector = 60;
    bench.hear_collector_hellos();
    bench.turn();
    const auto verdicts = bench.control.all<wire::Verdict>();
    ASSERT_EQ(verdicts.size(), 2U) << "also the one whose decision died with the old collector";
    EXPECT_EQ(verdicts[0].seq, open);
    EXPECT_EQ(verdicts[1].seq, decided);
}

TEST(DispatcherCollector, AWinnerOfALeavingWorkerIsOpenAgainWithANewCollector) {
    Bench bench;
    const Seq seq = bench.start();
    const auto sent = bench.tasks;
    bench.say_decided(seq, sent[0].id);
    bench.broker.worker_died(bench.now, "w1", 1000);
    bench.broker.worker_died(bench.now, "w2", 1000);
    bench.turn();
    bench.meet_collector(60);
    EXPECT_TRUE(bench.syncs.at(0).winners.empty());
    EXPECT_TRUE(bench.syncs.at(0).sessions.empty());
    EXPECT_EQ(bench.books().of(End::lost), 2U) << "nobody is left to echo";
    EXPECT_EQ(bench.broker.ledger().task(seq)->state, TaskState::open);
    bench.add_worker("w3");
    EXPECT_EQ(bench.tasks.size(), 1U);
    EXPECT_EQ(bench.broker.ledger().audit(), std::nullopt);
}

TEST(DispatcherCollector, AWinnerThatEndsWithoutItsResultOpensItsTaskAgain) {
    Bench bench;
    const Seq seq = bench.start();
    const auto sent = bench.tasks;
    bench.say_decided(seq, sent[0].id);
    bench.say_ended(sent[1].id, End::cancelled);
    bench.meet_collector(60);
    bench.say_ended(sent[0].id, End::late);
    bench.turn();
    EXPECT_EQ(bench.broker.ledger().task(seq)->state, TaskState::open);
    EXPECT_EQ(bench.tasks.size(), 1U) << "it is tried again";
    EXPECT_FALSE(bench.broker.ledger().audit());
}

TEST(DispatcherCollector, OneFrameIsNotEnoughToLeaveTheCollectorThatIsKnown) {
    Bench bench;
    for (const Incarnation flipped : {Incarnation{51}, Incarnation{1} << 60, Incarnation{60}}) {
        bench.collector = flipped;
        bench.hear_collector_hello();
        EXPECT_EQ(bench.broker.collector(), BrokerBench::kCollector);
        EXPECT_TRUE(bench.broker.collector_synced());
    }
    bench.hear_collector_hello();
    EXPECT_EQ(bench.broker.collector(), 60U);
}

TEST(DispatcherCollector, NoMessageIsTakenWhileACollectorIsNotSynced) {
    Bench bench;
    EXPECT_TRUE(bench.broker.wants_message());
    bench.collector = 60;
    bench.hear_collector_hellos();
    EXPECT_FALSE(bench.broker.wants_message());
}

TEST(DispatcherCollector, ABatchWithoutAcknowledgementIsSentAgain) {
    Bench bench;
    const Seq seq = bench.start();
    bench.acknowledges = false;
    bench.broker.cancel_task(bench.now, seq);
    const std::uint64_t before = bench.acked;
    bench.turn();
    EXPECT_EQ(bench.control.count<wire::Verdict>(), 1U);
    EXPECT_EQ(bench.acked, before + 1);
    bench.pass(1s);
    EXPECT_EQ(bench.control.count<wire::Verdict>(), 0U) << "a collector that stands still has not read it yet";
    bench.hear_ack(before);
    bench.turn();
    EXPECT_EQ(bench.control.count<wire::Verdict>(), 1U);
    bench.say(wire::Admitted{99});  // carries the acknowledgement
    bench.turn();
    bench.pass(3s);
    EXPECT_EQ(bench.control.count<wire::Verdict>(), 0U);
    EXPECT_EQ(bench.broker.to_collector().unacknowledged(), 0U);
}

TEST(DispatcherCollector, EventsAreTakenOnceAndInOrder) {
    Bench bench;
    const Seq seq = bench.start();
    const AttemptId id = bench.tasks.at(0).id;
    const std::uint64_t next = bench.base() + 4;  // Synced, two times Admitted
    const auto event = [&](std::uint64_t number, const auto& record) {
        const wire::Envelope envelope{wire::Kind::to_broker, 1, BrokerBench::kCollector, number, 0};
        bench.broker.receive(bench.now, support::frame_of(envelope, record));
    };
    event(next + 1, wire::Settled{Outcome::completed, {{seq, seq}}});
    EXPECT_TRUE(bench.in_flight(seq)) << "one is missing";
    event(next, wire::Decided{seq, id.session, id.number});
    event(next, wire::Decided{seq, id.session, id.number});
    EXPECT_EQ(bench.worker(id.session).in_flight, 0U);
    event(next + 1, wire::Settled{Outcome::completed, {{seq, seq}}});
    EXPECT_FALSE(bench.in_flight(seq));
    EXPECT_EQ(bench.broker.counts().surprises, 0U);
}

TEST(DispatcherCollector, EventsAreAcknowledgedEvenWhenThereIsNothingToSay) {
    Bench bench;
    bench.turn();
    const auto acknowledged = [&] {
        return std::ranges::any_of(bench.control.frames, [&](const support::Frame& frame) {
            return frame.envelope.kind == wire::Kind::to_collector && frame.envelope.acked == bench.base() + 4;
        });
    };
    bench.say(wire::Admitted{99});
    bench.turn();
    EXPECT_FALSE(acknowledged()) << "not a frame for each";
    EXPECT_LE(bench.broker.next_deadline(), bench.now + 20ms);
    bench.now += 20ms;
    bench.turn();
    EXPECT_TRUE(acknowledged());
}

TEST(DispatcherCollector, ManyEventsAreAcknowledgedAtOnce) {
    Bench bench;
    bench.turn();
    for (int i = 0; i < 31; ++i) bench.say(wire::Admitted{99});
    bench.turn();
    EXPECT_TRUE(bench.control.frames.empty());
    bench.say(wire::Admitted{99});
    bench.turn();
    EXPECT_EQ(bench.control.frames.size(), 1U);
}

TEST(DispatcherCollector, SurprisesAreCountedAndChangeNothing) {
    Bench bench;
    const Seq seq = bench.start();
    bench.say(wire::Settled{Outcome::completed, {{seq, UINT64_MAX - 1}}});
    bench.say(wire::Ended{9, End::late, {{1, 1}}, {}});
    bench.say(wire::Ended{1, End::won, {{1, 1}}, {}});
    EXPECT_EQ(bench.broker.counts().surprises, 3U);
    EXPECT_EQ(bench.broker.ledger().task(seq)->state, TaskState::open);
    EXPECT_EQ(bench.broker.ledger().audit(), std::nullopt);
}

TEST(DispatcherCollector, AHelloOfTheCollectorThatLastsMeansThatItHasLostItsSync) {
    Bench bench;
    bench.hear_collector_hello();
    EXPECT_TRUE(bench.broker.collector_synced()) << "it may have been under way";
    bench.pass(1s);
    bench.hear_collector_hello();
    EXPECT_FALSE(bench.broker.collector_synced());
}

/// The same sync would set the collector's streams back to their beginning, and what it has
/// acknowledged is not kept.
TEST(DispatcherCollector, ACollectorThatHadTheSyncAndWantsAnotherGetsANewRoundThoughItsWordIsStillUnderWay) {
    Bench bench;
    bench.pass(1s);
    bench.hear_collector_hello();
    bench.turn();
    const std::uint64_t round = bench.control.all<wire::Sync>().back().round;
    bench.hear_collector_hello();
    bench.turn();
    EXPECT_EQ(bench.control.all<wire::Sync>().back().round, round) << "it has none yet: the same once more";
    bench.hear_collector_hello(round);
    bench.turn();
    EXPECT_EQ(bench.control.all<wire::Sync>().back().round, round + 1);
    EXPECT_FALSE(bench.broker.collector_synced());
}

TEST(DispatcherCollector, AnAcknowledgementOfWhatWasNotSentMakesThePairBeginAnew) {
    Bench bench;
    bench.hear_ack(bench.base() + 1000);
    EXPECT_TRUE(bench.broker.collector_synced()) << "of an older pair, perhaps";
    bench.pass(1s);
    bench.hear_ack(bench.base() + 1000);
    EXPECT_FALSE(bench.broker.collector_synced());
}

/// What a session can be said to have reported, that it was never given.
const wire::Decided kTaskToCome{77, 1, 1}, kAttemptToCome{1, 1, 55}, kOtherTask{2, 1, 1}, kTooMany{1, 1, 1, 100, 1};

TEST(DispatcherCollector, WhoReportsWhatItWasNotGivenIsGoneAndThePairBeginsAnew) {
    for (const wire::Decided& decided : {kTaskToCome, kAttemptToCome, kOtherTask, kTooMany}) {
        Bench bench;
        bench.start();
        bench.start();
        bench.say(decided);
        EXPECT_EQ(bench.broker.roster().find(1), nullptr);
        EXPECT_EQ(bench.broker.counts().workers_refused, 1U);
        EXPECT_FALSE(bench.broker.collector_synced()) << "what it has judged is no longer believed";
        EXPECT_EQ(bench.broker.ledger().audit(), std::nullopt);
    }
    Bench bench;
    bench.start();
    bench.say(wire::Ended{1, End::late, {{1, UINT64_MAX - 1}}, {}});
    EXPECT_EQ(bench.books().of(End::late), 1U);
    EXPECT_EQ(bench.broker.roster().find(1), nullptr);
}

TEST(DispatcherCollector, ARefusedWorkerIsNotLetInAgainAtOnce) {
    Bench bench;
    bench.say(wire::Complaint{1, "what it sends cannot be read"});
    bench.turn();
    bench.say(wire::Refused{1, {}});
    bench.turn();
    const std::size_t sessions = bench.broker.roster().sessions().size();
    bench.hello("w1", {}, 8);
    EXPECT_EQ(bench.broker.roster().sessions().size(), sessions);
    bench.pass(2s);
    bench.hello("w1", {}, 8);
    EXPECT_EQ(bench.broker.roster().sessions().size(), sessions + 1);
}

TEST(DispatcherCollector, JunkIsCountedAndDropped) {
    Bench bench;
    bench.broker.receive(bench.now, "");
    bench.broker.receive(bench.now, std::string(100, '\xff'));
    bench.broker.receive(bench.now, support::frame_of({wire::Kind::tasks, 1, 1, 0, 0}, wire::Token{1}));
    bench.broker.receive(bench.now, support::frame_of({wire::Kind::life, 1, 1, 0, 0}, wire::Token{1}));
    EXPECT_EQ(bench.broker.counts().malformed, 4U);
}

}  // namespace
}  // namespace curfew

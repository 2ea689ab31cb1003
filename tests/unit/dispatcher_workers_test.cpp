// What the dispatcher promises about workers: admission, silence, loss.
#include <gtest/gtest.h>

#include <functional>
#include <set>
#include <vector>

#include "broker/dispatcher.h"
#include "tests/support/lone_bench.h"

namespace curfew {
namespace {

using namespace std::chrono_literals;
using support::BrokerBench;
using Bench = support::LoneBench;
using support::lone;

// ---- admission ---------------------------------------------------------------------------------

TEST(DispatcherWorkers, AWorkerIsWelcomedOnlyWhenTheCollectorHasAdmittedIt) {
    Bench bench;
    bench.hello("w", {}, 7);
    bench.turn();
    EXPECT_EQ(bench.control.only<wire::Admit>().session, 1U);
    EXPECT_EQ(bench.control.count<wire::Welcome>(), 0U);
    bench.say(wire::Admitted{1});
    bench.turn();
    const auto welcome = bench.control.only<wire::Welcome>();
    EXPECT_EQ(welcome.worker, 7U);
    EXPECT_EQ(welcome.hello, 1U);
    EXPECT_EQ(welcome.collector, BrokerBench::kCollector);
    EXPECT_FALSE(bench.broker.wants_message()) << "it has not shown that it knows";
    bench.heartbeat(1);
    EXPECT_TRUE(bench.broker.wants_message());
}

/// The sync that is on its way does not have it, so the answer to that is no consent.
TEST(DispatcherWorkers, AWorkerThatComesBehindTheSyncWaitsForItsOwnConsent) {
    BrokerBench bench;
    bench.hello("before", {}, 7);
    bench.hear_collector_hellos();
    bench.turn();
    bench.syncs = bench.control.all<wire::Sync>();
    ASSERT_EQ(bench.syncs.size(), 1U);
    bench.hello("behind", {}, 8);
    bench.turn();
    bench.restart_stream();
    bench.say(wire::Synced{});
    bench.turn();
    EXPECT_EQ(bench.to_session[1].count<wire::Welcome>(), 1U);
    EXPECT_EQ(bench.to_session[2].count<wire::Welcome>(), 0U);
    bench.say(wire::Admitted{2});
    bench.turn();
    EXPECT_EQ(bench.to_session[2].count<wire::Welcome>(), 1U);
}

TEST(DispatcherWorkers, ARepeatedHelloIsWelcomedAgainIntoTheSameSession) {
    Bench bench;
    const Session session = bench.add_worker("w");
    bench.hello("w", {}, 7);
    bench.turn();
    EXPECT_EQ(bench.control.only<wire::Welcome>().hello, 1U);
    EXPECT_EQ(bench.newest().session, session);
}

TEST(DispatcherWorkers, AnOldHelloIsRefused) {
    Bench bench;
    bench.add_worker("w", {}, 7);
    bench.hello("w", {}, 6);
    EXPECT_EQ(bench.broker.counts().refused, 1U);
    EXPECT_EQ(bench.broker.roster().sessions().size(), 1U);
}

TEST(DispatcherWorkers, ANewHelloOfTheSameLifeEndsItsOldSession) {
    Bench bench;
    const Session old = bench.add_worker("w");
    bench.hello("w", {}, 7, 2);
    bench.turn();
    EXPECT_EQ(bench.control.only<wire::SessionGone>().session, old);
    EXPECT_EQ(bench.worker(old).state, SessionState::leaving);
    EXPECT_EQ(bench.worker(old).departure, Departure::gone);
    EXPECT_EQ(bench.newest().session, old + 1);
}

TEST(DispatcherWorkers, ANewLifeUnderTheSameNameMeansThatTheOldOneDied) {
    Bench bench;
    const Session old = bench.add_worker("w", {}, 7);
    bench.hello("w", {}, 8);
    EXPECT_EQ(bench.worker(old).departure, Departure::died);
    EXPECT_EQ(bench.broker.counts().workers_died, 1U);
}

TEST(DispatcherWorkers, SocketsAreOpenedForASessionAndClosedBehindIt) {
    Bench bench;
    const Session session = bench.add_worker("w");
    auto changes = bench.broker.take_link_changes();
    ASSERT_EQ(changes.size(), 1U);
    EXPECT_TRUE(changes[0].open);
    EXPECT_EQ(changes[0].tasks_endpoint, "ipc://t");
    bench.bury("w", session);
    changes = bench.broker.take_link_changes();
    ASSERT_EQ(changes.size(), 1U);
    EXPECT_FALSE(changes[0].open);
    EXPECT_EQ(bench.broker.roster().find(session), nullptr);
    EXPECT_EQ(bench.broker.ledger().session(session), nullptr);
}

// ---- hellos of anybody -------------------------------------------------------------------------

TEST(DispatcherWorkers, AHelloThatBreaksABoundIsMalformedAndSaysWhat) {
    const std::string name(65, 'n'), pool(65, 'p'), endpoint = "ipc:///" + std::string(107, 'e');
    const std::vector<std::pair<std::string_view, std::function<void(wire::Hello&)>>> wrong = {
        {"name", [&](wire::Hello& h) { h.name = name; }},
        {"name", [](wire::Hello& h) { h.name = ""; }},
        {"name", [](wire::Hello& h) { h.name = "../../etc/w"; }},
        {"name", [](wire::Hello& h) { h.name = "a\nb"; }},
        {"pool", [&](wire::Hello& h) { h.pool = pool; }},
        {"pool", [](wire::Hello& h) { h.pool = "\x1b[2J"; }},
        {"slots", [](wire::Hello& h) { h.slots = 16385; }},
        {"credit", [](wire::Hello& h) { h.credit = 1'000'001; }},
        {"tasks", [&](wire::Hello& h) { h.tasks = endpoint; }},
        {"control", [](wire::Hello& h) { h.control = "inproc://c"; }},
    };
    Bench bench;
    std::uint64_t count = 0;
    for (const auto& [field, change] : wrong) {
        bench.hello_of("w", {}, 7, 1, change);
        EXPECT_EQ(bench.broker.counts().malformed, ++count) << field;
        EXPECT_EQ(bench.broker.counts().hellos_malformed, count);
        EXPECT_TRUE(bench.broker.wrong_hello().what.starts_with(field)) << bench.broker.wrong_hello().what;
        EXPECT_LE(bench.broker.wrong_hello().name.size(), 64U);
    }
    EXPECT_TRUE(bench.broker.roster().sessions().empty());
    EXPECT_TRUE(bench.broker.take_link_changes().empty());
}

TEST(DispatcherWorkers, AFrameOfMoreHellosThanAWorkerHasToSayIsRefusedWhole) {
    Bench bench;
    wire::Writer writer;
    while (writer.size() < 4096) {
        wire::Hello hello{1, 1, "w", "p", 1, 1, 1, "ipc://t", "ipc://c"};
        hello.worker += writer.size();
        writer.add(hello);
    }
    bench.broker.receive(bench.now, writer.finish({wire::Kind::life, 0, 0, 0, 0}).view());
    EXPECT_EQ(bench.broker.counts().malformed, 1U);
    EXPECT_TRUE(bench.broker.roster().sessions().empty());
}

TEST(DispatcherWorkers, AHelloOnItsBoundsIsFine) {
    Bench bench;
    const std::string name(64, 'n'), endpoint = "ipc:///" + std::string(106, 'e');
    bench.hello_of("w", {}, 7, 1, [&](wire::Hello& h) {
        h.name = h.pool = name;
        h.slots = 16384;
        h.credit = 1'000'000;
        h.tasks = h.control = endpoint;
    });
    EXPECT_EQ(bench.broker.counts().malformed, 0U);
    EXPECT_EQ(bench.newest().name, name);
}

TEST(DispatcherWorkers, AHeartbeatWithMoreCreditThanThereIsChangesNothing) {
    Bench bench;
    const Session session = bench.add_worker("w", {.credit = 4});
    bench.broker.receive(bench.now,
                         support::frame_of({wire::Kind::life, 1, session, 0, 0}, wire::Heartbeat{1, 1'000'001}));
    EXPECT_EQ(bench.broker.counts().malformed, 1U);
    EXPECT_EQ(bench.worker(session).credit, 4U);
}

TEST(DispatcherWorkers, ASessionWhoseSocketsCannotBeOpenedEndsAndTheNextHelloIsANewTry) {
    Bench bench;
    bench.hello("w", {}, 7);
    const Session first = bench.newest().session;
    bench.broker.unreachable(bench.now, first);
    bench.turn();
    bench.say(wire::Refused{first, {}});
    EXPECT_TRUE(bench.broker.roster().sessions().empty());
    EXPECT_EQ(bench.broker.counts().workers_never_ready, 1U);
    bench.now += 250ms;
    const Session second = bench.add_worker("w");
    EXPECT_EQ(second, first + 1);
    bench.start();
    EXPECT_EQ(bench.tasks.size(), 1U);
}

TEST(DispatcherWorkers, WhereOneCouldNotBeGivenSocketsTheOthersAreNotTriedAtOnce) {
    Bench bench;
    bench.hello("a", {}, 7);
    bench.broker.unreachable(bench.now, bench.newest().session);
    bench.hello("b", {}, 7);
    EXPECT_EQ(bench.broker.counts().hellos_put_off, 1U);
    bench.now += 250ms;
    bench.hello("b", {}, 7);
    EXPECT_EQ(bench.newest().name, "b");
    EXPECT_EQ(bench.broker.counts().hellos_put_off, 1U);
}

TEST(DispatcherWorkers, HellosAloneKeepNoSessionThatTheCollectorHasAdmitted) {
    Bench bench;
    bench.hello("w", {}, 7);
    const Session session = bench.newest().session;
    bench.say(wire::Admitted{session});
    const auto pass = [&](Duration duration) {
        for (const Instant until = bench.now + duration; bench.now < until;) {
            bench.now += 250ms;
            bench.hello("w", {}, 7);
            bench.turn();
        }
    };
    pass(2750ms);
    EXPECT_EQ(bench.worker(session).state, SessionState::admitted);
    pass(250ms);
    EXPECT_EQ(bench.worker(session).state, SessionState::leaving);
    EXPECT_EQ(bench.broker.counts().workers_never_ready, 1U);
    EXPECT_EQ(bench.broker.counts().workers_silent, 0U);
    pass(250ms);
    EXPECT_EQ(bench.newest().state, SessionState::admitting) << "its next hello is a new try";
    EXPECT_GT(bench.newest().session, session);
}

TEST(DispatcherWorkers, AWorkerWaitsForTheCollectorAsLongAsItSaysHello) {
    BrokerBench bench(lone());  // without a collector
    for (int i = 0; i < 100; ++i, bench.now += 250ms) {
        bench.hello("w", {}, 7);
        bench.turn();
    }
    EXPECT_EQ(bench.broker.roster().sessions().size(), 1U);
    bench.meet_collector();
    bench.say(wire::Admitted{1});
    bench.now += 2s;
    bench.heartbeat(1);
    bench.turn();
    EXPECT_EQ(bench.broker.roster().find(1)->state, SessionState::ready);
}

/// Every frame that is new to the collector is answered.
void admit_all(BrokerBench& bench) {
    for (const auto& admit : bench.control.all<wire::Admit>()) bench.say(wire::Admitted{admit.session});
    for (const auto& gone : bench.control.all<wire::SessionGone>()) bench.say(wire::Refused{gone.session, {}});
}

TEST(DispatcherWorkers, AFloodOfMadeUpHellosHasABoundedNumberOfSessionsAndDoesNotKeepOutAGoodWorker) {
    Bench bench;
    Session most = 0;
    std::size_t opened = 0;
    int name = 0;
    for (int quarter = 0; quarter < 13; ++quarter, bench.now += 250ms) {
        for (int i = 0; i < 100 && quarter < 9; ++i) bench.hello("made-up-" + std::to_string(++name), {}, 7);
        bench.turn();
        admit_all(bench);
        for (const auto& change : bench.broker.take_link_changes()) opened += change.open ? 1 : 0;
        most = std::max<Session>(most, bench.broker.roster().sessions().size());
    }
    EXPECT_EQ(most, Dispatcher::kMostNewcomers);
    EXPECT_EQ(opened, Dispatcher::kMostNewcomers);
    EXPECT_EQ(bench.broker.counts().hellos_put_off, 900 - Dispatcher::kMostNewcomers);
    bench.turn();
    admit_all(bench);
    const Session good = bench.add_worker("good");
    EXPECT_EQ(bench.worker(good).state, SessionState::ready) << "three heartbeats after they began";
    bench.now += 3s;
    bench.heartbeat(good);
    bench.turn();
    admit_all(bench);
    EXPECT_EQ(bench.broker.roster().sessions().size(), 1U) << "nothing of the flood is left";
}

TEST(DispatcherWorkers, SessionsThatEndWhileTheCollectorStandsStillCountInTheBound) {
    Bench bench;
    for (int i = 0; i < 2000; ++i) {
        bench.now += 250ms;
        bench.hello("w" + std::to_string(i % 10), {}, 7);
        bench.broker.unreachable(bench.now, bench.broker.roster().sessions().rbegin()->first);
        bench.turn();
    }
    EXPECT_EQ(bench.broker.roster().sessions().size(), Dispatcher::kMostNewcomers);
}

TEST(DispatcherWorkers, AThousandGoodWorkersThatStartAtOnceAreAllReadyWithinTwoHeartbeats) {
    Bench bench;
    constexpr std::size_t kWorkers = 1000;
    std::set<std::string> ready;  // the others say hello four times a heartbeat
    for (int quarter = 0; quarter < 8; ++quarter, bench.now += 250ms) {
        for (std::size_t i = 0; i < kWorkers; ++i) {
            if (!ready.contains("w" + std::to_string(i))) bench.hello("w" + std::to_string(i), {}, 7);
        }
        bench.turn();
        admit_all(bench);
        bench.turn();
        for (const auto& [session, worker] : bench.broker.roster().sessions()) {
            if (worker->state == SessionState::admitting) continue;
            bench.heartbeat(session);
            ready.insert(worker->name);
        }
        bench.turn();
    }
    EXPECT_EQ(bench.broker.roster().ready(), kWorkers);
    EXPECT_EQ(bench.broker.counts().workers_never_ready, 0U);
}

TEST(DispatcherWorkers, AHeartbeatOfAnotherIncarnationsSessionIsRefused) {
    Bench bench;
    bench.add_worker("w");
    const auto heard = bench.worker(1).last_heard;
    bench.now += 1s;
    bench.broker.receive(bench.now, support::frame_of({wire::Kind::life, 99, 1, 0, 0}, wire::Heartbeat{}));
    EXPECT_EQ(bench.broker.counts().refused, 1U);
    EXPECT_EQ(bench.worker(1).last_heard, heard);
}

// ---- silence and loss --------------------------------------------------------------------------

TEST(DispatcherWorkers, AWorkerIsSilentAfterThreeHeartbeatsAndNotBefore) {
    Bench bench;
    bench.add_worker("w");
    bench.now += 3s - 1ns;
    bench.turn();
    EXPECT_EQ(bench.broker.counts().workers_silent, 0U);
    EXPECT_LE(bench.broker.next_deadline(), bench.now + 1ns);
    bench.now += 1ns;
    bench.turn();
    EXPECT_EQ(bench.broker.counts().workers_silent, 1U);
    EXPECT_EQ(bench.control.only<wire::SessionGone>().session, 1U);
}

TEST(DispatcherWorkers, AWorkerThatStoodStillHearsAtOnceThatItIsStillIn) {
    Bench bench;
    const Session session = bench.add_worker("w1");
    bench.broker.receive(bench.now, support::frame_of({wire::Kind::life, 1, session, 0, 0}, wire::Heartbeat{1, 4, 7}));
    bench.turn();
    EXPECT_EQ(bench.to_session[session].only<wire::Ping>().stood, 7U);
    bench.pass(500ms);
    EXPECT_EQ(bench.to_session[session].all<wire::Ping>().back().stood, 0U) << "its last heartbeat said so";
}

TEST(DispatcherWorkers, PingsGoTwiceAHeartbeat) {
    Bench bench;
    bench.add_worker("w");
    bench.pass(1s);
    bench.pass(4s);
    EXPECT_EQ(bench.control.count<wire::Ping>(), 8U);
}

TEST(DispatcherWorkers, AttemptsAreLostAtTheEchoAndNotBefore) {
    Bench bench;
    const Session session = bench.add_worker("w");
    const Seq seq = bench.start();
    bench.broker.worker_died(bench.now, "w", 1000);
    bench.turn();
    EXPECT_EQ(bench.books().of(End::lost), 0U);
    EXPECT_TRUE(bench.in_flight(seq));
    bench.say(wire::Refused{session, {}});
    EXPECT_EQ(bench.books().of(End::lost), 1U);
    bench.add_worker("other");
    EXPECT_EQ(bench.tasks.size(), 1U) << "and tried elsewhere";
}

TEST(DispatcherWorkers, NoAttemptIsBothLostAndWon) {
    Bench bench;
    const Session session = bench.add_worker("w");
    const Seq seq = bench.start();
    const auto task = bench.tasks.at(0);
    bench.broker.worker_died(bench.now, "w", 1000);
    // The collector had judged its report before the word of the death reached it.
    bench.say_decided(seq, task.id);
    bench.say(wire::Refused{session, {}});
    EXPECT_EQ(bench.books().of(End::lost), 0U);
    ASSERT_NE(bench.broker.roster().find(session), nullptr) << "lingers for its winner";
    bench.say_settled(seq);
    EXPECT_EQ(bench.books().of(End::won), 1U);
    EXPECT_EQ(bench.broker.roster().find(session), nullptr);
    EXPECT_EQ(bench.broker.ledger().audit(), std::nullopt);
}

TEST(DispatcherWorkers, AReopenedWinnerIsLostAndItsTaskTriedAgain) {
    Bench bench;
    const Session session = bench.add_worker("w");
    const Seq seq = bench.start();
    bench.say_decided(seq, bench.tasks.at(0).id);
    bench.broker.worker_died(bench.now, "w", 1000);
    bench.say(wire::Refused{session, {{seq, seq}}});
    EXPECT_EQ(bench.books().of(End::lost), 1U);
    EXPECT_EQ(bench.broker.ledger().task(seq)->state, TaskState::open);
    bench.add_worker("other");
    ASSERT_EQ(bench.tasks.size(), 1U);
    bench.win(bench.tasks[0]);
    EXPECT_EQ(bench.books().of(Outcome::completed), 1U);
    EXPECT_EQ(bench.broker.ledger().audit(), std::nullopt);
}

TEST(DispatcherWorkers, AWorkerThatSaysByeHasLeftAndDidNotDie) {
    Bench bench;
    const Session session = bench.add_worker("w");
    bench.start();
    bench.say(wire::Bye{session});
    bench.turn();
    EXPECT_EQ(bench.broker.counts().workers_left, 1U);
    EXPECT_EQ(bench.control.only<wire::SessionGone>().session, session);
    EXPECT_EQ(bench.to_session[session].count<wire::Gone>(), 1U);
}

TEST(DispatcherWorkers, AWorkerSeenToLeaveBeforeItsByeIsReadHasLeftOnce) {
    Bench bench;
    const Session session = bench.add_worker("w");
    bench.broker.worker_left(bench.now, "w", 1000);
    bench.say(wire::Bye{session});
    bench.broker.worker_left(bench.now, "w", 1000);
    bench.turn();
    EXPECT_EQ(bench.broker.counts().workers_left, 1U);
    EXPECT_EQ(bench.broker.counts().workers_died, 0U);
    EXPECT_EQ(bench.control.only<wire::SessionGone>().session, session);
}

TEST(DispatcherWorkers, ALeavingWorkerThatStillBeatsIsToldAgainThatItIsGone) {
    Bench bench;
    const Session session = bench.add_worker("w");
    bench.broker.worker_died(bench.now, "w", 1000);
    bench.turn();
    bench.turn();
    EXPECT_EQ(bench.to_session[session].count<wire::Gone>(), 0U);
    bench.heartbeat(session);
    bench.turn();
    EXPECT_EQ(bench.to_session[session].count<wire::Gone>(), 1U);
}

TEST(DispatcherWorkers, TheDeathOfAnotherPidIsNotItsOwn) {
    Bench bench;
    bench.add_worker("w");
    bench.broker.worker_died(bench.now, "w", 999);
    EXPECT_EQ(bench.worker(1).state, SessionState::ready);
}

TEST(DispatcherWorkers, ItsEndIsKnownByItsLifelineWhateverItIsCalledAndWhateverStandsBeforeIt) {
    Bench bench;
    bench.hello_of("mine", {}, 7, 1, [](wire::Hello& hello) { hello.lifeline = 4711; });
    bench.hello_of("another", {}, 7, 1, [](wire::Hello& hello) { hello.lifeline = 4712; });
    bench.hello_of("w", {}, 7, 1, [](wire::Hello& hello) { hello.lifeline = 4713; });
    bench.hello_of("old", {}, 7, 1, [](wire::Hello&) {});
    bench.broker.worker_died(bench.now, "w", 1000, 4711);
    EXPECT_EQ(bench.worker(1).departure, Departure::died);
    bench.broker.worker_left(bench.now, "w", 1000, 4712);
    EXPECT_EQ(bench.worker(2).departure, Departure::left);
    EXPECT_LT(bench.worker(3).state, SessionState::leaving) << "its name and pid, but not its lifeline";
    bench.broker.worker_died(bench.now, "old", 1000, 4714);
    EXPECT_EQ(bench.worker(4).departure, Departure::died) << "one that says none is known by name and pid";
}

}  // namespace
}  // namespace curfew

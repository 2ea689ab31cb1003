// The life of a worker's session: hello and welcome, silence, a loop that stood still, slots that
// outlive their session, leaving, and work that cannot be stopped. Numbers in test names: the edge
// rules of the design.
#include <gtest/gtest.h>

#include "tests/support/worker_bench.h"
#include "worker/session.h"

namespace curfew {
namespace {

using namespace std::chrono_literals;
using support::WorkerBench;
using Slots = std::vector<Slot>;

WorkerCore::Config with_slots(Slot slots) {
    WorkerCore::Config config;
    config.slots = slots;
    config.credit = 8;
    return config;
}

// ---- hello -------------------------------------------------------------------------------------

TEST(SessionLife, HelloIsRepeatedUntilItIsAnsweredAndHeartbeatsFollow) {
    support::ManualHandler handler;
    WorkerCore::Config config = with_slots(2);
    config.incarnation = 4;
    config.credit = 3;
    WorkerCore worker(config, handler);
    Instant now = support::kStart;
    const auto flush = [&] {
        std::vector<curfew::Frame> reports, life;
        worker.flush(now, reports, life);
        support::Sent sent;
        for (const curfew::Frame& frame : life) sent.add(frame);
        EXPECT_TRUE(reports.empty());
        return sent;
    };
    const auto hello = flush().only<wire::Hello>();
    EXPECT_EQ(hello.hello, 1U);
    EXPECT_EQ(hello.slots, 2U);
    EXPECT_EQ(hello.credit, 3U);
    EXPECT_TRUE(flush().frames.empty());
    now += 250ms;
    EXPECT_EQ(flush().count<wire::Hello>(), 1U);
    const wire::Envelope envelope{wire::Kind::control, 6, 9, 0, 0};
    worker.receive_control(now, support::frame_of(envelope, wire::Welcome{4, 1, 2, 0}));
    EXPECT_EQ(worker.session(), 9U);
    EXPECT_EQ(worker.epoch(), 2U);
    EXPECT_EQ(flush().count<wire::Heartbeat>(), 1U) << "at once: only then it gets tasks";
    EXPECT_TRUE(flush().frames.empty());
    now += 1s;
    EXPECT_EQ(flush().count<wire::Heartbeat>(), 1U);
}

TEST(SessionLife, AWelcomeForAnotherHelloOrAnotherLifeIsNoWelcome) {
    WorkerBench bench;
    bench.control(wire::Gone{});
    bench.control_from(1, 2, wire::Welcome{1, 1, 1, 0});
    bench.control_from(1, 2, wire::Welcome{2, 2, 1, 0});
    EXPECT_EQ(bench.worker.session(), 0U);
    bench.control_from(1, 2, wire::Welcome{1, 2, 1, 0});
    EXPECT_EQ(bench.worker.session(), 2U);
    bench.control_from(1, 3, wire::Welcome{1, 2, 1, 0});
    EXPECT_EQ(bench.worker.session(), 2U) << "it has one";
}

TEST(SessionLife, AnOlderBrokerIsNotGoneBackTo) {
    WorkerBench bench;
    bench.control(wire::Gone{});
    bench.turn();
    bench.meet_broker(5, 1);
    bench.control(wire::Gone{});
    bench.control_from(4, 1, wire::Welcome{1, 3, 1, 0});
    EXPECT_EQ(bench.worker.session(), 0U);
}

TEST(SessionLife, ABrokerWithASmallerIncarnationIsTakenOnceTheOtherIsSilent) {
    WorkerBench bench;
    bench.control(wire::Gone{});
    bench.turn();
    bench.meet_broker(5, 1);
    bench.now += 2s;
    bench.turn();
    EXPECT_EQ(bench.worker.session(), 0U);
    bench.control_from(4, 7, wire::Welcome{1, 3, 1, 0});
    EXPECT_EQ(bench.worker.session(), 7U) << "a clock was set back";
    EXPECT_EQ(bench.worker.broker(), 4U);
}

// ---- the end of a session --------------------------------------------------------------

TEST(SessionLife, NoPingForTwoHeartbeatsEndsTheSessionAndStopsAllWork) {
    WorkerBench bench(with_slots(2));
    for (const AttemptNumber n : {1U, 2U, 3U}) bench.task(n);
    bench.turn();
    bench.now += 2s - 1ns;
    bench.turn();
    EXPECT_EQ(bench.worker.session(), 1U);
    EXPECT_LE(bench.worker.next_deadline(), bench.now + 1ns);
    bench.now += 1ns;
    bench.turn();
    EXPECT_EQ(bench.worker.session(), 0U);
    EXPECT_EQ(bench.handler.stopped, (Slots{0, 1}));
    EXPECT_TRUE(bench.worker.held().empty());
    EXPECT_EQ(bench.worker.counts().abandoned, 3U);
    EXPECT_EQ(bench.sent_to_broker.only<wire::Hello>().hello, 2U);
}

TEST(SessionLife, PingsKeepASessionAlive) {
    WorkerBench bench;
    bench.pass(1min);
    EXPECT_EQ(bench.worker.session(), 1U);
}

/// One attempt runs, one is queued, and the loop has stood still.
struct StoodStill : WorkerBench {
    StoodStill() {
        task(1);
        task(2);
        turn();
        worker.stood_still(now);
    }
    void ping_that_says(std::uint64_t stood) { control(wire::Ping{collector, 0, stood}); }
    [[nodiscard]] std::size_t started() const { return handler.started.size(); }
};

TEST(SessionLife, AfterAStandstillNothingIsStartedBeforeTheBrokerSaysThatTheSessionLives) {
    StoodStill bench;
    bench.ping();  // was in the socket
    bench.end(0, Finish::ok, "answer");
    EXPECT_EQ(bench.sent_to_broker.only<wire::Heartbeat>().stood, 1U);
    EXPECT_EQ(bench.sent_to_broker.only<wire::Heartbeat>().slots, 0U) << "and nothing is to be sent here";
    EXPECT_EQ(bench.report().kind, ReportKind::ok) << "what ran goes on";
    EXPECT_EQ(bench.started(), 1U);
    bench.ping_that_says(1);
    bench.turn();
    EXPECT_EQ(bench.started(), 2U);
    EXPECT_EQ(bench.sent_to_broker.only<wire::Heartbeat>().slots, 1U);
    EXPECT_EQ(bench.worker.session(), 1U);
}

TEST(SessionLife, AfterAStandstillGoneEndsTheSession) {
    StoodStill bench;
    bench.control(wire::Gone{});
    EXPECT_EQ(bench.worker.session(), 0U);
    EXPECT_EQ(bench.handler.stopped, Slots{0});
}

TEST(SessionLife, AfterAStandstillALeaseWithoutAWordEndsTheSession) {
    StoodStill bench;
    bench.now += 1s;
    bench.ping();
    bench.turn();
    bench.now += 1s - 1ns;
    bench.turn();
    EXPECT_EQ(bench.worker.session(), 1U);
    bench.now += 1ns;
    bench.turn();
    EXPECT_EQ(bench.worker.session(), 0U);
    bench.worker.stood_still(bench.now);  // between two sessions: there is nothing to doubt
    bench.meet_broker(1, 2);
    bench.task(1);
    bench.end(0, Finish::stopped);
    EXPECT_EQ(bench.started(), 2U);
}

TEST(SessionLife, OnlyTheAnswerToTheLastStandstillCounts) {
    StoodStill bench;
    bench.worker.stood_still(bench.now);
    bench.end(0, Finish::ok, "answer");
    EXPECT_EQ(bench.sent_to_broker.only<wire::Heartbeat>().stood, 2U);
    bench.ping_that_says(1);
    bench.turn();
    EXPECT_EQ(bench.started(), 1U);
    bench.ping_that_says(2);
    bench.turn();
    EXPECT_EQ(bench.started(), 2U);
}

TEST(SessionLife, AWorkerThatIsToldGoneDropsWhatItHasToSay) {
    WorkerBench bench;
    bench.task(1);
    bench.turn();
    bench.handler.end(0, Finish::ok, "answer");
    bench.control(wire::Gone{});
    bench.turn();
    EXPECT_TRUE(bench.sent.frames.empty());
    EXPECT_EQ(bench.worker.kept_bytes(), 0U);
}

TEST(SessionLife, SlotsStayBusyUntilTheirWorkHasEndedWhicheverSessionStartedIt) {
    WorkerBench bench;
    bench.task(1);
    bench.turn();
    bench.control(wire::Gone{});
    bench.turn();
    bench.meet_broker(1, 2);
    bench.task(1);
    bench.turn();
    EXPECT_EQ(bench.handler.started.size(), 1U) << "its slot is still busy";
    EXPECT_EQ(bench.worker.busy_slots(), 1U);
    bench.end(0, Finish::stopped);
    ASSERT_EQ(bench.handler.started.size(), 2U);
    EXPECT_EQ(bench.handler.started[1].id, (AttemptId{2, 1}));
    EXPECT_TRUE(bench.sent.frames.empty()) << "the old one is nobody's any more";
}

TEST(SessionLife, AnotherBrokersEqualSessionNumberIsAnotherSession) {
    WorkerBench bench;
    bench.task(1);
    bench.turn();
    bench.control(wire::Gone{});
    bench.turn();
    bench.meet_broker(2, 1);  // the numbers start again with each broker
    ASSERT_EQ(bench.worker.session(), 1U);
    bench.task(1);
    bench.turn();
    bench.end(0, Finish::ok, "of the old one");
    EXPECT_EQ(bench.sent.count<wire::Report>(), 0U);
    EXPECT_EQ(bench.state(1), AttemptState::running);
    bench.end(0, Finish::ok, "of the new one");
    EXPECT_EQ(bench.report().payload, "of the new one");
}

TEST(SessionLife, NumbersStartAfreshWithASession) {
    WorkerBench bench;
    bench.task(1);
    bench.control(wire::Gone{});
    bench.turn();
    bench.meet_broker(1, 2);
    bench.task(1);
    EXPECT_EQ(bench.worker.counts().duplicates, 0U);
    EXPECT_EQ(bench.state(1), AttemptState::queued);
}

// ---- leaving -----------------------------------------------------------------------------------

TEST(SessionLife, WhoLeavesStopsItsWorkHandsBackItsQueueAndSaysBye) {
    WorkerBench bench;
    bench.task(1);
    bench.task(2);
    bench.turn();
    bench.worker.leave(bench.now);
    EXPECT_EQ(bench.handler.stopped, Slots{0});
    bench.turn();
    EXPECT_EQ(bench.report().number, 2U);
    EXPECT_EQ(bench.report().kind, ReportKind::returned) << "to be placed elsewhere";
    EXPECT_EQ(bench.sent.count<wire::Bye>(), 0U) << "not before its work has ended";
    EXPECT_FALSE(bench.worker.left());
    bench.end(0, Finish::stopped);
    EXPECT_EQ(bench.sent.only<wire::Bye>().session, 1U);
    EXPECT_EQ(bench.sent.count<wire::Report>(), 0U) << "the broker tries it elsewhere";
    bench.confirm(2);
    EXPECT_TRUE(bench.worker.left());
    EXPECT_EQ(bench.handler.started.size(), 1U);
}

TEST(SessionLife, WhoLeavesWaitsForTheConfirmationOfItsReports) {
    WorkerBench bench;
    bench.task(1);
    bench.turn();
    bench.end(0, Finish::ok, "answer");
    bench.worker.leave(bench.now);
    bench.turn();
    EXPECT_EQ(bench.sent.count<wire::Bye>(), 1U);
    EXPECT_FALSE(bench.worker.left());
    bench.confirm(1);
    EXPECT_TRUE(bench.worker.left());
}

TEST(SessionLife, TasksThatComeWhileItLeavesAreNotStarted) {
    WorkerBench bench;
    bench.task(1);
    bench.turn();
    bench.worker.leave(bench.now);
    bench.task(2);
    bench.turn();
    EXPECT_EQ(bench.handler.started.size(), 1U);
    EXPECT_EQ(bench.report().kind, ReportKind::returned);
    bench.end(0, Finish::stopped);
    bench.task(3);
    bench.turn();
    EXPECT_EQ(bench.worker.held().find(3), nullptr) << "behind the bye nothing is said any more";
}

TEST(SessionLife, WhoHasNoSessionLeavesAtOnce) {
    WorkerBench bench;
    bench.control(wire::Gone{});
    bench.worker.leave(bench.now);
    bench.turn();
    EXPECT_TRUE(bench.worker.left());
    EXPECT_TRUE(bench.sent_to_broker.frames.empty());
}

TEST(SessionLife, WhoLeavesWithoutASessionWhileItsWorkStopsDoesNotSpin) {
    WorkerBench bench;
    bench.task(1);
    bench.turn();
    bench.control(wire::Gone{});
    bench.worker.leave(bench.now);
    for (int turn = 0; turn < 3; ++turn, bench.now += 1ms) bench.turn();
    EXPECT_GT(bench.worker.next_deadline(), bench.now) << "there is nothing to do before grace is over";
    bench.end(0, Finish::stopped);
    EXPECT_TRUE(bench.worker.left());
}

// ---- work that does not stop -------------------------------------------------------------------

TEST(SessionLife, ASlotThatIgnoresItsStopIsOutOfServiceAtCancelPlusGrace) {
    WorkerBench bench(with_slots(2));
    bench.handler.kills = false;
    bench.task(1);
    bench.task(2);
    bench.turn();
    bench.cancel(1, CancelReason::decided);
    EXPECT_LE(bench.worker.next_deadline(), bench.now + 1s);
    bench.pass(1s);
    EXPECT_TRUE(bench.worker.slots()[0].out_of_service);
    EXPECT_FALSE(bench.worker.worn_out()) << "one slot is left";
    EXPECT_EQ(bench.state(1), AttemptState::cancelling);
    bench.end(0, Finish::stopped);
    EXPECT_FALSE(bench.worker.slots()[0].out_of_service) << "it did end: back in service";
}

TEST(SessionLife, AWorkerWithoutASlotInServiceIsWornOutHandsBackReportsAndLeaves) {
    WorkerBench bench;
    bench.handler.kills = false;
    bench.task(1);
    bench.task(2);
    bench.turn();
    bench.cancel(1, CancelReason::decided);
    bench.pass(1s);
    EXPECT_TRUE(bench.worker.worn_out());
    const auto reports = bench.sent.all<wire::Report>();
    ASSERT_EQ(reports.size(), 2U);
    EXPECT_EQ(reports[0].number, 1U);
    EXPECT_EQ(reports[0].kind, ReportKind::cancelled);
    EXPECT_EQ(reports[1].number, 2U);
    EXPECT_EQ(reports[1].kind, ReportKind::returned) << "handed back";
    EXPECT_EQ(bench.sent.count<wire::Bye>(), 1U);
    bench.confirm(1);
    bench.confirm(2);
    EXPECT_TRUE(bench.worker.left());
}

TEST(SessionLife, AtDeadlinePlusGraceAWorkerIsWornOutThoughOtherSlotsAreFree) {
    WorkerBench bench(with_slots(3));
    bench.handler.kills = false;
    bench.task(1, 5'000'000);
    bench.turn();
    bench.pass(5s);
    EXPECT_EQ(bench.handler.stopped, Slots{0});
    bench.pass(500ms);
    EXPECT_FALSE(bench.worker.worn_out());
    bench.pass(500ms);
    EXPECT_TRUE(bench.worker.worn_out());
    EXPECT_EQ(bench.report().kind, ReportKind::expired);
}

TEST(SessionLife, AHandlerThatCanKillIsNeverWornOut) {
    WorkerBench bench;
    bench.task(1, 1'000'000);
    bench.turn();
    bench.pass(3s);
    EXPECT_EQ(bench.report().kind, ReportKind::expired) << "the books wait for the kill, not for the kernel";
    EXPECT_FALSE(bench.report().error.empty());
    bench.pass(7s);
    EXPECT_TRUE(bench.worker.slots()[0].out_of_service) << "blocked in the kernel";
    EXPECT_FALSE(bench.worker.worn_out());
    EXPECT_EQ(bench.worker.busy_slots(), 1U);
    bench.confirm(1);
    bench.end(0, Finish::stopped);
    EXPECT_FALSE(bench.worker.slots()[0].out_of_service);
    EXPECT_EQ(bench.worker.busy_slots(), 0U);
    EXPECT_EQ(bench.sent.count<wire::Report>(), 0U) << "one end";
}

TEST(SessionLife, WithoutASlotInServiceAWorkerSaysSoAndGivesBackWhatIsQueued) {
    WorkerBench bench;
    bench.task(1, 1'000'000);
    bench.task(2);
    bench.turn();
    EXPECT_EQ(bench.state(2), AttemptState::queued);
    bench.pass(2s);
    EXPECT_EQ(bench.state(2), AttemptState::queued) << "a kill has its time";
    bench.pass(1s);
    EXPECT_EQ(bench.worker.held().find(2)->kind, ReportKind::returned);
    EXPECT_EQ(bench.sent_to_broker.only<wire::Heartbeat>().slots, 0U);
    bench.end(0, Finish::stopped);
    EXPECT_EQ(bench.sent_to_broker.only<wire::Heartbeat>().slots, 1U);
}

}  // namespace
}  // namespace curfew

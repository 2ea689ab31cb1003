// The worker's core: attempts from their task to the confirmed report, cancels, and sessions that
// end. The test plays the broker and the work.
#include "worker/session.h"

#include <gtest/gtest.h>

#include "tests/support/worker_bench.h"

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

std::uint64_t reported(const WorkerBench& bench, ReportKind kind) {
    return bench.worker.counts().reports[static_cast<std::size_t>(kind)];
}

// ---- from the task to the confirmation ---------------------------------------------------------

TEST(Session, ATaskIsWorkedOnAndReported) {
    WorkerBench bench;
    bench.task(1, 1'000'000, "question");
    bench.turn();
    ASSERT_EQ(bench.handler.started.size(), 1U);
    EXPECT_EQ(bench.handler.started[0].payload, "question");
    EXPECT_EQ(bench.handler.started[0].id, (AttemptId{1, 1}));
    bench.now += 7us;
    bench.end(0, Finish::ok, "answer");
    const auto report = bench.report();
    EXPECT_EQ(report.number, 1U);
    EXPECT_EQ(report.seq, 10U);
    EXPECT_EQ(report.kind, ReportKind::ok);
    EXPECT_EQ(report.payload, "answer");
    EXPECT_EQ(report.latency_us, 12U) << "its age when it was sent, and the time here";
}

TEST(Session, OfSharedTasksItTakesItsOwn) {
    WorkerBench bench(with_slots(2));
    wire::Writer writer;
    const auto take = [&](std::vector<wire::Addressee> to) {
        writer.begin({std::move(to), 70, 2, 1'000'000, 0, {}});
        writer.add_item(0, 0, "a");
        writer.add_item(0, 1, "b");
        bench.worker.receive_tasks(bench.now, writer.finish({wire::Kind::tasks, bench.broker, 0, 0, 0}));
        bench.turn();
    };
    take({{8, 1, 1}, {bench.worker.session(), 1, 2}});
    ASSERT_EQ(bench.handler.started.size(), 2U);
    EXPECT_EQ(bench.handler.started[0].payload, "a");
    EXPECT_EQ(bench.handler.started[1].id.number, 2U);
    EXPECT_EQ(bench.handler.started[1].seq, 72U);
    take({{8, 3, 1}, {9, 3, 2}});
    EXPECT_EQ(bench.worker.counts().refused, 1U) << "none of it is ours";
    take({{bench.worker.session(), 1, 2}});
    EXPECT_EQ(bench.worker.counts().duplicates, 2U);
    bench.worker.receive_tasks(bench.now,
                               support::frame_of({wire::Kind::tasks, bench.broker, 0, 0, 0}, wire::Token{1}));
    EXPECT_EQ(bench.worker.counts().malformed, 1U) << "only shared tasks come without a session";
}

TEST(Session, FailureAndRejectionAreSaidWithTheirReason) {
    WorkerBench bench(with_slots(2));
    bench.task(1);
    bench.task(2);
    bench.turn();
    bench.end(0, Finish::failed, "no");
    EXPECT_EQ(bench.report().kind, ReportKind::failed);
    EXPECT_EQ(bench.report().error, "no");
    bench.end(1, Finish::rejected, "never");
    EXPECT_EQ(bench.report().kind, ReportKind::rejected);
}

TEST(Session, WorkStartsInItsOrderAsSlotsBecomeFree) {
    WorkerBench bench(with_slots(2));
    for (const AttemptNumber n : {1U, 2U, 3U, 4U}) bench.task(n);
    bench.turn();
    EXPECT_EQ(bench.handler.started.size(), 2U);
    bench.end(1, Finish::ok);
    ASSERT_EQ(bench.handler.started.size(), 3U);
    EXPECT_EQ(bench.handler.started[2].id.number, 3U);
    EXPECT_EQ(bench.worker.busy_slots(), 2U);
}

TEST(Session, AReportIsKeptUntilItIsConfirmedAndForgottenThen) {
    WorkerBench bench;
    bench.task(1);
    bench.turn();
    bench.end(0, Finish::ok, "answer");
    bench.turn();
    EXPECT_EQ(bench.sent.count<wire::Report>(), 0U) << "sent once";
    EXPECT_EQ(bench.worker.kept_bytes(), 6U);
    bench.confirm(1);
    EXPECT_TRUE(bench.worker.held().empty());
    EXPECT_EQ(bench.worker.kept_bytes(), 0U);
}

TEST(Session, AConfirmationForgetsNothingThatIsNotReported) {
    WorkerBench bench;
    bench.task(1);
    bench.task(2);
    bench.turn();
    bench.control(wire::Confirm{{{1, UINT64_MAX - 1}}});
    EXPECT_EQ(bench.worker.held().size(), 2U);
}

TEST(Session, ReportsAreSentAgainToANewCollectorAndOnlyOnce) {
    WorkerBench bench(with_slots(2));
    bench.task(1);
    bench.task(2);
    bench.turn();
    bench.end(0, Finish::ok, "answer");
    bench.collector = 51;
    bench.ping();
    bench.turn();
    EXPECT_EQ(bench.report().payload, "answer");
    bench.ping();
    bench.turn();
    EXPECT_EQ(bench.sent.count<wire::Report>(), 0U);
    bench.collector = 50;  // an old ping
    bench.ping();
    bench.turn();
    EXPECT_EQ(bench.sent.count<wire::Report>(), 0U);
}

TEST(Session, AReportIsSentAgainWhenItIsAskedFor) {
    WorkerBench bench;
    bench.task(1);
    bench.turn();
    bench.end(0, Finish::ok, "answer");
    bench.control(wire::Resend{{{1, UINT64_MAX - 1}}});
    bench.turn();
    EXPECT_EQ(bench.report().payload, "answer");
}

TEST(Session, OverItsBudgetOfKeptResultsNothingNewIsStartedBesideOthers) {
    WorkerCore::Config config = with_slots(2);
    config.kept_bytes = 10;
    WorkerBench bench(config);
    for (const AttemptNumber n : {1U, 2U, 3U, 4U}) bench.task(n);
    bench.turn();
    bench.end(0, Finish::ok, "0123456789");
    EXPECT_EQ(bench.handler.started.size(), 2U);
    bench.end(1, Finish::ok, "0123456789");
    EXPECT_EQ(bench.handler.started.size(), 3U) << "one at a time: what is kept may wait for just that";
    bench.control(wire::Confirm{{{1, 2}}});
    bench.turn();
    EXPECT_EQ(bench.handler.started.size(), 4U);
}

// ---- any order, duplicates -------------------------------------------------------------

TEST(Session, DuplicatesAreDropped) {
    WorkerBench bench;
    for (int i = 0; i < 3; ++i) bench.task(2);
    bench.task(1);
    bench.task(0);
    EXPECT_EQ(bench.worker.counts().received, 2U);
    EXPECT_EQ(bench.worker.counts().duplicates, 3U);
}

TEST(Session, AnEarlyCancelMakesTheLaterTaskADuplicate) {
    WorkerBench bench;
    bench.cancel(1, CancelReason::decided);
    bench.turn();
    EXPECT_EQ(bench.report().kind, ReportKind::cancelled);
    EXPECT_EQ(bench.report().seq, 0U);
    bench.task(1);
    bench.turn();
    EXPECT_TRUE(bench.handler.started.empty());
    EXPECT_EQ(bench.worker.counts().duplicates, 1U);
    bench.confirm(1);
    EXPECT_TRUE(bench.worker.held().empty());
}

TEST(Session, AnEarlyCancelThatSaysLostSaysNothing) {
    WorkerBench bench;
    bench.cancel(1, CancelReason::lost);
    bench.task(1);
    bench.turn();
    EXPECT_TRUE(bench.sent.frames.empty());
    EXPECT_TRUE(bench.handler.started.empty());
    EXPECT_TRUE(bench.worker.held().empty());
}

// ---- the reason of a cancel ------------------------------------------------------------

TEST(Session, ADecisionDropsAFinishedResultWhereverItWaits) {
    WorkerBench bench;
    bench.worker.set_results_blocked(true);
    bench.task(1);
    bench.turn();
    bench.end(0, Finish::ok, "answer");
    bench.cancel(1, CancelReason::decided);
    EXPECT_EQ(bench.worker.kept_bytes(), 0U);
    bench.worker.set_results_blocked(false);
    bench.turn();
    EXPECT_EQ(bench.report().kind, ReportKind::late);
    EXPECT_EQ(bench.report().payload, "");
    EXPECT_EQ(reported(bench, ReportKind::ok), 0U);
    EXPECT_EQ(reported(bench, ReportKind::late), 1U);
}

TEST(Session, ADeadlineNeverDropsAFinishedResult) {
    WorkerBench bench;
    bench.worker.set_results_blocked(true);
    bench.task(1, 1000);
    bench.turn();
    bench.end(0, Finish::ok, "answer");
    bench.cancel(1, CancelReason::deadline);
    bench.now += 1s;
    bench.worker.set_results_blocked(false);
    bench.turn();
    EXPECT_EQ(bench.report().kind, ReportKind::ok);
    EXPECT_EQ(bench.report().payload, "answer");
}

TEST(Session, WorkThatFinishedBeforeItCouldStopIsLateOrStillWins) {
    WorkerBench bench(with_slots(2));
    bench.task(1);
    bench.task(2);
    bench.turn();
    bench.cancel(1, CancelReason::decided);
    bench.cancel(2, CancelReason::deadline);
    EXPECT_EQ(bench.handler.stopped, (Slots{0, 1}));
    bench.end(0, Finish::ok, "answer");
    EXPECT_EQ(bench.report().kind, ReportKind::late);
    EXPECT_EQ(bench.report().payload, "");
    bench.end(1, Finish::ok, "answer");
    EXPECT_EQ(bench.report().kind, ReportKind::ok);
}

TEST(Session, AReportThatWasMadeOutlivesLost) {
    WorkerBench bench;
    bench.task(1);
    bench.turn();
    bench.end(0, Finish::ok, "answer");
    bench.cancel(1, CancelReason::lost);
    EXPECT_EQ(bench.state(1), AttemptState::reported) << "it may have won meanwhile";
    bench.confirm(1);
    EXPECT_EQ(bench.worker.held().find(1), nullptr);
}

TEST(Session, WhatWasStoppedIsCancelledOrExpiredByTheReason) {
    WorkerBench bench(with_slots(3));
    for (const AttemptNumber n : {1U, 2U, 3U}) bench.task(n);
    bench.turn();
    bench.cancel(1, CancelReason::decided);
    bench.cancel(2, CancelReason::deadline);
    bench.cancel(3, CancelReason::lost);
    bench.end(0, Finish::stopped);
    EXPECT_EQ(bench.report().kind, ReportKind::cancelled);
    bench.end(1, Finish::stopped);
    EXPECT_EQ(bench.report().kind, ReportKind::expired);
    bench.end(2, Finish::stopped);
    EXPECT_TRUE(bench.sent.frames.empty());
    EXPECT_EQ(bench.worker.counts().lost, 1U);
}

TEST(Session, ADeadlineDoesNotSoftenADecisionButADecisionHardensADeadline) {
    WorkerBench bench(with_slots(2));
    bench.task(1);
    bench.task(2);
    bench.turn();
    bench.cancel(1, CancelReason::decided);
    bench.cancel(1, CancelReason::deadline);
    bench.cancel(2, CancelReason::deadline);
    bench.cancel(2, CancelReason::decided);
    EXPECT_EQ(bench.handler.stopped.size(), 2U) << "asked once each";
    bench.end(0, Finish::stopped);
    EXPECT_EQ(bench.report().kind, ReportKind::cancelled);
    bench.end(1, Finish::ok);
    EXPECT_EQ(bench.report().kind, ReportKind::late);
}

TEST(Session, AQueuedAttemptThatIsCalledHomeIsNeverStarted) {
    WorkerBench bench;
    for (const AttemptNumber n : {1U, 2U, 3U}) bench.task(n);
    bench.turn();
    bench.cancel(2, CancelReason::decided);
    bench.turn();
    EXPECT_EQ(bench.report().kind, ReportKind::cancelled);
    bench.end(0, Finish::ok);
    EXPECT_EQ(bench.handler.started.back().id.number, 3U);
}

TEST(Session, WhoIsCalledHomeHasAnEndToReport) {
    WorkerBench bench;
    bench.task(1);
    bench.task(2);
    bench.turn();
    EXPECT_FALSE(bench.worker.has_ends());
    bench.cancel(2, CancelReason::decided);
    EXPECT_TRUE(bench.worker.has_ends());
    bench.turn();
    EXPECT_FALSE(bench.worker.has_ends());
}

TEST(Session, CancelsAndConfirmationsOfTheLastNumbersThereAreComeToAnEnd) {
    WorkerBench bench;
    bench.task(1);
    bench.control(wire::Cancel{CancelReason::decided, {{UINT64_MAX - 1, UINT64_MAX}}});
    bench.control(wire::Confirm{{{UINT64_MAX, UINT64_MAX}}});
    EXPECT_EQ(bench.worker.counts().malformed, 2U);
    bench.control(wire::Cancel{CancelReason::decided, {{UINT64_MAX - 2, UINT64_MAX - 1}}});
    EXPECT_EQ(bench.worker.held().size(), 3U);
    bench.control(wire::Confirm{{{UINT64_MAX - 2, UINT64_MAX - 1}}});
    EXPECT_EQ(bench.worker.held().size(), 1U);
}

TEST(Session, ACancelOfMoreThanCanBeInFlightIsRefused) {
    WorkerBench bench;
    bench.control(wire::Cancel{CancelReason::decided, {{1, 1ULL << 40}}});
    EXPECT_EQ(bench.worker.counts().malformed, 1U);
    EXPECT_TRUE(bench.worker.held().empty());
}

// ---- deadlines ---------------------------------------------------------------------------------

TEST(Session, PastItsDeadlineWorkIsStoppedWithoutBeingTold) {
    WorkerBench bench;
    bench.task(1, 20'000);
    bench.task(2, 20'000);
    bench.turn();
    EXPECT_LE(bench.worker.next_deadline(), bench.now + 20ms);
    bench.now += 20ms;
    bench.turn();
    EXPECT_EQ(bench.handler.stopped, Slots{0});
    EXPECT_EQ(bench.state(1), AttemptState::cancelling);
    EXPECT_EQ(bench.report().number, 2U) << "it never started";
    EXPECT_EQ(bench.report().kind, ReportKind::expired);
    EXPECT_EQ(bench.worker.busy_slots(), 1U) << "a slot is free when the stop is confirmed";
    bench.end(0, Finish::stopped);
    EXPECT_EQ(bench.report().kind, ReportKind::expired);
    EXPECT_EQ(bench.worker.busy_slots(), 0U);
}

TEST(Session, WhatHasBeenStoppedByItsOwnDeadlineIsExpired) {
    WorkerBench bench;
    bench.task(1, 20'000);
    bench.turn();
    bench.now += 20ms;
    bench.end(0, Finish::stopped);
    EXPECT_EQ(bench.report().kind, ReportKind::expired);
}

TEST(Session, WhatIsPastItsDeadlineWhenItComesIsExpiredInTheSameTurn) {
    WorkerBench bench;
    bench.task(1, 0);
    bench.turn();
    EXPECT_EQ(bench.report().kind, ReportKind::expired) << "although a slot was free";
    EXPECT_EQ(bench.report().error, "it had not begun");
    bench.task(2);
    bench.turn();
    bench.task(3, 0);
    bench.turn();
    EXPECT_EQ(bench.report().kind, ReportKind::expired);
    EXPECT_EQ(bench.report().number, 3U);
    ASSERT_EQ(bench.handler.started.size(), 1U);
    EXPECT_EQ(bench.handler.started[0].id.number, 2U);
}

TEST(Session, WhatHasWaitedForASlotIsStoppedAtItsDeadlineAllTheSame) {
    WorkerBench bench;
    bench.task(1);
    bench.turn();
    bench.task(2, 20'000);
    bench.turn();
    bench.end(0, Finish::ok, "answer");
    EXPECT_EQ(bench.state(2), AttemptState::running);
    bench.now += 20ms;
    bench.turn();
    EXPECT_EQ(bench.state(2), AttemptState::cancelling);
    EXPECT_EQ(bench.handler.stopped, Slots{0});
}

// ---- the token -------------------------------------------------------------------------

TEST(Session, TheTokenSaysWhatIsReceivedAndHeldBehindTheReportsMadeBefore) {
    WorkerBench bench(with_slots(2));
    for (const AttemptNumber n : {1U, 2U, 3U, 5U}) bench.task(n);
    bench.turn();
    bench.cancel(2, CancelReason::decided);
    bench.cancel(5, CancelReason::decided);
    const auto token = bench.token();
    EXPECT_EQ(token.session, 1U);
    EXPECT_EQ(token.round, 1U);
    EXPECT_EQ(token.received, (Intervals{{1, 3}, {5, 5}}));
    EXPECT_EQ(token.running, (Intervals{{1, 1}}));
    EXPECT_EQ(token.cancelling, (Intervals{{2, 2}}));
    EXPECT_EQ(token.queued, (Intervals{{3, 3}}));
    EXPECT_EQ(token.reported, (Intervals{{5, 5}}));
    EXPECT_TRUE(std::holds_alternative<wire::TokenReport>(bench.sent.frames.back().records.back()));
    EXPECT_EQ(bench.sent.count<wire::Report>(), 1U);
}

// ---- junk, other sessions ----------------------------------------------------------------------

TEST(Session, WhatAnotherSessionOrBrokerSaysIsRefused) {
    WorkerBench bench;
    bench.control_from(1, 2, wire::Gone{});
    bench.control_from(7, 1, wire::Gone{});
    EXPECT_EQ(bench.worker.session(), 1U);
    bench.worker.receive_tasks(bench.now, support::frame_of({wire::Kind::tasks, 1, 2, 0, 0}, wire::Token{1}));
    EXPECT_EQ(bench.worker.counts().refused, 3U);
}

TEST(Session, JunkIsCountedAndDropped) {
    WorkerBench bench;
    bench.worker.receive_tasks(bench.now, "junk");
    bench.worker.receive_control(bench.now, std::string(50, '\xdd'));
    bench.worker.receive_tasks(bench.now, support::frame_of({wire::Kind::control, 1, 1, 0, 0}, wire::Gone{}));
    bench.control(wire::Token{1});
    bench.tasks(wire::Gone{});
    EXPECT_EQ(bench.worker.counts().malformed, 5U);
    EXPECT_EQ(bench.worker.session(), 1U);
}

}  // namespace
}  // namespace curfew

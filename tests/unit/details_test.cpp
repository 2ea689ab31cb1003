// How the work of an attempt went, from its end at the worker to the outcome: told where it is
// asked for, and gone when nobody needs it any more.
#include <gtest/gtest.h>

#include "collector/last_work.h"
#include "common/words/limits.h"
#include "tests/support/judge_bench.h"
#include "tests/support/worker_bench.h"

namespace curfew {
namespace {

using namespace std::chrono_literals;
using support::report;
using support::WorkerBench;
using SessionDetails = testing::Test;
using JudgeDetails = support::JudgeTest;

WorkerCore::Config full() {
    WorkerCore::Config config;
    config.wall_us = [](Instant at) {
        return static_cast<std::uint64_t>(
                   std::chrono::duration_cast<std::chrono::microseconds>(at - support::kStart).count()) +
               1'000'000;
    };
    return config;
}

Traces exit_of(int code, std::string errors) {
    return {.exit_code = code, .signal = 0, .stderr_bytes = errors.size(), .errors = errors};
}

// ---- the worker --------------------------------------------------------------------------------

TEST_F(SessionDetails, AReportTellsHowTheWorkWent) {
    WorkerBench bench(full());
    bench.task(1, -1, "question");
    bench.turn();
    const auto began = static_cast<std::uint64_t>(
        std::chrono::duration_cast<std::chrono::microseconds>(bench.now - support::kStart).count());
    bench.now += 7ms;
    bench.handler.end(0, Finish::ok, "answer", exit_of(0, "words"));
    bench.turn();
    const wire::Report said = bench.report();
    EXPECT_EQ(said.payload, "answer");
    ASSERT_TRUE(said.details);
    EXPECT_EQ(*said.details, (wire::WorkDetails{began + 1'000'000, 7000, 1, 0, 5, "words", "question"}));
}

TEST_F(SessionDetails, WhereTheResultIsTheMessageItIsThereTwice) {
    WorkerBench bench(full());
    bench.task(1, -1, "question");
    bench.turn();
    bench.handler.end(0, Finish::ok);
    bench.handler.echo();
    bench.turn();
    EXPECT_EQ(bench.report().payload, "question");
    ASSERT_TRUE(bench.report().details);
    EXPECT_EQ(bench.report().details->message, "question");
    EXPECT_EQ(bench.worker.kept_bytes(), 8U) << "and once here";
}

TEST_F(SessionDetails, AReportIsPlainUnlessItIsAskedFor) {
    WorkerBench bench;
    bench.task(1);
    bench.turn();
    bench.handler.end(0, Finish::failed, "exit code 3", exit_of(3, "words"));
    bench.turn();
    EXPECT_FALSE(bench.report().details);
}

TEST_F(SessionDetails, AFailureAndADeadlineTellItToo) {
    WorkerBench bench(full());
    bench.task(1);
    bench.turn();
    bench.handler.end(0, Finish::failed, "exit code 3", exit_of(3, ""));
    bench.turn();
    wire::Report said = bench.report();
    ASSERT_TRUE(said.details);
    EXPECT_EQ(said.details->exited, 4U);
    EXPECT_EQ(said.details->message, "") << "the broker has it";
    bench.task(2, 1000);
    bench.turn();
    bench.now += 1ms;
    bench.turn();
    ASSERT_FALSE(bench.handler.stopped.empty());
    bench.now += 1ms;
    bench.handler.end(0, Finish::stopped, "", Traces{.exit_code = {}, .signal = 15, .errors = {}});
    bench.turn();
    said = bench.report();
    EXPECT_EQ(said.kind, ReportKind::expired);
    ASSERT_TRUE(said.details);
    EXPECT_EQ(said.details->signal, 15U);
    EXPECT_EQ(said.details->run_us, 2000U);
}

TEST_F(SessionDetails, WhatWasCalledHomeOrHadNotBegunTellsNothing) {
    WorkerBench bench(full());
    bench.task(1);
    bench.turn();
    bench.cancel(1, CancelReason::decided);
    bench.handler.end(0, Finish::stopped, "", exit_of(1, "words"));
    bench.turn();
    EXPECT_EQ(bench.report().kind, ReportKind::cancelled);
    EXPECT_FALSE(bench.report().details);
    bench.task(2, 0);
    bench.turn();
    EXPECT_EQ(bench.report().kind, ReportKind::expired);
    EXPECT_FALSE(bench.report().details);
}

TEST_F(SessionDetails, WhatIsKeptCountsUntilItIsConfirmedOrDropped) {
    WorkerBench bench(full());
    for (const AttemptNumber number : std::initializer_list<AttemptNumber>{1, 2}) {
        bench.task(number, -1, "question");
        bench.turn();
        bench.handler.end(0, Finish::ok, "answer", exit_of(0, "words"));
        bench.turn();
        EXPECT_EQ(bench.worker.kept_bytes(), 6U + 8 + 5);
        number == 1 ? bench.confirm(number) : bench.cancel(number, CancelReason::decided);
        EXPECT_EQ(bench.worker.kept_bytes(), 0U);
    }
    bench.control(wire::Resend{{{2, 2}}});
    bench.turn();
    EXPECT_EQ(bench.report().kind, ReportKind::late);
    EXPECT_FALSE(bench.report().details);
}

// ---- the judge ---------------------------------------------------------------------------------

wire::Report with_details(wire::Report of, const wire::WorkDetails& details) {
    of.details = details;
    return of;
}

TEST_F(JudgeDetails, TheWinnersStandInTheOutcome) {
    sync();
    hear(1, with_details(report(1, 5), {10, 20, 1, 0, 7, "err", "question"}));
    hear(2, with_details(report(1, 5), {11, 21, 2, 0, 0, "", "question"}));
    const std::vector<OutcomeRecord> all = write_all();
    ASSERT_EQ(all.size(), 1U);
    EXPECT_EQ(all[0].message, "question");
    ASSERT_NE(all[0].work, nullptr);
    EXPECT_EQ(all[0].work->worker, "a");
    EXPECT_EQ(all[0].work->attempt, 2U);
    EXPECT_EQ(all[0].work->began_us, 10U);
    EXPECT_EQ(all[0].work->run_us, 20U);
    EXPECT_EQ(all[0].work->exit_code, 0);
    EXPECT_FALSE(all[0].work->signal);
    EXPECT_TRUE(all[0].work->is_cut());
}

TEST_F(JudgeDetails, AVerdictHasThoseOfTheLastAttemptThatEnded) {
    sync();
    hear(1, with_details(report(1, 5, ReportKind::failed), {10, 20, 2, 0, 0, "", ""}));
    hear(2, with_details(report(1, 5, ReportKind::failed), {11, 21, 0, 9, 0, "", ""}));
    wire::Verdict verdict{5, Outcome::failed, {}, "why", 2, 3, {}, "question"};
    say(verdict);
    verdict.seq = 6;
    say(verdict);
    const std::vector<OutcomeRecord> all = write_all();
    ASSERT_EQ(all.size(), 2U);
    ASSERT_NE(all[0].work, nullptr);
    EXPECT_EQ(all[0].work->worker, "b");
    EXPECT_EQ(all[0].work->signal, 9);
    EXPECT_EQ(all[0].message, "question");
    EXPECT_EQ(all[1].work, nullptr) << "of this one nothing was told";
}

TEST_F(JudgeDetails, PlainReportsTellNothing) {
    sync();
    hear(1, report(1, 5));
    const std::vector<OutcomeRecord> all = write_all();
    ASSERT_EQ(all.size(), 1U);
    EXPECT_EQ(all[0].work, nullptr);
}

TEST_F(JudgeDetails, OfWhatAPeerSaysTheBoundIsKept) {
    sync();
    const std::string much(limits::kStderrBytes + 10, 'x');
    hear(1, with_details(report(1, 5), {0, 0, UINT32_MAX, UINT32_MAX, 0, much, ""}));
    const std::vector<OutcomeRecord> all = write_all();
    ASSERT_EQ(all.size(), 1U);
    EXPECT_EQ(all[0].work->errors.size(), limits::kStderrBytes);
    EXPECT_TRUE(all[0].work->is_cut());
    EXPECT_FALSE(all[0].work->exit_code);
    EXPECT_FALSE(all[0].work->signal);
}

TEST(LastWork, KeepsOneForEachTaskAndItsStderrWithinABound) {
    const auto work = [](std::string errors) {
        auto told = std::make_unique<ToldWork>();
        told->stderr_bytes = errors.size();
        told->errors = std::move(errors);
        return told;
    };
    LastWork last(10);
    last.keep(1, work("12345678"));
    last.keep(1, work("12345"));
    last.keep(2, work("12345"));
    last.keep(3, work("1"));
    EXPECT_EQ(last.size(), 3U);
    EXPECT_EQ(last.take(3)->errors, "") << "no room";
    EXPECT_EQ(last.take(1)->errors, "12345");
    EXPECT_EQ(last.take(1), nullptr);
    last.keep(3, work("1"));
    EXPECT_EQ(last.take(3)->errors, "1");
    last.forget(2);
    EXPECT_EQ(last.size(), 0U);
}

}  // namespace
}  // namespace curfew

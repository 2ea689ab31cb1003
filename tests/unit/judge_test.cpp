// The judge decides each task once and settles it once the sink has it. The test plays the broker,
// the workers and the sink.
#include "collector/judge.h"

#include <gtest/gtest.h>

#include "tests/support/judge_bench.h"

namespace curfew {
namespace {

using namespace std::chrono_literals;
using support::each_of;
using support::frame_of;
using support::JudgeTest;
using support::report;
using support::Sent;
using wire::Kind;

class JudgeInOrder : public JudgeTest {
protected:
    JudgeInOrder() : JudgeTest(true) {}
};
using Judging = JudgeTest;

// ---- deciding --------------------------------------------------------------------------

TEST_F(Judging, TheFirstOkReportWins) {
    sync();
    hear(1, report(1, 10, ReportKind::ok, "first"));
    hear(2, report(1, 10, ReportKind::ok, "second"));
    news = flush();
    const auto decided = news.only<wire::Decided>();
    EXPECT_EQ(decided.seq, 10U);
    EXPECT_EQ(decided.session, 1U);
    EXPECT_EQ(decided.number, 1U);
    const auto outcomes = write_all();
    ASSERT_EQ(outcomes.size(), 1U);
    EXPECT_EQ(outcomes[0].result.view(), "first");
    EXPECT_EQ(outcomes[0].worker, "a");
    EXPECT_EQ(outcomes[0].pool, "cats");
    EXPECT_EQ(outcomes[0].attempt, 2U);
    EXPECT_EQ(outcomes[0].attempts, 3U);
    EXPECT_EQ(outcomes[0].latency_us, 77U);
    EXPECT_EQ(outcomes[0].epoch, 1U);
}

TEST_F(Judging, AnOkReportAfterTheDecisionIsLate) {
    sync();
    hear(1, report(1, 10));
    hear(2, report(1, 10));
    write_all();
    hear(2, report(2, 10));
    EXPECT_EQ(ends(End::late), 2U) << "before it was settled, and after";
    EXPECT_EQ(each_of(flush().only<wire::Ended>().numbers), (std::vector<std::uint64_t>{1, 2}));
}

TEST_F(Judging, AVerdictAfterAWinIsAnsweredWithTheOutcomeThereIs) {
    sync();
    hear(1, report(1, 10));
    wire::Verdict verdict;
    verdict.seq = 10;
    say(verdict);
    EXPECT_EQ(flush().only<wire::Decided>().session, 1U);
    const auto outcomes = write_all();
    ASSERT_EQ(outcomes.size(), 1U);
    EXPECT_EQ(outcomes[0].outcome, Outcome::completed);
    say(verdict);
    EXPECT_TRUE(write_all().empty());
    EXPECT_EQ(flush().only<wire::Settled>().outcome, Outcome::completed);
}

TEST_F(Judging, AVerdictDecidesWhatIsOpen) {
    sync();
    wire::Verdict verdict;
    verdict.seq = 10;
    verdict.outcome = Outcome::expired;
    verdict.id = "theirs";
    verdict.error = "deadline exceeded";
    verdict.attempts = 4;
    verdict.history = {{1, "a", End::failed, "no"}};
    say(verdict);
    hear(1, report(1, 10));
    EXPECT_EQ(ends(End::late), 1U);
    EXPECT_EQ(flush().only<wire::Decided>().session, 0U);
    const auto outcomes = write_all();
    ASSERT_EQ(outcomes.size(), 1U);
    EXPECT_EQ(outcomes[0].outcome, Outcome::expired);
    EXPECT_EQ(outcomes[0].id, "theirs");
    EXPECT_EQ(outcomes[0].error, "deadline exceeded");
    ASSERT_EQ(outcomes[0].history.size(), 1U);
    EXPECT_EQ(outcomes[0].history[0].worker, "a");
}

TEST_F(Judging, AWinnerSettlesOnlyWhenTheSinkHasIt) {
    sync();
    hear(1, report(1, 10));
    EXPECT_NE(judge.next_outcome(), nullptr);
    EXPECT_EQ(flush().count<wire::Settled>(), 0U);
    EXPECT_EQ(ends(End::won), 0U);
    EXPECT_EQ(judge.decided(), 1U);
    judge.written(1, 10);
    const auto settled = flush().only<wire::Settled>();
    EXPECT_EQ(settled.outcome, Outcome::completed);
    EXPECT_EQ(settled.seqs, (Intervals{{10, 10}}));
    EXPECT_EQ(ends(End::won), 1U);
    EXPECT_EQ(judge.decided(), 0U);
    judge.written(1, 10);
    EXPECT_EQ(ends(End::won), 1U) << "once";
}

TEST_F(Judging, EachOutcomeIsHandedOutOnce) {
    sync();
    hear(1, report(1, 10));
    EXPECT_NE(judge.next_outcome(), nullptr);
    EXPECT_EQ(judge.next_outcome(), nullptr);
}

TEST_F(Judging, DecisionsAreSaidBeforeWhatIsSettledInTheSameTurn) {
    sync();
    hear(1, report(1, 10));
    write_all();
    const Sent sent = flush();
    ASSERT_EQ(sent.frames.size(), 1U);
    ASSERT_EQ(sent.frames[0].records.size(), 2U);
    EXPECT_TRUE(std::holds_alternative<wire::Decided>(sent.frames[0].records[0]));
    EXPECT_TRUE(std::holds_alternative<wire::Settled>(sent.frames[0].records[1]));
}

TEST_F(Judging, ARejectedReportDecidesAtOnce) {
    sync();
    hear(1, report(1, 10, ReportKind::rejected));
    news = flush();
    EXPECT_EQ(news.only<wire::Decided>().session, 0U);
    EXPECT_EQ(news.only<wire::Ended>().end, End::failed);
    EXPECT_EQ(news.only<wire::Ended>().error, "why");
    const auto outcomes = write_all();
    ASSERT_EQ(outcomes.size(), 1U);
    EXPECT_EQ(outcomes[0].outcome, Outcome::failed);
    EXPECT_EQ(outcomes[0].error, "why");
}

TEST_F(Judging, ARejectionAfterAWinIsAnEndAndNothingElse) {
    sync();
    hear(1, report(1, 10));
    hear(2, report(1, 10, ReportKind::rejected));
    EXPECT_EQ(flush().count<wire::Decided>(), 1U);
    EXPECT_EQ(write_all().size(), 1U);
    EXPECT_EQ(ends(End::failed), 1U);
}

TEST_F(Judging, AFailureDecidesNothing) {
    sync();
    hear(1, report(1, 10, ReportKind::failed), report(2, 11, ReportKind::cancelled), report(3, 12, ReportKind::expired),
         report(4, 13, ReportKind::late));
    EXPECT_TRUE(write_all().empty());
    EXPECT_EQ(ends(End::failed), 1U);
    EXPECT_EQ(ends(End::cancelled), 1U);
    EXPECT_EQ(ends(End::expired), 1U);
    EXPECT_EQ(ends(End::late), 1U);
    EXPECT_EQ(flush().count<wire::Ended>(), 4U);
}

// ---- no order, duplicates --------------------------------------------------------------

TEST_F(Judging, EachReportIsJudgedOnceInWhateverOrder) {
    sync();
    for (const AttemptNumber n : std::vector<AttemptNumber>{5, 1, 3, 5, 1, 2, 4, 3}) hear(1, report(n, n));
    EXPECT_EQ(written_seqs(), (std::vector<Seq>{5, 1, 3, 2, 4}));
    EXPECT_EQ(judge.counts().duplicates, 3U);
}

TEST_F(Judging, AnAttemptThatWasCancelledBeforeItsTaskCameDecidesNothing) {
    sync();
    hear(1, report(1, 0, ReportKind::cancelled), report(2, 0, ReportKind::ok));
    EXPECT_TRUE(write_all().empty());
    EXPECT_EQ(ends(End::cancelled), 1U);
    EXPECT_EQ(ends(End::late), 1U);
}

TEST_F(Judging, AReportWithoutANumberIsMalformed) {
    sync();
    hear(1, report(0, 10));
    EXPECT_EQ(judge.counts().malformed, 1U);
    EXPECT_TRUE(write_all().empty());
}

// ---- sessions --------------------------------------------------------------------------

TEST_F(Judging, AGoneSessionIsRefusedAndEchoedBehindItsEnds) {
    sync();
    hear(1, report(1, 10, ReportKind::cancelled));
    say(wire::SessionGone{1});
    hear(1, report(2, 11));
    EXPECT_EQ(judge.counts().refused, 1U);
    const Sent sent = flush();
    ASSERT_EQ(sent.frames.at(0).records.size(), 2U);
    EXPECT_TRUE(std::holds_alternative<wire::Ended>(sent.frames[0].records[0]));
    EXPECT_TRUE(std::holds_alternative<wire::Refused>(sent.frames[0].records[1]));
    EXPECT_TRUE(write_all().empty());
}

TEST_F(Judging, AWinnerOfAGoneSessionStillSettles) {
    sync();
    hear(1, report(1, 10));
    say(wire::SessionGone{1});
    EXPECT_TRUE(flush().only<wire::Refused>().reopened.empty());
    EXPECT_EQ(written_seqs(), std::vector<Seq>{10});
    EXPECT_EQ(flush().count<wire::Settled>(), 1U);
}

TEST_F(Judging, ASessionIsHeardOnlyAfterItsAdmission) {
    sync();
    hear(3, report(1, 10));
    EXPECT_EQ(judge.counts().refused, 1U);
    say(wire::Admit{3, "c", "birds"});
    hear(3, report(1, 10));
    EXPECT_EQ(flush().only<wire::Admitted>().session, 3U);
    EXPECT_EQ(write_all().at(0).worker, "c");
}

TEST_F(Judging, AnUnknownSessionThatIsGoneIsEchoedToo) {
    sync();
    say(wire::SessionGone{9});
    EXPECT_EQ(flush().only<wire::Refused>().session, 9U);
}

TEST_F(Judging, ALossEndsWhatWasNotJudgedAndNothingElse) {
    sync();
    hear(1, report(1, 10, ReportKind::failed));
    say(wire::Lose{1, {{1, 2}}});
    EXPECT_EQ(ends(End::lost), 1U);
    hear(1, report(2, 11));
    EXPECT_TRUE(write_all().empty()) << "the books have closed on it";
    EXPECT_EQ(judge.counts().duplicates, 1U);
}

TEST_F(Judging, ALossOfMoreThanThereCanBeIsRefused) {
    sync();
    say(wire::Lose{1, {{1, 1ULL << 40}}});
    say(wire::Lose{1, {{UINT64_MAX - 1, UINT64_MAX}}});
    EXPECT_EQ(ends(End::lost), 0U);
    EXPECT_EQ(judge.counts().malformed, 2U);
    --stream;  // that one could not be read, and is not taken
    say(wire::Lose{1, {{UINT64_MAX - 2, UINT64_MAX - 1}}});
    EXPECT_EQ(ends(End::lost), 2U);
}

TEST_F(Judging, TokensAndByesArePassedOnBehindTheReportsAsTheEnvelopesSession) {
    sync();
    wire::TokenReport token;
    token.session = 2;  // hearsay
    token.round = 4;
    token.reported = {{1, 1}};
    hear(1, report(1, 10, ReportKind::cancelled), token, wire::Bye{2});
    const Sent sent = flush();
    ASSERT_EQ(sent.frames.at(0).records.size(), 3U);
    EXPECT_TRUE(std::holds_alternative<wire::Ended>(sent.frames[0].records[0]));
    EXPECT_EQ(sent.only<wire::TokenReport>().session, 1U);
    EXPECT_EQ(sent.only<wire::TokenReport>().round, 4U);
    EXPECT_EQ(sent.only<wire::Bye>().session, 1U);
}

// ---- order, junk -------------------------------------------------------------------------------

TEST_F(JudgeInOrder, OutcomesComeInTheOrderOfTheirTasks) {
    sync();
    hear(1, report(1, 3), report(2, 2));
    EXPECT_TRUE(written_seqs().empty());
    EXPECT_EQ(flush().count<wire::Decided>(), 2U) << "the others are called home all the same";
    hear(1, report(3, 1));
    EXPECT_EQ(written_seqs(), (std::vector<Seq>{1, 2, 3}));
    wire::Verdict verdict;
    verdict.seq = 5;
    say(verdict);
    EXPECT_TRUE(written_seqs().empty());
    hear(1, report(4, 4));
    EXPECT_EQ(written_seqs(), (std::vector<Seq>{4, 5}));
}

TEST_F(JudgeInOrder, WhatWasSettledBeforeIsNotWaitedForButAnAwaitedWinnerIs) {
    wire::Sync all;
    all.settled = {{1, 2}, {4, 4}};
    all.winners = {{3, {1, 1}}};
    sync(all);
    hear(1, report(2, 5));
    EXPECT_TRUE(written_seqs().empty());
    hear(1, report(1, 3));
    EXPECT_EQ(written_seqs(), (std::vector<Seq>{3, 5}));
}

TEST_F(Judging, JunkIsCountedAndDropped) {
    sync();
    judge.receive(now, "");
    judge.receive(now, std::string(64, '\xdd'));
    judge.receive(now, frame_of({Kind::tasks, 1, 1, 0, 0}, wire::Token{1}));
    hear(1, wire::Token{1});
    EXPECT_EQ(judge.counts().malformed, 4U);
    say(wire::Token{1});
    EXPECT_EQ(judge.counts().malformed, 5U);
}

}  // namespace
}  // namespace curfew

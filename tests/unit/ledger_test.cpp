// The ledger keeps the books: every move of the drawing in broker/ledger.h, and that both laws hold
// after each.
#include "broker/ledger.h"

#include <gtest/gtest.h>

#include <random>

#include "tests/support/frames.h"

namespace curfew {
namespace {

using namespace std::chrono_literals;
using support::kStart;

class LedgerTest : public testing::Test {
protected:
    LedgerTest() { ledger.open_session(1); }
    ~LedgerTest() override {
        EXPECT_TRUE(ledger.books().balanced());
        EXPECT_EQ(ledger.audit(), std::nullopt);
    }
    Seq accept(std::string_view payload = "work") { return ledger.accept(kStart, {.payload = payload}, kNever); }

    Ledger ledger;
};

TEST_F(LedgerTest, TasksAreNumberedDenselyFromOne) {
    EXPECT_EQ(accept(), 1U);
    EXPECT_EQ(accept(), 2U);
    EXPECT_EQ(ledger.last_seq(), 2U);
    EXPECT_EQ(ledger.tasks_in_flight(), 2U);
    EXPECT_EQ(ledger.task(3), nullptr);
}

TEST_F(LedgerTest, AttemptsAreNumberedDenselyFromOneWithinTheirSession) {
    ledger.open_session(2);
    const Seq seq = accept();
    EXPECT_EQ(ledger.start(kStart, seq, 1), (AttemptId{1, 1}));
    EXPECT_EQ(ledger.start(kStart, seq, 2), (AttemptId{2, 1}));
    EXPECT_EQ(ledger.start(kStart, seq, 1), (AttemptId{1, 2}));
    EXPECT_EQ(ledger.task(seq)->started, 3U);
    EXPECT_EQ(ledger.attempt({1, 2})->ordinal, 3U);
    EXPECT_EQ(ledger.task(seq)->alive.size(), 3U);
}

TEST_F(LedgerTest, AWinnerStaysInFlightUntilItsTaskSettles) {
    const Seq seq = accept();
    const AttemptId id = ledger.start(kStart, seq, 1);
    ledger.decide(*ledger.task(seq), id);
    EXPECT_EQ(ledger.attempt(id)->state, AttemptState::reported);
    EXPECT_EQ(ledger.books().attempts_in_flight, 1U);
    EXPECT_EQ(ledger.books().of(End::won), 0U);
    EXPECT_EQ(ledger.settle(seq, Outcome::completed), id);
    EXPECT_EQ(ledger.books().of(End::won), 1U);
    EXPECT_EQ(ledger.books().of(Outcome::completed), 1U);
    EXPECT_EQ(ledger.books().attempts_in_flight, 0U);
    EXPECT_EQ(ledger.task(seq), nullptr);
}

TEST_F(LedgerTest, TheFirstTaskInFlightIsTheOldestThatIsNotSettled) {
    EXPECT_EQ(ledger.first_in_flight(), 0U);
    const Seq first = accept();
    const Seq second = accept();
    const Seq third = accept();
    ledger.settle(second, Outcome::failed);
    EXPECT_EQ(ledger.first_in_flight(), first);
    ledger.settle(first, Outcome::failed);
    EXPECT_EQ(ledger.first_in_flight(), third);
    ledger.settle(third, Outcome::failed);
    EXPECT_EQ(ledger.first_in_flight(), 0U);
    const Seq fourth = accept();
    EXPECT_EQ(ledger.first_in_flight(), fourth);
    EXPECT_EQ(ledger.audit(), std::nullopt);
}

TEST_F(LedgerTest, ALoserMayOutliveItsTask) {
    const Seq seq = accept();
    const AttemptId winner = ledger.start(kStart, seq, 1);
    const AttemptId loser = ledger.start(kStart, seq, 1);
    ledger.decide(*ledger.task(seq), winner);
    ledger.call_home(kStart, loser, CancelReason::decided);
    ledger.settle(seq, Outcome::completed);
    EXPECT_EQ(ledger.books().attempts_in_flight, 1U);
    ledger.end(loser, End::cancelled);
    EXPECT_EQ(ledger.books().of(End::cancelled), 1U);
    EXPECT_EQ(ledger.books().attempts_in_flight, 0U);
}

TEST_F(LedgerTest, AVerdictHasNoWinner) {
    const Seq seq = accept();
    ledger.give_up(*ledger.task(seq), Outcome::expired);
    EXPECT_EQ(ledger.task(seq)->state, TaskState::giving_up);
    ledger.decide(*ledger.task(seq), {});
    EXPECT_TRUE(ledger.task(seq)->by_verdict);
    EXPECT_EQ(ledger.settle(seq, Outcome::expired), AttemptId{});
    EXPECT_EQ(ledger.books().of(Outcome::expired), 1U);
}

TEST_F(LedgerTest, AnOkReportMayWinAfterATaskWasGivenUp) {
    const Seq seq = accept();
    const AttemptId id = ledger.start(kStart, seq, 1);
    ledger.give_up(*ledger.task(seq), Outcome::expired);
    ledger.decide(*ledger.task(seq), id);
    EXPECT_FALSE(ledger.task(seq)->by_verdict);
    ledger.settle(seq, Outcome::completed);
    EXPECT_EQ(ledger.books().of(End::won), 1U);
}

TEST_F(LedgerTest, ADecisionThatWasLostWithItsCollectorIsAskedForAgain) {
    const Seq seq = accept();
    ledger.give_up(*ledger.task(seq), Outcome::cancelled);
    ledger.decide(*ledger.task(seq), {});
    ledger.ask_again(*ledger.task(seq));
    EXPECT_EQ(ledger.task(seq)->state, TaskState::giving_up);
    EXPECT_EQ(ledger.task(seq)->outcome, Outcome::cancelled);
}

TEST_F(LedgerTest, AReopenedTaskHasNoWinner) {
    const Seq seq = accept();
    const AttemptId id = ledger.start(kStart, seq, 1);
    ledger.decide(*ledger.task(seq), id);
    ledger.reopen(*ledger.task(seq));
    EXPECT_EQ(ledger.task(seq)->state, TaskState::open);
    ledger.end(id, End::lost, "w", "gone");
    const AttemptId second = ledger.start(kStart, seq, 1);
    ledger.decide(*ledger.task(seq), second);
    EXPECT_EQ(ledger.settle(seq, Outcome::completed), second);
}

TEST_F(LedgerTest, TheFirstCallHomeIsWhenItWasCalled) {
    const AttemptId id = ledger.start(kStart, accept(), 1);
    ledger.call_home(kStart + 1s, id, CancelReason::deadline);
    ledger.call_home(kStart + 2s, id, CancelReason::decided);
    EXPECT_EQ(ledger.attempt(id)->cancelled_at, kStart + 1s);
    EXPECT_EQ(ledger.attempt(id)->reason, CancelReason::decided);
}

TEST_F(LedgerTest, FailuresLossesAndWhatHasAReasonAreTheTasksHistoryUpToABound) {
    const Seq seq = accept();
    for (int i = 0; i < 20; ++i) {
        const AttemptId failed = ledger.start(kStart, seq, 1);
        const AttemptId cancelled = ledger.start(kStart, seq, 1);
        ledger.end(cancelled, End::cancelled, "w", {});
        ledger.end(failed, i == 0 ? End::lost : End::failed, "w", "why");
    }
    const auto& history = ledger.task(seq)->past->history;
    ASSERT_EQ(history.size(), Ledger::kMostHistory);
    EXPECT_EQ(history[0].end, End::lost);
    EXPECT_EQ(history[1].ordinal, 3U);
    EXPECT_EQ(history[1].worker, "w");
    EXPECT_EQ(history[1].error, "why");
    const Seq stuck = accept();
    ledger.end(ledger.start(kStart, stuck, 1), End::expired, "w", "not even when it is killed");
    EXPECT_EQ(ledger.task(stuck)->past->history.size(), 1U);
}

TEST_F(LedgerTest, SettledIsEverythingAcceptedThatIsNotInFlight) {
    EXPECT_TRUE(ledger.settled().empty());
    for (int i = 0; i < 6; ++i) accept();
    EXPECT_TRUE(ledger.settled().empty());
    for (const Seq seq : std::vector<Seq>{1, 2, 4, 6}) {
        ledger.decide(*ledger.task(seq), {});
        ledger.settle(seq, Outcome::failed);
    }
    EXPECT_EQ(ledger.settled(), (Intervals{{1, 2}, {4, 4}, {6, 6}}));
}

TEST_F(LedgerTest, PayloadBytesAreThoseInFlight) {
    const Seq seq = accept("12345");
    accept("123");
    EXPECT_EQ(ledger.payload_bytes(), 8U);
    ledger.decide(*ledger.task(seq), {});
    ledger.settle(seq, Outcome::failed);
    EXPECT_EQ(ledger.payload_bytes(), 3U);
}

TEST_F(LedgerTest, ASessionsBooksAreForgottenWithIt) {
    ledger.open_session(2);
    const AttemptId id = ledger.start(kStart, accept(), 2);
    ledger.end(id, End::failed, "w", "why");
    EXPECT_EQ(ledger.session(2)->ended.intervals(), (Intervals{{1, 1}}));
    ledger.close_session(2);
    EXPECT_EQ(ledger.session(2), nullptr);
    EXPECT_EQ(ledger.attempt(id), nullptr);
    EXPECT_EQ(ledger.books().of(End::failed), 1U) << "the totals stay";
}

TEST_F(LedgerTest, TheLawsHoldAfterEveryMoveOfARandomLife) {
    std::mt19937_64 random(9);
    std::vector<AttemptId> alive;
    ledger.open_session(2);
    for (int i = 0; i < 3000; ++i) {
        const auto dice = random() % 4;
        const Seq seq = ledger.last_seq() == 0 ? 0 : 1 + random() % ledger.last_seq();
        Task* task = ledger.task(seq);
        if (dice == 0) {
            accept(std::string(random() % 9, 'x'));
        } else if (dice == 1 && task != nullptr && task->state == TaskState::open) {
            alive.push_back(ledger.start(kStart, seq, 1 + random() % 2));
        } else if (dice == 2 && !alive.empty()) {
            const std::size_t at = random() % alive.size();
            const AttemptId id = std::exchange(alive[at], alive.back());
            alive.pop_back();
            if (ledger.attempt(id) == nullptr || ledger.attempt(id)->state == AttemptState::reported) continue;
            ledger.end(id, static_cast<End>(2 + random() % 5), "w", "e");
        } else if (dice == 3 && task != nullptr && !task->alive.empty()) {
            ledger.decide(*task, task->alive[0]);
            ledger.settle(seq, Outcome::completed);
        }
        ASSERT_TRUE(ledger.books().balanced());
        if (i % 20 == 0) {
            ASSERT_EQ(ledger.audit(), std::nullopt);
        }
    }
}

TEST_F(LedgerTest, WhatHasSettledIsToldByItsTag) {
    const Seq tagged = ledger.accept(kStart, {.payload = "work", .tag = 7}, kNever);
    const Seq other = accept();
    const Seq refused = ledger.accept(kStart, {.payload = "work", .tag = 8}, kNever);
    for (const Seq seq : {refused, other, tagged}) {
        EXPECT_TRUE(ledger.take_settled_tags().empty()) << seq;
        ledger.give_up(*ledger.task(seq), Outcome::failed);
        ledger.decide(*ledger.task(seq), {});
        ledger.settle(seq, Outcome::failed);
        if (seq == refused) {
            EXPECT_EQ(ledger.take_settled_tags(), std::vector<SettledTag>({{8, Outcome::failed}}));
        }
    }
    EXPECT_EQ(ledger.take_settled_tags(), std::vector<SettledTag>({{7, Outcome::failed}}));
}

}  // namespace
}  // namespace curfew

// What is published until it is confirmed: by hand, and against a model of a server that confirms
// in any order, refuses, returns, and is lost.
#include "collector/sinks/unconfirmed.h"

#include <gtest/gtest.h>

#include <map>
#include <random>
#include <set>

namespace curfew {
namespace {

using namespace std::chrono_literals;

constexpr Instant kNow = Instant(1h);

Outgoing part(std::uint64_t handle, bool is_answer = false) {
    return {.handle = handle,
            .key = is_answer ? "answers" : "outcomes",
            .task = "7-" + std::to_string(handle),
            .is_answer = is_answer};
}

TEST(Unconfirmed, IsDoneWhenItIsConfirmed) {
    Unconfirmed unconfirmed;
    for (const std::uint64_t handle : {1U, 2U, 3U}) unconfirmed.put(part(handle));
    while (unconfirmed.next(kNow) != nullptr) unconfirmed.sent(kNow);
    EXPECT_TRUE(unconfirmed.take_done().empty());
    unconfirmed.confirmed(kNow, 3, false, true);
    EXPECT_EQ(unconfirmed.take_done(), std::vector<std::uint64_t>{3});
    unconfirmed.confirmed(kNow, 2, true, true);
    EXPECT_EQ(unconfirmed.take_done(), (std::vector<std::uint64_t>{1, 2}));
    EXPECT_TRUE(unconfirmed.empty());
}

TEST(Unconfirmed, WhatNoQueueTakesWaitsAndGoesAgain) {
    Unconfirmed unconfirmed;
    unconfirmed.put(part(1));
    ASSERT_NE(unconfirmed.next(kNow), nullptr);
    unconfirmed.sent(kNow);
    unconfirmed.returned({.exchange = "", .key = "outcomes", .text = "NO_ROUTE", .task = "7-1"});
    unconfirmed.confirmed(kNow, 1, false, true);
    EXPECT_TRUE(unconfirmed.take_done().empty());
    EXPECT_EQ(unconfirmed.returned_to(), "/outcomes");
    EXPECT_EQ(unconfirmed.next(kNow), nullptr) << "not at once";
    EXPECT_EQ(unconfirmed.next_deadline(), kNow + Unconfirmed::kReturnedAgain);
    ASSERT_NE(unconfirmed.next(kNow + 1s), nullptr);
    unconfirmed.sent(kNow);
    unconfirmed.confirmed(kNow, 2, false, true);
    EXPECT_EQ(unconfirmed.take_done(), std::vector<std::uint64_t>{1});
    EXPECT_EQ(unconfirmed.returned_to(), "");
}

TEST(Unconfirmed, AnAnswerThatNobodyWaitsForIsLeft) {
    Unconfirmed unconfirmed;
    unconfirmed.put(part(1, true));
    ASSERT_NE(unconfirmed.next(kNow), nullptr);
    unconfirmed.sent(kNow);
    unconfirmed.returned({.exchange = "", .key = "answers", .text = "NO_ROUTE", .task = "7-1"});
    unconfirmed.confirmed(kNow, 1, false, true);
    EXPECT_EQ(unconfirmed.take_done(), std::vector<std::uint64_t>{1});
    EXPECT_EQ(unconfirmed.unheard(), 1U);
}

TEST(Unconfirmed, OfTwoPartsTheOneThatCameBackIsMeant) {
    Unconfirmed unconfirmed;
    unconfirmed.put(part(1, true));
    unconfirmed.put(part(1));
    while (unconfirmed.next(kNow) != nullptr) unconfirmed.sent(kNow);
    unconfirmed.returned({.exchange = "", .key = "outcomes", .text = "NO_ROUTE", .task = "7-1"});
    unconfirmed.confirmed(kNow, 2, true, true);
    EXPECT_EQ(unconfirmed.take_done().size(), 1U) << "the answer has arrived, the outcome has not";
    EXPECT_FALSE(unconfirmed.empty());
}

TEST(Unconfirmed, AfterALossAllGoAgainInTheirOrder) {
    Unconfirmed unconfirmed;
    for (const std::uint64_t handle : {1U, 2U, 3U}) unconfirmed.put(part(handle));
    for (int i = 0; i < 2; ++i) {
        ASSERT_NE(unconfirmed.next(kNow), nullptr);
        unconfirmed.sent(kNow);
    }
    unconfirmed.begin();
    std::vector<std::uint64_t> again;
    while (const Outgoing* next = unconfirmed.next(kNow)) {
        again.push_back(next->handle);
        unconfirmed.sent(kNow);
    }
    EXPECT_EQ(again, (std::vector<std::uint64_t>{1, 2, 3}));
    unconfirmed.confirmed(kNow, 3, true, true);
    EXPECT_EQ(unconfirmed.take_done().size(), 3U);
}

TEST(Unconfirmed, SoManyAreInTheAir) {
    Unconfirmed unconfirmed;
    for (std::uint64_t handle = 1; handle <= Unconfirmed::kMostInAir + 1; ++handle) unconfirmed.put(part(handle));
    std::size_t sent = 0;
    for (; unconfirmed.next(kNow) != nullptr; ++sent) unconfirmed.sent(kNow);
    EXPECT_EQ(sent, Unconfirmed::kMostInAir);
    EXPECT_EQ(unconfirmed.next_deadline(), kNever) << "there is nothing to do before a confirm";
    unconfirmed.confirmed(kNow, 1, false, true);
    EXPECT_LE(unconfirmed.next_deadline(), kNow);
    EXPECT_NE(unconfirmed.next(kNow), nullptr);
}

TEST(Unconfirmed, NothingIsSentAndNothingIsDueWhileTheServerTakesNothing) {
    Unconfirmed unconfirmed;
    unconfirmed.put(part(1));
    unconfirmed.block(kNow, true);
    EXPECT_EQ(unconfirmed.next(kNow), nullptr);
    EXPECT_EQ(unconfirmed.next_deadline(), kNever);
    unconfirmed.block(kNow, false);
    EXPECT_NE(unconfirmed.next(kNow), nullptr);
    unconfirmed.block(kNow, true);
    unconfirmed.begin();
    EXPECT_NE(unconfirmed.next(kNow), nullptr) << "the next connection will say whether it is blocked";
}

TEST(Unconfirmed, TheOldestIsOverdueWhenItsPatienceIsOver) {
    Unconfirmed unconfirmed;
    for (const std::uint64_t handle : {1U, 2U, 3U}) unconfirmed.put(part(handle));
    EXPECT_EQ(unconfirmed.overdue_at(), kNever) << "nothing was published";
    unconfirmed.sent(kNow);
    unconfirmed.sent(kNow + 10s);
    EXPECT_EQ(unconfirmed.overdue_at(), kNow + 30s);
    unconfirmed.confirmed(kNow + 29s, 1, false, true);
    EXPECT_EQ(unconfirmed.overdue_at(), kNow + 40s) << "the next has its own time";
    unconfirmed.confirmed(kNow + 29s, 2, false, true);
    EXPECT_EQ(unconfirmed.overdue_at(), kNever) << "what only waits is not overdue";
}

TEST(Unconfirmed, AConfirmOfAYoungerOneDoesNotExcuseTheOldest) {
    Unconfirmed unconfirmed;
    for (const std::uint64_t handle : {1U, 2U}) unconfirmed.put(part(handle));
    unconfirmed.sent(kNow);
    unconfirmed.sent(kNow + 10s);
    unconfirmed.confirmed(kNow + 20s, 2, false, true);
    EXPECT_EQ(unconfirmed.overdue_at(), kNow + 30s);
}

TEST(Unconfirmed, WhatComesBackIsNotOverdue) {
    Unconfirmed unconfirmed;
    unconfirmed.put(part(1));
    unconfirmed.sent(kNow);
    unconfirmed.returned({.exchange = "", .key = "outcomes", .text = "NO_ROUTE", .task = "7-1"});
    unconfirmed.confirmed(kNow + 1s, 1, false, true);
    EXPECT_EQ(unconfirmed.overdue_at(), kNever);
    unconfirmed.sent(kNow + 20s);
    EXPECT_EQ(unconfirmed.overdue_at(), kNow + 50s) << "from when it went last";
}

TEST(Unconfirmed, NothingIsOverdueWhileTheServerTakesNothingAndThenItHasAllOfThePatience) {
    Unconfirmed unconfirmed;
    unconfirmed.put(part(1));
    unconfirmed.sent(kNow);
    unconfirmed.block(kNow + 5s, true);
    EXPECT_EQ(unconfirmed.overdue_at(), kNever);
    unconfirmed.block(kNow + 100s, false);
    EXPECT_EQ(unconfirmed.overdue_at(), kNow + 130s);
    unconfirmed.block(kNow + 110s, false);
    EXPECT_EQ(unconfirmed.overdue_at(), kNow + 130s) << "it had said so before";
}

TEST(Unconfirmed, OnANewConnectionThePatienceBeginsWithThePublish) {
    Unconfirmed unconfirmed;
    unconfirmed.put(part(1));
    unconfirmed.sent(kNow);
    unconfirmed.begin();
    EXPECT_EQ(unconfirmed.overdue_at(), kNever);
    ASSERT_NE(unconfirmed.next(kNow + 31s), nullptr);
    unconfirmed.sent(kNow + 31s);
    EXPECT_EQ(unconfirmed.overdue_at(), kNow + 61s);
}

/// Who publishes, and a server that confirms in any order, refuses, and is lost.
class Publisher {
public:
    Publisher(std::uint32_t seed, std::uint64_t outcomes) : random_(seed), outcomes_(outcomes) {}
    [[nodiscard]] bool is_done() const { return done_.size() == outcomes_; }
    [[nodiscard]] const Unconfirmed& unconfirmed() const { return unconfirmed_; }
    void step() {
        now_ += 10ms;
        const auto dice = random_() % 100;
        if (dice < 30 && put_ < outcomes_) {
            unconfirmed_.put(part(++put_));
        } else if (dice < 60) {
            publish();
        } else if (dice < 97) {
            confirm();
        } else {
            unsaid_.clear();
            number_ = 0;
            unconfirmed_.begin();
        }
        for (const std::uint64_t handle : unconfirmed_.take_done()) {
            ASSERT_TRUE(there_.contains(handle));
            ASSERT_TRUE(done_.insert(handle).second) << "said twice";
        }
    }

private:
    void publish() {
        const Outgoing* next = unconfirmed_.next(now_);
        if (next == nullptr) return;
        unsaid_[++number_] = next->handle;
        unconfirmed_.sent(now_);
    }
    void confirm() {
        if (unsaid_.empty()) return;
        const auto at = std::next(unsaid_.begin(), static_cast<long>(random_() % unsaid_.size()));
        const bool multiple = random_() % 4 == 0, taken = random_() % 20 != 0;
        const std::uint64_t number = at->first;
        const auto first = multiple ? unsaid_.begin() : at;
        for (auto each = first; taken && each != std::next(at); ++each) there_.insert(each->second);
        unsaid_.erase(first, std::next(at));
        unconfirmed_.confirmed(now_, number, multiple, taken);
    }

    std::mt19937 random_;
    const std::uint64_t outcomes_;
    Unconfirmed unconfirmed_;
    Instant now_ = kNow;
    std::uint64_t put_ = 0, number_ = 0;
    std::set<std::uint64_t> there_, done_;           // handles: at the server; said to be
    std::map<std::uint64_t, std::uint64_t> unsaid_;  // number -> handle
};

TEST(UnconfirmedModel, WhatIsDoneIsThereAndAllOfItIsDone) {
    for (std::uint32_t seed = 1; seed <= 50; ++seed) {
        SCOPED_TRACE(seed);
        Publisher publisher(seed, 400);
        for (int step = 0; !publisher.is_done(); ++step) {
            ASSERT_LT(step, 1'000'000);
            publisher.step();
            if (HasFatalFailure()) return;
        }
        EXPECT_TRUE(publisher.unconfirmed().empty());
    }
}

}  // namespace
}  // namespace curfew

// What is published until it is confirmed: by hand, and against a model of a server that confirms in
// any order, refuses, returns, and is lost.
#include "collector/sinks/unconfirmed.h"

#include <gtest/gtest.h>

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
    while (unconfirmed.next(kNow) != nullptr) unconfirmed.sent();
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
    unconfirmed.sent();
    unconfirmed.returned({.exchange = "", .key = "outcomes", .text = "NO_ROUTE", .task = "7-1"});
    unconfirmed.confirmed(kNow, 1, false, true);
    EXPECT_TRUE(unconfirmed.take_done().empty());
    EXPECT_EQ(unconfirmed.returned_to(), "/outcomes");
    EXPECT_EQ(unconfirmed.next(kNow), nullptr) << "not at once";
    EXPECT_EQ(unconfirmed.next_deadline(), kNow + Unconfirmed::kReturnedAgain);
    ASSERT_NE(unconfirmed.next(kNow + 1s), nullptr);
    unconfirmed.sent();
    unconfirmed.confirmed(kNow, 2, false, true);
    EXPECT_EQ(unconfirmed.take_done(), std::vector<std::uint64_t>{1});
    EXPECT_EQ(unconfirmed.returned_to(), "");
}

TEST(Unconfirmed, AnAnswerThatNobodyWaitsForIsLeft) {
    Unconfirmed unconfirmed;
    unconfirmed.put(part(1, true));
    ASSERT_NE(unconfirmed.next(kNow), nullptr);
    unconfirmed.sent();
    unconfirmed.returned({.exchange = "", .key = "answers", .text = "NO_ROUTE", .task = "7-1"});
    unconfirmed.confirmed(kNow, 1, false, true);
    EXPECT_EQ(unconfirmed.take_done(), std::vector<std::uint64_t>{1});
    EXPECT_EQ(unconfirmed.unheard(), 1U);
}

TEST(Unconfirmed, OfTwoPartsTheOneThatCameBackIsMeant) {
    Unconfirmed unconfirmed;
    unconfirmed.put(part(1, true));
    unconfirmed.put(part(1));
    while (unconfirmed.next(kNow) != nullptr) unconfirmed.sent();
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
        unconfirmed.sent();
    }
    unconfirmed.begin();
    std::vector<std::uint64_t> again;
    while (const Outgoing* next = unconfirmed.next(kNow)) {
        again.push_back(next->handle);
        unconfirmed.sent();
    }
    EXPECT_EQ(again, (std::vector<std::uint64_t>{1, 2, 3}));
    unconfirmed.confirmed(kNow, 3, true, true);
    EXPECT_EQ(unconfirmed.take_done().size(), 3U);
}

TEST(Unconfirmed, SoManyAreInTheAir) {
    Unconfirmed unconfirmed;
    for (std::uint64_t handle = 1; handle <= Unconfirmed::kMostInAir + 1; ++handle) unconfirmed.put(part(handle));
    std::size_t sent = 0;
    for (; unconfirmed.next(kNow) != nullptr; ++sent) unconfirmed.sent();
    EXPECT_EQ(sent, Unconfirmed::kMostInAir);
    unconfirmed.confirmed(kNow, 1, false, true);
    EXPECT_NE(unconfirmed.next(kNow), nullptr);
}

TEST(UnconfirmedModel, WhatIsDoneIsThereAndAllOfItIsDone) {
    constexpr std::uint64_t kOutcomes = 400;
    for (std::uint32_t seed = 1; seed <= 50; ++seed) {
        SCOPED_TRACE(seed);
        std::mt19937 random(seed);
        Unconfirmed unconfirmed;
        Instant now = kNow;
        std::uint64_t put = 0, number = 0;
        std::multiset<std::uint64_t> there, done;               // handles: at the server; said to be
        std::map<std::uint64_t, std::uint64_t> unsaid;          // number -> handle, taken and not confirmed
        while (done.size() < kOutcomes) {
            now += 10ms;
            const auto dice = random() % 100;
            if (dice < 30 && put < kOutcomes) {
                unconfirmed.put(part(++put));
            } else if (dice < 60) {
                if (const Outgoing* next = unconfirmed.next(now)) {
                    unsaid[++number] = next->handle;
                    unconfirmed.sent();
                }
            } else if (dice < 97 && !unsaid.empty()) {
                auto at = unsaid.begin();
                std::advance(at, random() % unsaid.size());
                const bool multiple = random() % 4 == 0, taken = random() % 20 != 0;
                const std::uint64_t up_to = at->first;
                const auto first = multiple ? unsaid.begin() : at;
                for (auto each = first; taken && each != std::next(at); ++each) there.insert(each->second);
                unsaid.erase(first, std::next(at));
                unconfirmed.confirmed(now, up_to, multiple, taken);
            } else if (dice >= 97) {
                unsaid.clear();
                number = 0;
                unconfirmed.begin();
            }
            for (const std::uint64_t handle : unconfirmed.take_done()) {
                ASSERT_TRUE(there.contains(handle));
                ASSERT_FALSE(done.contains(handle)) << "said twice";
                done.insert(handle);
            }
        }
        EXPECT_TRUE(unconfirmed.empty());
    }
}

}  // namespace
}  // namespace curfew

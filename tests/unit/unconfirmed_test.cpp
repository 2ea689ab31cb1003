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

/// Their handles.
std::vector<std::uint64_t> publish_all(Unconfirmed& unconfirmed, Instant now = kNow) {
    std::vector<std::uint64_t> handles;
    while (const Outgoing* next = unconfirmed.next(now)) {
        handles.push_back(next->handle);
        unconfirmed.sent(now);
    }
    return handles;
}

/// Whatever is published.
void close_on(Unconfirmed& unconfirmed, std::uint32_t times) {
    for (std::uint32_t i = 0; i < times; ++i) {
        publish_all(unconfirmed);
        unconfirmed.closed(kNow, "406: too large");
        unconfirmed.begin();
    }
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

TEST(Unconfirmed, TheTimeInWhichItIsWrittenDoesNotCount) {
    Unconfirmed unconfirmed;
    unconfirmed.written(kNow);  // nothing was sent
    unconfirmed.put(part(1));
    unconfirmed.sent(kNow);
    unconfirmed.written(kNow + 25s);  // a slow link
    EXPECT_EQ(unconfirmed.overdue_at(), kNow + 55s);
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

TEST(Unconfirmed, BothPartsCanComeBackFromOneQueue) {
    Unconfirmed unconfirmed;
    Outgoing answer = part(1);
    answer.is_answer = true;
    unconfirmed.put(std::move(answer));
    unconfirmed.put(part(1));
    publish_all(unconfirmed);
    for (int i = 0; i < 2; ++i)
        unconfirmed.returned({.exchange = "", .key = "outcomes", .text = "NO_ROUTE", .task = "7-1"});
    unconfirmed.confirmed(kNow, 2, true, true);
    EXPECT_EQ(unconfirmed.take_done().size(), 1U);
    EXPECT_EQ(unconfirmed.returned_to(), "/outcomes") << "no queue has the outcome";
}

TEST(Unconfirmed, ARefusedOutcomeIsForAnotherChannelWhenTheOthersAreConfirmed) {
    Unconfirmed unconfirmed;
    for (const std::uint64_t handle : {1U, 2U, 3U}) unconfirmed.put(part(handle));
    publish_all(unconfirmed);
    unconfirmed.put(part(4));
    EXPECT_FALSE(unconfirmed.wants_channel(kNow));
    unconfirmed.confirmed(kNow, 2, false, false);
    EXPECT_FALSE(unconfirmed.wants_channel(kNow)) << "what is confirmed meanwhile need not go again";
    EXPECT_EQ(unconfirmed.next(kNow), nullptr) << "that would be refused, too";
    EXPECT_EQ(unconfirmed.next_deadline(), kNow + Unconfirmed::kDrain);
    EXPECT_TRUE(unconfirmed.wants_channel(kNow + Unconfirmed::kDrain)) << "not for ever";
    unconfirmed.confirmed(kNow, 3, true, true);
    EXPECT_TRUE(unconfirmed.wants_channel(kNow));
    unconfirmed.begin();
    EXPECT_FALSE(unconfirmed.wants_channel(kNow));
    EXPECT_EQ(publish_all(unconfirmed), (std::vector<std::uint64_t>{2, 4}));
}

TEST(Unconfirmed, ADrainWaitsForTheEndOfAnAlarm) {
    Unconfirmed unconfirmed;
    for (const std::uint64_t handle : {1U, 2U}) unconfirmed.put(part(handle));
    publish_all(unconfirmed);
    unconfirmed.confirmed(kNow, 1, false, false);
    unconfirmed.block(kNow, true);
    EXPECT_FALSE(unconfirmed.wants_channel(kNow + 60s)) << "the server has 2, and will say so";
    EXPECT_EQ(unconfirmed.next_deadline(), kNever);
    unconfirmed.block(kNow + 60s, false);
    EXPECT_EQ(unconfirmed.next_deadline(), kNow + 60s + Unconfirmed::kDrain);
    unconfirmed.confirmed(kNow + 60s, 2, false, true);
    EXPECT_TRUE(unconfirmed.wants_channel(kNow + 60s));
    EXPECT_LE(unconfirmed.next_deadline(), kNow) << "it holds already";
}

/// An answer that is always refused, and others meanwhile.
struct RefusedAnswer {
    void refuse(std::uint32_t times) {
        for (std::uint32_t i = 0; i < times; ++i, now += 1s) {
            EXPECT_EQ(publish_all(unconfirmed, now), std::vector<std::uint64_t>{1}) << i;
            unconfirmed.confirmed(now, ++number, false, false);
        }
    }
    void another(std::uint64_t handle) {
        unconfirmed.put(part(handle));
        EXPECT_EQ(publish_all(unconfirmed, now - 1s), std::vector<std::uint64_t>{handle}) << "at once";
        unconfirmed.confirmed(now, ++number, false, true);
    }
    Unconfirmed unconfirmed;
    Instant now = kNow;
    std::uint64_t number = 0;
};

TEST(Unconfirmed, ARefusedAnswerIsTriedForAWhileAndOnceOnAnotherChannel) {
    RefusedAnswer bench;
    bench.unconfirmed.put(part(1, true));
    bench.refuse(Unconfirmed::kMostNacks - 1);
    bench.another(2);
    bench.refuse(1);
    EXPECT_TRUE(bench.unconfirmed.wants_channel(bench.now)) << "it may be this one";
    bench.unconfirmed.begin();
    bench.number = 0;
    bench.another(3);
    bench.refuse(1);
    EXPECT_FALSE(bench.unconfirmed.wants_channel(bench.now));
    EXPECT_TRUE(bench.unconfirmed.empty());
    EXPECT_EQ(bench.unconfirmed.take_done(), (std::vector<std::uint64_t>{2, 3, 1}));
    EXPECT_EQ(bench.unconfirmed.unheard(), 1U);
    EXPECT_EQ(bench.unconfirmed.refused_answer(), "task 7-1, to 'answers': the server does not take it (nack)");
    EXPECT_EQ(bench.unconfirmed.refused(), "");

    bench.unconfirmed.put(part(1, true));
    bench.refuse(Unconfirmed::kMostNacks);
    EXPECT_FALSE(bench.unconfirmed.wants_channel(bench.now)) << "not for each of them";
    EXPECT_EQ(bench.unconfirmed.unheard(), 2U);
}

TEST(Unconfirmed, AnAnswerOnWhichTheServerClosesIsFoundAndLeft) {
    Unconfirmed unconfirmed;
    unconfirmed.put(part(1));
    unconfirmed.put(part(2, true));
    unconfirmed.put(part(3));
    publish_all(unconfirmed);
    unconfirmed.closed(kNow, "541");
    unconfirmed.begin();
    EXPECT_EQ(publish_all(unconfirmed), std::vector<std::uint64_t>{1}) << "one by one";
    unconfirmed.confirmed(kNow, 1, false, true);
    for (std::uint32_t i = 0; i < Unconfirmed::kMostCloses; ++i) {
        EXPECT_EQ(publish_all(unconfirmed), std::vector<std::uint64_t>{2});
        unconfirmed.closed(kNow, "541");
        unconfirmed.begin();
    }
    EXPECT_EQ(unconfirmed.refused_answer(), "task 7-2, to 'answers': 541");
    unconfirmed.put(part(4));
    EXPECT_EQ(publish_all(unconfirmed), std::vector<std::uint64_t>{3});
    unconfirmed.confirmed(kNow, 1, false, true);
    EXPECT_EQ(publish_all(unconfirmed), std::vector<std::uint64_t>{4});
    unconfirmed.confirmed(kNow, 2, false, true);
    EXPECT_EQ(unconfirmed.take_done().size(), 4U);
    EXPECT_TRUE(unconfirmed.empty());
}

TEST(Unconfirmed, AnOutcomeOnWhichTheServerClosesWaitsAloneAndTheOthersGo) {
    Unconfirmed unconfirmed;
    unconfirmed.put(part(1));
    close_on(unconfirmed, 1 + Unconfirmed::kMostCloses);
    EXPECT_EQ(unconfirmed.refused(), "task 7-1: 406: too large");
    for (const std::uint64_t handle : {2U, 3U}) unconfirmed.put(part(handle));
    EXPECT_EQ(publish_all(unconfirmed), (std::vector<std::uint64_t>{2, 3}));
    EXPECT_EQ(unconfirmed.next_deadline(), kNow + Unconfirmed::kRefusedAgain);
    const Instant then = kNow + Unconfirmed::kRefusedAgain;
    EXPECT_EQ(unconfirmed.next(then), nullptr) << "not with others";
    unconfirmed.confirmed(then, 2, true, true);
    EXPECT_EQ(publish_all(unconfirmed, then), std::vector<std::uint64_t>{1});
    unconfirmed.put(part(4));
    EXPECT_EQ(publish_all(unconfirmed, then), std::vector<std::uint64_t>{});
    unconfirmed.confirmed(then, 3, false, true);
    EXPECT_EQ(unconfirmed.refused(), "");
    EXPECT_EQ(publish_all(unconfirmed, then), std::vector<std::uint64_t>{4});
    EXPECT_EQ(unconfirmed.take_done().size(), 3U);
}

TEST(Unconfirmed, OfThoseThatWaitAloneOneIsTriedAtATime) {
    Unconfirmed unconfirmed;
    for (const std::uint64_t handle : {1U, 2U}) unconfirmed.put(part(handle));
    close_on(unconfirmed, 1 + 2 * Unconfirmed::kMostCloses);
    EXPECT_TRUE(publish_all(unconfirmed).empty());
    Instant now = kNow + Unconfirmed::kRefusedAgain;
    for (const std::uint64_t handle : {1U, 2U, 1U}) {
        EXPECT_EQ(publish_all(unconfirmed, now), std::vector<std::uint64_t>{handle});
        EXPECT_EQ(unconfirmed.refused(), handle == 1 ? "task 7-2: 406: too large" : "task 7-1: 406: too large");
        unconfirmed.closed(now, "406: too large");
        unconfirmed.begin();
        EXPECT_EQ(unconfirmed.next(now + 59s), nullptr);
        now += Unconfirmed::kRefusedAgain;
    }
}

TEST(Unconfirmed, WhatIsRefusedTogetherGoesAgainInItsOrder) {
    Unconfirmed unconfirmed;
    for (const std::uint64_t handle : {1U, 2U, 3U}) unconfirmed.put(part(handle));
    publish_all(unconfirmed);
    unconfirmed.confirmed(kNow, 3, true, false);
    unconfirmed.begin();
    EXPECT_EQ(publish_all(unconfirmed), (std::vector<std::uint64_t>{1, 2, 3}));
}

/// Who publishes, and a server that confirms in any order, refuses, closes on some, and is lost.
class Publisher {
public:
    Publisher(std::uint32_t seed, std::uint64_t outcomes) : random_(seed), outcomes_(outcomes) {}
    [[nodiscard]] bool is_done() const { return done_.size() == outcomes_; }
    [[nodiscard]] const Unconfirmed& unconfirmed() const { return unconfirmed_; }
    void step() {
        now_ += 10ms;
        const auto dice = random_() % 100;
        if (dice < 30 && put_ < outcomes_) {
            ++put_;
            unconfirmed_.put(part(put_, is_poison(put_)));
        } else if (dice < 60) {
            publish();
        } else if (dice < 97) {
            confirm();
        } else {
            begin();
        }
        if (unconfirmed_.wants_channel(now_)) begin();
        for (const std::uint64_t handle : unconfirmed_.take_done()) {
            ASSERT_NE(there_.contains(handle), is_poison(handle));
            ASSERT_TRUE(done_.insert(handle).second) << "said twice";
        }
    }

private:
    /// Answers on which the server closes, whatever else it had before.
    static bool is_poison(std::uint64_t handle) { return handle % 20 == 0; }
    void begin() {
        unsaid_.clear();
        number_ = 0;
        unconfirmed_.begin();
    }
    void publish() {
        const Outgoing* next = unconfirmed_.next(now_);
        if (next == nullptr) return;
        const std::uint64_t handle = next->handle;
        unsaid_[++number_] = handle;
        unconfirmed_.sent(now_);
        if (!is_poison(handle)) return;
        for (const auto& [number, before] : unsaid_) {
            if (before != handle) there_.insert(before);
        }
        unconfirmed_.closed(now_, "541");
        begin();
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

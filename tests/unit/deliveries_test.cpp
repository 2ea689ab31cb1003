// Which messages of a queue server are ours, and what is acknowledged when: by hand, and against a
// model of a server that closes the channel at the first wrong tag.
#include "broker/sources/deliveries.h"

#include <gtest/gtest.h>

#include <map>
#include <random>
#include <set>

namespace curfew {
namespace {

using namespace std::chrono_literals;
using Ack = Deliveries::Ack;
using enum Deliveries::Fate;

constexpr Instant kNow = Instant(1h);

class DeliveriesTest : public ::testing::Test {
protected:
    DeliveriesTest() { deliveries.begin_generation(); }
    std::optional<std::uint64_t> come(std::uint64_t tag, std::string_view id = {}, std::string_view body = "work") {
        return deliveries.came(now, {.tag = tag, .id = id, .body = body});
    }
    Instant now = kNow;
    Deliveries deliveries{{.window = 1min, .most = 3}};
};

TEST_F(DeliveriesTest, OneFrameUpToTheFirstHole) {
    std::vector<std::uint64_t> handles;
    for (std::uint64_t tag = 1; tag <= 5; ++tag) handles.push_back(*come(tag));
    deliveries.settled(now, handles[1], completed);
    deliveries.settled(now, handles[2], completed);
    EXPECT_EQ(deliveries.take_acks(), (std::vector<Ack>{{.tag = 2}, {.tag = 3}}));
    deliveries.settled(now, handles[4], completed);
    deliveries.settled(now, handles[0], completed);
    // 1 is behind no hole; 5 is behind 4
    EXPECT_EQ(deliveries.take_acks(), (std::vector<Ack>{{.tag = 5}, {.tag = 1}}));
    deliveries.settled(now, handles[3], completed);
    EXPECT_EQ(deliveries.take_acks(), (std::vector<Ack>{{.tag = 4}}));
    EXPECT_EQ(deliveries.in_flight(), 0U);
}

TEST_F(DeliveriesTest, ManyInOrderAreOneFrame) {
    std::vector<std::uint64_t> handles;
    for (std::uint64_t tag = 1; tag <= 4; ++tag) handles.push_back(*come(tag));
    for (const std::uint64_t handle : {handles[3], handles[0], handles[2], handles[1]})
        deliveries.settled(now, handle, completed);
    EXPECT_EQ(deliveries.take_acks(), (std::vector<Ack>{{.tag = 4, .multiple = true}}));
}

TEST_F(DeliveriesTest, WhatIsRejectedIsSaidByItselfAndFirst) {
    std::vector<std::uint64_t> handles;
    for (std::uint64_t tag = 1; tag <= 3; ++tag) handles.push_back(*come(tag));
    deliveries.settled(now, handles[0], completed);
    deliveries.settled(now, handles[1], rejected);
    deliveries.settled(now, handles[2], failed);
    EXPECT_EQ(deliveries.take_acks(), (std::vector<Ack>{{.tag = 2, .rejects = true}, {.tag = 3, .multiple = true}}));
}

TEST_F(DeliveriesTest, AnOldTagIsNeverAcknowledged) {
    const auto handle = come(7);
    deliveries.begin_generation();
    deliveries.settled(now, *handle, completed);
    EXPECT_TRUE(deliveries.take_acks().empty());
    EXPECT_EQ(deliveries.counts().stale, 1U);
}

TEST_F(DeliveriesTest, WhatIsInFlightIsAdoptedAndRunsOnce) {
    const auto handle = come(1, "a");
    deliveries.begin_generation();
    EXPECT_EQ(come(4, "a"), std::nullopt);
    deliveries.settled(now, *handle, completed);
    EXPECT_EQ(deliveries.take_acks(), (std::vector<Ack>{{.tag = 4}}));
    EXPECT_EQ(deliveries.counts().adopted, 1U);
}

TEST_F(DeliveriesTest, TwoOfTheSameIdAndBytesAreOne) {
    const auto handle = come(1, "a");
    EXPECT_EQ(come(2, "a"), std::nullopt);
    deliveries.settled(now, *handle, completed);
    EXPECT_EQ(deliveries.take_acks(), (std::vector<Ack>{{.tag = 2, .multiple = true}}));
}

TEST_F(DeliveriesTest, TheSameIdWithOtherBytesIsAnotherMessage) {
    const auto one = come(1, "a"), other = come(2, "a", "other work");
    ASSERT_TRUE(one && other);
    EXPECT_NE(*one, *other);
}

TEST_F(DeliveriesTest, AQuestionThatIsAskedAgainIsAnsweredAgain) {
    const auto ask = [&](std::uint64_t tag, std::string_view reply_to, std::string_view correlation_id) {
        return deliveries.came(now, {tag, "id", "work", reply_to, correlation_id});
    };
    const auto first = ask(1, "answers", "a");
    ASSERT_TRUE(first);
    EXPECT_TRUE(ask(2, "answers", "b")) << "while the first is in flight";
    EXPECT_FALSE(ask(3, "answers", "a")) << "it is the same, handed over again";
    deliveries.settled(now, *first, Deliveries::Fate::completed);
    EXPECT_FALSE(ask(4, "answers", "a"));
    EXPECT_TRUE(ask(5, "answers", "c"));
    EXPECT_TRUE(ask(6, "other", "a"));
}

TEST_F(DeliveriesTest, WhatHasCompletedIsAcknowledgedWhenItComesAgain) {
    const auto handle = come(1, "a");
    deliveries.begin_generation();  // so that the server does not hear of its end
    deliveries.settled(now, *handle, completed);
    EXPECT_EQ(come(1, "a"), std::nullopt);
    EXPECT_EQ(deliveries.take_acks(), (std::vector<Ack>{{.tag = 1}}));
    EXPECT_EQ(deliveries.counts().known, 1U);
    now += 2min;  // --dedup-window is over
    EXPECT_TRUE(come(2, "a"));
}

TEST_F(DeliveriesTest, WhatHasFailedMayBeTriedAgain) {
    for (const auto fate : {failed, rejected}) {
        const auto handle = come(fate == failed ? 1 : 2, "a");
        ASSERT_TRUE(handle);
        deliveries.settled(now, *handle, fate);
    }
    EXPECT_TRUE(come(3, "a"));
}

TEST_F(DeliveriesTest, WithoutAnIdItRunsAgain) {
    const auto handle = come(1);
    deliveries.begin_generation();
    EXPECT_TRUE(come(1, {}));
    deliveries.settled(now, *handle, completed);
    EXPECT_TRUE(deliveries.take_acks().empty()) << "the first is of an old channel, the second runs";
}

TEST_F(DeliveriesTest, OfIdsTheLastAreRemembered) {
    std::uint64_t tag = 0;
    for (const char* id : {"a", "b", "c", "d"}) deliveries.settled(now, *come(++tag, id), completed);
    EXPECT_TRUE(come(++tag, "a"));
    EXPECT_FALSE(come(++tag, "d"));
}

TEST_F(DeliveriesTest, WhatWasNotBegunGoesBack) {
    deliveries.give_back(1);
    EXPECT_EQ(deliveries.take_acks(), (std::vector<Ack>{{.tag = 1, .rejects = true, .requeues = true}}));
}

TEST_F(DeliveriesTest, WhatIsForOthersIsNotAdopted) {
    const auto handle = come(1, "a");
    deliveries.forget(*handle);
    deliveries.begin_generation();
    EXPECT_TRUE(come(1, "a")) << "what was called home must not be acknowledged by its own end";
    deliveries.settled(now, *handle, failed);
    EXPECT_TRUE(deliveries.take_acks().empty());
}

TEST_F(DeliveriesTest, TheOldestIsKnown) {
    EXPECT_EQ(deliveries.oldest(), std::nullopt);
    const auto first = come(1);
    now += 5s;
    (void)come(2);
    EXPECT_EQ(deliveries.oldest(), kNow);
    deliveries.settled(now, *first, completed);
    EXPECT_EQ(deliveries.oldest(), now);
}

/// A queue, a channel, and the rules by which RabbitMQ closes it.
class Server {
public:
    explicit Server(std::size_t messages) {
        for (std::size_t i = 0; i < messages; ++i) queue_[i] = 0;
    }
    /// All that was handed over comes again.
    void begin_channel() {
        for (const auto& [tag, message] : unacked_) ++queue_[message];
        unacked_.clear();
        last_tag_ = 0;
    }
    std::optional<Deliveries::Message> hand_over(std::mt19937& random) {
        if (queue_.empty()) return std::nullopt;
        auto at = queue_.begin();
        std::advance(at, random() % queue_.size());
        const auto [message, times] = *at;
        queue_.erase(at);
        unacked_[++last_tag_] = message;
        id_ = "id" + std::to_string(message);
        return Deliveries::Message{.tag = last_tag_, .id = id_, .body = "work"};
    }
    void take(const Ack& ack) {
        ASSERT_TRUE(unacked_.contains(ack.tag)) << "the server would close the channel: unknown tag " << ack.tag;
        if (ack.requeues) ++queue_[unacked_[ack.tag]];
        const auto first = ack.multiple ? unacked_.begin() : unacked_.find(ack.tag);
        const auto end = std::next(unacked_.find(ack.tag));
        for (auto at = first; at != end; ++at) {
            if (!ack.requeues) acknowledged_.insert(at->second);
        }
        unacked_.erase(first, end);
    }
    [[nodiscard]] const std::set<std::size_t>& acknowledged() const { return acknowledged_; }
    [[nodiscard]] std::size_t message(std::uint64_t tag) const { return unacked_.at(tag); }

private:
    std::map<std::size_t, int> queue_;  // message -> how often it has come
    std::map<std::uint64_t, std::size_t> unacked_;
    std::set<std::size_t> acknowledged_;
    std::uint64_t last_tag_ = 0;
    std::string id_;
};

/// A group at that server: it takes, works, acknowledges, and loses its connection.
class Group {
public:
    Group(std::uint32_t seed, std::size_t messages) : random_(seed), server_(messages), deliveries_({1h, messages}) {
        deliveries_.begin_generation();
    }
    [[nodiscard]] const Server& server() const { return server_; }
    void step() {
        const auto dice = random_() % 100;
        if (dice < 40) return take();
        if (dice < 80) return end_one();
        if (dice < 99) {
            for (const Ack& ack : deliveries_.take_acks()) server_.take(ack);
            return;
        }
        server_.begin_channel();
        deliveries_.begin_generation();
    }
    void check() const {
        for (const std::size_t message : server_.acknowledged()) ASSERT_TRUE(done_.contains(message));
        for (const auto& [message, times] : runs_) ASSERT_EQ(times, 1) << "ran twice, though it has an id: " << message;
        ASSERT_EQ(deliveries_.in_flight(), running_.size());
    }

private:
    void take() {
        const auto message = server_.hand_over(random_);
        if (!message) return;
        const std::size_t which = server_.message(message->tag);
        if (random_() % 50 == 0) return deliveries_.give_back(message->tag);
        const auto handle = deliveries_.came(kNow, *message);
        if (!handle) return;
        running_[*handle] = which;
        ++runs_[which];
    }
    void end_one() {
        if (running_.empty()) return;
        const auto at = std::next(running_.begin(), static_cast<long>(random_() % running_.size()));
        done_.insert(at->second);
        deliveries_.settled(kNow, at->first, completed);
        running_.erase(at);
    }

    std::mt19937 random_;
    Server server_;
    Deliveries deliveries_;
    std::map<std::uint64_t, std::size_t> running_;  // handle -> message
    std::set<std::size_t> done_;
    std::map<std::size_t, int> runs_;
};

TEST_F(DeliveriesTest, HowManyAreOlder) {
    EXPECT_EQ(deliveries.older_than(now), 0U);
    const auto first = come(1);
    now += 1s;
    come(2, "id");
    EXPECT_EQ(deliveries.older_than(kNow), 0U);
    EXPECT_EQ(deliveries.older_than(kNow + 1s), 1U);
    EXPECT_EQ(deliveries.older_than(kNow + 2s), 2U);
    deliveries.settled(now, *first, completed);
    EXPECT_EQ(deliveries.older_than(kNow + 2s), 1U);
}

TEST(DeliveriesModel, NothingIsLostNorAcknowledgedBeforeItsOutcome) {
    constexpr std::size_t kMessages = 300;
    for (std::uint32_t seed = 1; seed <= 50; ++seed) {
        SCOPED_TRACE(seed);
        Group group(seed, kMessages);
        for (int step = 0; group.server().acknowledged().size() < kMessages; ++step) {
            ASSERT_LT(step, 100'000);
            group.step();
            group.check();
            if (HasFatalFailure()) return;
        }
    }
}

}  // namespace
}  // namespace curfew

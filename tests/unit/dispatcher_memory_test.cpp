// A broker that goes on where another was: what it knows, what its collector knows, and which of
// them is right.
#include <gtest/gtest.h>

#include "tests/support/broker_bench.h"

namespace curfew {
namespace {

using support::BrokerBench;

BrokerBench::Config config_of(Seq last, const Intervals& settled) {
    BrokerBench::Config config;
    config.fanout = 1;
    config.earlier.last = last;
    config.earlier.settled = settled;
    config.earlier.failures = 1;
    return config;
}

class DispatcherMemory : public testing::Test {
protected:
    /// It knows that 1 to 4, 6 and 8 have settled.
    DispatcherMemory() : bench(config_of(4, {{6, 6}, {8, 8}})) {}
    ~DispatcherMemory() override {
        EXPECT_TRUE(bench.books().balanced());
        EXPECT_EQ(bench.broker.ledger().audit(), std::nullopt);
    }
    void meet(const wire::Synced& synced, Incarnation collector = BrokerBench::kCollector) {
        bench.collector = collector;
        bench.acked = 0;
        bench.hear_collector_hellos();
        bench.turn();
        bench.syncs = bench.control.all<wire::Sync>();
        bench.restart_stream();
        bench.say(synced, wire::Backlog{0});
        bench.turn();
    }
    /// The numbers of the next messages; those that are passed over are left out.
    std::vector<Seq> take(int messages) {
        std::vector<Seq> taken;
        for (int i = 0; i < messages; ++i) {
            if (!bench.broker.pass_over()) taken.push_back(bench.accept());
        }
        bench.turn();
        return taken;
    }

    BrokerBench bench;
};

TEST_F(DispatcherMemory, NumbersGoOnAndWhatHasSettledIsPassedOver) {
    meet({});
    bench.add_worker("w");
    EXPECT_EQ(bench.syncs.front().settled, (Intervals{{1, 4}, {6, 6}, {8, 8}}));
    EXPECT_EQ(bench.syncs.front().exchange, 2U);
    EXPECT_EQ(take(5), (std::vector<Seq>{5, 7, 9}));
    EXPECT_EQ(bench.books().accepted, 3U) << "the books are of this life";
    EXPECT_EQ(bench.broker.ledger().first_in_flight(), 5U);
}

TEST_F(DispatcherMemory, WhatTheCollectorHasSettledIsPassedOverToo) {
    meet({.settled = {{1, 7}}, .decided = {}, .remembers = 0});
    bench.add_worker("w");
    EXPECT_EQ(take(5), (std::vector<Seq>{9}));
}

TEST_F(DispatcherMemory, ASinkThatRemembersIsTheTruth) {
    meet({.settled = {{1, 2}, {4, 4}}, .decided = {}, .remembers = 1});
    bench.add_worker("w");
    EXPECT_EQ(take(6), (std::vector<Seq>{3, 5, 6, 7, 8})) << "what it lost is done again";
}

TEST_F(DispatcherMemory, WhatWasBeforeIsCountedOutsideOfTheBooks) {
    meet({.settled = {{1, 7}}, .decided = {{9, Outcome::failed, {}}}, .remembers = 0, .not_completed = 2});
    bench.add_worker("w");
    (void)bench.broker.take_first();
    const Ledger& ledger = bench.broker.ledger();
    EXPECT_EQ(ledger.earlier().count(), 8U);
    EXPECT_EQ(ledger.earlier().failures(), 2U) << "whoever knows of more";
    bench.say_settled(9, Outcome::failed);
    EXPECT_EQ(ledger.earlier().count(), 9U);
    EXPECT_EQ(ledger.earlier().failures(), 3U);
    EXPECT_EQ(bench.books().accepted, 0U);
}

TEST(DispatcherAgain, WhatDidNotCompleteIsTriedInAnEpochOfItsOwnAndAllElseIsPassed) {
    BrokerBench::Config config = config_of(6, {});
    config.earlier.again_in = 99;
    BrokerBench bench(config);
    bench.collector = BrokerBench::kCollector;
    bench.hear_collector_hellos();
    bench.turn();
    bench.syncs = bench.control.all<wire::Sync>();
    ASSERT_EQ(bench.syncs.size(), 1U);
    EXPECT_EQ(bench.syncs.front().exchange, 3U);
    bench.restart_stream();
    bench.say(
        wire::Synced{
            .settled = {{1, 6}}, .decided = {}, .remembers = 1, .not_completed = 2, .failed = {{2, 2}, {5, 5}}},
        wire::Backlog{0});
    bench.turn();
    bench.syncs = bench.control.all<wire::Sync>();
    ASSERT_EQ(bench.syncs.size(), 1U);
    const wire::Sync sync = bench.syncs.front();
    EXPECT_EQ(sync.epoch, 99U);
    EXPECT_EQ(sync.exchange, 2U);
    EXPECT_EQ(sync.passed, (Intervals{{1, 1}, {3, 4}, {6, 6}}));
    EXPECT_EQ(sync.settled, sync.passed);
    EXPECT_EQ(bench.broker.config().epoch, 99U) << "to be kept before anybody hears of it";
    bench.restart_stream();
    bench.say(wire::Synced{.settled = sync.passed, .decided = {}, .remembers = 1}, wire::Backlog{0});
    bench.turn();
    EXPECT_TRUE(bench.broker.collector_synced());
    EXPECT_EQ(bench.broker.take_first(), 1U);
    EXPECT_FALSE(bench.broker.pass_over()) << "2 is tried again";
}

TEST(DispatcherAgain, WhatIsOnItsWayToTheSinkIsNotTriedAgain) {
    BrokerBench::Config config = config_of(6, {});
    config.earlier.again_in = 99;
    BrokerBench bench(config);
    bench.collector = BrokerBench::kCollector;
    bench.hear_collector_hellos();
    bench.turn();
    bench.syncs = bench.control.all<wire::Sync>();
    bench.restart_stream();
    bench.say(wire::Synced{.settled = {{1, 6}},
                           .decided = {{7, Outcome::completed, {}}},
                           .remembers = 1,
                           .not_completed = 1,
                           .failed = {{2, 2}}},
              wire::Backlog{0});
    bench.turn();
    EXPECT_EQ(bench.broker.config().epoch, 1U) << "7 would have an outcome in each epoch";
    EXPECT_TRUE(bench.broker.config().earlier.again_in) << "the wish is not answered";
}

TEST(DispatcherAgain, WhereAllHasCompletedTheWishIsAnsweredAndWhatFailsLaterIsNotMeant) {
    BrokerBench::Config config = config_of(6, {});
    config.earlier.again_in = 99;
    BrokerBench bench(config);
    bench.collector = BrokerBench::kCollector;
    bench.hear_collector_hellos();
    bench.turn();
    bench.syncs = bench.control.all<wire::Sync>();
    bench.restart_stream();
    bench.say(wire::Synced{.settled = {{1, 6}}, .decided = {}, .remembers = 1}, wire::Backlog{0});
    bench.turn();
    EXPECT_TRUE(bench.broker.collector_synced());
    EXPECT_EQ(bench.broker.config().epoch, 1U);
    EXPECT_FALSE(bench.broker.config().earlier.again_in);
}

TEST_F(DispatcherMemory, WhatSettlesBehindTheFirstMessageWithANewCollectorIsCountedToo) {
    meet({.settled = {{1, 6}}, .decided = {{9, Outcome::failed, {}}}, .remembers = 1});
    EXPECT_EQ(bench.broker.take_first(), 6U);
    EXPECT_EQ(take(1), (std::vector<Seq>{7}));
    meet({.settled = {{1, 6}, {9, 10}}, .decided = {{9, Outcome::failed, {}}}, .remembers = 1, .not_completed = 1},
         BrokerBench::kCollector + 10);
    EXPECT_EQ(bench.broker.ledger().earlier().failures(), 1U);
    EXPECT_EQ(bench.broker.ledger().earlier().count(), 8U);
}

TEST_F(DispatcherMemory, TheSinksWordIsTheTruthOnFailuresToo) {
    meet({.settled = {{1, 2}}, .decided = {}, .remembers = 1});
    (void)bench.broker.take_first();
    EXPECT_EQ(bench.broker.ledger().earlier().count(), 2U);
    EXPECT_EQ(bench.broker.ledger().earlier().failures(), 0U);
}

TEST_F(DispatcherMemory, WhatIsDecidedThereIsNotRunAndSettlesThere) {
    meet({.settled = {}, .decided = {{5, Outcome::failed, {}}}, .remembers = 0});
    bench.add_worker("w");
    EXPECT_EQ(take(3), (std::vector<Seq>{5, 7}));
    ASSERT_EQ(bench.tasks.size(), 1U);
    EXPECT_EQ(bench.tasks.front().seq, 7U);
    bench.say_settled(5, Outcome::failed);
    EXPECT_FALSE(bench.in_flight(5));
    EXPECT_EQ(bench.books().of(Outcome::failed), 1U);
}

TEST_F(DispatcherMemory, WhatSettlesBeforeItsMessageComesIsPassedOver) {
    meet({.settled = {}, .decided = {{5, Outcome::completed, {}}}, .remembers = 0});
    bench.add_worker("w");
    bench.say_settled(5);
    EXPECT_EQ(bench.broker.counts().surprises, 0U);
    EXPECT_EQ(take(3), (std::vector<Seq>{7}));
}

TEST_F(DispatcherMemory, WhatWasDecidedIsOpenAgainWhenThatCollectorDies) {
    meet({.settled = {}, .decided = {{5, Outcome::completed, {}}, {7, Outcome::completed, {}}}, .remembers = 0});
    bench.add_worker("w");
    EXPECT_EQ(take(1), (std::vector<Seq>{5}));
    EXPECT_TRUE(bench.tasks.empty());
    meet({}, 60);
    EXPECT_EQ(bench.syncs.front().exchange, 1U) << "it has taken a message";
    bench.heartbeats();
    bench.turn();
    const DenseTable<Attempt>& open = bench.broker.ledger().session(1)->open;
    ASSERT_EQ(open.size(), 1U) << "nobody else has its result";
    EXPECT_EQ(open.find(1)->seq, 5U);
    EXPECT_EQ(take(2), (std::vector<Seq>{7})) << "nor that of 7";
}

TEST_F(DispatcherMemory, AWinnerThatTheBrokerHadNotHeardOfWins) {
    meet({});
    const Session session = bench.add_worker("w");
    const Seq seq = bench.start();
    const AttemptId winner = bench.tasks.front().id;
    meet({.settled = {{seq, seq}}, .decided = {{seq, Outcome::completed, winner}}, .remembers = 1}, 60);
    EXPECT_FALSE(bench.in_flight(seq));
    EXPECT_EQ(bench.books().of(End::won), 1U);
    EXPECT_EQ(bench.worker(session).in_flight, 0U) << "its credit is back";
}

TEST_F(DispatcherMemory, AnAttemptOfWhatSettledWithoutItIsCalledHome) {
    meet({});
    const Session session = bench.add_worker("w");
    const Seq seq = bench.start();
    meet({.settled = {{seq, seq}}, .decided = {}, .remembers = 1}, 60);
    EXPECT_FALSE(bench.in_flight(seq));
    EXPECT_EQ(bench.books().of(Outcome::completed), 1U);
    EXPECT_EQ(bench.broker.ledger().session(session)->open.find(1)->state, AttemptState::cancelling);
}

TEST_F(DispatcherMemory, ACollectorThatIsKnownHasNoSayInWhatIsDecided) {
    meet({});
    bench.add_worker("w");
    const Seq seq = bench.start();
    bench.hear_collector_hello(bench.syncs.back().round);
    bench.turn();
    EXPECT_EQ(bench.control.all<wire::Sync>().back().exchange, 0U) << "it may have been what was never given";
    EXPECT_TRUE(bench.in_flight(seq));
}

}  // namespace
}  // namespace curfew

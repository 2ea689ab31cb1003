// What tasks and attempts came to: who won, and why work failed, in a bounded place.
#include "broker/tallies.h"

#include <gtest/gtest.h>

namespace curfew {
namespace {

using namespace std::chrono_literals;

std::vector<std::pair<std::string, std::uint64_t>> reasons(const Tallies& tallies) {
    std::vector<std::pair<std::string, std::uint64_t>> all;
    for (const auto& entry : tallies.failures().sorted()) all.emplace_back(entry.text, entry.count);
    return all;
}

TEST(Tallies, WhatDiffersInNumbersAloneIsOneReasonButForItsKind) {
    Tallies tallies;
    tallies.failed(End::failed, "exit code 3: line 17", "w1", 1);
    tallies.failed(End::failed, "exit code 3: line 4711", "w2", 2);
    tallies.failed(End::failed, "exit code 4: line 17", "w1", 3);
    tallies.failed(End::failed, "status 503", "w1", 4);
    tallies.failed(End::lost, "its worker died", "w1", 5);
    using Pairs = std::vector<std::pair<std::string, std::uint64_t>>;
    EXPECT_EQ(reasons(tallies), (Pairs{{"failed: exit code 3: line #", 2},
                                       {"failed: exit code 4: line #", 1},
                                       {"failed: status 503", 1},
                                       {"lost: its worker died", 1}}));
    const FailureExample example = tallies.failures().sorted().front().example;
    EXPECT_EQ(example.worker, "w2");
    EXPECT_EQ(example.seq, 2U);
    EXPECT_EQ(example.error, "exit code 3: line 4711");
}

TEST(Tallies, AnEndWithoutAReasonIsItsOwn) {
    Tallies tallies;
    tallies.failed(End::expired, "", "w1", 1);
    EXPECT_EQ(reasons(tallies), (std::vector<std::pair<std::string, std::uint64_t>>{{"expired", 1}}));
}

TEST(Tallies, ReasonsAreBoundedAndTheFrequentOnesStay) {
    Tallies tallies;
    for (int i = 0; i < 1000; ++i) {
        std::string rare = "rare ";
        for (int n = i + 1; n > 0; n /= 26) rare += static_cast<char>('a' + n % 26);
        tallies.failed(End::failed, rare, "w", 1);
        tallies.failed(End::failed, "often", "w", 1);
    }
    const auto sorted = tallies.failures().sorted();
    EXPECT_EQ(sorted.size(), Frequent<FailureExample>::kMost);
    EXPECT_EQ(sorted.front().text, "failed: often");
    EXPECT_EQ(sorted.front().count, 1000U);
    EXPECT_EQ(sorted.front().error, 0U);
    EXPECT_EQ(tallies.failures().all(), 2000U);
    for (const auto& entry : sorted) EXPECT_LE(entry.error, entry.count);
}

TEST(Tallies, ALongReasonIsCut) {
    Tallies tallies;
    tallies.failed(End::failed, std::string(10'000, 'x'), "w", 1);
    EXPECT_LE(tallies.failures().sorted().front().text.size(), Tallies::kReasonBytes + 10);
}

struct Pools : testing::Test {
    WorkerSession& add(const std::string& pool) {
        const std::string name = "w" + std::to_string(roster.sessions().size());
        wire::Hello hello;
        hello.worker = 1;
        hello.name = name;
        hello.pool = pool;
        WorkerSession& worker = roster.admit({}, hello);
        ledger.open_session(worker.session);
        return worker;
    }
    Roster roster;
    Ledger ledger;
    Tallies tallies;
};

TEST_F(Pools, HaveWhatTheirSessionsHaveAndHad) {
    WorkerSession& gone = add("cats");
    WorkerSession& there = add("cats");
    gone.won.add(10ms);
    there.won.add(10ms);
    there.others.add(1s);
    ledger.session(gone.session)->ends[static_cast<std::size_t>(End::won)] = 1;
    ledger.session(there.session)->ends[static_cast<std::size_t>(End::won)] = 2;
    tallies.keep(gone, *ledger.session(gone.session));
    ledger.close_session(gone.session);
    roster.remove(gone.session);
    const auto pools = tallies.pools(roster, ledger);
    ASSERT_EQ(pools.size(), 1U);
    const PoolTally& cats = pools.at("cats");
    EXPECT_EQ(cats.ends[static_cast<std::size_t>(End::won)], 3U);
    EXPECT_EQ(cats.won.count(), 2U);
    EXPECT_EQ(cats.others.count(), 1U);
}

TEST_F(Pools, AreBounded) {
    for (int i = 0; i < 200; ++i) {
        WorkerSession& worker = add("p" + std::to_string(i));
        ledger.session(worker.session)->ends[static_cast<std::size_t>(End::won)] = 1;
        tallies.keep(worker, *ledger.session(worker.session));
        ledger.close_session(worker.session);
        roster.remove(worker.session);
    }
    const auto pools = tallies.pools(roster, ledger);
    EXPECT_EQ(pools.size(), Tallies::kMostPools + 1);
    std::uint64_t won = 0;
    for (const auto& [name, pool] : pools) won += pool.ends[static_cast<std::size_t>(End::won)];
    EXPECT_EQ(won, 200U) << "nothing is lost";
    EXPECT_EQ(pools.at(std::string(Tallies::kOtherPools)).ends[static_cast<std::size_t>(End::won)],
              200 - Tallies::kMostPools);
}

TEST(HistogramBounds, AQuantileReadFromTheCountsIsRightWithinFifteenPercent) {
    for (std::size_t i = 1; i < Histogram::kBounds.size(); ++i)
        EXPECT_LE(Histogram::kBounds[i] / 1us, 1.15 * static_cast<double>(Histogram::kBounds[i - 1] / 1us) + 1);
    EXPECT_LE(Histogram::kBounds.front(), 100us);
    EXPECT_GE(Histogram::kBounds.back(), 29s);
}

}  // namespace
}  // namespace curfew

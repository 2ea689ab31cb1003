// Dumps are made in pieces, and the group goes on in between: what they list was there, each
// attempt once, oldest first.
#include <gtest/gtest.h>

#include <memory>
#include <nlohmann/json.hpp>
#include <set>
#include <utility>

#include "broker/snapshot.h"
#include "common/process/clock.h"
#include "tests/support/broker_bench.h"
#include "tests/support/worker_bench.h"
#include "worker/snapshot.h"

namespace curfew {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;
using support::BrokerBench;
using support::WorkerBench;

json whole(Reply& answer) {
    while (!answer.go_on(Instant::min(), Clock::now)) {
    }
    return json::parse(answer.take().view());
}

class BrokerDumpTest : public testing::Test {
protected:
    static BrokerBench::Config config() {
        BrokerBench::Config config;
        config.fanout = 2;
        config.window = 5000;
        return config;
    }
    BrokerDumpTest() : bench(config()) {
        bench.meet_collector();
        for (const char* name : {"w1", "w2", "w3"}) bench.add_worker(name, {.credit = 5000});
    }
    void accept(int count) {
        for (int i = 0; i < count; ++i) {
            bench.broker.accept(bench.now, {.payload = "work"});
            bench.now += 10us;
        }
    }
    std::unique_ptr<Reply> dump(DumpQuery query = {.limit = 100'000, .older_than = {}, .worker = {}, .state = {}}) {
        return broker_dump(bench.broker, bench.now, query, JsonObject().add("role", "broker"));
    }

    BrokerBench bench;
};

TEST_F(BrokerDumpTest, AllAttemptsOldestFirst) {
    accept(2000);
    const json said = whole(*dump());
    EXPECT_EQ(said["in_flight"], 4000);
    EXPECT_EQ(said["matching"], 4000);
    ASSERT_EQ(said["attempts"].size(), 4000U);
    std::set<std::pair<std::uint64_t, std::uint64_t>> seen;
    double age = 1e9;
    for (const json& row : said["attempts"]) {
        EXPECT_TRUE(seen.emplace(row["session"], row["number"]).second);
        EXPECT_LE(row["age_s"].get<double>(), age);
        age = row["age_s"];
    }
    std::uint64_t grouped = 0;
    for (const json& group : said["groups"]) grouped += group["count"].get<std::uint64_t>();
    EXPECT_EQ(grouped, 4000U);
}

TEST_F(BrokerDumpTest, TheLimitKeepsTheOldestOfAllWorkers) {
    accept(1000);
    const json said = whole(*dump({.limit = 6, .older_than = {}, .worker = {}, .state = {}}));
    EXPECT_EQ(said["in_flight"], 2000);
    ASSERT_EQ(said["attempts"].size(), 6U);
    std::set<std::uint64_t> seqs;
    for (const json& row : said["attempts"]) seqs.insert(row["seq"].get<std::uint64_t>());
    EXPECT_EQ(seqs, (std::set<std::uint64_t>{1, 2, 3}));
}

TEST_F(BrokerDumpTest, OfOneWorkerInOneState) {
    accept(100);
    const json said = whole(*dump({.limit = 1000, .older_than = {}, .worker = "w2", .state = "queued"}));
    EXPECT_EQ(said["in_flight"], 200);
    EXPECT_EQ(said["attempts"].size(), said["matching"].get<std::size_t>());
    ASSERT_FALSE(said["attempts"].empty());
    for (const json& row : said["attempts"]) EXPECT_EQ(row["worker"], "w2");
    EXPECT_EQ(whole(*dump({.limit = 1000, .older_than = {}, .worker = {}, .state = "running"}))["matching"], 0);
}

TEST_F(BrokerDumpTest, WhatChangesInBetweenIsNoMatter) {
    accept(3000);
    const auto answer = dump();
    bool over = answer->go_on(Instant::min(), Clock::now);  // the first piece
    EXPECT_FALSE(over);
    accept(500);  // these are not in it
    bench.turn();
    bench.bury("w1", 1);
    EXPECT_EQ(bench.broker.ledger().session(1), nullptr);
    const json said = whole(*answer);
    EXPECT_LT(said["in_flight"], 6000);
    EXPECT_GT(said["in_flight"], 2000);
    EXPECT_EQ(said["attempts"].size(), said["matching"].get<std::size_t>());
    for (const json& row : said["attempts"]) EXPECT_LE(row["seq"].get<std::uint64_t>(), 3000U);
}

TEST_F(BrokerDumpTest, ARowKeepsWhatItsTaskHadWhenItWasLookedAt) {
    bench.broker.accept(bench.now, {.payload = "work", .id = "mine"});
    bench.turn();
    const std::vector<BrokerBench::SentTask> sent = bench.tasks;
    const auto answer = dump();
    for (int step = 0; step < 4; ++step) EXPECT_FALSE(answer->go_on(Instant::min(), Clock::now));
    bench.win(sent[0]);
    EXPECT_FALSE(bench.in_flight(1));
    const json said = whole(*answer);
    ASSERT_EQ(said["attempts"].size(), 2U);
    for (const json& row : said["attempts"]) {
        EXPECT_EQ(row["id"], "mine");
        EXPECT_NEAR(row["left_s"].get<double>(), 30, 1);
    }
}

TEST_F(BrokerDumpTest, ALargeOneTakesManyPieces) {
    accept(4000);
    const auto answer = dump();
    int pieces = 1;
    while (!answer->go_on(Instant::min(), Clock::now)) ++pieces;
    EXPECT_GT(pieces, 100);
}

TEST_F(BrokerDumpTest, OfNothing) {
    const json said = whole(*dump());
    EXPECT_EQ(said["in_flight"], 0);
    EXPECT_TRUE(said["attempts"].empty());
    EXPECT_TRUE(said["groups"].empty());
}

TEST_F(BrokerDumpTest, EndsAreFollowed) {
    json said = json::parse(broker_ends(bench.broker, bench.now, {}).text());
    EXPECT_TRUE(said["ends"].empty());
    bench.broker.accept(bench.now, {.payload = "work"});
    bench.turn();
    const std::vector<BrokerBench::SentTask> sent = bench.tasks;
    ASSERT_EQ(sent.size(), 2U);
    bench.now += 3ms;
    bench.broker.end_log().turn(bench.now);
    bench.win(sent[0]);
    bench.turn();
    for (int i = 0; i < 2; ++i) {  // the loser is a quick worker's: two ticks
        bench.now += 1ms;
        bench.turn();
    }
    bench.say_ended(sent[1].id, End::cancelled);
    said = json::parse(broker_ends(bench.broker, bench.now, said["next"].get<std::uint64_t>()).text());
    ASSERT_EQ(said["ends"].size(), 2U);
    EXPECT_EQ(said["ends"][0]["end"], "won");
    EXPECT_EQ(said["ends"][0]["seq"], 1);
    EXPECT_EQ(said["ends"][0]["pool"], "default");
    EXPECT_TRUE(said["ends"][0]["called_home"].is_null());
    EXPECT_EQ(said["ends"][1]["end"], "cancelled");
    EXPECT_EQ(said["ends"][1]["called_home"], "decided");
    EXPECT_EQ(said["ends"][1]["left_out"], 0);
    EXPECT_GE(said["ends"][1]["took_s"].get<double>(), 0.003);
}

TEST_F(BrokerDumpTest, AnEndWhoseSessionHasGoneHasItsPoolStill) {
    const json first = json::parse(broker_ends(bench.broker, bench.now, {}).text());
    accept(1);
    bench.turn();
    bench.bury("w1", 1);
    EXPECT_EQ(bench.broker.ledger().session(1), nullptr);
    const json said = json::parse(broker_ends(bench.broker, bench.now, first["next"].get<std::uint64_t>()).text());
    ASSERT_EQ(said["ends"].size(), 1U) << said;
    EXPECT_EQ(said["ends"][0]["end"], "lost");
    EXPECT_EQ(said["ends"][0]["worker"], "w1");
    EXPECT_EQ(said["ends"][0]["pool"], "default");
}

TEST(WorkerDump, WhatIsHeldAndWhatHasComeSince) {
    WorkerCore::Config config;
    config.slots = 2;
    config.credit = 1000;
    WorkerBench bench(config);
    for (AttemptNumber number = 1; number <= 700; ++number) bench.task(number);
    bench.turn();
    bench.now += 1ms;
    const auto answer =
        worker_dump(bench.worker, bench.handler, bench.now, {.limit = 10, .older_than = {}, .worker = {}, .state = {}},
                    JsonObject().add("role", "worker"));
    EXPECT_FALSE(answer->go_on(Instant::min(), Clock::now));
    bench.now += 1ms;
    bench.task(701);
    const json said = whole(*answer);
    EXPECT_EQ(said["in_flight"], 700);
    ASSERT_EQ(said["attempts"].size(), 10U);
    EXPECT_EQ(said["attempts"][0]["number"], 1);
    EXPECT_EQ(said["attempts"][0]["state"], "running");
    EXPECT_EQ(said["attempts"][9]["state"], "queued");
    EXPECT_TRUE(said["out_of_service"].empty());
}

}  // namespace
}  // namespace curfew

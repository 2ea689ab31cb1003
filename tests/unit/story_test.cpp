// The story of a task: what broker and workers keep of it, for how long, and how it is told.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <sstream>

#include "broker/story_json.h"
#include "common/tables/sample.h"
#include "monitor/story.h"
#include "monitor/terminal_text.h"
#include "tests/support/broker_bench.h"
#include "tests/support/worker_bench.h"
#include "worker/story_json.h"

namespace curfew {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;
using support::BrokerBench;
using support::kStart;
using support::WorkerBench;

// ---- what is taken -----------------------------------------------------------------------------

TEST(Sample, TakesAllWhereThereAreFew) {
    Sample sample(10);
    for (std::uint64_t second = 0; second < 20; ++second) {
        sample.turn(kStart + second * 1s);
        for (std::uint64_t i = 1; i <= 10; ++i) EXPECT_TRUE(sample.takes(10 * second + i));
    }
    EXPECT_EQ(sample.step(), 1U);
}

TEST(Sample, TakesAboutAsManyAsAreWantedOfMany) {
    Sample sample(100);
    std::uint64_t number = 0, taken = 0;
    for (int ms = 0; ms < 10'000; ++ms) {
        sample.turn(kStart + ms * 1ms);
        for (int i = 0; i < 100; ++i) taken += sample.takes(++number) ? 1U : 0U;
    }
    EXPECT_GT(taken, 400U);
    EXPECT_LT(taken, 3000U);
    EXPECT_GT(sample.step(), 256U);
}

TEST(Sample, TakesAllAgainWhenTheFloodIsOver) {
    Sample sample(100);
    sample.turn(kStart);
    for (std::uint64_t i = 1; i < 100'000; ++i) (void)sample.takes(i);
    EXPECT_GT(sample.step(), 1U);
    for (int second = 1; second < 20; ++second) sample.turn(kStart + second * 1s);
    EXPECT_EQ(sample.step(), 1U);
}

TEST(Sample, OneWithFewerTakesWhatOneWithMoreTakes) {
    Sample few(10), many(1000);
    few.turn(kStart);
    many.turn(kStart);
    for (std::uint64_t i = 1; i < 100'000; ++i) {
        const bool taken = few.takes(i);
        EXPECT_TRUE(many.takes(i) || !taken) << i;
    }
}

// ---- the broker's part -------------------------------------------------------------------------

class BrokerStory : public testing::Test {
protected:
    static BrokerBench::Config config() {
        BrokerBench::Config config;
        config.fanout = 2;
        config.attempts = 3;
        config.window = 100'000;
        config.epoch = 77;
        return config;
    }
    BrokerStory() : bench(config()) {
        bench.meet_collector();
        for (const char* name : {"w1", "w2"}) bench.add_worker(name, {.credit = 50'000, .pool = "fast"});
    }
    [[nodiscard]] json ask(const std::string& task) const {
        return json::parse(broker_story(bench.broker, bench.now, 1'000'000'000, task).text());
    }
    [[nodiscard]] json told(const std::string& task) const { return ask(task)["task"]; }
    /// Of a time of the story: microseconds before now.
    static std::int64_t ago(const json& object, const char* key) {
        return 1'000'000'000 - object[key].get<std::int64_t>();
    }
    /// Accepts one, and brings it to its end at once.
    void complete() {
        bench.start();
        const auto tasks = bench.tasks;
        bench.win(tasks[0]);
        bench.say_ended(tasks[1].id, End::late);
        bench.turn();
    }
    BrokerBench bench;
};

TEST_F(BrokerStory, OneInFlightHasItsAttempts) {
    bench.start();
    bench.now += 5ms;
    const json task = told("1");
    EXPECT_EQ(task["state"], "open");
    EXPECT_EQ(task["id"], "77-1");
    EXPECT_EQ(task["settled_us"], json());
    EXPECT_EQ(ago(task, "accepted_us"), 5000);
    ASSERT_EQ(task["attempts"].size(), 2U);
    EXPECT_EQ(ago(task["attempts"][0], "sent_us"), 5000);
    EXPECT_EQ(task["attempts"][0]["end"], json());
    EXPECT_EQ(task["attempts"][0]["pool"], "fast");
    EXPECT_EQ(task["left_out"], 0);
}

TEST_F(BrokerStory, IsWholeWhenItsLastAttemptHasEnded) {
    bench.start();
    const auto tasks = bench.tasks;
    bench.now += 10ms;
    bench.say_decided(1, tasks[0].id);
    for (int tick = 0; tick < 2; ++tick, bench.now += Losers::kTick) bench.turn();
    bench.turn();  // calls the other home
    bench.say_settled(1);
    json task = told("1");
    EXPECT_EQ(task["state"], "settled");
    ASSERT_EQ(task["attempts"].size(), 2U);
    EXPECT_EQ(task["attempts"][1]["end"], json()) << "it is being stopped";
    bench.now += 3ms;
    bench.say_ended(tasks[1].id, End::cancelled);
    bench.now += 1ms;
    task = told("1");
    EXPECT_EQ(task["outcome"], "completed");
    EXPECT_EQ(ago(task, "decided_us"), 6000);
    EXPECT_EQ(ago(task, "settled_us"), 4000);
    ASSERT_EQ(task["attempts"].size(), 2U);
    const json &won = task["attempts"][0], &other = task["attempts"][1];
    EXPECT_EQ(won["end"], "won");
    EXPECT_EQ(won["called_home_us"], json());
    EXPECT_EQ(ago(won, "ended_us"), 4000);
    EXPECT_EQ(other["end"], "cancelled");
    EXPECT_EQ(other["called_home"], "decided");
    EXPECT_EQ(ago(other, "called_home_us"), 4000);
    EXPECT_EQ(ago(other, "ended_us"), 1000);
    EXPECT_EQ(other["worker"], "w2");
}

TEST_F(BrokerStory, SaysWhyItFailed) {
    bench.start();
    while (!bench.tasks.empty()) {
        const auto tasks = bench.tasks;
        for (const auto& task : tasks) bench.say_ended(task.id, End::failed, "exit code 3");
        bench.turn();
    }
    bench.say_decided(1, {});
    bench.say_settled(1, Outcome::failed);
    const json task = told("1");
    EXPECT_EQ(task["outcome"], "failed");
    EXPECT_EQ(task["error"], "exit code 3");
    EXPECT_EQ(task["attempts"].size(), 3U);
    for (const json& attempt : task["attempts"]) EXPECT_EQ(attempt["error"], "exit code 3");
}

TEST(LongStory, AnAttemptThatWasMovedIsNoneOfThoseThatAreLeftOut) {
    BrokerBench::Config config;
    config.fanout = 1;
    config.attempts = 100;
    config.epoch = 77;
    BrokerBench bench(config);
    bench.meet_collector();
    bench.add_worker("w1");
    for (int i = 0; i < 2; ++i) bench.accept();
    bench.turn();  // the second waits behind the first
    bench.add_worker("w2");
    bench.turn();
    bench.now += 10ms;
    bench.turn();
    bench.say(wire::Ended{1, End::cancelled, {{2, 2}}, {}, 1});  // given back
    bench.turn();
    constexpr std::size_t kFailures = Stories::kMostOfOne + 2;
    for (std::size_t i = 0; i < kFailures; ++i, bench.turn()) {
        const auto tasks = bench.tasks;
        ASSERT_EQ(tasks.size(), 1U) << i;
        bench.say_ended(tasks[0].id, End::failed, "exit code 3");
    }
    const json task = json::parse(broker_story(bench.broker, bench.now, 1'000'000'000, "2").text())["task"];
    EXPECT_EQ(task["attempts"][0]["moved"], true);
    EXPECT_EQ(task["attempts"].size(), Stories::kMostOfOne + 1) << "the last one is open";
    EXPECT_EQ(task["started"], kFailures + 1);
    EXPECT_EQ(task["left_out"], kFailures + 1 - Stories::kMostOfOne);
}

TEST_F(BrokerStory, IsFoundByNumberByEpochAndNumberAndByTheSendersId) {
    bench.broker.accept(bench.now, {.payload = "x", .id = "order-7"});
    bench.broker.accept(bench.now, {.payload = "x", .id = "2017"});
    bench.turn();
    EXPECT_EQ(told("order-7")["seq"], 1);
    EXPECT_EQ(told("77-1")["seq"], 1);
    EXPECT_EQ(told("1")["id"], "order-7");
    EXPECT_EQ(told("2017")["seq"], 2) << "no task has that number";
    EXPECT_EQ(told("76-1"), json());
    EXPECT_EQ(told(""), json());
    for (const auto& task : std::vector(bench.tasks)) {
        if (task.id.session == 1) bench.win(task);
    }
    EXPECT_EQ(told("order-7")["state"], "settled");
}

TEST_F(BrokerStory, OfManyASecondSomeAreTold) {
    for (int i = 0; i < 3000; ++i) complete();
    const json last = ask("3000");
    EXPECT_GT(last["one_of"], 1);
    EXPECT_EQ(last["last_seq"], 3000);
    EXPECT_GE(last["stories"], Stories::kASecond);
    EXPECT_LT(last["stories"], 10 * Stories::kASecond);
    EXPECT_EQ(told("1")["outcome"], "completed");
}

TEST_F(BrokerStory, OnlyTheLastAreKept) {
    for (std::size_t i = 0; i < Stories::kMostTasks + 100; ++i) {
        complete();
        if (i % 50 == 0) bench.pass(1s);
    }
    EXPECT_EQ(ask("1")["stories"], Stories::kMostTasks);
    EXPECT_EQ(told("1"), json());
    EXPECT_EQ(told(std::to_string(Stories::kMostTasks + 100))["attempts"].size(), 2U);
}

TEST_F(BrokerStory, AnEndThatComesAfterItsStoryHasGoneMakesNoNewOne) {
    bench.start();
    const auto first = bench.tasks;
    bench.win(first[0]);
    for (std::size_t i = 0; i < Stories::kMostTasks; ++i) {
        complete();
        if (i % 50 == 0) bench.pass(1s);
    }
    bench.say_ended(first[1].id, End::late);
    EXPECT_EQ(told("1"), json());
    EXPECT_EQ(ask("1")["stories"], Stories::kMostTasks);
}

// ---- the worker's part -------------------------------------------------------------------------

json work_of(const WorkerBench& bench, Seq seq) {
    return json::parse(worker_story(bench.worker, bench.now, 1'000'000'000, seq).text())["work"];
}

TEST(WorkerStory, SaysWhenWorkBeganWasStoppedAndEnded) {
    WorkerCore::Config config;
    config.credit = 4;
    WorkerBench bench(config);
    bench.task(1);
    bench.task(2);
    bench.turn();
    EXPECT_TRUE(work_of(bench, 20).empty()) << "it waits for the slot";
    json work = work_of(bench, 10);
    ASSERT_EQ(work.size(), 1U);
    EXPECT_EQ(work[0]["began_us"], 1'000'000'000);
    EXPECT_EQ(work[0]["ended_us"], json());
    bench.now += 5ms;
    bench.cancel(1, CancelReason::decided);
    bench.turn();
    bench.now += 2ms;
    bench.handler.end(0, Finish::stopped);
    bench.turn();
    bench.now += 1ms;
    work = work_of(bench, 10);
    ASSERT_EQ(work.size(), 1U);
    EXPECT_EQ(work[0]["session"], bench.worker.session());
    EXPECT_EQ(work[0]["number"], 1);
    EXPECT_EQ(work[0]["began_us"], 1'000'000'000 - 8000);
    EXPECT_EQ(work[0]["stop_us"], 1'000'000'000 - 3000);
    EXPECT_EQ(work[0]["ended_us"], 1'000'000'000 - 1000);
    EXPECT_EQ(work_of(bench, 20)[0]["began_us"], 1'000'000'000 - 1000);
}

TEST(WorkerStory, OnlyTheLastIsKept) {
    WorkTimes work;
    for (Seq seq = 1; seq <= WorkTimes::kMost + 10; ++seq) {
        work.turn(kStart + static_cast<int>(seq) * 10ms);
        work.ended({.id = {1, seq}, .seq = seq, .began_at = kStart, .ended_at = kStart});
    }
    const auto count = [&](Seq seq) {
        int found = 0;
        work.for_each_of(seq, [&](const WorkTimes::Entry&) { ++found; });
        return found;
    };
    EXPECT_EQ(count(10), 0);
    EXPECT_EQ(count(11), 1);
    EXPECT_EQ(count(WorkTimes::kMost + 10), 1);
}

// ---- together ----------------------------------------------------------------------------------

json attempt(int ordinal, const char* worker, std::uint64_t number, std::int64_t sent, json called_home, json ended,
             json end) {
    return {{"attempt", ordinal}, {"hedge", ordinal > 1}, {"session", 1},    {"number", number},
            {"worker", worker},   {"pool", "p"},          {"sent_us", sent}, {"called_home_us", std::move(called_home)},
            {"ended_us", ended},  {"end", std::move(end)}};
}

/// A first attempt that a hedge has beaten, after 30 ms.
json hedged() {
    return {{"now_us", 90'000},
            {"last_seq", 9},
            {"one_of", 1},
            {"task",
             {{"seq", 7},
              {"id", "order"},
              {"outcome", "completed"},
              {"accepted_us", 10'000},
              {"decided_us", 40'000},
              {"settled_us", 41'000},
              {"started", 2},
              {"left_out", 0},
              {"attempts",
               {attempt(2, "w2", 5, 30'000, json(), 41'000, "won"),
                attempt(1, "w1", 5, 10'000, 40'000, 50'000, "cancelled")}}}}};
}

json work(std::uint64_t session, std::int64_t began, json stop, std::int64_t ended) {
    return {{"work",
             {{{"session", session},
               {"number", 5},
               {"began_us", began},
               {"stop_us", std::move(stop)},
               {"ended_us", ended}}}}};
}

TEST(MergedStory, HasTheWorkOfEachAttemptInTheOrderInWhichTheyWereSent) {
    json broker = hedged();
    broker["task"]["attempts"][0]["session"] = 2;
    const json story = merge_story(broker, {{"w1", work(1, 20'000, 40'000, 49'000)}, {"w2", json()}});
    const json& attempts = story["task"]["attempts"];
    ASSERT_EQ(attempts.size(), 2U);
    EXPECT_EQ(attempts[0]["attempt"], 1);
    EXPECT_EQ(attempts[0]["work"]["began_us"], 20'000);
    EXPECT_EQ(attempts[1]["work"], json());
    EXPECT_EQ(story["unanswered"], json({"w2"}));
}

TEST(StoryText, DrawsEachAttemptOnOneTimeLine) {
    json broker = hedged();
    broker["task"]["attempts"][0]["session"] = 2;
    const json story =
        merge_story(broker, {{"w1", work(1, 20'000, 40'000, 50'000)}, {"w2", work(2, 30'000, json(), 40'000)}});
    // 40 ms in 40 columns behind "attempt", "worker" and their gaps
    const std::string text = story_text(story, 58, false);
    EXPECT_NE(text.find("task 7 (order): completed after"), std::string::npos) << text;
    EXPECT_NE(text.find("by a hedge at w2"), std::string::npos) << text;
    EXPECT_NE(text.find("1        w1      ..........====================~~~~~~~~~~o\n"), std::string::npos) << text;
    EXPECT_NE(text.find("2 hedge  w2                          ==========*\n"), std::string::npos) << text;
}

TEST(StoryText, IsNoWiderThanTheTerminal) {
    json broker = hedged();
    for (json& attempt : broker["task"]["attempts"]) attempt["worker"] = std::string(60, 'w');
    broker["task"]["error"] = std::string(300, 'e');
    for (const bool utf8 : {false, true}) {
        for (const int width : {60, 80, 200}) {
            std::istringstream lines(story_text(merge_story(broker, {}), width, utf8));
            for (std::string line; std::getline(lines, line);) EXPECT_LE(columns_of(line), width) << line;
        }
    }
}

TEST(StoryText, WhatIsMissingOrOfAnotherKindDoesNotMatter) {
    for (const char* answer :
         {R"({"task":{}})", R"({"task":{"attempts":[{}]}})", R"({"task":{"attempts":[7,null,"x"]}})",
          R"({"task":{"accepted_us":"soon","attempts":{"a":1},"left_out":-1}})"}) {
        EXPECT_FALSE(story_text(merge_story(json::parse(answer), {{"w1", json(3)}}), 80, true).empty()) << answer;
    }
}

TEST(StoryText, SaysWhyThereIsNone) {
    EXPECT_EQ(why_no_story(merge_story(hedged(), {}), "7"), "");
    const json none = {{"task", json()}, {"last_seq", 9}, {"stories", 4}, {"one_of", 8}};
    EXPECT_EQ(why_no_story(none, "10"), "there is no task 10 yet: the last message has the number 9");
    EXPECT_EQ(why_no_story(none, "99999999999999999999999"),
              "there is no task 99999999999999999999999 yet: the last message has the number 9");
    EXPECT_EQ(why_no_story(none, "3"),
              "task 3 is not in flight, and not among the last 4 whose story is told (one of 8: there are many a "
              "second); what became of it is in the output");
}

}  // namespace
}  // namespace curfew

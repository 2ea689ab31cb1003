// What the monitor makes of what the processes say: the check, readiness, the metrics, the history,
// a dump of the whole group.
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <sstream>

#include "monitor/admin_text.h"
#include "monitor/check.h"
#include "monitor/dump_view.h"
#include "monitor/end_view.h"
#include "monitor/history.h"
#include "monitor/metrics.h"
#include "monitor/readiness.h"
#include "monitor/terminal_text.h"
#include "monitor/view.h"

namespace curfew {
namespace {

using nlohmann::json;
using namespace std::chrono_literals;

json broker(std::uint64_t in_flight = 3) {
    return json{
        {"role", "broker"},
        {"version", "1.0"},
        {"tasks",
         {{"accepted", 10}, {"completed", 7}, {"failed", 1}, {"expired", 0}, {"cancelled", 0}, {"in_flight", 2}}},
        {"attempts",
         {{"started", 17 + in_flight},
          {"won", 7},
          {"late", 2},
          {"cancelled", 6},
          {"failed", 2},
          {"expired", 0},
          {"lost", 0},
          {"in_flight", in_flight}}},
        {"oldest_attempt_s", 1.5},
        {"rates", {{"settled_per_s", 12.5}}},
        {"attempt_time",
         {{"p50_us", 10}, {"p99_us", 20}, {"sum_us", 5'000'000}, {"le_us", {100, 1000}}, {"counts", {1, 2, 3}}}},
        {"collector", {{"synced", true}}},
        {"workers", {{{"name", "w1"}, {"pool", "p"}, {"state", "ready"}, {"credit", 4}, {"won", 7}}}}};
}

json worker(std::uint64_t busy = 1, std::uint64_t out_of_service = 0) {
    return json{{"role", "worker"},
                {"pool", "p"},
                {"slots", {{"all", 4}, {"busy", busy}, {"out_of_service", out_of_service}}},
                {"held", {{"queued", 0}, {"running", busy}, {"cancelling", 0}, {"reported", 0}}}};
}

std::vector<Said> group(json the_broker = broker(), json the_worker = worker()) {
    return {{"broker", std::move(the_broker)}, {"w1", std::move(the_worker)}};
}

// ---- check -------------------------------------------------------------------------------------

TEST(Check, AGroupThatIsWellIsOkWithItsFigures) {
    const Finding finding = check(group(), {});
    EXPECT_EQ(finding.health, Health::ok);
    EXPECT_TRUE(finding.line.starts_with("CURFEW OK - 2 tasks and 3 attempts in flight, the books balance | "))
        << finding.line;
    EXPECT_NE(finding.line.find("attempts_in_flight=3;;;0"), std::string::npos);
}

TEST(Check, BooksThatAreOffAreCriticalWhateverTheLimits) {
    json off = broker();
    off["attempts"]["won"] = 6;
    const Finding finding = check(group(off), {});
    EXPECT_EQ(finding.health, Health::critical);
    EXPECT_NE(finding.line.find("the books of the attempts are 1 off"), std::string::npos) << finding.line;
    off = broker();
    off["tasks"]["completed"] = 8;
    EXPECT_NE(check(group(off), {}).line.find("the books of the tasks are -1 off"), std::string::npos);
}

TEST(Check, LimitsAreKeptAndSaid) {
    Limits limits;
    limits.most_in_flight = 3;
    limits.oldest = 2s;
    EXPECT_EQ(check(group(), limits).health, Health::ok);
    limits.most_in_flight = 2;
    EXPECT_EQ(check(group(), limits).health, Health::critical);
    limits.most_in_flight.reset();
    limits.oldest = 1s;
    EXPECT_EQ(check(group(), limits).health, Health::critical);
    EXPECT_NE(check(group(), limits).line.find("1.5 s old, more than 1s"), std::string::npos);
}

TEST(Check, DrainedMeansThatNothingIsAliveAnywhere) {
    json done = broker(0);
    done["tasks"]["in_flight"] = 0;
    done["tasks"]["accepted"] = 8;
    Limits limits;
    limits.drained = true;
    EXPECT_EQ(check(group(done, worker(0)), limits).health, Health::ok);
    EXPECT_EQ(check(group(done, worker(1)), limits).health, Health::critical) << "a worker still runs something";
    EXPECT_EQ(check(group(broker(), worker(0)), limits).health, Health::critical);
}

TEST(Check, WorkThatFailsIsAWarning) {
    json later = broker();
    later["attempts"]["won"] = 10;    // 3 more
    later["attempts"]["failed"] = 9;  // 7 more
    later["attempts"]["cancelled"] = 60;
    later["attempts"]["started"] = 84;
    Limits limits;
    limits.most_failed = 0.69;
    limits.earlier = broker();
    const Finding finding = check(group(later), limits);
    EXPECT_EQ(finding.health, Health::warning);
    EXPECT_TRUE(finding.line.starts_with("CURFEW WARNING - 7 of 10 attempts that ended failed, more than 69% | "))
        << finding.line;
    limits.most_failed = 0.7;
    EXPECT_EQ(check(group(later), limits).health, Health::ok) << "no more than that";
    limits.most_failed = 0;
    EXPECT_EQ(check(group(broker()), limits).health, Health::ok) << "nothing ended meanwhile";
    later["incarnation"] = 6;
    EXPECT_EQ(check(group(later), limits).health, Health::ok) << "another broker has other books";
}

TEST(Check, WhatExpiredAndWhatWasLostFailedToo) {
    json later = broker();
    later["attempts"]["expired"] = 2;
    later["attempts"]["lost"] = 1;
    later["attempts"]["late"] = 3;
    const EndsBetween ends = ends_between(broker(), later);
    EXPECT_EQ(ends.all, 4U);
    EXPECT_EQ(ends.failed, 3U);
}

TEST(Check, WhoDoesNotAnswerIsMissed) {
    EXPECT_EQ(check(group(json(), worker()), {}).health, Health::critical) << "the broker";
    const Finding finding = check(group(broker(), json()), {});
    EXPECT_EQ(finding.health, Health::warning);
    EXPECT_NE(finding.line.find("w1 does not answer"), std::string::npos);
    EXPECT_EQ(check(group(broker(), worker(2, 1)), {}).health, Health::warning) << "a slot out of service";
}

TEST(Check, AttemptsThatKeepAGroupWhoseTasksAllHaveOutcomesAreAWarning) {
    json waiting = broker(1);
    waiting["tasks"] = {{"accepted", 10}, {"completed", 9}, {"failed", 1}, {"expired", 0}, {"cancelled", 0}};
    waiting["settled_for_s"] = 4.2;
    const Finding finding = check(group(waiting), {});
    EXPECT_EQ(finding.health, Health::warning);
    EXPECT_NE(finding.line.find("waiting for 1 attempt in flight, for 4 s: all outcomes are written"),
              std::string::npos)
        << finding.line;
    EXPECT_NE(stats_text(waiting).find("waiting for 1 attempt in flight, for 4 s"), std::string::npos);

    waiting["settled_for_s"] = 2.9;
    EXPECT_EQ(check(group(waiting), {}).health, Health::ok) << "grace and the time of a kill are not over";
    waiting["settled_for_s"] = 4.2;
    json patient = worker();
    patient["grace_s"] = 3.0;
    EXPECT_EQ(check(group(waiting, patient), {}).health, Health::ok) << "a worker gives its work longer";
    waiting["settled_for_s"] = nullptr;
    EXPECT_EQ(check(group(waiting), {}).health, Health::ok) << "the intake goes on";
}

TEST(Check, OnlyWhatRisesAllTheTimeIsALeak) {
    std::vector<std::uint64_t> leak, busy, ramp;
    for (std::uint64_t i = 0; i < 60; ++i) {
        leak.push_back(48 + i * 10 + i % 7);
        busy.push_back(100 + 90 * (i % 5));
        ramp.push_back(std::min<std::uint64_t>(i * 20, 400));
    }
    EXPECT_TRUE(only_rises(leak));
    EXPECT_FALSE(only_rises(busy));
    EXPECT_FALSE(only_rises(ramp)) << "a load that comes and then stays";
    EXPECT_FALSE(only_rises({1, 2, 3}));
    const Finding finding = with_growth(check(group(), {}), leak, 1h);
    EXPECT_EQ(finding.health, Health::critical);
    EXPECT_NE(finding.line.find("only rise: 48 to 641"), std::string::npos) << finding.line;
    EXPECT_NE(finding.line.find(" | tasks_in_flight=2"), std::string::npos);
    EXPECT_EQ(with_growth(check(group(), {}), busy, 1h).health, Health::ok);
}

// ---- a queue -----------------------------------------------------------------------------------

json queue() {
    return {{"queue", "jobs"},      {"connected", "rabbit-1"},
            {"trouble", ""},        {"lost_for_s", nullptr},
            {"depth", 12},          {"prefetch", 8},
            {"fetched", 1},         {"unacked", 4},
            {"redelivered", 3},     {"oldest_unacked_s", 1.25},
            {"adopted", 2},         {"known", 1},
            {"refused", 0},         {"bytes_read", 0},
            {"waits_for", ""},      {"ended", false},
            {"connections_lost", 1}};
}

json lost_queue(double seconds) {
    json lost = queue();
    lost["connected"] = "";
    lost["trouble"] = "connection refused\x1b[31m";
    lost["lost_for_s"] = seconds;
    return lost;
}

/// A group from queue to queue.
std::vector<Said> queue_group(const json& source, const json& waits_for = nullptr, double waited_s = 0) {
    json the_broker = broker();
    the_broker["source"] = source;
    const json sink = {{"waiting", 9}, {"bytes", 70}, {"waits_for", waits_for}, {"waited_s", waited_s}};
    return {{"broker", the_broker}, {"collector", {{"role", "collector"}, {"sink", sink}}}, {"w1", worker()}};
}

std::string stats_text_of(const std::vector<Said>& stats) {
    std::string text;
    for (const auto& [name, said] : stats) text += stats_text(said);
    return text;
}

TEST(Queue, ItsFiguresAreALineOfTheText) {
    const std::string text = stats_text_of(queue_group(queue()));
    EXPECT_NE(text.find("  queue     jobs at rabbit-1: depth 12, prefetch 8, fetched 1, unacked 4 (the oldest 1.2 s), "
                        "redelivered 3, connections lost 1\n"),
              std::string::npos)
        << text;
    EXPECT_EQ(text.find("sink   "), std::string::npos);
    EXPECT_EQ(stats_text(broker()).find("queue"), std::string::npos) << "the source is none";
}

TEST(Queue, WhatIsLostAndWhatWaitsStandsInTheText) {
    const std::string text = stats_text_of(queue_group(lost_queue(12), "the server's alarm", 3));
    EXPECT_NE(text.find("  queue     jobs is not connected for 12.0s (connection refused?[31m), prefetch 8"),
              std::string::npos)
        << text;
    EXPECT_EQ(text.find("depth"), std::string::npos) << "it is old";
    EXPECT_NE(text.find("  sink      waits for the server's alarm for 3.0 s, outcomes 9\n"), std::string::npos) << text;
}

TEST(Queue, OneThatIsLostForLongIsAWarningAndTheGroupIsNotReady) {
    EXPECT_EQ(check(queue_group(queue()), {}).health, Health::ok);
    EXPECT_EQ(why_not_ready(queue_group(queue())), "");
    EXPECT_EQ(check(queue_group(lost_queue(4.9)), {}).health, Health::ok) << "less than a heartbeat";
    EXPECT_EQ(why_not_ready(queue_group(lost_queue(4.9))), "");
    const Finding finding = check(queue_group(lost_queue(5.1)), {});
    EXPECT_EQ(finding.health, Health::warning);
    EXPECT_TRUE(finding.line.starts_with("CURFEW WARNING - the queue jobs is not connected for 5.1s ("))
        << finding.line;
    EXPECT_TRUE(why_not_ready(queue_group(lost_queue(5.1))).starts_with("the queue jobs is not connected for 5.1s ("));
}

TEST(Queue, ASinkThatWaitsForLongIsAWarningAndTheGroupIsNotReady) {
    const auto blocked = queue_group(queue(), "the server's alarm", 1);
    const Finding finding = check(blocked, {});
    EXPECT_EQ(finding.health, Health::warning);
    EXPECT_TRUE(finding.line.starts_with("CURFEW WARNING - the sink waits for the server's alarm |")) << finding.line;
    EXPECT_EQ(why_not_ready(blocked), "the sink waits for the server's alarm");
    EXPECT_EQ(check(queue_group(queue(), "a reader", 0.9), {}).health, Health::ok) << "only now";
    EXPECT_EQ(why_not_ready(queue_group(queue(), "a reader", 0.9)), "");
}

TEST(Queue, ItsFiguresAreMetrics) {
    const std::string text = metrics(queue_group(queue()), "g");
    for (const char* line : {"curfew_source_connected{group=\"g\",queue=\"jobs\"} 1\n",
                             "curfew_source_depth{group=\"g\",queue=\"jobs\"} 12\n",
                             "curfew_source_prefetch{group=\"g\",queue=\"jobs\"} 8\n",
                             "curfew_source_unacked{group=\"g\",queue=\"jobs\"} 4\n",
                             "curfew_source_oldest_unacked_seconds{group=\"g\",queue=\"jobs\"} 1.25\n",
                             "curfew_source_redelivered_total{group=\"g\",queue=\"jobs\"} 3\n",
                             "curfew_source_connections_lost_total{group=\"g\",queue=\"jobs\"} 1\n",
                             "curfew_sink_waiting{group=\"g\"} 9\n", "curfew_sink_blocked{group=\"g\"} 0\n"}) {
        EXPECT_NE(text.find(line), std::string::npos) << line << "is not in\n" << text;
    }
    const std::string lost = metrics(queue_group(lost_queue(1), "a queue", 1), "g");
    EXPECT_NE(lost.find("curfew_source_connected{group=\"g\",queue=\"jobs\"} 0\n"), std::string::npos) << lost;
    EXPECT_EQ(lost.find("curfew_source_depth{"), std::string::npos) << "nobody knows";
    EXPECT_NE(lost.find("curfew_sink_blocked{group=\"g\"} 1\n"), std::string::npos) << lost;
    EXPECT_EQ(metrics(group(), "g").find("curfew_source_connected"), std::string::npos) << "the source is no queue";
}

// ---- metrics -----------------------------------------------------------------------------------

TEST(Metrics, TellTheBooksAndTheLaws) {
    const std::string text = metrics(group(), "g");
    for (const char* line :
         {"curfew_tasks_total{group=\"g\",outcome=\"completed\"} 7\n", "curfew_attempts_in_flight{group=\"g\"} 3\n",
          "curfew_tasks_residue{group=\"g\"} 0\n", "curfew_attempts_residue{group=\"g\"} 0\n",
          "curfew_up{group=\"g\",process=\"w1\",role=\"worker\"} 1\n",
          "curfew_worker_slots{group=\"g\",worker=\"w1\",pool=\"p\",state=\"free\"} 3\n",
          "curfew_worker_attempts_total{group=\"g\",worker=\"w1\",pool=\"p\",end=\"won\"} 7\n"}) {
        EXPECT_NE(text.find(line), std::string::npos) << line << "is not in\n" << text;
    }
}

TEST(Metrics, AHistogramCountsUpToEachBound) {
    const std::string text = metrics(group(), "g");
    EXPECT_NE(text.find("curfew_attempt_duration_seconds_bucket{group=\"g\",le=\"0.0001\"} 1\n"
                        "curfew_attempt_duration_seconds_bucket{group=\"g\",le=\"0.001\"} 3\n"
                        "curfew_attempt_duration_seconds_bucket{group=\"g\",le=\"+Inf\"} 6\n"
                        "curfew_attempt_duration_seconds_sum{group=\"g\"} 5.0\n"
                        "curfew_attempt_duration_seconds_count{group=\"g\"} 6\n"),
              std::string::npos)
        << text;
}

TEST(Metrics, NamesAreEscapedAndAGoneProcessIsZero) {
    const std::string text = metrics({{"broker", json()}, {"w\"\\\n", json()}}, "g");
    EXPECT_NE(text.find("curfew_up{group=\"g\",process=\"broker\",role=\"broker\"} 0\n"), std::string::npos) << text;
    EXPECT_NE(text.find(R"(process="w\"\\\n")"), std::string::npos) << text;
    EXPECT_EQ(text.find("curfew_tasks_in_flight"), std::string::npos) << "nobody knows";
}

TEST(Metrics, EachSeriesHasTheGroupsLabel) {
    std::istringstream lines(metrics(queue_group(queue()), "a \"b\""));
    for (std::string line; std::getline(lines, line);) {
        if (line.starts_with("#")) continue;
        EXPECT_NE(line.find(R"({group="a \"b\"")"), std::string::npos) << line;
    }
}

TEST(Metrics, EachNameHasOneHead) {
    std::istringstream lines(metrics(queue_group(queue()), "g"));
    std::vector<std::string> heads;
    for (std::string line; std::getline(lines, line);) {
        if (line.starts_with("# TYPE")) heads.push_back(line);
    }
    std::sort(heads.begin(), heads.end());
    EXPECT_EQ(std::adjacent_find(heads.begin(), heads.end()), heads.end());
    EXPECT_GT(heads.size(), 20U);
}

// ---- history -----------------------------------------------------------------------------------

TEST(History, ASampleEachSecondAndOneEachMinute) {
    History history;
    for (int second = 0; second < 700; ++second) history.add(1000 + second, group(second == 699 ? json() : broker()));
    const json fine = history.json(1700, 600);
    EXPECT_EQ(fine["t"].size(), 600U) << "bounded";
    EXPECT_EQ(fine["step_s"], 1);
    EXPECT_EQ(fine["attempts_in_flight"][0], 3);
    EXPECT_EQ(fine["settled_per_s"][0], 12.5);
    EXPECT_TRUE(fine["attempts_in_flight"].back().is_null()) << "the broker was gone";
    const json coarse = history.json(1700, 3600);
    EXPECT_EQ(coarse["t"].size(), 13U) << "and where the gap begins";
    EXPECT_EQ(coarse["step_s"], 60);
}

TEST(History, BeginsWithTheFirstAnswerAndShowsAGapForLong) {
    History history;
    history.add(1000, {});
    history.add(1001, group(json()));
    EXPECT_TRUE(history.json(1001, 600)["t"].empty()) << "there was no group";
    history.add(1002, group());
    history.add(1003, group(json()));
    history.add(1004, group(json()));
    history.add(1100, group());
    EXPECT_EQ(history.json(1100, 600)["t"], json({1002, 1003, 1004, 1100}));
    EXPECT_EQ(history.json(1100, 3600)["attempts_in_flight"], json({3, nullptr, 3})) << "not a line over the gap";
}

// ---- dump --------------------------------------------------------------------------------------

json row(std::uint64_t number, const char* state, double age) {
    return {{"session", 1},   {"number", number}, {"seq", number},  {"id", "e-1"},
            {"worker", "w1"}, {"pool", "p"},      {"state", state}, {"age_s", age}};
}
json place(const char* state, std::uint64_t count, double oldest) {
    return {{"pool", "p"}, {"worker", "w1"}, {"state", state}, {"count", count}, {"oldest_s", oldest}};
}

std::vector<Said> dumps() {
    json at_broker = {{"role", "broker"},
                      {"in_flight", 3},
                      {"groups", {place("queued", 3, 9)}},
                      {"attempts", {row(1, "queued", 9), row(2, "queued", 5), row(3, "queued", 0.1)}}};
    json running = row(1, "running", 8.9);
    running["pid"] = 77;
    running["in_state_s"] = 8;
    json at_worker = {{"role", "worker"},
                      {"groups", {place("running", 1, 8.9), place("queued", 1, 4.9)}},
                      {"attempts", {running, row(2, "queued", 4.9)}}};
    return {{"broker", at_broker}, {"w1", at_worker}};
}

TEST(GroupDump, TheWorkersSayWhatTheirAttemptsDo) {
    const json merged = merge_dumps(dumps(), 10, false);
    EXPECT_EQ(merged["in_flight"], 3);
    ASSERT_EQ(merged["attempts"].size(), 3U);
    EXPECT_EQ(merged["attempts"][0]["state"], "running");
    EXPECT_EQ(merged["attempts"][0]["pid"], 77);
    EXPECT_EQ(merged["attempts"][0]["id"], "e-1") << "the broker knows it";
    EXPECT_EQ(merged["attempts"][2]["state"], "queued") << "on its way";
}

TEST(GroupDump, PlacesAreCountedOnceAndWhatIsOnItsWayIsSaid) {
    const json groups = merge_dumps(dumps(), 0, false)["groups"];
    std::uint64_t all = 0;
    bool on_its_way = false;
    for (const json& group : groups) {
        all += group["count"].get<std::uint64_t>();
        on_its_way = on_its_way || (group["state"] == "in transit" && group["count"] == 1);
    }
    EXPECT_EQ(all, 3U);
    EXPECT_TRUE(on_its_way) << groups;
}

TEST(GroupDump, OfAPartOnlyTheWorkersAreBelieved) {
    auto queued = dumps();
    queued[1].second["groups"] = {place("queued", 1, 4.9)};
    queued[1].second["attempts"] = {row(2, "queued", 4.9)};
    const json merged = merge_dumps(queued, 10, true);
    ASSERT_EQ(merged["attempts"].size(), 1U) << "to the broker all three look queued";
    EXPECT_EQ(merged["attempts"][0]["number"], 2);
    ASSERT_EQ(merged["groups"].size(), 1U);
    EXPECT_EQ(merged["groups"][0]["count"], 1);
}

TEST(GroupDump, OfAWorkerThatDoesNotAnswerTheBrokersWordCounts) {
    auto without = dumps();
    without[1].second = json();
    const json merged = merge_dumps(without, 2, false);
    EXPECT_EQ(merged["attempts"].size(), 2U) << "the limit";
    EXPECT_EQ(merged["attempts"][0]["state"], "queued");
    EXPECT_EQ(merged["groups"][0]["count"], 3);
}

TEST(GroupDump, TheLimitCountsTheOldestOfAllProcesses) {
    auto limited = dumps();  // each was asked for two
    limited[0].second["matching"] = 3;
    limited[0].second["attempts"].erase(2);
    const json merged = merge_dumps(limited, 2, false);
    EXPECT_EQ(merged["matching"], 3);
    ASSERT_EQ(merged["attempts"].size(), 2U);
    EXPECT_EQ(merged["attempts"][0]["number"], 1);
    EXPECT_EQ(merged["attempts"][1]["number"], 2);
    const std::string text = group_dump_text(merged, true, 80);
    EXPECT_NE(text.find("\n... and 1 more (--limit)\n"), std::string::npos) << text;
    EXPECT_EQ(group_dump_text(merge_dumps(dumps(), 3, false), true, 80).find("--limit"), std::string::npos);
}

TEST(GroupDump, SlotsOutOfServiceAndWhoDoesNotAnswerAreNamed) {
    auto ill = dumps();
    ill[1].second["out_of_service"] = {{{"slot", 3}, {"pid", 77}, {"stopping_s", 12.25}}};
    ill.emplace_back("w2", json());
    const json merged = merge_dumps(ill, 10, false);
    EXPECT_EQ(merged["unanswered"], json({"w2"}));
    ASSERT_EQ(merged["out_of_service"].size(), 1U);
    EXPECT_EQ(merged["out_of_service"][0]["worker"], "w1");
    EXPECT_TRUE(group_dump_text(merged, false, 80)
                    .ends_with("w1: slot 3 is out of service: its work (pid 77) was told to stop 12.2s ago\n"));
}

TEST(GroupDump, TheTextFitsTheWidthAndSaysTheNumberOfEachTask) {
    const json merged = merge_dumps(dumps(), 10, false);
    const std::string wide = group_dump_text(merged, true, 200);
    EXPECT_TRUE(wide.starts_with("3 attempts in flight\n    count  state ")) << wide;
    EXPECT_NE(wide.find("   task attempt worker pool state         age in state   left    pid id\n"), std::string::npos)
        << wide;
    EXPECT_NE(wide.find("      1       - w1     p    running      9.0s     8.0s      -     77 e-1\n"),
              std::string::npos)
        << wide;
    std::istringstream lines(group_dump_text(merged, true, 60));
    for (std::string line; std::getline(lines, line);) EXPECT_LE(columns_of(line), 60) << line;
    EXPECT_EQ(group_dump_text(merged, false, 80).find("attempt worker"), std::string::npos)
        << "no more than the places";
}

TEST(GroupDump, WithoutABrokerTheWorkersAreListed) {
    auto without = dumps();
    without[0].second = json();
    const json merged = merge_dumps(without, 10, false);
    EXPECT_TRUE(merged["in_flight"].is_null());
    EXPECT_EQ(merged["attempts"].size(), 2U);
    EXPECT_EQ(merged["matching"], 2);
    const std::string text = group_dump_text(merged, true, 80);
    EXPECT_TRUE(text.starts_with("the broker does not answer: these are the attempts that workers hold\n")) << text;
    EXPECT_NE(text.find("running"), std::string::npos);
}

// ---- what was touched --------------------------------------------------------------------------

TEST(AdminText, ASentenceWithTheRightNumber) {
    const auto said = [](const char* verb, std::uint64_t tasks) {
        return admin_text(verb, 0, {{"ok", true}, {"tasks_in_flight", tasks}});
    };
    EXPECT_EQ(said("drain", 12),
              "the broker takes no more messages, and ends when the 12 tasks in flight have their outcomes");
    EXPECT_EQ(said("drain", 1), "the broker takes no more messages, and ends when the task in flight has its outcome");
    EXPECT_EQ(said("drain", 0), "the broker takes no more messages, and ends: no task is in flight");
    const std::string paused = "paused: no messages are taken until `curfew-monitor resume`; ";
    EXPECT_EQ(said("pause", 12), paused + "12 tasks in flight go on");
    EXPECT_EQ(said("pause", 1), paused + "1 task in flight goes on");
    EXPECT_EQ(said("pause", 0), paused + "no task is in flight");
    EXPECT_EQ(said("resume", 12), "no longer paused; 12 tasks are in flight");
    EXPECT_EQ(said("resume", 1), "no longer paused; 1 task is in flight");
}

TEST(AdminText, ACancelNamesItsTaskAndWhyItWasNotDone) {
    EXPECT_EQ(admin_text("cancel", 5, {{"ok", true}, {"tasks_in_flight", 3}}), "task 5 is cancelled");
    EXPECT_EQ(admin_text("cancel", 9, {{"ok", false}, {"reason", "there is no such task in flight"}}),
              "task 9 is not cancelled: there is no such task in flight");
}

TEST(AdminText, AnAnswerThatIsNoneIsShownButCannotTouchTheTerminal) {
    EXPECT_EQ(admin_text("drain", 0, {{"error", "what\x1b[31m"}}),
              R"(drain was not done; the answer: {"error":"what\u001b[31m"})");
    EXPECT_EQ(admin_text("cancel", 5, {{"ok", false}, {"reason", "\x1b[2J"}}), "task 5 is not cancelled: ?[2J");
    EXPECT_EQ(admin_text("pause", 0, json::parse("nonsense", nullptr, false)),
              "pause was not done; the answer: no JSON");
}

// ---- events ----

TEST(Events, ALineForEachEndWithItsOwnTime) {
    const auto at = std::chrono::system_clock::time_point(std::chrono::milliseconds(1'795'552'970'900));
    const json answer = {{"missed", 0},
                         {"ends",
                          {{{"seq", 7},
                            {"id", "a\"b"},
                            {"worker", nullptr},
                            {"pool", "fast"},
                            {"end", "failed"},
                            {"error", "no"},
                            {"ago_s", 0.9},
                            {"left_out", 3}},
                           {{"seq", 8}, {"end", "won"}}}}};
    const std::string lines = end_lines(answer, at);
    EXPECT_EQ(std::count(lines.begin(), lines.end(), '\n'), 2);
    const json first = json::parse(lines.substr(0, lines.find('\n')));
    EXPECT_EQ(first["time"], "2026-11-24T20:42:50.000Z");
    EXPECT_EQ(first["id"], "a\"b");
    EXPECT_TRUE(first["worker"].is_null());
    EXPECT_EQ(first["pool"], "fast");
    EXPECT_EQ(first["left_out"], 3);
    EXPECT_TRUE(lines.starts_with(R"({"time":"2026-11-24T20:42:50.000Z","seq":7,)")) << "always in this order";
}

TEST(Events, WhatWasMissedIsALineOfItsOwn) {
    EXPECT_EQ(end_lines(json{{"missed", 5}, {"ends", json::array()}}, {}), "{\"missed\":5}\n");
    EXPECT_EQ(end_lines(json{{"ends", json::array()}}, {}), "");
    EXPECT_EQ(end_lines(json{{"ends", "nonsense"}}, {}), "");
}

std::vector<std::string> lines_of(const std::string& text) {
    std::istringstream in(text);
    std::vector<std::string> lines;
    for (std::string line; std::getline(in, line);) lines.push_back(line);
    return lines;
}

json end_of(const char* end, const char* id, const json& error = nullptr) {
    return {{"seq", 7},   {"id", id},       {"attempt", 2},   {"worker", "w1"}, {"pool", "fast"},
            {"end", end}, {"took_s", 0.25}, {"error", error}, {"ago_s", 0.9},   {"left_out", 0}};
}

TEST(EndTable, ALineForEachEndUnderItsTitles) {
    EndTable table(80, true);
    const auto first =
        lines_of(table.lines({{"ends", {end_of("won", "a-1"), end_of("failed", "a-2", "no\nway")}}}, WallTime(1s)));
    ASSERT_EQ(first.size(), 3U);
    EXPECT_EQ(first[0], "time         id   att worker pool end         took error");
    EXPECT_EQ(first[1].substr(12), " a-1    2 w1     fast won        250ms");
    EXPECT_EQ(first[2].substr(12), " a-2    2 w1     fast failed     250ms no?way");
    EXPECT_EQ(first[1].substr(5, 7), ":00.100") << "a time of day";
    const auto second = lines_of(table.lines({{"ends", {end_of("lost", "a-10")}}}, {}));
    ASSERT_EQ(second.size(), 1U) << "titles once";
    EXPECT_EQ(second[0].find("lost"), first[1].find("won")) << "below what was printed";
}

TEST(EndTable, NoLineIsWiderThanTheTerminalAndOfALongIdItsEndIsShown) {
    for (const int width : {20, 40, 80, 200}) {
        EndTable table(width, true);
        const std::string text = table.lines(
            {{"ends", {end_of("failed", "7141444783181458044-123456789012345678", std::string(300, 'x'))}}}, {});
        for (const std::string& line : lines_of(text)) EXPECT_LE(columns_of(line), width) << line;
        if (width >= 40) {
            EXPECT_NE(text.find("5678 "), std::string::npos) << text;
        }
    }
}

TEST(EndTable, WhatWasMissedAndWhatWasLeftOutIsSaid) {
    EndTable table(80, true);
    EXPECT_EQ(table.lines({{"missed", 1}, {"ends", json::array()}}, {}), "... 1 end missed\n");
    json end = end_of("won", "a-1");
    end["left_out"] = 12;
    const auto lines = lines_of(table.lines({{"ends", {end}}}, {}));
    ASSERT_EQ(lines.size(), 3U);
    EXPECT_EQ(lines[1], "... 12 more won");
    EXPECT_EQ(table.lines({{"ends", "nonsense"}}, {}), "");
}

}  // namespace
}  // namespace curfew

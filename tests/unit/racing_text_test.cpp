// What racing gave: as lines of text, in the words of launch's summary (tests/integration/
// summary_test.py has the same figures), and the times of the last ten seconds.
#include "monitor/racing_text.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "monitor/history.h"
#include "monitor/recent_times.h"
#include "monitor/terminal_text.h"
#include "monitor/view.h"

namespace curfew {
namespace {

using nlohmann::json;

json times(std::uint64_t count) {
    return {{"count", count}, {"p50_us", 10'100}, {"p99_us", 20'900}, {"p999_us", 1'250'000}};
}

json pool(const std::string& name, std::uint64_t won, std::uint64_t late = 1) {
    return {{"name", name}, {"won", won}, {"late", late}, {"won_time", times(won)}};
}

json failure(const std::string& reason, std::uint64_t count, std::uint64_t seq, const std::string& worker) {
    return {{"reason", reason}, {"count", count},   {"at_most_too_many", count > 1 ? 2 : 0},
            {"seq", seq},       {"worker", worker}, {"error", "exit code 3"}};
}

std::string text(const json& broker, int width = 80) {
    return fmt::format("{}", fmt::join(racing_text(broker, width), "\n"));
}

TEST(RacingText, TheLatencyIsThatOfTasks) {
    EXPECT_EQ(text({{"task_time", times(90)}}), "latency   p50 10.1 ms, p99 20.9 ms, p99.9 1.25 s");
    EXPECT_EQ(text({{"task_time", times(0)}}), "") << "none has been completed";
}

TEST(RacingText, HedgesAreToldOfWhereThereWereAny) {
    EXPECT_EQ(text({{"hedges", {{"sent", 0}, {"won", 0}, {"saved_us", 0}, {"withheld", 0}}}}), "");
    EXPECT_EQ(text({{"hedges", {{"sent", 60}, {"won", 31}, {"saved_us", 12'000}, {"withheld", 2}}}}, 100),
              "hedges    60 sent, 31 won, 12.0 ms saved at least; 2 more were due, and there was no budget");
    EXPECT_EQ(text({{"hedges", {{"sent", 1}, {"won", 0}, {"saved_us", 0}, {"withheld", 0}}}}),
              "hedges    1 sent, 0 won");
}

TEST(RacingText, WhoWinsIsDrawnTheFirstFirst) {
    EXPECT_EQ(text({{"pools", {pool("b", 25), pool("a", 75), pool("idle", 0, 0)}}}),
              "wins      a  ###############       75%      75  p99 20.9 ms\n"
              "          b  #####                 25%      25  p99 20.9 ms");
    EXPECT_EQ(text({{"pools", {pool("a", 75)}}}), "") << "of one there is nothing to draw";
}

TEST(RacingText, WhyWorkFailedTheMostFrequentFirst) {
    EXPECT_EQ(text({{"failures",
                     {failure("failed: exit code #: bad", 7, 13, "w1"), failure("failed: exit code #", 1, 5, "")}}}),
              "failures  about 7 failed: exit code #: bad (message 13 at w1)\n"
              "          1 failed: exit code 3 (message 5)");
}

TEST(RacingText, LinesAreWithinTheWidthAndHaveNoControls) {
    json said = {{"task_time", times(90)}, {"hedges", {{"sent", 60}, {"won", 31}, {"withheld", 2}}}};
    said["pools"] = {pool(std::string(200, 'p'), 50)};
    for (std::uint64_t i = 0; i < 20; ++i) said["pools"].push_back(pool(fmt::format("q{}", i), i));
    for (std::uint64_t i = 0; i < 9; ++i)
        said["failures"].push_back(
            failure("failed: \x1b[31m" + std::string(300, 'x'), 70 - i, i, std::string(60, 'w')));
    for (const int width : {40, 80, 200}) {
        const auto lines = racing_text(said, width);
        for (const std::string& line : lines) {
            EXPECT_LE(columns_of(line), width) << line;
            EXPECT_EQ(line.find('\x1b'), std::string::npos) << line;
        }
        EXPECT_NE(std::ranges::find(lines, "          and 11 pools more"), lines.end());
        EXPECT_NE(std::ranges::find(lines, "          and 4 reasons more"), lines.end());
    }
}

TEST(RacingText, AnyFieldMayBeOfAnotherKind) {
    EXPECT_EQ(text({{"task_time", 3}, {"hedges", "none"}, {"pools", 7}, {"failures", json::object()}}), "");
    EXPECT_EQ(text({{"failures", {nullptr, 3}}, {"pools", {3, nullptr}}}),
              "failures  0 - (message 0)\n          0 - (message 0)");
    EXPECT_EQ(text(nullptr), "");
}

TEST(RacingText, ThreeDigitsOfATime) {
    for (const auto& [us, words] : {std::pair(0.0, "0.00 us"),
                                    {950, "950 us"},
                                    {999.6, "1.00 ms"},
                                    {1'234, "1.23 ms"},
                                    {12'345, "12.3 ms"},
                                    {123'456, "123 ms"},
                                    {999'600, "1.00 s"},
                                    {61e6, "61.0 s"},
                                    {99.96e6, "1 min 40 s"},
                                    {125e6, "2 min 5 s"},
                                    {7.5e9, "2 h 5 min"}}) {
        EXPECT_EQ(three_digits(us), words);
    }
}

TEST(RacingText, StandsInStatsBelowTheBooks) {
    const json broker = {{"role", "broker"}, {"task_time", times(90)}, {"pools", {pool("a", 75), pool("b", 25)}}};
    const std::string stats = stats_text(broker);
    const auto at = [&](const char* words) { return stats.find(words); };
    ASSERT_NE(at("\n  latency   p50 10.1 ms, p99 20.9 ms, p99.9 1.25 s\n  wins      a  "), std::string::npos) << stats;
    EXPECT_LT(at("\n  attempts  "), at("\n  latency  "));
    EXPECT_EQ(at("hedges"), std::string::npos) << "there were none";
    EXPECT_EQ(at("failures"), std::string::npos);
}

// ---- the last ten seconds ----------------------------------------------------------------------

json counted(std::uint64_t short_ones, std::uint64_t middle, std::uint64_t long_ones = 0) {
    return {{"le_us", {100, 1000}}, {"counts", {short_ones, middle, long_ones}}};
}

TEST(RecentTimes, AreThoseOfWhatWasCountedLately) {
    RecentTimes recent;
    recent.add(counted(1'000'000, 0), 1, 0);
    EXPECT_EQ(recent.quantile(0.5), std::nullopt) << "one look says nothing of lately";
    recent.add(counted(1'000'000, 10), 1, 1);
    EXPECT_EQ(recent.quantile(0.5), 550) << "halfway between the bounds";
    recent.add(counted(1'000'030, 10), 1, 2);
    EXPECT_EQ(recent.quantile(0.375), 50);
    EXPECT_EQ(recent.quantile(1), 1000);
    recent.add(counted(1'000'030, 10, 500), 1, 3);
    EXPECT_EQ(recent.quantile(0.5), 1000) << "longer than any bound: at least that";
}

TEST(RecentTimes, WhatIsOldIsForgotten) {
    RecentTimes recent;
    recent.add(counted(0, 0), 1, 0);
    recent.add(counted(10, 0), 1, 5);
    recent.add(counted(10, 0), 1, 14);
    EXPECT_EQ(recent.quantile(0.5), 50);
    recent.add(counted(10, 0), 1, 15);
    EXPECT_EQ(recent.quantile(0.5), std::nullopt) << "nothing came in ten seconds";
    recent.add(counted(10, 4), 1, 60);
    EXPECT_EQ(recent.quantile(0.5), 550) << "of looks that are far apart the last two count";
}

TEST(RecentTimes, AnotherBrokerAndAGapBeginAnew) {
    RecentTimes recent;
    recent.add(counted(5, 0), 1, 0);
    recent.add(counted(9, 0), 2, 1);
    EXPECT_EQ(recent.quantile(0.5), std::nullopt) << "another broker has other counts";
    recent.add(counted(10, 0), 2, 2);
    EXPECT_EQ(recent.quantile(0.5), 50);
    recent.add(nullptr, 0, 3);
    EXPECT_EQ(recent.quantile(0.5), std::nullopt);
    recent.add({{"le_us", "none"}, {"counts", {1, "x"}}}, 2, 4);
    EXPECT_EQ(recent.quantile(0.5), std::nullopt);
}

TEST(RecentTimes, AreCurvesOfTheHistory) {
    History history;
    const auto look = [](std::uint64_t middle) {
        return std::vector<Said>{{"broker", {{"role", "broker"}, {"task_time", counted(7, middle)}}}};
    };
    for (std::uint64_t second = 0; second < 3; ++second) history.add(1000 + static_cast<double>(second), look(second));
    const json said = history.json(1002, 600);
    EXPECT_EQ(said["task_p50_us"], json({nullptr, 550.0, 550.0}));
    EXPECT_EQ(said["task_p999_us"][2], 100 + 900 * 0.999);
    EXPECT_EQ(said["p99_us"], json({nullptr, nullptr, nullptr})) << "no attempts";
}

}  // namespace
}  // namespace curfew

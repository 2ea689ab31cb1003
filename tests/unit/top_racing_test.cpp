// The part of `curfew-monitor top` that says what racing gives, without a terminal.
#include "monitor/top_racing.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <nlohmann/json.hpp>

#include "monitor/top_screen.h"

namespace curfew {
namespace {

using nlohmann::json;
using namespace std::chrono_literals;

json pool(const std::string& name, std::uint64_t won) {
    return {{"name", name}, {"won", won}, {"late", 1}, {"won_time", {{"count", won}, {"p99_us", 20'000}}}};
}

json failure(const std::string& reason, std::uint64_t count, std::uint64_t too_many = 0) {
    return {{"reason", reason}, {"count", count}, {"at_most_too_many", too_many},
            {"seq", 13},        {"worker", "w1"}, {"error", reason}};
}

json broker(std::vector<json> pools, std::vector<json> failures = {}) {
    return {{"role", "broker"},
            {"incarnation", 5},
            {"task_time", {{"count", 9}, {"p50_us", 10'000}, {"p99_us", 25'000}, {"p999_us", 1'000'000}}},
            {"attempt_time", {{"count", 9}, {"p50_us", 1500}, {"p99_us", 2000}}},
            {"cancel_time", {{"count", 9}, {"p99_us", 300}}},
            {"hedges", {{"sent", 60}, {"won", 31}, {"withheld", 2}, {"saved_us", 12'000}}},
            {"pools", pools},
            {"failures", failures}};
}

struct Racing {
    TopRacing racing{true};
    Instant now{100s};
    json said;

    void add(json what, Duration later = 1s) {
        now += later;
        said = std::move(what);
        racing.add(said, now);
    }
    [[nodiscard]] std::vector<Line> draw(int width = 80, int rows = 1, bool beside = false) const {
        return racing.draw(said, width, rows, beside);
    }
    [[nodiscard]] std::string text(int width = 80, int rows = 1, bool beside = false) const {
        std::vector<std::string> lines;
        for (const Line& line : draw(width, rows, beside)) {
            lines.push_back(plain_text(line));
            lines.back().erase(lines.back().find_last_not_of(' ') + 1);
        }
        return fmt::format("{}", fmt::join(lines, "\n"));
    }
};

bool has(const std::string& text, std::string_view words) {
    return text.find(words) != std::string::npos;
}

TEST(TopRacing, TasksComeBeforeHedgesAndAttempts) {
    const json said = broker({});
    const std::string all =
        "latency   p50 10ms  p99 25ms  p99.9 1.0s  hedges 60 sent 31 won 2 withheld saved 12ms"
        "  attempt p50 1.5ms p99 2.0ms  cancel p99 300us";
    EXPECT_EQ(plain_text(TopRacing::times(said, 160)), all);
    EXPECT_EQ(plain_text(TopRacing::times(said, 80)), all.substr(0, all.find(" saved")));
    json without = said;
    without.erase("hedges");
    EXPECT_EQ(plain_text(TopRacing::times(without, 80)),
              "latency   p50 10ms  p99 25ms  p99.9 1.0s  attempt p50 1.5ms p99 2.0ms");
    EXPECT_EQ(plain_text(TopRacing::times(nullptr, 40)), "latency   p50 -  p99 -  p99.9 -");
}

TEST(TopRacing, WhoWinsIsOneLineOnASmallScreen) {
    Racing racing;
    racing.add(broker({pool("a", 300), pool("b", 100)}));
    EXPECT_EQ(racing.text(), "wins      a █████████     75%  b ███           25%")
        << "before there are two looks: of all";
    racing.add(broker({pool("a", 300), pool("b", 110)}));
    EXPECT_EQ(racing.text(), "wins      a                0%  b ████████████ 100%") << "lately";
    racing.add(broker({pool("a", 300), pool("b", 110)}), 10s);
    EXPECT_EQ(racing.text(), "wins      a ████████▊     73%  b ███▎          27%") << "no win in ten seconds: of all";
    EXPECT_TRUE(racing.text(40).starts_with("wins      a ████▍   73%  b █▋      27%")) << racing.text(40);
}

TEST(TopRacing, OfOnePoolAndOfNoFailureNothingIsSaid) {
    Racing racing;
    racing.add(broker({pool("a", 300)}));
    for (const int rows : {1, 6}) {
        EXPECT_EQ(racing.text(80, rows), "");
        EXPECT_EQ(racing.text(200, rows, true), "");
    }
}

TEST(TopRacing, EachPoolHasALineWhereThereIsRoom) {
    Racing racing;
    racing.add(broker({pool("a", 300), pool("b", 100), pool("c", 0)}));
    racing.add(broker({pool("a", 330), pool("b", 110), pool("c", 0)}), 2s);
    EXPECT_EQ(racing.text(80, 3),
              "wins      a     ████████████████████▎        75%     15/s  p99 20ms     330 won\n"
              "          b     ██████▊                      25%    5.0/s  p99 20ms     110 won\n"
              "          c                                   0%      0/s  p99 -          0 won");
    EXPECT_TRUE(has(racing.text(100, 2), "110 won  +1 more")) << racing.text(100, 2);
}

TEST(TopRacing, WhatFailsNowIsFirstAndAmber) {
    Racing racing;
    racing.add(broker({}, {failure("failed: old", 70), failure("failed: new", 3)}));
    racing.add(broker({}, {failure("failed: old", 70), failure("failed: new", 7)}), 2s);
    EXPECT_EQ(racing.text(), "failures      7   2.0/s  failed: new  message 13 at w1  +1 more");
    EXPECT_EQ(racing.text(80, 3),
              "failures      7   2.0/s  failed: new  message 13 at w1\n"
              "             70     0/s  failed: old  message 13 at w1");
    const auto lines = racing.draw(80, 3);
    EXPECT_EQ(lines[0][2].style, Style::warn);
    EXPECT_EQ(lines[1][2].style, Style::plain);
    racing.add(broker({}, {failure("failed: old", 70), failure("failed: new", 7), failure("failed: rare", 71, 70)}));
    EXPECT_TRUE(has(racing.text(), " 7   1.3/s  failed: new"))
        << "what a reason has from another's place is not new: " << racing.text();
}

TEST(TopRacing, AnotherBrokerBeginsAnew) {
    Racing racing;
    racing.add(broker({}, {failure("failed: x", 5)}));
    json another = broker({}, {failure("failed: x", 9)});
    another["incarnation"] = 6;
    racing.add(another);
    EXPECT_TRUE(has(racing.text(), " 9     -/s  failed: x")) << racing.text();
}

TEST(TopRacing, AWideScreenHasTheOneBesideTheOther) {
    Racing racing;
    racing.add(broker({pool("a", 300), pool("b", 100)}, {failure(std::string(300, 'x'), 70)}));
    const auto lines = racing.draw(200, 6, true);
    ASSERT_EQ(lines.size(), 2U);
    const std::string first = plain_text(lines[0]);
    EXPECT_LE(columns_of(first), 200);
    EXPECT_EQ(columns_of(first.substr(0, first.find("failures"))), 101) << first;
    EXPECT_TRUE(first.ends_with("xx..  message 13 at w1")) << first;
}

TEST(TopRacing, FitsAnyTerminalAndIsAsciiWhereThatIsAll) {
    std::vector<json> pools, failures;
    for (std::uint64_t i = 0; i < 64; ++i) pools.push_back(pool(fmt::format("a-pool-of-many-東京-{}", i), i));
    for (std::uint64_t i = 0; i < 32; ++i)
        failures.push_back(failure(fmt::format("failed: \x1b[2J 東京 {}", i), i + 1));
    for (const bool utf8 : {true, false}) {
        TopScreen screen(utf8, 1s);
        const Look look{{{"broker", broker(pools, failures)}}, nullptr};
        screen.add(look, Instant(1s), "12:00:00");
        screen.add(look, Instant(2s), "12:00:01");
        for (const auto& [width, height] : {std::pair(80, 24), {140, 45}, {300, 90}, {40, 14}, {9, 20}}) {
            for (const Line& line : screen.draw(width, height)) {
                const std::string text = plain_text(line);
                EXPECT_LE(columns_of(text), width) << text;
                EXPECT_EQ(text.find('\x1b'), std::string::npos);
                const auto is_ascii = [](char c) { return c >= ' ' && c <= '~'; };
                EXPECT_TRUE(utf8 || std::ranges::all_of(text, is_ascii)) << text;
            }
        }
    }
}

TEST(TopRacing, AnyFieldMayBeMissingOrOfAnotherKind) {
    Racing racing;
    for (const json& said :
         {json(nullptr), json{{"pools", 7}, {"failures", "none"}},
          json{{"pools", {nullptr, 3, {{"name", 5}, {"won", 2}}, {{"won", 1}}}}, {"failures", {3, nullptr}}}}) {
        racing.add(said);
        for (const bool beside : {false, true}) (void)racing.text(120, 6, beside);
    }
    EXPECT_TRUE(has(racing.text(120, 1), "wins      5 ██")) << racing.text(120, 1);
}

TEST(TopRacing, ASmallScreenKeepsRoomForTheTables) {
    TopScreen screen(true, 1s);
    json said = broker({pool("a", 300), pool("b", 100)}, {failure("failed: x", 5)});
    for (int i = 1; i <= 20; ++i) said["workers"].push_back({{"name", fmt::format("w{}", i)}, {"state", "ready"}});
    json dump = {{"in_flight", 20}, {"attempts", json::array()}};
    for (int i = 1; i <= 20; ++i) dump["attempts"].push_back({{"seq", i}, {"id", fmt::format("9-{}", i)}});
    screen.add({{{"broker", said}}, dump}, Instant(1s), "12:00:00");
    const auto rows = [&](int width, int height, std::string_view beginning) {
        return std::ranges::count_if(screen.draw(width, height),
                                     [&](const Line& line) { return has(plain_text(line), beginning); });
    };
    EXPECT_EQ(rows(80, 24, "wins  "), 1);
    EXPECT_EQ(rows(80, 24, "failures  "), 1);
    EXPECT_GE(rows(80, 24, " ready "), 4);
    EXPECT_GE(rows(80, 24, " 9-"), 4);
    EXPECT_EQ(rows(80, 13, "wins  "), 0) << "no room";
}

}  // namespace
}  // namespace curfew

// A typing mistake gets a suggestion, and what is no typing mistake gets none.
#include "common/process/suggestion.h"

#include <gtest/gtest.h>

namespace curfew {
namespace {

const std::vector<std::string> kFlags = {"--fanout", "--hedge",        "--hedge-min", "--hedge-max",
                                         "--window", "--window-bytes", "--workers"};

TEST(Suggestion, ATypingMistakeGetsTheNearestName) {
    EXPECT_EQ(nearest("statz", {"stats", "dump", "serve"}), "stats");
    EXPECT_EQ(nearest("sevre", {"stats", "dump", "serve"}), "serve") << "two letters changed places";
    EXPECT_EQ(nearest("--fanuot=3", kFlags), "--fanout");
    EXPECT_EQ(nearest("--hegde", kFlags), "--hedge");
    EXPECT_EQ(nearest("--windows", kFlags), "--window");
}

TEST(Suggestion, DashesAndCapitalsMakeNoDifference) {
    EXPECT_EQ(nearest("--fan-out", kFlags), "--fanout");
    EXPECT_EQ(nearest("--HEDGE_MIN", kFlags), "--hedge-min");
    EXPECT_EQ(nearest("-fanout", kFlags), "--fanout");
    EXPECT_EQ(nearest("Sleep:5ms", {"echo", "sleep:DIST"}), "sleep:DIST");
}

TEST(Suggestion, TheBeginningOfJustOneIsNear) {
    EXPECT_EQ(nearest("--work", kFlags), "--workers");
    EXPECT_EQ(nearest("--hed", kFlags), "") << "of three";
}

TEST(Suggestion, WhatIsFarFromAllGetsNone) {
    for (const char* word : {"", "-x", "--nope", "--", "=", "--concurrency"})
        EXPECT_EQ(nearest(word, kFlags), "") << word;
    EXPECT_EQ(nearest(std::string(1'000'000, 'w'), kFlags), "");
    EXPECT_EQ(did_you_mean("--nope", kFlags), "");
    EXPECT_EQ(did_you_mean("--fan-out", kFlags), "; did you mean --fanout?");
}

}  // namespace
}  // namespace curfew

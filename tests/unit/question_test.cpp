// What can be asked at a monitor socket, and what is no question.
#include "common/process/question.h"

#include <gtest/gtest.h>

namespace curfew {
namespace {

using namespace std::chrono_literals;

TEST(Question, MayBeAWord) {
    for (const char* word : {"stats", "dump", "health", "anything", ""}) {
        const auto question = parse_question(word);
        ASSERT_TRUE(question) << word;
        EXPECT_EQ(question->ask, word);
        EXPECT_EQ(question->query.limit, 1000U);
        EXPECT_EQ(question->after, std::nullopt);
    }
}

TEST(Question, MayHaveAFilter) {
    const auto question =
        parse_question(R"({"ask":"dump","limit":5,"older_than_s":1.5,"worker":"w1","state":"running","after":7})");
    ASSERT_TRUE(question);
    EXPECT_EQ(question->ask, "dump");
    EXPECT_EQ(question->query.limit, 5U);
    EXPECT_EQ(question->query.older_than, 1500ms);
    EXPECT_EQ(question->query.worker, "w1");
    EXPECT_EQ(question->query.state, "running");
    EXPECT_EQ(question->after, 7U);
}

TEST(Question, WhatIsNoneIsSaid) {
    for (const char* text : {"{", "{}", R"({"ask":5})", R"({"limit":5})"}) EXPECT_FALSE(parse_question(text)) << text;
}

TEST(Question, NumbersThatCannotBeAreLeftOutOrBounded) {
    const auto question = parse_question(R"({"ask":"dump","limit":-1,"older_than_s":1e300,"after":"x"})");
    ASSERT_TRUE(question);
    EXPECT_EQ(question->query.limit, 1000U);
    EXPECT_EQ(question->query.older_than, 1'000'000'000s);
    EXPECT_EQ(question->after, std::nullopt);
    EXPECT_EQ(parse_question(R"({"ask":"dump","limit":99999999})")->query.limit, 1'000'000U);
}

}  // namespace
}  // namespace curfew

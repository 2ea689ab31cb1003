// What is said to a program that stays, and what its answers mean.
#include "worker/handlers/answers.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "worker/handlers/accept.h"
#include "worker/handlers/simple.h"

namespace curfew {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;

WorkEnd end_of(std::string_view answer, bool sane = true) {
    bool in_its_senses = false;
    WorkEnd end = end_of_json(3, 7, answer, in_its_senses);
    EXPECT_EQ(in_its_senses, sane) << answer;
    EXPECT_EQ(end.slot, 3U);
    return end;
}

TEST(JsonQuestion, SaysWhatIsWorkedOn) {
    const Instant now{1h};
    Work work{.id = {1, 2}, .seq = 7, .ordinal = 2, .deadline_at = now + 1500ms, .payload = "a \"b\"\n"};
    const std::string question = json_question(now, work);
    EXPECT_EQ(question.find('\n'), std::string::npos) << "a line each";
    EXPECT_EQ(json::parse(question),
              (json{{"seq", 7}, {"attempt", 2}, {"deadline_ms", 1500}, {"message", "a \"b\"\n"}}));
    work.deadline_at = kNever;
    work.payload = "\xff\xfe!";
    EXPECT_EQ(json::parse(json_question(now, work)), (json{{"seq", 7}, {"attempt", 2}, {"message_base64", "//4h"}}));
}

TEST(JsonAnswer, IsAResultAFailureOrARejection) {
    EXPECT_EQ(end_of(R"({"ok":"yes"})").finish, Finish::ok);
    EXPECT_EQ(end_of(R"({"ok":"yes"})").result, "yes");
    EXPECT_EQ(end_of(R"({"ok":{"n":1}})").result, R"({"n":1})");
    EXPECT_EQ(end_of(R"({"ok":"","seq":7})").result, "");
    EXPECT_EQ(end_of(R"({"failed":"why"})").finish, Finish::failed);
    EXPECT_EQ(end_of(R"({"failed":"why"})").error, "why");
    EXPECT_EQ(end_of(R"({"rejected":"never"})").finish, Finish::rejected);
    EXPECT_EQ(end_of(R"({"rejected":"never"})").error, "never");
}

TEST(JsonAnswer, WhatIsNoneFailsItsAttemptAndItsProgramIsOutOfItsSenses) {
    for (const char* answer : {"", "yes", "{", "[]", "{}", R"({"ok":1,"failed":2})", R"({"result":1})", "\xff"}) {
        const WorkEnd end = end_of(answer, false);
        EXPECT_EQ(end.finish, Finish::failed) << answer;
        EXPECT_NE(end.error.find("none of"), std::string::npos) << end.error;
    }
    const std::string deep = R"({"ok":)" + std::string(200'000, '[') + std::string(200'000, ']') + "}";
    EXPECT_EQ(end_of(deep, false).finish, Finish::failed) << "and nothing overflows";
    const WorkEnd end = end_of(R"({"ok":"x","seq":8})", false);
    EXPECT_EQ(end.error, "its answer is for another message: seq 8, not 7");
}

// ---- --accept ----------------------------------------------------------------------------------

/// Ends at once with what it was given.
class Said final : public Handler {
public:
    explicit Said(std::vector<WorkEnd> ends) : ends_(std::move(ends)) {}
    void start(Instant, Slot, const Work&) override {}
    void stop(Instant, Slot) override {}
    void turn(Instant, std::vector<WorkEnd>& ends) override { ends = ends_; }

private:
    std::vector<WorkEnd> ends_;
};

TEST(Accept, AResultWithoutAMatchIsAFailureAndNothingElseIs) {
    AcceptHandler handler("^s (UN)?SAT", std::make_unique<Said>(std::vector<WorkEnd>{
                                             {.slot = 0, .finish = Finish::ok, .result = "s UNSAT\nv 0", .error = {}},
                                             {.slot = 1, .finish = Finish::ok, .result = "s unknown", .error = {}},
                                             {.slot = 2, .finish = Finish::failed, .result = {}, .error = "why"},
                                             {.slot = 3, .finish = Finish::stopped, .result = {}, .error = {}}}));
    std::vector<WorkEnd> ends;
    handler.turn(Instant{}, ends);
    ASSERT_EQ(ends.size(), 4U);
    EXPECT_EQ(ends[0].finish, Finish::ok);
    EXPECT_EQ(ends[0].result, "s UNSAT\nv 0");
    EXPECT_EQ(ends[1].finish, Finish::failed);
    EXPECT_EQ(ends[1].error, "the result has no match of --accept ^s (UN)?SAT");
    EXPECT_EQ(ends[2].error, "why");
    EXPECT_EQ(ends[3].finish, Finish::stopped);
}

TEST(Accept, APatternThatIsNoneIsRefused) {
    EXPECT_THROW(AcceptHandler::check("("), std::invalid_argument);
    AcceptHandler::check("");
}

}  // namespace
}  // namespace curfew

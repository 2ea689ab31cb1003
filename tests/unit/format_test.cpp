// Outcomes as text: raw and JSON lines, with whatever bytes the user's work made.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "collector/sinks/sink.h"
#include "common/wire/wire.h"

namespace curfew {
namespace {

using namespace std::string_literals;
using nlohmann::json;

std::string format_raw(const OutcomeRecord& outcome) {
    std::string line;
    append_raw(line, outcome);
    return line;
}

std::string format_json(const OutcomeRecord& outcome) {
    std::string line;
    append_json(line, outcome);
    return line;
}

OutcomeRecord completed(std::string_view result) {
    OutcomeRecord outcome;
    outcome.epoch = 1;
    outcome.seq = 1;
    outcome.result = ByteStore().keep(result);
    outcome.worker = "w2";
    outcome.pool = "cadical";
    outcome.attempt = 2;
    outcome.attempts = 4;
    outcome.latency_us = 812;
    return outcome;
}

OutcomeRecord by_verdict(Outcome outcome) {
    OutcomeRecord record;
    record.epoch = 9;
    record.seq = 7;
    record.outcome = outcome;
    record.error = "why";
    record.attempts = 2;
    return record;
}

TEST(FormatRaw, IsTheResultAndANewline) {
    EXPECT_EQ(format_raw(completed("answer")), "answer\n");
    EXPECT_EQ(format_raw(completed("")), "\n");
    EXPECT_EQ(format_raw(completed("\0\xff"s)), "\0\xff\n"s);
}

TEST(FormatRaw, HasNothingForWhatDidNotComplete) {
    for (const Outcome outcome : {Outcome::failed, Outcome::expired, Outcome::cancelled}) {
        EXPECT_EQ(format_raw(by_verdict(outcome)), "");
    }
}

TEST(FormatJson, SaysWhereARefusedMessageStood) {
    OutcomeRecord record = by_verdict(Outcome::failed);
    EXPECT_FALSE(json::parse(format_json(record)).contains("refused"));
    record.refused_number = 3;
    record.refused_byte = 17;
    record.refused_size = 2000;
    record.message = "the first bytes";
    const json line = json::parse(format_json(record));
    EXPECT_EQ(line["refused"], (json{{"line", 3}, {"byte", 17}, {"size", 2000}}));
    EXPECT_EQ(line["message"], "the first bytes");
    record.refused_byte = wire::kNoOffset;
    EXPECT_EQ(json::parse(format_json(record))["refused"], (json{{"frame", 3}, {"size", 2000}}));
}

TEST(FormatJson, IsTheLineOfTheContract) {
    EXPECT_EQ(format_json(completed("...")),
              R"({"seq":1,"id":null,"outcome":"completed","result":"...","worker":"w2","pool":"cadical","attempt":2,)"
              R"("attempts":4,"latency_us":812})"
              "\n");
}

TEST(FormatJson, EveryLineIsOneLineOfValidJson) {
    for (const std::string& bytes :
         {"\"quotes\" and \\"s, "two\nlines\r\n"s, "\0\x01\x1f\x7f"s, "\xe2\x82\xac \xf0\x9f\x98\x80"s, ""s}) {
        OutcomeRecord outcome = completed(bytes);
        outcome.id = bytes;
        const std::string line = format_json(outcome);
        EXPECT_EQ(line.find('\n'), line.size() - 1);
        const json parsed = json::parse(line);
        EXPECT_EQ(parsed["result"], bytes);
        EXPECT_EQ(parsed["id"], bytes);
    }
}

TEST(FormatJson, BytesThatAreNotUtf8AreBase64) {
    EXPECT_EQ(json::parse(format_json(completed("\xff")))["result_base64"], "/w==");
    EXPECT_EQ(json::parse(format_json(completed("\xff\xfe")))["result_base64"], "//4=");
    EXPECT_EQ(json::parse(format_json(completed("\xff\xfe\xfd")))["result_base64"], "//79");
    EXPECT_EQ(json::parse(format_json(completed("\xffMan\x00")))["result_base64"], "/01hbg==");
    EXPECT_EQ(json::parse(format_json(completed("\xed\xa0\x80")))["result_base64"], "7aCA") << "half a surrogate pair";
    EXPECT_FALSE(json::parse(format_json(completed("\xff"))).contains("result"));
    OutcomeRecord outcome = completed("ok");
    outcome.id = "\xc0";
    EXPECT_EQ(json::parse(format_json(outcome))["id_base64"], "wA==");
}

std::string format_full(const OutcomeRecord& outcome) {
    std::string line;
    append_json_full(line, outcome);
    return line;
}

std::unique_ptr<ToldWork> told() {
    auto work = std::make_unique<ToldWork>();
    work->worker = "w2";
    work->attempt = 2;
    work->began_us = 1'700'000'000'012'999;
    work->run_us = 812;
    work->exit_code = 0;
    work->stderr_bytes = 3;
    work->errors = "err";
    return work;
}

TEST(FormatJsonFull, HasWhatTheWorkerTold) {
    OutcomeRecord outcome = completed("answer");
    outcome.message = "question";
    outcome.work = told();
    EXPECT_EQ(
        format_full(outcome),
        R"({"seq":1,"id":null,"outcome":"completed","result":"answer","worker":"w2","pool":"cadical","attempt":2,)"
        R"("attempts":4,"latency_us":812,"task":"1-1","message":"question","started":"2023-11-14T22:13:20.012Z",)"
        R"("run_us":812,"exit_code":0,"signal":null,"stderr":"err"})"
        "\n");
    std::string meta;
    append_json_meta(meta, outcome);
    json without_result = json::parse(format_full(outcome));
    without_result.erase("result");
    EXPECT_EQ(json::parse(meta), without_result);
}

TEST(FormatJsonFull, NamesAnEndOfStderrAsWhatItIs) {
    OutcomeRecord outcome = completed("answer");
    outcome.work = told();
    outcome.work->stderr_bytes = 4;
    EXPECT_EQ(json::parse(format_full(outcome))["stderr_end"], "err");
    EXPECT_FALSE(json::parse(format_full(outcome)).contains("stderr"));
    outcome.work->errors = "\xff";
    EXPECT_EQ(json::parse(format_full(outcome))["stderr_end_base64"], "/w==");
}

TEST(FormatJsonFull, WhatWasNotToldIsNull) {
    const json plain = json::parse(format_full(completed("answer")));
    for (const char* name : {"message", "started", "run_us", "exit_code", "signal", "stderr"})
        EXPECT_TRUE(plain.at(name).is_null()) << name;
    EXPECT_EQ(json::parse(format_full(by_verdict(Outcome::expired)))["message"], "");
    OutcomeRecord outcome = completed("answer");
    outcome.work = told();
    outcome.work->began_us = UINT64_MAX;
    EXPECT_TRUE(json::parse(format_full(outcome))["started"].get<std::string>().starts_with("9999-12-31T23:59:59"));
}

TEST(FormatJsonFull, OfAVerdictItNamesTheAttemptItTellsOf) {
    OutcomeRecord record = by_verdict(Outcome::failed);
    record.history = {{1, "w1", End::failed, "no"}, {2, "w2", End::failed, "exit code 3"}};
    record.work = told();
    record.work->exit_code.reset();
    record.work->signal = 9;
    const json parsed = json::parse(format_full(record));
    EXPECT_EQ(parsed["worker"], "w2");
    EXPECT_EQ(parsed["attempt"], 2);
    EXPECT_EQ(parsed["signal"], 9);
    EXPECT_EQ(parsed["history"].size(), 2U);
}

TEST(FormatJson, ADeadLetterHasItsErrorAndItsHistory) {
    OutcomeRecord record = by_verdict(Outcome::failed);
    record.history = {{1, "w1", End::failed, "no"}, {2, "w2", End::lost, "\xff"}};
    const json parsed = json::parse(format_json(record));
    EXPECT_EQ(parsed["outcome"], "failed");
    EXPECT_EQ(parsed["error"], "why");
    EXPECT_FALSE(parsed.contains("result"));
    EXPECT_FALSE(parsed.contains("worker")) << "a verdict has none";
    EXPECT_EQ(parsed["task"], "9-7") << "as the work has it in CURFEW_TASK: it says which run a number is of";
    ASSERT_EQ(parsed["history"].size(), 2U);
    EXPECT_EQ(parsed["history"][0]["attempt"], 1);
    EXPECT_EQ(parsed["history"][0]["worker"], "w1");
    EXPECT_EQ(parsed["history"][0]["end"], "failed");
    EXPECT_EQ(parsed["history"][1]["end"], "lost");
    EXPECT_EQ(parsed["history"][1]["error_base64"], "/w==");
}

TEST(FormatJson, ARejectedTaskNamesTheWorkerThatRejectedIt) {
    OutcomeRecord record = completed("");
    record.outcome = Outcome::failed;
    record.error = "never";
    const json parsed = json::parse(format_json(record));
    EXPECT_EQ(parsed["worker"], "w2");
    EXPECT_EQ(parsed["error"], "never");
    EXPECT_FALSE(parsed.contains("history"));
}

TEST(FormatJson, EachOutcomeHasItsName) {
    for (const Outcome outcome : {Outcome::failed, Outcome::expired, Outcome::cancelled}) {
        EXPECT_EQ(json::parse(format_json(by_verdict(outcome)))["outcome"], name_of(outcome));
    }
}

}  // namespace
}  // namespace curfew

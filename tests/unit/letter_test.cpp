// Dead letters as the monitor reads and shows them: what is a letter, what is none, and that
// nothing of it reaches the terminal.
#include "monitor/letter.h"

#include <gtest/gtest.h>

#include "collector/sinks/sink.h"
#include "common/wire/wire.h"
#include "monitor/letter_view.h"

namespace curfew {
namespace {

using namespace std::string_literals;

std::string line_of(const OutcomeRecord& outcome) {
    std::string line;
    append_json(line, outcome);
    line.pop_back();
    return line;
}

OutcomeRecord failed(std::string message) {
    OutcomeRecord record;
    record.epoch = 9;
    record.seq = 7;
    record.outcome = Outcome::failed;
    record.error = "exit code 3";
    record.attempts = 2;
    record.latency_us = 1500;
    record.history = {{1, "w1", End::failed, "exit code 3"}, {2, "w2", End::lost, "\xff"}};
    record.message = std::move(message);
    return record;
}

TEST(Letter, HasAllThatTheCollectorHasWritten) {
    for (const std::string& message : {"plain"s, "\"\\\n\t\x01\x7f"s, "\xff\xfe\0"s, ""s, "\xe2\x82\xac"s}) {
        Letter letter;
        ASSERT_EQ(read_letter(line_of(failed(message)), letter), LineKind::letter);
        EXPECT_EQ(letter.message, message);
        EXPECT_EQ(letter.seq, 7U);
        EXPECT_EQ(letter.epoch, 9U);
        EXPECT_EQ(letter.outcome, Outcome::failed);
        EXPECT_EQ(letter.error, "exit code 3");
        EXPECT_EQ(letter.attempts, 2U);
        EXPECT_EQ(letter.latency_us, 1500U);
        ASSERT_EQ(letter.history.size(), 2U);
        EXPECT_EQ(letter.history[1].attempt, 2U);
        EXPECT_EQ(letter.history[1].worker, "w2");
        EXPECT_EQ(letter.history[1].end, "lost");
        EXPECT_EQ(letter.history[1].error, "\xff");
        EXPECT_FALSE(letter.is_cut());
    }
}

TEST(Letter, OfARefusedMessageIsCutWhereItHasNotAllOfIt) {
    OutcomeRecord record = failed("the first bytes");
    record.refused_number = 3;
    record.refused_byte = 17;
    record.refused_size = 2000;
    Letter letter;
    ASSERT_EQ(read_letter(line_of(record), letter), LineKind::letter);
    EXPECT_TRUE(letter.is_cut());
    EXPECT_EQ(place_of(*letter.refused), "message 3 of the input, byte offset 17");
    record.refused_size = record.message.size();
    ASSERT_EQ(read_letter(line_of(record), letter), LineKind::letter);
    EXPECT_FALSE(letter.is_cut());
    record.refused_byte = wire::kNoOffset;
    ASSERT_EQ(read_letter(line_of(record), letter), LineKind::letter);
    EXPECT_EQ(place_of(*letter.refused), "frame 3 of the source");
}

TEST(Letter, WhatCompletedIsNone) {
    OutcomeRecord record = failed("x");
    record.outcome = Outcome::completed;
    Letter letter;
    EXPECT_EQ(read_letter(line_of(record), letter), LineKind::completed);
}

TEST(Letter, IsReadWhateverElseStandsInIt) {
    Letter letter;
    EXPECT_EQ(read_letter(
                  R"( {"note": [{"seq": 3}, [1, {"message": "no"}]], "seq": 5, "outcome": "expired", "message": "yes",)"
                  R"( "history": [1, {"attempt": 1, "worker": {"end": "x"}}], "refused": null})",
                  letter),
              LineKind::letter);
    EXPECT_EQ(letter.seq, 5U);
    EXPECT_EQ(letter.message, "yes");
    EXPECT_EQ(letter.epoch, 0U);
    EXPECT_FALSE(letter.refused);
}

TEST(Letter, WhatIsNoOutcomeIsNone) {
    Letter letter;
    for (const std::string& line : {""s,
                                    "x"s,
                                    "{}"s,
                                    "[]"s,
                                    "7"s,
                                    R"([{"seq":1,"outcome":"failed","message":""}])"s,
                                    R"({"seq":1,"outcome":"failed"})"s,
                                    R"({"seq":0,"outcome":"failed","message":""})"s,
                                    R"({"seq":-1,"outcome":"failed","message":""})"s,
                                    R"({"seq":1.5,"outcome":"failed","message":""})"s,
                                    R"({"seq":"1","outcome":"failed","message":""})"s,
                                    R"({"seq":1,"outcome":"lost","message":""})"s,
                                    R"({"seq":1,"outcome":"failed","message":7})"s,
                                    R"({"seq":18446744073709551615,"outcome":"failed","message":""})"s,
                                    R"({"seq":1,"outcome":"failed","message_base64":"a"})"s,
                                    R"({"seq":1,"outcome":"failed","message_base64":"a==="})"s,
                                    R"({"seq":1,"outcome":"failed","message_base64":"!!!!"})"s,
                                    R"({"seq":1,"outcome":"failed","message":""} x)"s,
                                    std::string(100'000, '['),
                                    "\xff\xfe"s,
                                    "{\"seq\":1,\"outcome\":\"failed\",\"message\":\"\xff\"}"s}) {
        EXPECT_EQ(read_letter(line, letter), LineKind::foreign) << line.substr(0, 80);
    }
}

TEST(Letter, ThatIsCutAtAnyByteIsNone) {
    const std::string line = line_of(failed("message"));
    Letter letter;
    for (std::size_t size = 0; size < line.size(); ++size)
        EXPECT_EQ(read_letter(line.substr(0, size), letter), LineKind::foreign) << size;
}

TEST(Letter, TheTaskOfAnotherNumberSaysNoEpoch) {
    for (const char* task : {"9-8", "9", "-7", "x-7", "9-7-7", ""}) {
        Letter letter;
        ASSERT_EQ(
            read_letter(std::string(R"({"seq":7,"outcome":"failed","message":"","task":")") + task + "\"}", letter),
            LineKind::letter);
        EXPECT_EQ(letter.epoch, 0U) << task;
    }
}

TEST(LetterView, NothingOfALetterTouchesTheTerminal) {
    Letter letter;
    letter.seq = 1;
    letter.error = letter.message = letter.worker = letter.pool = letter.id =
        "a\x1b[2J\x07\r\xc2\x9b\xe2\x80\xae\xff\tz";
    letter.attempt = 1;
    letter.history = {{1, letter.error, letter.error, letter.error}};
    LetterCounts counts;
    counts.add(letter);
    std::string all = letter_text(letter, true) + counts.line(1000, true);
    for (const Table::Cell& cell : letter_row(letter, true).cells) all += cell.text;
    for (const char* bad : {"\x1b", "\x07", "\r", "\xc2\x9b", "\xe2\x80\xae", "\xff", "\t"})
        EXPECT_EQ(all.find(bad), std::string::npos) << testing::PrintToString(bad);
    EXPECT_NE(all.find(R"(a\x1b[2J\x07\x0d\xc2\x9b)"), std::string::npos) << "what it was can still be seen";
}

TEST(LetterView, ALongMessageIsShownInPartAndItsLinesAreIndented) {
    Letter letter;
    letter.message = "one\ntwo\n" + std::string(10'000, 'x');
    const std::string text = letter_text(letter, true);
    EXPECT_NE(text.find("message   10008 bytes, of which these are the first 4096\n    one\n    two\n    xxx"),
              std::string::npos)
        << text;
    EXPECT_LT(text.size(), 4500U);
}

TEST(LetterCounts, SayHowManyThereAreOfEachOutcomeAndWhy) {
    LetterCounts counts;
    EXPECT_EQ(counts.line(80, true), "0 letters");
    Letter letter;
    letter.error = "exit code 3";
    counts.add(letter);
    EXPECT_EQ(counts.line(80, true), "1 letter: 1 failed; most often: exit code 3 (1)");
    letter.outcome = Outcome::expired;
    letter.error = "deadline exceeded: 30s, the default (--deadline)";
    counts.add(letter), counts.add(letter);
    EXPECT_EQ(counts.line(200, true),
              "3 letters: 1 failed, 2 expired; most often: deadline exceeded: 30s, the default (--deadline) (2), "
              "exit code 3 (1)");
    EXPECT_LE(columns_of(counts.line(60, true)), 60);
}

TEST(LetterCounts, TheReasonsOfARefusalAreOne) {
    LetterCounts counts;
    for (std::uint64_t n = 1; n <= 5; ++n) {
        Letter letter;
        letter.error = "refused: line " + std::to_string(n);
        letter.refused.emplace();
        counts.add(letter);
    }
    EXPECT_EQ(counts.line(80, true), "5 letters: 5 failed; most often: over --max-message (5)");
}

TEST(LetterCounts, OfReasonsThatAreAllDifferentSomeAreKept) {
    LetterCounts counts;
    Letter letter;
    for (std::size_t n = 0; n < 3 * LetterCounts::kMostReasons; ++n) {
        letter.error = std::to_string(n);
        counts.add(letter);
    }
    EXPECT_EQ(counts.all(), 3 * LetterCounts::kMostReasons);
    EXPECT_TRUE(counts.line(80, true).starts_with("3000 letters: 3000 failed; most often: "));
}

}  // namespace
}  // namespace curfew

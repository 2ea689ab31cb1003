// Outcomes as people keep them of a batch: a job log's lines stay lines, whatever the messages are.
#include "collector/sinks/batch_format.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>

namespace curfew {
namespace {

using namespace std::string_literals;

std::string escaped(std::string_view bytes) {
    std::string out;
    append_escaped(out, bytes);
    return out;
}

OutcomeRecord outcome_of(Outcome kind, std::string_view message) {
    OutcomeRecord outcome;
    outcome.seq = 7;
    outcome.outcome = kind;
    outcome.attempts = 2;
    outcome.message = message;
    outcome.work = std::make_unique<ToldWork>();
    outcome.work->worker = "w2";
    outcome.work->began_us = 1'700'000'000'012'999;
    outcome.work->run_us = 1'500'020;
    return outcome;
}

std::string line_of(const OutcomeRecord& outcome) {
    std::string out;
    append_joblog(out, outcome);
    return out;
}

std::string tagged(std::string_view message, std::string_view result) {
    OutcomeRecord outcome = outcome_of(Outcome::completed, message);
    outcome.result = ByteStore().keep(result);
    std::string out;
    append_tagged(out, outcome);
    return out;
}

TEST(Escaped, TextStaysAsItIs) {
    for (const std::string text :
         {"", "plain", "with spaces, \"quotes\"", "gr\xc3\xbc\xc3\x9f", "\xe2\x82\xac\xf0\x9f\x98\x80"})
        EXPECT_EQ(escaped(text), text);
}

TEST(Escaped, WhatWouldBreakALineDoesNot) {
    EXPECT_EQ(escaped("a\tb\nc\rd\\e"), "a\\tb\\nc\\rd\\\\e");
    EXPECT_EQ(escaped("\0\x1b\x7f"s), "\\x00\\x1b\\x7f");
    EXPECT_EQ(escaped("\xc2\x85"), "\\xc2\\x85") << "next line, a control character";
}

TEST(Escaped, WhatIsNoUtf8Is) {
    EXPECT_EQ(escaped("\xff"), "\\xff");
    EXPECT_EQ(escaped("a\xc3"), "a\\xc3") << "torn";
    EXPECT_EQ(escaped("\xc3(\xe2\x82"), "\\xc3(\\xe2\\x82");
    EXPECT_EQ(escaped("\xc0\xaf"), "\\xc0\\xaf") << "too long";
    EXPECT_EQ(escaped("\xed\xa0\x80"), "\\xed\\xa0\\x80") << "half a surrogate pair";
    EXPECT_EQ(escaped("\xf4\x90\x80\x80"), "\\xf4\\x90\\x80\\x80") << "beyond the last";
}

TEST(Joblog, ALineHasAPlaceForEachColumnOfTheHeader) {
    const OutcomeRecord outcome = outcome_of(Outcome::completed, "a\tmessage\n");
    const std::string line = line_of(outcome);
    EXPECT_EQ(line, "7\t1700000000.012\t1.500020\tw2\t2\tcompleted\t-\ta\\tmessage\\n\n");
    EXPECT_EQ(std::ranges::count(line, '\t'), std::ranges::count(kJoblogHeader, '\t'));
}

TEST(Joblog, SaysHowTheProcessEnded) {
    OutcomeRecord outcome = outcome_of(Outcome::failed, "m");
    outcome.work->exit_code = 3;
    EXPECT_NE(line_of(outcome).find("\tfailed\t3\tm\n"), std::string::npos);
    outcome.work->exit_code.reset();
    outcome.work->signal = 9;
    EXPECT_NE(line_of(outcome).find("\tfailed\t-9\tm\n"), std::string::npos);
}

TEST(Joblog, WhatIsNotKnownIsADash) {
    OutcomeRecord outcome = outcome_of(Outcome::expired, "m");
    outcome.work->began_us = 0;
    EXPECT_EQ(line_of(outcome).substr(0, 4), "7\t-\t");
    outcome.work.reset();
    EXPECT_EQ(line_of(outcome), "7\t-\t-\t-\t2\texpired\t-\tm\n");
    outcome.history = {{1, "w1", End::lost, "gone"}};
    EXPECT_EQ(line_of(outcome), "7\t-\t-\tw1\t2\texpired\t-\tm\n");
}

TEST(Tagged, EachLineOfAResultHasTheMessage) {
    EXPECT_EQ(tagged("m", "one"), "m\tone\n");
    EXPECT_EQ(tagged("m", "one\ntwo\n\nfour"), "m\tone\nm\ttwo\nm\t\nm\tfour\n");
    EXPECT_EQ(tagged("m", ""), "m\t\n");
    EXPECT_EQ(tagged("a\tb\nc", "x"), "a\\tb\\nc\tx\n");
}

TEST(Tagged, WhatDidNotCompleteHasNone) {
    std::string out;
    append_tagged(out, outcome_of(Outcome::failed, "m"));
    EXPECT_EQ(out, "");
}

}  // namespace
}  // namespace curfew

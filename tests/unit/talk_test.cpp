// A talk with a program: what it writes becomes answers, in whatever pieces it comes.
#include "worker/supervisor/talk.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <string>

namespace curfew {
namespace {

class TalkTest : public testing::Test {
protected:
    void open(Framing framing, std::size_t most = 1000) {
        talk = Talk(framing, most);
        ASSERT_TRUE(talk.open());
        ends = talk.ends();
    }
    /// As the program does.
    Talk::Heard write(std::string_view text) {
        EXPECT_EQ(::write(ends.out, text.data(), text.size()), static_cast<ssize_t>(text.size()));
        return talk.listen();
    }
    std::string read() {
        char buffer[4096];
        const ssize_t n = ::read(ends.in, buffer, sizeof buffer);
        return {buffer, n > 0 ? static_cast<std::size_t>(n) : 0};
    }

    Talk talk{Framing::line, 1000};
    PipeEnds ends;
};

TEST_F(TalkTest, ALineIsAnsweredByALine) {
    open(Framing::line);
    talk.ask("hello");
    EXPECT_EQ(read(), "hello\n");
    EXPECT_EQ(write("wor"), Talk::Heard::nothing);
    EXPECT_EQ(write("ld\n"), Talk::Heard::answer);
    EXPECT_EQ(talk.take_answer(), "world");
    EXPECT_FALSE(talk.has_more());
    EXPECT_EQ(write("\n"), Talk::Heard::answer) << "an empty answer is one";
    EXPECT_EQ(talk.take_answer(), "");
}

TEST_F(TalkTest, WhatFollowsAnAnswerIsMoreThanWasAskedFor) {
    open(Framing::line);
    EXPECT_EQ(write("a\nb"), Talk::Heard::answer);
    EXPECT_EQ(talk.take_answer(), "a");
    EXPECT_TRUE(talk.has_more());
    EXPECT_EQ(talk.heard(), "b");
}

TEST_F(TalkTest, AnAnswerHasABound) {
    open(Framing::line, 10);
    EXPECT_EQ(write("0123456789"), Talk::Heard::nothing);
    EXPECT_EQ(write("\n"), Talk::Heard::answer) << "ten are fine";
    EXPECT_EQ(talk.take_answer(), "0123456789");
    EXPECT_EQ(write("0123456789a"), Talk::Heard::over);
    open(Framing::line, 10);
    EXPECT_EQ(write("0123456789a\n"), Talk::Heard::over);
}

TEST_F(TalkTest, ANetstringIsAnsweredByANetstring) {
    open(Framing::netstring);
    talk.ask("a\nb");
    EXPECT_EQ(read(), "3:a\nb,");
    for (const char* piece : {"1", "2", ":hello", " world"}) EXPECT_EQ(write(piece), Talk::Heard::nothing) << piece;
    EXPECT_EQ(write("!"), Talk::Heard::nothing);
    EXPECT_EQ(write(","), Talk::Heard::answer);
    EXPECT_EQ(talk.take_answer(), "hello world!");
    EXPECT_EQ(write("0:,"), Talk::Heard::answer);
    EXPECT_EQ(talk.take_answer(), "");
}

TEST_F(TalkTest, WhatIsNoNetstringBreaksTheTalk) {
    for (const char* text : {"hello\n", ":x,", "01:x,", "-1:x,", "1:xy", "1x:y,", "9999999999999"}) {
        open(Framing::netstring);
        EXPECT_EQ(write(text), Talk::Heard::broken) << text;
    }
    open(Framing::netstring, 10);
    EXPECT_EQ(write("11:"), Talk::Heard::over) << "before it is read";
}

TEST_F(TalkTest, AMessageThatDoesNotFitIntoThePipeWaits) {
    open(Framing::line);
    const std::string message(200'000, 'm');
    talk.ask(message);
    EXPECT_GE(talk.waits_for().in, 0);
    std::string got;
    while (got.size() <= message.size()) {
        got += read();
        if (talk.waits_for().in >= 0) talk.feed();
    }
    EXPECT_EQ(got, message + "\n");
    EXPECT_EQ(talk.waits_for().in, -1);
}

TEST_F(TalkTest, AMessageFollowsTheRestOfTheOneBefore) {
    open(Framing::line);
    const std::string first(200'000, 'a');
    talk.ask(first);
    EXPECT_EQ(write("early\n"), Talk::Heard::answer);
    (void)talk.take_answer();
    talk.ask("b");
    std::string got;
    while (got.size() < first.size() + 3) {
        got += read();
        if (talk.waits_for().in >= 0) talk.feed();
    }
    EXPECT_EQ(got, first + "\nb\n");
}

TEST_F(TalkTest, AClosedStdoutIsHeard) {
    open(Framing::line);
    talk.begin();  // the program has its ends, and closes them
    EXPECT_EQ(talk.listen(), Talk::Heard::closed);
}

}  // namespace
}  // namespace curfew

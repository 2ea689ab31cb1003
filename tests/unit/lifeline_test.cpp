// The line to launch: what it says, and a look at whether that is a stop.
#include "common/process/lifeline.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace curfew {
namespace {

using Lines = std::vector<std::string>;

class LifelineTest : public testing::Test {
protected:
    ~LifelineTest() override {
        hang_up();
        if (line_.is_there()) close(line_.descriptor());
    }

    void hold_socket() {
        std::array<int, 2> ends{};
        ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, ends.data()), 0);
        launch_ = ends[0];
        line_.hold(ends[1]);
    }
    void hold_pipe() {
        std::array<int, 2> ends{};
        ASSERT_EQ(pipe(ends.data()), 0);
        launch_ = ends[1];
        line_.hold(ends[0]);
    }
    void say(std::string_view words) const {
        ASSERT_EQ(write(launch_, words.data(), words.size()), static_cast<ssize_t>(words.size()));
    }
    void hang_up() {
        if (launch_ >= 0) close(std::exchange(launch_, -1));
    }

    int launch_ = -1;
    Lifeline line_;
};

TEST_F(LifelineTest, AStopIsSeenBehindOtherWordsAndStaysThere) {
    hold_socket();
    EXPECT_FALSE(line_.stop_waits());
    say("drain\ndied w1 17 4711\nleft stop 18 4712\nsto");
    EXPECT_FALSE(line_.stop_waits());
    say("p\n");
    EXPECT_TRUE(line_.stop_waits());
    EXPECT_TRUE(line_.stop_waits());
    EXPECT_EQ(line_.read(), (Lines{"drain", "died w1 17 4711", "left stop 18 4712", "stop"}));
    EXPECT_FALSE(line_.stop_waits());
    EXPECT_TRUE(line_.is_there());
}

TEST_F(LifelineTest, ItsEndIsAStop) {
    hold_socket();
    hang_up();
    EXPECT_TRUE(line_.stop_waits());
    EXPECT_EQ(line_.read(), Lines());
    EXPECT_FALSE(line_.is_there());
}

TEST_F(LifelineTest, ItsEndIsSeenBehindWordsAndAStopBehindManyOfThem) {
    hold_socket();
    std::string words;
    for (int i = 0; i < 1000; ++i) words += "left w1 17 4711\n";
    say(words);
    EXPECT_FALSE(line_.stop_waits());
    say("stop\n");
    EXPECT_TRUE(line_.stop_waits());
    EXPECT_EQ(line_.read().size(), 1001U);
    say("drain\n");
    EXPECT_FALSE(line_.has_ended());
    hang_up();
    EXPECT_TRUE(line_.has_ended());
    EXPECT_TRUE(line_.stop_waits());
    EXPECT_EQ(line_.read(), Lines{"drain"});
}

TEST_F(LifelineTest, ThatOfAPipeIsSeenToo) {
    hold_pipe();
    EXPECT_FALSE(line_.stop_waits());
    hang_up();
    EXPECT_TRUE(line_.stop_waits());
}

TEST_F(LifelineTest, WhatIsNoDescriptorIsRefused) {
    EXPECT_THROW(line_.hold(1 << 20), std::invalid_argument);
}

}  // namespace
}  // namespace curfew

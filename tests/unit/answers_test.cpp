// The monitor socket's allowance: who looks now and then is answered at once, a crowd costs no more than its share.
#include "common/answers.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>
#include <zmq.hpp>

namespace curfew {
namespace {

using namespace std::chrono_literals;

constexpr std::size_t kLarge = 900'000;  // 3.6 ms of the allowance each, by its bytes alone

class AnswersTest : public testing::Test {
protected:
    AnswersTest()
        : context(make_context()), answers(Socket::bound(context, zmq::socket_type::rep, "inproc://monitor", {})) {
        turn(1h);  // what may be saved up is there
    }
    void ask(const std::string& question) {
        zmq::socket_t& socket = sockets.emplace_back(context, zmq::socket_type::req);
        socket.set(zmq::sockopt::linger, 0);
        socket.connect("inproc://monitor");
        socket.send(zmq::buffer(question));
    }
    /// So many replies were made from scratch in a turn after that time.
    int turn(Duration later, std::size_t size = 10) {
        now += later;
        int made = 0;
        answers.turn(now, [&](std::string_view question) {
            ++made;
            return std::make_unique<ShortReply>(std::string(question) + std::string(size, ' '));
        });
        return made;
    }
    /// Over many turns, each a moment after the one before.
    int turns(int count, std::size_t size) {
        int made = 0;
        for (int i = 0; i < count; ++i) made += turn(1us, size);
        return made;
    }
    int answered() {
        int count = 0;
        for (zmq::socket_t& socket : sockets) {
            zmq::message_t message;
            if (socket.recv(message, zmq::recv_flags::dontwait)) ++count;
        }
        return count;
    }

    zmq::context_t context;
    Answers answers;
    std::vector<zmq::socket_t> sockets;
    Instant now{};
};

TEST_F(AnswersTest, WhoAsksIsAnswered) {
    ask("stats");
    EXPECT_EQ(turn(1ms), 1);
    EXPECT_EQ(answered(), 1);
}

TEST_F(AnswersTest, WhatIsUsedUpComesBackWithTime) {
    for (int i = 0; i < 30; ++i) ask("dump " + std::to_string(i));
    const int at_once = turns(100, kLarge);
    EXPECT_GT(at_once, 2);
    EXPECT_LT(at_once, 15);  // 50 ms at 3.6 each
    EXPECT_EQ(turns(100, kLarge), 0);
    // A five-hundredth: in ten seconds there are 20 ms.
    const int later = turn(10s, kLarge) + turns(100, kLarge);
    EXPECT_GT(later, 0);
    EXPECT_LT(later, 7);
    EXPECT_EQ(answered(), at_once + later);
}

TEST_F(AnswersTest, AProcessAtRestGivesHalfOfItsTime) {
    for (int i = 0; i < 60; ++i) ask("dump " + std::to_string(i));
    turns(100, kLarge);
    answers.set_at_rest(true);
    const int later = turn(100ms, kLarge) + turns(100, kLarge);
    EXPECT_GT(later, 2);
    EXPECT_LT(later, 15);
}

TEST_F(AnswersTest, InACrowdOneAnswerServesAllWhoAskTheSame) {
    for (int i = 0; i < 10; ++i) ask("dump " + std::to_string(i));
    turns(7, kLarge);  // half of what was saved up is gone
    for (int i = 0; i < 200; ++i) ask("stats");
    int made = 0;
    for (int i = 0; i < 400; ++i) made += turn(1us, 10);
    EXPECT_EQ(answered(), 210);
    EXPECT_LE(made, 4);  // the other dumps, and one for all of these
    ask("stats");
    EXPECT_EQ(turn(1100ms), 1) << "it was too old";
}

TEST_F(AnswersTest, ALongReplyIsMadeInSeveralTurns) {
    class Slow : public LongReply {
    public:
        Slow() : LongReply(R"("a":1)") {}

    protected:
        bool look() override { return false; }
        bool write() override {
            const Instant until = Clock::now() + 100us;
            while (Clock::now() < until) {
            }
            return ++steps_ < 40;
        }
        void begin() override { say(R"("b":[)"); }
        void end() override { say("]"); }

    private:
        int steps_ = 0;
    };
    ask("dump");
    int turns = 0;
    for (; turns < 100 && answered() == 0; ++turns) {
        answers.turn(now += 1ms, [](std::string_view) { return std::make_unique<Slow>(); });
    }
    EXPECT_GE(turns, 4);
}

}  // namespace
}  // namespace curfew

// The monitor socket's allowance: who looks now and then is answered at once, a crowd costs no more
// than its share.
#include "common/process/answers.h"
#include "common/process/clock.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>
#include <zmq.hpp>

namespace curfew {
namespace {

using namespace std::chrono_literals;

constexpr std::size_t kLarge =
    1'000'000;  // 4 ms of the allowance each: all that answering costs here, as time stands still

class AnswersTest : public testing::Test {
protected:
    AnswersTest()
        : context(make_context()),
          answers(
              Socket::bound(context, zmq::socket_type::rep, "inproc://monitor", {}), [this] { return now; },
              [this] { return used; }) {
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
            return std::make_unique<ShortReply>(
                JsonObject().add("question", question).add("padding", std::string(size, ' ')));
        });
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
    Duration used{};
};

TEST_F(AnswersTest, WhoAsksIsAnswered) {
    ask("stats");
    EXPECT_EQ(turn(1ms), 1);
    EXPECT_EQ(answered(), 1);
}

TEST_F(AnswersTest, WhatIsUsedUpComesBackWithTime) {
    for (int i = 0; i < 30; ++i) ask("dump " + std::to_string(i));
    EXPECT_EQ(turn(1us, kLarge), 13);  // 50 ms at 4 each, the last one on credit
    EXPECT_EQ(turn(1us, kLarge), 0);
    EXPECT_EQ(turn(10s, kLarge), 5);  // a five-hundredth: 20 ms, of which 2 were owed
    EXPECT_EQ(answered(), 18);
}

TEST_F(AnswersTest, AProcessAtRestGivesHalfOfItsTime) {
    for (int i = 0; i < 60; ++i) ask("dump " + std::to_string(i));
    EXPECT_EQ(turn(1us, kLarge), 13);
    answers.set_at_rest(true);
    EXPECT_EQ(turn(40ms, kLarge), 5);
}

TEST_F(AnswersTest, InACrowdOneAnswerServesAllWhoAskTheSame) {
    for (int i = 0; i < 7; ++i) ask("dump " + std::to_string(i));
    EXPECT_EQ(turn(1us, kLarge), 7);  // half of what was saved up is gone
    for (int i = 0; i < 200; ++i) ask("stats");
    EXPECT_EQ(turn(1us), 1);
    EXPECT_EQ(answered(), 207);
    ask("stats");
    EXPECT_EQ(turn(500ms), 0);
    ask("stats");
    EXPECT_EQ(turn(501ms), 1) << "it was too old";
}

TEST_F(AnswersTest, WhatABusyMachineTookMeanwhileIsNotCharged) {
    for (int i = 0; i < 10; ++i) {
        ask("stats");
        now += 100ms;
        int made = 0;
        answers.turn(now, [&](std::string_view question) {
            ++made;
            now += 10s;  // it was not its turn on the processor
            used += 100us;
            return std::make_unique<ShortReply>(JsonObject().add("question", question));
        });
        EXPECT_EQ(made, 1) << i;
    }
}

TEST_F(AnswersTest, WhatAnAnswerTakesOfTheProcessorIsCharged) {
    const auto costly = [&](std::string_view question) {
        used += 60ms;
        return std::make_unique<ShortReply>(JsonObject().add("question", question));
    };
    ask("stats");
    answers.turn(now, costly);
    EXPECT_EQ(answered(), 1);
    ask("stats");
    EXPECT_EQ(turn(4s), 0) << "10 ms are owed, and 8 have come";
    EXPECT_EQ(turn(2s), 1);
}

TEST_F(AnswersTest, WithoutACrowdEachGetsHisOwn) {
    for (int i = 0; i < 20; ++i) ask("stats");
    EXPECT_EQ(turn(1us), 20);
}

TEST_F(AnswersTest, ALongReplyIsMadeInSeveralTurns) {
    class Slow : public LongReply {
    public:
        Slow() : LongReply(JsonObject().add("a", 1)) {}

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
    Answers real(Socket::bound(context, zmq::socket_type::rep, "inproc://real", {}));
    zmq::socket_t& socket = sockets.emplace_back(context, zmq::socket_type::req);
    socket.set(zmq::sockopt::linger, 0);
    socket.connect("inproc://real");
    socket.send(zmq::str_buffer("dump"));
    int turns = 0;
    for (now += 1h; turns < 100 && answered() == 0; ++turns) {
        real.turn(now, [](std::string_view) { return std::make_unique<Slow>(); });
    }
    EXPECT_GE(turns, 4);
    EXPECT_LT(turns, 100) << "it never came";
}

}  // namespace
}  // namespace curfew

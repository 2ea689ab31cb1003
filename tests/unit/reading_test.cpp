// A turn reads a socket to empty, but not for ever.
#include "common/process/reading.h"
#include "common/process/clock.h"

#include <gtest/gtest.h>

namespace curfew {
namespace {

class ReadingTest : public testing::Test {
protected:
    void send(int count) {
        for (int i = 0; i < count; ++i) ASSERT_TRUE(push.send("frame"));
    }
    /// One turn, in which each frame takes that long. Returns how many were read.
    int read(Duration each) {
        int count = 0;
        read_for_a_turn(pull, [&](std::string_view frame) {
            EXPECT_EQ(frame, "frame");
            ++count;
            for (const Instant until = Clock::now() + each; Clock::now() < until;) continue;
        });
        return count;
    }

    zmq::context_t context = make_context();
    Socket pull = Socket::bound(context, zmq::socket_type::pull, "inproc://frames", {});
    Socket push = Socket::connected(context, zmq::socket_type::push, "inproc://frames", {});
};

TEST_F(ReadingTest, ATurnReadsToEmpty) {
    EXPECT_EQ(read(Duration::zero()), 0);
    for (int i = 0; i < 100; ++i) {
        send(1000);
        const Instant began = Clock::now();
        const int count = read(Duration::zero());
        if (Clock::now() - began < kReadingTime) {
            EXPECT_EQ(count, 1000);
            EXPECT_FALSE(pull.unread());
            return;
        }
        while (read(Duration::zero()) > 0) {
        }
    }
    FAIL() << "a thousand frames take longer than a turn has";
}

TEST_F(ReadingTest, WhereThatTakesTooLongTheRestIsForTheNextTurnAndTheSocketStaysAwake) {
    send(50);
    const int first = read(kReadingTime / 10);
    EXPECT_GE(first, 1);
    EXPECT_LT(first, 50);
    EXPECT_TRUE(pull.unread());
    int rest = 0;
    for (int turns = 0; pull.unread() && turns < 50; ++turns) rest += read(Duration::zero());
    EXPECT_EQ(rest, 50 - first);
}

}  // namespace
}  // namespace curfew

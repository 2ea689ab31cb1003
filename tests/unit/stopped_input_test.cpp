// Producers that hang up while nobody reads: what they had sent is read all the same.
#include "broker/stopped_input.h"

#include <gtest/gtest.h>

#include <string>
#include <thread>
#include <vector>

#include "common/process/socket.h"
#include "tests/support/next_message.h"
#include "tests/support/temp_dir.h"

namespace curfew {
namespace {

using support::next_message;

constexpr int kMark = 16;  // of the reader: so many are taken before he stops
// More than that and a batch of the decoder, less than the kernel's buffer
constexpr int kMessages = 60;
constexpr std::size_t kSize = 1024;

class StoppedInput : public testing::TestWithParam<const char*> {
protected:
    void SetUp() override { keep_what_is_unread(); }

    Socket bound() {
        const std::string at =
            GetParam() == std::string("ipc") ? "ipc://" + dir_.file("socket") : std::string("tcp://127.0.0.1:*");
        return Socket::bound(context_, zmq::socket_type::pull, at, {.receive = kMark});
    }

    static std::string message(int number) { return std::to_string(number) + std::string(kSize, 'x'); }

    support::TempDir dir_;
    zmq::context_t context_ = make_context();
};

/// Sends, and has hung up when it returns.
void send_and_leave(const std::string& endpoint, const std::vector<std::string>& messages) {
    zmq::context_t context;
    zmq::socket_t socket(context, zmq::socket_type::push);
    socket.set(zmq::sockopt::sndtimeo, 10'000);
    socket.set(zmq::sockopt::linger, 10'000);
    socket.connect(endpoint);
    for (const std::string& one : messages) ASSERT_TRUE(socket.send(zmq::buffer(one)));
    socket.close();
    context.close();
}

TEST_P(StoppedInput, WhatAProducerLeftBehindIsRead) {
    Socket pull = bound();
    std::vector<std::string> messages;
    for (int i = 0; i < kMessages; ++i) messages.push_back(message(i));
    send_and_leave(pull.endpoint(), messages);
    for (int i = 0; i < kMessages; ++i) ASSERT_EQ(next_message(pull), message(i));
    std::string_view more;
    EXPECT_FALSE(pull.receive(more));
}

TEST_P(StoppedInput, ManyThatLeaveOneAfterTheOtherLoseNothing) {
    constexpr int kProducers = 20;
    Socket pull = bound();
    for (int producer = 0; producer < kProducers; ++producer)
        send_and_leave(pull.endpoint(), std::vector<std::string>(kMessages, message(producer)));
    std::vector<int> of_each(kProducers, 0);
    for (int i = 0; i < kProducers * kMessages; ++i) {
        const std::string got = next_message(pull);
        ASSERT_NE(got, "nothing") << "after " << i;
        ++of_each[std::stoul(got)];
    }
    EXPECT_EQ(of_each, std::vector<int>(kProducers, kMessages));
    send_and_leave(pull.endpoint(), {"one more"});
    EXPECT_EQ(next_message(pull), "one more");
}

/// He hangs up while his last messages are read: then a hang-up and something to read are told at
/// once.
TEST_P(StoppedInput, WhoLeavesInTheMiddleOfReadingLosesNothing) {
    constexpr int kProducers = 100, kEach = 400;
    Socket pull = bound();
    std::jthread producers([&] {
        for (int i = 0; i < kProducers; ++i)
            send_and_leave(pull.endpoint(), std::vector<std::string>(kEach, message(i).substr(0, 100)));
    });
    for (int i = 0; i < kProducers * kEach; ++i) ASSERT_NE(next_message(pull), "nothing") << "after " << i;
}

INSTANTIATE_TEST_SUITE_P(Transports, StoppedInput, testing::Values("ipc", "tcp"),
                         [](const auto& given) { return std::string(given.param); });

}  // namespace
}  // namespace curfew

// What our sockets promise where libzmq does not: a process that is out of descriptors lives on.
#include "common/process/socket.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <vector>

#include "common/process/connection_events.h"
#include "common/process/turned_away.h"
#include "tests/support/next_message.h"
#include "tests/support/temp_dir.h"

namespace curfew {
namespace {

using support::next_message;

/// Who could be at the other end, as far as it is refused.
Reach reach_of(const std::string& endpoint, bool to_bind = true) {
    for (const Reach allowed : {Reach::this_user, Reach::this_machine}) {
        try {
            check_endpoint(endpoint, to_bind, allowed);
            return allowed;
        } catch (const EndpointError& error) {
            EXPECT_NE(std::string(error.what()).find("say --insecure"), std::string::npos) << error.what();
        }
    }
    check_endpoint(endpoint, to_bind, Reach::anybody);
    return Reach::anybody;
}

TEST(EndpointTest, OnlyAFileKeepsOtherUsersAway) {
    EXPECT_EQ(reach_of("ipc:///run/x.sock"), Reach::this_user);
    EXPECT_EQ(reach_of("ipc://@x"), Reach::this_machine);
    for (const char* host : {"127.0.0.1", "127.1", "localhost", "[::1]"}) {
        EXPECT_EQ(reach_of("tcp://" + std::string(host) + ":5555"), Reach::this_machine) << host;
        EXPECT_EQ(reach_of("tcp://" + std::string(host) + ":5555", false), Reach::this_machine) << host;
    }
}

TEST(EndpointTest, WhatOnlyLooksLikeLoopbackIsNot) {
    for (const char* host : {"*", "0.0.0.0", "[::]", "192.0.2.1", "127.example.org", "localhost.example.org", "lo",
                             "127.0.0.1:0;192.0.2.1", "192.0.2.1:0;127.0.0.1"}) {
        EXPECT_EQ(reach_of("tcp://" + std::string(host) + ":5555"), Reach::anybody) << host;
        EXPECT_EQ(reach_of("tcp://" + std::string(host) + ":5555", false), Reach::anybody) << host;
    }
}

std::string refusal(const std::string& endpoint) {
    try {
        check_endpoint(endpoint, true, Reach::anybody);
    } catch (const EndpointError& error) {
        return error.what();
    }
    return "none";
}

TEST(EndpointTest, AnIpv6AddressStandsInBrackets) {
    for (const char* endpoint : {"tcp://::1:5555", "tcp://fe80::1:*", "tcp://[::1:5555", "tcp://::1]:5555"})
        EXPECT_NE(refusal(endpoint).find("stands in brackets, like tcp://[::1]:5555"), std::string::npos) << endpoint;
    EXPECT_NE(refusal("tcp://[::x]:5555").find("'::x' is no IPv6 address"), std::string::npos);
    for (const char* endpoint : {"tcp://[::1]:5555", "tcp://[fe80::1%lo]:5555", "tcp://[::]:*"})
        EXPECT_EQ(refusal(endpoint), "none") << endpoint;
}

TEST(EndpointTest, WhatLibzmqCannotBindIsGivenToItAsAnAddress) {
    EXPECT_EQ(with_address("tcp://localhost:5555", true), "tcp://127.0.0.1:5555");
    EXPECT_EQ(with_address("tcp://localhost:5555", false), "tcp://localhost:5555")
        << "who connects asks again and again";
    for (const char* endpoint : {"tcp://127.0.0.1:*", "tcp://*:5555", "tcp://[::1]:5555", "tcp://lo:5555", "ipc:///x"})
        EXPECT_EQ(with_address(endpoint, true), endpoint);
    for (const bool to_bind : {true, false})
        EXPECT_THROW((void)with_address("tcp://no-such-host.invalid:5555", to_bind), EndpointError);
    EXPECT_THROW((void)with_address("tcp://*:5555", false), EndpointError);
}

TEST(EndpointTest, NamesAndIpv6CarryMessages) {
    zmq::context_t context = make_context();
    for (const char* endpoint : {"tcp://localhost:*", "tcp://[::1]:*"}) {
        Socket pull = Socket::bound(context, zmq::socket_type::pull, with_address(endpoint, true), {});
        Socket push = Socket::connected(context, zmq::socket_type::push, pull.endpoint(), {});
        ASSERT_TRUE(push.send("there"));
        EXPECT_EQ(next_message(pull), "there") << endpoint;
    }
}

class SocketTest : public testing::Test {
protected:
    void SetUp() override { ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before_), 0); }
    void TearDown() override { release(); }

    /// Opens all descriptors that there are: 128 at most.
    void use_up() {
        const rlimit few{.rlim_cur = std::min<rlim_t>(128, before_.rlim_cur), .rlim_max = before_.rlim_max};
        ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &few), 0);
        for (int one = 0; (one = ::open("/dev/null", O_RDONLY | O_CLOEXEC)) >= 0;) used_.push_back(one);
        ASSERT_EQ(errno, EMFILE);
    }
    void release() {
        for (const int one : used_) ::close(one);
        used_.clear();
        ::setrlimit(RLIMIT_NOFILE, &before_);
    }

    support::TempDir dir_;
    rlimit before_{};
    std::vector<int> used_;
};

TEST_F(SocketTest, HowManyDescriptorsAreLeftIsKnownAndNoneIsTaken) {
    EXPECT_TRUE(can_open(10));
    use_up();
    EXPECT_FALSE(can_open(1));
    for (int i = 0; i < 5; ++i) {
        ::close(used_.back());
        used_.pop_back();
    }
    for (int i = 0; i < 3; ++i) {
        EXPECT_TRUE(can_open(5));
        EXPECT_FALSE(can_open(6));
    }
}

TEST_F(SocketTest, WhyAnAddressCannotBeBoundIsSaidAsItIsThoughItsSocketIsWatched) {
    zmq::context_t context = make_context();
    ConnectionEvents events;
    const Socket first = Socket::bound(context, zmq::socket_type::pull, "tcp://127.0.0.1:*", {}, &events);
    for (int i = 0; i < 500; ++i) {
        try {
            const Socket second = Socket::bound(context, zmq::socket_type::pull, first.endpoint(), {}, &events);
            FAIL() << "two have one address";
        } catch (const EndpointError& error) {
            ASSERT_EQ(error.error, EADDRINUSE) << error.what() << ", try " << i;
        }
    }
    events.close();
}

TEST_F(SocketTest, WhoComesWhenThereIsNoDescriptorIsTurnedAwayAndTheOthersStay) {
    const std::string path = dir_.file("socket");
    zmq::context_t context = make_context();
    Socket pull = Socket::bound(context, zmq::socket_type::pull, "ipc://" + path, {});
    Socket push = Socket::connected(context, zmq::socket_type::push, "ipc://" + path, {});
    ASSERT_TRUE(push.send("before"));
    ASSERT_EQ(next_message(pull), "before");

    const int caller = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ASSERT_GE(caller, 0);
    use_up();
    const std::uint64_t before = turned_away();
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.copy(address.sun_path, sizeof address.sun_path - 1);
    ASSERT_EQ(::connect(caller, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
    const timeval patience{.tv_sec = 10, .tv_usec = 0};
    ::setsockopt(caller, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    char byte = 0;
    EXPECT_EQ(::recv(caller, &byte, 1, 0), 0) << "it is closed without a word";
    ::close(caller);
    EXPECT_EQ(turned_away(), before + 1);
    ASSERT_TRUE(push.send("meanwhile"));
    EXPECT_EQ(next_message(pull), "meanwhile");

    release();
    Socket late = Socket::connected(context, zmq::socket_type::push, "ipc://" + path, {});
    ASSERT_TRUE(late.send("after"));
    EXPECT_EQ(next_message(pull), "after");
}

TEST(SocketAnswer, AQuestionInTwoPartsTakesNoAnswerAndHarmsNobody) {
    zmq::context_t context = make_context();
    Socket answers = Socket::bound(context, zmq::socket_type::rep, "inproc://answers", {});
    zmq::socket_t asker(context, zmq::socket_type::dealer);
    asker.set(zmq::sockopt::linger, 0);
    asker.connect("inproc://answers");
    for (const char* part : {"", "dump"}) asker.send(zmq::buffer(std::string_view(part)), zmq::send_flags::sndmore);
    asker.send(zmq::str_buffer("and more"));
    std::string_view question;
    ASSERT_TRUE(answers.receive(question));
    EXPECT_EQ(question, "dump");
    Frame large(std::string(100'000, 'x'));
    EXPECT_FALSE(answers.send(large));
    EXPECT_FALSE(answers.send("small"));
    while (answers.receive(question)) {
    }
    EXPECT_TRUE(answers.send("the second part is a question, too"));
}

}  // namespace
}  // namespace curfew

// That a connection to a queue server can be called off wherever it waits: for a host that does not
// answer, in a handshake with TLS, in a login. Else each waits for ten seconds, and says so.
#include "common/amqp/kept_connection.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

namespace curfew::amqp {
namespace {

using namespace std::chrono_literals;

/// Nobody is there to talk to.
class NoTalk final : public Talk {
public:
    void begin(Connection&) override { ADD_FAILURE() << "there is a connection"; }
    void serve(Connection&) override {}
    void lost() override {}
    bool has_said_all() override { return true; }
};

/// A port of loopback, at which nobody listens before it is said.
class Door {
public:
    Door() : socket_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
        sockaddr_in here{.sin_family = AF_INET, .sin_port = 0, .sin_addr = {htonl(INADDR_LOOPBACK)}, .sin_zero = {}};
        socklen_t size = sizeof here;
        EXPECT_EQ(::bind(socket_, reinterpret_cast<sockaddr*>(&here), size), 0);
        // Nobody is waited for without an end
        const timeval patience{.tv_sec = 30, .tv_usec = 0};
        EXPECT_EQ(::setsockopt(socket_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience), 0);
        EXPECT_EQ(::getsockname(socket_, reinterpret_cast<sockaddr*>(&here), &size), 0);
        port_ = ntohs(here.sin_port);
    }
    ~Door() {
        for (const int each : came_) ::close(each);
        ::close(socket_);
    }
    Door(const Door&) = delete;
    Door& operator=(const Door&) = delete;

    [[nodiscard]] std::uint16_t port() const { return port_; }
    void listen(int backlog) const { EXPECT_EQ(::listen(socket_, backlog), 0); }
    /// Somebody comes, and says something; false: leaves.
    [[nodiscard]] bool accept() {
        came_.push_back(::accept4(socket_, nullptr, nullptr, SOCK_CLOEXEC));
        const timeval patience{.tv_sec = 30, .tv_usec = 0};
        EXPECT_EQ(::setsockopt(came_.back(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience), 0);
        std::array<char, 4> said{};
        return ::recv(came_.back(), said.data(), said.size(), 0) > 0;
    }
    /// It has as many before it as fit, so that the next gets no answer.
    void fill() {
        listen(0);
        came_.push_back(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
        const sockaddr_in there{
            .sin_family = AF_INET, .sin_port = htons(port_), .sin_addr = {htonl(INADDR_LOOPBACK)}, .sin_zero = {}};
        EXPECT_EQ(::connect(came_.back(), reinterpret_cast<const sockaddr*>(&there), sizeof there), 0);
    }
    /// Somebody has asked to come in and got no answer (SYN_SENT).
    [[nodiscard]] bool somebody_waits() const {
        std::ifstream table("/proc/net/tcp");
        const std::string asks = fmt::format("0100007F:{:04X} 02", port_);
        for (std::string line; std::getline(table, line);)
            if (line.find(asks) != std::string::npos) return true;
        return false;
    }

private:
    int socket_;
    std::uint16_t port_ = 0;
    std::vector<int> came_;
};

Access access_to(const Door& door, bool tls) {
    const Address::Host host{.name = "127.0.0.1", .port = door.port()};
    return {.address = {.tls = tls, .hosts = {host, host}}, .ca = {}, .certificate = {}, .key = {}, .name = "test"};
}

/// As it was not when its patience was over, nor at the next host.
void expect_called_off(const std::string& why, const Door& door) {
    EXPECT_TRUE(why.starts_with(fmt::format("127.0.0.1:{}: ", door.port()))) << why;
    for (const char* other : {"timed out", "no answer", "; "}) EXPECT_EQ(why.find(other), std::string::npos) << why;
}

/// Started when nobody listened: it tries again and again.
class Started {
public:
    explicit Started(const Door& door, bool tls = false) : kept_(access_to(door, tls), talk_) { kept_.start(true); }
    [[nodiscard]] std::string trouble_once_stopped() {
        kept_.stop();
        return kept_.look().trouble;
    }

private:
    NoTalk talk_;
    KeptConnection kept_;
};

TEST(KeptConnection, IsStoppedWhileAServerDoesNotAnswerItsLogin) {
    Door door;
    Started started(door);
    door.listen(8);
    ASSERT_TRUE(door.accept()) << "the header of AMQP";
    expect_called_off(started.trouble_once_stopped(), door);
}

TEST(KeptConnection, IsStoppedInAHandshakeWithTls) {
    Door door;
    Started started(door, true);
    door.listen(8);
    EXPECT_FALSE(door.accept()) << "whether somebody listens";
    ASSERT_TRUE(door.accept()) << "the first of TLS";
    expect_called_off(started.trouble_once_stopped(), door);
}

TEST(Connection, IsCutWhileAHostDoesNotAnswer) {
    for (const bool tls : {false, true}) {
        SCOPED_TRACE(tls);
        Door door;
        door.fill();
        Cutter cutter;
        std::string why;
        std::thread waits([&] {
            try {
                const Connection connection(access_to(door, tls), 0, cutter);
            } catch (const Lost& lost) {
                why = lost.what();
            }
        });
        const auto until = std::chrono::steady_clock::now() + 30s;
        while (!door.somebody_waits() && std::chrono::steady_clock::now() < until) std::this_thread::yield();
        cutter.cut();
        waits.join();
        expect_called_off(why, door);
    }
}

TEST(Cutter, ShutsDownTheSocketAndNotWhoGotItsNumber) {
    std::array<int, 2> first{}, second{};
    ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, first.data()), 0);
    Cutter cutter;
    ASSERT_TRUE(cutter.hold(first[0]));
    ASSERT_TRUE(cutter.hold(first[0])) << "once more is as before";
    ::close(first[0]);
    ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, second.data()), 0);
    ASSERT_EQ(second[0], first[0]) << "the number is used again";
    cutter.cut();
    char byte = 0;
    EXPECT_EQ(::recv(first[1], &byte, 1, MSG_DONTWAIT), 0) << "the end";
    EXPECT_EQ(::send(second[0], "x", 1, MSG_NOSIGNAL), 1);
    for (const int each : {first[1], second[0], second[1]}) ::close(each);
}

TEST(Cutter, WhatItHoldsOnceItWasCutEndsAtOnce) {
    std::array<int, 2> pair{};
    ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair.data()), 0);
    Cutter cutter;
    EXPECT_FALSE(cutter.is_cut());
    cutter.cut();
    EXPECT_TRUE(cutter.is_cut());
    pollfd cut{cutter.descriptor(), POLLIN, 0};
    EXPECT_EQ(::poll(&cut, 1, 0), 1);
    ASSERT_TRUE(cutter.hold(pair[0]));
    char byte = 0;
    EXPECT_EQ(::recv(pair[1], &byte, 1, MSG_DONTWAIT), 0);
    for (const int each : pair) ::close(each);
}

}  // namespace
}  // namespace curfew::amqp

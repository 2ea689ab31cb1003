#include "common/process/peer_watch.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/sockios.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <atomic>
#include <cstring>
#include <utility>

#include "common/process/socket.h"

namespace curfew {
namespace {

constexpr auto kNoOtherTry = std::chrono::seconds(1);  // libzmq announces it at once

}  // namespace

void PeerWatch::watch(zmq::context_t& context, Socket& socket) {
    // A name is free again only when libzmq's thread has got that far
    static std::atomic<std::uint64_t> count = 0;
    const std::string inproc = fmt::format("inproc://peer-{}", ++count);
    socket.report_connections(inproc);
    reader_ = zmq::socket_t(context, zmq::socket_type::pair);
    reader_.set(zmq::sockopt::rcvhwm, 0);  // libzmq's thread would wait for us
    reader_.set(zmq::sockopt::linger, 0);
    reader_.connect(inproc);
    news_descriptor_ = static_cast<int>(reader_.get(zmq::sockopt::fd));
}

void PeerWatch::read(Instant now) {
    if (!reader_) return;
    zmq::message_t message;
    while (reader_.recv(message, zmq::recv_flags::dontwait)) {
        if (!message.more()) continue;  // the address, which follows each event
        std::uint16_t event = 0;
        std::uint32_t value = 0;
        if (message.size() != sizeof event + sizeof value) continue;
        std::memcpy(&event, message.data(), sizeof event);
        std::memcpy(&value, message.data<char>() + sizeof event, sizeof value);
        take(now, event, value);
    }
}

void PeerWatch::take(Instant now, std::uint16_t event, std::uint32_t value) {
    switch (event) {
        case ZMQ_EVENT_CONNECTED:
            connection_ = static_cast<int>(value);
            ended_at_ = kNever;
            break;
        case ZMQ_EVENT_HANDSHAKE_SUCCEEDED: there_ = true; break;
        case ZMQ_EVENT_DISCONNECTED:
            connection_ = -1;
            ended_at_ = now;
            if (std::exchange(there_, false)) ++left_;
            break;
        case ZMQ_EVENT_CONNECT_RETRIED: ended_at_ = kNever; break;
        case ZMQ_EVENT_MONITOR_STOPPED: closed_ = true; break;
        default: break;
    }
}

void PeerWatch::wait_for(Poller& poller) {
    if (news_descriptor_ >= 0 && !closed_) poller.add(news_descriptor_);
}

bool PeerWatch::gave_up(Instant now) const {
    return ended_at_ != kNever && now >= ended_at_ + kNoOtherTry;
}

Instant PeerWatch::next_deadline() const {
    return ended_at_ == kNever ? kNever : ended_at_ + kNoOtherTry;
}

void PeerWatch::hold() {
    if (held_ < 0 && connection_ >= 0) held_ = fcntl(connection_, F_DUPFD_CLOEXEC, 0);
}

std::optional<std::size_t> PeerWatch::in_kernel() const {
    int size = 0;
    if (held_ < 0 || ioctl(held_, SIOCOUTQ, &size) != 0) return std::nullopt;
    return static_cast<std::size_t>(size);
}

bool PeerWatch::hung_up() const {
    pollfd item{held_, POLLRDHUP, 0};
    return held_ >= 0 && poll(&item, 1, 0) > 0;
}

void PeerWatch::let_go() {
    if (held_ >= 0) close(std::exchange(held_, -1));
}

}  // namespace curfew

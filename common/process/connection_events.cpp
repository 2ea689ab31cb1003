#include "common/process/connection_events.h"

#include <fmt/format.h>
#include <sys/resource.h>

#include <cstring>
#include <string_view>
#include <utility>

#include "common/process/socket.h"

namespace curfew {
namespace {

struct Kind {
    std::string_view name;
    unsigned events;  // libzmq's
};
constexpr std::array<Kind, 6> kKindsOfEvents{{
    {"accepted", ZMQ_EVENT_ACCEPTED},
    {"connected", ZMQ_EVENT_CONNECTED},
    {"disconnected", ZMQ_EVENT_DISCONNECTED},
    {"retried", ZMQ_EVENT_CONNECT_RETRIED},
    {"refused",
     ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL | ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL | ZMQ_EVENT_HANDSHAKE_FAILED_AUTH},
    {"failed", ZMQ_EVENT_BIND_FAILED | ZMQ_EVENT_ACCEPT_FAILED},
}};

}  // namespace

void ConnectionEvents::watch(zmq::context_t& context, Socket& socket) {
    // Two descriptors a socket: where they are scarce, the work needs them.
    constexpr rlim_t kPlenty = 256;
    rlimit limit{};
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur < kPlenty) return;
    const std::string inproc = fmt::format("inproc://connections-{}", ++watched_);
    socket.report_connections(inproc);
    zmq::socket_t& reader = readers_.emplace_back(context, zmq::socket_type::pair);
    reader.set(zmq::sockopt::rcvhwm, 0);  // libzmq's thread would wait for us
    reader.set(zmq::sockopt::linger, 0);
    reader.connect(inproc);
}

void ConnectionEvents::read() {
    std::erase_if(readers_, [&](zmq::socket_t& reader) {
        zmq::message_t message;
        while (reader.recv(message, zmq::recv_flags::dontwait)) {
            std::uint16_t event = 0;
            // else: the address, which follows
            if (message.more() && message.size() >= sizeof event) {
                std::memcpy(&event, message.data(), sizeof event);
                if (event == ZMQ_EVENT_MONITOR_STOPPED) return true;
                for (std::size_t kind = 0; kind < kKinds; ++kind) {
                    if ((event & kKindsOfEvents[kind].events) != 0) ++counts_[kind];
                }
            }
        }
        return false;
    });
}

JsonObject ConnectionEvents::json() const {
    JsonObject out;
    for (std::size_t kind = 0; kind < kKinds; ++kind) out.add(kKindsOfEvents[kind].name, counts_[kind]);
    return out;
}

}  // namespace curfew

// What happens to the connections of a process's sockets, counted by kind: who came, who went, who
// was no peer. libzmq tells it on a socket beside each (zmq_socket_monitor); what is told is read
// once a second, so that it costs the work nothing. One thread.
#pragma once

#include <array>
#include <cstdint>
#include <vector>
#include <zmq.hpp>

#include "common/look/json_object.h"

namespace curfew {

class Socket;

class ConnectionEvents {
public:
    /// From now on, until the socket is closed. With fewer than 256 descriptors allowed, nothing is
    /// watched.
    void watch(zmq::context_t& context, Socket& socket);
    /// Takes what has been told.
    void read();
    /// The number of each kind: accepted and connected (by us), disconnected, retried (we
    /// try again to connect), refused (the other end is no ZeroMQ peer, or speaks another kind),
    /// failed (to bind or to accept).
    [[nodiscard]] JsonObject json() const;
    /// Before the context goes.
    void close() { readers_.clear(); }

private:
    static constexpr std::size_t kKinds = 6;
    std::vector<zmq::socket_t> readers_;
    std::array<std::uint64_t, kKinds> counts_{};
    std::uint64_t watched_ = 0;
};

}  // namespace curfew

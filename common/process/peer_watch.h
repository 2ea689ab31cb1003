// Who is at the other end of a socket that connects to one endpoint, as libzmq's monitor of the
// socket tells it: whether somebody is there, whether he went, whether what waited to be sent is
// out when the socket has been closed.
//
// What libzmq 4.3.4 tells (measured, docs/decisions.md): a peer that has shaken hands, and the end
// of his connection, at once; that a closed socket's linger is over, but not whether it came to its
// end or was cut off, which only the time tells. After a peer of the wrong kind it never tries
// again: then there is an end, and no announcement of another try.
//
// One thread. Outlives its socket; goes before the context.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <zmq.hpp>

#include "common/process/poller.h"
#include "common/words/vocabulary.h"

namespace curfew {

class Socket;

class PeerWatch {
public:
    PeerWatch() = default;
    ~PeerWatch() { let_go(); }
    PeerWatch(const PeerWatch&) = delete;
    PeerWatch& operator=(const PeerWatch&) = delete;

    /// Before the socket connects.
    void watch(zmq::context_t& context, Socket& socket);
    /// Takes what has been told.
    void read(Instant now);
    /// Wakes the loop when something is told.
    void wait_for(Poller& poller);

    [[nodiscard]] bool there() const { return there_; }         ///< somebody who has shaken hands
    [[nodiscard]] std::uint64_t left() const { return left_; }  ///< how often such a one went
    /// The socket was closed, and lingers no more.
    [[nodiscard]] bool closed() const { return closed_; }
    [[nodiscard]] bool gave_up(Instant now) const;  ///< libzmq tries to connect no more
    [[nodiscard]] Instant next_deadline() const;    ///< when gave_up() may change

    /// Keeps the connection open when the socket is closed, so that the peer can read what the
    /// kernel still has.
    void hold();
    /// Bytes of a held connection that the kernel still has: nobody has read them (ipc), or the
    /// other machine has not acknowledged them (tcp). Nothing where it cannot be known.
    [[nodiscard]] std::optional<std::size_t> in_kernel() const;
    /// The other end of a held connection is closed.
    [[nodiscard]] bool hung_up() const;
    void let_go();

private:
    void take(Instant now, std::uint16_t event, std::uint32_t value);

    zmq::socket_t reader_;
    int news_descriptor_ = -1;
    int connection_ = -1;  // libzmq's, while it lives
    int held_ = -1;        // ours
    bool there_ = false;
    bool closed_ = false;
    std::uint64_t left_ = 0;
    Instant ended_at_ = kNever;  // of the last connection, if no other try was announced
};

}  // namespace curfew

// The sockets of a process: each bound or connected where its user says, or in the run directory,
// by those who are allowed there. Connections are counted, but for those of connect_to_peer().
// The files of ipc sockets are kept as long as the sockets, and go with them. One thread.
#pragma once

#include <cstddef>
#include <string>
#include <vector>
#include <zmq.hpp>

#include "common/look/json_object.h"
#include "common/process/connection_events.h"
#include "common/process/peer_watch.h"
#include "common/process/run_dir.h"
#include "common/process/socket.h"

namespace curfew {

class Sockets {
public:
    /// `insecure`: tcp is allowed everywhere. The run directory outlives it.
    Sockets(const RunDir& run_dir, bool insecure);
    Sockets(const Sockets&) = delete;
    Sockets& operator=(const Sockets&) = delete;
    /// After its sockets. What is still to be sent is, as their lingers say.
    ~Sockets();

    // All throw EndpointError. An empty endpoint is that of `default_name` in the run directory.
    [[nodiscard]] Socket bind(zmq::socket_type type, const std::string& endpoint, const std::string& default_name,
                              Socket::Marks marks, Reach allowed = Reach::this_user);
    [[nodiscard]] Socket connect(zmq::socket_type type, const std::string& endpoint, const std::string& default_name,
                                 Socket::Marks marks);
    /// Connects to an endpoint that a peer has told.
    [[nodiscard]] Socket connect_to_peer(zmq::socket_type type, const std::string& endpoint, Socket::Marks marks);
    /// Connects to where the user has said that somebody else binds; `watch` is told whether he is
    /// there.
    [[nodiscard]] Socket connect_outside(zmq::socket_type type, const std::string& endpoint, Socket::Marks marks,
                                         PeerWatch& watch);
    /// No more may connect to this one: the file of an ipc endpoint goes, and is not made anew. Who
    /// is connected stays so.
    void give_up_address(Socket& socket);

    struct Kept {
        std::size_t bound = 0;   ///< sockets whose file was gone, and that have one again
        std::size_t failed = 0;  ///< and those that have none
    };
    /// Somebody may clean up in /tmp: a socket without its file is one that no newcomer finds.
    [[nodiscard]] Kept keep();

    /// Takes what has happened to connections.
    void read_events() { connections_.read(); }
    [[nodiscard]] JsonObject connections() const { return connections_.json(); }

private:
    /// An ipc socket that was bound.
    struct File {
        std::string path;
        void* socket;
    };

    [[nodiscard]] Reach reach(Reach allowed) const { return insecure_ ? Reach::anybody : allowed; }
    [[nodiscard]] std::string place(const std::string& endpoint, const std::string& default_name) const;

    const RunDir& run_dir_;
    const bool insecure_;
    zmq::context_t context_;
    ConnectionEvents connections_;
    std::vector<File> files_;
};

}  // namespace curfew

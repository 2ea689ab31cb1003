#include "common/process/sockets.h"

#include <unistd.h>

#include <cerrno>

namespace curfew {

Sockets::Sockets(const RunDir& run_dir, bool insecure)
    : run_dir_(run_dir), insecure_(insecure), context_(make_context()) {}

Sockets::~Sockets() {
    connections_.close();
    context_.close();
    // libzmq leaves the files of its ipc sockets behind.
    for (const File& file : files_) unlink(file.path.c_str());
}

std::string Sockets::place(const std::string& endpoint, const std::string& default_name) const {
    return endpoint.empty() ? run_dir_.socket(default_name) : endpoint;
}

Socket Sockets::bind(zmq::socket_type type, const std::string& endpoint, const std::string& default_name,
                     Socket::Marks marks, Reach allowed) {
    const std::string where = place(endpoint, default_name);
    check_endpoint(where, true, reach(allowed));
    Socket socket = Socket::bound(context_, type, with_address(where, true), marks, &connections_);
    if (where.starts_with("ipc://") && !where.starts_with("ipc://@"))
        files_.push_back({where.substr(6), socket.handle()});
    return socket;
}

Socket Sockets::connect(zmq::socket_type type, const std::string& endpoint, const std::string& default_name,
                        Socket::Marks marks) {
    const std::string where = place(endpoint, default_name);
    check_endpoint(where, false, reach(Reach::this_user));
    return Socket::connected(context_, type, with_address(where, false), marks, &connections_);
}

Socket Sockets::connect_to_peer(zmq::socket_type type, const std::string& endpoint, Socket::Marks marks) {
    check_endpoint(endpoint, false, reach(Reach::this_user));
    return Socket::connected(context_, type, endpoint, marks);
}

Socket Sockets::connect_outside(zmq::socket_type type, const std::string& endpoint, Socket::Marks marks,
                                PeerWatch& watch) {
    check_endpoint(endpoint, false, reach(Reach::this_machine));
    return Socket::connected(context_, type, with_address(endpoint, false), marks, watch);
}

void Sockets::give_up_address(Socket& socket) {
    std::erase_if(files_, [&](const File& file) {
        if (file.socket != socket.handle()) return false;
        unlink(file.path.c_str());
        return true;
    });
}

Sockets::Kept Sockets::keep() {
    Kept kept;
    for (const File& file : files_) {
        if (access(file.path.c_str(), F_OK) == 0 || errno != ENOENT) continue;
        ++(Socket::bind_anew(file.socket, "ipc://" + file.path) ? kept.bound : kept.failed);
    }
    return kept;
}

}  // namespace curfew

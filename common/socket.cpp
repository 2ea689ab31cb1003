#include "common/socket.h"

#include <fmt/format.h>
#include <sys/un.h>
#include <cerrno>
#include <cstdlib>

#include "common/log.h"
#include "common/options.h"

namespace curfew {
namespace {

/// No frame of ours is larger: one message of the largest size that the flags allow, and a batch.
constexpr std::int64_t kLargestFrame = 160LL << 20;

bool is_loopback(std::string_view host) {
    return host.starts_with("127.") || host == "localhost" || host == "[::1]";
}

[[noreturn]] void die(const char* what) {
    log::error("zmq_broken call={} error={}", what, log::quoted(zmq_strerror(zmq_errno())));
    std::abort();
}

zmq::socket_t make(zmq::context_t& context, zmq::socket_type type, const Socket::Marks& marks) {
    zmq::socket_t socket(context, type);
    const auto linger = std::chrono::duration_cast<std::chrono::milliseconds>(marks.linger).count();
    socket.set(zmq::sockopt::linger, static_cast<int>(linger));
    socket.set(zmq::sockopt::sndhwm, marks.send);
    socket.set(zmq::sockopt::rcvhwm, marks.receive);
    socket.set(zmq::sockopt::maxmsgsize, kLargestFrame);
    socket.set(zmq::sockopt::handshake_ivl, 5000);
    socket.set(zmq::sockopt::connect_timeout, 3000);
    socket.set(zmq::sockopt::reconnect_ivl, 20);
    socket.set(zmq::sockopt::reconnect_ivl_max, 500);
    socket.set(zmq::sockopt::tcp_keepalive, 1);
    socket.set(zmq::sockopt::tcp_keepalive_idle, 10);
    socket.set(zmq::sockopt::tcp_keepalive_intvl, 3);
    socket.set(zmq::sockopt::tcp_keepalive_cnt, 3);
    socket.set(zmq::sockopt::tcp_maxrt, 15000);
    return socket;
}

}  // namespace

void check_endpoint(const std::string& endpoint, bool to_bind, bool insecure) {
    const std::string_view view = endpoint;
    if (view.starts_with("ipc://")) {
        const std::string_view path = view.substr(6);
        if (path.empty() || path == "*")
            throw EndpointError(fmt::format("endpoint '{}': give a path, like ipc:///run/x.sock", endpoint));
        if (path.size() >= sizeof(sockaddr_un::sun_path)) {
            throw EndpointError(
                fmt::format("endpoint '{}': the path has {} bytes, at most {} fit into a socket address; use a shorter "
                            "--run-dir",
                            endpoint, path.size(), sizeof(sockaddr_un::sun_path) - 1));
        }
        return;
    }
    if (!view.starts_with("tcp://")) {
        throw EndpointError(fmt::format("endpoint '{}': use ipc://PATH or tcp://HOST:PORT", endpoint));
    }
    const std::string_view address = view.substr(6);
    const std::size_t colon = address.rfind(':');
    const std::string_view port = colon == std::string_view::npos ? std::string_view{} : address.substr(colon + 1);
    const auto number = parse_count(port);
    const bool port_is_fine = (number && *number >= 1 && *number <= 65535) || (to_bind && (port == "*" || port == "0"));
    if (colon == 0 || !port_is_fine) {
        throw EndpointError(fmt::format("endpoint '{}': use tcp://HOST:PORT, with a port from 1 to 65535", endpoint));
    }
    if (to_bind && !insecure && !is_loopback(address.substr(0, colon))) {
        throw EndpointError(
            fmt::format("endpoint '{}' can be reached from other machines, and nothing here is encrypted or "
                        "authenticated: bind to 127.0.0.1 or ipc://, or say --insecure",
                        endpoint));
    }
}

zmq::context_t make_context() {
    zmq::context_t context;
    context.set(zmq::ctxopt::blocky, false);
    context.set(zmq::ctxopt::max_sockets, 16384);
    return context;
}

Socket Socket::bound(zmq::context_t& context, zmq::socket_type type, const std::string& endpoint, Marks marks) {
    Socket socket(make(context, type, marks));
    if (zmq_bind(socket.socket_.handle(), endpoint.c_str()) != 0) {
        const char* advice = zmq_errno() == EADDRINUSE ? "; another process has it" : "";
        throw EndpointError(fmt::format("cannot bind '{}': {}{}", endpoint, zmq_strerror(zmq_errno()), advice));
    }
    socket.endpoint_ = socket.socket_.get(zmq::sockopt::last_endpoint);
    return socket;
}

Socket Socket::connected(zmq::context_t& context, zmq::socket_type type, const std::string& endpoint, Marks marks) {
    Socket socket(make(context, type, marks));
    if (zmq_connect(socket.socket_.handle(), endpoint.c_str()) != 0) {
        throw EndpointError(fmt::format("cannot connect to '{}': {}", endpoint, zmq_strerror(zmq_errno())));
    }
    socket.endpoint_ = endpoint;
    return socket;
}

bool Socket::send(std::string_view bytes) {
    void* handle = socket_.handle();
    for (bool looked = false;;) {
        if (zmq_send(handle, bytes.data(), bytes.size(), ZMQ_DONTWAIT) >= 0) return true;
        const int error = zmq_errno();
        if (error == EINTR) continue;
        // EAGAIN can be a millisecond old. EFSM: a REP whose request is gone.
        if (error == EAGAIN && !looked) {
            looked = true;
            if (takes_more()) continue;
        }
        if (error == EAGAIN || error == EFSM || error == EHOSTUNREACH) return false;
        die("zmq_send");
    }
}

/// Reading the events makes libzmq look at its mailbox, which it does seldom otherwise.
bool Socket::takes_more() {
    return (socket_.get(zmq::sockopt::events) & ZMQ_POLLOUT) != 0;
}

bool Socket::send(Frame& frame) {
    constexpr std::size_t kLarge = 4096;  // below it a copy costs less than a block of its own
    if (frame.size() < kLarge) return send(frame.view());
    if (!takes_more()) return false;
    const std::size_t size = frame.size();
    zmq::message_t message(frame.release(), size, [](void* bytes, void*) { std::free(bytes); });
    for (;;) {
        if (zmq_msg_send(message.handle(), socket_.handle(), ZMQ_DONTWAIT) >= 0) return true;
        if (zmq_errno() == EINTR) continue;
        if (zmq_errno() != EAGAIN) die("zmq_msg_send");
        frame = Frame({message.data<char>(), size});  // it has just said that it would: does not happen
        return false;
    }
}

bool Socket::receive(std::string_view& bytes) {
    for (;;) {
        if (zmq_msg_recv(message_.handle(), socket_.handle(), ZMQ_DONTWAIT) >= 0) {
            bytes = {message_.data<char>(), message_.size()};
            return true;
        }
        const int error = zmq_errno();
        if (error == EINTR) continue;
        if (error == EAGAIN || error == EFSM) return false;
        die("zmq_msg_recv");
    }
}

}  // namespace curfew

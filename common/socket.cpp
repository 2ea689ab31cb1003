#include "common/socket.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>
#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <mutex>
#include <vector>

#include "common/connection_events.h"
#include "common/log.h"
#include "common/options.h"
#include "common/wire_limits.h"

namespace curfew {
namespace {

constexpr std::size_t kLarge = 4096;  // below it a copy costs less than a block of its own

zmq::message_t owning(Frame frame) {
    const std::size_t size = frame.size();
    return {frame.release(), size, [](void* bytes, void*) { std::free(bytes); }};
}

/// A name like 127.example.org may be anybody's.
bool is_loopback(std::string_view host) {
    const bool is_address = host.find_first_not_of("0123456789.") == std::string_view::npos;
    return (is_address && host.starts_with("127.")) || host == "localhost" || host == "[::1]";
}

void check_reach(const std::string& endpoint, Reach reach, Reach allowed) {
    if (reach <= allowed) return;
    throw EndpointError(
        fmt::format("endpoint '{}': {} may be at its other end, and nothing here is encrypted or authenticated: use {} "
                    "or, if everybody who can reach it is trusted, say --insecure",
                    endpoint, reach == Reach::this_machine ? "any user of this machine" : "another machine",
                    allowed == Reach::this_machine ? "ipc://PATH, a loopback address" : "ipc://PATH"));
}

/// The descriptor with which somebody is turned away when there is no other.
class Reserve {
public:
    void hold() {
        const std::lock_guard lock(mutex_);
        if (descriptor_ < 0) descriptor_ = open("/dev/null", O_RDONLY | O_CLOEXEC);
    }

    /// Takes who waits at the listener, and closes the connection. Where even that cannot be had it waits, so that
    /// nobody who asks again and again turns without pause.
    void turn_away(int listener) {
        hold();
        const std::lock_guard lock(mutex_);
        if (descriptor_ >= 0) close(descriptor_);
        const auto stranger = syscall(SYS_accept4, listener, nullptr, nullptr, SOCK_CLOEXEC);
        ++turned_away_;
        if (stranger >= 0) close(static_cast<int>(stranger));
        descriptor_ = open("/dev/null", O_RDONLY | O_CLOEXEC);
        if (stranger < 0) poll(nullptr, 0, 1);
    }

    [[nodiscard]] std::uint64_t turned_away() const { return turned_away_; }

private:
    std::atomic<std::uint64_t> turned_away_ = 0;
    std::mutex mutex_;
    int descriptor_ = -1;
};

Reserve reserve;

[[noreturn]] void die(const char* what) {
    log::error("zmq_broken call={} error={}", what, log::quoted(zmq_strerror(zmq_errno())));
    std::abort();
}

zmq::context_t open_context() {
    try {
        return {};
    } catch (const zmq::error_t& error) {
        throw EndpointError(fmt::format("cannot begin with sockets: {}", error.what()));
    }
}

zmq::socket_t open_socket(zmq::context_t& context, zmq::socket_type type) {
    try {
        return {context, type};
    } catch (const zmq::error_t& error) {
        throw EndpointError(fmt::format("cannot open a socket: {}", error.what()));
    }
}

zmq::socket_t make(zmq::context_t& context, zmq::socket_type type, const Socket::Marks& marks) {
    zmq::socket_t socket = open_socket(context, type);
    const auto linger = std::chrono::duration_cast<std::chrono::milliseconds>(marks.linger).count();
    socket.set(zmq::sockopt::linger, static_cast<int>(linger));
    socket.set(zmq::sockopt::sndhwm, marks.send);
    socket.set(zmq::sockopt::rcvhwm, marks.receive);
    socket.set(zmq::sockopt::maxmsgsize, wire::kLargestFrame);
    socket.set(zmq::sockopt::handshake_ivl, 5000);
    socket.set(zmq::sockopt::connect_timeout, 3000);
    socket.set(zmq::sockopt::reconnect_ivl, 5);  // doubles: who connects before his peer has bound loses little
    socket.set(zmq::sockopt::reconnect_ivl_max, 500);
    socket.set(zmq::sockopt::tcp_keepalive, 1);
    socket.set(zmq::sockopt::tcp_keepalive_idle, 10);
    socket.set(zmq::sockopt::tcp_keepalive_intvl, 3);
    socket.set(zmq::sockopt::tcp_keepalive_cnt, 3);
    socket.set(zmq::sockopt::tcp_maxrt, 15000);
    return socket;
}

}  // namespace

/// In place of libc's, for libzmq 4.3.4. Without a descriptor to accept with, its ipc listener aborts the process, and
/// its tcp listener leaves the caller where it is and is woken for it at once, without end. Here the caller is turned
/// away, and comes again when it likes.
extern "C" int accept4(int listener, sockaddr* address, socklen_t* size, int flags) {
    const auto accepted = syscall(SYS_accept4, listener, address, size, flags);
    if (accepted >= 0 || (errno != EMFILE && errno != ENFILE)) return static_cast<int>(accepted);
    reserve.turn_away(listener);
    errno = ECONNABORTED;
    return -1;
}

bool can_open(std::size_t descriptors) {
    std::vector<int> opened;
    while (opened.size() < descriptors) {
        const int descriptor = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 0);
        if (descriptor < 0) break;
        opened.push_back(descriptor);
    }
    for (const int descriptor : opened) close(descriptor);
    return opened.size() == descriptors;
}

std::uint64_t turned_away() {
    return reserve.turned_away();
}

void check_endpoint(const std::string& endpoint, bool to_bind, Reach allowed) {
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
        // Behind an @ stands a name that no file has: nothing says who may connect to it.
        return check_reach(endpoint, path.front() == '@' ? Reach::this_machine : Reach::this_user, allowed);
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
    check_reach(endpoint, is_loopback(address.substr(0, colon)) ? Reach::this_machine : Reach::anybody, allowed);
}

zmq::context_t make_context() {
    reserve.hold();
    zmq::context_t context = open_context();
    context.set(zmq::ctxopt::blocky, false);
    context.set(zmq::ctxopt::max_sockets, 16384);
    return context;
}

Socket Socket::bound(zmq::context_t& context, zmq::socket_type type, const std::string& endpoint, Marks marks,
                     ConnectionEvents* events) {
    Socket socket(make(context, type, marks));
    if (events != nullptr) events->watch(context, socket);
    if (zmq_bind(socket.socket_.handle(), endpoint.c_str()) != 0) {
        const char* advice = zmq_errno() == EADDRINUSE ? "; another process has it" : "";
        throw EndpointError(fmt::format("cannot bind '{}': {}{}", endpoint, zmq_strerror(zmq_errno()), advice));
    }
    socket.endpoint_ = socket.socket_.get(zmq::sockopt::last_endpoint);
    return socket;
}

bool Socket::bind_anew(void* handle, const std::string& endpoint) {
    return zmq_bind(handle, endpoint.c_str()) == 0;
}

Socket Socket::connected(zmq::context_t& context, zmq::socket_type type, const std::string& endpoint, Marks marks,
                         ConnectionEvents* events) {
    Socket socket(make(context, type, marks));
    if (events != nullptr) events->watch(context, socket);
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

SharedFrame::SharedFrame(Frame frame) : message_(owning(std::move(frame))) {}

/// Reading the events makes libzmq look at its mailbox, which it does seldom otherwise.
bool Socket::takes_more() {
    return (socket_.get(zmq::sockopt::events) & ZMQ_POLLOUT) != 0;
}

bool Socket::send(Frame& frame) {
    if (frame.size() < kLarge) return send(frame.view());
    if (blocked_ && !takes_more()) return false;
    zmq::message_t message = owning(std::move(frame));
    if (send(message)) return true;
    frame = Frame({message.data<char>(), message.size()});  // once: it is asked first from now on
    return false;
}

bool Socket::send(SharedFrame& frame) {
    if (frame.message_.size() < kLarge) return send(frame.view());
    zmq::message_t message;
    message.copy(frame.message_);
    return !(blocked_ && !takes_more()) && send(message);
}

bool Socket::send(zmq::message_t& message) {
    for (bool looked = false;;) {
        if (zmq_msg_send(message.handle(), socket_.handle(), ZMQ_DONTWAIT) >= 0) {
            blocked_ = false;
            return true;
        }
        const int error = zmq_errno();
        if (error == EINTR) continue;
        if (error == EFSM || error == EHOSTUNREACH) return false;
        if (error != EAGAIN) die("zmq_msg_send");
        if (std::exchange(looked, true) || !takes_more()) {
            blocked_ = true;
            return false;
        }
    }
}

bool Socket::receive(std::string_view& bytes) {
    if (news_descriptor_ >= 0 && !unread_) return false;
    for (;;) {
        if (zmq_msg_recv(message_.handle(), socket_.handle(), ZMQ_DONTWAIT) >= 0) {
            unread_ = true;
            bytes = {message_.data<char>(), message_.size()};
            return true;
        }
        const int error = zmq_errno();
        if (error == EINTR) continue;
        if (error != EAGAIN && error != EFSM) die("zmq_msg_recv");
        unread_ = false;  // and libzmq has looked at all news there were
        return false;
    }
}

int Socket::news_descriptor() {
    if (news_descriptor_ < 0) news_descriptor_ = static_cast<int>(socket_.get(zmq::sockopt::fd));
    return news_descriptor_;
}

void Socket::report_connections(const std::string& inproc) {
    if (zmq_socket_monitor(socket_.handle(), inproc.c_str(), ZMQ_EVENT_ALL) != 0) die("zmq_socket_monitor");
}

}  // namespace curfew

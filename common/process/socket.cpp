#include "common/process/socket.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <net/if.h>
#include <netdb.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <memory>
#include <optional>
#include <vector>

#include "common/process/connection_events.h"
#include "common/process/log.h"
#include "common/process/options.h"
#include "common/process/peer_watch.h"
#include "common/process/turned_away.h"
#include "common/wire/wire_limits.h"

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

[[noreturn]] void die(const char* what) {
    log::error("zmq_broken call={} error={}", what, log::quoted(zmq_strerror(zmq_errno())));
    std::abort();
}

/// `SOURCE;HOST`, as libzmq has it, is left to libzmq.
void check_host(const std::string& endpoint, std::string_view host) {
    if (host.find(';') != std::string_view::npos) return;
    const bool bracketed = host.starts_with('[') && host.ends_with(']');
    if (!bracketed && host.find_first_of("[]:") != std::string_view::npos) {
        throw EndpointError(
            fmt::format("endpoint '{}': an IPv6 address stands in brackets, like tcp://[::1]:5555", endpoint));
    }
    if (!bracketed) return;
    std::string address(host.substr(1, host.size() - 2));
    address.resize(std::min(address.find('%'), address.size()));  // of a scope
    in6_addr found{};
    if (inet_pton(AF_INET6, address.c_str(), &found) != 1)
        throw EndpointError(fmt::format("endpoint '{}': '{}' is no IPv6 address", endpoint, address));
}

/// The first IPv4 address of a host, else the first of IPv6, in brackets; nothing where that cannot
/// be said now. Throws where there is no such host.
std::optional<std::string> address_of(const std::string& endpoint, const std::string& host) {
    addrinfo* first = nullptr;
    addrinfo wanted{};
    wanted.ai_family = AF_UNSPEC;
    wanted.ai_socktype = SOCK_STREAM;
    const int error = getaddrinfo(host.c_str(), nullptr, &wanted, &first);
    if (error == EAI_AGAIN) return std::nullopt;
    if (error != 0) {
        throw EndpointError(
            fmt::format("endpoint '{}': there is no host '{}': {}", endpoint, host, gai_strerror(error)));
    }
    const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> all(first, freeaddrinfo);
    std::optional<std::string> address;
    for (const addrinfo* one = first; one != nullptr; one = one->ai_next) {
        char text[256] = {};
        if (getnameinfo(one->ai_addr, one->ai_addrlen, text, sizeof text, nullptr, 0, NI_NUMERICHOST) != 0) continue;
        if (one->ai_family == AF_INET) return text;
        if (one->ai_family == AF_INET6 && !address) address = fmt::format("[{}]", text);
    }
    return address;
}

zmq::context_t open_context() {
    try {
        return {};
    } catch (const zmq::error_t& error) {
        throw EndpointError(fmt::format("cannot begin with sockets: {}", error.what()), error.num());
    }
}

zmq::socket_t open_socket(zmq::context_t& context, zmq::socket_type type) {
    try {
        return {context, type};
    } catch (const zmq::error_t& error) {
        throw EndpointError(fmt::format("cannot open a socket: {}", error.what()), error.num());
    }
}

int in_ms(Duration duration) {
    return static_cast<int>(std::chrono::duration_cast<std::chrono::milliseconds>(duration).count());
}

/// An IPv6 address, which stands in brackets. Only there: with the option on, libzmq would bind `*`
/// by IPv6, too.
bool is_ipv6(std::string_view endpoint) {
    return endpoint.starts_with("tcp://[");
}

zmq::socket_t make(zmq::context_t& context, zmq::socket_type type, const std::string& endpoint,
                   const Socket::Marks& marks) {
    zmq::socket_t socket = open_socket(context, type);
    socket.set(zmq::sockopt::linger, in_ms(marks.linger));
    socket.set(zmq::sockopt::sndhwm, marks.send);
    socket.set(zmq::sockopt::rcvhwm, marks.receive);
    if (marks.immediate) socket.set(zmq::sockopt::immediate, 1);
    if (is_ipv6(endpoint)) socket.set(zmq::sockopt::ipv6, 1);
    socket.set(zmq::sockopt::maxmsgsize, wire::kLargestFrame);
    socket.set(zmq::sockopt::handshake_ivl, 5000);
    socket.set(zmq::sockopt::connect_timeout, 3000);
    // doubles: who connects before his peer has bound loses little
    socket.set(zmq::sockopt::reconnect_ivl, 5);
    socket.set(zmq::sockopt::reconnect_ivl_max, 500);
    socket.set(zmq::sockopt::tcp_keepalive, 1);
    socket.set(zmq::sockopt::tcp_keepalive_idle, 10);
    socket.set(zmq::sockopt::tcp_keepalive_intvl, 3);
    socket.set(zmq::sockopt::tcp_keepalive_cnt, 3);
    socket.set(zmq::sockopt::tcp_maxrt, 15000);
    return socket;
}

}  // namespace

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
    const std::string_view host = address.substr(0, colon);
    check_host(endpoint, host);
    check_reach(endpoint, is_loopback(host) ? Reach::this_machine : Reach::anybody, allowed);
}

std::string with_address(const std::string& endpoint, bool to_bind) {
    const std::string_view view = endpoint;
    if (!view.starts_with("tcp://") || is_ipv6(view)) return endpoint;
    const std::size_t colon = view.rfind(':');
    const std::string host(view.substr(6, colon - 6));
    const bool is_address = host.find_first_not_of("0123456789.") == std::string::npos;
    if (host == "*" && !to_bind)
        throw EndpointError(fmt::format("endpoint '{}': * is for who binds; name the host to connect to", endpoint));
    if (host == "*" || is_address || host.find(';') != std::string::npos ||
        (to_bind && if_nametoindex(host.c_str()) != 0))
        return endpoint;
    const std::optional<std::string> address = address_of(endpoint, host);
    // Who connects by name finds a host that moves; libzmq asks again at each try, for IPv4.
    if (!address || (!to_bind && !address->starts_with('['))) return endpoint;
    return fmt::format("tcp://{}{}", *address, view.substr(colon));
}

zmq::context_t make_context() {
    hold_reserve();
    zmq::context_t context = open_context();
    context.set(zmq::ctxopt::blocky, false);
    context.set(zmq::ctxopt::max_sockets, 16384);
    return context;
}

/// Why the address cannot be bound. libzmq tells those who watch a socket of it before it returns,
/// and on a busy machine that puts EAGAIN in the place of the reason: a socket that nobody watches
/// says it.
static int bind_error(zmq::context_t& context, zmq::socket_type type, const std::string& endpoint) {
    const int error = zmq_errno();
    if (error != EAGAIN) return error;
    zmq::socket_t unwatched = make(context, type, endpoint, {});
    // Where it can be bound now, somebody has just let it go.
    return zmq_bind(unwatched.handle(), endpoint.c_str()) == 0 ? EADDRINUSE : zmq_errno();
}

Socket Socket::bound(zmq::context_t& context, zmq::socket_type type, const std::string& endpoint, Marks marks,
                     ConnectionEvents* events) {
    Socket socket(make(context, type, endpoint, marks));
    if (events != nullptr) events->watch(context, socket);
    if (zmq_bind(socket.socket_.handle(), endpoint.c_str()) != 0) {
        const int error = bind_error(context, type, endpoint);
        const char* advice = error == EADDRINUSE                         ? "; another process has it"
                             : error == ENODEV || error == EADDRNOTAVAIL ? "; this machine has no such address"
                                                                         : "";
        throw EndpointError(fmt::format("cannot bind '{}': {}{}", endpoint, zmq_strerror(error), advice), error);
    }
    socket.endpoint_ = socket.socket_.get(zmq::sockopt::last_endpoint);
    return socket;
}

bool Socket::bind_anew(void* handle, const std::string& endpoint) {
    return zmq_bind(handle, endpoint.c_str()) == 0;
}

Socket Socket::connected(zmq::context_t& context, zmq::socket_type type, const std::string& endpoint, Marks marks,
                         ConnectionEvents* events) {
    Socket socket(make(context, type, endpoint, marks));
    if (events != nullptr) events->watch(context, socket);
    socket.connect(endpoint);
    return socket;
}

Socket Socket::connected(zmq::context_t& context, zmq::socket_type type, const std::string& endpoint, Marks marks,
                         PeerWatch& watch) {
    Socket socket(make(context, type, endpoint, marks));
    watch.watch(context, socket);
    socket.connect(endpoint);
    return socket;
}

void Socket::connect(const std::string& endpoint) {
    if (zmq_connect(socket_.handle(), endpoint.c_str()) != 0) {
        const int error = zmq_errno();
        throw EndpointError(fmt::format("cannot connect to '{}': {}", endpoint, zmq_strerror(error)), error);
    }
    endpoint_ = endpoint;
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

void Socket::linger_at_end(Duration linger) {
    socket_.set(zmq::sockopt::linger, in_ms(linger));
}

void Socket::report_no_more() {
    (void)zmq_socket_monitor(socket_.handle(), nullptr, 0);
}

void Socket::report_connections(const std::string& inproc) {
    if (zmq_socket_monitor(socket_.handle(), inproc.c_str(), ZMQ_EVENT_ALL) != 0) die("zmq_socket_monitor");
}

}  // namespace curfew

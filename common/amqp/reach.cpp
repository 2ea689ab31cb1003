#include "common/amqp/reach.h"

#include <fmt/format.h>
#include <netdb.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <memory>

#include "common/amqp/connection.h"
#include "common/amqp/lookup.h"

namespace curfew::amqp {
namespace {

using SystemClock = std::chrono::steady_clock;

std::string why_not(int error) {
    if (error == ECANCELED) return "stopped";
    if (error == ETIMEDOUT) return "no answer";
    if (error == EMFILE || error == ENFILE) return "there are too few descriptors (ulimit -n)";
    return "no connection: nobody listens there, or the way is closed";
}

/// 0, or why it did not come to that (errno).
int wait_for(int descriptor, short events, const Cutter& cutter, Instant until) {
    std::array<pollfd, 2> watched{{{descriptor, events, 0}, {cutter.descriptor(), POLLIN, 0}}};
    for (;;) {
        const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - SystemClock::now()).count();
        if (left <= 0) return ETIMEDOUT;
        const int found = ::poll(watched.data(), watched.size(), static_cast<int>(left));
        if (found < 0 && errno != EINTR) return errno;
        if (found > 0) return watched[1].revents != 0 ? ECANCELED : 0;
    }
}

std::shared_ptr<const Lookup> look_up(const Address::Host& host, const Cutter& cutter, Instant until) {
    std::shared_ptr<const Lookup> lookup = Lookup::of(host);
    if (const int error = wait_for(lookup->over(), POLLIN, cutter, until); error != 0)
        throw Lost(fmt::format("{}: {}", host.text(),
                               error == ETIMEDOUT ? "its name is looked up, without an answer" : why_not(error)));
    Lookup::done_with(host);
    if (lookup->error() != 0)
        throw Lost(fmt::format("{}: it is not found: {}", host.text(), gai_strerror(lookup->error())));
    return lookup;
}

/// 0, or why not.
int connect(int socket, const addrinfo& address, const Cutter& cutter, Instant until) {
    if (::connect(socket, address.ai_addr, address.ai_addrlen) == 0) return 0;
    if (errno != EINPROGRESS) return errno;
    if (const int error = wait_for(socket, POLLOUT, cutter, until); error != 0) return error;
    int error = 0;
    socklen_t size = sizeof error;
    return getsockopt(socket, SOL_SOCKET, SO_ERROR, &error, &size) == 0 ? error : errno;
}

}  // namespace

int reach(const Address::Host& host, const Cutter& cutter, Instant until) {
    const std::shared_ptr<const Lookup> lookup = look_up(host, cutter, until);
    int error = 0;
    for (const addrinfo* at = lookup->found(); at != nullptr && error != ECANCELED; at = at->ai_next) {
        const int socket = ::socket(at->ai_family, at->ai_socktype | SOCK_NONBLOCK | SOCK_CLOEXEC, at->ai_protocol);
        error = socket < 0 ? errno : connect(socket, *at, cutter, until);
        if (error == 0) return socket;
        if (socket >= 0) ::close(socket);
    }
    throw Lost(fmt::format("{}: {}", host.text(), why_not(error)));
}

void hear_out(int socket, Instant until) {
    constexpr auto kLook = std::chrono::milliseconds(100);
    ::shutdown(socket, SHUT_WR);
    std::array<char, 65'536> unwanted{};
    while (SystemClock::now() < until) {
        pollfd watched{socket, POLLIN, 0};
        ::poll(&watched, 1, static_cast<int>(kLook.count()));
        const ssize_t got = ::recv(socket, unwanted.data(), unwanted.size(), MSG_DONTWAIT);
        if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR)) return;
    }
}

}  // namespace curfew::amqp

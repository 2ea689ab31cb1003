#include "worker/handlers/http/transfers.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <stdexcept>
#include <system_error>
#include <utility>

#include "common/process/clock.h"

namespace curfew {
namespace {

/// Sockets that a turn looks at; the rest follow in the next.
constexpr std::size_t kMostReady = 256;
/// Streams of one HTTP/2 connection, where the server allows as many.
constexpr long kMostStreams = 1000;

void start_libcurl() {
    static const CURLcode started = curl_global_init(CURL_GLOBAL_DEFAULT);
    if (started != CURLE_OK) throw std::runtime_error("libcurl cannot be started");
}

bool speaks_http2(CURL* easy) {
    long version = 0;
    curl_easy_getinfo(easy, CURLINFO_HTTP_VERSION, &version);
    return version >= CURL_HTTP_VERSION_2_0;
}

int make_dead_socket() {
    std::array<int, 2> ends{};
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) != 0)
        throw std::system_error(errno, std::generic_category(), "socketpair");
    close(ends[1]);
    return ends[0];
}

}  // namespace

Transfers::Transfers(long connections, bool shared, Done done) : shared_(shared), done_(std::move(done)) {
    start_libcurl();
    epoll_ = epoll_create1(EPOLL_CLOEXEC);
    if (epoll_ < 0) throw std::system_error(errno, std::generic_category(), "epoll_create1");
    dead_ = make_dead_socket();
    multi_ = curl_multi_init();
    if (multi_ == nullptr) throw std::runtime_error("libcurl cannot be started");
    curl_multi_setopt(multi_, CURLMOPT_SOCKETFUNCTION, &Transfers::on_socket);
    curl_multi_setopt(multi_, CURLMOPT_SOCKETDATA, this);
    curl_multi_setopt(multi_, CURLMOPT_TIMERFUNCTION, &Transfers::on_timer);
    curl_multi_setopt(multi_, CURLMOPT_TIMERDATA, this);
    curl_multi_setopt(multi_, CURLMOPT_MAXCONNECTS, connections);
    curl_multi_setopt(multi_, CURLMOPT_MAX_CONCURRENT_STREAMS, kMostStreams);
}

Transfers::~Transfers() {
    curl_multi_cleanup(multi_);
    close(dead_);
    close(epoll_);
}

void Transfers::prepare(CURL* easy) {
    curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, &Transfers::open_socket);
    curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, this);
    curl_easy_setopt(easy, CURLOPT_CLOSESOCKETFUNCTION, &Transfers::close_socket);
    curl_easy_setopt(easy, CURLOPT_CLOSESOCKETDATA, this);
    curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION, &Transfers::on_connected);
    curl_easy_setopt(easy, CURLOPT_PREREQDATA, this);
    // Else an abort would wait for the thread that looks the name up.
    curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
}

void Transfers::add(CURL* easy) {
    curl_multi_add_handle(multi_, easy);
    act(CURL_SOCKET_TIMEOUT, 0);  // it has put itself there, to begin at once
}

void Transfers::abort(CURL* easy) {
    note_reset(easy);
    aborting_ = !shared_;
    curl_multi_remove_handle(multi_, easy);
    aborting_ = false;
}

void Transfers::note_reset(CURL* easy) {
    if (!shared_) return;
    curl_socket_t socket = CURL_SOCKET_BAD;
    curl_easy_getinfo(easy, CURLINFO_ACTIVESOCKET, &socket);
    if (socket != CURL_SOCKET_BAD && std::ranges::find(reset_sockets_, socket) == reset_sockets_.end())
        reset_sockets_.push_back(socket);
}

/// To go on after a pause sends what is written down.
void Transfers::nudge(CURL* easy) {
    curl_socket_t socket = CURL_SOCKET_BAD;
    curl_easy_getinfo(easy, CURLINFO_ACTIVESOCKET, &socket);
    if (std::erase(reset_sockets_, socket) == 0) return;
    curl_easy_pause(easy, CURLPAUSE_RECV);
    curl_easy_pause(easy, CURLPAUSE_CONT);
}

void Transfers::bury_unused() {
    for (const curl_socket_t socket : reset_sockets_) bury(socket);
    reset_sockets_.clear();
}

// ---- the turn ----------------------------------------------------------------------------------

std::span<const epoll_event> Transfers::ready(std::span<epoll_event> room) const {
    const int count = epoll_wait(epoll_, room.data(), static_cast<int>(room.size()), 0);
    return room.first(static_cast<std::size_t>(std::max(count, 0)));
}

void Transfers::bury_spoilt() {
    std::array<epoll_event, kMostReady> room;
    for (const epoll_event& event : ready(room)) (void)bury_if_spoilt(event);
}

/// False: it does not rest, and what has come is an answer.
bool Transfers::bury_if_spoilt(const epoll_event& event) {
    constexpr std::uint32_t kEnd = EPOLLRDHUP | EPOLLHUP | EPOLLERR;
    const Watched& at = watched(event.data.fd);
    if (!at.rests) return false;
    if (at.may_talk && (event.events & kEnd) == 0) {
        watch(event.data.fd, EPOLLRDHUP);  // libcurl reads the rest when it uses it again
    } else {
        bury(event.data.fd);
    }
    return true;
}

void Transfers::bury(curl_socket_t socket) {
    watch(socket, 0);
    dup3(dead_, socket, O_CLOEXEC);
}

void Transfers::turn(Instant now) {
    std::array<epoll_event, kMostReady> room;
    for (const epoll_event& event : ready(room)) {
        if (bury_if_spoilt(event)) continue;
        const int events = ((event.events & EPOLLIN) != 0 ? CURL_CSELECT_IN : 0) |
                           ((event.events & EPOLLOUT) != 0 ? CURL_CSELECT_OUT : 0) |
                           ((event.events & (EPOLLERR | EPOLLHUP)) != 0 ? CURL_CSELECT_ERR : 0);
        act(event.data.fd, events);
    }
    if (now < timer_at_) return;
    timer_at_ = kNever;
    act(CURL_SOCKET_TIMEOUT, 0);
}

void Transfers::act(curl_socket_t socket, int events) {
    int running = 0;
    curl_multi_socket_action(multi_, socket, events, &running);
    take_done();
}

void Transfers::take_done() {
    int left = 0;
    while (const CURLMsg* message = curl_multi_info_read(multi_, &left)) {
        if (message->msg != CURLMSG_DONE) continue;
        CURL* easy = message->easy_handle;
        const CURLcode code = message->data.result;
        if (code != CURLE_OK) note_reset(easy);
        curl_multi_remove_handle(multi_, easy);  // the message is gone with it
        done_(easy, code);
    }
}

// ---- what libcurl calls ------------------------------------------------------------------------

int Transfers::on_socket(CURL* easy, curl_socket_t socket, int what, void* self, void*) {
    auto& transfers = *static_cast<Transfers*>(self);
    Watched& watched = transfers.watched(socket);
    watched.rests = what == CURL_POLL_REMOVE && watched.ours;
    if (watched.rests) {
        if (transfers.shared_) watched.may_talk = speaks_http2(easy);
        return 0;
    }
    const std::uint32_t in = (what & CURL_POLL_IN) != 0 && what != CURL_POLL_REMOVE ? EPOLLIN : 0U;
    const std::uint32_t out = (what & CURL_POLL_OUT) != 0 && what != CURL_POLL_REMOVE ? EPOLLOUT : 0U;
    transfers.watch(socket, in | out);
    return 0;
}

Transfers::Watched& Transfers::watched(curl_socket_t socket) {
    const auto at = static_cast<std::size_t>(socket);
    if (at >= watched_.size()) watched_.resize(at + 1);
    return watched_[at];
}

void Transfers::watch(curl_socket_t socket, std::uint32_t events) {
    Watched& known = watched(socket);
    if (known.events == events) return;
    const int how = known.events == 0 ? EPOLL_CTL_ADD : events == 0 ? EPOLL_CTL_DEL : EPOLL_CTL_MOD;
    epoll_event event{};
    event.events = events;
    event.data.fd = socket;
    epoll_ctl(epoll_, how, socket, &event);
    known.events = events;
}

int Transfers::on_timer(CURLM*, long after_ms, void* self) {
    static_cast<Transfers*>(self)->timer_at_ =
        after_ms < 0 ? kNever : Clock::now() + std::chrono::milliseconds(after_ms);
    return 0;
}

curl_socket_t Transfers::open_socket(void* self, curlsocktype, curl_sockaddr* address) {
    auto& transfers = *static_cast<Transfers*>(self);
    const int socket = ::socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
    if (socket >= 0) {
        ++transfers.opened_;
        transfers.watched(socket) = {.ours = true};
    }
    transfers.connecting_ = true;
    return socket < 0 ? CURL_SOCKET_BAD : socket;
}

int Transfers::on_connected(void* self, char*, char*, int, int) {
    static_cast<Transfers*>(self)->connecting_ = true;
    return CURL_PREREQFUNC_OK;
}

int Transfers::close_socket(void* self, curl_socket_t socket) {
    auto& transfers = *static_cast<Transfers*>(self);
    std::erase(transfers.reset_sockets_, socket);
    transfers.watched(socket) = {};  // the kernel takes it out of the epoll
    const linger reset{.l_onoff = 1, .l_linger = 0};
    if (transfers.aborting_) setsockopt(socket, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    return close(socket);
}

}  // namespace curfew

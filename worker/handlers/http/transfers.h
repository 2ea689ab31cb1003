// libcurl's multi interface in a loop that is not its own: however many requests are under way, the
// loop sleeps on one descriptor and one time. Owned by a handler, on its thread; never blocks.
//
// A connection that rests is watched. Whatever comes on it was not asked for: its end, or bytes
// that libcurl would take for the beginning of the next answer. It is buried: in place of its
// socket its descriptor names a dead one, which libcurl finds dead and does not use again. The
// socket itself is closed at once.
#pragma once

#include <curl/curl.h>
#include <sys/epoll.h>

#include <cstdint>
#include <functional>
#include <span>
#include <utility>
#include <vector>

#include "common/words/vocabulary.h"

namespace curfew {

class Transfers {
public:
    /// Told of each that has come to its end, after it was removed; within turn() or add().
    using Done = std::function<void(CURL* easy, CURLcode code)>;

    /// `connections`: so many are kept. `shared`: several transfers use one (HTTP/2). Throws
    /// std::runtime_error, std::system_error.
    Transfers(long connections, bool shared, Done done);
    /// No request is under way any more.
    ~Transfers();
    Transfers(const Transfers&) = delete;
    Transfers& operator=(const Transfers&) = delete;

    /// The socket options of a new handle: those that this class needs.
    void prepare(CURL* easy);
    void add(CURL* easy);
    /// Ends it at once. A connection that it has for itself is closed with a reset: the other side
    /// sees at once that nobody reads on, and no port is kept for a minute. On one that is shared
    /// the stream is reset; then see flush_resets().
    void abort(CURL* easy);
    /// Resets of streams wait to be sent: libcurl 7.88 writes them down, and sends them when the
    /// connection is used next. So another transfer on it is nudged, or, where there is none, the
    /// connection is buried. Once for all that a turn has ended.
    [[nodiscard]] bool has_resets() const { return !reset_sockets_.empty(); }
    /// `easy`: each transfer that is under way.
    template <typename Each>
    void flush_resets(Each&& each) {
        each([this](CURL* easy) { nudge(easy); });
        bury_unused();
    }

    /// Buries connections that rest and on which something has come. To be called before requests
    /// begin, once for all that begin together; turn() does it too.
    void bury_spoilt();
    /// Does what is due.
    void turn(Instant now);
    /// Readable when turn() has something to do.
    [[nodiscard]] int descriptor() const { return epoll_; }
    [[nodiscard]] Instant next_deadline() const { return timer_at_; }

    /// Connections that were opened so far.
    [[nodiscard]] std::uint64_t opened() const { return opened_; }
    /// Since it was asked last a request has got beyond its name: a connection is being opened, or
    /// one that there was is used.
    [[nodiscard]] bool take_connecting() { return std::exchange(connecting_, false); }

private:
    static int on_socket(CURL* easy, curl_socket_t socket, int what, void* self, void* known);
    static int on_timer(CURLM* multi, long after_ms, void* self);
    static curl_socket_t open_socket(void* self, curlsocktype purpose, curl_sockaddr* address);
    static int on_connected(void* self, char* address, char* own_address, int port, int own_port);
    static int close_socket(void* self, curl_socket_t socket);
    /// What the loop waits for at a socket. A connection of ours that rests stays watched: the next
    /// request on it needs no change.
    struct Watched {
        std::uint32_t events = 0;  ///< 0: it is not in the epoll
        bool ours = false;         ///< we have opened it, and hear of its end
        bool rests = false;
        bool may_talk = false;  ///< what comes while it rests may be of its protocol: HTTP/2
    };
    [[nodiscard]] std::span<const epoll_event> ready(std::span<epoll_event> room) const;
    [[nodiscard]] Watched& watched(curl_socket_t socket);
    void watch(curl_socket_t socket, std::uint32_t events);
    bool bury_if_spoilt(const epoll_event& event);
    void bury(curl_socket_t socket);
    void note_reset(CURL* easy);
    void nudge(CURL* easy);
    void bury_unused();
    void act(curl_socket_t socket, int events);
    void take_done();

    const bool shared_;
    Done done_;
    std::vector<Watched> watched_;  // by descriptor
    int epoll_ = -1;
    int dead_ = -1;  ///< a socket whose other end is closed
    CURLM* multi_ = nullptr;
    Instant timer_at_ = kNever;
    bool aborting_ = false;
    bool connecting_ = false;
    std::uint64_t opened_ = 0;
    std::vector<curl_socket_t> reset_sockets_;  // with resets of streams that are not sent yet
};

}  // namespace curfew

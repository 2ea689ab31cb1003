// ZeroMQ sockets the way this project uses them: no send blocks, no exception on the way of a
// message, LINGER and marks set before bind or connect, one frame a message. A socket belongs to
// one thread.
//
// The marks follow from how libzmq 4.3.4 behaves: a PULL under credit has none, since reaching it
// can lose messages or abort the process; a PUSH has one as an alarm. Errors of bind and connect
// are thrown as EndpointError, with what to do; anything else that libzmq reports is a broken
// invariant and ends the process.
#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>
#include <zmq.hpp>

#include "common/wire/frame.h"
#include "common/words/vocabulary.h"

namespace curfew {

struct EndpointError : std::runtime_error {
    explicit EndpointError(const std::string& message, int error_number = 0)
        : std::runtime_error(message), error(error_number) {}
    int error;  ///< errno where the system refused; 0: the endpoint is none, or must not be
};

/// Who may stand at the other end of a socket. An ipc socket with a path is guarded by the folder
/// and file it is in; what has no path, and tcp, by nothing: any user of this machine may connect,
/// and bind before us.
enum class Reach : std::uint8_t {
    this_user,     ///< what the group says to itself
    this_machine,  ///< raw messages in, raw outcomes out
    anybody,       ///< --insecure
};

/// Checks the form of an endpoint, and that nobody can be at its other end who may not. Throws
/// EndpointError.
void check_endpoint(const std::string& endpoint, bool to_bind, Reach allowed);

/// The endpoint as libzmq can use it, which binds no host's name, and connects a name by IPv4
/// alone: the first address of the name in its place where that is needed. Asks the resolver, and
/// waits for it: only for what the user has said, at the start. Throws EndpointError where there is
/// no such host.
[[nodiscard]] std::string with_address(const std::string& endpoint, bool to_bind);

/// Whether so many descriptors could be opened now.
[[nodiscard]] bool can_open(std::size_t descriptors);

/// The context of a process: one. Who forks later execs at once.
[[nodiscard]] zmq::context_t make_context();

/// A frame that goes to several sockets: they share its memory.
class SharedFrame {
public:
    explicit SharedFrame(Frame frame);
    [[nodiscard]] std::string_view view() const { return {message_.data<char>(), message_.size()}; }

private:
    friend class Socket;
    zmq::message_t message_;
};

class ConnectionEvents;
class PeerWatch;

class Socket {
public:
    struct Marks {
        int send = 0;  ///< most messages that wait to be sent; 0: no mark
        int receive = 0;
        Duration linger = std::chrono::milliseconds(200);
        bool immediate = false;  ///< nothing is taken while nobody is at the other end
    };
    /// `events`, where there are any, count what happens to its connections from the beginning.
    /// Binds; `endpoint()` says where (a tcp port `*` is chosen by the system).
    [[nodiscard]] static Socket bound(zmq::context_t& context, zmq::socket_type type, const std::string& endpoint,
                                      Marks marks, ConnectionEvents* events = nullptr);
    [[nodiscard]] static Socket connected(zmq::context_t& context, zmq::socket_type type, const std::string& endpoint,
                                          Marks marks, ConnectionEvents* events = nullptr);
    /// The same; `watch` is told of who is at the other end.
    [[nodiscard]] static Socket connected(zmq::context_t& context, zmq::socket_type type, const std::string& endpoint,
                                          Marks marks, PeerWatch& watch);

    /// True if libzmq has taken it. False: not now; it is not sent.
    [[nodiscard]] bool send(std::string_view bytes);
    /// The same; a large frame is handed over, not copied, and is empty if it was taken.
    [[nodiscard]] bool send(Frame& frame);
    [[nodiscard]] bool send(SharedFrame& frame);

    /// Bound at this endpoint once more, since its file was removed; who is connected stays so. The
    /// old listener hears nobody any more and goes with the socket: to unbind it would remove the
    /// file, and at a time of libzmq's own.
    [[nodiscard]] static bool bind_anew(void* handle, const std::string& endpoint);
    /// What stays the same when the socket is moved.
    [[nodiscard]] void* handle() { return socket_.handle(); }

    /// Nobody will come for what waits to be sent: it goes with the socket, without lingering.
    void drop_at_end() { linger_at_end(Duration::zero()); }
    void linger_at_end(Duration linger);

    /// The next message, if one has come; valid until the next call.
    [[nodiscard]] bool receive(std::string_view& bytes);

    // For the Poller:
    /// Readable when there is news for the socket. From now on receive() looks only after wake().
    [[nodiscard]] int news_descriptor();
    void wake() { unread_ = true; }
    /// It was woken, or has given a message, and was not read to empty since.
    [[nodiscard]] bool unread() const { return unread_; }

    [[nodiscard]] const std::string& endpoint() const { return endpoint_; }

    /// Tells a PAIR socket that connects to this inproc endpoint what happens to its connections.
    void report_connections(const std::string& inproc);
    /// To be called before that PAIR goes, unless it has told that it stopped: libzmq's thread
    /// would wait for another.
    void report_no_more();

private:
    [[nodiscard]] bool takes_more();
    [[nodiscard]] bool send(zmq::message_t& message);
    explicit Socket(zmq::socket_t socket) : socket_(std::move(socket)) {}
    void connect(const std::string& endpoint);

    zmq::socket_t socket_;
    zmq::message_t message_;
    std::string endpoint_;
    int news_descriptor_ = -1;
    bool unread_ = true;
    bool blocked_ = false;  // the last frame was not taken
};

}  // namespace curfew

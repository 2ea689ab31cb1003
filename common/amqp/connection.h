// A connection to an AMQP 0-9-1 server such as RabbitMQ, with one channel: librabbitmq, with what
// it leaves to its user. It says at the login what it understands (a consumer that is cancelled, a
// connection that is blocked; amqp_login alone does not), has a time for each step, and notices
// within a few heartbeats that nobody is there.
//
// For one thread, which may wait: what is read is waited for with a deadline and a descriptor that
// ends the wait; what is written is waited for as long as the server takes it. Another thread ends
// each wait with the Cutter, that for the connection itself too.
// Errors are thrown as Lost (the connection, or its channel, is gone: open another) or Refused (the
// server says no: another one like it would be told the same).
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "common/amqp/address.h"
#include "common/amqp/cutter.h"
#include "common/words/vocabulary.h"

struct amqp_connection_state_t_;
struct amqp_table_t_;
struct amqp_frame_t_;

namespace curfew::amqp {

struct Lost : std::runtime_error {
    using std::runtime_error::runtime_error;
};
/// The server has closed it, and not for a reason of its own, or we cannot go on with it: it may be
/// for what was said last.
struct Closed : Lost {
    using Lost::Lost;
};
/// A message came that cannot be read. It is rejected, not to come again; the connection is gone.
struct Unreadable : Lost {
    using Lost::Lost;
};
/// `code`: of AMQP, as 404; 0 where the server has not given one.
struct Refused : std::runtime_error {
    Refused(int reply_code, const std::string& what) : std::runtime_error(what), code(reply_code) {}
    int code;
};

/// How to get in.
struct Access {
    Address address;
    std::string password{};
    std::string ca, certificate, key;  ///< files; no `ca`: what the system trusts
    std::string name;                  ///< of the connection, for who looks at the server
    /// Else a frame of headers may come that is longer than what was agreed.
    bool publishes = true;
    static constexpr auto kHeartbeat = std::chrono::seconds(5);
};

/// As far as we read and write them.
struct Properties {
    std::string message_id, reply_to, correlation_id, content_type, expiration;
    std::vector<std::pair<std::string, std::string>> headers;  ///< values as text
    std::uint64_t delivery_count = 0;                          ///< the header x-delivery-count
};

// ---- what a server says by itself --------------------------------------------------------------

struct Delivered {
    std::uint64_t tag = 0;
    bool redelivered = false;
    Properties properties{};
    std::string body{};      ///< what is over the limit is not kept
    std::uint64_t size = 0;  ///< of the body
};
/// Nobody gets what stood in a queue of which we were told, or it is gone.
struct ConsumerCancelled {};
struct Confirmed {
    std::uint64_t tag = 0;
    bool multiple = false;
    bool taken = true;  ///< false: the server could not (nack)
};
/// No queue has taken it.
struct Returned {
    std::string exchange, key, text;
    std::string task{};  ///< the header `task`
};
/// It takes no more from who publishes; empty: it does again.
struct Blocked {
    std::string reason;
};
using Event = std::variant<Delivered, ConsumerCancelled, Confirmed, Returned, Blocked>;

class Connection {
public:
    /// RabbitMQ sends the headers of a message in one frame, also when that is longer than what was
    /// agreed at the login (a sender over HTTP has no such limit). Who does not publish reads it up
    /// to here, in bytes.
    static constexpr int kLongestHeaders = 1'310'720;

    /// Tries the hosts in turn, from `first` on. Throws Lost where none can be reached, Refused.
    /// The cutter is for this connection alone as long as there is one.
    Connection(const Access& access, std::size_t first, Cutter& cutter);
    ~Connection();
    Connection(const Connection&) = delete;
    Connection& operator=(const Connection&) = delete;

    [[nodiscard]] const std::string& host() const { return host_; }
    /// As the server calls itself: "RabbitMQ 3.10.8".
    [[nodiscard]] const std::string& server() const { return server_; }

    // ---- questions, each of which waits for its answer. A Refused closes the channel

    void open_channel();
    /// How many messages wait in it.
    [[nodiscard]] std::uint64_t look_at_queue(const std::string& queue);
    void look_at_exchange(const std::string& exchange);
    /// A quorum queue, durable; `arguments` beside that.
    void declare_queue(const std::string& queue, const std::vector<std::pair<std::string, std::int64_t>>& limits);
    void confirm_publishes();
    /// From now on Delivered come, at most `prefetch` of them that are not acknowledged.
    void consume(const std::string& queue, std::uint16_t prefetch, std::size_t max_body);

    // ---- said, and not answered

    void stop_consuming();
    void acknowledge(std::uint64_t tag, bool multiple);
    void reject(std::uint64_t tag, bool requeue);
    /// The n-th publish since confirm_publishes() is confirmed under the number n.
    void publish(const std::string& exchange, const std::string& key, const Properties& properties,
                 std::string_view body);

    /// Held: what is said goes out in full packets, and the rest when it is let go; so what is said
    /// together costs the server a few reads, and not one a message.
    void hold(bool held) const;
    /// The server reads nothing, and says so: that what is written is not taken means no more that
    /// nobody is there (heartbeats tell that still).
    void server_reads(bool does) const;

    /// The next event, if there is one. Waits for it until then; none at once where `wake` is
    /// readable. Throws Unreadable, too.
    [[nodiscard]] std::optional<Event> next(int wake, Instant until);
    /// Says goodbye, waits for a moment.
    void close();

private:
    struct Body {
        std::size_t limit = 0;
        std::uint64_t left = 0;      // of the message that is under way
        bool has_headers = false;    // they have come
        std::optional<Event> event;  // whose message it is
    };
    void open_to(const Access& access, const Address::Host& host);
    void log_in(const Access& access);
    void end();
    [[nodiscard]] std::optional<Event> take(const amqp_frame_t_& frame);
    [[nodiscard]] std::optional<Event> take_method(const amqp_frame_t_& frame);
    [[nodiscard]] std::optional<Event> finish_body();
    [[noreturn]] void refuse_what_comes(const Delivered& came) const;
    void answer(const char* what) const;
    void sent(int status, const char* what) const;
    [[nodiscard]] bool wait(int wake, Instant until) const;

    Cutter& cutter_;
    amqp_connection_state_t_* state_ = nullptr;
    std::uint16_t channel_ = 0;
    std::string host_, server_;
    std::string consumer_;
    Body body_;
};

}  // namespace curfew::amqp

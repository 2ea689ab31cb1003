#include "common/amqp/connection.h"

#include <amqp.h>
#include <amqp_framing.h>
#include <amqp_ssl_socket.h>
#include <amqp_tcp_socket.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>

#include "common/amqp/failure.h"
#include "common/amqp/reach.h"
#include "common/amqp/table.h"
#include "common/amqp/tls.h"

namespace curfew::amqp {
namespace {

using namespace std::chrono_literals;

constexpr auto kPatience = 10s;       // for a connection, and for each answer
constexpr auto kLongPatience = 120s;  // for answers where messages come
constexpr auto kGoodbye = 2s;         // for the last word on a connection that is not read any more
constexpr int kFrameMax = 131072;

timeval time_of(Duration duration) {
    const auto micros = std::chrono::duration_cast<std::chrono::microseconds>(duration).count();
    return {.tv_sec = micros / 1'000'000, .tv_usec = micros % 1'000'000};
}

/// What the server said of a closed channel or connection.
[[noreturn]] void refuse(const amqp_method_t& reply, const char* what) {
    int code = 0;
    std::string text;
    constexpr std::array kPassing = {AMQP_CONNECTION_FORCED, AMQP_RESOURCE_ERROR, AMQP_INTERNAL_ERROR};
    if (reply.id == AMQP_CHANNEL_CLOSE_METHOD) {
        const auto& said = *static_cast<amqp_channel_close_t*>(reply.decoded);
        code = said.reply_code;
        text = view(said.reply_text);
    } else if (reply.id == AMQP_CONNECTION_CLOSE_METHOD) {
        const auto& said = *static_cast<amqp_connection_close_t*>(reply.decoded);
        code = said.reply_code;
        text = view(said.reply_text);
    }
    const std::string why = fmt::format("{}: {}", what, text.empty() ? "the server says no" : text);
    // It starts, stops, or is ill
    if (std::ranges::find(kPassing, code) != kPassing.end()) throw Lost(why);
    throw Refused(code, why);
}

/// "a socket error occurred" says nothing of what became of a connection.
const char* words_of(int status) {
    return status == AMQP_STATUS_SOCKET_ERROR ? "the connection broke" : amqp_error_string2(status);
}

std::string why_not_open(int status) {
    if (status == AMQP_STATUS_SSL_PEER_VERIFY_FAILED || status == AMQP_STATUS_SSL_CONNECTION_FAILED)
        return "its certificate is not trusted or for another host, or it speaks no TLS there (--ca names whom to "
               "trust)";
    if (status == AMQP_STATUS_TIMEOUT) return "no answer";
    return words_of(status);
}

/// With TLS the library takes no socket of ours, and nobody can call it off while it waits for a
/// host that does not answer. So that is waited for before, and the connection thrown away. The
/// name is looked up again, and waited for: an address in its place would be no name for SNI.
void open_tls(amqp_socket_t* socket, const Address::Host& host, const Cutter& cutter) {
    ::close(reach(host, cutter, std::chrono::steady_clock::now() + kPatience));
    const timeval patience = time_of(kPatience);
    const int status = amqp_socket_open_noblock(socket, host.name.c_str(), host.port, &patience);
    if (status != AMQP_STATUS_OK) throw Lost(fmt::format("{}: {}", host.text(), why_not_open(status)));
}

}  // namespace

Connection::Connection(const Access& access, std::size_t first, Cutter& cutter) : cutter_(cutter) {
    const auto& hosts = access.address.hosts;
    std::string troubles;
    for (std::size_t i = 0; i < hosts.size(); ++i) {
        try {
            open_to(access, hosts[(first + i) % hosts.size()]);
            return;
        } catch (const Lost& lost) {
            end();
            if (cutter_.is_cut()) throw;
            troubles += (troubles.empty() ? "" : "; ") + std::string(lost.what());
        } catch (...) {
            end();
            throw;
        }
    }
    throw Lost(troubles);
}

Connection::~Connection() {
    end();
}

void Connection::end() {
    if (state_ != nullptr) amqp_destroy_connection(std::exchange(state_, nullptr));
    cutter_.let_go();
}

void Connection::open_to(const Access& access, const Address::Host& host) {
    state_ = amqp_new_connection();
    host_ = host.text();
    amqp_socket_t* socket = access.address.tls ? amqp_ssl_socket_new(state_) : amqp_tcp_socket_new(state_);
    if (socket == nullptr) throw Lost("no memory for a connection");
    if (access.address.tls) prepare_tls(socket, access, host.name, cutter_);
    const timeval patience = time_of(kPatience);
    amqp_set_handshake_timeout(state_, &patience);
    amqp_set_rpc_timeout(state_, &patience);
    if (access.address.tls)
        open_tls(socket, host, cutter_);
    else
        amqp_tcp_socket_set_sockfd(socket, reach(host, cutter_, std::chrono::steady_clock::now() + kPatience));
    if (!cutter_.hold(amqp_get_sockfd(state_))) throw Lost("there are too few descriptors (ulimit -n)");
    const int at_once = 1;
    server_reads(true);
    setsockopt(amqp_get_sockfd(state_), IPPROTO_TCP, TCP_NODELAY, &at_once, sizeof at_once);
    log_in(access);
    open_channel();
}

void Connection::log_in(const Access& access) {
    Table capabilities;
    for (const char* name : {"consumer_cancel_notify", "connection.blocked", "publisher_confirms", "basic.nack",
                             "authentication_failure_close"})
        capabilities.add(name, true);
    Table client;
    client.add("product", std::string_view("curfew"));
    client.add("connection_name", std::string_view(access.name));
    client.add("capabilities", capabilities);
    const amqp_table_t said = client.get();
    const amqp_rpc_reply_t reply = amqp_login_with_properties(
        state_, access.address.vhost.c_str(), 0, kFrameMax, static_cast<int>(Access::kHeartbeat.count()), &said,
        AMQP_SASL_METHOD_PLAIN, access.address.user.c_str(), access.password.c_str());
    if (reply.reply_type == AMQP_RESPONSE_SERVER_EXCEPTION)
        refuse(
            reply.reply,
            fmt::format("{}: login as '{}' to vhost '{}'", host_, access.address.user, access.address.vhost).c_str());
    if (reply.reply_type != AMQP_RESPONSE_NORMAL) {
        const int status = reply.library_error;
        if (status == AMQP_STATUS_INCOMPATIBLE_AMQP_VERSION || status == AMQP_STATUS_BAD_AMQP_DATA)
            throw Refused(kNoAmqp, fmt::format("{}: what answers there does not speak AMQP 0-9-1", host_));
        if (status == AMQP_STATUS_BROKER_UNSUPPORTED_SASL_METHOD)
            throw Refused(kAccessRefused, fmt::format("{}: it takes no password (SASL PLAIN)", host_));
        throw Lost(fmt::format("{}: in the handshake: {}", host_, words_of(status)));
    }
    // The library would send such frames as well
    if (!access.publishes) {
        // An answer stands behind all that is under way to us, at a slow link as well; heartbeats
        // tell who is gone
        const timeval long_patience = time_of(kLongPatience);
        amqp_set_rpc_timeout(state_, &long_patience);
        sent(amqp_tune_connection(state_, amqp_get_channel_max(state_), kLongestHeaders, amqp_get_heartbeat(state_)),
             "log in");
    }
    if (const amqp_table_t* server = amqp_get_server_properties(state_))
        server_ = text_of(*server, "product") + " " + text_of(*server, "version");
}

void Connection::open_channel() {
    amqp_channel_open(state_, ++channel_);
    answer("open a channel");
}

// ---- questions ---------------------------------------------------------------------------------

/// Of the last question. Throws.
void Connection::answer(const char* what) const {
    const amqp_rpc_reply_t reply = amqp_get_rpc_reply(state_);
    if (reply.reply_type == AMQP_RESPONSE_NORMAL) return;
    if (reply.reply_type != AMQP_RESPONSE_SERVER_EXCEPTION)
        throw Lost(fmt::format("{}: {}: {}", host_, what, words_of(reply.library_error)));
    if (reply.reply.id == AMQP_CHANNEL_CLOSE_METHOD) {
        amqp_channel_close_ok_t ok{};
        amqp_send_method(state_, channel_, AMQP_CHANNEL_CLOSE_OK_METHOD, &ok);
    }
    refuse(reply.reply, what);
}

void Connection::sent(int status, const char* what) const {
    if (status == AMQP_STATUS_OK) return;
    throw Lost(fmt::format("{}: {}: {}", host_, what, words_of(status)));
}

std::uint64_t Connection::look_at_queue(const std::string& queue) {
    const auto* ok = amqp_queue_declare(state_, channel_, bytes(queue), 1, 0, 0, 0, amqp_empty_table);
    answer("look at the queue");
    return ok->message_count;
}

void Connection::look_at_exchange(const std::string& exchange) {
    amqp_exchange_declare(state_, channel_, bytes(exchange), amqp_cstring_bytes("direct"), 1, 0, 0, 0,
                          amqp_empty_table);
    answer("look at the exchange");
}

void Connection::declare_queue(const std::string& queue,
                               const std::vector<std::pair<std::string, std::int64_t>>& limits) {
    Table arguments;
    arguments.add("x-queue-type", std::string_view("quorum"));
    for (const auto& [name, value] : limits) arguments.add(name.c_str(), value);
    amqp_queue_declare(state_, channel_, bytes(queue), 0, 1, 0, 0, arguments.get());
    answer("declare the queue");
}

void Connection::confirm_publishes() {
    amqp_confirm_select(state_, channel_);
    answer("ask for confirms");
}

void Connection::consume(const std::string& queue, std::uint16_t prefetch, std::size_t max_body) {
    body_.limit = max_body;
    amqp_basic_qos(state_, channel_, 0, prefetch, 0);
    answer("say the prefetch");
    const auto* ok = amqp_basic_consume(state_, channel_, bytes(queue), amqp_empty_bytes, 0, 0, 0, amqp_empty_table);
    answer("consume");
    consumer_ = view(ok->consumer_tag);
}

// ---- said --------------------------------------------------------------------------------------

void Connection::stop_consuming() {
    if (consumer_.empty()) return;
    amqp_basic_cancel_t cancel{.consumer_tag = bytes(consumer_), .nowait = 1};
    sent(amqp_send_method(state_, channel_, AMQP_BASIC_CANCEL_METHOD, &cancel), "stop consuming");
    consumer_.clear();
}

void Connection::acknowledge(std::uint64_t tag, bool multiple) {
    sent(amqp_basic_ack(state_, channel_, tag, multiple ? 1 : 0), "acknowledge");
}

void Connection::reject(std::uint64_t tag, bool requeue) {
    sent(amqp_basic_reject(state_, channel_, tag, requeue ? 1 : 0), "reject");
}

void Connection::publish(const std::string& exchange, const std::string& key, const Properties& properties,
                         std::string_view body) {
    Table headers;
    for (const auto& [name, value] : properties.headers) headers.add(name.c_str(), std::string_view(value));
    amqp_basic_properties_t said{};
    said._flags = AMQP_BASIC_DELIVERY_MODE_FLAG | AMQP_BASIC_HEADERS_FLAG;
    said.delivery_mode = AMQP_DELIVERY_PERSISTENT;
    said.headers = headers.get();
    const auto add = [&said](amqp_flags_t flag, amqp_bytes_t& field, const std::string& value) {
        if (value.empty()) return;
        said._flags |= flag;
        field = bytes(value);
    };
    add(AMQP_BASIC_MESSAGE_ID_FLAG, said.message_id, properties.message_id);
    add(AMQP_BASIC_REPLY_TO_FLAG, said.reply_to, properties.reply_to);
    add(AMQP_BASIC_CORRELATION_ID_FLAG, said.correlation_id, properties.correlation_id);
    add(AMQP_BASIC_CONTENT_TYPE_FLAG, said.content_type, properties.content_type);
    const int status = amqp_basic_publish(state_, channel_, bytes(exchange), bytes(key), 1, 0, &said, bytes(body));
    if (status == AMQP_STATUS_TABLE_TOO_BIG || status == AMQP_STATUS_BAD_AMQP_DATA)
        throw Closed(host_ + ": its headers are too large to be published");
    sent(status, "publish");
}

void Connection::hold(bool held) const {
    const int corked = held ? 1 : 0;
    setsockopt(amqp_get_sockfd(state_), IPPROTO_TCP, TCP_CORK, &corked, sizeof corked);
}

/// Who has vanished does not acknowledge what is written. The kernel takes one that acknowledges,
/// and has no room, for the same.
void Connection::server_reads(bool does) const {
    const auto gone_after = std::chrono::duration_cast<std::chrono::milliseconds>(3 * Access::kHeartbeat).count();
    const auto patience = static_cast<unsigned>(does ? gone_after : 0);
    setsockopt(amqp_get_sockfd(state_), IPPROTO_TCP, TCP_USER_TIMEOUT, &patience, sizeof patience);
}

void Connection::close() {
    amqp_connection_close(state_, AMQP_REPLY_SUCCESS);
}

// ---- what comes --------------------------------------------------------------------------------

std::optional<Event> Connection::next(int wake, Instant until) {
    for (;;) {
        amqp_frame_t frame;
        const timeval none{};
        const int status = amqp_simple_wait_frame_noblock(state_, &frame, &none);
        if (status == AMQP_STATUS_TIMEOUT) {
            if (!wait(wake, until)) return std::nullopt;
            continue;
        }
        const auto* comes = body_.event && !body_.has_headers ? std::get_if<Delivered>(&*body_.event) : nullptr;
        if (status == AMQP_STATUS_BAD_AMQP_DATA && comes != nullptr) refuse_what_comes(*comes);
        if (status != AMQP_STATUS_OK) throw Lost(fmt::format("{}: {}", host_, words_of(status)));
        auto event = take(frame);
        amqp_maybe_release_buffers(state_);  // what is wanted of it is copied
        if (event) return event;
    }
}

/// The library reads no more, but what is said still arrives.
void Connection::refuse_what_comes(const Delivered& came) const {
    (void)amqp_basic_reject(state_, channel_, came.tag, 0);
    hear_out(amqp_get_sockfd(state_), std::chrono::steady_clock::now() + kGoodbye);
    throw Unreadable(
        fmt::format("{}: the headers of a message are longer than {} bytes, or no AMQP", host_, kLongestHeaders));
}

/// Until there may be something to read, which it says; at most so long that heartbeats go out.
bool Connection::wait(int wake, Instant until) const {
    const Instant now = std::chrono::steady_clock::now();
    if (until <= now) return false;
    std::array<pollfd, 2> watched{{{amqp_get_sockfd(state_), POLLIN, 0}, {wake, POLLIN, 0}}};
    const auto most = std::chrono::duration_cast<std::chrono::milliseconds>(Access::kHeartbeat / 2).count();
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(until - now).count() + 1;
    const int found = ::poll(watched.data(), watched.size(), static_cast<int>(std::min(most, left)));
    return found == 0 ? std::chrono::steady_clock::now() < until : (watched[1].revents & POLLIN) == 0;
}

std::optional<Event> Connection::take(const amqp_frame_t& frame) {
    if (frame.channel != 0 && frame.channel != channel_) return std::nullopt;  // one that is closed
    if (frame.frame_type == AMQP_FRAME_METHOD) return take_method(frame);
    if (frame.frame_type == AMQP_FRAME_HEADER && body_.event) {
        if (frame.payload.properties.class_id != AMQP_BASIC_CLASS) throw Lost(host_ + ": it sends what is no message");
        body_.left = frame.payload.properties.body_size;
        body_.has_headers = true;
        const auto& found = *static_cast<const amqp_basic_properties_t*>(frame.payload.properties.decoded);
        if (auto* delivered = std::get_if<Delivered>(&*body_.event)) {
            delivered->properties = properties_of(found);
            delivered->size = body_.left;
        } else if (auto* returned = std::get_if<Returned>(&*body_.event)) {
            if ((found._flags & AMQP_BASIC_HEADERS_FLAG) != 0) returned->task = text_of(found.headers, "task");
        }
        return body_.left == 0 ? finish_body() : std::nullopt;
    }
    if (frame.frame_type != AMQP_FRAME_BODY || !body_.event) return std::nullopt;
    const std::string_view part = view(frame.payload.body_fragment);
    body_.left -= std::min<std::uint64_t>(body_.left, part.size());
    if (auto* delivered = std::get_if<Delivered>(&*body_.event))
        delivered->body.append(part.substr(0, body_.limit - std::min(body_.limit, delivered->body.size())));
    return body_.left == 0 ? finish_body() : std::nullopt;
}

std::optional<Event> Connection::finish_body() {
    body_.has_headers = false;
    return std::exchange(body_.event, std::nullopt);
}

std::optional<Event> Connection::take_method(const amqp_frame_t& frame) {
    void* const decoded = frame.payload.method.decoded;
    switch (frame.payload.method.id) {
        case AMQP_BASIC_DELIVER_METHOD: {
            const auto& said = *static_cast<amqp_basic_deliver_t*>(decoded);
            body_.event = Delivered{.tag = said.delivery_tag, .redelivered = said.redelivered != 0};
            return std::nullopt;
        }
        case AMQP_BASIC_RETURN_METHOD: {
            const auto& said = *static_cast<amqp_basic_return_t*>(decoded);
            body_.event = Returned{.exchange = std::string(view(said.exchange)),
                                   .key = std::string(view(said.routing_key)),
                                   .text = std::string(view(said.reply_text))};
            return std::nullopt;
        }
        case AMQP_BASIC_ACK_METHOD: {
            const auto& said = *static_cast<amqp_basic_ack_t*>(decoded);
            return Confirmed{.tag = said.delivery_tag, .multiple = said.multiple != 0};
        }
        case AMQP_BASIC_NACK_METHOD: {
            const auto& said = *static_cast<amqp_basic_nack_t*>(decoded);
            return Confirmed{.tag = said.delivery_tag, .multiple = said.multiple != 0, .taken = false};
        }
        case AMQP_BASIC_CANCEL_METHOD: return ConsumerCancelled{};
        case AMQP_CONNECTION_BLOCKED_METHOD: {
            const std::string reason(view(static_cast<amqp_connection_blocked_t*>(decoded)->reason));
            return Blocked{reason.empty() ? "an alarm" : reason};
        }
        case AMQP_CONNECTION_UNBLOCKED_METHOD: return Blocked{};
        case AMQP_CHANNEL_CLOSE_METHOD:
            throw Closed(fmt::format("{}: the server has closed the channel: {}", host_,
                                     view(static_cast<amqp_channel_close_t*>(decoded)->reply_text)));
        case AMQP_CONNECTION_CLOSE_METHOD: {
            const auto& said = *static_cast<amqp_connection_close_t*>(decoded);
            const std::string why =
                fmt::format("{}: the server has closed the connection: {}", host_, view(said.reply_text));
            // It stops, or is ill, or its operator says so
            if (said.reply_code == AMQP_CONNECTION_FORCED || said.reply_code == AMQP_RESOURCE_ERROR) throw Lost(why);
            throw Closed(why);
        }
        default: return std::nullopt;
    }
}

}  // namespace curfew::amqp

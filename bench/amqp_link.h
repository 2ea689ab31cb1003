// A connection to RabbitMQ with one channel, as the programs beside a group have it: librabbitmq,
// and what its user writes around it in an afternoon. For one thread. Throws std::runtime_error.
#pragma once

#include <amqp.h>
#include <amqp_framing.h>
#include <amqp_tcp_socket.h>
#include <poll.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>

namespace curfew::bench {

inline amqp_bytes_t bytes(std::string_view text) {
    return {.len = text.size(), .bytes = const_cast<char*>(text.data())};
}
inline std::string_view view(const amqp_bytes_t& found) {
    return {static_cast<const char*>(found.bytes), found.len};
}

/// A message, or word of those that were published.
struct Heard {
    enum class Kind : std::uint8_t { delivered, confirmed } kind = Kind::delivered;
    std::uint64_t tag = 0;
    bool multiple = false;  ///< of a confirm
    std::string id{}, body{};
};

class AmqpLink {
public:
    explicit AmqpLink(int port) : state_(amqp_new_connection()) {
        amqp_socket_t* socket = amqp_tcp_socket_new(state_);
        if (amqp_socket_open(socket, "127.0.0.1", port) != AMQP_STATUS_OK)
            throw std::runtime_error("nobody listens at port " + std::to_string(port));
        check(amqp_login(state_, "/", 0, 131'072, 0, AMQP_SASL_METHOD_PLAIN, "guest", "guest"), "login");
        amqp_channel_open(state_, kChannel);
        answered("open a channel");
    }
    ~AmqpLink() { amqp_destroy_connection(state_); }
    AmqpLink(const AmqpLink&) = delete;
    AmqpLink& operator=(const AmqpLink&) = delete;

    void confirm_publishes() {
        amqp_confirm_select(state_, kChannel);
        answered("ask for confirms");
    }
    /// No prefetch: all of them, and none is to be acknowledged.
    void consume(const std::string& queue, std::uint16_t prefetch) {
        if (prefetch > 0) amqp_basic_qos(state_, kChannel, 0, prefetch, 0);
        amqp_basic_consume(state_, kChannel, bytes(queue), amqp_empty_bytes, 0, prefetch == 0, 0, amqp_empty_table);
        answered("consume");
    }
    void acknowledge(std::uint64_t tag, bool multiple) {
        sent(amqp_basic_ack(state_, kChannel, tag, multiple ? 1 : 0));
    }
    /// Persistent. The n-th is confirmed under the number n.
    void publish(const std::string& exchange, const std::string& key, const std::string& id, std::string_view body) {
        amqp_basic_properties_t said{};
        said._flags = AMQP_BASIC_DELIVERY_MODE_FLAG | AMQP_BASIC_MESSAGE_ID_FLAG;
        said.delivery_mode = AMQP_DELIVERY_PERSISTENT;
        said.message_id = bytes(id);
        sent(amqp_basic_publish(state_, kChannel, bytes(exchange), bytes(key), 1, 0, &said, bytes(body)));
    }

    /// What has come; none: nothing is there now. Waits for the rest of a message that has begun.
    [[nodiscard]] std::optional<Heard> next() {
        amqp_maybe_release_buffers(state_);
        amqp_frame_t frame;
        while (read(frame, false)) {
            if (frame.frame_type != AMQP_FRAME_METHOD) continue;
            void* const decoded = frame.payload.method.decoded;
            switch (frame.payload.method.id) {
                case AMQP_BASIC_DELIVER_METHOD:
                    return whole({.tag = static_cast<amqp_basic_deliver_t*>(decoded)->delivery_tag});
                case AMQP_BASIC_ACK_METHOD: {
                    const auto& said = *static_cast<amqp_basic_ack_t*>(decoded);
                    return Heard{
                        .kind = Heard::Kind::confirmed, .tag = said.delivery_tag, .multiple = said.multiple != 0};
                }
                default: throw std::runtime_error("the server returns, refuses or closes");
            }
        }
        return std::nullopt;
    }
    /// Until there is something to read.
    void wait() {
        constexpr int kPatienceMs = 30'000;
        pollfd watched{amqp_get_sockfd(state_), POLLIN, 0};
        if (::poll(&watched, 1, kPatienceMs) <= 0) throw std::runtime_error("the server says nothing");
    }

private:
    static constexpr amqp_channel_t kChannel = 1;

    bool read(amqp_frame_t& frame, bool waits) {
        const timeval none{};
        const int status = amqp_simple_wait_frame_noblock(state_, &frame, waits ? nullptr : &none);
        if (status == AMQP_STATUS_TIMEOUT) return false;
        sent(status);
        return true;
    }
    [[nodiscard]] Heard whole(Heard heard) {
        amqp_frame_t frame;
        read(frame, true);
        const auto& said = *static_cast<const amqp_basic_properties_t*>(frame.payload.properties.decoded);
        if ((said._flags & AMQP_BASIC_MESSAGE_ID_FLAG) != 0) heard.id = view(said.message_id);
        const std::uint64_t size = frame.payload.properties.body_size;
        while (heard.body.size() < size) {
            read(frame, true);
            heard.body += view(frame.payload.body_fragment);
        }
        return heard;
    }
    void answered(const char* what) const { check(amqp_get_rpc_reply(state_), what); }
    static void check(const amqp_rpc_reply_t& reply, const char* what) {
        if (reply.reply_type != AMQP_RESPONSE_NORMAL)
            throw std::runtime_error(std::string("the server refuses: ") + what);
    }
    static void sent(int status) {
        if (status != AMQP_STATUS_OK) throw std::runtime_error(amqp_error_string2(status));
    }

    amqp_connection_state_t state_;
};

}  // namespace curfew::bench

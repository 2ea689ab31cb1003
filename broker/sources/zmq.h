// One raw message a frame, from any PUSH.
//
// Hanging up: libzmq has taken messages from the producers that nobody has read yet, and they
// believe them delivered. So the address is given up first, which keeps newcomers away, then all
// that comes is read until it is quiet, and then the socket is closed: from there on what a
// producer sends stays with it, for who binds there next. A producer that is never quiet is cut
// off, and what it had under way is lost.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "broker/sources/source.h"
#include "common/process/socket.h"

namespace curfew {

class ZmqSource : public Source {
public:
    static constexpr Duration kQuiet = std::chrono::milliseconds(50);
    /// With producers that are not quiet.
    static constexpr Duration kPatience = std::chrono::milliseconds(500);

    /// `give_up_address` is called once, with the socket that still is bound there.
    ZmqSource(Socket socket, std::size_t max_message, std::function<void(Socket&)> give_up_address = {})
        : endpoint_(socket.endpoint()),
          socket_(std::move(socket)),
          max_message_(max_message),
          give_up_address_(std::move(give_up_address)) {}
    bool next(Incoming& message) override;
    bool ended() const override { return !socket_ && kept_.empty(); }
    bool has_buffered() const override { return share_.stopped() || refusal_ || !kept_.empty(); }
    void wait_for(Poller& poller) override {
        if (socket_) poller.add(*socket_);
    }
    std::uint64_t refused() const override { return refused_; }
    std::uint64_t left() const override { return kept_.size(); }
    Rest position() const override { return {.kind = Rest::Kind::endless}; }
    Instant hang_up(Instant now) override;
    std::string endpoint() const override { return endpoint_; }

private:
    [[nodiscard]] bool take(std::string_view& message);

    std::string endpoint_;
    std::optional<Socket> socket_;
    std::size_t max_message_;
    std::function<void(Socket&)> give_up_address_;
    std::deque<std::string> kept_;  // was read while it hung up
    std::string current_;           // of these, the one that is handed out
    Instant hanging_up_since_ = kNever;
    Instant quiet_since_ = kNever;
    TurnShare share_;
    std::uint64_t refused_ = 0;
    std::uint64_t frames_ = 0;  // that have come
};

}  // namespace curfew

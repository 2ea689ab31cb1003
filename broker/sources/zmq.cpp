#include "broker/sources/zmq.h"

#include <algorithm>

namespace curfew {

bool ZmqSource::next(Incoming& incoming) {
    std::string_view& message = incoming.payload;
    refusal_.reset();
    if (share_.over() || !take(message)) return false;
    share_.take(message.size() + TurnShare::kOfMessage);
    ++frames_;
    if (message.size() <= max_message_) return true;
    ++refused_;
    refusal_ = {.number = frames_,
                .size = message.size(),
                .first = std::string(message.substr(0, RefusedMessage::kFirstBytes))};
    return false;
}

/// What had come before the hang-up goes first: nothing is read from the socket in between.
bool ZmqSource::take(std::string_view& message) {
    if (hanging_up_since_ == kNever) return socket_->receive(message);
    if (kept_.empty()) return false;
    current_ = std::move(kept_.front());
    kept_.pop_front();
    message = current_;
    return true;
}

Instant ZmqSource::hang_up(Instant now) {
    if (!socket_) return kNever;
    if (hanging_up_since_ == kNever) {
        hanging_up_since_ = quiet_since_ = now;
        if (give_up_address_) give_up_address_(*socket_);
    }
    socket_->wake();  // nobody may have waited for its news: the window was full
    std::string_view message;
    for (std::size_t bytes = 0; bytes < TurnShare::kBytes && socket_->receive(message);
         bytes += message.size() + TurnShare::kOfMessage) {
        kept_.emplace_back(message);
        quiet_since_ = now;
    }
    const Instant close_at = std::min(quiet_since_ + kQuiet, hanging_up_since_ + kPatience);
    if (now < close_at) return socket_->unread() ? Instant::min() : close_at;
    socket_.reset();
    return kNever;
}

}  // namespace curfew

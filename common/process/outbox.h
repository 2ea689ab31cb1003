// A socket to send on, and the frames that it did not take: a send never blocks. What a socket does
// not take waits in here, in order; the marks of the sockets lie behind the credits, so that this
// is what a peer that stands still leaves lying, and no more than its credit. Towards a peer
// without a credit there is a bound: what comes on top is dropped, which is for senders that repeat
// themselves.
//
// Owned by a shell, on its thread.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <utility>

#include "common/process/socket.h"
#include "common/wire/frame.h"

namespace curfew {

class Outbox {
public:
    static constexpr std::size_t kNoBound = SIZE_MAX;
    /// Between broker and collector, who say all again until the other has it.
    static constexpr std::size_t kRepeated = 1000;

    /// `most`: so many frames may be parked.
    explicit Outbox(Socket socket, std::size_t most = kNoBound) : socket_(std::move(socket)), most_(most) {}

    /// True if libzmq has it; else it waits, or was dropped.
    bool send(Frame frame) {
        if (parked_.empty() && socket_.send(frame)) return true;
        if (parked_.empty()) ++marks_reached_;
        if (parked_.size() < most_) parked_.push_back(std::move(frame));
        return false;
    }
    bool send(SharedFrame& frame) {
        if (parked_.empty() && socket_.send(frame)) return true;
        return send(Frame(frame.view()));
    }

    /// Sends what waits, as far as it goes. True if nothing waits any more.
    bool flush() {
        while (!parked_.empty() && socket_.send(parked_.front())) {
            parked_.pop_front();
            stuck_since_ = kNever;
        }
        return parked_.empty();
    }
    /// When to try again: soon, and the more seldom the longer nothing was taken.
    [[nodiscard]] Instant next_deadline(Instant now) {
        using std::chrono::milliseconds;
        if (parked_.empty()) return kNever;
        if (stuck_since_ == kNever) stuck_since_ = now;
        return now + std::clamp<Duration>((now - stuck_since_) / 8, milliseconds(2), milliseconds(200));
    }

    /// See Socket.
    void drop_at_end() { socket_.drop_at_end(); }

    [[nodiscard]] bool empty() const { return parked_.empty(); }
    [[nodiscard]] std::size_t parked() const { return parked_.size(); }
    [[nodiscard]] std::uint64_t marks_reached() const { return marks_reached_; }

private:
    Socket socket_;
    std::deque<Frame> parked_;
    std::size_t most_;
    std::uint64_t marks_reached_ = 0;
    Instant stuck_since_ = kNever;
};

}  // namespace curfew

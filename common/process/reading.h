// What a turn reads of a socket: all there is, or for as long as a turn may take. Who sends faster
// than we read holds up nobody; a socket that was not read to empty keeps the loop awake
// (common/process/poller.h).
//
// ZeroMQ takes from each peer in its turn, so that those who say little have been heard by then,
// and their silence can be judged. Frames that are large in themselves are bounded elsewhere.
#pragma once

#include <string_view>

#include "common/process/clock.h"
#include "common/process/socket.h"
#include "common/words/vocabulary.h"

namespace curfew {

/// Far above what a turn needs in a group that is well, far below what a peer has to wait for.
inline constexpr Duration kReadingTime = std::chrono::milliseconds(100);

/// Hands the frames to `take`.
template <typename Take>
void read_for_a_turn(Socket& socket, Take&& take) {
    constexpr int kBetweenLooks = 16;  // at the clock
    std::string_view frame;
    if (!socket.receive(frame)) return;  // most often
    const Instant until = Clock::now() + kReadingTime;
    int read = 0;
    do {
        take(frame);
        if (++read % kBetweenLooks == 0 && Clock::now() >= until) return;
    } while (socket.receive(frame));
}

}  // namespace curfew

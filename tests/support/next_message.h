// The next message of a socket, waited for as a daemon's loop waits for it.
#pragma once

#include <string>
#include <string_view>

#include "common/process/clock.h"
#include "common/process/poller.h"
#include "common/process/socket.h"

namespace curfew::support {

/// "nothing" where none comes within ten seconds, which only a test that fails waits for.
inline std::string next_message(Socket& socket) {
    const Instant until = Clock::now() + std::chrono::seconds(10);
    std::string_view bytes;
    while (!socket.receive(bytes)) {
        if (Clock::now() > until) return "nothing";
        Poller poller;
        poller.add(socket);
        poller.wait(until);
    }
    return std::string(bytes);
}

}  // namespace curfew::support

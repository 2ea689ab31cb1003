// What a loop sleeps on: sockets and descriptors, with a time at which to wake up. In place of
// zmq_poll, which asks each socket twice a call, and counts in milliseconds.
//
// A socket has a descriptor that is readable when there is news for it; read it to empty, and the
// descriptor tells of what comes next. So that who was not woken costs nothing, a socket that has
// been added once looks for messages (Socket::receive) only when it was woken, or has not been read
// to empty since.
#pragma once

#include <poll.h>

#include <cstddef>
#include <vector>

#include "common/process/socket.h"
#include "common/words/vocabulary.h"

namespace curfew {

class Poller {
public:
    void clear();
    /// Both stay what they are until the next clear(). A socket wakes when a message may have come.
    void add(Socket& socket);
    void add(int descriptor, short events = POLLIN);

    /// Sleeps until something is ready, but no longer than that. Throws std::system_error.
    void wait(Instant until);

    [[nodiscard]] std::size_t size() const { return items_.size(); }
    /// What was added as the `at`th was ready at the last wait.
    [[nodiscard]] bool ready(std::size_t at) const { return items_[at].revents != 0; }

private:
    std::vector<pollfd> items_;
    std::vector<Socket*> sockets_;  // null: a plain descriptor
};

}  // namespace curfew

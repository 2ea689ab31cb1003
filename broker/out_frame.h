// What the broker's core asks its shell to do: frames to send, and sockets to open and close. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "common/wire/frame.h"
#include "common/words/vocabulary.h"

namespace curfew {

/// Which way a frame goes: to workers, on either of a session's sockets, or to the collector.
enum class Road : std::uint8_t { tasks, control, collector };

struct OutFrame {
    Road road;
    std::vector<Session> sessions;  ///< tasks and control; several: the same frame for each of them
    Frame bytes;
};

/// A session's sockets are to be opened (endpoints given) or closed.
struct LinkChange {
    Session session;
    bool open;
    std::string tasks_endpoint;
    std::string control_endpoint;
};

}  // namespace curfew

// Callers who are turned away because this process has no descriptor for their connection.
//
// libzmq 4.3.4 does not survive that: its ipc listener aborts the process, and its tcp listener
// leaves the caller where it is and is woken again at once, without end. The daemons define
// `accept4` in place of libc's (accept4.cpp), which turns the caller away with a descriptor that is
// kept in reserve for it. For any thread.
#pragma once

#include <cstdint>

namespace curfew {

/// Opens the reserve, if it is not open. Before the first listener.
void hold_reserve();

/// Accepts the next connection at the listener and closes it. Waits a millisecond where even that
/// is not possible, so that a caller who tries again and again does not keep the thread busy.
void turn_away(int listener);

/// How often a connection was turned away.
[[nodiscard]] std::uint64_t turned_away();

}  // namespace curfew

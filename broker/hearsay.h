// What a worker may say of itself when it asks to be admitted: anybody who reaches the events
// socket can say anything. Pure.
#pragma once

#include <string_view>

#include "common/wire/wire.h"

namespace curfew {

/// What is wrong with it, for the log; empty if nothing is.
[[nodiscard]] std::string_view wrong_with(const wire::Hello& hello);
[[nodiscard]] std::string_view wrong_with(const wire::Heartbeat& heartbeat);

/// A socket that a worker has bound: ipc with a path, or tcp with an address in numbers. A host's
/// name would have to be looked up, by the one thread that serves all sockets.
[[nodiscard]] bool is_bound_endpoint(std::string_view text);

}  // namespace curfew

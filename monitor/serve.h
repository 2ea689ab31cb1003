// The group over HTTP, read only: metrics for Prometheus, health, snapshots as JSON, dumps, and a
// page that shows it all. The group is asked once a second, however many clients there are.
#pragma once

#include <cstdint>
#include <string>

#include "monitor/group.h"

namespace curfew {

struct ServeOptions {
    std::string host = "127.0.0.1";
    std::uint16_t port = 9464;  ///< 0: any that is free; it is said on stderr
    /// Who asks has to say it; needed where others than this machine can ask.
    std::string token;
    std::string group;  ///< what it is called
};

/// Serves until SIGINT or SIGTERM; the exit code. Throws std::runtime_error where it cannot listen.
/// Blocks both signals in the process.
int serve(const ServeOptions& options, Group stats, Group dumps);

}  // namespace curfew

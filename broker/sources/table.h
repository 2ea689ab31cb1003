// The kinds of sources, in one table. To add one: a class that implements Source (source.h) in a
// file beside this one, and a line in table.cpp.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "broker/sources/source.h"
#include "common/amqp/flags.h"
#include "common/process/daemon.h"

namespace curfew {

/// What was said of a queue server.
struct QueueFlags {
    amqp::Flags login;
    Duration consumer_timeout = std::chrono::minutes(30);
    Duration dedup_window = std::chrono::minutes(5);
    std::uint64_t most_deliveries = 5;
    bool cancels_when_lost = false;
    bool keeps_failed = false;  ///< what did not complete is acknowledged: somebody else has it
};

/// What was said of the source, besides its kind.
struct SourceFlags {
    char separator = '\n';          ///< between messages, where they are not framed
    std::uint64_t max_message = 0;  ///< longer ones are refused
    QueueFlags queue{};
};

struct SourceKind {
    std::string_view name;  ///< as in --source: "stdin", "file:PATH"
    std::string_view help;  ///< behind the name; empty: the name says it
    /// Whether it could be opened, without opening it. `rest`: what stands in the place of PATH.
    /// Throws std::invalid_argument, Unusable, EndpointError.
    void (*check)(const Daemon& daemon, const std::string& rest);
    /// Throws the same, and std::system_error.
    std::unique_ptr<Source> (*open)(Daemon& daemon, const SourceFlags& flags, const std::string& rest);
};

[[nodiscard]] std::span<const SourceKind> source_kinds();

}  // namespace curfew

// The kinds of sinks, in one table. To add one: a class that implements Sink (sink.h) in a file
// beside this one, and a line in table.cpp.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "collector/sinks/journaled_file.h"
#include "collector/sinks/sink.h"
#include "common/amqp/flags.h"
#include "common/process/daemon.h"

namespace curfew {

/// What was said of the sink, besides its kind.
struct SinkFlags {
    Format format = append_raw;
    /// A file keeps a journal beside it (journaled_file.h).
    bool journal = false;
    /// What knows over a restart what it has is synced in this way.
    SyncMode sync = SyncMode::each_second;
    /// Which of the collector's sinks it is: each has its own word to the next life.
    const char* which = "sink";
    std::string_view header{};  ///< what a file begins with
    amqp::Flags login{};        ///< at a queue server
    enum class Carries : std::uint8_t { results, json, messages };
    Carries carries = Carries::results;  ///< what is published there
};

struct SinkKind {
    std::string_view name;  ///< as in --sink: "stdout", "file:PATH"
    std::string_view help;  ///< behind the name; empty: the name says it
    /// `rest`: what stands in the place of PATH. Throws std::invalid_argument, EndpointError.
    void (*check)(const Daemon& daemon, const std::string& rest);
    /// Throws Unusable, EndpointError, std::system_error.
    std::unique_ptr<Sink> (*open)(Daemon& daemon, const SinkFlags& flags, const std::string& rest);
};

[[nodiscard]] std::span<const SinkKind> sink_kinds();
/// Those that dead letters can go to.
[[nodiscard]] std::span<const SinkKind> dead_letter_kinds();
/// As the kind file:PATH does.
[[nodiscard]] std::unique_ptr<Sink> open_file_sink(Daemon& daemon, const SinkFlags& flags, const std::string& path);

}  // namespace curfew

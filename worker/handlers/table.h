// The kinds of handlers, in one table. To add one: a class that implements Handler (handler.h) in a
// file beside this one, and a line in table.cpp.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/process/daemon.h"
#include "worker/handlers/handler.h"
#include "worker/handlers/http/flags.h"

namespace curfew {

/// What was said of the work, besides its kind. Those of a kind are added to the command line by
/// WorkerOptions.
struct HandlerFlags {
    Slot slots = 1;
    std::string pool;  ///< empty: not said
    // exec
    std::vector<std::string> command;
    std::string stdin_form = "exact";
    std::string placeholder = "{}";
    std::uint64_t max_output = 1 << 20;
    std::vector<int> ok_exit{0};
    std::vector<int> reject_exit;
    // coprocess
    std::string framing = "line";
    std::uint64_t spare = 1;
    std::uint64_t recycle = 0;
    HttpFlags http;
    std::string accept;  ///< of all that have a result of their own; empty: any
};

struct HandlerKind {
    std::string_view name;  ///< as in --handler: "exec", "sleep:DIST"
    std::string_view help;  ///< behind the name; empty: the name says it
    bool takes_command = false;
    bool has_result = false;   ///< of its own: --accept may look at it
    Slot slots = 1;            ///< unless said
    std::uint32_t credit = 0;  ///< unless said; 0: as many as it has slots, and it adapts
    bool together = false;     ///< it takes as many attempts of one task as it has slots
    /// The pool, unless said; null: "default".
    std::string (*pool)(const HandlerFlags& flags) = nullptr;
    /// Whether it could be made. `rest`: what stands in the place of DIST. Throws
    /// std::invalid_argument, Unusable.
    void (*check)(const HandlerFlags& flags, const std::string& rest);
    /// Throws the same, and std::system_error.
    std::unique_ptr<Handler> (*make)(const Daemon& daemon, const HandlerFlags& flags, const std::string& rest);
};

/// Those of curfew-worker. A program that brings its own function has none.
[[nodiscard]] std::span<const HandlerKind> handler_kinds();

/// "1; sleep: 64": what all kinds have unless said, and those that have something else.
[[nodiscard]] std::string default_slots(std::span<const HandlerKind> kinds);
/// "echo, fail: 16384": the kinds whose credit is fixed.
[[nodiscard]] std::string fixed_credits(std::span<const HandlerKind> kinds);

}  // namespace curfew

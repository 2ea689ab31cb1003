#include "worker/options.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <stdexcept>

#include "common/process/clock.h"
#include "common/words/limits.h"
#include "worker/handlers/threads.h"

namespace curfew {
namespace {

using Take = std::optional<std::string>;

/// How far the credit of work that takes its time may adapt.
constexpr std::uint32_t kMostCredit = 16384;

/// Flags that mean something to some handlers alone.
struct FlagOfHandlers {
    std::string_view flag, handlers;
};
constexpr std::array<FlagOfHandlers, 24> kFlagsOfHandlers{{
    {"--max-output", "exec, coprocess or http"},
    {"--ok-exit", "exec"},
    {"--reject-exit", "exec"},
    {"--stdin", "exec"},
    {"--placeholder", "exec"},
    {"--framing", "coprocess"},
    {"--spare", "coprocess"},
    {"--recycle", "coprocess"},
    {"--url", "http"},
    {"--method", "http"},
    {"--header", "http"},
    {"--ok-status", "http"},
    {"--reject-status", "http"},
    {"--connect-timeout", "http"},
    {"--ca", "http"},
    {"--cert", "http"},
    {"--key", "http"},
    {"--unix-socket", "http"},
    {"--http2", "http"},
    {"--compressed", "http"},
    {"--grpc-timeout", "http"},
    {"--pass-headers", "http"},
    {"--max-redirects", "http"},
    {"--http-result", "http"},
}};

/// A whole number from 1 on.
Take take_number(const std::string& text, std::uint64_t most, std::uint64_t& number) {
    number = parse_count(text).value_or(0);
    if (number >= 1 && number <= most) return std::nullopt;
    return fmt::format("'{}' is not a whole number from 1 to {}", text, most);
}

}  // namespace

WorkerOptions::WorkerOptions(Options& options, std::span<const HandlerKind> kinds) : options_(options), kinds_(kinds) {
    options.text("--broker", endpoints_.broker, "The broker's endpoint for events");
    options.text("--collector", endpoints_.collector, "The collector's endpoint for results");
    options.text("--tasks", endpoints_.tasks, "Endpoint to bind for tasks");
    options.text("--control", endpoints_.control, "Endpoint to bind for cancels");
    options.value("--pool", "default; http: the host",
                  "Name shared by workers that do the work the same way; attempts of a task prefer different ones",
                  [this](const std::string& text) -> Take {
                      flags_.pool = text;
                      if (limits::is_pool(text)) return std::nullopt;
                      return fmt::format("use at most {} printable bytes", limits::kNameBytes);
                  });
    options.value("--slots", default_slots(kinds_), "Attempts that are worked on at a time",
                  [this](const std::string& text) { return take_number(text, limits::kSlots, slots_); });
    options.value("--credit",
                  "its slots, and what they do in 5 ms where the work is quick" +
                      (kinds_.empty() ? "" : "; " + fixed_credits(kinds_)),
                  "Most attempts in flight here",
                  [this](const std::string& text) { return take_number(text, limits::kCredit, credit_); });
    options.choice(
        "--report", report_, {"plain", "full"},
        "full: a report tells too when its work began, how long it ran, how its process ended, the last 4 "
        "KiB of its stderr, and the message. A collector's --joblog, --results-dir, --tag and --format json-full "
        "need it");
    options.duration("--heartbeat", heartbeat_, std::chrono::milliseconds(50), std::chrono::minutes(1),
                     "As the broker's");
    if (!kinds_.empty()) add_work(options);
}

void WorkerOptions::add_work(Options& options) {
    add_http_flags(options, flags_.http);
    options.text("--handler", handler_, names_of(kinds_, true));
    options.size("--max-output", flags_.max_output, 1, wire::kPayloadBytes,
                 "exec, coprocess, http: a longer result is a failure");
    options.text("--accept", flags_.accept,
                 "A regular expression (RE2); a result in which it finds no match is a failure");
    options.choice("--framing", flags_.framing, {"line", "netstring", "json"},
                   "coprocess: how messages and answers are told apart");
    options.count("--spare", flags_.spare, 0, 64,
                  "coprocess: COMMANDs that stand ready for when one has to be stopped");
    options.count("--recycle", flags_.recycle, 0, UINT64_MAX,
                  "coprocess: answers after which COMMAND is started anew; 0: never");
    options.exit_codes("--ok-exit", flags_.ok_exit, "exec: exit codes that mean that stdout is the result");
    options.exit_codes("--reject-exit", flags_.reject_exit,
                       "exec: exit codes that mean that no other attempt will do better");
    options.choice("--stdin", flags_.stdin_form, {"exact", "line"},
                   "exec: what the work reads: the message as it is, or with a newline at its end");
    options.lettered('I', "--placeholder", flags_.placeholder,
                     "exec: what the message replaces in arguments of COMMAND");
    options.command(
        flags_.command,
        "exec: what to run for each attempt, as it stands behind --; {} is the message, which is also on its "
        "stdin");
}

Chosen<HandlerKind> WorkerOptions::chosen() const {
    return choose(kinds_, "--handler", handler_);
}

Slot WorkerOptions::slots() const {
    if (slots_ != 0) return static_cast<Slot>(slots_);
    return kinds_.empty() ? 1 : chosen().kind->slots;
}

std::string WorkerOptions::pool() const {
    if (!flags_.pool.empty()) return flags_.pool;
    const HandlerKind* kind = kinds_.empty() ? nullptr : chosen().kind;
    return kind == nullptr || kind->pool == nullptr ? "default" : kind->pool(flags_).substr(0, limits::kNameBytes);
}

HandlerFlags WorkerOptions::flags() const {
    HandlerFlags flags = flags_;
    flags.pool = pool();
    flags.slots = slots();
    return flags;
}

WorkerServer::Config WorkerOptions::config() const {
    WorkerServer::Config config = endpoints_;
    config.core.pool = pool();
    config.core.heartbeat = heartbeat_;
    config.core.slots = slots();
    if (report_ == "full") config.core.wall_us = Clock::wall_us;
    const std::uint32_t fixed = kinds_.empty() ? 0 : chosen().kind->credit;
    const std::uint64_t credit = credit_ != 0 ? credit_ : fixed != 0 ? fixed : slots();
    config.core.credit = static_cast<std::uint32_t>(credit);
    if (credit_ == 0 && fixed == 0) config.core.most_credit = kMostCredit;
    if (!kinds_.empty() && chosen().kind->together) config.core.together = slots();
    return config;
}

std::unique_ptr<Handler> WorkerOptions::make_handler(const Daemon& daemon, Function function) const {
    if (function) return std::make_unique<ThreadHandler>(slots(), std::move(function));
    const auto [kind, rest] = chosen();
    return kind->make(daemon, flags(), rest);
}

void WorkerOptions::check(const Daemon& daemon) const {
    daemon.check_to_connect(endpoints_.broker);
    daemon.check_to_connect(endpoints_.collector);
    daemon.check_to_bind(endpoints_.tasks);
    daemon.check_to_bind(endpoints_.control);
    if (kinds_.empty()) return;
    const auto [kind, rest] = chosen();
    if (!kind->takes_command && !flags_.command.empty())
        throw std::invalid_argument(
            fmt::format("--handler {} takes no COMMAND: that goes with exec and coprocess", handler_));
    if (!flags_.accept.empty() && !kind->has_result)
        throw std::invalid_argument(fmt::format("--accept: what --handler {} gives is the message itself", handler_));
    check_flags(*kind);
    kind->check(flags(), rest);
}

/// What the environment says is for those that know what to do with it.
void WorkerOptions::check_flags(const HandlerKind& kind) const {
    for (const auto& [flag, handlers] : kFlagsOfHandlers) {
        if (handlers.find(kind.name) == std::string_view::npos && options_.is_said_here(std::string(flag)))
            throw std::invalid_argument(
                fmt::format("{}: goes with --handler {}, not with {}", flag, handlers, handler_));
    }
}

}  // namespace curfew

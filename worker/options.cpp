#include "worker/options.h"

#include <fmt/format.h>

#include <filesystem>
#include <random>
#include <stdexcept>

#include "common/process/clock.h"
#include "common/process/suggestion.h"
#include "common/words/exit_code.h"
#include "common/words/limits.h"
#include "worker/exec_handler.h"
#include "worker/simple_handlers.h"
#include "worker/thread_handler.h"

namespace curfew {
namespace {

/// Attempts of work that ends at once: credit is a matter of batching alone.
constexpr std::uint64_t kImmediateCredit = 16384;

/// Sleeping costs nothing, so many can do it together.
constexpr std::uint64_t kSleepSlots = 64;

/// Burns processor time, looking at its stop token now and then.
Answer spin(const Message& message, const std::stop_token& stop, Duration length) {
    const Instant until = Clock::now() + length;
    while (Clock::now() < until) {
        if (stop.stop_requested()) return Answer::failed("stopped");
    }
    return Answer::ok(std::string(message.payload));
}

}  // namespace

WorkerOptions::WorkerOptions(Options& options, bool own_function) {
    options.text("--broker", endpoints_.broker, "The broker's endpoint for events");
    options.text("--collector", endpoints_.collector, "The collector's endpoint for results");
    options.text("--tasks", endpoints_.tasks, "Endpoint to bind for tasks");
    options.text("--control", endpoints_.control, "Endpoint to bind for cancels");
    options.value("--pool", pool_,
                  "Name shared by workers that do the work the same way; attempts of a task prefer different ones",
                  [this](const std::string& text) {
                      pool_ = text;
                      if (limits::is_pool(text)) return std::optional<std::string>();
                      return std::optional(fmt::format("use at most {} printable bytes", limits::kNameBytes));
                  });
    options.value("--slots", "1; sleep: 64", "Attempts that are worked on at a time", [this](const std::string& text) {
        slots_ = parse_count(text).value_or(0);
        if (slots_ >= 1 && slots_ <= limits::kSlots) return std::optional<std::string>();
        return std::optional(fmt::format("'{}' is not a whole number from 1 to {}", text, limits::kSlots));
    });
    options.value(
        "--credit", "its slots, and what they do in 5 ms where the work is quick; echo, fail: 16384",
        "Most attempts in flight here", [this](const std::string& text) {
            credit_ = parse_count(text).value_or(0);
            if (credit_ >= 1 && credit_ <= limits::kCredit) return std::optional<std::string>();
            return std::optional(fmt::format("'{}' is not a whole number from 1 to {}", text, limits::kCredit));
        });
    options.duration("--heartbeat", heartbeat_, std::chrono::milliseconds(50), std::chrono::minutes(1),
                     "As the broker's");
    if (own_function) {
        handler_ = "function";
        return;
    }
    options.text("--handler", handler_,
                 "exec, echo, sleep:DIST, spin:DUR, fail; DIST is 5ms, exp:5ms or tail:1ms:100ms:1%");
    options.size("--max-output", max_output_, 1, wire::kPayloadBytes, "exec: a longer result is a failure");
    options.exit_codes("--ok-exit", ok_exit_, "exec: exit codes that mean that stdout is the result");
    options.exit_codes("--reject-exit", reject_exit_,
                       "exec: exit codes that mean that no other attempt will do better");
    options.choice("--stdin", stdin_form_, {"exact", "line"},
                   "exec: what the work reads: the message as it is, or with a newline at its end");
    options.lettered('I', "--placeholder", placeholder_, "exec: what the message replaces in arguments of COMMAND");
    options.command(
        command_,
        "exec: what to run for each attempt, as it stands behind --; {} is the message, which is also on its "
        "stdin");
}

Slot WorkerOptions::slots() const {
    if (slots_ != 0) return static_cast<Slot>(slots_);
    return handler_.starts_with("sleep:") ? kSleepSlots : 1;
}

WorkerServer::Config WorkerOptions::config() const {
    WorkerServer::Config config = endpoints_;
    config.core.pool = pool_;
    config.core.heartbeat = heartbeat_;
    config.core.slots = slots();
    const bool immediate = handler_ == "echo" || handler_ == "fail";
    const std::uint64_t credit = credit_ != 0 ? credit_ : immediate ? kImmediateCredit : slots();
    config.core.credit = static_cast<std::uint32_t>(credit);
    if (credit_ == 0 && !immediate) config.core.most_credit = kImmediateCredit;
    return config;
}

std::unique_ptr<Handler> WorkerOptions::make_handler(const Daemon& daemon, Function function) const {
    if (function) return std::make_unique<ThreadHandler>(slots(), std::move(function));
    if (handler_ == "exec") return make_exec(daemon);
    return named()();
}

void WorkerOptions::check(const Daemon& daemon) const {
    daemon.check_to_connect(endpoints_.broker);
    daemon.check_to_connect(endpoints_.collector);
    daemon.check_to_bind(endpoints_.tasks);
    daemon.check_to_bind(endpoints_.control);
    if (handler_ == "function") return;
    if (handler_ != "exec") {
        (void)named();
        if (!command_.empty())
            throw std::invalid_argument(fmt::format("--handler {} takes no COMMAND: that goes with exec", handler_));
    } else if (command_.empty()) {
        throw std::invalid_argument("--handler exec needs a command: give it after '--'");
    } else if (const auto wrong = ExecHandler::check_command(command_)) {
        const bool is_sought = command_.front().find('/') == std::string::npos;
        throw Unusable(kExitUsage, *wrong + (is_sought ? " (looked for in PATH)" : ""));
    }
}

std::function<std::unique_ptr<Handler>()> WorkerOptions::named() const {
    if (handler_ == "echo" || handler_ == "fail")
        return [this] { return std::make_unique<ImmediateHandler>(handler_ == "fail"); };
    if (handler_.starts_with("sleep:")) {
        const auto shape = SleepShape::parse(std::string_view(handler_).substr(6));
        if (!shape)
            throw std::invalid_argument(
                fmt::format("--handler: '{}': after sleep: comes 5ms, exp:5ms or tail:1ms:100ms:1%", handler_));
        return [shape = *shape] { return std::make_unique<SleepHandler>(shape, std::random_device{}()); };
    }
    if (handler_.starts_with("spin:")) {
        const auto length = parse_duration(std::string_view(handler_).substr(5));
        if (!length)
            throw std::invalid_argument(
                fmt::format("--handler: '{}': after spin: comes a duration like 10ms", handler_));
        return [this, length = *length] {
            return std::make_unique<ThreadHandler>(slots(), [length](const Message& message, std::stop_token stop) {
                return spin(message, stop, length);
            });
        };
    }
    throw std::invalid_argument(
        fmt::format("--handler: '{}' is not exec, echo, sleep:DIST, spin:DUR or fail{}", handler_,
                    did_you_mean(handler_, {"exec", "echo", "sleep:DIST", "spin:DUR", "fail"})));
}

std::unique_ptr<Handler> WorkerOptions::make_exec(const Daemon& daemon) const {
    ExecOptions options;
    options.supervisor_path = std::filesystem::read_symlink("/proc/self/exe").parent_path() / "curfew-supervisor";
    options.command = command_;
    options.stdin_form = stdin_form_ == "line" ? StdinForm::line : StdinForm::exact;
    options.placeholder = placeholder_;
    options.environment = {"CURFEW_WORKER=" + daemon.name(), "CURFEW_POOL=" + pool_};
    options.descriptors = daemon.descriptors_allowed();
    options.slots = slots();
    options.grace = std::chrono::duration_cast<std::chrono::milliseconds>(daemon.grace());
    options.max_output = max_output_;
    options.ok_exit = ok_exit_;
    options.reject_exit = reject_exit_;
    options.on_stderr = [](const AttemptId& id, std::string_view line) {
        log::info("work_stderr attempt={}.{} line={}", id.session, id.number, log::quoted(line));
    };
    options.on_stopped_supervisor = [](const AttemptId& id, pid_t supervisor, bool killed) {
        log::warn("supervisor_stopped pid={} attempt={}.{} next={}", supervisor, id.session, id.number,
                  killed ? "kill" : "continue");
    };
    return std::make_unique<ExecHandler>(std::move(options));
}

}  // namespace curfew

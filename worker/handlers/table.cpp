#include "worker/handlers/table.h"

#include <fmt/format.h>

#include <array>
#include <filesystem>
#include <random>
#include <stdexcept>

#include "common/process/clock.h"
#include "common/process/log.h"
#include "common/words/exit_code.h"
#include "worker/handlers/accept.h"
#include "worker/handlers/exec.h"
#include "worker/handlers/http/http.h"
#include "worker/handlers/http/tls_files.h"
#include "worker/handlers/simple.h"
#include "worker/handlers/threads.h"
#include "worker/supervisor/program_file.h"

namespace curfew {
namespace {

/// Attempts of work that ends at once: credit is a matter of batching alone.
constexpr std::uint32_t kImmediateCredit = 16384;
/// Sleeping costs nothing, so many can do it together.
constexpr Slot kSleepSlots = 64;

// ---- --accept ----------------------------------------------------------------------------------

void check_accept(const HandlerFlags& flags) {
    if (!flags.accept.empty()) AcceptHandler::check(flags.accept);
}

std::unique_ptr<Handler> accepting(const HandlerFlags& flags, std::unique_ptr<Handler> handler) {
    if (flags.accept.empty()) return handler;
    return std::make_unique<AcceptHandler>(flags.accept, std::move(handler));
}

// ---- exec --------------------------------------------------------------------------------------

void check_exec(const HandlerFlags& flags, const std::string&) {
    check_accept(flags);
    if (flags.command.empty())
        throw std::invalid_argument("--handler exec and coprocess need a command: give it after '--'");
    const auto wrong = wrong_with_command(flags.command);
    if (!wrong) return;
    const bool is_sought = flags.command.front().find('/') == std::string::npos;
    throw Unusable(kExitUsage, *wrong + (is_sought ? " (looked for in PATH)" : ""));
}

ExecOptions exec_options(const Daemon& daemon, const HandlerFlags& flags) {
    ExecOptions options;
    options.supervisor_path = std::filesystem::read_symlink("/proc/self/exe").parent_path() / "curfew-supervisor";
    options.command = flags.command;
    options.stdin_form = flags.stdin_form == "line" ? StdinForm::line : StdinForm::exact;
    options.placeholder = flags.placeholder;
    options.environment = {"CURFEW_WORKER=" + daemon.name(), "CURFEW_POOL=" + flags.pool};
    options.descriptors = daemon.descriptors_allowed();
    options.slots = flags.slots;
    options.grace = std::chrono::duration_cast<std::chrono::milliseconds>(daemon.grace());
    options.max_output = flags.max_output;
    options.ok_exit = flags.ok_exit;
    options.reject_exit = flags.reject_exit;
    options.on_stderr = [](const AttemptId& id, std::string_view line) {
        log::info("work_stderr attempt={}.{} line={}", id.session, id.number, log::quoted(line));
    };
    options.on_stopped_supervisor = [](const AttemptId& id, pid_t supervisor, bool killed) {
        log::warn("supervisor_stopped pid={} attempt={}.{} next={}", supervisor, id.session, id.number,
                  killed ? "kill" : "continue");
    };
    return options;
}

std::unique_ptr<Handler> make_exec(const Daemon& daemon, const HandlerFlags& flags, const std::string&) {
    return accepting(flags, std::make_unique<ExecHandler>(exec_options(daemon, flags)));
}

std::unique_ptr<Handler> make_coprocess(const Daemon& daemon, const HandlerFlags& flags, const std::string&) {
    ExecOptions options = exec_options(daemon, flags);
    options.framing = flags.framing == "netstring" ? Framing::netstring : Framing::line;
    options.json = flags.framing == "json";
    options.recycle = flags.recycle;
    options.spare = static_cast<Slot>(flags.spare);
    options.on_ended = [log = log::Seldom(std::chrono::seconds(1))](std::string_view why) mutable {
        if (log.now(Clock::now())) log::warn("coprocess_ended reason={}", log::quoted(why));
    };
    return accepting(flags, std::make_unique<ExecHandler>(std::move(options)));
}

// ---- for tests and measurements ----------------------------------------------------------------

void check_nothing(const HandlerFlags&, const std::string&) {}

std::unique_ptr<Handler> make_echo(const Daemon&, const HandlerFlags&, const std::string&) {
    return std::make_unique<ImmediateHandler>(false);
}

std::unique_ptr<Handler> make_fail(const Daemon&, const HandlerFlags&, const std::string&) {
    return std::make_unique<ImmediateHandler>(true);
}

SleepShape sleep_shape(const std::string& text) {
    if (const auto shape = SleepShape::parse(text)) return *shape;
    throw std::invalid_argument(
        fmt::format("--handler: 'sleep:{}': after sleep: comes 5ms, exp:5ms or tail:1ms:100ms:1%", text));
}

std::unique_ptr<Handler> make_sleep(const Daemon&, const HandlerFlags&, const std::string& shape) {
    return std::make_unique<SleepHandler>(sleep_shape(shape), std::random_device{}());
}

Duration spin_length(const std::string& text) {
    if (const auto length = parse_duration(text)) return *length;
    throw std::invalid_argument(fmt::format("--handler: 'spin:{}': after spin: comes a duration like 10ms", text));
}

/// Burns processor time, looking at its stop token now and then.
Answer spin(const Message& message, const std::stop_token& stop, Duration length) {
    const Instant until = Clock::now() + length;
    while (Clock::now() < until) {
        if (stop.stop_requested()) return Answer::failed("stopped");
    }
    return Answer::ok(std::string(message.payload));
}

std::unique_ptr<Handler> make_spin(const Daemon&, const HandlerFlags& flags, const std::string& text) {
    return std::make_unique<ThreadHandler>(flags.slots,
                                           [length = spin_length(text)](const Message& message, std::stop_token stop) {
                                               return spin(message, stop, length);
                                           });
}

// ---- http --------------------------------------------------------------------------------------

/// Enough for a service that answers in time, and no flood for one that does not.
constexpr Slot kHttpSlots = 16;

void check_http(const HandlerFlags& flags, const std::string&) {
    check_accept(flags);
    (void)HttpPlan(flags.http);
    if (const auto wrong = wrong_with_tls_files(flags.http)) throw Unusable(kExitUsage, *wrong);
    check_descriptors(flags.slots);
}

std::unique_ptr<Handler> make_http(const Daemon&, const HandlerFlags& flags, const std::string&) {
    return accepting(flags, std::make_unique<HttpHandler>(HttpPlan(flags.http), flags.slots, flags.max_output));
}

// ---- the table ---------------------------------------------------------------------------------

constexpr std::array<HandlerKind, 7> kKinds{{
    {.name = "exec", .help = "", .takes_command = true, .has_result = true, .check = check_exec, .make = make_exec},
    {.name = "coprocess",
     .help = "COMMAND stays, and answers one message after the other",
     .takes_command = true,
     .has_result = true,
     .check = check_exec,
     .make = make_coprocess},
    {.name = "http",
     .help = "a request to --url for each attempt",
     .has_result = true,
     .slots = kHttpSlots,
     .together = true,
     .pool = [](const HandlerFlags& flags) { return HttpPlan(flags.http).authority(); },
     .check = check_http,
     .make = make_http},
    {.name = "echo", .help = "", .credit = kImmediateCredit, .check = check_nothing, .make = make_echo},
    {.name = "sleep:DIST",
     .help = "5ms, exp:5ms or tail:1ms:100ms:1%",
     .slots = kSleepSlots,
     .check = [](const HandlerFlags&, const std::string& text) { (void)sleep_shape(text); },
     .make = make_sleep},
    {.name = "spin:DUR",
     .help = "",
     .check = [](const HandlerFlags&, const std::string& text) { (void)spin_length(text); },
     .make = make_spin},
    {.name = "fail", .help = "", .credit = kImmediateCredit, .check = check_nothing, .make = make_fail},
}};

}  // namespace

std::span<const HandlerKind> handler_kinds() {
    return kKinds;
}

}  // namespace curfew

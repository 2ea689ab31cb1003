#include "common/process/daemon.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <system_error>
#include <utility>

#include "common/look/json_object.h"
#include "common/process/clock.h"
#include "common/process/early_stop.h"
#include "common/process/log.h"
#include "common/process/question.h"
#include "common/process/self.h"
#include "common/process/thread_time.h"
#include "common/process/turned_away.h"
#include "common/version.h"
#include "common/words/exit_code.h"
#include "common/words/limits.h"

namespace curfew {
namespace {

/// What cannot be written is an error of the write, not a death: a reader that has gone, a file at
/// its ulimit -f.
void outlive_failed_writes() {
    for (const int signal : {SIGPIPE, SIGXFSZ}) ::signal(signal, SIG_IGN);
}

}  // namespace

Daemon::Daemon(std::string role, const std::string& what_it_is)
    : role_(std::move(role)), name_(role_), options_("curfew-" + role_, what_it_is) {
    flags_.run_dir = default_run_dir();
    options_.text("--name", name_, "Name of this process in its group");
    options_.text("--run-dir", flags_.run_dir, "Directory of the group's sockets and locks");
    options_.choice("--log-level", flags_.log_level, {"debug", "info", "warn", "error"},
                    "Least severity that is logged");
    options_.text("--monitor", flags_.monitor, "Endpoint that answers curfew-monitor (in --run-dir unless said)");
    options_.duration("--grace", flags_.grace, Duration::zero(), std::chrono::hours(1),
                      "How long to stop takes at most");
    options_.count("--ready-fd", flags_.ready_fd, 0, 1 << 20, "Descriptor to write a line to when ready");
    options_.count("--lifeline", flags_.lifeline, 0, 1 << 20, "Descriptor of launch's pipe");
    options_.flag("--insecure", flags_.insecure, "Allow tcp endpoints: everybody who can reach them is trusted");
}

Daemon::~Daemon() = default;

// ---- set up ------------------------------------------------------------------------------------

int Daemon::run(int argc, const char* const* argv, const std::function<void()>& check,
                const std::function<std::unique_ptr<Shell>()>& make) {
    hold_standard_descriptors();
    if (const auto code = options_.parse(argc, argv)) return *code;
    if (const auto code = judge(check)) return *code;
    if (options_.only_checks()) return options_.say_checked();
    log::set_level(flags_.log_level);
    log::set_name(name_);
    if (flags_.ready_fd != 0 && fcntl(static_cast<int>(flags_.ready_fd), F_SETFD, FD_CLOEXEC) != 0) {
        return options_.refuse(fmt::format("--ready-fd: descriptor {} is not open", flags_.ready_fd));
    }
    started_at_ = Clock::now();
    int code = kExitUsage;
    bool began = false;  // the shell was made
    try {
        descriptors_allowed_ = raise_descriptor_limit();
        outlive_failed_writes();
        orders_.listen(static_cast<int>(flags_.lifeline));
        run_dir_ = std::make_unique<RunDir>(flags_.run_dir, name_);
        sockets_.emplace(*run_dir_, flags_.insecure);
        answers_.emplace(
            sockets_->bind(zmq::socket_type::rep, flags_.monitor, name_ + ".monitor", {.send = 100, .receive = 100}));
        const std::unique_ptr<Shell> shell = set_up(make);
        began = true;
        say_ready(*shell);
        code = loop(*shell);
        answers_.reset();
    } catch (const EndpointError& error) {
        code = options_.fail(exit_code_of(error.error), error.what());
    } catch (const RunDirError& error) {
        code = options_.fail(exit_code_of(error.error), error.what());
    } catch (const Unusable& error) {
        code = options_.fail(error.code, error.what());
    } catch (const std::invalid_argument& error) {
        options_.refuse(error.what());
    } catch (const std::system_error& error) {
        log::error("io_error error={}", log::quoted(error.what()));
        code = kExitIo;
    }
    clean_up();
    leave_word(code, began);
    return code;
}

/// An exit code, and a line on stderr, if what was said cannot be.
std::optional<int> Daemon::judge(const std::function<void()>& check) const {
    try {
        if (!limits::is_name(name_))
            throw std::invalid_argument(
                fmt::format("--name: use 1 to {} printable bytes without a slash", limits::kNameBytes));
        if (flags_.ready_fd != 0 && fcntl(static_cast<int>(flags_.ready_fd), F_GETFD) < 0)
            throw std::invalid_argument(fmt::format("--ready-fd: descriptor {} is not open", flags_.ready_fd));
        check_to_bind(flags_.monitor);
        check();
        return std::nullopt;
    } catch (const EndpointError& error) {
        return options_.refuse(error.what());
    } catch (const std::invalid_argument& error) {
        return options_.refuse(error.what());
    } catch (const Unusable& error) {
        return options_.fail(error.code, error.what());
    }
}

void Daemon::check_to_bind(const std::string& endpoint, Reach allowed) const {
    if (!endpoint.empty()) check_endpoint(endpoint, true, reach(allowed));
}

void Daemon::check_to_connect(const std::string& endpoint, Reach allowed) const {
    if (!endpoint.empty()) check_endpoint(endpoint, false, reach(allowed));
}

std::unique_ptr<Shell> Daemon::set_up(const std::function<std::unique_ptr<Shell>()>& make) {
    const EarlyStop early(orders_, flags_.grace, [this] { leave_now(); });
    return make();
}

/// Called on a thread beside the main one, which hangs, or is between any two of its steps.
void Daemon::leave_now() {
    alarm(5);  // the last resort, as in begin_stop
    constexpr std::string_view kFile = "ipc://";
    if (const std::string_view answers = answers_->endpoint(); answers.starts_with(kFile))
        unlink(std::string(answers.substr(kFile.size())).c_str());
    if (orders_.end_waits())
        run_dir_->leave_orphaned();
    else
        leave_word(kExitLeftBehind, false);
    _exit(options_.fail(kExitLeftBehind, "stopped before it was ready"));
}

void Daemon::say_ready(const Shell& shell) const {
    log::info("ready pid={} incarnation={}", getpid(), run_dir_->incarnation());
    if (flags_.ready_fd == 0) return;
    JsonObject endpoints;
    endpoints.add("monitor", answers_->endpoint()).append(shell.endpoints());
    const std::string line =
        JsonObject().add("ready", true).add("pid", getpid()).add("endpoints", endpoints).text() + "\n";
    (void)!write(static_cast<int>(flags_.ready_fd), line.data(), line.size());
    close(static_cast<int>(flags_.ready_fd));
}

void Daemon::clean_up() {
    answers_.reset();
    sockets_.reset();
}

/// To the next life under this name: whether this one has ended well.
void Daemon::leave_word(int code, bool began) {
    if (!run_dir_) return;
    if (orders_.orphaned()) return run_dir_->leave_orphaned();
    if (!began) return run_dir_->never_began();
    if (code == kExitOk) run_dir_->ended_well();
}

// ---- the loop ----------------------------------------------------------------------------------

int Daemon::loop(Shell& shell) {
    // A turn and its sleep take no longer, and what is lost where they do is less than a lease by
    // far.
    standstill_.emplace(shell.heartbeat() / 4);
    for (;;) {
        watch(shell);
        const Instant now = Clock::now();
        orders_.read(poller_, shell.drains(), [&](const Order& order) { obey(shell, now, order); });
        const Duration used = work_time();
        answers_->set_at_rest(upkeep_.at_rest(now, used));
        answers_->turn(now, [&](std::string_view question) { return begin_reply(shell, now, question); });
        upkeep_.turn(now, used, *run_dir_, *sockets_);
        const Instant next = shell.turn(now);
        if (const auto code = shell.finished()) return *code;
        if (stop_at_ && now >= *stop_at_) return shell.unfinished();
        wait(shell, std::min(next, stop_at_.value_or(kNever)));
    }
}

void Daemon::watch(Shell& shell) {
    const Duration gap = standstill_->look(Clock::now());
    if (gap <= Duration::zero()) return;
    Clock::stand(gap);
    if (gap < 2 * shell.heartbeat()) return;
    log::warn("stood_still for_s={:.3f} reason=\"the process was stopped, or got no time\"",
              std::chrono::duration<double>(gap).count());
    shell.stood_still(Clock::now(), gap);
}

void Daemon::wait(Shell& shell, Instant until) {
    poller_.clear();
    orders_.wait_for(poller_);
    shell.wait_for(poller_);
    answers_->wait_for(poller_, until);
    poller_.wait(std::min({until, upkeep_.next_deadline(), Clock::now() + shell.heartbeat() / 6}));
}

/// Of this thread, without what went into answers.
Duration Daemon::work_time() const {
    return thread_time() - answers_->spent();
}

void Daemon::begin_stop(Shell& shell, Instant now) {
    if (stop_at_) return;
    stop_at_ = now + flags_.grace + std::chrono::milliseconds(100);
    // The last resort: whatever hangs, the process ends.
    alarm(static_cast<unsigned>(std::chrono::duration_cast<std::chrono::seconds>(flags_.grace).count()) + 5);
    shell.stop(now);
}

void Daemon::obey(Shell& shell, Instant now, const Order& order) {
    switch (order.what) {
        case Order::What::stop: return begin_stop(shell, now);
        case Order::What::drain: return shell.drain(now);
        case Order::What::alone: return shell.alone(now);
        case Order::What::over: return shell.over();
        case Order::What::process_ended: return shell.process_ended(now, order.end);
    }
}

// ---- the monitor socket ------------------------------------------------------------------------

std::unique_ptr<Reply> Daemon::begin_reply(Shell& shell, Instant now, std::string_view request) const {
    const auto error = [](std::string_view text) {
        return std::make_unique<ShortReply>(JsonObject().add("error", text));
    };
    const std::optional<Question> question = parse_question(request);
    if (!question) return error(R"(ask with {"ask":"stats"}, "dump", "ends", "story" or "health")");
    JsonObject said = about_itself(now);
    if (question->ask == "dump") return shell.dump(now, question->query, said);
    if (question->ask == "health") return std::make_unique<ShortReply>(said);
    if (question->ask == "stats") {
        said.append(shell.stats(now));
        return std::make_unique<ShortReply>(said);
    }
    if (question->ask == "ends") {
        said.append(shell.ends(now, question->after));
        return std::make_unique<ShortReply>(said, false);
    }
    if (question->ask == "story") {
        said.append(shell.story(now, question->task));
        return std::make_unique<ShortReply>(said);
    }
    return error("unknown question: ask for stats, dump, ends, story or health");
}

JsonObject Daemon::about_itself(Instant now) const {
    const Duration stood = Clock::stood();
    JsonObject out;
    out.add("schema", 1)
        .add("role", role_)
        .add("name", name_)
        .add("pid", getpid())
        .add("version", kVersionText)
        .add("incarnation", run_dir_->incarnation())
        .add("uptime_s", now - started_at_ + stood)
        .add("stood_still_s", stood)
        .add("memory_kib", resident_kib())
        .add("descriptors", entries_of("/proc/self/fd"))
        .add("threads", entries_of("/proc/self/task"))
        .add("cpu_s", processor_seconds())
        .add("connections", sockets_->connections())
        .add("turned_away", turned_away())
        .add("stopping", stop_at_.has_value());
    return out;
}

}  // namespace curfew

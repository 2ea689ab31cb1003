#include "common/process/daemon.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <system_error>
#include <utility>

#include "common/look/json_object.h"
#include "common/process/clock.h"
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

/// Places in the poller.
constexpr std::size_t kSignals = 0, kLifeline = 1;

/// How often a process looks after itself.
constexpr auto kLooksEvery = std::chrono::seconds(1);

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
    try {
        descriptors_allowed_ = raise_descriptor_limit();
        set_up_signals();
        run_dir_ = std::make_unique<RunDir>(flags_.run_dir, name_);
        sockets_.emplace(*run_dir_, flags_.insecure);
        answers_.emplace(
            sockets_->bind(zmq::socket_type::rep, flags_.monitor, name_ + ".monitor", {.send = 100, .receive = 100}));
        const std::unique_ptr<Shell> shell = make();
        began_ = true;
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
    leave_word(code);
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

void Daemon::set_up_signals() {
    sigset_t set;
    sigemptyset(&set);
    for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGUSR1}) sigaddset(&set, signal);
    pthread_sigmask(SIG_BLOCK, &set, nullptr);  // libzmq's threads inherit it
    // What cannot be written is an error of the write, not a death: a reader that has gone, a file
    // at its ulimit -f.
    for (const int signal : {SIGPIPE, SIGXFSZ}) ::signal(signal, SIG_IGN);
    signals_ = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (signals_ < 0) throw std::system_error(errno, std::generic_category(), "signalfd");
    if (flags_.lifeline != 0) {
        lifeline_.hold(static_cast<int>(flags_.lifeline));
    }
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
void Daemon::leave_word(int code) {
    if (!run_dir_) return;
    if (orphaned_) return run_dir_->leave_orphaned();
    if (!began_) return run_dir_->never_began();
    if (code == kExitOk) run_dir_->ended_well();
}

// ---- the loop ----------------------------------------------------------------------------------

int Daemon::loop(Shell& shell) {
    const auto ready = [&](std::size_t at) {
        return poller_.size() == 0 || poller_.ready(at);
    };  // before the first wait
    // A turn and its sleep take no longer, and what is lost where they do is less than a lease by
    // far.
    standstill_.emplace(shell.heartbeat() / 4);
    for (;;) {
        watch(shell);
        const Instant now = Clock::now();
        // First what launch says: its TERM comes behind its word.
        const bool signalled = ready(kSignals);
        if (lifeline_.is_there() && (signalled || ready(kLifeline))) read_lifeline(shell, now);
        if (signalled) read_signals(shell, now);
        answers_->set_at_rest(pace_.at_rest(now, work_time()));
        answers_->turn(now, [&](std::string_view question) { return begin_reply(shell, now, question); });
        look_after_itself(now);
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
    poller_.add(signals_);
    if (lifeline_.is_there()) poller_.add(lifeline_.descriptor());
    shell.wait_for(poller_);
    answers_->wait_for(poller_, until);
    poller_.wait(std::min({until, looks_at_, Clock::now() + shell.heartbeat() / 6}));
}

/// Of this thread, without what went into answers.
Duration Daemon::work_time() const {
    return thread_time() - answers_->spent();
}

void Daemon::look_after_itself(Instant now) {
    if (now < looks_at_) return;
    looks_at_ = now + kLooksEvery;
    keep_files(now);
    sockets_->read_events();
    if (const std::uint64_t count = turned_away_log_.grown(now, turned_away())) {
        log::warn("connections_refused count={} reason=\"out of descriptors (ulimit -n)\"", count);
    }
    // A burst leaves its memory with the allocator.
    if (pace_.calms_down(work_time())) trim_memory();
}

/// Somebody may clean up in /tmp, and a lock without its file keeps nobody out. The books and the
/// pages of what runs are mapped, and whoever reads them has them open.
void Daemon::keep_files(Instant now) {
    const bool had_lock = run_dir_->keep();
    const Sockets::Kept sockets = sockets_->keep();
    if ((had_lock && sockets.bound + sockets.failed == 0) || !files_log_.now(now)) return;
    log::warn("files_removed run_dir={} sockets_bound_anew={} not_bound={} lock={} note=\"who cleans up there?\"",
              log::quoted(run_dir_->path()), sockets.bound, sockets.failed, had_lock ? "kept" : "made anew");
}

void Daemon::begin_stop(Shell& shell, Instant now) {
    if (stop_at_) return;
    stop_at_ = now + flags_.grace + std::chrono::milliseconds(100);
    // The last resort: whatever hangs, the process ends.
    alarm(static_cast<unsigned>(std::chrono::duration_cast<std::chrono::seconds>(flags_.grace).count()) + 5);
    shell.stop(now);
}

void Daemon::read_signals(Shell& shell, Instant now) {
    signalfd_siginfo info{};
    while (read(signals_, &info, sizeof info) == static_cast<ssize_t>(sizeof info)) {
        const int signal = static_cast<int>(info.ssi_signo);
        if (signal == SIGUSR1 && shell.drains()) {
            shell.drain(now);
        } else if (signal == SIGUSR1 || !lifeline_.is_there() ||
                   (signal == SIGTERM && !stop_at_ && !ask_launch_to_drain())) {
            log::info("stopping signal={}", signal);
            begin_stop(shell, now);
        }
    }
}

bool Daemon::ask_launch_to_drain() const {
    if (!lifeline_.ask_to_drain()) return false;
    log::info("term_is_a_drain note=\"launch is told; the group ends when what is in flight has\"");
    return true;
}

void Daemon::read_lifeline(Shell& shell, Instant now) {
    for (const std::string& line : lifeline_.read()) obey_launch(shell, now, line);
    if (lifeline_.is_there()) return;
    orphaned_ = true;
    log::info("lifeline_closed");
    begin_stop(shell, now);
}

void Daemon::obey_launch(Shell& shell, Instant now, const std::string& line) {
    char name[65] = {};
    unsigned pid = 0;
    unsigned long long number = 0;
    if (line == "drain") {
        shell.drain(now);
    } else if (line == "stop") {
        log::info("stopping reason=\"launch says so\"");
        begin_stop(shell, now);
    } else if (line == "over") {
        shell.over();
    } else if (std::sscanf(line.c_str(), "died %64s %u %llu", name, &pid, &number) >= 2) {
        shell.process_ended(now, {name, pid, number, true});
    } else if (std::sscanf(line.c_str(), "left %64s %u %llu", name, &pid, &number) >= 2) {
        shell.process_ended(now, {name, pid, number, false});
    }
}

// ---- the monitor socket ------------------------------------------------------------------------

std::unique_ptr<Reply> Daemon::begin_reply(Shell& shell, Instant now, std::string_view request) const {
    const auto error = [](std::string_view text) {
        return std::make_unique<ShortReply>(JsonObject().add("error", text));
    };
    const std::optional<Question> question = parse_question(request);
    if (!question) return error(R"(ask with {"ask":"stats"}, "dump", "ends" or "health")");
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
    return error("unknown question: ask for stats, dump, ends or health");
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

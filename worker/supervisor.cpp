// The supervisor's loop and the life of a run: see the header for the drawing.
#include "worker/supervisor.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "common/process/clock.h"
#include "worker/handed_on.h"
#include "worker/program_file.h"

namespace curfew {
namespace {

using namespace std::chrono_literals;

constexpr std::size_t kStderrLines = 64;
constexpr std::size_t kStderrBytes = 4096;
constexpr std::size_t kLastLineBytes = 200;
constexpr std::size_t kChunk = 64 * 1024;
/// What may still stand in a pipe when nobody writes any more: its size, which is 1 MiB at most. More than this comes
/// from somebody outside the tree who was handed the descriptor.
constexpr std::size_t kMaxLeftInPipe = 2 * 1024 * 1024;
/// A run that ends sooner is over before anybody could ask for its pid.
constexpr Duration kTellAfter = 5ms;
constexpr Duration kFirstPause = 1ms;
constexpr Duration kLongestPause = 1s;

/// No more of the text than `limit`, and no torn UTF-8 character at its end.
std::string_view cut(std::string_view text, std::size_t limit) {
    if (text.size() <= limit) return text;
    while (limit > 0 && (static_cast<unsigned char>(text[limit]) & 0xc0U) == 0x80U) --limit;
    return text.substr(0, limit);
}

bool set_nonblocking(const OwnedDescriptor& end) {
    return ::fcntl(end.get(), F_SETFL, O_NONBLOCK) == 0;
}

std::string replace_all(const std::string& argument, const std::string& placeholder, std::string_view message) {
    std::string result;
    std::size_t from = 0;
    for (std::size_t at; (at = argument.find(placeholder, from)) != std::string::npos; from = at + placeholder.size()) {
        result.append(argument, from, at - from).append(message);
    }
    return result.append(argument, from);
}

/// Our own environment without what a run gets of its own, and without what is this process's alone: work may start a
/// curfew of its own.
std::vector<char*> inherited_environment() {
    constexpr std::array<std::string_view, 6> kOwn{
        "CURFEW_TASK=", "CURFEW_SEQ=", "CURFEW_ATTEMPT=", "CURFEW_DEADLINE_MS=", "CURFEW_LIFELINE=", "CURFEW_NAME="};
    std::vector<char*> kept;
    for (char** variable = environ; *variable != nullptr; ++variable) {
        const std::string_view text = *variable;
        if (std::none_of(kOwn.begin(), kOwn.end(), [&](auto own) { return text.starts_with(own); })) {
            kept.push_back(*variable);
        }
    }
    return kept;
}

}  // namespace

void StderrDigest::take(std::string_view chunk, const Emit& emit) {
    while (!chunk.empty()) {
        const std::size_t end = std::min(chunk.find('\n'), chunk.size());
        const std::size_t kept = std::min(end, kStderrBytes - line_.size());
        line_.append(chunk, 0, kept);
        cut_ += end - kept;
        if (end == chunk.size()) return;
        end_line(emit);
        chunk.remove_prefix(end + 1);
    }
}

void StderrDigest::end_line(const Emit& emit) {
    const std::size_t allowed = lines_ < kStderrLines ? kStderrBytes - bytes_ : 0;
    const std::string_view passes = cut(line_, allowed);
    if (!passes.empty()) {
        emit(passes);
        ++lines_;
        bytes_ += passes.size();
    }
    dropped_ += line_.size() - passes.size() + std::exchange(cut_, 0);
    if (!line_.empty()) last_line_ = cut(line_, kLastLineBytes);
    line_.clear();
}

void StderrDigest::finish(const Emit& emit) {
    if (!line_.empty()) end_line(emit);
    if (dropped_ > 0) emit("... " + std::to_string(dropped_) + " bytes more");
}

Supervisor::Supervisor(OwnedDescriptor link, OwnedDescriptor child_signals, SupervisorOptions options)
    : options_(std::move(options)),
      paths_(paths_of(options_.command.front())),
      environment_(inherited_environment()),
      child_signals_(std::move(child_signals)),
      link_(std::move(link)),
      emit_([this](std::string_view line) {
          if (link_) link_->queue(LinkRecordKind::stderr_line, run_.number, line);
      }) {}

void Supervisor::run() {
    while (link_ || phase_ != Phase::idle) turn();
}

/// While something is due it looks each second whether it stood still, so that the deadline moves by that.
Instant Supervisor::next_look() {
    const Instant due = next_deadline();
    if (due == kNever) {
        standstill_.forget();
        return kNever;
    }
    Clock::stand(standstill_.look(Clock::now()));
    return std::min(due, Clock::now() + kLookEvery);
}

void Supervisor::turn() {
    std::array<pollfd, kItems> items = poll_items();
    timespec patience{};
    const Instant due = next_look();
    if (due != kNever) {
        const auto left = std::max(Duration::zero(), due - Clock::now());
        patience.tv_sec = std::chrono::duration_cast<std::chrono::seconds>(left).count();
        patience.tv_nsec = (left % 1s).count();
    }
    if (::ppoll(items.data(), items.size(), due == kNever ? nullptr : &patience, nullptr) < 0) return;

    if (due != kNever) Clock::stand(standstill_.look(Clock::now()));
    const Instant now = Clock::now();
    if (items[kIn].revents != 0) feed_input();
    if (items[kOut].revents != 0) (void)take_output();
    if (items[kErr].revents != 0) (void)take_errors();
    if (items[kChildren].revents != 0) {
        signalfd_siginfo info;
        (void)!::read(child_signals_.get(), &info, sizeof(info));
        reap(now);
    }
    if (items[kLink].revents != 0) read_link();
    fire_timers(now);
    if (link_ && link_->wants_to_send() && !link_->flush()) abandon();
}

std::array<pollfd, Supervisor::kItems> Supervisor::poll_items() const {
    std::array<pollfd, kItems> items;
    items.fill(pollfd{.fd = -1, .events = POLLIN, .revents = 0});
    if (link_) items[kLink].fd = link_->descriptor();
    if (link_ && link_->wants_to_send()) items[kLink].events = POLLIN | POLLOUT;
    items[kChildren].fd = child_signals_.get();
    if (phase_ == Phase::idle) return items;
    items[kIn] = pollfd{.fd = run_.in.write_end.get(), .events = POLLOUT, .revents = 0};
    if (run_.done.cause != Cause::over_output) items[kOut].fd = run_.out.read_end.get();
    items[kErr].fd = run_.err.read_end.get();
    return items;
}

Instant Supervisor::next_deadline() const {
    switch (phase_) {
        case Phase::idle: return kNever;
        case Phase::running: return std::min(run_.tell_at, run_.deadline_at);
        case Phase::stopping: return std::min(run_.tell_at, run_.kill_at);
        case Phase::killing: return std::min(run_.tell_at, run_.pass_at);
    }
    return kNever;
}

void Supervisor::fire_timers(Instant now) {
    if (phase_ == Phase::idle) return;
    if (phase_ == Phase::running && now >= run_.deadline_at) begin_stop(now);
    if (phase_ == Phase::stopping && now >= run_.kill_at) begin_kill(now);
    if (phase_ == Phase::killing && now >= run_.pass_at) {
        const bool grew = kill_descendants();
        run_.pass_at = Clock::now() + run_.pause;
        // What the kernel will not let die is asked again ever less often: its end is a signal, not a matter of asking.
        run_.pause = grew ? kFirstPause : std::min(2 * run_.pause, kLongestPause);
    }
    if (now >= run_.tell_at) {
        run_.tell_at = kNever;
        if (link_) link_->queue(LinkRecordKind::started, run_.number, StartedBody{.pid = run_.pid});
    }
}

void Supervisor::read_link() {
    if (!link_->fill()) return abandon();
    while (link_) {
        const std::optional<LinkRecord> record = link_->next();
        if (!record) return;
        std::string_view body = record->body;
        if (record->kind == LinkRecordKind::start && phase_ == Phase::idle) {
            const std::optional<StartBody> start = take_front<StartBody>(body);
            if (!start) return abandon();
            begin(record->run, *start, body);
        } else if (record->kind == LinkRecordKind::stop) {
            // A stop for a run that has ended crossed its `done` on the way.
            if (phase_ == Phase::running && record->run == run_.number) begin_stop(Clock::now());
        } else {
            return abandon();
        }
    }
}

void Supervisor::abandon() {
    link_.reset();
    if (phase_ == Phase::running || phase_ == Phase::stopping) begin_kill(Clock::now());
}

void Supervisor::begin(std::uint32_t number, const StartBody& body, std::string_view message) {
    const Instant now = Clock::now();
    phase_ = Phase::running;
    run_.number = number;
    if (body.left_us >= 0) run_.deadline_at = now + std::chrono::microseconds(body.left_us);
    if (!open_pipes()) return not_started(errno, "pipe");
    if (!open_handed_on()) return not_started(errno, "/dev/fd");

    const Launched launched = launch_command(body, message);
    run_.handed_on.clear();
    if (launched.pid == 0) return not_started(launched.error, "fork");
    run_.pid = launched.pid;
    if (launched.error != 0) {  // a child that could only exit: it is reaped as any other
        run_.done.cause = Cause::not_started;
        run_.done.error = launched.error;
        return;
    }
    path_ = launched.path;
    run_.tell_at = now + kTellAfter;
    run_.in.read_end.reset();
    write_input(message);
}

/// What does not fit into the pipe waits in the run.
void Supervisor::write_input(std::string_view message) {
    const std::string_view end = options_.setup.stdin_form == StdinForm::line ? "\n" : "";
    const std::array<iovec, 2> parts{iovec{const_cast<char*>(message.data()), message.size()},
                                     iovec{const_cast<char*>(end.data()), end.size()}};
    const ssize_t n = ::writev(run_.in.write_end.get(), parts.data(), parts.size());
    const std::size_t written = n > 0 ? static_cast<std::size_t>(n) : 0;
    if (written == message.size() + end.size() || (n < 0 && errno != EAGAIN)) return run_.in.write_end.reset();
    run_.input = message.substr(std::min(written, message.size()));
    run_.input += end;
}

/// Above all their numbers, so that none is overwritten before it has its place.
bool Supervisor::open_handed_on() {
    const std::vector<int>& numbers = options_.setup.handed_on;
    const int above = numbers.empty() ? 0 : *std::ranges::max_element(numbers);
    for (const OwnedDescriptor& file : options_.handed_on) {
        run_.handed_on.emplace_back(open_for_attempt(file.get(), above));
        if (!run_.handed_on.back()) return false;
    }
    return true;
}

bool Supervisor::open_pipes() {
    for (Pipe* pipe : {&run_.in, &run_.out, &run_.err}) {
        int ends[2];
        if (::pipe2(ends, O_CLOEXEC) != 0) return false;
        pipe->read_end.reset(ends[0]);
        pipe->write_end.reset(ends[1]);
    }
    // Our ends only: the command is not prepared for a descriptor that says EAGAIN.
    return set_nonblocking(run_.in.write_end) && set_nonblocking(run_.out.read_end) &&
           set_nonblocking(run_.err.read_end);
}

Launched Supervisor::launch_command(const StartBody& body, std::string_view message) {
    std::vector<std::string> own{
        "CURFEW_TASK=" + std::to_string(body.epoch) + "-" + std::to_string(body.seq),
        "CURFEW_SEQ=" + std::to_string(body.seq),
        "CURFEW_ATTEMPT=" + std::to_string(body.ordinal),
    };
    if (body.left_us >= 0) own.push_back("CURFEW_DEADLINE_MS=" + std::to_string(body.left_us / 1000));
    std::vector<char*> environment = environment_;
    for (std::string& variable : own) environment.push_back(variable.data());
    environment.push_back(nullptr);

    // The message never chooses the command: it replaces {} in the arguments behind it.
    std::vector<std::string> arguments = options_.command;
    for (std::size_t i = 1; i < arguments.size(); ++i) {
        const std::string& placeholder = options_.setup.placeholder;
        if (arguments[i].find(placeholder) != std::string::npos)
            arguments[i] = replace_all(arguments[i], placeholder, message);
    }
    std::string shell = "/bin/sh";
    std::vector<char*> shell_argv{shell.data()}, argv;
    for (std::string& argument : arguments) argv.push_back(argument.data());
    argv.push_back(nullptr);
    shell_argv.insert(shell_argv.end(), argv.begin(), argv.end());  // in the place of its name goes its path

    std::vector<DescriptorPlace> handed_on;
    for (std::size_t i = 0; i < run_.handed_on.size(); ++i) {
        handed_on.push_back({.from = run_.handed_on[i].get(), .number = options_.setup.handed_on[i]});
    }

    return launch({.paths = paths_,
                   .first = path_,
                   .argv = argv.data(),
                   .shell_argv = shell_argv.data(),
                   .envp = environment.data(),
                   .in = run_.in.read_end.get(),
                   .out = run_.out.write_end.get(),
                   .err = run_.err.write_end.get(),
                   .handed_on = handed_on,
                   .descriptors = options_.setup.descriptors});
}

void Supervisor::not_started(int error, std::string_view step) {
    run_.done = {.cause = Cause::not_started, .error = error, .note_size = static_cast<std::uint32_t>(step.size())};
    if (link_) link_->queue(LinkRecordKind::done, run_.number, run_.done, step);
    run_ = Run{};
    phase_ = Phase::idle;
}

void Supervisor::begin_stop(Instant now) {
    reap(now);  // it may have ended by itself, and that counts
    if (phase_ != Phase::running) return;
    if (run_.done.cause == Cause::finished) run_.done.cause = Cause::stopped;
    phase_ = Phase::stopping;
    run_.kill_at = now + options_.grace;
    terminate_descendants(run_.kill_at);
}

void Supervisor::begin_kill(Instant now) {
    phase_ = Phase::killing;
    run_.pass_at = now;
    run_.pause = kFirstPause;
    // One stroke for all that stayed in the group, which no fork escapes. Not when its leader is reaped: the number of
    // the group may be somebody else's then.
    if (!run_.reaped) ::kill(-run_.pid, SIGKILL);
}

void Supervisor::reap(Instant now) {
    for (;;) {
        siginfo_t info{};
        if (::waitid(P_ALL, 0, &info, WEXITED | WNOHANG | __WALL) < 0) {
            if (errno == EINTR) continue;
            if (phase_ != Phase::idle) finish();
            return;
        }
        if (info.si_pid == 0) break;
        if (info.si_pid != run_.pid) continue;
        run_.reaped = true;
        (info.si_code == CLD_EXITED ? run_.done.exit_code : run_.done.signal) = info.si_status;
    }
    if (run_.reaped && (phase_ == Phase::running || phase_ == Phase::stopping)) begin_kill(now);
}

/// No child is left. What they wrote is in the pipes, and nobody is waited for to close them.
void Supervisor::finish() {
    phase_ = Phase::killing;  // whatever the output says now, nothing is left to be killed
    while (run_.done.cause == Cause::finished && take_output()) {
    }
    for (std::size_t left = 0; left < kMaxLeftInPipe && take_errors(); left += kChunk) {
    }
    run_.digest.finish(emit_);
    const std::string note = this->note();
    const bool has_result = run_.done.cause == Cause::finished && run_.done.signal == 0;
    run_.done.note_size = static_cast<std::uint32_t>(note.size());
    if (link_) link_->queue(LinkRecordKind::done, run_.number, run_.done, note, has_result ? run_.output : "");
    run_ = Run{};
    phase_ = Phase::idle;
}

/// The last line of stderr; of what did not run, what there is to say beyond the errno.
std::string Supervisor::note() const {
    if (run_.done.cause != Cause::not_started) return run_.digest.last_line();
    const bool is_known = run_.done.error != ENOENT && run_.done.error != EACCES;
    return is_known ? std::string() : missing_interpreter(executable_of(paths_));
}

void Supervisor::feed_input() {
    const std::string_view rest = std::string_view(run_.input).substr(run_.written);
    const ssize_t n = ::write(run_.in.write_end.get(), rest.data(), rest.size());
    if (n < 0 && errno == EAGAIN) return;
    if (n > 0) run_.written += static_cast<std::size_t>(n);
    if (n > 0 && run_.written < run_.input.size()) return;
    run_.in.write_end.reset();  // all is written, or nobody reads
    run_.input = std::string();
}

/// Takes one piece. False: there was none, or no more is wanted.
bool Supervisor::take_output() {
    std::array<char, kChunk> chunk;
    const ssize_t n = ::read(run_.out.read_end.get(), chunk.data(), chunk.size());
    if (n <= 0) return false;
    if (run_.done.cause != Cause::finished) return true;  // its result will not be used
    run_.output.append(chunk.data(), static_cast<std::size_t>(n));
    if (!output_is_over()) return true;
    run_.done.cause = Cause::over_output;
    run_.output = std::string();
    if (phase_ != Phase::killing) begin_kill(Clock::now());
    return false;
}

bool Supervisor::take_errors() {
    std::array<char, kChunk> chunk;
    const ssize_t n = ::read(run_.err.read_end.get(), chunk.data(), chunk.size());
    if (n <= 0) return false;
    run_.digest.take(std::string_view(chunk.data(), static_cast<std::size_t>(n)), emit_);
    return true;
}

/// The newline at the end of a result is not part of it, so it does not count either.
bool Supervisor::output_is_over() const {
    const std::size_t size = run_.output.size();
    return size > options_.max_output && !(size == options_.max_output + 1 && run_.output.back() == '\n');
}

}  // namespace curfew

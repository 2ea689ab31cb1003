// The `exec` handler at the worker's side: supervisors, their links, their deaths. See the header
// for the drawing.
#include "worker/handlers/exec.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <iterator>
#include <stdexcept>
#include <system_error>
#include <utility>

#include "common/process/clock.h"
#include "common/process/poller.h"
#include "worker/handlers/answers.h"
#include "worker/handlers/exec_end.h"
#include "worker/handlers/exec_spawn.h"
#include "worker/handlers/sender_words.h"
#include "worker/supervisor/process_tree.h"
#include "worker/supervisor/program_file.h"

namespace curfew {
namespace {

using namespace std::chrono_literals;

/// What the supervisors get beyond the grace to end when the handler does, and then its orphans.
constexpr Duration kEndAllowance = 1s;
/// A deadline further away than this is none to a supervisor: its arithmetic stays far from
/// overflow.
constexpr std::chrono::microseconds kLongestDeadline = std::chrono::hours(24 * 365 * 10);

std::int64_t left_us(Instant now, Instant deadline_at) {
    if (deadline_at == kNever) return -1;
    const auto left = std::chrono::duration_cast<std::chrono::microseconds>(deadline_at - now);
    return left > kLongestDeadline ? -1 : std::max<std::int64_t>(0, left.count());
}

int wait_readable(std::vector<pollfd>& items, Duration patience) {
    const auto ms = std::chrono::ceil<std::chrono::milliseconds>(std::max(Duration::zero(), patience));
    return ::poll(items.data(), items.size(), static_cast<int>(std::min<std::int64_t>(ms.count(), 60'000)));
}

}  // namespace

ExecHandler::ExecHandler(ExecOptions options) : options_(std::move(options)), slots_(options_.slots + options_.spare) {
    ::prctl(PR_SET_CHILD_SUBREAPER, 1);
    const std::vector<std::string>& command = options_.command;
    if (const auto error = wrong_with_command(command); command.empty()) throw std::invalid_argument(*error);
    message_in_arguments_ =
        !takes_messages() && std::any_of(command.begin() + 1, command.end(), [this](const std::string& argument) {
            return argument.find(options_.placeholder) != std::string::npos;
        });
    handed_on_ = take_handed_on(command);
    setup_ = {.stdin_form = options_.stdin_form,
              .placeholder = options_.placeholder,
              .descriptors = options_.descriptors,
              .handed_on = handed_on_.numbers,
              .framing = options_.framing,
              .recycle = options_.recycle};
    sigset_t children;
    ::sigemptyset(&children);
    ::sigaddset(&children, SIGCHLD);
    child_signals_.reset(::signalfd(-1, &children, SFD_CLOEXEC | SFD_NONBLOCK));
    if (!child_signals_) throw std::system_error(errno, std::generic_category(), "signalfd");
    ::pthread_sigmask(SIG_BLOCK, &children, &signals_before_);
    int error = 0;
    const Instant now = Clock::now();
    for (SlotEntry& entry : slots_) {
        if (const int failed = spawn_supervisor(entry); failed != 0) {
            error = failed;
            back_off(now, entry);
        }
    }
    if (any(State::ready)) return;
    ::pthread_sigmask(SIG_SETMASK, &signals_before_, nullptr);
    throw std::system_error(error, std::generic_category(), options_.supervisor_path);
}

ExecHandler::~ExecHandler() {
    for (SlotEntry& entry : slots_) lose_supervisor(entry);
    wait_for_supervisors(Clock::now() + options_.grace + kEndAllowance);
    for (const pid_t pid : supervisors()) ::kill(pid, SIGKILL);
    const Instant until = Clock::now() + kEndAllowance;
    wait_for_supervisors(until);
    std::vector<pollfd> none;
    while (orphans_ && !clear_orphans() && Clock::now() < until) wait_readable(none, kFirstPause);
    ::pthread_sigmask(SIG_SETMASK, &signals_before_, nullptr);
}

void ExecHandler::wait_for_supervisors(Instant until) {
    for (;;) {
        reap_supervisors();
        std::vector<pollfd> items;
        for (const SlotEntry& entry : slots_) {
            if (entry.supervisor != 0) items.push_back({.fd = entry.death.get(), .events = POLLIN, .revents = 0});
        }
        const Instant now = Clock::now();
        if (items.empty() || now >= until) return;
        wait_readable(items, until - now);
    }
}

void ExecHandler::start(Instant now, Slot slot, const Work& work) {
    breaker_.begins();
    slots_[slot].began = now;
    if (message_in_arguments_ && work.payload.find('\0') != std::string_view::npos) {
        early_ends_.push_back(
            failed(slot, "the message holds a NUL byte, which no argument can ('" + options_.placeholder + "')"));
        wake_at_ = now;
        return;
    }
    const bool is_line = options_.framing == Framing::line && !options_.json;
    if (is_line && work.payload.find('\n') != std::string_view::npos) {
        early_ends_.push_back(
            {.slot = slot,
             .finish = Finish::rejected,
             .result = {},
             .error = "the message has a newline, which would end its line: say --framing netstring or json"});
        wake_at_ = now;
        return;
    }
    SlotEntry& entry = slots_[slot];
    entry.id = work.id;
    entry.seq = work.seq;
    entry.stop_asked = false;
    const std::string variables = options_.framing == Framing::none ? variables_of(work) : std::string();
    const StartBody body{.epoch = work.epoch,
                         .seq = work.seq,
                         .left_us = left_us(now, work.deadline_at),
                         .ordinal = work.ordinal,
                         .variables_size = static_cast<std::uint32_t>(variables.size())};
    entry.deadline_at = work.deadline_at;
    const std::string question = options_.json       ? json_question(now, work)
                                 : variables.empty() ? std::string()
                                                     : variables + std::string(work.payload);
    const std::string_view message = question.empty() ? work.payload : question;
    if (entry.state == State::ready) return hand_over(now, entry, body, message);
    entry.held = Held{.body = body, .message = std::string(message)};
}

void ExecHandler::hand_over(Instant now, SlotEntry& entry, const StartBody& body, std::string_view message) {
    entry.running = true;
    entry.work_pid = 0;
    entry.stop_told = false;
    entry.standstill.work_given(now, entry.deadline_at, options_.grace);
    entry.link->queue(LinkRecordKind::start, ++entry.run, body, message);
    if (!entry.link->flush()) lose_supervisor(entry);
}

void ExecHandler::stop(Instant now, Slot slot) {
    SlotEntry& entry = slots_[slot];
    if (std::exchange(entry.stop_asked, true)) return;
    if (entry.held) wake_at_ = now;
    if (!entry.running || entry.state != State::ready) return;
    entry.standstill.end_is_due(now, options_.grace);
    entry.link->queue(LinkRecordKind::stop, entry.run);
    if (!entry.link->flush()) lose_supervisor(entry);
}

void ExecHandler::turn(Instant now, std::vector<WorkEnd>& ends) {
    now_ = now;
    const std::size_t before = ends.size();
    std::move(early_ends_.begin(), early_ends_.end(), std::back_inserter(ends));
    early_ends_.clear();
    wake_at_ = kNever;
    read_links(ends);
    hear_of_stops(now, ends);
    look_for_stops(now, ends);
    reap_supervisors();
    bury(now, ends);
    for (Slot slot = 0; slot < slots_.size(); ++slot) {
        end_held(now, slot, ends);
        if (slots_[slot].state == State::down && now >= slots_[slot].start_at) start_supervisor(now, slot, ends);
    }
    for (std::size_t at = before; at < ends.size(); ++at) breaker_.ends(slots_[ends[at].slot].began);
}

void ExecHandler::read_links(std::vector<WorkEnd>& ends) {
    std::vector<pollfd> items;
    for (const SlotEntry& entry : slots_) {
        const bool sending = entry.link && entry.link->wants_to_send();
        items.push_back({.fd = entry.link ? entry.link->descriptor() : -1,
                         .events = static_cast<short>(sending ? POLLIN | POLLOUT : POLLIN),
                         .revents = 0});
    }
    if (::poll(items.data(), items.size(), 0) <= 0) return;
    for (Slot slot = 0; slot < slots_.size(); ++slot) {
        if (items[slot].revents != 0) read_link(slot, ends);
    }
}

/// What a supervisor said before it died counts, so the records come before the loss.
void ExecHandler::read_link(Slot slot, std::vector<WorkEnd>& ends) {
    SlotEntry& entry = slots_[slot];
    bool sound = entry.link->fill();
    for (;;) {
        const std::optional<LinkRecord> record = entry.link->next();
        if (!record) break;
        sound = take(slot, *record, ends) && sound;
    }
    if (!sound || !entry.link->flush()) lose_supervisor(entry);
    if (entry.unfit && !entry.running) take_spare(slot);
}

bool ExecHandler::take(Slot slot, const LinkRecord& record, std::vector<WorkEnd>& ends) {
    SlotEntry& entry = slots_[slot];
    std::string_view body = record.body;
    if (record.kind == LinkRecordKind::ended && takes_messages()) {
        const auto ended = take_front<DoneBody>(body);
        if (!ended || ended->note_size > body.size()) return false;
        on_ended(entry, *ended, body.substr(0, ended->note_size));
        return true;
    }
    if (record.run != entry.run || (!entry.running && !takes_messages())) return false;
    if (record.kind == LinkRecordKind::stderr_line) {
        if (options_.on_stderr) options_.on_stderr(entry.id, body);
        return true;
    }
    if (!entry.running) return false;
    if (record.kind == LinkRecordKind::started) {
        const auto started = take_front<StartedBody>(body);
        if (started) entry.work_pid = started->pid;
        entry.standstill.work_runs();
        return started.has_value();
    }
    return record.kind == LinkRecordKind::done && take_done(slot, body, ends);
}

bool ExecHandler::take_done(Slot slot, std::string_view body, std::vector<WorkEnd>& ends) {
    SlotEntry& entry = slots_[slot];
    const auto done = take_front<DoneBody>(body);
    if (!done || done->note_size > body.size() || done->stderr_size > body.size() - done->note_size) return false;
    const std::string_view note = body.substr(0, done->note_size);
    const std::string_view errors = body.substr(done->note_size, done->stderr_size);
    entry.running = false;
    entry.deaths = 0;
    entry.standstill.idle();
    WorkEnd end = end_of(slot, *done, note, body.substr(done->note_size + done->stderr_size));
    end.traces = traces_of(*done, errors);
    ends.push_back(std::move(end));
    return true;
}

void ExecHandler::end_held(Instant now, Slot slot, std::vector<WorkEnd>& ends) {
    SlotEntry& entry = slots_[slot];
    if (!entry.held || (!entry.stop_asked && now < entry.deadline_at)) return;
    entry.held.reset();
    ends.push_back({.slot = slot, .finish = Finish::stopped, .result = {}, .error = {}});
}

void ExecHandler::wait_for(Poller& poller) const {
    poller.add(child_signals_.get());
    for (const SlotEntry& entry : slots_) {
        if (entry.state == State::dying) poller.add(entry.death.get());
        if (!entry.link) continue;
        const int events = entry.link->wants_to_send() ? POLLIN | POLLOUT : POLLIN;
        poller.add(entry.link->descriptor(), static_cast<short>(events));
    }
}

Instant ExecHandler::next_deadline() const {
    Instant due = std::min(wake_at_, breaker_.next_deadline(now_));
    for (const SlotEntry& entry : slots_) {
        if (entry.state == State::down) due = std::min(due, entry.start_at);
        if (entry.state == State::clearing) due = std::min(due, pass_at_);
        if (entry.held) due = std::min(due, entry.deadline_at);
        due = std::min(due, entry.standstill.next_look());
    }
    return due;
}

pid_t ExecHandler::pid(Slot slot) const {
    return slots_[slot].running ? slots_[slot].work_pid : 0;
}

void ExecHandler::start_supervisor(Instant now, Slot slot, std::vector<WorkEnd>& ends) {
    SlotEntry& entry = slots_[slot];
    const int error = spawn_supervisor(entry);
    if (error != 0) {
        back_off(now, entry);
        if (!std::exchange(entry.held, std::nullopt)) return;
        ends.push_back(
            failed(slot, "cannot start '" + options_.supervisor_path + "': " + std::generic_category().message(error)));
    } else if (auto held = std::exchange(entry.held, std::nullopt)) {
        held->body.left_us = left_us(now, entry.deadline_at);
        hand_over(now, entry, held->body, held->message);
    }
}

/// Returns errno.
int ExecHandler::spawn_supervisor(SlotEntry& entry) {
    SpawnedSupervisor spawned;
    if (const int error = spawn(options_, setup_, handed_on_, spawned); error != 0) return error;
    entry.supervisor = spawned.pid;
    entry.death = std::move(spawned.death);
    entry.link.emplace(std::move(spawned.link));
    entry.state = State::ready;
    entry.killed = false;
    entry.standstill.idle();
    return 0;
}

void ExecHandler::lose_supervisor(SlotEntry& entry) {
    if (entry.state != State::ready) return;
    entry.link.reset();
    entry.work_pid = 0;
    entry.state = State::dying;
    // Should it be stopped, it could not see that it is to end.
    entry.standstill.end_is_due(Clock::now(), options_.grace);
    ::kill(entry.supervisor, SIGCONT);
}

/// The first death costs no time; one after another, without a piece of work done in between, costs
/// up to a second.
void ExecHandler::back_off(Instant now, SlotEntry& entry) {
    entry.state = State::down;
    const Duration pause = entry.deaths == 0 ? 0ms : 10ms * (1 << std::min(entry.deaths, 7U));
    entry.start_at = now + std::min(pause, kLongestPause);
    ++entry.deaths;
}

std::vector<pid_t> ExecHandler::supervisors() const {
    std::vector<pid_t> pids;
    for (const SlotEntry& entry : slots_) {
        if (entry.supervisor != 0) pids.push_back(entry.supervisor);
    }
    return pids;
}

bool ExecHandler::any(State state) const {
    return std::any_of(slots_.begin(), slots_.end(), [&](const SlotEntry& entry) { return entry.state == state; });
}

/// Any signal of a child's may stand for several, so all are asked.
void ExecHandler::hear_of_stops(Instant now, std::vector<WorkEnd>& ends) {
    signalfd_siginfo signal;
    if (::read(child_signals_.get(), &signal, sizeof(signal)) <= 0) return;
    for (Slot slot = 0; slot < slots_.size(); ++slot) {
        if (slots_[slot].supervisor == 0) continue;
        siginfo_t info{};
        const auto pid = static_cast<id_t>(slots_[slot].supervisor);
        const bool asked = ::waitid(P_PID, pid, &info, WSTOPPED | WNOHANG) == 0;
        if (asked && info.si_pid != 0) look_at(now, slot, true, ends);
    }
}

void ExecHandler::look_for_stops(Instant now, std::vector<WorkEnd>& ends) {
    for (Slot slot = 0; slot < slots_.size(); ++slot) {
        const SlotEntry& entry = slots_[slot];
        if (entry.supervisor == 0 || now < entry.standstill.next_look()) continue;
        const char state = state_of(entry.supervisor);
        look_at(now, slot, state == 'T' || state == 't', ends);
    }
}

/// What it said before it was killed counts, as with any other death.
void ExecHandler::look_at(Instant now, Slot slot, bool stopped, std::vector<WorkEnd>& ends) {
    SlotEntry& entry = slots_[slot];
    const Standstill::Act act = entry.standstill.seen(now, stopped);
    if (act == Standstill::Act::none) return;
    const bool kill = act == Standstill::Act::kill;
    if (options_.on_stopped_supervisor && (kill || !std::exchange(entry.stop_told, true))) {
        options_.on_stopped_supervisor(entry.running ? entry.id : AttemptId{}, entry.supervisor, kill);
    }
    ::kill(entry.supervisor, kill ? SIGKILL : SIGCONT);
    if (!kill) return;
    entry.killed = true;
    if (entry.link) read_link(slot, ends);
    lose_supervisor(entry);
}

}  // namespace curfew

// The supervisor's loop. See the header for the drawing.
#include "worker/supervisor/supervisor.h"

#include <sys/signalfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "worker/supervisor/program_file.h"

namespace curfew {
namespace {

using namespace std::chrono_literals;

/// A run that ends sooner is over before anybody could ask for its pid.
constexpr Duration kTellAfter = 5ms;

}  // namespace

Supervisor::Supervisor(OwnedDescriptor link, OwnedDescriptor child_signals, SupervisorOptions options)
    : max_output_(options.max_output),
      command_(std::move(options.command), std::move(options.setup), std::move(options.handed_on)),
      child_signals_(std::move(child_signals)),
      link_(std::move(link)),
      child_(options.grace),
      emit_([this](std::string_view line) {
          if (link_) link_->queue(LinkRecordKind::stderr_line, number_, line);
      }) {}

void Supervisor::run() {
    while (link_ || child_.exists()) turn();
}

/// While something is due it looks each second whether it stood still, so that the deadline moves
/// by that.
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
    if (items[kIn].revents != 0) run_.feed_input();
    if (items[kOut].revents != 0) (void)take_output();
    if (items[kErr].revents != 0) (void)run_.take_errors(emit_);
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
    if (!child_.exists()) return items;
    items[kIn] = run_.wants_input();
    if (done_.cause != Cause::over_output) items[kOut].fd = run_.output_descriptor();
    items[kErr].fd = run_.error_descriptor();
    return items;
}

Instant Supervisor::next_deadline() const {
    if (!child_.exists()) return kNever;
    return std::min({tell_at_, child_.runs() ? deadline_at_ : kNever, child_.next_deadline()});
}

void Supervisor::fire_timers(Instant now) {
    if (child_.runs() && now >= deadline_at_) stop(now);
    if (!child_.exists()) return;
    child_.fire_timers(now);
    if (now < tell_at_) return;
    tell_at_ = kNever;
    if (link_) link_->queue(LinkRecordKind::started, number_, StartedBody{.pid = child_.pid()});
}

void Supervisor::read_link() {
    if (!link_->fill()) return abandon();
    while (link_) {
        const std::optional<LinkRecord> record = link_->next();
        if (!record) return;
        std::string_view body = record->body;
        if (record->kind == LinkRecordKind::start && !child_.exists()) {
            const std::optional<StartBody> start = take_front<StartBody>(body);
            if (!start) return abandon();
            begin(record->run, *start, body);
        } else if (record->kind == LinkRecordKind::stop) {
            // A stop for a run that has ended crossed its `done` on the way.
            if (child_.runs() && record->run == number_) stop(Clock::now());
        } else {
            return abandon();
        }
    }
}

/// Nobody wants the result any more.
void Supervisor::abandon() {
    link_.reset();
    child_.kill(Clock::now());
}

// ---- one run -----------------------------------------------------------------------------------

void Supervisor::begin(std::uint32_t number, const StartBody& body, std::string_view message) {
    const Instant now = Clock::now();
    number_ = number;
    done_ = {};
    deadline_at_ = body.left_us >= 0 ? now + std::chrono::microseconds(body.left_us) : kNever;
    tell_at_ = kNever;
    run_ = Run();
    if (!run_.open()) return not_started(errno, "pipe");
    const Command::Started started = command_.start(body, message, run_.ends());
    if (started.pid == 0) return not_started(started.error, started.step);
    child_.begin(started.pid);
    if (started.error != 0) {  // a child that could only exit: it is reaped as any other
        done_.cause = Cause::not_started;
        done_.error = started.error;
        return;
    }
    tell_at_ = now + kTellAfter;
    run_.begin_input(message, command_.setup().stdin_form == StdinForm::line ? "\n" : "");
}

void Supervisor::not_started(int error, std::string_view step) {
    done_ = {.cause = Cause::not_started, .error = error, .note_size = static_cast<std::uint32_t>(step.size())};
    if (link_) link_->queue(LinkRecordKind::done, number_, done_, step);
    run_ = Run();
}

void Supervisor::stop(Instant now) {
    reap(now);  // it may have ended by itself, and that counts
    if (!child_.runs()) return;
    if (done_.cause == Cause::finished) done_.cause = Cause::stopped;
    child_.stop(now);
}

void Supervisor::reap(Instant now) {
    if (child_.reap(now)) finish();
}

/// No child is left.
void Supervisor::finish() {
    done_.exit_code = child_.exit_code();
    done_.signal = child_.signal();
    child_.gone();  // whatever the output says now, nothing is left to be killed
    while (done_.cause == Cause::finished && take_output()) {
    }
    run_.take_last_errors(emit_);
    const std::string note = this->note();
    const bool has_result = done_.cause == Cause::finished && done_.signal == 0;
    done_.note_size = static_cast<std::uint32_t>(note.size());
    if (link_) link_->queue(LinkRecordKind::done, number_, done_, note, has_result ? run_.output() : "");
    run_ = Run();
}

/// The last line of stderr; of what did not run, what there is to say beyond the errno.
std::string Supervisor::note() const {
    if (done_.cause != Cause::not_started) return run_.last_error();
    const bool is_known = done_.error != ENOENT && done_.error != EACCES;
    return is_known ? std::string() : missing_interpreter(executable_of(command_.paths()));
}

/// Takes one piece. False: there was none, or no more is wanted.
bool Supervisor::take_output() {
    if (done_.cause != Cause::finished) return run_.drop_output();  // its result will not be used
    if (!run_.take_output()) return false;
    if (!run_.is_over(max_output_)) return true;
    done_.cause = Cause::over_output;
    run_.forget_output();
    child_.kill(Clock::now());
    return false;
}

}  // namespace curfew

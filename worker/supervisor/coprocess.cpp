#include "worker/supervisor/coprocess.h"

#include <sys/signalfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "worker/supervisor/program_file.h"

namespace curfew {
namespace {

using namespace std::chrono_literals;

/// An answer that comes sooner is there before anybody could ask for the pid.
constexpr Duration kTellAfter = 5ms;
/// Between two looks whether a program reads yet.
constexpr Duration kLongestLook = 20ms;
constexpr Duration kFirstPause = 10ms, kLongestPause = 10s;
constexpr std::size_t kExcerpt = 80;

/// Before the next start of a program that answers nothing.
Duration pause_after(unsigned fruitless) {
    if (fruitless <= 1) return Duration::zero();
    return std::min<Duration>(kLongestPause, kFirstPause * (1 << std::min(fruitless - 2, 10U)));
}

}  // namespace

Coprocess::Coprocess(OwnedDescriptor link, OwnedDescriptor child_signals, SupervisorOptions options)
    : command_(std::move(options.command), options.setup, std::move(options.handed_on)),
      max_answer_(options.max_output),
      child_signals_(std::move(child_signals)),
      link_(std::move(link)),
      child_(options.grace),
      talk_(options.setup.framing, max_answer_),
      emit_([this](std::string_view line) {
          if (link_) link_->queue(LinkRecordKind::stderr_line, last_run_, line);
      }) {}

void Coprocess::run() {
    while (link_ || child_.exists()) turn();
}

// ---- the loop ----------------------------------------------------------------------------------

/// While something is due it looks each second whether it stood still, so that the deadline moves
/// by that.
Instant Coprocess::next_look() {
    const Instant due = next_deadline();
    if (due == kNever) {
        standstill_.forget();
        return kNever;
    }
    Clock::stand(standstill_.look(Clock::now()));
    return std::min(due, Clock::now() + kLookEvery);
}

void Coprocess::turn() {
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
    if (items[kIn].revents != 0) talk_.feed();
    if (items[kErr].revents != 0) (void)talk_.take_errors(emit_);
    if (items[kOut].revents != 0) listen(now);
    if (items[kChildren].revents != 0) {
        signalfd_siginfo info;
        (void)!::read(child_signals_.get(), &info, sizeof(info));
        reap(now);
    }
    if (items[kLink].revents != 0) read_link();
    fire_timers(now);
    if (link_ && link_->wants_to_send() && !link_->flush()) abandon();
}

std::array<pollfd, Coprocess::kItems> Coprocess::poll_items() const {
    std::array<pollfd, kItems> items;
    items.fill(pollfd{.fd = -1, .events = POLLIN, .revents = 0});
    if (link_) items[kLink].fd = link_->descriptor();
    if (link_ && link_->wants_to_send()) items[kLink].events = POLLIN | POLLOUT;
    items[kChildren].fd = child_signals_.get();
    if (!child_.exists()) return items;
    items[kErr].fd = talk_.error_descriptor();
    if (!child_.runs()) return items;
    items[kIn] = talk_.wants_input();
    items[kOut].fd = talk_.output_descriptor();
    return items;
}

Instant Coprocess::next_deadline() const {
    Instant due = child_.exists() ? child_.next_deadline() : link_ ? start_at_ : kNever;
    if (question_) due = std::min({due, question_->tell_at, question_->look_at, question_->deadline_at});
    return due;
}

void Coprocess::fire_timers(Instant now) {
    if (question_ && now >= question_->look_at) look(now);
    if (question_ && now >= question_->deadline_at) stop(now);
    if (!child_.exists()) {
        if (link_ && now >= start_at_) start_program(now);
        return;
    }
    child_.fire_timers(now);
    if (!question_ || now < question_->tell_at) return;
    question_->tell_at = kNever;
    if (link_) link_->queue(LinkRecordKind::started, question_->run, StartedBody{.pid = child_.pid()});
}

void Coprocess::read_link() {
    if (!link_->fill()) return abandon();
    while (link_) {
        const std::optional<LinkRecord> record = link_->next();
        if (!record) return;
        std::string_view body = record->body;
        const Instant now = Clock::now();
        if (record->kind == LinkRecordKind::start && !question_) {
            const std::optional<StartBody> start = take_front<StartBody>(body);
            if (!start) return abandon();
            last_run_ = record->run;
            question_ = Question{.run = record->run, .message = std::string(body)};
            if (start->left_us >= 0) question_->deadline_at = now + std::chrono::microseconds(start->left_us);
            if (child_.runs()) ask(now);
        } else if (record->kind == LinkRecordKind::stop) {
            // A stop of what has been answered crossed its `done` on the way.
            if (question_ && record->run == question_->run) stop(now);
        } else if (record->kind == LinkRecordKind::restart) {
            if (!question_ && child_.runs()) end_program(now, Cause::broken);
        } else {
            return abandon();
        }
    }
}

/// Nobody wants an answer any more.
void Coprocess::abandon() {
    link_.reset();
    question_.reset();
    child_.kill(Clock::now());
}

// ---- the program -------------------------------------------------------------------------------

void Coprocess::start_program(Instant now) {
    talk_ = Talk(command_.setup().framing, max_answer_);
    answers_ = 0;
    cause_ = Cause::finished;
    unasked_.clear();
    Command::Started started{.error = 0, .step = "pipe"};
    if (talk_.open()) {
        started = command_.start(StartBody{}, {}, talk_.ends());
    } else {
        started.error = errno;
    }
    talk_.begin();
    if (started.pid != 0) child_.begin(started.pid);
    if (started.error == 0) {
        if (question_) ask(now);
        return;
    }
    if (started.pid == 0) start_at_ = now + pause_after(++fruitless_);
    const DoneBody done{.cause = Cause::not_started, .error = started.error};
    const bool is_known = started.error != ENOENT && started.error != EACCES;
    const std::string interpreter = is_known ? std::string() : missing_interpreter(executable_of(command_.paths()));
    if (question_) say_done(done, interpreter.empty() ? started.step : interpreter, {});
    say_ended(done, interpreter.empty() ? started.step : interpreter);
    // A child that can only exit: it is reaped as any other
    if (started.pid != 0) cause_ = Cause::not_started;
}

void Coprocess::ask(Instant now) {
    question_->asked = true;
    question_->tell_at = now + kTellAfter;
    if (answers_ > 0) {
        talk_.ask(question_->message);
    } else {
        talk_.ask_first(question_->message);
        if (talk_.is_held()) question_->look_at = now + question_->pause;
    }
    question_->message = std::string();
}

/// A program that has begun to read has said by then what it says unasked.
void Coprocess::look(Instant now) {
    question_->look_at = kNever;
    if (child_.runs() && talk_.has_read()) {
        listen(now);
        if (question_ && child_.runs()) talk_.release();
        return;
    }
    question_->pause = std::min(2 * question_->pause, kLongestLook);
    question_->look_at = now + question_->pause;
}

void Coprocess::stop(Instant now) {
    if (question_->asked && child_.runs()) listen(now);  // it may have answered, and that counts
    if (!question_) return;
    if (!question_->asked) return say_done({.cause = Cause::stopped}, {}, {});
    question_->deadline_at = kNever;
    if (cause_ == Cause::finished) cause_ = Cause::stopped;
    child_.stop(now);
}

void Coprocess::listen(Instant now) {
    switch (talk_.listen()) {
        case Talk::Heard::nothing: return;
        case Talk::Heard::answer: return on_answer(now);
        case Talk::Heard::over: return end_program(now, Cause::over_output);
        case Talk::Heard::broken: return end_program(now, Cause::broken);
        case Talk::Heard::closed: return end_program(now, Cause::closed);
    }
}

void Coprocess::on_answer(Instant now) {
    if (!question_ || !question_->asked || talk_.is_held()) return end_program(now, Cause::broken);
    ++answers_;
    fruitless_ = 0;
    say_done({.cause = Cause::answered}, {}, talk_.take_answer());
    if (talk_.has_more()) return end_program(now, Cause::broken);
    const std::uint64_t recycle = command_.setup().recycle;
    if (recycle == 0 || answers_ < recycle) return;
    cause_ = Cause::stopped;
    child_.stop(now);
}

/// It cannot be talked to any more.
void Coprocess::end_program(Instant now, Cause cause) {
    if (cause_ != Cause::finished) return;
    cause_ = cause;
    if (cause == Cause::broken) {
        unasked_ = std::string(talk_.heard().substr(0, kExcerpt));
    }
    // What closes its stdout is about to end by itself, as a rule: its code says more
    cause == Cause::closed ? child_.stop(now) : child_.kill(now);
}

void Coprocess::reap(Instant now) {
    if (child_.reap(now)) finish(now);
}

/// No child is left.
void Coprocess::finish(Instant now) {
    child_.gone();
    // What it wrote before it ended counts
    const bool by_itself = cause_ == Cause::finished || cause_ == Cause::closed;
    if (by_itself && question_ && question_->asked && !talk_.is_held() && talk_.listen() == Talk::Heard::answer) {
        ++answers_;
        say_done({.cause = Cause::answered}, {}, talk_.take_answer());
    }
    talk_.take_last_errors(emit_);
    if (answers_ > 0) fruitless_ = 0;
    const bool wanted = cause_ == Cause::stopped;
    if (answers_ == 0 && !wanted) ++fruitless_;
    start_at_ = now + (wanted ? Duration::zero() : pause_after(fruitless_));
    const DoneBody done{.cause = cause_, .exit_code = child_.exit_code(), .signal = child_.signal()};
    const std::string note = this->note(cause_);
    if (cause_ != Cause::not_started && !wanted) say_ended(done, note);
    if (question_ && question_->asked) say_done(done, note, {});
    if (link_ && now >= start_at_) start_program(now);
}

std::string Coprocess::note(Cause cause) const {
    if (cause == Cause::broken) return unasked_;
    if (cause == Cause::stopped && answers_ == 0) return "it has answered nothing";
    return talk_.last_error();
}

// ---- what is said ------------------------------------------------------------------------------

void Coprocess::say_done(const DoneBody& done, std::string_view note, std::string_view result) {
    DoneBody said = done;
    said.note_size = static_cast<std::uint32_t>(note.size());
    if (link_) link_->queue(LinkRecordKind::done, question_->run, said, note, result);
    question_.reset();
}

void Coprocess::say_ended(const DoneBody& done, std::string_view note) {
    DoneBody said = done;
    said.note_size = static_cast<std::uint32_t>(note.size());
    if (link_) link_->queue(LinkRecordKind::ended, last_run_, said, note);
}

}  // namespace curfew

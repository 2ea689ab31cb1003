#include "worker/supervisor/coprocess.h"

#include <algorithm>
#include <cerrno>
#include <utility>

namespace curfew {
namespace {

using namespace std::chrono_literals;

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
      loop_(std::move(link), std::move(child_signals), options.grace, *this),
      talk_(options.setup.framing, max_answer_) {}

void Coprocess::begin(const Start& start, Instant now) {
    question_ = Question{.message = std::string(start.message)};
    if (loop_.child().runs()) ask(now);
}

bool Coprocess::restart(Instant now) {
    if (!question_ && loop_.child().runs()) end_program(now, Cause::broken);
    return true;
}

PipeEnds Coprocess::waits_for() const {
    const PipeEnds ends = talk_.waits_for();
    return loop_.child().runs() ? ends : PipeEnds{.err = ends.err};
}

Instant Coprocess::next_deadline() const {
    const Instant start_at = loop_.child().exists() || !loop_.has_worker() ? kNever : start_at_;
    return question_ ? std::min(start_at, question_->look_at) : start_at;
}

void Coprocess::fire_timers(Instant now) {
    if (question_ && now >= question_->look_at) look(now);
    if (!loop_.child().exists() && loop_.has_worker() && now >= start_at_) start_program(now);
}

// ---- the program -------------------------------------------------------------------------------

void Coprocess::start_program(Instant now) {
    talk_ = Talk(command_.setup().framing, max_answer_);
    answers_ = 0;
    cause_ = Cause::finished;
    unasked_.clear();
    Command::Started started{.error = 0, .step = "pipe"};
    if (talk_.open()) {
        started = command_.start({}, talk_.ends());
    } else {
        started.error = errno;
    }
    talk_.begin();
    if (started.pid != 0) loop_.child().begin(started.pid);
    if (started.error == 0) {
        if (question_) ask(now);
        return;
    }
    if (started.pid == 0) start_at_ = now + pause_after(++fruitless_);
    const DoneBody done{.cause = Cause::not_started, .error = started.error};
    const std::string why = command_.why_not_started(started.error);
    const std::string_view note = why.empty() ? started.step : why;
    if (question_) say_done(done, note, {});
    loop_.say_ended(done, note);
    // A child that can only exit: it is reaped as any other
    if (started.pid != 0) cause_ = Cause::not_started;
}

void Coprocess::ask(Instant now) {
    question_->asked = true;
    loop_.tell_later(now);
    if (answers_ > 0) {
        talk_.ask(question_->message);
    } else {
        talk_.ask_first(question_->message);
        if (talk_.is_held()) question_->look_at = now + question_->pause;
    }
    question_->message = std::string();
}

/// A program that has begun to read has said by then what it says unasked. One that is to end gets
/// no more of the message.
void Coprocess::look(Instant now) {
    question_->look_at = kNever;
    if (!loop_.child().runs()) return;
    if (!talk_.has_read()) {
        question_->pause = std::min(2 * question_->pause, kLongestLook);
        question_->look_at = now + question_->pause;
        return;
    }
    listen(now);
    if (question_ && loop_.child().runs()) talk_.release();
}

void Coprocess::stop(Instant now) {
    // It may have answered, and that counts
    if (question_->asked && loop_.child().runs()) listen(now);
    if (!question_) return;
    if (!question_->asked) return say_done({.cause = Cause::stopped}, {}, {});
    if (cause_ == Cause::finished) cause_ = Cause::stopped;
    loop_.child().stop(now);
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
    loop_.child().stop(now);
}

/// It cannot be talked to any more.
void Coprocess::end_program(Instant now, Cause cause) {
    if (cause_ != Cause::finished) return;
    cause_ = cause;
    if (cause == Cause::broken) unasked_ = std::string(talk_.heard().substr(0, kExcerpt));
    // What closes its stdout is about to end by itself, as a rule: its code says more
    cause == Cause::closed ? loop_.child().stop(now) : loop_.child().kill(now);
}

void Coprocess::finish(Instant now) {
    loop_.child().gone();
    // What it wrote before it ended counts
    const bool by_itself = cause_ == Cause::finished || cause_ == Cause::closed;
    if (by_itself && question_ && question_->asked && !talk_.is_held() && talk_.listen() == Talk::Heard::answer) {
        ++answers_;
        say_done({.cause = Cause::answered}, {}, talk_.take_answer());
    }
    talk_.take_last_errors(loop_.emit());
    if (answers_ > 0) fruitless_ = 0;
    const bool wanted = cause_ == Cause::stopped;
    if (answers_ == 0 && !wanted) ++fruitless_;
    start_at_ = now + (wanted ? Duration::zero() : pause_after(fruitless_));
    const DoneBody done{.cause = cause_,
                        .has_ended = cause_ != Cause::not_started ? 1U : 0U,
                        .exit_code = loop_.child().exit_code(),
                        .signal = loop_.child().signal()};
    const std::string note = this->note();
    if (cause_ != Cause::not_started && !wanted) loop_.say_ended(done, note);
    if (question_ && question_->asked) say_done(done, note, {});
    if (loop_.has_worker() && now >= start_at_) start_program(now);
}

std::string Coprocess::note() const {
    if (cause_ == Cause::broken) return unasked_;
    if (cause_ == Cause::stopped && answers_ == 0) return "it has answered nothing";
    return talk_.last_error();
}

void Coprocess::say_done(const DoneBody& done, std::string_view note, std::string_view result) {
    loop_.say_done(done, note, talk_.digest(), result);
    talk_.digest().forget_said();
    question_.reset();
}

}  // namespace curfew

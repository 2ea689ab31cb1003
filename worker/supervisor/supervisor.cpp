#include "worker/supervisor/supervisor.h"

#include <cerrno>
#include <utility>

namespace curfew {

Supervisor::Supervisor(OwnedDescriptor link, OwnedDescriptor child_signals, SupervisorOptions options)
    : max_output_(options.max_output),
      command_(std::move(options.command), std::move(options.setup), std::move(options.handed_on)),
      loop_(std::move(link), std::move(child_signals), options.grace, *this) {}

void Supervisor::begin(const Start& start, Instant now) {
    done_ = {};
    run_ = Run();
    if (!run_.open()) return not_started(errno, "pipe");
    const Command::Started started = command_.start(start, run_.ends());
    if (started.pid == 0) return not_started(started.error, started.step);
    loop_.child().begin(started.pid);
    if (started.error != 0) {  // a child that could only exit: it is reaped as any other
        done_.cause = Cause::not_started;
        done_.error = started.error;
        return;
    }
    loop_.tell_later(now);
    run_.begin_input(start.message, command_.setup().stdin_form == StdinForm::line ? "\n" : "");
}

void Supervisor::not_started(int error, std::string_view step) {
    loop_.say_done({.cause = Cause::not_started, .error = error}, step, run_.digest(), {});
    run_ = Run();
}

void Supervisor::stop(Instant now) {
    loop_.reap(now);  // it may have ended by itself, and that counts
    if (!loop_.child().runs()) return;
    if (done_.cause == Cause::finished) done_.cause = Cause::stopped;
    loop_.child().stop(now);
}

void Supervisor::finish(Instant now) {
    done_.exit_code = loop_.child().exit_code();
    done_.signal = loop_.child().signal();
    done_.has_ended = done_.cause != Cause::not_started ? 1 : 0;
    loop_.child().gone();  // whatever the output says now, nothing is left to be killed
    while (done_.cause == Cause::finished && take_output(now)) {
    }
    run_.take_last_errors(loop_.emit());
    const bool has_result = done_.cause == Cause::finished && done_.signal == 0;
    const bool has_run = done_.cause != Cause::not_started;
    loop_.say_done(done_, has_run ? run_.last_error() : command_.why_not_started(done_.error), run_.digest(),
                   has_result ? run_.output() : std::string_view());
    run_ = Run();
}

PipeEnds Supervisor::waits_for() const {
    PipeEnds ends = run_.waits_for();
    if (done_.cause == Cause::over_output) ends.out = -1;
    return ends;
}

/// Takes one piece. False: there was none, or no more is wanted.
bool Supervisor::take_output(Instant now) {
    if (done_.cause != Cause::finished) return run_.drop_output();  // its result will not be used
    if (!run_.take_output()) return false;
    if (!run_.is_over(max_output_)) return true;
    done_.cause = Cause::over_output;
    run_.forget_output();
    loop_.child().kill(now);
    return false;
}

}  // namespace curfew

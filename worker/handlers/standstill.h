// Standstill: what to do about one supervisor that may have been stopped (SIGSTOP, a debugger), by
// the work it runs or by anybody else. A stopped supervisor keeps no deadline, hears no stop and
// takes no work.
//
// A pure core, one for each supervisor, owned by the exec handler, which looks (at what the kernel
// says, and when) and does what it is told: let the supervisor go on (SIGCONT), or kill it. It is
// told to go on whenever it is seen stopped; it is killed when it was still stopped a second later,
// or after the time its work had to end in, or has been stopped so often that nothing else would be
// done here. Nobody is killed for the first sight of it: what stood still with its whole machine,
// or under a debugger for a moment, loses nothing.
#pragma once

#include "common/words/vocabulary.h"

namespace curfew {

class Standstill {
public:
    enum class Act : std::uint8_t { none, go_on, kill };

    /// It was given work, and is to say within a moment that the work runs or is over.
    void work_given(Instant now, Instant deadline_at, Duration grace);
    /// It said that the work runs. From now on it is looked at once a second, for the stops that
    /// send no signal.
    void work_runs();
    /// The work is to end, now and within grace.
    void end_is_due(Instant now, Duration grace);
    /// It has no work, or is no more: nothing is expected of it.
    void idle();

    /// It was looked at, as it stopped or when a look was due.
    [[nodiscard]] Act seen(Instant now, bool stopped);
    [[nodiscard]] Instant next_look() const { return look_at_; }

private:
    void end_by(Instant at, Duration grace);

    bool works_ = false;
    Instant look_at_ = kNever;
    Instant given_at_ = kNever;       ///< kNever: it said that the work runs, or has none
    Instant due_at_ = kNever;         ///< when the work is to stop
    Instant over_at_ = kNever;        ///< that, and grace, and the time of a kill
    Instant stopped_since_ = kNever;  ///< kNever: it was not stopped when it was last seen
    unsigned stops_ = 0;              ///< how often it was seen stopped, in this work
};

}  // namespace curfew

// What a process does for itself while it lives, once a second and beside its work: its files in
// the run directory are kept, what happened to its connections is taken, callers who were turned
// away are told of, and the memory of a burst goes back in the first second that is quiet again.
// One thread; nothing fails.
#pragma once

#include "common/process/log.h"
#include "common/process/pace.h"
#include "common/process/run_dir.h"
#include "common/process/sockets.h"
#include "common/words/vocabulary.h"

namespace curfew {

class Upkeep {
public:
    // `used`: of the processor, by the work so far, without what went into answers.

    /// In each turn, for what is in the run directory of this process.
    void turn(Instant now, Duration used, RunDir& run_dir, Sockets& sockets);
    /// When it wants its next turn at the latest.
    [[nodiscard]] Instant next_deadline() const { return looks_at_; }
    /// The process has next to nothing to do.
    [[nodiscard]] bool at_rest(Instant now, Duration used) { return pace_.at_rest(now, used); }

private:
    void keep_files(Instant now, RunDir& run_dir, Sockets& sockets);

    Instant looks_at_{};
    Pace pace_;
    log::Growth turned_away_log_;
    log::Seldom files_log_;
};

}  // namespace curfew

// A program and all that comes of it, stopped for real: asked, and after a grace killed, again and
// again until the kernel says that no child is left. One at a time in a process, which is a child
// subreaper. One thread.
//
//             stop                     grace is over
//     running ----> stopping -------------------------------+
//       |      (SIGTERM     | its process is gone           |
//       |      to the tree) v                               v
//       +-----------------> killing (SIGKILL to the tree, again and again) --no child is left--> none
//         its process is gone, kill
//
// The usual program goes from running to none in one step: its process is gone, and there is
// nothing else.
#pragma once

#include <sys/types.h>

#include <cstdint>

#include "common/words/vocabulary.h"

namespace curfew {

class Child {
public:
    explicit Child(Duration grace) : grace_(grace) {}

    /// It has been started.
    void begin(pid_t pid) { *this = Child(grace_), pid_ = pid, phase_ = Phase::running; }
    /// Asks the whole tree to end. Only while it runs.
    void stop(Instant now);
    /// Kills the whole tree.
    void kill(Instant now);
    /// Nothing of it is left to be killed.
    void gone() { phase_ = Phase::none; }
    /// Kills what is due.
    void fire_timers(Instant now);
    /// Reaps what is dead. True: it has been begun, and no child is left.
    [[nodiscard]] bool reap(Instant now);
    [[nodiscard]] Instant next_deadline() const;

    [[nodiscard]] bool exists() const { return phase_ != Phase::none; }
    [[nodiscard]] bool runs() const { return phase_ == Phase::running; }
    [[nodiscard]] bool is_being_killed() const { return phase_ == Phase::killing; }
    [[nodiscard]] pid_t pid() const { return pid_; }
    /// How its own process ended, once it has: a code, or not 0: a signal.
    [[nodiscard]] int exit_code() const { return exit_code_; }
    [[nodiscard]] int signal() const { return signal_; }

private:
    enum class Phase : std::uint8_t { none, running, stopping, killing };

    Duration grace_;
    Phase phase_ = Phase::none;
    pid_t pid_ = 0;
    bool reaped_ = false;
    int exit_code_ = 0, signal_ = 0;
    Instant kill_at_ = kNever;
    Instant pass_at_ = kNever;
    Duration pause_{};  // between two passes of killing
};

}  // namespace curfew

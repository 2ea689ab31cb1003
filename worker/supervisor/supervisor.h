// A supervisor: runs a command once for each `start` that comes over its link, one at a time, and
// says `done` when no process that came of it is left. The Carrier of a Loop (loop.h).
//
// What the kernel cannot give for a run (descriptors, processes) fails that run, with the errno;
// the supervisor goes on.
//
//     idle --start--> its Child (child.h) lives, and a Run (run.h) carries the message --no child is left: done--> idle
//                       |
//                       +-- stop, deadline: the child is stopped; output over the limit, link closed: it is killed
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "common/words/vocabulary.h"
#include "worker/supervisor/command.h"
#include "worker/supervisor/link.h"
#include "worker/supervisor/loop.h"
#include "worker/supervisor/run.h"

namespace curfew {

class Supervisor final : private Carrier {
public:
    Supervisor(OwnedDescriptor link, OwnedDescriptor child_signals, SupervisorOptions options);

    /// Serves until the link closes and nothing is left.
    void run() { loop_.run(); }

private:
    void begin(const Start& start, Instant now) override;
    void stop(Instant now) override;
    [[nodiscard]] PipeEnds waits_for() const override;
    void feed() override { run_.feed_input(); }
    void listen(Instant now) override { (void)take_output(now); }
    void take_errors() override { (void)run_.take_errors(loop_.emit()); }
    void finish(Instant now) override;

    void not_started(int error, std::string_view step);
    bool take_output(Instant now);

    const std::size_t max_output_;
    Command command_;
    Loop loop_;
    Run run_;
    DoneBody done_;  // what will be said of it
};

}  // namespace curfew

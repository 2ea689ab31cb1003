// A supervisor: runs a command once for each `start` that comes over its link, one at a time, and
// says `done` when no process that came of it is left.
//
// One object in a process of its own (curfew-supervisor), one thread, one loop. It needs nobody to
// stop its work in time: the deadline is its own timer, and a link that closes is the order to kill
// everything and end. What the kernel cannot give for a run (descriptors, processes) fails that
// run, with the errno; the supervisor goes on.
//
//     idle --start--> its Child (child.h) lives, and a Run (run.h) carries the message --no child is left: done--> idle
//                       |
//                       +-- stop, deadline: the child is stopped; output over the limit, link closed: it is killed
#pragma once

#include <poll.h>

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/process/clock.h"
#include "common/words/vocabulary.h"
#include "worker/supervisor/child.h"
#include "worker/supervisor/command.h"
#include "worker/supervisor/link.h"
#include "worker/supervisor/run.h"

namespace curfew {

struct SupervisorOptions {
    Duration grace{};
    std::size_t max_output = 0;
    RunSetup setup;
    std::vector<OwnedDescriptor> handed_on;  ///< one for each of setup.handed_on
    std::vector<std::string> command;
};

class Supervisor {
public:
    Supervisor(OwnedDescriptor link, OwnedDescriptor child_signals, SupervisorOptions options);

    /// Serves until the link closes and nothing is left.
    void run();

private:
    enum Item : std::uint8_t { kLink, kChildren, kIn, kOut, kErr, kItems };

    static constexpr Duration kLookEvery = std::chrono::seconds(1);

    void turn();
    [[nodiscard]] std::array<pollfd, kItems> poll_items() const;
    [[nodiscard]] Instant next_deadline() const;
    [[nodiscard]] Instant next_look();
    void read_link();
    void abandon();

    void begin(std::uint32_t number, const StartBody& body, std::string_view message);
    void not_started(int error, std::string_view step);
    void stop(Instant now);
    void fire_timers(Instant now);
    void reap(Instant now);
    void finish();
    bool take_output();
    [[nodiscard]] std::string note() const;

    const std::size_t max_output_;
    Command command_;
    OwnedDescriptor child_signals_;
    std::optional<Link> link_;  // none: the worker is gone
    Child child_;
    Run run_;
    std::uint32_t number_ = 0;  // of the run in hand, or the last one
    DoneBody done_;             // what will be said of it
    Instant deadline_at_ = kNever;
    Instant tell_at_ = kNever;  // when its pid is said, if it still runs
    StandstillWatch standstill_{kLookEvery + std::chrono::milliseconds(250)};
    StderrDigest::Emit emit_;
};

}  // namespace curfew

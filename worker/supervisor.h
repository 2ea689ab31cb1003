// A supervisor: runs a command once for each `start` that comes over its link, one at a time, and says `done` when no
// process that came of it is left.
//
// One object in a process of its own (curfew-supervisor), one thread, one loop. It needs nobody to stop its work in
// time: the deadline is its own timer, and a link that closes is the order to kill everything and end. What the kernel
// cannot give for a run (descriptors, processes) fails that run, with the errno; the supervisor goes on.
//
//             start                 stop, deadline               grace is over
//     idle ----------> running -------------------> stopping -----------------+
//       ^                 |  (SIGTERM to the tree)      | its process is gone  |
//       |                 |                             v                      v
//       |                 +-------------------------> killing  (SIGKILL to the tree, again and again)
//       |                   its process is gone,        |
//       |                   output over the limit       |
//       +-----------------------------------------------+
//                   no child is left: done
//
// The usual run goes from running to idle in one step: its process is gone, and there is nothing else.
#pragma once

#include <poll.h>
#include <sys/types.h>

#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/process/clock.h"
#include "common/words/vocabulary.h"
#include "worker/process_tree.h"
#include "worker/supervisor_link.h"

namespace curfew {

/// What a run may say on stderr: its first lines pass, the rest is counted; the last line is remembered for the error.
class StderrDigest {
public:
    using Emit = std::function<void(std::string_view line)>;

    void take(std::string_view chunk, const Emit& emit);
    /// The run is over: what is left of a line, and the count of what did not pass.
    void finish(const Emit& emit);
    [[nodiscard]] const std::string& last_line() const { return last_line_; }

private:
    void end_line(const Emit& emit);

    std::string line_;           ///< the line that is being written, as far as it is kept
    std::uint64_t cut_ = 0;      ///< bytes of that line that are not kept
    std::size_t lines_ = 0;      ///< lines that passed
    std::size_t bytes_ = 0;      ///< bytes that passed
    std::uint64_t dropped_ = 0;  ///< bytes that did not
    std::string last_line_;
};

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
    enum class Phase : std::uint8_t { idle, running, stopping, killing };
    enum Item : std::uint8_t { kLink, kChildren, kIn, kOut, kErr, kItems };

    struct Pipe {
        OwnedDescriptor read_end;
        OwnedDescriptor write_end;
    };

    /// The run in hand. The write ends of `out` and `err` stay open here: so a pipe never reports a hang-up, the loop
    /// wakes for what is written and for the end of the process, and who else holds the pipe does not matter.
    struct Run {
        std::uint32_t number = 0;
        pid_t pid = 0;
        bool reaped = false;
        DoneBody done;
        Pipe in, out, err;
        std::vector<OwnedDescriptor> handed_on;  ///< until it is launched
        std::string input;                       ///< what is not written yet
        std::size_t written = 0;
        std::string output;
        StderrDigest digest;
        Instant deadline_at = kNever;
        Instant kill_at = kNever;
        Instant pass_at = kNever;
        Instant tell_at = kNever;
        Duration pause{};  ///< between two passes of killing
    };

    static constexpr Duration kLookEvery = std::chrono::seconds(1);

    void turn();
    [[nodiscard]] std::array<pollfd, kItems> poll_items() const;
    [[nodiscard]] Instant next_deadline() const;
    [[nodiscard]] Instant next_look();
    void read_link();
    void abandon();

    void begin(std::uint32_t number, const StartBody& body, std::string_view message);
    void write_input(std::string_view message);
    [[nodiscard]] bool open_pipes();
    [[nodiscard]] bool open_handed_on();
    [[nodiscard]] Launched launch_command(const StartBody& body, std::string_view message);
    void not_started(int error, std::string_view step);
    void begin_stop(Instant now);
    void begin_kill(Instant now);
    void fire_timers(Instant now);
    void reap(Instant now);
    void finish();
    [[nodiscard]] std::string note() const;

    void feed_input();
    bool take_output();
    bool take_errors();
    [[nodiscard]] bool output_is_over() const;

    SupervisorOptions options_;
    std::vector<std::string> paths_;  ///< of the command
    std::size_t path_ = 0;            ///< the one that ran last
    std::vector<char*> environment_;  ///< what every run inherits
    OwnedDescriptor child_signals_;
    std::optional<Link> link_;  ///< none: the worker is gone
    Phase phase_ = Phase::idle;
    Run run_;
    StandstillWatch standstill_{kLookEvery + std::chrono::milliseconds(250)};
    StderrDigest::Emit emit_;
};

}  // namespace curfew

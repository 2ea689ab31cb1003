// A supervisor of a program that stays: it starts it, hands it one message after the other, and
// takes an answer to each. To the worker it is as any supervisor (supervisor.h), by the same link.
//
// One object in a process of its own (curfew-supervisor), one thread, one loop. A message has its
// end when it is answered; or, where its program has to be stopped, has ended or has broken the
// framing, when no process of the program is left. Then the program is started anew: at once where
// it had answered something, else after a growing pause.
//
//     down --start--> idle --a message--> asked --an answer--> idle
//      ^               |                    |
//      |  it says something unasked, ends   |  it ends, breaks the framing, says too much; stop; deadline
//      |               v                    v
//      +--no child is left-- its Child is stopped or killed
#pragma once

#include <poll.h>

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "common/process/clock.h"
#include "common/words/vocabulary.h"
#include "worker/supervisor/child.h"
#include "worker/supervisor/command.h"
#include "worker/supervisor/link.h"
#include "worker/supervisor/supervisor.h"
#include "worker/supervisor/talk.h"

namespace curfew {

class Coprocess {
public:
    Coprocess(OwnedDescriptor link, OwnedDescriptor child_signals, SupervisorOptions options);

    /// Serves until the link closes and nothing is left.
    void run();

private:
    enum Item : std::uint8_t { kLink, kChildren, kIn, kOut, kErr, kItems };

    static constexpr Duration kLookEvery = std::chrono::seconds(1);

    /// A message that has no end yet.
    struct Question {
        std::uint32_t run = 0;
        std::string message;
        bool asked = false;  ///< the program has it
        Instant deadline_at = kNever;
        Instant tell_at = kNever;  ///< when the program's pid is said, if there is no answer yet
        /// Whether it has begun to read, of the first message of a program.
        Instant look_at = kNever;
        Duration pause = std::chrono::milliseconds(1);
    };

    void turn();
    [[nodiscard]] std::array<pollfd, kItems> poll_items() const;
    [[nodiscard]] Instant next_deadline() const;
    [[nodiscard]] Instant next_look();
    void read_link();
    void abandon();

    void start_program(Instant now);
    void ask(Instant now);
    void look(Instant now);
    void stop(Instant now);
    void listen(Instant now);
    void on_answer(Instant now);
    void end_program(Instant now, Cause cause);
    void fire_timers(Instant now);
    void reap(Instant now);
    void finish(Instant now);
    void say_done(const DoneBody& done, std::string_view note, std::string_view result);
    void say_ended(const DoneBody& done, std::string_view note);
    [[nodiscard]] std::string note(Cause cause) const;

    Command command_;
    const std::size_t max_answer_;
    OwnedDescriptor child_signals_;
    std::optional<Link> link_;  // none: the worker is gone
    Child child_;
    Talk talk_;
    std::optional<Question> question_;
    Cause cause_ = Cause::finished;  // why the program that there is is to end
    std::string unasked_;            // the beginning of what it said wrongly
    Instant start_at_{};             // in `down`: when to start it
    std::uint64_t answers_ = 0;      // of the program that there is
    unsigned fruitless_ = 0;         // programs in a row that have answered nothing
    std::uint32_t last_run_ = 0;
    StandstillWatch standstill_{kLookEvery + std::chrono::milliseconds(250)};
    StderrDigest::Emit emit_;
};

}  // namespace curfew

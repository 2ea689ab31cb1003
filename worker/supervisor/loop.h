// The loop of a supervisor: all that it waits for, what the worker says over the link and is told
// over it, and the one Child (child.h) that there is at a time. How a message gets through the
// child's program is the matter of its Carrier: a Supervisor (supervisor.h), a Coprocess
// (coprocess.h).
//
// One for each process (curfew-supervisor), one thread. It needs nobody to stop its work in time:
// the deadline is its own timer, and a link that closes, or says nonsense, is the order to kill
// everything and end.
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
#include "worker/supervisor/link.h"
#include "worker/supervisor/pipes.h"
#include "worker/supervisor/stderr_digest.h"

namespace curfew {

struct SupervisorOptions {
    Duration grace{};
    std::size_t max_output = 0;
    RunSetup setup;
    std::vector<OwnedDescriptor> handed_on;  ///< one for each of setup.handed_on
    std::vector<std::string> command;
};

/// Carries messages through a program, one at a time. Called by its Loop, which it has.
class Carrier {
public:
    virtual ~Carrier() = default;

    /// The worker has a message; it has said `done` of the one before. Says `done` of it, once.
    virtual void begin(const Start& start, Instant now) = 0;
    /// Of the message in hand: the worker wants no more of it, or its deadline is over.
    virtual void stop(Instant now) = 0;
    /// Its program has said what it should not have. False: there is no program that stays.
    [[nodiscard]] virtual bool restart(Instant) { return false; }

    /// While there is a child: which of our ends of its pipes are waited for. -1: not that one.
    [[nodiscard]] virtual PipeEnds waits_for() const = 0;
    virtual void feed() = 0;
    virtual void listen(Instant now) = 0;
    virtual void take_errors() = 0;
    /// No child is left.
    virtual void finish(Instant now) = 0;

    /// Timers of its own.
    [[nodiscard]] virtual Instant next_deadline() const { return kNever; }
    virtual void fire_timers(Instant) {}
};

class Loop {
public:
    Loop(OwnedDescriptor link, OwnedDescriptor child_signals, Duration grace, Carrier& carrier);
    Loop(const Loop&) = delete;
    Loop& operator=(const Loop&) = delete;

    /// Serves until the link closes and nothing is left.
    void run();

    // For the carrier. What is said goes out at the end of the turn, to a worker that is there.
    [[nodiscard]] bool has_worker() const { return link_.has_value(); }
    [[nodiscard]] Child& child() { return child_; }
    [[nodiscard]] const Child& child() const { return child_; }
    void reap(Instant now);
    /// The message in hand is in the child's program: says its pid, if that lasts.
    void tell_later(Instant now);
    /// `said`: what its program has said on stderr.
    void say_done(DoneBody done, std::string_view note, const StderrDigest& said, std::string_view result);
    void say_ended(DoneBody ended, std::string_view note);
    /// For lines of stderr.
    [[nodiscard]] const StderrDigest::Emit& emit() const { return emit_; }

private:
    enum Item : std::uint8_t { kLink, kChildren, kIn, kOut, kErr, kItems };
    using Items = std::array<pollfd, kItems>;

    static constexpr Duration kLookEvery = std::chrono::seconds(1);

    /// The message of which no `done` is said yet.
    struct InHand {
        Instant deadline_at = kNever;
        Instant tell_at = kNever;  ///< when the pid is said, if there is no `done` yet
    };

    void turn();
    [[nodiscard]] Items poll_items() const;
    [[nodiscard]] bool wait(Items& items);
    void look();
    [[nodiscard]] Instant next_deadline() const;
    void fire_timers(Instant now);
    void read_link();
    [[nodiscard]] bool take(const LinkRecord& record, Instant now);
    void stop(Instant now);
    void abandon();

    Carrier& carrier_;
    OwnedDescriptor child_signals_;
    std::optional<Link> link_;  // none: the worker is gone
    Child child_;
    std::uint32_t run_ = 0;  // the one in hand, or the last one
    std::optional<InHand> in_hand_;
    StandstillWatch standstill_{kLookEvery + std::chrono::milliseconds(250)};
    StderrDigest::Emit emit_;
};

}  // namespace curfew

// The `exec` handler: runs a command once for each attempt, the message on its stdin, the result
// from its stdout.
//
// It starts nothing itself. Each slot has a supervisor, a small process that does
// (worker/supervisor/supervisor.h), and the handler speaks to those over links. The worker's loop
// owns it and calls it from its one thread. One handler a process: when a supervisor dies, its
// orphans fall to this process, and every child here that is no supervisor is taken for one of
// them.
//
//              its link closes            it is reaped               no orphan is left
//     ready ---------------------> dying ----------------> clearing --------------------> down
//       ^                                            (SIGKILL, each pass)                   |
//       +-----------------------------------------------------------------------------------+
//                   started again: at once, or after a pause when it keeps dying
//
// A supervisor that is stopped is told to go on, and killed if that does not help
// (worker/handlers/standstill.h). A stop is heard of as any child's is, by SIGCHLD, which is
// blocked while there is a handler; a debugger's sends none, so a supervisor that has work is
// looked at once a second.
//
// With a framing the command stays (worker/supervisor/coprocess.h): a slot's supervisor keeps it,
// and gives it one message after the other. Where it has to be stopped, the slot changes its
// supervisor for a spare one, whose command stands ready.
//
// Work that a supervisor took with it ends `failed` when its orphans are gone, not before. Work
// that is given to a slot without a supervisor is held until there is one; if none can be started,
// it ends `failed` with the reason.
#pragma once

#include <signal.h>

#include <chrono>
#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "worker/handlers/breaker.h"
#include "worker/handlers/handler.h"
#include "worker/handlers/standstill.h"
#include "worker/supervisor/handed_on.h"
#include "worker/supervisor/link.h"

namespace curfew {

struct ExecOptions {
    std::string supervisor_path;       ///< of curfew-supervisor
    std::vector<std::string> command;  ///< not empty
    StdinForm stdin_form = StdinForm::exact;
    std::string placeholder = "{}";        ///< replaced by the message in the arguments; not empty
    std::vector<std::string> environment;  ///< NAME=value, for all work
    rlim_t descriptors = RLIM_INFINITY;    ///< soft limit of all work
    Slot slots = 1;
    std::chrono::milliseconds grace{1000};
    std::size_t max_output = 1024 * 1024;  ///< bytes of a result
    std::vector<int> ok_exit{0};
    std::vector<int> reject_exit;
    /// Not none: the command stays, and gets one message after the other (coprocess).
    Framing framing = Framing::none;
    bool json = false;          ///< lines of JSON (answers.h); the framing is `line`
    std::uint64_t recycle = 0;  ///< answers after which the command is started anew; 0: never
    /// Supervisors beyond the slots: one stands ready when another has to be stopped.
    Slot spare = 0;
    /// Takes that the command of a slot has ended although it was to stay, and why. May be empty.
    std::function<void(std::string_view why)> on_ended;
    /// Takes what the work writes to stderr, a limited number of lines an attempt. May be empty.
    std::function<void(const AttemptId&, std::string_view line)> on_stderr;
    /// Takes that the supervisor of a slot was stopped: the first time in a piece of work, and when
    /// it is killed for it. May be empty.
    std::function<void(const AttemptId&, pid_t supervisor, bool killed)> on_stopped_supervisor;
};

class ExecHandler final : public Handler {
public:
    /// Starts the supervisors. Throws std::system_error if not even one can be started,
    /// std::invalid_argument for a command that cannot be run again and again.
    explicit ExecHandler(ExecOptions options);
    /// Kills all work, and waits for that, but not for longer than grace + 2 s.
    ~ExecHandler() override;
    ExecHandler(const ExecHandler&) = delete;
    ExecHandler& operator=(const ExecHandler&) = delete;

    void start(Instant now, Slot slot, const Work& work) override;
    void stop(Instant now, Slot slot) override;
    void turn(Instant now, std::vector<WorkEnd>& ends) override;
    void wait_for(Poller& poller) const override;
    [[nodiscard]] Instant next_deadline() const override;
    [[nodiscard]] bool can_kill() const override { return true; }
    [[nodiscard]] pid_t pid(Slot slot) const override;
    [[nodiscard]] Slot open_slots(Instant now) const override;
    void add_stats(Instant now, JsonObject& stats) const override;

private:
    enum class State : std::uint8_t { ready, dying, clearing, down };

    static constexpr Duration kFirstPause = std::chrono::milliseconds(1), kLongestPause = std::chrono::seconds(1);

    /// Work that waits for its supervisor.
    struct Held {
        StartBody body;
        std::string message;
    };

    struct SlotEntry {
        State state = State::down;
        pid_t supervisor = 0;      ///< from its start until it is reaped
        OwnedDescriptor death;     ///< pidfd of it: readable when it is dead
        std::optional<Link> link;  ///< in `ready` only
        Instant start_at{};        ///< in `down`: when to start the next
        unsigned deaths = 0;       ///< since it last did a piece of work
        std::uint32_t run = 0;     ///< number of the last piece of work
        bool running = false;      ///< a supervisor has work, or took it with it
        bool stop_asked = false;
        Standstill standstill;
        bool stop_told = false;  ///< in this work: that its supervisor was stopped
        bool killed = false;     ///< by us: it was stopped, and did not go on
        Instant deadline_at = kNever;
        AttemptId id;  ///< of the work that runs or is held
        Seq seq = 0;
        Instant began{};
        bool unfit = false;    ///< its command has to be started anew
        std::string nonsense;  ///< the beginning of its last answer, where that was none
        pid_t work_pid = 0;    ///< 0: not told (yet)
        std::optional<Held> held;
    };

    void start_supervisor(Instant now, Slot slot, std::vector<WorkEnd>& ends);
    [[nodiscard]] int spawn_supervisor(SlotEntry& entry);
    void hand_over(Instant now, SlotEntry& entry, const StartBody& body, std::string_view message);
    void lose_supervisor(SlotEntry& entry);
    void back_off(Instant now, SlotEntry& entry);
    void wait_for_supervisors(Instant until);
    [[nodiscard]] std::vector<pid_t> supervisors() const;
    [[nodiscard]] bool any(State state) const;

    void read_links(std::vector<WorkEnd>& ends);
    void read_link(Slot slot, std::vector<WorkEnd>& ends);
    [[nodiscard]] bool take(Slot slot, const LinkRecord& record, std::vector<WorkEnd>& ends);
    [[nodiscard]] bool takes_messages() const { return options_.framing != Framing::none; }
    [[nodiscard]] bool take_done(Slot slot, std::string_view body, std::vector<WorkEnd>& ends);
    [[nodiscard]] WorkEnd end_of(Slot slot, const DoneBody& done, std::string_view note, std::string_view result);
    void on_ended(SlotEntry& entry, const DoneBody& done, std::string_view note);
    void take_spare(Slot slot);
    void end_held(Instant now, Slot slot, std::vector<WorkEnd>& ends);

    void hear_of_stops(Instant now, std::vector<WorkEnd>& ends);
    void look_for_stops(Instant now, std::vector<WorkEnd>& ends);
    void look_at(Instant now, Slot slot, bool stopped, std::vector<WorkEnd>& ends);

    void reap_supervisors();
    [[nodiscard]] WorkEnd end_without_supervisor(Instant now, Slot slot);
    void bury(Instant now, std::vector<WorkEnd>& ends);
    [[nodiscard]] bool clear_orphans();

    ExecOptions options_;
    RunSetup setup_;
    HandedOn handed_on_;
    bool message_in_arguments_ = false;
    sigset_t signals_before_{};  ///< the mask that is restored at the end
    OwnedDescriptor child_signals_;
    std::vector<SlotEntry> slots_;
    std::vector<WorkEnd> early_ends_;  ///< of work that could not begin: for the next turn
    Instant wake_at_ = kNever;         ///< something is to be done in the next turn
    bool orphans_ = false;             ///< a supervisor died without having cleared up
    Instant pass_at_ = kNever;         ///< in `clearing`: when the orphans are looked for again
    Duration pause_{};

    // Of a command that stays.
    Breaker breaker_;
    Instant now_{};  // of the last call
    std::uint64_t answers_ = 0, ended_ = 0;
};

}  // namespace curfew

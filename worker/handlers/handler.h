// The edge between a worker and the work: a Handler runs attempts in slots, and is the only part
// that knows how.
//
// The worker's loop owns the handler and calls it from one thread. Nothing here may block: a
// handler whose work blocks runs it elsewhere (threads, processes) and hands the ends over in
// turn(). A slot holds at most one piece of work, from start() until its WorkEnd was handed over;
// stop() only asks.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/words/vocabulary.h"

namespace curfew {

class JsonObject;
class Poller;

using Slot = std::uint32_t;  ///< 0 to slots - 1

/// What is to be done. The views are valid during start() only.
struct Work {
    AttemptId id;
    Epoch epoch = 0;
    Seq seq = 0;
    std::uint32_t ordinal = 1;     ///< 1 for the task's first attempt
    Instant deadline_at = kNever;  ///< the work is to be over by then, without being told
    std::string_view payload;
    std::string_view message_id{};  ///< the sender's; empty: none
    std::string_view properties{};  ///< what else it said (common/wire/message_properties.h)
};

/// How a piece of work was found at its end.
enum class Finish : std::uint8_t {
    ok,        ///< `result` is the answer
    failed,    ///< `error` says why
    rejected,  ///< failed, and no other attempt will do better
    stopped,   ///< it was stopped (by stop(), or by its deadline) before it had finished
    /// Its service did not begin it, and asks to come later: it is to be placed elsewhere.
    returned,
};

/// What a process leaves that did a piece of work.
struct Traces {
    std::optional<int> exit_code;  ///< none: a signal ended it, or it lives on
    int signal = 0;                ///< that ended it; 0: none
    std::uint64_t stderr_bytes = 0;
    std::string errors;  ///< the last of those bytes, at most limits::kStderrBytes
};

struct WorkEnd {
    Slot slot = 0;
    Finish finish = Finish::ok;
    /// The message itself is the answer: the core has it, `result` is not looked at.
    bool echo = false;
    std::string result;
    std::string error;
    std::optional<Traces> traces{};  ///< none: no process of ours did it
};

class Handler {
public:
    virtual ~Handler() = default;

    /// Begins work in a free slot. Failure to begin is a WorkEnd too.
    virtual void start(Instant now, Slot slot, const Work& work) = 0;

    /// Asks the work in `slot` to stop now; `grace` later it is to be killed, if the handler can.
    /// Idempotent.
    virtual void stop(Instant now, Slot slot) = 0;

    /// Takes what has come to an end, fires what is due. Appends to `ends`.
    virtual void turn(Instant now, std::vector<WorkEnd>& ends) = 0;

    /// What wakes the loop when turn() has something to take: it looks itself at what that is.
    virtual void wait_for(Poller& poller) const { (void)poller; }

    /// When turn() wants to be called at the latest; Instant::min(): it has an end to tell.
    [[nodiscard]] virtual Instant next_deadline() const { return kNever; }

    /// Process id of the work in `slot`, 0 where it has none.
    [[nodiscard]] virtual pid_t pid(Slot slot) const { return (void)slot, 0; }

    /// So many slots may be busy now, of those that there are; fewer than all, or none, while its
    /// service asks for a pause or refuses. To be asked again at next_deadline() at the latest.
    [[nodiscard]] virtual Slot open_slots(Instant now) const { return (void)now, UINT32_MAX; }

    /// For the monitor: what the handler has to say of itself, in the worker's stats.
    virtual void add_stats(Instant now, JsonObject& stats) const { (void)now, (void)stats; }

    /// stop() is certain to end the work within grace (and the time that a kill takes).
    [[nodiscard]] virtual bool can_kill() const { return false; }

    /// Work that is over at once: run() does it, start() and turn() are not called, no slot is
    /// taken, and its credit is a matter of batching alone.
    [[nodiscard]] virtual bool immediate() const { return false; }
    /// The end of work that is over at once; its slot means nothing.
    virtual void run(const Work& work, WorkEnd& end) { (void)work, (void)end; }
};

}  // namespace curfew

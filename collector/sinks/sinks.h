// All the sinks of a collector as one: the output, the dead letters, and those beside them that get
// each outcome whatever it was (the job log, the folders of results).
//
//     put --> those beside, and held --all of them have it--> the output, or the dead letters --has it--> written
//
// What did not complete and goes to the dead letters is an answer, too: the output says it to who
// asked, and then the dead letters have it. Others do not wait for that.
//
// A task is in one of the output and the dead letters, once, where they know what they have: the
// first outcome that one of them was given counts, however it is decided anew after damage.
//
// So the output is last: what it has they all have, and when the collector was killed, what only
// they have comes again. Outcomes come out of here in the order in which they were put.
//
// Owned by the collector's server, on its thread; never blocks. Memory: what is held, which counts
// as bytes that wait.
#pragma once

#include <algorithm>
#include <deque>
#include <memory>
#include <optional>
#include <unordered_map>
#include <vector>

#include "collector/sinks/sink.h"

namespace curfew {

class Sinks {
public:
    struct Parts {
        std::unique_ptr<Sink> output;
        std::unique_ptr<Sink> dead_letters{};  ///< null: all go to the output
        std::vector<std::unique_ptr<Sink>> beside{};
    };
    explicit Sinks(Parts parts) : parts_(std::move(parts)) {}

    /// What the output and the dead letters have of an earlier life. Once, before the first put().
    [[nodiscard]] std::vector<Settled::Memory> take_memories();
    void put(OutcomeRecord&& outcome);
    /// Writes what can be written now; appends the tasks whose outcome all have.
    void flush(Instant now, Sink::Written& written);
    void forget_waiting();
    void wait_for(Poller& poller);
    /// As Sink::close(), of all of them.
    [[nodiscard]] bool close(Instant now, Instant until);

    [[nodiscard]] Instant next_deadline() const;
    [[nodiscard]] std::size_t waiting() const;
    [[nodiscard]] std::size_t waiting_bytes() const;
    /// That the output has got.
    [[nodiscard]] std::uint64_t bytes() const { return parts_.output->bytes(); }
    [[nodiscard]] std::uint64_t uncertain() const;
    [[nodiscard]] std::string_view waits_for() const;
    /// For so long, as flush() has seen it; none: it waits for nothing.
    [[nodiscard]] std::optional<Duration> waited(Instant now) const;

private:
    struct Held {
        OutcomeRecord outcome;
        std::size_t missing = 0;  // of those beside, who do not have it yet
    };
    template <typename Visit>
    void each(Visit&& visit) const;
    [[nodiscard]] bool is_letter(const OutcomeRecord& outcome) const;
    void hand_on(OutcomeRecord&& outcome);
    void give(OutcomeRecord&& outcome);
    void hand_on_what_is_answered();
    [[nodiscard]] static std::size_t bytes_of(const OutcomeRecord& outcome);

    Parts parts_;
    std::deque<Held> held_;
    std::unordered_map<Seq, Held*> by_seq_;              // those that are held
    std::unordered_map<Seq, OutcomeRecord> unanswered_;  // for the dead letters, when it is
    std::size_t held_bytes_ = 0;
    Sink::Written unsaid_;  // outcomes that are for no sink
    Sink::Written had_;     // by one of those beside, just now
    Instant waits_since_ = kNever;
};

}  // namespace curfew

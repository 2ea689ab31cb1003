// The stories of tasks that have ended: when each attempt was sent, called home and ended, and when
// the task was decided. Who asks why a task took so long asks when it is over; so the last of them
// are kept, those that did not complete apart, which are few and the more interesting ones. Where
// there are more than a hundred a second, one of some. Nothing depends on it.
//
// What of a task is still in flight stands in the ledger: a story has what has ended. Pure. Memory:
// twice kMostTasks stories and kMostAttempts attempts in them, and what has ended of tasks in
// flight.
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "broker/ledger.h"
#include "common/tables/sample.h"
#include "common/words/vocabulary.h"

namespace curfew {

/// One of its attempts that has ended.
struct ToldAttempt {
    AttemptId id;
    Attempt was;  ///< at its end
    std::string worker, pool;
    End end = End::won;
    std::string error;
    bool moved = false;  ///< it had not begun, and was placed elsewhere
    Instant ended_at{};
};

struct Story {
    std::string id;  ///< the sender's; empty: it gave none
    Instant accepted_at{};
    Instant decided_at = kNever;
    Instant settled_at = kNever;
    Outcome outcome = Outcome::completed;  ///< once settled
    std::uint32_t started = 0;             ///< attempts, once settled
    std::string error;
    std::vector<ToldAttempt> attempts;  ///< that have ended, in that order
    std::vector<AttemptId> open;        ///< once settled: those without an end
    std::uint64_t left_out = 0;         ///< attempts that are not told, as they were too many
};

class Stories {
public:
    static constexpr std::uint64_t kASecond = 100;
    /// Completed ones, and as many of the others.
    static constexpr std::size_t kMostTasks = 4096;
    static constexpr std::size_t kMostAttempts = 16'384;
    /// Of one task.
    static constexpr std::size_t kMostOfOne = 64;
    static constexpr std::size_t kErrorBytes = 200;

    /// Whether the story of this task will be told: then what follows is to be noted.
    [[nodiscard]] bool takes(Seq seq) { return sample_.takes(seq); }
    /// It has ended. `in_flight`: its task still is.
    void ended(ToldAttempt attempt, bool in_flight);
    /// Its outcome is decided. It may be decided again, as its winner's result was lost.
    void decided(Instant now, Seq seq) { stories_[seq].decided_at = now; }
    /// Its outcome is in the output. Its winner, if it has one, ends after that.
    void settled(Instant now, Seq seq, const Task& task, Outcome outcome);

    void turn(Instant now) { sample_.turn(now); }

    // ---- looking
    /// Null: it is not told (any more), or nothing of it has ended.
    [[nodiscard]] const Story* find(Seq seq) const;
    /// The last one that its sender called so; 0: none.
    [[nodiscard]] Seq find(std::string_view id) const;
    [[nodiscard]] std::size_t size() const { return completed_.order.size() + others_.order.size(); }
    /// One of so many is told.
    [[nodiscard]] std::uint64_t step() const { return sample_.step(); }

private:
    /// Those that have settled, oldest first.
    struct Shelf {
        std::deque<Seq> order;
        std::size_t attempts = 0;
    };
    [[nodiscard]] Shelf& shelf_of(const Story& story) {
        return story.outcome == Outcome::completed ? completed_ : others_;
    }
    void make_room(Shelf& shelf);

    Sample sample_{kASecond};
    std::unordered_map<Seq, Story> stories_;
    Shelf completed_, others_;
};

}  // namespace curfew

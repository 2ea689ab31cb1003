// What stands behind busy slots, and calling it back: no attempt waits for a slot that is busy
// while another is free. Pure.
//
//     queued at a worker whose slots are busy --stands, and a slot elsewhere is free--> recalled
//        ^                                                                                 |
//        |                     "it has begun": it stays <----------------------------------+
//        +-- placed on a free slot <-- returned (ends `cancelled`, counts as moved) <------+
//
// An attempt stands when its worker holds more than its slots, and no work has ended there for
// kStands. Which of them have begun the worker alone knows: here it is a guess, by the numbers.
// Each recall names a free slot that may run the attempt, and holds it against new messages for
// kHold: a worker that does not answer must not idle the others. From then on the recall is
// repeated, and nothing more is recalled from there before it is answered.
//
// A hedge of `--hedge idle` that has not begun is called back before anything else, and for no
// slot: it waits until one is idle again.
//
// Where work is quick and the source has messages, slots are never free: each is given the next
// message before it is. There a place ahead is as good, as long as work ends at that worker: it
// starts within milliseconds.
#pragma once

#include <algorithm>
#include <cstdint>
#include <utility>
#include <vector>

#include "broker/hedges.h"
#include "broker/ledger.h"
#include "broker/mail.h"
#include "broker/roster.h"

namespace curfew {

class Recalls {
public:
    Recalls(Ledger& ledger, Roster& roster, Mail& mail, Hedges& hedges)
        : ledger_(ledger), roster_(roster), mail_(mail), hedges_(hedges) {}

    /// What has not begun stands when no work has ended at its worker for so long: twice what is
    /// sent ahead of quick work; less would recall at the end of each burst.
    static constexpr Duration kStands = std::chrono::milliseconds(10);

    // ---- what happens at workers
    void started(Instant now, WorkerSession& worker);
    /// Work has ended there; all up to `begun` has begun.
    void progressed(Instant now, WorkerSession& worker, AttemptNumber begun);
    /// It has said how many slots it has.
    void heard(const WorkerSession& worker) {
        if (worker.holds_more_than_slots()) look_at_ = std::min(look_at_, worker.quiet_since + kStands);
    }

    // ---- each turn
    /// Says again what has not been answered, and lets the slots go that it held.
    void repeat(Instant now);
    /// Recalls what stands while there is a place for it.
    void recall_standing(Instant now);
    [[nodiscard]] Instant next_deadline() const {
        const bool more = !standing_.empty() && !is_fruitless() && again_at_ != Instant{};
        return std::min({look_at_, repeat_at_, more ? again_at_ : kNever});
    }

    // ---- how a recall ends
    /// The attempt has ended: returned, or otherwise.
    void ended(WorkerSession& worker, AttemptNumber number);
    /// The worker has answered this round: what is still there has begun.
    void answered(Instant now, WorkerSession& worker, std::uint64_t round);
    /// A round of the token has come back: recalls that it set out behind should have been answered
    /// before it.
    void token_returned(Instant now, WorkerSession& worker, std::uint64_t token_round);
    /// The session leaves, or its answers are lost with a collector.
    void forget(Instant now, WorkerSession& worker);

private:
    struct Standing {
        bool may_wait = true;    // false: a hedge that took a slot while nothing else wanted it
        bool has_begun = false;  // a guess
        Seq seq = 0;             // the oldest task goes first
        AttemptId id;
    };
    /// Where what stands may go: free slots, and how much may be sent ahead to workers whose quick
    /// work moves.
    struct Places {
        std::vector<WorkerSession*> free;
        std::vector<std::pair<WorkerSession*, std::uint32_t>> ahead;
        [[nodiscard]] bool none() const { return free.empty() && ahead.empty(); }
    };

    void look_who_stands(Instant now);
    [[nodiscard]] Places find_places() const;
    [[nodiscard]] std::vector<Standing> list_standing(Instant now);
    void list_standing_at(const WorkerSession& worker, std::vector<Standing>& list) const;
    void place(Instant now, const Standing& standing, Places& places);
    void recall(Instant now, const Standing& standing, WorkerSession* target);
    void send(Instant now, WorkerSession& worker, RecallUnderWay& recall);
    template <typename Over>
    void end_those(Instant now, WorkerSession& worker, bool begun, Over&& over);
    void let_go(RecallUnderWay& recall);
    /// Nothing has changed since nothing was found to recall.
    [[nodiscard]] bool is_fruitless() const { return fruitless_ && changes_ == roster_.changes(); }

    Ledger& ledger_;
    Roster& roster_;
    Mail& mail_;
    Hedges& hedges_;
    std::vector<Session> standing_;   // sessions that stand, or did a moment ago
    std::vector<Session> recalling_;  // sessions with recalls under way
    bool fruitless_ = true;
    std::uint64_t changes_ = 0;  // of the roster, when that was so
    Instant again_at_{};         // not before: looking at all that stands takes its time
    Instant look_at_ = kNever;
    Instant repeat_at_ = kNever;  // the first of the recalls under way
};

}  // namespace curfew

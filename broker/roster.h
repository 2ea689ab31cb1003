// The roster: the sessions of workers, with their credit and their signs of life. It makes every
// move of a session, and chooses the worker for an attempt. Pure.
//
// A session:
//
//     hello -> admitting --Admitted--> admitted --first heartbeat--> ready
//                  |                       |                           |
//                  +-----------------------+---------------------------+--> leaving
//                                                                              |
//                                             gone <-- lingering <--Refused----+
//
// leaving: it is silent, died, said bye or a new hello, is unreachable, or is wrong and put off.
//
// admitting: the collector has been told. admitted: it has answered, the worker is welcomed. ready:
// the worker has shown that it knows; only now it gets tasks. leaving: the collector has been told
// to refuse it. lingering: refused, but a winner of it has still to reach the sink.
#pragma once

#include <algorithm>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "broker/ledger.h"
#include "broker/mailbox.h"
#include "broker/out_frame.h"
#include "common/tables/bad_records.h"
#include "common/tables/dense_table.h"
#include "common/tables/histogram.h"
#include "common/tables/interval_set.h"
#include "common/wire/wire.h"
#include "common/words/mutant.h"
#include "common/words/vocabulary.h"

namespace curfew {

enum class SessionState : std::uint8_t { admitting, admitted, ready, leaving, lingering };
[[nodiscard]] std::string_view name_of(SessionState state);

/// How a session came to its end.
enum class Departure : std::uint8_t {
    gone,  ///< nobody saw how: it fell silent, began anew, was refused
    left,  ///< its worker said bye, or ended with code 0
    died,  ///< its worker ended by itself, without a bye
};

/// A round of the token that has been sent: attempts up to `upto` had been handed over before it.
struct TokenRound {
    std::uint64_t round = 0;
    AttemptNumber upto = 0;
};

/// A recall of one attempt, which holds a free slot of another worker for some time.
struct RecallUnderWay {
    AttemptNumber number = 0;
    /// Of the session's recalls: those that named it, any of which may be answered.
    std::vector<std::uint64_t> rounds;
    std::uint64_t token_round = 0;  ///< the last round of the token that went before it
    Session holds_at = 0;           ///< 0: it holds no slot, or no more
    bool repeated = false;          ///< its answer is overdue
    Instant repeat_at{};            ///< then it lets the slot go, and is said again
};

struct WorkerSession {
    Session session = 0;
    SessionState state = SessionState::admitting;
    Incarnation worker = 0;
    std::uint64_t hello = 0;
    std::string name;
    std::string pool;
    std::size_t pool_index = 0;  ///< the roster's, one for each pool
    std::uint32_t slots = 1;
    /// Those that would start work, or do it; none: it gets nothing for now.
    std::uint32_t slots_in_service = 1;
    /// Free slots that recalls hold: for what comes back, not for new messages.
    std::uint32_t reserved = 0;
    std::uint32_t credit = 1;
    std::uint32_t most_credit = 1;  ///< it ever had: what is in flight stays when it shrinks
    /// Attempts that hold a credit: open ones, but for winners that wait for the sink.
    std::uint32_t in_flight = 0;
    std::uint32_t pid = 0;
    std::uint64_t lifeline = 0;  ///< by which launch names it, 0: it has none
    std::string tasks_endpoint;
    std::string control_endpoint;
    Instant last_heard{};
    std::uint64_t stood = 0;  ///< the last that it said: see wire::Heartbeat
    BadRecords bad;           ///< heartbeats of it that cannot be read
    /// How long attempts took in this session: those that have won, to their decision; the others
    /// to their end, or until they were called home.
    Histogram won, others;
    Departure departure = Departure::gone;  ///< from leaving on
    /// What ran at its end may be why, and what ended before is known.
    bool blames = false;
    /// What was in its slots when it died; nobody knows: none.
    std::optional<std::vector<AttemptNumber>> ran;
    std::uint64_t round = 0;        ///< last round of the token
    std::deque<TokenRound> rounds;  ///< under way
    /// How long after a cancel its work may go on, as far as it says.
    Duration patience{};

    // Does what it holds move? (broker/recalls.h)
    bool knows_recall = false;
    /// The most attempts of one task that it takes at a time.
    std::uint32_t together = 1;
    /// It holds more than its slots, and nothing of it ends: its credit is its slots.
    bool standing = false;
    /// When work ended here last, or when it got more than its slots.
    Instant quiet_since{};
    Instant progress_at{};                    ///< when work ended here last
    Duration pace = std::chrono::seconds(1);  ///< time between such ends, smoothed
    /// Work starts in the order of the numbers: those up to here have begun.
    AttemptNumber begun_upto = 0;
    std::vector<RecallUnderWay> recalls;

    bool tasks_blocked = false;  ///< the socket does not take more for now
    bool control_blocked = false;

    // The roster's own.
    std::size_t place = 0;     ///< in its pool's heap
    bool busy = false;         ///< it would wait there for a slot
    bool is_queueing = false;  ///< in the roster's `queueing_`
    bool is_counted = false;   ///< in its pool's `for_returns`
    /// In flight for each credit, coarse; the most there is: it can take nothing.
    std::uint64_t load = 0;
    std::uint32_t same_load_for = 0;  ///< so many more choices do not change that
    /// The turn that followed the one in which it was chosen last.
    std::uint64_t last_chosen = 0;
    std::uint32_t chosen = 0;       ///< how often in this turn
    std::uint64_t in_choice = 0;    ///< the choice for whose task it has attempts
    std::uint32_t of_its_task = 0;  ///< so many

    [[nodiscard]] std::uint32_t usable_slots() const { return std::min(slots, slots_in_service); }
    /// Nothing is sent ahead to one whose work stands still, or for whose slots something is to
    /// come back.
    [[nodiscard]] bool can_take() const {
        const std::uint32_t held = mutated(Mutant::slot_to_intake) ? 0 : reserved;
        const std::uint32_t most = standing || held > 0 ? std::min(credit, usable_slots()) : credit;
        return state == SessionState::ready && !tasks_blocked && in_flight + held < most && slots_in_service > 0;
    }
    [[nodiscard]] bool has_free_slot() const { return can_take() && in_flight + reserved < usable_slots(); }
    /// Its work is quick and ends: what is sent ahead there starts within milliseconds.
    [[nodiscard]] bool moves() const {
        return can_take() && !standing && reserved == 0 && credit > slots && pace <= std::chrono::milliseconds(10);
    }
    [[nodiscard]] bool holds_more_than_slots() const { return in_flight > usable_slots(); }
    /// Something of it waits for a slot, whichever of them are in service.
    [[nodiscard]] bool has_a_queue() const { return state == SessionState::ready && in_flight > slots; }
    /// What came back would start there soon; it takes no other place.
    [[nodiscard]] bool takes_what_came_back() const { return has_free_slot() || moves(); }
    /// Its work is over before it would hear that it is called home: by a credit that adapts, 0.16
    /// ms or less.
    [[nodiscard]] bool quick() const { return credit > 32ULL * slots; }
    [[nodiscard]] bool is_leaving() const { return state >= SessionState::leaving; }

private:
    friend class Mail;
    Mailbox mailbox_;  // what is to be said to it on the next flush
};

class Roster {
public:
    /// The newest session of a worker's name that is not leaving; null if there is none.
    [[nodiscard]] WorkerSession* by_name(std::string_view name);
    /// The sessions, none of them leaving, of the process whose end launch saw. Several: workers
    /// behind one shell.
    [[nodiscard]] std::vector<WorkerSession*> of_process(std::string_view name, std::uint32_t pid,
                                                         std::uint64_t lifeline);
    [[nodiscard]] WorkerSession* find(Session session);
    [[nodiscard]] const WorkerSession* find(Session session) const;

    // The moves: see the drawing.
    WorkerSession& admit(Instant now, const wire::Hello& hello);
    /// The collector takes its records. False: it was not waited for.
    static bool admitted(WorkerSession& worker);
    /// A heartbeat has come: the worker knows that it is in.
    void ready(WorkerSession& worker);
    void leave(WorkerSession& worker, Departure how);
    void linger(WorkerSession& worker) { worker.state = SessionState::lingering; }
    void remove(Session session);

    /// Sockets to open and close since it was asked last.
    [[nodiscard]] std::vector<LinkChange> take_link_changes() { return std::exchange(link_changes_, {}); }

    /// The worker for the next attempt of a task, null if none can take it now: one that has no
    /// attempt of it alive, or, where such a one would let it wait or there is none, one that takes
    /// several together; none that it shuns; if possible one with a free slot (what came back takes
    /// no other, but quick work that moves); then none where one failed; then a pool that is not in
    /// use for it; then the least loaded for its size; then whoever was not chosen for the most
    /// turns. Takes a credit there.
    [[nodiscard]] WorkerSession* choose(const Task& task);
    /// The same for one more attempt of the task of the last choice, which got `taken`.
    [[nodiscard]] WorkerSession* choose_another(const Task& task, WorkerSession& taken);

    /// For a hedge that starts only on a slot for which nothing waits: as above, but where it has
    /// failed it never goes.
    [[nodiscard]] WorkerSession* choose_idle(const Task& task);
    /// There may be a free slot, and nothing waits behind one that is busy.
    [[nodiscard]] bool has_idle_slot() const;

    /// An attempt of the task has failed there, and there is another worker in service, where none
    /// has: it waits for that one, rather than fail in the same place again.
    [[nodiscard]] bool shuns(const Task& task, const WorkerSession& worker) const;

    /// Says that what can_take() or the load depends on has changed.
    void changed(WorkerSession& worker);
    void give_back(WorkerSession& worker, std::uint32_t credits = 1) {
        if (credits == 0) return;
        worker.in_flight -= credits;
        changed(worker);
        note_change();
    }
    /// A worker may take something that it could not take before, or another task.
    void note_change() { ++changes_; }
    [[nodiscard]] std::uint64_t changes() const { return changes_; }

    /// Those that were chosen in this turn stand behind their equals in the next. Within a turn
    /// they do not: what goes to the same workers shares its frames.
    void next_turn();

    [[nodiscard]] bool has_credit() const;
    [[nodiscard]] std::size_t ready() const;
    [[nodiscard]] std::size_t pools() const { return pools_.size(); }
    /// There are workers that take several attempts of one task.
    [[nodiscard]] bool any_together() const { return together_ > 0; }
    /// In order of their sessions.
    [[nodiscard]] const std::map<Session, std::unique_ptr<WorkerSession>>& sessions() const { return sessions_; }

private:
    void mark(WorkerSession& taken);
    void mark_all(const Task& task);
    void take(WorkerSession& worker);
    /// Whom a choice may take: those without an attempt of the task, or those that take one more.
    enum class Among : std::uint8_t { others, all };
    [[nodiscard]] bool may_take(const WorkerSession& worker, Among among) const {
        if (worker.in_choice != choice_) return true;
        return among == Among::all && worker.of_its_task < worker.together;
    }
    [[nodiscard]] WorkerSession* take_best(const Task& task);
    [[nodiscard]] WorkerSession* best(const Task& task, Among among) const;
    [[nodiscard]] WorkerSession* best_for_past(const Task& task, Among among) const;
    [[nodiscard]] bool goes_first(const Task& task, const WorkerSession& a, const WorkerSession& b) const;

    struct Pool {
        std::string name;
        std::uint64_t used_in = 0;  // the last choice for a task that had an attempt alive in it
        /// A binary heap: whoever may be chosen first stands in front. So a choice costs the same
        /// however many there are.
        std::vector<WorkerSession*> by_load;
        std::size_t for_returns = 0;  // those that may take what came back, at most
    };
    [[nodiscard]] std::size_t pool_of(std::string_view name);
    static void put(Pool& pool, std::size_t place, WorkerSession* worker);
    template <typename Accepts>
    [[nodiscard]] static WorkerSession* first_of(const Pool& pool, std::size_t place, const Accepts& accepts);

    std::map<Session, std::unique_ptr<WorkerSession>> sessions_;
    DenseTable<WorkerSession*> by_session_;  // the same, to find one
    // Those of the sessions; one without any may be taken by the next name
    std::vector<Pool> pools_;
    // Counts tasks: what was marked for an earlier one does not count
    std::uint64_t choice_ = 0;
    std::uint64_t turn_ = 0;
    std::vector<Session> chosen_;  // in this turn
    Session last_session_ = 0;
    std::size_t together_ = 0;  // sessions whose worker takes several attempts of one task
    std::size_t queueing_ = 0;  // sessions that hold more than their slots
    std::uint64_t changes_ = 0;
    std::vector<LinkChange> link_changes_;
};

}  // namespace curfew

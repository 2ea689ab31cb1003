// The ledger: the tasks in flight and their attempts, every move and every end. It keeps the books
// (the two laws of the README) and decides nothing; the dispatcher does. Pure.
//
// A task:
//
//     accept -> open --give_up--> giving_up --decide--> decided --settle--> gone, counted; its winner ends `won`
//                 |  <-----------------------reopen------- ^ |
//                 +-------------------decide---------------+ +--ask_again--> giving_up
//
// An attempt, as the broker sees it:
//
//     start -> queued --begin--> running --call_home--> cancelling     (from queued, too)
//                 |                 |                       |
//                 +-----decide------+---> reported <-decide-+          (the winner)
//                 |                 |        |              |
//                 +-------end, end_returned--+--------------+--> gone, counted
//
// (What was returned had not begun: the next start takes its place.)
//
// `giving_up`: a verdict is on its way to the collector; an ok report may still win. `decided`: by
// an attempt (the winner) or by a verdict. An attempt may outlive its task (a loser that is still
// being stopped); a task never ends before the collector settled it.
//
// Memory follows what is in flight. All counts but the totals of ends and outcomes are sizes of
// tables; the totals change in start(), end(), end_returned() and settle() alone.
#pragma once

#include <array>
#include <boost/container/small_vector.hpp>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "broker/attempt.h"
#include "broker/earlier_life.h"
#include "broker/end_log.h"
#include "broker/incoming.h"
#include "broker/refused_message.h"
#include "broker/settled_tag.h"
#include "common/tables/byte_store.h"
#include "common/tables/dense_table.h"
#include "common/tables/interval_set.h"
#include "common/words/vocabulary.h"

namespace curfew {

/// An attempt that ended without deciding its task: for placement (try elsewhere) and for the dead
/// letter.
struct PastAttemptEntry {
    std::uint32_t ordinal = 0;
    std::string worker;
    End end = End::failed;
    std::string error;
};

/// An attempt that ended before it had begun: the next one to start is the same attempt, elsewhere.
struct Returned {
    std::uint32_t ordinal = 0;
    bool hedge = false;
};

/// What is told of attempts that have ended without deciding their task. Few tasks have any of it.
struct TaskPast {
    std::string last_error;
    std::vector<PastAttemptEntry> history;
    std::vector<Returned> returned;         ///< to be placed elsewhere
    std::optional<RefusedMessage> refused;  ///< the task is none: its message was refused
};

enum class TaskState : std::uint8_t { open, giving_up, decided };

/// What a sender said of its message. Most say nothing.
struct Sender {
    std::optional<std::string> id;
    std::string properties;
    bool has_deadline = false;    ///< the task's is the sender's own
    bool alone = false;           ///< see Incoming
    bool has_taken_back = false;  ///< another has the message: nothing is said of it
};

struct Task {
    Bytes payload;
    std::unique_ptr<Sender> sender;  ///< null: it said nothing
    std::uint64_t tag = 0;           ///< its source's; 0: none
    Instant accepted_at{};
    Instant deadline_at = kNever;
    /// When the next attempt may start although the others have not failed.
    Instant hedge_at = kNever;
    TaskState state = TaskState::open;
    Outcome outcome = Outcome::completed;  ///< of the verdict, while giving_up or decided by one
    bool expired = false;                  ///< past its deadline: nothing is started any more
    /// Given up by a person: so it stays, also when it is open again.
    bool cancelled = false;
    /// Stands in Waiting's queue of those that wait for a worker.
    bool waiting = false;
    bool again = false;  ///< stands in its queue of those that are tried again
    /// Its reports have been asked for before it is decided without them.
    bool asked_for = false;
    /// Its verdict goes without message and history: they could not be read.
    bool bare = false;
    bool by_verdict = false;  ///< decided by a verdict (or by a rejected attempt)
    /// Decided by the collector that there is, in an earlier life of the broker or before it heard
    /// of that: open again if that collector goes.
    bool by_hearsay = false;
    bool told = false;          ///< its story is (broker/stories.h)
    AttemptId winner;           ///< once decided by an attempt
    std::uint32_t started = 0;  ///< attempts so far, without those that were moved
    /// Attempts that may have been started by now; the difference is due.
    std::uint32_t released = 0;
    std::uint32_t hedges_due = 0;  ///< of those that are due: released by the hedge timer
    std::uint32_t failures = 0;
    /// Workers that died by themselves while they ran it.
    std::uint32_t deaths = 0;
    boost::container::small_vector<AttemptId, 4> alive;  ///< attempts without an end
    std::unique_ptr<TaskPast> past;                      ///< null: there is nothing to tell

    [[nodiscard]] bool alone() const { return sender != nullptr && sender->alone; }
    [[nodiscard]] const std::string* id() const { return sender != nullptr && sender->id ? &*sender->id : nullptr; }
    /// Something of it came back: what starts next starts on a free slot, never ahead.
    [[nodiscard]] bool came_back() const { return past != nullptr && !past->returned.empty(); }
    [[nodiscard]] TaskPast& make_past() {
        if (past == nullptr) past = std::make_unique<TaskPast>();
        return *past;
    }
};

struct Books {
    std::uint64_t accepted = 0;
    std::array<std::uint64_t, kOutcomes + 1> outcomes{};  ///< by Outcome
    std::uint64_t tasks_in_flight = 0;
    std::uint64_t started = 0;
    std::array<std::uint64_t, kEnds + 1> ends{};  ///< by End
    std::uint64_t attempts_in_flight = 0;
    /// Of those that ended `cancelled`: they had not begun, and were placed elsewhere.
    std::uint64_t moved = 0;

    [[nodiscard]] std::uint64_t of(End end) const { return ends[static_cast<std::size_t>(end)]; }
    [[nodiscard]] std::uint64_t of(Outcome outcome) const { return outcomes[static_cast<std::size_t>(outcome)]; }
    /// Both laws hold.
    [[nodiscard]] bool balanced() const;
};

/// The books of one session: which attempts it was sent and how they ended.
struct SessionBooks {
    DenseTable<Attempt> open;
    IntervalSet ended;
    AttemptNumber last_number = 0;  ///< numbers 1 to last_number have been sent
    std::array<std::uint64_t, kEnds + 1> ends{};
    /// of these, of hedges; without those that were moved
    std::array<std::uint64_t, kEnds + 1> hedge_ends{};
};

class Ledger {
public:
    static constexpr std::size_t kMostHistory = 16;

    // An earlier life of the broker: numbers go on, and what has settled or is decided stays so.
    /// Before the first task. `settled`: numbers above `last` are yet to come. `failures`: of all
    /// that has settled, as far as it is known, what did not complete.
    void begin(Seq last, const Intervals& settled, std::uint64_t failures);
    /// The sink's word, before the first task: what has settled is this, and no more. Numbers go on
    /// above the last below which all has.
    void begin_as(const Intervals& settled, std::uint64_t failures);
    /// Of messages that are yet to come.
    [[nodiscard]] EarlierLife& earlier() { return earlier_; }
    [[nodiscard]] const EarlierLife& earlier() const { return earlier_; }
    /// The next message has settled: it takes its number, and that is all.
    bool pass_over();

    // Tasks.
    /// One that is decided already is so when it returns.
    Seq accept(Instant now, const Incoming& message, Instant deadline_at);
    [[nodiscard]] Task* task(Seq seq) { return tasks_.find(seq); }
    [[nodiscard]] const Task* task(Seq seq) const { return tasks_.find(seq); }
    void give_up(Task& task, Outcome outcome);
    /// By an attempt (which becomes `reported`), or by a verdict when `winner.session` is 0.
    void decide(Task& task, AttemptId winner);
    /// By the collector, by whomever.
    void decide_by_hearsay(Task& task, Outcome outcome);
    /// Decided by a verdict, but that decision was lost with its collector: back to giving_up.
    void ask_again(Task& task);
    /// The winner's result was lost before the collector had it.
    void reopen(Task& task);
    /// Ends the winner `won` and forgets the task. Returns the winner (session 0: none).
    AttemptId settle(Seq seq, Outcome outcome);

    /// The tags of what has settled since it was asked last.
    [[nodiscard]] std::vector<SettledTag> take_settled_tags() { return std::exchange(settled_tags_, {}); }

    // Attempts. The session must be open.
    void open_session(Session session) { sessions_.insert(session, std::make_unique<SessionBooks>()); }
    AttemptId start(Instant now, Seq seq, Session session);
    [[nodiscard]] Attempt* attempt(AttemptId id);
    /// Its worker has begun with it.
    static void begin(Attempt& attempt) {
        if (attempt.state == AttemptState::queued) attempt.state = AttemptState::running;
    }
    void call_home(Instant now, AttemptId id, CancelReason reason);
    /// The one place where an attempt ends; it must be open. Returns what it was. `worker` and
    /// `error` go into the task's history where the end says something. `told`: to those who follow
    /// the ends.
    Attempt end(AttemptId id, End end, std::string_view worker = {}, std::string_view error = {}, bool told = true);
    /// The same for one that had not begun: it ends `cancelled`, counts as moved, and the next
    /// start of its task takes its place. Who follows the ends is not told: the attempt goes on.
    Attempt end_returned(AttemptId id, std::string_view worker);

    [[nodiscard]] SessionBooks* session(Session session);
    [[nodiscard]] const SessionBooks* session(Session session) const;
    /// The session must have no open attempts.
    void close_session(Session session);

    // Looking.
    [[nodiscard]] EndLog& end_log() { return end_log_; }
    [[nodiscard]] Books books() const;
    [[nodiscard]] std::size_t tasks_in_flight() const { return tasks_.size(); }
    [[nodiscard]] std::size_t attempts_in_flight() const { return attempts_in_flight_; }
    /// Nothing was taken from the source yet.
    [[nodiscard]] bool is_new() const { return is_new_; }
    /// From now on numbers are what they are. Returns after how many of them the source is to
    /// begin.
    Seq take_first() {
        is_new_ = false;
        earlier_.close(last_seq_);
        return last_seq_;
    }
    /// In this life and in those before: what did not complete.
    [[nodiscard]] std::uint64_t failures() const;
    [[nodiscard]] std::uint64_t payload_bytes() const { return payload_bytes_; }
    [[nodiscard]] Seq last_seq() const { return last_seq_; }
    /// The oldest task in flight, 0 if there is none.
    [[nodiscard]] Seq first_in_flight() const { return tasks_.empty() ? 0 : first_; }
    [[nodiscard]] const DenseTable<Task>& tasks() const { return tasks_; }
    [[nodiscard]] const DenseTable<std::unique_ptr<SessionBooks>>& sessions() const { return sessions_; }
    /// All accepted tasks that are not in flight, and what was settled before.
    [[nodiscard]] Intervals settled() const;

    /// Counts everything anew and compares; a text that says what is wrong, or none. For tests and
    /// the simulation.
    [[nodiscard]] std::optional<std::string> audit() const;

private:
    ByteStore payloads_;
    EndLog end_log_;
    DenseTable<Task> tasks_;
    DenseTable<std::unique_ptr<SessionBooks>> sessions_;
    std::vector<SettledTag> settled_tags_;
    // Numbers above the last: their messages are yet to come
    EarlierLife earlier_;
    std::uint64_t accepted_ = 0;
    bool is_new_ = true;
    Seq last_seq_ = 0;
    Seq first_ = 1;  // in flight, or not accepted yet; all before it are settled
    std::uint64_t started_ = 0;
    std::size_t attempts_in_flight_ = 0;
    std::uint64_t moved_ = 0;
    std::uint64_t payload_bytes_ = 0;
    std::array<std::uint64_t, kOutcomes + 1> outcomes_{};
    std::array<std::uint64_t, kEnds + 1> ends_{};
};

}  // namespace curfew

// The dispatcher's part for how tasks end: decided, settled, given up, expired; and how their
// attempts are called home.
#include <algorithm>
#include <utility>

#include "broker/dispatcher.h"
#include "common/words/limits.h"
#include "common/words/mutant.h"

namespace curfew {
namespace {

std::uint64_t micros(Duration duration) {
    return static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::microseconds>(duration).count());
}

/// Why a task is past its deadline, as far as that is known here: also that no worker would take
/// it, where nothing of it has ever run.
std::string why_expired(const std::string& past_deadline, const Task& task, const Roster& roster) {
    constexpr std::size_t kMostNames = 100;
    if (task.past != nullptr && !task.past->history.empty()) return past_deadline;
    std::string names;
    for (const auto& [session, worker] : roster.sessions()) {
        if (worker->state != SessionState::ready) continue;
        if (worker->slots_in_service > 0) return past_deadline;
        if (names.size() < kMostNames) names += (names.empty() ? "" : ", ") + worker->name;
    }
    if (names.empty()) return past_deadline;
    return past_deadline + "; no worker took it, whose logs say why: no slot in service at " + names;
}

}  // namespace

// ---- deciding and settling ---------------------------------------------------------------------

/// True if a credit is to be given back: a winner that waits for the sink holds none. With
/// --keep-order it may wait for the very attempt that needs it.
bool Dispatcher::decide(Instant now, Seq seq, AttemptId winner) {
    Task* task = ledger_.task(seq);
    const Attempt* won = winner.session == 0 ? nullptr : ledger_.attempt(winner);
    if (task == nullptr || (winner.session != 0 && (won == nullptr || won->seq != seq))) {
        // Old news where the attempt has ended: of a batch that was read in part, and comes again.
        const SessionBooks* books = ledger_.session(winner.session);
        if (books == nullptr || !books->ended.contains(winner.number)) link_.suspect(winner.session);
        ++counts_.surprises;
        return false;
    }
    bool held_credit = false;
    if (won != nullptr) {
        if (won->state != AttemptState::cancelling) learn(roster_.find(winner.session), now - won->started_at, true);
        held_credit = won->state != AttemptState::reported;
    } else if (task->state == TaskState::open) {
        task->outcome = Outcome::failed;  // the work itself said so: rejected
    }
    tallies_.decided(now - task->accepted_at, won != nullptr);
    if (task->told) stories_.decided(now, seq);
    ledger_.decide(*task, winner);
    for (const AttemptId id : task->alive) {
        if (id == winner) continue;
        losers_.add(id);
        if (won == nullptr || !won->hedge) continue;
        Attempt* beaten = ledger_.attempt(id);
        beaten->beaten_by_hedge = beaten->ordinal == 1;
    }
    return held_credit;
}

/// False if the task is not decided.
bool Dispatcher::settle(Instant now, Seq seq, Outcome outcome) {
    const Task* task = ledger_.task(seq);
    if (task->state != TaskState::decided) return false;
    if (task->told) stories_.settled(now, seq, *task, outcome);
    if (const Attempt* won = ledger_.attempt(task->winner)) {
        if (won->hedge) hedges_.policy().won();
        if (won->told) tell(now, *roster_.find(task->winner.session), task->winner, *won, End::won, {});
    }
    const AttemptId winner = ledger_.settle(seq, outcome);
    WorkerSession* worker = winner.session == 0 ? nullptr : roster_.find(winner.session);
    if (worker == nullptr) return true;
    mail_.to(*worker).confirm(winner.number);
    if (worker->state == SessionState::lingering) close_if_empty(*worker);
    return true;
}

// ---- ends of attempts --------------------------------------------------------------------------

/// For the story of its task.
void Dispatcher::tell(Instant now, const WorkerSession& worker, AttemptId id, const Attempt& was, End end,
                      std::string_view error, bool moved) {
    stories_.ended({id, was, worker.name, worker.pool, end, std::string(error), moved, now},
                   ledger_.task(was.seq) != nullptr);
}

/// True if the attempt held a credit, which the caller is to give back.
bool Dispatcher::end_attempt(Instant now, WorkerSession& worker, AttemptNumber number, End end,
                             std::string_view error) {
    const AttemptId id{worker.session, number};
    if (ledger_.attempt(id)->recalled) recalls_.ended(worker, number);
    const Attempt attempt = ledger_.end(id, end, worker.name, error);
    if (attempt.told) tell(now, worker, id, attempt, end, error);
    const bool given_back = mutated(Mutant::credit_given_early) && attempt.state == AttemptState::cancelling;
    const bool held_credit = attempt.state != AttemptState::reported && !given_back;
    if (attempt.state == AttemptState::cancelling) {
        losers_.ended(now - attempt.cancelled_at);
        if (attempt.beaten_by_hedge && end == End::late) tallies_.beaten_by_hedge(now - attempt.cancelled_at);
    } else if (end != End::lost) {
        learn(&worker, now - attempt.started_at, false);
    }
    if (end == End::failed || end == End::lost || end == End::expired)
        tallies_.failed(end, error, worker.name, attempt.seq);
    Task* task = ledger_.task(attempt.seq);
    if (task == nullptr) return held_credit;
    // The winner without its result: a new collector never got it.
    if (task->state == TaskState::decided && task->winner == id) ledger_.reopen(*task);
    task_lost_attempt(now, attempt.seq, *task, end, error);
    return held_credit;
}

/// It had not begun, and is placed anew: nothing is learned from it, and nothing is told of it.
bool Dispatcher::end_returned(Instant now, WorkerSession& worker, AttemptNumber number) {
    const AttemptId id{worker.session, number};
    if (ledger_.attempt(id)->recalled) recalls_.ended(worker, number);
    const Attempt attempt = ledger_.end_returned(id, worker.name);
    const bool held_credit = attempt.state != AttemptState::reported;
    Task* task = ledger_.task(attempt.seq);
    if (attempt.told) tell(now, worker, id, attempt, End::cancelled, {}, task != nullptr);
    if (task == nullptr || mutated(Mutant::returned_not_replaced)) return held_credit;
    if (mutated(Mutant::refusal_counted)) ++task->failures;
    hedges_.returned(*task, attempt);
    if (task->state == TaskState::decided && task->winner == id) ledger_.reopen(*task);
    task_lost_attempt(now, attempt.seq, *task, End::cancelled, {});
    return held_credit;
}

/// An attempt of a task that is still in flight has ended without deciding it: see that the task
/// goes on.
void Dispatcher::task_lost_attempt(Instant now, Seq seq, Task& task, End end, std::string_view error) {
    if (end == End::failed) {
        ++task.failures;
        // Else it says why it was cancelled
        if (!task.cancelled) task.make_past().last_error = error;
    }
    if (task.state != TaskState::open) return;
    if (task.cancelled && !mutated(Mutant::reopened_and_started)) {
        give_up(now, seq, task, Outcome::cancelled, std::string(task.make_past().last_error));
    } else if (end == End::expired && !task.expired) {
        // By the worker's clock. Ours stood for a while (common/process/clock.h), or is late by the
        // way here.
        expire(now, seq, task);
    } else if (task.expired && task.alive.empty()) {
        give_up(now, seq, task, Outcome::expired, why_expired(past_deadline(task), task, roster_));
    } else if (task.expired) {
        expiry_.force(now, seq, task);  // it may have been decided when the last timer fired
    } else if (config_.poison > 0 && task.deaths >= config_.poison) {
        give_up(now, seq, task, Outcome::failed, "its work has killed " + std::to_string(task.deaths) + " workers");
    } else if (task.failures >= config_.attempts) {
        give_up(now, seq, task, Outcome::failed, task.make_past().last_error);
    } else {
        go_on(seq, task, end);
    }
}

/// Another attempt takes the place of the one that has ended, where one may.
void Dispatcher::go_on(Seq seq, Task& task, End end) {
    const auto alive = static_cast<std::uint32_t>(task.alive.size());
    const std::uint32_t pending = task.released - task.started;
    const bool replace_failed = end == End::failed && task.failures + alive + pending < config_.attempts;
    const bool nothing_else = alive + pending == 0;
    if (end == End::lost || replace_failed || nothing_else) ++task.released;
    if (due(task) > 0) {
        waiting_.try_again(seq, task);
    } else {
        hedges_.attempt_ended(seq, task);
    }
}

// ---- calling home ------------------------------------------------------------------------------

void Dispatcher::call_home(Instant now, AttemptId id, CancelReason reason) {
    const Attempt* attempt = ledger_.attempt(id);
    if (attempt == nullptr || attempt->state == AttemptState::reported) return;
    if (attempt->state == AttemptState::cancelling && attempt->reason == reason) return;
    WorkerSession* worker = roster_.find(id.session);
    if (attempt->state != AttemptState::cancelling) learn(worker, now - attempt->started_at, false);
    ledger_.call_home(now, id, reason);
    if (worker == nullptr) return;
    if (mutated(Mutant::credit_given_early)) roster_.give_back(*worker);
    mail_.to(*worker).cancel(id.number, reason);
}

void Dispatcher::call_all_home(Instant now, Task& task, CancelReason reason) {
    for (const AttemptId id : task.alive) call_home(now, id, reason);
}

/// Those that another attempt has beaten in this turn, unless they have come to their end in the
/// same turn.
void Dispatcher::call_losers_home(Instant now) {
    const auto is_quick = [&](Session session) {
        const WorkerSession* worker = roster_.find(session);
        return worker != nullptr && worker->quick();
    };
    losers_.call_home(now, is_quick, [&](AttemptId id) {
        const Attempt* attempt = ledger_.attempt(id);
        const Task* task = attempt == nullptr ? nullptr : ledger_.task(attempt->seq);
        // Unless its task is wanted again: the winner's result was lost with its collector.
        if (task == nullptr || task->state == TaskState::decided) call_home(now, id, CancelReason::decided);
    });
}

/// How long an attempt took, or how old it was when it was called home.
void Dispatcher::learn(WorkerSession* worker, Duration took, bool won) {
    hedges_.policy().learn(took);
    if (worker != nullptr) (won ? worker->won : worker->others).add(took);
}

// ---- giving up ---------------------------------------------------------------------------------

void Dispatcher::cancel(Instant now, Seq seq, Task& task, std::string_view why) {
    task.cancelled = true;
    give_up(now, seq, task, Outcome::cancelled, why);
    // Not only when the collector has heard: there may be none
    call_all_home(now, task, CancelReason::decided);
}

void Dispatcher::give_up(Instant now, Seq seq, Task& task, Outcome outcome, std::string_view error) {
    task.make_past().last_error = error;
    ledger_.give_up(task, outcome);
    send_verdict(now, seq, task);
}

void Dispatcher::send_verdict(Instant now, Seq seq, const Task& task) {
    wire::Verdict verdict;
    verdict.seq = seq;
    verdict.outcome = task.outcome;
    if (const std::string* id = task.id()) verdict.id = *id;
    if (task.sender != nullptr && !task.sender->properties.empty()) verdict.properties = task.sender->properties;
    verdict.unsaid = task.sender != nullptr && task.sender->has_taken_back ? 1 : 0;
    verdict.attempts = task.started;
    verdict.latency_us = micros(now - task.accepted_at);
    if (task.past != nullptr) {
        verdict.error = task.past->last_error;
        for (const PastAttemptEntry& past : task.past->history) {
            verdict.history.push_back({past.ordinal, past.worker, past.end, past.error});
        }
        if (const auto& refused = task.past->refused) {
            verdict.refused_number = refused->number;
            verdict.refused_byte = refused->byte.value_or(wire::kNoOffset);
            verdict.refused_size = refused->size;
        }
    }
    for (const AttemptId id : task.alive) {
        const WorkerSession* worker = roster_.find(id.session);
        if (task.expired && worker != nullptr)
            verdict.history.push_back({ledger_.attempt(id)->ordinal, worker->name, End::expired, "still running"});
    }
    verdict.message = task.payload;
    if (task.bare) {
        verdict.history.clear();
        verdict.message = {};
    }
    link_.say(now, verdict);
}

// ---- deadlines ---------------------------------------------------------------------------------

/// What is said of a task that is past it: whose deadline it was.
std::string Dispatcher::past_deadline(const Task& task) const {
    const Duration left = task.deadline_at - task.accepted_at;
    const bool has_own = task.sender != nullptr && task.sender->has_deadline;
    if (!has_own || (config_.deadline && left >= *config_.deadline)) return config_.past_deadline;
    return "deadline exceeded: " + std::to_string(left / std::chrono::milliseconds(1)) + "ms, the message's own";
}

void Dispatcher::on_deadline(Instant now, Seq seq) {
    Task* task = ledger_.task(seq);
    if (task == nullptr || task->expired || task->deadline_at > now || mutated(Mutant::deadline_forgotten)) return;
    expire(now, seq, *task);
}

void Dispatcher::expire(Instant now, Seq seq, Task& task) {
    task.expired = true;
    if (task.state != TaskState::open) return;
    if (task.alive.empty()) {
        give_up(now, seq, task, Outcome::expired, why_expired(past_deadline(task), task, roster_));
    } else {
        call_all_home(now, task, CancelReason::deadline);
        expiry_.force(now, seq, task);
    }
}

/// The caller's deadline is decided whatever the workers say.
void Dispatcher::force_expiry(Instant now, Seq seq) {
    Task* task = ledger_.task(seq);
    if (task == nullptr || task->state != TaskState::open || !task->expired || task->alive.empty()) return;
    const Instant at = expiry_.forced_at(now, *task);
    const bool asks = at <= now && !std::exchange(task->asked_for, true) && ask_for_reports(*task);
    if (asks || at > now) {
        expiry_.force_at(asks ? now + limits::kAloneAfter * config_.heartbeat : at, seq);
        return;
    }
    ++counts_.forced;
    give_up(now, seq, *task, Outcome::expired, past_deadline(*task) + "; its work has not been seen to end");
}

/// What was finished in time still wins, if it comes within two rounds of the token. True if there
/// is such.
bool Dispatcher::ask_for_reports(const Task& task) {
    bool any = false;
    for (const AttemptId id : task.alive) {
        WorkerSession* worker = roster_.find(id.session);
        if (worker == nullptr || !ledger_.attempt(id)->reported_there) continue;
        mail_.to(*worker).resend(id.number);
        any = true;
    }
    return any;
}

}  // namespace curfew

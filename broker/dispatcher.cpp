// The dispatcher's part for tasks: accept, start, hedge, call home, give up; and the turn.
#include "broker/dispatcher.h"

#include <algorithm>
#include <utility>

#include "common/words/mutant.h"

namespace curfew {
namespace {

using std::chrono::microseconds;

constexpr std::size_t kMostVain = 64;
constexpr std::string_view kCancelled = "cancelled by a person";

/// Quick work that has lost may come to its end by itself within one or two of these.
constexpr Duration kQuickTick = std::chrono::milliseconds(1);

std::uint64_t micros(Duration duration) {
    return duration <= Duration::zero()
               ? 0
               : static_cast<std::uint64_t>(std::chrono::duration_cast<microseconds>(duration).count());
}

}  // namespace

Dispatcher::Dispatcher(const Config& config)
    : config_(config), hedging_(config.hedging), shared_(config.incarnation), sync_round_(config.first_sync) {}

// ---- intake --------------------------------------------------------------------------------------------------------

bool Dispatcher::wants_message() const {
    return collector_synced() && gathered_ && !intake_ended_ && !paused_ &&
           ledger_.tasks_in_flight() < config_.window && backlog_ < config_.backlog_bytes &&
           ledger_.payload_bytes() < config_.window_bytes && roster_.has_credit();
}

Seq Dispatcher::accept(Instant now, std::string_view payload, std::optional<std::string> id) {
    const Instant deadline_at = config_.deadline ? now + *config_.deadline : kNever;
    const Seq seq = ledger_.accept(now, payload, std::move(id), deadline_at);
    deadlines_.set(deadline_at, seq);
    hedging_.task_accepted();
    Task& task = *ledger_.task(seq);
    task.released = hedging_.race() ? config_.fanout : 1;
    if (!start_due(now, seq, task)) wait_for_worker(seq, task);
    return seq;
}

Seq Dispatcher::refuse_message(Instant now, RefusedMessage message, std::string_view why) {
    const Seq seq = ledger_.accept(now, message.first, {}, kNever);
    Task& task = *ledger_.task(seq);
    message.first = {};  // the payload has it
    task.make_past().refused = std::move(message);
    give_up(now, seq, task, Outcome::failed, why);
    return seq;
}

/// A group's first messages would all go to those workers that happen to be ready first.
void Dispatcher::gather(Instant now) {
    if (gathered_) return;
    const std::size_t ready = roster_.ready();
    if (ready > 0 && first_ready_at_ == kNever) first_ready_at_ = now;
    const bool waited = first_ready_at_ != kNever && now >= first_ready_at_ + kGathering;
    gathered_ = ready >= config_.await_workers || waited;
}

bool Dispatcher::cancel_task(Instant now, Seq seq) {
    Task* task = ledger_.task(seq);
    if (task == nullptr || task->state != TaskState::open) return false;
    cancel(now, seq, *task, kCancelled);
    return true;
}

std::size_t Dispatcher::cancel_all(Instant now, std::string_view why) {
    std::size_t count = 0;
    for (const Seq seq : ledger_.tasks().sorted_keys()) {
        Task& task = *ledger_.task(seq);
        if (task.state != TaskState::open) continue;
        cancel(now, seq, task, why);
        ++count;
    }
    return count;
}

void Dispatcher::cancel(Instant now, Seq seq, Task& task, std::string_view why) {
    task.cancelled = true;
    give_up(now, seq, task, Outcome::cancelled, why);
    call_all_home(now, task, CancelReason::decided);  // not only when the collector has heard: there may be none
}

// ---- starting ------------------------------------------------------------------------------------------------------

std::uint32_t Dispatcher::due(const Task& task) const {
    if (task.state != TaskState::open || task.expired) return 0;
    if (task.cancelled && !mutated(Mutant::reopened_and_started)) return 0;
    const auto alive = static_cast<std::uint32_t>(task.alive.size());
    const std::uint32_t room = config_.fanout > alive ? config_.fanout - alive : 0;
    return std::min(task.released - task.started, room);
}

bool Dispatcher::start_due(Instant now, Seq seq, Task& task) {
    const std::uint32_t wanted = due(task);
    // Choose one at a time: each choice makes its worker, and its pool, the wrong one for the next.
    WorkerSession* worker = nullptr;
    std::uint32_t found = 0;
    for (; found < wanted; ++found) {
        worker = found == 0 ? roster_.choose(task) : roster_.choose_another(task, *worker);
        if (worker == nullptr) break;
        start(now, seq, task, *worker);
    }
    hand_over(now, seq, task);
    return found == wanted;
}

void Dispatcher::start(Instant now, Seq seq, Task& task, WorkerSession& worker) {
    const bool came_back = task.came_back();
    const AttemptId id = ledger_.start(now, seq, worker.session);
    Attempt& attempt = *ledger_.attempt(id);
    if (!came_back && task.hedges_due > 0) {
        --task.hedges_due;
        attempt.hedge = true;
    }
    started_.push_back({id.session, id.number, attempt.ordinal});
    note_start(now, worker);
    restart_hedge_timer(now, seq, task);
}

void Dispatcher::restart_hedge_timer(Instant now, Seq seq, Task& task) {
    if (hedging_.race() || task.alive.size() >= config_.fanout) return;
    const Instant hedge_at = now + hedging_.delay();
    if (std::exchange(task.hedge_at, hedge_at) != hedge_at) hedges_.set(hedge_at, seq);  // once for two of a turn
}

/// Writes what has just been started: once, however many workers run it.
void Dispatcher::hand_over(Instant now, Seq seq, const Task& task) {
    if (started_.empty()) return;
    wire::Task record;
    record.seq = seq;
    record.attempts = task.started;
    if (task.deadline_at != kNever) record.left_us = static_cast<std::int64_t>(micros(task.deadline_at - now));
    record.age_us = micros(now - task.accepted_at);
    record.payload = task.payload;
    if (started_.size() > 1 && !task.id) {
        shared_.add(started_, record);
        started_.clear();
        return;
    }
    if (task.id) record.id = *task.id;
    for (const wire::Addressee& started : started_) {
        record.number = started.number;
        record.ordinal = started.ordinal;
        WorkerSession& worker = tell(*roster_.find(started.session));
        worker.tasks.add(record);
        if (worker.tasks.size() < wire::kFrameBytes) continue;
        worker.task_frames.push_back(
            worker.tasks.finish({wire::Kind::tasks, config_.incarnation, worker.session, 0, 0}));
    }
    started_.clear();
}

void Dispatcher::wait_for_worker(Seq seq, Task& task) {
    if (std::exchange(task.waiting, true)) return;
    waiting_.fruitless = 0;
    waiting_.seqs.push_back(seq);
}

/// What is tried again goes before all that waits.
void Dispatcher::try_again(Seq seq, Task& task) {
    if (std::exchange(task.again, true)) return;
    again_.fruitless = 0;
    again_.seqs.push_back(seq);
}

/// A worker may take something that it could not take before, or another task.
void Dispatcher::something_changed() {
    again_.fruitless = waiting_.fruitless = 0;
    recall_fruitless_ = false;
}

/// A free slot belongs first to what is tried again or came back, then to what stands behind busy slots, then to those
/// that still wait, and to new messages last.
void Dispatcher::start_waiting(Instant now) {
    start_from(now, again_, &Task::again);
    look_who_stands(now);
    recall_standing(now);
    start_from(now, waiting_, &Task::waiting);
}

/// Tries those that wait, in their order; who finds no worker goes to the end of the queue, and is not asked again
/// before something has changed. A turn has a bound on how many it asks in vain; the rest follow in the next.
void Dispatcher::start_from(Instant now, Queue& queue, bool Task::*stands_in) {
    for (std::size_t vain = 0; vain < kMostVain && queue.hopeful() && roster_.has_credit();) {
        const Seq seq = queue.seqs.front();
        queue.seqs.pop_front();
        Task* task = ledger_.task(seq);
        if (task == nullptr) continue;
        task->*stands_in = false;
        if (start_due(now, seq, *task)) continue;
        task->*stands_in = true;
        queue.seqs.push_back(seq);
        ++queue.fruitless;
        ++vain;
    }
    if (queue.seqs.size() > 2 * ledger_.tasks_in_flight() + 64) {
        std::erase_if(queue.seqs, [&](Seq seq) { return ledger_.task(seq) == nullptr; });
        queue.fruitless = 0;
    }
}

// ---- ending --------------------------------------------------------------------------------------------------------

/// True if the attempt held a credit, which the caller is to give back.
bool Dispatcher::end_attempt(Instant now, WorkerSession& worker, AttemptNumber number, End end,
                             std::string_view error) {
    const AttemptId id{worker.session, number};
    if (ledger_.attempt(id)->recalled) end_recall(worker, number);
    const Attempt attempt = ledger_.end(id, end, worker.name, error);
    const bool given_back = mutated(Mutant::credit_given_early) && attempt.state == AttemptState::cancelling;
    const bool held_credit = attempt.state != AttemptState::reported && !given_back;
    if (attempt.state == AttemptState::cancelling) {
        cancel_time_.add(now - attempt.cancelled_at);
    } else if (end != End::lost) {
        learn(roster_.find(worker.session), now - attempt.started_at);
    }
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
    if (ledger_.attempt(id)->recalled) end_recall(worker, number);
    const Attempt attempt = ledger_.end_returned(id, worker.name);
    const bool held_credit = attempt.state != AttemptState::reported;
    Task* task = ledger_.task(attempt.seq);
    if (task == nullptr || mutated(Mutant::returned_not_replaced)) return held_credit;
    if (task->state == TaskState::decided && task->winner == id) ledger_.reopen(*task);
    task_lost_attempt(now, attempt.seq, *task, End::cancelled, {});
    return held_credit;
}

/// An attempt of a task that is still in flight has ended without deciding it: see that the task goes on.
void Dispatcher::task_lost_attempt(Instant now, Seq seq, Task& task, End end, std::string_view error) {
    if (end == End::failed) {
        ++task.failures;
        if (!task.cancelled) task.make_past().last_error = error;  // else it says why it was cancelled
    }
    if (task.state != TaskState::open) return;
    if (task.cancelled && !mutated(Mutant::reopened_and_started)) {
        give_up(now, seq, task, Outcome::cancelled, std::string(task.make_past().last_error));
        return;
    }
    if (end == End::expired && !task.expired) {
        // By the worker's clock. Ours stood for a while (common/process/clock.h), or is late by the way here.
        expire(now, seq, task);
        return;
    }
    if (task.expired) {
        if (task.alive.empty()) {
            give_up(now, seq, task, Outcome::expired, config_.past_deadline);
        } else {
            forced_.set(forced_at(now, task), seq);  // it may have been decided when the last timer fired
        }
        return;
    }
    if (config_.poison > 0 && task.deaths >= config_.poison) {
        give_up(now, seq, task, Outcome::failed, "its work has killed " + std::to_string(task.deaths) + " workers");
        return;
    }
    if (task.failures >= config_.attempts) {
        give_up(now, seq, task, Outcome::failed, task.make_past().last_error);
        return;
    }
    const auto alive = static_cast<std::uint32_t>(task.alive.size());
    const std::uint32_t pending = task.released - task.started;
    const bool replace_failed = end == End::failed && task.failures + alive + pending < config_.attempts;
    const bool nothing_else = alive + pending == 0;
    if (end == End::lost || replace_failed || nothing_else) ++task.released;
    if (due(task) > 0) try_again(seq, task);
}

void Dispatcher::call_home(Instant now, AttemptId id, CancelReason reason) {
    const Attempt* attempt = ledger_.attempt(id);
    if (attempt == nullptr || attempt->state == AttemptState::reported) return;
    if (attempt->state == AttemptState::cancelling && attempt->reason == reason) return;
    WorkerSession* worker = roster_.find(id.session);
    if (attempt->state != AttemptState::cancelling) learn(worker, now - attempt->started_at);
    ledger_.call_home(now, id, reason);
    if (worker == nullptr) return;
    if (mutated(Mutant::credit_given_early)) roster_.give_back(*worker);
    tell(*worker);
    (reason == CancelReason::decided ? worker->cancels_decided : worker->cancels_deadline).push_back(id.number);
}

/// How long an attempt took, or how old it was when it was called home.
void Dispatcher::learn(WorkerSession* worker, Duration took) {
    hedging_.learn(took);
    if (worker != nullptr) worker->took.add(took);
}

void Dispatcher::call_all_home(Instant now, Task& task, CancelReason reason) {
    for (const AttemptId id : task.alive) call_home(now, id, reason);
}

/// Those that another attempt has beaten in this turn, unless they have come to their end in the same turn. Quick work
/// would have ended before it heard that it is called home: it is given some time to do so.
void Dispatcher::call_losers_home(Instant now) {
    for (const AttemptId id : losers_) {
        const WorkerSession* worker = roster_.find(id.session);
        if (worker != nullptr && worker->quick()) {
            new_quick_losers_.push_back(id);
        } else {
            call_loser_home(now, id);
        }
    }
    losers_.clear();
    if (now >= quick_tick_at_) {
        for (const AttemptId id : old_quick_losers_) {
            if (!mutated(Mutant::loser_at_large)) call_loser_home(now, id);
        }
        old_quick_losers_.clear();
        std::swap(old_quick_losers_, new_quick_losers_);
        quick_tick_at_ = kNever;
    }
    const bool some_wait = !old_quick_losers_.empty() || !new_quick_losers_.empty();
    if (some_wait && quick_tick_at_ == kNever) quick_tick_at_ = now + kQuickTick;
}

/// Unless its task is wanted again: the winner's result was lost with its collector.
void Dispatcher::call_loser_home(Instant now, AttemptId id) {
    const Attempt* attempt = ledger_.attempt(id);
    const Task* task = attempt == nullptr ? nullptr : ledger_.task(attempt->seq);
    if (task == nullptr || task->state == TaskState::decided) call_home(now, id, CancelReason::decided);
}

void Dispatcher::give_up(Instant now, Seq seq, Task& task, Outcome outcome, std::string_view error) {
    task.make_past().last_error = error;
    ledger_.give_up(task, outcome);
    send_verdict(now, seq, task);
}

// ---- timers --------------------------------------------------------------------------------------------------------

void Dispatcher::on_deadline(Instant now, Seq seq) {
    Task* task = ledger_.task(seq);
    if (task == nullptr || task->expired || task->deadline_at > now || mutated(Mutant::deadline_forgotten)) return;
    expire(now, seq, *task);
}

void Dispatcher::expire(Instant now, Seq seq, Task& task) {
    task.expired = true;
    if (task.state != TaskState::open) return;
    if (task.alive.empty()) {
        give_up(now, seq, task, Outcome::expired, config_.past_deadline);
    } else {
        call_all_home(now, task, CancelReason::deadline);
        forced_.set(forced_at(now, task), seq);
    }
}

// ---- forced expiry: the caller's deadline is decided whatever the workers say (edge rule 16) -----------------------

/// By then the work of its attempts is over, has been killed, or nobody will say any more: what the workers have said
/// that it may take, and one lease. While no synced collector is heard nothing can be decided, and what was finished
/// may not have come: the time begins anew.
Instant Dispatcher::forced_at(Instant now, const Task& task) {
    if (!collector_synced() || collector_silent(now)) return now + config_.heartbeat;
    Duration patience{};
    for (const AttemptId id : task.alive) {
        const WorkerSession* worker = roster_.find(id.session);
        if (worker != nullptr) patience = std::max(patience, worker->patience);
    }
    return std::max(task.deadline_at, heard_since_) + patience + 2 * config_.heartbeat;
}

void Dispatcher::force_expiry(Instant now, Seq seq) {
    Task* task = ledger_.task(seq);
    if (task == nullptr || task->state != TaskState::open || !task->expired || task->alive.empty()) return;
    const Instant at = forced_at(now, *task);
    const bool asks = at <= now && !std::exchange(task->asked_for, true) && ask_for_reports(*task);
    if (asks || at > now) {
        forced_.set(asks ? now + 2 * config_.heartbeat : at, seq);
        return;
    }
    ++counts_.forced;
    give_up(now, seq, *task, Outcome::expired, config_.past_deadline + "; its work has not been seen to end");
}

/// What was finished in time still wins, if it comes within two rounds of the token. True if there is such.
bool Dispatcher::ask_for_reports(const Task& task) {
    bool any = false;
    for (const AttemptId id : task.alive) {
        WorkerSession* worker = roster_.find(id.session);
        if (worker == nullptr || !ledger_.attempt(id)->reported_there) continue;
        tell(*worker).resends.insert(id.number);
        any = true;
    }
    return any;
}

/// The task, if it still wants the hedge that was due then: it runs, and no attempt has started since. Else null, and
/// it has no hedge any more.
Task* Dispatcher::task_of_hedge(Seq seq, Instant due_at) {
    Task* task = ledger_.task(seq);
    if (task == nullptr || task->hedge_at != due_at) return nullptr;
    const auto alive = static_cast<std::uint32_t>(task->alive.size());
    // Where all that is alive comes back, none of it runs: the time before the hedge begins when one does.
    const bool runs = std::ranges::any_of(task->alive, [&](AttemptId id) { return !ledger_.attempt(id)->recalled; });
    const bool room = runs && alive + (task->released - task->started) < config_.fanout;
    if (room && task->state == TaskState::open && !task->expired) return task;
    task->hedge_at = kNever;
    return nullptr;
}

/// False if there is no budget for it.
bool Dispatcher::start_hedge(Instant now, Seq seq, Task& task) {
    if (!hedging_.take_token()) return false;
    task.hedge_at = kNever;
    ++task.released;
    ++task.hedges_due;
    if (!start_due(now, seq, task)) wait_for_worker(seq, task);
    return true;
}

void Dispatcher::start_hedges(Instant now) {
    withheld_.fire_while(now, [&](Seq seq, Instant due_at) {
        if (Task* task = task_of_hedge(seq, due_at)) return start_hedge(now, seq, *task);
        hedging_.withheld();
        return true;
    });
    hedges_.fire_while(now, [&](Seq seq, Instant due_at) {
        Task* task = mutated(Mutant::hedge_timer_missed) ? nullptr : task_of_hedge(seq, due_at);
        if (task == nullptr || start_hedge(now, seq, *task) || mutated(Mutant::hedge_not_kept)) return true;
        withheld_.set(due_at, seq);
        return true;
    });
    withheld_.sweep([&](Seq seq, Instant due_at) {
        if (task_of_hedge(seq, due_at) != nullptr) return true;
        hedging_.withheld();
        return false;
    });
    hedges_.sweep([&](Seq seq, Instant at) {
        const Task* task = ledger_.task(seq);
        return task != nullptr && task->hedge_at == at;
    });
}

void Dispatcher::turn(Instant now) {
    judge_silence(now);
    gather(now);
    repeat_recalls(now);
    deadlines_.fire(now, [&](Seq seq) { on_deadline(now, seq); });
    forced_.fire(now, [&](Seq seq) { force_expiry(now, seq); });
    forced_.sweep([&](Seq seq, Instant) { return ledger_.task(seq) != nullptr; });
    start_hedges(now);
    deadlines_.sweep([&](Seq seq, Instant) {
        const Task* task = ledger_.task(seq);
        return task != nullptr && !task->expired;
    });
    start_waiting(now);
    beat(now);
}

Instant Dispatcher::next_deadline() const {
    if ((again_.hopeful() || waiting_.hopeful()) && roster_.has_credit()) return Instant::min();
    const bool recalls = !standing_.empty() && !recall_fruitless_ && recall_again_at_ != Instant{};
    const bool gathering = !gathered_ && first_ready_at_ != kNever;
    const Instant withheld = hedging_.has_token() ? withheld_.next() : kNever;
    return std::min({deadlines_.next(), forced_.next(), hedges_.next(), withheld, ping_at_, token_at_, silence_at_,
                     ack_at_, quick_tick_at_, confirm_at_, stand_look_at_, repeat_at_,
                     recalls ? recall_again_at_ : kNever, gathering ? first_ready_at_ + kGathering : kNever,
                     sender_.next_deadline(config_.heartbeat)});
}

}  // namespace curfew

// The worker's core, where the work is: slots, the ends of work, deadlines. See session.h.
#include <algorithm>
#include <utility>

#include "common/words/mutant.h"
#include "worker/session.h"

namespace curfew {
namespace {

constexpr Duration kKillTime = std::chrono::seconds(1);

}  // namespace

// ---- starting ----------------------------------------------------------------------------------

void WorkerCore::start_queued(Instant now) {
    // Over its budget for kept results a worker starts one piece of work at a time: what is kept
    // may wait for just that.
    const auto affordable = [&] { return !over_budget() || busy_slots() == 0; };
    const Slot open = mutated(Mutant::pause_ignored) ? slots_.count() : handler_.open_slots(now);
    // Nobody knows for how long: what has not begun is better off elsewhere
    if (open == 0) return return_queued(now);
    while (slots_.has_free() && busy_slots() < open && !leaving() && !in_doubt() && affordable()) {
        const std::optional<Attempts::Queued> queued = attempts_.pop_queued();
        if (!queued) return;
        HeldAttempt& attempt = *queued->attempt;
        if (attempt.deadline_at <= now) {
            attempts_.report(now, queued->number, attempt, ReportKind::expired, {}, Attempts::kNeverBegan);
            continue;
        }
        Work work{{session(), queued->number}, epoch(),        attempt.seq, attempt.ordinal,
                  attempt.deadline_at,         attempt.payload};
        if (const HeldText* text = attempt.text.get()) {
            if (text->id) work.message_id = *text->id;
            work.properties = text->properties;
        }
        if (config_.wall_us != nullptr) Attempts::begin_details(now, attempt, config_.wall_us(now));
        if (handler_.immediate()) {
            run_at_once(now, *queued, work);
            continue;
        }
        const Slot slot = slots_.take(now, work.id, attempt.deadline_at);
        attempts_.start(now, *queued, slot);
        handler_.start(now, slot, work);
    }
}

/// In no slot: it is over when it returns.
void WorkerCore::run_at_once(Instant now, const Attempts::Queued& queued, const Work& work) {
    WorkEnd end;
    slots_.note(0, work.id);
    handler_.run(work, end);
    slots_.note(0, {});
    work_times_.ended({.id = work.id, .seq = work.seq, .began_at = now, .ended_at = now});
    finish(now, queued.number, *queued.attempt, end);
}

// ---- ends --------------------------------------------------------------------------------------

void WorkerCore::take_ends(Instant now) {
    handler_.turn(now, ends_);
    for (WorkEnd& end : ends_) on_end(now, end);
    ends_.clear();
}

void WorkerCore::on_end(Instant now, WorkEnd& end) {
    const SlotState slot = slots_.end(end.slot);
    const AttemptId id = slot.attempt;
    if (id.number == 0) return;
    credit_.worked(now - slot.started_at);
    if (id.session != session()) return;  // work of a session that is no more
    HeldAttempt* attempt = attempts_.find(id.number);
    if (attempt == nullptr || !attempt->is_at_work()) return;
    work_times_.ended({id, attempt->seq, slot.started_at, slot.stopping ? slot.stop_at : kNever, now});
    finish(now, id.number, *attempt, end);
}

/// The attempt's work is over.
void WorkerCore::finish(Instant now, AttemptNumber number, HeldAttempt& attempt, WorkEnd& end) {
    const bool cancelling = attempt.state == AttemptState::cancelling;
    const bool decided = cancelling && (attempt.reason == CancelReason::decided || attempt.decided);
    const bool lost = cancelling && attempt.reason == CancelReason::lost;
    if (HeldDetails* details = attempt.details(); details != nullptr && end.traces)
        details->traces = std::move(*end.traces);
    if (lost || end.finish == Finish::stopped) {
        end_stopped(now, number, attempt, decided ? std::string() : std::move(end.error));
    } else if (end.finish == Finish::returned && !cancelling) {
        attempts_.report(now, number, attempt, ReportKind::returned);
    } else if (end.finish == Finish::returned) {
        end_stopped(now, number, attempt, {});
    } else if (end.finish == Finish::failed) {
        attempts_.report(now, number, attempt, ReportKind::failed, {}, std::move(end.error));
    } else if (end.finish == Finish::rejected) {
        attempts_.report(now, number, attempt, ReportKind::rejected, std::move(attempt.payload), std::move(end.error));
    } else if (decided) {
        attempts_.report(now, number, attempt, ReportKind::late);
    } else if (end.result.size() > wire::kPayloadBytes) {
        attempts_.report(now, number, attempt, ReportKind::failed, {},
                         "its result has " + std::to_string(end.result.size()) + " bytes, at most " +
                             std::to_string(wire::kPayloadBytes) + " can be carried");
    } else if (end.echo) {
        attempts_.report(now, number, attempt, ReportKind::ok, std::move(attempt.payload));
    } else {
        attempts_.report(now, number, attempt, ReportKind::ok, attempts_.keep(std::move(end.result)));
    }
}

/// The end of an attempt whose work did not come to an end of its own.
void WorkerCore::end_stopped(Instant now, AttemptNumber number, HeldAttempt& attempt, std::string error) {
    const bool cancelling = attempt.state == AttemptState::cancelling;
    if (cancelling && attempt.reason == CancelReason::lost) {
        ++counts_.lost;
        attempts_.forget(number);
    } else if (cancelling && attempt.reason == CancelReason::decided) {
        attempts_.report(now, number, attempt, ReportKind::cancelled, {}, std::move(error));
    } else if (cancelling || now >= attempt.deadline_at) {
        attempts_.report(now, number, attempt, ReportKind::expired, {}, std::move(error));
    } else if (leaving()) {
        // Stopped because this worker leaves: the bye says that it is to be tried elsewhere
        attempts_.forget(number);
    } else {
        attempts_.report(now, number, attempt, ReportKind::failed, {},
                         error.empty() ? "stopped without being told" : std::move(error));
    }
}

/// The attempt of a slot that is out of service gets its end in the books.
void WorkerCore::end_stuck(Instant now, const SlotState& slot, const char* why) {
    HeldAttempt* attempt = slot.attempt.session == session() ? attempts_.find(slot.attempt.number) : nullptr;
    if (attempt != nullptr && attempt->is_at_work()) end_stopped(now, slot.attempt.number, *attempt, why);
}

/// What has not begun here is to be placed elsewhere.
void WorkerCore::return_queued(Instant now) {
    while (const std::optional<Attempts::Queued> queued = attempts_.pop_queued())
        attempts_.report(now, queued->number, *queued->attempt, ReportKind::returned);
}

void WorkerCore::on_deadline(Instant now, AttemptNumber number, HeldAttempt& attempt) {
    if (attempt.state == AttemptState::queued) {
        attempts_.report(now, number, attempt, ReportKind::expired, {}, Attempts::kNeverBegan);
    } else if (attempt.state == AttemptState::running) {
        attempts_.call_home(now, attempt, CancelReason::deadline);
        slots_.stop(now, attempt.slot);
    }
}

// ---- slots -------------------------------------------------------------------------------------

/// Work that ignores that it was asked to stop: its slot is out of service after grace. Where the
/// handler can kill, the kill has a second to do its work; what survives that is in the hands of
/// the kernel: its attempt ends in the books all the same, and the slot comes back when it has
/// ended in fact. Without any other slot nothing more is taken until then. Where the handler cannot
/// kill, the process is worn out when nothing else is left, or at deadline + grace.
void WorkerCore::check_slots(Instant now) {
    slots_.take_out(now, patience(), [&](const SlotState& slot) {
        if (handler_.can_kill()) end_stuck(now, slot, "its process does not end, not even when it is killed");
    });
    const std::size_t out = slots_.out_of_service();
    const bool none_left = out == slots_.count();
    // There is no slot that could ever start them
    if (none_left && handler_.can_kill()) return_queued(now);
    const bool overdue = out > 0 && (ending_ || now >= slots_.overdue_at(config_.grace));
    if (worn_out_ || handler_.can_kill() || (!none_left && !overdue)) return;
    worn_out_ = true;
    for (const SlotState& slot : slots()) {  // their threads die with the process
        if (slot.out_of_service) end_stuck(now, slot, "did not stop within grace; its worker is replaced");
    }
    leave(now);
}

/// Slots that do work of this session, or would start it now: none while the worker leaves, or does
/// not know whether its session lives. Those whose work is still being stopped for an older session
/// would not, and over its budget of kept results a worker starts one piece of work at a time.
std::uint32_t WorkerCore::usable_slots(Instant now) const {
    if (leaving() || in_doubt()) return 0;
    if (handler_.immediate()) return slots_.count();
    const auto [usable, mine] = slots_.usable(handler_.open_slots(now));
    return over_budget() ? std::min(usable, std::max(1U, mine)) : usable;
}

/// How long work may take to stop before its slot is out of service.
Duration WorkerCore::patience() const {
    return config_.grace + (handler_.can_kill() ? kKillTime : Duration::zero());
}

// ---- the turn ----------------------------------------------------------------------------------

void WorkerCore::turn(Instant now) {
    if (lease_.is_over(now)) end_session(now);
    take_ends(now);
    const auto due = [&](AttemptNumber number, HeldAttempt& attempt) { on_deadline(now, number, attempt); };
    attempts_.fire(now, due);
    check_slots(now);
    work_times_.turn(now);
    if (credit_.adapt(now)) lease_.heartbeat_now(now);  // the broker is to know at once
    start_queued(now);
    attempts_.set_timers(now, due);
}

Instant WorkerCore::next_deadline() const {
    Instant next = std::min({attempts_.next_deadline(), handler_.next_deadline(), slots_.next_deadline(patience())});
    if (session() != 0 || !leaving()) next = std::min(next, lease_.next_deadline());
    if (!handler_.can_kill() && !worn_out_) next = std::min(next, slots_.overdue_at(config_.grace));
    return next;
}

}  // namespace curfew

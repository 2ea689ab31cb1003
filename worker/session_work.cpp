// The worker's core, where the work is: slots, the ends of work, deadlines. See session.h for the drawing.
#include <algorithm>
#include <utility>

#include "common/words/mutant.h"
#include "worker/session.h"

namespace curfew {
namespace {

constexpr Duration kKillTime = std::chrono::seconds(1);

}  // namespace

// ---- work ----------------------------------------------------------------------------------------------------------

void WorkerCore::start_queued(Instant now) {
    // Over its budget for kept results a worker starts one piece of work at a time: what is kept may wait for just
    // that.
    const auto affordable = [&] { return !over_budget() || busy_slots() == 0; };
    while (!queue_.empty() && !free_slots_.empty() && !leaving_ && !in_doubt_ && affordable()) {
        const bool untimed = untimed_ == queue_.size();
        const AttemptNumber number = pop_queued();
        HeldAttempt* attempt = held_.find(number);
        if (attempt == nullptr || attempt->state != AttemptState::queued) continue;
        if (attempt->deadline_at <= now) {
            report(now, number, *attempt, ReportKind::expired, {}, kNeverBegan);
            continue;
        }
        const Work work{{session_, number},   epoch_,          attempt->seq, attempt->ordinal,
                        attempt->deadline_at, attempt->payload};
        if (handler_.immediate()) {
            WorkEnd end;
            note(0, work.id);
            handler_.run(work, end);
            note(0, {});
            finish(now, number, *attempt, end);
            continue;
        }
        const Slot slot = free_slots_.back();
        free_slots_.pop_back();
        slots_[slot] = {.attempt = {session_, number}, .started_at = now, .deadline_at = attempt->deadline_at};
        attempt->state = AttemptState::running;
        attempt->since = now;
        attempt->slot = slot;
        if (untimed) deadlines_.set(attempt->deadline_at, number);
        note(slot, work.id);
        handler_.start(now, slot, work);
    }
}

AttemptNumber WorkerCore::pop_queued() {
    const AttemptNumber number = queue_.front();
    queue_.pop_front();
    untimed_ = std::min(untimed_, queue_.size());
    return number;
}

void WorkerCore::note(Slot slot, AttemptId id) {
    if (slot < running_.size()) running_[slot] = id;
}

void WorkerCore::stop_slot(Instant now, Slot slot) {
    if (std::exchange(slots_[slot].stopping, true)) return;
    slots_[slot].stop_at = now;
    handler_.stop(now, slot);
    if (mutated(Mutant::slot_freed_early)) free_slots_.push_back(slot);
}

void WorkerCore::take_ends(Instant now) {
    handler_.turn(now, ends_);
    for (WorkEnd& end : ends_) on_end(now, end);
    ends_.clear();
}

void WorkerCore::on_end(Instant now, WorkEnd& end) {
    const SlotState slot = std::exchange(slots_[end.slot], {});
    const AttemptId id = slot.attempt;
    if (id.number == 0) return;
    note(end.slot, {});
    worked_ += now - slot.started_at;
    ++work_ends_;
    free_slots_.push_back(end.slot);
    if (id.session != session_) return;  // work of a session that is no more
    HeldAttempt* attempt = held_.find(id.number);
    if (attempt == nullptr || attempt->state < AttemptState::running || attempt->state > AttemptState::cancelling)
        return;
    finish(now, id.number, *attempt, end);
}

/// The attempt's work is over.
void WorkerCore::finish(Instant now, AttemptNumber number, HeldAttempt& attempt, WorkEnd& end) {
    const bool decided =
        attempt.state == AttemptState::cancelling && (attempt.reason == CancelReason::decided || attempt.decided);
    const bool lost = attempt.state == AttemptState::cancelling && attempt.reason == CancelReason::lost;
    if (lost || end.finish == Finish::stopped) {
        end_stopped(now, number, attempt, {});
    } else if (end.finish == Finish::failed) {
        report(now, number, attempt, ReportKind::failed, {}, std::move(end.error));
    } else if (end.finish == Finish::rejected) {
        report(now, number, attempt, ReportKind::rejected, std::move(attempt.payload), std::move(end.error));
    } else if (decided) {
        report(now, number, attempt, ReportKind::late, {}, {});
    } else if (end.result.size() > wire::kPayloadBytes) {
        report(now, number, attempt, ReportKind::failed, {},
               "its result has " + std::to_string(end.result.size()) + " bytes, at most " +
                   std::to_string(wire::kPayloadBytes) + " can be carried");
    } else {
        report(now, number, attempt, ReportKind::ok,
               end.echo ? std::move(attempt.payload) : payloads_.keep(std::move(end.result)), {});
    }
}

/// The end of an attempt whose work did not come to an end of its own.
void WorkerCore::end_stopped(Instant now, AttemptNumber number, HeldAttempt& attempt, std::string error) {
    const bool cancelling = attempt.state == AttemptState::cancelling;
    if (cancelling && attempt.reason == CancelReason::lost) {
        ++counts_.lost;
        forget(number);
    } else if (cancelling && attempt.reason == CancelReason::decided) {
        report(now, number, attempt, ReportKind::cancelled, {}, std::move(error));
    } else if (cancelling || now >= attempt.deadline_at) {
        report(now, number, attempt, ReportKind::expired, {}, std::move(error));
    } else if (leaving_) {
        forget(number);  // stopped because this worker leaves: the bye says that it is to be tried elsewhere
    } else {
        report(now, number, attempt, ReportKind::failed, {},
               error.empty() ? "stopped without being told" : std::move(error));
    }
}

void WorkerCore::report(Instant now, AttemptNumber number, HeldAttempt& attempt, ReportKind kind, Bytes&& result,
                        std::string&& error) {
    attempt.state = AttemptState::reported;
    attempt.since = now;
    attempt.kind = kind;
    attempt.payload = std::move(result);
    wire::cut_error(error);
    if (!error.empty()) attempt.make_text().error = std::move(error);
    attempt.unsent = true;
    kept_bytes_ += attempt.payload.size();
    ++counts_.reports[static_cast<std::size_t>(kind)];
    to_send_.push_back(number);
}

// ---- timers --------------------------------------------------------------------------------------------------------

/// For those that came in this turn and still wait: quick work, which is over by now, never needs one.
void WorkerCore::set_timers(Instant now) {
    for (auto at = queue_.end() - static_cast<std::ptrdiff_t>(untimed_); at != queue_.end(); ++at) {
        const HeldAttempt* attempt = held_.find(*at);
        if (attempt == nullptr || attempt->state != AttemptState::queued) continue;
        deadlines_.set(attempt->deadline_at, *at);
        on_deadline(now, *at);
    }
    untimed_ = 0;
}

void WorkerCore::on_deadline(Instant now, AttemptNumber number) {
    HeldAttempt* attempt = held_.find(number);
    if (attempt == nullptr || attempt->deadline_at > now) return;
    if (attempt->state == AttemptState::queued) {
        report(now, number, *attempt, ReportKind::expired, {}, kNeverBegan);
    } else if (attempt->state == AttemptState::running) {
        attempt->state = AttemptState::cancelling;
        attempt->reason = CancelReason::deadline;
        attempt->since = now;
        stop_slot(now, attempt->slot);
    }
}

/// Work that ignores that it was asked to stop: its slot is out of service after grace. Where the handler can kill, the
/// kill has a second to do its work; what survives that is in the hands of the kernel: its attempt ends in the books
/// all the same, and the slot comes back when it has ended in fact. Without any other slot nothing more is taken until
/// then. Where the handler cannot kill, the process is worn out when nothing else is left, or at deadline + grace.
void WorkerCore::check_slots(Instant now) {
    std::size_t out = 0;
    bool overdue = false;
    for (SlotState& slot : slots_) {
        if (slot.stopping && !slot.out_of_service && now >= slot.stop_at + patience()) {
            slot.out_of_service = true;
            if (handler_.can_kill()) end_stuck(now, slot, "its process does not end, not even when it is killed");
        }
        if (!slot.out_of_service) continue;
        ++out;
        overdue = overdue || ending_ || (slot.deadline_at != kNever && now >= slot.deadline_at + config_.grace);
    }
    const bool none_left = out == slots_.size();
    if (none_left && handler_.can_kill()) return_queued(now);  // there is no slot that could ever start them
    if (worn_out_ || handler_.can_kill() || (!none_left && !overdue)) return;
    worn_out_ = true;
    for (const SlotState& slot : slots_) {  // their threads die with the process
        if (slot.out_of_service) end_stuck(now, slot, "did not stop within grace; its worker is replaced");
    }
    leave(now);
}

/// What is sent ahead is to hide the way round the ring from the slots, and no more: the rest would wait here while a
/// slot elsewhere is free. So it is what the slots do in a few times that way, and at least one attempt; nothing where
/// the work takes longer than kSlow: then the way round is a hundredth of it, or less.
void WorkerCore::adapt_credit(Instant now) {
    constexpr Duration kEvery = std::chrono::milliseconds(100);
    constexpr Duration kAhead = std::chrono::milliseconds(5);
    constexpr Duration kSlow = std::chrono::milliseconds(25);
    if (config_.most_credit == 0 || now < adapt_at_) return;
    adapt_at_ = now + kEvery;
    const Duration worked = std::exchange(worked_, {});
    const std::int64_t ends = std::exchange(work_ends_, 0);
    if (ends == 0) return;
    const auto slots = static_cast<std::int64_t>(slots_.size());
    const std::int64_t mean = std::max<std::int64_t>(1, worked.count() / ends);
    const std::int64_t most = std::max<std::int64_t>(config_.most_credit, slots + 1);
    const std::int64_t ahead =
        mean > kSlow.count() ? 0 : std::clamp<std::int64_t>(kAhead.count() * slots / mean, 1, most - slots);
    const std::int64_t wanted = slots + ahead;
    const bool both_ahead = ahead > 0 && credit_ > slots;
    const bool alike = both_ahead ? 4 * wanted <= 5LL * credit_ && 5 * wanted >= 4LL * credit_ : wanted == credit_;
    if (alike) return;
    credit_ = static_cast<std::uint32_t>(wanted);
    heartbeat_at_ = now;  // the broker is to know at once
}

/// How long work may take to stop before its slot is out of service.
Duration WorkerCore::patience() const {
    return config_.grace + (handler_.can_kill() ? kKillTime : Duration::zero());
}

/// What has not begun here is to be placed elsewhere.
void WorkerCore::return_queued(Instant now) {
    while (!queue_.empty()) {
        const AttemptNumber number = pop_queued();
        HeldAttempt* attempt = held_.find(number);
        if (attempt == nullptr || attempt->state != AttemptState::queued) continue;
        report(now, number, *attempt, ReportKind::returned, {}, {});
    }
}

/// The attempt of a slot that is out of service gets its end in the books.
void WorkerCore::end_stuck(Instant now, const SlotState& slot, const char* why) {
    HeldAttempt* attempt = slot.attempt.session == session_ ? held_.find(slot.attempt.number) : nullptr;
    if (attempt == nullptr || attempt->state < AttemptState::running || attempt->state > AttemptState::cancelling)
        return;
    end_stopped(now, slot.attempt.number, *attempt, why);
}

bool WorkerCore::stopping() const {
    return std::ranges::any_of(slots_,
                               [](const SlotState& slot) { return slot.attempt.number != 0 && !slot.out_of_service; });
}

void WorkerCore::turn(Instant now) {
    const bool alone = now - heard_at_ >= 2 * config_.heartbeat && !mutated(Mutant::lease_forgotten);
    if (session_ != 0 && alone) end_session(now);
    take_ends(now);
    deadlines_.fire(now, [&](AttemptNumber number) { on_deadline(now, number); });
    deadlines_.sweep([&](AttemptNumber number, Instant at) {
        const HeldAttempt* attempt = held_.find(number);
        return attempt != nullptr && attempt->deadline_at == at && attempt->state != AttemptState::reported;
    });
    check_slots(now);
    adapt_credit(now);
    start_queued(now);
    set_timers(now);
}

Instant WorkerCore::next_deadline() const {
    Instant next = std::min(deadlines_.next(), handler_.next_deadline());
    if (session_ != 0) {
        next = std::min({next, heartbeat_at_, heard_at_ + 2 * config_.heartbeat});
    } else if (!leaving_) {
        next = std::min(next, hello_at_);
    }
    for (const SlotState& slot : slots_) {
        if (slot.stopping && !slot.out_of_service) next = std::min(next, slot.stop_at + patience());
    }
    for (const SlotState& slot : slots_) {
        const bool overdue_later = slot.out_of_service && !handler_.can_kill() && slot.deadline_at != kNever;
        if (overdue_later && !worn_out_) next = std::min(next, slot.deadline_at + config_.grace);
    }
    return next;
}

}  // namespace curfew

// How the worker's core moves its attempts. See session.h for the drawing.
#include "worker/session.h"

#include <algorithm>
#include <utility>

#include "common/words/mutant.h"

namespace curfew {
namespace {

/// What is said at the beginning, hellos and heartbeats, is said again soon, and then less and less often.
Duration first_pause(const WorkerCore::Config& config) {
    return config.heartbeat / 64;
}

}  // namespace

WorkerCore::WorkerCore(const Config& config, Handler& handler, std::span<AttemptId> running)
    : config_(config),
      handler_(handler),
      running_(running),
      pause_(first_pause(config)),
      slots_(std::max<Slot>(1, config.slots)),
      credit_(config.credit) {
    for (Slot slot = static_cast<Slot>(slots_.size()); slot-- > 0;) free_slots_.push_back(slot);
}

// ---- sessions ------------------------------------------------------------------------------------------------------

void WorkerCore::stood_still(Instant now) {
    if (session_ == 0) return;
    ++stood_;
    in_doubt_ = !mutated(Mutant::standstill_forgotten);
    heard_at_ = now;  // from here on a lease
    heartbeat_at_ = now;
    pause_ = first_pause(config_);
}

void WorkerCore::on_welcome(Instant now, const wire::Envelope& envelope, const wire::Welcome& welcome) {
    const bool mine = welcome.worker == config_.incarnation && welcome.hello == hello_;
    const bool older = envelope.broker < broker_ && now - heard_at_ < 2 * config_.heartbeat;
    if (!mine || session_ != 0 || older || leaving_) return;
    broker_ = envelope.broker;
    session_ = envelope.peer;
    epoch_ = welcome.epoch;
    collector_ = welcome.collector;
    heard_at_ = now;
    heartbeat_at_ = now;
    pause_ = first_pause(config_);
    ++counts_.sessions;
}

void WorkerCore::end_session(Instant now) {
    for (Slot slot = 0; slot < slots_.size(); ++slot) {
        if (slots_[slot].attempt.number == 0) continue;
        stop_slot(now, slot);
        slots_[slot].attempt.session = 0;  // another broker may use the same numbers again
    }
    counts_.abandoned += held_.size();
    held_.clear();
    received_.clear();
    queue_.clear();
    to_send_.clear();
    deadlines_ = {};
    untimed_ = 0;
    kept_bytes_ = 0;
    token_round_.reset();
    recall_rounds_.clear();
    ending_ = false;
    in_doubt_ = false;
    session_ = 0;
    ++hello_;
    hello_at_ = now;
    pause_ = first_pause(config_);
}

void WorkerCore::leave(Instant now) {
    if (std::exchange(leaving_, true)) return;
    for (Slot slot = 0; slot < slots_.size(); ++slot) {
        if (slots_[slot].attempt.number != 0) stop_slot(now, slot);
    }
    return_queued(now);  // the broker places it elsewhere
}

// ---- frames --------------------------------------------------------------------------------------------------------

void WorkerCore::receive_tasks(Instant now, std::string_view frame) {
    wire::Envelope envelope;
    if (reader_.open(frame, envelope, {wire::Kind::tasks}) != wire::Error::none) {
        ++counts_.malformed;
        return;
    }
    // Shared ones name their sessions themselves.
    const bool shared = envelope.peer == 0;
    const bool mine = shared || envelope.peer == session_ || mutated(Mutant::old_session_accepted);
    if (session_ == 0 || !mine || envelope.broker != broker_) {
        ++counts_.refused;
        return;
    }
    const wire::Error error = reader_.each([&](auto& record) {
        using R = std::decay_t<decltype(record)>;
        if constexpr (std::is_same_v<R, wire::SharedTasks>) {
            take_shared(now, record);
            return;
        } else if constexpr (std::is_same_v<R, wire::Task>) {
            if (!shared) return on_record(now, record);
        } else if constexpr (std::is_same_v<R, wire::Token>) {
            if (!shared) {
                token_round_ = record.round;
                return;
            }
        }
        ++counts_.malformed;
    });
    if (error != wire::Error::none) ++counts_.malformed;
}

void WorkerCore::take_shared(Instant now, const wire::SharedTasks& shared) {
    const bool any = mutated(Mutant::old_session_accepted) && !shared.to.empty();
    wire::SharedReader reader(shared, any ? shared.to.back().session : session_);
    if (!reader.addressed()) ++counts_.refused;
    while (reader.addressed()) {
        const wire::Task* task = reader.next();
        if (task == nullptr) break;
        on_record(now, *task);
    }
    if (!reader.good()) ++counts_.malformed;
}

void WorkerCore::receive_control(Instant now, std::string_view frame) {
    wire::Envelope envelope;
    if (reader_.open(frame, envelope, {wire::Kind::control}) != wire::Error::none) {
        ++counts_.malformed;
        return;
    }
    const auto mine = [&] { return session_ != 0 && envelope.peer == session_ && envelope.broker == broker_; };
    const wire::Error error = reader_.each([&](auto& record) {
        using R = std::decay_t<decltype(record)>;
        if constexpr (std::is_same_v<R, wire::Welcome>) {
            on_welcome(now, envelope, record);
        } else if (!mine()) {
            ++counts_.refused;
        } else if constexpr (std::is_same_v<R, wire::Ping>) {
            if (in_doubt_ && record.stood != stood_) return;  // said before, to whom we were then
            in_doubt_ = false;
            heard_at_ = now;
            ending_ = record.ending != 0;
            on_collector(record.collector);
        } else if constexpr (std::is_same_v<R, wire::Cancel>) {
            if (count_numbers(record.numbers) > 2ULL * std::max(config_.credit, config_.most_credit)) {
                ++counts_.malformed;  // more than can be in flight here
                return;
            }
            for (const Interval& range : record.numbers) {
                for (AttemptNumber n = range.first; n <= range.last; ++n) on_cancel(now, n, record.reason);
            }
        } else if constexpr (std::is_same_v<R, wire::Confirm>) {
            on_confirm(record.numbers);
        } else if constexpr (std::is_same_v<R, wire::Resend>) {
            on_resend(record.numbers);
        } else if constexpr (std::is_same_v<R, wire::Recall>) {
            on_recall(now, record);
        } else if constexpr (std::is_same_v<R, wire::Gone>) {
            end_session(now);
        } else {
            ++counts_.malformed;
        }
    });
    if (error != wire::Error::none) ++counts_.malformed;
}

void WorkerCore::on_record(Instant now, const wire::Task& task) {
    if (task.number == 0 || !received_.insert(task.number)) {
        ++counts_.duplicates;
        return;
    }
    ++counts_.received;
    if (leaving_ && bye_sent_) return;
    HeldAttempt& attempt = held_.insert(task.number);
    attempt.seq = task.seq;
    attempt.ordinal = task.ordinal;
    attempt.attempts = task.attempts;
    attempt.since = now;
    attempt.received_at = now;
    attempt.age_us = task.age_us;
    if (task.left_us >= 0) attempt.deadline_at = now + std::chrono::microseconds(task.left_us);
    if (task.id) attempt.make_text().id = std::string(*task.id);
    attempt.payload = payloads_.keep(task.payload);
    queue_.push_back(task.number);
    ++untimed_;
    if (leaving_) return_queued(now);
}

// ---- cancels, confirmations ----------------------------------------------------------------------------------------

void WorkerCore::on_cancel(Instant now, AttemptNumber number, CancelReason reason) {
    if (number == 0) return;
    if (mutated(Mutant::cancel_forgotten) && !received_.contains(number)) return;
    if (received_.insert(number)) {
        ++counts_.received;
        if (reason == CancelReason::lost) {
            ++counts_.lost;
            return;
        }
        const bool expired = reason == CancelReason::deadline;
        report_early(now, number, expired ? ReportKind::expired : ReportKind::cancelled, expired ? kNeverBegan : "");
        return;
    }
    HeldAttempt* attempt = held_.find(number);
    if (attempt == nullptr) return;
    if (attempt->state == AttemptState::running || attempt->state == AttemptState::cancelling) {
        // A deadline does not soften a decision; one that was first called home for its deadline ends `expired`, though
        // its task was decided since; `lost` overrides both.
        const bool again = attempt->state == AttemptState::cancelling;
        const bool expiring = again && attempt->reason == CancelReason::deadline;
        const bool weaker = again && reason == CancelReason::deadline;
        if (!again) attempt->since = now;
        attempt->state = AttemptState::cancelling;
        if (expiring && reason == CancelReason::decided) {
            attempt->decided = true;
        } else if (!weaker) {
            attempt->reason = reason;
        }
        stop_slot(now, attempt->slot);
    } else if (attempt->state == AttemptState::queued && reason == CancelReason::lost) {
        ++counts_.lost;
        forget(number);
    } else if (attempt->state == AttemptState::queued && reason == CancelReason::deadline) {
        report(now, number, *attempt, ReportKind::expired, {}, kNeverBegan);
    } else if (attempt->state == AttemptState::queued) {
        report(now, number, *attempt, ReportKind::cancelled, {}, {});
    } else if (reason == CancelReason::decided) {
        drop_result(*attempt);
    }
    // Reported, and then said to be lost: the report may have won meanwhile, and stays until it is confirmed.
}

/// The end of an attempt whose task has not come: its number was just marked as received.
void WorkerCore::report_early(Instant now, AttemptNumber number, ReportKind kind, const char* why) {
    HeldAttempt& early = held_.insert(number);
    early.received_at = now;
    report(now, number, early, kind, {}, why);
}

/// What has begun stays: the answer behind the reports says so by not returning it.
void WorkerCore::on_recall(Instant now, const wire::Recall& recall) {
    if (count_numbers(recall.numbers) > 2ULL * std::max(config_.credit, config_.most_credit)) {
        ++counts_.malformed;  // more than can be in flight here
        return;
    }
    for (const Interval& range : recall.numbers) {
        for (AttemptNumber number = range.first; number <= range.last; ++number) {
            if (number == 0) continue;
            if (!received_.contains(number)) {
                if (mutated(Mutant::early_recall_ignored)) continue;
                received_.insert(number);
                ++counts_.received;
                report_early(now, number, ReportKind::returned);
                continue;
            }
            HeldAttempt* attempt = held_.find(number);
            if (attempt == nullptr) continue;
            const bool begun = attempt->state != AttemptState::queued;
            const bool mistaken = mutated(Mutant::returned_started) && attempt->state == AttemptState::running;
            if (!begun || mistaken) report(now, number, *attempt, ReportKind::returned, {}, {});
        }
    }
    recall_rounds_.push_back(recall.round);
}

/// Reported, and somebody else has won: the report stays, its result goes.
void WorkerCore::drop_result(HeldAttempt& attempt) {
    if (attempt.kind != ReportKind::ok) return;
    --counts_.reports[static_cast<std::size_t>(ReportKind::ok)];
    ++counts_.reports[static_cast<std::size_t>(ReportKind::late)];
    attempt.kind = ReportKind::late;
    kept_bytes_ -= attempt.payload.size();
    attempt.payload = {};
}

void WorkerCore::on_confirm(const Intervals& numbers) {
    for (const Interval& range : numbers) {
        if (range.last - range.first < held_.size()) {
            for (AttemptNumber n = range.first; n <= range.last; ++n) {
                if (const HeldAttempt* held = held_.find(n); held != nullptr && held->state == AttemptState::reported)
                    forget(n);
            }
        } else {
            for (const AttemptNumber n : held_.sorted_keys()) {
                const bool inside = range.first <= n && n <= range.last;
                if (inside && held_.find(n)->state == AttemptState::reported) forget(n);
            }
        }
    }
}

void WorkerCore::on_resend(const Intervals& numbers) {
    IntervalSet wanted;
    wanted.insert(numbers);
    IntervalCursor cursor(wanted);
    held_.for_each_in_order([&](AttemptNumber n, HeldAttempt& held) {
        if (cursor.contains(n)) send_again(n, held);
    });
}

void WorkerCore::on_collector(Incarnation collector) {
    if (collector <= collector_) return;
    collector_ = collector;
    held_.for_each_in_order([&](AttemptNumber n, HeldAttempt& held) { send_again(n, held); });
}

void WorkerCore::send_again(AttemptNumber number, HeldAttempt& attempt) {
    if (attempt.state != AttemptState::reported || std::exchange(attempt.unsent, true)) return;
    to_send_.push_back(number);
}

void WorkerCore::forget(AttemptNumber number) {
    const HeldAttempt& attempt = *held_.find(number);
    if (attempt.state == AttemptState::reported) kept_bytes_ -= attempt.payload.size();
    held_.erase(number);
}

// ---- out -----------------------------------------------------------------------------------------------------------

void WorkerCore::write_reports(std::vector<Frame>& frames) {
    const wire::Envelope envelope{wire::Kind::reports, broker_, session_, 0, 0};
    while (!to_send_.empty()) {
        const AttemptNumber number = to_send_.front();
        to_send_.pop_front();
        HeldAttempt* attempt = held_.find(number);
        if (attempt == nullptr || !std::exchange(attempt->unsent, false)) continue;
        wire::Report report;
        report.number = number;
        report.seq = attempt->seq;
        report.kind = attempt->kind;
        report.ordinal = attempt->ordinal;
        report.attempts = attempt->attempts;
        report.latency_us = attempt->latency_us();
        if (attempt->text != nullptr) {
            if (attempt->text->id) report.id = *attempt->text->id;
            report.error = attempt->text->error;
        }
        report.payload = attempt->payload;
        writer_.add(report);
        if (mutated(Mutant::report_not_kept)) forget(number);
        if (writer_.size() >= wire::kFrameBytes) frames.push_back(writer_.finish(envelope));
    }
    for (const std::uint64_t round : recall_rounds_) writer_.add(wire::Answered{session_, round});
    recall_rounds_.clear();
    // The token follows the reports that were made before it.
    if (token_round_) writer_.add(token_report());
    token_round_.reset();
    if (leaving_ && !bye_sent_ && !stopping()) {
        writer_.add(wire::Bye{session_});
        bye_sent_ = true;
    }
    if (!writer_.empty()) frames.push_back(writer_.finish(envelope));
}

wire::TokenReport WorkerCore::token_report() const {
    wire::TokenReport token;
    token.session = session_;
    token.round = *token_round_;
    token.received = received_.intervals();
    held_.for_each_in_order([&](AttemptNumber number, const HeldAttempt& held) {
        switch (held.state) {
            case AttemptState::queued: append_number(token.queued, number); break;
            case AttemptState::running: append_number(token.running, number); break;
            case AttemptState::cancelling: append_number(token.cancelling, number); break;
            case AttemptState::reported: append_number(token.reported, number); break;
        }
    });
    return token;
}

void WorkerCore::flush(Instant now, std::vector<Frame>& for_collector, std::vector<Frame>& for_broker) {
    if (session_ == 0) {
        if (leaving_) {
            bye_sent_ = true;
        } else if (now >= hello_at_) {
            say_hello(now, for_broker);
        }
        return;
    }
    show_life(now, for_broker);
    if (!results_blocked_) write_reports(for_collector);
}

void WorkerCore::say_hello(Instant now, std::vector<Frame>& for_broker) {
    hello_at_ = now + pause_;
    pause_ = std::min(2 * pause_, config_.heartbeat / 4);
    wire::Hello hello{config_.incarnation,
                      hello_,
                      config_.name,
                      config_.pool,
                      slot_count(),
                      credit_,
                      config_.pid,
                      config_.tasks_endpoint,
                      config_.control_endpoint};
    hello.knows_recall = 1;
    hello.lifeline = config_.lifeline;
    hello.patience_us =
        static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::microseconds>(patience()).count());
    writer_.add(hello);
    for_broker.push_back(writer_.finish({wire::Kind::life, broker_, 0, 0, 0}));
}

/// Each heartbeat, and at once when there are more or fewer slots that would start work.
void WorkerCore::show_life(Instant now, std::vector<Frame>& for_broker) {
    const std::uint32_t slots = usable_slots();
    if (now < heartbeat_at_ && slots == told_slots_) return;
    heartbeat_at_ = now + pause_;
    pause_ = std::min(2 * pause_, config_.heartbeat);
    told_slots_ = slots;
    writer_.add(wire::Heartbeat{slots, credit_, stood_});
    for_broker.push_back(writer_.finish({wire::Kind::life, broker_, session_, 0, 0}));
}

/// Slots that do work of this session, or would start it now: none while the worker leaves, or does not know whether
/// its session lives. Those whose work is still being stopped for an older session would not, and over its budget of
/// kept results a worker starts one piece of work at a time.
std::uint32_t WorkerCore::usable_slots() const {
    if (leaving_ || in_doubt_) return 0;
    if (handler_.immediate()) return slot_count();
    std::uint32_t usable = 0, mine = 0;
    for (const SlotState& slot : slots_) {
        const bool busy = slot.attempt.number != 0;
        if (slot.out_of_service || (busy && slot.attempt.session != session_)) continue;
        ++usable;
        mine += busy ? 1U : 0U;
    }
    return over_budget() ? std::min(usable, std::max(1U, mine)) : usable;
}

}  // namespace curfew

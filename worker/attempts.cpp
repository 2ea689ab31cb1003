#include "worker/attempts.h"

#include <algorithm>

namespace curfew {

// ---- moves -------------------------------------------------------------------------------------

void Attempts::arrive(Instant now, const wire::Task& task) {
    HeldAttempt& attempt = held_.insert(task.number);
    attempt.seq = task.seq;
    attempt.ordinal = task.ordinal;
    attempt.attempts = task.attempts;
    attempt.since = now;
    attempt.received_at = now;
    attempt.age_us = task.age_us;
    if (task.left_us >= 0) attempt.deadline_at = now + std::chrono::microseconds(task.left_us);
    if (task.id) attempt.make_text().id = std::string(*task.id);
    if (task.properties) attempt.make_text().properties = *task.properties;
    attempt.payload = payloads_.keep(task.payload);
    queue_.push_back(task.number);
    ++untimed_;
}

bool Attempts::receive(AttemptNumber number) {
    if (!received_.insert(number)) return false;
    ++counts_.received;
    return true;
}

void Attempts::start(Instant now, const Queued& queued, Slot slot) {
    HeldAttempt& attempt = *queued.attempt;
    attempt.state = AttemptState::running;
    attempt.since = now;
    attempt.slot = slot;
    if (queued.untimed) deadlines_.set(attempt.deadline_at, queued.number);
}

/// A deadline does not soften a decision; one that was first called home for its deadline ends
/// `expired`, though its task was decided since; `lost` overrides both.
void Attempts::call_home(Instant now, HeldAttempt& attempt, CancelReason reason) {
    const bool again = attempt.state == AttemptState::cancelling;
    const bool expiring = again && attempt.reason == CancelReason::deadline;
    const bool weaker = again && reason == CancelReason::deadline;
    if (!again) attempt.since = now;
    attempt.state = AttemptState::cancelling;
    if (expiring && reason == CancelReason::decided) {
        attempt.decided = true;
    } else if (!weaker) {
        attempt.reason = reason;
    }
}

std::size_t HeldText::details_bytes() const {
    return details ? details->message.size() + details->traces.errors.size() : 0;
}

/// Of what was called home nobody wants to know more.
void Attempts::end_details(Instant now, HeldAttempt& attempt, ReportKind kind, bool is_echo) {
    HeldDetails* details = attempt.details();
    if (details == nullptr) return;  // it had not begun
    const bool is_told = kind == ReportKind::ok || kind == ReportKind::failed || kind == ReportKind::rejected ||
                         kind == ReportKind::expired;
    if (!is_told) return attempt.text->details.reset();
    const auto ran = std::chrono::duration_cast<std::chrono::microseconds>(now - details->began_at);
    details->run_us = static_cast<std::uint64_t>(ran.count());
    details->is_echo = is_echo;
    if (kind == ReportKind::ok && !is_echo) details->message = std::move(attempt.payload);
}

void Attempts::report(Instant now, AttemptNumber number, HeldAttempt& attempt, ReportKind kind, Bytes&& result,
                      std::string&& error) {
    if (attempt.text != nullptr) end_details(now, attempt, kind, &result == &attempt.payload);
    attempt.state = AttemptState::reported;
    attempt.since = now;
    attempt.kind = kind;
    attempt.payload = std::move(result);
    wire::cut_error(error);
    if (!error.empty()) attempt.make_text().error = std::move(error);
    attempt.unsent = true;
    kept_bytes_ += attempt.kept_bytes();
    ++counts_.reports[static_cast<std::size_t>(kind)];
    to_send_.push_back(number);
}

void Attempts::report_early(Instant now, AttemptNumber number, ReportKind kind, const char* why) {
    HeldAttempt& early = held_.insert(number);
    early.received_at = now;
    report(now, number, early, kind, {}, why);
}

void Attempts::drop_result(HeldAttempt& attempt) {
    if (attempt.kind != ReportKind::ok) return;
    --counts_.reports[static_cast<std::size_t>(ReportKind::ok)];
    ++counts_.reports[static_cast<std::size_t>(ReportKind::late)];
    attempt.kind = ReportKind::late;
    kept_bytes_ -= attempt.kept_bytes();
    attempt.payload = {};
    if (attempt.text != nullptr) attempt.text->details.reset();
}

/// What it costs follows the shorter of the list and what is held: a list may claim any range.
void Attempts::confirm(const Intervals& numbers) {
    const auto forget_reported = [&](AttemptNumber number) {
        const HeldAttempt* held = held_.find(number);
        if (held != nullptr && held->state == AttemptState::reported) forget(number);
    };
    for (const Interval& range : numbers) {
        if (range.last - range.first < held_.size()) {
            for (AttemptNumber number = range.first; number <= range.last; ++number) forget_reported(number);
        } else {
            for (const AttemptNumber number : held_.sorted_keys()) {
                if (range.first <= number && number <= range.last) forget_reported(number);
            }
        }
    }
}

void Attempts::forget(AttemptNumber number) {
    const HeldAttempt& attempt = *held_.find(number);
    if (attempt.state == AttemptState::reported) kept_bytes_ -= attempt.kept_bytes();
    held_.erase(number);
}

std::size_t Attempts::clear() {
    const std::size_t held = held_.size();
    held_.clear();
    received_.clear();
    queue_.clear();
    to_send_.clear();
    deadlines_ = {};
    untimed_ = 0;
    kept_bytes_ = 0;
    return held;
}

// ---- timers, reports ---------------------------------------------------------------------------

void Attempts::sweep() {
    deadlines_.sweep([&](AttemptNumber number, Instant at) {
        const HeldAttempt* attempt = held_.find(number);
        return attempt != nullptr && attempt->deadline_at == at && attempt->state != AttemptState::reported;
    });
}

void Attempts::send_again(const Intervals& numbers) {
    IntervalSet wanted;
    wanted.insert(numbers);
    IntervalCursor cursor(wanted);
    held_.for_each_in_order([&](AttemptNumber number, HeldAttempt& held) {
        if (cursor.contains(number)) send_again(number, held);
    });
}

void Attempts::send_all_again() {
    held_.for_each_in_order([&](AttemptNumber number, HeldAttempt& held) { send_again(number, held); });
}

void Attempts::send_again(AttemptNumber number, HeldAttempt& attempt) {
    if (attempt.state != AttemptState::reported || std::exchange(attempt.unsent, true)) return;
    to_send_.push_back(number);
}

}  // namespace curfew

// The attempts that a worker holds in one session, and every move of each. Pure; decides nothing.
//
//     arrive -> queued --start--> running --call_home--> cancelling
//                  |                 |                        |
//                  +--------------report----------------------+--> reported --confirm--> forgotten
//
// A number may be spoken of before its task has come (a cancel, a recall): it is then marked as
// received and reported at once, and the task that comes later is a duplicate. Reports are kept
// until they are confirmed, and sent again on request. Memory: what the broker has in flight here,
// bounded by the credit, and the results that wait.
#pragma once

#include <algorithm>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "common/tables/byte_store.h"
#include "common/tables/dense_table.h"
#include "common/tables/interval_set.h"
#include "common/tables/timer_heap.h"
#include "common/wire/wire.h"
#include "common/words/vocabulary.h"
#include "worker/counts.h"
#include "worker/handlers/handler.h"

namespace curfew {

/// How its work went: of every attempt that began, where reports are to tell it.
struct HeldDetails {
    std::uint64_t began_us = 0;  ///< by the wall clock, since 1970
    Instant began_at{};
    std::uint64_t run_us = 0;  ///< once reported
    Traces traces;
    Bytes message;         ///< once reported `ok`, unless it is the result
    bool is_echo = false;  ///< the result is the message
};

/// What few attempts have.
struct HeldText {
    std::optional<std::string> id;
    std::string error;
    std::string properties;  ///< of the message; empty: none
    std::optional<HeldDetails> details;
    [[nodiscard]] std::size_t details_bytes() const;
};

/// An attempt that this worker holds.
struct HeldAttempt {
    Seq seq = 0;  ///< 0: cancelled before its task came
    std::uint32_t ordinal = 1;
    std::uint32_t attempts = 1;
    Slot slot = 0;  ///< while running or cancelling
    AttemptState state = AttemptState::queued;
    CancelReason reason = CancelReason::decided;  ///< while cancelling
    /// Called home for its deadline, and decided since.
    bool decided = false;
    ReportKind kind = ReportKind::ok;  ///< once reported
    bool unsent = false;               ///< reported, and waiting to be sent (again)
    Instant since{};                   ///< of the state
    Instant received_at{};
    Instant deadline_at = kNever;
    std::uint64_t age_us = 0;        ///< age of the task when it was sent
    Bytes payload;                   ///< the message; once reported, the result
    std::unique_ptr<HeldText> text;  ///< null: there is none

    /// Its work is in a slot.
    [[nodiscard]] bool is_at_work() const {
        return state == AttemptState::running || state == AttemptState::cancelling;
    }
    /// Age of the task when the attempt was reported.
    [[nodiscard]] std::uint64_t latency_us() const {
        return age_us + static_cast<std::uint64_t>(
                            std::chrono::duration_cast<std::chrono::microseconds>(since - received_at).count());
    }
    [[nodiscard]] HeldDetails* details() const { return text != nullptr && text->details ? &*text->details : nullptr; }
    /// Bytes of its report that wait for the confirmation.
    [[nodiscard]] std::size_t kept_bytes() const {
        return text == nullptr ? payload.size() : payload.size() + text->details_bytes();
    }
    [[nodiscard]] HeldText& make_text() {
        if (text == nullptr) text = std::make_unique<HeldText>();
        return *text;
    }
};

class Attempts {
public:
    /// What an attempt says that expired before its work had begun.
    static constexpr const char* kNeverBegan = "it had not begun";

    explicit Attempts(WorkerCounts& counts) : counts_(counts) {}

    /// One that waited for a slot, and is out of the queue.
    struct Queued {
        AttemptNumber number = 0;
        HeldAttempt* attempt = nullptr;
        bool untimed = false;  ///< it came in this turn, and has no timer yet
    };

    // ---- moves
    /// Somebody speaks of this number. False: not for the first time.
    bool receive(AttemptNumber number);
    /// Its task has come, of which nobody had spoken before.
    void arrive(Instant now, const wire::Task& task);
    void start(Instant now, const Queued& queued, Slot slot);
    /// Its work begins now, and its report is to tell how it went.
    static void begin_details(Instant now, HeldAttempt& attempt, std::uint64_t began_us) {
        HeldDetails& details = attempt.make_text().details.emplace();
        details.began_us = began_us;
        details.began_at = now;
    }
    void call_home(Instant now, HeldAttempt& attempt, CancelReason reason);
    /// `result` may be the message itself: the attempt's own payload.
    void report(Instant now, AttemptNumber number, HeldAttempt& attempt, ReportKind kind, Bytes&& result = {},
                std::string&& error = {});
    /// The end of one whose task has not come: receive() has just said so.
    void report_early(Instant now, AttemptNumber number, ReportKind kind, const char* why = "");
    /// Reported, and somebody else has won: the report stays, its result goes.
    void drop_result(HeldAttempt& attempt);
    /// The broker has these reports.
    void confirm(const Intervals& numbers);
    void forget(AttemptNumber number);
    /// The session is over. Returns how many there were.
    std::size_t clear();

    [[nodiscard]] HeldAttempt* find(AttemptNumber number) { return held_.find(number); }
    [[nodiscard]] Bytes keep(std::string&& result) { return payloads_.keep(std::move(result)); }

    // ---- what waits for a slot, oldest first
    /// The next that still waits, out of the queue; none: nothing does.
    [[nodiscard]] std::optional<Queued> pop_queued() {
        while (!queue_.empty()) {
            const AttemptNumber number = queue_.front();
            const bool untimed = untimed_ == queue_.size();
            queue_.pop_front();
            untimed_ = std::min(untimed_, queue_.size());
            HeldAttempt* attempt = held_.find(number);
            if (attempt != nullptr && attempt->state == AttemptState::queued) return Queued{number, attempt, untimed};
        }
        return std::nullopt;
    }
    [[nodiscard]] bool has_queued() const { return !queue_.empty(); }

    // ---- deadlines
    /// Calls due(number, attempt) for those past their deadline, whatever their state.
    template <typename Due>
    void fire(Instant now, Due&& due) {
        deadlines_.fire(now, [&](AttemptNumber number) { call_if_due(now, number, due); });
        sweep();
    }
    /// The same for those that came in this turn and still wait, which get their timers now: quick
    /// work, which is over by now, never needs one.
    template <typename Due>
    void set_timers(Instant now, Due&& due) {
        for (auto at = queue_.end() - static_cast<std::ptrdiff_t>(untimed_); at != queue_.end(); ++at) {
            const HeldAttempt* attempt = held_.find(*at);
            if (attempt == nullptr || attempt->state != AttemptState::queued) continue;
            deadlines_.set(attempt->deadline_at, *at);
            call_if_due(now, *at, due);
        }
        untimed_ = 0;
    }
    [[nodiscard]] Instant next_deadline() const { return deadlines_.next(); }

    // ---- reports to send
    void send_again(const Intervals& numbers);
    void send_all_again();
    [[nodiscard]] bool has_reports() const { return !to_send_.empty(); }
    /// Calls write(number, attempt) for each, once.
    template <typename Write>
    void write_reports(Write&& write) {
        while (!to_send_.empty()) {
            const AttemptNumber number = to_send_.front();
            to_send_.pop_front();
            HeldAttempt* attempt = held_.find(number);
            if (attempt != nullptr && std::exchange(attempt->unsent, false)) write(number, *attempt);
        }
    }

    // ---- looking
    [[nodiscard]] const DenseTable<HeldAttempt>& held() const { return held_; }
    [[nodiscard]] const IntervalSet& received() const { return received_; }
    /// Of results that wait for their confirmation.
    [[nodiscard]] std::size_t kept_bytes() const { return kept_bytes_; }

private:
    template <typename Due>
    void call_if_due(Instant now, AttemptNumber number, Due&& due) {
        HeldAttempt* attempt = held_.find(number);
        if (attempt != nullptr && attempt->deadline_at <= now) due(number, *attempt);
    }
    void sweep();
    void send_again(AttemptNumber number, HeldAttempt& attempt);
    static void end_details(Instant now, HeldAttempt& attempt, ReportKind kind, bool is_echo);

    WorkerCounts& counts_;
    ByteStore payloads_;
    IntervalSet received_;
    DenseTable<HeldAttempt> held_;
    // Those that were queued, in their order; some may have been called home
    std::deque<AttemptNumber> queue_;
    // The last of them, which came in this turn, have no timer yet
    std::size_t untimed_ = 0;
    std::deque<AttemptNumber> to_send_;  // those with a report to send
    TimerHeap deadlines_;                // of those that are older than a turn, or run
    std::size_t kept_bytes_ = 0;
};

}  // namespace curfew

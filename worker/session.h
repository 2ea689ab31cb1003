// The worker's core: the attempts it holds, from the task that arrives to the report that is confirmed. Pure but for
// the Handler it is given, which runs the work (in tests and in the simulation a fake).
//
// An attempt here:
//
//     task -> queued -> running -----------------------> reported --confirmed--> forgotten
//               |          |  \--cancel, deadline--> cancelling --it stopped--^
//               +--cancel, deadline, recall: never started --------------------^
//
// A cancel may come before its task: its number is then marked as received and reported cancelled; the task that comes
// later is a duplicate. A recall takes back what has not begun, early or queued; the worker alone says what that is,
// and answers behind the reports. Reports are kept until the broker confirms them, and sent again on request or to a
// new collector; a cancel that says `decided` takes the result out of them.
//
// A session ends when the broker says gone, when no ping came for two heartbeats, or when this loop itself stood still
// for as long: all work is stopped, what was to be said is dropped, and hello is said again. Slots whose work is still
// being stopped are not used before it has ended, whichever session started it.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/tables/byte_store.h"
#include "common/tables/dense_table.h"
#include "common/tables/interval_set.h"
#include "common/tables/timer_heap.h"
#include "common/wire/wire_reader.h"
#include "common/wire/wire_writer.h"
#include "common/words/vocabulary.h"
#include "worker/handler.h"

namespace curfew {

/// What few attempts have.
struct HeldText {
    std::optional<std::string> id;
    std::string error;
};

/// An attempt that this worker holds.
struct HeldAttempt {
    Seq seq = 0;  ///< 0: cancelled before its task came
    std::uint32_t ordinal = 1;
    std::uint32_t attempts = 1;
    Slot slot = 0;  ///< while running or cancelling
    AttemptState state = AttemptState::queued;
    CancelReason reason = CancelReason::decided;  ///< while cancelling
    bool decided = false;                         ///< called home for its deadline, and decided since
    ReportKind kind = ReportKind::ok;             ///< once reported
    bool unsent = false;                          ///< reported, and waiting to be sent (again)
    Instant since{};                              ///< of the state
    Instant received_at{};
    Instant deadline_at = kNever;
    std::uint64_t age_us = 0;        ///< age of the task when it was sent
    Bytes payload;                   ///< the message; once reported, the result
    std::unique_ptr<HeldText> text;  ///< null: there is none

    /// Age of the task when the attempt was reported.
    [[nodiscard]] std::uint64_t latency_us() const {
        return age_us + static_cast<std::uint64_t>(
                            std::chrono::duration_cast<std::chrono::microseconds>(since - received_at).count());
    }
    [[nodiscard]] HeldText& make_text() {
        if (text == nullptr) text = std::make_unique<HeldText>();
        return *text;
    }
};

/// Where a slot is. `stopping` outlives its session.
struct SlotState {
    AttemptId attempt;  ///< number 0: free
    bool stopping = false;
    bool out_of_service = false;  ///< did not stop within grace, and cannot be killed
    Instant started_at{};
    Instant stop_at{};  ///< when it was asked to stop
    Instant deadline_at = kNever;
};

class WorkerCore {
public:
    struct Config {
        Incarnation incarnation = 1;
        std::string name = "worker";
        std::string pool = "default";
        Slot slots = 1;
        std::uint32_t credit = 2;       ///< most attempts to hold; to begin with, if it may adapt
        std::uint32_t most_credit = 0;  ///< how far it may adapt; 0: it does not
        std::uint32_t pid = 0;
        std::uint64_t lifeline = 0;  ///< Daemon::lifeline_number()
        std::string tasks_endpoint;
        std::string control_endpoint;
        Duration heartbeat = std::chrono::seconds(1);
        Duration grace = std::chrono::seconds(1);
        std::size_t kept_bytes =
            64U << 20;  ///< results that wait for confirmation; above it one piece of work is started at a time
    };
    struct Counts {
        std::uint64_t received = 0;  ///< attempts, early cancels included
        std::uint64_t duplicates = 0;
        std::array<std::uint64_t, kReportKinds + 1> reports{};  ///< ends, by ReportKind
        std::uint64_t lost = 0;                                 ///< dropped on a cancel that said lost
        std::uint64_t abandoned = 0;                            ///< held when a session ended
        std::uint64_t refused = 0;
        std::uint64_t malformed = 0;
        std::uint64_t sessions = 0;
    };

    /// The handler must outlive the core, and so must `running`: memory in which the core notes what is in each slot,
    /// for who comes after a crash; may be empty. Work that is over at once is noted in the first.
    WorkerCore(const Config& config, Handler& handler, std::span<AttemptId> running = {});

    // ---- in
    /// The loop stood still for longer than a lease (common/process/clock.h), and the broker may have given the session
    /// up: until it says otherwise nothing is started, what runs goes on, and what is to be reported is kept. First
    /// thing in a turn, before anything is read.
    void stood_still(Instant now);
    void receive_tasks(Instant now, std::string_view frame);
    void receive_control(Instant now, std::string_view frame);
    /// Takes the ends of work, fires timers, starts what is queued. After everything was read.
    void turn(Instant now);
    /// Leave: nothing new is started, running work is stopped, reports and a bye are sent.
    void leave(Instant now);
    void set_results_blocked(bool blocked) { results_blocked_ = blocked; }

    // ---- out
    /// Something has come to its end, or been stopped by a cancel: turn() and flush() report it.
    [[nodiscard]] bool has_ends() const { return !to_send_.empty() || handler_.next_deadline() == Instant::min(); }
    void flush(Instant now, std::vector<Frame>& for_collector, std::vector<Frame>& for_broker);
    [[nodiscard]] Instant next_deadline() const;
    /// After leave(): all work that can be stopped has stopped, and nothing that was reported waits for its
    /// confirmation.
    [[nodiscard]] bool left() const { return leaving_ && bye_sent_ && !stopping() && held_.empty(); }
    /// Work that cannot be killed ignores its stop: no slot is left in service, or one is past its deadline and grace.
    /// The process is to leave and to be replaced.
    [[nodiscard]] bool worn_out() const { return worn_out_; }

    // ---- looking
    [[nodiscard]] Session session() const { return session_; }
    [[nodiscard]] Epoch epoch() const { return epoch_; }
    [[nodiscard]] Incarnation broker() const { return broker_; }
    [[nodiscard]] const DenseTable<HeldAttempt>& held() const { return held_; }
    [[nodiscard]] const std::vector<SlotState>& slots() const { return slots_; }
    /// It stood still, and does not know yet whether its session lives.
    [[nodiscard]] bool in_doubt() const { return in_doubt_; }
    [[nodiscard]] std::size_t busy_slots() const { return slots_.size() - free_slots_.size(); }
    [[nodiscard]] const Counts& counts() const { return counts_; }
    [[nodiscard]] const Config& config() const { return config_; }
    [[nodiscard]] std::size_t kept_bytes() const { return kept_bytes_; }
    [[nodiscard]] std::uint32_t credit() const { return credit_; }

private:
    /// What an attempt says that expired before its work had begun.
    static constexpr const char* kNeverBegan = "it had not begun";

    void on_record(Instant now, const wire::Task& task);
    void take_shared(Instant now, const wire::SharedTasks& shared);
    void on_cancel(Instant now, AttemptNumber number, CancelReason reason);
    void on_recall(Instant now, const wire::Recall& recall);
    void report_early(Instant now, AttemptNumber number, ReportKind kind, const char* why = "");
    void on_confirm(const Intervals& numbers);
    void on_resend(const Intervals& numbers);
    void on_collector(Incarnation collector);
    void on_welcome(Instant now, const wire::Envelope& envelope, const wire::Welcome& welcome);
    void end_session(Instant now);
    void start_queued(Instant now);
    void stop_slot(Instant now, Slot slot);
    void note(Slot slot, AttemptId id);
    void take_ends(Instant now);
    void on_end(Instant now, WorkEnd& end);
    void finish(Instant now, AttemptNumber number, HeldAttempt& attempt, WorkEnd& end);
    void report(Instant now, AttemptNumber number, HeldAttempt& attempt, ReportKind kind, Bytes&& result,
                std::string&& error);
    void forget(AttemptNumber number);
    void drop_result(HeldAttempt& attempt);
    void send_again(AttemptNumber number, HeldAttempt& attempt);
    void on_deadline(Instant now, AttemptNumber number);
    void check_slots(Instant now);
    void adapt_credit(Instant now);
    void return_queued(Instant now);
    [[nodiscard]] std::uint32_t usable_slots() const;
    [[nodiscard]] std::uint32_t slot_count() const { return static_cast<std::uint32_t>(slots_.size()); }
    [[nodiscard]] bool over_budget() const { return kept_bytes_ >= config_.kept_bytes; }
    void say_hello(Instant now, std::vector<Frame>& for_broker);
    void show_life(Instant now, std::vector<Frame>& for_broker);
    AttemptNumber pop_queued();
    void set_timers(Instant now);
    void end_stuck(Instant now, const SlotState& slot, const char* why);
    void end_stopped(Instant now, AttemptNumber number, HeldAttempt& attempt, std::string error);
    [[nodiscard]] Duration patience() const;
    [[nodiscard]] bool stopping() const;
    void write_reports(std::vector<Frame>& frames);
    [[nodiscard]] wire::TokenReport token_report() const;

    Config config_;
    Handler& handler_;
    std::span<AttemptId> running_;
    Counts counts_;
    wire::Reader reader_;
    wire::Writer writer_;

    Incarnation broker_ = 0;
    Incarnation collector_ = 0;
    Session session_ = 0;
    Epoch epoch_ = 0;
    std::uint64_t hello_ = 1;
    Instant hello_at_{};
    Instant heartbeat_at_{};
    Duration pause_;                // before the next hello or heartbeat: short at first, the first may be lost
    std::uint32_t told_slots_ = 0;  // in the last heartbeat
    Instant heard_at_{};
    std::uint64_t stood_ = 0;  // how often, in this life
    bool in_doubt_ = false;    // it stood still, and does not know yet whether its session lives

    ByteStore payloads_;
    IntervalSet received_;
    DenseTable<HeldAttempt> held_;
    std::deque<AttemptNumber> queue_;    // those that were queued, in their order; some may have been called home
    std::size_t untimed_ = 0;            // the last of them, which came in this turn, have no timer yet
    std::deque<AttemptNumber> to_send_;  // those with a report to send
    TimerHeap deadlines_;                // of those that are older than a turn, or run
    std::size_t kept_bytes_ = 0;
    std::optional<std::uint64_t> token_round_;
    std::vector<std::uint64_t> recall_rounds_;  // to be answered

    std::vector<SlotState> slots_;
    std::vector<Slot> free_slots_;
    std::vector<WorkEnd> ends_;
    std::uint32_t credit_;
    Instant adapt_at_{};
    Duration worked_{};           // in slots, since the credit was looked at
    std::int64_t work_ends_ = 0;  // and how often work ended
    bool results_blocked_ = false;
    bool ending_ = false;  // the broker has said so: nothing but what was called home is left
    bool leaving_ = false;
    bool worn_out_ = false;
    bool bye_sent_ = false;
};

}  // namespace curfew

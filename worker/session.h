// The worker's core: from the task that arrives to the report that is confirmed. Pure but for the
// Handler it is given, which runs the work (in tests and in the simulation a fake). It joins
// objects that own their state:
//
//     Attempts    what is held, every move of it         worker/attempts.h
//     Slots       where work runs and stops              worker/slots.h
//     Lease       the session, and how long it is sure   worker/lease.h
//     Credit      how much the broker may send ahead     worker/credit.h
//     OwedRounds  what is to be answered behind reports  worker/owed_rounds.h
//     WorkTimes   when work was done, for who looks      worker/work_times.h
//
// A cancel may come before its task. A recall takes back what has not begun, early or queued; the
// worker alone says what that is, and answers behind the reports. A cancel that says `decided`
// takes the result out of a report that is kept.
//
// When a session ends all work is stopped, what was to be said is dropped, and hello is said again.
// A worker that leaves takes nothing more, and says bye when its work has stopped:
//
//     stays --leave()--> leaves --behind the last reports, or without a session--> has_said_bye
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/wire/wire_reader.h"
#include "common/wire/wire_writer.h"
#include "common/words/vocabulary.h"
#include "worker/attempts.h"
#include "worker/counts.h"
#include "worker/credit.h"
#include "worker/handlers/handler.h"
#include "worker/lease.h"
#include "worker/owed_rounds.h"
#include "worker/slots.h"
#include "worker/work_times.h"

namespace curfew {

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
        std::uint32_t together = 1;  ///< most attempts of one task at a time
        std::string tasks_endpoint;
        std::string control_endpoint;
        Duration heartbeat = std::chrono::seconds(1);
        Duration grace = std::chrono::seconds(1);
        std::size_t kept_bytes =
            /// Results that wait for confirmation; above it one piece of work is started at a time.
            64U << 20;
        /// What the wall clock shows at an instant, in microseconds since 1970; null: reports do
        /// not tell how the work went.
        std::uint64_t (*wall_us)(Instant) = nullptr;
    };
    using Counts = WorkerCounts;

    /// The handler must outlive the core, and so must `running`: memory in which the core notes
    /// what is in each slot, for who comes after a crash; may be empty. Work that is over at once
    /// is noted in the first.
    WorkerCore(const Config& config, Handler& handler, std::span<AttemptId> running = {});
    WorkerCore(const WorkerCore&) = delete;
    WorkerCore& operator=(const WorkerCore&) = delete;

    // ---- in
    /// The loop stood still for longer than a lease (common/process/clock.h), and the broker may
    /// have given the session up: until it says otherwise nothing is started, what runs goes on,
    /// and what is to be reported is kept. First thing in a turn, before anything is read.
    void stood_still(Instant now) { lease_.stood_still(now); }
    /// Somebody saw it, sooner than the lease would have told: the session is over.
    void broker_died(Instant now);
    void receive_tasks(Instant now, std::string_view frame);
    void receive_control(Instant now, std::string_view frame);
    /// Takes the ends of work, fires timers, starts what is queued. After everything was read.
    void turn(Instant now);
    /// Leave: nothing new is started, running work is stopped, reports and a bye are sent.
    void leave(Instant now);
    void set_results_blocked(bool blocked) { results_blocked_ = blocked; }

    // ---- out
    /// Something has come to its end, or been stopped by a cancel: turn() and flush() report it.
    [[nodiscard]] bool has_ends() const {
        return attempts_.has_reports() || handler_.next_deadline() == Instant::min();
    }
    /// flush() has something for the collector, unless results are blocked.
    [[nodiscard]] bool has_news() const { return attempts_.has_reports() || !owed_.none() || bye_is_due(); }
    void flush(Instant now, std::vector<Frame>& for_collector, std::vector<Frame>& for_broker);
    [[nodiscard]] Instant next_deadline() const;
    /// After leave(): all work that can be stopped has stopped, and nothing that was reported waits
    /// for its confirmation.
    [[nodiscard]] bool left() const { return stay_ == Stay::has_said_bye && !slots_.stopping() && held().empty(); }
    /// Work that cannot be killed ignores its stop: no slot is left in service, or one is past its
    /// deadline and grace. The process is to leave and to be replaced.
    [[nodiscard]] bool worn_out() const { return worn_out_; }

    // ---- looking
    [[nodiscard]] Session session() const { return lease_.session(); }
    [[nodiscard]] Epoch epoch() const { return lease_.epoch(); }
    [[nodiscard]] Incarnation broker() const { return lease_.broker(); }
    [[nodiscard]] const DenseTable<HeldAttempt>& held() const { return attempts_.held(); }
    [[nodiscard]] const std::vector<SlotState>& slots() const { return slots_.all(); }
    /// It stood still, and does not know yet whether its session lives.
    [[nodiscard]] bool in_doubt() const { return lease_.in_doubt(); }
    [[nodiscard]] std::size_t busy_slots() const { return slots_.busy(); }
    [[nodiscard]] const Counts& counts() const { return counts_; }
    [[nodiscard]] const Config& config() const { return config_; }
    [[nodiscard]] std::size_t kept_bytes() const { return attempts_.kept_bytes(); }
    [[nodiscard]] std::uint32_t credit() const { return credit_.now(); }
    [[nodiscard]] const WorkTimes& work_times() const { return work_times_; }

private:
    enum class Stay : std::uint8_t { stays, leaves, has_said_bye };
    [[nodiscard]] bool leaving() const { return stay_ != Stay::stays; }
    [[nodiscard]] bool bye_is_due() const { return stay_ == Stay::leaves && !slots_.stopping(); }

    // What comes (session.cpp).
    void on_task(Instant now, const wire::Task& task);
    void on_tasks(Instant now, bool shared, const wire::Task& task);
    void on_tasks(Instant now, bool shared, const wire::SharedTasks& tasks);
    void on_tasks(Instant now, bool shared, const wire::Token& token);
    void on_control(Instant now, const wire::Ping& ping);
    void on_control(Instant now, const wire::Cancel& cancel);
    void on_control(Instant now, const wire::Recall& recall);
    void on_control(Instant now, const wire::Confirm& confirm);
    void on_control(Instant now, const wire::Resend& resend);
    void on_control(Instant now, const wire::Gone& gone);
    void on_welcome(Instant now, const wire::Envelope& envelope, const wire::Welcome& welcome);
    void cancel(Instant now, AttemptNumber number, CancelReason reason);
    void cancel_early(Instant now, AttemptNumber number, CancelReason reason);
    void hand_back(Instant now, AttemptNumber number);
    [[nodiscard]] bool may_be_in_flight(const Intervals& numbers);
    void end_session(Instant now);

    // What goes (session.cpp).
    void write_reports(std::vector<Frame>& frames);
    [[nodiscard]] wire::TokenReport token_report(std::uint64_t round) const;
    void say_hello(std::vector<Frame>& for_broker);
    void show_life(Instant now, std::vector<Frame>& for_broker);

    // Work (session_work.cpp).
    void start_queued(Instant now);
    void run_at_once(Instant now, const Attempts::Queued& queued, const Work& work);
    void take_ends(Instant now);
    void on_end(Instant now, WorkEnd& end);
    void finish(Instant now, AttemptNumber number, HeldAttempt& attempt, WorkEnd& end);
    void end_stopped(Instant now, AttemptNumber number, HeldAttempt& attempt, std::string error);
    void end_stuck(Instant now, const SlotState& slot, const char* why);
    void on_deadline(Instant now, AttemptNumber number, HeldAttempt& attempt);
    void check_slots(Instant now);
    void return_queued(Instant now);
    [[nodiscard]] std::uint32_t usable_slots(Instant now) const;
    [[nodiscard]] bool over_budget() const { return attempts_.kept_bytes() >= config_.kept_bytes; }
    [[nodiscard]] Duration patience() const;

    Config config_;
    Handler& handler_;
    Counts counts_;
    wire::Reader reader_;
    wire::Writer writer_;
    Lease lease_;
    Attempts attempts_;
    Slots slots_;
    Credit credit_;
    std::vector<WorkEnd> ends_;
    OwedRounds owed_;
    WorkTimes work_times_;
    Stay stay_ = Stay::stays;
    bool results_blocked_ = false;
    bool ending_ = false;  // the broker has said so: nothing but what was called home is left
    bool worn_out_ = false;
};

}  // namespace curfew

// The worker's core, at its sockets: what comes, and what goes. See session.h.
#include "worker/session.h"

#include <algorithm>
#include <utility>

#include "common/words/mutant.h"

namespace curfew {
WorkerCore::WorkerCore(const Config& config, Handler& handler, std::span<AttemptId> running)
    : config_(config),
      handler_(handler),
      lease_(config.incarnation, config.heartbeat),
      attempts_(counts_),
      slots_(config.slots, handler, running),
      credit_(config.credit, config.most_credit, slots_.count()) {}

// ---- sessions ----------------------------------------------------------------------------------

void WorkerCore::on_welcome(Instant now, const wire::Envelope& envelope, const wire::Welcome& welcome) {
    if (!leaving() && lease_.welcome(now, envelope, welcome)) ++counts_.sessions;
}

void WorkerCore::end_session(Instant now) {
    slots_.stop_all(now);
    slots_.disown_all();
    counts_.abandoned += attempts_.clear();
    owed_.forget();
    ending_ = false;
    lease_.end(now);
}

void WorkerCore::broker_died(Instant now) {
    if (session() != 0 && !leaving()) end_session(now);
}

void WorkerCore::leave(Instant now) {
    if (leaving()) return;
    stay_ = Stay::leaves;
    slots_.stop_all(now);
    return_queued(now);  // the broker places it elsewhere
}

// ---- tasks -------------------------------------------------------------------------------------

void WorkerCore::receive_tasks(Instant now, std::string_view frame) {
    wire::Envelope envelope;
    if (reader_.open(frame, envelope, {wire::Kind::tasks}) != wire::Error::none) {
        ++counts_.malformed;
        return;
    }
    // Shared ones name their sessions themselves.
    const bool shared = envelope.peer == 0;
    const bool mine = shared || envelope.peer == session() || mutated(Mutant::old_session_accepted);
    if (session() == 0 || !mine || envelope.broker != broker()) {
        ++counts_.refused;
        return;
    }
    const auto visit = [&](const auto& record) { on_tasks(now, shared, record); };
    if (reader_.each<wire::road::Tasks>(visit) != wire::Error::none) ++counts_.malformed;
    counts_.malformed += reader_.strayed();
}

void WorkerCore::on_tasks(Instant now, bool shared, const wire::Task& task) {
    if (shared) {
        ++counts_.malformed;
    } else {
        on_task(now, task);
    }
}

void WorkerCore::on_tasks(Instant, bool shared, const wire::Token& token) {
    if (shared) {
        ++counts_.malformed;
    } else {
        owed_.token(token.round);
    }
}

void WorkerCore::on_tasks(Instant now, bool, const wire::SharedTasks& tasks) {
    const bool any = mutated(Mutant::old_session_accepted) && !tasks.to.empty();
    wire::SharedReader reader(tasks, any ? tasks.to.back().session : session());
    if (!reader.addressed()) ++counts_.refused;
    while (reader.addressed()) {
        const wire::Task* task = reader.next();
        if (task == nullptr) break;
        on_task(now, *task);
    }
    if (!reader.good()) ++counts_.malformed;
}

void WorkerCore::on_task(Instant now, const wire::Task& task) {
    if (task.number == 0 || !attempts_.receive(task.number)) {
        ++counts_.duplicates;
        return;
    }
    if (stay_ == Stay::has_said_bye) return;
    attempts_.arrive(now, task);
    if (leaving()) return_queued(now);
}

// ---- control -----------------------------------------------------------------------------------

void WorkerCore::receive_control(Instant now, std::string_view frame) {
    wire::Envelope envelope;
    if (reader_.open(frame, envelope, {wire::Kind::control}) != wire::Error::none) {
        ++counts_.malformed;
        return;
    }
    const auto visit = [&](const auto& record) {
        if constexpr (std::is_same_v<std::decay_t<decltype(record)>, wire::Welcome>) {
            on_welcome(now, envelope, record);
        } else if (lease_.is_of(envelope)) {
            on_control(now, record);
        } else {
            ++counts_.refused;
        }
    };
    if (reader_.each<wire::road::Control>(visit) != wire::Error::none) ++counts_.malformed;
    counts_.malformed += reader_.strayed();
}

void WorkerCore::on_control(Instant now, const wire::Ping& ping) {
    if (!lease_.ping(now, ping)) return;
    ending_ = ping.ending != 0;
    if (lease_.meet_collector(ping.collector)) attempts_.send_all_again();
}

/// A list may claim any range.
bool WorkerCore::may_be_in_flight(const Intervals& numbers) {
    if (count_numbers(numbers) <= 2ULL * std::max(config_.credit, config_.most_credit)) return true;
    ++counts_.malformed;
    return false;
}

void WorkerCore::on_control(Instant now, const wire::Cancel& cancelled) {
    if (!may_be_in_flight(cancelled.numbers)) return;
    for (const Interval& range : cancelled.numbers) {
        for (AttemptNumber n = range.first; n <= range.last; ++n) cancel(now, n, cancelled.reason);
    }
}

void WorkerCore::cancel(Instant now, AttemptNumber number, CancelReason reason) {
    if (number == 0) return;
    if (mutated(Mutant::cancel_forgotten) && !attempts_.received().contains(number)) return;
    if (attempts_.receive(number)) return cancel_early(now, number, reason);
    HeldAttempt* attempt = attempts_.find(number);
    if (attempt == nullptr) return;
    if (attempt->is_at_work()) {
        attempts_.call_home(now, *attempt, reason);
        slots_.stop(now, attempt->slot);
    } else if (attempt->state == AttemptState::queued && reason == CancelReason::lost) {
        ++counts_.lost;
        attempts_.forget(number);
    } else if (attempt->state == AttemptState::queued && reason == CancelReason::deadline) {
        attempts_.report(now, number, *attempt, ReportKind::expired, {}, Attempts::kNeverBegan);
    } else if (attempt->state == AttemptState::queued) {
        attempts_.report(now, number, *attempt, ReportKind::cancelled);
    } else if (reason == CancelReason::decided) {
        attempts_.drop_result(*attempt);
    }
    // Reported, and then said to be lost: the report may have won meanwhile, and stays until it is
    // confirmed.
}

/// Before its task has come.
void WorkerCore::cancel_early(Instant now, AttemptNumber number, CancelReason reason) {
    switch (reason) {
        case CancelReason::lost: ++counts_.lost; break;
        case CancelReason::deadline:
            attempts_.report_early(now, number, ReportKind::expired, Attempts::kNeverBegan);
            break;
        case CancelReason::decided: attempts_.report_early(now, number, ReportKind::cancelled); break;
    }
}

/// What has begun stays: the answer behind the reports says so by not returning it.
void WorkerCore::on_control(Instant now, const wire::Recall& recall) {
    if (!may_be_in_flight(recall.numbers)) return;
    for (const Interval& range : recall.numbers) {
        for (AttemptNumber number = range.first; number <= range.last; ++number) {
            if (number != 0) hand_back(now, number);
        }
    }
    owed_.recall(recall.round);
}

void WorkerCore::hand_back(Instant now, AttemptNumber number) {
    if (mutated(Mutant::early_recall_ignored) && !attempts_.received().contains(number)) return;
    if (attempts_.receive(number)) return attempts_.report_early(now, number, ReportKind::returned);
    HeldAttempt* attempt = attempts_.find(number);
    if (attempt == nullptr) return;
    const bool mistaken = mutated(Mutant::returned_started) && attempt->state == AttemptState::running;
    if (attempt->state == AttemptState::queued || mistaken)
        attempts_.report(now, number, *attempt, ReportKind::returned);
}

void WorkerCore::on_control(Instant, const wire::Confirm& confirm) {
    attempts_.confirm(confirm.numbers);
}

void WorkerCore::on_control(Instant, const wire::Resend& resend) {
    attempts_.send_again(resend.numbers);
}

void WorkerCore::on_control(Instant now, const wire::Gone&) {
    end_session(now);
}

// ---- out ---------------------------------------------------------------------------------------

void WorkerCore::flush(Instant now, std::vector<Frame>& for_collector, std::vector<Frame>& for_broker) {
    if (session() == 0) {
        if (leaving()) {
            stay_ = Stay::has_said_bye;
        } else if (lease_.take_hello(now)) {
            say_hello(for_broker);
        }
        return;
    }
    show_life(now, for_broker);
    if (!results_blocked_) write_reports(for_collector);
}

namespace {

wire::WorkDetails told(const HeldAttempt& attempt, const HeldDetails& details) {
    const Traces& traces = details.traces;
    const bool has_message = attempt.kind == ReportKind::ok;
    return {.began_us = details.began_us,
            .run_us = details.run_us,
            .exited = traces.exit_code ? static_cast<std::uint32_t>(*traces.exit_code) + 1 : 0,
            .signal = static_cast<std::uint32_t>(traces.signal),
            .stderr_bytes = traces.stderr_bytes,
            .errors = traces.errors,
            .message = !has_message      ? std::string_view()
                       : details.is_echo ? attempt.payload.view()
                                         : details.message.view()};
}

/// What few attempts have.
void add_text(wire::Report& report, const HeldAttempt& attempt) {
    const HeldText& text = *attempt.text;
    if (text.id) report.id = *text.id;
    report.error = text.error;
    if (!text.properties.empty()) report.properties = text.properties;
    if (text.details) report.details = told(attempt, *text.details);
}

}  // namespace

void WorkerCore::write_reports(std::vector<Frame>& frames) {
    const wire::Envelope envelope{wire::Kind::reports, broker(), session(), 0, 0};
    wire::Report report;  // used again: a new one each time is filled with zeros
    attempts_.write_reports([&](AttemptNumber number, const HeldAttempt& attempt) {
        report.number = number;
        report.seq = attempt.seq;
        report.kind = attempt.kind;
        report.ordinal = attempt.ordinal;
        report.attempts = attempt.attempts;
        report.latency_us = attempt.latency_us();
        if (attempt.text != nullptr) add_text(report, attempt);
        report.payload = attempt.payload;
        writer_.add(report);
        if (attempt.text != nullptr) report = {};
        if (mutated(Mutant::report_not_kept)) attempts_.forget(number);
        if (writer_.size() >= wire::kFrameBytes) frames.push_back(writer_.finish(envelope));
    });
    owed_.answer(
        [&](std::uint64_t round) {
            writer_.add(wire::Answered{session(), round});
        },
        [&](std::uint64_t round) { writer_.add(token_report(round)); });
    if (bye_is_due()) {
        writer_.add(wire::Bye{session()});
        stay_ = Stay::has_said_bye;
    }
    if (!writer_.empty()) frames.push_back(writer_.finish(envelope));
}

wire::TokenReport WorkerCore::token_report(std::uint64_t round) const {
    wire::TokenReport token;
    token.session = session();
    token.round = round;
    token.received = attempts_.received().intervals();
    held().for_each_in_order([&](AttemptNumber number, const HeldAttempt& held) {
        switch (held.state) {
            case AttemptState::queued: append_number(token.queued, number); break;
            case AttemptState::running: append_number(token.running, number); break;
            case AttemptState::cancelling: append_number(token.cancelling, number); break;
            case AttemptState::reported: append_number(token.reported, number); break;
        }
    });
    return token;
}

void WorkerCore::say_hello(std::vector<Frame>& for_broker) {
    wire::Hello hello{config_.incarnation, lease_.hello(),         config_.name,
                      config_.pool,        slots_.count(),         credit(),
                      config_.pid,         config_.tasks_endpoint, config_.control_endpoint};
    hello.knows_recall = 1;
    hello.lifeline = config_.lifeline;
    hello.together = config_.together;
    hello.patience_us =
        static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::microseconds>(patience()).count());
    writer_.add(hello);
    for_broker.push_back(writer_.finish({wire::Kind::life, broker(), 0, 0, 0}));
}

void WorkerCore::show_life(Instant now, std::vector<Frame>& for_broker) {
    const std::uint32_t slots = usable_slots(now);
    if (!lease_.take_heartbeat(now, slots)) return;
    // Behind a probe nothing is to wait: who knows how it ends?
    const bool holds_back = handler_.open_slots(now) < slots_.count();
    const std::uint32_t credit = holds_back ? std::clamp(slots, 1U, this->credit()) : this->credit();
    writer_.add(wire::Heartbeat{slots, credit, lease_.stood()});
    for_broker.push_back(writer_.finish({wire::Kind::life, broker(), session(), 0, 0}));
}

}  // namespace curfew

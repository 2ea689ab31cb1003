// How the judge judges. See judge.h for the life of a task, docs/protocol.md for the records.
#include "collector/judge.h"

#include <algorithm>
#include <utility>

#include "common/words/limits.h"
#include "common/words/mutant.h"

namespace curfew {
namespace {

using wire::Kind;

std::size_t intervals_in(const wire::TokenReport& token) {
    return token.received.size() + token.queued.size() + token.running.size() + token.cancelling.size() +
           token.reported.size();
}

End end_of(ReportKind kind) {
    switch (kind) {
        case ReportKind::ok: return End::won;
        case ReportKind::late: return End::late;
        case ReportKind::failed:
        case ReportKind::rejected: return End::failed;
        case ReportKind::cancelled:
        case ReportKind::returned: return End::cancelled;
        case ReportKind::expired: return End::expired;
    }
    return End::failed;
}

/// A broker has no reason to give up more attempts of one worker at once.
constexpr std::uint64_t kMostLost = 1'000'000;

std::size_t index(End end) {
    return static_cast<std::size_t>(end);
}
std::size_t index(Outcome outcome) {
    return static_cast<std::size_t>(outcome);
}

constexpr std::uint32_t kLastExitCode = 255, kLastSignal = 127;

/// As its worker tells it.
std::unique_ptr<ToldWork> told_work(const wire::Report& report, const std::string& worker) {
    const wire::WorkDetails& details = *report.details;
    auto work = std::make_unique<ToldWork>();
    work->worker = worker;
    work->attempt = report.ordinal;
    work->began_us = details.began_us;
    work->run_us = details.run_us;
    // What a system can say; a peer may say any number
    if (details.exited - 1 <= kLastExitCode) work->exit_code = static_cast<int>(details.exited - 1);
    if (details.signal - 1 < kLastSignal) work->signal = static_cast<int>(details.signal);
    work->errors = details.errors.substr(details.errors.size() - std::min(details.errors.size(), limits::kStderrBytes));
    work->stderr_bytes = std::max<std::uint64_t>(details.stderr_bytes, details.errors.size());
    return work;
}

std::optional<std::string> owned(const std::optional<std::string_view>& id) {
    return id ? std::optional<std::string>(*id) : std::nullopt;
}

}  // namespace

void Judge::receive(Instant now, std::string_view frame) {
    wire::Envelope envelope;
    if (reader_.open(frame, envelope, {Kind::reports, Kind::to_collector}) != wire::Error::none) {
        ++counts_.malformed;
    } else if (envelope.kind == Kind::reports) {
        receive_from_worker(now, envelope);
    } else {
        receive_from_broker(now, envelope);
    }
}

// ---- from workers ------------------------------------------------------------------------------

/// A frame of a worker, while it is read.
struct Judge::Batch {
    Instant now;
    Session id;
    SessionBook& session;
    std::size_t records;                         // where they begin in the frame
    std::size_t begin = records, end = records;  // of the record in hand
    std::size_t reports = 0;
    bool overfull = false;
};

void Judge::receive_from_worker(Instant now, const wire::Envelope& envelope) {
    SessionBook* known = sessions_.find(envelope.peer);
    if (!link_.is_synced() || envelope.broker != link_.broker() || known == nullptr) {
        ++counts_.refused;
        return;
    }
    Batch batch{.now = now,
                .id = envelope.peer,
                .session = *known,
                .records = mutated(Mutant::envelope_counted) ? 0 : reader_.position()};
    const wire::Error error = reader_.each<wire::road::Reports>([&](auto& record) { on_work(batch, record); });
    counts_.malformed += reader_.strayed();
    if (error != wire::Error::none) complain(now, batch.id, batch.session, describe(reader_.bad_place()));
    if (batch.overfull) complain(now, batch.id, batch.session, "a frame with more reports than a full one has");
}

void Judge::on_work(Batch& batch, const wire::Report& report) {
    // No sender goes on behind a full frame, and each report may make a hole in a set.
    if (batch.end != reader_.position()) batch.begin = std::exchange(batch.end, reader_.position());
    if (batch.begin - batch.records < wire::kFrameBytes && ++batch.reports <= wire::kMostReports) {
        on_report(batch.id, batch.session, report);
    } else {
        batch.overfull = true;
    }
}

void Judge::on_work(Batch& batch, wire::TokenReport& token) {
    if (intervals_in(token) > wire::kMostHeld)
        return complain(batch.now, batch.id, batch.session, "a token report over the limit");
    pass_on(batch, token);
}

/// What the broker is told of a session it is told by its collector: behind the reports that were
/// judged.
template <typename R>
void Judge::pass_on(const Batch& batch, R& record) {
    record.session = batch.id;
    news_.say(record);
}

/// Its records cannot be read. What it still says is lost, so it is no use when that goes on.
void Judge::complain(Instant now, Session id, SessionBook& session, const std::string& what) {
    ++counts_.malformed;
    complaint_ = "worker " + session.name + ", session " + std::to_string(id) + ", " + what;
    if (!session.bad.add(now)) return;
    ++counts_.complaints;
    news_.say(wire::Complaint{id, what});
}

void Judge::on_report(Session id, SessionBook& session, const wire::Report& report) {
    ++counts_.reports;
    if (report.number == 0 || report.seq == UINT64_MAX) {
        ++counts_.malformed;
    } else if (!session.judged.insert(report.number) && !mutated(Mutant::report_judged_twice)) {
        ++counts_.duplicates;
    } else if (report.kind == ReportKind::ok) {
        on_ok(id, session, report);
    } else {
        on_end(id, session, report);
    }
}

/// It has ended, and has no result.
void Judge::on_end(Session id, SessionBook& session, const wire::Report& report) {
    // A winner that a Sync named, whose result was dropped before it could be sent again: the task
    // is open again, and the broker learns it by the winner's end.
    if (const DecidedTask* decided = decided_.find(report.seq);
        decided != nullptr && decided->awaited && decided->winner == AttemptId{id, report.number}) {
        decided_.erase(report.seq);
        --awaited_;
    }
    const bool failed = report.kind == ReportKind::failed || report.kind == ReportKind::rejected;
    const End kind = failed ? End::failed : end_of(report.kind);
    if (failed || !report.error.empty()) {  // with a reason of its own
        std::string error(report.error);
        wire::cut_error(error);
        ++counts_.ends[index(kind)];
        ++session.ends[index(kind)];
        news_.say(wire::Ended{id, kind, {{report.number, report.number}}, error});
    } else {
        end(id, session, report.number, kind, report.kind == ReportKind::returned);
    }
    const bool open = report.seq != 0 && !settled_.contains(report.seq) && !decided_.contains(report.seq);
    const bool by_itself = report.kind == ReportKind::failed || report.kind == ReportKind::expired;
    if (open && by_itself && report.details) last_work_.keep(report.seq, told_work(report, session.name));
    if (report.kind == ReportKind::rejected && open) {
        new_outcome(report, Outcome::failed, session).message = report.payload;
        decide(report.seq, Outcome::failed, {});
    }
}

void Judge::on_ok(Session id, SessionBook& session, const wire::Report& report) {
    const AttemptId attempt{id, report.number};
    DecidedTask* decided = decided_.find(report.seq);
    const bool awaited = decided != nullptr && decided->awaited && decided->winner == attempt;
    const bool late = report.seq == 0 || settled_.contains(report.seq) || (decided != nullptr && !awaited);
    if (late && !mutated(Mutant::second_win)) {
        end(id, session, report.number, End::late);
        return;
    }
    OutcomeRecord& outcome = new_outcome(report, Outcome::completed, session);
    outcome.result = queue_.keep(report.payload);
    if (report.details) outcome.message = report.details->message;
    if (awaited) {
        decided->awaited = false;
        --awaited_;
        queue_.put_in(report.seq, settled_.all());
    } else {
        decide(report.seq, Outcome::completed, attempt);
    }
}

void Judge::end(Session id, SessionBook& session, AttemptNumber number, End end, bool returned) {
    ++counts_.ends[index(end)];
    ++session.ends[index(end)];
    returned ? news_.returned(id, session.news, number) : news_.ended(id, session.news, end, number);
}

// ---- from the broker ---------------------------------------------------------------------------

void Judge::receive_from_broker(Instant now, const wire::Envelope& envelope) {
    wire::Sync sync;
    const BrokerLink::Asks asks = link_.receive(now, envelope, reader_, sync);
    if (link_.take_anew() && !settled_.is_remembered()) {
        epoch_ = 0;
        settled_.begin_anew(false);
    }
    if (asks == BrokerLink::Asks::sync) take_over(sync);
    if (asks == BrokerLink::Asks::records) {
        const std::string_view records = reader_.records();
        const wire::Error error = reader_.each<wire::road::ToCollector>([&](auto& record) { on_record(record); });
        counts_.malformed += reader_.strayed();
        link_.read(envelope.number, records, error, reader_.bad_place());
    }
    if (std::string complaint = link_.take_complaint(); !complaint.empty()) complaint_ = std::move(complaint);
}

void Judge::on_record(const wire::Admit& admit) {
    (void)open_session(admit.session, admit.name, admit.pool);
    news_.say(wire::Admitted{admit.session});
}

/// The session's book: a new one, or the one there is.
Judge::SessionBook& Judge::open_session(Session id, std::string_view name, std::string_view pool) {
    SessionBook* known = sessions_.find(id);
    SessionBook& session = known != nullptr ? *known : sessions_.insert(id);
    session.name = name;
    session.pool = pool;
    return session;
}

void Judge::on_record(const wire::SessionGone& gone) {
    wire::Refused refused{gone.session, {}};
    if (awaited_ > 0) {
        for (const Seq seq : decided_.sorted_keys()) {
            const DecidedTask& task = *decided_.find(seq);
            if (!task.awaited || task.winner.session != gone.session) continue;
            append_number(refused.reopened, seq);
            decided_.erase(seq);
            --awaited_;
        }
    }
    // What was judged in this turn goes out before the echo, so that the broker hears it first.
    if (SessionBook* session = sessions_.find(gone.session)) {
        news_.close(gone.session, session->news);
        sessions_.erase(gone.session);
    }
    news_.say(refused);
}

void Judge::on_record(const wire::Lose& lose) {
    SessionBook* session = sessions_.find(lose.session);
    if (session == nullptr) return;
    if (count_numbers(lose.numbers) > kMostLost) {
        ++counts_.malformed;
        return;
    }
    for (const Interval& range : lose.numbers) {
        for (const Interval& open : session->judged.missing(range)) {
            session->judged.insert(open);
            counts_.ends[index(End::lost)] += open.last - open.first + 1;
            session->ends[index(End::lost)] += open.last - open.first + 1;
            news_.ended(lose.session, session->news, End::lost, open);
        }
    }
}

void Judge::on_record(const wire::Verdict& verdict) {
    // A verdict on a task that is decided is answered by the outcome there is: it is in the stream.
    const bool decided = settled_.contains(verdict.seq) || decided_.contains(verdict.seq);
    if (verdict.seq == 0 || (decided && !mutated(Mutant::verdict_after_win))) return;
    OutcomeRecord& outcome = new_outcome(verdict.seq, verdict.outcome);
    outcome.id = owned(verdict.id);
    outcome.properties = verdict.properties.value_or("");
    outcome.error = verdict.error;
    outcome.attempts = verdict.attempts;
    outcome.latency_us = verdict.latency_us;
    outcome.message = verdict.message;
    outcome.work = last_work_.take(verdict.seq);
    outcome.refused_number = verdict.refused_number;
    outcome.refused_byte = verdict.refused_byte;
    outcome.refused_size = verdict.refused_size;
    outcome.unsaid = verdict.unsaid != 0;
    for (const wire::PastAttempt& past : verdict.history) {
        outcome.history.push_back({past.ordinal, std::string(past.worker), past.end, std::string(past.error)});
    }
    decide(verdict.seq, verdict.outcome, {});
}

// ---- deciding and settling ---------------------------------------------------------------------

/// Where the outcome waits for the sink. To be filled in before the task is decided.
OutcomeRecord& Judge::new_outcome(Seq seq, Outcome kind) {
    OutcomeRecord& outcome = queue_.add(seq);
    outcome.epoch = epoch_;
    outcome.sync = syncs_;
    outcome.seq = seq;
    outcome.outcome = kind;
    return outcome;
}

OutcomeRecord& Judge::new_outcome(const wire::Report& report, Outcome kind, const SessionBook& session) {
    OutcomeRecord& outcome = new_outcome(report.seq, kind);
    outcome.id = owned(report.id);
    outcome.properties = report.properties.value_or("");
    outcome.error = report.error;
    wire::cut_error(outcome.error);
    outcome.worker = session.name;
    outcome.pool = session.pool;
    outcome.attempt = report.ordinal;
    outcome.attempts = report.attempts;
    outcome.latency_us = report.latency_us;
    if (report.details) outcome.work = told_work(report, session.name);
    return outcome;
}

void Judge::decide(Seq seq, Outcome outcome, AttemptId winner) {
    decided_.insert(seq, {winner, outcome, false});
    last_work_.forget(seq);
    news_.decided(seq, winner);
    queue_.put_in(seq, settled_.all());
    if (mutated(Mutant::settled_before_sink)) written(syncs_, seq);
}

void Judge::written(std::uint64_t sync, Seq seq) {
    const DecidedTask* task = decided_.find(seq);
    // Written for a broker that is no more
    if (sync != syncs_ || task == nullptr || task->awaited) return;
    const Outcome outcome = task->outcome;
    if (task->winner.session != 0) {
        ++counts_.ends[index(End::won)];
        if (SessionBook* session = sessions_.find(task->winner.session)) ++session->ends[index(End::won)];
    }
    ++counts_.outcomes[index(outcome)];
    settled_.settle({seq, outcome, task->winner});
    news_.settled(outcome, seq);
    decided_.erase(seq);
}

// ---- to the broker -----------------------------------------------------------------------------

void Judge::flush(Instant now, std::vector<Frame>& frames) {
    link_.say_hello(now, epoch_, frames);
    if (!link_.is_synced()) return;
    news_.write(now, link_, [&](Session id) -> SessionNews& { return sessions_.find(id)->news; });
    // What the broker awaits has come when nothing is awaited: until then it takes no message.
    if (const auto bytes = queue_.take_backlog(awaited_ == 0)) link_.batch().add(wire::Backlog{*bytes});
    link_.flush(now, frames);
    const std::uint64_t last = link_.stream().next_number() - 1;
    settled_.said(last, last - link_.stream().unacknowledged());
}

const std::array<std::uint64_t, kEnds + 1>* Judge::ends_of(Session session) const {
    const SessionBook* known = sessions_.find(session);
    return known == nullptr ? nullptr : &known->ends;
}

}  // namespace curfew

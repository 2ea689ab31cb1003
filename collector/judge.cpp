// How the judge judges. See judge.h for the life of a task, docs/protocol.md for the records.
#include "collector/judge.h"

#include <algorithm>
#include <utility>

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

/// What an outcome keeps while it waits.
std::uint64_t bytes_of(const OutcomeRecord& outcome) {
    return outcome.result.size() + outcome.message.size();
}

std::optional<std::string> owned(const std::optional<std::string_view>& id) {
    return id ? std::optional<std::string>(*id) : std::nullopt;
}

}  // namespace

/// What is said as it came: failures, admissions, echoes, tokens.
template <typename R>
void Judge::say(const R& record) {
    news_.add(record);
    if (news_.size() < wire::kFrameBytes) return;
    full_news_.push_back(std::move(news_));
    news_ = {};
}

/// Said when it has changed by an eighth, and a megabyte.
void Judge::write_backlog() {
    constexpr std::uint64_t kLeast = 1 << 20;
    const std::uint64_t bytes = waiting_bytes();
    const std::uint64_t change = bytes > told_backlog_ ? bytes - told_backlog_ : told_backlog_ - bytes;
    const bool empty_again = bytes == 0 && told_backlog_ > 0;
    // The first time when what the broker awaits has come: until then it takes no message.
    const bool first = backlog_due_ && awaited_ == 0;
    if (backlog_due_ ? !first : !empty_again && change < std::max(kLeast, told_backlog_ / 8)) return;
    backlog_due_ = false;
    told_backlog_ = bytes;
    writer_.add(wire::Backlog{bytes});
}

void Judge::receive(Instant now, std::string_view frame) {
    wire::Envelope envelope;
    if (reader_.open(frame, envelope, {Kind::reports, Kind::to_collector}) != wire::Error::none) {
        ++counts_.malformed;
    } else if (envelope.kind == Kind::reports) {
        receive_from_worker(now, envelope, reader_);
    } else {
        receive_from_broker(now, envelope, reader_);
    }
}

// ---- from workers --------------------------------------------------------------------------------------------------

void Judge::receive_from_worker(Instant now, const wire::Envelope& envelope, wire::Reader& reader) {
    SessionBook* known = sessions_.find(envelope.peer);
    if (!synced_ || envelope.broker != broker_ || known == nullptr) {
        ++counts_.refused;
        return;
    }
    SessionBook& session = *known;
    bool overfull = false;
    std::size_t reports = 0, begin = 0, end = 0;
    const wire::Error error = reader.each([&](auto& record) {
        using R = std::decay_t<decltype(record)>;
        if constexpr (std::is_same_v<R, wire::TokenReport>) {
            if (intervals_in(record) > wire::kMostHeld)
                return complain(now, envelope.peer, session, "a token report over the limit");
        }
        if constexpr (std::is_same_v<R, wire::Report>) {
            // No sender goes on behind a full frame, and each report may make a hole in a set.
            if (end != reader.position()) begin = std::exchange(end, reader.position());
            if (begin < wire::kFrameBytes && ++reports <= wire::kMostReports)
                return on_report(envelope.peer, session, record);
            overfull = true;
        } else if constexpr (std::is_same_v<R, wire::TokenReport> || std::is_same_v<R, wire::Answered> ||
                             std::is_same_v<R, wire::Bye>) {
            record.session = envelope.peer;
            say(record);
        } else {
            ++counts_.malformed;
        }
    });
    if (error != wire::Error::none) complain(now, envelope.peer, session, describe(reader.bad_place()));
    if (overfull) complain(now, envelope.peer, session, "a frame with more reports than a full one has");
}

/// Its records cannot be read. What it still says is lost, so it is no use when that goes on.
void Judge::complain(Instant now, Session id, SessionBook& session, const std::string& what) {
    ++counts_.malformed;
    complaint_ = "worker " + session.name + ", session " + std::to_string(id) + ", " + what;
    if (!session.bad.add(now)) return;
    ++counts_.complaints;
    say(wire::Complaint{id, what});
}

void Judge::on_report(Session id, SessionBook& session, const wire::Report& report) {
    ++counts_.reports;
    if (report.number == 0) {
        ++counts_.malformed;
        return;
    }
    if (!session.judged.insert(report.number) && !mutated(Mutant::report_judged_twice)) {
        ++counts_.duplicates;
        return;
    }
    if (report.kind == ReportKind::ok) {
        on_ok(id, session, report);
        return;
    }
    // A winner that a Sync named, whose result was dropped before it could be sent again: the task is open again, and
    // the broker learns it by the winner's end.
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
        say(wire::Ended{id, kind, {{report.number, report.number}}, error});
    } else {
        end(id, session, report.number, kind, report.kind == ReportKind::returned);
    }
    const bool open = report.seq != 0 && !settled_.contains(report.seq) && !decided_.contains(report.seq);
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
    new_outcome(report, Outcome::completed, session).result = results_.keep(report.payload);
    if (awaited) {
        decided->awaited = false;
        --awaited_;
        if (config_.keep_order) held_bytes_ += bytes_of(held_for_order_[report.seq]);
        release_in_order();
    } else {
        decide(report.seq, Outcome::completed, attempt);
    }
}

void Judge::end(Session id, SessionBook& session, AttemptNumber number, End end, bool returned) {
    ++counts_.ends[index(end)];
    ++session.ends[index(end)];
    append_number(returned ? session.returned : session.news[index(end)], number);
    if (!std::exchange(session.has_news, true)) news_sessions_.push_back(id);
}

// ---- from the broker -----------------------------------------------------------------------------------------------

void Judge::receive_from_broker(Instant now, const wire::Envelope& envelope, wire::Reader& reader) {
    const bool known = envelope.broker == broker_ || !synced_;
    if (known && envelope.peer > incarnation_) meet_rival(envelope.peer);
    // Whoever it means: a newer broker may have taken an old hello, that was under way for long, for ours.
    if (is_new(now, envelope)) {
        meet_broker(now, envelope, reader);
        return;
    }
    const bool for_me = envelope.peer == incarnation_ || envelope.peer == 0;
    if (envelope.broker < broker_ || !for_me) {
        ++counts_.refused;
        // Our broker speaks to somebody else, who may be a forgery: it lets us in again when that one is silent.
        const bool left = synced_ && envelope.broker == broker_ && now - heard_at_ >= 2 * config_.patience;
        if (left) want_sync({}, "broker: it has left us for collector " + std::to_string(envelope.peer));
        return;
    }
    heard_at_ = now;
    if (synced_ && envelope.peer == incarnation_ && !sender_.acknowledge(now, envelope.acked) &&
        now - synced_at_ >= config_.patience) {
        return want_sync({.record = 1}, "broker: it acknowledges what was not sent; who else sends there?");
    }
    if (envelope.number != 0) {
        // A turned bit makes a number of none; what has one and is no batch would take the place of one.
        const std::uint64_t first = reader.first_type();
        if (reader.records().empty() || first == wire::BrokerPing::kType || first == wire::Sync::kType) {
            ++counts_.malformed;
            return;
        }
        owes_ack_ = true;
        if (!synced_ || !receiver_.expects(envelope.number)) return;
    }
    const std::string_view records = reader.records();
    bool agrees = true;
    const wire::Error error = reader.each([&](auto& record) {
        using R = std::decay_t<decltype(record)>;
        constexpr bool in_stream = std::is_same_v<R, wire::Admit> || std::is_same_v<R, wire::SessionGone> ||
                                   std::is_same_v<R, wire::Lose> || std::is_same_v<R, wire::Verdict>;
        if constexpr (in_stream) {
            if (envelope.number != 0) on_record(record);
        } else if constexpr (std::is_same_v<R, wire::Sync>) {
            if (envelope.peer == incarnation_) take_sync(now, record);
        } else if constexpr (std::is_same_v<R, wire::BrokerPing>) {
            owes_ack_ = owes_ping_ = true;
            if (synced_ && envelope.peer == incarnation_ && record.digest != 0)
                agrees = receiver_.agrees(record.number, record.digest);
        } else {
            ++counts_.malformed;
        }
    });
    if (error != wire::Error::none) {
        ++counts_.malformed;
        if (envelope.number != 0) on_unreadable(envelope.number, reader.bad_place());
    } else if (envelope.number != 0) {
        receiver_.take(envelope.number, records);
    }
    if (!agrees) want_sync({.record = 1}, "broker: it has not sent what came as its batches; who else sends here?");
}

/// A hello that says that it has a sync, and wants another.
void Judge::want_sync(const wire::Reader::BadPlace& why, std::string complaint) {
    complaint_ = std::move(complaint);
    unread_ = why;
    synced_ = false;
    hello_at_ = {};
    hello_pause_ = {};
}

/// A batch that cannot be read is not acknowledged. The second time the pair begins anew: a hello that says why.
void Judge::on_unreadable(std::uint64_t number, const wire::Reader::BadPlace& bad) {
    complaint_ = "broker, batch " + std::to_string(number) + ", " + describe(bad);
    if (receiver_.unreadable(number)) want_sync(bad, complaint_);
}

/// The broker speaks to a newer life of the collector, but here is the only one: our clock has been set back, or an old
/// hello came late. So the number goes above that, and all begins anew. One frame alone may have a turned bit. The next
/// number would not do: others may be under way, or have done the same as we do.
void Judge::meet_rival(Incarnation rival) {
    constexpr Incarnation kAhead = 1ULL << 32;  // milliseconds: some weeks
    if (std::exchange(rival_, rival) != rival || rival >= UINT64_MAX - 2 * kAhead) return;
    incarnation_ = rival + kAhead + incarnation_ % kAhead;
    synced_ = false;
    hello_at_ = {};
    epoch_ = 0;
    settled_.clear();
}

/// A greater incarnation is newer. So is any other once the broker that was known is silent: incarnations are times,
/// and clocks are set back.
bool Judge::is_new(Instant now, const wire::Envelope& envelope) const {
    if (envelope.broker == broker_) return false;
    return envelope.broker > broker_ || now - heard_at_ >= 2 * config_.patience;
}

/// A newer broker shows itself. Its word alone is not enough to leave the old one (one flipped bit would do): it is
/// said hello, and taken when it answers with a Sync for us.
void Judge::meet_broker(Instant now, const wire::Envelope& envelope, wire::Reader& reader) {
    newcomer_ = envelope.broker;
    const wire::Error error = reader.each([&](auto& record) {
        if constexpr (std::is_same_v<std::decay_t<decltype(record)>, wire::Sync>) {
            if (envelope.peer != incarnation_ || envelope.number != 0) {
                ++counts_.refused;
                return;
            }
            broker_ = envelope.broker;
            heard_at_ = now;
            newcomer_ = 0;
            synced_ = false;
            take_sync(now, record);
        }
    });
    if (error != wire::Error::none) ++counts_.malformed;
}

/// One that comes unasked may be a forgery: it is not taken, but asked for. The broker knows whether it means another.
void Judge::take_sync(Instant now, const wire::Sync& sync) {
    if (synced_ && sync.round == sync_round_) return;
    if (synced_) return want_sync({.record = 1}, "broker: a sync that was not asked for");
    synced_at_ = now;
    ++syncs_;
    sync_round_ = sync.round;
    unread_ = {};
    // What only we had settled is open again, as after a crash: nobody but the broker may close a task.
    settled_.clear();
    epoch_ = sync.epoch;
    settled_.insert(sync.settled);
    sender_.reset(stream_base(sync.round));
    receiver_.reset(stream_base(sync.round));
    sessions_.clear();
    decided_.clear();
    for_sink_.clear();
    first_is_handed_out_ = false;
    held_for_order_.clear();
    held_bytes_ = told_backlog_ = 0;
    backlog_due_ = true;
    news_decided_.clear();
    news_sessions_.clear();
    for (IntervalSet& seqs : news_settled_) seqs.clear();
    news_ = {};
    full_news_.clear();
    awaited_ = 0;
    next_in_order_ = 1;
    for (const wire::Admission& admission : sync.sessions) {
        open_session(admission.session, admission.name, admission.pool).judged.insert(admission.ended);
    }
    for (const wire::Winner& winner : sync.winners) {
        if (settled_.contains(winner.seq) || decided_.contains(winner.seq)) continue;
        decided_.insert(winner.seq, {winner.attempt, Outcome::completed, true});
        ++awaited_;
    }
    synced_ = true;
    hello_pause_ = {};
    news_synced_ = true;
}

void Judge::on_record(const wire::Admit& admit) {
    (void)open_session(admit.session, admit.name, admit.pool);
    say(wire::Admitted{admit.session});
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
        write_ends(gone.session, *session, news_);
        std::erase(news_sessions_, gone.session);
        sessions_.erase(gone.session);
    }
    say(refused);
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
            session->news[index(End::lost)].push_back(open);
            if (!std::exchange(session->has_news, true)) news_sessions_.push_back(lose.session);
        }
    }
}

void Judge::on_record(const wire::Verdict& verdict) {
    // A verdict on a task that is decided is answered by the outcome there is: it is in the stream.
    const bool decided = settled_.contains(verdict.seq) || decided_.contains(verdict.seq);
    if (verdict.seq == 0 || (decided && !mutated(Mutant::verdict_after_win))) return;
    OutcomeRecord& outcome = new_outcome(verdict.seq, verdict.outcome);
    outcome.id = owned(verdict.id);
    outcome.error = verdict.error;
    outcome.attempts = verdict.attempts;
    outcome.latency_us = verdict.latency_us;
    outcome.message = verdict.message;
    outcome.refused_number = verdict.refused_number;
    outcome.refused_byte = verdict.refused_byte;
    outcome.refused_size = verdict.refused_size;
    for (const wire::PastAttempt& past : verdict.history) {
        outcome.history.push_back({past.ordinal, std::string(past.worker), past.end, std::string(past.error)});
    }
    decide(verdict.seq, verdict.outcome, {});
}

// ---- deciding and settling -----------------------------------------------------------------------------------------

/// Where the outcome waits for the sink. To be filled in before the task is decided.
OutcomeRecord& Judge::new_outcome(Seq seq, Outcome kind) {
    OutcomeRecord& outcome = config_.keep_order ? held_for_order_[seq] : for_sink_.emplace_back();
    outcome.epoch = epoch_;
    outcome.sync = syncs_;
    outcome.seq = seq;
    outcome.outcome = kind;
    return outcome;
}

OutcomeRecord& Judge::new_outcome(const wire::Report& report, Outcome kind, const SessionBook& session) {
    OutcomeRecord& outcome = new_outcome(report.seq, kind);
    outcome.id = owned(report.id);
    outcome.error = report.error;
    wire::cut_error(outcome.error);
    outcome.worker = session.name;
    outcome.pool = session.pool;
    outcome.attempt = report.ordinal;
    outcome.attempts = report.attempts;
    outcome.latency_us = report.latency_us;
    return outcome;
}

void Judge::decide(Seq seq, Outcome outcome, AttemptId winner) {
    decided_.insert(seq, {winner, outcome, false});
    if (config_.keep_order) held_bytes_ += bytes_of(held_for_order_[seq]);
    say_decided(seq, winner);
    release_in_order();
    if (mutated(Mutant::settled_before_sink)) written(syncs_, seq);
}

/// Workers report in the order of their numbers, and each gets every so-manyth task: what they win joins on to what
/// they won before.
void Judge::say_decided(Seq seq, AttemptId winner) {
    if (!news_decided_.empty() && winner.session != 0) {
        wire::Decided& last = news_decided_.back();
        const Seq last_seq = last.seq + (last.count - 1) * last.step;
        const bool next = last.session == winner.session && last.number + last.count == winner.number && seq > last_seq;
        if (next && (last.count == 1 || seq - last_seq == last.step)) {
            last.step = seq - last_seq;
            ++last.count;
            return;
        }
    }
    news_decided_.push_back({seq, winner.session, winner.number, 1, 1});
}

void Judge::release_in_order() {
    if (!config_.keep_order) return;
    next_in_order_ = settled_.next_missing(next_in_order_);
    for (auto at = held_for_order_.find(next_in_order_); at != held_for_order_.end();
         at = held_for_order_.find(next_in_order_)) {
        held_bytes_ -= std::min(held_bytes_, bytes_of(at->second));
        for_sink_.push_back(std::move(at->second));
        held_for_order_.erase(at);
        next_in_order_ = settled_.next_missing(next_in_order_ + 1);
    }
}

OutcomeRecord* Judge::next_outcome() {
    if (std::exchange(first_is_handed_out_, false)) for_sink_.pop_front();
    if (for_sink_.empty()) return nullptr;
    first_is_handed_out_ = true;
    return &for_sink_.front();
}

void Judge::written(std::uint64_t sync, Seq seq) {
    const DecidedTask* task = decided_.find(seq);
    if (sync != syncs_ || task == nullptr || task->awaited) return;  // written for a broker that is no more
    const Outcome outcome = task->outcome;
    if (task->winner.session != 0) {
        ++counts_.ends[index(End::won)];
        if (SessionBook* session = sessions_.find(task->winner.session)) ++session->ends[index(End::won)];
    }
    ++counts_.outcomes[index(outcome)];
    settled_.insert(seq);
    news_settled_[index(outcome)].insert(seq);
    decided_.erase(seq);
}

// ---- to the broker -------------------------------------------------------------------------------------------------

void Judge::write_ends(Session id, SessionBook& session, wire::Writer& writer) {
    for (std::size_t i = 1; i < session.news.size(); ++i) {
        if (session.news[i].empty()) continue;
        writer.add(wire::Ended{id, static_cast<End>(i), session.news[i], {}});
        session.news[i].clear();
    }
    if (!session.returned.empty()) writer.add(wire::Ended{id, End::cancelled, session.returned, {}, 1});
    session.returned.clear();
    session.has_news = false;
}

/// Order matters to the broker: decisions before what is settled, ends before the echo of a session that is gone and
/// before the token that followed them.
void Judge::write_news(Instant now, wire::Envelope& envelope) {
    const auto split = [&] {
        if (writer_.size() >= wire::kFrameBytes) close_batch(now, envelope);
    };
    if (std::exchange(news_synced_, false)) writer_.add(wire::Synced{});
    for (const wire::Decided& decided : news_decided_) {
        writer_.add(decided);
        split();
    }
    news_decided_.clear();
    for (std::size_t i = 1; i < news_settled_.size(); ++i) {
        if (news_settled_[i].empty()) continue;
        writer_.add(wire::Settled{static_cast<Outcome>(i), news_settled_[i].intervals()});
        news_settled_[i].clear();
        split();
    }
    for (const Session id : news_sessions_) {
        write_ends(id, *sessions_.find(id), writer_);
        split();
    }
    news_sessions_.clear();
    for (wire::Writer& part : full_news_) {
        if (!writer_.empty()) close_batch(now, envelope);
        writer_.append(part);
    }
    full_news_.clear();
    if (writer_.size() + news_.size() >= wire::kFrameBytes && !writer_.empty()) close_batch(now, envelope);
    writer_.append(news_);
}

void Judge::close_batch(Instant now, wire::Envelope& envelope) {
    envelope.number = sender_.next_number();
    sender_.keep(now, writer_.finish(envelope));
    envelope.number = 0;
}

void Judge::flush(Instant now, std::vector<Frame>& frames) {
    wire::Envelope envelope{Kind::to_broker, broker_, incarnation_, 0, receiver_.received()};
    if ((!synced_ || newcomer_ != 0) && now >= hello_at_) {
        hello_pause_ = std::clamp(2 * hello_pause_, config_.hello_every / 16, config_.hello_every);
        hello_at_ = now + hello_pause_;
        const wire::Envelope hello{Kind::to_broker, newcomer_ != 0 ? newcomer_ : broker_, incarnation_, 0, 0};
        const std::uint64_t round = unread_.record == 0 ? 0 : sync_round_;
        writer_.add(wire::CollectorHello{epoch_, {}, round, unread_.type, unread_.key});
        frames.push_back(writer_.finish(hello));
        newcomer_ = 0;
    }
    if (!synced_) return;
    const std::uint64_t before = sender_.next_number();
    write_news(now, envelope);
    write_backlog();
    if (!writer_.empty()) close_batch(now, envelope);
    const bool news = sender_.next_number() != before;
    sender_.send_due(now, config_.patience, [&](const Frame& frame) { frames.push_back(frame.copy()); });
    const bool carried = news && sender_.all_sent() && !owes_ping_;
    if (std::exchange(owes_ping_, false)) writer_.add(wire::CollectorPing{sender_.next_number() - 1, sender_.digest()});
    if (std::exchange(owes_ack_, false) && !carried) frames.push_back(writer_.finish(envelope));
}

Instant Judge::next_deadline() const {
    return synced_ ? sender_.next_deadline(config_.patience) : hello_at_;
}

const std::array<std::uint64_t, kEnds + 1>* Judge::ends_of(Session session) const {
    const SessionBook* known = sessions_.find(session);
    return known == nullptr ? nullptr : &known->ends;
}

}  // namespace curfew

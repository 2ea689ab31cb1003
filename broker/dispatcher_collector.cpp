// The dispatcher's part for the collector: the sync with a new one, the two streams, and its events.
#include <algorithm>
#include <utility>

#include "broker/dispatcher.h"

namespace curfew {
namespace {

/// Acknowledgements wait this long for a frame that carries them, and no more than so many.
constexpr Duration kAckWithin = std::chrono::milliseconds(20);
constexpr std::uint32_t kMostAcksOwed = 32;

std::uint64_t micros(Duration duration) {
    return static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::microseconds>(duration).count());
}

}  // namespace

void Dispatcher::receive_from_collector(Instant now, const wire::Envelope& envelope) {
    if (envelope.number == 0) {
        std::optional<wire::CollectorHello> hello;
        std::optional<wire::CollectorPing> ping;
        const wire::Error error = reader_.each([&](auto& record) {
            using R = std::decay_t<decltype(record)>;
            if constexpr (std::is_same_v<R, wire::CollectorHello>) {
                hello = std::move(record);
            } else if constexpr (std::is_same_v<R, wire::CollectorPing>) {
                ping = record;
            } else {
                ++counts_.malformed;
            }
        });
        if (error != wire::Error::none) ++counts_.malformed;
        if (hello) {
            on_collector_hello(now, envelope, *hello);
            return;
        }
        if (ping && from_collector(envelope) && collector_synced() && !receiver_.agrees(ping->number, ping->digest)) {
            complaint_ = "collector: it has not sent what came as its batches; who else sends here?";
            return begin_sync(now);
        }
    }
    if (!from_collector(envelope)) {
        ++counts_.refused;
        return;
    }
    if (collector_state_ == CollectorState::unknown) return;
    if (now - std::exchange(collector_heard_at_, now) >= 2 * config_.heartbeat) heard_since_ = now;
    if (!sender_.acknowledge(now, envelope.acked) && collector_synced() && settled_down(now)) {
        complaint_ = "collector: it acknowledges what was not sent; who else sends there?";
        return begin_sync(now);
    }
    if (envelope.number == 0) return;
    // A turned bit makes a number of none; what has one and is no batch would take the place of one.
    const std::uint64_t first = reader_.first_type();
    if (reader_.records().empty() || first == wire::CollectorHello::kType) {
        ++counts_.malformed;
        return;
    }
    if (ack_at_ == kNever) ack_at_ = now + kAckWithin;
    if (++acks_owed_ >= kMostAcksOwed) ack_at_ = now;
    if (!receiver_.expects(envelope.number)) return;
    const std::string_view records = reader_.records();
    const wire::Error error = reader_.each([&](auto& record) {
        using R = std::decay_t<decltype(record)>;
        if constexpr (std::is_same_v<R, wire::Synced> || std::is_same_v<R, wire::Decided> ||
                      std::is_same_v<R, wire::Settled> || std::is_same_v<R, wire::Ended> ||
                      std::is_same_v<R, wire::Admitted> || std::is_same_v<R, wire::Refused> ||
                      std::is_same_v<R, wire::TokenReport> || std::is_same_v<R, wire::Answered> ||
                      std::is_same_v<R, wire::Bye> || std::is_same_v<R, wire::Backlog> ||
                      std::is_same_v<R, wire::Complaint>) {
            on_record(now, record);
        } else {
            ++counts_.malformed;
        }
    });
    if (error == wire::Error::none) {
        receiver_.take(envelope.number, records);
    } else {
        on_unreadable(now, envelope.number);
    }
    if (const Session session = std::exchange(suspect_, 0)) disown(now, session);
}

/// The collector has judged what this session was never given: its worker is wrong, or somebody speaks in its name.
/// Numbers and tasks that are still to come would count as judged. So the session ends, and the collector's knowledge
/// begins anew with ours.
void Dispatcher::disown(Instant now, Session session) {
    ++counts_.surprises;
    WorkerSession* worker = roster_.find(session);
    if (worker != nullptr && worker->state < SessionState::leaving) {
        complaint_ = "worker " + worker->name + ", session " + std::to_string(session) +
                     ", which has reported what it was not given";
        refuse(now, *worker);
    }
    begin_sync(now);
}

/// It is of no use, and is not to come back at once; each time that it goes wrong again, after twice the time.
void Dispatcher::refuse(Instant now, WorkerSession& worker) {
    ++counts_.workers_refused;
    const auto before = std::ranges::find(refused_, worker.name, &Refusal::name);
    Duration pause = 2 * config_.heartbeat;
    if (before != refused_.end()) {
        const bool again = now < before->until + kForgiven * before->pause;
        if (again) pause = std::min(2 * before->pause, kMostPause * config_.heartbeat);
        refused_.erase(before);
    }
    if (refused_.size() == kMostRefused) refused_.pop_front();
    refused_.push_back({worker.name, now + pause, pause});
    leave(now, worker, Departure::gone);
}

bool Dispatcher::is_refused(Instant now, std::string_view name) const {
    return std::ranges::any_of(refused_, [&](const Refusal& one) { return one.name == name && now < one.until; });
}

// ---- what cannot be read -------------------------------------------------------------------------------------------

/// A batch that cannot be read is not acknowledged, so that it comes again: once may be noise. The second time the pair
/// begins anew. What was read of it before is read again; each record says what is, so that does no harm.
void Dispatcher::on_unreadable(Instant now, std::uint64_t number) {
    ++counts_.malformed;
    complaint_ = "collector, batch " + std::to_string(number) + ", " + describe(reader_.bad_place());
    if (receiver_.unreadable(number)) begin_sync(now);
}

/// The collector cannot read a batch of ours. All is said anew behind a sync; if it is the same record again, a verdict
/// goes without what may be wrong with it, and of anything else nobody here knows better.
void Dispatcher::on_unreadable_there(Instant now, const wire::CollectorHello& hello) {
    if (hello.bad_type == 0) {  // no record has a name, or somebody else's batch was taken for ours
        complaint_ = "ours, at the collector: it has taken what was not sent, or cannot be read";
        return begin_sync(now);
    }
    const wire::Reader::BadPlace bad{0, hello.bad_type, hello.bad_key, 0};
    complaint_ = "ours, at the collector: a record of type " + std::to_string(bad.type) + ", of " +
                 std::to_string(bad.key) + ", cannot be read there";
    if (std::exchange(bad_there_, bad) == bad) {
        Task* task = bad.type == wire::Verdict::kType ? ledger_.task(bad.key) : nullptr;
        if (task == nullptr || std::exchange(task->bare, true)) {
            broken_ = complaint_;
            return;
        }
    }
    begin_sync(now);
}

void Dispatcher::on_record(Instant, const wire::Backlog& backlog) {
    backlog_ = backlog.bytes;
}

void Dispatcher::on_record(Instant now, const wire::Complaint& complaint) {
    WorkerSession* worker = roster_.find(complaint.session);
    if (worker == nullptr || worker->state >= SessionState::leaving) return;
    complaint_ = "worker " + worker->name + ", session " + std::to_string(complaint.session) + ", " +
                 std::string(complaint.what.substr(0, wire::kErrorBytes));
    refuse(now, *worker);
}

// ---- sync ----------------------------------------------------------------------------------------------------------

void Dispatcher::on_collector_hello(Instant now, const wire::Envelope& envelope, const wire::CollectorHello& hello) {
    const Incarnation collector = envelope.peer;
    // An order of incarnations counts only while the greater one is there: it may be a forgery, or a clock set back.
    const bool silent = now - collector_heard_at_ >= 2 * config_.heartbeat;
    if ((collector < collector_ && !silent) || envelope.broker > config_.incarnation) {
        ++counts_.refused;
        return;
    }
    if (collector == collector_) {
        // It has this sync and wants another, perhaps before we heard that it has it. The same one would set its
        // streams back to the beginning, and ours may have gone on: what it has acknowledged is not kept.
        if (hello.round == sync_round_) return on_unreadable_there(now, hello);
        // Else, once it is synced, a hello of the same incarnation is an old one that was under way.
        // It does not have our sync any more: somebody has spoken to it in our name.
        if (collector_synced() && settled_down(now)) return begin_sync(now);
        send_sync_ = collector_state_ == CollectorState::syncing;
        return;
    }
    // One frame is not enough to leave a collector that is known (one flipped bit would do); hellos are repeated.
    if (collector_state_ != CollectorState::unknown && std::exchange(newcomer_, collector) != collector) return;
    collector_ = collector;
    begin_sync(now);
}

/// The pair begins anew: all that is between the two is said again behind a sync.
void Dispatcher::begin_sync(Instant now) {
    collector_state_ = CollectorState::syncing;
    collector_heard_at_ = now;
    backlog_ = kUnknown;
    ++sync_round_;
    receiver_.reset(stream_base(sync_round_));
    forget_old_collector(now);
    // What was about to be said, and verdicts of the moves above: all is said behind the sync.
    sender_.reset(stream_base(sync_round_));
    to_collector_.clear();
    write_sync();
    send_sync_ = true;
    for (const Seq seq : ledger_.tasks().sorted_keys()) {
        Task& task = *ledger_.task(seq);
        if (task.state == TaskState::decided && task.by_verdict) ledger_.ask_again(task);
        if (task.state == TaskState::giving_up) send_verdict(now, seq, task);
    }
}

/// What only the old collector knew is gone with it: results it had not yet written, verdicts it had not yet settled,
/// sessions it was about to refuse. Brings the ledger to where a new collector can take over.
void Dispatcher::forget_old_collector(Instant now) {
    std::vector<Session> leaving;
    for (const auto& [session, worker] : roster_.sessions()) {
        if (worker->state >= SessionState::leaving) leaving.push_back(session);
    }
    for (const Seq seq : ledger_.tasks().sorted_keys()) {
        Task& task = *ledger_.task(seq);
        if (task.state != TaskState::decided || task.by_verdict) continue;
        if (std::ranges::find(leaving, task.winner.session) != leaving.end()) ledger_.reopen(task);
    }
    for (const Session session : leaving) {
        WorkerSession& worker = *roster_.find(session);
        worker.blames = false;  // what seems to run may have ended: the old collector took it along
        lose_all(now, worker);
        close_if_empty(worker);
    }
    for (const auto& [session, worker] : roster_.sessions()) end_all_recalls(now, *worker);
    ledger_.sessions().for_each([](Session, const std::unique_ptr<SessionBooks>& books) {
        books->open.for_each([](AttemptNumber, Attempt& attempt) {
            attempt.doubt = 0;
            attempt.lose_asked = false;
        });
    });
}

void Dispatcher::write_sync() {
    wire::Writer writer;
    wire::Sync sync;
    sync.epoch = config_.epoch;
    sync.round = sync_round_;
    sync.settled = ledger_.settled();
    for (const Seq seq : ledger_.tasks().sorted_keys()) {
        const Task& task = *ledger_.task(seq);
        if (task.state != TaskState::decided || task.by_verdict) continue;
        sync.winners.push_back({seq, task.winner});
        if (Attempt* winner = ledger_.attempt(task.winner)) winner->awaited = true;
    }
    for (const auto& [session, worker] : roster_.sessions()) {
        const SessionBooks& books = *ledger_.session(session);
        sync.sessions.push_back({session, worker->name, worker->pool, books.ended.intervals()});
        worker->rounds.clear();
    }
    writer.add(sync);
    sync_frame_ = writer.finish({wire::Kind::to_collector, config_.incarnation, collector_, 0, 0});
}

void Dispatcher::on_record(Instant now, const wire::Synced&) {
    if (collector_state_ != CollectorState::syncing) return;
    collector_state_ = CollectorState::synced;
    heard_since_ = synced_at_ = now;
    sync_frame_ = {};
    send_sync_ = false;
    for (const auto& [session, worker] : roster_.sessions()) {
        if (worker->state == SessionState::admitting) {
            worker->state = SessionState::admitted;
            tell(*worker).welcome_due = true;
        } else if (worker->state < SessionState::leaving) {
            tell(*worker).ping_due = true;  // where the collector is a new one, the reports are sent again
        }
    }
    token_at_ = now;
}

// ---- events --------------------------------------------------------------------------------------------------------

void Dispatcher::on_record(Instant now, const wire::Decided& decided) {
    const Seq last = ledger_.last_seq();
    if (decided.count == 0 || decided.step == 0) {
        ++counts_.surprises;
        return;
    }
    const bool never_accepted = decided.seq > last || decided.count - 1 > (last - decided.seq) / decided.step;
    if (never_accepted) suspect_ = decided.session;
    if (never_accepted || decided.count > ledger_.tasks_in_flight()) {
        ++counts_.surprises;
        return;
    }
    std::uint32_t credits = 0;
    for (std::uint64_t i = 0; i < decided.count; ++i) {
        const AttemptId winner{decided.session, decided.session == 0 ? 0 : decided.number + i};
        if (decide(now, decided.seq + i * decided.step, winner)) ++credits;
    }
    if (WorkerSession* worker = roster_.find(decided.session)) {
        note_progress(now, *worker, decided.number + decided.count - 1);
        give_back(*worker, credits);
    }
}

/// True if a credit is to be given back: a winner that waits for the sink holds none. With --keep-order it may wait for
/// the very attempt that needs it.
bool Dispatcher::decide(Instant now, Seq seq, AttemptId winner) {
    Task* task = ledger_.task(seq);
    const Attempt* won = winner.session == 0 ? nullptr : ledger_.attempt(winner);
    if (task == nullptr || (winner.session != 0 && (won == nullptr || won->seq != seq))) {
        // Old news where the attempt has ended: of a batch that was read in part, and comes again.
        const SessionBooks* books = ledger_.session(winner.session);
        if (books == nullptr || !books->ended.contains(winner.number)) suspect_ = winner.session;
        ++counts_.surprises;
        return false;
    }
    bool held_credit = false;
    if (won != nullptr) {
        if (won->state != AttemptState::cancelling) learn(roster_.find(winner.session), now - won->started_at);
        held_credit = won->state != AttemptState::reported;
    } else if (task->state == TaskState::open) {
        task->outcome = Outcome::failed;  // the work itself said so: rejected
    }
    ledger_.decide(*task, winner);
    for (const AttemptId id : task->alive) {
        if (id != winner) losers_.push_back(id);
    }
    return held_credit;
}

void Dispatcher::give_back(WorkerSession& worker, std::uint32_t credits) {
    if (credits == 0) return;
    roster_.give_back(worker, credits);
    something_changed();
}

void Dispatcher::on_record(Instant, const wire::Settled& settled) {
    for (const Interval& range : settled.seqs) {
        std::uint64_t settled_now = 0;
        ledger_.tasks().for_each_within(range.first, range.last, [&](Seq seq) {
            if (settle(seq, settled.outcome)) ++settled_now;
        });
        if (settled_now <= range.last - range.first) ++counts_.surprises;
    }
}

/// False if the task is not decided.
bool Dispatcher::settle(Seq seq, Outcome outcome) {
    const Task* task = ledger_.task(seq);
    if (task->state != TaskState::decided) return false;
    if (const Attempt* won = ledger_.attempt(task->winner); won != nullptr && won->hedge) hedging_.won();
    const AttemptId winner = ledger_.settle(seq, outcome);
    WorkerSession* worker = winner.session == 0 ? nullptr : roster_.find(winner.session);
    if (worker == nullptr) return true;
    tell(*worker).confirms.insert(winner.number);
    if (worker->state == SessionState::lingering) close_if_empty(*worker);
    return true;
}

void Dispatcher::on_record(Instant now, const wire::Ended& ended) {
    const SessionBooks* books = ledger_.session(ended.session);
    if (books == nullptr || ended.end == End::won) {
        ++counts_.surprises;
        return;
    }
    WorkerSession* worker = roster_.find(ended.session);
    if (worker == nullptr) return;
    const std::string_view error = ended.error.substr(0, wire::kErrorBytes);
    std::uint32_t credits = 0;
    for (Interval range : ended.numbers) {
        if (range.last > books->last_number) suspect_ = ended.session;
        range.last = std::min(range.last, books->last_number);
        books->open.for_each_within(range.first, range.last, [&](AttemptNumber number) {
            const bool held_credit = ended.returned != 0 ? end_returned(now, *worker, number)
                                                         : end_attempt(now, *worker, number, ended.end, error);
            if (held_credit) ++credits;
        });
        // What was called home may have waited behind others, and frees no slot then; what ended by itself has begun.
        const bool by_itself = ended.end == End::late || ended.end == End::failed;
        const bool ran = by_itself || range.first <= worker->begun_upto;
        if (ended.returned == 0 && ended.end != End::lost && ran)
            note_progress(now, *worker, by_itself ? range.last : range.first);
        tell(*worker).confirms.insert(range);
    }
    something_changed();
    give_back(*worker, credits);
}

void Dispatcher::send_verdict(Instant now, Seq seq, const Task& task) {
    wire::Verdict verdict;
    verdict.seq = seq;
    verdict.outcome = task.outcome;
    if (task.id) verdict.id = *task.id;
    verdict.attempts = task.started;
    verdict.latency_us = micros(now - task.accepted_at);
    if (task.past != nullptr) {
        verdict.error = task.past->last_error;
        for (const PastAttemptEntry& past : task.past->history) {
            verdict.history.push_back({past.ordinal, past.worker, past.end, past.error});
        }
        if (const auto& refused = task.past->refused) {
            verdict.refused_number = refused->number;
            verdict.refused_byte = refused->byte.value_or(wire::kNoOffset);
            verdict.refused_size = refused->size;
        }
    }
    for (const AttemptId id : task.alive) {
        const WorkerSession* worker = roster_.find(id.session);
        if (task.expired && worker != nullptr)
            verdict.history.push_back({ledger_.attempt(id)->ordinal, worker->name, End::expired, "still running"});
    }
    verdict.message = task.payload;
    if (task.bare) {
        verdict.history.clear();
        verdict.message = {};
    }
    say_to_collector(now, verdict);
}

// ---- out -----------------------------------------------------------------------------------------------------------

template <typename R>
void Dispatcher::say_to_collector(Instant now, const R& record) {
    if (collector_state_ == CollectorState::unknown) return;  // a sync will say it
    to_collector_.add(record);
    if (to_collector_.size() >= wire::kFrameBytes) close_batch(now);
}
template void Dispatcher::say_to_collector(Instant, const wire::Admit&);
template void Dispatcher::say_to_collector(Instant, const wire::SessionGone&);
template void Dispatcher::say_to_collector(Instant, const wire::Lose&);

/// A batch of the stream; it goes with the next flush.
void Dispatcher::close_batch(Instant now) {
    const wire::Envelope envelope{wire::Kind::to_collector, config_.incarnation, collector_, sender_.next_number(),
                                  receiver_.received()};
    sender_.keep(now, to_collector_.finish(envelope));
}

void Dispatcher::flush_collector(Instant now, std::vector<OutFrame>& frames) {
    wire::Envelope envelope{wire::Kind::to_collector, config_.incarnation, collector_, 0, receiver_.received()};
    if (std::exchange(send_sync_, false)) frames.push_back({Road::collector, {}, sync_frame_.copy()});
    if (!to_collector_.empty()) close_batch(now);
    const bool carries_ack = sender_.next_number() != next_batch_;
    next_batch_ = sender_.next_number();
    sender_.send_due(now, config_.heartbeat, [&](const Frame& frame) {
        frames.push_back({Road::collector, {}, frame.copy()});
    });
    if (carries_ack && sender_.all_sent()) ack_at_ = kNever;  // it is in the batch
    if (std::exchange(ping_collector_, false))
        to_collector_.add(wire::BrokerPing{config_.epoch, sender_.next_number() - 1, sender_.digest()});
    const bool ack_due = now >= ack_at_ || (ack_at_ != kNever && drained());  // then nothing may come to carry it
    if (ack_due || !to_collector_.empty()) {
        frames.push_back({Road::collector, {}, to_collector_.finish(envelope)});
        ack_at_ = kNever;
    }
    if (ack_at_ == kNever) acks_owed_ = 0;
}

}  // namespace curfew

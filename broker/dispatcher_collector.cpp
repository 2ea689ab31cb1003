// The dispatcher's part for the collector: what a sync says, and what comes in its stream.
#include <algorithm>
#include <utility>

#include "broker/dispatcher.h"
#include "common/words/mutant.h"

namespace curfew {

void Dispatcher::receive_from_collector(Instant now, const wire::Envelope& envelope) {
    switch (link_.receive(now, envelope, reader_)) {
        case CollectorLink::Asks::nothing: break;
        case CollectorLink::Asks::records: read_batch(now, envelope); break;
        case CollectorLink::Asks::sync: begin_sync(now, false); break;
        case CollectorLink::Asks::exchange: begin_sync(now, true); break;
        case CollectorLink::Asks::another_say: say_otherwise(now); break;
    }
}

void Dispatcher::read_batch(Instant now, const wire::Envelope& envelope) {
    const Epoch epoch = config_.epoch;
    const std::string_view records = reader_.records();
    const auto visit = [&](const auto& record) { on_record(now, record); };
    const wire::Error error = reader_.each<wire::road::ToBroker>(visit);
    counts_.malformed += reader_.strayed();
    if (!link_.read(envelope.number, records, error, reader_.bad_place())) begin_sync(now, false);
    if (const Session session = link_.take_suspect()) disown(now, session);
    if (config_.epoch != epoch) begin_sync(now, true);
}

/// The collector has judged what this session was never given: its worker is wrong, or somebody
/// speaks in its name. Numbers and tasks that are still to come would count as judged. So the
/// session ends, and the collector's knowledge begins anew with ours.
void Dispatcher::disown(Instant now, Session session) {
    ++counts_.surprises;
    WorkerSession* worker = roster_.find(session);
    if (worker != nullptr && !worker->is_leaving()) {
        counts_.complaint = "worker " + worker->name + ", session " + std::to_string(session) +
                            ", which has reported what it was not given";
        refuse(now, *worker);
    }
    begin_sync(now, false);
}

/// The same record of ours could not be read there for the second time. A verdict goes without what
/// may be wrong with it, and of anything else nobody here knows better.
void Dispatcher::say_otherwise(Instant now) {
    const wire::Reader::BadPlace& bad = link_.bad_there();
    Task* task = bad.type == wire::Verdict::kType ? ledger_.task(bad.key) : nullptr;
    if (task == nullptr || std::exchange(task->bare, true)) {
        link_.give_up();
        return;
    }
    begin_sync(now, false);
}

// ---- sync --------------------------------------------------------------------------------------

/// The pair begins anew: all that is between the two is said again behind a sync.
void Dispatcher::begin_sync(Instant now, bool exchange) {
    link_.begin_sync(now);
    forget_old_collector(now);
    wire::Sync sync = make_sync();
    sync.last = ledger_.last_seq();
    const bool asks_for_failed = config_.earlier.again_in.has_value();
    sync.exchange = !exchange ? 0 : !ledger_.is_new() ? 1 : asks_for_failed ? 3 : 2;
    sync.passed = config_.earlier.passed;
    link_.offer(sync);
    for (const Seq seq : ledger_.tasks().sorted_keys()) {
        Task& task = *ledger_.task(seq);
        if (task.state == TaskState::decided && task.by_hearsay) {
            ledger_.reopen(task);
            go_on_after_hearsay(now, seq, task);
            continue;
        }
        if (task.state == TaskState::decided && task.by_verdict) ledger_.ask_again(task);
        if (task.state == TaskState::giving_up) send_verdict(now, seq, task);
    }
}

/// What only the old collector knew is gone with it: results it had not yet written, verdicts it
/// had not yet settled, sessions it was about to refuse. Brings the ledger to where a new collector
/// can take over.
void Dispatcher::forget_old_collector(Instant now) {
    std::vector<Session> leaving;
    for (const auto& [session, worker] : roster_.sessions()) {
        if (worker->is_leaving()) leaving.push_back(session);
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
    ledger_.earlier().forget_decided();
    for (const auto& [session, worker] : roster_.sessions()) recalls_.forget(now, *worker);
    ledger_.sessions().for_each([](Session, const std::unique_ptr<SessionBooks>& books) {
        books->open.for_each([](AttemptNumber, Attempt& attempt) {
            attempt.doubt = 0;
            attempt.lose_asked = false;
        });
    });
}

wire::Sync Dispatcher::make_sync() {
    wire::Sync sync;
    sync.epoch = config_.epoch;
    sync.round = link_.sync_round();
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
        sessions_in_sync_ = session;
        worker->rounds.clear();
    }
    return sync;
}

void Dispatcher::on_record(Instant now, const wire::Synced& synced) {
    if (!link_.synced(now)) return;
    if (begins_again(synced)) return;
    learn_what_it_has(now, synced);
    for (const auto& [session, worker] : roster_.sessions()) {
        // One that came after the sync was made is not in it: its consent is still to come
        const bool is_known = session <= sessions_in_sync_;
        if (is_known && Roster::admitted(*worker)) {
            mail_.to(*worker).welcome();
        } else if (worker->state == SessionState::admitted || worker->state == SessionState::ready) {
            // Where the collector is a new one, the reports are sent again
            mail_.to(*worker).ping();
        }
    }
    beats_.token_now(now);
}

/// What did not complete is tried once more: in a new epoch, as no number has two outcomes. All
/// else is passed there.
/// The sync of that epoch begins when the batch in hand has been read.
bool Dispatcher::begins_again(const wire::Synced& synced) {
    if (!config_.earlier.again_in || !ledger_.is_new()) return false;
    // It is on its way to the sink, which would have it twice
    if (!synced.decided.empty()) return false;
    if (synced.failed.empty()) {
        config_.earlier.again_in.reset();
        return false;
    }
    IntervalSet settled, failed;
    settled.insert(synced.settled);
    failed.insert(synced.failed);
    config_.epoch = *std::exchange(config_.earlier.again_in, std::nullopt);
    config_.earlier.passed = without(settled, failed).intervals();
    mail_.begin_epoch(config_.epoch);
    ledger_.begin_as(config_.earlier.passed, 0);
    return true;
}

/// Before a message is taken, and before work is given out.
void Dispatcher::learn_what_it_has(Instant now, const wire::Synced& synced) {
    if (mutated(Mutant::hearsay_ignored)) return;
    const bool is_truth = synced.remembers != 0 && !mutated(Mutant::memory_not_truth);
    if (ledger_.is_new() && is_truth) ledger_.begin_as(synced.settled, synced.not_completed);
    if (ledger_.is_new()) ledger_.earlier().know_failures(synced.not_completed);
    for (const wire::KnownEnd& known : synced.decided) adopt(now, known);
    for (const Interval& range : synced.settled) {
        ledger_.tasks().for_each_within(range.first, range.last, [&](Seq seq) {
            // One that is not in the list of ends has completed
            if (ledger_.task(seq)->state != TaskState::decided) adopt(now, {seq, Outcome::completed, {}});
            (void)settle(now, seq, ledger_.task(seq)->outcome);
        });
    }
    IntervalSet settled;
    settled.insert(synced.settled);
    for (const wire::KnownEnd& known : synced.decided) {
        // Of messages that are yet to come
        if (settled.contains(known.seq)) (void)ledger_.earlier().settle_decided({known.seq, known.seq}, known.outcome);
    }
    ledger_.earlier().settled(synced.settled, ledger_.last_seq());
}

/// Who had decided it is gone, and has not settled it.
void Dispatcher::go_on_after_hearsay(Instant now, Seq seq, Task& task) {
    if (task.past != nullptr && task.past->refused) {
        give_up(now, seq, task, Outcome::failed, std::string(task.past->last_error));
    } else {
        task_lost_attempt(now, seq, task, End::lost, {});
    }
}

/// The collector has decided this one. Where that was in an earlier life of ours, or its winner has
/// ended meanwhile, nobody here has won.
void Dispatcher::adopt(Instant now, const wire::KnownEnd& known) {
    Task* task = ledger_.task(known.seq);
    if (task == nullptr) {
        if (known.seq > ledger_.last_seq()) ledger_.earlier().decided(known.seq, known.outcome);
        return;
    }
    if (task->state == TaskState::decided) {
        // Its result is there
        if (Attempt* winner = ledger_.attempt(task->winner)) winner->awaited = false;
        return;
    }
    const Attempt* won = known.winner.session == 0 ? nullptr : ledger_.attempt(known.winner);
    if (won != nullptr && won->seq == known.seq) {
        const bool held_credit = decide(now, known.seq, known.winner);
        if (WorkerSession* worker = roster_.find(known.winner.session); worker != nullptr && held_credit)
            roster_.give_back(*worker, 1);
        return;
    }
    ledger_.decide_by_hearsay(*task, known.outcome);
    for (const AttemptId id : task->alive) losers_.add(id);
}

// ---- what comes in the stream ------------------------------------------------------------------

void Dispatcher::on_record(Instant now, const wire::Decided& decided) {
    const Seq last = ledger_.last_seq();
    if (decided.count == 0 || decided.step == 0) {
        ++counts_.surprises;
        return;
    }
    const bool never_accepted = decided.seq > last || decided.count - 1 > (last - decided.seq) / decided.step;
    if (never_accepted) link_.suspect(decided.session);
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
        recalls_.progressed(now, *worker, decided.number + decided.count - 1);
        roster_.give_back(*worker, credits);
    }
}

void Dispatcher::on_record(Instant now, const wire::Settled& settled) {
    for (const Interval& range : settled.seqs) {
        std::uint64_t settled_now = 0;
        ledger_.tasks().for_each_within(range.first, range.last, [&](Seq seq) {
            if (settle(now, seq, settled.outcome)) ++settled_now;
        });
        settled_now += ledger_.earlier().settle_decided(range, settled.outcome);
        if (settled_now <= range.last - range.first) ++counts_.surprises;
    }
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
        if (range.last > books->last_number) link_.suspect(ended.session);
        range.last = std::min(range.last, books->last_number);
        books->open.for_each_within(range.first, range.last, [&](AttemptNumber number) {
            const bool held_credit = ended.returned != 0 ? end_returned(now, *worker, number)
                                                         : end_attempt(now, *worker, number, ended.end, error);
            if (held_credit) ++credits;
        });
        // What was called home may have waited behind others, and frees no slot then; what ended by
        // itself has begun.
        const bool by_itself = ended.end == End::late || ended.end == End::failed;
        const bool ran = by_itself || range.first <= worker->begun_upto;
        if (ended.returned == 0 && ended.end != End::lost && ran)
            recalls_.progressed(now, *worker, by_itself ? range.last : range.first);
        mail_.to(*worker).confirm(range);
    }
    roster_.note_change();
    roster_.give_back(*worker, credits);
}

void Dispatcher::on_record(Instant now, const wire::Admitted& admitted) {
    WorkerSession* worker = roster_.find(admitted.session);
    if (worker == nullptr || !Roster::admitted(*worker)) return;
    worker->last_heard = now;
    mail_.to(*worker).welcome();
}

/// The collector's echo: nothing of this session will be judged any more. What is open is lost,
/// except winners.
void Dispatcher::on_record(Instant now, const wire::Refused& refused) {
    WorkerSession* worker = roster_.find(refused.session);
    if (worker == nullptr || worker->state != SessionState::leaving) return;
    for (const Interval& range : refused.reopened) {
        ledger_.tasks().for_each_within(range.first, range.last, [&](Seq seq) {
            Task& task = *ledger_.task(seq);
            if (task.state == TaskState::decided && task.winner.session == refused.session) ledger_.reopen(task);
        });
    }
    roster_.linger(*worker);
    lose_all(now, *worker);
    close_if_empty(*worker);
}

void Dispatcher::on_record(Instant now, const wire::Answered& answered) {
    if (WorkerSession* worker = roster_.find(answered.session)) recalls_.answered(now, *worker, answered.round);
}

void Dispatcher::on_record(Instant now, const wire::Bye& bye) {
    WorkerSession* worker = roster_.find(bye.session);
    if (worker == nullptr || worker->is_leaving()) return;
    ++counts_.workers_left;
    leave(now, *worker, Departure::left);
}

void Dispatcher::on_record(Instant, const wire::Backlog& backlog) {
    link_.backlog(backlog.bytes);
}

void Dispatcher::on_record(Instant now, const wire::Complaint& complaint) {
    WorkerSession* worker = roster_.find(complaint.session);
    if (worker == nullptr || worker->is_leaving()) return;
    counts_.complaint = "worker " + worker->name + ", session " + std::to_string(complaint.session) + ", " +
                        std::string(complaint.what.substr(0, wire::kErrorBytes));
    refuse(now, *worker);
}

}  // namespace curfew

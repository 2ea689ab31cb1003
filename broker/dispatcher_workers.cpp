// The dispatcher's part for workers: admission, signs of life, loss.
#include <algorithm>
#include <utility>

#include "broker/dispatcher.h"
#include "broker/hearsay.h"
#include "common/words/limits.h"
#include "common/words/mutant.h"

namespace curfew {

void Dispatcher::receive_from_worker(Instant now, const wire::Envelope& envelope) {
    const auto visit = [&](const auto& record) { on_life(now, envelope, record); };
    const wire::Error error = reader_.each<wire::road::Life>(visit);
    counts_.malformed += reader_.strayed();
    if (error == wire::Error::none) return;
    const bool ours = envelope.broker == config_.incarnation;
    on_bad_record(now, ours ? envelope.peer : 0, describe(reader_.bad_place()));
}

/// A worker whose heartbeats cannot be read, again and again, is no use: what it holds is tried
/// elsewhere.
void Dispatcher::on_bad_record(Instant now, Session session, const std::string& what) {
    ++counts_.malformed;
    WorkerSession* worker = roster_.find(session);
    if (worker == nullptr || worker->is_leaving()) return;
    counts_.complaint = "worker " + worker->name + ", session " + std::to_string(session) + ", " + what;
    if (worker->bad.add(now)) refuse(now, *worker);
}

// ---- admission ---------------------------------------------------------------------------------

void Dispatcher::on_life(Instant now, const wire::Envelope&, const wire::Hello& hello) {
    if (!admissions_.is_well_formed(hello)) {
        ++counts_.hellos_malformed;
        ++counts_.malformed;
        return;
    }
    if (!ends_known_session(now, hello)) return;
    if (!admissions_.admits(now, hello.name)) {
        ++counts_.hellos_put_off;
        return;
    }
    WorkerSession& worker = roster_.admit(now, hello);
    beats_.heard(now);
    ledger_.open_session(worker.session);
    link_.say(now, wire::Admit{worker.session, worker.name, worker.pool});
}

/// A session of this name ends where its worker has begun anew. False: the hello is of the session
/// there is, or old.
bool Dispatcher::ends_known_session(Instant now, const wire::Hello& hello) {
    WorkerSession* known = roster_.by_name(hello.name);
    if (known == nullptr) return true;
    if (hello.worker < known->worker || (hello.worker == known->worker && hello.hello < known->hello)) {
        ++counts_.refused;
        return false;
    }
    if (hello.worker == known->worker && hello.hello == known->hello) {
        // The collector's consent may take its time. Who has it and does not become ready is not
        // kept by hellos.
        if (known->state == SessionState::admitting) {
            known->last_heard = now;
        } else {
            mail_.to(*known).welcome();
        }
        return false;
    }
    // It has started anew, or it has given its session up: either way nobody is in the old one.
    const bool died = hello.worker != known->worker;
    if (died) ++counts_.workers_died;
    leave(now, *known, died ? Departure::died : Departure::gone, died);
    return true;
}

void Dispatcher::unreachable(Instant now, Session session) {
    WorkerSession* worker = roster_.find(session);
    if (worker == nullptr || worker->is_leaving()) return;
    admissions_.out_of_sockets(now);
    ++counts_.workers_never_ready;
    leave(now, *worker, Departure::gone);
}

// ---- signs of life -----------------------------------------------------------------------------

void Dispatcher::on_life(Instant now, const wire::Envelope& envelope, const wire::Heartbeat& heartbeat) {
    if (envelope.broker != config_.incarnation) {
        ++counts_.refused;
        return;
    }
    if (!wrong_with(heartbeat).empty()) {
        ++counts_.malformed;
        return;
    }
    WorkerSession* worker = roster_.find(envelope.peer);
    if (worker == nullptr) {
        ++counts_.refused;
        return;
    }
    worker->last_heard = now;
    // It stood still, and starts nothing before it hears that it is still in.
    if (std::exchange(worker->stood, heartbeat.stood) != heartbeat.stood) mail_.to(*worker).ping();
    if (std::exchange(worker->slots_in_service, heartbeat.slots) < heartbeat.slots) roster_.note_change();
    if (heartbeat.credit != 0) {
        if (heartbeat.credit > worker->credit) roster_.note_change();
        worker->credit = heartbeat.credit;
        worker->most_credit = std::max(worker->most_credit, worker->credit);
    }
    roster_.ready(*worker);
    roster_.changed(*worker);
    recalls_.heard(*worker);
    if (worker->is_leaving()) mail_.to(*worker).gone();
}

void Dispatcher::judge_silence(Instant now) {
    if (beats_.silence_due(now)) {
        beats_.look_at_silence();
        for (const auto& [session, worker] : roster_.sessions()) {
            if (worker->is_leaving()) continue;
            if (now < beats_.silent_at(worker->last_heard)) {
                beats_.heard(worker->last_heard);
            } else {
                ++(worker->state == SessionState::ready ? counts_.workers_silent : counts_.workers_never_ready);
                leave(now, *worker, Departure::gone);
            }
        }
    }
    // A session that never had anything to lose is gone at once while there is no collector to ask.
    if (link_.is_known()) return;
    std::vector<Session> empty;
    for (const auto& [session, worker] : roster_.sessions()) {
        if (worker->state == SessionState::leaving) empty.push_back(session);
    }
    for (const Session session : empty) close_if_empty(*roster_.find(session));
}

void Dispatcher::beat(Instant now) {
    if (beats_.token_due(now) && link_.is_synced()) send_token();
    if (!beats_.ping_due(now)) return;
    link_.ping();
    for (const auto& [session, worker] : roster_.sessions()) {
        if (worker->state == SessionState::admitted || worker->state == SessionState::ready) mail_.to(*worker).ping();
    }
}

// ---- loss --------------------------------------------------------------------------------------

void Dispatcher::worker_died(Instant now, std::string_view name, std::uint32_t pid, std::uint64_t lifeline) {
    for (WorkerSession* worker : roster_.of_process(name, pid, lifeline)) {
        ++counts_.workers_died;
        leave(now, *worker, Departure::died, true);
    }
}

/// A worker that means to leave ends its work first: what is still open when it goes may be why.
void Dispatcher::worker_left(Instant now, std::string_view name, std::uint32_t pid, std::uint64_t lifeline) {
    for (WorkerSession* worker : roster_.of_process(name, pid, lifeline)) {
        ++counts_.workers_left;
        leave(now, *worker, Departure::left, true);
    }
}

/// It is of no use, and is not to come back at once.
void Dispatcher::refuse(Instant now, WorkerSession& worker) {
    ++counts_.workers_refused;
    admissions_.refuse(now, worker.name);
    leave(now, worker, Departure::gone);
}

/// `blames`: what ran at its end may be why it has ended.
void Dispatcher::leave(Instant now, WorkerSession& worker, Departure how, bool blames) {
    if (worker.is_leaving()) return;
    roster_.leave(worker, how);
    recalls_.forget(now, worker);
    worker.blames = blames && link_.is_synced();  // else nobody knows what has ended meanwhile
    if (worker.blames && config_.what_ran) ask_what_ran(worker);
    mail_.to(worker).gone();
    link_.say(now, wire::SessionGone{worker.session});
    if (mutated(Mutant::lost_without_echo)) lose_all(now, worker);
}

void Dispatcher::ask_what_ran(WorkerSession& worker) {
    const auto ids = config_.what_ran(worker.name, worker.worker);
    if (!ids) return;
    worker.ran.emplace();
    for (const AttemptId& id : *ids) {
        if (id.session == worker.session) worker.ran->push_back(id.number);
    }
}

namespace {

const char* words_of(Departure how) {
    switch (how) {
        case Departure::gone: return "its worker is gone";
        case Departure::left: return "its worker left";
        case Departure::died: return "its worker died";
    }
    return "?";
}

}  // namespace

/// A death blames what was in the worker's slots. If nobody can say what that was: work starts in
/// the order of the numbers, so the first `slots` of what has no end are taken for it.
void Dispatcher::lose_all(Instant now, WorkerSession& worker) {
    SessionBooks& books = *ledger_.session(worker.session);
    std::uint32_t place = 0;
    for (const AttemptNumber number : books.open.sorted_keys()) {
        const AttemptId id{worker.session, number};
        const Attempt& attempt = *books.open.find(number);
        const bool ran = worker.ran && !mutated(Mutant::innocent_blamed)
                             ? std::ranges::find(*worker.ran, number) != worker.ran->end()
                             : attempt.state != AttemptState::reported && place++ < worker.slots;
        Task* task = ledger_.task(attempt.seq);
        if (task != nullptr && task->state == TaskState::decided && task->winner == id) continue;
        if (task != nullptr && worker.blames && ran) ++task->deaths;
        if (end_attempt(now, worker, number, End::lost, words_of(worker.departure))) --worker.in_flight;
    }
}

void Dispatcher::close_if_empty(WorkerSession& worker) {
    const Session session = worker.session;
    if (!ledger_.session(session)->open.empty()) return;
    tallies_.keep(worker, *ledger_.session(session));
    ledger_.close_session(session);
    roster_.remove(session);
}

}  // namespace curfew

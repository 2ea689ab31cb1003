// The dispatcher's part for workers: admission, signs of life, loss, the token; and what is said to each on a flush.
#include <algorithm>
#include <utility>

#include "broker/dispatcher.h"
#include "broker/hearsay.h"
#include "common/words/limits.h"
#include "common/words/mutant.h"

namespace curfew {
namespace {

constexpr std::size_t kMostRounds = 8;  // of the token, under way for one session

/// Confirmations wait this long for something that has to be said to the worker anyhow.
constexpr Duration kConfirmWithin = std::chrono::milliseconds(5);

/// Two rounds without a trace: one alone could have overtaken the attempt across a reconnect.
constexpr std::uint8_t kDoubtful = 2;

/// Takes the numbers with their memory: after a long turn they are many, and a vector that is kept would never shrink.
void add_cancels(wire::Writer& writer, std::vector<AttemptNumber>&& noted, CancelReason reason,
                 const SessionBooks* books) {
    std::vector<AttemptNumber> numbers = std::move(noted);
    if (numbers.empty()) return;
    // Several rounds of the token may have asked for the same in one turn.
    std::sort(numbers.begin(), numbers.end());
    numbers.erase(std::unique(numbers.begin(), numbers.end()), numbers.end());
    wire::Cancel cancel{reason, {}};
    for (const AttemptNumber number : numbers) {
        // Many a loser has come to its end by itself in the turn in which it was called home.
        const bool open = books != nullptr && books->open.contains(number);
        if (open || reason == CancelReason::lost) append_number(cancel.numbers, number);
    }
    if (!cancel.numbers.empty()) writer.add(cancel);
}

void add_recall(wire::Writer& writer, WorkerSession& worker) {
    if (worker.recall_due.empty()) return;
    std::ranges::sort(worker.recall_due);
    worker.recall_due.erase(std::unique(worker.recall_due.begin(), worker.recall_due.end()), worker.recall_due.end());
    wire::Recall recall{++worker.recall_round, {}};
    for (const AttemptNumber number : worker.recall_due) append_number(recall.numbers, number);
    writer.add(recall);
    worker.recall_due = {};
}

}  // namespace

// ---- admission -----------------------------------------------------------------------------------------------------

void Dispatcher::receive(Instant now, std::string_view frame) {
    wire::Envelope envelope;
    const bool opened = reader_.open(frame, envelope, {wire::Kind::life, wire::Kind::to_broker}) == wire::Error::none;
    if (!opened || (envelope.kind == wire::Kind::life && frame.size() > limits::kLifeFrameBytes)) {
        ++counts_.malformed;
    } else if (envelope.kind == wire::Kind::life) {
        receive_from_worker(now, envelope);
    } else {
        receive_from_collector(now, envelope);
    }
}

void Dispatcher::receive_from_worker(Instant now, const wire::Envelope& envelope) {
    const wire::Error error = reader_.each([&](auto& record) {
        using R = std::decay_t<decltype(record)>;
        if constexpr (std::is_same_v<R, wire::Hello>) {
            on_hello(now, record);
        } else if constexpr (std::is_same_v<R, wire::Heartbeat>) {
            if (envelope.broker == config_.incarnation) {
                on_heartbeat(now, envelope.peer, record);
            } else {
                ++counts_.refused;
            }
        } else {
            ++counts_.malformed;
        }
    });
    if (error == wire::Error::none) return;
    const bool ours = envelope.broker == config_.incarnation;
    on_bad_record(now, ours ? envelope.peer : 0, describe(reader_.bad_place()));
}

/// A worker whose heartbeats cannot be read, again and again, is no use: what it holds is tried elsewhere.
void Dispatcher::on_bad_record(Instant now, Session session, const std::string& what) {
    ++counts_.malformed;
    WorkerSession* worker = roster_.find(session);
    if (worker == nullptr || worker->state >= SessionState::leaving) return;
    complaint_ = "worker " + worker->name + ", session " + std::to_string(session) + ", " + what;
    if (worker->bad.add(now)) refuse(now, *worker);
}

void Dispatcher::on_hello(Instant now, const wire::Hello& hello) {
    if (const std::string_view wrong = wrong_with(hello); !wrong.empty()) {
        wrong_hello_ = {std::string(hello.name.substr(0, limits::kNameBytes)), wrong};
        ++counts_.hellos_malformed;
        ++counts_.malformed;
        return;
    }
    if (WorkerSession* known = roster_.by_name(hello.name)) {
        if (hello.worker < known->worker || (hello.worker == known->worker && hello.hello < known->hello)) {
            ++counts_.refused;
            return;
        }
        if (hello.worker == known->worker && hello.hello == known->hello) {
            // The collector's consent may take its time. Who has it and does not become ready is
            // not kept by hellos.
            if (known->state == SessionState::admitting) {
                known->last_heard = now;
            } else {
                tell(*known).welcome_due = true;
            }
            return;
        }
        // It has started anew, or it has given its session up: either way nobody is in the old one.
        const bool died = hello.worker != known->worker;
        if (died) ++counts_.workers_died;
        leave(now, *known, died ? Departure::died : Departure::gone, died);
    }
    if (!has_room(now) || is_refused(now, hello.name)) {
        ++counts_.hellos_put_off;
        return;
    }
    WorkerSession& worker = roster_.admit(now, hello);
    silence_at_ = std::min(silence_at_, now + 3 * config_.heartbeat);
    ledger_.open_session(worker.session);
    link_changes_.push_back({worker.session, true, worker.tasks_endpoint, worker.control_endpoint});
    if (collector_state_ != CollectorState::unknown) {
        say_to_collector(now, wire::Admit{worker.session, worker.name, worker.pool});
    }
}

/// For one more session.
bool Dispatcher::has_room(Instant now) const {
    if (now < room_at_) return false;
    const auto newcomers = std::ranges::count_if(roster_.sessions(), [&](const auto& entry) {
        const WorkerSession& worker = *entry.second;
        const bool leaves = worker.state == SessionState::leaving && ledger_.session(worker.session)->last_number == 0;
        return worker.state < SessionState::ready || leaves;
    });
    return static_cast<std::size_t>(newcomers) < kMostNewcomers;
}

void Dispatcher::unreachable(Instant now, Session session) {
    WorkerSession* worker = roster_.find(session);
    if (worker == nullptr || worker->state >= SessionState::leaving) return;
    room_at_ = now + config_.heartbeat / 4;  // what one lacked, the next would lack too
    ++counts_.workers_never_ready;
    leave(now, *worker, Departure::gone);
}

void Dispatcher::on_record(Instant now, const wire::Admitted& admitted) {
    WorkerSession* worker = roster_.find(admitted.session);
    if (worker == nullptr || worker->state != SessionState::admitting) return;
    worker->state = SessionState::admitted;
    worker->last_heard = now;
    tell(*worker).welcome_due = true;
}

void Dispatcher::on_heartbeat(Instant now, Session session, const wire::Heartbeat& heartbeat) {
    if (!wrong_with(heartbeat).empty()) {
        ++counts_.malformed;
        return;
    }
    WorkerSession* worker = roster_.find(session);
    if (worker == nullptr) {
        ++counts_.refused;
        return;
    }
    worker->last_heard = now;
    // It stood still, and starts nothing before it hears that it is still in.
    if (std::exchange(worker->stood, heartbeat.stood) != heartbeat.stood) tell(*worker).ping_due = true;
    if (std::exchange(worker->slots_in_service, heartbeat.slots) < heartbeat.slots) something_changed();
    if (heartbeat.credit != 0) {
        if (heartbeat.credit > worker->credit) something_changed();
        worker->credit = heartbeat.credit;
        worker->most_credit = std::max(worker->most_credit, worker->credit);
    }
    if (worker->state == SessionState::admitted) {
        worker->state = SessionState::ready;
        something_changed();
    }
    roster_.changed(*worker);
    if (worker->holds_more_than_slots()) stand_look_at_ = std::min(stand_look_at_, worker->quiet_since + kStands);
    if (worker->state >= SessionState::leaving) tell(*worker).gone_due = true;
}

// ---- loss ----------------------------------------------------------------------------------------------------------

void Dispatcher::judge_silence(Instant now) {
    if (now >= silence_at_) {
        silence_at_ = kNever;
        for (const auto& [session, worker] : roster_.sessions()) {
            if (worker->state >= SessionState::leaving) continue;
            const Instant silent_at = worker->last_heard + 3 * config_.heartbeat;
            if (now < silent_at) {
                silence_at_ = std::min(silence_at_, silent_at);
            } else {
                ++(worker->state == SessionState::ready ? counts_.workers_silent : counts_.workers_never_ready);
                leave(now, *worker, Departure::gone);
            }
        }
    }
    // A session that never had anything to lose is gone at once while there is no collector to ask.
    if (collector_state_ != CollectorState::unknown) return;
    std::vector<Session> empty;
    for (const auto& [session, worker] : roster_.sessions()) {
        if (worker->state == SessionState::leaving) empty.push_back(session);
    }
    for (const Session session : empty) close_if_empty(*roster_.find(session));
}

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

void Dispatcher::on_record(Instant now, const wire::Bye& bye) {
    WorkerSession* worker = roster_.find(bye.session);
    if (worker == nullptr || worker->state >= SessionState::leaving) return;
    ++counts_.workers_left;
    leave(now, *worker, Departure::left);
}

void Dispatcher::leave(Instant now, WorkerSession& worker, Departure how, bool blames) {
    if (worker.state >= SessionState::leaving) return;
    worker.state = SessionState::leaving;
    roster_.changed(worker);
    end_all_recalls(now, worker);
    worker.departure = how;
    worker.blames = blames && collector_synced();  // else nobody knows what has ended meanwhile
    if (worker.blames && config_.what_ran) {
        if (const auto ids = config_.what_ran(worker.name, worker.worker)) {
            worker.ran.emplace();
            for (const AttemptId& id : *ids) {
                if (id.session == worker.session) worker.ran->push_back(id.number);
            }
        }
    }
    tell(worker).gone_due = true;
    if (collector_state_ != CollectorState::unknown) say_to_collector(now, wire::SessionGone{worker.session});
    if (mutated(Mutant::lost_without_echo)) lose_all(now, worker);
}

/// The collector's echo: nothing of this session will be judged any more. What is open is lost, but for winners.
void Dispatcher::on_record(Instant now, const wire::Refused& refused) {
    WorkerSession* worker = roster_.find(refused.session);
    if (worker == nullptr || worker->state != SessionState::leaving) return;
    for (const Interval& range : refused.reopened) {
        ledger_.tasks().for_each_within(range.first, range.last, [&](Seq seq) {
            Task& task = *ledger_.task(seq);
            if (task.state == TaskState::decided && task.winner.session == refused.session) ledger_.reopen(task);
        });
    }
    worker->state = SessionState::lingering;
    lose_all(now, *worker);
    close_if_empty(*worker);
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

/// A death blames what was in the worker's slots. If nobody can say what that was: work starts in the order of the
/// numbers, so the first `slots` of what has no end are taken for it.
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
    ledger_.close_session(session);
    link_changes_.push_back({session, false, {}, {}});
    roster_.remove(session);
}

// ---- the token -----------------------------------------------------------------------------------------------------

namespace {

/// What a worker says it holds, ready to be asked about numbers that rise.
class Held {
public:
    explicit Held(const wire::TokenReport& token)
        : unfinished_(set_of(token.queued, token.running)),
          running_(set_of(token.running)),
          cancelling_(set_of(token.cancelling)),
          reported_(set_of(token.reported)) {}

    [[nodiscard]] bool unfinished(AttemptNumber number) { return in_unfinished_.contains(number); }
    [[nodiscard]] bool running(AttemptNumber number) { return in_running_.contains(number); }
    [[nodiscard]] bool cancelling(AttemptNumber number) { return in_cancelling_.contains(number); }
    [[nodiscard]] bool reported(AttemptNumber number) { return in_reported_.contains(number); }
    [[nodiscard]] const IntervalSet& all_reported() const { return reported_; }

private:
    /// The ranges came from the wire: in any order.
    static IntervalSet set_of(const Intervals& some, const Intervals& more = {}) {
        IntervalSet set;
        if (more.empty()) {
            set.insert(some);
            return set;
        }
        Intervals both = some;
        both.insert(both.end(), more.begin(), more.end());
        set.insert(both);
        return set;
    }

    const IntervalSet unfinished_, running_, cancelling_, reported_;
    IntervalCursor in_unfinished_{unfinished_}, in_running_{running_}, in_cancelling_{cancelling_},
        in_reported_{reported_};
};

}  // namespace

void Dispatcher::on_record(Instant now, const wire::TokenReport& token) {
    WorkerSession* worker = roster_.find(token.session);
    if (worker == nullptr || worker->state != SessionState::ready) return;
    const auto round = std::ranges::find(worker->rounds, token.round, &TokenRound::round);
    if (round == worker->rounds.end()) return;
    const AttemptNumber upto = round->upto;
    count_token(now, *worker, token.round);
    worker->rounds.erase(worker->rounds.begin(), round + 1);

    tell(*worker);
    const std::size_t asked_before = worker->resends.size();
    Held held(token);
    wire::Lose lose{token.session, {}};
    SessionBooks& books = *ledger_.session(token.session);
    books.open.for_each_in_order([&](AttemptNumber number, Attempt& attempt) {
        if (number > upto) return;
        const Task* task = attempt.state == AttemptState::reported ? ledger_.task(attempt.seq) : nullptr;
        if (task != nullptr && task->winner == AttemptId{token.session, number}) {
            // The collector that has decided by it has its result; a newer one may still need it.
            if (attempt.awaited && held.reported(number) && ++attempt.doubt >= kDoubtful) {
                attempt.doubt = 0;
                worker->resends.insert(number);
            }
        } else if (held.unfinished(number)) {
            attempt.doubt = 0;
            if (attempt.state == AttemptState::queued && held.running(number)) {
                attempt.state = AttemptState::running;
                worker->begun_upto = std::max(worker->begun_upto, number);
            } else if (attempt.state == AttemptState::cancelling) {  // the cancel was lost on the way
                (attempt.reason == CancelReason::decided ? worker->cancels_decided : worker->cancels_deadline)
                    .push_back(number);
            }
        } else if (held.cancelling(number)) {
            attempt.doubt = 0;
        } else if (attempt.reported_there = held.reported(number); ++attempt.doubt >= kDoubtful) {
            attempt.doubt = 0;
            if (held.reported(number)) {
                worker->resends.insert(number);
            } else if (!std::exchange(attempt.lose_asked, true)) {
                append_number(lose.numbers, number);
                worker->cancels_lost.push_back(number);
            }
        }
    });
    // Reports of attempts that have ended: the confirmation was lost on the way.
    for (const Interval& both : common_to(books.ended, held.all_reported())) worker->confirms.insert(both);
    counts_.resends_asked += worker->resends.size() - asked_before;
    if (!lose.numbers.empty()) say_to_collector(now, lose);
}

// ---- each beat, each flush -----------------------------------------------------------------------------------------

void Dispatcher::beat(Instant now) {
    const bool token_due = now >= token_at_;
    if (token_due) token_at_ = now + config_.heartbeat;
    if (token_due && collector_synced()) {
        for (const auto& [session, worker] : roster_.sessions()) {
            if (worker->state != SessionState::ready || worker->tasks_blocked) continue;
            worker->rounds.push_back({++worker->round, ledger_.session(session)->last_number});
            if (worker->rounds.size() > kMostRounds) worker->rounds.pop_front();
            tell(*worker).tasks.add(wire::Token{worker->round});
        }
    }
    if (now < ping_at_) return;
    ping_at_ = now + config_.heartbeat / 2;
    ping_collector_ = true;
    for (const auto& [session, worker] : roster_.sessions()) {
        if (worker->state == SessionState::admitted || worker->state == SessionState::ready) {
            tell(*worker).ping_due = true;
        }
    }
}

void Dispatcher::set_blocked(Session session, Road road, bool blocked) {
    WorkerSession* worker = roster_.find(session);
    if (worker == nullptr) return;
    (road == Road::tasks ? worker->tasks_blocked : worker->control_blocked) = blocked;
    roster_.changed(*worker);
    tell(*worker);
    something_changed();
}

WorkerSession& Dispatcher::tell(WorkerSession& worker) {
    if (!std::exchange(worker.has_news, true)) news_.push_back(worker.session);
    return worker;
}

bool Dispatcher::release_confirmations(Instant now) {
    if (now < confirm_at_ && !drained()) return false;
    confirm_at_ = kNever;
    for (const Session session : unconfirmed_) {
        WorkerSession* worker = roster_.find(session);
        if (worker != nullptr) tell(*worker).confirms_wait = false;
    }
    unconfirmed_.clear();
    return true;
}

void Dispatcher::flush_cancels(Instant now, std::vector<OutFrame>& frames) {
    call_losers_home(now);
    for (const Session session : news_) {
        WorkerSession* worker = roster_.find(session);
        if (worker != nullptr && worker->has_cancels()) flush_control(now, *worker, false, frames);
    }
}

void Dispatcher::flush(Instant now, std::vector<OutFrame>& frames) {
    flush_cancels(now, frames);
    roster_.next_turn();
    const bool confirm = release_confirmations(now);
    std::vector<Session> news = std::exchange(news_, {});
    std::sort(news.begin(), news.end());
    for (const Session session : news) {
        if (WorkerSession* worker = roster_.find(session)) flush_control(now, *worker, confirm, frames);
    }
    for (SharedBatches::Out& out : shared_.flush()) {
        frames.push_back({Road::tasks, std::move(out.sessions), std::move(out.bytes)});
    }
    for (const Session session : news) {
        WorkerSession* worker = roster_.find(session);
        if (worker == nullptr) continue;
        worker->has_news = false;
        if (!worker->tasks.empty())
            worker->task_frames.push_back(
                worker->tasks.finish({wire::Kind::tasks, config_.incarnation, session, 0, 0}));
        for (Frame& frame : worker->task_frames) frames.push_back({Road::tasks, {session}, std::move(frame)});
        worker->task_frames.clear();
    }
    flush_collector(now, frames);
}

void Dispatcher::flush_control(Instant now, WorkerSession& worker, bool confirm, std::vector<OutFrame>& frames) {
    if (worker.control_blocked) return;  // set_blocked() will call it up again
    wire::Writer control;
    const SessionBooks* books = ledger_.session(worker.session);
    const Incarnation collector = collector_synced() ? collector_ : 0;
    if (std::exchange(worker.welcome_due, false)) {
        control.add(wire::Welcome{worker.worker, worker.hello, config_.epoch, collector});
    }
    if (std::exchange(worker.ping_due, false)) control.add(wire::Ping{collector, ending() ? 1U : 0U, worker.stood});
    add_cancels(control, std::move(worker.cancels_decided), CancelReason::decided, books);
    add_cancels(control, std::move(worker.cancels_deadline), CancelReason::deadline, books);
    add_cancels(control, std::move(worker.cancels_lost), CancelReason::lost, books);
    add_recall(control, worker);
    if (!worker.resends.empty()) control.add(wire::Resend{worker.resends.intervals()});
    worker.resends.clear();
    if (!worker.confirms.empty()) {
        if (control.empty() && !confirm && worker.state == SessionState::ready) {
            if (!std::exchange(worker.confirms_wait, true)) unconfirmed_.push_back(worker.session);
            confirm_at_ = std::min(confirm_at_, now + kConfirmWithin);
            return;
        }
        control.add(wire::Confirm{worker.confirms.intervals()});
        worker.confirms.clear();
    }
    if (std::exchange(worker.gone_due, false)) control.add(wire::Gone{});  // last: it ends the session there
    if (control.empty()) return;
    frames.push_back({Road::control,
                      {worker.session},
                      control.finish({wire::Kind::control, config_.incarnation, worker.session, 0, 0})});
}

}  // namespace curfew

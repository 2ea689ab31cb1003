// The laws: what holds after each step, what holds now and then, what holds at the end.
#include <algorithm>
#include <numeric>
#include <set>

#include "tests/simulation/world.h"

namespace curfew::simulation {

using namespace std::chrono_literals;

void World::check_step() {
    if (broker_ == nullptr || ++steps_ % check_every_ != 0) return;
    if (!broker_->ledger().books().balanced()) fail("the books do not balance");
    // Frames are lost and come twice here, none is damaged
    if (broker_->counts().malformed > 0) fail("the broker took a frame of its own group for wrong");
    if (judge_ != nullptr && judge_->counts().malformed > 0)
        fail("the collector took a frame of its own group for wrong: " + judge_->take_complaint());
    for (const auto& worker : workers_)
        if (worker->up && worker->core->counts().malformed > 0) fail("a worker took a frame of its group for wrong");
    if (broker_->counts().surprises > 0) fail("the broker was surprised by the collector");
    if (broker_->ledger().tasks_in_flight() > scenario_.broker.window) fail("more tasks in flight than the window has");
    for (const auto& [session, worker] : broker_->roster().sessions()) {
        const SessionBooks* books = broker_->ledger().session(session);
        if (books == nullptr) return fail("a session without books");
        if (worker->in_flight > worker->most_credit) return fail("more in flight than the credit");
        if (worker->reserved > 0 && worker->in_flight + worker->reserved > worker->slots)
            return fail("a slot that a recall holds was given away");
    }
    if (steps_ >= next_recount_) {
        check_all();
        // As rare as it is dear: the laws never cost more than the world that they judge.
        next_recount_ = steps_ + std::max<std::uint64_t>(64 * check_every_, broker_->ledger().attempts_in_flight());
    }
}

/// All of it, counted anew.
void World::check_all() {
    if (const auto wrong = broker_->ledger().audit()) fail(*wrong);
    for (const auto& [session, worker] : broker_->roster().sessions()) {
        std::size_t holding = 0;
        broker_->ledger().session(session)->open.for_each([&](AttemptNumber, const Attempt& attempt) {
            holding += attempt.state != AttemptState::reported;
            const Task* task = broker_->ledger().task(attempt.seq);
            if (task != nullptr && attempt.started_at > task->deadline_at) {
                fail("an attempt was started past its task's deadline");
            }
        });
        if (holding != worker->in_flight) fail("a credit was lost or made up");
    }
    broker_->ledger().tasks().for_each([&](Seq, const Task& task) {
        if (task.alive.size() > scenario_.broker.fanout) fail("more attempts alive than the fanout");
        for (const AttemptId id : task.alive) {
            const auto there = std::ranges::count(task.alive, id.session, &AttemptId::session);
            const WorkerSession* worker = broker_->roster().find(id.session);
            if (worker != nullptr && there > worker->together)
                fail("more attempts of a task at a worker than it takes");
        }
    });
    for (const auto& worker : workers_) check_lease(*worker);
}

/// Right after the broker's turn: whatever was due has been done. False: it was not looked at.
bool World::check_timers() {
    if (++broker_turns_ < next_timer_check_) return false;
    next_timer_check_ =
        broker_turns_ + std::max<std::uint64_t>(16 * check_every_, broker_->ledger().tasks_in_flight() / 4);
    broker_->ledger().tasks().for_each([&](Seq, const Task& task) {
        if (task.state != TaskState::open || task.expired) return;
        if (task.deadline_at <= here(broker_process_)) fail("a deadline was missed");
        if (task.hedge_at <= here(broker_process_) && broker_->hedging().has_token())
            fail("a hedge that is due was not started");
    });
    return true;
}

bool World::may_run_at(const Task& task, const WorkerSession& worker) const {
    const bool has_one = std::ranges::any_of(task.alive, [&](AttemptId id) { return id.session == worker.session; });
    const bool failed_there = task.past != nullptr && std::ranges::any_of(task.past->history, [&](const auto& past) {
                                  return past.worker == worker.name;
                              });
    return !has_one && !failed_there;
}

/// With `--hedge idle`, when the turn is over: no slot is free on which a task could be hedged,
/// unless something waits behind a slot, or the broker has more to do.
void World::check_idle_slots() {
    if (!broker_->hedging().idle() || scenario_.workers > 100) return;
    check_hedges_began_last();
    const auto& sessions = broker_->roster().sessions();
    const bool queue = std::ranges::any_of(sessions, [](const auto& entry) { return entry.second->has_a_queue(); });
    const bool more = broker_->wants_message() && has_messages() && next_message_at_ <= now_;
    if (queue || more || broker_->next_deadline() == Instant::min()) return;
    broker_->ledger().tasks().for_each([&](Seq, const Task& task) {
        if (task.state != TaskState::open || task.expired || task.cancelled || task.released != task.started) return;
        if (task.alive.empty() || task.alive.size() >= scenario_.broker.fanout) return;
        if (std::ranges::any_of(task.alive, [&](AttemptId id) {
                return broker_->ledger().session(id.session)->open.find(id.number)->recalled;
            }))
            return;
        for (const auto& [session, worker] : sessions) {
            if (worker->has_free_slot() && may_run_at(task, *worker)) fail("a slot is idle, and a task is not hedged");
        }
    });
}

/// No hedge took a slot in this turn that something else could have had.
void World::check_hedges_began_last() {
    const Instant now = here(broker_process_);
    std::vector<const WorkerSession*> got_hedges;
    std::vector<const Task*> waited;
    for (const auto& [session, worker] : broker_->roster().sessions()) {
        broker_->ledger().session(session)->open.for_each([&](AttemptNumber, const Attempt& attempt) {
            if (attempt.started_at != now) return;
            const Task* task = broker_->ledger().task(attempt.seq);
            // One that came back is started anew where nothing else of its task is alive
            if (attempt.hedge && task != nullptr && task->alive.size() > 1) got_hedges.push_back(worker.get());
            if (!attempt.hedge && worker->has_a_queue() && task != nullptr) waited.push_back(task);
        });
    }
    broker_->ledger().tasks().for_each([&](Seq, const Task& task) {
        const bool may_start = task.state == TaskState::open && !task.expired && !task.cancelled;
        if (may_start && task.released > task.started && task.alive.size() < scenario_.broker.fanout)
            waited.push_back(&task);
    });
    for (const WorkerSession* worker : got_hedges) {
        for (const Task* task : waited) {
            if (may_run_at(*task, *worker)) fail("a hedge took a slot that something waited for");
        }
    }
}

/// Whoever has lost is called home in the same turn; that of a quick worker, two ticks later.
void World::check_losers() {
    std::map<AttemptId, Instant> before;
    std::swap(before, at_large_);
    broker_->ledger().sessions().for_each([&](Session session, const std::unique_ptr<SessionBooks>& books) {
        books->open.for_each([&](AttemptNumber number, const Attempt& attempt) {
            const Task* task = broker_->ledger().task(attempt.seq);
            const bool lost = task == nullptr || task->state == TaskState::decided;
            if (!lost || attempt.state >= AttemptState::cancelling) return;
            const AttemptId id{session, number};
            const auto known = before.find(id);
            at_large_[id] = known == before.end() ? here(broker_process_) : known->second;
            if (here(broker_process_) > at_large_[id] + 2ms) fail("a loser was not called home");
        });
    });
}

/// Seen from outside: a slot of an unpaused worker in its session would start work now, nothing is
/// on its way there or promised to it, and no attempt of the task is alive there.
bool World::has_free_slot_for(const Task& task) const {
    return std::ranges::any_of(workers_, [&](const auto& worker) {
        if (!worker->up || worker->paused_until > now_) return false;
        const WorkerCore& core = *worker->core;
        const WorkerSession* session =
            core.broker() == broker_process_.incarnation ? broker_->roster().find(core.session()) : nullptr;
        if (session == nullptr || core.in_doubt()) return false;
        const bool free = session->has_free_slot() && core.busy_slots() < core.slots().size();
        if (!free && !session->moves()) return false;  // quick work that moves is as good
        if (broker_->roster().shuns(task, *session)) return false;
        return std::ranges::none_of(task.alive, [&](AttemptId id) { return id.session == session->session; });
    });
}

/// What a person has cancelled stays so, also when its task is open again.
void World::check_cancelled() {
    for (const auto& [seq, started] : cancelled_) {
        const Task* task = broker_->ledger().task(seq);
        if (task != nullptr && task->started > started) fail("a task that was cancelled was started again");
    }
}

/// No attempt that has not begun and a free slot that may run it exist together for
/// longer than the broker takes to see that it stands and to fetch it, while no work ends at its
/// worker.
void World::check_standing() {
    if (scenario_.workers > 100) return;  // each pair of them is looked at
    std::map<AttemptId, Waiting> before;
    std::swap(before, waiting_);
    // What is returned comes by way of the collector, which may have missed batches before it was
    // paused.
    const bool heard = collector_process_.up && collector_process_.paused_until <= now_ && judge_->synced() &&
                       broker_->collector() == judge_->incarnation();
    if (!heard) return disturb(stream_torn_ ? kStreamMends : 0ms);
    stream_torn_ = stream_torn_ && now_ < calm_since_;
    // What the collector has said is still to be said again, a window each time: the broker does
    // not know what has ended.
    constexpr std::size_t kUnderWay = 16;
    if (judge_->unacknowledged() > kUnderWay) return disturb();
    for (Node node = kFirstWorker; node < kFirstWorker + workers_.size(); ++node) {
        const WorkerProcess& worker = *workers_[node - kFirstWorker];
        // What was said in a cut comes when it is over, however long nothing more is said.
        if (is_cut(node, kCollector) || is_cut(kBroker, node)) disturb();
        if (worker.up && worker.paused_until <= now_ && !worker.core->held().empty())
            check_standing_at(*worker.core, before);
    }
}

bool World::is_cut(Node from, Node to) const {
    const auto cut = cut_until_.find({from, to});
    return cut != cut_until_.end() && now_ < cut->second;
}

/// `before`: what waited when it was looked at last.
void World::check_standing_at(const WorkerCore& core, const std::map<AttemptId, Waiting>& before) {
    if (core.broker() != broker_process_.incarnation || core.in_doubt()) return;
    const WorkerSession* session = broker_->roster().find(core.session());
    if (session == nullptr || session->state != SessionState::ready) return;
    const Duration bound = 12ms + 60 * scenario_.latency;
    const auto& reports = core.counts().reports;
    const std::uint64_t ends = std::accumulate(reports.begin(), reports.end(), std::uint64_t{0});
    core.held().for_each([&](AttemptNumber number, const HeldAttempt& held) {
        const Task* task = held.state == AttemptState::queued ? broker_->ledger().task(held.seq) : nullptr;
        const AttemptId id{core.session(), number};
        // What was called home waits for its cancel; its task may be open again.
        const Attempt* known_there = broker_->ledger().session(core.session())->open.find(number);
        if (known_there == nullptr || known_there->state == AttemptState::cancelling) return;
        if (task == nullptr || task->state != TaskState::open || task->expired || !has_free_slot_for(*task)) return;
        const auto known = before.find(id);
        const bool goes_on = known != before.end() && known->second.ends == ends;
        waiting_[id] = goes_on ? known->second : Waiting{now_, ends};
        // A recall that was lost is said again after a while.
        if (now_ - std::max(waiting_[id].since, calm_since_ + 60ms) > bound) {
            fail("an attempt stands behind a busy slot while another is free: " + std::to_string(id.session) + "." +
                 std::to_string(number) + " of task " + std::to_string(held.seq));
        }
    });
}

/// No work runs that nobody waits for, for longer than the lease and what a late ping
/// may add to it.
void World::check_lease(WorkerProcess& worker) {
    const bool runs = worker.up && worker.paused_until <= now_ &&
                      std::ranges::any_of(worker.core->slots(), [](const SlotState& slot) {
                          return slot.attempt.number != 0 && !slot.stopping;
                      });
    const auto awaited = [&] {
        if (!broker_process_.up || worker.core->broker() != broker_process_.incarnation) return false;
        const WorkerSession* session = broker_->roster().find(worker.core->session());
        return session != nullptr && session->state < SessionState::leaving;
    };
    const std::pair session{worker.incarnation, worker.up ? worker.core->counts().sessions : 0};
    if (!runs || awaited()) {
        worker.unawaited_since = kNever;
    } else if (worker.unawaited_since == kNever || worker.unawaited_session != session) {
        worker.unawaited_since = now_;
        worker.unawaited_session = session;
    } else if (now_ - std::max(worker.unawaited_since, worker.paused_until) > 2500ms + 3000 * scenario_.latency) {
        fail("work runs that nobody waits for");
    }
}

void World::note_given_up() {
    for (const auto& [session, node] : links_) {
        const WorkerSession* known = broker_->roster().find(session);
        if (known == nullptr || known->state >= SessionState::leaving) given_up_.try_emplace(session, now_);
    }
}

/// For longer than the lease and what a late ping may add to it, also by a worker that has stood
/// still.
bool World::was_given_up(const WorkerProcess& worker) const {
    if (worker.core->broker() != broker_process_.incarnation) return false;
    const auto at = given_up_.find(worker.core->session());
    return at != given_up_.end() && now_ - at->second > 2500ms + 3000 * scenario_.latency;
}

bool World::drained() const {
    if (!well() || has_messages() || broker_ == nullptr || judge_ == nullptr) return false;
    if (broker_->ledger().tasks_in_flight() > 0 || broker_->ledger().attempts_in_flight() > 0) return false;
    if (broker_->to_collector().unacknowledged() > 0 || judge_->unacknowledged() > 0) return false;
    return std::ranges::all_of(workers_, [&](const auto& worker) {
        return worker->up && worker->core->broker() == broker_process_.incarnation && worker->core->held().empty() &&
               worker->handler->running() == 0 && worker->core->session() != 0;
    });
}

/// A story has each attempt of its task once, and its times go on.
void World::check_stories() {
    for (Seq seq = 1; seq <= broker_->ledger().last_seq(); ++seq) {
        const Story* story = broker_->stories().find(seq);
        if (story == nullptr) continue;
        if (story->settled_at == kNever) return fail("a story of a task that is no more has no outcome");
        std::set<AttemptId> ids(story->open.begin(), story->open.end());
        std::uint64_t all = story->open.size() + story->left_out, won = 0;
        for (const ToldAttempt& told : story->attempts) {
            if (!ids.insert(told.id).second) fail("a story has an attempt twice");
            if (!told.moved) ++all;
            if (told.end == End::won) ++won;
            if (told.was.started_at < story->accepted_at || told.ended_at < told.was.started_at)
                fail("the times of a story go back");
        }
        if (all != story->started)
            fail("a story has " + std::to_string(all) + " attempts, its task had " + std::to_string(story->started) +
                 ": " + std::to_string(seq));
        if (won > (story->outcome == Outcome::completed ? 1 : 0)) fail("a story has too many winners");
    }
}

void World::check_end() {
    if (const auto wrong = broker_->ledger().audit()) fail(*wrong);
    check_stories();
    const Scenario& s = scenario_;
    const bool nothing_can_be_lost = s.drop + s.overtake + s.cut + s.pause + s.crash_worker + s.crash_broker == 0;
    if (nothing_can_be_lost && broker_->ledger().books().of(End::lost) > 0) fail("an attempt was lost without a fault");
    const bool one_session =
        std::ranges::all_of(workers_, [](const auto& w) { return w->core->counts().sessions == 1; });
    if (nothing_can_be_lost && s.crash_collector == 0 && !one_session)
        fail("a worker that was never gone was admitted again");
    if (judge_->decided() > 0) fail("the collector still holds decided tasks");
    for (const std::uint32_t count : outcomes_) {
        if (count == 0) return fail("a message has no outcome");
    }
    if (sink_.lines().contains(0)) fail("the output has what is no outcome");
    // The books between the processes, for the sessions that are alive.
    for (const auto& worker : workers_) {
        const WorkerCore& core = *worker->core;
        const SessionBooks* books = broker_->ledger().session(core.session());
        if (books == nullptr || core.counts().sessions != 1) continue;
        const auto ends = [&](End end) { return books->ends[static_cast<std::size_t>(end)]; };
        const auto said = [&](ReportKind kind) { return core.counts().reports[static_cast<std::size_t>(kind)]; };
        if (ends(End::lost) > 0) continue;
        if (books->last_number != core.counts().received) fail("sent is not received");
        if (said(ReportKind::ok) + said(ReportKind::late) != ends(End::won) + ends(End::late))
            fail("won and late differ");
        if (said(ReportKind::failed) + said(ReportKind::rejected) != ends(End::failed)) fail("failed differs");
        if (said(ReportKind::cancelled) + said(ReportKind::returned) != ends(End::cancelled)) fail("cancelled differs");
        if (said(ReportKind::expired) != ends(End::expired)) fail("expired differs");
        const auto* judged = judge_->ends_of(core.session());
        if (collector_crashes_ + resyncs_ == 0 && judged != nullptr && *judged != books->ends)
            fail("the collector's ends differ");
    }
}

}  // namespace curfew::simulation

#include "broker/roster.h"

#include <algorithm>

namespace curfew {
namespace {

/// Of work that has been called home: nobody says more, and what is added to a time of our clock
/// stays one.
constexpr std::uint64_t kMostPatienceUs = 24ULL * 3600 * 1'000'000;

}  // namespace

std::string_view name_of(SessionState state) {
    switch (state) {
        case SessionState::admitting: return "admitting";
        case SessionState::admitted: return "admitted";
        case SessionState::ready: return "ready";
        case SessionState::leaving: return "leaving";
        case SessionState::lingering: return "lingering";
    }
    return "?";
}

WorkerSession* Roster::by_name(std::string_view name) {
    for (auto at = sessions_.rbegin(); at != sessions_.rend(); ++at) {
        WorkerSession* worker = at->second.get();
        if (worker->name == name && worker->state < SessionState::leaving) return worker;
    }
    return nullptr;
}

std::vector<WorkerSession*> Roster::of_process(std::string_view name, std::uint32_t pid, std::uint64_t lifeline) {
    std::vector<WorkerSession*> found;
    for (const auto& [session, worker] : sessions_) {
        const bool named = worker->lifeline != 0 && lifeline != 0 ? worker->lifeline == lifeline
                                                                  : worker->name == name && worker->pid == pid;
        if (named && worker->state < SessionState::leaving) found.push_back(worker.get());
    }
    return found;
}

WorkerSession* Roster::find(Session session) {
    WorkerSession* const* worker = by_session_.find(session);
    return worker == nullptr ? nullptr : *worker;
}

const WorkerSession* Roster::find(Session session) const {
    WorkerSession* const* worker = by_session_.find(session);
    return worker == nullptr ? nullptr : *worker;
}

WorkerSession& Roster::admit(Instant now, const wire::Hello& hello) {
    auto worker = std::make_unique<WorkerSession>();
    worker->session = ++last_session_;
    worker->worker = hello.worker;
    worker->hello = hello.hello;
    worker->name = hello.name;
    worker->pool = hello.pool;
    worker->pool_index = pool_of(hello.pool);
    worker->slots = worker->slots_in_service = std::max(1U, hello.slots);
    worker->knows_recall = hello.knows_recall != 0;
    worker->together = std::max(1U, hello.together);
    if (worker->together > 1) ++together_;
    worker->patience = std::chrono::microseconds(std::min(hello.patience_us, kMostPatienceUs));
    worker->credit = worker->most_credit = std::max(1U, hello.credit);
    worker->pid = hello.pid;
    worker->lifeline = hello.lifeline;
    worker->tasks_endpoint = hello.tasks;
    worker->control_endpoint = hello.control;
    worker->last_heard = now;
    by_session_.insert(last_session_, worker.get());
    auto& heap = pools_[worker->pool_index].by_load;
    worker->place = heap.size();
    heap.push_back(worker.get());
    changed(*worker);
    link_changes_.push_back({last_session_, true, worker->tasks_endpoint, worker->control_endpoint});
    return *(sessions_[last_session_] = std::move(worker));
}

bool Roster::admitted(WorkerSession& worker) {
    if (worker.state != SessionState::admitting) return false;
    worker.state = SessionState::admitted;
    return true;
}

void Roster::ready(WorkerSession& worker) {
    if (worker.state != SessionState::admitted) return;
    worker.state = SessionState::ready;
    note_change();
}

void Roster::leave(WorkerSession& worker, Departure how) {
    worker.state = SessionState::leaving;
    worker.departure = how;
    changed(worker);
}

/// A name without sessions is forgotten when the next new one takes its place.
std::size_t Roster::pool_of(std::string_view name) {
    auto pool = std::ranges::find(pools_, name, &Pool::name);
    if (pool == pools_.end()) {
        pool = std::ranges::find_if(pools_, [](const Pool& old) { return old.by_load.empty(); });
        if (pool == pools_.end()) pool = pools_.emplace(pool);
        pool->name = name;
        pool->used_in = 0;
    }
    return static_cast<std::size_t>(pool - pools_.begin());
}

void Roster::remove(Session session) {
    const auto at = sessions_.find(session);
    if (at == sessions_.end()) return;
    WorkerSession& worker = *at->second;
    Pool& pool = pools_[worker.pool_index];
    WorkerSession* last = pool.by_load.back();
    pool.by_load.pop_back();
    if (last != &worker) {
        put(pool, worker.place, last);
        changed(*last);
    }
    if (pool.by_load.empty()) pool.name = {};
    if (worker.is_counted) --pool.for_returns;
    if (worker.is_queueing) --queueing_;
    if (worker.together > 1) --together_;
    by_session_.erase(session);
    sessions_.erase(at);
    link_changes_.push_back({session, false, {}, {}});
}

namespace {

constexpr std::uint64_t kFull = UINT64_MAX;

/// Sets `load`: in flight for each credit. Told apart in 128 steps, which is exact for small
/// credits; where the credit is large and far above the slots in 16: tasks go to the same workers
/// until those are a step ahead of the others, and share their batch. With 64 workers of echo an
/// attempt costs a fourth of what it does where each task goes to the next four. What was sent in
/// this turn is counted apart from what was there, so that those that are chosen together are a
/// step ahead together, and the next batch goes to others altogether.
///
/// And `same_load_for`: so many more choices leave it as it is.
void weigh(WorkerSession& worker) {
    constexpr std::uint64_t kSteps = 128, kCoarse = 16, kAhead = 8;
    const std::uint64_t credit = worker.credit;
    const bool coarse = credit > kSteps && credit > kAhead * worker.slots && !worker.standing && worker.reserved == 0;
    worker.same_load_for = 0;
    // Work of less than a millisecond: what is sent ahead starts as soon as it could elsewhere.
    worker.busy = !worker.can_take() || (!coarse && !worker.has_free_slot());
    if (!worker.can_take() || !coarse) {
        worker.load = worker.can_take() ? (worker.in_flight + worker.reserved) * kSteps / credit : kFull;
        return;
    }
    const std::uint64_t here = worker.in_flight - std::min(worker.in_flight, worker.chosen);
    const std::uint64_t step = worker.chosen * kCoarse / credit;
    worker.load = (here * kCoarse / credit + step) * (kSteps / kCoarse);
    const std::uint64_t next_step_at = ((step + 1) * credit + kCoarse - 1) / kCoarse;
    worker.same_load_for = static_cast<std::uint32_t>(next_step_at - worker.chosen - 1);
}

}  // namespace

bool Roster::has_credit() const {
    return std::ranges::any_of(
        pools_, [](const Pool& pool) { return !pool.by_load.empty() && pool.by_load.front()->load != kFull; });
}

std::size_t Roster::ready() const {
    return static_cast<std::size_t>(
        std::ranges::count_if(sessions_, [](const auto& entry) { return entry.second->state == SessionState::ready; }));
}

// ---- choosing ----------------------------------------------------------------------------------

namespace {

/// Which of two workers of one pool is to be chosen first.
bool goes_before(const WorkerSession& a, const WorkerSession& b) {
    if (a.busy != b.busy) return b.busy;
    if (a.load != b.load) return a.load < b.load;
    return a.last_chosen != b.last_chosen ? a.last_chosen < b.last_chosen : a.session < b.session;
}

bool has_failed_at(const Task& task, const WorkerSession& worker) {
    return task.past != nullptr &&
           std::ranges::any_of(task.past->history, [&](const auto& past) { return past.worker == worker.name; });
}

}  // namespace

void Roster::put(Pool& pool, std::size_t place, WorkerSession* worker) {
    pool.by_load[place] = worker;
    worker->place = place;
}

void Roster::changed(WorkerSession& worker) {
    weigh(worker);
    Pool& pool = pools_[worker.pool_index];
    if (std::exchange(worker.is_counted, worker.takes_what_came_back())) --pool.for_returns;
    if (worker.is_counted) ++pool.for_returns;
    if (std::exchange(worker.is_queueing, worker.has_a_queue())) --queueing_;
    if (worker.is_queueing) ++queueing_;
    auto& heap = pool.by_load;
    std::size_t at = worker.place;
    for (; at > 0 && goes_before(worker, *heap[(at - 1) / 2]); at = (at - 1) / 2) put(pool, at, heap[(at - 1) / 2]);
    for (std::size_t child = 0; (child = 2 * at + 1) < heap.size(); at = child) {
        if (child + 1 < heap.size() && goes_before(*heap[child + 1], *heap[child])) ++child;
        if (!goes_before(*heap[child], worker)) break;
        put(pool, at, heap[child]);
    }
    put(pool, at, &worker);
}

/// The first from this place of the heap on that is accepted; those before it are passed over.
template <typename Accepts>
WorkerSession* Roster::first_of(const Pool& pool, std::size_t place, const Accepts& accepts) {
    if (place >= pool.by_load.size() || pool.by_load[place]->load == kFull) return nullptr;
    if (accepts(*pool.by_load[place])) return pool.by_load[place];
    WorkerSession* left = first_of(pool, 2 * place + 1, accepts);
    WorkerSession* right = first_of(pool, 2 * place + 2, accepts);
    if (left == nullptr || right == nullptr) return left == nullptr ? right : left;
    return goes_before(*right, *left) ? right : left;
}

WorkerSession* Roster::choose(const Task& task) {
    mark_all(task);
    return take_best(task);
}

bool Roster::has_idle_slot() const {
    return queueing_ == 0 && std::ranges::any_of(pools_, [](const Pool& pool) { return pool.for_returns > 0; });
}

WorkerSession* Roster::choose_idle(const Task& task) {
    mark_all(task);
    WorkerSession* best = nullptr;
    for (const Among among : {Among::others, Among::all}) {
        for (const Pool& pool : pools_) {
            if (pool.for_returns == 0 || (among == Among::all && together_ == 0)) continue;
            WorkerSession* worker = first_of(pool, 0, [&](const WorkerSession& one) {
                return may_take(one, among) && one.has_free_slot() && !has_failed_at(task, one);
            });
            if (worker != nullptr && (best == nullptr || goes_first(task, *worker, *best))) best = worker;
        }
        if (best != nullptr) break;
    }
    if (best != nullptr) take(*best);
    return best;
}

void Roster::mark_all(const Task& task) {
    ++choice_;
    for (const AttemptId id : task.alive) {
        if (WorkerSession* worker = find(id.session)) mark(*worker);
    }
}

WorkerSession* Roster::choose_another(const Task& task, WorkerSession& taken) {
    mark(taken);
    return take_best(task);
}

void Roster::mark(WorkerSession& taken) {
    if (std::exchange(taken.in_choice, choice_) != choice_) taken.of_its_task = 0;
    ++taken.of_its_task;
    pools_[taken.pool_index].used_in = choice_;
}

bool Roster::shuns(const Task& task, const WorkerSession& worker) const {
    if (!has_failed_at(task, worker)) return false;
    return std::ranges::any_of(sessions_, [&](const auto& entry) {
        const WorkerSession& other = *entry.second;
        const bool has_one = std::ranges::any_of(task.alive, [&](AttemptId id) { return id.session == other.session; });
        return other.state == SessionState::ready && other.slots_in_service > 0 && !other.standing && !has_one &&
               !has_failed_at(task, other);
    });
}

/// Which of two workers, of any pools, is to be chosen first for the task.
bool Roster::goes_first(const Task& task, const WorkerSession& a, const WorkerSession& b) const {
    const bool failed_at_a = has_failed_at(task, a), failed_at_b = has_failed_at(task, b);
    const bool a_in_use = pools_[a.pool_index].used_in == choice_;
    const bool b_in_use = pools_[b.pool_index].used_in == choice_;
    return a.busy != b.busy             ? b.busy
           : failed_at_a != failed_at_b ? failed_at_b
           : a_in_use != b_in_use       ? b_in_use
                                        : goes_before(a, b);
}

WorkerSession* Roster::best(const Task& task, Among among) const {
    if (task.past != nullptr) return best_for_past(task, among);
    WorkerSession* best = nullptr;
    for (const Pool& pool : pools_) {
        WorkerSession* worker = first_of(pool, 0, [&](const WorkerSession& one) { return may_take(one, among); });
        if (worker != nullptr && (best == nullptr || goes_first(task, *worker, *best))) best = worker;
    }
    return best;
}

/// Where it has failed comes last, and not at all while there is another worker: so those are
/// looked at only where no other has been found.
WorkerSession* Roster::best_for_past(const Task& task, Among among) const {
    const bool came_back = task.came_back();
    WorkerSession* best = nullptr;
    const auto look_among = [&](bool failed) {
        const auto accepts = [&](const WorkerSession& worker) {
            return may_take(worker, among) && (!came_back || worker.takes_what_came_back()) &&
                   has_failed_at(task, worker) == failed && !(failed && shuns(task, worker));
        };
        for (const Pool& pool : pools_) {
            WorkerSession* worker = came_back && pool.for_returns == 0 ? nullptr : first_of(pool, 0, accepts);
            if (worker != nullptr && (best == nullptr || goes_first(task, *worker, *best))) best = worker;
        }
    };
    look_among(false);
    const bool all_others_are_shunned = best != nullptr && among == Among::others && !best->standing;
    if (!all_others_are_shunned && !task.past->history.empty()) look_among(true);
    return best;
}

WorkerSession* Roster::take_best(const Task& task) {
    WorkerSession* best = this->best(task, Among::others);
    if (together_ > 0 && (best == nullptr || best->busy)) {
        WorkerSession* with_some = this->best(task, Among::all);
        if (with_some != nullptr && (best == nullptr || !with_some->busy)) best = with_some;
    }
    if (best != nullptr) take(*best);
    return best;
}

/// Takes a credit there.
void Roster::take(WorkerSession& worker) {
    if (worker.chosen++ == 0) chosen_.push_back(worker.session);
    ++worker.in_flight;
    if (worker.same_load_for > 0 && worker.can_take() && worker.is_queueing == worker.has_a_queue()) {
        --worker.same_load_for;
    } else {
        changed(worker);
    }
}

void Roster::next_turn() {
    ++turn_;
    for (const Session session : chosen_) {
        WorkerSession* worker = find(session);
        if (worker == nullptr) continue;
        worker->chosen = 0;
        worker->last_chosen = turn_;
        changed(*worker);
    }
    chosen_.clear();
}

}  // namespace curfew

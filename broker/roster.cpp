#include "broker/roster.h"

#include <algorithm>

namespace curfew {

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
    const auto pool = std::ranges::find(pools_, hello.pool, &Pool::name);
    worker->pool_index = static_cast<std::size_t>(pool - pools_.begin());
    if (pool == pools_.end()) pools_.push_back({worker->pool});
    worker->slots = std::max(1U, hello.slots);
    worker->credit = std::max(1U, hello.credit);
    worker->pid = hello.pid;
    worker->tasks_endpoint = hello.tasks;
    worker->control_endpoint = hello.control;
    worker->last_heard = now;
    in_turn_.push_back(worker.get());
    by_session_.insert(last_session_, worker.get());
    return *(sessions_[last_session_] = std::move(worker));
}

void Roster::remove(Session session) {
    const auto at = sessions_.find(session);
    if (at == sessions_.end()) return;
    std::erase(in_turn_, at->second.get());
    by_session_.erase(session);
    sessions_.erase(at);
}

bool Roster::has_credit() const {
    return std::ranges::any_of(in_turn_, [](const WorkerSession* worker) { return worker->can_take(); });
}

std::size_t Roster::ready() const {
    return static_cast<std::size_t>(
        std::ranges::count_if(in_turn_, [](const WorkerSession* w) { return w->state == SessionState::ready; }));
}

namespace {

/// What speaks against a worker for a task, weightiest first; smaller is better.
struct Objection {
    bool tried;        // an attempt of it failed there
    bool pool_in_use;  // an attempt of it is alive in the same pool
    std::uint64_t load_num, load_den;

    [[nodiscard]] bool less_than(const Objection& other) const {
        if (tried != other.tried) return !tried;
        if (pool_in_use != other.pool_in_use) return !pool_in_use;
        return load_num * other.load_den < other.load_num * load_den;
    }
};

}  // namespace

WorkerSession* Roster::choose(const Task& task) {
    ++choice_;
    for (const AttemptId id : task.alive) {
        if (WorkerSession* worker = find(id.session)) mark(*worker);
    }
    return choose_unmarked(task);
}

WorkerSession* Roster::choose_another(const Task& task, WorkerSession& taken) {
    mark(taken);
    return choose_unmarked(task);
}

void Roster::mark(WorkerSession& taken) {
    taken.chosen_against = choice_;
    pools_[taken.pool_index].used_in = choice_;
}

WorkerSession* Roster::choose_unmarked(const Task& task) {
    WorkerSession* best = nullptr;
    Objection best_objection{};
    std::size_t best_at = 0;
    for (std::size_t i = 0, at = next_in_turn_; i < in_turn_.size(); ++i, ++at) {
        if (at >= in_turn_.size()) at = 0;
        WorkerSession* worker = in_turn_[at];
        if (!worker->can_take() || worker->chosen_against == choice_) continue;
        Objection objection{false, pools_[worker->pool_index].used_in == choice_, worker->in_flight, worker->credit};
        objection.tried = task.past != nullptr && std::ranges::any_of(task.past->history, [&](const auto& past) {
                              return past.worker == worker->name;
                          });
        if (best == nullptr || objection.less_than(best_objection)) {
            best = worker;
            best_objection = objection;
            best_at = at;
        }
    }
    if (best != nullptr) next_in_turn_ = best_at + 1;
    return best;
}

}  // namespace curfew

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
    const auto at = sessions_.find(session);
    return at == sessions_.end() ? nullptr : at->second.get();
}

const WorkerSession* Roster::find(Session session) const {
    const auto at = sessions_.find(session);
    return at == sessions_.end() ? nullptr : at->second.get();
}

WorkerSession& Roster::admit(Instant now, const wire::Hello& hello) {
    auto worker = std::make_unique<WorkerSession>();
    worker->session = ++last_session_;
    worker->worker = hello.worker;
    worker->hello = hello.hello;
    worker->name = hello.name;
    worker->pool = hello.pool;
    worker->slots = std::max(1U, hello.slots);
    worker->credit = std::max(1U, hello.credit);
    worker->pid = hello.pid;
    worker->tasks_endpoint = hello.tasks;
    worker->control_endpoint = hello.control;
    worker->last_heard = now;
    in_turn_.push_back(worker.get());
    return *(sessions_[last_session_] = std::move(worker));
}

void Roster::remove(Session session) {
    const auto at = sessions_.find(session);
    if (at == sessions_.end()) return;
    std::erase(in_turn_, at->second.get());
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
    WorkerSession* best = nullptr;
    Objection best_objection{};
    std::size_t best_at = 0;
    for (std::size_t i = 0; i < in_turn_.size(); ++i) {
        const std::size_t at = (next_in_turn_ + i) % in_turn_.size();
        WorkerSession* worker = in_turn_[at];
        if (!worker->can_take()) continue;
        if (std::ranges::any_of(task.alive, [&](AttemptId id) { return id.session == worker->session; })) continue;
        Objection objection{false, false, worker->in_flight, worker->credit};
        objection.tried =
            std::ranges::any_of(task.history, [&](const auto& past) { return past.worker == worker->name; });
        objection.pool_in_use = std::ranges::any_of(task.alive, [&](AttemptId id) {
            const WorkerSession* other = find(id.session);
            return other != nullptr && other->pool == worker->pool;
        });
        if (best == nullptr || objection.less_than(best_objection)) {
            best = worker;
            best_objection = objection;
            best_at = at;
        }
    }
    if (best != nullptr) next_in_turn_ = (best_at + 1) % in_turn_.size();
    return best;
}

}  // namespace curfew

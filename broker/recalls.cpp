#include "broker/recalls.h"

#include <tuple>

#include "common/tables/keep_one.h"
#include "common/words/mutant.h"

namespace curfew {
namespace {

/// Long enough for the way round of a busy machine.
constexpr Duration kHold = std::chrono::milliseconds(50);

/// Ten times what it takes to look at an attempt.
constexpr Duration kLook = std::chrono::nanoseconds(500);

/// Rounds of the token that may come back without the answer.
constexpr std::uint64_t kTokens = 2;

}  // namespace

// ---- who stands --------------------------------------------------------------------------------

void Recalls::started(Instant now, WorkerSession& worker) {
    if (worker.in_flight != worker.usable_slots() + 1) return;
    worker.quiet_since = now;
    look_at_ = std::min(look_at_, now + kStands);
}

void Recalls::progressed(Instant now, WorkerSession& worker, AttemptNumber begun) {
    worker.begun_upto = std::max(worker.begun_upto, begun);
    const Duration gap = std::min<Duration>(now - worker.progress_at, std::chrono::seconds(1));
    worker.pace += (gap - worker.pace) / 4;
    worker.quiet_since = worker.progress_at = now;
    if (!std::exchange(worker.standing, false)) return;
    roster_.changed(worker);
    roster_.note_change();
    look_at_ = std::min(look_at_, now + kStands);
}

void Recalls::look_who_stands(Instant now) {
    if (now < look_at_) return;
    look_at_ = kNever;
    for (const auto& [session, worker] : roster_.sessions()) {
        if (worker->state != SessionState::ready || worker->standing || !worker->holds_more_than_slots()) continue;
        if (now < worker->quiet_since + kStands) {
            look_at_ = std::min(look_at_, worker->quiet_since + kStands);
            continue;
        }
        worker->standing = true;
        roster_.changed(*worker);
        standing_.push_back(session);
        fruitless_ = false;
    }
}

// ---- recalling ---------------------------------------------------------------------------------

void Recalls::recall_standing(Instant now) {
    look_who_stands(now);
    if (standing_.empty() || is_fruitless() || now < again_at_ || mutated(Mutant::standing_not_seen)) return;
    fruitless_ = true;
    changes_ = roster_.changes();
    // A session may have left the list's condition and come back to it before anybody looked.
    keep_one_of_each(standing_);
    std::erase_if(standing_, [&](Session session) {
        const WorkerSession* worker = roster_.find(session);
        return worker == nullptr || !worker->standing;
    });
    Places places = find_places();
    if (places.none() && !hedges_.policy().idle()) return;
    for (const Standing& standing : list_standing(now)) {
        if (!standing.may_wait) {
            recall(now, standing, nullptr);
        } else if (places.none()) {
            return;
        } else {
            place(now, standing, places);
        }
    }
}

Recalls::Places Recalls::find_places() const {
    Places places;
    for (const auto& [session, worker] : roster_.sessions()) {
        if (worker->has_free_slot()) {
            places.free.push_back(worker.get());
        } else if (worker->moves()) {
            places.ahead.emplace_back(worker.get(), worker->credit - worker->in_flight);
        }
    }
    return places;
}

/// All that stands, in the order in which it is called back.
std::vector<Recalls::Standing> Recalls::list_standing(Instant now) {
    std::vector<Standing> list;
    std::size_t looked = roster_.sessions().size();
    for (const Session session : standing_) {
        looked += ledger_.session(session)->open.size();
        list_standing_at(*roster_.find(session), list);
    }
    // A tenth of the time at most, however much stands.
    again_at_ = now + static_cast<Duration::rep>(looked) * kLook;
    std::ranges::sort(list, {}, [](const Standing& one) { return std::tuple(one.may_wait, one.has_begun, one.seq); });
    return list;
}

/// What waits at this worker for one of its slots, as far as that can be guessed.
void Recalls::list_standing_at(const WorkerSession& worker, std::vector<Standing>& list) const {
    const auto unanswered = [](const RecallUnderWay& recall) { return recall.repeated; };
    const bool answers = worker.knows_recall && worker.state == SessionState::ready && !worker.control_blocked &&
                         std::ranges::none_of(worker.recalls, unanswered);
    if (!answers || !worker.holds_more_than_slots()) return;
    const DenseTable<Attempt>& open = ledger_.session(worker.session)->open;
    std::uint32_t begun = 0;
    open.for_each([&](AttemptNumber, const Attempt& attempt) {
        if (attempt.state == AttemptState::running) ++begun;
    });
    // Of the others, the first are taken for those in the slots that are left, and asked for last.
    // Work starts in the order in which it came, which is mostly that of the numbers; an answer
    // says which have begun. Those called home may be in a slot as well.
    std::uint32_t guessed = worker.usable_slots() - std::min(worker.usable_slots(), begun);
    open.for_each_in_order([&](AttemptNumber number, const Attempt& attempt) {
        const bool may_have_begun = attempt.state == AttemptState::queued || attempt.state == AttemptState::cancelling;
        const bool has_begun = may_have_begun && guessed > 0 && !attempt.recalled;
        if (has_begun) --guessed;
        if (attempt.state != AttemptState::queued || attempt.recalled) return;
        const Task* task = ledger_.task(attempt.seq);
        if (task == nullptr || task->state != TaskState::open || task->expired) return;
        const bool may_wait = has_begun || !attempt.hedge || !hedges_.policy().idle();
        list.push_back({may_wait, has_begun, attempt.seq, {worker.session, number}});
    });
}

void Recalls::place(Instant now, const Standing& standing, Places& places) {
    const Task& task = *ledger_.task(standing.seq);
    const auto may_run = [&](const WorkerSession* worker) {
        const bool has_one =
            std::ranges::any_of(task.alive, [&](AttemptId id) { return id.session == worker->session; });
        return !has_one && !roster_.shuns(task, *worker);
    };
    const auto slot = std::ranges::find_if(places.free, may_run);
    if (slot != places.free.end()) {
        recall(now, standing, *slot);
        if (!(*slot)->has_free_slot()) places.free.erase(slot);
        return;
    }
    const auto ahead = std::ranges::find_if(places.ahead, [&](const auto& one) { return may_run(one.first); });
    if (ahead == places.ahead.end()) return;
    recall(now, standing, nullptr);
    if (--ahead->second == 0) places.ahead.erase(ahead);
}

/// `target`: whose free slot it holds; null: it is for a place ahead, which needs no holding.
void Recalls::recall(Instant now, const Standing& standing, WorkerSession* target) {
    WorkerSession& worker = *roster_.find(standing.id.session);
    ledger_.attempt(standing.id)->recalled = true;
    if (worker.recalls.empty()) recalling_.push_back(worker.session);
    RecallUnderWay& recall = worker.recalls.emplace_back();
    recall.number = standing.id.number;
    recall.token_round = worker.round;
    if (target != nullptr) {
        recall.holds_at = target->session;
        ++target->reserved;
        roster_.changed(*target);
    }
    send(now, worker, recall);
}

void Recalls::send(Instant now, WorkerSession& worker, RecallUnderWay& recall) {
    recall.rounds.push_back(mail_.to(worker).recall(recall.number));
    recall.repeat_at = now + kHold;
    repeat_at_ = std::min(repeat_at_, recall.repeat_at);
}

void Recalls::repeat(Instant now) {
    if (now < repeat_at_) return;
    repeat_at_ = kNever;
    keep_one_of_each(recalling_);
    std::erase_if(recalling_, [&](Session session) {
        WorkerSession* worker = roster_.find(session);
        if (worker == nullptr || worker->recalls.empty()) return true;
        for (RecallUnderWay& recall : worker->recalls) {
            if (now >= recall.repeat_at) {
                let_go(recall);
                recall.repeated = true;
                send(now, *worker, recall);
            }
            repeat_at_ = std::min(repeat_at_, recall.repeat_at);
        }
        return false;
    });
}

// ---- how a recall ends -------------------------------------------------------------------------

void Recalls::ended(WorkerSession& worker, AttemptNumber number) {
    const auto recall = std::ranges::find(worker.recalls, number, &RecallUnderWay::number);
    if (recall == worker.recalls.end()) return;
    let_go(*recall);
    worker.recalls.erase(recall);
}

/// Those that are `over` have their attempts still there: these have begun, or nobody knows.
template <typename Over>
void Recalls::end_those(Instant now, WorkerSession& worker, bool begun, Over&& over) {
    std::erase_if(worker.recalls, [&](RecallUnderWay& recall) {
        if (!over(recall)) return false;
        let_go(recall);
        Attempt* attempt = ledger_.attempt({worker.session, recall.number});
        if (attempt == nullptr) return true;
        attempt->recalled = false;
        if (begun) ledger_.begin(*attempt);
        Task* task = ledger_.task(attempt->seq);
        if (task != nullptr && task->state == TaskState::open) hedges_.restart(now, attempt->seq, *task);
        return true;
    });
    if (worker.recalls.empty()) Mail::forget_recalls(worker);
}

void Recalls::answered(Instant now, WorkerSession& worker, std::uint64_t round) {
    end_those(now, worker, true, [&](const RecallUnderWay& recall) {
        return std::ranges::find(recall.rounds, round) != recall.rounds.end();
    });
    fruitless_ = false;
}

void Recalls::token_returned(Instant now, WorkerSession& worker, std::uint64_t token_round) {
    if (worker.recalls.empty()) return;
    end_those(now, worker, false,
              [&](const RecallUnderWay& recall) { return token_round >= recall.token_round + kTokens; });
    fruitless_ = false;
}

void Recalls::forget(Instant now, WorkerSession& worker) {
    end_those(now, worker, false, [](const RecallUnderWay&) { return true; });
}

void Recalls::let_go(RecallUnderWay& recall) {
    if (recall.holds_at == 0) return;
    WorkerSession* target = roster_.find(std::exchange(recall.holds_at, 0));
    if (target == nullptr || target->reserved == 0) return;
    --target->reserved;
    roster_.changed(*target);
    roster_.note_change();
}

}  // namespace curfew

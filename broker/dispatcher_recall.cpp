// The dispatcher's part for what stands behind busy slots: edge rule 11 of the design, "no attempt waits for a slot
// that is busy while another is free".
//
//     queued at a worker whose slots are busy --stands, and a slot elsewhere is free--> recalled
//        ^                                                                                 |
//        |                     "it has begun": it stays <----------------------------------+
//        +-- placed on a free slot <-- returned (ends `cancelled`, counts as moved) <------+
//
// An attempt stands when its worker holds more than its slots, and no work has ended there for kStands. Which of them
// have begun the worker alone knows: here it is a guess, by the numbers. Each recall names a free slot that may run the
// attempt, and holds it against new messages for kHold: a worker that does not answer must not idle the others. From
// then on the recall is repeated, and nothing more is recalled from there before it is answered.
//
// Where work is quick and the source has messages, slots are never free: each is given the next message before it is.
// There a place ahead is as good, as long as work ends at that worker: it starts within milliseconds.
#include <algorithm>

#include "broker/dispatcher.h"
#include "common/words/mutant.h"

namespace curfew {
namespace {

/// Long enough for the way round of a busy machine.
constexpr Duration kHold = std::chrono::milliseconds(50);

/// Ten times what it takes to look at an attempt.
constexpr Duration kLook = std::chrono::nanoseconds(500);

/// Rounds of the token that may come back without the answer.
constexpr std::uint64_t kTokens = 2;

/// A session may have left the list's condition and come back to it before anybody looked.
void keep_one_of_each(std::vector<Session>& sessions) {
    std::ranges::sort(sessions);
    sessions.erase(std::unique(sessions.begin(), sessions.end()), sessions.end());
}

}  // namespace

// ---- who stands ----------------------------------------------------------------------------------------------------

void Dispatcher::note_start(Instant now, WorkerSession& worker) {
    if (worker.in_flight != worker.usable_slots() + 1) return;
    worker.quiet_since = now;
    stand_look_at_ = std::min(stand_look_at_, now + kStands);
}

/// Work has ended at this worker; all up to `begun` has begun.
void Dispatcher::note_progress(Instant now, WorkerSession& worker, AttemptNumber begun) {
    worker.begun_upto = std::max(worker.begun_upto, begun);
    const Duration gap = std::min<Duration>(now - worker.progress_at, std::chrono::seconds(1));
    worker.pace += (gap - worker.pace) / 4;
    worker.quiet_since = worker.progress_at = now;
    if (!std::exchange(worker.standing, false)) return;
    roster_.changed(worker);
    something_changed();
    stand_look_at_ = std::min(stand_look_at_, now + kStands);
}

void Dispatcher::look_who_stands(Instant now) {
    if (now < stand_look_at_) return;
    stand_look_at_ = kNever;
    for (const auto& [session, worker] : roster_.sessions()) {
        if (worker->state != SessionState::ready || worker->standing || !worker->holds_more_than_slots()) continue;
        if (now < worker->quiet_since + kStands) {
            stand_look_at_ = std::min(stand_look_at_, worker->quiet_since + kStands);
            continue;
        }
        worker->standing = true;
        roster_.changed(*worker);
        standing_.push_back(session);
        recall_fruitless_ = false;
    }
}

// ---- recalling -----------------------------------------------------------------------------------------------------

void Dispatcher::recall_standing(Instant now) {
    if (standing_.empty() || recall_fruitless_ || now < recall_again_at_ || mutated(Mutant::standing_not_seen)) return;
    recall_fruitless_ = true;
    keep_one_of_each(standing_);
    std::erase_if(standing_, [&](Session session) {
        const WorkerSession* worker = roster_.find(session);
        return worker == nullptr || !worker->standing;
    });
    Places places;
    for (const auto& [session, worker] : roster_.sessions()) {
        if (worker->has_free_slot()) {
            places.free.push_back(worker.get());
        } else if (worker->moves()) {
            places.ahead.emplace_back(worker.get(), worker->credit - worker->in_flight);
        }
    }
    if (places.free.empty() && places.ahead.empty()) return;
    std::vector<Standing> list;
    std::size_t looked = roster_.sessions().size();
    for (const Session session : standing_) {
        looked += ledger_.session(session)->open.size();
        list_standing(*roster_.find(session), list);
    }
    // A tenth of the time at most, however much stands.
    recall_again_at_ = now + static_cast<Duration::rep>(looked) * kLook;
    std::ranges::sort(list, {}, [](const Standing& one) { return std::pair(one.has_begun, one.seq); });
    for (const Standing& standing : list) {
        if (places.free.empty() && places.ahead.empty()) return;
        const Task& task = *ledger_.task(standing.seq);
        const auto may_run = [&](const WorkerSession* worker) {
            return std::ranges::none_of(task.alive, [&](AttemptId id) { return id.session == worker->session; });
        };
        const auto slot = std::ranges::find_if(places.free, may_run);
        if (slot != places.free.end()) {
            recall(now, standing, *slot);
            if (!(*slot)->has_free_slot()) places.free.erase(slot);
            continue;
        }
        const auto place = std::ranges::find_if(places.ahead, [&](const auto& one) { return may_run(one.first); });
        if (place == places.ahead.end()) continue;
        recall(now, standing, nullptr);
        if (--place->second == 0) places.ahead.erase(place);
    }
}

/// What waits at this worker for one of its slots, as far as that can be guessed.
void Dispatcher::list_standing(const WorkerSession& worker, std::vector<Standing>& list) {
    const auto unanswered = [](const RecallUnderWay& recall) { return recall.repeated; };
    const bool answers = worker.knows_recall && worker.state == SessionState::ready && !worker.control_blocked &&
                         std::ranges::none_of(worker.recalls, unanswered);
    if (!answers || !worker.holds_more_than_slots()) return;
    const DenseTable<Attempt>& open = ledger_.session(worker.session)->open;
    std::uint32_t begun = 0;
    open.for_each([&](AttemptNumber, const Attempt& attempt) {
        if (attempt.state == AttemptState::running) ++begun;
    });
    // Of the others, the first are taken for those in the slots that are left, and asked for last. Work starts in the
    // order in which it came, which is mostly that of the numbers; an answer says which have begun. Those called home
    // may be in a slot as well.
    std::uint32_t guessed = worker.usable_slots() - std::min(worker.usable_slots(), begun);
    open.for_each_in_order([&](AttemptNumber number, const Attempt& attempt) {
        const bool may_have_begun = attempt.state == AttemptState::queued || attempt.state == AttemptState::cancelling;
        const bool has_begun = may_have_begun && guessed > 0 && !attempt.recalled;
        if (has_begun) --guessed;
        if (attempt.state != AttemptState::queued || attempt.recalled) return;
        const Task* task = ledger_.task(attempt.seq);
        if (task == nullptr || task->state != TaskState::open || task->expired) return;
        list.push_back({has_begun, attempt.seq, {worker.session, number}});
    });
}

/// `target`: whose free slot it holds; null: it is for a place ahead, which needs no holding.
void Dispatcher::recall(Instant now, const Standing& standing, WorkerSession* target) {
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
    send_recall(now, worker, recall);
}

void Dispatcher::send_recall(Instant now, WorkerSession& worker, RecallUnderWay& recall) {
    recall.rounds.push_back(worker.recall_round + 1);  // the one that the next flush makes of all that are due
    recall.repeat_at = now + kHold;
    tell(worker).recall_due.push_back(recall.number);
    repeat_at_ = std::min(repeat_at_, recall.repeat_at);
}

// ---- how a recall ends ---------------------------------------------------------------------------------------------

/// The attempt has ended: returned, or otherwise.
void Dispatcher::end_recall(WorkerSession& worker, AttemptNumber number) {
    const auto recall = std::ranges::find(worker.recalls, number, &RecallUnderWay::number);
    if (recall == worker.recalls.end()) return;
    let_go(*recall);
    worker.recalls.erase(recall);
}

/// Those that are `over` have their attempts still there: these have begun, or nobody knows.
template <typename Over>
void Dispatcher::end_recalls(Instant now, WorkerSession& worker, bool begun, Over&& over) {
    std::erase_if(worker.recalls, [&](RecallUnderWay& recall) {
        if (!over(recall)) return false;
        let_go(recall);
        Attempt* attempt = ledger_.attempt({worker.session, recall.number});
        if (attempt == nullptr) return true;
        attempt->recalled = false;
        if (begun && attempt->state == AttemptState::queued) attempt->state = AttemptState::running;
        Task* task = ledger_.task(attempt->seq);
        if (task != nullptr && task->state == TaskState::open) restart_hedge_timer(now, attempt->seq, *task);
        return true;
    });
    if (worker.recalls.empty()) worker.recall_due.clear();
}

void Dispatcher::end_all_recalls(Instant now, WorkerSession& worker) {
    end_recalls(now, worker, false, [](const RecallUnderWay&) { return true; });
}

void Dispatcher::on_record(Instant now, const wire::Answered& answered) {
    WorkerSession* worker = roster_.find(answered.session);
    if (worker == nullptr) return;
    end_recalls(now, *worker, true, [&](const RecallUnderWay& recall) {
        return std::ranges::find(recall.rounds, answered.round) != recall.rounds.end();
    });
    recall_fruitless_ = false;
}

/// A round of the token has come back that set out behind some recalls: their answer should have come before it.
void Dispatcher::count_token(Instant now, WorkerSession& worker, std::uint64_t token_round) {
    if (worker.recalls.empty()) return;
    end_recalls(now, worker, false,
                [&](const RecallUnderWay& recall) { return token_round >= recall.token_round + kTokens; });
    recall_fruitless_ = false;
}

void Dispatcher::let_go(RecallUnderWay& recall) {
    if (recall.holds_at == 0) return;
    WorkerSession* target = roster_.find(std::exchange(recall.holds_at, 0));
    if (target == nullptr || target->reserved == 0) return;
    --target->reserved;
    roster_.changed(*target);
    something_changed();
}

void Dispatcher::repeat_recalls(Instant now) {
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
                send_recall(now, *worker, recall);
            }
            repeat_at_ = std::min(repeat_at_, recall.repeat_at);
        }
        return false;
    });
}

}  // namespace curfew

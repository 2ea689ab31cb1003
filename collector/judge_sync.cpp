// The judge's part for a sync: what a broker says that begins, and what we have of its epoch.
// docs/protocol.md, "One epoch, two memories".
#include <utility>

#include "collector/judge.h"
#include "common/words/mutant.h"

namespace curfew {

void Judge::remember(std::vector<Settled::Memory> memories) {
    settled_.remember(std::move(memories));
}

/// Begins with what the broker knows; and, in an exchange, with what we have of its epoch.
void Judge::take_over(const wire::Sync& sync) {
    if (settled_.recall(sync.epoch)) epoch_ = sync.epoch;
    const bool same_epoch = sync.epoch == epoch_;
    const bool another_broker = std::exchange(synced_with_, link_.broker()) != link_.broker();
    sessions_.clear();
    news_.clear();
    last_work_.clear();
    if (same_epoch && sync.exchange != 0 && !mutated(Mutant::exchange_forgotten)) {
        keep_what_is_decided(another_broker);
    } else {
        // What only we had decided is open again, as after a crash
        begin_anew(same_epoch);
        // Who was not given it may have reported it
        if (same_epoch) settled_.forget_above(sync.last);
    }
    epoch_ = sync.epoch;
    // A broker that has taken nothing yet may know of more than the sink has kept
    const bool sink_is_truth = settled_.is_remembered() && sync.exchange >= 2 && !mutated(Mutant::memory_not_truth);
    if (!sink_is_truth) settled_.insert(sync.settled);
    settled_.insert(sync.passed);
    queue_.go_on(settled_.all());
    for (const wire::Admission& admission : sync.sessions) {
        open_session(admission.session, admission.name, admission.pool).judged.insert(admission.ended);
    }
    for (const wire::Winner& winner : sync.winners) {
        if (settled_.contains(winner.seq) || decided_.contains(winner.seq)) continue;
        decided_.insert(winner.seq, {winner.attempt, Outcome::completed, true});
        ++awaited_;
    }
    news_.synced(what_we_have(sync));
}

void Judge::begin_anew(bool same_epoch) {
    ++syncs_;
    decided_.clear();
    awaited_ = 0;
    queue_.clear();
    settled_.begin_anew(same_epoch);
}

/// But what is awaited: the broker names it again.
void Judge::keep_what_is_decided(bool another_broker) {
    awaited_ = 0;
    for (const Seq seq : decided_.sorted_keys()) {
        DecidedTask& task = *decided_.find(seq);
        if (task.awaited) {
            decided_.erase(seq);
        } else if (another_broker) {
            task.winner = {};
        }
    }
    if (another_broker) settled_.forget_winners();
    if (mutated(Mutant::sink_queue_forgotten)) decided_.clear();
    queue_.say_backlog_again();
}

wire::Synced Judge::what_we_have(const wire::Sync& sync) {
    wire::Synced have;
    have.settled = settled_.all().intervals();
    have.remembers = settled_.is_remembered() ? 1 : 0;
    have.not_completed = settled_.failures();
    if (sync.exchange == 3) have.failed = settled_.failed();
    // Who has taken nothing has no task that could end, and may ask how they ended
    const bool has_tasks = sync.exchange < 2;
    IntervalSet known_there;
    known_there.insert(sync.settled);
    const auto say = [&](const wire::KnownEnd& end) {
        have.decided.push_back(end);
        // Its report comes again, and is no other
        if (SessionBook* session = sessions_.find(end.winner.session)) session->judged.insert(end.winner.number);
    };
    settled_.say_again(has_tasks ? known_there : IntervalSet(), [&](const wire::KnownEnd& end) {
        if (has_tasks) say(end);
    });
    for (const Seq seq : decided_.sorted_keys()) {
        const DecidedTask& task = *decided_.find(seq);
        // What a broker without tasks believes to be settled may have gone with the sink's power
        const bool is_known = has_tasks && known_there.contains(seq);
        if (!task.awaited && !is_known) say({seq, task.outcome, task.winner});
    }
    return have;
}

}  // namespace curfew

// Deliberate mistakes, for the test that the simulation finds mistakes. They exist only where
// CURFEW_MUTANTS is defined, in the target curfew-mutants; everywhere else mutated() is false at
// compile time and nothing of them is left.
#pragma once

namespace curfew {

enum class Mutant {
    none,
    second_win,             ///< a result that came after the decision is written too
    verdict_after_win,      ///< a verdict on a decided task is written too
    report_judged_twice,    ///< the collector does not know reports again
    settled_before_sink,    ///< a task counts as settled before the sink has it
    event_dropped,          ///< a batch is forgotten before it was acknowledged
    batch_out_of_order,     ///< a batch is taken although one before it is missing
    hedge_timer_missed,     ///< a hedge that is due does not start
    hedge_not_kept,         ///< a hedge for which there was no budget never starts
    idle_hedge_missed,      ///< a slot stays idle, though a task could be hedged on it
    idle_hedge_first,       ///< a hedge takes the slot that a new message could have had
    deadline_forgotten,     ///< the broker does not notice a deadline
    credit_given_early,     ///< a credit is free at the cancel, not at the end
    lost_without_echo,      ///< attempts of a worker are lost before the collector refuses it
    cancel_forgotten,       ///< a cancel that came before its task is forgotten
    old_session_accepted,   ///< a worker takes tasks of another session
    lease_forgotten,        ///< a worker does not notice that it hears nothing
    slot_freed_early,       ///< a slot is free when its work was asked to stop
    report_not_kept,        ///< a worker forgets a report that it has sent
    loser_at_large,         ///< a loser of quick work is never called home
    early_recall_ignored,   ///< a recall that came before its task is forgotten
    returned_started,       ///< a worker starts what it has returned
    slot_to_intake,         ///< the slot that a recall holds is given to a new message
    returned_not_replaced,  ///< what came back is not placed anew
    standing_not_seen,      ///< what stands is never recalled
    /// A task that a person cancelled is started again when its winner's result was lost.
    reopened_and_started,
    /// A worker that stood still starts work before it knows that its session lives.
    standstill_forgotten,
    exchange_forgotten,    ///< a collector drops what it has of the epoch of a new broker
    sink_queue_forgotten,  ///< it drops what is decided and not with the sink yet
    hearsay_ignored,       ///< a broker does not heed what its collector has
    memory_not_truth,      ///< a broker believes its own memory rather than the sink's
    holes_skipped,         ///< a broker that goes on counts what has settled, holes or not
    /// What a journal tells of is believed, though the output may not have it.
    journal_ahead,
    refusal_counted,   ///< what its service did not begin counts as a failure
    envelope_counted,  ///< a frame is full for its receiver sooner than for its sender
    pause_ignored,     ///< work is started while its service asks for a pause
    innocent_blamed,   ///< a death blames the first that have no end, whatever ran
};

#ifdef CURFEW_MUTANTS

inline Mutant active_mutant = Mutant::none;
inline bool mutated(Mutant mutant) {
    return active_mutant == mutant;
}

#else

constexpr bool mutated(Mutant) {
    return false;
}

#endif

}  // namespace curfew

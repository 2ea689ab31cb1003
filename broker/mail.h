// What is to be said to workers: a mailbox for each session, emptied by a flush into as few frames
// as will do. A turn's work follows what happened in it, not how many workers there are. Pure.
//
// Within a session's control frame the order is fixed: welcome, ping, cancels, recalls, resends,
// confirmations, gone. Tasks go on their own socket; those that start on several workers at once
// are written once (SharedBatches). Confirmations alone wait for up to kConfirmWithin: what is said
// anyhow carries them.
#pragma once

#include <cstdint>
#include <vector>

#include "broker/ledger.h"
#include "broker/out_frame.h"
#include "broker/roster.h"
#include "broker/shared_batches.h"

namespace curfew {

class Mail {
public:
    /// What welcomes and pings say of the broker at the moment.
    struct News {
        Incarnation collector = 0;  ///< 0: none is synced
        bool ending = false;        ///< only work that was called home is left
        bool drained = false;       ///< nothing is left: confirmations do not wait
    };

    /// Before anybody was welcomed.
    void begin_epoch(Epoch epoch) { epoch_ = epoch; }

    Mail(Incarnation broker, Epoch epoch, const Ledger& ledger, Roster& roster)
        : broker_(broker), epoch_(epoch), ledger_(ledger), roster_(roster), shared_(broker) {}

    /// The session's mailbox, to put something in: the next flush empties it.
    Mailbox& to(WorkerSession& worker) {
        note(worker);
        return worker.mailbox_;
    }
    /// Something has changed that the next flush is to look at: its socket takes more again.
    void note(WorkerSession& worker) {
        if (!std::exchange(worker.mailbox_.has_news_, true)) with_news_.push_back(worker.session);
    }

    /// What was to be recalled from it is not.
    static void forget_recalls(WorkerSession& worker) { worker.mailbox_.recalls_.clear(); }

    /// An attempt of the task that hand_over() writes next.
    void start(AttemptId id, std::uint32_t ordinal) { started_.push_back({id.session, id.number, ordinal}); }
    /// Writes what has just been started: once, however many workers run it. The record lacks what
    /// differs between them.
    void hand_over(wire::Task record);
    [[nodiscard]] bool has_started() const { return !started_.empty(); }

    /// The control frames of those sessions that have cancels.
    void flush_cancels(Instant now, const News& news, std::vector<OutFrame>& frames);
    void flush(Instant now, const News& news, std::vector<OutFrame>& frames);
    [[nodiscard]] Instant next_deadline() const { return confirm_at_; }

private:
    bool release_confirmations(Instant now, bool drained);
    /// Each of those that were started goes to another worker.
    [[nodiscard]] bool started_apart() const;
    void flush_control(Instant now, const News& news, WorkerSession& worker, bool confirm,
                       std::vector<OutFrame>& frames);
    void flush_tasks(WorkerSession& worker, std::vector<OutFrame>& frames);

    Incarnation broker_;
    Epoch epoch_;
    const Ledger& ledger_;
    Roster& roster_;
    std::vector<wire::Addressee> started_;
    SharedBatches shared_;
    std::vector<Session> with_news_;
    std::vector<Session> unconfirmed_;  // those for which confirmations wait
    Instant confirm_at_ = kNever;       // when those go at the latest
};

}  // namespace curfew

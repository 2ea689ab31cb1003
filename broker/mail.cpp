#include "broker/mail.h"

#include <algorithm>
#include <utility>

#include "common/tables/keep_one.h"

namespace curfew {
namespace {

/// Confirmations wait this long for something that has to be said to the worker anyhow.
constexpr Duration kConfirmWithin = std::chrono::milliseconds(5);

/// Takes the numbers with their memory: after a long turn they are many, and a vector that is kept
/// would never shrink.
void add_cancels(wire::Writer& writer, std::vector<AttemptNumber>&& noted, CancelReason reason,
                 const SessionBooks* books) {
    std::vector<AttemptNumber> numbers = std::move(noted);
    if (numbers.empty()) return;
    // Several rounds of the token may have asked for the same in one turn
    keep_one_of_each(numbers);
    wire::Cancel cancel{reason, {}};
    for (const AttemptNumber number : numbers) {
        // Many a loser has come to its end by itself in the turn in which it was called home.
        const bool open = books != nullptr && books->open.contains(number);
        if (open || reason == CancelReason::lost) append_number(cancel.numbers, number);
    }
    if (!cancel.numbers.empty()) writer.add(cancel);
}

void add_recall(wire::Writer& writer, std::vector<AttemptNumber>&& noted, std::uint64_t& round) {
    std::vector<AttemptNumber> numbers = std::move(noted);
    if (numbers.empty()) return;
    keep_one_of_each(numbers);
    wire::Recall recall{++round, {}};
    for (const AttemptNumber number : numbers) append_number(recall.numbers, number);
    writer.add(recall);
}

}  // namespace

bool Mail::started_apart() const {
    if (!roster_.any_together()) return true;
    std::vector<Session> sessions;
    for (const wire::Addressee& started : started_) sessions.push_back(started.session);
    std::ranges::sort(sessions);
    return std::ranges::adjacent_find(sessions) == sessions.end();
}

void Mail::hand_over(wire::Task record) {
    if (started_.size() > 1 && !record.id && !record.properties && started_apart()) {
        shared_.add(started_, record);
        started_.clear();
        return;
    }
    for (const wire::Addressee& started : started_) {
        record.number = started.number;
        record.ordinal = started.ordinal;
        Mailbox& mailbox = to(*roster_.find(started.session));
        mailbox.tasks_.add(record);
        if (mailbox.tasks_.size() < wire::kFrameBytes) continue;
        mailbox.task_frames_.push_back(mailbox.tasks_.finish({wire::Kind::tasks, broker_, started.session, 0, 0}));
    }
    started_.clear();
}

/// Whether confirmations go now, whatever else does; calls up the sessions for which some wait.
bool Mail::release_confirmations(Instant now, bool drained) {
    if (now < confirm_at_ && !drained) return false;
    confirm_at_ = kNever;
    for (const Session session : unconfirmed_) {
        if (WorkerSession* worker = roster_.find(session)) to(*worker).confirms_wait_ = false;
    }
    unconfirmed_.clear();
    return true;
}

void Mail::flush_cancels(Instant now, const News& news, std::vector<OutFrame>& frames) {
    for (const Session session : with_news_) {
        WorkerSession* worker = roster_.find(session);
        if (worker != nullptr && worker->mailbox_.has_cancels()) flush_control(now, news, *worker, false, frames);
    }
}

void Mail::flush(Instant now, const News& news, std::vector<OutFrame>& frames) {
    const bool confirm = release_confirmations(now, news.drained);
    std::vector<Session> sessions = std::exchange(with_news_, {});
    std::sort(sessions.begin(), sessions.end());
    for (const Session session : sessions) {
        if (WorkerSession* worker = roster_.find(session)) flush_control(now, news, *worker, confirm, frames);
    }
    for (SharedBatches::Out& out : shared_.flush()) {
        frames.push_back({Road::tasks, std::move(out.sessions), std::move(out.bytes)});
    }
    for (const Session session : sessions) {
        if (WorkerSession* worker = roster_.find(session)) flush_tasks(*worker, frames);
    }
}

void Mail::flush_tasks(WorkerSession& worker, std::vector<OutFrame>& frames) {
    Mailbox& mailbox = worker.mailbox_;
    const Session session = worker.session;
    mailbox.has_news_ = false;
    if (!mailbox.tasks_.empty())
        mailbox.task_frames_.push_back(mailbox.tasks_.finish({wire::Kind::tasks, broker_, session, 0, 0}));
    for (Frame& frame : mailbox.task_frames_) frames.push_back({Road::tasks, {session}, std::move(frame)});
    mailbox.task_frames_.clear();
}

/// `confirm`: confirmations go though nothing else does.
void Mail::flush_control(Instant now, const News& news, WorkerSession& worker, bool confirm,
                         std::vector<OutFrame>& frames) {
    if (worker.control_blocked) return;  // when it is not any more, note() calls it up again
    Mailbox& mailbox = worker.mailbox_;
    wire::Writer control;
    const SessionBooks* books = ledger_.session(worker.session);
    if (std::exchange(mailbox.welcome_due_, false))
        control.add(wire::Welcome{worker.worker, worker.hello, epoch_, news.collector});
    if (std::exchange(mailbox.ping_due_, false))
        control.add(wire::Ping{news.collector, news.ending ? 1U : 0U, worker.stood});
    add_cancels(control, std::move(mailbox.cancels_decided_), CancelReason::decided, books);
    add_cancels(control, std::move(mailbox.cancels_deadline_), CancelReason::deadline, books);
    add_cancels(control, std::move(mailbox.cancels_lost_), CancelReason::lost, books);
    add_recall(control, std::move(mailbox.recalls_), mailbox.recall_round_);
    if (!mailbox.resends_.empty()) control.add(wire::Resend{mailbox.resends_.intervals()});
    mailbox.resends_.clear();
    if (!mailbox.confirms_.empty()) {
        if (control.empty() && !confirm && worker.state == SessionState::ready) {
            if (!std::exchange(mailbox.confirms_wait_, true)) unconfirmed_.push_back(worker.session);
            confirm_at_ = std::min(confirm_at_, now + kConfirmWithin);
            return;
        }
        control.add(wire::Confirm{mailbox.confirms_.intervals()});
        mailbox.confirms_.clear();
    }
    // last: it ends the session there
    if (std::exchange(mailbox.gone_due_, false)) control.add(wire::Gone{});
    if (control.empty()) return;
    frames.push_back(
        {Road::control, {worker.session}, control.finish({wire::Kind::control, broker_, worker.session, 0, 0})});
}

}  // namespace curfew

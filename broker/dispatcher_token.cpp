// The dispatcher's part for the token: what a worker has received and holds, told from time to time
// behind all that was sent to it and all that it has reported. What neither side can account for is
// lost, and said so (docs/protocol.md, "Who ends what").
#include <algorithm>
#include <utility>

#include "broker/dispatcher.h"

namespace curfew {
namespace {

constexpr std::size_t kMostRounds = 8;  // under way for one session

/// Two rounds without a trace: one alone could have overtaken the attempt across a reconnect.
constexpr std::uint8_t kDoubtful = 2;

/// What a worker says it holds, ready to be asked about numbers that rise.
class Held {
public:
    explicit Held(const wire::TokenReport& token)
        : unfinished_(set_of(token.queued, token.running)),
          running_(set_of(token.running)),
          cancelling_(set_of(token.cancelling)),
          reported_(set_of(token.reported)) {}

    [[nodiscard]] bool unfinished(AttemptNumber number) { return in_unfinished_.contains(number); }
    [[nodiscard]] bool running(AttemptNumber number) { return in_running_.contains(number); }
    [[nodiscard]] bool cancelling(AttemptNumber number) { return in_cancelling_.contains(number); }
    [[nodiscard]] bool reported(AttemptNumber number) { return in_reported_.contains(number); }
    [[nodiscard]] const IntervalSet& all_reported() const { return reported_; }

private:
    /// The ranges came from the wire: in any order.
    static IntervalSet set_of(const Intervals& some, const Intervals& more = {}) {
        IntervalSet set;
        if (more.empty()) {
            set.insert(some);
            return set;
        }
        Intervals both = some;
        both.insert(both.end(), more.begin(), more.end());
        set.insert(both);
        return set;
    }

    const IntervalSet unfinished_, running_, cancelling_, reported_;
    IntervalCursor in_unfinished_{unfinished_}, in_running_{running_}, in_cancelling_{cancelling_},
        in_reported_{reported_};
};

/// What is to be said of the attempts of one session, now that the token is back.
class Account {
public:
    Account(WorkerSession& worker, Mailbox& mailbox, Held& held) : worker_(worker), mailbox_(mailbox), held_(held) {}

    /// The winner of its task. The collector that has decided by it has its result; a newer one may
    /// still need it.
    void winner(AttemptNumber number, Attempt& attempt) {
        if (attempt.awaited && held_.reported(number) && doubt(attempt)) resend(number);
    }
    void other(AttemptNumber number, Attempt& attempt) {
        if (held_.unfinished(number)) {
            attempt.doubt = 0;
            if (attempt.state == AttemptState::queued && held_.running(number)) {
                Ledger::begin(attempt);
                worker_.begun_upto = std::max(worker_.begun_upto, number);
                // The cancel was lost on the way
            } else if (attempt.state == AttemptState::cancelling) {
                mailbox_.cancel(number, attempt.reason);
            }
            return;
        }
        if (held_.cancelling(number)) {
            attempt.doubt = 0;
            return;
        }
        attempt.reported_there = held_.reported(number);
        if (!doubt(attempt)) return;
        if (attempt.reported_there) {
            resend(number);
        } else if (!std::exchange(attempt.lose_asked, true)) {
            append_number(lost, number);
            mailbox_.cancel(number, CancelReason::lost);
        }
    }

    Intervals lost;  ///< neither side knows of them
    std::uint64_t resends = 0;

private:
    /// True when it is in doubt for the second time.
    static bool doubt(Attempt& attempt) {
        if (++attempt.doubt < kDoubtful) return false;
        attempt.doubt = 0;
        return true;
    }
    void resend(AttemptNumber number) {
        if (mailbox_.resend(number)) ++resends;
    }

    WorkerSession& worker_;
    Mailbox& mailbox_;
    Held& held_;
};

}  // namespace

void Dispatcher::send_token() {
    for (const auto& [session, worker] : roster_.sessions()) {
        if (worker->state != SessionState::ready || worker->tasks_blocked) continue;
        worker->rounds.push_back({++worker->round, ledger_.session(session)->last_number});
        if (worker->rounds.size() > kMostRounds) worker->rounds.pop_front();
        mail_.to(*worker).token(worker->round);
    }
}

void Dispatcher::on_record(Instant now, const wire::TokenReport& token) {
    WorkerSession* worker = roster_.find(token.session);
    if (worker == nullptr || worker->state != SessionState::ready) return;
    const auto round = std::ranges::find(worker->rounds, token.round, &TokenRound::round);
    if (round == worker->rounds.end()) return;
    const AttemptNumber upto = round->upto;
    recalls_.token_returned(now, *worker, token.round);
    worker->rounds.erase(worker->rounds.begin(), round + 1);

    Mailbox& mailbox = mail_.to(*worker);
    Held held(token);
    Account account(*worker, mailbox, held);
    SessionBooks& books = *ledger_.session(token.session);
    books.open.for_each_in_order([&](AttemptNumber number, Attempt& attempt) {
        if (number > upto) return;
        const Task* task = attempt.state == AttemptState::reported ? ledger_.task(attempt.seq) : nullptr;
        const bool won = task != nullptr && task->winner == AttemptId{token.session, number};
        won ? account.winner(number, attempt) : account.other(number, attempt);
    });
    // Reports of attempts that have ended: the confirmation was lost on the way.
    for (const Interval& both : common_to(books.ended, held.all_reported())) mailbox.confirm(both);
    counts_.resends_asked += account.resends;
    if (!account.lost.empty()) link_.say(now, wire::Lose{token.session, account.lost});
}

}  // namespace curfew

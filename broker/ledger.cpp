// The moves of the ledger. See ledger.h for the drawing.
#include "broker/ledger.h"

#include <algorithm>
#include <cassert>
#include <numeric>

#include "common/words/mutant.h"

namespace curfew {
namespace {

template <typename Array>
std::uint64_t sum(const Array& counts) {
    return std::accumulate(counts.begin(), counts.end(), std::uint64_t{0});
}

}  // namespace

bool Books::balanced() const {
    return accepted == sum(outcomes) + tasks_in_flight && started == sum(ends) + attempts_in_flight;
}

// ---- an earlier life ---------------------------------------------------------------------------

void Ledger::begin(Seq last, const Intervals& settled, std::uint64_t failures) {
    assert(is_new());
    last_seq_ = last;
    first_ = last + 1;
    earlier_.begin(last, settled, failures);
}

void Ledger::begin_as(const Intervals& settled, std::uint64_t failures) {
    IntervalSet set;
    set.insert(settled);
    begin(mutated(Mutant::holes_skipped) ? set.size() : set.next_missing(1) - 1, settled, failures);
}

std::uint64_t Ledger::failures() const {
    return earlier_.failures() + sum(outcomes_) - outcomes_[static_cast<std::size_t>(Outcome::completed)];
}

bool Ledger::pass_over() {
    is_new_ = false;
    if (!earlier_.has_settled(last_seq_ + 1)) return false;
    if (first_ == ++last_seq_) ++first_;
    earlier_.reached(last_seq_);
    return true;
}

// ---- tasks -------------------------------------------------------------------------------------

Seq Ledger::accept(Instant now, const Incoming& message, Instant deadline_at) {
    Task& task = tasks_.insert(++last_seq_);
    payload_bytes_ += message.payload.size();
    task.payload = payloads_.keep(message.payload);
    if (message.id || message.left || message.alone || !message.properties.empty()) {
        std::optional<std::string> id;
        if (message.id) id.emplace(*message.id);
        task.sender = std::make_unique<Sender>(
            Sender{std::move(id), std::string(message.properties), message.left.has_value(), message.alone});
    }
    task.tag = message.tag;
    task.accepted_at = now;
    task.deadline_at = deadline_at;
    ++accepted_;
    is_new_ = false;
    if (const auto outcome = earlier_.take_decided(last_seq_)) decide_by_hearsay(task, *outcome);
    return last_seq_;
}

void Ledger::give_up(Task& task, Outcome outcome) {
    assert(task.state == TaskState::open);
    task.state = TaskState::giving_up;
    task.outcome = outcome;
}

void Ledger::decide(Task& task, AttemptId winner) {
    task.state = TaskState::decided;
    task.winner = winner;
    task.by_verdict = winner.session == 0;
    if (winner.session != 0) task.outcome = Outcome::completed;  // it may have been given up before
    if (Attempt* attempt = this->attempt(winner)) attempt->state = AttemptState::reported;
}

void Ledger::decide_by_hearsay(Task& task, Outcome outcome) {
    task.outcome = outcome;
    decide(task, {});
    task.by_hearsay = true;
}

void Ledger::ask_again(Task& task) {
    assert(task.state == TaskState::decided && task.by_verdict);
    task.state = TaskState::giving_up;
    task.by_verdict = false;
}

void Ledger::reopen(Task& task) {
    task.state = TaskState::open;
    task.winner = {};
    task.by_verdict = task.by_hearsay = false;
}

AttemptId Ledger::settle(Seq seq, Outcome outcome) {
    Task* task = tasks_.find(seq);
    assert(task != nullptr);
    const AttemptId winner = task->winner;
    if (attempt(winner) != nullptr) end(winner, End::won);
    payload_bytes_ -= task->payload.size();
    if (task->tag != 0) settled_tags_.push_back({task->tag, outcome});
    ++outcomes_[static_cast<std::size_t>(outcome)];
    tasks_.erase(seq);
    if (seq == first_)
        while (first_ <= last_seq_ && !tasks_.contains(first_)) ++first_;
    return winner;
}

// ---- attempts ----------------------------------------------------------------------------------

AttemptId Ledger::start(Instant now, Seq seq, Session session) {
    SessionBooks& books = *this->session(session);
    Task& task = *tasks_.find(seq);
    const AttemptId id{session, ++books.last_number};
    Attempt& attempt = books.open.insert(id.number);
    attempt.seq = seq;
    attempt.told = task.told;
    attempt.ordinal = ++task.started;
    if (task.came_back()) {
        // The first of them, so that no ordinal is above the number of attempts.
        const auto first = std::ranges::min_element(task.past->returned, {}, &Returned::ordinal);
        attempt.ordinal = first->ordinal;
        attempt.hedge = first->hedge;
        task.past->returned.erase(first);
    }
    attempt.started_at = now;
    task.alive.push_back(id);
    ++started_;
    ++attempts_in_flight_;
    return id;
}

Attempt* Ledger::attempt(AttemptId id) {
    SessionBooks* books = session(id.session);
    return books == nullptr ? nullptr : books->open.find(id.number);
}

void Ledger::call_home(Instant now, AttemptId id, CancelReason reason) {
    Attempt* attempt = this->attempt(id);
    assert(attempt != nullptr);
    if (attempt->state != AttemptState::cancelling) attempt->cancelled_at = now;
    attempt->state = AttemptState::cancelling;
    attempt->reason = reason;
}

Attempt Ledger::end(AttemptId id, End end, std::string_view worker, std::string_view error, bool told) {
    SessionBooks& books = *session(id.session);
    const Attempt attempt = *books.open.find(id.number);
    books.open.erase(id.number);
    Task* task = tasks_.find(attempt.seq);
    if (told && end_log_.followed())
        end_log_.note(id, attempt, end, worker, error, task == nullptr || task->id() == nullptr ? "" : *task->id());
    if (task != nullptr) {
        task->alive.erase(std::ranges::find(task->alive, id));
        if (end == End::failed || end == End::expired || end == End::lost || !error.empty()) {
            auto& history = task->make_past().history;
            if (history.size() < kMostHistory) {
                history.push_back({attempt.ordinal, std::string(worker), end, std::string(error)});
            }
        }
    }
    books.ended.insert(id.number);
    ++books.ends[static_cast<std::size_t>(end)];
    if (attempt.hedge) ++books.hedge_ends[static_cast<std::size_t>(end)];
    ++ends_[static_cast<std::size_t>(end)];
    --attempts_in_flight_;
    return attempt;
}

Attempt Ledger::end_returned(AttemptId id, std::string_view worker) {
    const Attempt attempt = end(id, End::cancelled, worker, {}, false);
    ++moved_;
    if (attempt.hedge) --session(id.session)->hedge_ends[static_cast<std::size_t>(End::cancelled)];
    if (Task* task = tasks_.find(attempt.seq)) {
        --task->started;
        task->make_past().returned.push_back({attempt.ordinal, attempt.hedge});
    }
    return attempt;
}

SessionBooks* Ledger::session(Session session) {
    const auto* books = sessions_.find(session);
    return books == nullptr ? nullptr : books->get();
}

const SessionBooks* Ledger::session(Session session) const {
    const auto* books = sessions_.find(session);
    return books == nullptr ? nullptr : books->get();
}

void Ledger::close_session(Session session) {
    assert(this->session(session)->open.empty());
    sessions_.erase(session);
}

// ---- looking -----------------------------------------------------------------------------------

Books Ledger::books() const {
    return {accepted_, outcomes_, tasks_.size(), started_, ends_, attempts_in_flight_, moved_};
}

Intervals Ledger::settled() const {
    Intervals settled;
    Seq from = 1;
    for (const Seq seq : tasks_.sorted_keys()) {
        if (seq > from) settled.push_back({from, seq - 1});
        from = seq + 1;
    }
    if (from <= last_seq_) settled.push_back({from, last_seq_});
    earlier_.each_settled(last_seq_, [&](Interval range) { settled.push_back(range); });
    return settled;
}

std::optional<std::string> Ledger::audit() const {
    if (!books().balanced()) return "the books do not balance";
    std::size_t open = 0;
    std::uint64_t bytes = 0;
    std::optional<std::string> wrong;
    sessions_.for_each([&](Session session, const std::unique_ptr<SessionBooks>& books) {
        open += books->open.size();
        if (books->ended.size() + books->open.size() != books->last_number)
            wrong = "a session's numbers are not all open or ended";
        if (sum(books->ends) != books->ended.size()) wrong = "a session's ends are not its ended numbers";
        books->open.for_each([&](AttemptNumber number, const Attempt& attempt) {
            const Task* task = tasks_.find(attempt.seq);
            if (task != nullptr && std::ranges::find(task->alive, AttemptId{session, number}) == task->alive.end()) {
                wrong = "an open attempt is not in its task's list";
            }
        });
    });
    tasks_.for_each([&](Seq, const Task& task) {
        bytes += task.payload.size();
        for (const AttemptId id : task.alive) {
            const SessionBooks* books = session(id.session);
            if (books == nullptr || !books->open.contains(id.number)) wrong = "a task lists an attempt that has ended";
        }
    });
    Seq first = last_seq_ + 1;
    tasks_.for_each([&](Seq seq, const Task&) { first = std::min(first, seq); });
    if (first != first_) wrong = "the first task in flight is another";
    if (open != attempts_in_flight_) wrong = "attempts in flight are not the open attempts";
    if (bytes != payload_bytes_) wrong = "payload bytes do not add up";
    return wrong;
}

}  // namespace curfew

// The dispatcher's doors: intake, the turn, what goes out.
#include "broker/dispatcher.h"

#include <algorithm>
#include <utility>

#include "common/words/limits.h"
#include "common/words/mutant.h"

namespace curfew {
namespace {

constexpr std::string_view kCancelled = "cancelled by a person";
constexpr std::string_view kTakenBack = "the source is lost, and gives it to others";

std::uint64_t micros(Duration duration) {
    return duration <= Duration::zero()
               ? 0
               : static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::microseconds>(duration).count());
}

}  // namespace

Dispatcher::Dispatcher(const Config& config)
    : config_(config),
      mail_(config.incarnation, config.epoch, ledger_, roster_),
      link_(config.incarnation, config.first_sync, config.heartbeat, counts_),
      hedges_(config.hedging, config.fanout, ledger_, roster_),
      expiry_(ledger_, roster_, link_, config.heartbeat),
      waiting_(ledger_, roster_),
      recalls_(ledger_, roster_, mail_, hedges_),
      admissions_(ledger_, roster_, config.heartbeat),
      beats_(config.heartbeat) {
    ledger_.begin(config.earlier.last, config.earlier.settled, config.earlier.failures);
}

void Dispatcher::receive(Instant now, std::string_view frame) {
    wire::Envelope envelope;
    const bool opened = reader_.open(frame, envelope, {wire::Kind::life, wire::Kind::to_broker}) == wire::Error::none;
    if (!opened || (envelope.kind == wire::Kind::life && frame.size() > limits::kLifeFrameBytes)) {
        ++counts_.malformed;
    } else if (envelope.kind == wire::Kind::life) {
        receive_from_worker(now, envelope);
    } else {
        receive_from_collector(now, envelope);
    }
}

// ---- intake ------------------------------------------------------------------------------------

bool Dispatcher::wants_message() const {
    return link_.is_synced() && intake_.gathered && !intake_.ended && !intake_.paused &&
           ledger_.tasks_in_flight() < config_.window && link_.backlog() < config_.backlog_bytes &&
           ledger_.payload_bytes() < config_.window_bytes && roster_.has_credit();
}

std::size_t Dispatcher::room() const {
    if (intake_.ended || intake_.paused) return 0;
    std::size_t attempts = 0;
    for (const auto& [session, worker] : roster_.sessions()) {
        if (worker->state == SessionState::ready) attempts += std::max(worker->credit, worker->slots);
    }
    const std::size_t each = hedges_.policy().race() ? config_.fanout : 1;
    return std::min((attempts + each - 1) / each, config_.window);
}

Seq Dispatcher::accept(Instant now, const Incoming& message) {
    Instant deadline_at = config_.deadline ? now + *config_.deadline : kNever;
    if (message.left) deadline_at = std::min(deadline_at, now + *message.left);
    const Seq seq = ledger_.accept(now, message, deadline_at);
    expiry_.set(deadline_at, seq);
    hedges_.policy().task_accepted();
    Task& task = *ledger_.task(seq);
    task.told = stories_.takes(seq);
    task.released = hedges_.policy().race() && !task.alone() ? config_.fanout : 1;
    if (task.state == TaskState::open) start_or_wait(now, seq, task);
    return seq;
}

Seq Dispatcher::refuse_message(Instant now, RefusedMessage message, std::string_view why) {
    Incoming incoming{.payload = message.first, .tag = message.tag, .properties = message.properties};
    if (!message.id.empty()) incoming.id = message.id;
    const Seq seq = ledger_.accept(now, incoming, kNever);
    Task& task = *ledger_.task(seq);
    message.first = message.id = message.properties = {};  // the task has them
    task.make_past().refused = std::move(message);
    task.make_past().last_error = why;
    if (task.state == TaskState::open) give_up(now, seq, task, Outcome::failed, why);
    return seq;
}

/// A group's first messages would all go to those workers that happen to be ready first.
void Dispatcher::gather(Instant now) {
    if (intake_.gathered) return;
    const std::size_t ready = roster_.ready();
    if (ready > 0 && intake_.first_ready_at == kNever) intake_.first_ready_at = now;
    const bool waited = intake_.first_ready_at != kNever && now >= intake_.first_ready_at + kGathering;
    intake_.gathered = ready >= config_.await_workers || waited;
}

bool Dispatcher::cancel_task(Instant now, Seq seq) {
    Task* task = ledger_.task(seq);
    if (task == nullptr || task->state != TaskState::open) return false;
    cancel(now, seq, *task, kCancelled);
    return true;
}

std::size_t Dispatcher::cancel_all(Instant now, std::string_view why) {
    std::size_t count = 0;
    for (const Seq seq : ledger_.tasks().sorted_keys()) {
        Task& task = *ledger_.task(seq);
        if (task.state != TaskState::open) continue;
        cancel(now, seq, task, why);
        ++count;
    }
    return count;
}

std::vector<std::uint64_t> Dispatcher::abandon_all(Instant now) {
    std::vector<std::uint64_t> tags;
    for (const Seq seq : ledger_.tasks().sorted_keys()) {
        Task& task = *ledger_.task(seq);
        if (task.state != TaskState::open || task.tag == 0) continue;
        if (task.sender == nullptr) task.sender = std::make_unique<Sender>();
        task.sender->has_taken_back = true;
        tags.push_back(task.tag);
        cancel(now, seq, task, kTakenBack);
    }
    return tags;
}

// ---- starting ----------------------------------------------------------------------------------

/// How many more attempts of it may start now.
std::uint32_t Dispatcher::due(const Task& task) const {
    if (task.state != TaskState::open || task.expired) return 0;
    if (task.cancelled && !mutated(Mutant::reopened_and_started)) return 0;
    const auto alive = static_cast<std::uint32_t>(task.alive.size());
    const std::uint32_t fanout = task.alone() ? 1 : config_.fanout;
    const std::uint32_t room = fanout > alive ? fanout - alive : 0;
    return std::min(task.released - task.started, room);
}

/// Starts what is due of a task on the workers there are. True if nothing is left due.
bool Dispatcher::start_due(Instant now, Seq seq, Task& task) {
    const std::uint32_t wanted = due(task);
    // Choose one at a time: each choice makes its worker, and its pool, the wrong one for the next.
    WorkerSession* worker = nullptr;
    std::uint32_t found = 0;
    for (; found < wanted; ++found) {
        worker = found == 0 ? roster_.choose(task) : roster_.choose_another(task, *worker);
        if (worker == nullptr) break;
        start(now, seq, task, *worker);
    }
    hand_over(now, seq, task);
    return found == wanted;
}

void Dispatcher::start_or_wait(Instant now, Seq seq, Task& task) {
    if (!start_due(now, seq, task)) waiting_.wait(seq, task);
}

void Dispatcher::start(Instant now, Seq seq, Task& task, WorkerSession& worker) {
    const bool came_back = task.came_back();
    const AttemptId id = ledger_.start(now, seq, worker.session);
    Attempt& attempt = *ledger_.attempt(id);
    if (!came_back && task.hedges_due > 0) {
        --task.hedges_due;
        attempt.hedge = true;
    }
    mail_.start(id, attempt.ordinal);
    recalls_.started(now, worker);
    hedges_.restart(now, seq, task);
}

void Dispatcher::hand_over(Instant now, Seq seq, const Task& task) {
    if (!mail_.has_started()) return;
    wire::Task record;
    record.seq = seq;
    record.attempts = task.started;
    if (task.deadline_at != kNever) record.left_us = static_cast<std::int64_t>(micros(task.deadline_at - now));
    record.age_us = micros(now - task.accepted_at);
    record.payload = task.payload;
    if (const std::string* id = task.id()) record.id = *id;
    if (task.sender != nullptr && !task.sender->properties.empty()) record.properties = task.sender->properties;
    mail_.hand_over(record);
}

// ---- the turn ----------------------------------------------------------------------------------

/// A free slot belongs first to what is tried again or came back, then to what stands behind busy
/// slots, then to those that still wait, and to new messages last.
void Dispatcher::turn(Instant now) {
    stories_.turn(now);
    judge_silence(now);
    gather(now);
    recalls_.repeat(now);
    expiry_.fire(
        now, [&](Seq seq) { on_deadline(now, seq); }, [&](Seq seq) { force_expiry(now, seq); });
    hedges_.fire(now, [&](Seq seq, Task& task) { start_or_wait(now, seq, task); });
    const auto start = [&](Seq seq, Task& task) { return start_due(now, seq, task); };
    if (mutated(Mutant::idle_hedge_first)) hedge_idle(now);
    waiting_.start_again(start);
    recalls_.recall_standing(now);
    waiting_.start_others(start);
    beat(now);
}

void Dispatcher::hedge_idle(Instant now) {
    if (waiting_.hopeful() && !mutated(Mutant::idle_hedge_first)) return;
    hedges_.fire_idle([&](Seq seq, Task& task, WorkerSession& worker) {
        start(now, seq, task, worker);
        hand_over(now, seq, task);
    });
}

Instant Dispatcher::next_deadline() const {
    if (waiting_.hopeful() && roster_.has_credit()) return Instant::min();
    const bool gathering = !intake_.gathered && intake_.first_ready_at != kNever;
    return std::min({expiry_.next_deadline(), hedges_.next_deadline(), beats_.next_deadline(), losers_.next_deadline(),
                     mail_.next_deadline(), recalls_.next_deadline(), link_.next_deadline(),
                     gathering ? intake_.first_ready_at + kGathering : kNever});
}

void Dispatcher::flush_cancels(Instant now, std::vector<OutFrame>& frames) {
    call_losers_home(now);
    mail_.flush_cancels(now, news(), frames);
}

void Dispatcher::flush(Instant now, std::vector<OutFrame>& frames) {
    flush_cancels(now, frames);
    roster_.next_turn();
    mail_.flush(now, news(), frames);
    link_.flush(now, drained(), frames);
}

void Dispatcher::set_blocked(Session session, Road road, bool blocked) {
    WorkerSession* worker = roster_.find(session);
    if (worker == nullptr) return;
    (road == Road::tasks ? worker->tasks_blocked : worker->control_blocked) = blocked;
    roster_.changed(*worker);
    roster_.note_change();
    mail_.note(*worker);
}

}  // namespace curfew

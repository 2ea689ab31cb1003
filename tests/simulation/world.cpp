// How the world turns. See world.h.
#include "tests/simulation/world.h"

#include <algorithm>
#include <cstdio>
#include <memory>

#include "tests/simulation/describe.h"

namespace curfew::simulation {
namespace {

using namespace std::chrono_literals;

/// Of brokers that remember; no incarnation is as small.
constexpr Epoch kEpoch = 7;

/// After the faults are over everything has to be in the books within this, and whatever the
/// deadlines allow.
constexpr Duration kDrainsWithin = 60s;

}  // namespace

World::World(const Scenario& scenario, bool trace)
    : scenario_(scenario), trace_(trace), random_(scenario.seed), outcomes_(scenario.messages) {
    now_ = began_ = Instant{} + std::chrono::hours(1);
    well_at_ = now_ + scenario.faults_last;
    next_message_at_ = now_;
    for (std::uint32_t i = scenario.messages; i-- > 0;) to_hand_over_.push_back(i);
    check_every_ = 1 + scenario.workers / 10;
    for (std::uint32_t i = 0; i < scenario.workers; ++i) workers_.push_back(std::make_unique<WorkerProcess>());
    // Each starts when it likes.
    for (Node node = 0; node < kFirstWorker + workers_.size(); ++node) {
        process(node).up = false;
        process(node).name = node == kBroker      ? "broker"
                             : node == kCollector ? "collector"
                                                  : "w" + std::to_string(node - 1);
        at(now_ + exponential(300ms), [this, node] {
            if (node == kBroker) start_broker();
            if (node == kCollector) start_collector();
            if (node >= kFirstWorker) start_worker(node);
        });
    }
    plan_fault();
}

World::~World() = default;

// ---- time and chance ---------------------------------------------------------------------------

void World::at(Instant when, std::function<void()> what) {
    queue_.push({std::max(when, now_), order_++, std::move(what)});
}

bool World::chance(double share) {
    return share > 0 && std::uniform_real_distribution<>(0, 1)(random_) < share;
}

Duration World::exponential(Duration mean) {
    const double length = std::exponential_distribution<>(1.0)(random_);
    return std::chrono::duration_cast<Duration>(std::chrono::duration<double>(mean) * length);
}

Verdict World::run(std::uint64_t most_events) {
    // One slot may have to do all of it, several times.
    const WorkShape& shape = scenario_.work;
    const Duration work = (shape.typical * 4 + (shape.refusing > 0 ? shape.pause : 0s)) * scenario_.messages;
    const Duration slack = scenario_.broker.deadline.value_or(0s) + kDrainsWithin + work;
    Instant give_up_at = kNever;
    while (problem_.empty() && !queue_.empty() && !drained()) {
        const Event event = queue_.top();
        queue_.pop();
        now_ = event.at;
        event.what();
        if (++events_ > most_events) fail("not drained after " + std::to_string(most_events) + " events");
        if (well() && !has_messages() && give_up_at == kNever) give_up_at = now_ + slack;
        if (now_ > give_up_at) fail("not drained within the bound after the faults were over");
        if (now_ > began_ + 3h) fail("not drained within three hours");
    }
    if (problem_.empty() && !drained()) fail("nothing left to happen, and not drained");
    if (problem_.empty()) check_end();
    return {problem_.empty(), problem_, events_, now_ - began_};
}

void World::fail(std::string problem) {
    if (!problem_.empty()) return;
    tell(kBroker, "FAILED: " + problem);
    problem_ = std::move(problem);
}

void World::tell(Node node, const std::string& text) const {
    if (!trace_) return;
    const double ms = std::chrono::duration<double, std::milli>(now_ - began_).count();
    const char* name = node == kBroker      ? "broker"
                       : node == kCollector ? "collector"
                                            : workers_[node - kFirstWorker]->name.c_str();
    std::printf("%12.3f ms  %-9s  %s\n", ms, name, text.c_str());
}

// ---- processes ---------------------------------------------------------------------------------

World::Process& World::process(Node node) {
    if (node == kBroker) return broker_process_;
    if (node == kCollector) return collector_process_;
    return *workers_[node - kFirstWorker];
}

/// A time that never goes back, unless somebody sets the clock back and empties the run directory.
Incarnation World::new_incarnation() {
    constexpr Incarnation kApart = 1000;
    return chance(0.1) ? set_back_ -= kApart : next_incarnation_ += kApart;
}

void World::start_broker() {
    broker_process_.up = true;
    broker_process_.incarnation = new_incarnation();
    Dispatcher::Config config = scenario_.broker;
    config.incarnation = broker_process_.incarnation;
    config.epoch = broker_process_.incarnation;
    if (scenario_.remembers) {
        config.epoch = kEpoch;
        config.earlier.settled = checkpoint_;
    }
    config.what_ran = [this](const std::string&, Incarnation worker) { return std::optional(ran_[worker]); };
    broker_ = std::make_unique<Dispatcher>(config);
    links_.clear();
    given_up_.clear();
    tell(kBroker, "starts");
    wake(kBroker, now_);
}

void World::start_collector() {
    collector_process_.up = true;
    collector_process_.incarnation = new_incarnation();
    judge_ = std::make_unique<Judge>(Judge::Config{collector_process_.incarnation, scenario_.keep_order, 250ms, 1s});
    if (scenario_.sink_remembers) start_sink();
    last_written_ = 0;
    tell(kCollector, "starts");
    wake(kCollector, now_);
}

void World::start_worker(Node node) {
    WorkerProcess& worker = *workers_[node - kFirstWorker];
    worker.up = true;
    worker.incarnation = next_incarnation_++;
    worker.handler = std::make_unique<FakeHandler>(scenario_.work, random_());
    WorkerCore::Config config;
    config.incarnation = worker.incarnation;
    config.name = worker.name;
    config.pool = "pool" + std::to_string(node % scenario_.pools);
    config.slots = scenario_.slots;
    config.credit = scenario_.credit;
    if (scenario_.adapts) config.most_credit = 400;
    if (node % 2 == 0) config.together = scenario_.together;
    config.pid = static_cast<std::uint32_t>(worker.incarnation);
    config.tasks_endpoint = config.control_endpoint = "ipc://" + worker.name;
    config.grace = scenario_.work.grace;
    worker.core = std::make_unique<WorkerCore>(config, *worker.handler);
    tell(node, "starts");
    wake(node, now_);
}

void World::forget_broker() {
    ++broker_crashes_;
    broker_.reset();
    at_large_.clear();
    // A durable source: what has no outcome is handed over again.
    cancelled_.clear();
    if (!scenario_.remembers) {
        for (const auto& [seq, message] : handed_over_) to_hand_over_.push_back(message);
        handed_over_.clear();
        deaths_.clear();
    }
}

/// What it held is gone. What was under way to it is lost or meets the next incarnation.
void World::crash(Node node) {
    Process& dying = process(node);
    if (!dying.up) return;
    tell(node, "CRASHES");
    disturb();
    dying.up = false;
    dying.paused_until = {};
    dying.wake_at = kNever;
    std::erase_if(dying.inbox, [&](const Frame&) { return chance(0.5); });
    const Instant again = now_ + exponential(500ms);
    if (node == kBroker) {
        forget_broker();
        at(again, [this] { start_broker(); });
    } else if (node == kCollector) {
        ++collector_crashes_;
        judge_.reset();
        if (scenario_.sink_remembers && chance(0.5)) sink_.die_while_writing(random_);
        at(again, [this] { start_collector(); });
    } else {
        WorkerProcess& worker = *workers_[node - kFirstWorker];
        if (chance(0.5) && broker_process_.up) {  // launch saw it
            at(now_ + 1ms, [this, name = worker.name, pid = static_cast<std::uint32_t>(worker.incarnation)] {
                if (!broker_process_.up) return;
                broker_->worker_died(here(kBroker), name, pid);
                wake(kBroker, now_);
            });
        }
        note_death(worker);
        worker.core.reset();
        worker.handler.reset();
        at(again, [this, node] { start_worker(node); });
    }
}

/// What a page in the run directory tells of the real processes.
void World::note_death(const WorkerProcess& worker) {
    for (const SlotState& slot : worker.core->slots()) {
        const AttemptId id = slot.attempt;
        if (id.session == 0 || id.session != worker.core->session()) continue;
        ran_[worker.incarnation].push_back(id);
        const HeldAttempt* held = worker.core->held().find(id.number);
        if (held != nullptr && worker.core->broker() == broker_process_.incarnation) ++deaths_[held->seq];
    }
}

void World::wake(Node node, Instant when) {
    Process& sleeper = process(node);
    when = std::max({when, now_, sleeper.paused_until});
    if (when >= sleeper.wake_at && sleeper.wake_at >= now_) return;
    sleeper.wake_at = when;
    at(when, [this, node, when] {
        Process& waking = process(node);
        if (!waking.up || waking.wake_at != when) return;
        if (now_ < waking.paused_until) {
            waking.wake_at = kNever;
            wake(node, waking.paused_until);
            return;
        }
        waking.wake_at = kNever;
        run_process(node);
    });
}

void World::wake_by_its_clock(Node node, Instant when) {
    const Duration stood = process(node).stood;
    wake(node, when >= kNever - stood ? kNever : std::max(when + stood, now_ + 1us));
}

void World::run_process(Node node) {
    std::vector<Frame> inbox = std::exchange(process(node).inbox, {});
    if (node == kBroker) {
        run_broker(std::move(inbox));
    } else if (node == kCollector) {
        run_collector(std::move(inbox));
    } else {
        run_worker(*workers_[node - kFirstWorker], node, std::move(inbox));
    }
    check_step();
}

void World::run_broker(std::vector<Frame> inbox) {
    const Instant now = here(kBroker);
    std::vector<Dispatcher::OutFrame> frames;
    for (const Frame& frame : inbox) broker_->receive(now, frame.bytes);
    broker_->flush_cancels(now, frames);
    take_messages();
    broker_->turn(now);
    const bool looked = check_timers();  // before new messages bring tokens for hedges that wait
    take_messages();
    if (!(broker_->wants_message() && has_messages() && next_message_at_ <= now_)) broker_->hedge_idle(now);
    if (looked) check_idle_slots();
    broker_->flush(now, frames);
    for (const auto& change : broker_->take_link_changes()) {
        if (!change.open) continue;  // frames that were handed over still arrive
        for (Node node = kFirstWorker; node < kFirstWorker + workers_.size(); ++node) {
            if (workers_[node - kFirstWorker]->name == change.tasks_endpoint.substr(6)) links_[change.session] = node;
        }
    }
    for (auto& frame : frames) {
        if (frame.road == Dispatcher::Road::collector) {
            send(kBroker, kCollector, Road::results, std::move(frame.bytes));
        } else {
            const Road road = frame.road == Dispatcher::Road::tasks ? Road::tasks : Road::control;
            for (const Session session : frame.sessions) send(kBroker, links_.at(session), road, frame.bytes);
        }
    }
    if (looked) check_losers();
    check_standing();
    check_cancelled();
    note_given_up();
    wake_by_its_clock(kBroker, broker_->next_deadline());
    if (scenario_.remembers && chance(0.05)) checkpoint_ = broker_->ledger().settled();
    if (broker_->wants_message() && has_messages()) wake(kBroker, std::max(next_message_at_, now_ + 1us));
}

/// A source that can hand over again has them by their numbers, whoever asks.
bool World::has_messages() const {
    if (!scenario_.remembers) return !to_hand_over_.empty();
    return broker_ == nullptr || broker_->ledger().last_seq() < scenario_.messages;
}

std::uint32_t World::next_message() {
    if (scenario_.remembers) return static_cast<std::uint32_t>(broker_->ledger().last_seq());
    const std::uint32_t message = to_hand_over_.back();
    to_hand_over_.pop_back();
    return message;
}

/// What the power took has no outcome any more, whatever the sink believes.
void World::start_sink() {
    judge_->remember({sink_.begin()});
    if (sink_.broken() != nullptr) fail(sink_.broken());
    const std::map<Seq, std::uint32_t> lines = sink_.lines();
    for (Seq seq = 1; seq <= outcomes_.size(); ++seq) outcomes_[seq - 1] = lines.contains(seq) ? lines.at(seq) : 0;
}

void World::sync_sink(bool waits_already) {
    if (scenario_.sink_syncs == Duration::zero()) return sink_.sync();
    if (waits_already) return;
    at(now_ + scenario_.sink_syncs, [this, incarnation = collector_process_.incarnation] {
        if (collector_process_.up && collector_process_.incarnation == incarnation) sink_.sync();
    });
}

/// The machine goes, and with it what the sink had not synced.
void World::lose_power() {
    tell(kCollector, "and the broker lose their power");
    crash(kBroker);
    crash(kCollector);
    sink_.lose_power(random_);
}

std::string World::text_of(std::uint32_t message) const {
    std::string text = "message " + std::to_string(message);
    text.resize(std::max(text.size(), scenario_.message_bytes), '.');
    return text;
}

void World::take_messages() {
    while (has_messages() && next_message_at_ <= now_ && broker_->wants_message()) {
        if (scenario_.remembers && broker_->pass_over()) continue;
        const std::uint32_t message = next_message();
        const Seq seq = broker_->accept(here(kBroker), {.payload = text_of(message)});
        handed_over_[seq] = message;
        next_message_at_ = now_ + exponential(scenario_.between_messages);
    }
}

void World::run_collector(std::vector<Frame> inbox) {
    const std::uint64_t syncs = judge_->syncs();
    const Incarnation broker = judge_->broker();
    for (const Frame& frame : inbox) judge_->receive(here(kCollector), frame.bytes);
    // The pair has begun anew: as after a crash. The first sync is no such thing, but for a sink
    // that remembers its epoch; and what a collector has, it has for the next life of its broker,
    // too.
    const bool may = scenario_.remembers ? judge_->broker() == broker : syncs > 0;
    if (may) resyncs_ += judge_->syncs() - syncs;
    write_outcomes();
    std::vector<curfew::Frame> frames;
    judge_->flush(here(kCollector), frames);
    for (const curfew::Frame& frame : frames) send(kCollector, kBroker, Road::events, frame);
    wake_by_its_clock(kCollector, judge_->next_deadline());
}

void World::write_outcomes() {
    while (OutcomeRecord* outcome = judge_->next_outcome()) {
        if (scenario_.sink_delay == Duration::zero()) {
            on_written(*outcome, collector_process_.incarnation);
            continue;
        }
        // Sinks keep the order in which they are given.
        Instant& last = last_delivery_[{kCollector, Road::tasks}];
        last = std::max(last, now_ + exponential(scenario_.sink_delay));
        // Shared: what is to happen can be copied, a result cannot.
        auto written = std::make_shared<OutcomeRecord>(std::move(*outcome));
        at(last, [this, written, incarnation = collector_process_.incarnation] {
            if (!collector_process_.up || collector_process_.incarnation != incarnation) return;
            // What waited for the sink is forgotten at a sync
            if (written->sync != judge_->syncs()) return;
            on_written(*written, incarnation);
            wake(kCollector, now_);
        });
    }
}

void World::on_written(const OutcomeRecord& outcome, Incarnation) {
    judge_->written(outcome.sync, outcome.seq);
    tell(kCollector, "writes task " + std::to_string(outcome.seq) + " " + std::string(name_of(outcome.outcome)));
    const bool current =
        outcome.epoch == kEpoch || (broker_process_.up && outcome.epoch == broker_process_.incarnation);
    const auto at = handed_over_.find(outcome.seq);
    if (scenario_.sink_remembers) {
        const bool waits_already = !sink_.is_synced();
        sink_.put(outcome);
        sync_sink(waits_already);
    }
    // Of a broker that is no more, or written again after a crash
    if (!current || at == handed_over_.end()) return;
    ++outcomes_[at->second];
    if (outcomes_[at->second] > 1 + may_be_written_again()) fail("an outcome was written twice");
    if (outcome.outcome == Outcome::completed && outcome.result.view() != answer_to(text_of(at->second))) {
        fail("a task was completed with the result of another");
    }
    if (outcome.error.starts_with("its work has killed") && deaths_[outcome.seq] < scenario_.broker.poison) {
        fail("given up as poison, and innocent");
    }
    if (was_given_up_too_early(outcome)) fail("given up before it had failed often enough");
    const bool cancelled =
        scenario_.remembers ? ever_cancelled_.contains(outcome.seq) : cancelled_.contains(outcome.seq);
    if (outcome.outcome == Outcome::cancelled && !cancelled) fail("cancelled, but nobody did");
    if (scenario_.keep_order && broker_crashes_ + collector_crashes_ + resyncs_ == 0 &&
        outcome.seq != last_written_ + 1) {
        fail("--keep-order, and out of order");
    }
    last_written_ = outcome.seq;
}

/// A result that was decided is decided again where who knew of it is gone.
std::uint64_t World::may_be_written_again() const {
    if (!scenario_.remembers) return broker_crashes_ + collector_crashes_ + resyncs_;
    return resyncs_ + (scenario_.sink_remembers ? 0 : collector_crashes_);
}

/// What was refused by its service, moved or lost does not count as a failure.
bool World::was_given_up_too_early(const OutcomeRecord& outcome) const {
    if (outcome.outcome != Outcome::failed || outcome.error.starts_with("its work has killed")) return false;
    const auto told = told_.find({outcome.epoch, outcome.seq});
    if (told == told_.end()) return true;
    return !told->second.rejected && told->second.failed.size() < scenario_.broker.attempts;
}

/// Tells the oracle what has been called home: it must not be started any more.
void World::note_cancels(WorkerProcess& worker, const Frame& frame) {
    wire::Reader reader;
    wire::Envelope envelope;
    if (reader.open(frame.bytes, envelope, {wire::Kind::control}) != wire::Error::none) return;
    if (envelope.peer != worker.core->session() || envelope.broker != worker.core->broker()) return;
    (void)reader.each<wire::road::Control>([&](const auto& record) {
        if constexpr (std::is_same_v<std::decay_t<decltype(record)>, wire::Cancel>) {
            for (const Interval& range : record.numbers) {
                for (AttemptNumber number = range.first; number <= range.last; ++number)
                    worker.handler->called_home({envelope.peer, number});
            }
        }
    });
}

/// Tells the oracle what the worker hands back: it must not have been started, and must not be.
/// Notes what has failed.
void World::note_reports(WorkerProcess& worker, std::string_view frame) {
    wire::Reader reader;
    wire::Envelope envelope;
    if (reader.open(frame, envelope, {wire::Kind::reports}) != wire::Error::none) return;
    (void)reader.each<wire::road::Reports>([&](const auto& record) {
        if constexpr (std::is_same_v<std::decay_t<decltype(record)>, wire::Report>) {
            if (record.kind == ReportKind::returned) worker.handler->returned({envelope.peer, record.number});
            if (record.kind != ReportKind::failed && record.kind != ReportKind::rejected) return;
            Told& told = told_[{scenario_.remembers ? kEpoch : envelope.broker, record.seq}];
            told.failed.emplace(envelope.broker, envelope.peer, record.number);
            told.rejected = told.rejected || record.kind == ReportKind::rejected;
        }
    });
}

void World::run_worker(WorkerProcess& worker, Node node, std::vector<Frame> inbox) {
    const Instant now = here(worker);
    const Duration gap = worker.stood - std::exchange(worker.told, worker.stood);
    if (gap >= 2s) worker.core->stood_still(now);
    for (const Frame& frame : inbox) {
        if (frame.road != Road::control) continue;
        note_cancels(worker, frame);
        worker.core->receive_control(now, frame.bytes);
        worker.handler->set_broker(worker.core->broker());
    }
    std::vector<curfew::Frame> for_collector, for_broker;
    if (worker.core->has_ends()) {
        worker.core->turn(now);
        worker.core->flush(now, for_collector, for_broker);
    }
    for (const Frame& frame : inbox) {
        if (frame.road == Road::tasks) worker.core->receive_tasks(now, frame.bytes);
    }
    const std::size_t started = worker.handler->started();
    worker.core->turn(now);
    if (worker.handler->started() > started && was_given_up(worker))
        fail("work was started for a session that had been given up for longer than a lease");
    worker.core->flush(now, for_collector, for_broker);
    for (const curfew::Frame& frame : for_collector) note_reports(worker, frame);
    for (const curfew::Frame& frame : for_collector) send(node, kCollector, Road::results, frame);
    for (const curfew::Frame& frame : for_broker) send(node, kBroker, Road::events, frame);
    if (worker.handler->broken() != nullptr) fail(worker.handler->broken());
    wake_by_its_clock(node, worker.core->next_deadline());
}

// ---- channels ----------------------------------------------------------------------------------

void World::send(Node from, Node to, Road road, std::string bytes) {
    const bool of_stream = from <= kCollector && to <= kCollector;
    const Duration mended_within = of_stream ? kStreamMends : 0ms;
    if (trace_) tell(from, "-> " + process(to).name + "  " + describe(bytes));
    const bool faulty = !well();
    const auto cut = cut_until_.find({from, to});
    if (cut != cut_until_.end() && now_ < cut->second) {
        disturb(mended_within);
        stream_torn_ = stream_torn_ || of_stream;
    }
    if (cut != cut_until_.end() && now_ < cut->second && chance(0.7)) return;
    if (faulty && chance(scenario_.drop)) {
        disturb(mended_within);
        stream_torn_ = stream_torn_ || of_stream;
        tell(from, "   (lost on the way)");
        return;
    }
    Instant when = now_ + scenario_.latency / 2 + exponential(scenario_.latency / 2);
    if (cut != cut_until_.end() && now_ < cut->second) when = cut->second + exponential(10ms);
    if (faulty && chance(scenario_.overtake)) {
        when += exponential(200 * scenario_.latency);
        disturb(mended_within);
    } else if (faulty && road == Road::tasks && chance(scenario_.late_tasks)) {
        when += exponential(50ms);
    } else {
        Instant& last = last_delivery_[{from * 100 + to, road}];
        when = std::max(when, last);
        last = when;
    }
    if (faulty && chance(scenario_.duplicate)) {
        at(when + exponential(20 * scenario_.latency), [this, to, road, bytes] { deliver(to, road, bytes); });
    }
    at(when, [this, to, road, bytes = std::move(bytes)] { deliver(to, road, bytes); });
}

void World::deliver(Node to, Road road, const std::string& bytes) {
    Process& receiver = process(to);
    if (!receiver.up && chance(0.5)) return;
    receiver.inbox.push_back({road, bytes});
    if (receiver.up) wake(to, now_);
}

}  // namespace curfew::simulation

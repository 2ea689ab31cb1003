// A dispatcher on the bench: the test plays its workers and its collector, and moves the clock.
#pragma once

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "broker/dispatcher.h"
#include "tests/support/frames.h"

namespace curfew::support {

struct WorkerShape {
    std::uint32_t credit = 4;
    std::string pool = "default";
    std::uint32_t slots = 1;
};

class BrokerBench {
public:
    using Config = Dispatcher::Config;
    /// An attempt as it was sent to a worker.
    struct SentTask {
        AttemptId id;
        Seq seq = 0;
        wire::Task record;  ///< its views are valid until the next turn
    };
    static constexpr Incarnation kCollector = 50;

    explicit BrokerBench(const Config& config = {}) : config_(config), broker(config) {}

    // ---- the collector
    /// A collector comes and takes the sync over.
    void meet_collector(Incarnation incarnation = kCollector) {
        collector = incarnation;
        acked = 0;
        hear_collector_hellos();
        turn();
        syncs = control.all<wire::Sync>();
        restart_stream();
        say(wire::Synced{}, wire::Backlog{0});
        turn();
    }
    /// Twice: one frame alone does not make a broker leave the collector that it knows.
    void hear_collector_hellos() {
        hear_collector_hello();
        hear_collector_hello();
    }
    /// `has_round`: it has this sync already, and wants another; 0: it has none.
    void hear_collector_hello(std::uint64_t has_round = 0) {
        const wire::Envelope envelope{wire::Kind::to_broker, config_.incarnation, collector, 0, 0};
        broker.receive(now, frame_of(envelope, wire::CollectorHello{0, {}, has_round}));
    }
    /// The collector has taken over another sync.
    [[nodiscard]] std::uint64_t base() const { return syncs.empty() ? 0 : stream_base(syncs.back().round); }
    void restart_stream() { stream_ = acked = base(); }
    /// The collector's next batch.
    template <typename... Records>
    void say(const Records&... records) {
        const wire::Envelope envelope{wire::Kind::to_broker, config_.incarnation, collector, ++stream_, acked};
        broker.receive(now, frame_of(envelope, records...));
    }
    void say_ended(AttemptId id, End end, std::string_view error = {}) {
        say(wire::Ended{id.session, end, {{id.number, id.number}}, error});
    }
    void say_decided(Seq seq, AttemptId winner) { say(wire::Decided{seq, winner.session, winner.number}); }
    void say_settled(Seq seq, Outcome outcome = Outcome::completed) { say(wire::Settled{outcome, {{seq, seq}}}); }
    /// The worker is known to have died, and the collector has echoed it.
    void bury(const std::string& name, Session session) {
        broker.worker_died(now, name, 1000);
        turn();
        say(wire::Refused{session, {}});
        turn();
    }
    /// The whole way of a winner.
    void win(const SentTask& task) {
        say_decided(task.seq, task.id);
        say_settled(task.seq);
    }

    // ---- workers
    void hello(const std::string& name, const WorkerShape& shape, Incarnation incarnation, std::uint64_t count = 1) {
        hello_of(name, shape, incarnation, count, [](wire::Hello&) {});
    }
    /// `change` makes of it what a worker of ours would not say.
    template <typename Change>
    void hello_of(const std::string& name, const WorkerShape& shape, Incarnation incarnation, std::uint64_t count,
                  Change&& change) {
        wire::Hello hello;
        hello.worker = incarnation;
        hello.hello = count;
        hello.name = name;
        hello.pool = shape.pool;
        hello.slots = shape.slots;
        hello.credit = shape.credit;
        hello.pid = 1000;
        hello.tasks = "ipc://t";
        hello.control = "ipc://c";
        hello.knows_recall = 1;
        change(hello);
        broker.receive(now, frame_of({wire::Kind::life, 0, 0, 0, 0}, hello));
    }
    void heartbeat(Session session) {
        broker.receive(now, frame_of({wire::Kind::life, config_.incarnation, session, 0, 0}, wire::Heartbeat{}));
    }
    /// Hello, admission, welcome, first heartbeat.
    Session add_worker(const std::string& name, const WorkerShape& shape = {}, Incarnation incarnation = 7) {
        hello(name, shape, incarnation);
        const Session session = broker.roster().sessions().rbegin()->first;
        say(wire::Admitted{session});
        heartbeat(session);
        turn();
        return session;
    }
    void heartbeats() {
        for (const auto& [session, worker] : broker.roster().sessions()) {
            if (worker->state == SessionState::ready) heartbeat(session);
        }
    }
    /// The worker's answer to the last token that it was sent, by way of the collector.
    void answer_token(wire::TokenReport token) {
        token.round = rounds.at(token.session);
        say(token);
    }

    // ---- time
    /// A turn as the server makes it; what was sent is in `tasks`, `control` and `verdicts` until
    /// the next one.
    void turn() {
        broker.turn(now);
        broker.hedge_idle(now);
        flush();
    }
    void flush() {
        tasks.clear();
        control = {};
        to_session.clear();
        std::vector<Dispatcher::OutFrame> frames;
        broker.flush(now, frames);
        for (Dispatcher::OutFrame& out : frames) {
            control.add(std::move(out.bytes));
            const Frame& frame = control.frames.back();
            if (out.road == Dispatcher::Road::collector) {
                acked = std::max(acked, frame.envelope.number);
            } else {
                for (const Session session : out.sessions) take(session, frame);
            }
        }
        if (acknowledges) hear_ack(acked);
    }
    /// The collector has all up to there.
    void hear_ack(std::uint64_t number) {
        broker.receive(now, frame_of({wire::Kind::to_broker, config_.incarnation, collector, 0, number}));
    }
    void take(Session session, const Frame& frame) {
        to_session[session].frames.push_back(frame);
        for (const auto& token : frame.all<wire::Token>()) rounds[session] = token.round;
        for (const auto& task : frame.all<wire::Task>()) tasks.push_back({{session, task.number}, task.seq, task});
        for (const auto& shared : frame.all<wire::SharedTasks>()) {
            wire::SharedReader reader(shared, session);
            EXPECT_TRUE(reader.addressed());
            while (const wire::Task* task = reader.next()) tasks.push_back({{session, task->number}, task->seq, *task});
            EXPECT_TRUE(reader.good());
        }
    }
    /// Workers stay alive meanwhile; what was sent in all that time is in `tasks` and `control`.
    void pass(Duration duration) {
        tasks.clear();
        control = {};
        to_session.clear();
        const Duration step = config_.heartbeat / 2;
        for (Duration left = duration; left > Duration::zero(); left -= step) {
            now += std::min(left, step);
            heartbeats();
            turn_and_keep();
        }
    }
    Seq accept(std::string_view payload = "payload") { return broker.accept(now, {.payload = payload}); }
    /// Accepts a message; what was started of it is in `tasks`.
    Seq start(std::string payload = "payload") {
        const Seq seq = accept(std::move(payload));
        turn();
        return seq;
    }

    [[nodiscard]] std::vector<AttemptNumber> cancelled(Session session, CancelReason reason) {
        std::vector<AttemptNumber> all;
        for (const auto& cancel : to_session[session].all<wire::Cancel>()) {
            if (cancel.reason != reason) continue;
            for (const AttemptNumber n : each_of(cancel.numbers)) all.push_back(n);
        }
        return all;
    }
    [[nodiscard]] std::vector<AttemptNumber> confirmed(Session session) {
        std::vector<AttemptNumber> all;
        for (const auto& confirm : to_session[session].all<wire::Confirm>()) {
            for (const AttemptNumber n : each_of(confirm.numbers)) all.push_back(n);
        }
        return all;
    }
    [[nodiscard]] const WorkerSession& worker(Session session) const { return *broker.roster().find(session); }
    /// The youngest session.
    [[nodiscard]] const WorkerSession& newest() const { return *broker.roster().sessions().rbegin()->second; }
    [[nodiscard]] Books books() const { return broker.ledger().books(); }
    [[nodiscard]] bool in_flight(Seq seq) const { return broker.ledger().task(seq) != nullptr; }

private:
    /// Turns, but adds to what was sent.
    void turn_and_keep() {
        std::vector<SentTask> before = std::move(tasks);
        Sent sent = std::move(control);
        std::map<Session, Sent> each = std::move(to_session);
        turn();
        tasks.insert(tasks.begin(), before.begin(), before.end());
        control.frames.insert(control.frames.begin(), sent.frames.begin(), sent.frames.end());
        for (auto& [session, old] : each) {
            auto& frames = to_session[session].frames;
            frames.insert(frames.begin(), old.frames.begin(), old.frames.end());
        }
    }

    Config config_;
    std::uint64_t stream_ = 0;

public:
    Dispatcher broker;
    Instant now = kStart;
    Incarnation collector = kCollector;
    /// Batches of the broker's stream that the collector has.
    std::uint64_t acked = 0;
    bool acknowledges = true;                 ///< the collector says so each turn
    std::vector<SentTask> tasks;              ///< of the last turn
    Sent control;                             ///< everything of the last turn
    std::map<Session, Sent> to_session;       ///< the same, what went to workers
    std::map<Session, std::uint64_t> rounds;  ///< last token
    std::vector<wire::Sync> syncs;
};

}  // namespace curfew::support

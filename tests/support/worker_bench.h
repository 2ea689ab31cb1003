// A worker's core on the bench: the test plays the broker, the collector and the work, and moves
// the clock.
#pragma once

#include <algorithm>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "tests/support/frames.h"
#include "worker/session.h"

namespace curfew::support {

/// Work that ends when the test says so. Stops are only noted.
class ManualHandler final : public Handler {
public:
    struct Started {
        Slot slot;
        AttemptId id;
        Seq seq;
        std::string payload;
    };
    void start(Instant, Slot slot, const Work& work) override {
        EXPECT_FALSE(running.contains(slot)) << "a slot holds at most one piece of work";
        running[slot] = work.id;
        started.push_back({slot, work.id, work.seq, std::string(work.payload)});
    }
    void stop(Instant, Slot slot) override { stopped.push_back(slot); }
    void turn(Instant, std::vector<WorkEnd>& ends) override {
        for (WorkEnd& end : ends_) ends.push_back(std::move(end));
        ends_.clear();
    }
    [[nodiscard]] bool can_kill() const override { return kills; }
    [[nodiscard]] Slot open_slots(Instant) const override { return open; }

    void end(Slot slot, Finish finish, std::string text = {}, std::optional<Traces> traces = {}) {
        EXPECT_EQ(running.erase(slot), 1U);
        WorkEnd& end = ends_.emplace_back();
        end.slot = slot;
        end.finish = finish;
        end.traces = std::move(traces);
        (finish == Finish::ok ? end.result : end.error) = std::move(text);
    }

    /// What was ended last has the message for its result.
    void echo() { ends_.back().echo = true; }

    std::vector<Started> started;
    std::vector<Slot> stopped;
    std::map<Slot, AttemptId> running;
    bool kills = true;
    Slot open = UINT32_MAX;  ///< slots that may be busy

private:
    std::vector<WorkEnd> ends_;
};

class WorkerBench {
public:
    explicit WorkerBench(const WorkerCore::Config& config = {}, std::span<AttemptId> running = {})
        : worker(config, handler, running), config_(config) {
        meet_broker();
    }

    /// Answers the hello that the worker says.
    void meet_broker(Incarnation incarnation = 1, Session session = 1) {
        broker = incarnation;
        for (int i = 0; i < 3 && sent_to_broker.count<wire::Hello>() == 0; ++i, now += config_.heartbeat / 4) turn();
        const auto hellos = sent_to_broker.all<wire::Hello>();
        ASSERT_FALSE(hellos.empty());
        const wire::Hello& hello = hellos.back();
        control_from(broker, session, wire::Welcome{hello.worker, hello.hello, 9, collector});
        turn();
    }
    template <typename... Records>
    void control_from(Incarnation incarnation, Session session, const Records&... records) {
        worker.receive_control(now, frame_of({wire::Kind::control, incarnation, session, 0, 0}, records...));
    }
    template <typename... Records>
    void control(const Records&... records) {
        control_from(broker, worker.session(), records...);
    }
    void ping() { control(wire::Ping{collector}); }
    void cancel(AttemptNumber number, CancelReason reason) { control(wire::Cancel{reason, {{number, number}}}); }
    void confirm(AttemptNumber number) { control(wire::Confirm{{{number, number}}}); }

    template <typename... Records>
    void tasks(const Records&... records) {
        worker.receive_tasks(now, frame_of({wire::Kind::tasks, broker, worker.session(), 0, 0}, records...));
    }
    /// One task; its seq is ten times its number.
    void task(AttemptNumber number, std::int64_t left_us = -1, std::string_view payload = "work") {
        wire::Task record;
        record.number = number;
        record.seq = number * 10;
        record.left_us = left_us;
        record.age_us = 5;
        record.payload = payload;
        tasks(record);
    }
    /// A turn as the server makes it.
    void turn() {
        worker.turn(now);
        std::vector<curfew::Frame> collector_frames, broker_frames;
        worker.flush(now, collector_frames, broker_frames);
        sent = {};
        sent_to_broker = {};
        for (const curfew::Frame& frame : collector_frames) sent.add(frame);
        for (const curfew::Frame& frame : broker_frames) sent_to_broker.add(frame);
    }
    /// The broker pings meanwhile.
    void pass(Duration duration) {
        const Duration step = config_.heartbeat / 2;
        for (Duration left = duration; left > Duration::zero(); left -= step) {
            now += std::min(left, step);
            ping();
            turn();
        }
    }
    /// Ends the work of a slot and makes a turn: the report is in `sent`.
    void end(Slot slot, Finish finish, std::string text = {}) {
        handler.end(slot, finish, std::move(text));
        turn();
    }
    [[nodiscard]] wire::Report report() const { return sent.only<wire::Report>(); }
    [[nodiscard]] AttemptState state(AttemptNumber number) const {
        const HeldAttempt* held = worker.held().find(number);
        EXPECT_NE(held, nullptr) << "attempt " << number << " is not held";
        return held == nullptr ? AttemptState::reported : held->state;
    }
    [[nodiscard]] wire::TokenReport token() {
        tasks(wire::Token{++round_});
        turn();
        return sent.only<wire::TokenReport>();
    }

    ManualHandler handler;
    WorkerCore worker;
    Instant now = kStart;
    Incarnation broker = 1;
    Incarnation collector = 50;
    Sent sent;            ///< to the collector, in the last turn
    Sent sent_to_broker;  ///< in the last turn

private:
    WorkerCore::Config config_;
    std::uint64_t round_ = 0;
};

}  // namespace curfew::support

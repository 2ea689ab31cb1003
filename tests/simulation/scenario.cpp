#include "tests/simulation/scenario.h"

#include <algorithm>
#include <random>

#include "common/wire/wire_limits.h"

namespace curfew::simulation {
namespace {

using namespace std::chrono_literals;

class Dice {
public:
    explicit Dice(std::uint64_t seed) : random_(seed) {}
    std::uint32_t between(std::uint32_t low, std::uint32_t high) {
        return std::uniform_int_distribution<std::uint32_t>(low, high)(random_);
    }
    bool chance(double share) { return std::uniform_real_distribution<>(0, 1)(random_) < share; }
    double upto(double most) { return std::uniform_real_distribution<>(0, most)(random_); }
    template <typename T>
    T one_of(std::initializer_list<T> list) {
        return *(list.begin() + between(0, static_cast<std::uint32_t>(list.size() - 1)));
    }

private:
    std::mt19937_64 random_;
};

void shape_policy(Dice& dice, Scenario& s) {
    Dispatcher::Config& b = s.broker;
    b.fanout = dice.between(1, 5);
    b.attempts = dice.between(1, 4);
    b.poison = dice.one_of({0U, 3U});
    b.window = dice.one_of<std::size_t>({1, 4, 32, 1000});
    b.deadline = dice.chance(0.2) ? std::nullopt : std::optional<Duration>(dice.one_of<Duration>({200ms, 2s, 30s}));
    if (dice.chance(0.5)) {
        b.hedging.delay = dice.chance(0.5) ? Hedging::Config::Delay::fixed : Hedging::Config::Delay::percentile;
        b.hedging.fixed = dice.one_of<Duration>({1ms, 20ms, 500ms});
        if (dice.chance(0.5)) b.hedging.budget = dice.upto(0.5);
    }
}

void shape_work(Dice& dice, Scenario& s) {
    s.work.typical = dice.one_of<Duration>({0ms, 1ms, 20ms, 300ms});
    if (dice.chance(0.4)) s.work.failing = dice.upto(0.6);
    if (dice.chance(0.2)) s.work.rejecting = dice.upto(0.2);
    if (dice.chance(0.4)) s.work.deaf = dice.upto(1.0);
    // Endless work without a deadline ends only if another attempt wins: not a scenario that must
    // drain.
    if (s.broker.deadline && dice.chance(0.3)) s.work.endless = dice.upto(0.3);
}

void shape_faults(Dice& dice, Scenario& s) {
    s.latency = dice.one_of<Duration>({10us, 100us, 5ms});
    if (dice.chance(0.5)) s.drop = dice.upto(0.1);
    if (dice.chance(0.4)) s.duplicate = dice.upto(0.2);
    if (dice.chance(0.5)) s.overtake = dice.upto(0.2);
    if (!dice.chance(0.7)) return;
    s.faults_last = dice.one_of<Duration>({2s, 10s, 30s});
    s.between_faults = dice.one_of<Duration>({50ms, 500ms, 3s});
    s.crash_worker = dice.chance(0.6) ? dice.upto(1) : 0;
    s.crash_collector = dice.chance(0.5) ? dice.upto(0.5) : 0;
    s.crash_broker = dice.chance(0.15) ? dice.upto(0.2) : 0;
    s.pause = dice.chance(0.5) ? dice.upto(1) : 0;
    s.cut = dice.chance(0.5) ? dice.upto(1) : 0;
    s.cancel = dice.chance(0.3) ? dice.upto(1) : 0;
}

/// So quick, and so rarely disturbed, that a power loss takes many sectors.
void shape_much_to_lose(Scenario& s) {
    s.messages = 1000;
    s.between_messages = s.work.typical = 500us;
    s.broker.window = 1000;
    s.sink_delay = std::min<Duration>(s.sink_delay, 100us);
    s.between_faults = 3s;
    s.crash_broker = s.crash_collector = 0.1;
}

/// A broker that goes on where another was; it and its collector die more often.
void shape_memory(Dice& dice, Scenario& s) {
    s.remembers = true;
    s.sink_remembers = dice.chance(0.6);
    if (s.between_faults == Scenario::kNeverFault || s.stand > 0) return;
    s.crash_broker = dice.upto(1);
    s.crash_collector = dice.upto(0.5);
    if (!s.sink_remembers || dice.chance(0.5)) return;
    s.power_loss = dice.upto(0.5);
    s.sink_syncs = dice.one_of<Duration>({0ms, 500ms, Scenario::kNeverFault});
    if (dice.chance(0.5)) shape_much_to_lose(s);
}

/// Long work, and hosts that sleep while more of it waits there.
void shape_sleepers(Scenario& s) {
    s.work.typical = 300ms;
    s.messages = 300;
    s.adapts = false;
    s.credit = 4 * s.slots;
    s.broker.window = 1000;
    s.broker.deadline = 30s;
    s.latency = std::min<Duration>(s.latency, 100us);
    s.faults_last = 30s;
    s.between_faults = 3s;
    s.pause = 5;
}

/// A person cancels what has just been decided by a result that is lost with its collector.
void shape_cancels(Scenario& s) {
    s.messages = 300;
    s.sink_delay = 20ms;
    s.faults_last = 10s;
    s.between_faults = 50ms;
    s.cancel = 2;
    s.crash_collector = s.crash_worker = 0.5;
}

/// Whole numbers of messages fill a frame but for some bytes, so that its last record begins just
/// before it is full.
void shape_full_frames(Dice& dice, Scenario& s) {
    s.message_bytes = wire::kFrameBytes / dice.between(2, 12) - dice.between(0, 60);
    s.workers = std::min(s.workers, 2U);
    s.slots = s.credit = 16;
    s.adapts = false;
    s.broker.window = std::max<std::size_t>(s.broker.window, 32);
    s.work.typical = s.between_messages = 0ms;
}

/// Hedges only where a slot is free.
void shape_idle_hedges(Scenario& s) {
    s.broker.hedging = {};
    s.broker.hedging.delay = Hedging::Config::Delay::idle;
    s.broker.fanout = std::max(s.broker.fanout, 2U);
}

/// The whole group stands still now and then, in half of these worlds without any other fault: then
/// nothing is lost.
void shape_standstill(Dice& dice, Scenario& s) {
    s.stand = 1;
    if (s.faults_last == 0s) {
        s.faults_last = 10s;
        s.between_faults = 500ms;
    }
    if (dice.chance(0.5)) return;
    s.drop = s.overtake = 0;
    s.crash_worker = s.crash_collector = s.crash_broker = s.pause = s.cut = 0;
}

}  // namespace

Scenario scenario_of(std::uint64_t seed) {
    Dice dice(seed * 0x9E3779B97F4A7C15ULL + 1);
    Scenario s;
    s.seed = seed;
    s.workers = dice.between(1, 6);
    s.pools = dice.between(1, 3);
    s.slots = dice.between(1, 4);
    s.credit = dice.chance(0.2) ? 1 : s.slots * dice.between(1, 4);
    s.messages = dice.one_of({20U, 100U, 300U});
    s.keep_order = dice.chance(0.3);
    s.sink_delay = dice.one_of<Duration>({0us, 100us, 20ms});
    s.between_messages = dice.one_of<Duration>({0us, 500us, 20ms});
    shape_policy(dice, s);
    shape_work(dice, s);
    shape_faults(dice, s);
    if (s.broker.deadline && dice.chance(0.1)) s.work.stuck = dice.upto(0.02);
    s.adapts = dice.chance(0.3);
    if (dice.chance(0.2)) s.late_tasks = dice.upto(0.3);
    if (dice.chance(0.2)) shape_standstill(dice, s);
    if (dice.chance(0.15)) s.together = dice.between(2, 8);
    if (dice.chance(0.15)) {
        s.work.refusing = dice.upto(0.3);
        s.work.pause = dice.one_of<Duration>({100ms, 1s, 3s});
    }
    if (dice.chance(0.3)) shape_memory(dice, s);
    if (dice.chance(0.05)) shape_sleepers(s);
    if (dice.chance(0.05)) shape_cancels(s);
    if (dice.chance(0.15)) shape_idle_hedges(s);
    if (dice.chance(0.03)) shape_full_frames(dice, s);
    return s;
}

Scenario large_scenario_of(std::uint64_t seed) {
    Scenario s = scenario_of(seed);
    s.workers = 1000;
    s.pools = 10;
    s.slots = 4;
    s.credit = 400;
    s.messages = 120'000;
    s.message_bytes = 0;
    s.between_messages = 0us;
    s.sink_delay = std::min<Duration>(s.sink_delay, 100us);
    s.broker.fanout = std::min(s.broker.fanout, 3U);
    s.broker.window = 100'000;
    s.work.typical = std::clamp<Duration>(s.work.typical, 1ms, 20ms);
    s.work.deaf = std::min(s.work.deaf, 0.01);
    s.work.endless = 0;
    // The collector says ten thousands of batches: one that is lost costs a heartbeat in which a
    // thousand workers beat, and after it a window goes with each way there and back. Small worlds
    // have that slowness.
    s.drop = std::min(s.drop, 0.0005);
    s.latency = std::min<Duration>(s.latency, 100us);
    return s;
}

}  // namespace curfew::simulation

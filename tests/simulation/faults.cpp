// The faults that strike a world: who dies, stands still, is cut off, is cancelled.
#include <algorithm>
#include <chrono>
#include <random>
#include <vector>

#include "tests/simulation/world.h"

namespace curfew::simulation {

using namespace std::chrono_literals;

void World::plan_fault() {
    const Instant when = now_ + exponential(scenario_.between_faults);
    if (when >= well_at_) return;
    at(when, [this] {
        strike();
        plan_fault();
    });
}

void World::pause(Node node, Duration length) {
    // A quarter of a heartbeat: what a loop takes for the length of its turn
    constexpr Duration kCounted = 250ms;
    Process& paused = process(node);
    if (now_ >= paused.paused_until) paused.stood_at = here(paused);
    paused.paused_until = std::max(paused.paused_until, std::min(now_ + length, well_at_));
    paused.stood = std::max(paused.stood, paused.paused_until - paused.stood_at - kCounted);
    disturb(paused.paused_until - now_);
}

/// What was said in an earlier cut may come as late as that one's end.
void World::cut(Node from, Node to, Instant until) {
    Instant& ends = cut_until_[{from, to}];
    ends = std::max(ends, until);
}

void World::strike() {
    const Scenario& s = scenario_;
    const double all =
        s.crash_worker + s.crash_collector + s.crash_broker + s.pause + s.cut + s.cancel + s.stand + s.power_loss;
    if (all <= 0) return;
    double dice = std::uniform_real_distribution<>(0, all)(random_);
    const Node nodes = kFirstWorker + workers_.size();
    const Node any = std::uniform_int_distribution<Node>(0, nodes - 1)(random_);
    const Node worker = std::uniform_int_distribution<Node>(kFirstWorker, nodes - 1)(random_);
    if ((dice -= s.crash_worker) < 0) return crash(worker);
    if ((dice -= s.crash_collector) < 0) return crash(kCollector);
    if ((dice -= s.crash_broker) < 0) return crash(kBroker);
    if ((dice -= s.power_loss) < 0) return lose_power();
    if ((dice -= s.pause) < 0) {
        const Duration length = chance(0.5) ? exponential(100ms) : exponential(4s);
        pause(any, length);
        // A host that sleeps is not reached either
        if (length > 2s && chance(0.5)) cut(kBroker, any, now_ + length + exponential(2s));
        return tell(any, "is paused");
    }
    if ((dice -= s.stand) < 0) {
        const Duration length = exponential(4s);
        for (Node node = 0; node < nodes; ++node) pause(node, length);
        return tell(kBroker, "and all others stand still");
    }
    if ((dice -= s.cut) < 0) {
        const Node other = std::uniform_int_distribution<Node>(0, nodes - 1)(random_);
        const Instant until = now_ + exponential(2s);
        cut(any, other, until);
        if (chance(0.5)) cut(other, any, until);
        return tell(any, "is cut off from " + process(other).name);
    }
    if (broker_process_.up && broker_->ledger().tasks_in_flight() > 0) cancel_one();
}

void World::cancel_one() {
    const std::vector<Seq> seqs = broker_->ledger().tasks().sorted_keys();
    const Seq seq = seqs[std::uniform_int_distribution<std::size_t>(0, seqs.size() - 1)(random_)];
    const std::uint32_t started = broker_->ledger().task(seq)->started;
    if (broker_->cancel_task(here(kBroker), seq)) {
        cancelled_.emplace(seq, started);
        ever_cancelled_.insert(seq);
    }
    wake(kBroker, now_);
}

}  // namespace curfew::simulation

// What one seed stands for: the shape of the group, of the work, of the faults. All of it follows
// from the seed.
#pragma once

#include <cstdint>

#include "broker/dispatcher.h"
#include "tests/simulation/fake_handler.h"

namespace curfew::simulation {

struct Scenario {
    std::uint64_t seed = 0;

    std::uint32_t workers = 3;
    std::uint32_t pools = 2;
    Slot slots = 2;
    std::uint32_t credit = 4;
    bool adapts = false;         // the credit, up to 400
    std::uint32_t together = 1;  ///< attempts of one task at every second worker
    std::uint32_t messages = 100;
    std::size_t message_bytes = 0;  // at least
    bool keep_order = false;
    /// Numbers and what has settled outlive the broker; and, in the sink, the collector.
    bool remembers = false, sink_remembers = false;
    Dispatcher::Config broker;
    WorkShape work;
    Duration sink_syncs{};        ///< of one that remembers: that long after an outcome
    Duration sink_delay{};        ///< mean time for the sink to have an outcome
    Duration between_messages{};  ///< mean

    Duration latency = std::chrono::microseconds(50);
    double drop = 0;       ///< share of frames lost
    double duplicate = 0;  ///< share of frames that come twice
    /// Share of frames of tasks that are overtaken by what is said on control.
    double late_tasks = 0;
    double overtake = 0;  ///< share of frames that take much longer than those behind them

    Duration faults_last{};                 ///< after this the world is well
    Duration between_faults = kNeverFault;  ///< mean
    /// weights.
    double crash_worker = 0, crash_collector = 0, crash_broker = 0, pause = 0, cut = 0, cancel = 0;
    double power_loss = 0;  ///< the same: of broker and collector, and what the sink had last
    double stand = 0;       ///< the same: all processes stand still at once

    static constexpr Duration kNeverFault = std::chrono::hours(1000);
};

[[nodiscard]] Scenario scenario_of(std::uint64_t seed);

/// The same with 1,000 workers and a window of 100,000 tasks, which are all in flight at first.
[[nodiscard]] Scenario large_scenario_of(std::uint64_t seed);

}  // namespace curfew::simulation

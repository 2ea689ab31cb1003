// A worker whose work ignores its stop is found worn out on time, not at the next heartbeat.
#include <gtest/gtest.h>

#include "tests/support/worker_bench.h"

namespace curfew {
namespace {

using namespace std::chrono_literals;
using support::WorkerBench;

TEST(WorkerCore, TheLoopIsWokenAtDeadlinePlusGraceOfASlotThatIsOutOfService) {
    WorkerCore::Config config;
    config.slots = 2;
    WorkerBench bench(config);
    bench.handler.kills = false;
    const Instant begin = bench.now;
    bench.task(1, 5'300'000);
    bench.turn();
    bench.cancel(1, CancelReason::decided);
    bench.pass(6200ms);
    EXPECT_TRUE(bench.worker.slots()[0].out_of_service);
    EXPECT_FALSE(bench.worker.worn_out());
    EXPECT_LE(bench.worker.next_deadline(), begin + 6300ms) << "it is worn out then, not at the next heartbeat";
}

}  // namespace
}  // namespace curfew

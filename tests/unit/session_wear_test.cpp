// Wear: work that ignores its stop is found on time, and what runs is noted for who comes after a
// crash.
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

TEST(WorkerCore, WhatIsInItsSlotsIsNotedForWhoComesAfterACrash) {
    AttemptId page[2];
    WorkerCore::Config config;
    config.slots = 2;
    config.credit = 4;
    WorkerBench bench(config, page);
    for (const AttemptNumber n : {1U, 2U, 3U}) bench.task(n);
    bench.turn();
    EXPECT_EQ(page[0], (AttemptId{1, 1}));
    EXPECT_EQ(page[1], (AttemptId{1, 2}));
    bench.end(0, Finish::ok);
    EXPECT_EQ(page[0], (AttemptId{1, 3}));
    bench.end(1, Finish::failed);
    EXPECT_EQ(page[1], AttemptId{});
}

}  // namespace
}  // namespace curfew

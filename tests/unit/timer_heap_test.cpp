// Timers come up in order, once each; what nobody wants any more costs no memory for long.
#include "common/tables/timer_heap.h"

#include <gtest/gtest.h>

#include <random>
#include <vector>

#include "tests/support/frames.h"

namespace curfew {
namespace {

using namespace std::chrono_literals;
using support::kStart;
using Keys = std::vector<std::uint64_t>;

Keys fire(TimerHeap& heap, Instant now) {
    Keys due;
    heap.fire(now, [&](std::uint64_t key) { due.push_back(key); });
    return due;
}

TEST(TimerHeap, AnEmptyOneNeverWakesAnybody) {
    TimerHeap heap;
    EXPECT_EQ(heap.next(), kNever);
    EXPECT_TRUE(fire(heap, kStart).empty());
}

TEST(TimerHeap, TimersComeUpInOrderAndNotEarly) {
    TimerHeap heap;
    heap.set(kStart + 30ms, 3);
    heap.set(kStart + 10ms, 1);
    heap.set(kStart + 20ms, 2);
    EXPECT_EQ(heap.next(), kStart + 10ms);
    EXPECT_TRUE(fire(heap, kStart + 10ms - 1ns).empty());
    EXPECT_EQ(fire(heap, kStart + 10ms), Keys{1});
    EXPECT_EQ(fire(heap, kStart + 1s), (Keys{2, 3}));
    EXPECT_EQ(heap.next(), kNever);
}

TEST(TimerHeap, EqualInstantsComeUpInTheOrderOfTheirKeys) {
    TimerHeap heap;
    for (const std::uint64_t key : Keys{5, 1, 4, 2, 3}) heap.set(kStart, key);
    EXPECT_EQ(fire(heap, kStart), (Keys{1, 2, 3, 4, 5}));
}

TEST(TimerHeap, NeverIsNoTimer) {
    TimerHeap heap;
    heap.set(kNever, 1);
    EXPECT_EQ(heap.size(), 0U);
}

TEST(TimerHeap, ATimerThatIsSetWhileFiringComesUpInItsTime) {
    TimerHeap heap;
    heap.set(kStart, 1);
    Keys due;
    heap.fire(kStart, [&](std::uint64_t key) {
        due.push_back(key);
        if (key == 1) heap.set(kStart, 2);
        if (key == 2) heap.set(kStart + 1ms, 3);
    });
    EXPECT_EQ(due, (Keys{1, 2}));
    EXPECT_EQ(heap.next(), kStart + 1ms);
}

TEST(TimerHeap, ASweepDropsWhatIsNotWantedAndNothingElse) {
    TimerHeap heap;
    for (std::uint64_t key = 0; key < 1000; ++key) heap.set(kStart + std::chrono::milliseconds(1000 - key), key);
    heap.sweep([](std::uint64_t key, Instant) { return key % 100 == 0; });
    EXPECT_EQ(heap.size(), 10U);
    EXPECT_EQ(fire(heap, kStart + 2s), (Keys{900, 800, 700, 600, 500, 400, 300, 200, 100, 0}));
}

TEST(TimerHeap, MemoryFollowsWhatIsWantedAndNotWhatWasSeen) {
    TimerHeap heap;
    std::size_t most = 0;
    for (std::uint64_t key = 0; key < 100'000; ++key) {
        heap.set(kStart + 30s, key);
        heap.sweep([&](std::uint64_t other, Instant) { return other + 50 > key; });
        most = std::max(most, heap.size());
    }
    EXPECT_LE(most, 300U);
}

TEST(TimerHeap, ARandomMixComesUpSorted) {
    std::mt19937_64 random(3);
    TimerHeap heap;
    for (std::uint64_t i = 0; i < 5000; ++i) {
        const std::uint64_t ms = random() % 1000;
        heap.set(kStart + std::chrono::milliseconds(ms), ms);
    }
    const Keys due = fire(heap, kStart + 1s);
    EXPECT_EQ(due.size(), 5000U);
    EXPECT_TRUE(std::is_sorted(due.begin(), due.end()));
}

}  // namespace
}  // namespace curfew

// The hedging policy: the delay, its clamps, and the budget.
#include "broker/hedging.h"

#include <gtest/gtest.h>

namespace curfew {
namespace {

using namespace std::chrono_literals;
using Config = Hedging::Config;

Config percentile(double share) {
    Config config;
    config.delay = Config::Delay::percentile;
    config.percentile = share;
    config.shortest = 1ms;
    config.longest = 10s;
    return config;
}

TEST(Hedging, ARaceHasNoDelay) {
    EXPECT_TRUE(Hedging({}).race());
    EXPECT_FALSE(Hedging(percentile(0.95)).race());
}

TEST(Hedging, AFixedDelayIsAsSaid) {
    Config config;
    config.delay = Config::Delay::fixed;
    config.fixed = 20ms;
    Hedging hedging(config);
    hedging.learn(5s);
    EXPECT_EQ(hedging.delay(), 20ms);
}

TEST(Hedging, APercentileWithoutHistoryIsTheLongestDelay) {
    EXPECT_EQ(Hedging(percentile(0.95)).delay(), 10s);
}

TEST(Hedging, APercentileFollowsWhatWasMeasured) {
    Hedging hedging(percentile(0.95));
    for (int ms = 1; ms <= 100; ++ms) hedging.learn(ms * 1ms);
    EXPECT_GT(hedging.delay(), 91ms);
    EXPECT_LT(hedging.delay(), 99ms);
}

TEST(Hedging, OneBadBackendCannotDragThePercentileBeyondTheClamps) {
    Hedging hedging(percentile(0.95));
    for (int i = 0; i < 100; ++i) hedging.learn(1min);
    EXPECT_EQ(hedging.delay(), 10s);
    for (int i = 0; i < 10'000; ++i) hedging.learn(1us);
    EXPECT_EQ(hedging.delay(), 1ms);
}

TEST(Hedging, WithoutABudgetEveryHedgeMayStart) {
    Hedging hedging({});
    for (int i = 0; i < 1000; ++i) EXPECT_TRUE(hedging.take_token());
    EXPECT_EQ(hedging.counts().sent, 1000U);
    EXPECT_EQ(hedging.counts().withheld, 0U);
}

TEST(Hedging, TheFloorLetsTheFirstHedgesStart) {
    Config config;
    config.budget = 0.0;
    Hedging hedging(config);
    for (int i = 0; i < 10; ++i) EXPECT_TRUE(hedging.take_token());
    EXPECT_FALSE(hedging.has_token());
    EXPECT_FALSE(hedging.take_token());
    EXPECT_EQ(hedging.counts().sent, 10U);
}

TEST(Hedging, TheBudgetIsAShareOfTheTasks) {
    Config config;
    config.budget = 0.05;
    Hedging hedging(config);
    int started = 0;
    for (int i = 0; i < 10'000; ++i) {
        hedging.task_accepted();
        started += hedging.take_token() ? 1 : 0;
    }
    EXPECT_NEAR(started, 510, 1) << "5% and the floor";
    EXPECT_EQ(hedging.counts().sent, static_cast<std::uint64_t>(started));
}

TEST(Hedging, SavingsHaveABound) {
    Config config;
    config.budget = 1.0;
    Hedging hedging(config);
    for (int i = 0; i < 100'000; ++i) hedging.task_accepted();
    int started = 0;
    while (hedging.take_token()) ++started;
    EXPECT_EQ(started, 100);
}

}  // namespace
}  // namespace curfew

// What the histogram promises: 2% relative error, fixed range, and that old values fade.
#include "common/tables/histogram.h"

#include <gtest/gtest.h>

#include <cmath>

namespace curfew {
namespace {

using namespace std::chrono_literals;

double in_us(Duration duration) {
    return std::chrono::duration<double, std::micro>(duration).count();
}

TEST(Histogram, WithoutValuesEachQuantileIsZero) {
    const Histogram histogram;
    EXPECT_EQ(histogram.count(), 0U);
    EXPECT_EQ(histogram.quantile(0.5), Duration::zero());
}

TEST(Histogram, OneValueComesBackWithinTwoPercent) {
    for (double us = 2; us < 3.5e9; us *= 1.37) {
        Histogram histogram;
        histogram.add(std::chrono::duration_cast<Duration>(std::chrono::duration<double, std::micro>(us)));
        for (const double share : {0.0, 0.5, 0.95, 1.0}) {
            EXPECT_NEAR(in_us(histogram.quantile(share)) / us, 1.0, 0.021) << us << " us, share " << share;
        }
    }
}

TEST(Histogram, QuantilesOfAnEvenSpreadAreWhereTheyBelong) {
    Histogram histogram;
    for (int ms = 1; ms <= 1000; ++ms) histogram.add(ms * 1ms);
    EXPECT_EQ(histogram.count(), 1000U);
    for (const double share : {0.01, 0.25, 0.5, 0.9, 0.95, 0.99}) {
        EXPECT_NEAR(in_us(histogram.quantile(share)) / (share * 1e6), 1.0, 0.045) << share;
    }
}

TEST(Histogram, QuantilesNeverGoBack) {
    Histogram histogram;
    for (int i = 1; i < 5000; ++i) histogram.add(std::chrono::microseconds(i * 7919 % 100'000));
    Duration before = Duration::zero();
    for (double share = 0; share <= 1.0; share += 0.01) {
        EXPECT_GE(histogram.quantile(share), before);
        before = histogram.quantile(share);
    }
}

TEST(Histogram, ValuesBeyondItsEndsAreKeptAtTheEnds) {
    Histogram histogram;
    histogram.add(-5s);
    histogram.add(Duration::zero());
    EXPECT_LE(histogram.quantile(1), 1us);
    histogram.add(10'000h);
    EXPECT_GT(histogram.quantile(1), 1h);
    EXPECT_EQ(histogram.count(), 3U);
}

TEST(Histogram, SharesOutsideZeroToOneAreClamped) {
    Histogram histogram;
    histogram.add(1ms);
    histogram.add(1s);
    EXPECT_EQ(histogram.quantile(-1), histogram.quantile(0));
    EXPECT_EQ(histogram.quantile(7), histogram.quantile(1));
}

TEST(Histogram, OldValuesFadeSoThatPercentilesFollowWhatHappenedLately) {
    Histogram histogram;
    for (int i = 0; i < 1'000'000; ++i) histogram.add(1ms);
    for (int i = 0; i < 1'200'000; ++i) histogram.add(64ms);
    EXPECT_EQ(histogram.count(), 2'200'000U);
    // Had nothing faded, 45% of the weight would still lie at 1 ms.
    EXPECT_GT(histogram.quantile(0.4), 60ms);
}

}  // namespace
}  // namespace curfew

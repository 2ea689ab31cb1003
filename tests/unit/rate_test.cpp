// Rates over the last ten seconds.
#include <gtest/gtest.h>

#include "common/tables/rate.h"
#include "tests/support/frames.h"

namespace curfew {
namespace {

using namespace std::chrono_literals;
using support::kStart;

TEST(Rates, ThereAreNoneBeforeTheFirstSample) {
    const Rates<1> rates;
    EXPECT_EQ(rates.per_second(kStart, {100})[0], 0);
}

TEST(Rates, AreThoseSinceTheOldestSample) {
    Rates<2> rates;
    rates.sample(kStart, {0, 7});
    rates.sample(kStart + 500ms, {1000, 7});  // not due
    const auto now = rates.per_second(kStart + 2s, {100, 7});
    EXPECT_DOUBLE_EQ(now[0], 50);
    EXPECT_DOUBLE_EQ(now[1], 0);
}

TEST(Rates, ForgetWhatIsLongerAgoThanTenSamples) {
    Rates<1> rates;
    for (std::uint64_t second = 0; second < 30; ++second) {
        rates.sample(kStart + std::chrono::seconds(second), {second < 20 ? second * 1000 : 20'000});
    }
    EXPECT_DOUBLE_EQ(rates.per_second(kStart + 30s, {20'000})[0], 0);
}

}  // namespace
}  // namespace curfew

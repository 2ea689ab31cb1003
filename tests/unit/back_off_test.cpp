// The pauses between connections to a queue server.
#include "common/amqp/back_off.h"

#include <gtest/gtest.h>

#include <vector>

namespace curfew::amqp {
namespace {

using namespace std::chrono_literals;

constexpr Instant kNow = Instant(1h);

TEST(BackOff, PausesGrowUpToTheLongest) {
    BackOff back_off;
    std::vector<Duration> pauses;
    pauses.reserve(8);
    for (int i = 0; i < 8; ++i) pauses.push_back(back_off.lost(kNow + i * 1min));
    EXPECT_EQ(pauses, (std::vector<Duration>{100ms, 200ms, 400ms, 800ms, 1600ms, 3200ms, 5s, 5s}));
}

TEST(BackOff, AConnectionThatStoodForAWhileBeginsThemAnew) {
    BackOff back_off;
    for (int i = 0; i < 8; ++i) (void)back_off.lost(kNow);
    back_off.stands(kNow);
    EXPECT_EQ(back_off.lost(kNow + 5001ms), 100ms);
    EXPECT_EQ(back_off.lost(kNow + 1h), 200ms) << "there was none in between";
}

TEST(BackOff, AServerThatLetsInAndEndsItAtOnceIsNotAskedMoreAndMoreOften) {
    BackOff back_off;
    Instant now = kNow;
    int connections = 0;
    for (; now < kNow + 60s; ++connections) {
        back_off.stands(now);
        now += back_off.lost(now + 10ms);
    }
    EXPECT_EQ(connections, 17) << "seven while the pauses grow, and then one each five seconds";
}

}  // namespace
}  // namespace curfew::amqp

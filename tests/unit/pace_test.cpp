// Whether a process has anything to do, by what its work has used of the processor.
#include "common/process/pace.h"

#include <gtest/gtest.h>

namespace curfew {
namespace {

using namespace std::chrono_literals;

TEST(Pace, IsAtRestAfterAQuietSecondAndNoLongerThanItWorks) {
    Pace pace;
    Instant now{};
    EXPECT_FALSE(pace.at_rest(now += 1s, 0ms)) << "nothing is known yet";
    (void)pace.calms_down(0ms);
    EXPECT_TRUE(pace.at_rest(now += 20ms, 0ms));
    EXPECT_TRUE(pace.at_rest(now += 20ms, 1ms)) << "a twentieth of the time is nothing";
    EXPECT_FALSE(pace.at_rest(now += 20ms, 3ms));
    EXPECT_FALSE(pace.at_rest(now += 20ms, 3ms)) << "until a second was quiet";
    (void)pace.calms_down(3ms);
    EXPECT_TRUE(pace.at_rest(now += 20ms, 3ms));
}

TEST(Pace, ABurstWithinTwentyMillisecondsIsSeenAtTheirEnd) {
    Pace pace;
    Instant now{};
    (void)pace.calms_down(0ms);
    EXPECT_TRUE(pace.at_rest(now += 20ms, 0ms));
    EXPECT_TRUE(pace.at_rest(now += 10ms, 10ms));
    EXPECT_FALSE(pace.at_rest(now += 10ms, 10ms));
}

TEST(Pace, CalmsDownOnceAfterItHasWorked) {
    Pace pace;
    EXPECT_FALSE(pace.calms_down(0ms)) << "it has not worked yet";
    EXPECT_FALSE(pace.calms_down(500ms));
    EXPECT_FALSE(pace.calms_down(1000ms));
    EXPECT_TRUE(pace.calms_down(1010ms));
    EXPECT_FALSE(pace.calms_down(1020ms)) << "that was said";
    EXPECT_FALSE(pace.calms_down(1070ms));
    EXPECT_TRUE(pace.calms_down(1070ms));
}

}  // namespace
}  // namespace curfew

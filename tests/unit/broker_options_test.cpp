// The broker's flags, as far as they become more than a number: what is said of a deadline, and the
// epoch.
#include "broker/options.h"

#include <gtest/gtest.h>

#include <vector>

namespace curfew {
namespace {

BrokerServer::Config config_of(std::vector<const char*> arguments, Incarnation incarnation = 1) {
    Options options{"curfew-broker", "Tries things."};
    BrokerOptions broker(options);
    arguments.insert(arguments.begin(), "curfew-broker");
    EXPECT_EQ(options.parse(static_cast<int>(arguments.size()), arguments.data()), std::nullopt);
    return broker.config(incarnation);
}

TEST(BrokerOptions, APassedDeadlineIsNamedAndSoIsTheFlagWhereItWasTheDefault) {
    EXPECT_EQ(config_of({}).dispatcher.past_deadline, "deadline exceeded: 30s, the default (--deadline)");
    EXPECT_EQ(config_of({"--deadline", "1.5s"}).dispatcher.past_deadline, "deadline exceeded: 1.5s");
}

TEST(BrokerOptions, AnEpochIsAnotherForTheSameIncarnationAndAPositiveNumberAnywhere) {
    const Epoch one = config_of({}, 7).dispatcher.epoch, other = config_of({}, 7).dispatcher.epoch;
    EXPECT_NE(one, other);
    for (const Epoch epoch : {one, other}) {
        EXPECT_GT(epoch, 0U);
        EXPECT_LT(epoch, Epoch{1} << 63);
    }
    EXPECT_EQ(config_of({}, 7).dispatcher.incarnation, 7U);
}

TEST(BrokerOptions, ADrainHasAllItsTimeUnlessItIsSaid) {
    EXPECT_EQ(config_of({}).ending.drain_timeout, std::nullopt);
    EXPECT_EQ(config_of({"--drain-timeout", "0s"}).ending.drain_timeout, Duration::zero());
    EXPECT_EQ(config_of({"--drain-timeout", "none"}).ending.drain_timeout, std::nullopt);
}

TEST(BrokerOptions, AHaltIsANumberOfTasksOrAShareOfThem) {
    const auto halt_of = [](const char* text) { return config_of({"--halt", text}).ending.halt; };
    EXPECT_EQ(config_of({}).ending.halt, std::nullopt);
    EXPECT_EQ(halt_of("never"), std::nullopt);
    EXPECT_TRUE(halt_of("now,fail=3")->now);
    EXPECT_EQ(halt_of("now,fail=3")->tasks, 3U);
    EXPECT_FALSE(halt_of("soon,fail=10%")->now);
    EXPECT_EQ(halt_of("soon,fail=10%")->tasks, 0U);
    EXPECT_DOUBLE_EQ(halt_of("soon,fail=10%")->share, 0.1);
    EXPECT_DOUBLE_EQ(halt_of("soon,fail=100%")->share, 1);
}

}  // namespace
}  // namespace curfew

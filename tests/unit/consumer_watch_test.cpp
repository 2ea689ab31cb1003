// When a consumer that the server gives nothing is made anew, and when it is not.
#include "broker/sources/consumer_watch.h"

#include <gtest/gtest.h>

namespace curfew {
namespace {

class ConsumerWatchTest : public ::testing::Test {
protected:
    ConsumerWatchTest() { watch.consumes(2); }
    ConsumerWatch watch;
};

TEST_F(ConsumerWatchTest, MessagesThatWaitFromLookToLookAreNotForIt) {
    EXPECT_FALSE(watch.looked(5));
    EXPECT_TRUE(watch.looked(5));
}

TEST_F(ConsumerWatchTest, AnEmptyQueueHasNothingForIt) {
    EXPECT_FALSE(watch.looked(0));
    EXPECT_FALSE(watch.looked(5));
    EXPECT_FALSE(watch.looked(0));
    EXPECT_FALSE(watch.looked(5));
}

TEST_F(ConsumerWatchTest, WhatComesShowsThatItIsKnown) {
    EXPECT_FALSE(watch.looked(5));
    watch.came(1);
    EXPECT_FALSE(watch.looked(5));
    EXPECT_TRUE(watch.looked(5)) << "since then there was room for another one";
}

TEST_F(ConsumerWatchTest, WhoHoldsWhatItMayGetsNoMore) {
    watch.came(1);
    watch.came(2);
    for (int look = 0; look < 3; ++look) EXPECT_FALSE(watch.looked(5));
    watch.acknowledged({.tag = 2});
    EXPECT_FALSE(watch.looked(5));
    EXPECT_TRUE(watch.looked(5));
}

TEST_F(ConsumerWatchTest, AnAcknowledgementOfManyMakesRoomForAll) {
    watch.consumes(3);
    for (const std::uint64_t tag : {1U, 2U, 3U}) watch.came(tag);
    watch.acknowledged({.tag = 2, .multiple = true});
    watch.came(4);
    EXPECT_FALSE(watch.looked(5));
    EXPECT_TRUE(watch.looked(5)) << "3 and 4 are held";
    watch.came(5);
    for (int look = 0; look < 3; ++look) EXPECT_FALSE(watch.looked(5)) << "3, 4 and 5 are held";
}

TEST_F(ConsumerWatchTest, ANewConsumerHasTimeOfItsOwn) {
    EXPECT_FALSE(watch.looked(5));
    watch.consumes(2);
    EXPECT_FALSE(watch.looked(5));
    EXPECT_TRUE(watch.looked(5));
}

TEST_F(ConsumerWatchTest, WhereNothingIsConsumedNothingIsMissed) {
    watch.consumes(0);
    for (int look = 0; look < 3; ++look) EXPECT_FALSE(watch.looked(5));
}

TEST_F(ConsumerWatchTest, ANewChannelHoldsNothing) {
    watch.came(1);
    watch.came(2);
    watch.begin();
    watch.consumes(1);
    EXPECT_FALSE(watch.looked(5));
    EXPECT_TRUE(watch.looked(5));
}

}  // namespace
}  // namespace curfew

// One request looks the name of a service up, and the others wait for it.
#include "worker/handlers/http/name_lookup.h"

#include <gtest/gtest.h>

namespace curfew {
namespace {

using namespace std::chrono_literals;

TEST(NameLookup, TheFirstLooksAndTheOthersWaitForIt) {
    NameLookup lookup(true);
    Instant now{1h};
    EXPECT_TRUE(lookup.lets_begin(now, 3));
    EXPECT_FALSE(lookup.lets_begin(now, 4));
    EXPECT_TRUE(lookup.is_under_way());
    lookup.found(now);
    EXPECT_FALSE(lookup.is_under_way());
    EXPECT_TRUE(lookup.lets_begin(now, 4));
    EXPECT_TRUE(lookup.lets_begin(now, 5));
}

TEST(NameLookup, ANameIsLookedUpAgainBeforeLibcurlForgetsIt) {
    NameLookup lookup(true);
    Instant now{1h};
    (void)lookup.lets_begin(now, 0);
    lookup.found(now);
    now += 49s;
    EXPECT_TRUE(lookup.lets_begin(now, 1));
    EXPECT_TRUE(lookup.lets_begin(now, 2));
    now += 1s;
    EXPECT_TRUE(lookup.lets_begin(now, 1));
    EXPECT_FALSE(lookup.lets_begin(now, 2));
}

TEST(NameLookup, WhenTheOneThatLooksIsOverAnotherDoes) {
    NameLookup lookup(true);
    const Instant now{1h};
    (void)lookup.lets_begin(now, 3);
    EXPECT_FALSE(lookup.ended(4));
    EXPECT_FALSE(lookup.lets_begin(now, 5));
    EXPECT_TRUE(lookup.ended(3));
    EXPECT_TRUE(lookup.lets_begin(now, 5));
    EXPECT_FALSE(lookup.lets_begin(now, 6));
}

TEST(NameLookup, WithoutANameNobodyWaits) {
    NameLookup lookup(false);
    EXPECT_TRUE(lookup.lets_begin(Instant{}, 1));
    EXPECT_TRUE(lookup.lets_begin(Instant{}, 2));
    EXPECT_FALSE(lookup.is_under_way());
}

}  // namespace
}  // namespace curfew

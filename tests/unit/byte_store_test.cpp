// Kept payloads: whatever the order in which they go, the others stay as they were (ASan watches
// the blocks).
#include "common/tables/byte_store.h"

#include <gtest/gtest.h>

#include <random>
#include <vector>

namespace curfew {
namespace {

TEST(ByteStore, WhatIsKeptIsACopy) {
    ByteStore store;
    std::string text = "message";
    const Bytes kept = store.keep(std::string_view(text));
    text[0] = 'M';
    EXPECT_EQ(kept.view(), "message");
    EXPECT_EQ(kept.size(), 7U);
}

TEST(ByteStore, NothingIsKeptAsNothing) {
    ByteStore store;
    EXPECT_EQ(store.keep(std::string_view()).size(), 0U);
    EXPECT_EQ(Bytes().view(), "");
}

TEST(ByteStore, ALargeOneIsTakenOverWhereItLies) {
    ByteStore store;
    std::string large(100'000, 'x');
    const char* at = large.data();
    const Bytes kept = store.keep(std::move(large));
    EXPECT_EQ(kept.view().data(), at);
    EXPECT_EQ(kept.size(), 100'000U);
}

TEST(ByteStore, AMovedOneLeavesNothingBehind) {
    ByteStore store;
    Bytes first = store.keep(std::string_view("one"));
    Bytes second = std::move(first);
    first = store.keep(std::string_view("two"));
    EXPECT_EQ(first.view(), "two");
    EXPECT_EQ(second.view(), "one");
    second = {};
    EXPECT_EQ(second.view(), "");
}

TEST(ByteStore, BytesOutliveTheirStore) {
    Bytes kept;
    {
        ByteStore store;
        kept = store.keep(std::string_view("still here"));
    }
    EXPECT_EQ(kept.view(), "still here");
}

TEST(ByteStore, AnyOrderOfLettingGoLeavesTheOthersAsTheyWere) {
    std::mt19937_64 random(3);
    ByteStore store;
    std::vector<std::pair<std::string, Bytes>> kept;
    for (int i = 0; i < 20'000; ++i) {
        if (!kept.empty() && random() % 2 == 0) {
            const std::size_t at = random() % kept.size();
            ASSERT_EQ(kept[at].second.view(), kept[at].first);
            std::swap(kept[at], kept.back());
            kept.pop_back();
        } else {
            std::string text(random() % 3 == 0 ? random() % 3000 : random() % 200,
                             static_cast<char>('a' + random() % 26));
            Bytes bytes = random() % 2 == 0 ? store.keep(std::string_view(text)) : store.keep(std::string(text));
            kept.emplace_back(std::move(text), std::move(bytes));
        }
    }
    for (const auto& [text, bytes] : kept) ASSERT_EQ(bytes.view(), text);
}

}  // namespace
}  // namespace curfew

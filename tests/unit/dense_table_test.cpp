// The dense table against std::map: in the patterns of numbers that are handed out one after the
// other, and at random.
#include "common/tables/dense_table.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <memory>
#include <numeric>
#include <random>
#include <string>
#include <utility>
#include <vector>

namespace curfew {
namespace {

using Table = DenseTable<std::string>;
using Model = std::map<std::uint64_t, std::string>;

void expect_same(const Table& table, const Model& model) {
    ASSERT_EQ(table.size(), model.size());
    for (const auto& [key, value] : model) {
        const std::string* found = table.find(key);
        ASSERT_NE(found, nullptr) << key;
        ASSERT_EQ(*found, value) << key;
    }
    std::size_t visited = 0;
    table.for_each([&](std::uint64_t key, const std::string&) {
        ASSERT_TRUE(model.contains(key)) << key;
        ++visited;
    });
    ASSERT_EQ(visited, model.size());
}

TEST(DenseTable, ANewOneHoldsNothing) {
    Table table;
    EXPECT_TRUE(table.empty());
    EXPECT_EQ(table.find(0), nullptr);
    EXPECT_FALSE(table.contains(7));
    EXPECT_FALSE(table.erase(7));
    EXPECT_TRUE(table.sorted_keys().empty());
}

TEST(DenseTable, InsertReturnsTheValueWhereItLies) {
    DenseTable<int> table;
    for (std::uint64_t key = 0; key < 100; ++key) {
        int& value = table.insert(key * 16, static_cast<int>(key));  // all homes collide at first
        EXPECT_EQ(&value, table.find(key * 16));
        EXPECT_EQ(value, static_cast<int>(key));
    }
}

TEST(DenseTable, ASlidingWindowOfDenseNumbersStaysExact) {
    for (const std::uint64_t offset : {std::uint64_t{1}, std::uint64_t{4'000'000'000}, UINT64_MAX - 20'000}) {
        DenseTable<std::uint64_t> table;
        for (std::uint64_t i = 0; i < 20'000; ++i) {
            table.insert(offset + i, i);
            if (i >= 100) {
                ASSERT_TRUE(table.erase(offset + i - 100));
            }
        }
        EXPECT_EQ(table.size(), 100U);
        for (std::uint64_t i = 19'900; i < 20'000; ++i) EXPECT_EQ(*table.find(offset + i), i);
        EXPECT_FALSE(table.contains(offset + 19'899));
    }
}

TEST(DenseTable, ErasingInOrderKeepsTheRest) {
    Table table;
    Model model;
    for (std::uint64_t key = 1; key <= 300; ++key) model[key] = table.insert(key, std::to_string(key));
    for (std::uint64_t key = 1; key <= 300; ++key) {
        EXPECT_TRUE(table.erase(key));
        EXPECT_FALSE(table.erase(key));
        model.erase(key);
        expect_same(table, model);
    }
}

TEST(DenseTable, ErasingInRandomOrderKeepsTheRest) {
    std::mt19937_64 random(11);
    for (const std::uint64_t offset : {std::uint64_t{0}, std::uint64_t{1'000'000'007}}) {
        Table table;
        Model model;
        std::vector<std::uint64_t> keys;
        for (std::uint64_t key = offset; key < offset + 300; ++key) {
            model[key] = table.insert(key, std::to_string(key));
            keys.push_back(key);
        }
        std::shuffle(keys.begin(), keys.end(), random);
        for (const std::uint64_t key : keys) {
            EXPECT_TRUE(table.erase(key));
            model.erase(key);
            expect_same(table, model);
        }
    }
}

TEST(DenseTable, BehavesAsAMapUnderARandomMix) {
    for (const std::uint64_t spread : {64ULL, 1000ULL, 1ULL << 40}) {
        std::mt19937_64 random(spread);
        Table table;
        Model model;
        for (int i = 0; i < 6000; ++i) {
            // Multiples, so that homes collide and runs wrap around the end.
            const std::uint64_t key = random() % spread * (random() % 2 == 0 ? 1 : 32);
            if (model.contains(key)) {
                ASSERT_TRUE(table.erase(key));
                model.erase(key);
            } else {
                ASSERT_FALSE(table.erase(key));
                model[key] = table.insert(key, std::to_string(key));
            }
            if (i % 50 == 0) expect_same(table, model);
        }
        expect_same(table, model);
    }
}

TEST(DenseTable, SortedKeysAreAllKeysInOrder) {
    DenseTable<int> table;
    for (const std::uint64_t key : {900ULL, 3ULL, 17ULL, 1ULL, 1'000'000'000'000ULL}) table.insert(key, 0);
    EXPECT_EQ(table.sorted_keys(), (std::vector<std::uint64_t>{1, 3, 17, 900, 1'000'000'000'000}));
}

TEST(DenseTable, ForEachInOrderSeesAllKeysInOrder) {
    DenseTable<std::uint64_t> table;
    std::mt19937_64 random(7);
    std::vector<std::uint64_t> keys(500);
    std::iota(keys.begin(), keys.end(), 123'456);
    std::shuffle(keys.begin(), keys.end(), random);
    for (const std::uint64_t key : keys) table.insert(key, key * 2);
    std::vector<std::uint64_t> seen;
    std::as_const(table).for_each_in_order([&](std::uint64_t key, const std::uint64_t& value) {
        EXPECT_EQ(value, key * 2);
        seen.push_back(key);
    });
    std::sort(keys.begin(), keys.end());
    EXPECT_EQ(seen, keys);
}

TEST(DenseTable, ForEachMayChangeTheValues) {
    DenseTable<int> table;
    for (std::uint64_t key = 0; key < 50; ++key) table.insert(key, 1);
    table.for_each([](std::uint64_t key, int& value) { value += static_cast<int>(key); });
    EXPECT_EQ(*table.find(49), 50);
}

TEST(DenseTable, HoldsWhatCanOnlyBeMoved) {
    DenseTable<std::unique_ptr<int>> table;
    for (std::uint64_t key = 0; key < 200; ++key) table.insert(key * 7, std::make_unique<int>(static_cast<int>(key)));
    for (std::uint64_t key = 0; key < 200; key += 2) table.erase(key * 7);
    for (std::uint64_t key = 1; key < 200; key += 2) EXPECT_EQ(**table.find(key * 7), static_cast<int>(key));
}

TEST(DenseTable, ErasedValuesAreLetGoAtOnce) {
    const auto token = std::make_shared<int>(0);
    DenseTable<std::shared_ptr<int>> table;
    for (std::uint64_t key = 0; key < 100; ++key) table.insert(key, token);
    for (std::uint64_t key = 0; key < 100; ++key) {
        table.erase(key);
        EXPECT_EQ(token.use_count(), 100 - static_cast<long>(key));
    }
}

TEST(DenseTable, AClearedTableIsAsNew) {
    DenseTable<int> table;
    for (std::uint64_t key = 0; key < 100; ++key) table.insert(key, 1);
    table.clear();
    EXPECT_TRUE(table.empty());
    table.insert(5, 2);
    EXPECT_EQ(*table.find(5), 2);
}

}  // namespace
}  // namespace curfew

// A table keyed by dense numbers (tasks by seq, attempts by their number): a hash table whose hash is the number itself, so
// that numbers handed out one after the other lie one after the other, and a number is found where it is expected.
//
// Open addressing with linear probing and deletion by shifting back (Knuth, TAOCP 3, 6.4, algorithm R): no tombstones, so
// a table that has seen a billion numbers is as quick and as small as one that has seen a thousand. It shrinks when it is
// mostly empty. Pure, not thread safe. References are valid until the next insert or erase.
#pragma once

#include <algorithm>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace curfew {

template <typename Value>
class DenseTable {
public:
    [[nodiscard]] Value* find(std::uint64_t key) {
        const std::size_t i = index_of(key);
        return i == kNowhere ? nullptr : &cells_[i].value;
    }
    [[nodiscard]] const Value* find(std::uint64_t key) const {
        const std::size_t i = index_of(key);
        return i == kNowhere ? nullptr : &cells_[i].value;
    }
    [[nodiscard]] bool contains(std::uint64_t key) const { return index_of(key) != kNowhere; }

    /// The key must not be there.
    Value& insert(std::uint64_t key, Value value) {
        assert(!contains(key));
        if ((size_ + 1) * 4 > cells_.size() * 3) resize(cells_.empty() ? kSmallest : cells_.size() * 2);
        std::size_t i = home(key);
        while (cells_[i].used) i = next(i);
        cells_[i] = Cell{key, true, std::move(value)};
        ++size_;
        return cells_[i].value;
    }

    /// True if it was there.
    bool erase(std::uint64_t key) {
        const std::size_t i = index_of(key);
        if (i == kNowhere) return false;
        close_gap(i);
        --size_;
        if (cells_.size() > kSmallest && size_ * 8 < cells_.size()) resize(cells_.size() / 2);
        return true;
    }

    [[nodiscard]] std::size_t size() const { return size_; }
    [[nodiscard]] bool empty() const { return size_ == 0; }
    void clear() { *this = DenseTable(); }

    /// Calls visit(key, value) for each, in no order. `visit` must not insert or erase.
    template <typename Visit>
    void for_each(Visit&& visit) {
        for (Cell& cell : cells_) {
            if (cell.used) visit(cell.key, cell.value);
        }
    }
    template <typename Visit>
    void for_each(Visit&& visit) const {
        for (const Cell& cell : cells_) {
            if (cell.used) visit(cell.key, cell.value);
        }
    }

    /// The keys, sorted: for those who do insert or erase on the way, or need the same order each time.
    [[nodiscard]] std::vector<std::uint64_t> sorted_keys() const;

private:
    struct Cell {
        std::uint64_t key = 0;
        bool used = false;
        Value value{};
    };
    static constexpr std::size_t kSmallest = 16;
    static constexpr std::size_t kNowhere = static_cast<std::size_t>(-1);

    [[nodiscard]] std::size_t home(std::uint64_t key) const { return key & (cells_.size() - 1); }
    [[nodiscard]] std::size_t next(std::size_t i) const { return (i + 1) & (cells_.size() - 1); }
    [[nodiscard]] std::size_t index_of(std::uint64_t key) const {
        if (size_ == 0) return kNowhere;
        for (std::size_t i = home(key); cells_[i].used; i = next(i)) {
            if (cells_[i].key == key) return i;
        }
        return kNowhere;
    }
    void close_gap(std::size_t gap);
    void resize(std::size_t capacity);

    std::vector<Cell> cells_;  // a power of two of them, or none
    std::size_t size_ = 0;
};

template <typename Value>
void DenseTable<Value>::close_gap(std::size_t gap) {
    for (std::size_t i = next(gap); cells_[i].used; i = next(i)) {
        // The cell at i may move to the gap unless its home lies behind the gap, on the way to i (cyclically).
        const std::size_t distance_home = (i - home(cells_[i].key)) & (cells_.size() - 1);
        const std::size_t distance_gap = (i - gap) & (cells_.size() - 1);
        if (distance_home >= distance_gap) {
            cells_[gap] = std::move(cells_[i]);
            gap = i;
        }
    }
    cells_[gap] = Cell{};
}

template <typename Value>
void DenseTable<Value>::resize(std::size_t capacity) {
    std::vector<Cell> old = std::exchange(cells_, std::vector<Cell>(capacity));
    for (Cell& cell : old) {
        if (!cell.used) continue;
        std::size_t i = home(cell.key);
        while (cells_[i].used) i = next(i);
        cells_[i] = std::move(cell);
    }
}

template <typename Value>
std::vector<std::uint64_t> DenseTable<Value>::sorted_keys() const {
    std::vector<std::uint64_t> keys;
    keys.reserve(size_);
    for_each([&](std::uint64_t key, const Value&) { keys.push_back(key); });
    std::sort(keys.begin(), keys.end());
    return keys;
}

}  // namespace curfew

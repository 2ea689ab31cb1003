// A hash table for small values whose keys are numbers, mostly dense ones: the hash is the number
// itself, so that numbers handed out one after the other lie one after the other, and a number is
// found where it is expected. The directory of DenseTable's pages.
//
// Open addressing with linear probing in Robin Hood order (Celis 1986): along a run of cells the
// homes never go back. So a search for a number that is not there, and the shifting back after a
// deletion, end at the first cell that sits at home: in a run of dense numbers, at once. No
// tombstones: a table that has seen a billion numbers is as quick and as small as one that has seen
// a thousand. It shrinks when it is mostly empty. Pure, not thread safe. References are
// valid until the next insert or erase.
#pragma once

#include <cassert>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

namespace curfew {

template <typename Value>
class NumberMap {
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

    /// A new value, as its constructor leaves it. The key must not be there.
    Value& insert(std::uint64_t key) {
        assert(!contains(key));
        if ((size_ + 1) * 4 > cells_.size() * 3) resize(cells_.empty() ? kSmallest : cells_.size() * 2);
        ++size_;
        return place(key).value;
    }
    Value& insert(std::uint64_t key, Value value) { return insert(key) = std::move(value); }

    /// True if it was there.
    bool erase(std::uint64_t key) {
        const std::size_t i = index_of(key);
        if (i == kNowhere) return false;
        remove_at(i);
        return true;
    }

    [[nodiscard]] std::size_t size() const { return size_; }
    [[nodiscard]] bool empty() const { return size_ == 0; }
    void clear() { *this = NumberMap(); }

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
        std::size_t i = home(key);
        for (std::size_t distance = 0; cells_[i].used && distance_of(i) >= distance; ++distance, i = next(i)) {
            if (cells_[i].key == key) return i;
        }
        return kNowhere;
    }
    /// How far the cell's number is from its home.
    [[nodiscard]] std::size_t distance_of(std::size_t i) const {
        return (i - home(cells_[i].key)) & (cells_.size() - 1);
    }
    [[nodiscard]] std::size_t previous(std::size_t i) const { return (i - 1) & (cells_.size() - 1); }
    Cell& place(std::uint64_t key);
    void remove_at(std::size_t gap);
    static void clear(Cell& cell) {
        cell.used = false;
        std::destroy_at(&cell.value);
        std::construct_at(&cell.value);
    }
    /// A table that empties and fills again each turn keeps its size: it shrinks only after as many
    /// deletions as it has cells have found it sparse.
    void shrink_if_long_sparse() {
        if (cells_.size() == kSmallest || size_ * 8 >= cells_.size()) {
            sparse_ = 0;
        } else if (++sparse_ > cells_.size()) {
            sparse_ = 0;
            resize(cells_.size() / 2);
        }
    }
    void resize(std::size_t capacity);

    std::vector<Cell> cells_;  // a power of two of them, or none
    std::size_t size_ = 0;
    std::size_t sparse_ = 0;  // deletions since it was last not sparse
};

/// The cell for a new key: those from there to the end of the run move on by one.
template <typename Value>
auto NumberMap<Value>::place(std::uint64_t key) -> Cell& {
    std::size_t at = home(key);
    for (std::size_t distance = 0; cells_[at].used && distance_of(at) >= distance; ++distance) at = next(at);
    std::size_t gap = at;
    while (cells_[gap].used) gap = next(gap);
    if (gap != at) {
        for (; gap != at; gap = previous(gap)) cells_[gap] = std::move(cells_[previous(gap)]);
        clear(cells_[at]);
    }
    cells_[at].key = key;
    cells_[at].used = true;
    return cells_[at];
}

/// Those that follow, up to the first that sits at home, move back by one.
template <typename Value>
void NumberMap<Value>::remove_at(std::size_t gap) {
    for (std::size_t i = next(gap); cells_[i].used && distance_of(i) > 0; i = next(i)) {
        cells_[gap] = std::move(cells_[i]);
        gap = i;
    }
    clear(cells_[gap]);
    --size_;
    shrink_if_long_sparse();
}

template <typename Value>
void NumberMap<Value>::resize(std::size_t capacity) {
    std::vector<Cell> old = std::exchange(cells_, std::vector<Cell>(capacity));
    for (Cell& cell : old) {
        if (cell.used) place(cell.key).value = std::move(cell.value);
    }
}

}  // namespace curfew

// Lists in which the same may stand several times. Pure.
#pragma once

#include <algorithm>
#include <vector>

namespace curfew {

/// Sorts them, and keeps one of each.
template <typename T>
void keep_one_of_each(std::vector<T>& items) {
    std::ranges::sort(items);
    items.erase(std::unique(items.begin(), items.end()), items.end());
}

}  // namespace curfew

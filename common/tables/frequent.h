// The most frequent of many texts in a bounded table: Space-Saving (Metwally, Agrawal, El Abbadi,
// "Efficient computation of frequent and top-k elements in data streams", ICDT 2005). A text that
// is new takes the place of the rarest, and its count from there on: so each count is right but for
// `error`, which it may be too high by, and what came more often than all/kMost is there. Pure.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace curfew {

/// `Example`: what is kept of the last of them.
template <typename Example>
class Frequent {
public:
    static constexpr std::size_t kMost = 32;

    struct Entry {
        std::string text;
        std::uint64_t count = 0;
        std::uint64_t error = 0;
        Example example{};
    };

    void add(std::string_view text, Example example) {
        ++all_;
        auto at = std::ranges::find(entries_, text, &Entry::text);
        if (at == entries_.end() && entries_.size() < kMost) at = entries_.insert(at, {std::string(text), 0, 0, {}});
        if (at == entries_.end()) {
            at = std::ranges::min_element(entries_, {}, &Entry::count);
            at->text = text;
            at->error = at->count;
        }
        ++at->count;
        at->example = std::move(example);
    }

    /// The most frequent first; of equals the one that was there first.
    [[nodiscard]] std::vector<Entry> sorted() const {
        std::vector<Entry> entries = entries_;
        std::ranges::stable_sort(entries, std::greater<>(), &Entry::count);
        return entries;
    }
    [[nodiscard]] std::uint64_t all() const { return all_; }

private:
    std::vector<Entry> entries_;
    std::uint64_t all_ = 0;
};

}  // namespace curfew

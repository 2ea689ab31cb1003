// Timers of things that mostly end before their timer fires: a heap of (instant, key) that is never
// searched. A timer that is no longer wanted stays in the heap until it comes up or until the heap
// is swept, and is then dropped by asking the owner; a sweep comes when the heap has grown to twice
// what was live at the last one, so memory follows what is in flight and not what was seen.
//
// Pure, not thread safe.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "common/words/vocabulary.h"

namespace curfew {

class TimerHeap {
public:
    /// Wants `key` to come up at `at`. Setting a timer again adds a second entry: the owner tells
    /// them apart by asking itself, when a key comes up, whether it is due.
    void set(Instant at, std::uint64_t key) {
        if (at == kNever) return;
        entries_.push_back({at, key});
        std::push_heap(entries_.begin(), entries_.end(), Later{});
    }

    /// The next instant at which something may be due; kNever when there is nothing.
    [[nodiscard]] Instant next() const { return entries_.empty() ? kNever : entries_.front().at; }

    /// Calls due(key) for each entry whose instant has come, in order.
    template <typename Due>
    void fire(Instant now, Due&& due) {
        fire_while(now, [&](std::uint64_t key, Instant) { return due(key), true; });
    }

    /// Calls due(key, at) for each entry whose instant has come, in order, until it says false:
    /// that entry stays.
    template <typename Due>
    void fire_while(Instant now, Due&& due) {
        while (!entries_.empty() && entries_.front().at <= now) {
            const Entry entry = entries_.front();
            std::pop_heap(entries_.begin(), entries_.end(), Later{});
            entries_.pop_back();
            if (!due(entry.key, entry.at)) return set(entry.at, entry.key);
        }
    }

    /// Drops entries that `wanted(key, at)` denies, if enough has gathered to be worth it. Call it
    /// once a turn.
    template <typename Wanted>
    void sweep(Wanted&& wanted) {
        if (entries_.size() < sweep_at_) return;
        std::erase_if(entries_, [&](const Entry& entry) { return !wanted(entry.key, entry.at); });
        std::make_heap(entries_.begin(), entries_.end(), Later{});
        sweep_at_ = std::max(kSmallest, entries_.size() * 2);
        // The turn that goes past it is not to double a vector for little
        entries_.reserve(sweep_at_ + sweep_at_ / 4);
    }

    [[nodiscard]] std::size_t size() const { return entries_.size(); }

private:
    struct Entry {
        Instant at;
        std::uint64_t key;
    };
    struct Later {
        bool operator()(const Entry& a, const Entry& b) const { return a.at != b.at ? a.at > b.at : a.key > b.key; }
    };
    static constexpr std::size_t kSmallest = 256;

    std::vector<Entry> entries_;
    std::size_t sweep_at_ = kSmallest;
};

}  // namespace curfew

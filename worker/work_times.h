// What this worker did last, for who asks for the story of a task: when the work of an attempt
// began, was asked to stop, and ended. Pure. Memory: kMost entries.
#pragma once

#include <cstddef>
#include <utility>
#include <vector>

#include "common/tables/sample.h"
#include "common/words/vocabulary.h"

namespace curfew {

class WorkTimes {
public:
    static constexpr std::uint64_t kASecond = 200;
    static constexpr std::size_t kMost = 8192;

    struct Entry {
        AttemptId id;
        Seq seq = 0;
        Instant began_at{};
        Instant stop_at = kNever;  ///< asked to stop; never: it was not
        Instant ended_at = kNever;
    };

    /// Where there are too many a second, only what is a story at the broker's too (Sample).
    void ended(const Entry& entry) {
        if (!sample_.takes(entry.seq)) return;
        if (entries_.size() < kMost) {
            entries_.push_back(entry);
        } else {
            entries_[std::exchange(oldest_, (oldest_ + 1) % kMost)] = entry;
        }
    }
    void turn(Instant now) { sample_.turn(now); }

    /// Calls what(entry) for each of the task's.
    template <typename What>
    void for_each_of(Seq seq, What&& what) const {
        for (const Entry& entry : entries_) {
            if (entry.seq == seq) what(entry);
        }
    }

private:
    Sample sample_{kASecond};
    std::vector<Entry> entries_;
    std::size_t oldest_ = 0;
};

}  // namespace curfew

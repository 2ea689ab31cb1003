// The acknowledgement that the broker owes its collector: it waits for a frame that carries it, but
// no longer than a moment, and for no more than some batches. Pure.
#pragma once

#include <cstdint>

#include "common/words/vocabulary.h"

namespace curfew {

class OwedAck {
public:
    /// A batch has come.
    void owe(Instant now) {
        if (due_at_ == kNever) due_at_ = now + kWithin;
        if (++batches_ >= kMostBatches) due_at_ = now;
    }
    /// It was carried, or went by itself.
    void given() {
        due_at_ = kNever;
        batches_ = 0;
    }

    /// Whether it has to go by itself. `drained`: nothing may come to carry it.
    [[nodiscard]] bool is_due(Instant now, bool drained) const {
        return now >= due_at_ || (due_at_ != kNever && drained);
    }
    [[nodiscard]] Instant due_at() const { return due_at_; }

private:
    static constexpr Duration kWithin = std::chrono::milliseconds(20);
    static constexpr std::uint32_t kMostBatches = 32;

    Instant due_at_ = kNever;  // at the latest; kNever: none is owed
    std::uint32_t batches_ = 0;
};

}  // namespace curfew

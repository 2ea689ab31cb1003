// How many attempts a worker lets the broker send. What is sent ahead of the slots is to hide the
// way round the ring from them, and no more: the rest would wait here while a slot elsewhere is
// free. So it is what the slots do in a few times that way, and at least one attempt; nothing where
// the work takes longer than kSlow: then the way round is a hundredth of it, or less. Pure.
#pragma once

#include <algorithm>
#include <cstdint>
#include <utility>

#include "common/words/vocabulary.h"
#include "worker/handlers/handler.h"

namespace curfew {

class Credit {
public:
    /// `most`: how far it may adapt; 0: it does not.
    Credit(std::uint32_t credit, std::uint32_t most, Slot slots) : credit_(credit), most_(most), slots_(slots) {}

    /// Work that took a slot so long has ended.
    void worked(Duration took) {
        worked_ += took;
        ++ends_;
    }
    /// Looks at what was worked every now and then. True if the credit has changed.
    bool adapt(Instant now) {
        if (most_ == 0 || now < look_at_) return false;
        look_at_ = now + kEvery;
        const Duration worked = std::exchange(worked_, {});
        const std::int64_t ends = std::exchange(ends_, 0);
        if (ends == 0) return false;
        const std::int64_t mean = std::max<std::int64_t>(1, worked.count() / ends);
        const std::int64_t most = std::max<std::int64_t>(most_, slots_ + 1);
        const std::int64_t ahead =
            mean > kSlow.count() ? 0 : std::clamp<std::int64_t>(kAhead.count() * slots_ / mean, 1, most - slots_);
        const std::int64_t wanted = slots_ + ahead;
        const bool both_ahead = ahead > 0 && credit_ > slots_;
        const bool alike = both_ahead ? 4 * wanted <= 5LL * credit_ && 5 * wanted >= 4LL * credit_ : wanted == credit_;
        if (alike) return false;
        credit_ = static_cast<std::uint32_t>(wanted);
        return true;
    }
    [[nodiscard]] std::uint32_t now() const { return credit_; }

private:
    static constexpr Duration kEvery = std::chrono::milliseconds(100);
    static constexpr Duration kAhead = std::chrono::milliseconds(5);
    static constexpr Duration kSlow = std::chrono::milliseconds(25);

    std::uint32_t credit_;
    const std::uint32_t most_;
    const std::int64_t slots_;
    Instant look_at_{};
    Duration worked_{};      // in slots, since the last look
    std::int64_t ends_ = 0;  // and how often work ended
};

}  // namespace curfew

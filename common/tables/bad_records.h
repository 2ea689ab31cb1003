// Records of one peer that cannot be read: one may be noise, three within ten seconds are a peer
// that goes wrong. Pure.
#pragma once

#include <cstdint>

#include "common/words/vocabulary.h"

namespace curfew {

class BadRecords {
public:
    static constexpr std::uint32_t kMost = 3;
    static constexpr Duration kWithin = std::chrono::seconds(10);

    /// One more. True each time that it is one too many.
    [[nodiscard]] bool add(Instant now) {
        if (count_ == 0 || now - since_ > kWithin) {
            since_ = now;
            count_ = 0;
        }
        if (++count_ < kMost) return false;
        count_ = 0;
        return true;
    }

private:
    Instant since_{};
    std::uint32_t count_ = 0;
};

}  // namespace curfew

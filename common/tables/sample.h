// Which of what is numbered is looked at more closely, when it may be too many a second: every
// first, second, fourth, eighth ... number, so that about as many a second are taken as are wanted.
// As the steps are powers of two, two processes that see the same numbers take the same ones, but
// for those that one of them has too many of. Pure.
#pragma once

#include <cstdint>

#include "common/words/vocabulary.h"

namespace curfew {

class Sample {
public:
    explicit Sample(std::uint64_t a_second) : a_second_(a_second) {}

    /// Whether this number is one of them.
    [[nodiscard]] bool takes(std::uint64_t number) {
        if ((number & mask_) != 0) return false;
        if (++taken_ > a_second_) {
            mask_ = 2 * mask_ + 1;
            taken_ = 0;
        }
        return true;
    }
    /// Time goes on.
    void turn(Instant now) {
        if (now < second_ends_at_) return;
        if (taken_ < a_second_ / 4) mask_ /= 2;
        taken_ = 0;
        second_ends_at_ = now + std::chrono::seconds(1);
    }
    /// One of so many is taken.
    [[nodiscard]] std::uint64_t step() const { return mask_ + 1; }

private:
    std::uint64_t a_second_, mask_ = 0, taken_ = 0;
    Instant second_ends_at_{};
};

}  // namespace curfew

// The number by which the broker knows the collector: the process's incarnation, until the broker
// is seen to speak to a greater one. Pure.
#pragma once

#include <cstdint>
#include <utility>

#include "common/words/vocabulary.h"

namespace curfew {

class OwnNumber {
public:
    explicit OwnNumber(Incarnation incarnation) : number_(incarnation) {}

    [[nodiscard]] Incarnation get() const { return number_; }

    /// The broker speaks to this number. True: it was a greater one, and ours is another now.
    ///
    /// That is a newer life of the collector, but here is the only one: our clock has been set
    /// back, or an old hello came late. So the number goes above that, and all begins anew. One
    /// frame alone may have a turned bit. The next number would not do: others may be under way, or
    /// have done the same as we do.
    [[nodiscard]] bool meet(Incarnation other) {
        constexpr Incarnation kAhead = 1ULL << 32;  // milliseconds: some weeks
        if (other <= number_) return false;
        if (std::exchange(rival_, other) != other || other >= UINT64_MAX - 2 * kAhead) return false;
        number_ = other + kAhead + number_ % kAhead;
        is_anew_ = true;
        return true;
    }
    /// True once after it has changed.
    [[nodiscard]] bool take_anew() { return std::exchange(is_anew_, false); }

private:
    Incarnation number_;
    Incarnation rival_ = 0;  // the greater one that was met last
    bool is_anew_ = false;
};

}  // namespace curfew

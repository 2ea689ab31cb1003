// When the collector says hello: again and again, until it is synced. The pauses are short at
// first, since the first hello may be lost, and double. Pure.
#pragma once

#include <algorithm>

#include "common/words/vocabulary.h"

namespace curfew {

class HelloPace {
public:
    /// `longest`: the pause in the end.
    explicit HelloPace(Duration longest) : longest_(longest) {}

    [[nodiscard]] Instant due_at() const { return due_at_; }
    void said(Instant now) {
        pause_ = std::clamp(2 * pause_, longest_ / 16, longest_);
        due_at_ = now + pause_;
    }
    void at_once() { due_at_ = {}; }
    void short_again() { pause_ = {}; }

private:
    Duration longest_;
    Duration pause_{};  // before the next
    Instant due_at_{};
};

}  // namespace curfew

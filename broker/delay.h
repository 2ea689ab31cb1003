// A distance between the starts of tasks (--delay): after a message was accepted none is taken for
// so long. Further attempts of a task keep none. Pure.
#pragma once

#include "common/words/vocabulary.h"

namespace curfew {

class Delay {
public:
    /// `distance`: zero for none.
    explicit Delay(Duration distance) : distance_(distance) {}

    void started(Instant now) {
        if (distance_ > Duration::zero()) next_at_ = now + distance_;
    }
    /// No task may start now.
    [[nodiscard]] bool holds(Instant now) const { return now < next_at_; }
    [[nodiscard]] bool is_set() const { return distance_ > Duration::zero(); }
    /// When the next may start.
    [[nodiscard]] Instant next_at() const { return next_at_; }

private:
    Duration distance_;
    Instant next_at_ = Instant::min();
};

}  // namespace curfew

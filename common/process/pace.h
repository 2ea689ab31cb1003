// Whether a process has anything to do, by the processor time that its work has used: who looks at
// it may have more of one at rest, and memory that a burst has left goes back to the system in the
// first second that is quiet again. Reads no clock.
#pragma once

#include <chrono>
#include <utility>

#include "common/words/vocabulary.h"

namespace curfew {

class Pace {
public:
    /// At rest since a second that had next to nothing to do; not any more as soon as it works.
    /// `used`: of the processor, by the work so far.
    [[nodiscard]] bool at_rest(Instant now, Duration used) {
        constexpr Duration kWindow = std::chrono::milliseconds(20);
        constexpr int kShare = 20;  // a twentieth of the time
        if (now - judged_at_ < kWindow) return quiet_;
        if ((used - std::exchange(used_at_judgement_, used)) * kShare > now - judged_at_) quiet_ = false;
        judged_at_ = now;
        return quiet_;
    }

    /// A second is over. True if it was quiet, and one before it was not.
    [[nodiscard]] bool calms_down(Duration used) {
        constexpr auto kQuiet = std::chrono::milliseconds(50);
        quiet_ = used - std::exchange(used_at_second_, used) < kQuiet;
        return quiet_ ? std::exchange(worked_, false) : !(worked_ = true);
    }

private:
    bool quiet_ = false;  // the last second, and since then
    bool worked_ = false;
    Instant judged_at_{};
    Duration used_at_judgement_{}, used_at_second_{};
};

}  // namespace curfew

#include "worker/handlers/breaker.h"

#include <algorithm>

namespace curfew {

void Breaker::answered(Instant began) {
    if (probing_ && began < held_until_) return;
    in_a_row_ = 0;
    probing_ = false;
    pause_ = {};
}

bool Breaker::refused(Instant now, Instant began) {
    if (began < held_until_) return false;
    ++in_a_row_;
    if (!probing_ && in_a_row_ < kRefusals) return false;
    pause_ = std::clamp(2 * pause_, kFirstPause, kLongestPause);
    hold(now, pause_);
    return true;
}

void Breaker::asked_to_wait(Instant now, Duration time) {
    hold(now, std::clamp(time, kShortestWait, kLongestWait));
}

void Breaker::hold(Instant now, Duration time) {
    if (now >= held_until_) ++times_held_;
    probing_ = true;
    before_ = under_way_;
    held_until_ = std::max(held_until_, now + time);
}

}  // namespace curfew

#include "broker/hedging.h"

#include <algorithm>

namespace curfew {

Duration Hedging::delay() {
    if (config_.delay == Config::Delay::fixed) return config_.fixed;
    if (took_.count() == 0) return config_.longest;
    if (took_.count() >= look_again_at_) {
        quantile_ = took_.quantile(config_.percentile);
        look_again_at_ = took_.count() + std::min(kMostUnseen, took_.count() / 64 + 1);
    }
    return std::clamp(quantile_, config_.shortest, config_.longest);
}

void Hedging::task_accepted() {
    if (config_.budget) tokens_ = std::min(kMost, tokens_ + *config_.budget);
}

bool Hedging::take_token() {
    if (!has_token()) return false;
    if (config_.budget) tokens_ -= 1.0;
    ++counts_.sent;
    return true;
}

}  // namespace curfew

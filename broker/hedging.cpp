#include "broker/hedging.h"

#include <algorithm>

namespace curfew {

Duration Hedging::delay() const {
    if (config_.delay == Config::Delay::fixed) return config_.fixed;
    if (took_.count() == 0) return config_.longest;
    return std::clamp(took_.quantile(config_.percentile), config_.shortest, config_.longest);
}

void Hedging::task_accepted() {
    if (config_.budget) tokens_ = std::min(kMost, tokens_ + *config_.budget);
}

bool Hedging::take_token() {
    if (config_.budget) {
        if (tokens_ < 1.0) {
            ++counts_.withheld;
            return false;
        }
        tokens_ -= 1.0;
    }
    ++counts_.sent;
    return true;
}

}  // namespace curfew

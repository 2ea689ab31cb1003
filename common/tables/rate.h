// How fast a count grows: over the last ten seconds, from a sample each second. Pure.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "common/words/vocabulary.h"

namespace curfew {

/// Several counts, sampled together.
template <std::size_t kCounts>
class Rates {
public:
    using Counts = std::array<std::uint64_t, kCounts>;

    /// To be called each turn; takes a sample when one is due.
    void sample(Instant now, const Counts& counts) {
        if (now < due_at_) return;
        due_at_ = now + std::chrono::seconds(1);
        samples_[taken_++ % samples_.size()] = {now, counts};
    }

    /// A second, from the oldest sample until now.
    [[nodiscard]] std::array<double, kCounts> per_second(Instant now, const Counts& counts) const {
        std::array<double, kCounts> rates{};
        if (taken_ == 0) return rates;
        const Sample& oldest = samples_[taken_ < samples_.size() ? 0 : taken_ % samples_.size()];
        const double seconds = std::chrono::duration<double>(now - oldest.at).count();
        if (seconds <= 0) return rates;
        for (std::size_t i = 0; i < kCounts; ++i) {
            rates[i] = static_cast<double>(counts[i] - oldest.counts[i]) / seconds;
        }
        return rates;
    }

private:
    struct Sample {
        Instant at{};
        Counts counts{};
    };
    std::array<Sample, 10> samples_{};
    std::size_t taken_ = 0;
    Instant due_at_{};
};

}  // namespace curfew

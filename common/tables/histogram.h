// A histogram of durations with a relative error of 1.6%: each power of two of nanoseconds is cut
// into 32 buckets of the same width (as HdrHistogram does; no logarithm is taken), from half a
// microsecond to about an hour. Fixed memory. Old values fade: when the total weight reaches kFade
// all weights are halved, so percentiles follow what happened lately.
//
// Pure, not thread safe.
#pragma once

#include <array>
#include <cstdint>

#include "common/words/vocabulary.h"

namespace curfew {

class Histogram {
public:
    void add(Duration value);
    /// All that the other has.
    void add(const Histogram& other);

    /// The value below which `share` (0 to 1) of the weight lies; zero when there is none.
    [[nodiscard]] Duration quantile(double share) const;

    [[nodiscard]] std::uint64_t count() const { return count_; }  ///< values ever added
    [[nodiscard]] Duration sum() const { return sum_; }           ///< of the values ever added

    /// Values ever added, that were at most each bound and more than the one before, up to the
    /// relative error; the last: more than all bounds.
    /// Five to a power of two, from 100 us to 30 s: whatever lies between two of them, a quantile
    /// that is read from the counts is wrong by 15% at most.
    static constexpr std::array<Duration, 92> kBounds = [] {
        std::array<Duration, 92> bounds{};
        double us = 100;
        for (Duration& bound : bounds) {
            bound = std::chrono::microseconds(static_cast<std::int64_t>(us));
            us *= 1.1486983549970351;  // the fifth root of 2
        }
        return bounds;
    }();
    [[nodiscard]] const std::array<std::uint64_t, kBounds.size() + 1>& totals() const { return totals_; }

private:
    static constexpr int kSmallestBits = 9;  // 2^9 ns; what is shorter counts as that
    static constexpr int kLargestBits = 42;  // 2^42 ns, 73 minutes
    static constexpr int kCutBits = 5;       // 2^5 buckets to each power of two
    static constexpr std::size_t kBuckets = static_cast<std::size_t>(kLargestBits - kSmallestBits) << kCutBits;
    static constexpr std::uint64_t kFade = 1 << 20;

    static const std::array<std::uint8_t, kBuckets> kBoundOf;

    [[nodiscard]] static std::size_t bucket_of(Duration value);
    [[nodiscard]] static Duration middle_of(std::size_t bucket);

    std::array<std::uint32_t, kBuckets> weights_{};
    std::uint64_t weight_ = 0;
    std::uint64_t count_ = 0;
    Duration sum_{};
    std::array<std::uint64_t, kBounds.size() + 1> totals_{};
};

}  // namespace curfew

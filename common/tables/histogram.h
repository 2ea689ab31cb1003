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

    /// The value below which `share` (0 to 1) of the weight lies; zero when there is none.
    [[nodiscard]] Duration quantile(double share) const;

    [[nodiscard]] std::uint64_t count() const { return count_; }  ///< values ever added
    [[nodiscard]] Duration sum() const { return sum_; }           ///< of the values ever added

    /// Values ever added, that were at most each bound and more than the one before, up to the
    /// relative error; the last: more than all bounds.
    static constexpr std::array<Duration, 12> kBounds = {
        std::chrono::microseconds(100), std::chrono::microseconds(300), std::chrono::milliseconds(1),
        std::chrono::milliseconds(3),   std::chrono::milliseconds(10),  std::chrono::milliseconds(30),
        std::chrono::milliseconds(100), std::chrono::milliseconds(300), std::chrono::seconds(1),
        std::chrono::seconds(3),        std::chrono::seconds(10),       std::chrono::seconds(30)};
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

#include "common/tables/histogram.h"

#include <algorithm>
#include <bit>

namespace curfew {

std::size_t Histogram::bucket_of(Duration value) {
    constexpr std::int64_t kSmallest = std::int64_t{1} << kSmallestBits;
    constexpr std::int64_t kLargest = (std::int64_t{1} << kLargestBits) - 1;
    const std::int64_t ns = std::chrono::duration_cast<std::chrono::nanoseconds>(value).count();
    const auto n = static_cast<std::uint64_t>(std::clamp(ns, kSmallest, kLargest));
    const int bits = static_cast<int>(std::bit_width(n)) - 1;
    // The bits below the first one say which of the 32.
    const std::uint64_t cut = n >> (bits - kCutBits) & ((1U << kCutBits) - 1);
    return (static_cast<std::size_t>(bits - kSmallestBits) << kCutBits) + cut;
}

Duration Histogram::middle_of(std::size_t bucket) {
    const int bits = static_cast<int>(bucket >> kCutBits) + kSmallestBits;
    const std::uint64_t cut = bucket & ((1U << kCutBits) - 1);
    const std::uint64_t width = std::uint64_t{1} << (bits - kCutBits);
    const std::uint64_t ns = (std::uint64_t{1} << bits) + cut * width + width / 2;
    return std::chrono::duration_cast<Duration>(std::chrono::nanoseconds(ns));
}

/// For each bucket the first bound that its middle does not exceed.
const std::array<std::uint8_t, Histogram::kBuckets> Histogram::kBoundOf = [] {
    std::array<std::uint8_t, kBuckets> bound_of{};
    for (std::size_t bucket = 0; bucket < kBuckets; ++bucket) {
        const auto* const at = std::lower_bound(kBounds.begin(), kBounds.end(), middle_of(bucket));
        bound_of[bucket] = static_cast<std::uint8_t>(at - kBounds.begin());
    }
    return bound_of;
}();

void Histogram::add(Duration value) {
    const std::size_t bucket = bucket_of(value);
    ++weights_[bucket];
    ++count_;
    sum_ += value;
    ++totals_[kBoundOf[bucket]];
    if (++weight_ < kFade) return;
    weight_ = 0;
    for (std::uint32_t& weight : weights_) weight_ += weight /= 2;
}

void Histogram::add(const Histogram& other) {
    for (std::size_t i = 0; i < kBuckets; ++i) weights_[i] += other.weights_[i];
    for (std::size_t i = 0; i < totals_.size(); ++i) totals_[i] += other.totals_[i];
    weight_ += other.weight_;
    count_ += other.count_;
    sum_ += other.sum_;
}

Duration Histogram::quantile(double share) const {
    if (weight_ == 0) return Duration::zero();
    const double target = std::clamp(share, 0.0, 1.0) * static_cast<double>(weight_);
    std::uint64_t below = 0;
    for (std::size_t i = 0; i < kBuckets; ++i) {
        below += weights_[i];
        if (below > 0 && static_cast<double>(below) >= target) return middle_of(i);
    }
    return middle_of(kBuckets - 1);
}

}  // namespace curfew

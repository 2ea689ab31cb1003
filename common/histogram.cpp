#include "common/histogram.h"

#include <algorithm>
#include <cmath>

namespace curfew {
namespace {

constexpr double kGrowth = 1.04;

std::size_t bucket_of(Duration value, std::size_t buckets) {
    const double us = std::chrono::duration<double, std::micro>(value).count();
    if (us <= 1.0) return 0;
    const auto bucket = static_cast<std::size_t>(std::log(us) / std::log(kGrowth)) + 1;
    return std::min(bucket, buckets - 1);
}

/// The geometric middle of a bucket.
Duration value_of(std::size_t bucket) {
    const double us = bucket == 0 ? 1.0 : std::pow(kGrowth, static_cast<double>(bucket) - 0.5);
    return std::chrono::duration_cast<Duration>(std::chrono::duration<double, std::micro>(us));
}

}  // namespace

void Histogram::add(Duration value) {
    ++weights_[bucket_of(value, kBuckets)];
    ++count_;
    if (++weight_ < kFade) return;
    weight_ = 0;
    for (std::uint32_t& weight : weights_) weight_ += weight /= 2;
}

Duration Histogram::quantile(double share) const {
    if (weight_ == 0) return Duration::zero();
    const double target = std::clamp(share, 0.0, 1.0) * static_cast<double>(weight_);
    std::uint64_t below = 0;
    for (std::size_t i = 0; i < kBuckets; ++i) {
        below += weights_[i];
        if (below > 0 && static_cast<double>(below) >= target) return value_of(i);
    }
    return value_of(kBuckets - 1);
}

}  // namespace curfew

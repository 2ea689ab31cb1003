// A histogram of durations with a relative error of 2%: buckets that grow by 4%, from 1 us to about an hour. Fixed
// memory. Old values fade: when the total weight reaches kFade all weights are halved, so percentiles follow what
// happened lately.
//
// Pure, not thread safe.
#pragma once

#include <array>
#include <cstdint>

#include "common/vocabulary.h"

namespace curfew {

class Histogram {
public:
    void add(Duration value);

    /// The value below which `share` (0 to 1) of the weight lies; zero when there is none.
    [[nodiscard]] Duration quantile(double share) const;

    [[nodiscard]] std::uint64_t count() const { return count_; }  ///< values ever added

private:
    static constexpr std::size_t kBuckets = 576;
    static constexpr std::uint64_t kFade = 1 << 20;

    std::array<std::uint32_t, kBuckets> weights_{};
    std::uint64_t weight_ = 0;
    std::uint64_t count_ = 0;
};

}  // namespace curfew

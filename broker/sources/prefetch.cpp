#include "broker/sources/prefetch.h"

#include <algorithm>
#include <limits>

namespace curfew {

void Prefetch::came(std::size_t bytes) {
    mean_bytes_ += (static_cast<double>(bytes) - mean_bytes_) / 16;
}

std::uint16_t Prefetch::wanted(std::size_t room, const Here& here) {
    const auto fit = static_cast<std::size_t>(std::max(1.0, kMostBytes / std::max(1.0, mean_bytes_)));
    const std::size_t most = std::min<std::size_t>({room, fit, std::numeric_limits<std::uint16_t>::max()});
    const std::size_t messages = here.in_flight + here.fetched;
    if (messages > 2 * most || here.fetched_bytes > 2 * kMostBytes) is_full_ = true;
    if (messages <= most && here.fetched_bytes <= kMostBytes) is_full_ = false;
    stands_ = 2 * here.overdue > here.in_flight;
    return static_cast<std::uint16_t>(is_full_ || stands_ ? 0 : most);
}

}  // namespace curfew

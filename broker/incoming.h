// A message as a source hands it over.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace curfew {

struct Incoming {
    /// Valid until the source is asked for the next.
    std::string_view payload;
    /// The sender's; none: it is known by epoch and number.
    std::optional<std::string_view> id = std::nullopt;
    std::uint64_t tag =
        /// By which the source knows it, and is told that its outcome is settled; 0: it need not
        /// be.
        0;
};

}  // namespace curfew

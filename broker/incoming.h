// A message as a source hands it over.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "common/words/vocabulary.h"

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
    /// The sender's own deadline, from now on: it has no more time than that.
    std::optional<Duration> left = std::nullopt;
    /// What else the sender said, for handler and sink (common/wire/message_properties.h).
    std::string_view properties = {};
    /// It may be what killed those who had it before: one attempt at a time, whatever the fanout.
    bool alone = false;
};

}  // namespace curfew

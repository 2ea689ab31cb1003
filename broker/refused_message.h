// A message that is not taken, and where it stood: what is told of it in its dead letter.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

namespace curfew {

struct RefusedMessage {
    /// So much of it is kept.
    static constexpr std::size_t kFirstBytes = 1024;

    /// In its source, from 1: of the line, of the frame.
    std::uint64_t number = 0;
    /// Its offset, where the source has such a thing.
    std::optional<std::uint64_t> byte = std::nullopt;
    std::uint64_t size = 0;       ///< in bytes
    std::string first = {};       ///< the first bytes of it
    std::uint64_t tag = 0;        ///< see Incoming
    std::string why = {};         ///< empty: it is longer than --max-message
    std::string id = {};          ///< the sender's; empty: none
    std::string properties = {};  ///< see Incoming
    bool operator==(const RefusedMessage&) const = default;
};

}  // namespace curfew

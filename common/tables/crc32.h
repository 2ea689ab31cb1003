// CRC-32 as zlib has it. Pure.
#pragma once

#include <zlib.h>

#include <cstdint>
#include <string_view>

namespace curfew {

/// Of what had the sum `before`, and then these bytes.
[[nodiscard]] inline std::uint32_t crc32_of(std::string_view bytes, std::uint32_t before = 0) {
    return static_cast<std::uint32_t>(
        ::crc32_z(before, reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size()));
}

}  // namespace curfew

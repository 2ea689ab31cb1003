// Runs on the wire, for the writer and the reader alone. A run is [type, number, seq, what is shared..., items]: number
// and seq are those of the first item, each further one has the next of both, unless two naturals in front of it say
// how many of each are left out; an item is its payload. The items are msgpack within the bytes of one part, so that
// parsing a run costs no more than its items do.
#pragma once

#include <cstdint>

namespace curfew::wire {

inline constexpr std::uint8_t kTaskRun = 9, kReportRun = 15;
inline constexpr std::uint64_t kLastInRun = UINT64_MAX - 2;  ///< so that the number behind it is a number, too

}  // namespace curfew::wire

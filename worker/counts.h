// What the worker's core has counted; the monitor shows all of it. The core owns the one instance;
// its parts count into it. Pure.
#pragma once

#include <array>
#include <cstdint>

#include "common/words/vocabulary.h"

namespace curfew {

struct WorkerCounts {
    std::uint64_t received = 0;  ///< attempts, early cancels included
    std::uint64_t duplicates = 0;
    std::array<std::uint64_t, kReportKinds + 1> reports{};  ///< ends, by ReportKind
    std::uint64_t lost = 0;                                 ///< dropped on a cancel that said lost
    std::uint64_t abandoned = 0;                            ///< held when a session ended
    std::uint64_t refused = 0;
    std::uint64_t malformed = 0;
    std::uint64_t sessions = 0;
};

}  // namespace curfew

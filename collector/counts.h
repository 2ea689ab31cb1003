// What the judge has counted; the monitor shows all of it. The judge owns the one instance; its
// parts count into it. Pure.
#pragma once

#include <array>
#include <cstdint>

#include "common/words/vocabulary.h"

namespace curfew {

struct JudgeCounts {
    std::array<std::uint64_t, kEnds + 1> ends{};          ///< by End
    std::array<std::uint64_t, kOutcomes + 1> outcomes{};  ///< settled, by Outcome
    std::uint64_t reports = 0;
    std::uint64_t duplicates = 0;  ///< reports that had been judged
    std::uint64_t refused = 0;     ///< frames of unknown sessions, old brokers, or before the Sync
    std::uint64_t malformed = 0;
    std::uint64_t complaints = 0;  ///< about workers whose records cannot be read
};

}  // namespace curfew

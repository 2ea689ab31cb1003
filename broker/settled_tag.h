// Word for a source: a message of its has its outcome.
#pragma once

#include <cstdint>

#include "common/words/vocabulary.h"

namespace curfew {

struct SettledTag {
    std::uint64_t tag = 0;  ///< see Incoming
    Outcome outcome = Outcome::completed;
    bool operator==(const SettledTag&) const = default;
};

}  // namespace curfew

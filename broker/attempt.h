// An attempt in the broker's books. What it goes through: broker/ledger.h.
#pragma once

#include <cstdint>

#include "common/words/vocabulary.h"

namespace curfew {

struct Attempt {
    Seq seq = 0;
    std::uint32_t ordinal = 1;
    AttemptState state = AttemptState::queued;
    CancelReason reason = CancelReason::decided;  ///< while cancelling
    std::uint8_t doubt = 0;                       ///< rounds of the token that could not account for it
    bool lose_asked = false;                      ///< the collector has been asked to end it as lost
    bool hedge = false;                           ///< started because the earlier ones were slow
    bool reported_there = false;                  ///< its worker has said, by the token, that it has reported it
    bool recalled = false;                        ///< a recall of it is under way
    bool awaited = false;                         ///< a winner whose result a new collector may still need
    Instant started_at{};
    Instant cancelled_at{};
};

}  // namespace curfew

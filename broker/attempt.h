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
    /// Rounds of the token that could not account for it.
    std::uint8_t doubt = 0;
    /// The collector has been asked to end it as lost.
    bool lose_asked = false;
    bool hedge = false;  ///< started because the earlier ones were slow
    /// It is the first of its task, which a hedge has decided.
    bool beaten_by_hedge = false;
    /// Its worker has said, by the token, that it has reported it.
    bool reported_there = false;
    bool recalled = false;  ///< a recall of it is under way
    /// A winner whose result a new collector may still need.
    bool awaited = false;
    bool told = false;  ///< as its task
    Instant started_at{};
    Instant cancelled_at{};
};

}  // namespace curfew

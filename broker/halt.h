// When a batch is no longer worth its work (--halt): so many tasks, or such a share of those that
// have their outcome, did not complete. Pure.
#pragma once

#include <cstdint>

#include "broker/ledger.h"

namespace curfew {

/// Failed or expired. What a person has cancelled says nothing about the work.
[[nodiscard]] inline std::uint64_t not_completed(const Books& books) {
    return books.of(Outcome::failed) + books.of(Outcome::expired);
}

struct Halt {
    /// Of a share: fewer that did not complete say nothing.
    static constexpr std::uint64_t kLeastOfShare = 3;

    bool now = false;         ///< what is in flight is left; else it is finished, as in a drain
    std::uint64_t tasks = 0;  ///< so many did not complete; 0: the share counts
    double share = 0;         ///< of the tasks that have their outcome: above 0, at most 1

    [[nodiscard]] bool is_due(const Books& books) const {
        const std::uint64_t lacking = not_completed(books);
        if (tasks > 0) return lacking >= tasks;
        const std::uint64_t settled = books.accepted - books.tasks_in_flight;
        return lacking >= kLeastOfShare && static_cast<double>(lacking) >= share * static_cast<double>(settled);
    }
};

}  // namespace curfew

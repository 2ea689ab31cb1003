// The sync that the broker offers its collector. Each has a round of its own; it is kept until it
// is taken, and goes once more when it is asked for before. Pure.
//
//     offer --the next flush--> offered --taken--> (nothing is kept)
//                 ^                |
//                 +---ask_again----+
#pragma once

#include <cstdint>
#include <optional>
#include <utility>

#include "common/wire/frame.h"

namespace curfew {

class OfferedSync {
public:
    /// Rounds are counted from here.
    explicit OfferedSync(std::uint64_t first) : round_(first) {}

    [[nodiscard]] std::uint64_t round() const { return round_; }
    /// Another sync is to come, to be offered at once.
    void begin_round() { ++round_; }
    void offer(Frame sync) {
        sync_ = std::move(sync);
        is_due_ = true;
    }
    /// One that is taken does not go again.
    void ask_again() { is_due_ = !sync_.empty(); }
    void taken() {
        sync_ = {};
        is_due_ = false;
    }
    /// What the next flush has to send.
    [[nodiscard]] std::optional<Frame> take_due() {
        return std::exchange(is_due_, false) ? std::optional(sync_.copy()) : std::nullopt;
    }

private:
    std::uint64_t round_;
    Frame sync_;  // empty: it is taken, or there was none
    bool is_due_ = false;
};

}  // namespace curfew

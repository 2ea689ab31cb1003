// Whether a service, or a program, is to be asked now. One that refuses is quicker than any that
// answers, and would be given every first attempt: so after kRefusals in a row it gets none for a
// while, which doubles each time, and then a single one, the probe. A circuit breaker (M. Nygard,
// Release It!). A service that asks to be left alone for some time (Retry-After) is, in the same
// way.
//
//     open --kRefusals in a row, or asked to wait--> held --the time is over--> probing
//      ^                                              ^                           |  |
//      |                                              +-------it refuses----------+  |
//      +----------------------------it answers--------------------------------------+
//
// Pure.
#pragma once

#include <cstdint>

#include "common/words/vocabulary.h"

namespace curfew {

class Breaker {
public:
    static constexpr int kRefusals = 5;
    static constexpr Duration kFirstPause = std::chrono::seconds(1), kLongestPause = std::chrono::minutes(1);
    /// A service that says 0 would be asked as fast as it can say so.
    static constexpr Duration kShortestWait = std::chrono::milliseconds(100);
    static constexpr Duration kLongestWait = std::chrono::hours(1);

    // How requests end; `began`: when this one did. What began before a pause says nothing of what
    // comes after it.
    /// It has answered, though perhaps not as one would like.
    void answered(Instant began);
    /// No answer, or one that says that the service does not work. True: it is held from now on.
    bool refused(Instant now, Instant began);
    void asked_to_wait(Instant now, Duration time);

    // Each request, whatever its end; what is above comes before ends().
    void begins() { ++under_way_; }
    void ends(Instant began) {
        --under_way_;
        if (began < held_until_ && before_ > 0) --before_;
    }

    /// Requests that may be under way. What is from before the pause goes on, and is no probe.
    [[nodiscard]] std::uint32_t open(Instant now) const {
        if (now < held_until_) return 0;
        return probing_ ? before_ + 1 : UINT32_MAX;
    }
    /// When open() changes by itself.
    [[nodiscard]] Instant next_deadline(Instant now) const { return now < held_until_ ? held_until_ : kNever; }

    // ---- looking
    [[nodiscard]] bool is_held(Instant now) const { return now < held_until_; }
    [[nodiscard]] bool is_probing(Instant now) const { return probing_ && !is_held(now); }
    [[nodiscard]] Instant held_until() const { return held_until_; }
    [[nodiscard]] int refusals_in_a_row() const { return in_a_row_; }
    [[nodiscard]] std::uint64_t times_held() const { return times_held_; }

private:
    void hold(Instant now, Duration time);

    int in_a_row_ = 0;
    std::uint32_t under_way_ = 0;
    std::uint32_t before_ = 0;  // of those, began before the end of the pause
    bool probing_ = false;      // from the beginning of a pause until it has answered
    Duration pause_{};          // the last, 0 after an answer
    Instant held_until_{};
    std::uint64_t times_held_ = 0;
};

}  // namespace curfew

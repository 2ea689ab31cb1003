// When the broker's regular work is due: pings twice a heartbeat, the token once, and a look at who
// has fallen silent. Pure.
#pragma once

#include <algorithm>

#include "common/words/limits.h"
#include "common/words/vocabulary.h"

namespace curfew {

class Beats {
public:
    explicit Beats(Duration heartbeat) : heartbeat_(heartbeat) {}

    [[nodiscard]] bool ping_due(Instant now) { return due(now, ping_at_, heartbeat_ / 2); }
    [[nodiscard]] bool token_due(Instant now) { return due(now, token_at_, heartbeat_); }
    /// The token sets out at once: a new collector knows none.
    void token_now(Instant now) { token_at_ = now; }

    /// Before this no worker can have been silent for too long.
    [[nodiscard]] bool silence_due(Instant now) const { return now >= silence_at_; }
    /// All workers are looked at now: those that are not silent say when the next look is due.
    void look_at_silence() { silence_at_ = kNever; }
    void heard(Instant at) { silence_at_ = std::min(silence_at_, silent_at(at)); }
    [[nodiscard]] Instant silent_at(Instant heard_at) const { return heard_at + limits::kSilentAfter * heartbeat_; }

    [[nodiscard]] Instant next_deadline() const { return std::min({ping_at_, token_at_, silence_at_}); }

private:
    static bool due(Instant now, Instant& at, Duration pause) {
        if (now < at) return false;
        at = now + pause;
        return true;
    }

    Duration heartbeat_;
    Instant ping_at_{}, token_at_{};
    Instant silence_at_ = kNever;
};

}  // namespace curfew

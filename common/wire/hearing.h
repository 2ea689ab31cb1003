// When the other side of a pair was heard, and what follows from that, in heartbeats: a side that
// lives says something at least twice in each. Pure.
#pragma once

#include "common/words/limits.h"
#include "common/words/vocabulary.h"

namespace curfew {

class Hearing {
public:
    explicit Hearing(Duration heartbeat) : heartbeat_(heartbeat) {}

    void heard(Instant now) {
        if (is_alone(now)) since_ = now;
        at_ = now;
    }
    /// The pair has begun anew: no gap before this counts.
    void synced(Instant now) { since_ = synced_at_ = now; }

    [[nodiscard]] Instant at() const { return at_; }
    /// Without a gap.
    [[nodiscard]] Instant since() const { return since_; }

    /// Nothing was heard for so long that what it last said is not believed: another may take its
    /// place.
    [[nodiscard]] bool is_alone(Instant now) const { return now - at_ >= limits::kAloneAfter * heartbeat_; }
    /// It has said nothing for so long: it is gone, or stands still.
    [[nodiscard]] bool is_silent(Instant now) const { return now - at_ >= limits::kSilentAfter * heartbeat_; }
    /// What was under way at the sync has come by now.
    [[nodiscard]] bool has_settled_down(Instant now) const {
        return now - synced_at_ >= limits::kSettledAfter * heartbeat_;
    }

private:
    Duration heartbeat_;
    Instant at_{};     // last
    Instant since_{};  // the last gap, or the sync
    Instant synced_at_{};
};

}  // namespace curfew

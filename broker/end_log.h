// The ends of attempts as they happen, for those who follow them. Nobody has to read what is noted
// here, and nothing waits for them: of each kind of end so many a second are kept that a person or
// a script can follow, so that a rare failure is not lost among millions that won; what is left out
// is counted. While nobody asks, nothing is noted.
//
// Pure. Memory: kMost entries, and the pools of the sessions, while somebody follows.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "broker/attempt.h"
#include "common/words/vocabulary.h"

namespace curfew {

class EndLog {
public:
    static constexpr std::size_t kMost = 4096;
    static constexpr double kASecond = 200;  ///< of each kind
    static constexpr Duration kPatience = std::chrono::seconds(10);

    struct Entry {
        AttemptId id;
        Attempt attempt;  ///< as it was
        End end = End::won;
        Instant ended_at{};
        std::string worker, error, task_id;  ///< empty: not known, none, none
        std::uint64_t left_out = 0;          ///< ends of this kind since the last entry of it
    };
    struct Part {
        std::vector<Entry> entries;
        std::uint64_t last = 0;  ///< to ask with for what comes after it
        std::uint64_t missed =
            /// Entries that have gone before they were asked for; a time without following is one.
            0;
    };

    /// The entries after that one; the next question within kPatience, or the following ends. Who
    /// has asked for nothing yet gets none, and its ends are noted from now on.
    [[nodiscard]] Part follow(Instant now, std::optional<std::uint64_t> after);

    [[nodiscard]] bool followed() const { return asked_at_.has_value(); }
    /// To be called for each end, while it is followed.
    void note(AttemptId id, const Attempt& attempt, End end, std::string_view worker, std::string_view error,
              std::string_view task_id);
    /// The pools of the sessions that are there now: an end may be asked for when its session has
    /// gone.
    void know_pools(std::map<Session, std::string> pools) { pools_ = std::move(pools); }
    /// As they were known last; empty: not known.
    [[nodiscard]] std::string pool_of(Session session) const;

    /// A turn of the loop begins: the instant at which what ends in it has ended.
    void turn(Instant now) {
        if (followed()) go_on(now);
    }

private:
    struct Kind {
        double allowance = kASecond;  // entries that may be noted at once
        std::uint64_t left_out = 0;
    };
    void go_on(Instant now);

    std::optional<Instant> asked_at_;  // none: nobody follows
    Instant now_{};
    std::array<Kind, kEnds + 1> kinds_;  // by End
    std::deque<Entry> entries_;
    std::map<Session, std::string> pools_;
    std::uint64_t noted_ = 0;  // entries ever; the last of them is entries_.back()
};

}  // namespace curfew

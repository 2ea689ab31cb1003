// What has settled in the epoch that there is, and what of that a broker may not know. Pure.
//
// Memory: a hole in a set for each task that is in flight; how a task ended until the broker has
// acknowledged that; and, where the sink remembers, an entry for each outcome other than
// `completed` that it had at the start, until a broker says that it knows it.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <vector>

#include "common/tables/interval_set.h"
#include "common/wire/wire_books.h"
#include "common/words/vocabulary.h"

namespace curfew {

class Settled {
public:
    /// What a sink has that remembers over a restart: outcomes of one epoch.
    struct Memory {
        Epoch epoch = 0;
        Intervals settled;
        std::map<Seq, Outcome> not_completed;
    };
    /// One for each sink; which epoch counts, the first broker says.
    void remember(std::vector<Memory> memories);
    /// This is the epoch. True if a sink has outcomes of it. What they have of others is forgotten.
    [[nodiscard]] bool recall(Epoch epoch);
    /// The sink knows over a restart what it has.
    [[nodiscard]] bool is_remembered() const { return remembered_; }

    [[nodiscard]] bool contains(Seq seq) const { return all_.contains(seq); }
    [[nodiscard]] const IntervalSet& all() const { return all_; }
    /// Of those, as far as it is known here: what did not complete.
    [[nodiscard]] std::uint64_t failures() const { return failures_; }
    void settle(const wire::KnownEnd& end) {
        all_.insert(end.seq);
        if (end.outcome != Outcome::completed) ++failures_;
        unheard_.push_back({end, kUnsaid});
    }
    /// The broker says so.
    void insert(const Intervals& seqs) { all_.insert(seqs); }

    // ---- what the broker has heard
    /// All that has settled was said, in batches up to this one, and these were acknowledged.
    void said(std::uint64_t batch, std::uint64_t acknowledged);
    /// Calls say(end) for what a broker may not know that knows of these: how it has ended. What
    /// was said of it in an older stream means nothing any more.
    template <typename Say>
    void say_again(const IntervalSet& known_there, Say&& say) {
        std::erase_if(not_completed_, [&](const auto& one) { return known_there.contains(one.first); });
        for (const auto& [seq, outcome] : not_completed_) say(wire::KnownEnd{seq, outcome, {}});
        for (Unheard& unheard : unheard_) {
            unheard.batch = kUnsaid;
            if (!known_there.contains(unheard.end.seq)) say(unheard.end);
        }
    }
    /// What did not complete, as far as it is known here and was not said to a broker that knows
    /// it.
    [[nodiscard]] Intervals failed() const;
    /// Their sessions were those of another broker.
    void forget_winners() {
        for (Unheard& unheard : unheard_) unheard.end.winner = {};
    }

    /// What is above cannot have been given to anybody.
    void forget_above(Seq last);
    /// Another epoch, or nothing that we know of this one counts: only what the sink remembers.
    void begin_anew(bool same_epoch);

private:
    static constexpr std::uint64_t kUnsaid = UINT64_MAX;
    struct Unheard {
        wire::KnownEnd end;
        std::uint64_t batch;  ///< in which it was said, or one after that
    };

    IntervalSet all_;
    std::uint64_t failures_ = 0;
    std::deque<Unheard> unheard_;  // in the order in which they settled
    std::map<Seq, Outcome> not_completed_;
    std::vector<Memory> memories_;  // until there is a broker
    bool remembered_ = false;
};

}  // namespace curfew

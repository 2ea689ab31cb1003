// What is known from an earlier life of the broker: of the messages that are yet to come those that
// have settled, or that the collector there is has decided; and how many settled, and did not
// complete, before this life took its first. Pure. Memory: an interval for each run of
// those, an entry for each that is decided and not settled.
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <optional>

#include "common/tables/interval_set.h"
#include "common/words/vocabulary.h"

namespace curfew {

class EarlierLife {
public:
    // ---- before the first message
    /// All up to `last` has settled, and of those above it these; of all of them so many did not
    /// complete.
    void begin(Seq last, const Intervals& numbers, std::uint64_t failures) {
        *this = {};
        failures_ = failures;
        settled(numbers, last);
    }
    /// Somebody knows of so many that did not complete.
    void know_failures(std::uint64_t count) { failures_ = std::max(failures_, count); }
    /// From here on numbers above `last` are those of messages that come.
    void close(Seq last) {
        is_closed_ = true;
        count_ = last + settled_.size();
    }
    /// What had settled before close(), and of that, as far as it is known, what did not complete.
    [[nodiscard]] std::uint64_t count() const { return count_; }
    [[nodiscard]] std::uint64_t failures() const { return failures_; }

    // ---- of messages that are yet to come
    /// Of the numbers above `last`, these have settled.
    void settled(const Intervals& numbers, Seq last) {
        const std::uint64_t before = settled_.size();
        for (const Interval& range : numbers) {
            if (range.last <= last || range.first > range.last) continue;
            settled_.insert({std::max(range.first, last + 1), range.last});
            decided_.erase(decided_.lower_bound(range.first), decided_.upper_bound(range.last));
        }
        if (is_closed_) count_ += settled_.size() - before;
    }
    void decided(Seq seq, Outcome outcome) { decided_[seq] = outcome; }
    /// Those that are decided settle. Returns how many that were.
    std::uint64_t settle_decided(Interval range, Outcome outcome) {
        std::uint64_t count = 0;
        for (auto at = decided_.lower_bound(range.first); at != decided_.end() && at->first <= range.last; ++count) {
            settled_.insert(at->first);
            at = decided_.erase(at);
        }
        if (is_closed_) count_ += count;
        if (outcome != Outcome::completed) failures_ += count;
        return count;
    }
    void forget_decided() { decided_.clear(); }

    [[nodiscard]] bool has_settled(Seq seq) const { return !settled_.empty() && settled_.contains(seq); }
    /// Its message has come. None: it is open.
    [[nodiscard]] std::optional<Outcome> take_decided(Seq seq) {
        const auto known = decided_.find(seq);
        if (known == decided_.end()) return std::nullopt;
        const Outcome outcome = known->second;
        decided_.erase(known);
        return outcome;
    }
    /// The messages up to here have come: once they have reached what is new, there is nothing to
    /// ask any more.
    void reached(Seq last) {
        if (!settled_.empty() && settled_.intervals().back().last <= last) settled_.clear();
    }
    /// Calls with each range above `last`.
    template <typename Visit>
    void each_settled(Seq last, Visit&& visit) const {
        for (const Interval& range : settled_.intervals()) {
            if (range.last > last) visit(Interval{std::max(range.first, last + 1), range.last});
        }
    }

private:
    std::uint64_t count_ = 0, failures_ = 0;
    bool is_closed_ = false;
    IntervalSet settled_;
    std::map<Seq, Outcome> decided_;
};

}  // namespace curfew

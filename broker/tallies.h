// What tasks and attempts came to, beside the books: how long tasks took, which pools won, what
// hedges gave, why work failed. Nothing depends on it. Pure. Memory: kMostPools pools of 20 KiB,
// and the most frequent reasons.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "broker/ledger.h"
#include "broker/roster.h"
#include "common/tables/frequent.h"
#include "common/tables/histogram.h"
#include "common/words/vocabulary.h"

namespace curfew {

/// A number for each end.
using EndCounts = std::array<std::uint64_t, kEnds + 1>;

/// Of the attempts at one pool's workers, those that have left too.
struct PoolTally {
    EndCounts ends{};
    /// Of these, the hedges.
    EndCounts hedge_ends{};
    Histogram won;     ///< from the start to the decision
    Histogram others;  ///< to the end, or until it was called home

    void add(const WorkerSession& worker, const SessionBooks& books);
};

/// Which failure a reason was seen at last.
struct FailureExample {
    std::string worker;
    Seq seq = 0;
    std::string error;
};

class Tallies {
public:
    static constexpr std::size_t kMostPools = 64;
    /// The pools beyond these.
    static constexpr std::string_view kOtherPools = "(others)";
    /// Of a failure's text.
    static constexpr std::size_t kReasonBytes = 120;

    /// A task is decided, so long after it was accepted. What is decided again, as its winner's
    /// result was lost with a collector, counts again.
    void decided(Duration took, bool completed) { (completed ? completed_ : not_completed_).add(took); }
    /// An attempt has failed, was lost, or has expired. What differs in numbers alone is one
    /// reason.
    void failed(End end, std::string_view error, std::string_view worker, Seq seq);
    /// A first attempt that a hedge has beaten finished all the same, so long after the decision.
    void beaten_by_hedge(Duration went_on) { saved_ += went_on; }
    /// The session is over: its counts stay.
    void keep(const WorkerSession& worker, const SessionBooks& books);

    [[nodiscard]] const Histogram& completed() const { return completed_; }
    [[nodiscard]] const Histogram& not_completed() const { return not_completed_; }
    /// By the failures' end and what they said.
    [[nodiscard]] const Frequent<FailureExample>& failures() const { return failures_; }
    /// What hedges have saved for certain. How long those that were stopped would have gone on,
    /// nobody knows.
    [[nodiscard]] Duration saved() const { return saved_; }
    /// By name, with the sessions there are.
    [[nodiscard]] std::map<std::string, PoolTally, std::less<>> pools(const Roster& roster, const Ledger& ledger) const;

private:
    [[nodiscard]] static PoolTally& pool(std::map<std::string, PoolTally, std::less<>>& pools, std::string_view name);

    Histogram completed_, not_completed_;
    std::map<std::string, PoolTally, std::less<>> gone_;  // of sessions that are over
    Frequent<FailureExample> failures_;
    Duration saved_{};
};

}  // namespace curfew

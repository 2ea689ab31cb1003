// The hedging policy: when may the next attempt of a task start although the earlier ones have not
// failed, and is there budget for it. Pure.
//
// The delay is none (a race: all at once), fixed, or a percentile of how long finished attempts
// took; losers count with their age when they were called home, else the percentile would drift
// down with each win. The budget is a token bucket: each task adds its share of a token, each hedge
// takes one ("The Tail at Scale", Dean and Barroso 2013; gRPC's A6 retry design throttles in the
// same way); a small floor lets hedges start before there is history. A hedge that finds no token
// waits for one, those that are due longest first: most tasks that wait are only just slow and
// settle by themselves, so what budget there is goes to those that hang.
#pragma once

#include <optional>

#include "common/tables/histogram.h"
#include "common/words/vocabulary.h"

namespace curfew {

class Hedging {
public:
    struct Config {
        /// idle: see broker/idle_hedges.h.
        enum class Delay : std::uint8_t { race, fixed, percentile, idle } delay = Delay::race;
        Duration fixed{};
        double percentile = 0.95;                          ///< 0 to 1
        Duration shortest = std::chrono::milliseconds(1);  ///< clamp of the percentile
        Duration longest = std::chrono::seconds(10);
        std::optional<double> budget;  ///< hedges per task; none: no limit
    };
    struct Counts {
        std::uint64_t sent = 0;
        std::uint64_t won = 0;
        /// Due, but before there was budget for it nobody wanted it any more.
        std::uint64_t withheld = 0;
    };

    explicit Hedging(const Config& config) : config_(config) {}

    [[nodiscard]] bool race() const { return config_.delay == Config::Delay::race; }
    /// The next starts on a slot that nobody waits for, whenever that is.
    [[nodiscard]] bool idle() const { return config_.delay == Config::Delay::idle; }

    /// How long after the last attempt the next may start. Not for races, and not where idle().
    [[nodiscard]] Duration delay();

    void task_accepted();
    [[nodiscard]] bool has_token() const { return !config_.budget || tokens_ >= 1.0; }
    /// A hedge wants to start; true takes its token.
    [[nodiscard]] bool take_token();

    /// One that has waited for a token is no longer wanted.
    void withheld() { ++counts_.withheld; }

    /// A hedge has won its task.
    void won() { ++counts_.won; }

    /// How long an attempt took, or how old it was when it was called home.
    void learn(Duration took) { took_.add(took); }

    [[nodiscard]] const Counts& counts() const { return counts_; }
    [[nodiscard]] const Histogram& took() const { return took_; }

private:
    static constexpr double kFloor = 10.0;  // tokens at the start
    static constexpr double kMost = 100.0;  // tokens that can be saved up
    // Attempts that the delay may not know of yet
    static constexpr std::uint64_t kMostUnseen = 256;

    Config config_;
    Counts counts_;
    Histogram took_;
    Duration quantile_{};  // as it was when it was last looked at: a walk over the whole histogram
    std::uint64_t look_again_at_ = 0;
    double tokens_ = kFloor;
};

}  // namespace curfew

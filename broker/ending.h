// How the broker comes to its end. A drain takes no more messages and finishes what is in flight;
// what it has no more time for (--drain-timeout) ends as if a person had cancelled it, and is
// counted; with a checkpoint it is left to the next life. A stop is a drain that waits for no
// producer. A halt (--halt) is a drain, or the end at once: what is in flight is left. One thread.
//
//     running --drain--> draining --the intake has ended, all tasks have their outcomes--> settled
//                                                                                             |
//                       drained, which the dispatcher says <--no work is left of them either--+
//
// A source that ends by itself leads to settled without a drain. In settled only attempts keep the
// broker: those whose work does not stop.
#pragma once

#include <cstdint>
#include <optional>

#include "broker/books_page.h"
#include "broker/dispatcher.h"
#include "broker/halt.h"
#include "broker/intake.h"
#include "common/process/daemon.h"
#include "common/words/vocabulary.h"

namespace curfew {

class Ending {
public:
    struct Config {
        /// Of a drain; none: it has all the time that its work takes.
        std::optional<Duration> drain_timeout;
        std::optional<Halt> halt;
        /// The next life goes on with what a drain had no time for: it is left.
        bool goes_on = false;
    };
    Ending(const Daemon& daemon, Dispatcher& dispatcher, Intake& intake, const Config& config)
        : daemon_(daemon), dispatcher_(dispatcher), intake_(intake), config_(config) {}

    void drain(Instant now);
    void stop(Instant now);

    /// In each turn, before messages are taken; when the next is wanted at the latest.
    [[nodiscard]] Instant turn(Instant now);
    /// In each turn, when messages were taken.
    void note_settled(Instant now);

    // ---- looking
    [[nodiscard]] bool draining() const { return draining_; }
    /// Tasks that a drain had no more time for.
    [[nodiscard]] std::uint64_t cut_short() const { return cut_short_; }
    /// Tasks that had not completed when that was a reason to halt; 0: it was none.
    [[nodiscard]] std::uint64_t halted() const { return halted_; }
    /// What is in flight is left.
    [[nodiscard]] bool left_at_once() const { return is_left_ || (halted_ > 0 && config_.halt->now); }
    /// None: it is not settled.
    [[nodiscard]] std::optional<Duration> settled_for(Instant now) const {
        return settled_since_ == kNever ? std::nullopt : std::optional(now - settled_since_);
    }
    void write(BooksPage& books) const;

private:
    void end_drain(Instant now);
    void halt_where_it_is_due(Instant now);

    const Daemon& daemon_;
    Dispatcher& dispatcher_;
    Intake& intake_;
    const Config config_;
    Instant drain_ends_at_ = kNever;
    std::uint64_t cut_short_ = 0;
    std::uint64_t halted_ = 0;
    Instant settled_since_ = kNever;
    bool draining_ = false;
    bool is_left_ = false;
    bool stopping_ = false;
};

}  // namespace curfew

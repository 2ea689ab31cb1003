#include "broker/ending.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <utility>

#include "common/process/log.h"

namespace curfew {

void Ending::drain(Instant now) {
    if (std::exchange(draining_, true)) return;
    log::info("draining tasks={}", dispatcher_.ledger().tasks_in_flight());
    intake_.close();
    // Launch, where there is one, says it at the end, from the books.
    if (!daemon_.has_lifeline()) intake_.say_what_is_left();
    if (config_.drain_timeout) drain_ends_at_ = now + *config_.drain_timeout;
}

void Ending::stop(Instant now) {
    stopping_ = true;
    drain(now);
    dispatcher_.end_intake();
}

Instant Ending::turn(Instant now) {
    if (config_.halt) halt_where_it_is_due(now);
    end_drain(now);
    const Instant hang_up_at = draining_ ? intake_.hang_up(now) : kNever;
    return std::min(drain_ends_at_, hang_up_at);
}

void Ending::end_drain(Instant now) {
    if (now < drain_ends_at_) return;
    drain_ends_at_ = kNever;
    dispatcher_.end_intake();
    if (config_.goes_on) {
        is_left_ = stopping_ = true;
        log::warn("drain_timeout tasks_left={}", dispatcher_.ledger().tasks_in_flight());
        return;
    }
    const double seconds = std::chrono::duration<double>(*config_.drain_timeout).count();
    cut_short_ = dispatcher_.cancel_all(now, fmt::format("the drain was over (--drain-timeout {}s)", seconds));
    if (cut_short_ > 0) log::warn("drain_timeout tasks_cancelled={}", cut_short_);
}

/// Once, and only where there is something that it spares.
void Ending::halt_where_it_is_due(Instant now) {
    const bool is_over =
        dispatcher_.intake_ended() && (!config_.halt->now || dispatcher_.ledger().tasks_in_flight() == 0);
    if (halted_ > 0 || is_over) return;
    const Books books = dispatcher_.ledger().books();
    if (!config_.halt->is_due(books)) return;
    halted_ = not_completed(books);
    // At once launch says it, where there is one, from the books
    if (!config_.halt->now || !daemon_.has_lifeline())
        log::warn("halting tasks_not_completed={} in_flight={} reason=\"--halt\"", halted_, books.tasks_in_flight);
    config_.halt->now ? stop(now) : drain(now);
}

void Ending::note_settled(Instant now) {
    if (!dispatcher_.intake_ended() || dispatcher_.ledger().tasks_in_flight() > 0) {
        settled_since_ = kNever;
    } else if (settled_since_ == kNever) {
        settled_since_ = now;
    }
}

void Ending::write(BooksPage& books) const {
    books[BooksPage::cut_short] = cut_short_;
    books[BooksPage::halted] = halted_;
    books[BooksPage::state] = dispatcher_.drained() ? BooksPage::drained
                              : stopping_           ? BooksPage::stopped
                                                    : BooksPage::running;
}

}  // namespace curfew

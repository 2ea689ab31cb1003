// How messages come in: from the source to the dispatcher while it wants them, and, once no more
// are taken, what is left there. One thread.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include "broker/books_page.h"
#include "broker/delay.h"
#include "broker/dispatcher.h"
#include "broker/sources/source.h"
#include "common/look/json_object.h"
#include "common/process/log.h"
#include "common/process/poller.h"

namespace curfew {

class Intake {
public:
    /// `max_message`: of the source, for what is said of a message that is longer. `delay`: between
    /// the starts of two tasks.
    Intake(Dispatcher& dispatcher, std::unique_ptr<Source> source, std::uint64_t max_message,
           Duration delay = Duration::zero());

    void wait_for(Poller& poller);
    /// Takes what is there and wanted; a bounded share of it. Also says what has settled.
    void take(Instant now);
    /// There may be more to take without a wait.
    [[nodiscard]] bool has_more() const { return !held_ && dispatcher_.wants_message() && source_->has_buffered(); }
    /// When the next message may be taken, if nothing but the delay is in its way.
    [[nodiscard]] Instant next_deadline() const {
        return held_ && !dispatcher_.intake_ended() ? delay_.next_at() : kNever;
    }

    /// A drain begins: no more is taken, but for what the producers of a source without an end have
    /// sent already, and could not give to anybody else.
    void close();
    /// In each turn from then on; when the next is wanted at the latest.
    Instant hang_up(Instant now);
    /// Everything has settled: in each turn from then on, until it says that the source has let go.
    bool finish(Instant now);
    [[nodiscard]] bool finished() const { return closed_; }
    /// For a person, after close(): what is left, and where to go on.
    void say_what_is_left() const;
    /// Messages that came, and will be accepted by nobody.
    [[nodiscard]] std::uint64_t dropped() const;
    /// The same, or a rest that was not read.
    [[nodiscard]] bool left_behind() const { return dropped() > 0 || (rest_ && rest_->left()); }

    void write(BooksPage& books) const;
    [[nodiscard]] JsonObject json(Instant now) const;
    [[nodiscard]] Rest position() const { return source_->position(); }
    /// None: its messages come from no address.
    [[nodiscard]] std::string endpoint() const { return source_->endpoint(); }

private:
    [[nodiscard]] std::size_t room() const;
    void refuse(Instant now, RefusedMessage message);
    [[nodiscard]] bool passes_over();
    void look_for_the_end();
    void say_who_does_not_write(Instant now);

    Dispatcher& dispatcher_;
    const std::unique_ptr<Source> source_;
    const std::uint64_t max_message_;
    Delay delay_;
    bool closes_ = false, closed_ = false;
    bool held_ = false;                  // the delay, as of the last take()
    bool waits_for_end_ = false;         // held, and the source may have come to its end
    std::optional<std::uint64_t> skip_;  // first messages, which have settled in an earlier life
    std::uint64_t refused_ = 0;          // messages, each with its outcome
    std::optional<Rest> rest_;           // once it is closed
    Instant hang_up_at_ = kNever;        // next
    Instant unwritten_since_ = kNever;   // what the source waits for, while messages are wanted
    bool said_unwritten_ = false;
    log::Growth refused_log_;
};

}  // namespace curfew

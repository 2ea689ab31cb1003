// One direction of the talk between broker and collector, made reliable: batches are numbered, kept until the other
// side has acknowledged them, sent again when that does not happen, and taken in order. A pair of streams (one each
// way) belongs to a pair of incarnations; when either process is new, both streams start afresh and a Sync says what is
// left of the old.
//
// Why not rely on ZeroMQ: a PUSH/PULL pair loses what was under way when a connection or a process dies, and across a
// reconnect it is not FIFO. Go-back-N suffices: nothing is lost in normal running. Pure, not thread safe. Memory: what
// is not acknowledged; the other side acknowledges every turn.
#pragma once

#include <cstdint>
#include <deque>
#include <string>

#include "common/mutant.h"
#include "common/vocabulary.h"

namespace curfew {

class StreamSender {
public:
    /// Number for the next batch.
    [[nodiscard]] std::uint64_t next_number() const { return last_ + 1; }

    /// Keeps a frame that carries next_number().
    void keep(Instant now, std::string frame);

    /// The other side has all up to `number`. Hearsay beyond what was sent is ignored.
    void acknowledge(Instant now, std::uint64_t number);

    /// Frames to send again: those whose acknowledgement is overdue, at most kResendAtOnce at a time, oldest first.
    template <typename Send>
    void resend_overdue(Instant now, Duration patience, Send&& send) {
        if (kept_.empty() || now - quiet_since_ < patience) return;
        quiet_since_ = now;
        std::size_t n = 0;
        for (const std::string& frame : kept_) {
            if (n++ == kResendAtOnce) break;
            ++resent_;
            send(frame);
        }
    }

    /// When resend_overdue() may have something to do.
    [[nodiscard]] Instant next_deadline(Duration patience) const {
        return kept_.empty() ? kNever : quiet_since_ + patience;
    }

    [[nodiscard]] std::size_t unacknowledged() const { return kept_.size(); }
    [[nodiscard]] std::uint64_t resent() const { return resent_; }
    void reset();

private:
    static constexpr std::size_t kResendAtOnce = 64;

    std::deque<std::string> kept_;  // numbers last_ - size + 1 to last_
    std::uint64_t last_ = 0;
    std::uint64_t resent_ = 0;
    Instant quiet_since_{};  // of the last progress: a keep into an empty stream, an acknowledgement, a resend
};

class StreamReceiver {
public:
    /// True if the batch is the next one: take its records. Otherwise it is a duplicate, or one before it is missing.
    [[nodiscard]] bool take(std::uint64_t number) {
        const bool next = mutated(Mutant::batch_out_of_order) ? number > received_ : number == received_ + 1;
        if (!next) return false;
        received_ = number;
        return true;
    }
    /// All up to here have been taken.
    [[nodiscard]] std::uint64_t received() const { return received_; }
    void reset() { received_ = 0; }

private:
    std::uint64_t received_ = 0;
};

}  // namespace curfew

// One direction of the talk between broker and collector, made reliable: batches are numbered, kept
// until the other side has acknowledged them, sent again when that does not happen, and taken in
// order. A pair of streams (one each way) belongs to a pair of incarnations; when either process is
// new, both streams start afresh and a Sync says what is left of the old.
//
// Why not rely on ZeroMQ: a PUSH/PULL pair loses what was under way when a connection or a process
// dies, and across a reconnect it is not FIFO. Go-back-N suffices: nothing is lost in normal
// running. After a loss the sender goes back to the oldest batch and sends a window at a time, as
// fast as acknowledgements come; new batches queue up behind it, so that it catches up however many
// there are. It does so on evidence: the other side was heard and has not taken it. To one that
// stands still, all it has not read is still under way, and a repetition would only lie behind it.
// So both sides say something at least twice a heartbeat (pings, and the acknowledgement of a
// ping). Pure, not thread safe. Pings say a digest of all batches so far: where it is another at
// the receiver, something else was taken in the place of a batch (a forgery, or a damaged frame
// that could be read), and the pair has to begin anew. Memory: what is not acknowledged; the other
// side acknowledges within a part of its heartbeat.
#pragma once

#include <cstdint>
#include <deque>
#include <string_view>
#include <utility>

#include "common/wire/frame.h"
#include "common/words/mutant.h"
#include "common/words/vocabulary.h"

namespace curfew {

/// Of a batch, behind those before it: FNV-1a (Fowler, Noll, Vo), over what both sides have of it,
/// its records.
[[nodiscard]] inline std::uint64_t digest_of(std::uint64_t before, std::string_view records) {
    constexpr std::uint64_t kPrime = 0x100000001b3;
    std::uint64_t digest = before;
    for (const char byte : records) digest = (digest ^ static_cast<unsigned char>(byte)) * kPrime;
    return digest * kPrime;
}
/// The batches behind a sync begin above this: so what is still under way of an earlier round,
/// batches and acknowledgements, means nothing to a later one.
[[nodiscard]] constexpr std::uint64_t stream_base(std::uint64_t round) {
    return (round & 0x3fffffff) << 32;
}
inline constexpr std::uint64_t kEmptyDigest = 0xcbf29ce484222325;

class StreamSender {
public:
    /// Number for the next batch.
    [[nodiscard]] std::uint64_t next_number() const { return last_ + 1; }
    [[nodiscard]] std::uint64_t digest() const { return digest_; }  ///< of all batches so far

    /// Takes a frame that carries next_number(): send_due() will put it on the road.
    void keep(Instant now, Frame frame);

    /// The other side was heard, and has all up to `number`. False: more than was sent; so it has
    /// taken what somebody else sent, unless the frame is of an older pair.
    [[nodiscard]] bool acknowledge(Instant now, std::uint64_t number);

    /// Sends what is new and, when nothing was acknowledged for `patience` although the other side
    /// was heard, what is kept once more, from the oldest on.
    template <typename Send>
    void send_due(Instant now, Duration patience, Send&& send) {
        if (now >= next_deadline(patience)) {
            progress(now);
            next_ = oldest();
            catching_up_ = true;
        }
        for (; next_ <= last_ && (!catching_up_ || next_ < oldest() + kWindow); ++next_) {
            if (next_ > furthest_)
                furthest_ = next_;
            else
                ++resent_;
            send(kept_[next_ - oldest()]);
        }
        if (next_ > last_) catching_up_ = false;
    }

    /// When send_due() may have to send something once more.
    [[nodiscard]] Instant next_deadline(Duration patience) const {
        return kept_.empty() || !heard_ ? kNever : quiet_since_ + patience;
    }

    /// False while new batches queue up behind those that are sent again.
    [[nodiscard]] bool all_sent() const { return next_ > last_; }
    [[nodiscard]] std::size_t unacknowledged() const { return kept_.size(); }
    [[nodiscard]] std::uint64_t resent() const { return resent_; }
    void reset(std::uint64_t base);

private:
    static constexpr std::uint64_t kWindow = 64;  // not acknowledged while it catches up

    [[nodiscard]] std::uint64_t oldest() const { return last_ - kept_.size() + 1; }
    void progress(Instant now) {
        quiet_since_ = now;
        heard_ = false;
    }

    std::deque<Frame> kept_;  // numbers oldest() to last_
    std::uint64_t last_ = 0;
    std::uint64_t next_ = 1;      // to be sent
    std::uint64_t furthest_ = 0;  // of those that were sent
    std::uint64_t resent_ = 0;
    std::uint64_t digest_ = kEmptyDigest;
    bool catching_up_ = false;
    // Of the last progress: a keep into an empty stream, an acknowledgement, a going back
    Instant quiet_since_{};
    bool heard_ = false;  // the other side, since then
};

class StreamReceiver {
public:
    /// True if the batch is the next one: read its records, and take() it when they were read to
    /// the end. Otherwise it is a duplicate, or one before it is missing.
    [[nodiscard]] bool expects(std::uint64_t number) const {
        return mutated(Mutant::batch_out_of_order) ? number > received_ : number == received_ + 1;
    }
    void take(std::uint64_t number, std::string_view records) {
        received_ = number;
        digest_ = digest_of(digest_, records);
    }
    /// The sender's ping says what it has sent. False: twice in a row it did not send what was
    /// taken here. (Once may be an old ping.) One that is ahead or behind says nothing: it may have
    /// been overtaken.
    [[nodiscard]] bool agrees(std::uint64_t number, std::uint64_t digest) {
        if (received_ != number) return true;
        strikes_ = digest_ != digest ? strikes_ + 1 : 0;
        return strikes_ < 2;
    }

    /// The batch that is expected cannot be read. Once may be noise: it is not acknowledged, so it
    /// comes again. True at the second time: it was sent so.
    [[nodiscard]] bool unreadable(std::uint64_t number) { return std::exchange(unreadable_, number) == number; }
    /// All up to here have been taken.
    [[nodiscard]] std::uint64_t received() const { return received_; }
    void reset(std::uint64_t base) {
        *this = {};
        received_ = base;
    }

private:
    std::uint64_t received_ = 0;
    std::uint64_t unreadable_ = 0;  // the last such batch
    std::uint64_t digest_ = kEmptyDigest;
    int strikes_ = 0;
};

}  // namespace curfew

// The batches that one side of a pair says: the one that is being made, and behind it the stream of
// those that are on their way. Each carries the acknowledgement of what has come from the other
// side, so a flush tells whether that has gone too. Pure.
//
//     batch --is_full, or the next flush--> closed, with a number --flush--> on its way
#pragma once

#include <cstdint>
#include <utility>

#include "common/wire/stream.h"
#include "common/wire/wire_writer.h"

namespace curfew {

class Batches {
public:
    /// `patience`: before a batch that is not acknowledged is sent again.
    explicit Batches(Duration patience) : patience_(patience) {}

    /// Where the next batch is made. While it is empty, so may be what goes beside the stream.
    [[nodiscard]] wire::Writer& batch() { return batch_; }
    [[nodiscard]] bool is_full() const { return batch_.size() >= wire::kFrameBytes; }
    /// Closes it where there is something in it; it goes with the next flush. The number in the
    /// envelope is filled in.
    void close(Instant now, wire::Envelope envelope) {
        if (batch_.empty()) return;
        envelope.number = sender_.next_number();
        sender_.keep(now, batch_.finish(envelope));
    }

    /// Closes the batch, and sends what is due. True if what is acknowledged in the envelope is
    /// said with that: batches were closed since the last flush, and none of them has to wait.
    template <typename Send>
    [[nodiscard]] bool flush(Instant now, const wire::Envelope& envelope, Send&& send) {
        close(now, envelope);
        const bool news = std::exchange(flushed_, sender_.next_number()) != sender_.next_number();
        sender_.send_due(now, patience_, [&](const Frame& frame) { send(frame.copy()); });
        return news && sender_.all_sent();
    }
    [[nodiscard]] Instant next_deadline() const { return sender_.next_deadline(patience_); }

    /// See StreamSender.
    [[nodiscard]] bool acknowledge(Instant now, std::uint64_t number) { return sender_.acknowledge(now, number); }
    [[nodiscard]] const StreamSender& stream() const { return sender_; }

    /// What was to be said is dropped: all is said behind the sync of this round. What was to be
    /// acknowledged is, too: the first flush counts as one that has said it.
    void reset(std::uint64_t round) {
        sender_.reset(stream_base(round));
        batch_.clear();
        flushed_ = 0;
    }

private:
    Duration patience_;
    StreamSender sender_;
    wire::Writer batch_;
    std::uint64_t flushed_ = 0;  // the next number after the last flush; 0: none since the reset
};

}  // namespace curfew

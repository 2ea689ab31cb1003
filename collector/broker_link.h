// The collector's end of the pair that it makes with the broker: which broker that is, the hello,
// the sync, and the two streams with their acknowledgements and pings (docs/protocol.md, "The
// stream between broker and collector"). What a sync says and what records mean is the judge's.
// Pure.
//
//     alone --hello, Sync--> synced --a newer broker's Sync--> synced
//       ^                      |
//       +-----want_sync--------+
//
// want_sync: a batch that cannot be read, streams that differ, a broker that has left us, a greater
// number of ours that the broker knows.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "collector/counts.h"
#include "collector/hello_pace.h"
#include "collector/own_number.h"
#include "common/wire/batches.h"
#include "common/wire/frame.h"
#include "common/wire/hearing.h"
#include "common/wire/stream.h"
#include "common/wire/wire_reader.h"
#include "common/wire/wire_writer.h"

namespace curfew {

class BrokerLink {
public:
    struct Config {
        Incarnation incarnation = 1;
        Duration hello_every{};
        /// Before a batch that is not acknowledged is sent again: a heartbeat. After kAloneAfter of
        /// them a broker that is silent may be followed by any other.
        Duration patience{};
    };

    BrokerLink(const Config& config, JudgeCounts& counts)
        : counts_(counts),
          number_(config.incarnation),
          hearing_(config.patience),
          hello_(config.hello_every),
          batches_(config.patience) {}

    // ---- in
    /// What a frame asks of the judge.
    enum class Asks : std::uint8_t {
        nothing,
        records,  ///< the next batch of the stream: read it, and say how that went with read()
        sync,     ///< take this sync over
    };
    /// A frame whose envelope was opened by `reader`; a sync is written to `sync`, whose views
    /// point into the frame.
    [[nodiscard]] Asks receive(Instant now, const wire::Envelope& envelope, wire::Reader& reader, wire::Sync& sync);
    /// The batch in hand has been read to its end, or not (then by the reader's bad place).
    void read(std::uint64_t number, std::string_view records, wire::Error error, const wire::Reader::BadPlace& bad);
    /// True once after our number has changed: what was settled under the old one does not count.
    [[nodiscard]] bool take_anew() { return number_.take_anew(); }

    // ---- out
    /// The hello, while there is no sync, and to a newer broker that has shown itself. `epoch`: of
    /// what is settled here.
    void say_hello(Instant now, Epoch epoch, std::vector<Frame>& frames);
    /// Where the next batch is made.
    [[nodiscard]] wire::Writer& batch() { return batches_.batch(); }
    /// Closes it where there is something in it; it goes with the next flush.
    void close_batch(Instant now) { batches_.close(now, envelope()); }
    void split(Instant now) {
        if (batches_.is_full()) close_batch(now);
    }
    void flush(Instant now, std::vector<Frame>& frames);
    [[nodiscard]] Instant next_deadline() const { return is_synced_ ? batches_.next_deadline() : hello_.due_at(); }

    // ---- looking
    [[nodiscard]] bool is_synced() const { return is_synced_; }
    /// It has said nothing for so long: it is gone, or stands still.
    [[nodiscard]] bool is_silent(Instant now) const { return hearing_.is_silent(now); }
    [[nodiscard]] Incarnation broker() const { return broker_; }
    /// By which we are known to the broker: the process's own, or a greater one.
    [[nodiscard]] Incarnation incarnation() const { return number_.get(); }
    [[nodiscard]] const StreamSender& stream() const { return batches_.stream(); }
    /// What it did wrong last, for the log. Empty: nothing since it was asked.
    [[nodiscard]] std::string take_complaint() { return std::exchange(complaint_, {}); }

private:
    [[nodiscard]] bool is_new(Instant now, const wire::Envelope& envelope) const;
    [[nodiscard]] Asks meet_broker(Instant now, const wire::Envelope& envelope, wire::Reader& reader, wire::Sync& sync);
    [[nodiscard]] Asks read_beside(Instant now, const wire::Envelope& envelope, wire::Reader& reader, wire::Sync& sync);
    [[nodiscard]] Asks take_sync(Instant now, const wire::Sync& sync);
    void refuse(Instant now, const wire::Envelope& envelope);
    void want_sync(const wire::Reader::BadPlace& why, std::string complaint);

    /// Of a frame beside the stream.
    [[nodiscard]] wire::Envelope envelope() const {
        return {wire::Kind::to_broker, broker_, incarnation(), 0, receiver_.received()};
    }

    JudgeCounts& counts_;

    // Who we and they are.
    OwnNumber number_;
    Incarnation broker_ = 0;
    Incarnation newcomer_ = 0;  // a newer broker that showed itself since the last hello
    Hearing hearing_;           // of the broker

    // The sync.
    bool is_synced_ = false;
    bool next_may_come_ = false;     // another sync, though nobody has asked for it
    std::uint64_t sync_round_ = 0;   // the broker's, of the last one
    wire::Reader::BadPlace unread_;  // what made a sync necessary: said in the hello
    HelloPace hello_;

    // The streams.
    Batches batches_;
    StreamReceiver receiver_;
    bool owes_ack_ = false;
    bool owes_ping_ = false;
    std::string complaint_;
};

}  // namespace curfew

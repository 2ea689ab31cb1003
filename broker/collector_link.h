// The broker's end of the pair that it makes with the collector: who that is, the sync, and the two
// streams with their acknowledgements and pings (docs/protocol.md, "The stream between broker and
// collector"). What a sync says and what records mean is the dispatcher's. Pure.
//
//     unknown --a hello--> syncing --Synced--> synced
//                             ^                  |
//                             +----begin_sync----+
//
// begin_sync: another collector, a batch that cannot be read, streams that differ. The sync is kept
// until Synced (broker/offered_sync.h), and goes again at each hello that comes before.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "broker/counts.h"
#include "broker/offered_sync.h"
#include "broker/out_frame.h"
#include "broker/owed_ack.h"
#include "common/wire/batches.h"
#include "common/wire/hearing.h"
#include "common/wire/stream.h"
#include "common/wire/wire_reader.h"

namespace curfew {

class CollectorLink {
public:
    CollectorLink(Incarnation broker, std::uint64_t first_sync, Duration heartbeat, BrokerCounts& counts)
        : broker_(broker), counts_(counts), hearing_(heartbeat), sync_(first_sync), batches_(heartbeat) {}

    // ---- in
    /// What a frame asks of the dispatcher.
    enum class Asks : std::uint8_t {
        nothing,
        records,      ///< the next batch of the stream: read it, and say how that went with read()
        sync,         ///< the pair is to begin anew
        exchange,     ///< the same, with a collector that this broker had not met
        another_say,  ///< the collector cannot read the record at bad_there(), for the second time
    };
    /// A frame whose envelope was opened by `reader`.
    [[nodiscard]] Asks receive(Instant now, const wire::Envelope& envelope, wire::Reader& reader);
    /// The batch in hand has been read to its end, or not (then by the reader's bad place). False:
    /// begin anew.
    [[nodiscard]] bool read(std::uint64_t number, std::string_view records, wire::Error error,
                            const wire::Reader::BadPlace& bad);
    /// The collector has taken the sync over. False: there was none.
    bool synced(Instant now);
    void backlog(std::uint64_t bytes) { backlog_ = bytes; }
    /// Nothing else can be said in place of what the collector cannot read.
    void give_up() { broken_ = counts_.complaint; }
    /// Of the batch in hand: the collector has judged what this session was never given.
    void suspect(Session session) { suspect_ = session; }
    [[nodiscard]] Session take_suspect() { return std::exchange(suspect_, 0); }

    // ---- out
    /// Begins the pair anew; what is under way between the two is void. Then offer() what the
    /// collector has to know.
    void begin_sync(Instant now);
    void offer(const wire::Sync& sync);
    [[nodiscard]] std::uint64_t sync_round() const { return sync_.round(); }

    /// A record of the stream. Nothing is said to a collector that is not known: a sync will say
    /// it.
    template <typename R>
    void say(Instant now, const R& record) {
        if (state_ == State::unknown) return;
        batches_.batch().add(record);
        if (batches_.is_full()) batches_.close(now, envelope());
    }
    void ping() { ping_due_ = true; }
    /// `drained`: nothing may come to carry an acknowledgement.
    void flush(Instant now, bool drained, std::vector<OutFrame>& frames);
    [[nodiscard]] Instant next_deadline() const { return std::min(ack_.due_at(), batches_.next_deadline()); }

    // ---- looking
    [[nodiscard]] bool is_known() const { return state_ != State::unknown; }
    [[nodiscard]] bool is_synced() const { return state_ == State::synced; }
    /// Synced, and it has answered no ping for so long: it stands still.
    [[nodiscard]] bool is_silent(Instant now) const { return is_synced() && hearing_.is_silent(now); }
    [[nodiscard]] Instant heard_at() const { return hearing_.at(); }
    /// Without a gap, and synced.
    [[nodiscard]] Instant heard_since() const { return hearing_.since(); }
    [[nodiscard]] Incarnation collector() const { return collector_; }
    [[nodiscard]] const StreamSender& stream() const { return batches_.stream(); }
    /// Bytes that wait for the sink, kUnknown until it has said.
    static constexpr std::uint64_t kUnknown = UINT64_MAX;
    [[nodiscard]] std::uint64_t backlog() const { return backlog_; }
    [[nodiscard]] const wire::Reader::BadPlace& bad_there() const { return bad_there_; }
    /// The two do not understand each other. Empty: they do; else the process is to end, and this
    /// says why.
    [[nodiscard]] const std::string& broken() const { return broken_; }

private:
    enum class State : std::uint8_t { unknown, syncing, synced };

    /// Whether it comes from the collector there is, to this broker.
    [[nodiscard]] bool is_from_it(const wire::Envelope& envelope) const {
        return envelope.peer == collector_ && envelope.broker == broker_;
    }
    [[nodiscard]] std::optional<Asks> receive_beside(Instant now, const wire::Envelope& envelope, wire::Reader& reader);
    [[nodiscard]] Asks on_hello(Instant now, const wire::Envelope& envelope, const wire::CollectorHello& hello);
    [[nodiscard]] Asks on_unreadable_there(const wire::CollectorHello& hello);
    /// Of a frame beside the stream.
    [[nodiscard]] wire::Envelope envelope() const {
        return {wire::Kind::to_collector, broker_, collector_, 0, receiver_.received()};
    }

    const Incarnation broker_;
    BrokerCounts& counts_;

    // Who it is.
    State state_ = State::unknown;
    Incarnation collector_ = 0;
    Incarnation newcomer_ = 0;  // another one that has said hello once
    Hearing hearing_;

    // What is said.
    OfferedSync sync_;
    wire::Reader::BadPlace bad_there_;  // what the collector could not read before this sync
    std::string broken_;
    Batches batches_;
    bool ping_due_ = false;

    // What comes.
    StreamReceiver receiver_;
    OwedAck ack_;
    std::uint64_t backlog_ = kUnknown;
    Session suspect_ = 0;  // of the batch in hand; 0: none
};

}  // namespace curfew

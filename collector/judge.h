// The judge: the one place where tasks are decided. The first acceptable report or the first verdict decides;
// everything that comes after is late. Pure: frames and `now` in, outcomes for the sink and frames for the broker out.
//
// Life of a task here:
//
//     (nothing) --ok report, rejected report, verdict--> decided --the sink has it--> settled (an interval set)
//         |                                                ^  |
//         +--Sync names its winner--> awaited --its report-+  |
//                 ^          \--winner's session gone, its report has no result any more--> (nothing)
//
// Nothing is kept of an undecided task. Memory: one entry for each decided task (the broker's window bounds them), a
// hole in an interval set for each attempt or task in flight, and what the broker has not acknowledged.
//
// Frames of a session that was not admitted, of an older broker, or to another collector are refused and counted.
#pragma once

#include <array>
#include <boost/container/deque.hpp>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/tables/bad_records.h"
#include "common/tables/byte_store.h"
#include "common/tables/dense_table.h"
#include "common/tables/interval_set.h"
#include "common/wire/stream.h"
#include "common/wire/wire_reader.h"
#include "common/wire/wire_writer.h"
#include "common/words/vocabulary.h"

namespace curfew {

/// One line of a dead letter's history.
struct PastAttemptText {
    std::uint32_t ordinal = 0;
    std::string worker;
    End end = End::failed;
    std::string error;
};

/// What the sink is given: how one task finished.
struct OutcomeRecord {
    Epoch epoch = 0;
    std::uint64_t sync = 0;  ///< the judge's, for written()
    Seq seq = 0;
    Outcome outcome = Outcome::completed;
    std::optional<std::string> id;
    Bytes result;        ///< completed only
    std::string error;   ///< the others: why
    std::string worker;  ///< of the attempt that decided; empty for a verdict
    std::string pool;
    std::uint32_t attempt = 0;   ///< ordinal of that attempt; 0 for a verdict
    std::uint32_t attempts = 0;  ///< attempts that had been started when the decision was on its way
    std::uint64_t latency_us = 0;
    std::vector<PastAttemptText> history;
    std::string message;               ///< the others: what was asked
    std::uint64_t refused_number = 0;  ///< not 0: a message that was refused. This and the next two as in wire::Verdict
    std::uint64_t refused_byte = 0;
    std::uint64_t refused_size = 0;
};

class Judge {
public:
    struct Config {
        Incarnation incarnation = 1;
        bool keep_order = false;
        Duration hello_every = std::chrono::milliseconds(250);
        Duration patience =
            std::chrono::seconds(1);  ///< before a batch that is not acknowledged is sent again; a broker
                                      ///< that is silent for twice as long may be followed by any other
    };
    struct Counts {
        std::array<std::uint64_t, kEnds + 1> ends{};          ///< by End
        std::array<std::uint64_t, kOutcomes + 1> outcomes{};  ///< settled, by Outcome
        std::uint64_t reports = 0;
        std::uint64_t duplicates = 0;  ///< reports that had been judged
        std::uint64_t refused = 0;     ///< frames of unknown sessions, old brokers, or before the Sync
        std::uint64_t malformed = 0;
        std::uint64_t complaints = 0;  ///< about workers whose records cannot be read
    };

    explicit Judge(const Config& config) : config_(config), incarnation_(config.incarnation) {}

    /// A frame from the results socket.
    void receive(Instant now, std::string_view frame);

    /// The next outcome for the sink, null if there is none now; each is handed out once, and is there until the next
    /// call of anything. Its task settles when written() is called.
    [[nodiscard]] OutcomeRecord* next_outcome();

    /// The sink has the outcome of this task. `sync` is the outcome's: what was handed out before the last one no
    /// longer counts.
    void written(std::uint64_t sync, Seq seq);

    /// Appends the frames for the broker. Call it once a turn, after everything was read.
    void flush(Instant now, std::vector<Frame>& frames);

    /// So many bytes of outcomes are with the sinks, and not yet written. To be said before flush().
    void set_sink_bytes(std::uint64_t bytes) { sink_bytes_ = bytes; }
    /// Bytes of outcomes that wait: for the sinks, or for those before them.
    [[nodiscard]] std::uint64_t waiting_bytes() const { return sink_bytes_ + held_bytes_; }

    /// What of a record could not be read last, and whose it was; for the log. Empty: nothing since it was asked.
    [[nodiscard]] std::string take_complaint() { return std::exchange(complaint_, {}); }

    [[nodiscard]] Instant next_deadline() const;

    [[nodiscard]] std::uint64_t syncs() const { return syncs_; }
    [[nodiscard]] bool synced() const { return synced_; }
    [[nodiscard]] const Counts& counts() const { return counts_; }
    [[nodiscard]] std::size_t decided() const { return decided_.size(); }  ///< and not yet settled
    [[nodiscard]] std::size_t sessions() const { return sessions_.size(); }
    [[nodiscard]] std::size_t unacknowledged() const { return sender_.unacknowledged(); }
    [[nodiscard]] std::uint64_t resent() const { return sender_.resent(); }
    [[nodiscard]] Incarnation broker() const { return broker_; }
    /// By which it is known to the broker: the process's own, or a greater one.
    [[nodiscard]] Incarnation incarnation() const { return incarnation_; }
    [[nodiscard]] Epoch epoch() const { return epoch_; }
    [[nodiscard]] const IntervalSet& settled() const { return settled_; }
    /// Ends of a session by kind, as far as this life of the collector judged them; null for a session that is not
    /// admitted.
    [[nodiscard]] const std::array<std::uint64_t, kEnds + 1>* ends_of(Session session) const;

private:
    struct SessionBook {
        std::string name;
        std::string pool;
        IntervalSet judged;
        std::array<std::uint64_t, kEnds + 1> ends{};
        std::array<Intervals, kEnds + 1> news;  // ends of this turn, by End
        Intervals returned;                     // of this turn: they had not begun, and end `cancelled`
        bool has_news = false;                  // then it is in news_sessions_
        BadRecords bad;
    };
    struct DecidedTask {
        AttemptId winner;  // session 0: a verdict
        Outcome outcome = Outcome::completed;
        bool awaited = false;  // a Sync said who won; the result is still to come
    };

    /// A std::deque would take memory for each record anew.
    using InBlocks = boost::container::deque_options_t<boost::container::block_size<64>>;

    void receive_from_worker(Instant now, const wire::Envelope& envelope, wire::Reader& reader);
    void complain(Instant now, Session id, SessionBook& session, const std::string& what);
    void on_unreadable(std::uint64_t number, const wire::Reader::BadPlace& bad);
    void want_sync(const wire::Reader::BadPlace& why, std::string complaint);
    void write_backlog();
    template <typename R>
    void say(const R& record);
    void close_batch(Instant now, wire::Envelope& envelope);
    void receive_from_broker(Instant now, const wire::Envelope& envelope, wire::Reader& reader);
    void meet_broker(Instant now, const wire::Envelope& envelope, wire::Reader& reader);
    void meet_rival(Incarnation rival);
    [[nodiscard]] bool is_new(Instant now, const wire::Envelope& envelope) const;
    void take_sync(Instant now, const wire::Sync& sync);
    void on_record(const wire::Admit& admit);
    void on_record(const wire::SessionGone& gone);
    void on_record(const wire::Lose& lose);
    void on_record(const wire::Verdict& verdict);
    void on_report(Session id, SessionBook& session, const wire::Report& report);
    void on_ok(Session id, SessionBook& session, const wire::Report& report);
    [[nodiscard]] OutcomeRecord& new_outcome(Seq seq, Outcome kind);
    [[nodiscard]] OutcomeRecord& new_outcome(const wire::Report& report, Outcome kind, const SessionBook& session);
    void decide(Seq seq, Outcome outcome, AttemptId winner);
    void say_decided(Seq seq, AttemptId winner);
    [[nodiscard]] SessionBook& open_session(Session id, std::string_view name, std::string_view pool);
    void release_in_order();
    void end(Session id, SessionBook& session, AttemptNumber number, End end, bool returned = false);
    void write_ends(Session id, SessionBook& session, wire::Writer& writer);
    void write_news(Instant now, wire::Envelope& envelope);

    Config config_;
    Counts counts_;
    wire::Reader reader_;
    wire::Writer writer_;

    Incarnation incarnation_;  // the process's, until a rival is met
    Incarnation broker_ = 0;
    Incarnation newcomer_ = 0;  // a newer broker that showed itself since the last hello
    Incarnation rival_ = 0;     // a greater incarnation of the collector that the broker spoke to
    std::uint64_t syncs_ = 0;
    std::uint64_t sync_round_ = 0;   // the broker's, of the last one
    wire::Reader::BadPlace unread_;  // what made a sync necessary: said in the hello
    std::string complaint_;
    bool synced_ = false;
    bool owes_ack_ = false;
    bool owes_ping_ = false;
    Instant synced_at_{};
    Instant hello_at_{};
    Duration hello_pause_{};  // before the next: short at first, since the first may be lost
    Instant heard_at_{};      // the broker, last
    StreamSender sender_;
    StreamReceiver receiver_;

    Epoch epoch_ = 0;
    IntervalSet settled_;
    DenseTable<DecidedTask> decided_;
    std::size_t awaited_ = 0;
    DenseTable<SessionBook> sessions_;

    ByteStore results_;
    boost::container::deque<OutcomeRecord, void, InBlocks> for_sink_;
    bool first_is_handed_out_ = false;  // of for_sink_: it goes when the next is asked for
    std::map<Seq, OutcomeRecord> held_for_order_;
    std::uint64_t held_bytes_ = 0;  // of those
    std::uint64_t sink_bytes_ = 0;
    std::uint64_t told_backlog_ = 0;
    bool backlog_due_ = false;  // nothing of it was said since the sync
    Seq next_in_order_ = 1;

    // News of this turn, in the order in which they are written: see write_news().
    bool news_synced_ = false;
    std::vector<wire::Decided> news_decided_;
    std::array<IntervalSet, kOutcomes + 1> news_settled_;
    std::vector<Session> news_sessions_;   // those with something in SessionBook::news
    std::vector<wire::Writer> full_news_;  // parts of the rest, as large as a frame
    wire::Writer news_;                    // the rest, as it came: failures, admissions, echoes, tokens
};

}  // namespace curfew

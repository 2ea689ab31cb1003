// The judge: the one place where tasks are decided. The first acceptable report or the first
// verdict decides; everything that comes after is late. Pure: frames and `now` in, outcomes for the
// sink and frames for the broker out.
//
// Life of a task here:
//
//     (nothing) --ok report, rejected report, verdict--> decided --the sink has it--> settled (an interval set)
//         |                                                ^  |
//         +--Sync names its winner--> awaited --its report-+  |
//                 ^          \--winner's session gone, its report has no result any more--> (nothing)
//
// Nothing is kept of an undecided task, except what workers that are asked for it have told of its
// last attempt (LastWork). Memory: one entry for each decided task (the broker's
// window bounds them), a hole in an interval set for each attempt or task in flight, and what the
// broker has not acknowledged.
//
// Frames of a session that was not admitted, of an older broker, or to another collector are
// refused and counted.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "collector/broker_link.h"
#include "collector/counts.h"
#include "collector/last_work.h"
#include "collector/news.h"
#include "collector/outcome_record.h"
#include "collector/settled.h"
#include "collector/sink_queue.h"
#include "common/tables/bad_records.h"
#include "common/tables/dense_table.h"
#include "common/tables/interval_set.h"
#include "common/wire/wire_reader.h"
#include "common/words/vocabulary.h"

namespace curfew {

class Judge {
public:
    struct Config {
        Incarnation incarnation = 1;
        bool keep_order = false;
        Duration hello_every = std::chrono::milliseconds(250);
        Duration patience = std::chrono::seconds(1);  ///< see BrokerLink::Config
    };
    using Counts = JudgeCounts;

    explicit Judge(const Config& config)
        : link_({config.incarnation, config.hello_every, config.patience}, counts_), queue_(config.keep_order) {}
    Judge(const Judge&) = delete;
    Judge& operator=(const Judge&) = delete;

    /// The sinks have these, of an earlier life. Before anything else.
    void remember(std::vector<Settled::Memory> memories);

    /// A frame from the results socket.
    void receive(Instant now, std::string_view frame);

    /// The next outcome for the sink, null if there is none now; each is handed out once, and is
    /// there until the next call of anything. Its task settles when written() is called.
    [[nodiscard]] OutcomeRecord* next_outcome() { return queue_.next(); }

    /// The sink has the outcome of this task. `sync` is the outcome's: what was handed out before
    /// the last one no longer counts.
    void written(std::uint64_t sync, Seq seq);

    /// Appends the frames for the broker. Call it once a turn, after everything was read.
    void flush(Instant now, std::vector<Frame>& frames);

    /// So many bytes of outcomes are with the sinks, and not yet written. To be said before
    /// flush().
    void set_sink_bytes(std::uint64_t bytes) { queue_.set_sink_bytes(bytes); }
    /// Bytes of outcomes that wait: for the sinks, or for those before them.
    [[nodiscard]] std::uint64_t waiting_bytes() const { return queue_.waiting_bytes(); }

    /// What of a record could not be read last, and whose it was; for the log. Empty: nothing since
    /// it was asked.
    [[nodiscard]] std::string take_complaint() { return std::exchange(complaint_, {}); }

    [[nodiscard]] Instant next_deadline() const { return link_.next_deadline(); }

    /// How often all began anew: outcomes that were handed out before do not count any more.
    [[nodiscard]] std::uint64_t syncs() const { return syncs_; }
    [[nodiscard]] bool synced() const { return link_.is_synced(); }
    [[nodiscard]] const Counts& counts() const { return counts_; }
    [[nodiscard]] std::size_t decided() const { return decided_.size(); }  ///< and not yet settled
    [[nodiscard]] std::size_t sessions() const { return sessions_.size(); }
    /// There is somebody who may still acknowledge what he was told.
    [[nodiscard]] bool waits_for_broker(Instant now) const { return unacknowledged() > 0 && !link_.is_silent(now); }
    [[nodiscard]] std::size_t unacknowledged() const { return link_.stream().unacknowledged(); }
    [[nodiscard]] std::uint64_t resent() const { return link_.stream().resent(); }
    [[nodiscard]] Incarnation broker() const { return link_.broker(); }
    /// By which it is known to the broker: the process's own, or a greater one.
    [[nodiscard]] Incarnation incarnation() const { return link_.incarnation(); }
    [[nodiscard]] Epoch epoch() const { return epoch_; }
    [[nodiscard]] const IntervalSet& settled() const { return settled_.all(); }
    /// Ends of a session by kind, as far as this life of the collector judged them; null for a
    /// session that is not admitted.
    [[nodiscard]] const std::array<std::uint64_t, kEnds + 1>* ends_of(Session session) const;

private:
    struct SessionBook {
        std::string name;
        std::string pool;
        IntervalSet judged;
        std::array<std::uint64_t, kEnds + 1> ends{};
        SessionNews news;
        BadRecords bad;
    };
    struct DecidedTask {
        AttemptId winner;  // session 0: a verdict
        Outcome outcome = Outcome::completed;
        bool awaited = false;  // a Sync said who won; the result is still to come
    };

    // From workers.
    struct Batch;
    void receive_from_worker(Instant now, const wire::Envelope& envelope);
    void on_work(Batch& batch, const wire::Report& report);
    void on_work(Batch& batch, wire::TokenReport& token);
    void on_work(Batch& batch, wire::Answered& answered) { pass_on(batch, answered); }
    void on_work(Batch& batch, wire::Bye& bye) { pass_on(batch, bye); }
    template <typename R>
    void pass_on(const Batch& batch, R& record);
    void on_report(Session id, SessionBook& session, const wire::Report& report);
    void on_ok(Session id, SessionBook& session, const wire::Report& report);
    void on_end(Session id, SessionBook& session, const wire::Report& report);
    void complain(Instant now, Session id, SessionBook& session, const std::string& what);

    // From the broker.
    void receive_from_broker(Instant now, const wire::Envelope& envelope);
    void take_over(const wire::Sync& sync);
    void begin_anew(bool same_epoch);
    void keep_what_is_decided(bool another_broker);
    [[nodiscard]] wire::Synced what_we_have(const wire::Sync& sync);
    void on_record(const wire::Admit& admit);
    void on_record(const wire::SessionGone& gone);
    void on_record(const wire::Lose& lose);
    void on_record(const wire::Verdict& verdict);

    [[nodiscard]] OutcomeRecord& new_outcome(Seq seq, Outcome kind);
    [[nodiscard]] OutcomeRecord& new_outcome(const wire::Report& report, Outcome kind, const SessionBook& session);
    void decide(Seq seq, Outcome outcome, AttemptId winner);
    [[nodiscard]] SessionBook& open_session(Session id, std::string_view name, std::string_view pool);
    void end(Session id, SessionBook& session, AttemptNumber number, End end, bool returned = false);

    Counts counts_;
    BrokerLink link_;
    SinkQueue queue_;
    News news_;
    LastWork last_work_;
    wire::Reader reader_;
    std::string complaint_;
    std::uint64_t syncs_ = 0;

    Epoch epoch_ = 0;
    Settled settled_;
    DenseTable<DecidedTask> decided_;
    std::size_t awaited_ = 0;
    DenseTable<SessionBook> sessions_;
    Incarnation synced_with_ = 0;  // the broker of the last sync
};

}  // namespace curfew

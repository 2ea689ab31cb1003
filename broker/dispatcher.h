// The dispatcher: the broker's core. Frames, messages and `now` in; frames, and which sockets to
// open and close, out. Pure: no sockets, no clock, no threads.
//
// It joins objects that own their state, each of which says in its header what rule it keeps:
//
//     Ledger         tasks and attempts, all their moves, the books     broker/ledger.h
//     Roster         sessions of workers, all their moves, the choice   broker/roster.h
//     Mail           what is to be said to workers                      broker/mail.h
//     CollectorLink  the pair with the collector, its streams           broker/collector_link.h
//     Hedges         when another attempt may start                     broker/hedges.h
//     Expiry         deadlines, and when they are forced                broker/expiry.h
//     Waiting        tasks for which there is no worker yet             broker/waiting.h
//     Recalls        what stands behind busy slots                      broker/recalls.h
//     Losers         whom another has beaten, before they are told      broker/losers.h
//     Admissions     which workers are let in                           broker/admissions.h
//     Stories        what became of the last tasks                      broker/stories.h
//     Beats          when pings, the token and looks are due            broker/beats.h
//
// The shell calls it once a turn: receive() for every frame that came, flush_cancels(), turn()
// (timers, and what is tried again, before new intake), accept() while wants_message(), flush().
// docs/protocol.md says who says what when; docs/decisions.md which race each rule answers. Its
// parts by file: dispatcher.cpp (the doors and the turn), dispatcher_tasks.cpp (how tasks begin and
// end), dispatcher_workers.cpp, dispatcher_collector.cpp, dispatcher_token.cpp.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "broker/admissions.h"
#include "broker/beats.h"
#include "broker/collector_link.h"
#include "broker/counts.h"
#include "broker/expiry.h"
#include "broker/hedges.h"
#include "broker/ledger.h"
#include "broker/losers.h"
#include "broker/mail.h"
#include "broker/out_frame.h"
#include "broker/recalls.h"
#include "broker/roster.h"
#include "broker/stories.h"
#include "broker/tallies.h"
#include "broker/waiting.h"
#include "common/wire/wire_reader.h"

namespace curfew {

class Dispatcher {
public:
    struct Config {
        Incarnation incarnation = 1;
        Epoch epoch = 1;
        /// What earlier lives of the broker knew of this epoch: all up to `last` has settled, and
        /// of the later ones these.
        struct Earlier {
            Seq last = 0;
            Intervals settled;
            std::uint64_t failures = 0;  ///< of all of them: what did not complete
            /// of those: not of this epoch, an earlier one has settled them
            Intervals passed = {};
            /// What did not complete is tried again, in this epoch; where the sink knows what did.
            std::optional<Epoch> again_in = std::nullopt;
        };
        Earlier earlier;
        std::uint64_t first_sync = 1;  ///< syncs are counted from here: where nobody guesses it
        std::uint32_t fanout = 2;
        std::uint32_t attempts = 2;  ///< failures after which a task is given up
        /// Deaths of workers after which a task is given up; 0: never.
        std::uint32_t poison = 3;
        std::size_t window = 4096;                  ///< most tasks in flight
        std::uint64_t window_bytes = 256ULL << 20;  ///< most payload bytes in flight
        std::optional<Duration> deadline = std::chrono::seconds(30);
        /// How it is called in the outcome of a task that is past it.
        std::string past_deadline = "deadline exceeded";
        Hedging::Config hedging;
        /// Most bytes that wait for the sink before no message is taken.
        std::uint64_t backlog_bytes = 64ULL << 20;
        /// Workers that are expected at the start: messages are taken when so many are ready, or
        /// kGathering after the first of them.
        std::uint32_t await_workers = 0;
        Duration heartbeat =
            /// The workers'; pings go twice as often, silence is three times that.
            std::chrono::seconds(1);
        /// What a worker that died had in its slots, none if nobody knows. Asked once for each
        /// death.
        std::function<std::optional<std::vector<AttemptId>>(const std::string& name, Incarnation)> what_ran;
    };
    using Road = curfew::Road;
    using OutFrame = curfew::OutFrame;
    using LinkChange = curfew::LinkChange;
    using Counts = BrokerCounts;
    static constexpr std::size_t kMostNewcomers = Admissions::kMostNewcomers;

    explicit Dispatcher(const Config& config);
    Dispatcher(const Dispatcher&) = delete;
    Dispatcher& operator=(const Dispatcher&) = delete;

    // ---- in
    /// A frame from the events socket: from a worker or from the collector.
    void receive(Instant now, std::string_view frame);
    /// True while another message may be taken from the source: a task never waits in here for a
    /// worker's credit.
    [[nodiscard]] bool wants_message() const;
    /// How long the first messages wait for more workers than the first (Config::await_workers).
    static constexpr Duration kGathering = std::chrono::milliseconds(500);
    static constexpr Duration kStands = Recalls::kStands;
    Seq accept(Instant now, const Incoming& message);
    /// How many messages the workers could have in hand at a time; 0: none is wanted for now.
    [[nodiscard]] std::size_t room() const;
    /// take_first(): after so many messages the first is to be taken: they have settled in an
    /// earlier life of the broker. pass_over(): the next message has settled in an earlier life of
    /// the broker: it takes its number, and is not to be accepted. Only while a message is wanted.
    [[nodiscard]] Seq take_first() { return ledger_.take_first(); }
    [[nodiscard]] bool pass_over() { return ledger_.pass_over(); }
    /// A message that is not taken: it has its number and its place in the books, and fails at
    /// once.
    Seq refuse_message(Instant now, RefusedMessage message, std::string_view why);
    /// No more messages will come: at the end of the source, or in a drain.
    void end_intake() { intake_.ended = true; }
    [[nodiscard]] bool intake_ended() const { return intake_.ended; }
    void pause(bool paused) { intake_.paused = paused; }
    [[nodiscard]] bool paused() const { return intake_.paused; }
    /// A person gives up a task. False if it is not in flight or already decided.
    bool cancel_task(Instant now, Seq seq);
    /// Gives up all that is in flight and not decided, for the same end. Returns how many tasks
    /// that is.
    std::size_t cancel_all(Instant now, std::string_view why);
    /// The source is gone, and gives what came from it to others: all of it that is not decided
    /// ends, and no sink hears of it. Returns their tags.
    std::vector<std::uint64_t> abandon_all(Instant now);
    /// Launch saw this worker die. It is known by its lifeline, or, where either side knows none,
    /// by name and pid.
    void worker_died(Instant now, std::string_view name, std::uint32_t pid, std::uint64_t lifeline = 0);
    /// Launch saw it end with code 0. Its bye may still be on the way, or may have been lost.
    void worker_left(Instant now, std::string_view name, std::uint32_t pid, std::uint64_t lifeline = 0);
    /// Fires timers, judges silence, starts what waits. Call it when everything has been read,
    /// before accept().
    void turn(Instant now);
    /// With `--hedge idle`: what is still free gets hedges. Call it after the turn's accept(),
    /// where no more messages are at hand.
    void hedge_idle(Instant now);
    /// The session's sockets could not be opened: it ends, and a later hello of its worker is a new
    /// try.
    void unreachable(Instant now, Session session);
    /// The session's socket takes no more (or again).
    void set_blocked(Session session, Road road, bool blocked);

    // ---- out
    /// Calls home who has lost by what was received, and only that: losers work meanwhile. flush()
    /// begins with it too.
    void flush_cancels(Instant now, std::vector<OutFrame>& frames);
    void flush(Instant now, std::vector<OutFrame>& frames);
    [[nodiscard]] std::vector<LinkChange> take_link_changes() { return roster_.take_link_changes(); }
    /// Tags of messages whose outcomes have settled since it was asked last, for their source.
    [[nodiscard]] std::vector<SettledTag> take_settled_tags() { return ledger_.take_settled_tags(); }
    [[nodiscard]] Instant next_deadline() const;
    /// The intake has ended and everything is in the books.
    [[nodiscard]] bool drained() const {
        return intake_.ended && ledger_.tasks_in_flight() == 0 && ledger_.attempts_in_flight() == 0;
    }

    /// All outcomes are there and no message will come: only work that was called home is left.
    [[nodiscard]] bool ending() const {
        return intake_.ended && ledger_.tasks_in_flight() == 0 && ledger_.attempts_in_flight() > 0;
    }

    // ---- looking
    [[nodiscard]] EndLog& end_log() { return ledger_.end_log(); }
    [[nodiscard]] const Ledger& ledger() const { return ledger_; }
    [[nodiscard]] const Roster& roster() const { return roster_; }
    [[nodiscard]] const Hedging& hedging() const { return hedges_.policy(); }
    [[nodiscard]] const Counts& counts() const { return counts_; }
    [[nodiscard]] const Tallies& tallies() const { return tallies_; }
    [[nodiscard]] const Stories& stories() const { return stories_; }
    [[nodiscard]] const Admissions::WrongHello& wrong_hello() const { return admissions_.wrong_hello(); }
    [[nodiscard]] const Histogram& cancel_time() const { return losers_.time(); }
    /// Bytes that wait for the sink, as far as the collector has said. It says so first when it has
    /// all results that a sync has told it to await; until then no message is taken.
    [[nodiscard]] std::uint64_t backlog() const {
        return link_.backlog() == CollectorLink::kUnknown ? 0 : link_.backlog();
    }
    /// What a peer did wrong last, and which; for the log. Empty: nothing since it was asked.
    [[nodiscard]] std::string take_complaint() { return std::exchange(counts_.complaint, {}); }
    /// Broker and collector do not understand each other. Empty: they do; else the process is to
    /// end, and this says why.
    [[nodiscard]] const std::string& broken() const { return link_.broken(); }
    [[nodiscard]] bool collector_synced() const { return link_.is_synced(); }
    /// Synced, and it has answered no ping for three heartbeats: it stands still.
    [[nodiscard]] bool collector_silent(Instant now) const { return link_.is_silent(now); }
    /// None: there is no collector.
    [[nodiscard]] std::optional<Instant> collector_heard_at() const {
        return link_.is_synced() ? std::optional(link_.heard_at()) : std::nullopt;
    }
    [[nodiscard]] Incarnation collector() const { return link_.collector(); }
    [[nodiscard]] const StreamSender& to_collector() const { return link_.stream(); }
    [[nodiscard]] const Config& config() const { return config_; }

private:
    // Tasks (dispatcher.cpp, dispatcher_tasks.cpp).
    [[nodiscard]] std::uint32_t due(const Task& task) const;
    bool start_due(Instant now, Seq seq, Task& task);
    void start(Instant now, Seq seq, Task& task, WorkerSession& worker);
    void hand_over(Instant now, Seq seq, const Task& task);
    void start_or_wait(Instant now, Seq seq, Task& task);
    void gather(Instant now);
    bool decide(Instant now, Seq seq, AttemptId winner);
    bool settle(Instant now, Seq seq, Outcome outcome);
    bool end_attempt(Instant now, WorkerSession& worker, AttemptNumber number, End end, std::string_view error);
    bool end_returned(Instant now, WorkerSession& worker, AttemptNumber number);
    void tell(Instant now, const WorkerSession& worker, AttemptId id, const Attempt& was, End end,
              std::string_view error, bool moved = false);
    void task_lost_attempt(Instant now, Seq seq, Task& task, End end, std::string_view error);
    void go_on(Seq seq, Task& task, End end);
    void cancel(Instant now, Seq seq, Task& task, std::string_view why);
    void give_up(Instant now, Seq seq, Task& task, Outcome outcome, std::string_view error);
    void send_verdict(Instant now, Seq seq, const Task& task);
    void call_home(Instant now, AttemptId id, CancelReason reason);
    void call_all_home(Instant now, Task& task, CancelReason reason);
    void call_losers_home(Instant now);
    void learn(WorkerSession* worker, Duration took, bool won);
    [[nodiscard]] std::string past_deadline(const Task& task) const;
    void on_deadline(Instant now, Seq seq);
    void expire(Instant now, Seq seq, Task& task);
    void force_expiry(Instant now, Seq seq);
    [[nodiscard]] bool ask_for_reports(const Task& task);

    // Workers (dispatcher_workers.cpp).
    void receive_from_worker(Instant now, const wire::Envelope& envelope);
    void on_life(Instant now, const wire::Envelope& envelope, const wire::Hello& hello);
    void on_life(Instant now, const wire::Envelope& envelope, const wire::Heartbeat& heartbeat);
    void on_bad_record(Instant now, Session session, const std::string& what);
    [[nodiscard]] bool ends_known_session(Instant now, const wire::Hello& hello);
    void refuse(Instant now, WorkerSession& worker);
    void leave(Instant now, WorkerSession& worker, Departure how, bool blames = false);
    void ask_what_ran(WorkerSession& worker);
    void lose_all(Instant now, WorkerSession& worker);
    void close_if_empty(WorkerSession& worker);
    void judge_silence(Instant now);
    void beat(Instant now);

    // The collector (dispatcher_collector.cpp). on_record(): what comes in its stream.
    void receive_from_collector(Instant now, const wire::Envelope& envelope);
    void read_batch(Instant now, const wire::Envelope& envelope);
    void say_otherwise(Instant now);
    void disown(Instant now, Session session);
    /// `exchange`: what this collector has of the epoch counts.
    void begin_sync(Instant now, bool exchange);
    void forget_old_collector(Instant now);
    [[nodiscard]] wire::Sync make_sync();
    [[nodiscard]] bool begins_again(const wire::Synced& synced);
    void learn_what_it_has(Instant now, const wire::Synced& synced);
    void adopt(Instant now, const wire::KnownEnd& known);
    void go_on_after_hearsay(Instant now, Seq seq, Task& task);
    void on_record(Instant now, const wire::Synced& synced);
    void on_record(Instant now, const wire::Decided& decided);
    void on_record(Instant now, const wire::Settled& settled);
    void on_record(Instant now, const wire::Ended& ended);
    void on_record(Instant now, const wire::Admitted& admitted);
    void on_record(Instant now, const wire::Refused& refused);
    void on_record(Instant now, const wire::Answered& answered);
    void on_record(Instant now, const wire::Bye& bye);
    void on_record(Instant now, const wire::Backlog& backlog);
    void on_record(Instant now, const wire::Complaint& complaint);

    // The token (dispatcher_token.cpp).
    void send_token();
    void on_record(Instant now, const wire::TokenReport& token);

    [[nodiscard]] Mail::News news() const { return {link_.is_synced() ? link_.collector() : 0, ending(), drained()}; }

    struct Intake {
        bool ended = false;
        bool paused = false;
        /// As many workers are ready as are waited for, or it was waited long enough.
        bool gathered = false;
        Instant first_ready_at = kNever;  ///< of the workers
    };

    Config config_;
    Counts counts_;
    Tallies tallies_;
    Stories stories_;
    Ledger ledger_;
    Roster roster_;
    Mail mail_;
    CollectorLink link_;
    Hedges hedges_;
    Expiry expiry_;
    Waiting waiting_;
    Recalls recalls_;
    Losers losers_;
    Admissions admissions_;
    Beats beats_;
    Intake intake_;
    Session sessions_in_sync_ = 0;  // up to here, of the last sync that was made
    wire::Reader reader_;
};

}  // namespace curfew

// The dispatcher: the broker's core. It joins the ledger (tasks and attempts), the roster (workers) and the hedging
// policy: frames, messages and `now` in; frames, and which sockets to open and close, out. Pure: no sockets, no clock,
// no threads.
//
// The shell calls it once a turn: receive() for every frame that came, flush_cancels(), turn() (timers, and what is
// tried again, before new intake), accept() while wants_message(), flush(). docs/protocol.md says who says what when;
// docs/decisions.md which race each rule answers.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "broker/hedging.h"
#include "broker/ledger.h"
#include "broker/roster.h"
#include "broker/shared_batches.h"
#include "common/tables/histogram.h"
#include "common/tables/timer_heap.h"
#include "common/wire/stream.h"
#include "common/wire/wire_reader.h"
#include "common/wire/wire_writer.h"

namespace curfew {

class Dispatcher {
public:
    struct Config {
        Incarnation incarnation = 1;
        Epoch epoch = 1;
        std::uint64_t first_sync = 1;  ///< syncs are counted from here: where nobody guesses it
        std::uint32_t fanout = 2;
        std::uint32_t attempts = 2;                 ///< failures after which a task is given up
        std::uint32_t poison = 3;                   ///< deaths of workers after which a task is given up; 0: never
        std::size_t window = 4096;                  ///< most tasks in flight
        std::uint64_t window_bytes = 256ULL << 20;  ///< most payload bytes in flight
        std::optional<Duration> deadline = std::chrono::seconds(30);
        /// How it is called in the outcome of a task that is past it.
        std::string past_deadline = "deadline exceeded";
        Hedging::Config hedging;
        std::uint64_t backlog_bytes = 64ULL << 20;  ///< most bytes that wait for the sink before no message is taken
        /// Workers that are expected at the start: messages are taken when so many are ready, or kGathering after the
        /// first of them.
        std::uint32_t await_workers = 0;
        Duration heartbeat =
            std::chrono::seconds(1);  ///< the workers'; pings go twice as often, silence is three times that
        /// What a worker that died had in its slots, none if nobody knows. Asked once for each death.
        std::function<std::optional<std::vector<AttemptId>>(const std::string& name, Incarnation)> what_ran;
    };
    /// Which way a frame goes.
    enum class Road : std::uint8_t { tasks, control, collector };
    struct OutFrame {
        Road road;
        std::vector<Session> sessions;  ///< tasks and control; several: the same frame for each of them
        Frame bytes;
    };
    /// A session's sockets are to be opened (endpoints given) or closed.
    struct LinkChange {
        Session session;
        bool open;
        std::string tasks_endpoint;
        std::string control_endpoint;
    };
    struct Counts {
        std::uint64_t refused = 0;  ///< frames of old sessions or incarnations
        std::uint64_t malformed = 0;
        std::uint64_t surprises = 0;  ///< records that a peer in its right mind would not have sent
        std::uint64_t workers_silent = 0, workers_died = 0, workers_left = 0;
        std::uint64_t workers_never_ready = 0;  ///< sessions that ended before they were
        std::uint64_t hellos_malformed = 0;     ///< of the malformed: see wrong_hello()
        std::uint64_t hellos_put_off = 0;       ///< no room for a session, or refused before: the worker says it again
        std::uint64_t resends_asked = 0;
        /// Sessions that ended since their records could not be read, or named what they were not given.
        std::uint64_t workers_refused = 0;
        std::uint64_t forced = 0;  ///< tasks decided as expired while attempts of theirs had no end
    };

    /// Most sessions that were never ready. A hello costs nothing to make up, a session has two
    /// sockets.
    static constexpr std::size_t kMostNewcomers = 256;

    explicit Dispatcher(const Config& config);

    // ---- in
    /// A frame from the events socket: from a worker or from the collector.
    void receive(Instant now, std::string_view frame);
    /// True while another message may be taken from the source: a task never waits in here for a worker's credit.
    [[nodiscard]] bool wants_message() const;
    /// How long the first messages wait for more workers than the first (Config::await_workers).
    static constexpr Duration kGathering = std::chrono::milliseconds(500);
    /// What has not begun stands when no work has ended at its worker for so long: twice what is sent ahead of quick
    /// work; less would recall at the end of each burst.
    static constexpr Duration kStands = std::chrono::milliseconds(10);
    Seq accept(Instant now, std::string_view payload, std::optional<std::string> id = {});
    /// A message that is not taken: it has its number and its place in the books, and fails at once.
    Seq refuse_message(Instant now, RefusedMessage message, std::string_view why);
    /// No more messages will come: at the end of the source, or in a drain.
    void end_intake() { intake_ended_ = true; }
    [[nodiscard]] bool intake_ended() const { return intake_ended_; }
    void pause(bool paused) { paused_ = paused; }
    [[nodiscard]] bool paused() const { return paused_; }
    /// A person gives up a task. False if it is not in flight or already decided.
    bool cancel_task(Instant now, Seq seq);
    /// Gives up all that is in flight and not decided, for the same end. Returns how many tasks that is.
    std::size_t cancel_all(Instant now, std::string_view why);
    /// Launch saw this worker die. It is known by its lifeline, or, where either side knows none, by name and pid.
    void worker_died(Instant now, std::string_view name, std::uint32_t pid, std::uint64_t lifeline = 0);
    /// Launch saw it end with code 0. Its bye may still be on the way, or may have been lost.
    void worker_left(Instant now, std::string_view name, std::uint32_t pid, std::uint64_t lifeline = 0);
    /// Fires timers, judges silence, starts what waits. Call it when everything has been read, before accept().
    void turn(Instant now);
    /// The session's sockets could not be opened: it ends, and a later hello of its worker is a new
    /// try.
    void unreachable(Instant now, Session session);
    /// The session's socket takes no more (or again).
    void set_blocked(Session session, Road road, bool blocked);

    // ---- out
    /// Calls home who has lost by what was received, and only that: losers work meanwhile. flush() begins with it too.
    void flush_cancels(Instant now, std::vector<OutFrame>& frames);
    void flush(Instant now, std::vector<OutFrame>& frames);
    [[nodiscard]] std::vector<LinkChange> take_link_changes() { return std::exchange(link_changes_, {}); }
    [[nodiscard]] Instant next_deadline() const;
    /// The intake has ended and everything is in the books.
    [[nodiscard]] bool drained() const {
        return intake_ended_ && ledger_.tasks_in_flight() == 0 && ledger_.attempts_in_flight() == 0;
    }

    /// All outcomes are there and no message will come: only work that was called home is left.
    [[nodiscard]] bool ending() const {
        return intake_ended_ && ledger_.tasks_in_flight() == 0 && ledger_.attempts_in_flight() > 0;
    }

    // ---- looking
    [[nodiscard]] EndLog& end_log() { return ledger_.end_log(); }
    [[nodiscard]] const Ledger& ledger() const { return ledger_; }
    [[nodiscard]] const Roster& roster() const { return roster_; }
    [[nodiscard]] const Hedging& hedging() const { return hedging_; }
    [[nodiscard]] const Counts& counts() const { return counts_; }
    /// The last malformed hello: whose, as far as a name may be long, and what was wrong.
    struct WrongHello {
        std::string name;
        std::string_view what;
    };
    [[nodiscard]] const WrongHello& wrong_hello() const { return wrong_hello_; }
    [[nodiscard]] const Histogram& cancel_time() const { return cancel_time_; }
    /// Bytes that wait for the sink, as far as the collector has said. It says so first when it has all results that a
    /// sync has told it to await; until then no message is taken.
    [[nodiscard]] std::uint64_t backlog() const { return backlog_ == kUnknown ? 0 : backlog_; }
    /// What a peer did wrong last, and which; for the log. Empty: nothing since it was asked.
    [[nodiscard]] std::string take_complaint() { return std::exchange(complaint_, {}); }
    /// Broker and collector do not understand each other. Empty: they do; else the process is to end, and this says
    /// why.
    [[nodiscard]] const std::string& broken() const { return broken_; }
    [[nodiscard]] bool collector_synced() const { return collector_state_ == CollectorState::synced; }
    /// Synced, and it has answered no ping for three heartbeats: it stands still.
    [[nodiscard]] bool collector_silent(Instant now) const {
        return collector_synced() && now - collector_heard_at_ >= 3 * config_.heartbeat;
    }
    /// None: there is no collector.
    [[nodiscard]] std::optional<Instant> collector_heard_at() const {
        return collector_synced() ? std::optional(collector_heard_at_) : std::nullopt;
    }
    [[nodiscard]] Incarnation collector() const { return collector_; }
    [[nodiscard]] const StreamSender& to_collector() const { return sender_; }
    [[nodiscard]] const Config& config() const { return config_; }

private:
    enum class CollectorState : std::uint8_t { unknown, syncing, synced };

    // Workers (dispatcher_workers.cpp).
    void receive_from_worker(Instant now, const wire::Envelope& envelope);
    void on_hello(Instant now, const wire::Hello& hello);
    [[nodiscard]] bool has_room(Instant now) const;
    void on_bad_record(Instant now, Session session, const std::string& what);
    void on_heartbeat(Instant now, Session session, const wire::Heartbeat& heartbeat);
    void leave(Instant now, WorkerSession& worker, Departure how, bool blames = false);
    void close_if_empty(WorkerSession& worker);
    /// Whether confirmations go now, whatever else does; calls up the sessions for which some wait.
    bool release_confirmations(Instant now);
    /// `confirm`: confirmations go though nothing else does.
    void flush_control(Instant now, WorkerSession& worker, bool confirm, std::vector<OutFrame>& frames);
    void lose_all(Instant now, WorkerSession& worker);
    void judge_silence(Instant now);
    /// The worker, noted down for the next flush: a turn's work follows what happened, not how many workers there are.
    WorkerSession& tell(WorkerSession& worker);
    void on_record(Instant now, const wire::TokenReport& token);
    void on_record(Instant now, const wire::Bye& bye);
    void on_record(Instant now, const wire::Admitted& admitted);
    void on_record(Instant now, const wire::Refused& refused);
    void beat(Instant now);

    // The collector (dispatcher_collector.cpp).
    void receive_from_collector(Instant now, const wire::Envelope& envelope);
    void on_collector_hello(Instant now, const wire::Envelope& envelope, const wire::CollectorHello& hello);
    void forget_old_collector(Instant now);
    [[nodiscard]] bool from_collector(const wire::Envelope& envelope) const {
        return envelope.peer == collector_ && envelope.broker == config_.incarnation;
    }
    void begin_sync(Instant now);
    /// What was under way at the sync has come by now.
    [[nodiscard]] bool settled_down(Instant now) const { return now - synced_at_ >= config_.heartbeat; }
    void disown(Instant now, Session session);
    void refuse(Instant now, WorkerSession& worker);
    [[nodiscard]] bool is_refused(Instant now, std::string_view name) const;
    void write_sync();
    template <typename R>
    void say_to_collector(Instant now, const R& record);
    void close_batch(Instant now);
    void on_unreadable(Instant now, std::uint64_t number);
    void on_unreadable_there(Instant now, const wire::CollectorHello& hello);
    void on_record(Instant now, const wire::Backlog& backlog);
    void on_record(Instant now, const wire::Complaint& complaint);
    void flush_collector(Instant now, std::vector<OutFrame>& frames);
    void send_verdict(Instant now, Seq seq, const Task& task);
    void on_record(Instant now, const wire::Synced& synced);
    void on_record(Instant now, const wire::Decided& decided);
    void on_record(Instant now, const wire::Settled& settled);
    void on_record(Instant now, const wire::Ended& ended);

    // Tasks (dispatcher.cpp).
    bool decide(Instant now, Seq seq, AttemptId winner);
    bool end_attempt(Instant now, WorkerSession& worker, AttemptNumber number, End end, std::string_view error);
    bool settle(Seq seq, Outcome outcome);
    bool end_returned(Instant now, WorkerSession& worker, AttemptNumber number);
    void give_back(WorkerSession& worker, std::uint32_t credits);
    void something_changed();
    void gather(Instant now);

    // What stands behind busy slots (dispatcher_recall.cpp).
    void note_start(Instant now, WorkerSession& worker);
    void note_progress(Instant now, WorkerSession& worker, AttemptNumber begun);
    void look_who_stands(Instant now);
    void recall_standing(Instant now);
    struct Standing {
        bool has_begun = false;  ///< a guess
        Seq seq = 0;             ///< the oldest task goes first
        AttemptId id;
    };
    void list_standing(const WorkerSession& worker, std::vector<Standing>& list);
    /// Where what stands may go: free slots, and how much may be sent ahead to workers whose quick work moves.
    struct Places {
        std::vector<WorkerSession*> free;
        std::vector<std::pair<WorkerSession*, std::uint32_t>> ahead;
    };
    void recall(Instant now, const Standing& standing, WorkerSession* target);
    void end_recall(WorkerSession& worker, AttemptNumber number);
    template <typename Over>
    void end_recalls(Instant now, WorkerSession& worker, bool begun, Over&& over);
    void end_all_recalls(Instant now, WorkerSession& worker);
    void count_token(Instant now, WorkerSession& worker, std::uint64_t token_round);
    void let_go(RecallUnderWay& recall);
    void send_recall(Instant now, WorkerSession& worker, RecallUnderWay& recall);
    void repeat_recalls(Instant now);
    void restart_hedge_timer(Instant now, Seq seq, Task& task);
    void on_record(Instant now, const wire::Answered& answered);
    void learn(WorkerSession* worker, Duration took);
    void task_lost_attempt(Instant now, Seq seq, Task& task, End end, std::string_view error);
    void cancel(Instant now, Seq seq, Task& task, std::string_view why);
    void call_home(Instant now, AttemptId id, CancelReason reason);
    void call_all_home(Instant now, Task& task, CancelReason reason);
    void call_losers_home(Instant now);
    void call_loser_home(Instant now, AttemptId id);
    void give_up(Instant now, Seq seq, Task& task, Outcome outcome, std::string_view error);
    void on_deadline(Instant now, Seq seq);
    void expire(Instant now, Seq seq, Task& task);
    [[nodiscard]] Instant forced_at(Instant now, const Task& task);
    void force_expiry(Instant now, Seq seq);
    [[nodiscard]] bool ask_for_reports(const Task& task);
    [[nodiscard]] Task* task_of_hedge(Seq seq, Instant due_at);
    bool start_hedge(Instant now, Seq seq, Task& task);
    void start_hedges(Instant now);
    [[nodiscard]] std::uint32_t due(const Task& task) const;
    /// Starts what is due of a task on the workers there are. True if nothing is left due.
    bool start_due(Instant now, Seq seq, Task& task);
    void start(Instant now, Seq seq, Task& task, WorkerSession& worker);
    void hand_over(Instant now, Seq seq, const Task& task);
    void wait_for_worker(Seq seq, Task& task);
    void try_again(Seq seq, Task& task);
    void start_waiting(Instant now);

    Config config_;
    Counts counts_;
    Ledger ledger_;
    Roster roster_;
    Hedging hedging_;
    Histogram cancel_time_;
    wire::Reader reader_;
    bool intake_ended_ = false;
    bool paused_ = false;

    std::vector<wire::Addressee> started_;  ///< attempts of one task that are to be handed over
    SharedBatches shared_;
    TimerHeap deadlines_;
    TimerHeap forced_;  ///< when tasks past their deadline are decided whatever their workers say
    TimerHeap hedges_;
    TimerHeap withheld_;  ///< hedges that were due and found no token
    /// Tasks with attempts due, for which there was no worker.
    struct Queue {
        std::deque<Seq> seqs;
        std::size_t fruitless = 0;  ///< at its back: they have found no worker since anything changed
        [[nodiscard]] bool hopeful() const { return fruitless < seqs.size(); }
    };
    void start_from(Instant now, Queue& queue, bool Task::*stands_in);
    Queue again_;                      ///< what is tried again or came back: goes first
    Queue waiting_;                    ///< the others
    Instant first_ready_at_ = kNever;  ///< of the workers
    bool gathered_ = false;

    struct Refusal {
        std::string name;
        Instant until;
        Duration pause;
    };
    static constexpr std::size_t kMostRefused = 64;
    static constexpr int kMostPause = 64;  ///< heartbeats
    static constexpr int kForgiven = 2;    ///< pauses without a fault, and the next is short again
    std::deque<Refusal> refused_;          ///< workers whose hellos are put off

    std::vector<Session> standing_;   ///< sessions that stand, or did a moment ago
    std::vector<Session> recalling_;  ///< sessions with recalls under way
    bool recall_fruitless_ = true;    ///< nothing has changed since nothing was found to recall
    Instant recall_again_at_{};       ///< not before: looking at all that stands takes its time
    Instant stand_look_at_ = kNever;
    Instant repeat_at_ = kNever;  ///< the first of the recalls under way

    Incarnation collector_ = 0;
    Instant collector_heard_at_{};
    Instant synced_at_{};
    Session suspect_ = 0;    ///< of the batch in hand: the collector has judged what this session was never given
    Instant heard_since_{};  ///< without a gap, and synced
    std::uint64_t sync_round_ = 0;
    wire::Reader::BadPlace bad_there_;  ///< what the collector could not read before this sync
    static constexpr std::uint64_t kUnknown = UINT64_MAX;
    std::uint64_t backlog_ = kUnknown;
    std::string complaint_, broken_;
    Incarnation newcomer_ = 0;  ///< a newer collector that has said hello once
    CollectorState collector_state_ = CollectorState::unknown;
    Frame sync_frame_;  ///< kept until Synced
    bool send_sync_ = false;
    std::uint32_t acks_owed_ = 0;  ///< batches that have come since the last acknowledgement
    Instant ack_at_ = kNever;      ///< when it goes at the latest
    bool ping_collector_ = false;
    StreamSender sender_;
    StreamReceiver receiver_;
    std::uint64_t next_batch_ = 0;  ///< after the last flush
    wire::Writer to_collector_;

    std::vector<AttemptId> losers_;  ///< of tasks decided by what was received: to be called home
    /// Those of quick workers, which may still come to their end by themselves: at each tick the old ones are called
    /// home, and the new ones become old. Deques: after a long turn there are many, and a vector would never shrink.
    std::deque<AttemptId> new_quick_losers_, old_quick_losers_;
    Instant quick_tick_at_ = kNever;
    WrongHello wrong_hello_;
    Instant room_at_{};                 ///< before this no session begins: one got no sockets
    std::vector<Session> news_;         ///< sessions that are to be told something
    Instant silence_at_ = kNever;       ///< before this no worker can have been silent for too long
    std::vector<Session> unconfirmed_;  ///< sessions for which confirmations wait
    Instant confirm_at_ = kNever;       ///< when those go at the latest
    Instant ping_at_{};
    Instant token_at_{};
    std::vector<LinkChange> link_changes_;
};

}  // namespace curfew

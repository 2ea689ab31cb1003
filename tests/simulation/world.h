// The world of one seed: the real cores of a broker, its workers and a collector, joined by
// channels that delay, lose, repeat, reorder and cut, under a virtual clock, with crashes and
// pauses. The laws are checked after each step; when the faults are over, everything has to drain
// to zero within a bound.
//
// One event at a time: a frame arrives, a process wakes, a fault strikes. All from one generator: a
// seed replays exactly.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <queue>
#include <random>
#include <set>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "broker/dispatcher.h"
#include "collector/judge.h"
#include "tests/simulation/fake_handler.h"
#include "tests/simulation/scenario.h"
#include "tests/simulation/two_files.h"
#include "worker/session.h"

namespace curfew::simulation {

struct Verdict {
    bool passed = false;
    std::string problem;
    std::uint64_t events = 0;
    Duration took{};  ///< virtual
};

class World {
public:
    World(const Scenario& scenario, bool trace);
    ~World();
    /// `most_events`: a run that has not drained by then has failed.
    Verdict run(std::uint64_t most_events);

private:
    enum class Road : std::uint8_t { tasks, control, results, events };
    struct Frame {
        Road road;
        std::string bytes;
    };
    /// What all processes have: an inbox, and whether they live and run.
    struct Process {
        std::string name;
        std::vector<Frame> inbox;
        bool up = true;
        Instant paused_until{};
        Instant stood_at{};  // its own time while it is paused
        // How much later it is in the world than by its own clock, when it runs again
        Duration stood{};
        Duration told{};           // of that, what its core knows of
        Instant wake_at = kNever;  // the wake that counts; others in the queue are old
        Incarnation incarnation = 0;
    };
    struct WorkerProcess : Process {
        std::unique_ptr<FakeHandler> handler;
        std::unique_ptr<WorkerCore> core;
        Instant unawaited_since = kNever;  // work runs for a session that the broker does not have
        // Which life, and which session of it
        std::pair<Incarnation, std::uint64_t> unawaited_session;
    };
    using Node = std::size_t;
    static constexpr Node kBroker = 0, kCollector = 1, kFirstWorker = 2;
    struct Event {
        Instant at;
        std::uint64_t order;
        std::function<void()> what;
        bool operator>(const Event& other) const { return at != other.at ? at > other.at : order > other.order; }
    };

    struct Waiting {
        Instant since;           // it waits, and a free slot elsewhere may run it
        std::uint64_t ends = 0;  // of work at its worker by then
    };

    // Time and chance.
    void at(Instant when, std::function<void()> what);
    bool chance(double share);
    Duration exponential(Duration mean);
    bool well() const { return now_ >= well_at_; }
    /// The time by the clock of a process, which stands while the process does
    /// (common/process/clock.h).
    Instant here(Node node) { return here(process(node)); }
    Instant here(const Process& process) const {
        return now_ < process.paused_until ? process.stood_at : now_ - process.stood;
    }
    void pause(Node node, Duration length);

    // Processes.
    Process& process(Node node);
    void start_broker();
    void start_collector();
    void start_worker(Node node);
    void crash(Node node);
    void forget_broker();
    Incarnation new_incarnation();
    void note_death(const WorkerProcess& worker);
    void wake(Node node, Instant when);
    void wake_by_its_clock(Node node, Instant when);
    void run_process(Node node);
    void run_broker(std::vector<Frame> inbox);
    void run_collector(std::vector<Frame> inbox);
    void run_worker(WorkerProcess& worker, Node node, std::vector<Frame> inbox);
    static void note_cancels(WorkerProcess& worker, const Frame& frame);
    void note_reports(WorkerProcess& worker, std::string_view frame);
    [[nodiscard]] bool was_given_up_too_early(const OutcomeRecord& outcome) const;
    [[nodiscard]] bool has_messages() const;
    [[nodiscard]] std::uint32_t next_message();
    [[nodiscard]] std::string text_of(std::uint32_t message) const;
    void start_sink();
    void sync_sink(bool waits_already);
    [[nodiscard]] std::uint64_t may_be_written_again() const;
    void lose_power();
    void take_messages();
    void write_outcomes();
    void on_written(const OutcomeRecord& outcome, Incarnation collector);

    // Channels.
    void send(Node from, Node to, Road road, std::string bytes);
    void deliver(Node to, Road road, const std::string& bytes);

    // Faults.
    void plan_fault();
    void strike();
    void cancel_one();

    // Laws (laws.cpp).
    void check_step();
    void check_all();
    bool check_timers();
    void check_idle_slots();
    void check_hedges_began_last();
    [[nodiscard]] bool is_cut(Node from, Node to) const;
    void cut(Node from, Node to, Instant until);
    [[nodiscard]] bool may_run_at(const Task& task, const WorkerSession& worker) const;
    void check_losers();
    void check_standing();
    void check_standing_at(const WorkerCore& core, const std::map<AttemptId, Waiting>& before);
    void check_cancelled();
    void note_given_up();
    [[nodiscard]] bool was_given_up(const WorkerProcess& worker) const;
    [[nodiscard]] bool has_free_slot_for(const Task& task) const;
    /// What is missing in the stream between broker and collector comes again a heartbeat after the
    /// receiver was heard.
    static constexpr Duration kStreamMends = std::chrono::milliseconds(1200);
    void disturb(Duration mended_within = {}) { calm_since_ = std::max(calm_since_, now_ + mended_within); }
    void check_lease(WorkerProcess& worker);
    void check_stories();
    void check_end();
    void fail(std::string problem);
    [[nodiscard]] bool drained() const;
    void tell(Node node, const std::string& text) const;

    Scenario scenario_;
    bool trace_;
    std::mt19937_64 random_;
    Instant now_{};
    Instant began_{};
    Instant well_at_{};
    std::uint64_t order_ = 0;
    std::uint64_t events_ = 0;
    std::uint64_t steps_ = 0, next_recount_ = 0;
    std::uint64_t broker_turns_ = 0, next_timer_check_ = 0;
    Instant calm_since_{};  // nothing was lost, cut, paused, crashed or overtaken since
    // Something between broker and collector was lost since then, or is about to be mended
    bool stream_torn_ = false;
    std::map<AttemptId, Waiting> waiting_;
    // Since when an attempt has lost, and was not called home
    std::map<AttemptId, Instant> at_large_;
    std::uint64_t check_every_ = 1;  // steps; more in a large world
    std::priority_queue<Event, std::vector<Event>, std::greater<>> queue_;
    std::string problem_;

    Process broker_process_, collector_process_;
    std::vector<std::unique_ptr<WorkerProcess>> workers_;
    std::unique_ptr<Dispatcher> broker_;
    std::unique_ptr<Judge> judge_;
    std::map<Session, Node> links_;
    std::map<Session, Instant> given_up_;  // when the broker gave a session up
    Incarnation next_incarnation_ = 1'000'000'000;
    Incarnation set_back_ = 1'000'000'000;  // incarnations of those whose clock was set back
    std::uint64_t broker_crashes_ = 0, collector_crashes_ = 0, resyncs_ = 0, lossy_sessions_ = 0;

    // The source: messages by index, those that were handed over and have no outcome yet by seq.
    std::vector<std::uint32_t> to_hand_over_;
    std::map<Seq, std::uint32_t> handed_over_;
    Instant next_message_at_{};
    // What a broker that remembers has on disk
    Intervals checkpoint_;
    // By a person, ever
    std::set<Seq> ever_cancelled_;
    // By a person: how many attempts the task had by then
    std::map<Seq, std::uint32_t> cancelled_;
    // What each life of a worker ran as it crashed
    std::map<Incarnation, std::vector<AttemptId>> ran_;
    // What workers have said of each task
    struct Told {
        std::set<std::tuple<Incarnation, Session, AttemptNumber>> failed;
        bool rejected = false;
    };
    std::map<std::pair<Epoch, Seq>, Told> told_;
    // Of workers that ran the task as they crashed
    std::map<Seq, std::uint32_t> deaths_;
    // The sink, as an outsider sees it.
    std::vector<std::uint32_t> outcomes_;
    TwoFiles sink_;  // one that remembers
    Seq last_written_ = 0;
    std::map<std::pair<Node, Road>, Instant> last_delivery_;
    std::map<std::pair<Node, Node>, Instant> cut_until_;
};

}  // namespace curfew::simulation

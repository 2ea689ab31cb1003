#include "worker/server.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>

#include "common/look/json_object.h"
#include "common/process/reading.h"
#include "common/words/exit_code.h"
#include "worker/snapshot.h"
#include "worker/story_json.h"

namespace curfew {
namespace {

/// Small, so that results wait in the core, where a cancel can still drop them, and not in a
/// socket.
constexpr int kResultsMark = 8;
constexpr int kLifeMark = 100;
/// Between two frames of reports. A frame wakes threads of three processes, whatever is in it; what
/// ends sooner than this after the last waits for the rest of it, and goes with what ends
/// meanwhile.
constexpr Duration kBetweenReports = std::chrono::microseconds(100);

}  // namespace

WorkerCore::Config WorkerServer::fill_in(Daemon& daemon, const Config& config, const Socket& tasks,
                                         const Socket& control) {
    WorkerCore::Config core = config.core;
    core.incarnation = daemon.run_dir().incarnation();
    core.name = daemon.name();
    core.pid = static_cast<std::uint32_t>(getpid());
    core.lifeline = daemon.lifeline_number();
    core.tasks_endpoint = tasks.endpoint();
    core.control_endpoint = control.endpoint();
    core.grace = daemon.grace();
    return core;
}

WorkerServer::WorkerServer(Daemon& daemon, const Config& config, std::unique_ptr<Handler> handler)
    : handler_(std::move(handler)),
      tasks_(daemon.sockets().bind(zmq::socket_type::pull, config.tasks, daemon.name() + ".tasks", {})),
      control_(daemon.sockets().bind(zmq::socket_type::pull, config.control, daemon.name() + ".control", {})),
      collector_(daemon.sockets().connect(zmq::socket_type::push, config.collector, "results", {.send = kResultsMark})),
      broker_(daemon.sockets().connect(zmq::socket_type::push, config.broker, "events",
                                       {.send = kLifeMark, .linger = Duration::zero()})),
      running_(daemon.run_dir().path(), daemon.name(), daemon.run_dir().incarnation(), config.core.slots),
      core_(fill_in(daemon, config, tasks_, control_), *handler_, running_.slots()) {}

void WorkerServer::wait_for(Poller& poller) {
    poller.add(tasks_);
    poller.add(control_);
    handler_->wait_for(poller);
}

Instant WorkerServer::turn(Instant now) {
    // Cancels first: they shorten what the tasks socket brings, and who is called home leaves
    // before that is read.
    read_for_a_turn(control_, [&](std::string_view frame) { core_.receive_control(now, frame); });
    if (now >= reports_at_ && core_.has_ends()) work(now);
    read_for_a_turn(tasks_, [&](std::string_view frame) { core_.receive_tasks(now, frame); });
    work(now);
    log::malformed(malformed_log_, now, core_.counts().malformed);

    if (core_.session() != 0) lonely_since_ = kNever;
    if (core_.session() == 0 && lonely_since_ == kNever) lonely_since_ = now;
    if (lonely_since_ != kNever && now - lonely_since_ >= std::chrono::seconds(3) && lonely_log_.now(now)) {
        log::warn("waiting for=broker endpoint={}", broker_.endpoint());
    }
    const Instant reports = now < reports_at_ && core_.has_news() ? reports_at_ : kNever;
    return std::min({core_.next_deadline(), collector_.next_deadline(now), reports});
}

void WorkerServer::work(Instant now) {
    core_.set_results_blocked(!collector_.flush() || now < reports_at_);
    core_.turn(now);
    core_.flush(now, for_collector_, for_broker_);
    if (!for_collector_.empty()) reports_at_ = now + kBetweenReports;
    for (Frame& reports : for_collector_) collector_.send(std::move(reports));
    // Signs of life are repeated anyhow
    for (Frame& signs : for_broker_) (void)broker_.send(signs);
    for_collector_.clear();
    for_broker_.clear();
}

void WorkerServer::stop(Instant now) {
    stopping_ = true;
    core_.leave(now);
}

void WorkerServer::over() {
    over_ = true;
    collector_.drop_at_end();
}

bool WorkerServer::work_has_stopped() const {
    return std::ranges::all_of(core_.slots(),
                               [](const SlotState& slot) { return slot.attempt.number == 0 || slot.out_of_service; });
}

std::optional<int> WorkerServer::finished() const {
    const bool unheard = over_ && stopping_ && work_has_stopped();
    if (!unheard && !(core_.left() && collector_.empty())) return std::nullopt;
    return core_.worn_out() ? kExitWornOut : kExitOk;
}

int WorkerServer::unfinished() const {
    return core_.worn_out() ? kExitWornOut : kExitOk;
}

JsonObject WorkerServer::stats(Instant now) const {
    const auto& counts = core_.counts();
    std::array<std::uint64_t, 5> held{};  // by AttemptState
    core_.held().for_each(
        [&](AttemptNumber, const HeldAttempt& attempt) { ++held[static_cast<std::size_t>(attempt.state)]; });
    JsonObject out;
    out.add("session", core_.session())
        .add("sessions", counts.sessions)
        .add("pool", core_.config().pool)
        .add("slots", JsonObject()
                          .add("all", core_.slots().size())
                          .add("busy", core_.busy_slots())
                          .add("out_of_service", std::ranges::count_if(core_.slots(), &SlotState::out_of_service)))
        .add("credit", core_.credit())
        .add("grace_s", core_.config().grace)
        .add("held", by_name<AttemptState>(held))
        .add("received", counts.received)
        .add("duplicates", counts.duplicates)
        .add("ends", by_name<ReportKind>(counts.reports).add("lost", counts.lost).add("abandoned", counts.abandoned))
        .add("kept_bytes", core_.kept_bytes())
        .add("refused_frames", counts.refused)
        .add("malformed_frames", counts.malformed)
        .add("outboxes",
             JsonObject().add("parked", collector_.parked()).add("marks_reached", collector_.marks_reached()));
    handler_->add_stats(now, out);
    return out;
}

std::unique_ptr<Reply> WorkerServer::dump(Instant now, const DumpQuery& query, const JsonObject& first) const {
    return worker_dump(core_, *handler_, now, query, first);
}

JsonObject WorkerServer::story(Instant now, const std::string& task) const {
    const auto seq = parse_count(task);
    if (!seq) return std::move(JsonObject().add("error", "ask a worker for the number of a task"));
    return worker_story(core_, now, Clock::wall_us(now), *seq);
}

JsonObject WorkerServer::endpoints() const {
    JsonObject out;
    out.add("tasks", tasks_.endpoint()).add("control", control_.endpoint());
    return out;
}

}  // namespace curfew

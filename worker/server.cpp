#include "worker/server.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>

#include "common/attempt_groups.h"
#include "common/exit_code.h"
#include "common/json_text.h"

namespace curfew {
namespace {

/// Small, so that results wait in the core, where a cancel can still drop them, and not in a socket.
constexpr int kResultsMark = 8;
constexpr int kLifeMark = 100;

}  // namespace

WorkerCore::Config WorkerServer::fill_in(Daemon& daemon, const Config& config, const Socket& tasks,
                                         const Socket& control) {
    WorkerCore::Config core = config.core;
    core.incarnation = daemon.run_dir().incarnation();
    core.name = daemon.name();
    core.pid = static_cast<std::uint32_t>(getpid());
    core.tasks_endpoint = tasks.endpoint();
    core.control_endpoint = control.endpoint();
    core.grace = daemon.grace();
    return core;
}

WorkerServer::WorkerServer(Daemon& daemon, const Config& config, std::unique_ptr<Handler> handler)
    : handler_(std::move(handler)),
      tasks_(daemon.bind(zmq::socket_type::pull, config.tasks, daemon.name() + ".tasks", {})),
      control_(daemon.bind(zmq::socket_type::pull, config.control, daemon.name() + ".control", {})),
      collector_(daemon.connect(zmq::socket_type::push, config.collector, "results", {.send = kResultsMark})),
      broker_(daemon.connect(zmq::socket_type::push, config.broker, "events",
                             {.send = kLifeMark, .linger = Duration::zero()})),
      running_(daemon.run_dir().path(), daemon.name(), daemon.run_dir().incarnation(), config.core.slots),
      core_(fill_in(daemon, config, tasks_, control_), *handler_, running_.slots()) {}

void WorkerServer::wait_for(Poller& poller) {
    poller.add(tasks_);
    poller.add(control_);
    handler_items_.clear();
    handler_->poll_items(handler_items_);
    for (const pollfd& item : handler_items_) poller.add(item.fd, item.events);
}

Instant WorkerServer::turn(Instant now) {
    core_.wake(now);
    std::string_view frame;
    // Cancels first: they shorten what the tasks socket brings.
    while (control_.receive(frame)) core_.receive_control(now, frame);
    while (tasks_.receive(frame)) core_.receive_tasks(now, frame);
    while (!parked_.empty() && collector_.send(parked_.front())) parked_.pop_front();
    core_.set_results_blocked(!parked_.empty());
    core_.turn(now);
    core_.flush(now, for_collector_, for_broker_);
    for (Frame& reports : for_collector_) {
        if (parked_.empty() && collector_.send(reports)) continue;
        if (parked_.empty()) ++marks_reached_;
        parked_.push_back(std::move(reports));
    }
    for (Frame& signs : for_broker_) (void)broker_.send(signs);  // signs of life are repeated anyhow
    for_collector_.clear();
    for_broker_.clear();

    if (core_.session() != 0) lonely_since_ = kNever;
    if (core_.session() == 0 && lonely_since_ == kNever) lonely_since_ = now;
    if (lonely_since_ != kNever && now - lonely_since_ >= std::chrono::seconds(3) && lonely_log_.now(now)) {
        log::warn("waiting for=broker endpoint={}", broker_.endpoint());
    }
    const Instant next = core_.next_deadline();
    return parked_.empty() ? next : std::min(next, now + std::chrono::milliseconds(2));
}

void WorkerServer::stop(Instant now) {
    core_.leave(now);
}

std::optional<int> WorkerServer::finished() const {
    if (!core_.left() || !parked_.empty()) return std::nullopt;
    return core_.worn_out() ? kExitWornOut : kExitOk;
}

int WorkerServer::unfinished() const {
    return core_.worn_out() ? kExitWornOut : kExitOk;
}

std::string WorkerServer::stats_members(Instant) const {
    const auto& counts = core_.counts();
    const auto of = [&](ReportKind kind) { return counts.reports[static_cast<std::size_t>(kind)]; };
    std::size_t in_state[5] = {};
    core_.held().for_each(
        [&](AttemptNumber, const HeldAttempt& attempt) { ++in_state[static_cast<std::size_t>(attempt.state)]; });
    const auto out_of_service =
        std::ranges::count_if(core_.slots(), [](const SlotState& slot) { return slot.out_of_service; });
    return fmt::format(
        R"("session":{},"sessions":{},"pool":{},"slots":{{"all":{},"busy":{},"out_of_service":{}}},"credit":{},)"
        R"("held":{{"queued":{},"running":{},"cancelling":{},"reported":{}}},"received":{},"duplicates":{},)"
        R"("ends":{{"ok":{},"late":{},"failed":{},"rejected":{},"cancelled":{},"expired":{},"lost":{},"abandoned":{}}},)"
        R"("kept_bytes":{},"refused_frames":{},"malformed_frames":{},"outboxes":{{"parked":{},"marks_reached":{}}})",
        core_.session(), counts.sessions, json_text(core_.config().pool), core_.slots().size(), core_.busy_slots(),
        out_of_service, core_.credit(), in_state[1], in_state[2], in_state[3], in_state[4], counts.received,
        counts.duplicates, of(ReportKind::ok), of(ReportKind::late), of(ReportKind::failed), of(ReportKind::rejected),
        of(ReportKind::cancelled), of(ReportKind::expired), counts.lost, counts.abandoned, core_.kept_bytes(),
        counts.refused, counts.malformed, parked_.size(), marks_reached_);
}

std::string WorkerServer::dump_members(Instant now, const DumpQuery& query) const {
    const auto seconds = [](Duration duration) { return std::chrono::duration<double>(duration).count(); };
    std::vector<AttemptNumber> numbers;
    AttemptGroups groups;
    AttemptGroups::Place& place = groups.place(core_.config().pool, core_.config().name);
    core_.held().for_each([&](AttemptNumber number, const HeldAttempt& attempt) {
        const Duration age = now - attempt.received_at;
        if (!query.asks_for(core_.config().name, name_of(attempt.state), age)) return;
        numbers.push_back(number);
        place.add(attempt.state, age);
    });
    std::sort(numbers.begin(), numbers.end());  // the oldest has the smallest
    std::string out = fmt::format(R"("in_flight":{},"matching":{},"groups":{},"attempts":[)", core_.held().size(),
                                  numbers.size(), groups.json());
    numbers.resize(std::min(query.limit, numbers.size()));
    const char* comma = "";
    for (const AttemptNumber number : numbers) {
        const HeldAttempt& attempt = *core_.held().find(number);
        const bool has_slot = attempt.state == AttemptState::running || attempt.state == AttemptState::cancelling;
        const pid_t pid = has_slot ? handler_->pid(attempt.slot) : 0;
        out += fmt::format(
            R"({}{{"seq":{},"attempt":{},"session":{},"number":{},"worker":{},"pool":{},"state":"{}","age_s":{:.6f},"in_state_s":{:.6f},"left_s":{},"pid":{}}})",
            std::exchange(comma, ","), attempt.seq, attempt.ordinal, core_.session(), number,
            json_text(core_.config().name), json_text(core_.config().pool), name_of(attempt.state),
            seconds(now - attempt.received_at), seconds(now - attempt.since),
            attempt.deadline_at == kNever ? "null" : fmt::format("{:.6f}", seconds(attempt.deadline_at - now)),
            pid == 0 ? "null" : std::to_string(pid));
    }
    out += R"(],"out_of_service":[)";
    comma = "";
    for (Slot slot = 0; slot < core_.slots().size(); ++slot) {
        const SlotState& state = core_.slots()[slot];
        if (!state.out_of_service) continue;
        const pid_t pid = handler_->pid(slot);
        out += fmt::format(R"({}{{"slot":{},"pid":{},"stopping_s":{:.6f}}})", std::exchange(comma, ","), slot,
                           pid == 0 ? "null" : std::to_string(pid), seconds(now - state.stop_at));
    }
    return out + "]";
}

std::string WorkerServer::ready_members() const {
    return fmt::format(R"(,"tasks":{},"control":{})", json_text(tasks_.endpoint()), json_text(control_.endpoint()));
}

}  // namespace curfew

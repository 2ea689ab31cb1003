#include "broker/links.h"

#include <algorithm>
#include <exception>
#include <optional>
#include <utility>

#include "common/words/exit_code.h"

namespace curfew {
namespace {

using Road = Dispatcher::Road;

/// Alarms behind the credits; reached only when a peer stands still.
constexpr int kSendMark = 1000;

/// What the two sockets of a session take in descriptors: each its own, and a connection.
constexpr std::size_t kDescriptorsOfLinks = 4;
/// How collector and first worker come to us.
constexpr std::size_t kDescriptorsOfFirstPeers = 4;
/// Not for sessions: connections that come, a look at the process, the page of a worker that died.
constexpr std::size_t kSpareDescriptors = 16;

}  // namespace

Links::Links(Daemon& daemon, Dispatcher& dispatcher, const std::string& collector)
    : daemon_(daemon),
      dispatcher_(dispatcher),
      collector_(daemon.sockets().connect(zmq::socket_type::push, collector, "results", {.send = kSendMark}),
                 Outbox::kRepeated) {
    if (!can_open(kDescriptorsOfFirstPeers + kSpareDescriptors + kDescriptorsOfLinks))
        throw Unusable(kExitIo, "not enough descriptors (ulimit -n) for even one worker: allow 64 or more");
}

void Links::send(Instant now, std::vector<Dispatcher::OutFrame>& frames) {
    if (frames.empty()) return;
    // Sockets of new sessions first: their welcome may be among the frames.
    change(now);
    for (Dispatcher::OutFrame& frame : frames) send(frame);
    frames.clear();
}

void Links::send(Dispatcher::OutFrame& frame) {
    if (frame.road == Road::collector) {
        collector_.send(std::move(frame.bytes));
        return;
    }
    // Several get the same without a copy.
    std::optional<SharedFrame> shared;
    if (frame.sessions.size() > 1) shared.emplace(std::move(frame.bytes));
    for (const Session session : frame.sessions) {
        const auto at = workers_.find(session);
        if (at == workers_.end()) continue;
        Outbox& outbox = frame.road == Road::tasks ? at->second.tasks : at->second.control;
        if (!(shared ? outbox.send(*shared) : outbox.send(std::move(frame.bytes))))
            dispatcher_.set_blocked(session, frame.road, true);
    }
}

void Links::change(Instant now) {
    for (const auto& change : dispatcher_.take_link_changes()) {
        change.open ? open(now, change) : (void)workers_.erase(change.session);
    }
}

void Links::open(Instant now, const Dispatcher::LinkChange& change) {
    try {
        if (!can_open(kSpareDescriptors + kDescriptorsOfLinks)) throw EndpointError("out of descriptors (ulimit -n)");
        const Socket::Marks marks{.send = kSendMark, .linger = Duration::zero()};
        workers_.emplace(
            change.session,
            WorkerLinks{
                Outbox(daemon_.sockets().connect_to_peer(zmq::socket_type::push, change.tasks_endpoint, marks)),
                Outbox(daemon_.sockets().connect_to_peer(zmq::socket_type::push, change.control_endpoint, marks))});
    } catch (const std::exception& error) {
        if (unreachable_log_.now(now))
            log::warn("worker_unreachable session={} error={} next=\"its next hello is a new try\"", change.session,
                      log::quoted(error.what()));
        dispatcher_.unreachable(now, change.session);
    }
}

void Links::flush() {
    collector_.flush();
    for (auto& [session, links] : workers_) {
        if (!links.tasks.empty() && links.tasks.flush()) dispatcher_.set_blocked(session, Road::tasks, false);
        if (!links.control.empty() && links.control.flush()) dispatcher_.set_blocked(session, Road::control, false);
    }
}

Instant Links::next_deadline(Instant now) {
    Instant next = collector_.next_deadline(now);
    for (auto& [session, links] : workers_)
        next = std::min({next, links.tasks.next_deadline(now), links.control.next_deadline(now)});
    return next;
}

JsonObject Links::json() const {
    std::uint64_t parked = collector_.parked(), marks = collector_.marks_reached();
    for (const auto& [session, links] : workers_) {
        parked += links.tasks.parked() + links.control.parked();
        marks += links.tasks.marks_reached() + links.control.marks_reached();
    }
    JsonObject out;
    out.add("parked", parked).add("marks_reached", marks);
    return out;
}

}  // namespace curfew

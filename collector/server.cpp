#include "collector/server.h"

#include <fmt/format.h>

#include <algorithm>

#include "common/process/reading.h"
#include "common/words/exit_code.h"

namespace curfew {
namespace {

/// An alarm: reached only when the broker stands still, or there is none.
constexpr int kSendMark = 1000;

/// Where the group expects its one collector.
Socket bind_results(Daemon& daemon, const std::string& endpoint) {
    if (endpoint.empty()) daemon.run_dir().claim("results");
    return daemon.sockets().bind(zmq::socket_type::pull, endpoint, "results", {});
}

}  // namespace

CollectorServer::CollectorServer(Daemon& daemon, const Config& config, Sinks::Parts sinks)
    : config_(config),
      judge_({daemon.run_dir().incarnation(), config.keep_order, config.heartbeat / 4, config.heartbeat}),
      sinks_(std::move(sinks)),
      results_(bind_results(daemon, config.results)),
      broker_(daemon.sockets().connect(zmq::socket_type::push, config.broker, "events",
                                       {.send = kSendMark, .linger = Duration::zero()}),
              Outbox::kRepeated) {
    std::vector<Settled::Memory> memories = sinks_.take_memories();
    if (!memories.empty()) judge_.remember(std::move(memories));
}

void CollectorServer::wait_for(Poller& poller) {
    if (!closing_) poller.add(results_);
    sinks_.wait_for(poller);
}

Instant CollectorServer::turn(Instant now) {
    if (!closing_) judge(now);
    // What has been decided is still written, and the broker, if there is one, is told, within
    // grace.
    closing_ = closing_ || (stopping_ && has_said_all(now));
    if (closing_) closed_ = sinks_.close(now, stop_by_);
    const Instant next = sinks_.next_deadline();
    return closing_ ? next : std::min({next, judge_.next_deadline(), broker_.next_deadline(now)});
}

/// Reads, writes, tells the broker.
void CollectorServer::judge(Instant now) {
    const Incarnation before = judge_.incarnation();
    read_for_a_turn(results_, [&](std::string_view frame) { judge_.receive(now, frame); });
    if (judge_.incarnation() != before) {
        log::warn("incarnation_raised from={} to={} reason=\"the broker knows a newer collector: is the clock right?\"",
                  before, judge_.incarnation());
    }
    log::malformed(malformed_log_, now, judge_.counts().malformed);
    if (std::exchange(syncs_, judge_.syncs()) != judge_.syncs()) sinks_.forget_waiting();
    write_outcomes(now);
    if (const std::string complaint = judge_.take_complaint(); !complaint.empty() && complaint_log_.now(now))
        log::error("peer_wrong what={}", log::quoted(complaint));
    judge_.flush(now, frames_);
    broker_.flush();
    for (Frame& news : frames_) broker_.send(std::move(news));
    frames_.clear();
}

void CollectorServer::write_outcomes(Instant now) {
    while (OutcomeRecord* outcome = judge_.next_outcome()) {
        if (outcome->outcome != Outcome::completed && config_.says_failures) say_failure(*outcome);
        sinks_.put(std::move(*outcome));
    }
    sinks_.flush(now, written_);
    for (const auto& [sync, seq] : written_) judge_.written(sync, seq);
    written_.clear();
    judge_.set_sink_bytes(sinks_.waiting_bytes());
}

void CollectorServer::say_failure(const OutcomeRecord& outcome) const {
    log::warn("task_{} task={}-{} attempts={} error={}", name_of(outcome.outcome), outcome.epoch, outcome.seq,
              outcome.attempts, log::quoted(outcome.error));
}

void CollectorServer::stop(Instant now) {
    stopping_ = true;
    stop_by_ = now + config_.grace;
}

bool CollectorServer::has_said_all(Instant now) const {
    return sinks_.waiting() == 0 && (over_ || !judge_.waits_for_broker(now));
}

std::optional<int> CollectorServer::finished() const {
    return closed_ ? std::optional<int>(kExitOk) : std::nullopt;
}

/// What still waits has not settled, and stands in the books; what a sink was given has.
int CollectorServer::unfinished() const {
    const std::uint64_t count = sinks_.uncertain();
    if (count == 0) return kExitOk;
    log::error("sink_unfinished reason=\"the end came before all was read: up to {} outcomes may not have arrived\"",
               count);
    return kExitIo;
}

JsonObject CollectorServer::stats(Instant now) const {
    const auto& counts = judge_.counts();
    JsonObject out;
    out.add("settled", by_name<Outcome>(counts.outcomes))
        .add("ends", by_name<End>(counts.ends))
        .add("reports", counts.reports)
        .add("duplicates", counts.duplicates)
        .add("refused_frames", counts.refused)
        .add("malformed_frames", counts.malformed)
        .add("decided", judge_.decided())
        .add("sink_waiting", sinks_.waiting())
        .add("sessions", judge_.sessions())
        .add("complaints", counts.complaints)
        .add("unacknowledged", judge_.unacknowledged())
        .add("resent", judge_.resent())
        .add("outboxes", JsonObject().add("parked", broker_.parked()).add("marks_reached", broker_.marks_reached()))
        .add("settled_intervals", judge_.settled().intervals().size())
        .add("sink", JsonObject()
                         .add("waiting", sinks_.waiting())
                         .add("waiting_bytes", judge_.waiting_bytes())
                         .add("bytes", sinks_.bytes())
                         .add("waits_for", if_any(sinks_.waits_for()))
                         .add("waited_s", sinks_.waited(now)))
        .add("broker", JsonObject().add("synced", judge_.synced()).add("incarnation", judge_.broker()));
    return out;
}

std::unique_ptr<Reply> CollectorServer::dump(Instant, const DumpQuery&, const JsonObject& first) const {
    const std::vector<JsonObject> none;
    JsonObject out = first;
    out.add("in_flight", 0).add("matching", 0).add("groups", none).add("attempts", none);
    out.add("decided", judge_.decided());
    return std::make_unique<ShortReply>(out);
}

JsonObject CollectorServer::endpoints() const {
    JsonObject out;
    out.add("results", results_.endpoint());
    return out;
}

}  // namespace curfew

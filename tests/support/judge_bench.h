// A judge on the bench: the test plays the broker, the workers and the sink, and moves the clock.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "collector/judge.h"
#include "tests/support/frames.h"

namespace curfew::support {

inline constexpr Incarnation kMe = 50;  ///< the judge's incarnation

inline wire::Report report(AttemptNumber number, Seq seq, ReportKind kind = ReportKind::ok,
                           std::string_view payload = "result") {
    wire::Report report;
    report.number = number;
    report.seq = seq;
    report.kind = kind;
    report.ordinal = 2;
    report.attempts = 3;
    report.latency_us = 77;
    report.error = kind == ReportKind::failed || kind == ReportKind::rejected ? "why" : "";
    report.payload = kind == ReportKind::ok ? payload : "";
    return report;
}

/// A judge that has taken over the sync of a broker with the sessions 1 (a, cats) and 2 (b, dogs).
class JudgeTest : public testing::Test {
protected:
    explicit JudgeTest(bool keep_order = false) : judge({.incarnation = kMe, .keep_order = keep_order}) {}

    void sync(wire::Sync sync = {}, Incarnation incarnation = 1) {
        broker = incarnation;
        stream = stream_base(sync.round);
        if (sync.epoch == 0) sync.epoch = 1;
        if (sync.sessions.empty()) sync.sessions = {{1, "a", "cats", {}}, {2, "b", "dogs", {}}};
        judge.receive(now, frame_of({wire::Kind::to_collector, broker, kMe, 0, 0}, sync));
        news = flush();
    }
    /// The broker's next batch.
    template <typename... Records>
    void say(const Records&... records) {
        judge.receive(now, frame_of({wire::Kind::to_collector, broker, kMe, ++stream, 0}, records...));
    }
    template <typename... Records>
    void hear(Session session, const Records&... records) {
        judge.receive(now, frame_of({wire::Kind::reports, broker, session, 0, 0}, records...));
    }
    /// The broker's ping; it has the collector's batches up to `acked`.
    void hear_ping(std::uint64_t acked) {
        judge.receive(now, frame_of({wire::Kind::to_collector, broker, kMe, 0, acked}, wire::BrokerPing{1}));
    }
    Sent flush() {
        Sent sent;
        std::vector<curfew::Frame> frames;
        judge.flush(now, frames);
        for (const curfew::Frame& frame : frames) sent.add(frame);
        return sent;
    }
    /// The sink takes all there is, and has it.
    std::vector<OutcomeRecord> write_all() {
        std::vector<OutcomeRecord> all;
        while (OutcomeRecord* outcome = judge.next_outcome()) all.push_back(std::move(*outcome));
        for (const OutcomeRecord& outcome : all) judge.written(outcome.sync, outcome.seq);
        return all;
    }
    std::vector<Seq> written_seqs() {
        std::vector<Seq> seqs;
        for (const OutcomeRecord& outcome : write_all()) seqs.push_back(outcome.seq);
        return seqs;
    }
    [[nodiscard]] std::uint64_t ends(End end) const { return judge.counts().ends[static_cast<std::size_t>(end)]; }

    Judge judge;
    Instant now = kStart;
    Incarnation broker = 1;
    std::uint64_t stream = 0;
    Sent news;
};

}  // namespace curfew::support

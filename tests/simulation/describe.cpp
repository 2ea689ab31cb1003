#include "tests/simulation/describe.h"

#include "common/wire/wire_reader.h"

namespace curfew::simulation {
namespace {

std::string text(const Intervals& list) {
    std::string out = "[";
    for (const Interval& range : list) {
        if (out.size() > 1) out += ' ';
        out += std::to_string(range.first);
        if (range.last != range.first) out += '-' + std::to_string(range.last);
    }
    return out + "]";
}

std::string n(std::uint64_t value) {
    return std::to_string(value);
}

struct Describe {
    std::string operator()(const wire::Task& r) const { return "task " + n(r.seq) + " as #" + n(r.number); }
    std::string operator()(const wire::SharedTasks& r) const {
        std::string out = "tasks from " + n(r.seq) + " on, as";
        for (const wire::Addressee& to : r.to) out += " s" + n(to.session) + "#" + n(to.number);
        return out;
    }
    std::string operator()(const wire::Token& r) const { return "token " + n(r.round); }
    std::string operator()(const wire::Welcome& r) const { return "welcome, hello " + n(r.hello); }
    std::string operator()(const wire::Ping& r) const { return "ping, collector " + n(r.collector); }
    std::string operator()(const wire::Cancel& r) const {
        return "cancel " + text(r.numbers) + " reason " + n(static_cast<std::uint64_t>(r.reason));
    }
    std::string operator()(const wire::Confirm& r) const { return "confirm " + text(r.numbers); }
    std::string operator()(const wire::Resend& r) const { return "resend " + text(r.numbers); }
    std::string operator()(const wire::Recall& r) const { return "recall " + n(r.round) + " " + text(r.numbers); }
    std::string operator()(const wire::Answered& r) const { return "answered s" + n(r.session) + " " + n(r.round); }
    std::string operator()(const wire::Gone&) const { return "gone"; }
    std::string operator()(const wire::Hello& r) const { return "hello " + n(r.hello) + " of " + n(r.worker); }
    std::string operator()(const wire::Heartbeat&) const { return "heartbeat"; }
    std::string operator()(const wire::Report& r) const {
        return "report #" + n(r.number) + " task " + n(r.seq) + " " + std::string(name_of(r.kind));
    }
    std::string operator()(const wire::TokenReport& r) const {
        return "token " + n(r.round) + " of s" + n(r.session) + " received " + text(r.received) + " queued " +
               text(r.queued) + " running " + text(r.running) + " cancelling " + text(r.cancelling) + " reported " +
               text(r.reported);
    }
    std::string operator()(const wire::Bye& r) const { return "bye of s" + n(r.session); }
    std::string operator()(const wire::Sync& r) const {
        std::string out = "sync settled " + text(r.settled);
        for (const auto& w : r.winners)
            out += " winner of " + n(w.seq) + " s" + n(w.attempt.session) + "#" + n(w.attempt.number);
        for (const auto& s : r.sessions) out += " s" + n(s.session) + " ended " + text(s.ended);
        return out + (r.exchange != 0 ? ", an exchange" : "");
    }
    std::string operator()(const wire::BrokerPing&) const { return "broker ping"; }
    std::string operator()(const wire::Admit& r) const { return "admit s" + n(r.session); }
    std::string operator()(const wire::SessionGone& r) const { return "session gone s" + n(r.session); }
    std::string operator()(const wire::Lose& r) const { return "lose s" + n(r.session) + text(r.numbers); }
    std::string operator()(const wire::Verdict& r) const {
        return "verdict " + n(r.seq) + " " + std::string(name_of(r.outcome));
    }
    std::string operator()(const wire::CollectorHello& r) const {
        return "collector hello, settled " + text(r.settled);
    }
    std::string operator()(const wire::Synced& r) const {
        std::string out = "synced" + std::string(r.remembers != 0 ? ", remembers" : "") + " settled " + text(r.settled);
        for (const auto& known : r.decided)
            out += " " + n(known.seq) + " " + std::string(name_of(known.outcome)) + " by s" + n(known.winner.session) +
                   "#" + n(known.winner.number);
        return out;
    }
    std::string operator()(const wire::Decided& r) const {
        return "decided " + n(r.seq) + " by s" + n(r.session) + "#" + n(r.number);
    }
    std::string operator()(const wire::Settled& r) const {
        return "settled " + text(r.seqs) + " " + std::string(name_of(r.outcome));
    }
    std::string operator()(const wire::Ended& r) const {
        return "ended s" + n(r.session) + text(r.numbers) + " " + std::string(name_of(r.end)) +
               (r.returned != 0 ? " (returned)" : "");
    }
    std::string operator()(const wire::Admitted& r) const { return "admitted s" + n(r.session); }
    std::string operator()(const wire::Backlog& r) const { return "backlog " + n(r.bytes); }
    std::string operator()(const wire::Complaint& r) const { return "complaint about s" + n(r.session); }
    std::string operator()(const wire::CollectorPing& r) const { return "collector ping, " + n(r.number); }
    std::string operator()(const wire::Refused& r) const {
        return "refused s" + n(r.session) + " reopened " + text(r.reopened);
    }
};

}  // namespace

std::string describe(std::string_view frame) {
    wire::Reader reader;
    wire::Envelope e;
    using wire::Kind;
    const auto error = reader.open(
        frame, e, {Kind::tasks, Kind::control, Kind::reports, Kind::life, Kind::to_collector, Kind::to_broker});
    if (error != wire::Error::none) return "(malformed)";
    std::string out = "{b" + n(e.broker) + " peer " + n(e.peer) + " n" + n(e.number) + " a" + n(e.acked) + "}";
    const auto rest = reader.each<wire::Record>([&](auto& record) { out += " " + Describe{}(record) + ";"; });
    return rest == wire::Error::none ? out : out + " (malformed)";
}

}  // namespace curfew::simulation

// What the processes say to each other: the records, in one place. docs/protocol.md is the same in prose, with who says
// what when; tests/unit/wire_test.cpp holds golden bytes of each record.
//
// A message is one ZeroMQ frame: an envelope, then records until the end of the frame. Both are msgpack arrays.
// To change a record: append fields, give them a default, raise nothing. Receivers ignore elements that they do not
// know and take the default for those that are missing; a record with fewer elements than kRequired is refused. Types
// and enumerators are never renumbered or reused. What cannot be done so needs a new record type, or a new kVersion.
//
// Tasks that follow each other travel as one record, a run, and so do reports: what they share stands in it once.
// Writer (wire_writer.h) and Reader (wire_reader.h) do that by themselves; all others see tasks and reports.
//
// Views (std::string_view) in a record that was read point into the frame and are valid while it is; copy what is kept.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <variant>
#include <vector>

#include "common/tables/interval_set.h"
#include "common/wire/wire_limits.h"
#include "common/words/vocabulary.h"

namespace curfew::wire {

inline constexpr std::uint8_t kVersion = 1;

/// Bytes of an envelope as it is written: its numbers have a fixed width, so that it can be put before records that are
/// there already.
inline constexpr std::size_t kEnvelopeSize = 48;

/// What stands behind the envelope of a frame that we have written.
[[nodiscard]] inline std::string_view records_of(std::string_view frame) {
    return frame.substr(std::min(frame.size(), kEnvelopeSize));
}

/// Which road a message takes; a message with another kind than its socket expects is refused.
enum class Kind : std::uint8_t {
    tasks = 1,         ///< broker to worker, tasks socket
    control = 2,       ///< broker to worker, control socket
    reports = 3,       ///< worker to collector, results socket
    life = 4,          ///< worker to broker, events socket
    to_collector = 5,  ///< broker to collector, results socket
    to_broker = 6,     ///< collector to broker, events socket
};

struct Envelope {
    Kind kind{};
    Incarnation broker = 0;  ///< the broker's incarnation, as far as the sender knows it; 0: none yet
    std::uint64_t peer =
        0;  ///< tasks, control, reports, life: the session; between broker and collector: the collector's incarnation
    std::uint64_t number = 0;  ///< between broker and collector: number of this batch in its stream; 0: not in it
    std::uint64_t acked = 0;   ///< between broker and collector: batches of the other stream received up to here
};

// ---- broker to worker, tasks ---------------------------------------------------------------------------------------

struct Task {
    static constexpr std::uint8_t kType = 1;
    static constexpr std::size_t kRequired = 8;
    AttemptNumber number = 0;
    Seq seq = 0;
    std::uint32_t ordinal = 1;  ///< 1 for the task's first attempt
    std::uint32_t attempts =
        1;  ///< attempts of the task that have been started, this one and its siblings of the same turn included
    std::int64_t left_us = -1;           ///< time left until the deadline; -1: none
    std::uint64_t age_us = 0;            ///< time since the task was accepted
    std::optional<std::string_view> id;  ///< the sender's id
    std::string_view payload;
    auto fields() { return std::tie(number, seq, ordinal, attempts, left_us, age_us, id, payload); }
};

/// Whom a shared record is for, and as what.
struct Addressee {
    Session session = 0;
    AttemptNumber number = 0;  ///< of the first task
    std::uint32_t ordinal = 1;
    bool operator==(const Addressee&) const = default;
};

/// Attempts of the same tasks at several workers, written once and sent to each of them: the envelope's peer is 0. Read
/// it with a SharedReader.
struct SharedTasks {
    static constexpr std::uint8_t kType = 16;
    static constexpr std::size_t kRequired = 6;
    std::vector<Addressee> to;
    Seq seq = 0;  ///< of the first task
    std::uint32_t attempts = 1;
    std::int64_t left_us = -1;
    std::uint64_t age_us = 0;
    std::string_view items;  ///< as those of a run
    auto fields() { return std::tie(to, seq, attempts, left_us, age_us, items); }
};

/// The token on its first leg.
struct Token {
    static constexpr std::uint8_t kType = 2;
    static constexpr std::size_t kRequired = 1;
    std::uint64_t round = 0;
    auto fields() { return std::tie(round); }
};

// ---- broker to worker, control -------------------------------------------------------------------------------------

/// The answer to a hello. The envelope's peer is the new session.
struct Welcome {
    static constexpr std::uint8_t kType = 3;
    static constexpr std::size_t kRequired = 4;
    Incarnation worker = 0;   ///< whose hello is answered
    std::uint64_t hello = 0;  ///< which of its hellos
    Epoch epoch = 0;
    Incarnation collector = 0;
    auto fields() { return std::tie(worker, hello, epoch, collector); }
};

struct Ping {
    static constexpr std::uint8_t kType = 4;
    static constexpr std::size_t kRequired = 1;
    Incarnation collector = 0;  ///< a new one: send all kept reports again
    std::uint32_t ending = 0;   ///< 1: no task is in flight and none will come; only work that was called home is left
    std::uint64_t stood = 0;    ///< that of the last heartbeat: the session is still in, for a worker that stood still
    auto fields() { return std::tie(collector, ending, stood); }
};

struct Cancel {
    static constexpr std::uint8_t kType = 5;
    static constexpr std::size_t kRequired = 2;
    CancelReason reason = CancelReason::decided;
    Intervals numbers;
    auto fields() { return std::tie(reason, numbers); }
};

/// These reports have arrived and are in the books: forget them.
struct Confirm {
    static constexpr std::uint8_t kType = 6;
    static constexpr std::size_t kRequired = 1;
    Intervals numbers;
    auto fields() { return std::tie(numbers); }
};

/// These reports have not arrived: send them again.
struct Resend {
    static constexpr std::uint8_t kType = 7;
    static constexpr std::size_t kRequired = 1;
    Intervals numbers;
    auto fields() { return std::tie(numbers); }
};

/// Hand back what of these has not begun: each such attempt is reported `returned`, and the answer follows.
struct Recall {
    static constexpr std::uint8_t kType = 17;
    static constexpr std::size_t kRequired = 2;
    std::uint64_t round = 0;  ///< counts the recalls of this session, from 1
    Intervals numbers;
    auto fields() { return std::tie(round, numbers); }
};

/// The envelope's session is over.
struct Gone {
    static constexpr std::uint8_t kType = 8;
    static constexpr std::size_t kRequired = 0;
    auto fields() { return std::tie(); }
};

// ---- worker to broker, events --------------------------------------------------------------------------------------

struct Hello {
    static constexpr std::uint8_t kType = 10;
    static constexpr std::size_t kRequired = 9;
    Incarnation worker = 0;
    std::uint64_t hello = 0;  ///< counts the sessions this life of the worker has asked for, from 1
    std::string_view name;
    std::string_view pool;
    std::uint32_t slots = 0;
    std::uint32_t credit = 0;
    std::uint32_t pid = 0;
    std::string_view tasks;  ///< endpoints that the worker has bound
    std::string_view control;
    std::uint32_t knows_recall = 0;  ///< 1: it answers recalls
    std::uint64_t patience_us = 0;   ///< how long after a cancel its work may go on: grace, and a kill where it can
    std::uint64_t lifeline = 0;      ///< the number of the pipe from launch: by it launch names it; 0: it has none
    auto fields() {
        return std::tie(worker, hello, name, pool, slots, credit, pid, tasks, control, knows_recall, patience_us,
                        lifeline);
    }
};

/// Shows life, whether there is a place to work, and how much to send ahead. The envelope's peer is the session.
struct Heartbeat {
    static constexpr std::uint8_t kType = 11;
    static constexpr std::size_t kRequired = 0;
    /// Those that would start work of this session, or do it now; none: it gets no attempts for now.
    std::uint32_t slots = UINT32_MAX;
    std::uint32_t credit = 0;  ///< from now on; 0: as before
    std::uint64_t stood = 0;   ///< how often this life has stood still for longer than its lease
    auto fields() { return std::tie(slots, credit, stood); }
};

// ---- worker to collector, results ----------------------------------------------------------------------------------

struct Report {
    static constexpr std::uint8_t kType = 12;
    static constexpr std::size_t kRequired = 9;
    AttemptNumber number = 0;
    Seq seq = 0;  ///< 0 when the attempt was cancelled before its task came
    ReportKind kind = ReportKind::ok;
    std::uint32_t ordinal = 1;
    std::uint32_t attempts = 1;
    std::uint64_t latency_us = 0;  ///< from acceptance to this report, transit not counted
    std::optional<std::string_view> id;
    std::string_view error;    ///< why it failed
    std::string_view payload;  ///< the result; of a rejected attempt the message, for the dead letter
    auto fields() { return std::tie(number, seq, kind, ordinal, attempts, latency_us, id, error, payload); }
};

/// The token on its way round: the worker adds what it has received and what it holds, the collector passes it on.
struct TokenReport {
    static constexpr std::uint8_t kType = 13;
    static constexpr std::size_t kRequired = 7;
    Session session = 0;
    std::uint64_t round = 0;
    Intervals received;  ///< numbers that have arrived (or were cancelled before), ever
    Intervals queued;
    Intervals running;
    Intervals cancelling;
    Intervals reported;  ///< sent, and not yet confirmed
    auto fields() { return std::tie(session, round, received, queued, running, cancelling, reported); }
};

/// Behind the reports of a recall: what it named and was not returned has begun. The collector passes it on.
struct Answered {
    static constexpr std::uint8_t kType = 18;
    static constexpr std::size_t kRequired = 2;
    Session session = 0;
    std::uint64_t round = 0;  ///< of the recall; one before it may have been lost
    auto fields() { return std::tie(session, round); }
};

/// The worker leaves: it has ended all that it held. Takes the road of the token, so it comes after the reports.
struct Bye {
    static constexpr std::uint8_t kType = 14;
    static constexpr std::size_t kRequired = 1;
    Session session = 0;
    auto fields() { return std::tie(session); }
};

// ---- broker to collector -------------------------------------------------------------------------------------------

/// A winner whose outcome was not yet known to be settled.
struct Winner {
    Seq seq = 0;
    AttemptId attempt;
};

/// A session as the collector has to know it.
struct Admission {
    Session session = 0;
    std::string_view name;
    std::string_view pool;
    Intervals ended;  ///< numbers whose end is in the broker's books: reports of them are old
};

/// All that a new collector (or one that meets a new broker) has to know. Not in the stream; opens a new one.
struct Sync {
    static constexpr std::uint8_t kType = 20;
    static constexpr std::size_t kRequired = 4;
    Epoch epoch = 0;
    Intervals settled;
    std::vector<Winner> winners;
    std::vector<Admission> sessions;
    std::uint64_t round = 0;  ///< counts the syncs of this broker; a later one begins the pair anew
    auto fields() { return std::tie(epoch, settled, winners, sessions, round); }
};

/// Shows the collector which broker there is. Not in the stream.
struct BrokerPing {
    static constexpr std::uint8_t kType = 21;
    static constexpr std::size_t kRequired = 1;
    Epoch epoch = 0;
    std::uint64_t number = 0;  ///< of the last batch of the stream that was made
    std::uint64_t digest = 0;  ///< of all batches up to there (common/wire/stream.h)
    auto fields() { return std::tie(epoch, number, digest); }
};

struct Admit {
    static constexpr std::uint8_t kType = 22;
    static constexpr std::size_t kRequired = 3;
    Session session = 0;
    std::string_view name;
    std::string_view pool;
    auto fields() { return std::tie(session, name, pool); }
};

/// From here on, refuse this session.
struct SessionGone {
    static constexpr std::uint8_t kType = 23;
    static constexpr std::size_t kRequired = 1;
    Session session = 0;
    auto fields() { return std::tie(session); }
};

/// Nobody can say what became of this attempt: end it `lost`, unless its report has come.
struct Lose {
    static constexpr std::uint8_t kType = 24;
    static constexpr std::size_t kRequired = 2;
    Session session = 0;
    Intervals numbers;
    auto fields() { return std::tie(session, numbers); }
};

/// One line of a task's history, for its dead letter.
struct PastAttempt {
    std::uint32_t ordinal = 0;
    std::string_view worker;
    End end = End::failed;
    std::string_view error;
};

inline constexpr std::uint64_t kNoOffset = UINT64_MAX;

/// This task is given up.
struct Verdict {
    static constexpr std::uint8_t kType = 25;
    static constexpr std::size_t kRequired = 7;
    Seq seq = 0;
    Outcome outcome = Outcome::failed;
    std::optional<std::string_view> id;
    std::string_view error;
    std::uint32_t attempts = 0;
    std::uint64_t latency_us = 0;
    std::vector<PastAttempt> history;
    std::string_view message;
    std::uint64_t refused_number = 0;  ///< not 0: no task, but a message that was refused; its number in the source
    std::uint64_t refused_byte = kNoOffset;  ///< its offset in the source; kNoOffset: it has none
    std::uint64_t refused_size = 0;          ///< its bytes; `message` has the first of them
    auto fields() {
        return std::tie(seq, outcome, id, error, attempts, latency_us, history, message, refused_number, refused_byte,
                        refused_size);
    }
};

// ---- collector to broker -------------------------------------------------------------------------------------------

/// The collector's hello, repeated until the Sync comes. Not in the stream.
struct CollectorHello {
    static constexpr std::uint8_t kType = 30;
    static constexpr std::size_t kRequired = 2;
    Epoch epoch = 0;             ///< of the settled set; 0: none
    Intervals settled;           ///< not in use: empty
    std::uint64_t round = 0;     ///< of the sync that it has; not 0: a batch cannot be read, and it wants another sync
    std::uint64_t bad_type = 0;  ///< of the record that cannot be read, and what names it
    std::uint64_t bad_key = 0;
    auto fields() { return std::tie(epoch, settled, round, bad_type, bad_key); }
};

/// The Sync has been taken over.
struct Synced {
    static constexpr std::uint8_t kType = 31;
    static constexpr std::size_t kRequired = 0;
    auto fields() { return std::tie(); }
};

/// Tasks are decided: `seq` by this attempt, or, if its session is 0, by a verdict; `count - 1` more tasks, each `step`
/// behind the one before, by the attempts that follow.
struct Decided {
    static constexpr std::uint8_t kType = 32;
    static constexpr std::size_t kRequired = 3;
    Seq seq = 0;
    Session session = 0;
    AttemptNumber number = 0;
    std::uint64_t count = 1;
    std::uint64_t step = 1;
    auto fields() { return std::tie(seq, session, number, count, step); }
};

/// The sink has the outcome of these tasks.
struct Settled {
    static constexpr std::uint8_t kType = 33;
    static constexpr std::size_t kRequired = 2;
    Outcome outcome = Outcome::completed;
    Intervals seqs;
    auto fields() { return std::tie(outcome, seqs); }
};

/// These attempts have come to their end (never `won`: a winner ends when its task settles).
struct Ended {
    static constexpr std::uint8_t kType = 34;
    static constexpr std::size_t kRequired = 3;
    Session session = 0;
    End end = End::late;
    Intervals numbers;
    std::string_view error;
    std::uint32_t returned = 0;  ///< 1: they had not begun, and are to be placed elsewhere
    auto fields() { return std::tie(session, end, numbers, error, returned); }
};

/// The session's records are taken from now on.
struct Admitted {
    static constexpr std::uint8_t kType = 35;
    static constexpr std::size_t kRequired = 1;
    Session session = 0;
    auto fields() { return std::tie(session); }
};

/// The session's records are refused from now on. Tasks that it had won, whose result the collector never got, are open
/// again.
struct Refused {
    static constexpr std::uint8_t kType = 36;
    static constexpr std::size_t kRequired = 2;
    Session session = 0;
    Intervals reopened;
    auto fields() { return std::tie(session, reopened); }
};

/// How many bytes of outcomes wait for the sink. Said when it has changed by much.
struct Backlog {
    static constexpr std::uint8_t kType = 37;
    static constexpr std::size_t kRequired = 1;
    std::uint64_t bytes = 0;
    auto fields() { return std::tie(bytes); }
};

/// This session's worker has sent records that cannot be read, again and again.
struct Complaint {
    static constexpr std::uint8_t kType = 38;
    static constexpr std::size_t kRequired = 2;
    Session session = 0;
    std::string_view what;  ///< which record and which field, for the log
    auto fields() { return std::tie(session, what); }
};

/// The answer to a broker's ping: the same of the other stream. Not in the stream.
struct CollectorPing {
    static constexpr std::uint8_t kType = 39;
    static constexpr std::size_t kRequired = 2;
    std::uint64_t number = 0;
    std::uint64_t digest = 0;
    auto fields() { return std::tie(number, digest); }
};

// ---- frames --------------------------------------------------------------------------------------------------------

using Record =
    std::variant<Task, SharedTasks, Token, Welcome, Ping, Cancel, Confirm, Resend, Recall, Gone, Hello, Heartbeat,
                 Report, TokenReport, Answered, Bye, Sync, BrokerPing, Admit, SessionGone, Lose, Verdict,
                 CollectorHello, Synced, Decided, Settled, Ended, Admitted, Refused, Backlog, Complaint, CollectorPing>;

}  // namespace curfew::wire

// The records of work: what broker and worker say to each other, and what a worker tells the
// collector. common/wire/wire.h says how a record is changed, docs/protocol.md what each of them
// means.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <tuple>
#include <vector>

#include "common/tables/interval_set.h"
#include "common/words/vocabulary.h"

namespace curfew::wire {

// ---- broker to worker, tasks -------------------------------------------------------------------

struct Task {
    static constexpr std::uint8_t kType = 1;
    static constexpr std::size_t kRequired = 8;
    AttemptNumber number = 0;
    Seq seq = 0;
    std::uint32_t ordinal = 1;  ///< 1 for the task's first attempt
    std::uint32_t attempts =
        /// Attempts of the task that have been started, this one and its siblings of the same turn
        /// included.
        1;
    std::int64_t left_us = -1;           ///< time left until the deadline; -1: none
    std::uint64_t age_us = 0;            ///< time since the task was accepted
    std::optional<std::string_view> id;  ///< the sender's id
    std::string_view payload;
    /// What else the sender said (message_properties.h); none: the field is not written.
    std::optional<std::string_view> properties = std::nullopt;
    auto plain_fields() { return std::tie(number, seq, ordinal, attempts, left_us, age_us, id, payload); }
    auto fields() { return std::tuple_cat(plain_fields(), std::tie(properties)); }
};

/// Whom a shared record is for, and as what.
struct Addressee {
    Session session = 0;
    AttemptNumber number = 0;  ///< of the first task
    std::uint32_t ordinal = 1;
    bool operator==(const Addressee&) const = default;
};

/// Attempts of the same tasks at several workers, written once and sent to each of them: the
/// envelope's peer is 0. Read it with a SharedReader.
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

// ---- broker to worker, control -----------------------------------------------------------------

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
    /// 1: no task is in flight and none will come; only work that was called home is left.
    std::uint32_t ending = 0;
    /// That of the last heartbeat: the session is still in, for a worker that stood still.
    std::uint64_t stood = 0;
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

/// Hand back what of these has not begun: each such attempt is reported `returned`, and the answer
/// follows.
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

// ---- worker to broker, events ------------------------------------------------------------------

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
    /// How long after a cancel its work may go on: grace, and a kill where it can.
    std::uint64_t patience_us = 0;
    /// The number of the pipe from launch: by it launch names it; 0: it has none.
    std::uint64_t lifeline = 0;
    /// The most attempts of one task that it takes at a time; 0: one.
    std::uint32_t together = 0;
    auto fields() {
        return std::tie(worker, hello, name, pool, slots, credit, pid, tasks, control, knows_recall, patience_us,
                        lifeline, together);
    }
};

/// Shows life, whether there is a place to work, and how much to send ahead. The envelope's peer is
/// the session.
struct Heartbeat {
    static constexpr std::uint8_t kType = 11;
    static constexpr std::size_t kRequired = 0;
    /// Those that would start work of this session, or do it now; none: it gets no attempts for
    /// now.
    std::uint32_t slots = UINT32_MAX;
    std::uint32_t credit = 0;  ///< from now on; 0: as before
    std::uint64_t stood = 0;   ///< how often this life has stood still for longer than its lease
    auto fields() { return std::tie(slots, credit, stood); }
};

// ---- worker to collector, results --------------------------------------------------------------

/// How the work of an attempt went: of a worker that was told to say so (--report full).
struct WorkDetails {
    std::uint64_t began_us = 0;  ///< by the worker's wall clock, since 1970; 0: not known
    std::uint64_t run_us = 0;    ///< how long its work ran
    /// Its process ended with this code, and one; 0: a signal ended it, or there was no process.
    std::uint32_t exited = 0;
    std::uint32_t signal = 0;        ///< that ended its process; 0: none did
    std::uint64_t stderr_bytes = 0;  ///< that it wrote there
    std::string_view errors;         ///< the last of them, at most limits::kStderrBytes
    std::string_view message;        ///< of an ok attempt
    bool operator==(const WorkDetails&) const = default;
};

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
    std::string_view error;  ///< why it failed
    /// The result; of a rejected attempt the message, for the dead letter.
    std::string_view payload;
    /// None of these two: they are not written.
    std::optional<WorkDetails> details = std::nullopt;
    std::optional<std::string_view> properties = std::nullopt;  ///< as those of the task
    auto plain_fields() { return std::tie(number, seq, kind, ordinal, attempts, latency_us, id, error, payload); }
    auto fields() { return std::tuple_cat(plain_fields(), std::tie(details, properties)); }
};

/// The token on its way round: the worker adds what it has received and what it holds, the
/// collector passes it on.
struct TokenReport {
    static constexpr std::uint8_t kType = 13;
    static constexpr std::size_t kRequired = 7;
    Session session = 0;
    std::uint64_t round = 0;
    Intervals received;  ///< that have arrived (or were cancelled before), ever; read by nobody
    Intervals queued;
    Intervals running;
    Intervals cancelling;
    Intervals reported;  ///< sent, and not yet confirmed
    auto fields() { return std::tie(session, round, received, queued, running, cancelling, reported); }
};

/// Behind the reports of a recall: what it named and was not returned has begun. The collector
/// passes it on.
struct Answered {
    static constexpr std::uint8_t kType = 18;
    static constexpr std::size_t kRequired = 2;
    Session session = 0;
    std::uint64_t round = 0;  ///< of the recall; one before it may have been lost
    auto fields() { return std::tie(session, round); }
};

/// The worker leaves: it has ended all that it held. Takes the road of the token, so it comes after
/// the reports.
struct Bye {
    static constexpr std::uint8_t kType = 14;
    static constexpr std::size_t kRequired = 1;
    Session session = 0;
    auto fields() { return std::tie(session); }
};

}  // namespace curfew::wire

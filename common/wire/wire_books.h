// The records of the books: what broker and collector say to each other. Most of them travel in the
// two streams (common/wire/stream.h). common/wire/wire.h says how a record is changed,
// docs/protocol.md what each of them means.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <tuple>
#include <vector>

#include "common/tables/interval_set.h"
#include "common/words/vocabulary.h"

namespace curfew::wire {

// ---- broker to collector -----------------------------------------------------------------------

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

/// All that a new collector (or one that meets a new broker) has to know. Not in the stream; opens
/// a new one.
struct Sync {
    static constexpr std::uint8_t kType = 20;
    static constexpr std::size_t kRequired = 4;
    Epoch epoch = 0;
    Intervals settled;
    std::vector<Winner> winners;
    std::vector<Admission> sessions;
    std::uint64_t round = 0;  ///< counts the syncs of this broker; a later one begins the pair anew
    /// 1: what the collector has of this epoch stays; 2: and this life has taken no message yet;
    /// 3: and it is to hear which of them did not complete.
    std::uint64_t exchange = 0;
    Seq last = 0;           ///< no number above it has been given to a message in this life
    Intervals passed = {};  ///< not of this epoch: an earlier one has settled them
    auto fields() { return std::tie(epoch, settled, winners, sessions, round, exchange, last, passed); }
};

/// Shows the collector which broker there is. Not in the stream.
struct BrokerPing {
    static constexpr std::uint8_t kType = 21;
    static constexpr std::size_t kRequired = 1;
    std::uint64_t reserved = 0;
    std::uint64_t number = 0;  ///< of the last batch of the stream that was made
    std::uint64_t digest = 0;  ///< of all batches up to there (common/wire/stream.h)
    auto fields() { return std::tie(reserved, number, digest); }
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
    /// Not 0: no task, but a message that was refused; its number in the source.
    std::uint64_t refused_number = 0;
    /// its offset in the source; kNoOffset: it has none
    std::uint64_t refused_byte = kNoOffset;
    /// its bytes; `message` has the first of them
    std::uint64_t refused_size = 0;
    std::optional<std::string_view> properties = std::nullopt;  ///< as those of the task
    /// 1: no sink is given it: another group has the message, and says its outcome.
    std::uint32_t unsaid = 0;
    auto fields() {
        return std::tie(seq, outcome, id, error, attempts, latency_us, history, message, refused_number, refused_byte,
                        refused_size, properties, unsaid);
    }
};

// ---- collector to broker -----------------------------------------------------------------------

/// The collector's hello, repeated until the Sync comes. Not in the stream.
struct CollectorHello {
    static constexpr std::uint8_t kType = 30;
    static constexpr std::size_t kRequired = 2;
    Epoch epoch = 0;    ///< of the settled set; 0: none
    Intervals settled;  ///< not in use: empty
    /// Of the sync that it has; not 0: a batch cannot be read, and it wants another sync.
    std::uint64_t round = 0;
    std::uint64_t bad_type = 0;  ///< of the record that cannot be read, and what names it
    std::uint64_t bad_key = 0;
    auto fields() { return std::tie(epoch, settled, round, bad_type, bad_key); }
};

/// How a task ended, as far as the collector knows.
struct KnownEnd {
    Seq seq = 0;
    Outcome outcome = Outcome::completed;
    AttemptId winner;  ///< session 0: a verdict, or a winner of an earlier life of the broker
};

/// The Sync has been taken over. What the collector has of the epoch.
struct Synced {
    static constexpr std::uint8_t kType = 31;
    static constexpr std::size_t kRequired = 0;
    Intervals settled;
    /// Decided and not settled yet; and, for a broker that has tasks, settled, where it may not
    /// know how.
    std::vector<KnownEnd> decided;
    std::uint64_t remembers = 0;      ///< 1: the sink knows over a restart what it has
    std::uint64_t not_completed = 0;  ///< of what has settled: so many, as far as it is known there
    Intervals failed = {};            ///< those, where the sync asked for them
    auto fields() { return std::tie(settled, decided, remembers, not_completed, failed); }
};

/// Tasks are decided: `seq` by this attempt, or, if its session is 0, by a verdict; `count - 1`
/// more tasks, each `step` behind the one before, by the attempts that follow.
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

/// The session's records are refused from now on. Tasks that it had won, whose result the collector
/// never got, are open again.
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

}  // namespace curfew::wire

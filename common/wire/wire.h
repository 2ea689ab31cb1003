// What the processes say to each other: the envelope, and which records travel on which road. The
// records are in wire_work.h and wire_books.h. docs/protocol.md is the same in prose, with who says
// what when; tests/unit/wire_test.cpp holds golden bytes of each record.
//
// A message is one ZeroMQ frame: an envelope, then records until the end of the frame. Both are
// msgpack arrays. To change a record: append fields, give them a default, raise nothing. Receivers
// ignore elements that they do not know and take the default for those that are missing; a record
// with fewer elements than kRequired is refused. Types and enumerators are never renumbered or
// reused. What cannot be done so needs a new record type, or a new kVersion.
//
// Tasks that follow each other travel as one record, a run, and so do reports: what they share
// stands in it once. Writer (wire_writer.h) and Reader (wire_reader.h) do that by themselves; all
// others see tasks and reports.
//
// Views (std::string_view) in a record that was read point into the frame and are valid while it
// is; copy what is kept.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string_view>
#include <variant>

#include "common/wire/wire_books.h"
#include "common/wire/wire_limits.h"
#include "common/wire/wire_work.h"
#include "common/words/vocabulary.h"

namespace curfew::wire {

inline constexpr std::uint8_t kVersion = 1;

/// Bytes of an envelope as it is written: its numbers have a fixed width, so that it can be put
/// before records that are there already.
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
    /// The broker's incarnation, as far as the sender knows it; 0: none yet.
    Incarnation broker = 0;
    std::uint64_t peer =
        /// Tasks, control, reports, life: the session; between broker and collector: the
        /// collector's incarnation.
        0;
    /// Between broker and collector: number of this batch in its stream; 0: not in it.
    std::uint64_t number = 0;
    /// Between broker and collector: batches of the other stream received up to here.
    std::uint64_t acked = 0;
};

/// What may stand in a frame, by its road. A reader passes over a record that has strayed here, and
/// counts it.
namespace road {

using Tasks = std::variant<Task, SharedTasks, Token>;
using Control = std::variant<Welcome, Ping, Cancel, Confirm, Resend, Recall, Gone>;
using Life = std::variant<Hello, Heartbeat>;
using Reports = std::variant<Report, TokenReport, Answered, Bye>;
/// Batches of the broker's stream, and what goes beside it.
using ToCollector = std::variant<Admit, SessionGone, Lose, Verdict>;
using BesideToCollector = std::variant<Sync, BrokerPing>;
/// Batches of the collector's stream, and what goes beside it.
using ToBroker =
    std::variant<Synced, Decided, Settled, Ended, Admitted, Refused, TokenReport, Answered, Bye, Backlog, Complaint>;
using BesideToBroker = std::variant<CollectorHello, CollectorPing>;

}  // namespace road

/// All there are: what a tool reads that looks at frames of any road.
using Record =
    std::variant<Task, SharedTasks, Token, Welcome, Ping, Cancel, Confirm, Resend, Recall, Gone, Hello, Heartbeat,
                 Report, TokenReport, Answered, Bye, Sync, BrokerPing, Admit, SessionGone, Lose, Verdict,
                 CollectorHello, Synced, Decided, Settled, Ended, Admitted, Refused, Backlog, Complaint, CollectorPing>;

}  // namespace curfew::wire

// The words of the project as types: ids, ends, outcomes, states. Everything else, the wire
// included, is written in these.
//
// Pure: no I/O, no clock. The numbers behind the enumerators are on the wire (docs/protocol.md):
// append, never renumber.
#pragma once

#include <chrono>
#include <compare>
#include <cstdint>
#include <string_view>

namespace curfew {

/// A time of the one clock inside (common/process/clock.h): monotonic, and it stands while the
/// process does. In the simulation it is virtual. No instant ever crosses a process.
using Instant = std::chrono::steady_clock::time_point;
using Duration = std::chrono::steady_clock::duration;

/// "No deadline": far enough that it is never reached, near enough that arithmetic on it does not
/// overflow.
inline constexpr Instant kNever = Instant::max();

/// Number of a task: dense from 1 within an epoch.
using Seq = std::uint64_t;
/// One admission of a worker by a broker: dense from 1 within an incarnation of the broker. 0:
/// none.
using Session = std::uint64_t;
/// Number of an attempt within its session: dense from 1. 0: none.
using AttemptNumber = std::uint64_t;
/// One life of a process; of two lives of the same process the newer has the greater number.
using Incarnation = std::uint64_t;
/// One life of the numbering of tasks: a random number from 1 to 2^63 - 1. It has no order.
using Epoch = std::uint64_t;

/// An attempt's name everywhere.
struct AttemptId {
    Session session = 0;
    AttemptNumber number = 0;
    auto operator<=>(const AttemptId&) const = default;
};

/// How an attempt finished. Every attempt has exactly one.
enum class End : std::uint8_t { won = 1, late = 2, cancelled = 3, failed = 4, expired = 5, lost = 6 };
inline constexpr int kEnds = 6;

/// How a task finished. Only the collector decides and settles, each once.
enum class Outcome : std::uint8_t { completed = 1, failed = 2, expired = 3, cancelled = 4 };
inline constexpr int kOutcomes = 4;

/// Where a live attempt is. See broker/ledger.h for the moves at the broker, worker/attempts.h for
/// those at the worker.
enum class AttemptState : std::uint8_t { queued = 1, running = 2, cancelling = 3, reported = 4 };

/// Why an attempt is called home. `decided` drops a finished result wherever it waits, `deadline`
/// never does; `lost` says that the books have closed on it: stop it, and say nothing.
enum class CancelReason : std::uint8_t { decided = 1, deadline = 2, lost = 3 };

/// What a worker says of an attempt that is over.
enum class ReportKind : std::uint8_t {
    ok = 1,         ///< finished with a result
    late = 2,       ///< finished, but its result was dropped on a cancel
    failed = 3,     ///< finished without an acceptable result; another attempt may do better
    rejected = 4,   ///< the work says that no other attempt will do better
    cancelled = 5,  ///< stopped by a cancel
    expired = 6,    ///< stopped by the deadline
    /// Recalled, or handed back, before its work had begun; it ends `cancelled`, and counts as
    /// moved.
    returned = 7,
};
inline constexpr int kReportKinds = 7;

[[nodiscard]] std::string_view name_of(End end);
[[nodiscard]] std::string_view name_of(Outcome outcome);
[[nodiscard]] std::string_view name_of(AttemptState state);
[[nodiscard]] std::string_view name_of(CancelReason reason);
[[nodiscard]] std::string_view name_of(ReportKind kind);

}  // namespace curfew

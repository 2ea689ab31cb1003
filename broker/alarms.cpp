#include "broker/alarms.h"

#include <cstdint>
#include <string>

namespace curfew {

void Alarms::say(Instant now, Dispatcher& dispatcher) {
    say_who_is_refused(now, dispatcher);
    say_what_is_missing(now, dispatcher);
}

void Alarms::say_who_is_refused(Instant now, Dispatcher& dispatcher) {
    const Dispatcher::Counts& counts = dispatcher.counts();
    log::malformed(malformed_log_, now, counts.malformed - counts.hellos_malformed);
    if (const std::string complaint = dispatcher.take_complaint(); !complaint.empty() && complaint_log_.now(now))
        log::error("peer_wrong what={} workers_refused={}", log::quoted(complaint), counts.workers_refused);
    if (const std::uint64_t more = hello_log_.grown(now, counts.hellos_malformed))
        log::warn("hellos_refused count={} worker={} wrong={}", more, log::quoted(dispatcher.wrong_hello().name),
                  log::quoted(dispatcher.wrong_hello().what));
    if (const std::uint64_t more = put_off_log_.grown(now, counts.hellos_put_off))
        log::info("hellos_put_off count={} reason=\"as many sessions as may be are not ready yet\"", more);
}

/// It waits, and says so: for a collector, or for a worker.
void Alarms::say_what_is_missing(Instant now, const Dispatcher& dispatcher) {
    const bool collector_missing = !dispatcher.collector_synced() || dispatcher.collector_silent(now);
    if (!collector_missing && dispatcher.roster().ready() > 0) {
        waiting_since_ = kNever;
        return;
    }
    if (waiting_since_ == kNever) waiting_since_ = now;
    if (now - waiting_since_ < std::chrono::seconds(2) || dispatcher.drained() || !missing_log_.now(now)) return;
    log::warn("waiting for={} tasks_in_flight={}", collector_missing ? "collector" : "workers",
              dispatcher.ledger().tasks_in_flight());
}

}  // namespace curfew

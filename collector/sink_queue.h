// Outcomes on their way to the sink: in the order in which they were decided, or with --keep-order
// in that of the messages. Each is handed out once. Pure. Memory: the results of tasks that are
// decided and not yet written, bounded by the broker's window and by what the backlog tells it.
#pragma once

#include <boost/container/deque.hpp>
#include <cstdint>
#include <map>
#include <optional>

#include "collector/outcome_record.h"
#include "common/tables/interval_set.h"

namespace curfew {

class SinkQueue {
public:
    explicit SinkQueue(bool keep_order) : keep_order_(keep_order) {}

    /// Where the outcome of this task waits. To be filled in, then put_in() before anything else.
    [[nodiscard]] OutcomeRecord& add(Seq seq) { return keep_order_ ? held_[seq] : for_sink_.emplace_back(); }
    /// It is complete, and waits its turn; `settled`: the tasks that nobody waits for.
    void put_in(Seq seq, const IntervalSet& settled);
    [[nodiscard]] Bytes keep(std::string_view result) { return results_.keep(result); }

    /// The next outcome, null if there is none now; it is there until the next call of anything.
    [[nodiscard]] OutcomeRecord* next();

    /// So many bytes of outcomes are with the sinks, and not yet written.
    void set_sink_bytes(std::uint64_t bytes) { sink_bytes_ = bytes; }
    /// Bytes of outcomes that wait: for the sinks, or for those before them.
    [[nodiscard]] std::uint64_t waiting_bytes() const { return sink_bytes_ + held_bytes_; }
    /// What the broker is to be told of that: the first time after a clear() when `complete`, later
    /// when it has changed by the larger of an eighth and a megabyte, or nothing waits any more.
    /// None: nothing new.
    [[nodiscard]] std::optional<std::uint64_t> take_backlog(bool complete);

    /// More has settled than was put in here.
    void go_on(const IntervalSet& settled) {
        if (keep_order_) release(settled);
    }
    /// A broker is to be told of the backlog that does not know it.
    void say_backlog_again() { backlog_due_ = true; }
    /// All begins anew: what was not handed out is decided again, or its task is open.
    void clear();

private:
    void release(const IntervalSet& settled);

    /// A std::deque would take memory for each record anew.
    using InBlocks = boost::container::deque_options_t<boost::container::block_size<64>>;

    const bool keep_order_;
    ByteStore results_;
    boost::container::deque<OutcomeRecord, void, InBlocks> for_sink_;
    bool first_is_handed_out_ = false;   // of for_sink_: it goes when the next is asked for
    std::map<Seq, OutcomeRecord> held_;  // decided before one that was accepted earlier
    std::uint64_t held_bytes_ = 0;       // of those
    Seq next_in_order_ = 1;
    std::uint64_t sink_bytes_ = 0;
    std::uint64_t told_backlog_ = 0;
    bool backlog_due_ = false;  // nothing of it was said since all began anew
};

}  // namespace curfew

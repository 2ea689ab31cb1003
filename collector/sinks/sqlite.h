// A database of SQLite as a sink: a table with a row for each outcome, once, whatever was killed
// (outcome_table.h). It can be read while it is written, and locks out other collectors.
//
//     put --> rows --given over--> one transaction (table_writer.h) --committed--> said
//                                       (SyncMode::always: and on the disk)
//
// What comes while a transaction is under way is the next one: so it has few rows when it is quiet
// and many when it is busy. A lock of another program and a full disk are waited for.
//
// A second outcome of the same task is not written, and counts as what is there.
//
// Memory: what waits, and the numbers of what the judge has forgotten while it waited. What it has,
// it reads at its start and does not keep.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "collector/sinks/disk_space.h"
#include "collector/sinks/locked_file.h"
#include "collector/sinks/outcome_rows.h"
#include "collector/sinks/sink.h"
#include "collector/sinks/sync_pace.h"
#include "collector/sinks/syncer.h"
#include "collector/sinks/table_writer.h"
#include "common/tables/interval_set.h"

namespace curfew {

class SqliteSink final : public Sink {
public:
    /// Makes the file where there is none. Throws Unusable where it is no database of curfew's, is
    /// damaged, or somebody else has it; std::system_error.
    SqliteSink(const std::string& path, SyncMode sync);

    std::optional<Settled::Memory> take_memory() override { return std::exchange(memory_, std::nullopt); }
    void put(const OutcomeRecord& outcome) override { rows_.put(outcome); }
    void flush(Instant now, Written& written) override;
    /// Nothing: what was put is written, and counts when it comes again.
    void forget_waiting() override;
    [[nodiscard]] bool has(Epoch epoch, Seq seq) const override {
        return epoch == kept_.epoch && kept_.seqs.contains(seq);
    }
    void wait_for(Poller& poller) override;
    bool close(Instant now, Instant until) override;
    [[nodiscard]] Instant next_deadline() const override;
    [[nodiscard]] std::size_t waiting() const override { return rows_.rows().size() + given_.rows().size(); }
    [[nodiscard]] std::size_t waiting_bytes() const override { return rows_.bytes() + given_.bytes(); }
    [[nodiscard]] std::uint64_t bytes() const override { return bytes_; }
    [[nodiscard]] std::uint64_t uncertain() const override {
        return syncer_ != nullptr ? committed_ - syncer_->known() : 0;
    }
    [[nodiscard]] std::string_view waits_for() const override;

private:
    struct Kept {
        Epoch epoch = 0;
        IntervalSet seqs;
    };
    void say_committed(Written& written);
    void say_wait(Instant now, TableWriter::WaitsFor what);
    /// All of which a sync was asked for is on the disk. Throws std::system_error.
    [[nodiscard]] bool is_synced();

    const std::string name_;  // for the log
    // To be closed last: SQLite loses its own locks when any descriptor of the file is closed
    LockedFile file_;
    DiskSpace space_;
    SaidWait lock_;
    OutcomeRows rows_, given_;  // the next transaction, and the one that is under way
    TableWriter writer_;
    std::unique_ptr<Syncer> syncer_;  // of the WAL; null unless each second
    std::optional<Settled::Memory> memory_;
    std::uint64_t committed_ = 0;  // outcomes, ever
    std::uint64_t bytes_ = 0;      // of those
    Kept kept_;                    // what waited when the judge began anew
    std::uint64_t transactions_ = 0;
    SyncPace pace_;
    bool closed_ = false;
};

}  // namespace curfew

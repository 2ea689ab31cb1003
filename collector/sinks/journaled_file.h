// A file that knows over a restart which outcomes it has: each of them once, whatever was killed.
// Beside it lies its journal (journal.h). Both are locked as long as the sink is open.
//
//     put --> formatted --written--> in the output --written--> in the journal --synced--> said
//                                                                                (Sync::always)
//
// At its start it is cut to what output and journal agree on: what one of them has and the other
// has not is done again (what is cut off the output is kept in PATH.cut). It has an outcome of a
// number once: a second one of the same epoch is not written, and counts as what is there.
//
// Memory: what waits, and the set of numbers that it has.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>

#include "collector/sinks/disk_space.h"
#include "collector/sinks/journal.h"
#include "collector/sinks/sink.h"
#include "collector/sinks/sync_pace.h"
#include "collector/sinks/syncer.h"
#include "collector/sinks/written_file.h"
#include "common/tables/interval_set.h"

namespace curfew {

class JournaledFile final : public Sink {
public:
    struct Place {
        std::string path;
        std::string journal;
        SyncMode sync = SyncMode::each_second;
        std::string_view header{};  ///< what the output begins with
    };
    /// Throws Unusable where the two are not of one run, are damaged, or somebody else has them;
    /// std::system_error.
    JournaledFile(const Place& place, Format format);

    std::optional<Settled::Memory> take_memory() override { return std::exchange(memory_, std::nullopt); }
    void put(const OutcomeRecord& outcome) override;
    void flush(Instant now, Written& written) override;
    /// Nothing: what was put is written, and counts when it comes again.
    void forget_waiting() override {}
    [[nodiscard]] bool has(Epoch epoch, Seq seq) const override { return epoch == epoch_ && has_.contains(seq); }
    void wait_for(Poller& poller) override;
    bool close(Instant now, Instant until) override;
    [[nodiscard]] Instant next_deadline() const override;
    [[nodiscard]] std::size_t waiting() const override { return pending_.size(); }
    [[nodiscard]] std::size_t waiting_bytes() const override { return output_.end() - output_.written(); }
    [[nodiscard]] std::uint64_t bytes() const override { return output_.written() - began_at_; }
    [[nodiscard]] std::uint64_t uncertain() const override {
        return place_.sync == SyncMode::each_second ? journaled_ - syncer_->known() : 0;
    }
    [[nodiscard]] std::string_view waits_for() const override { return space_.waits() ? "space" : ""; }

private:
    struct Pending {
        JournalRecord record;
        std::uint64_t sync = 0;
        bool is_said = true;      ///< it is an outcome, to be said
        bool is_recorded = true;  ///< it has a record of its own; else its number was there
    };
    [[nodiscard]] static Place made_sure(const Place& place);
    [[nodiscard]] std::uint64_t done();
    void begin();
    [[nodiscard]] std::uint64_t begun() const;
    void check_head() const;
    [[nodiscard]] std::uint64_t set_aside(const WrittenFile& file, std::uint64_t from) const;
    [[nodiscard]] std::uint64_t sound_end() const;
    [[nodiscard]] std::uint64_t read_journal(std::uint64_t size);
    void refuse_damage_in_between(std::uint64_t at, std::uint64_t size) const;
    void begin_epoch(Epoch epoch);
    void write_all(Instant now);
    void say_up_to(std::uint64_t count, Written& written);

    const Place place_;
    const Format format_;
    WrittenFile output_, journal_;
    DiskSpace space_;
    std::unique_ptr<Syncer> syncer_;  // null: Sync::never
    std::optional<Settled::Memory> memory_;
    JournalRecord last_;  // of the journal
    Epoch epoch_ = 0;
    IntervalSet has_;              // of that epoch, or waits
    std::deque<Pending> pending_;  // in their order
    std::size_t recorded_ = 0;     // so many of them, from the first on, are given to the journal
    std::uint64_t journaled_ = 0;  // entries that it has, ever
    std::uint64_t said_ = 0;       // entries that are gone, ever
    std::uint64_t began_at_ = 0;
    SyncPace pace_;
};

}  // namespace curfew

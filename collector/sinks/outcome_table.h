// The table `outcomes` of a database: a row for each task, once. docs/protocol.md has its columns.
//
//     rows --transaction--> in the WAL (PATH-wal) --make_room()--> in the file
//
// A commit appends to the WAL, which readers read beside the file, so nobody who looks holds up who
// writes. With SyncMode::always a commit returns when the disk has it. The table's own order
// (`written`) is that of the commits, so a reader who knows the last number that he has seen knows
// what is new.
//
// 64-bit numbers without a sign stand as those with one of the same bits, as SQLite has no others:
// epochs of curfew's own brokers and all numbers that can be counted to are below 2^63.
//
// One thread at a time.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "collector/settled.h"
#include "collector/sinks/database.h"
#include "collector/sinks/outcome_rows.h"
#include "collector/sinks/syncer.h"

namespace curfew {

inline constexpr std::int64_t kOutcomesId = 0x63757266;  // "curf": of a database, application_id
inline constexpr std::int64_t kOutcomesSchema = 1;       // user_version

class OutcomeTable {
public:
    /// Opens a file that is there, and makes the table where there is nothing in it. What it then
    /// says to have is on the disk (unless SyncMode::never). Throws Unusable.
    OutcomeTable(const std::string& path, SyncMode sync);
    ~OutcomeTable();
    OutcomeTable(const OutcomeTable&) = delete;
    OutcomeTable& operator=(const OutcomeTable&) = delete;

    /// What it has of the epoch that was written last. Throws Unusable.
    [[nodiscard]] Settled::Memory memory();

    /// One transaction. A row whose key is there is passed over. Throws DatabaseError, and then
    /// nothing of it is there.
    void write(const OutcomeRows& rows);
    /// Moves what has been committed out of the WAL, where it is much. Throws DatabaseError.
    void make_room();
    /// Something could not be written, and what is there is not known: nothing is moved any more.
    void give_up();

    /// Of the WAL: what was committed is on the disk when this is synced. -1: SyncMode::never.
    [[nodiscard]] int wal() const { return wal_; }

private:
    void begin(SyncMode sync);
    void check_what_it_is();
    void make();
    void put_on_disk();
    void insert(const OutcomeRows& rows, const OutcomeRows::Row& row);

    const std::string path_;
    Database database_;
    std::optional<Statement> begin_, insert_, commit_;
    int wal_ = -1;
    int wal_pages_ = 0;  // after the last commit
};

/// Whether bytes can stand as TEXT: they are UTF-8 without a NUL, at which many readers would end.
[[nodiscard]] bool is_text(std::string_view bytes);

}  // namespace curfew

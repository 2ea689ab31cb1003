#include "collector/sinks/outcome_table.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <bit>
#include <cerrno>
#include <cstring>

#include "collector/sinks/locked_file.h"
#include "common/process/locked_file.h"
#include "common/process/log.h"
#include "common/process/options.h"
#include "common/tables/interval_set.h"
#include "common/words/exit_code.h"

namespace curfew {
namespace {

using namespace std::chrono_literals;

/// At the start: another program may be on its way out.
constexpr Duration kPatience = 2s;
/// Later: whoever waits for more says so meanwhile.
constexpr Duration kWait = 20ms;
// Of the WAL: from so many on what is committed is moved, and from so many on it is waited for
// readers, who else would let it grow
constexpr int kManyPages = 2000, kTooManyPages = 16 * kManyPages;

constexpr const char* kMake = R"(
CREATE TABLE outcomes(
    written INTEGER PRIMARY KEY,
    epoch INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    id,
    outcome TEXT NOT NULL,
    result,
    error,
    worker,
    pool,
    attempt INTEGER,
    attempts INTEGER NOT NULL,
    latency_us INTEGER NOT NULL,
    history,
    refused,
    message,
    UNIQUE(epoch, seq)
);
CREATE INDEX not_completed ON outcomes(epoch, seq, outcome) WHERE outcome <> 'completed';
)";

constexpr const char* kInsert = R"(
INSERT INTO outcomes(epoch, seq, outcome, attempt, attempts, latency_us,
                     id, result, error, worker, pool, history, refused, message)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT(epoch, seq) DO NOTHING
)";
constexpr int kFirstText = 7;

[[noreturn]] void refuse(const std::string& text) {
    throw Unusable(kExitUsage, text);
}

/// Of SQLite after a commit: how many pages are in the WAL.
int note_pages(void* pages, sqlite3*, const char*, int count) {
    *static_cast<int*>(pages) = count;
    return SQLITE_OK;
}

/// Eight bytes of ASCII, none of them a NUL.
bool are_plain(const unsigned char* bytes) {
    constexpr std::uint64_t kOnes = 0x0101010101010101, kHigh = kOnes << 7;
    std::uint64_t word = 0;
    std::memcpy(&word, bytes, sizeof word);
    return ((word | (word - kOnes)) & kHigh) == 0;
}

std::int64_t stored(std::uint64_t number) {
    return std::bit_cast<std::int64_t>(number);
}

std::uint64_t meant(std::int64_t number) {
    return std::bit_cast<std::uint64_t>(number);
}

std::optional<Outcome> outcome_of(std::string_view name) {
    for (int number = 1; number <= kOutcomes; ++number) {
        if (name_of(static_cast<Outcome>(number)) == name) return static_cast<Outcome>(number);
    }
    return std::nullopt;
}

/// For whoever has named the file.
std::string why(const std::string& path, const DatabaseError& error) {
    const std::string what =
        error.error != 0 ? fmt::format("{} ({})", error.what(), std::strerror(error.error)) : error.what();
    switch (error.kind()) {
        case SQLITE_BUSY:
        case SQLITE_LOCKED:
            return fmt::format("'{}' is locked by another program: end it (fuser '{}'), and start again", path, path);
        case SQLITE_NOTADB: return fmt::format("'{}' is no database of SQLite: name another file", path);
        case SQLITE_CORRUPT:
            return fmt::format(
                "'{0}' is damaged: {1}. Restore it; or take what can be read of it (sqlite3 '{0}' "
                ".recover), and name another file",
                path, what);
        case SQLITE_CANTOPEN:
        case SQLITE_READONLY:
            return fmt::format(
                "cannot write '{0}': {1}. Beside it '{0}-wal' and '{0}-shm' are made: its folder has "
                "to be writable, too",
                path, what);
        case SQLITE_ERROR:  // of a statement
            return fmt::format("'{}' has another table 'outcomes' than curfew makes: {}. Name another file", path,
                               what);
        default: return fmt::format("cannot write '{}': {}", path, what);
    }
}

}  // namespace

bool is_text(std::string_view bytes) {
    const auto* at = reinterpret_cast<const unsigned char*>(bytes.data());
    const auto* const end = at + bytes.size();
    const auto follow = [&](int count) {
        for (; count > 0; --count) {
            if (at == end || (*at++ & 0xc0) != 0x80) return false;
        }
        return true;
    };
    while (at != end) {
        if (end - at >= 8 && are_plain(at)) {
            at += 8;
            continue;
        }
        const unsigned first = *at++;
        if (first - 1 < 0x7f) continue;
        const unsigned second = at == end ? 0 : *at;
        const bool ok = first < 0xc2    ? false
                        : first < 0xe0  ? follow(1)
                        : first == 0xe0 ? second >= 0xa0 && follow(2)
                        : first == 0xed ? second < 0xa0 && follow(2)
                        : first < 0xf0  ? follow(2)
                        : first == 0xf0 ? second >= 0x90 && follow(3)
                        : first < 0xf4  ? follow(3)
                        : first == 0xf4 ? second < 0x90 && follow(3)
                                        : false;
        if (!ok) return false;
    }
    return true;
}

// ---- its start ---------------------------------------------------------------------------------

OutcomeTable::OutcomeTable(const std::string& path, SyncMode sync) try : path_(path), database_(path) {
    begin(sync);
} catch (const DatabaseError& error) {
    const bool of_disk = error.is_full() || error.kind() == SQLITE_IOERR;
    throw Unusable(of_disk ? kExitIo : exit_code_of(error.error), why(path, error));
}

OutcomeTable::~OutcomeTable() {
    if (wal_ >= 0) ::close(wal_);
}

void OutcomeTable::begin(SyncMode sync) {
    database_.wait_for_locks(kPatience);
    database_.run(sync == SyncMode::always        ? "PRAGMA synchronous = FULL"
                  : sync == SyncMode::each_second ? "PRAGMA synchronous = NORMAL"
                                                  : "PRAGMA synchronous = OFF");
    check_what_it_is();
    begin_.emplace(database_, "BEGIN IMMEDIATE");
    insert_.emplace(database_, kInsert);  // fails where the table is another
    commit_.emplace(database_, "COMMIT");
    // What is moved out of the WAL is moved by make_room(): SQLite says nothing of its own tries
    database_.run("PRAGMA wal_autocheckpoint = 0; PRAGMA journal_size_limit = 67108864");
    sqlite3_wal_hook(database_.handle(), note_pages, &wal_pages_);
    if (sync != SyncMode::never) put_on_disk();
    database_.wait_for_locks(kWait);
}

void OutcomeTable::check_what_it_is() {
    const std::int64_t id = database_.number("PRAGMA application_id");
    const std::int64_t schema = database_.number("PRAGMA user_version");
    const bool is_new = id == 0 && schema == 0 && database_.number("SELECT count(*) FROM sqlite_master") == 0;
    if (!is_new && id != kOutcomesId)
        refuse(fmt::format("'{}' is a database of another program's: name another file", path_));
    if (!is_new && schema > kOutcomesSchema)
        refuse(
            fmt::format("'{}' was written by a newer curfew: its schema is {}, and this one knows those up to {}. "
                        "Use the newer one, or name another file",
                        path_, schema, kOutcomesSchema));
    if (const std::string mode = database_.text("PRAGMA journal_mode = WAL"); mode != "wal")
        refuse(
            fmt::format("'{}' cannot be read while it is written (its journal mode stays '{}'): name a file on "
                        "another file system",
                        path_, mode));
    if (is_new) make();
}

void OutcomeTable::make() {
    database_.run("BEGIN IMMEDIATE");
    database_.run(kMake);
    database_.run(
        fmt::format("PRAGMA application_id = {}; PRAGMA user_version = {}", kOutcomesId, kOutcomesSchema).c_str());
    database_.run("COMMIT");
}

/// A sync of an earlier life may have failed, and then the WAL counts as clean without being on the
/// disk: what is written anew into the file is. Where readers or a full disk are in the way, the
/// WAL is synced as it is.
void OutcomeTable::put_on_disk() {
    const char* name = sqlite3_db_filename(database_.handle(), "main");  // where links lead to
    wal_ = ::open(sqlite3_filename_wal(name), O_RDWR | O_CLOEXEC);
    if (wal_ < 0) throw DatabaseError(SQLITE_CANTOPEN, errno, std::strerror(errno));
    const int code =
        sqlite3_wal_checkpoint_v2(database_.handle(), nullptr, SQLITE_CHECKPOINT_TRUNCATE, nullptr, nullptr);
    if (code != SQLITE_OK) {
        try {
            database_.fail(code);
        } catch (const DatabaseError& error) {
            if (!error.is_lock() && !error.is_full()) throw;
        }
    }
    if (::fdatasync(wal_) != 0) throw DatabaseError(SQLITE_IOERR_FSYNC, errno, std::strerror(errno));
    sync_folder_of(name);
}

Settled::Memory OutcomeTable::memory() try {
    Settled::Memory memory;
    Statement last(database_, "SELECT epoch FROM outcomes ORDER BY written DESC LIMIT 1");
    if (!last.step()) return memory;
    const std::int64_t epoch = last.number(0);
    memory.epoch = meant(epoch);
    IntervalSet has;
    Statement all(database_, "SELECT seq FROM outcomes WHERE epoch = ? ORDER BY epoch, seq");
    all.bind(1, epoch);
    while (all.step()) {
        const Seq seq = meant(all.number(0));
        if (seq != 0 && seq != UINT64_MAX) (void)has.insert(seq);
    }
    memory.settled = has.intervals();
    Statement others(database_, "SELECT seq, outcome FROM outcomes WHERE epoch = ? AND outcome <> 'completed'");
    others.bind(1, epoch);
    while (others.step()) {
        const auto outcome = outcome_of(others.text(1));
        if (!outcome)
            refuse(fmt::format("'{}' has an outcome '{}', which curfew does not know: name another file", path_,
                               others.text(1)));
        memory.not_completed[meant(others.number(0))] = *outcome;
    }
    return memory;
} catch (const DatabaseError& error) {
    throw Unusable(error.kind() == SQLITE_IOERR ? kExitIo : kExitUsage, why(path_, error));
}

// ---- writing -----------------------------------------------------------------------------------

void OutcomeTable::write(const OutcomeRows& rows) {
    (void)begin_->step();
    try {
        for (const OutcomeRows::Row& row : rows.rows()) insert(rows, row);
        (void)commit_->step();
    } catch (const DatabaseError&) {
        // Where this fails, too, the transaction is over already, or the next BEGIN says so
        if (database_.is_in_transaction())
            (void)sqlite3_exec(database_.handle(), "ROLLBACK", nullptr, nullptr, nullptr);
        throw;
    }
}

void OutcomeTable::insert(const OutcomeRows& rows, const OutcomeRows::Row& row) {
    insert_->bind(1, stored(row.epoch));
    insert_->bind(2, stored(row.seq));
    insert_->bind_text(3, name_of(row.outcome));
    if (row.attempt != 0) {
        insert_->bind(4, row.attempt);
    } else {
        insert_->bind_nothing(4);
    }
    insert_->bind(5, row.attempts);
    insert_->bind(6, stored(row.latency_us));
    rows.each_text(row, [&](OutcomeRows::Text text, const std::optional<std::string_view>& bytes) {
        const int at = kFirstText + text;
        if (!bytes) {
            insert_->bind_nothing(at);
        } else if (is_text(*bytes)) {
            insert_->bind_text(at, *bytes);
        } else {
            insert_->bind_bytes(at, *bytes);
        }
    });
    (void)insert_->step();
}

void OutcomeTable::make_room() {
    if (wal_pages_ < kManyPages) return;
    const int mode = wal_pages_ < kTooManyPages ? SQLITE_CHECKPOINT_PASSIVE : SQLITE_CHECKPOINT_RESTART;
    const int code = sqlite3_wal_checkpoint_v2(database_.handle(), nullptr, mode, nullptr, nullptr);
    if (code != SQLITE_OK) database_.fail(code);
}

void OutcomeTable::give_up() {
    database_.leave_wal();
}

}  // namespace curfew

// A database of SQLite: the connection, and statements in it. What fails is thrown with SQLite's
// code, since what becomes of it depends on who asked.
//
// One thread at a time. A statement must not outlive its database.
#pragma once

#include <sqlite3.h>

#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>

#include "common/words/vocabulary.h"

namespace curfew {

struct DatabaseError : std::runtime_error {
    /// `code`: SQLite's, extended; `error`: errno, where the system has refused something; else 0.
    DatabaseError(int its_code, int its_error, const std::string& what)
        : std::runtime_error(what), code(its_code), error(its_error) {}

    [[nodiscard]] int kind() const { return code & 0xff; }
    /// Another program has a lock, or the disk is full: the same may go well later.
    [[nodiscard]] bool is_lock() const { return kind() == SQLITE_BUSY || kind() == SQLITE_LOCKED; }
    [[nodiscard]] bool is_full() const;

    int code;
    int error;
};

class Database {
public:
    /// Opens a file that is there; nothing of it is read yet. Throws DatabaseError.
    explicit Database(const std::string& path);
    /// Moves what is in its WAL into the file, if nobody else has it open and leave_wal() was not
    /// called.
    ~Database();
    Database(const Database&) = delete;
    Database& operator=(const Database&) = delete;

    /// Runs statements that have no rows. Throws DatabaseError; so do the next three.
    void run(const char* statements);
    /// The first column of the first row; 0 or empty without one.
    [[nodiscard]] std::int64_t number(const char* question);
    [[nodiscard]] std::string text(const char* question);

    /// How long to wait for a lock before it is an error.
    void wait_for_locks(Duration most);
    /// Moves nothing out of the WAL when it is closed.
    void leave_wal();
    [[nodiscard]] bool is_in_transaction() const { return sqlite3_get_autocommit(handle_) == 0; }
    [[nodiscard]] sqlite3* handle() const { return handle_; }
    /// Throws what SQLite says of this code. `error`: errno, where that is better known here.
    [[noreturn]] void fail(int code, int error = 0) const;

private:
    sqlite3* handle_ = nullptr;
};

class Statement {
public:
    Statement(const Database& database, const char* text);  ///< throws DatabaseError
    ~Statement() { sqlite3_finalize(handle_); }
    Statement(const Statement&) = delete;
    Statement& operator=(const Statement&) = delete;

    /// Parameters are counted from 1. Bytes have to stay until it is done.
    void bind(int at, std::int64_t number);
    void bind_text(int at, std::string_view text);  ///< UTF-8
    void bind_bytes(int at, std::string_view bytes);
    void bind_nothing(int at);

    /// True: there is a row; false: it is done, and may be run again with the parameters that it
    /// has. Throws DatabaseError; it may be run again then, too.
    bool step();

    /// Columns of the row are counted from 0.
    [[nodiscard]] std::int64_t number(int column) const { return sqlite3_column_int64(handle_, column); }
    /// Until the next step().
    [[nodiscard]] std::string_view text(int column) const;

private:
    void check(int code) const;

    const Database& database_;
    sqlite3_stmt* handle_ = nullptr;
};

}  // namespace curfew

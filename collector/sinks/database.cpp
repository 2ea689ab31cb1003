#include "collector/sinks/database.h"

#include <fmt/format.h>

#include <cerrno>
#include <utility>

namespace curfew {

bool DatabaseError::is_full() const {
    // What is said of PATH-shm, which could not grow, has no errno
    const bool of_disk = error == ENOSPC || error == EDQUOT || code == SQLITE_IOERR_SHMSIZE;
    return kind() == SQLITE_FULL || (kind() == SQLITE_IOERR && of_disk && code != SQLITE_IOERR_FSYNC);
}

// ---- the connection ----------------------------------------------------------------------------

/// A name that begins with a dot or a slash is a path, and nothing else that SQLite knows.
Database::Database(const std::string& path) {
    const std::string name = path.starts_with('/') ? path : "./" + path;
    const int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
    const int code = sqlite3_open_v2(name.c_str(), &handle_, flags, nullptr);
    if (code == SQLITE_OK) return;
    const DatabaseError error(code, handle_ != nullptr ? sqlite3_system_errno(handle_) : 0, sqlite3_errstr(code));
    (void)sqlite3_close_v2(handle_);
    throw error;
}

Database::~Database() {
    (void)sqlite3_close_v2(handle_);
}

void Database::fail(int code, int error) const {
    const int kind = code & 0xff;
    const bool of_system = kind == SQLITE_IOERR || kind == SQLITE_FULL || kind == SQLITE_CANTOPEN;
    const int known = error != 0 ? error : sqlite3_system_errno(handle_);
    throw DatabaseError(code, of_system ? known : 0, sqlite3_errmsg(handle_));
}

void Database::run(const char* statements) {
    const int code = sqlite3_exec(handle_, statements, nullptr, nullptr, nullptr);
    if (code != SQLITE_OK) fail(code);
}

std::int64_t Database::number(const char* question) {
    Statement statement(*this, question);
    return statement.step() ? statement.number(0) : 0;
}

std::string Database::text(const char* question) {
    Statement statement(*this, question);
    return statement.step() ? std::string(statement.text(0)) : std::string();
}

void Database::wait_for_locks(Duration most) {
    const auto time = std::chrono::duration_cast<std::chrono::milliseconds>(most);
    (void)sqlite3_busy_timeout(handle_, static_cast<int>(time.count()));
}

void Database::leave_wal() {
    (void)sqlite3_db_config(handle_, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, nullptr);
}

// ---- statements --------------------------------------------------------------------------------

Statement::Statement(const Database& database, const char* text) : database_(database) {
    check(sqlite3_prepare_v3(database.handle(), text, -1, SQLITE_PREPARE_PERSISTENT, &handle_, nullptr));
}

void Statement::check(int code) const {
    if (code != SQLITE_OK) database_.fail(code);
}

void Statement::bind(int at, std::int64_t number) {
    check(sqlite3_bind_int64(handle_, at, number));
}

void Statement::bind_text(int at, std::string_view text) {
    // What is empty has to be somewhere, too, else it is NULL
    const char* bytes = text.empty() ? "" : text.data();
    check(sqlite3_bind_text64(handle_, at, bytes, text.size(), SQLITE_STATIC, SQLITE_UTF8));
}

void Statement::bind_bytes(int at, std::string_view bytes) {
    check(sqlite3_bind_blob64(handle_, at, bytes.empty() ? "" : bytes.data(), bytes.size(), SQLITE_STATIC));
}

void Statement::bind_nothing(int at) {
    check(sqlite3_bind_null(handle_, at));
}

bool Statement::step() {
    errno = 0;
    const int code = sqlite3_step(handle_);
    const int error = errno;  // SQLite does not note it at a COMMIT
    if (code == SQLITE_ROW) return true;
    (void)sqlite3_reset(handle_);  // says the same again
    if (code != SQLITE_DONE) database_.fail(code, error);
    return false;
}

std::string_view Statement::text(int column) const {
    const void* bytes = sqlite3_column_blob(handle_, column);
    return {static_cast<const char*>(bytes), static_cast<std::size_t>(sqlite3_column_bytes(handle_, column))};
}

}  // namespace curfew

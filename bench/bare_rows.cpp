// The lines of a file into a table, a row each, and nothing else: what the sink `sqlite:` stands
// beside. One process, one thread, one statement, transactions of one size, checkpoints by SQLite
// itself, at as many pages as the sink's.
//
//     curfew-bare-rows --input FILE --output DATABASE --like DATABASE [--batch N]
//         [--sync FULL|NORMAL|OFF]
//
// The table is made as that of the other database. Says {"messages":N,"seconds":S} on stdout; 1 and
// a line on stderr if anything fails.
#include <sqlite3.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <stdexcept>
#include <string>

namespace {

struct Flags {
    std::string input, output, like, sync = "NORMAL";
    unsigned long batch = 1000;
};

Flags parse(int argc, char** argv) {
    Flags flags;
    for (int i = 1; i + 1 < argc; i += 2) {
        const std::string name = argv[i], value = argv[i + 1];
        if (name == "--input") flags.input = value;
        if (name == "--output") flags.output = value;
        if (name == "--like") flags.like = value;
        if (name == "--sync") flags.sync = value;
        if (name == "--batch") flags.batch = std::strtoul(value.c_str(), nullptr, 10);
    }
    if (flags.input.empty() || flags.output.empty() || flags.like.empty() || flags.batch == 0)
        throw std::runtime_error("say --input FILE --output DATABASE --like DATABASE");
    return flags;
}

sqlite3* open(const std::string& path) {
    sqlite3* database = nullptr;
    if (sqlite3_open(path.c_str(), &database) != SQLITE_OK) throw std::runtime_error("cannot open " + path);
    return database;
}

void run(sqlite3* database, const std::string& text) {
    if (sqlite3_exec(database, text.c_str(), nullptr, nullptr, nullptr) != SQLITE_OK)
        throw std::runtime_error(sqlite3_errmsg(database));
}

std::string schema_of(const std::string& path) {
    sqlite3* database = open(path);
    std::string text;
    const auto add = [](void* out, int, char** columns, char**) {
        if (columns[0] != nullptr) *static_cast<std::string*>(out) += std::string(columns[0]) + ";";
        return 0;
    };
    sqlite3_exec(database, "SELECT sql FROM sqlite_master", add, &text, nullptr);
    sqlite3_close(database);
    if (text.empty()) throw std::runtime_error("no table in " + path);
    return text;
}

void insert(sqlite3_stmt* row, unsigned long seq, const std::string& line) {
    sqlite3_bind_int64(row, 1, static_cast<sqlite3_int64>(seq));
    sqlite3_bind_text(row, 2, line.data(), static_cast<int>(line.size()), SQLITE_STATIC);
    if (sqlite3_step(row) != SQLITE_DONE) throw std::runtime_error("cannot insert");
    sqlite3_reset(row);
}

int measure(const Flags& flags) {
    sqlite3* database = open(flags.output);
    run(database, "PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 2000; PRAGMA synchronous = " + flags.sync);
    run(database, schema_of(flags.like));
    sqlite3_stmt* row = nullptr;
    const char* text =
        "INSERT INTO outcomes(epoch, seq, outcome, result, worker, pool, attempt, attempts, latency_us)"
        " VALUES (4611686018427387904, ?, 'completed', ?, 'w1', '', 1, 1, 1000)";
    if (sqlite3_prepare_v2(database, text, -1, &row, nullptr) != SQLITE_OK)
        throw std::runtime_error(sqlite3_errmsg(database));
    std::ifstream input(flags.input, std::ios::binary);
    if (!input) throw std::runtime_error("cannot read " + flags.input);
    const auto began = std::chrono::steady_clock::now();
    unsigned long count = 0;
    for (std::string line; std::getline(input, line);) {
        if (count % flags.batch == 0) run(database, count == 0 ? "BEGIN" : "COMMIT; BEGIN");
        insert(row, ++count, line);
    }
    if (count > 0) run(database, "COMMIT");
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - began;
    sqlite3_finalize(row);
    sqlite3_close(database);
    std::printf("{\"messages\":%lu,\"seconds\":%.6f}\n", count, took.count());
    return 0;
}

}  // namespace

int main(int argc, char** argv) {
    try {
        return measure(parse(argc, argv));
    } catch (const std::exception& error) {
        std::fprintf(stderr, "curfew-bare-rows: %s\n", error.what());
        return 1;
    }
}

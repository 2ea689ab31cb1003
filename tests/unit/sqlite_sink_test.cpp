// A database as a sink: each outcome once, said when it is committed, whatever the disk and other
// programs do.
#include "collector/sinks/sqlite.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <filesystem>
#include <memory>
#include <string>
#include <system_error>
#include <vector>

#include "common/process/clock.h"
#include "common/process/options.h"
#include "common/process/poller.h"
#include "tests/support/faulty_sync.h"
#include "tests/support/sink_bench.h"
#include "tests/support/temp_dir.h"

namespace {

std::atomic<int> write_error = 0;  // errno of each from now on; 0: it goes well

ssize_t write_or_fail(int descriptor, const void* bytes, size_t size, off_t at) {
    if (write_error != 0) return errno = write_error, -1;
    return pwrite(descriptor, bytes, size, at);
}

}  // namespace

namespace curfew {
namespace {

using namespace std::chrono_literals;
using support::completed;
using support::kStart;
using support::SinkTest;
using support::sync_error;
using support::syncs;
using support::TempDir;

constexpr Epoch kEpoch = 9;

OutcomeRecord outcome_of(Seq seq, std::string_view result, Epoch epoch = kEpoch) {
    OutcomeRecord outcome = completed(seq, result);
    outcome.epoch = epoch;
    outcome.worker = "w1";
    outcome.attempt = 1;
    outcome.attempts = 2;
    outcome.latency_us = 812;
    return outcome;
}

OutcomeRecord failed(Seq seq) {
    OutcomeRecord outcome = outcome_of(seq, "");
    outcome.outcome = Outcome::failed;
    outcome.attempt = 0;
    outcome.error = "exit code 3";
    outcome.message = "what was asked";
    outcome.history = {{.ordinal = 1, .worker = "w1", .end = End::failed, .error = "exit code 3"}};
    return outcome;
}

class SqliteSinkTest : public SinkTest {
protected:
    ~SqliteSinkTest() override {
        sink.reset();
        sync_error = write_error = 0;
        fail_writes(false);
    }
    SqliteSink& open(SyncMode sync = SyncMode::never) {
        sink = std::make_unique<SqliteSink>(dir.file("db"), sync);
        memory = sink->take_memory().value();
        return *sink;
    }
    /// What it has said so far is said; waits until so many more outcomes are.
    std::vector<Seq> said(std::size_t count, Instant now = kStart) {
        std::vector<Seq> seqs = support::flush(*sink, now);
        while (seqs.size() < count && wakes()) {
            for (const Seq seq : support::flush(*sink, now)) seqs.push_back(seq);
        }
        EXPECT_EQ(seqs.size(), count);
        return seqs;
    }
    [[nodiscard]] bool wakes() const {
        Poller poller;
        sink->wait_for(poller);
        poller.wait(Clock::now() + 20s);
        bool any = false;
        for (std::size_t at = 0; at < poller.size(); ++at) any = any || poller.ready(at);
        EXPECT_TRUE(any) << "nothing happens";
        return any;
    }
    void wait_for(std::string_view what) {
        while (sink->waits_for() != what && wakes()) EXPECT_TRUE(support::flush(*sink).empty());
    }
    void close() {
        while (!sink->close(kStart, kStart) && wakes()) {
        }
        sink.reset();
    }
    void write_four() {
        open();
        for (const Seq seq : {1U, 2U, 4U}) sink->put(outcome_of(seq, "result " + std::to_string(seq)));
        sink->put(failed(3));
        (void)said(4);
        close();
    }
    [[nodiscard]] std::string ask(const std::string& question) const {
        return Database(dir.file("db")).text(question.c_str());
    }
    void run(const std::string& statements) const {
        std::ofstream(dir.file("db"), std::ios::app);  // where it is not there
        Database(dir.file("db")).run(statements.c_str());
    }
    std::string refusal(int code = 64) {
        try {
            open();
        } catch (const Unusable& error) {
            EXPECT_EQ(error.code, code);
            return error.what();
        }
        sink.reset();
        return {};
    }
    static void fail_writes(bool really) {
        sqlite3_vfs* vfs = sqlite3_vfs_find(nullptr);
        const auto function = really ? reinterpret_cast<sqlite3_syscall_ptr>(write_or_fail) : nullptr;
        for (const char* name : {"pwrite", "pwrite64"}) (void)vfs->xSetSystemCall(vfs, name, function);
    }

    TempDir dir;
    std::unique_ptr<SqliteSink> sink;
    Settled::Memory memory;
};

// ---- what it has -------------------------------------------------------------------------------

TEST_F(SqliteSinkTest, RemembersWhatItHasAndHowItEnded) {
    open();
    EXPECT_EQ(memory.epoch, 0U) << "it is new";
    close();
    write_four();
    open();
    EXPECT_EQ(memory.epoch, kEpoch);
    EXPECT_EQ(memory.settled, (Intervals{{1, 4}}));
    EXPECT_EQ(memory.not_completed, (std::map<Seq, Outcome>{{3, Outcome::failed}}));
    sink->put(outcome_of(5, "five"));
    EXPECT_EQ(said(1), std::vector<Seq>{5});
    EXPECT_EQ(sink->waiting(), 0U);
    EXPECT_EQ(sink->waiting_bytes(), 0U);
    EXPECT_GT(sink->bytes(), 0U);
}

TEST_F(SqliteSinkTest, HasEachOutcomeOnce) {
    write_four();
    open();
    sink->put(outcome_of(2, "another"));
    sink->put(outcome_of(5, "five"));
    sink->put(outcome_of(5, "five again"));
    sink->forget_waiting();
    EXPECT_EQ(said(3), (std::vector<Seq>{2, 5, 5})) << "said, and not written";
    close();
    EXPECT_EQ(ask("SELECT group_concat(seq || ':' || coalesce(result, ''), ', ') FROM outcomes"),
              "1:result 1, 2:result 2, 4:result 4, 3:, 5:five");
}

TEST_F(SqliteSinkTest, AnotherEpochHasNumbersOfItsOwn) {
    write_four();
    open();
    sink->put(outcome_of(1, "uno", kEpoch - 1));
    (void)said(1);
    close();
    open();
    EXPECT_EQ(memory.epoch, kEpoch - 1) << "the last that was written";
    EXPECT_EQ(memory.settled, (Intervals{{1, 1}}));
    EXPECT_TRUE(memory.not_completed.empty());
    sink->put(outcome_of(1, "one again"));
    (void)said(1);
    EXPECT_EQ(ask("SELECT count(*) FROM outcomes"), "5") << "what is of an earlier epoch is known, too";
}

TEST_F(SqliteSinkTest, TheLargestNumbersAreTheirOwn) {
    constexpr std::uint64_t kLarge = (1ULL << 63) + 5;
    open();
    sink->put(outcome_of(kLarge, "large", kLarge));
    sink->put(outcome_of(kLarge + 1, "larger", kLarge));
    sink->put(outcome_of(7, "seven", kLarge));
    (void)said(3);
    close();
    open();
    EXPECT_EQ(memory.epoch, kLarge);
    EXPECT_EQ(memory.settled, (Intervals{{7, 7}, {kLarge, kLarge + 1}}));
}

TEST_F(SqliteSinkTest, ARowThatIsTakenOutIsDoneAgain) {
    write_four();
    run("DELETE FROM outcomes WHERE outcome <> 'completed'");
    open();
    EXPECT_EQ(memory.settled, (Intervals{{1, 2}, {4, 4}}));
}

// ---- how it looks ------------------------------------------------------------------------------

TEST_F(SqliteSinkTest, HasAColumnForAllThatIsKnown) {
    open();
    OutcomeRecord one = outcome_of(1, "done");
    one.id = "the sender's";
    one.pool = "quick";
    sink->put(one);
    OutcomeRecord refused = failed(2);
    refused.history.clear();
    refused.refused_number = 3;
    refused.refused_byte = 17;
    refused.refused_size = 2'000'000;
    sink->put(refused);
    sink->put(failed(3));
    (void)said(3);
    const std::string row =
        "SELECT written || '|' || epoch || '|' || seq || '|' || coalesce(id, '-') || '|' || outcome || '|' || "
        "coalesce(result, '-') || '|' || coalesce(error, '-') || '|' || coalesce(worker, '-') || '|' || "
        "coalesce(pool, '-') || '|' || coalesce(attempt, '-') || '|' || attempts || '|' || latency_us || '|' || "
        "coalesce(history, '-') || '|' || coalesce(refused, '-') || '|' || coalesce(message, '-') "
        "FROM outcomes WHERE seq = ";
    EXPECT_EQ(ask(row + "1"), "1|9|1|the sender's|completed|done|-|w1|quick|1|2|812|-|-|-");
    EXPECT_EQ(ask(row + "2"),
              "2|9|2|-|failed|-|exit code 3|-|-|-|2|812|[]|{\"line\":3,\"byte\":17,\"size\":2000000}|"
              "what was asked");
    EXPECT_EQ(ask(row + "3"),
              "3|9|3|-|failed|-|exit code 3|-|-|-|2|812|[{\"attempt\":1,\"worker\":\"w1\",\"end\":"
              "\"failed\",\"error\":\"exit code 3\"}]|-|what was asked");
}

TEST_F(SqliteSinkTest, WhatIsTextStandsAsTextAndTheRestAsBytes) {
    open();
    const std::vector<std::string> texts{"",     "42",       "gr\xc3\xbc\xc3\x9f", "\xf0\x9f\x98\x80",
                                         "a\nb", "\x7f\x01", "longer than a word", "longer than a w\xc3\xb6rd"};
    const std::vector<std::string> bytes{std::string("a\0b", 3),
                                         "\xff",
                                         "\xc3",
                                         "\xc0\xaf",
                                         "\xed\xa0\x80",
                                         "\xf4\x90\x80\x80",
                                         "a\xe2\x82",
                                         "\x80",
                                         "longer than a word\xff",
                                         std::string("12345\0long", 10)};
    Seq seq = 0;
    for (const auto* some : {&texts, &bytes}) {
        for (const std::string& one : *some) sink->put(outcome_of(++seq, one));
    }
    (void)said(seq);
    EXPECT_EQ(ask("SELECT group_concat(typeof(result)) FROM outcomes WHERE seq <= 8"),
              "text,text,text,text,text,text,text,text");
    EXPECT_EQ(ask("SELECT group_concat(DISTINCT typeof(result)) FROM outcomes WHERE seq > 8"), "blob");
    EXPECT_EQ(ask("SELECT seq FROM outcomes WHERE result = '42'"), "2");
    seq = 0;
    for (const auto* some : {&texts, &bytes}) {
        for (const std::string& one : *some)
            EXPECT_EQ(ask("SELECT result FROM outcomes WHERE seq = " + std::to_string(++seq)), one);
    }
}

TEST_F(SqliteSinkTest, IsReadWhileItIsWritten) {
    write_four();
    open();
    Database reader(dir.file("db"));
    reader.run("BEGIN");
    EXPECT_EQ(reader.number("SELECT count(*) FROM outcomes"), 4);
    sink->put(outcome_of(5, "five"));
    EXPECT_EQ(said(1), std::vector<Seq>{5}) << "a reader that stays holds nobody up";
    EXPECT_EQ(reader.number("SELECT count(*) FROM outcomes"), 4);
    reader.run("COMMIT");
    EXPECT_EQ(reader.number("SELECT count(*) FROM outcomes"), 5);
}

// ---- what it waits for -------------------------------------------------------------------------

TEST_F(SqliteSinkTest, ALockOfAnotherProgramIsWaitedFor) {
    write_four();
    open();
    Database other(dir.file("db"));
    other.run("BEGIN IMMEDIATE");
    sink->put(outcome_of(5, "five"));
    EXPECT_TRUE(support::flush(*sink).empty());
    wait_for("a lock");
    sink->put(outcome_of(6, "six"));
    EXPECT_TRUE(support::flush(*sink).empty());
    EXPECT_EQ(sink->waiting(), 2U);
    other.run("COMMIT");
    EXPECT_EQ(said(2), (std::vector<Seq>{5, 6}));
    EXPECT_EQ(sink->waits_for(), "");
}

TEST_F(SqliteSinkTest, AFullDiskIsWaitedFor) {
    for (const int full : {ENOSPC, EDQUOT}) {
        open();
        fail_writes(true);
        write_error = full;
        sink->put(outcome_of(static_cast<Seq>(full), "result"));
        EXPECT_TRUE(support::flush(*sink).empty());
        wait_for("space");
        write_error = 0;
        EXPECT_EQ(said(1), std::vector<Seq>{static_cast<Seq>(full)});
        EXPECT_EQ(sink->waits_for(), "");
        close();
    }
}

TEST_F(SqliteSinkTest, ItEndsWhileItWaits) {
    write_four();
    open();
    Database other(dir.file("db"));
    other.run("BEGIN IMMEDIATE");
    sink->put(outcome_of(5, "five"));
    (void)support::flush(*sink);
    wait_for("a lock");
    sink.reset();
    other.run("COMMIT");
    EXPECT_EQ(ask("SELECT count(*) FROM outcomes"), "4");
}

// ---- what ends it ------------------------------------------------------------------------------

TEST_F(SqliteSinkTest, AWriteThatFailsIsFinalAndSaysNothing) {
    open();
    fail_writes(true);
    write_error = EIO;
    sink->put(outcome_of(1, "one"));
    EXPECT_THROW((void)said(1), std::system_error);
    write_error = 0;
    EXPECT_THROW((void)support::flush(*sink), std::system_error) << "it is not tried again";
    EXPECT_THROW((void)sink->close(kStart, kStart), std::system_error);
    sink.reset();
    EXPECT_EQ(ask("SELECT count(*) FROM outcomes"), "0");
}

TEST_F(SqliteSinkTest, ASyncThatFailsIsFinalAndSaysNothing) {
    open(SyncMode::always);
    sync_error = EIO;
    sink->put(outcome_of(1, "one"));
    EXPECT_THROW((void)said(1), std::system_error);
    sync_error = 0;
    const int before = syncs;
    EXPECT_THROW((void)support::flush(*sink), std::system_error);
    sink.reset();
    EXPECT_EQ(syncs, before) << "a second sync would succeed without what the first has lost";
}

TEST_F(SqliteSinkTest, ASyncOfEachSecondThatFailsIsFinal) {
    open(SyncMode::each_second);
    sink->put(outcome_of(1, "one"));
    EXPECT_EQ(said(1), std::vector<Seq>{1});
    sync_error = EIO;
    (void)support::flush(*sink, kStart + 1s);
    EXPECT_TRUE(wakes());
    EXPECT_THROW((void)support::flush(*sink, kStart + 1s), std::system_error);
}

// ---- what is on the disk -----------------------------------------------------------------------

TEST_F(SqliteSinkTest, WithSyncAlwaysAnOutcomeIsSaidWhenTheDiskHasIt) {
    open(SyncMode::always);
    const int before = syncs;
    sink->put(outcome_of(1, "one"));
    EXPECT_EQ(said(1), std::vector<Seq>{1});
    EXPECT_GT(syncs, before);
    EXPECT_EQ(sink->uncertain(), 0U);
    close();
}

TEST_F(SqliteSinkTest, WithASyncEachSecondItIsSaidWhenItIsCommittedAndSyncedLater) {
    open(SyncMode::each_second);
    sink->put(outcome_of(1, "one"));
    EXPECT_EQ(said(1), std::vector<Seq>{1});
    EXPECT_EQ(sink->next_deadline(), kStart + SyncPace::kSyncEvery);
    const int before = syncs;
    sink->put(outcome_of(2, "two"));
    EXPECT_EQ(said(1), std::vector<Seq>{2});
    EXPECT_EQ(sink->uncertain(), 2U);
    EXPECT_EQ(syncs, before);
    EXPECT_TRUE(support::flush(*sink, kStart + SyncPace::kSyncEvery).empty());
    EXPECT_EQ(sink->next_deadline(), kNever) << "nothing more to sync";
    while (sink->uncertain() != 0 && wakes()) (void)support::flush(*sink, kStart + SyncPace::kSyncEvery);
    EXPECT_GT(syncs, before);
    close();
}

TEST_F(SqliteSinkTest, WithoutSyncsThereAreNone) {
    const int before = syncs;
    write_four();
    EXPECT_EQ(syncs, before);
}

TEST_F(SqliteSinkTest, WhatWasCommittedOutlivesAnEndWithoutAClose) {
    open(SyncMode::each_second);
    sink->put(outcome_of(1, "one"));
    (void)said(1);
    const std::string copy = dir.file("copy");  // as a kill leaves the two
    for (const char* end : {"", "-wal"}) std::filesystem::copy_file(dir.file("db") + end, copy + end);
    sink = std::make_unique<SqliteSink>(copy, SyncMode::each_second);
    EXPECT_EQ(sink->take_memory().value().settled, (Intervals{{1, 1}}));
}

TEST_F(SqliteSinkTest, TheWalDoesNotGrowWithWhatWasWritten) {
    open();
    std::uintmax_t largest = 0;
    for (Seq seq = 1; seq <= 60; ++seq) {
        sink->put(outcome_of(seq, std::string(1 << 20, 'x')));
        (void)said(1);
        largest = std::max(largest, std::filesystem::file_size(dir.file("db-wal")));
    }
    EXPECT_LT(largest, 20U << 20);
    close();
    EXPECT_FALSE(std::filesystem::exists(dir.file("db-wal")));
    EXPECT_EQ(ask("SELECT count(*) FROM outcomes"), "60");
}

// ---- what is refused ---------------------------------------------------------------------------

TEST_F(SqliteSinkTest, WhatIsNoDatabaseIsRefusedAndKept) {
    for (const std::string& bytes : {std::string("somebody's\n"), std::string(5000, 'x')}) {
        dir.write("db", bytes);
        EXPECT_NE(refusal().find("is no database of SQLite: name another file"), std::string::npos);
        EXPECT_EQ(dir.read("db"), bytes);
    }
}

TEST_F(SqliteSinkTest, ADatabaseOfAnotherProgramIsRefusedAndKept) {
    run("CREATE TABLE outcomes(seq); INSERT INTO outcomes VALUES (1)");
    EXPECT_NE(refusal().find("is a database of another program's"), std::string::npos);
    EXPECT_EQ(ask("SELECT count(*) FROM outcomes"), "1");
    EXPECT_EQ(ask("PRAGMA journal_mode"), "delete") << "nothing was changed";
}

TEST_F(SqliteSinkTest, AnotherSchemaIsRefusedAndKept) {
    write_four();
    run("PRAGMA user_version = 2");
    EXPECT_NE(refusal().find("was written by a newer curfew: its schema is 2, and this one knows those up to 1"),
              std::string::npos);
    run("PRAGMA user_version = 1; ALTER TABLE outcomes DROP COLUMN message");
    EXPECT_NE(refusal().find("has another table 'outcomes' than curfew makes: "), std::string::npos);
    EXPECT_EQ(ask("SELECT count(*) FROM outcomes"), "4");
    run("ALTER TABLE outcomes ADD COLUMN message; UPDATE outcomes SET outcome = 'unheard of' WHERE seq = 2");
    EXPECT_NE(refusal().find("has an outcome 'unheard of', which curfew does not know"), std::string::npos);
}

TEST_F(SqliteSinkTest, WhatSomebodyHasAddedIsNoHindrance) {
    write_four();
    run("ALTER TABLE outcomes ADD COLUMN seen; CREATE INDEX mine ON outcomes(worker); CREATE TABLE mine_too(a)");
    EXPECT_EQ(refusal(), "");
}

TEST_F(SqliteSinkTest, ADamagedOneIsRefused) {
    open();
    for (Seq seq = 1; seq <= 2000; ++seq) sink->put(outcome_of(seq, "result"));
    (void)said(2000);
    close();
    std::string bytes = dir.read("db");
    for (std::size_t at = 4096; at < bytes.size(); ++at) bytes[at] = static_cast<char>(~bytes[at]);
    dir.write("db", bytes);
    const std::string why = refusal();
    EXPECT_NE(why.find("is damaged: "), std::string::npos) << why;
    EXPECT_NE(why.find("Restore it; or take what can be read of it"), std::string::npos);
    EXPECT_EQ(dir.read("db"), bytes);
}

TEST_F(SqliteSinkTest, WhatIsNoFileIsRefused) {
    ASSERT_EQ(mkfifo(dir.file("db").c_str(), 0600), 0);
    EXPECT_NE(refusal().find("is no file"), std::string::npos);
    std::filesystem::remove(dir.file("db"));
    std::filesystem::create_directory(dir.file("db"));
    EXPECT_NE(refusal().find("Is a directory"), std::string::npos);
    std::filesystem::remove(dir.file("db"));
    std::filesystem::create_symlink("nowhere/db", dir.file("db"));
    EXPECT_NE(refusal().find("No such file or directory"), std::string::npos);
}

TEST_F(SqliteSinkTest, TheSecondCollectorIsRefused) {
    open();
    const std::unique_ptr<SqliteSink> first = std::move(sink);
    EXPECT_NE(refusal().find("is being written by another collector"), std::string::npos);
}

TEST_F(SqliteSinkTest, OneThatAnotherProgramHasForItselfIsRefused) {
    write_four();
    Database other(dir.file("db"));
    other.run("PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE");
    EXPECT_NE(refusal().find("is locked by another program: end it"), std::string::npos);
}

TEST_F(SqliteSinkTest, ANameIsAPathWhateverItLooksLike) {
    const std::filesystem::path before = std::filesystem::current_path();
    std::filesystem::current_path(dir.file(""));
    for (const char* name : {":memory:", "file:a?mode=ro", "a b'c"}) {
        sink = std::make_unique<SqliteSink>(name, SyncMode::always);
        sink->put(outcome_of(1, "one"));
        (void)said(1);
        close();
        EXPECT_GT(std::filesystem::file_size(dir.file(name)), 0U) << name;
    }
    std::filesystem::current_path(before);
}

TEST_F(SqliteSinkTest, ALinkLeadsToItsDatabase) {
    std::filesystem::create_directory(dir.file("there"));
    std::filesystem::create_symlink(dir.file("there/real"), dir.file("db"));
    open(SyncMode::always);
    sink->put(outcome_of(1, "one"));
    EXPECT_EQ(said(1), std::vector<Seq>{1});
    EXPECT_TRUE(std::filesystem::exists(dir.file("there/real-wal")));
}

}  // namespace
}  // namespace curfew

// A file with a journal: what both have is there after any crash, once, and what is not is known.
#include "collector/sinks/journaled_file.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "common/process/clock.h"
#include "common/process/options.h"
#include "common/process/poller.h"
#include "tests/support/faulty_sync.h"
#include "tests/support/sink_bench.h"
#include "tests/support/temp_dir.h"

namespace curfew {
namespace {

using namespace std::chrono_literals;
using support::completed;
using support::flush;
using support::kStart;
using support::SinkTest;
using support::TempDir;

constexpr Epoch kEpoch = 9;

OutcomeRecord outcome_of(Seq seq, std::string_view result, Epoch epoch = kEpoch) {
    OutcomeRecord outcome = completed(seq, result);
    outcome.epoch = epoch;
    return outcome;
}
OutcomeRecord failed(Seq seq) {
    OutcomeRecord outcome = outcome_of(seq, "");
    outcome.outcome = Outcome::failed;
    return outcome;
}

/// What stands at a place that was never written.
void make_hole(const std::string& path, std::uint64_t at, std::size_t size) {
    const int file = ::open(path.c_str(), O_WRONLY | O_CLOEXEC);
    const std::string zeros(size, '\0');
    EXPECT_EQ(::pwrite(file, zeros.data(), size, static_cast<off_t>(at)), static_cast<ssize_t>(size));
    ::close(file);
}

class JournaledFileTest : public SinkTest {
protected:
    JournaledFile& open(SyncMode sync = SyncMode::never) {
        sink = std::make_unique<JournaledFile>(
            JournaledFile::Place{
                .path = dir.file("out"), .journal = dir.file("out.journal"), .sync = sync, .header = header},
            append_raw);
        const std::optional<Settled::Memory> said = sink->take_memory();
        EXPECT_TRUE(said.has_value());
        memory = said.value_or(Settled::Memory{});
        return *sink;
    }
    void close() { sink.reset(); }
    /// 1 and 2 with results, 3 failed, 4 with a result.
    void write_four() {
        open();
        sink->put(outcome_of(1, "one"));
        sink->put(outcome_of(2, "two"));
        sink->put(failed(3));
        sink->put(outcome_of(4, "four"));
        EXPECT_EQ(flush(*sink), (std::vector<Seq>{1, 2, 3, 4}));
        close();
    }
    void write_many(Seq count) {
        open();
        for (Seq seq = 1; seq <= count; ++seq) sink->put(outcome_of(seq, std::to_string(seq)));
        EXPECT_EQ(flush(*sink).size(), count);
        close();
    }
    void cut(const std::string& name, std::uint64_t size) const { std::filesystem::resize_file(dir.file(name), size); }
    /// Why it is not opened; empty: it is.
    std::string refusal() {
        try {
            open();
        } catch (const Unusable& error) {
            EXPECT_EQ(error.code, 64);
            return error.what();
        }
        close();
        return {};
    }

    TempDir dir;
    std::unique_ptr<JournaledFile> sink;
    Settled::Memory memory;
    std::string_view header;
};

TEST_F(JournaledFileTest, BeginsWithItsHeaderOnceWhereverItWasKilled) {
    header = "head\n";
    open();
    EXPECT_TRUE(flush(*sink).empty());
    EXPECT_EQ(dir.read("out"), "head\n") << "before there is any outcome";
    close();
    for (const std::size_t size : {0U, 3U, 5U}) {
        SCOPED_TRACE(size);
        for (const bool has_journal : {true, false}) {
            cut("out", size);
            if (!has_journal) std::filesystem::remove(dir.file("out.journal"));
            open();
            EXPECT_TRUE(flush(*sink).empty());
            close();
            EXPECT_EQ(dir.read("out"), "head\n");
        }
    }
    write_four();
    EXPECT_EQ(dir.read("out"), "head\none\ntwo\nfour\n");
    write_four();
    EXPECT_EQ(dir.read("out"), "head\none\ntwo\nfour\n");
    EXPECT_FALSE(std::filesystem::exists(dir.file("out.cut")));
}

TEST_F(JournaledFileTest, RemembersWhatItHasAndHowItEnded) {
    open();
    EXPECT_EQ(memory.epoch, 0U) << "it is new";
    close();
    write_four();
    EXPECT_EQ(dir.read("out"), "one\ntwo\nfour\n");
    open();
    EXPECT_EQ(memory.epoch, kEpoch);
    EXPECT_EQ(memory.settled, (Intervals{{1, 4}}));
    EXPECT_EQ(memory.not_completed, (std::map<Seq, Outcome>{{3, Outcome::failed}}));
    sink->put(outcome_of(5, "five"));
    EXPECT_EQ(flush(*sink), std::vector<Seq>{5});
    EXPECT_EQ(dir.read("out"), "one\ntwo\nfour\nfive\n");
}

TEST_F(JournaledFileTest, HasEachOutcomeOnce) {
    write_four();
    open();
    sink->put(outcome_of(2, "another"));
    sink->put(outcome_of(5, "five"));
    sink->put(outcome_of(5, "five"));
    sink->forget_waiting();
    EXPECT_EQ(flush(*sink), (std::vector<Seq>{2, 5, 5})) << "said, and not written";
    EXPECT_EQ(dir.read("out"), "one\ntwo\nfour\nfive\n");
}

TEST_F(JournaledFileTest, AnotherEpochHasNumbersOfItsOwn) {
    write_four();
    open();
    sink->put(outcome_of(1, "uno", kEpoch + 1));
    EXPECT_EQ(flush(*sink), std::vector<Seq>{1});
    close();
    open();
    EXPECT_EQ(memory.epoch, kEpoch + 1);
    EXPECT_EQ(memory.settled, (Intervals{{1, 1}}));
    EXPECT_TRUE(memory.not_completed.empty());
    EXPECT_EQ(dir.read("out"), "one\ntwo\nfour\nuno\n");
}

/// A crash may leave any prefix of what was written.
TEST_F(JournaledFileTest, AJournalThatIsCutAtAnyByteIsDoneAgainFromThere) {
    write_four();
    const std::string output = dir.read("out"), journal = dir.read("out.journal");
    for (std::size_t size = journal.size(); size >= kJournalHead; --size) {
        dir.write("out", output);
        dir.write("out.journal", journal.substr(0, size));
        open();
        const std::size_t records = (size - kJournalHead) / kJournalRecord;
        ASSERT_EQ(memory.settled, records < 2 ? Intervals{} : (Intervals{{1, records - 1}})) << size;
        for (Seq seq = records < 2 ? 1 : records; seq <= 4; ++seq)
            sink->put(seq == 3 ? failed(3) : outcome_of(seq, seq == 1 ? "one" : seq == 2 ? "two" : "four"));
        (void)flush(*sink);
        close();
        ASSERT_EQ(dir.read("out"), output) << size;
        ASSERT_EQ(dir.read("out.journal").size(), journal.size()) << size;
    }
}

TEST_F(JournaledFileTest, AnOutputThatIsCutAtAnyByteIsDoneAgainFromThere) {
    write_four();
    const std::string output = dir.read("out"), journal = dir.read("out.journal");
    const std::vector<std::pair<std::size_t, Seq>> ends{{4, 1}, {8, 3}, {13, 4}};
    for (std::size_t size = 0; size <= output.size(); ++size) {
        dir.write("out", output.substr(0, size));
        dir.write("out.journal", journal);
        open();
        Seq last = 0;
        for (const auto& [end, seq] : ends) last = size >= end ? seq : last;
        ASSERT_EQ(memory.settled, last == 0 ? Intervals{} : (Intervals{{1, last}})) << size;
        close();
        ASSERT_EQ(dir.read("out").size(), last == 0 ? 0 : last == 1 ? 4 : last == 3 ? 8 : 13) << size;
    }
}

TEST_F(JournaledFileTest, AnOutputThatIsLongerIsCut) {
    write_four();
    dir.write("out", dir.read("out") + "torn by a cra");
    open();
    EXPECT_EQ(memory.settled, (Intervals{{1, 4}}));
    EXPECT_EQ(dir.read("out"), "one\ntwo\nfour\n");
    EXPECT_EQ(dir.read("out.cut"), "torn by a cra") << "it may be somebody's";
}

TEST_F(JournaledFileTest, WhereThereIsNoRoomForWhatIsCutItSaysWhatToDoAndChangesNothing) {
    write_four();
    const std::string output = dir.read("out") + std::string(100'000, 'x');
    dir.write("out", output);
    dir.write("out.cut", "of a start before\n");
    struct rlimit all {};
    ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &all), 0);
    const struct rlimit little = {50'000, all.rlim_max};
    ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &little), 0);
    std::string why;
    try {
        open();
    } catch (const std::system_error& error) {
        why = error.what();
    }
    ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &all), 0);
    EXPECT_NE(why.find("the 100000 bytes that are to be cut off"), std::string::npos) << why;
    EXPECT_NE(why.find("Make room there, and start again"), std::string::npos) << why;
    EXPECT_EQ(dir.read("out"), output);
    EXPECT_EQ(dir.read("out.cut"), "of a start before\n") << "no half of it";
    open();
    EXPECT_EQ(dir.read("out"), "one\ntwo\nfour\n");
    EXPECT_EQ(dir.read("out.cut"), "of a start before\n" + std::string(100'000, 'x'));
}

TEST_F(JournaledFileTest, BytesThatAPowerLossHasTakenAreDoneAgain) {
    write_four();
    dir.write("out", std::string("one\ntwo\n") + std::string(5, '\0'));
    open();
    EXPECT_EQ(memory.settled, (Intervals{{1, 3}})) << "the file had its size, and not its bytes";
    EXPECT_EQ(dir.read("out"), "one\ntwo\n");
}

TEST_F(JournaledFileTest, AHoleInTheMiddleIsCutThereHoweverManyRightOnesFollow) {
    write_many(5000);
    const std::string output = dir.read("out"), journal = dir.read("out.journal");
    for (const std::size_t at : {0U, 4096U, 8192U}) {
        SCOPED_TRACE(at);
        dir.write("out", output);
        dir.write("out.journal", journal);
        make_hole(dir.file("out"), at, 4096);
        open();
        const std::size_t before = at == 0 ? 0 : output.rfind('\n', at - 1) + 1;
        EXPECT_EQ(dir.read("out"), output.substr(0, before));
        const auto lines = static_cast<Seq>(std::ranges::count(output.substr(0, before), '\n'));
        EXPECT_EQ(memory.settled, lines == 0 ? Intervals{} : (Intervals{{1, lines}}));
        close();
        std::string aside = output.substr(before);
        std::fill_n(aside.begin() + static_cast<std::ptrdiff_t>(at - before), 4096, '\0');
        EXPECT_EQ(dir.read("out.cut"), aside) << "what follows is done again, and kept";
        std::filesystem::remove(dir.file("out.cut"));
    }
}

TEST_F(JournaledFileTest, AWrongOneInTheMiddleThatThePowerDidNotTakeIsAnotherFileWhereFewAreRightBeforeIt) {
    write_many(5000);
    const std::string output = dir.read("out");
    std::string other = output;
    other[other.find("\n11\n") + 1] = '7';
    dir.write("out", other);
    EXPECT_NE(refusal().find("is not the file that the journal"), std::string::npos) << "10 right, 4989 behind";
    EXPECT_EQ(dir.read("out"), other);
    other = output;
    other[other.find("\n17\n") + 1] = '7';
    dir.write("out", other);
    open();
    EXPECT_EQ(memory.settled, (Intervals{{1, 16}}));
    EXPECT_EQ(dir.read("out.cut"), other.substr(output.find("17\n")));
}

TEST_F(JournaledFileTest, WhatStandsWhereNothingWasWrittenIsKept) {
    open();
    (void)flush(*sink);
    close();
    dir.write("out", "somebody's\n");
    open();
    EXPECT_EQ(dir.read("out"), "");
    EXPECT_EQ(dir.read("out.cut"), "somebody's\n");
}

TEST_F(JournaledFileTest, AFlippedBitInTheLastRecordIsATornOneAndElsewhereIsRefused) {
    write_four();
    const std::string output = dir.read("out"), journal = dir.read("out.journal");
    const std::size_t last = journal.size() - kJournalRecord;
    for (std::size_t bit = 8 * kJournalHead; bit < 8 * journal.size(); ++bit) {
        std::string flipped = journal;
        flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ 1 << bit % 8);
        dir.write("out", output);
        dir.write("out.journal", flipped);
        if (bit / 8 >= last) {
            open();
            ASSERT_EQ(memory.settled, (Intervals{{1, 3}})) << bit;
            close();
        } else {
            const std::string why = refusal();
            ASSERT_NE(why.find("sound records follow"), std::string::npos) << bit << why;
            ASSERT_NE(why.find("truncate -s"), std::string::npos) << "what to do";
            ASSERT_EQ(dir.read("out"), output) << "nothing is lost";
        }
    }
}

TEST_F(JournaledFileTest, WhatThePowerTookInBetweenIsDoneAgainWithWhatFollows) {
    write_four();
    make_hole(dir.file("out.journal"), kJournalHead + 2 * kJournalRecord, kJournalRecord);
    open();
    EXPECT_EQ(memory.settled, (Intervals{{1, 1}})) << "the epoch, 1, a hole";
    EXPECT_EQ(dir.read("out"), "one\n");
    EXPECT_EQ(dir.read("out.cut"), "two\nfour\n");
}

TEST_F(JournaledFileTest, AJournalThatLacksAPageEndsInTheRecordThatItBeginsIn) {
    write_many(5000);
    make_hole(dir.file("out.journal"), 4096, 4096);
    open();
    EXPECT_EQ(memory.settled, (Intervals{{1, 126}})) << "behind the epoch; half of 127 stands before the page";
    EXPECT_TRUE(dir.read("out").ends_with("\n126\n"));
}

/// The first record that is lost began in the sector before.
TEST_F(JournaledFileTest, ASectorOfTheJournalThatThePowerTookIsNoDamage) {
    open();
    for (Seq seq = 1; seq <= 100; ++seq) sink->put(outcome_of(seq, "result"));
    (void)flush(*sink);
    close();
    make_hole(dir.file("out.journal"), kSector, kSector);
    EXPECT_EQ(refusal(), "");
    EXPECT_EQ(memory.settled, (Intervals{{1, 14}})) << "behind the epoch";
    EXPECT_EQ(dir.read("out").size(), 14 * std::string("result\n").size());
}

TEST_F(JournaledFileTest, AnOutputWithoutAnyOfItsBytesIsStillItself) {
    write_four();
    dir.write("out", std::string(std::string("one\ntwo\nfour\n").size(), '\0'));
    EXPECT_EQ(refusal(), "") << "the power went before the first sync";
    EXPECT_EQ(memory.settled, Intervals{});
    EXPECT_EQ(dir.read("out"), "");
}

TEST_F(JournaledFileTest, AHoleIsASectorOfWhichOnlyZerosAreThere) {
    const std::string zeros(100, '\0'), bytes(100, 'x');
    EXPECT_TRUE(has_hole(zeros, 0));
    EXPECT_TRUE(has_hole(bytes + zeros, kSector - 100));
    EXPECT_TRUE(has_hole(zeros + bytes, kSector - 100));
    EXPECT_FALSE(has_hole(bytes + zeros, kSector - 99)) << "the border is elsewhere";
    EXPECT_FALSE(has_hole(bytes + zeros + bytes, 0)) << "its work wrote them";
    EXPECT_FALSE(has_hole("", 0));
}

TEST_F(JournaledFileTest, AHeadThatIsNoneIsRefused) {
    write_four();
    const std::string journal = dir.read("out.journal");
    for (std::size_t bit = 0; bit < 8 * kJournalHead; ++bit) {
        std::string flipped = journal;
        flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ 1 << bit % 8);
        dir.write("out.journal", flipped);
        ASSERT_NE(refusal(), "") << bit;
    }
    std::string newer = journal_head();
    newer[8] = 2;
    const std::uint32_t check = crc32_of(std::string_view(newer).substr(0, 12));
    for (int i = 0; i < 4; ++i) newer[12 + static_cast<std::size_t>(i)] = static_cast<char>(check >> 8 * i);
    dir.write("out.journal", newer);
    EXPECT_NE(refusal().find("of version 2, and this curfew reads up to 1"), std::string::npos);
}

TEST_F(JournaledFileTest, AnotherFileInItsPlaceIsRefused) {
    write_four();
    dir.write("out", "eins\nzwei\nvier\n");
    EXPECT_NE(refusal().find("is not the file that the journal"), std::string::npos);
    EXPECT_EQ(dir.read("out"), "eins\nzwei\nvier\n");
    std::filesystem::remove(dir.file("out.journal"));
    EXPECT_NE(refusal().find("and no journal of them"), std::string::npos);
    EXPECT_EQ(dir.read("out"), "eins\nzwei\nvier\n");
}

TEST_F(JournaledFileTest, AFewLinesThatAreAlikeDoNotMakeItTheSameFile) {
    open();
    std::string other;
    for (Seq seq = 1; seq <= 100; ++seq) {
        sink->put(outcome_of(seq, std::to_string(seq % 10)));
        other += std::to_string(seq % 7) + "\n";
    }
    (void)flush(*sink);
    close();
    dir.write("out", other);
    EXPECT_NE(refusal().find("is not the file that the journal"), std::string::npos);
    EXPECT_EQ(dir.read("out"), other);
}

TEST_F(JournaledFileTest, WhatIsNoFileIsRefused) {
    ASSERT_EQ(mkfifo(dir.file("out").c_str(), 0600), 0);
    EXPECT_NE(refusal().find("is no file"), std::string::npos);
}

TEST_F(JournaledFileTest, TheSecondWriterIsRefused) {
    open();
    const std::unique_ptr<JournaledFile> first = std::move(sink);
    EXPECT_NE(refusal().find("is being written by another collector"), std::string::npos);
}

TEST_F(JournaledFileTest, WithSyncAlwaysAnOutcomeIsSaidWhenTheDiskHasIt) {
    open(SyncMode::always);
    sink->put(outcome_of(1, "one"));
    std::vector<Seq> said = flush(*sink);
    Poller poller;
    sink->wait_for(poller);
    ASSERT_EQ(poller.size(), 1U);
    while (said.empty()) {
        poller.wait(Clock::now() + 10s);
        ASSERT_TRUE(poller.ready(0)) << "nobody said that it is on the disk";
        said = flush(*sink);
    }
    EXPECT_EQ(said, std::vector<Seq>{1});
    EXPECT_EQ(sink->waiting(), 0U);
    EXPECT_TRUE(sink->close(kStart, kStart));
}

TEST_F(JournaledFileTest, AfterASyncThatFailedNothingIsSaidAndTheNextStartMakesACopy) {
    open(SyncMode::always);
    sink->put(outcome_of(1, "one"));
    support::sync_error = EIO;
    EXPECT_THROW(
        for (const Instant until = Clock::now() + 10s; Clock::now() < until;) {
            EXPECT_TRUE(flush(*sink).empty());
            Poller poller;
            sink->wait_for(poller);
            poller.wait(Clock::now() + 1s);
        },
        std::system_error);
    support::sync_error = 0;
    close();
    EXPECT_TRUE(std::filesystem::exists(dir.file("out.unsynced")));
    struct stat before {
    }, after{};
    ASSERT_EQ(::stat(dir.file("out").c_str(), &before), 0);
    open(SyncMode::always);
    ASSERT_EQ(::stat(dir.file("out").c_str(), &after), 0);
    EXPECT_NE(before.st_ino, after.st_ino) << "on pages that are new";
    EXPECT_EQ(dir.read("out"), "one\n");
    EXPECT_EQ(memory.settled, (Intervals{{1, 1}})) << "what could be read was written anew";
    EXPECT_FALSE(std::filesystem::exists(dir.file("out.unsynced")));
    EXPECT_FALSE(std::filesystem::exists(dir.file("out.copy")));
}

TEST_F(JournaledFileTest, AnOutputBehindALinkIsCopiedWhereItLies) {
    write_four();
    std::filesystem::create_directory(dir.file("elsewhere"));
    std::filesystem::rename(dir.file("out"), dir.file("elsewhere/real"));
    std::filesystem::create_symlink("elsewhere/real", dir.file("out"));
    dir.write("out.unsynced", "");
    struct stat before {
    }, after{};
    ASSERT_EQ(::stat(dir.file("elsewhere/real").c_str(), &before), 0);
    open();
    ASSERT_EQ(::stat(dir.file("elsewhere/real").c_str(), &after), 0);
    EXPECT_NE(before.st_ino, after.st_ino) << "on pages that are new";
    EXPECT_TRUE(std::filesystem::is_symlink(dir.file("out")));
    EXPECT_EQ(memory.settled, (Intervals{{1, 4}}));
    EXPECT_EQ(dir.read("out"), "one\ntwo\nfour\n");
}

TEST_F(JournaledFileTest, WithASyncEachSecondItIsSaidAtOnceAndSyncedLater) {
    open(SyncMode::each_second);
    sink->put(outcome_of(1, "one"));
    EXPECT_EQ(flush(*sink, kStart), std::vector<Seq>{1});
    EXPECT_EQ(sink->next_deadline(), kStart + SyncPace::kSyncEvery);
    EXPECT_TRUE(flush(*sink, kStart + SyncPace::kSyncEvery).empty());
    EXPECT_EQ(sink->next_deadline(), kNever) << "nothing more to sync";
}

TEST_F(JournaledFileTest, ARecordCountsAtItsPlaceAlone) {
    std::string bytes;
    append_record(bytes, 16, {.number = 7, .end = 3});
    EXPECT_EQ(bytes.size(), kJournalRecord);
    ASSERT_TRUE(sound_record(bytes, 16));
    EXPECT_EQ(sound_record(bytes, 16)->number, 7U);
    EXPECT_FALSE(sound_record(bytes, 48));
    EXPECT_FALSE(sound_record(std::string_view(bytes).substr(1), 16));
}

}  // namespace
}  // namespace curfew

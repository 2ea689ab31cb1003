// The sinks: what is settled is what they have, and a pipe or a disk that takes no more holds up
// nobody.
#include "collector/sinks/descriptor.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <limits.h>
#include <sys/resource.h>

#include <set>
#include <string>
#include <system_error>
#include <vector>

#include "tests/support/sink_bench.h"
#include "tests/support/temp_dir.h"

namespace curfew {
namespace {

using namespace std::chrono_literals;
using support::completed;
using support::flush;
using support::kStart;
using support::Pipe;
using support::SinkTest;
using support::TempDir;
using Written = Sink::Written;
using DescriptorSinkTest = SinkTest;

// ---- pipes -------------------------------------------------------------------------------------

TEST_F(DescriptorSinkTest, WritesTheOutcomesInTheirOrderAndSaysSo) {
    Pipe pipe;
    DescriptorSink sink({.descriptor = pipe.give_writer()}, append_raw);
    sink.put(completed(2, "two"));
    sink.put(completed(1, "one"));
    EXPECT_EQ(sink.waiting(), 2U);
    EXPECT_EQ(flush(sink), (std::vector<Seq>{2, 1}));
    EXPECT_EQ(pipe.take(), "two\none\n");
    EXPECT_EQ(sink.waiting(), 0U);
    EXPECT_TRUE(flush(sink).empty()) << "once";
}

TEST_F(DescriptorSinkTest, AnOutcomeThatTheFormHasNothingForIsWrittenAtOnceBehindThoseBeforeIt) {
    Pipe pipe;
    DescriptorSink sink({.descriptor = pipe.give_writer()}, append_raw);
    OutcomeRecord failed = completed(2, "");
    failed.outcome = Outcome::failed;
    sink.put(completed(1, "one"));
    sink.put(failed);
    EXPECT_EQ(flush(sink), (std::vector<Seq>{1, 2}));
    EXPECT_EQ(pipe.take(), "one\n");
    sink.put(failed);
    EXPECT_EQ(flush(sink), std::vector<Seq>{2});
}

TEST_F(DescriptorSinkTest, AFileBeginsWithItsHeaderWhereItIsEmpty) {
    const TempDir dir;
    for (const char* expected : {"head\none\n", "head\none\none\n"}) {
        DescriptorSink sink({.descriptor = open_sink_file(dir.file("log")), .header = "head\n"}, append_raw);
        sink.put(completed(1, "one"));
        EXPECT_EQ(flush(sink), std::vector<Seq>{1});
        EXPECT_EQ(dir.read("log"), expected);
    }
}

TEST_F(DescriptorSinkTest, AFullPipeDoesNotBlockAndOnlyWhatIsWrittenIsSaid) {
    Pipe pipe;
    DescriptorSink sink({.descriptor = pipe.give_writer()}, append_raw);
    constexpr Seq kOutcomes = 3000;
    for (Seq seq = 1; seq <= kOutcomes; ++seq) sink.put(completed(seq, std::string(99, 'x')));
    std::vector<Seq> written = flush(sink);
    EXPECT_GT(written.size(), 0U);
    EXPECT_LT(written.size(), kOutcomes);
    EXPECT_TRUE(flush(sink).empty()) << "nobody has read";
    Poller poller;
    sink.wait_for(poller);
    EXPECT_EQ(poller.size(), 1U) << "to be woken when there is room";
    std::string read;
    while (written.size() < kOutcomes) {
        const std::string piece = pipe.take();
        ASSERT_FALSE(piece.empty());
        read += piece;
        EXPECT_LE(written.size() * 100, read.size() + 0) << "never more than has gone out";
        for (const Seq seq : flush(sink)) written.push_back(seq);
    }
    read += pipe.take();
    EXPECT_EQ(read.size(), kOutcomes * 100);
    for (Seq seq = 1; seq <= kOutcomes; ++seq) EXPECT_EQ(written[seq - 1], seq);
    poller.clear();
    sink.wait_for(poller);
    EXPECT_EQ(poller.size(), 0U);
}

TEST_F(DescriptorSinkTest, NoLineThatFitsIntoPipeBufIsTorn) {
    Pipe pipe;
    DescriptorSink sink({.descriptor = pipe.give_writer()}, append_raw);
    for (Seq seq = 1; seq <= 400; ++seq) sink.put(completed(seq, std::string(seq * 37 % 1500, 'x')));
    std::size_t seen = 0;
    while (sink.waiting() > 0) {
        flush(sink);
        const std::string all = pipe.take();
        ASSERT_FALSE(all.empty());
        EXPECT_EQ(all.back(), '\n') << "a reader never finds half a line at the end";
        seen += static_cast<std::size_t>(std::count(all.begin(), all.end(), '\n'));
    }
    EXPECT_EQ(seen, 400U);
}

TEST_F(DescriptorSinkTest, NoOutcomeThatFitsIntoPipeBufIsTornBehindALongOneEither) {
    // The tail of a long line leaves any room for the short ones behind it; a result with newlines
    // in it counts as one.
    for (std::size_t over = 1; over <= PIPE_BUF; over += 131) {
        Pipe pipe;
        const int writer = pipe.give_writer();
        // One write is all that it takes
        ASSERT_EQ(fcntl(writer, F_SETPIPE_SZ, PIPE_BUF), PIPE_BUF);
        DescriptorSink sink({.descriptor = writer}, append_raw);
        std::size_t end = 3 * PIPE_BUF + over;
        std::set<std::size_t> ends;
        sink.put(completed(1, std::string(end - 1, 'x')));
        const std::size_t end_of_long = end;
        for (Seq seq = 2; seq <= 30; ++seq) {
            ends.insert(end);
            const std::size_t size = seq % 5 == 0 ? PIPE_BUF - 1 : seq * 41;
            sink.put(completed(seq, std::string(size / 2, 'y') + '\n' + std::string(size - size / 2 - 1, 'z')));
            end += size + 1;
        }
        ends.insert(end);
        std::size_t taken = 0;
        while (sink.waiting() > 0) {
            flush(sink);
            const std::size_t piece = pipe.take(PIPE_BUF).size();
            ASSERT_GT(piece, 0U);
            taken += piece;
            EXPECT_TRUE(taken < end_of_long || ends.contains(taken)) << taken << " of " << end << ", " << over;
        }
    }
}

TEST_F(DescriptorSinkTest, ALineLongerThanThePipeGoesThroughInPieces) {
    Pipe pipe;
    DescriptorSink sink({.descriptor = pipe.give_writer()}, append_raw);
    const std::string large(300'000, 'y');
    sink.put(completed(1, large));
    sink.put(completed(2, "end"));
    std::string read;
    std::vector<Seq> written;
    while (written.size() < 2) {
        for (const Seq seq : flush(sink)) written.push_back(seq);
        const std::string piece = pipe.take();
        ASSERT_FALSE(piece.empty());
        read += piece;
    }
    EXPECT_EQ(read, large + "\nend\n");
}

TEST_F(DescriptorSinkTest, AReaderThatHasGoneIsAnError) {
    Pipe pipe;
    DescriptorSink sink({.descriptor = pipe.give_writer()}, append_raw);
    pipe.close_reader();
    sink.put(completed(1, "one"));
    Written written;
    try {
        sink.flush(kStart, written);
        FAIL() << "nothing was thrown";
    } catch (const std::system_error& error) {
        EXPECT_EQ(error.code().value(), EPIPE);
    }
    EXPECT_TRUE(written.empty());
}

// ---- files -------------------------------------------------------------------------------------

TEST_F(DescriptorSinkTest, AFileIsAppendedTo) {
    const TempDir dir;
    dir.write("out", "before\n");
    DescriptorSink sink({.descriptor = open_sink_file(dir.file("out"))}, append_raw);
    sink.put(completed(1, std::string(3 << 20, 'z')));
    EXPECT_EQ(flush(sink), std::vector<Seq>{1}) << "files take it all";
    EXPECT_EQ(dir.read("out"), "before\n" + std::string(3 << 20, 'z') + "\n");
}

TEST_F(DescriptorSinkTest, AFullDiskIsWaitedFor) {
    const int full = open("/dev/full", O_WRONLY | O_CLOEXEC);
    ASSERT_GE(full, 0);
    DescriptorSink sink({.descriptor = full}, append_raw);
    sink.put(completed(1, "one"));
    testing::internal::CaptureStderr();
    EXPECT_TRUE(flush(sink).empty());
    EXPECT_TRUE(flush(sink).empty());
    const std::string said = testing::internal::GetCapturedStderr();
    EXPECT_EQ(said.find("sink_full"), said.rfind("sink_full")) << "said once";
    EXPECT_NE(said.find("sink_full"), std::string::npos);
    EXPECT_EQ(sink.waiting(), 1U);
    EXPECT_EQ(sink.next_deadline(), kStart + 500ms);
    Poller poller;
    sink.wait_for(poller);
    EXPECT_EQ(poller.size(), 0U) << "a full disk is always writable: that would spin";
}

TEST_F(DescriptorSinkTest, AFileAtItsLimitIsAnErrorThatSaysSoAndEndsWhole) {
    const TempDir dir;
    rlimit before{};
    getrlimit(RLIMIT_FSIZE, &before);
    std::string said;
    {
        DescriptorSink sink({.descriptor = open_sink_file(dir.file("out")), .name = "out"}, append_raw);
        for (Seq seq = 1; seq <= 3; ++seq) sink.put(completed(seq, std::string(999, 'x')));
        const rlimit small{2500, before.rlim_max};
        setrlimit(RLIMIT_FSIZE, &small);
        Written written;
        try {
            sink.flush(kStart, written);
        } catch (const std::system_error& error) {
            said = error.what();
        }
        setrlimit(RLIMIT_FSIZE, &before);
        EXPECT_EQ(written.size(), 2U) << "the third is there in part";
    }
    EXPECT_NE(said.find("as large as a file may be here (ulimit -f"), std::string::npos) << said;
    EXPECT_EQ(dir.read("out").size(), 2000U) << "an orderly end leaves no torn line";
}

// ---- what waits --------------------------------------------------------------------------------

TEST_F(DescriptorSinkTest, TellsHowManyBytesWait) {
    Pipe pipe;
    DescriptorSink sink({.descriptor = pipe.give_writer()}, append_raw);
    EXPECT_EQ(sink.waiting_bytes(), 0U);
    constexpr std::size_t kAll = 5 * 200'001;
    for (Seq seq = 1; seq <= 5; ++seq) sink.put(completed(seq, std::string(200'000, 'x')));
    EXPECT_EQ(sink.waiting_bytes(), kAll);
    std::size_t read = 0;
    while (read < kAll) {
        flush(sink);
        const std::string piece = pipe.take();
        ASSERT_FALSE(piece.empty());
        read += piece.size();
        EXPECT_EQ(sink.waiting_bytes(), kAll - read) << "all that was taken has been read";
    }
    flush(sink);
    EXPECT_EQ(sink.waiting_bytes(), 0U);
}

TEST_F(DescriptorSinkTest, OneFlushHasABoundAndTheLoopIsWokenForTheRest) {
    const int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
    DescriptorSink sink({.descriptor = null}, append_raw);
    constexpr std::size_t kOutcomes = 20;
    for (Seq seq = 1; seq <= kOutcomes; ++seq) sink.put(completed(seq, std::string(1 << 20, 'x')));
    std::size_t written = flush(sink).size();
    EXPECT_GT(written, 0U);
    EXPECT_LT(written, kOutcomes) << "who reads fast must not hold the loop";
    Poller poller;
    sink.wait_for(poller);
    EXPECT_EQ(poller.size(), 1U);
    while (sink.waiting() > 0) written += flush(sink).size();
    EXPECT_EQ(written, kOutcomes);
}

TEST_F(DescriptorSinkTest, WhatWaitsIsForgottenExceptForWhatHasBegun) {
    Pipe pipe;
    const int writer = pipe.give_writer();
    ASSERT_EQ(fcntl(writer, F_SETPIPE_SZ, PIPE_BUF), PIPE_BUF);
    DescriptorSink sink({.descriptor = writer}, append_raw);
    const std::string large(2 * PIPE_BUF, 'x');
    sink.put(completed(1, large));
    sink.put(completed(2, "two"));
    sink.put(completed(3, std::string(400 << 10, 'y')));
    sink.put(completed(4, "four"));
    EXPECT_TRUE(flush(sink).empty()) << "a piece of the first is in the pipe";
    sink.forget_waiting();
    EXPECT_EQ(sink.waiting(), 1U);
    EXPECT_EQ(sink.waiting_bytes(), large.size() + 1 - PIPE_BUF);
    sink.put(completed(5, "five"));
    std::string all;
    std::vector<Seq> written;
    while (sink.waiting() > 0) {
        all += pipe.take();
        for (const Seq seq : flush(sink)) written.push_back(seq);
    }
    EXPECT_EQ(all + pipe.take(), large + "\nfive\n");
    EXPECT_EQ(written, (std::vector<Seq>{1, 5}));
}

TEST_F(DescriptorSinkTest, AllThatWaitsIsForgottenBetweenTwoOutcomes) {
    Pipe pipe;
    DescriptorSink sink({.descriptor = pipe.give_writer()}, append_raw);
    sink.put(completed(1, "one"));
    EXPECT_EQ(flush(sink), std::vector<Seq>{1});
    sink.put(completed(2, "two"));
    sink.forget_waiting();
    sink.forget_waiting();
    EXPECT_EQ(sink.waiting() + sink.waiting_bytes(), 0U);
    sink.put(completed(3, "three"));
    EXPECT_EQ(flush(sink), std::vector<Seq>{3});
    EXPECT_EQ(pipe.take(), "one\nthree\n");
}

}  // namespace
}  // namespace curfew

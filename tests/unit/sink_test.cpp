// The sinks: what is settled is what they have, and a pipe or a disk that takes no more holds up nobody.
#include "collector/sink.h"

#include <gtest/gtest.h>
#include <limits.h>
#include <signal.h>

#include <system_error>

#include "tests/support/frames.h"
#include "tests/support/temp_dir.h"

namespace curfew {
namespace {

using namespace std::chrono_literals;
using support::kStart;
using support::Pipe;
using support::TempDir;
using Written = Sink::Written;

OutcomeRecord completed(Seq seq, std::string_view result) {
    OutcomeRecord outcome;
    outcome.sync = 3;
    outcome.seq = seq;
    outcome.result = ByteStore().keep(result);
    return outcome;
}

std::vector<Seq> flush(Sink& sink, Instant now = kStart) {
    Written written;
    sink.flush(now, written);
    std::vector<Seq> seqs;
    for (const auto& [sync, seq] : written) {
        EXPECT_EQ(sync, 3U);
        seqs.push_back(seq);
    }
    return seqs;
}

class SinkTest : public testing::Test {
protected:
    SinkTest() { signal(SIGPIPE, SIG_IGN); }  // as the daemons do
};
using DescriptorSinkTest = SinkTest;

// ---- pipes ---------------------------------------------------------------------------------------------------------

TEST_F(DescriptorSinkTest, WritesTheOutcomesInTheirOrderAndSaysSo) {
    Pipe pipe;
    DescriptorSink sink(pipe.give_writer(), append_raw);
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
    DescriptorSink sink(pipe.give_writer(), append_raw);
    OutcomeRecord failed = completed(2, "");
    failed.outcome = Outcome::failed;
    sink.put(completed(1, "one"));
    sink.put(failed);
    EXPECT_EQ(flush(sink), (std::vector<Seq>{1, 2}));
    EXPECT_EQ(pipe.take(), "one\n");
    sink.put(failed);
    EXPECT_EQ(flush(sink), std::vector<Seq>{2});
}

TEST_F(DescriptorSinkTest, AFullPipeDoesNotBlockAndOnlyWhatIsWrittenIsSaid) {
    Pipe pipe;
    DescriptorSink sink(pipe.give_writer(), append_raw);
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
    DescriptorSink sink(pipe.give_writer(), append_raw);
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

TEST_F(DescriptorSinkTest, ALineLongerThanThePipeGoesThroughInPieces) {
    Pipe pipe;
    DescriptorSink sink(pipe.give_writer(), append_raw);
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
    DescriptorSink sink(pipe.give_writer(), append_raw);
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

// ---- files ---------------------------------------------------------------------------------------------------------

TEST_F(DescriptorSinkTest, AFileIsAppendedTo) {
    const TempDir dir;
    dir.write("out", "before\n");
    DescriptorSink sink(open_sink_file(dir.file("out"), false), append_raw);
    sink.put(completed(1, std::string(3 << 20, 'z')));
    EXPECT_EQ(flush(sink), std::vector<Seq>{1}) << "files take it all";
    EXPECT_EQ(dir.read("out"), "before\n" + std::string(3 << 20, 'z') + "\n");
}

TEST_F(DescriptorSinkTest, AFullDiskIsWaitedFor) {
    const int full = open("/dev/full", O_WRONLY | O_CLOEXEC);
    ASSERT_GE(full, 0);
    DescriptorSink sink(full, append_raw);
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

std::string after_opening(std::string_view before, bool crashed) {
    const TempDir dir;
    dir.write("out", before);
    testing::internal::CaptureStderr();
    close(open_sink_file(dir.file("out"), crashed));
    (void)testing::internal::GetCapturedStderr();
    return dir.read("out");
}

TEST(OpenSinkFile, ATornTailIsCutOnlyAfterACrash) {
    EXPECT_EQ(after_opening("one\ntwo\ntor", true), "one\ntwo\n");
    EXPECT_EQ(after_opening("torn", true), "");
    EXPECT_EQ(after_opening("one\ntwo\n", true), "one\ntwo\n");
}

TEST(OpenSinkFile, WithoutACrashAMissingNewlineIsAdded) {
    EXPECT_EQ(after_opening("one\ntwo", false), "one\ntwo\n");
    EXPECT_EQ(after_opening("one\n", false), "one\n");
    EXPECT_EQ(after_opening("", false), "");
}

TEST(OpenSinkFile, AFileThatCannotBeOpenedIsAnError) {
    const TempDir dir;
    EXPECT_THROW((void)open_sink_file(dir.file("no/such/dir"), false), std::system_error);
}

// ---- ZeroMQ --------------------------------------------------------------------------------------------------------

TEST_F(SinkTest, ZmqAnOutcomeIsAFrameWithoutANewline) {
    zmq::context_t context;
    Socket pull = Socket::bound(context, zmq::socket_type::pull, "inproc://sink", {});
    ZmqSink sink(Socket::connected(context, zmq::socket_type::push, "inproc://sink", {}), append_raw);
    OutcomeRecord failed = completed(2, "");
    failed.outcome = Outcome::failed;
    sink.put(completed(1, "one"));
    sink.put(failed);
    sink.put(completed(3, ""));
    EXPECT_EQ(flush(sink), (std::vector<Seq>{1, 2, 3}));
    std::string_view bytes;
    ASSERT_TRUE(pull.receive(bytes));
    EXPECT_EQ(bytes, "one");
    ASSERT_TRUE(pull.receive(bytes));
    EXPECT_EQ(bytes, "") << "an empty result is a result";
    EXPECT_FALSE(pull.receive(bytes)) << "raw has nothing for a failure";
}

TEST_F(SinkTest, ZmqWithoutAReaderNothingIsSettledAndItIsTriedAgainSoon) {
    zmq::context_t context;
    ZmqSink sink(Socket::bound(context, zmq::socket_type::push, "inproc://nobody", {.send = 10, .linger = 0ms}),
                 append_raw);
    sink.put(completed(1, "one"));
    EXPECT_TRUE(flush(sink).empty());
    EXPECT_EQ(sink.waiting(), 1U);
    EXPECT_GT(sink.next_deadline(), kStart);
    EXPECT_LT(sink.next_deadline(), kStart + 1s);
}

}  // namespace
}  // namespace curfew

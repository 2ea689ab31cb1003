// The sources: what counts as a message, what is refused, what is left, and that none ever waits
// for more.
#include "broker/sources/lines.h"
#include "broker/sources/zmq.h"
#include "common/process/clock.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <system_error>

#include "broker/refused_message.h"
#include "tests/support/temp_dir.h"

namespace curfew {
namespace {

using support::Pipe;
using support::TempDir;
using Messages = std::vector<std::string>;

constexpr std::size_t kChunk = 64 * 1024;  // what is read at once

/// What comes in a turn.
Messages turn(Source& source) {
    Messages messages;
    for (Incoming message; source.next(message);) messages.emplace_back(message.payload);
    return messages;
}

/// What comes now.
Messages drain(LineSource& source) {
    Messages messages;
    do {
        for (std::string& message : turn(source)) messages.push_back(std::move(message));
    } while (source.has_buffered() && !source.ended());
    return messages;
}

struct Result {
    Messages messages;
    std::uint64_t refused = 0;
    std::uint64_t read = 0;
};

/// The whole of a file.
Result read_file(std::string_view bytes, char separator = '\n', std::size_t most = 1 << 20) {
    const TempDir dir;
    LineSource source(open(dir.write("in", bytes).c_str(), O_RDONLY), separator, most);
    EXPECT_EQ(source.bytes_total(), bytes.size());
    Result result;
    while (!source.ended()) {
        for (std::string& message : drain(source)) result.messages.push_back(std::move(message));
    }
    result.refused = source.refused();
    result.read = source.bytes_read();
    return result;
}

TEST(LineSource, EachLineIsAMessage) {
    EXPECT_EQ(read_file("one\ntwo\nthree\n").messages, (Messages{"one", "two", "three"}));
}

TEST(LineSource, TheLastLineNeedsNoNewline) {
    EXPECT_EQ(read_file("one\ntwo").messages, (Messages{"one", "two"}));
}

TEST(LineSource, AnEmptyInputHasNoMessages) {
    const Result result = read_file("");
    EXPECT_TRUE(result.messages.empty());
    EXPECT_EQ(result.refused, 0U);
}

TEST(LineSource, AnEmptyLineIsAnEmptyMessage) {
    EXPECT_EQ(read_file("\n\na\n\n").messages, (Messages{"", "", "a", ""}));
}

TEST(LineSource, ANulIsAByteLikeAnyOther) {
    using namespace std::string_literals;
    EXPECT_EQ(read_file("a\0b\nc\r\n"s).messages, (Messages{"a\0b"s, "c\r"s}));
}

TEST(LineSource, ANulMaySeparateInstead) {
    using namespace std::string_literals;
    EXPECT_EQ(read_file("a\nb\0c\0"s, '\0').messages, (Messages{"a\nb", "c"}));
}

TEST(LineSource, AMessageOverTheLimitIsRefusedAndTheRestGoesOn) {
    const Result result = read_file("1234\n12345\nabcd\n123456789\nx", '\n', 4);
    EXPECT_EQ(result.messages, (Messages{"1234", "abcd", "x"}));
    EXPECT_EQ(result.refused, 2U);
    EXPECT_EQ(result.read, 27U);
}

TEST(LineSource, ChunkBordersAreNoBorders) {
    for (const std::size_t size :
         {kChunk - 2, kChunk - 1, kChunk, kChunk + 1, 2 * kChunk - 1, 2 * kChunk, 2 * kChunk + 1}) {
        const std::string large(size, 'x');
        EXPECT_EQ(read_file(large + "\nend").messages, (Messages{large, "end"})) << size;
        EXPECT_EQ(read_file("a\n" + large).messages, (Messages{"a", large})) << size;
    }
}

TEST(LineSource, WhatIsTooLongIsRefusedOnceWhereverTheChunksEnd) {
    for (const std::size_t size :
         {std::size_t{11}, kChunk - 1, kChunk, kChunk + 1, 3 * kChunk - 1, 3 * kChunk, 3 * kChunk + 5}) {
        const Result result = read_file("a\n" + std::string(size, 'x') + "\nb\n", '\n', 10);
        EXPECT_EQ(result.messages, (Messages{"a", "b"})) << size;
        EXPECT_EQ(result.refused, 1U) << size;
        EXPECT_EQ(result.read, size + 5) << size;
    }
}

TEST(LineSource, AMessageOfExactlyTheLimitIsTakenAtAChunkBorder) {
    const std::string exact(kChunk, 'x');
    const Result result = read_file(exact + "\n" + exact + "y\nz\n", '\n', kChunk);
    EXPECT_EQ(result.messages, (Messages{exact, "z"}));
    EXPECT_EQ(result.refused, 1U);
}

TEST(LineSource, ATailOfATooLongMessageIsNoMessage) {
    const Result result = read_file(std::string(kChunk, 'x') + "tail", '\n', 10);
    EXPECT_TRUE(result.messages.empty());
    EXPECT_EQ(result.refused, 1U);
}

TEST(LineSource, APipeThatDeliversByteByByteMakesTheSameMessages) {
    Pipe pipe;
    LineSource source(pipe.give_reader(), '\n', 5);
    Messages messages;
    for (const char c : std::string("one\n\ntoolong\ntwo\nlast")) {
        pipe.put({&c, 1});
        for (std::string& message : drain(source)) messages.push_back(std::move(message));
    }
    EXPECT_EQ(messages, (Messages{"one", "", "two"}));
    EXPECT_FALSE(source.ended());
    pipe.close_writer();
    EXPECT_EQ(drain(source), Messages{"last"});
    EXPECT_TRUE(source.ended());
    EXPECT_EQ(source.refused(), 1U);
    EXPECT_EQ(source.bytes_read(), 21U);
}

TEST(LineSource, AnOverlongMessageWithoutAnEndIsRefusedByTheTimeTheSourceHasEnded) {
    Pipe pipe;
    pipe.put("0123456789");
    pipe.close_writer();
    LineSource source(pipe.give_reader(), '\n', 4);
    Incoming message;
    while (!source.ended()) EXPECT_FALSE(source.next(message));
    EXPECT_EQ(source.refused(), 1U);
}

TEST(LineSource, AnEmptyPipeIsNotWaitedFor) {
    Pipe pipe;
    LineSource source(pipe.give_reader(), '\n', 100);
    Incoming message;
    EXPECT_FALSE(source.next(message));
    EXPECT_FALSE(source.ended());
    EXPECT_FALSE(source.has_buffered());
    Poller poller;
    source.wait_for(poller);
    EXPECT_EQ(poller.size(), 1U);
}

TEST(LineSource, WhatIsBufferedIsSaid) {
    Pipe pipe;
    LineSource source(pipe.give_reader(), '\n', 100);
    pipe.put("a\nb\nc");
    Incoming message;
    EXPECT_TRUE(source.next(message));
    EXPECT_TRUE(source.has_buffered());
    EXPECT_TRUE(source.next(message));
    EXPECT_FALSE(source.has_buffered());
}

TEST(LineSource, AnEndedSourceAsksForNothing) {
    Pipe pipe;
    LineSource source(pipe.give_reader(), '\n', 100);
    pipe.close_writer();
    EXPECT_TRUE(drain(source).empty());
    EXPECT_TRUE(source.ended());
    Poller poller;
    source.wait_for(poller);
    EXPECT_EQ(poller.size(), 0U);
}

TEST(LineSource, WhatWasReadAheadOfAPipeIsCounted) {
    Pipe pipe;
    LineSource source(pipe.give_reader(), '\n', 100);
    pipe.put("one\ntwo\nthree\nfo");
    Incoming message;
    ASSERT_TRUE(source.next(message));
    EXPECT_EQ(source.left(), 3U) << "of the last only a part was read, which nobody else gets";
    ASSERT_TRUE(source.next(message) && source.next(message));
    EXPECT_FALSE(source.next(message));
    EXPECT_EQ(source.left(), 1U);
    pipe.close_writer();
    ASSERT_TRUE(source.next(message));
    EXPECT_EQ(message.payload, "fo");
    EXPECT_EQ(source.left(), 0U);
}

TEST(LineSource, TheLastMessageThatWasReadAheadCountsWithoutItsSeparatorToo) {
    Pipe pipe;
    LineSource source(pipe.give_reader(), '\n', 4);
    pipe.put("one\ntwo");
    pipe.close_writer();
    Incoming message;
    ASSERT_TRUE(source.next(message));
    EXPECT_EQ(source.left(), 1U);
    ASSERT_TRUE(source.next(message));
    EXPECT_EQ(source.left(), 0U);
}

TEST(LineSource, NoPartOfARefusedMessageIsLeft) {
    Pipe pipe;
    LineSource source(pipe.give_reader(), '\n', 4);
    Incoming message;
    for (const char* part : {"far too", "lon"}) {
        pipe.put(part);
        EXPECT_FALSE(source.next(message));
        EXPECT_EQ(source.left(), 0U);
    }
}

// ---- a turn has a bound ------------------------------------------------------------------------

/// A file of this many NULs, which takes no room on a disk, with `tail` behind them.
std::string sparse_file(const TempDir& dir, std::size_t size, std::string_view tail) {
    const std::string path = dir.write("in", "");
    const int descriptor = open(path.c_str(), O_WRONLY);
    EXPECT_EQ(pwrite(descriptor, tail.data(), tail.size(), static_cast<off_t>(size)), std::ssize(tail));
    close(descriptor);
    return path;
}

TEST(LineSource, ATurnSkipsABoundedPartOfAnOverlongMessageAndSaysThatThereIsMore) {
    constexpr std::size_t kSize = 64 << 20;
    const TempDir dir;
    LineSource source(open(sparse_file(dir, kSize, "\ngood\n").c_str(), O_RDONLY), '\n', 1000);
    int turns = 0;
    Messages messages;
    for (std::uint64_t read = 0; !source.ended(); ++turns) {
        messages = turn(source);
        EXPECT_LE(source.bytes_read() - read, TurnShare::kBytes + kChunk);
        EXPECT_TRUE(source.has_buffered() || source.ended());
        EXPECT_EQ(source.refused(), 1U) << "once, and from the first turn on";
        read = source.bytes_read();
        ASSERT_LT(turns, 100);
    }
    EXPECT_GE(turns, static_cast<int>(kSize / (TurnShare::kBytes + kChunk)));
    EXPECT_EQ(messages, Messages{"good"});
    EXPECT_EQ(source.bytes_read(), kSize + 6);
}

TEST(LineSource, AMessageThatNeverEndsLeavesEachTurnItsEnd) {
    LineSource source(open("/dev/zero", O_RDONLY), '\n', 1 << 20);
    for (std::size_t turns = 1; turns <= 10; ++turns) {
        EXPECT_TRUE(turn(source).empty());
        EXPECT_TRUE(source.has_buffered());
        EXPECT_FALSE(source.ended());
        EXPECT_LE(source.bytes_read(), turns * (TurnShare::kBytes + kChunk));
    }
    EXPECT_EQ(source.refused(), 1U);
    EXPECT_EQ(source.left(), 0U) << "what is refused is not left behind";
}

TEST(LineSource, ATurnTakesABoundedPartOfGoodMessages) {
    const std::string message(1 << 20, 'x');
    const TempDir dir;
    LineSource source(
        open(dir.write("in", (message + "\n") + message + "\n" + message + "\n" + message + "\n" + message).c_str(),
             O_RDONLY),
        '\n', 1 << 20);
    std::size_t all = 0;
    while (!source.ended()) {
        const std::size_t taken = turn(source).size();
        EXPECT_LE(taken, TurnShare::kBytes / message.size());
        EXPECT_TRUE(source.has_buffered());
        all += taken;
    }
    EXPECT_EQ(all, 5U);
}

TEST(LineSource, ATurnTakesABoundedNumberOfEmptyMessages) {
    const TempDir dir;
    LineSource source(open(dir.write("in", std::string(1 << 20, '\n')).c_str(), O_RDONLY), '\n', 100);
    std::size_t all = 0;
    while (!source.ended()) {
        const std::size_t taken = turn(source).size();
        EXPECT_LE(taken, TurnShare::kBytes / TurnShare::kOfMessage);
        all += taken;
    }
    EXPECT_EQ(all, std::size_t{1} << 20);
}

TEST(LineSource, AFullPipeThatPausedForTheTurnIsSaidToHaveMoreUntilItIsEmpty) {
    LineSource source(open("/dev/zero", O_RDONLY), '\0', 100);  // empty messages without end
    for (int i = 0; i < 3; ++i) {
        EXPECT_GT(turn(source).size(), 0U);
        EXPECT_TRUE(source.has_buffered());
    }
    Pipe pipe;
    LineSource other(pipe.give_reader(), '\n', 100);
    const std::string block(60'000, '\n');
    std::size_t taken = 0;
    do {
        pipe.put(block);
        taken += turn(other).size();
    } while (!other.has_buffered());
    while (other.has_buffered()) taken += turn(other).size();
    EXPECT_EQ(taken % block.size(), 0U) << "and nothing is left when it says that there is no more";
}

TEST(LineSource, AFileThatIsGivenUpInTheMiddleOfAnOverlongMessageIsGivenBackFromItsStart) {
    const TempDir dir;
    const int descriptor = open(sparse_file(dir, 8 << 20, "\ngood\n").c_str(), O_RDONLY);
    const int shared = dup(descriptor);
    {
        LineSource source(descriptor, '\n', 100);
        EXPECT_TRUE(turn(source).empty());
        EXPECT_EQ(source.refused(), 1U);
        EXPECT_EQ(source.left(), 0U);
    }
    LineSource rest(shared, '\n', 100);
    EXPECT_EQ(drain(rest), Messages{"good"});
    EXPECT_EQ(rest.refused(), 1U) << "whole, and not its tail alone";
    EXPECT_EQ(rest.bytes_read(), (8U << 20) + 6);
}

TEST(LineSource, AnOverlongMessageAtTheEndOfAFileIsNotGivenBack) {
    const TempDir dir;
    const int descriptor = open(sparse_file(dir, 3 << 20, "x").c_str(), O_RDONLY);
    const int shared = dup(descriptor);
    {
        LineSource source(descriptor, '\n', 100);
        EXPECT_TRUE(drain(source).empty());
        EXPECT_TRUE(source.ended());
        EXPECT_EQ(source.refused(), 1U);
    }
    EXPECT_EQ(lseek(shared, 0, SEEK_CUR), (3 << 20) + 1);
    close(shared);
}

TEST(ZmqSource, ATurnTakesABoundedPartOfWhatHasCome) {
    zmq::context_t context = make_context();
    ZmqSource source(Socket::bound(context, zmq::socket_type::pull, "tcp://127.0.0.1:*", {}), 1 << 20);
    Socket producer = Socket::connected(context, zmq::socket_type::push, source.endpoint(), {});
    const std::string good(1 << 20, 'x'), overlong((1 << 20) + 1, 'y');
    constexpr std::size_t kEach = 8;
    for (std::size_t i = 0; i < kEach; ++i) ASSERT_TRUE(producer.send(good) && producer.send(overlong));
    std::size_t all = 0;
    const Instant limit = Clock::now() + std::chrono::seconds(30);
    while ((all < kEach || source.refused() < kEach) && Clock::now() < limit) {
        const std::uint64_t refused = source.refused();
        const std::size_t taken = turn(source).size();
        EXPECT_LE(taken + (source.refused() - refused), TurnShare::kBytes / good.size());
        all += taken;
        if (source.has_buffered()) continue;
        Poller poller;
        source.wait_for(poller);
        poller.wait(limit);
    }
    EXPECT_EQ(all, kEach);
    EXPECT_EQ(source.refused(), kEach) << "each once";
}

class HangingUp : public testing::Test {
protected:
    /// Sends so many, and hangs up at this instant until they have come.
    Instant take(Instant now, std::size_t messages) {
        const std::size_t meant = source.left() + messages;
        for (std::size_t i = 0; i < messages; ++i) EXPECT_TRUE(producer.send(std::string_view("x")));
        const Instant limit = Clock::now() + std::chrono::seconds(10);
        Instant next = source.hang_up(now);
        while (source.left() < meant && Clock::now() < limit) next = source.hang_up(now);
        EXPECT_EQ(source.left(), meant);
        return next;
    }

    int given_up = 0;
    zmq::context_t context = make_context();
    ZmqSource source{Socket::bound(context, zmq::socket_type::pull, "tcp://127.0.0.1:*", {}), 100,
                     [this](Socket&) { ++given_up; }};
    Socket producer = Socket::connected(context, zmq::socket_type::push, source.endpoint(), {});
    const Instant start = Clock::now();
};

TEST_F(HangingUp, WhatHasComeIsHandedOutAndTheSocketClosesWhenItIsQuiet) {
    EXPECT_NE(take(start, 5), kNever);
    EXPECT_NE(source.hang_up(start + ZmqSource::kQuiet - std::chrono::milliseconds(1)), kNever);
    EXPECT_EQ(source.hang_up(start + ZmqSource::kQuiet), kNever);
    EXPECT_EQ(given_up, 1);
    EXPECT_FALSE(source.ended());
    EXPECT_EQ(turn(source).size(), 5U);
    EXPECT_TRUE(source.ended());
    EXPECT_EQ(source.left(), 0U);
}

TEST_F(HangingUp, AProducerThatIsNeverQuietIsCutOff) {
    std::size_t sent = 0;
    for (Instant now = start; now < start + ZmqSource::kPatience; now += std::chrono::milliseconds(40), ++sent)
        EXPECT_NE(take(now, 1), kNever);
    EXPECT_EQ(source.hang_up(start + ZmqSource::kPatience), kNever);
    EXPECT_EQ(turn(source).size(), sent);
    EXPECT_TRUE(source.ended());
}

// ---- what is left ------------------------------------------------------------------------------

TEST(LineSource, AFileIsGivenBackAsFarAsItWasNotTaken) {
    const TempDir dir;
    const int descriptor = open(dir.write("in", "one\ntwo\nthree\n").c_str(), O_RDONLY);
    const int shared = dup(descriptor);
    {
        LineSource source(descriptor, '\n', 100);
        Incoming message;
        ASSERT_TRUE(source.next(message));
        EXPECT_EQ(source.left(), 0U);
    }
    LineSource rest(shared, '\n', 100);
    EXPECT_EQ(drain(rest), (Messages{"two", "three"}));
}

/// What is left when so many messages were taken.
Rest rest_after(LineSource& source, int messages) {
    Incoming message;
    for (int i = 0; i < messages; ++i) EXPECT_TRUE(source.next(message));
    return source.rest();
}

// ---- what is refused ---------------------------------------------------------------------------

/// Messages and refusals in their order, a refusal as number:byte:size:first.
Messages with_refusals(Source& source) {
    Messages all;
    while (!source.ended()) {
        Incoming message;
        if (source.next(message)) {
            all.emplace_back(message.payload);
        } else if (const auto refused = source.take_refusal()) {
            all.push_back(std::to_string(refused->number) + ":" + std::to_string(refused->byte.value_or(0)) + ":" +
                          std::to_string(refused->size) + ":" + refused->first);
        }
    }
    return all;
}

TEST(SourceRefusals, StandInTheirPlaceWithNumberOffsetSizeAndFirstBytes) {
    const TempDir dir;
    LineSource source(open(dir.write("in", "one\nfar too long\n\nagain too long\ntwo\nat the end").c_str(), O_RDONLY),
                      '\n', 4);
    EXPECT_EQ(with_refusals(source),
              (Messages{"one", "2:4:12:far too long", "", "4:18:14:again too long", "two", "6:37:10:at the end"}));
    EXPECT_EQ(source.take_refusal(), std::nullopt);
}

TEST(SourceRefusals, AreTheSameWhereverTheChunksEnd) {
    for (const std::size_t size : {kChunk - 1, kChunk, kChunk + 1, 3 * kChunk - 1, 3 * kChunk, 3 * kChunk + 5}) {
        const std::string first(RefusedMessage::kFirstBytes, 'x');
        const std::string overlong = first + std::string(size - first.size(), 'y');
        for (const char* end : {"\n", "\nb\n"}) {
            const TempDir dir;
            LineSource source(open(dir.write("in", "a\n" + overlong + end).c_str(), O_RDONLY), '\n', 10);
            Messages expected{"a", "2:2:" + std::to_string(size) + ":" + first};
            if (end[1] != '\0') expected.emplace_back("b");
            EXPECT_EQ(with_refusals(source), expected) << size;
        }
    }
}

TEST(SourceRefusals, ComeFromAPipeByteByByteToo) {
    Pipe pipe;
    LineSource source(pipe.give_reader(), '\n', 3);
    for (const char c : std::string("one\ntoo long\n")) {
        pipe.put({&c, 1});
        Incoming message;
        if (!source.next(message) && c == '\n') {
            const auto refused = source.take_refusal();
            ASSERT_TRUE(refused);
            EXPECT_EQ(refused->number, 2U);
            EXPECT_EQ(refused->byte, 4U);
            EXPECT_EQ(refused->size, 8U);
            EXPECT_EQ(refused->first, "too long");
        }
    }
    EXPECT_EQ(source.refused(), 1U);
}

TEST(SourceRest, OfAFileIsItsMessagesItsBytesAndThePlace) {
    const TempDir dir;
    LineSource source(open(dir.write("in", "one\ntwo\nthree\nfour").c_str(), O_RDONLY), '\n', 100);
    const Rest rest = rest_after(source, 2);
    EXPECT_EQ(rest.kind, Rest::Kind::lines);
    EXPECT_EQ(rest.message, 3U);
    EXPECT_EQ(rest.byte, 8U);
    EXPECT_EQ(rest.messages, 2U) << "the last has no newline, and is one";
    EXPECT_EQ(rest.bytes, 10U);
}

TEST(SourceRest, OfAFileThatWasNotReadFromItsStartIsCountedInTheFile) {
    const TempDir dir;
    const int descriptor = open(dir.write("in", "head\none\ntwo\n").c_str(), O_RDONLY);
    ASSERT_EQ(lseek(descriptor, 5, SEEK_SET), 5);
    LineSource source(descriptor, '\n', 100);
    const Rest rest = rest_after(source, 1);
    EXPECT_EQ(rest.message, 2U);
    EXPECT_EQ(rest.byte, 9U);
    EXPECT_EQ(rest.messages, 1U);
    EXPECT_EQ(rest.bytes, 4U);
}

TEST(SourceRest, IsNoneAtTheEndThoughNobodyHasReadThatItIsOne) {
    const TempDir dir;
    LineSource file(open(dir.write("in", "one\n").c_str(), O_RDONLY), '\n', 100);
    EXPECT_EQ(rest_after(file, 1).kind, Rest::Kind::none);
    LineSource nothing(open(dir.write("empty", "").c_str(), O_RDONLY), '\n', 100);
    EXPECT_EQ(rest_after(nothing, 0).kind, Rest::Kind::none);
    LineSource null(open("/dev/null", O_RDONLY), '\n', 100);
    EXPECT_EQ(rest_after(null, 0).kind, Rest::Kind::none);
    Pipe pipe;
    pipe.put("one\n");
    pipe.close_writer();
    LineSource closed(pipe.give_reader(), '\n', 100);
    EXPECT_EQ(rest_after(closed, 1).kind, Rest::Kind::none);
}

TEST(SourceRest, OfAPipeIsKnownWhenNobodyCanWriteToIt) {
    Pipe pipe;
    pipe.put("one\ntwo\nthree");
    LineSource source(pipe.give_reader(), '\n', 100);
    EXPECT_EQ(rest_after(source, 1).bytes, std::nullopt);
    pipe.put("and more");  // which is not read
    pipe.close_writer();
    const Rest rest = source.rest();
    EXPECT_EQ(rest.kind, Rest::Kind::lines);
    EXPECT_EQ(rest.bytes, 17U);
    EXPECT_EQ(rest.messages, std::nullopt) << "nobody has looked at what is in the pipe";
    EXPECT_EQ(rest.message, 2U);
    EXPECT_EQ(rest.byte, 4U);
}

TEST(SourceRest, BeginsWithTheMessageThatWasBeingSkipped) {
    Pipe pipe;
    LineSource source(pipe.give_reader(), '\0', 4);
    pipe.put(std::string_view("one\0far too long", 16));
    Incoming message;
    ASSERT_TRUE(source.next(message));
    EXPECT_FALSE(source.next(message));
    const Rest rest = source.rest();
    EXPECT_EQ(rest.kind, Rest::Kind::records);
    EXPECT_EQ(rest.message, 2U);
    EXPECT_EQ(rest.byte, 4U);
}

TEST(LineSource, ADirectoryIsNoSource) {
    const TempDir dir;
    const int descriptor = open(dir.file("").c_str(), O_RDONLY);
    EXPECT_THROW(LineSource(descriptor, '\n', 10), std::system_error);
    close(descriptor);
}

TEST(LineSource, AFifoThatNobodyWritesToHasNoEndYetAndIsWaitedFor) {
    const TempDir dir;
    const std::string fifo = dir.file("fifo");
    ASSERT_EQ(mkfifo(fifo.c_str(), 0600), 0);
    LineSource source(open(fifo.c_str(), O_RDONLY | O_NONBLOCK), '\n', 100, fifo);
    EXPECT_EQ(drain(source), Messages());
    EXPECT_FALSE(source.ended());
    EXPECT_EQ(source.waits_for(), "somebody who writes to the FIFO " + fifo);
    const int writer = open(fifo.c_str(), O_WRONLY | O_NONBLOCK);
    ASSERT_EQ(write(writer, "one\ntwo", 7), 7);
    EXPECT_EQ(drain(source), Messages{"one"});
    EXPECT_EQ(source.waits_for(), "");
    EXPECT_FALSE(source.ended()) << "its writer is there";
    close(writer);
    EXPECT_EQ(drain(source), Messages{"two"});
    EXPECT_TRUE(source.ended());
}

TEST(LineSource, AReadErrorIsThrown) {
    const TempDir dir;
    LineSource source(open(dir.write("in", "x").c_str(), O_WRONLY), '\n', 10);
    Incoming message;
    EXPECT_THROW((void)source.next(message), std::system_error);
}

}  // namespace
}  // namespace curfew

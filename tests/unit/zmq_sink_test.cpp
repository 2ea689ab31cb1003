// A sink of ZeroMQ: what is settled was taken while a reader was there, and what may not have
// arrived is known as such.
#include "collector/sinks/zmq.h"

#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <system_error>
#include <vector>

#include "common/process/clock.h"
#include "tests/support/frames.h"
#include "tests/support/temp_dir.h"

namespace curfew {
namespace {

using namespace std::chrono_literals;
using support::kStart;
using support::TempDir;

OutcomeRecord completed(Seq seq, std::string_view result) {
    OutcomeRecord outcome;
    outcome.sync = 3;
    outcome.seq = seq;
    outcome.result = ByteStore().keep(result);
    return outcome;
}

class AZmqSink : public testing::Test {
protected:
    AZmqSink() : sink(make()) {}

    [[nodiscard]] std::unique_ptr<ZmqSink> make() {
        auto watch = std::make_unique<PeerWatch>();
        const Socket::Marks marks{.send = ZmqSink::kSendMark, .linger = 0ms, .immediate = true};
        Socket socket = Socket::connected(context, zmq::socket_type::push, endpoint, marks, *watch);
        return std::make_unique<ZmqSink>(std::move(watch), std::move(socket), append_raw);
    }
    [[nodiscard]] Socket reader(int mark = 0) {
        return Socket::bound(context, zmq::socket_type::pull, endpoint, {.receive = mark, .linger = 0ms});
    }

    std::vector<Seq> flush(Instant now = kStart) {
        Sink::Written written;
        sink->flush(now, written);
        std::vector<Seq> seqs;
        for (const auto& [sync, seq] : written) seqs.push_back(seq);
        return seqs;
    }
    [[nodiscard]] bool close() { return sink->close(kStart, kStart + 10s); }
    /// Flushes until so many are settled in all.
    void until_settled(std::size_t count) {
        eventually([&] {
            for (const Seq seq : flush()) settled.push_back(seq);
            return settled.size() >= count;
        });
    }
    static void eventually(const std::function<bool()>& condition) {
        const Instant until = Clock::now() + 10s;
        while (!condition()) {
            ASSERT_LT(Clock::now(), until) << "waited in vain";
            Poller poller;
            poller.wait(Clock::now() + 1ms);
        }
    }
    static std::string next(Socket& pull) {
        std::string_view bytes;
        eventually([&] { return pull.receive(bytes); });
        return std::string(bytes);
    }

    const TempDir dir;
    const std::string endpoint = "ipc://" + dir.file("sink");
    zmq::context_t context = make_context();
    std::unique_ptr<ZmqSink> sink;
    std::vector<Seq> settled;
};

TEST_F(AZmqSink, GivesAFrameForEachOutcomeWithoutANewline) {
    Socket pull = reader();
    OutcomeRecord failed = completed(2, "");
    failed.outcome = Outcome::failed;
    sink->put(completed(1, "one"));
    sink->put(failed);
    sink->put(completed(3, ""));
    until_settled(3);
    EXPECT_EQ(settled, (std::vector<Seq>{1, 2, 3}));
    EXPECT_EQ(next(pull), "one");
    EXPECT_EQ(next(pull), "") << "an empty result is a result";
    std::string_view bytes;
    EXPECT_FALSE(pull.receive(bytes)) << "raw has nothing for a failure";
    EXPECT_EQ(sink->waiting_bytes(), 0U);
    EXPECT_EQ(sink->uncertain(), 2U) << "a PUSH is not answered";
}

TEST_F(AZmqSink, SettlesNothingWithoutAReaderAndSaysSoAfterASecondOnce) {
    sink->put(completed(1, "one"));
    EXPECT_TRUE(flush().empty());
    EXPECT_EQ(sink->waiting(), 1U);
    EXPECT_EQ(sink->waiting_bytes(), 4U);
    EXPECT_EQ(sink->waits_for(), "a reader");
    EXPECT_EQ(sink->next_deadline(), kStart + 1s);
    testing::internal::CaptureStderr();
    EXPECT_TRUE(flush(kStart + 1s).empty());
    EXPECT_TRUE(flush(kStart + 9s).empty());
    const std::string said = testing::internal::GetCapturedStderr();
    EXPECT_NE(said.find("sink_waits"), std::string::npos);
    EXPECT_EQ(said.find("sink_waits"), said.rfind("sink_waits"));
    Socket pull = reader();
    until_settled(1);
    EXPECT_EQ(next(pull), "one");
    EXPECT_EQ(sink->waits_for(), "");
}

TEST_F(AZmqSink, ForgetsWhatWaits) {
    sink->put(completed(1, "one"));
    sink->forget_waiting();
    EXPECT_EQ(sink->waiting() + sink->waiting_bytes(), 0U);
    EXPECT_TRUE(flush().empty());
    EXPECT_EQ(sink->waits_for(), "");
    EXPECT_TRUE(close()) << "nobody was given anything";
}

TEST_F(AZmqSink, FailsWhenAReaderGoesThatWasGivenSomething) {
    {
        Socket pull = reader();
        for (Seq seq = 1; seq <= 5; ++seq) sink->put(completed(seq, "x"));
        until_settled(5);
        EXPECT_EQ(next(pull), "x");
    }
    std::string said;
    eventually([&] {
        try {
            (void)flush();
        } catch (const std::system_error& error) {
            EXPECT_EQ(error.code().value(), ECONNRESET);
            said = error.what();
        }
        return !said.empty();
    });
    EXPECT_NE(said.find("up to 5 outcomes may not have arrived"), std::string::npos) << said;
}

TEST_F(AZmqSink, HoldsLittleAndShowsWhatItHolds) {
    Socket pull = reader(1);
    const std::string large(50'000, 'x');
    constexpr std::size_t kOutcomes = 4 * ZmqSink::kSendMark;
    for (Seq seq = 1; seq <= kOutcomes; ++seq) sink->put(completed(seq, large));
    // Until libzmq has taken what it will.
    until_settled(ZmqSink::kSendMark);
    EXPECT_LT(settled.size(), kOutcomes / 2);
    EXPECT_GE(sink->waiting_bytes(), sink->waiting() * large.size() + ZmqSink::kSendMark * large.size());
    Poller poller;
    sink->wait_for(poller);
    EXPECT_EQ(poller.size(), 2U) << "woken when there is room, and when the reader goes";
    for (std::size_t read = 0; read < kOutcomes; ++read) {
        EXPECT_EQ(next(pull).size(), large.size());
        for (const Seq seq : flush()) settled.push_back(seq);
    }
    EXPECT_EQ(settled.size(), kOutcomes);
    EXPECT_EQ(sink->waiting_bytes(), 0U);
}

TEST_F(AZmqSink, IsClosedWhenTheReaderHasAll) {
    Socket pull = reader(1);
    const std::string large(400'000, 'x');
    for (Seq seq = 1; seq <= 4; ++seq) sink->put(completed(seq, large));
    until_settled(4);
    EXPECT_FALSE(close()) << "the reader has not read, and the kernel does not take as much";
    EXPECT_EQ(sink->uncertain(), 4U);
    for (int read = 0; read < 4; ++read) {
        EXPECT_EQ(next(pull).size(), large.size());
        (void)close();
    }
    eventually([&] { return close(); });
    EXPECT_EQ(sink->uncertain(), 0U);
}

TEST_F(AZmqSink, IsNeverClosedWhenTheLingerWasCutOff) {
    Socket pull = reader(1);
    for (Seq seq = 1; seq <= 4; ++seq) sink->put(completed(seq, std::string(400'000, 'x')));
    until_settled(4);
    const Instant begin = Clock::now();
    // The linger ends, and libzmq says nothing of what was left
    while (Clock::now() < begin + 100ms) {
        ASSERT_FALSE(sink->close(Clock::now(), begin + 30ms));
        Poller poller;
        poller.wait(Clock::now() + 1ms);
    }
    EXPECT_EQ(sink->uncertain(), 4U);
}

TEST_F(AZmqSink, FailsWhenTheReaderGoesWhileItCloses) {
    std::string said;
    {
        Socket pull = reader(1);
        for (Seq seq = 1; seq <= 4; ++seq) sink->put(completed(seq, std::string(400'000, 'x')));
        until_settled(4);
        ASSERT_FALSE(close());
    }
    eventually([&] {
        try {
            EXPECT_FALSE(close());
        } catch (const std::system_error& error) {
            said = error.what();
        }
        return !said.empty();
    });
    EXPECT_NE(said.find("up to 4 outcomes may not have arrived"), std::string::npos) << said;
}

TEST_F(AZmqSink, LeavesTheContextAliveWhenItGoesWithoutAnEnd) {
    // Each while libzmq still tries to connect
    for (int life = 0; life < 50; ++life) sink = make();
    Socket pull = reader();
    sink->put(completed(1, "one"));
    until_settled(1);
    EXPECT_EQ(next(pull), "one");
}

TEST_F(AZmqSink, FailsWhenWhoIsThereIsNoPull) {
    const Socket other = Socket::bound(context, zmq::socket_type::pub, endpoint, {.linger = 0ms});
    sink->put(completed(1, "one"));
    int code = 0;
    eventually([&] {
        try {
            EXPECT_TRUE(flush(Clock::now()).empty());
        } catch (const std::system_error& error) {
            code = error.code().value();
        }
        return code != 0;
    });
    EXPECT_EQ(code, EPROTO);
}

}  // namespace
}  // namespace curfew

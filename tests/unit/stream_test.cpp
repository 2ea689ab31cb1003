// The stream between broker and collector: numbered, kept until acknowledged, sent again, taken
// once and in order.
#include "common/wire/stream.h"

#include <gtest/gtest.h>

#include <random>
#include <vector>

#include "tests/support/frames.h"

namespace curfew {
namespace {

using namespace std::chrono_literals;
using support::kStart;
using Frames = std::vector<std::string>;

Frames due(StreamSender& sender, Instant now, Duration patience = 1s) {
    Frames frames;
    sender.send_due(now, patience, [&](const std::string& frame) { frames.push_back(frame); });
    return frames;
}

TEST(StreamSender, NumbersAreDenseFromOne) {
    StreamSender sender;
    EXPECT_EQ(sender.next_number(), 1U);
    sender.keep(kStart, Frame("a"));
    EXPECT_EQ(sender.next_number(), 2U);
}

TEST(StreamSender, WhatIsNotAcknowledgedInTimeIsSentAgainInOrder) {
    StreamSender sender;
    sender.keep(kStart, Frame("a"));
    sender.keep(kStart + 500ms, Frame("b"));
    EXPECT_EQ(due(sender, kStart + 500ms), (Frames{"a", "b"})) << "the first time";
    (void)sender.acknowledge(kStart + 600ms, 0);
    EXPECT_EQ(sender.next_deadline(1s), kStart + 1s);
    EXPECT_TRUE(due(sender, kStart + 1s - 1ns).empty());
    EXPECT_EQ(due(sender, kStart + 1s), (Frames{"a", "b"}));
    (void)sender.acknowledge(kStart + 1500ms, 0);
    EXPECT_TRUE(due(sender, kStart + 1500ms).empty()) << "not again before its time";
    EXPECT_EQ(due(sender, kStart + 2s).size(), 2U);
    EXPECT_EQ(sender.resent(), 4U);
}

TEST(StreamSender, NothingIsRepeatedToWhoIsNotHeard) {
    StreamSender sender;
    sender.keep(kStart, Frame("a"));
    EXPECT_EQ(due(sender, kStart), Frames{"a"});
    EXPECT_EQ(sender.next_deadline(1s), kNever);
    EXPECT_TRUE(due(sender, kStart + 1h).empty());
    sender.keep(kStart + 1h, Frame("b"));
    EXPECT_EQ(due(sender, kStart + 1h), Frames{"b"}) << "what is new goes";
    (void)sender.acknowledge(kStart + 2h, 0);
    EXPECT_EQ(due(sender, kStart + 2h), (Frames{"a", "b"})) << "it was heard, and had neither";
    EXPECT_TRUE(due(sender, kStart + 3h).empty()) << "and not since";
}

TEST(StreamSender, AcknowledgedFramesAreForgotten) {
    StreamSender sender;
    for (const char* frame : {"a", "b", "c"}) sender.keep(kStart, Frame(frame));
    EXPECT_EQ(due(sender, kStart).size(), 3U);
    (void)sender.acknowledge(kStart + 900ms, 2);
    EXPECT_EQ(sender.unacknowledged(), 1U);
    EXPECT_TRUE(due(sender, kStart + 1s).empty()) << "there was progress";
    (void)sender.acknowledge(kStart + 1s, 2);
    EXPECT_EQ(due(sender, kStart + 1900ms), Frames{"c"});
    (void)sender.acknowledge(kStart + 2s, 3);
    EXPECT_EQ(sender.next_deadline(1s), kNever);
}

TEST(StreamSender, OldAcknowledgementsAndHearsayAreIgnored) {
    StreamSender sender;
    for (const char* frame : {"a", "b", "c"}) sender.keep(kStart, Frame(frame));
    (void)sender.acknowledge(kStart, 2);
    (void)sender.acknowledge(kStart, 1);
    (void)sender.acknowledge(kStart, 0);
    (void)sender.acknowledge(kStart, 4);
    (void)sender.acknowledge(kStart, UINT64_MAX);
    EXPECT_EQ(sender.unacknowledged(), 1U);
}

TEST(StreamSender, AfterALossItCatchesUpAWindowAtATimeHoweverMuchIsNew) {
    StreamSender sender;
    for (int i = 1; i <= 1000; ++i) sender.keep(kStart, Frame(std::to_string(i)));
    EXPECT_EQ(due(sender, kStart).size(), 1000U) << "without a loss there is no window";
    (void)sender.acknowledge(kStart + 1ms, 0);
    EXPECT_EQ(due(sender, kStart + 1s).size(), 64U);
    sender.keep(kStart + 1s, Frame("1001"));
    EXPECT_TRUE(due(sender, kStart + 1s).empty()) << "the receiver could not take it yet";
    EXPECT_FALSE(sender.all_sent());
    std::uint64_t received = 64;
    for (int round = 1; !sender.all_sent(); ++round) {
        ASSERT_LT(round, 20);
        (void)sender.acknowledge(kStart + 1s, received);
        for (const std::string& frame : due(sender, kStart + 1s)) ASSERT_EQ(frame, std::to_string(++received));
    }
    EXPECT_EQ(received, 1001U);
    EXPECT_EQ(sender.resent(), 1000U);
    sender.keep(kStart + 1s, Frame("1002"));
    EXPECT_EQ(due(sender, kStart + 1s), Frames{"1002"}) << "and then goes on as ever";
}

TEST(StreamSender, AResetStartsAfresh) {
    StreamSender sender;
    sender.keep(kStart, Frame("a"));
    sender.reset(0);
    EXPECT_EQ(sender.unacknowledged(), 0U);
    EXPECT_EQ(sender.next_number(), 1U);
    EXPECT_TRUE(due(sender, kStart + 1h).empty());
}

/// A batch came, and was read to its end.
bool take(StreamReceiver& receiver, std::uint64_t number) {
    if (!receiver.expects(number)) return false;
    receiver.take(number, "records");
    return true;
}

TEST(StreamReceiver, WhatWasNotSentAndWasTakenIsNoticedAtTheSecondPing) {
    StreamSender sender;
    StreamReceiver receiver;
    const auto ping = [&] { return receiver.agrees(sender.next_number() - 1, sender.digest()); };
    const auto send = [&](std::string_view records) {
        sender.keep(kStart, Frame(std::string(wire::kEnvelopeSize, ' ').append(records)));
    };
    send("true");
    receiver.take(1, "true");
    EXPECT_TRUE(ping());
    EXPECT_TRUE(ping());
    receiver.take(2, "forged");
    EXPECT_TRUE(ping()) << "its ping may have been overtaken by its batch";
    EXPECT_TRUE(ping());
    send("the true one, which is taken for a duplicate");
    EXPECT_TRUE(ping()) << "an old one, perhaps";
    EXPECT_FALSE(ping());
}

TEST(Stream, WhatIsUnderWayOfAnEarlierRoundMeansNothingToALaterOne) {
    StreamSender sender;
    StreamReceiver receiver;
    sender.reset(stream_base(3));
    receiver.reset(stream_base(3));
    for (int i = 0; i < 5; ++i) sender.keep(kStart, Frame("a"));
    const std::uint64_t old_ack = stream_base(3) + 4;
    sender.reset(stream_base(4));
    receiver.reset(stream_base(4));
    for (int i = 0; i < 5; ++i) sender.keep(kStart, Frame("b"));
    EXPECT_TRUE(sender.acknowledge(kStart, old_ack));
    EXPECT_EQ(sender.unacknowledged(), 5U);
    EXPECT_FALSE(receiver.expects(stream_base(3) + 1));
    EXPECT_TRUE(receiver.expects(stream_base(4) + 1));
    EXPECT_FALSE(sender.acknowledge(kStart, stream_base(4) + 6)) << "nobody has sent that";
}

TEST(StreamReceiver, OneThatIsBehindIsNotSuspected) {
    StreamSender sender;
    StreamReceiver receiver;
    sender.keep(kStart, Frame("a"));
    for (int i = 0; i < 5; ++i) EXPECT_TRUE(receiver.agrees(1, sender.digest()));
}

TEST(StreamReceiver, ABatchThatCannotBeReadIsNotAcknowledgedAndTheSecondTimeIsSaid) {
    StreamReceiver receiver;
    EXPECT_TRUE(take(receiver, 1));
    EXPECT_FALSE(receiver.unreadable(2)) << "it may be noise";
    EXPECT_EQ(receiver.received(), 1U);
    EXPECT_TRUE(receiver.expects(2)) << "it comes again";
    EXPECT_TRUE(receiver.unreadable(2)) << "it was sent so";
    receiver.reset(0);
    EXPECT_FALSE(receiver.unreadable(2));
}

TEST(StreamReceiver, TakesEachBatchOnceAndInOrder) {
    StreamReceiver receiver;
    EXPECT_FALSE(take(receiver, 2)) << "one is missing";
    EXPECT_TRUE(take(receiver, 1));
    EXPECT_FALSE(take(receiver, 1)) << "a duplicate";
    EXPECT_TRUE(take(receiver, 2));
    EXPECT_FALSE(take(receiver, 0));
    EXPECT_EQ(receiver.received(), 2U);
    receiver.reset(0);
    EXPECT_TRUE(take(receiver, 1));
}

TEST(Stream, EverythingArrivesOnceAndInOrderOverALossyReorderingRoad) {
    std::mt19937_64 random(5);
    StreamSender sender;
    StreamReceiver receiver;
    Instant now = kStart;
    std::vector<std::pair<std::uint64_t, std::string>> road;
    std::vector<std::string> got;
    for (int turn = 0; turn < 20'000 && got.size() < 500; ++turn) {
        now += 10ms;
        if (sender.next_number() <= 500) {
            const std::uint64_t number = sender.next_number();
            sender.keep(now, Frame(std::to_string(number)));
        }
        sender.send_due(now, 100ms, [&](const std::string& frame) { road.emplace_back(std::stoull(frame), frame); });
        std::shuffle(road.begin(), road.end(), random);
        while (road.size() > 2) {
            const auto [number, frame] = road.back();
            road.pop_back();
            if (random() % 4 == 0) continue;  // lost
            if (take(receiver, number)) got.push_back(frame);
        }
        if (random() % 2 == 0) (void)sender.acknowledge(now, receiver.received());
    }
    ASSERT_EQ(got.size(), 500U);
    for (std::size_t i = 0; i < got.size(); ++i) EXPECT_EQ(got[i], std::to_string(i + 1));
}

}  // namespace
}  // namespace curfew

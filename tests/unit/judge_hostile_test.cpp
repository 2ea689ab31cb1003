// What the judge makes of peers that go wrong, of batches that cannot be read, and of a sink that
// does not keep up.
#include <gtest/gtest.h>

#include "tests/support/judge_bench.h"

namespace curfew {
namespace {

using namespace std::chrono_literals;
using support::frame_of;
using support::kMe;
using support::report;
using wire::Kind;
using JudgeHostile = support::JudgeTest;

/// A frame with this body, which need not be records.
std::string raw(const wire::Envelope& envelope, std::string_view body) {
    return support::frame_with_tail(envelope, body);
}

/// A report whose error and payload are nil.
constexpr std::string_view kNilReport{"\x9a\x0c\x01\x0a\x01\x01\x01\x05\xc0\xc0\xc0", 11};

TEST_F(JudgeHostile, AWorkerWhoseRecordsCannotBeReadIsNamedAndTheThirdTimeComplainedAbout) {
    sync();
    for (int i = 1; i <= 3; ++i) {
        judge.receive(now, raw({Kind::reports, 1, 1, 0, 0}, kNilReport));
        EXPECT_EQ(judge.take_complaint(), "worker a, session 1, record 1 (type 12, of 1): field 8 cannot be read");
        const auto sent = flush();
        EXPECT_EQ(sent.count<wire::Complaint>(), i == 3 ? 1U : 0U);
        if (i == 3) {
            EXPECT_EQ(sent.only<wire::Complaint>().session, 1U);
        }
    }
    EXPECT_EQ(judge.counts().complaints, 1U);
}

TEST_F(JudgeHostile, NowAndThenIsNoise) {
    sync();
    for (int i = 0; i < 10; ++i) {
        judge.receive(now, raw({Kind::reports, 1, 1, 0, 0}, kNilReport));
        now += 6s;
    }
    EXPECT_EQ(judge.counts().complaints, 0U);
}

TEST_F(JudgeHostile, ABatchThatCannotBeReadIsNotAcknowledgedAndTheTrueOneIsTaken) {
    sync();
    judge.receive(now, raw({Kind::to_collector, 1, kMe, 1, 0}, "\x92\x16\x05"));
    EXPECT_EQ(flush().frames.at(0).envelope.acked, 0U);
    EXPECT_TRUE(judge.synced());
    say(wire::Admit{5, "e", "p"});
    EXPECT_EQ(flush().only<wire::Admitted>().session, 5U);
}

TEST_F(JudgeHostile, TheSecondTimeThePairBeginsAnewAndTheHelloNamesTheRecord) {
    wire::Sync first;
    first.round = 4;
    sync(first);
    for (int i = 0; i < 2; ++i)
        judge.receive(now, raw({Kind::to_collector, 1, kMe, stream_base(4) + 1, 0}, "\x92\x16\x05"));
    EXPECT_FALSE(judge.synced());
    const auto hello = flush().only<wire::CollectorHello>();
    EXPECT_EQ(hello.round, 4U);
    EXPECT_EQ(hello.bad_type, wire::Admit::kType);
    EXPECT_EQ(hello.bad_key, 5U);
    EXPECT_EQ(judge.take_complaint(),
              "broker, batch " + std::to_string(stream_base(4) + 1) + ", record 1 (type 22, of 5): it ends too early");
    wire::Sync next;
    next.round = 5;
    sync(next);
    EXPECT_TRUE(judge.synced());
}

TEST_F(JudgeHostile, ASyncOfALaterRoundBeginsThePairAnew) {
    wire::Sync next;
    sync(next);
    hear(1, report(1, 10));
    EXPECT_EQ(judge.decided(), 1U);
    sync(next);
    EXPECT_EQ(judge.decided(), 1U) << "the same sync once more is an old one";
    next.round = 1;
    sync(next);
    EXPECT_EQ(judge.decided(), 1U) << "nobody has asked for it";
    EXPECT_FALSE(judge.synced());
    EXPECT_EQ(news.only<wire::CollectorHello>().bad_type, 0U) << "now it is asked for";
    sync(next);
    EXPECT_EQ(judge.decided(), 0U);
    EXPECT_EQ(news.count<wire::Synced>(), 1U);
}

TEST_F(JudgeHostile, NewsAreSplitIntoFramesOfABoundedSize) {
    sync();
    wire::Report failed = report(1, 10, ReportKind::failed);
    const std::string why(wire::kErrorBytes, 'x');
    failed.error = why;
    for (AttemptNumber number = 1; number <= 1000; ++number) {
        failed.number = number;
        hear(1, failed);
    }
    std::vector<curfew::Frame> frames;
    judge.flush(now, frames);
    EXPECT_GT(frames.size(), 10U);
    std::uint64_t ended = 0, next = 2;  // Synced was the first
    for (const curfew::Frame& frame : frames) {
        EXPECT_LE(frame.size(), wire::kFrameBytes + 2 * wire::kErrorBytes);
        support::Sent sent;
        sent.add(frame);
        EXPECT_EQ(sent.frames[0].envelope.number, next++);
        ended += sent.count<wire::Ended>();
    }
    EXPECT_EQ(ended, 1000U);
}

TEST_F(JudgeHostile, WhatAWorkerSaysOfAFailureIsCutBeforeTheBrokerHearsIt) {
    sync();
    wire::Report failed = report(1, 10, ReportKind::failed);
    const std::string why(20 << 20, 'x');
    failed.error = why;
    hear(1, failed);
    EXPECT_EQ(flush().only<wire::Ended>().error.size(), wire::kErrorBytes);
}

TEST_F(JudgeHostile, ATokenReportThatWouldNotFitIntoAFrameIsNotPassedOn) {
    sync();
    wire::TokenReport token;
    for (std::uint64_t i = 0; i <= wire::kMostHeld; ++i) token.reported.push_back({2 * i + 1, 2 * i + 1});
    hear(1, token);
    EXPECT_EQ(flush().count<wire::TokenReport>(), 0U);
    EXPECT_NE(judge.take_complaint().find("token report"), std::string::npos);
}

TEST_F(JudgeHostile, ReportsBehindAFullFrameAreNotJudged) {
    sync();
    wire::Writer writer;
    const std::string large(wire::kFrameBytes, 'x');
    for (AttemptNumber number = 30; number > 20; number -= 2) {
        wire::Report one = report(number, number, ReportKind::failed);
        one.payload = number == 28 ? std::string_view(large) : std::string_view();
        writer.add(one);
    }
    judge.receive(now, std::string(writer.finish({Kind::reports, 1, 1, 0, 0})));
    EXPECT_EQ(judge.counts().reports, 2U);
    EXPECT_NE(judge.take_complaint().find("more reports than a full one"), std::string::npos);
}

TEST_F(JudgeHostile, AFrameThatItsSenderClosesWhenItIsFullIsJudgedWhole) {
    sync();
    wire::Writer writer;
    wire::Report first = report(2, 2, ReportKind::failed), last = report(1, 1, ReportKind::failed);
    std::string large(wire::kFrameBytes - 150, 'x');
    std::uint64_t frames = 0;
    for (;; large += 'x') {
        first.payload = large;
        writer.add(first);
        if (writer.size() >= wire::kFrameBytes) break;
        writer.add(last);  // descending: a record of its own
        judge.receive(now, std::string(writer.finish({Kind::reports, 1, 1, 0, 0})));
        ++frames;
    }
    EXPECT_GT(frames, 100U);
    EXPECT_EQ(judge.counts().reports, 2 * frames);
    EXPECT_EQ(judge.take_complaint(), "");
}

TEST_F(JudgeHostile, ABatchWhoseFirstRecordIsNoneIsUnreadableToo) {
    wire::Sync first;
    first.round = 4;
    sync(first);
    for (int i = 0; i < 2; ++i)
        judge.receive(now, raw({Kind::to_collector, 1, kMe, stream_base(4) + 1, 0}, "\xc1\xc1"));
    EXPECT_FALSE(judge.synced());
}

TEST_F(JudgeHostile, WhatWaitsForTheSinkIsTold) {
    sync();
    EXPECT_EQ(flush().count<wire::Backlog>(), 0U);
    judge.set_sink_bytes(1000);
    EXPECT_EQ(flush().count<wire::Backlog>(), 0U) << "too little to be said";
    judge.set_sink_bytes(5 << 20);
    EXPECT_EQ(flush().only<wire::Backlog>().bytes, 5U << 20);
    judge.set_sink_bytes((5 << 20) + 1000);
    EXPECT_EQ(flush().count<wire::Backlog>(), 0U);
    judge.set_sink_bytes(0);
    EXPECT_EQ(flush().only<wire::Backlog>().bytes, 0U);
}

class JudgeHostileInOrder : public support::JudgeTest {
protected:
    JudgeHostileInOrder() : JudgeTest(true) {}
};

TEST_F(JudgeHostileInOrder, WhatWaitsForThoseBeforeItCountsToo) {
    sync();
    const std::string large(3 << 20, 'x');
    hear(1, report(2, 2, ReportKind::ok, large));
    EXPECT_EQ(judge.waiting_bytes(), large.size());
    EXPECT_EQ(flush().only<wire::Backlog>().bytes, large.size());
    hear(1, report(1, 1));
    EXPECT_EQ(judge.waiting_bytes(), 0U) << "it is with the sink, which counts from here";
}

}  // namespace
}  // namespace curfew

// How messages are taken from a source when a delay stands between the starts of two tasks.
#include "broker/intake.h"

#include <fcntl.h>
#include <gtest/gtest.h>

#include "broker/sources/lines.h"
#include "tests/support/broker_bench.h"
#include "tests/support/temp_dir.h"

namespace curfew {
namespace {

using namespace std::chrono_literals;
using support::Pipe;
using support::TempDir;

struct Bench : support::BrokerBench {
    Bench() {
        meet_collector();
        add_worker("w", {.credit = 100});
    }
    [[nodiscard]] std::uint64_t accepted() const { return books().accepted; }
};

/// Whether it would wake for its source.
bool waits(Intake& intake) {
    Poller poller;
    intake.wait_for(poller);
    poller.wait(Instant::min());
    return poller.size() > 0 && poller.ready(0);
}

std::unique_ptr<Source> file_of(const TempDir& dir, std::string_view text) {
    return std::make_unique<LineSource>(open(dir.write("in", text).c_str(), O_RDONLY), '\n', 1000);
}

TEST(IntakeDelay, WithoutOneAllThatIsWantedIsTaken) {
    Bench bench;
    const TempDir dir;
    Intake intake(bench.broker, file_of(dir, "a\nb\nc\n"), 1000);
    intake.take(bench.now);
    EXPECT_EQ(bench.accepted(), 3U);
    EXPECT_EQ(intake.next_deadline(), kNever);
}

TEST(IntakeDelay, OneMessageIsTakenInEachSpanOfIt) {
    Bench bench;
    const TempDir dir;
    Intake intake(bench.broker, file_of(dir, "a\nb\nc\n"), 1000, 10s);
    intake.take(bench.now);
    EXPECT_EQ(bench.accepted(), 1U);
    EXPECT_EQ(intake.next_deadline(), bench.now + 10s);
    EXPECT_FALSE(intake.has_more()) << "it would spin";
    intake.take(bench.now + 10s - 1ns);
    EXPECT_EQ(bench.accepted(), 1U);
    intake.take(bench.now + 25s);
    EXPECT_EQ(bench.accepted(), 2U) << "what was not used is not saved up";
    EXPECT_EQ(intake.next_deadline(), bench.now + 35s);
    EXPECT_FALSE(bench.broker.intake_ended());
}

TEST(IntakeDelay, NobodyWaitsForItBehindTheLastMessage) {
    Bench bench;
    const TempDir dir;
    Intake intake(bench.broker, file_of(dir, "a\n"), 1000, 10s);
    intake.take(bench.now);
    EXPECT_EQ(bench.accepted(), 1U);
    intake.take(bench.now);
    EXPECT_TRUE(bench.broker.intake_ended());
    EXPECT_EQ(intake.next_deadline(), kNever);
}

TEST(IntakeDelay, TheEndOfAPipeIsSeenMeanwhileAndWhatComesIsLeftThere) {
    Bench bench;
    Pipe pipe;
    Intake intake(bench.broker, std::make_unique<LineSource>(pipe.give_reader(), '\n', 1000), 1000, 10s);
    pipe.put("a\n");
    intake.take(bench.now);
    EXPECT_EQ(bench.accepted(), 1U);
    EXPECT_FALSE(waits(intake));
    pipe.put("b");
    EXPECT_TRUE(waits(intake)) << "it may be the end";
    intake.take(bench.now);
    pipe.put("\nc\n");
    EXPECT_FALSE(waits(intake)) << "there is a message: it would spin";
    intake.take(bench.now + 10s);
    intake.take(bench.now + 20s);
    EXPECT_EQ(bench.accepted(), 3U);
    EXPECT_FALSE(bench.broker.intake_ended());
    pipe.close_writer();
    intake.take(bench.now + 21s);
    EXPECT_TRUE(bench.broker.intake_ended());
}

TEST(IntakeDelay, WhatIsRefusedStartsNothingAndNeedsNoDelay) {
    Bench bench;
    const TempDir dir;
    Intake intake(bench.broker, file_of(dir, std::string(2000, 'x') + "\na\n" + std::string(2000, 'y') + "\nb\n"), 1000,
                  10s);
    intake.take(bench.now);
    EXPECT_EQ(bench.accepted(), 2U);
    intake.take(bench.now + 10s);
    EXPECT_EQ(bench.accepted(), 4U);
}

}  // namespace
}  // namespace curfew

// A checkpoint is what was written, or none: damage is refused with what to do.
#include "broker/checkpoint.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <stdexcept>
#include <string>

#include "common/process/options.h"
#include "tests/support/temp_dir.h"

namespace curfew {
namespace {

using support::TempDir;

const CheckpointState kState{.epoch = 9,
                             .read = 100,
                             .checksum = 0xfedcba98,
                             .null = true,
                             .unended = true,
                             .settled = {{1, 4}, {6, 6}},
                             .failures = 2,
                             .passed = {{8, 9}},
                             .wish = "again",
                             .command = "-- solve \xc3\xa4"};

class CheckpointTest : public testing::Test {
protected:
    CheckpointTest() { dir.write("in", "one\ntwo\nthree\n"); }
    [[nodiscard]] std::string at() const { return dir.file("at"); }
    /// Why it is not opened; empty: it is.
    [[nodiscard]] std::string refusal(bool null = false) const {
        try {
            const Checkpoint checkpoint({at(), dir.file("in"), null, {}});
            return {};
        } catch (const Unusable& error) {
            EXPECT_EQ(error.code, 64);
            return error.what();
        }
    }
    /// A life that has read so much.
    void live(std::uint64_t read) const {
        Checkpoint checkpoint({at(), dir.file("in"), false, {}});
        checkpoint.begin(9);
        checkpoint.follow(read);
        checkpoint.save(Instant{}, {{1, 1}}, 1);
    }

    TempDir dir;
};

TEST(CheckpointText, ComesBackAsItWas) {
    EXPECT_EQ(checkpoint_of(text_of(kState)), kState);
    EXPECT_EQ(checkpoint_of(text_of(CheckpointState{})), CheckpointState{});
}

TEST(CheckpointText, IsRefusedWhereverItIsCutOrFlipped) {
    const std::string text = text_of(kState);
    for (std::size_t size = 0; size < text.size(); ++size)
        EXPECT_THROW((void)checkpoint_of(std::string_view(text).substr(0, size)), std::invalid_argument) << size;
    for (std::size_t bit = 0; bit < 8 * text.size(); ++bit) {
        std::string flipped = text;
        flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ 1 << bit % 8);
        EXPECT_THROW((void)checkpoint_of(flipped), std::invalid_argument) << bit;
    }
}

TEST_F(CheckpointTest, TellsTheNextLifeWhereItWas) {
    EXPECT_FALSE(Checkpoint({at(), dir.file("in"), false, {}}).found()) << "there was none";
    live(4);
    const Checkpoint next({at(), dir.file("in"), false, {}});
    ASSERT_TRUE(next.found());
    EXPECT_EQ(next.found()->epoch, 9U);
    EXPECT_EQ(next.found()->read, 4U);
    EXPECT_EQ(next.found()->settled, (Intervals{{1, 1}}));
    EXPECT_EQ(next.found()->failures, 1U);
}

TEST_F(CheckpointTest, AnInputThatHasGrownIsTheSame) {
    live(8);
    dir.write("in", "one\ntwo\nthree\nfour\n");
    EXPECT_EQ(refusal(), "");
    dir.write("in", "one\ntwo\n3\n");
    EXPECT_EQ(refusal(), "") << "what was changed had not been read";
}

TEST_F(CheckpointTest, AnotherInputIsRefused) {
    live(8);
    dir.write("in", "one\nTwo\nthree\n");
    EXPECT_NE(refusal().find("was changed within the 8 bytes that had been read"), std::string::npos);
    dir.write("in", "one\ntw");
    EXPECT_NE(refusal().find("has 6 bytes, and 8 had been read"), std::string::npos);
    std::filesystem::remove(dir.file("in"));
    EXPECT_NE(refusal().find("is no file"), std::string::npos);
}

TEST_F(CheckpointTest, ALastMessageThatHadNoEndIsNotTheSameWhenTheInputHasGrown) {
    dir.write("in", "one\ntwo");
    live(7);
    EXPECT_EQ(refusal(), "") << "as it was";
    dir.write("in", "one\ntwo\nthree\n");
    EXPECT_EQ(refusal(), "") << "it has its end now";
    dir.write("in", "one\ntwothree\n");
    EXPECT_NE(refusal().find("ended without a newline at byte 7"), std::string::npos);
}

TEST_F(CheckpointTest, OtherEndsOfMessagesAreOtherNumbers) {
    live(8);
    EXPECT_NE(refusal(true).find("that run was without --null"), std::string::npos);
}

TEST_F(CheckpointTest, WhatIsNoneIsRefusedWithWhatToDo) {
    dir.write("at", "something of somebody's\n");
    EXPECT_NE(refusal().find("move it away"), std::string::npos);
    EXPECT_EQ(dir.read("at"), "something of somebody's\n") << "and left as it is";
}

TEST_F(CheckpointTest, HasOneWriter) {
    Checkpoint first({at(), dir.file("in"), false, {}});
    first.begin(9);
    EXPECT_NE(refusal().find("another broker goes on from"), std::string::npos);
}

}  // namespace
}  // namespace curfew

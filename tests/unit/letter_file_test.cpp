// A file of letters, with whatever else stands there.
#include "monitor/letter_file.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <string>
#include <system_error>
#include <vector>

#include "common/process/options.h"
#include "tests/support/temp_dir.h"

namespace curfew {
namespace {

using support::TempDir;

std::string letter(Seq seq, const std::string& message = "m", const std::string& outcome = "failed") {
    return R"({"seq":)" + std::to_string(seq) + R"(,"outcome":")" + outcome + R"(","message":")" + message + "\"}\n";
}

std::vector<Seq> all_of(LetterFile& file) {
    std::vector<Seq> seqs;
    while (file.next()) seqs.push_back(file.letter().seq);
    return seqs;
}

TEST(LetterFile, GivesTheLettersAmongAllOutcomes) {
    const TempDir dir;
    LetterFile file(dir.write("f", letter(1) + letter(2, "m", "completed") + "\n" + letter(3)));
    EXPECT_EQ(all_of(file), (std::vector<Seq>{1, 3}));
    EXPECT_EQ(file.left_out().lines, 0U);
    EXPECT_FALSE(file.left_out().torn);
}

TEST(LetterFile, CountsWhatIsNoOutcomeAndSaysWhereTheFirstOfItIs) {
    const TempDir dir;
    LetterFile file(dir.write("f", letter(1) + "junk\n{\"seq\":\n" + letter(2)));
    EXPECT_EQ(all_of(file), (std::vector<Seq>{1, 2}));
    EXPECT_EQ(file.left_out().lines, 2U);
    EXPECT_EQ(file.left_out().first, 2U);
}

TEST(LetterFile, ALastLineWithoutItsEndIsTornUnlessItIsWhole) {
    const TempDir dir;
    const std::string last = letter(2);
    for (std::size_t size = 1; size < last.size(); ++size) {
        LetterFile file(dir.write("f", letter(1) + last.substr(0, size)));
        const bool whole = size == last.size() - 1;
        EXPECT_EQ(all_of(file).size(), whole ? 2U : 1U) << size;
        EXPECT_EQ(file.left_out().torn, !whole) << size;
        EXPECT_EQ(file.left_out().lines, 0U);
    }
}

TEST(LetterFile, LinesOfAnyLengthAreRead) {
    const TempDir dir;
    std::string text;
    for (const std::size_t size : {1UL, 200'000UL, 262'144UL, 3UL << 20, 0UL, 10UL})
        text += letter(size + 1, std::string(size, 'x'));
    LetterFile file(dir.write("f", text));
    while (file.next()) EXPECT_EQ(file.letter().message.size() + 1, file.letter().seq);
    EXPECT_EQ(file.left_out().lines, 0U);
}

TEST(LetterFile, BeginsAgainAndEndsWhereItHadEnded) {
    const TempDir dir;
    const std::string path = dir.write("f", letter(1) + "junk\n" + letter(2));
    LetterFile file(path);
    ASSERT_TRUE(file.can_begin_again());
    ASSERT_EQ(all_of(file).size(), 2U);
    dir.write("f", letter(1) + "junk\n" + letter(2) + letter(3));
    file.begin_again();
    EXPECT_EQ(all_of(file), (std::vector<Seq>{1, 2}));
    EXPECT_EQ(file.left_out().lines, 1U);
}

TEST(LetterFile, OneThatIsEmptiedMeanwhileHasNotEndedWell) {
    const TempDir dir;
    const std::string path = dir.write("f", letter(1));
    LetterFile file(path);
    ASSERT_EQ(all_of(file).size(), 1U);
    ASSERT_EQ(truncate(path.c_str(), 0), 0);
    file.begin_again();
    EXPECT_THROW((void)file.next(), std::system_error);
}

TEST(LetterFile, WhatIsNotThereAndAFolderAreRefused) {
    const TempDir dir;
    EXPECT_THROW(LetterFile("/nonexistent/letters"), Unusable);
    EXPECT_THROW(LetterFile(dir.file(".")), Unusable);
}

}  // namespace
}  // namespace curfew

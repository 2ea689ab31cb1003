// What a worker leaves behind about its slots, and what is read of it.
#include <gtest/gtest.h>

#include <memory>
#include <system_error>

#include "common/process/mapped_file.h"
#include "common/process/running_page.h"
#include "tests/support/temp_dir.h"

namespace curfew {
namespace {

using Ids = std::vector<AttemptId>;

TEST(RunningPage, TellsWhatIsInTheSlots) {
    const support::TempDir dir;
    const RunningPage page(dir.file(""), "w", 7, 3);
    EXPECT_EQ(read_running(dir.file(""), "w", 7), Ids());
    page.slots()[0] = {4, 9};
    page.slots()[2] = {4, 11};
    EXPECT_EQ(read_running(dir.file(""), "w", 7), (Ids{{4, 9}, {4, 11}}));
}

TEST(RunningPage, TheLifeBeforeIsStillKnownAndTheOneBeforeThatIsNot) {
    const support::TempDir dir;
    for (const Incarnation life : {1U, 2U, 3U}) {
        const RunningPage page(dir.file(""), "w", life, 1);
        page.slots()[0] = {life, 1};
    }
    EXPECT_EQ(read_running(dir.file(""), "w", 3), (Ids{{3, 1}}));
    EXPECT_EQ(read_running(dir.file(""), "w", 2), (Ids{{2, 1}}));
    EXPECT_EQ(read_running(dir.file(""), "w", 1), std::nullopt);
}

TEST(RunningPage, WhatIsNoPageTellsNothing) {
    const support::TempDir dir;
    EXPECT_EQ(read_running(dir.file(""), "w", 1), std::nullopt);
    dir.write("w.running", "RUNPAGE1");
    EXPECT_EQ(read_running(dir.file(""), "w", 1), std::nullopt);
    { const RunningPage page(dir.file(""), "v", 1, 2); }
    const std::string whole = dir.read("v.running");
    dir.write("v.running", whole.substr(0, whole.size() - 1));
    EXPECT_EQ(read_running(dir.file(""), "v", 1), std::nullopt) << "cut off";
}

TEST(RunningPage, ANameDoesNotLeadOutOfTheRunDirectory) {
    const support::TempDir dir;
    { const RunningPage page(dir.file(""), "w", 1, 1); }
    EXPECT_EQ(read_running(dir.file("") + "/..", "curfew/../" + std::string("w"), 1), std::nullopt);
    EXPECT_EQ(read_running(dir.file(""), "./w", 1), std::nullopt);
}

TEST(RunningPage, AFileThatCannotBeMadeIsAnError) {
    const support::TempDir dir;
    EXPECT_THROW(RunningPage(dir.file("no/such"), "w", 1, 1), std::system_error);
}

TEST(MappedFile, HasOneWriterAtATimeAndASecondDoesNotTouchIt) {
    const support::TempDir dir;
    auto first = std::make_unique<MappedFile>(dir.file("page"), 64);
    static_cast<char*>(first->data())[0] = 'x';
    EXPECT_THROW(MappedFile(dir.file("page"), 64), std::system_error);
    EXPECT_EQ(static_cast<char*>(first->data())[0], 'x');
    first.reset();
    const MappedFile next(dir.file("page"), 64, MappedFile::Contents::kept);
    EXPECT_EQ(static_cast<const char*>(next.data())[0], 'x');
}

}  // namespace
}  // namespace curfew

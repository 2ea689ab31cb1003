// A small file that is replaced as a whole: the last word is there, once it is waited for.
#include "common/process/replaced_file.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <string>
#include <system_error>

#include "tests/support/faulty_sync.h"
#include "tests/support/temp_dir.h"

namespace curfew {
namespace {

class ReplacedFileTest : public testing::Test {
protected:
    ~ReplacedFileTest() override { support::sync_error = 0; }
    [[nodiscard]] std::string at() const { return dir.file("at"); }

    support::TempDir dir;
};

TEST_F(ReplacedFileTest, IsMadeEmptyAndTellsTheNextWhatItHeld) {
    {
        ReplacedFile file(at());
        EXPECT_EQ(file.found(), "");
        file.replace("one");
        file.wait();
        EXPECT_EQ(dir.read("at"), "one");
    }
    EXPECT_EQ(ReplacedFile(at()).found(), "one");
}

TEST_F(ReplacedFileTest, WhatWasSaidLastIsThereAtItsEnd) {
    {
        ReplacedFile file(at());
        for (int i = 0; i < 100; ++i) file.replace(std::to_string(i));
    }
    EXPECT_EQ(dir.read("at"), "99");
}

TEST_F(ReplacedFileTest, HasOneWriterAlsoWhenItWasReplaced) {
    ReplacedFile first(at());
    first.replace("one");
    first.wait();
    EXPECT_THROW(ReplacedFile second(at()), std::system_error);
}

TEST_F(ReplacedFileTest, AnErrorIsThrownFromThenOnAndWhatWasThereStays) {
    ReplacedFile file(at());
    file.replace("one");
    file.wait();
    support::sync_error = EIO;
    file.replace("two");
    EXPECT_THROW(file.wait(), std::system_error);
    support::sync_error = 0;
    EXPECT_THROW(file.replace("three"), std::system_error);
    EXPECT_EQ(dir.read("at"), "one");
}

TEST_F(ReplacedFileTest, AFullDiskIsWaitedForUnlessSomebodyWaits) {
    ReplacedFile file(at());
    file.replace("one");
    file.wait();
    support::sync_error = ENOSPC;
    const int before = support::syncs;
    file.replace("two");
    while (support::syncs == before) std::this_thread::yield();
    support::sync_error = 0;
    // by itself: nobody waits for it
    while (support::syncs == before + 1) std::this_thread::yield();
    file.replace("three");
    file.wait();
    EXPECT_EQ(dir.read("at"), "three");
    support::sync_error = ENOSPC;
    file.replace("four");
    EXPECT_THROW(file.wait(), std::system_error);
}

}  // namespace
}  // namespace curfew

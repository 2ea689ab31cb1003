// The lock of a process in its run directory, and what it says of the life before.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "common/process/run_dir.h"
#include "tests/support/temp_dir.h"

namespace curfew {
namespace {

using support::TempDir;

std::optional<RunDirError> fails(const std::string& path) {
    try {
        const RunDir second(path, "worker");
        return std::nullopt;
    } catch (const RunDirError& error) {
        return error;
    }
}

TEST(RunDir, ALifeKnowsWhetherTheOneBeforeItEndedWell) {
    const TempDir home;
    const std::string path = home.file("run");
    Incarnation first = 0;
    {
        RunDir life(path, "worker");
        EXPECT_FALSE(life.crashed_before());
        first = life.incarnation();
    }
    RunDir next(path, "worker");
    EXPECT_TRUE(next.crashed_before()) << "it did not say that it ended well";
    EXPECT_GT(next.incarnation(), first);
}

TEST(RunDir, ASecondProcessIsRefusedAndToldWhoIsThere) {
    const TempDir home;
    const std::string path = home.file("run");
    const RunDir first(path, "worker");
    const auto error = fails(path);
    ASSERT_TRUE(error);
    EXPECT_NE(std::string(error->what()).find("process " + std::to_string(getpid())), std::string::npos)
        << error->what();
}

/// Lives follow each other as fast as they can, from several threads: each writes its word under
/// the lock and ends well, so none may find the word of a life that was still running.
TEST(RunDir, WhatALockSaysIsReadOnceItIsHeld) {
    const TempDir home;
    const std::string path = home.file("run");
    constexpr int kLives = 8000;
    std::atomic<int> lives = 0, crashes = 0, steps_back = 0;
    std::atomic<Incarnation> newest = 0;
    std::vector<std::thread> threads;
    for (int i = 0; i < 3; ++i) {
        threads.emplace_back([&] {
            while (lives < kLives) {
                try {
                    RunDir life(path, "worker");
                    if (life.crashed_before()) ++crashes;
                    if (newest.exchange(life.incarnation()) >= life.incarnation()) ++steps_back;
                    life.ended_well();
                    ++lives;
                } catch (const RunDirError&) {
                    std::this_thread::yield();  // another lives
                }
            }
        });
    }
    for (std::thread& thread : threads) thread.join();
    EXPECT_EQ(crashes, 0);
    EXPECT_EQ(steps_back, 0);
}

/// The last of a group removes its lock file as it leaves.
TEST(RunDir, NobodyHoldsALockThatHasBeenRemoved) {
    const TempDir home;
    const std::string path = home.file("run"), lock = path + "/worker.lock";
    constexpr int kLives = 3000;
    std::atomic<int> lives = 0, astray = 0;
    std::vector<std::thread> threads;
    for (int i = 0; i < 3; ++i) {
        threads.emplace_back([&] {
            while (lives < kLives) {
                try {
                    RunDir life(path, "worker");
                    struct stat there {};
                    if (stat(lock.c_str(), &there) != 0) ++astray;
                    life.leave_orphaned();
                    ++lives;
                } catch (const RunDirError&) {
                    std::this_thread::yield();
                }
            }
        });
    }
    for (std::thread& thread : threads) thread.join();
    EXPECT_EQ(astray, 0);
}

}  // namespace
}  // namespace curfew

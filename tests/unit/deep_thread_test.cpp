// A thread with a stack of the size that its work needs: DeepThread.
#include "common/process/deep_thread.h"

#include <gtest/gtest.h>
#include <signal.h>

#include <array>
#include <system_error>

namespace curfew {
namespace {

constexpr std::size_t kMiB = 1 << 20;

/// Uses more than a KiB of stack for each level.
std::size_t levels(std::size_t wanted) {
    std::array<volatile char, 1024> used{};
    used[wanted % used.size()] = 1;
    return wanted == 0 ? 0 : static_cast<std::size_t>(used[wanted % used.size()]) + levels(wanted - 1);
}

TEST(DeepThreadTest, ItsStackIsAsLargeAsWanted) {
    std::size_t reached = 0;
    DeepThread thread;
    thread.begin(64 * kMiB, [&] { reached = levels(20 * 1024); });  // under ASan a level takes more
    thread.join();
    EXPECT_EQ(reached, 20U * 1024);
}

TEST(DeepThreadTest, NoSignalIsDeliveredToItAndHereTheyAreAsTheyWere) {
    sigset_t before, meanwhile, after;
    sigemptyset(&meanwhile);
    pthread_sigmask(SIG_SETMASK, nullptr, &before);
    DeepThread thread;
    thread.begin(kMiB, [&] { pthread_sigmask(SIG_SETMASK, nullptr, &meanwhile); });
    pthread_sigmask(SIG_SETMASK, nullptr, &after);
    thread.join();
    for (const int number : {SIGTERM, SIGINT, SIGCHLD}) {
        EXPECT_EQ(sigismember(&meanwhile, number), 1);
        EXPECT_EQ(sigismember(&after, number), sigismember(&before, number));
    }
}

TEST(DeepThreadTest, WhoIsGoneHasWaitedForIt) {
    bool done = false;
    {
        DeepThread thread;
        EXPECT_FALSE(thread.joinable());
        thread.begin(kMiB, [&] { done = true; });
        EXPECT_TRUE(thread.joinable());
    }
    EXPECT_TRUE(done);
}

TEST(DeepThreadTest, AStackThatCannotBeHadIsAnError) {
    DeepThread thread;
    EXPECT_THROW(thread.begin(1, [] {}), std::system_error);
    EXPECT_THROW(thread.begin(std::size_t{1} << 62, [] {}), std::system_error);
    EXPECT_FALSE(thread.joinable());
}

}  // namespace
}  // namespace curfew

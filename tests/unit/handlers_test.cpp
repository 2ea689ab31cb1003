// The handlers without processes: echo, fail, sleep under a clock of the test's own, and C++
// functions on threads.
#include <gtest/gtest.h>

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <fstream>
#include <functional>
#include <latch>
#include <set>
#include <stdexcept>
#include <string>

#include "common/process/clock.h"
#include "common/process/poller.h"
#include "tests/support/frames.h"
#include "worker/handlers/simple.h"
#include "worker/handlers/threads.h"

namespace curfew {
namespace {

using namespace std::chrono_literals;
using support::kStart;
using Ends = std::vector<WorkEnd>;

Work work(std::string_view payload, Seq seq = 7) {
    Work work;
    work.id = {1, 1};
    work.epoch = 3;
    work.seq = seq;
    work.ordinal = 2;
    work.payload = payload;
    return work;
}

Ends turn(Handler& handler, Instant now = kStart) {
    Ends ends;
    handler.turn(now, ends);
    return ends;
}

// ---- echo, fail, sleep -------------------------------------------------------------------------

TEST(ImmediateHandler, TheMessageIsTheResult) {
    ImmediateHandler echo(false);
    EXPECT_TRUE(echo.immediate());
    WorkEnd end;
    echo.run(work("hello"), end);
    EXPECT_EQ(end.finish, Finish::ok);
    EXPECT_TRUE(end.echo) << "the message is the answer";
}

TEST(ImmediateHandler, OrEachAttemptFailsWithAReason) {
    ImmediateHandler fail(true);
    WorkEnd end;
    fail.run(work("hello"), end);
    EXPECT_EQ(end.finish, Finish::failed);
    EXPECT_FALSE(end.error.empty());
}

TEST(SleepShape, ReadsItsThreeForms) {
    std::mt19937_64 random(1);
    EXPECT_EQ(SleepShape::parse("5ms")->draw(random), 5ms);
    double sum = 0;
    const auto exponential = SleepShape::parse("exp:5ms");
    ASSERT_TRUE(exponential);
    for (int i = 0; i < 10'000; ++i)
        sum += std::chrono::duration<double, std::milli>(exponential->draw(random)).count();
    EXPECT_NEAR(sum / 10'000, 5.0, 0.3);
    const auto tail = SleepShape::parse("tail:1ms:100ms:10%");
    ASSERT_TRUE(tail);
    int slow = 0;
    for (int i = 0; i < 10'000; ++i) {
        const Duration drawn = tail->draw(random);
        EXPECT_TRUE(drawn == 1ms || drawn == 100ms);
        slow += drawn == 100ms ? 1 : 0;
    }
    EXPECT_NEAR(slow, 1000, 150);
}

TEST(SleepShape, RefusesEverythingElse) {
    for (const char* text : {"", "5", "exp:", "exp", "tail:", "tail:1ms", "tail:1ms:2ms", "tail:1ms:2ms:",
                             "tail:1ms:2ms:200%", "tail:1:2ms:5%", "tail:1ms:2ms:5%:", "uniform:5ms"}) {
        EXPECT_FALSE(SleepShape::parse(text)) << text;
    }
}

TEST(SleepHandler, EndsInTheOrderOfTheirInstants) {
    SleepHandler handler(*SleepShape::parse("5ms"), 1);
    EXPECT_EQ(handler.next_deadline(), kNever);
    handler.start(kStart, 0, work("a"));
    handler.start(kStart + 1ms, 1, work("b"));
    EXPECT_EQ(handler.next_deadline(), kStart + 5ms);
    EXPECT_TRUE(turn(handler, kStart + 5ms - 1ns).empty());
    const Ends ends = turn(handler, kStart + 6ms);
    ASSERT_EQ(ends.size(), 2U);
    EXPECT_EQ(ends[0].slot, 0U);
    EXPECT_TRUE(ends[0].echo);
    EXPECT_EQ(ends[1].slot, 1U);
    EXPECT_EQ(handler.next_deadline(), kNever);
}

TEST(SleepHandler, AStopEndsItAtOnceAndOnlyOnce) {
    SleepHandler handler(*SleepShape::parse("1h"), 1);
    handler.start(kStart, 0, work("a"));
    handler.start(kStart, 1, work("b"));
    handler.stop(kStart, 0);
    handler.stop(kStart, 0);
    EXPECT_EQ(handler.next_deadline(), Instant::min());
    const Ends ends = turn(handler);
    ASSERT_EQ(ends.size(), 1U);
    EXPECT_EQ(ends[0].slot, 0U);
    EXPECT_EQ(ends[0].finish, Finish::stopped);
    EXPECT_EQ(turn(handler, kStart + 1h).at(0).slot, 1U) << "the other sleeps on";
    handler.start(kStart, 0, work("c"));
    EXPECT_TRUE(turn(handler, kStart + 1h).at(0).echo);
}

// ---- functions on threads ----------------------------------------------------------------------

/// At least `count` ends; waits on the handler's own descriptor, as the loop does.
Ends wait_for_ends(ThreadHandler& handler, std::size_t count) {
    Ends ends;
    const Instant until = Clock::now() + 20s;
    while (ends.size() < count && Clock::now() < until) {
        Poller poller;
        handler.wait_for(poller);
        poller.wait(Clock::now() + 1s);
        handler.turn(kStart, ends);
    }
    EXPECT_GE(ends.size(), count);
    ends.resize(std::max(ends.size(), count));
    return ends;
}

WorkEnd run_one(const Function& function) {
    ThreadHandler handler(1, function);
    handler.start(kStart, 0, work("payload"));
    return wait_for_ends(handler, 1)[0];
}

TEST(ThreadHandler, TheFunctionSeesTheMessageAndItsAnswerIsTheResult) {
    const WorkEnd end = run_one([](const Message& message, const std::stop_token&) {
        EXPECT_EQ(message.task, "3-7");
        EXPECT_EQ(message.seq, 7U);
        EXPECT_EQ(message.attempt, 2U);
        EXPECT_FALSE(message.deadline_at.has_value());
        return Answer::ok("answer to " + std::string(message.payload));
    });
    EXPECT_EQ(end.finish, Finish::ok);
    EXPECT_EQ(end.result, "answer to payload");
}

TEST(ThreadHandler, FailureRejectionAndExceptionsAreToldApart) {
    const WorkEnd failed = run_one([](auto&&...) { return Answer::failed("no"); });
    EXPECT_EQ(failed.finish, Finish::failed);
    EXPECT_EQ(failed.error, "no");
    const WorkEnd rejected = run_one([](auto&&...) { return Answer::rejected("never"); });
    EXPECT_EQ(rejected.finish, Finish::rejected);
    EXPECT_EQ(rejected.error, "never");
    const WorkEnd threw = run_one([](auto&&...) -> Answer { throw std::runtime_error("broken"); });
    EXPECT_EQ(threw.finish, Finish::failed);
    EXPECT_EQ(threw.error, "broken");
    const WorkEnd odd = run_one([](auto&&...) -> Answer { throw 42; });
    EXPECT_EQ(odd.finish, Finish::failed);
    EXPECT_FALSE(odd.error.empty());
}

/// Waits for its stop, then answers.
Function until_stopped(Answer answer) {
    return [answer = std::move(answer)](const Message&, const std::stop_token& stop) {
        std::latch stopped(1);
        const std::stop_callback callback(stop, [&] { stopped.count_down(); });
        stopped.wait();
        return answer;
    };
}

TEST(ThreadHandler, AStopReachesItsSlotAndNoOther) {
    ThreadHandler handler(2, until_stopped(Answer::failed("asked to stop")));
    handler.start(kStart, 0, work("a"));
    handler.start(kStart, 1, work("b"));
    handler.stop(kStart, 1);
    const Ends ends = wait_for_ends(handler, 1);
    EXPECT_EQ(ends[0].slot, 1U);
    EXPECT_EQ(ends[0].finish, Finish::stopped) << "to give up when asked is no failure";
    EXPECT_TRUE(turn(handler).empty());
    handler.stop(kStart, 0);
    EXPECT_EQ(wait_for_ends(handler, 1)[0].slot, 0U);
}

TEST(ThreadHandler, WorkThatHadItsAnswerWhenItWasStoppedKeepsIt) {
    ThreadHandler handler(1, until_stopped(Answer::ok("in time")));
    handler.start(kStart, 0, work("a"));
    handler.stop(kStart, 0);
    const Ends ends = wait_for_ends(handler, 1);
    EXPECT_EQ(ends[0].finish, Finish::ok);
    EXPECT_EQ(ends[0].result, "in time");
}

TEST(ThreadHandler, AStopOfTheLastWorkDoesNotStopTheNext) {
    ThreadHandler handler(1, [](const Message&, const std::stop_token& stop) {
        return stop.stop_requested() ? Answer::failed("stopped") : Answer::ok("");
    });
    for (int i = 0; i < 50; ++i) {
        handler.start(kStart, 0, work("a"));
        EXPECT_EQ(wait_for_ends(handler, 1)[0].finish, Finish::ok);
        handler.stop(kStart, 0);  // too late
    }
}

TEST(ThreadHandler, WhatAFunctionHangsOnItsStopTokenHoldsUpNeitherTheLoopNorAnotherSlot) {
    std::latch begun(1), release(1), released(1);
    std::atomic<bool> gave_up = false;
    const auto function = [&](const Message& message, const std::stop_token& stop) {
        if (message.payload != "blocks") return Answer::ok("");
        const std::stop_callback callback(stop, [&] {
            const Instant until = Clock::now() + 5s;
            // A latch cannot be waited for with a limit, and without one a fault would hang the
            // test.
            while (!release.try_wait() && Clock::now() < until) std::this_thread::sleep_for(1ms);
            gave_up = !release.try_wait();
            released.count_down();
        });
        begun.count_down();
        released.wait();
        return Answer::ok("");
    };
    ThreadHandler handler(2, function);
    handler.start(kStart, 0, work("blocks"));
    begun.wait();
    handler.stop(kStart, 0);
    handler.start(kStart, 1, work("does not"));
    EXPECT_EQ(wait_for_ends(handler, 1)[0].slot, 1U);
    release.count_down();
    EXPECT_EQ(wait_for_ends(handler, 1)[0].slot, 0U);
    EXPECT_FALSE(gave_up) << "the loop stood still until the callback was over";
}

/// How often a thread of this process has gone to sleep.
std::uint64_t sleeps_of(const std::string& thread) {
    std::ifstream status("/proc/self/task/" + thread + "/status");
    for (std::string line; std::getline(status, line);)
        if (line.starts_with("voluntary_ctxt_switches:")) return std::stoull(line.substr(line.find('\t')));
    return 0;
}

TEST(ThreadHandler, AStartWakesTheThreadOfItsSlotAndNoOther) {
    const auto threads = [] {
        std::set<std::string> found;
        for (const auto& entry : std::filesystem::directory_iterator("/proc/self/task"))
            found.insert(entry.path().filename());
        return found;
    };
    constexpr Slot kSlots = 16;
    const std::set<std::string> before = threads();
    std::atomic<pid_t> worked = 0;
    ThreadHandler handler(kSlots, [&](auto&&...) {
        worked = ::gettid();
        return Answer::ok("");
    });
    // All have begun to wait
    for (Slot slot = 0; slot < kSlots; ++slot) handler.start(kStart, slot, work(""));
    wait_for_ends(handler, kSlots);
    const auto sleeps_of_the_others = [&] {
        std::uint64_t sum = 0;
        for (const std::string& thread : threads())
            if (!before.contains(thread) && thread != std::to_string(worked)) sum += sleeps_of(thread);
        return sum;
    };
    handler.start(kStart, 0, work(""));
    wait_for_ends(handler, 1);
    const std::uint64_t at_first = sleeps_of_the_others();
    constexpr std::uint64_t kStarts = 200;
    for (std::uint64_t i = 0; i < kStarts; ++i) {
        handler.start(kStart, 0, work(""));
        wait_for_ends(handler, 1);
    }
    // Each of the others may still have had to go to sleep once.
    EXPECT_LE(sleeps_of_the_others() - at_first, 2 * kSlots);
}

TEST(ThreadHandler, AThreadThatIgnoresItsStopIsLeftBehindAndNotWaitedForWithoutABound) {
    const auto alive = std::make_shared<int>(0);
    const std::weak_ptr<int> token = alive;
    const auto go = std::make_shared<std::latch>(1);
    const auto begun = std::make_shared<std::latch>(1);
    {
        ThreadHandler handler(1, [held = alive, go, begun](const Message&, const std::stop_token&) {
            begun->count_down();
            go->wait();  // deaf
            return Answer::ok("");
        });
        EXPECT_FALSE(handler.can_kill());
        handler.start(kStart, 0, work("a"));
        begun->wait();
    }
    EXPECT_EQ(alive.use_count(), 2) << "the thread still has what it works on";
    go->count_down();
    const Instant until = Clock::now() + 20s;
    while (alive.use_count() > 1 && Clock::now() < until) std::this_thread::yield();
    EXPECT_EQ(alive.use_count(), 1);
}

TEST(ThreadHandler, ManySlotsHandBackEveryEndOnce) {
    ThreadHandler handler(
        8, [](const Message& message, const std::stop_token&) { return Answer::ok(std::string(message.payload)); });
    std::vector<int> seen(400, 0);
    Seq next = 0;
    for (Slot slot = 0; slot < 8; ++slot, ++next) handler.start(kStart, slot, work(std::to_string(next), next));
    for (std::size_t done = 0; done < seen.size() && !HasFailure();) {
        for (const WorkEnd& end : wait_for_ends(handler, 1)) {
            ++done;
            ++seen[static_cast<std::size_t>(std::stoul(end.result))];
            if (next == seen.size()) continue;
            handler.start(kStart, end.slot, work(std::to_string(next), next));
            ++next;
        }
    }
    EXPECT_EQ(std::count(seen.begin(), seen.end(), 1), 400);
}

}  // namespace
}  // namespace curfew

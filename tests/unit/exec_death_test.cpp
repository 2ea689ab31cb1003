// What the exec handler promises when its worker or a supervisor dies, or is stopped or traced.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <string>
#include <vector>

#include "tests/support/exec_bench.h"

namespace curfew {
namespace {

using namespace std::chrono_literals;
using support::becomes_true;
using support::contents;
using support::ExecHandlerTest;
using support::kPatience;
using support::processes_of;
using support::state_in_proc;
using support::supervisor_path;

class DyingWorkerTest : public ExecHandlerTest {
protected:
    /// A worker of its own begins this work, and is killed once the condition holds for it.
    template <typename Condition>
    void expect_that_work_dies_with_its_worker(const std::string& script, Condition condition) {
        ::prctl(PR_SET_CHILD_SUBREAPER, 1);  // the supervisor of the dead worker is to come to us
        const pid_t worker = ::fork();
        ASSERT_GE(worker, 0);
        if (worker == 0) {
            make(options({"sh", "-c", script}));
            start(0);
            turn_until([] { return false; });
            ::_exit(1);
        }
        ++seq_;
        ASSERT_TRUE(becomes_true([&] { return processes_of(seq_).size() == 3 && condition(worker); }));
        ASSERT_EQ(::kill(worker, SIGKILL), 0);
        EXPECT_TRUE(becomes_true([&] { return processes_of(seq_).empty(); }));
        EXPECT_TRUE(becomes_true([&] {
            for (const Process& process : descendants()) ::waitpid(process.pid, nullptr, WNOHANG);
            return descendants().empty();
        }));
    }
};

TEST_F(DyingWorkerTest, WorkDiesWithItsWorker) {
    expect_that_work_dies_with_its_worker("trap '' TERM; (setsid sleep 1001 &); sleep 1000; sleep 1000",
                                          [](pid_t) { return true; });
}

TEST_F(DyingWorkerTest, WorkDiesWithItsWorkerAlsoWhenItHasStoppedBoth) {
    const std::string stop_both = "kill -STOP $(cut -d' ' -f4 /proc/$PPID/stat) $PPID";
    expect_that_work_dies_with_its_worker("trap '' TERM; (setsid sleep 1001 &); " + stop_both + "; sleep 1000; sleep 1",
                                          [](pid_t worker) {
                                              const std::vector<Process> found = descendants();
                                              return std::all_of(found.begin(), found.end(), [&](const Process& one) {
                                                  const bool ours = one.pid == worker || one.parent == worker;
                                                  return !ours || state_in_proc(one.pid) == 'T';
                                              });
                                          });
}

TEST_F(ExecHandlerTest, WorkThatStopsItsSupervisorIsStillStoppedAndItsSlotIsUsableAgain) {
    make(options({"sh", "-c", "[ {} = quick ] && exec echo ok; (setsid sleep 1001 &); kill -STOP $PPID; sleep 1000"}));
    const pid_t supervisor = only_supervisor();
    start(0, "slow");
    ASSERT_TRUE(turn_until([&] { return told_to_go_on_ > 0; }));
    stop_and_expect_nothing_left();
    start(0, "quick");
    EXPECT_EQ(next_end().result, "ok");
    EXPECT_EQ(only_supervisor(), supervisor) << "it went on, so there was no need for another";
    EXPECT_EQ(killed_, 0);
}

TEST_F(ExecHandlerTest, TheDeadlineHoldsForWorkThatStopsItsSupervisor) {
    EXPECT_TRUE(within_some_time([&](Duration time) {
        const WorkEnd end = run(options({"sh", "-c", "kill -STOP $PPID; sleep 1000"}), "", Clock::now() + time);
        EXPECT_EQ(end.finish, Finish::stopped);
        EXPECT_TRUE(processes_of(seq_).empty());
        return told_to_go_on_ == 1;
    }));
}

TEST_F(ExecHandlerTest, ASupervisorThatIsStoppedWithoutWorkStillTakesSome) {
    make(options({"echo", "x"}));
    ASSERT_EQ(::kill(only_supervisor(), SIGSTOP), 0);
    start(0);
    EXPECT_EQ(next_end().result, "x");
}

TEST_F(ExecHandlerTest, WorkThatStopsItsSupervisorAgainAndAgainIsKilledWithIt) {
    make(options(
        {"sh", "-c", "[ {} = quick ] && exec echo ok; (setsid sleep 1001 &); while :; do kill -STOP $PPID; done"}));
    for (int i = 0; i < 2; ++i) {
        start(0, "slow");
        const WorkEnd end = next_end();
        EXPECT_EQ(end.finish, Finish::failed);
        EXPECT_NE(end.error.find("its supervisor was stopped"), std::string::npos) << end.error;
        EXPECT_TRUE(processes_of(seq_).empty());
        EXPECT_EQ(killed_, i + 1);
        start(0, "quick");
        EXPECT_EQ(next_end().result, "ok");
    }
}

/// What holds its supervisor as a debugger does: no signal says so, and no SIGCONT helps. A process
/// of its own does it, that does not die with the first one.
const std::string kTracing =
    "import ctypes, os, sys, time\n"
    "if os.path.exists(sys.argv[1]): time.sleep(1000)\n"
    "libc, supervisor = ctypes.CDLL(None), os.getppid()\n"
    "if os.fork() == 0:\n"
    "    os.setsid()\n"
    "    attached = libc.ptrace(16, supervisor, 0, 0) == 0 and os.waitpid(supervisor, 0x40000000)\n"
    "    open(sys.argv[1], 'w').write('traced' if attached else 'refused')\n"
    "time.sleep(1000)\n";

class TracedSupervisorTest : public ExecHandlerTest {
protected:
    ~TracedSupervisorTest() override { ::unlink(said_.c_str()); }

    void start_tracing(Duration grace) {
        ExecOptions tracing = options({"python3", "-c", kTracing, said_});
        tracing.grace = std::chrono::duration_cast<std::chrono::milliseconds>(grace);
        // It may be killed for that before it could say so
        for (int tries = 0; tries < 10; ++tries) {
            ends_.clear();
            killed_ = 0;
            ::unlink(said_.c_str());
            make(tracing);
            start(0);
            ASSERT_TRUE(turn_until([&] { return !contents(said_).empty() || !ends_.empty(); }));
            if (ends_.empty()) break;
        }
        ASSERT_TRUE(ends_.empty()) << "killed before it could say so";
        if (contents(said_) == "refused")
            GTEST_SKIP() << "needs a kernel that lets a process trace another (ptrace_scope 0 or 1)";
    }

    const std::string said_ = "/tmp/curfew-traced-" + std::to_string(first_seq_);
};

TEST_F(TracedSupervisorTest, WorkThatTracesItsSupervisorIsStoppedWhenItIsToldTo) {
    start_tracing(0ms);
    if (IsSkipped()) return;
    stop_and_expect_nothing_left();
    EXPECT_EQ(killed_, 1);
}

TEST_F(TracedSupervisorTest, WorkThatTracesItsSupervisorIsKilledWithItAndItsSlotIsUsableAgain) {
    start_tracing(60s);
    if (IsSkipped()) return;
    const WorkEnd end = next_end();
    EXPECT_EQ(end.finish, Finish::failed);
    EXPECT_NE(end.error.find("its supervisor was stopped"), std::string::npos) << end.error;
    EXPECT_TRUE(processes_of(seq_).empty());
    start(0);
    ASSERT_TRUE(turn_until([&] { return handler_->pid(0) != 0; }));
    stop_and_expect_nothing_left();
}

TEST_F(TracedSupervisorTest, WorkThatTracesAndKillsItsSupervisorIsKilledToo) {
    start_tracing(60s);
    if (IsSkipped()) return;
    for (const Process& process : descendants()) {
        // Not reaped before its tracer is gone
        if (process.parent == ::getpid()) ::kill(process.pid, SIGKILL);
    }
    EXPECT_EQ(next_end().error, "its supervisor died");
    EXPECT_TRUE(processes_of(seq_).empty());
}

TEST_F(TracedSupervisorTest, ADestroyedHandlerLeavesNothing) {
    start_tracing(0ms);
    if (IsSkipped()) return;
    handler_.reset();
    EXPECT_TRUE(becomes_true([&] { return processes_of(seq_).empty(); }));
}

TEST_F(ExecHandlerTest, ALoserThatKillsItsSupervisorWhenItIsToStopIsStopped) {
    make(options({"sh", "-c", "trap 'kill -KILL $PPID' TERM; echo ready >&2; while :; do sleep 0.01; done"}));
    start(0);
    wait_for_line("ready");
    stop_and_expect_nothing_left();
}

TEST_F(ExecHandlerTest, ADestroyedHandlerLeavesNothingOfAStoppedSupervisor) {
    make(options({"sh", "-c", "kill -STOP $PPID; sleep 1000"}));
    const pid_t supervisor = only_supervisor();
    start(0);
    ASSERT_TRUE(becomes_true([&] { return state_in_proc(supervisor) == 'T'; }));
    const Instant destroyed_at = Clock::now();
    handler_.reset();
    EXPECT_LT(Clock::now() - destroyed_at, kPatience);
    EXPECT_TRUE(processes_of(seq_).empty());
}

TEST_F(ExecHandlerTest, WithoutASupervisorItRefusesToStart) {
    ExecOptions none = options({"true"});
    none.supervisor_path = "/no/such/supervisor";
    EXPECT_THROW(ExecHandler{none}, std::system_error);
}

TEST_F(ExecHandlerTest, SlotsAreUsedAgainAndAgain) {
    ExecOptions many = options({"echo", "{}"});
    many.slots = 4;
    make(many);
    int begun = 0;
    for (Slot slot = 0; slot < 4; ++slot) start(slot, std::to_string(begun++));
    for (int ended = 0; ended < 200; ++ended) {
        const WorkEnd end = next_end();
        ASSERT_EQ(end.finish, Finish::ok) << end.error;
        if (begun < 200) start(end.slot, std::to_string(begun++));
    }
}

TEST_F(ExecHandlerTest, BothWaysToFindDescendantsAgree) {
    make(options({"sh", "-c", "(setsid sleep 1001 &); sleep 1002 & echo ready >&2; wait"}));
    start(0);
    wait_for_line("ready");
    ASSERT_TRUE(turn_until([&] { return processes_of(seq_).size() == 3; }));
    const auto pids_of = [](const std::vector<Process>& processes) {
        std::vector<pid_t> pids;
        for (const Process& process : processes) pids.push_back(process.pid);
        std::sort(pids.begin(), pids.end());
        return pids;
    };
    EXPECT_EQ(pids_of(descendants()), pids_of(descendants_by_scan()));
    EXPECT_EQ(descendants().size(), 4U);
    stop_and_expect_nothing_left();
}

}  // namespace
}  // namespace curfew

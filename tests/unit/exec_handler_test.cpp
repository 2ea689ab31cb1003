// What the exec handler promises, tried on real processes.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>

#include <filesystem>
#include <sstream>
#include <string>
#include <vector>

#include "tests/support/exec_bench.h"
#include "tests/support/temp_dir.h"
#include "worker/supervisor/program_file.h"

namespace curfew {
namespace {

using namespace std::chrono_literals;
using support::becomes_true;
using support::contents;
using support::ExecHandlerTest;
using support::has_ended_that_wrote;
using support::kPatience;
using support::processes_of;
using support::state_in_proc;
using support::Strings;

TEST_F(ExecHandlerTest, ItsStdoutIsTheResult) {
    const WorkEnd end = run(options({"echo", "hello"}));
    EXPECT_EQ(end.finish, Finish::ok);
    EXPECT_EQ(end.result, "hello");
    EXPECT_EQ(end.error, "");
}

TEST_F(ExecHandlerTest, OneNewlineAtTheEndIsNotPartOfTheResult) {
    EXPECT_EQ(run(options({"printf", "a\\n\\n"})).result, "a\n");
    EXPECT_EQ(run(options({"printf", "a"})).result, "a");
    EXPECT_EQ(run(options({"printf", "\\n"})).result, "");
}

TEST_F(ExecHandlerTest, TheMessageIsOnStdin) {
    EXPECT_EQ(run(options({"tr", "a-z", "A-Z"}), "abc\n").result, "ABC");
}

TEST_F(ExecHandlerTest, TheMessageReplacesTheBracesAsOneArgument) {
    const Strings command{"printf", "<%s>", "{}", "x{}y{}", "{ }"};
    EXPECT_EQ(run(options(command), "a  b'\"$HOME`\n*").result,
              "<a  b'\"$HOME`\n*><xa  b'\"$HOME`\n*ya  b'\"$HOME`\n*><{ }>");
    EXPECT_EQ(run(options(command), "").result, "<><xy><{ }>");
}

TEST_F(ExecHandlerTest, AMessageWithANulByteCannotBeAnArgument) {
    const WorkEnd end = run(options({"echo", "{}"}), std::string_view("a\0b", 3));
    EXPECT_EQ(end.finish, Finish::failed);
    EXPECT_NE(end.error.find("NUL"), std::string::npos) << end.error;
    start(0, "fine");
    EXPECT_EQ(next_end().result, "fine");
}

TEST_F(ExecHandlerTest, ALineHasItsNewlineOnStdinAndNowhereElse) {
    ExecOptions lines = options({"sh", "-c", "cat >&2; printf %s \"$1\"", "sh", "{}"});
    lines.stdin_form = StdinForm::line;
    EXPECT_EQ(run(lines, "word").result, "word");
    lines.command = {"wc", "-c"};
    for (const std::size_t size : {0U, 1U, 4096U, 65535U, 65536U, 65537U, 1'000'000U}) {
        const std::string message(size, 'x');
        lines.stdin_form = StdinForm::line;
        EXPECT_EQ(run(lines, message).result, std::to_string(size + 1)) << "whatever fits into the pipe at once";
        lines.stdin_form = StdinForm::exact;
        EXPECT_EQ(run(lines, message).result, std::to_string(size));
    }
}

TEST_F(ExecHandlerTest, AnotherPlaceholderLeavesTheBraces) {
    ExecOptions other = options({"printf", "%s|", "{}", "@@", "<@@@@@>"});
    other.placeholder = "@@";
    EXPECT_EQ(run(other, "{}@@").result, "{}|{}@@|<{}@@{}@@@>|");
}

TEST_F(ExecHandlerTest, VariablesOfTheOptionsStandInPlaceOfOurs) {
    ::setenv("CURFEW_WORKER", "of somebody else", 1);
    ExecOptions named = options({"sh", "-c", "env | grep -c ^CURFEW_WORKER=; echo $CURFEW_WORKER, $CURFEW_POOL"});
    named.environment = {"CURFEW_WORKER=w 1", "CURFEW_POOL=a=b"};
    EXPECT_EQ(run(named).result, "1\nw 1, a=b");
    ::unsetenv("CURFEW_WORKER");
}

TEST_F(ExecHandlerTest, TheLimitOfDescriptorsIsTheOneOfTheOptions) {
    ExecOptions limited = options({"sh", "-c", "ulimit -Sn"});
    limited.descriptors = 77;
    EXPECT_EQ(run(limited).result, "77");
}

TEST(DescriptorsNamed, AreFoundWhereverTheyStandAndOnce) {
    EXPECT_EQ(descriptors_named({"cat", "/dev/fd/63", "--file=/dev/fd/7", "/dev/fd/63"}), (std::vector<int>{63, 7}));
    EXPECT_EQ(descriptors_named({"sh", "-c", "cat /dev/fd/3 /proc/self/fd/11"}), (std::vector<int>{3, 11}));
    const Strings none{"/dev/fd/",  "/dev/fd/0",           "/dev/fd/2", "/dev/fd/-4",
                       "/dev/fd/x", "/dev/fd/99999999999", "/dev/fd"};
    EXPECT_EQ(descriptors_named(none), std::vector<int>{});
}

TEST_F(ExecHandlerTest, TheEnvironmentNamesTheAttempt) {
    const WorkEnd end =
        run(options({"sh", "-c", "echo $CURFEW_TASK $CURFEW_SEQ $CURFEW_ATTEMPT ${CURFEW_DEADLINE_MS-none}"}));
    EXPECT_EQ(end.result, "7-" + std::to_string(seq_) + " " + std::to_string(seq_) + " 1 none");
    start(0, "", Clock::now() + 60s);
    const std::string result = next_end().result;
    const int left_ms = std::stoi(result.substr(result.rfind(' ')));
    EXPECT_GT(left_ms, 30'000);
    EXPECT_LE(left_ms, 60'000);
}

TEST_F(ExecHandlerTest, WorkInheritsNoDescriptorAndNoIgnoredSignal) {
    struct sigaction ignore {};
    ignore.sa_handler = SIG_IGN;
    struct sigaction before {};
    ::sigaction(SIGPIPE, &ignore, &before);
    const WorkEnd end = run_shell("ls /proc/self/fd | wc -l; grep -E 'Sig(Blk|Ign)' /proc/self/status | cut -f2");
    ::sigaction(SIGPIPE, &before, nullptr);
    std::istringstream result(end.result);
    unsigned long long descriptors = 0, blocked = 0, ignored = 0;
    result >> descriptors >> std::hex >> blocked >> ignored;
    EXPECT_EQ(descriptors, 4U);  // the fourth is the directory that is listed
    EXPECT_EQ(blocked, 0U);
    // 32 and 33 are the C library's own: it does not let us touch them
    EXPECT_EQ(ignored & ~0x1'8000'0000ULL, 0U);
}

TEST_F(ExecHandlerTest, AFailingExitSaysItsCodeAndItsLastWords) {
    const WorkEnd end = run_shell("echo first >&2; echo out; echo last words >&2; exit 3");
    EXPECT_EQ(end.finish, Finish::failed);
    EXPECT_EQ(end.error, "exit code 3: last words");
    EXPECT_EQ(end.result, "");
    EXPECT_EQ(run_shell("exit 4").error, "exit code 4");
}

TEST_F(ExecHandlerTest, AnEndHasTheTracesOfItsProcess) {
    const WorkEnd failed = run_shell("echo one >&2; echo two >&2; exit 3");
    ASSERT_TRUE(failed.traces);
    EXPECT_EQ(failed.traces->exit_code, 3);
    EXPECT_EQ(failed.traces->signal, 0);
    EXPECT_EQ(failed.traces->errors, "one\ntwo\n");
    EXPECT_EQ(failed.traces->stderr_bytes, 8U);
    const WorkEnd killed = run_shell("ulimit -c 0; kill -SEGV $$");
    ASSERT_TRUE(killed.traces);
    EXPECT_FALSE(killed.traces->exit_code);
    EXPECT_EQ(killed.traces->signal, SIGSEGV);
    const WorkEnd quiet = run_shell("echo out");
    ASSERT_TRUE(quiet.traces);
    EXPECT_EQ(quiet.traces->exit_code, 0);
    EXPECT_EQ(quiet.traces->errors, "");
}

TEST_F(ExecHandlerTest, OfMuchStderrTheLastIsKept) {
    const WorkEnd end = run_shell("seq 100000 >&2");
    ASSERT_TRUE(end.traces);
    EXPECT_EQ(end.traces->stderr_bytes, 588895U);
    EXPECT_EQ(end.traces->errors.size(), 4096U);
    EXPECT_TRUE(end.traces->errors.ends_with("\n99999\n100000\n"));
}

TEST_F(ExecHandlerTest, WhatCannotBeStartedHasNoExitCode) {
    const WorkEnd end = run(options({"no-such-command-here"}));
    ASSERT_TRUE(end.traces);
    EXPECT_FALSE(end.traces->exit_code);
    EXPECT_EQ(end.traces->signal, 0);
}

TEST_F(ExecHandlerTest, ASignalIsNamed) {
    const WorkEnd end = run_shell("ulimit -c 0; kill -SEGV $$");
    EXPECT_EQ(end.finish, Finish::failed);
    EXPECT_EQ(end.error, "killed by SIGSEGV");
}

TEST_F(ExecHandlerTest, ExitCodesAreOkOrRejectedAsTheOptionsSay) {
    ExecOptions with_lists = options({"sh", "-c", "echo x; exit {}"});
    with_lists.ok_exit = {0, 10};
    with_lists.reject_exit = {20};
    const WorkEnd ok = run(with_lists, "10");
    EXPECT_EQ(ok.finish, Finish::ok);
    EXPECT_EQ(ok.result, "x");
    const WorkEnd rejected = run(with_lists, "20");
    EXPECT_EQ(rejected.finish, Finish::rejected);
    EXPECT_EQ(rejected.error, "exit code 20");
    EXPECT_EQ(run(with_lists, "30").finish, Finish::failed);
}

TEST_F(ExecHandlerTest, AMissingCommandIsAClearError) {
    const WorkEnd end = run(options({"no-such-command-here"}));
    EXPECT_EQ(end.finish, Finish::failed);
    EXPECT_EQ(end.error, "cannot run 'no-such-command-here': No such file or directory");
    EXPECT_EQ(run(options({"/etc/passwd"})).error, "cannot run '/etc/passwd': Permission denied");
    start(0, "");
    EXPECT_EQ(next_end().finish, Finish::failed);
}

TEST_F(ExecHandlerTest, ACommandThatCannotRunIsFoundBeforehand) {
    EXPECT_EQ(wrong_with_command({"true"}), std::nullopt);
    EXPECT_EQ(wrong_with_command({"/bin/true"}), std::nullopt);
    EXPECT_EQ(wrong_with_command({"no-such-command-here"}),
              "cannot run 'no-such-command-here': No such file or directory");
    EXPECT_EQ(wrong_with_command({"/etc/passwd"}), "cannot run '/etc/passwd': Permission denied");
    EXPECT_EQ(wrong_with_command({"/etc"}), "cannot run '/etc': Permission denied");
    EXPECT_TRUE(wrong_with_command({}).has_value());
}

TEST_F(ExecHandlerTest, AnArgumentTooLongForTheKernelFailsThatAttemptOnly) {
    const WorkEnd end = run(options({"echo", "{}"}), std::string(200'000, 'x'));
    EXPECT_EQ(end.error, "cannot run 'echo': Argument list too long");
    start(0, "short");
    EXPECT_EQ(next_end().result, "short");
}

TEST_F(ExecHandlerTest, WithoutProcessesLeftAnAttemptFailsWithTheReason) {
    if (::geteuid() == 0) {
        // The limit on processes does not bind root; that on descriptors binds everybody.
        rlimit before{};
        ::getrlimit(RLIMIT_NOFILE, &before);
        const rlimit few{.rlim_cur = 8, .rlim_max = before.rlim_max};
        make(options({"true"}));
        ASSERT_EQ(::prlimit(descendants().front().pid, RLIMIT_NOFILE, &few, nullptr), 0);
        start(0);
        EXPECT_EQ(next_end().error, "cannot run 'true': pipe: Too many open files");
        ASSERT_EQ(::prlimit(descendants().front().pid, RLIMIT_NOFILE, &before, nullptr), 0);
        start(0);
        EXPECT_EQ(next_end().finish, Finish::ok);
        return;
    }
    make(options({"true"}));
    const rlimit none{.rlim_cur = 1, .rlim_max = 1};
    ASSERT_EQ(::prlimit(descendants().front().pid, RLIMIT_NPROC, &none, nullptr), 0);
    start(0);
    EXPECT_EQ(next_end().error, "cannot run 'true': fork: Resource temporarily unavailable");
}

TEST_F(ExecHandlerTest, WorkNeedNotReadItsMessage) {
    const std::string big(1024 * 1024, 'x');
    EXPECT_EQ(run(options({"true"}), big).finish, Finish::ok);
    EXPECT_EQ(run_shell("exec <&-; echo done", big).result, "done");
}

TEST_F(ExecHandlerTest, AMebibyteGoesInAndOutOnAllSlots) {
    ExecOptions cat = options({"cat"});
    cat.slots = 3;
    make(cat);
    std::string big(1024 * 1024, 'x');
    for (std::size_t i = 0; i < big.size(); ++i) big[i] = static_cast<char>(i * 31 % 251);
    big.back() = 'x';
    for (int round = 0; round < 2; ++round) {
        for (Slot slot = 0; slot < 3; ++slot) start(slot, big);
        for (int i = 0; i < 3; ++i) {
            const WorkEnd end = next_end();
            EXPECT_EQ(end.finish, Finish::ok) << end.error;
            EXPECT_TRUE(end.result == big);
        }
    }
}

TEST_F(ExecHandlerTest, AResultOfExactlyTheLimitPasses) {
    ExecOptions small = options({"printf", "{}"});
    small.max_output = 4;
    EXPECT_EQ(run(small, "1234").result, "1234");
    EXPECT_EQ(run(small, "1234\n").result, "1234");
    EXPECT_EQ(run(small, "12345").error, "output over 4 bytes (--max-output)");
    EXPECT_EQ(run(small, "1234\n\n").finish, Finish::failed);
}

TEST_F(ExecHandlerTest, AnEndlessOutputIsCappedAndItsTreeKilled) {
    ExecOptions small = options({"sh", "-c", "setsid sleep 1000 & setsid yes & yes; sleep 1000"});
    small.max_output = 100'000;
    const WorkEnd end = run(small);
    EXPECT_EQ(end.finish, Finish::failed);
    EXPECT_EQ(end.error, "output over 100000 bytes (--max-output)");
    EXPECT_TRUE(processes_of(seq_).empty());
}

TEST_F(ExecHandlerTest, StderrIsPassedOnUpToALimitAndTheRestIsCounted) {
    EXPECT_EQ(run_shell("echo one >&2; echo two >&2; printf three >&2").finish, Finish::ok);
    EXPECT_EQ(lines_, (Strings{"one", "two", "three"}));
    lines_.clear();
    EXPECT_EQ(run_shell("seq -f '%.0f-line' 1 100000 >&2; exit 1").error, "exit code 1: 100000-line");
    ASSERT_EQ(lines_.size(), 65U);
    EXPECT_EQ(lines_[63], "64-line");
    EXPECT_EQ(lines_[64], "... 988456 bytes more");  // the characters of the lines 65 to 100000
    lines_.clear();
    EXPECT_EQ(run_shell("head -c 5000 /dev/zero | tr '\\0' x >&2").finish, Finish::ok);
    ASSERT_EQ(lines_.size(), 2U);
    EXPECT_EQ(lines_[0], std::string(4096, 'x'));
    EXPECT_EQ(lines_[1], "... 904 bytes more");
}

TEST_F(ExecHandlerTest, LastingWorkHasAPidThatTheDumpCanShow) {
    make(options({"sleep", "1000"}));
    EXPECT_EQ(handler_->pid(0), 0);
    start(0);
    EXPECT_TRUE(turn_until([&] { return handler_->pid(0) != 0; }));
    EXPECT_EQ(processes_of(seq_), std::vector<pid_t>{handler_->pid(0)});
    stop_and_expect_nothing_left();
    EXPECT_EQ(handler_->pid(0), 0);
}

TEST_F(ExecHandlerTest, WorkThatObeysTermIsStoppedWithinTheGrace) {
    make(options({"sh", "-c", "trap 'echo bye >&2; exit 0' TERM; sleep 1000 & echo ready >&2; wait"}));
    start(0);
    wait_for_line("ready");
    stop_and_expect_nothing_left();
    wait_for_line("bye");  // and its exit code 0 does not make it a result
}

TEST_F(ExecHandlerTest, WorkThatIgnoresTermIsKilledAfterTheGrace) {
    ExecOptions stubborn = options({"sh", "-c", "trap '' TERM; sleep 1000 & echo ready >&2; while :; do wait; done"});
    stubborn.grace = 80ms;
    make(stubborn);
    start(0);
    wait_for_line("ready");
    const Instant stopped_at = Clock::now();
    stop_and_expect_nothing_left();
    EXPECT_GE(Clock::now() - stopped_at, 80ms);
}

TEST_F(ExecHandlerTest, StoppedWorkStillHearsTerm) {
    make(options({"sh", "-c", "echo ready >&2; kill -STOP $$; echo never"}));
    start(0);
    wait_for_line("ready");
    ASSERT_TRUE(turn_until([&] { return handler_->pid(0) != 0; }));
    stop_and_expect_nothing_left();
}

TEST_F(ExecHandlerTest, AStopThatComesTooLateChangesNothing) {
    const support::TempDir home;
    const std::string ran = home.file("ran");
    make(options({"sh", "-c", "echo x; echo $$ > " + ran}));
    start(0);
    // It ran, and has ended. But what was said of it was not heard yet.
    ASSERT_TRUE(becomes_true([&] { return has_ended_that_wrote(ran); }));
    handler_->stop(Clock::now(), 0);
    EXPECT_EQ(next_end().finish, Finish::ok);
    for (int i = 0; i < 20; ++i) {
        start(0);
        EXPECT_EQ(next_end().result, "x");
        handler_->stop(Clock::now(), 0);  // in a slot that is free again
    }
}

TEST_F(ExecHandlerTest, WorkThatFinishedBeforeTheStopCountsHoweverLateThatIsNoticed) {
    // Its supervisor is the one that does not notice
    const support::TempDir home;
    const std::string ran = home.file("ran");
    EXPECT_TRUE(within_some_time([&](Duration time) {
        make(options({"sh", "-c", "kill -STOP $PPID; echo done; echo $$ > " + ran}));
        std::filesystem::remove(ran);  // of the try before
        const pid_t supervisor = only_supervisor();
        const Instant deadline_at = Clock::now() + time;
        start(0, "", deadline_at);
        EXPECT_TRUE(becomes_true([&] { return Clock::now() > deadline_at; }));
        if (!std::filesystem::exists(ran)) return false;  // perhaps stopped by its deadline
        EXPECT_TRUE(becomes_true([&] { return state_in_proc(supervisor) == 'T' && has_ended_that_wrote(ran); }));
        handler_->stop(Clock::now(), 0);
        ::kill(supervisor, SIGCONT);
        const WorkEnd end = next_end();
        // Else its deadline came before its supervisor stood still
        if (end.finish != Finish::ok) return false;
        EXPECT_EQ(end.result, "done");
        return true;
    }));
}

TEST_F(ExecHandlerTest, GrandchildrenThatLeftTheSessionAreKilledToo) {
    ExecOptions escaping = options({"sh", "-c",
                                    "trap '' TERM; (setsid sh -c 'sleep 1001 & (sleep 1002 &) ; setsid sleep 1003' &) "
                                    "; echo ready >&2; sleep 1000"});
    escaping.grace = 50ms;
    make(escaping);
    start(0);
    wait_for_line("ready");
    ASSERT_TRUE(turn_until([&] { return processes_of(seq_).size() >= 6; }));
    stop_and_expect_nothing_left();
}

TEST_F(ExecHandlerTest, TheDeadlineEndsWorkThatWasNotToldTo) {
    const support::TempDir home;
    const std::string deaf = home.file("deaf");
    ExecOptions stubborn =
        options({"sh", "-c", "trap '' TERM; (setsid sleep 1001 &); : > " + deaf + "; while :; do sleep 1000; done"});
    stubborn.grace = 40ms;
    EXPECT_TRUE(within_some_time([&](Duration time) {
        const Instant deadline_at = Clock::now() + time;
        EXPECT_EQ(run(stubborn, "", deadline_at).finish, Finish::stopped);
        EXPECT_TRUE(processes_of(seq_).empty());
        if (!std::filesystem::exists(deaf)) return false;  // it heard the signal
        EXPECT_GE(Clock::now() - deadline_at, stubborn.grace);
        return true;
    }));
}

TEST_F(ExecHandlerTest, TheDeadlineHoldsWhileTheWorkerStandsStill) {
    const support::TempDir home;
    const std::string deaf = home.file("deaf");
    ExecOptions stubborn =
        options({"sh", "-c", "trap '' TERM; (setsid sleep 1001 &); : > " + deaf + "; while :; do sleep 1000; done"});
    stubborn.grace = 20ms;
    EXPECT_TRUE(within_some_time([&](Duration time) {
        make(stubborn);
        const Instant deadline_at = Clock::now() + time;
        start(0, "", deadline_at);
        EXPECT_TRUE(becomes_true([&] { return Clock::now() > deadline_at && processes_of(seq_).empty(); }));
        EXPECT_EQ(next_end().finish, Finish::stopped);
        return std::filesystem::exists(deaf);
    }));
}

TEST_F(ExecHandlerTest, WhatFinishedWorkLeavesBehindIsKilledAtOnce) {
    const WorkEnd end = run_shell("sleep 1000 & setsid sleep 1001 & (setsid setsid sleep 1002 &); echo done");
    EXPECT_EQ(end.finish, Finish::ok);
    EXPECT_EQ(end.result, "done");  // though the sleepers hold the pipe
    EXPECT_TRUE(processes_of(seq_).empty());
}

TEST_F(ExecHandlerTest, AForkBombIsBoundedByItsDeadline) {
    // A modest one: 300 generations of three lines, each in a session of its own, parents gone at
    // once.
    const std::string bomb =
        "i=$1; [ $i -gt 0 ] || exec sleep 1000; setsid sh -c \"$0\" \"$0\" $((i-1)) & sleep 1000 & exit";
    const std::string lines =
        "for n in 1 2 3; do sh -c \"$0\" \"$0\" 300 & done; trap '' TERM; while :; do sleep 1; done";
    ExecOptions forking = options({"sh", "-c", lines, bomb});
    forking.grace = 0ms;
    EXPECT_EQ(run(forking, "", Clock::now() + 100ms).finish, Finish::stopped);
    EXPECT_TRUE(processes_of(seq_).empty());
}

TEST_F(ExecHandlerTest, WorkDiesWithItsSupervisorAndTheSlotIsUsableAgain) {
    ExecOptions two =
        options({"sh", "-c", "[ {} = quick ] && exec echo ok; (setsid sleep 1001 &); echo ready >&2; sleep 1000"});
    two.slots = 2;
    make(two);
    for (const Slot slot : {0U, 1U}) {
        lines_.clear();
        start(slot, "slow");
        wait_for_line("ready");
    }
    ASSERT_TRUE(turn_until([&] { return handler_->pid(0) != 0 && handler_->pid(1) != 0; }));
    ASSERT_TRUE(turn_until([&] { return processes_of(seq_).size() == 3; }));

    const std::string stat = contents("/proc/" + std::to_string(handler_->pid(0)) + "/stat");
    const pid_t supervisor = std::stoi(stat.substr(stat.rfind(") ") + 4));
    ASSERT_EQ(::kill(supervisor, SIGKILL), 0);
    const WorkEnd end = next_end();
    EXPECT_EQ(end.slot, 0U);
    EXPECT_EQ(end.finish, Finish::failed);
    EXPECT_EQ(end.error, "its supervisor died");
    EXPECT_TRUE(processes_of(seq_ - 1).empty());
    // It may still be beginning some of its processes
    EXPECT_TRUE(becomes_true([&] { return processes_of(seq_).size() == 3; })) << "the other slot's work goes on";

    start(0, "quick");
    EXPECT_EQ(next_end().result, "ok");
    handler_->stop(Clock::now(), 1);
    EXPECT_EQ(next_end().finish, Finish::stopped);
}

TEST_F(ExecHandlerTest, WorkThatKillsItsSupervisorEachTimeIsHeldBackNotRefused) {
    make(options({"sh", "-c", "kill -KILL $PPID; sleep 1000"}));
    for (int i = 0; i < 4; ++i) {
        start(0);
        EXPECT_EQ(next_end().error, "its supervisor died");
        EXPECT_TRUE(processes_of(seq_).empty());
    }
    start(0);  // held, for the slot has no supervisor just now
    handler_->stop(Clock::now(), 0);
    EXPECT_EQ(next_end().finish, Finish::stopped);
    start(0, "", Clock::now());
    EXPECT_EQ(next_end().finish, Finish::stopped);
}

TEST_F(ExecHandlerTest, ADestroyedHandlerLeavesNothing) {
    ExecOptions stubborn =
        options({"sh", "-c", "trap '' TERM; (setsid sleep 1001 &); echo ready >&2; sleep 1000; sleep 1000"});
    stubborn.slots = 2;
    make(stubborn);
    start(0);
    wait_for_line("ready");
    start(1);
    const Instant destroyed_at = Clock::now();
    handler_.reset();
    EXPECT_LT(Clock::now() - destroyed_at, kPatience) << "nobody is left to want the result, so no grace is given";
    EXPECT_TRUE(processes_of(seq_ - 1).empty());
    EXPECT_TRUE(processes_of(seq_).empty());
}

}  // namespace
}  // namespace curfew

"""What scripts/launch.py promises to who types it, against stand-ins for curfew's binaries: what the processes get, run
directories, Procfiles, progress, the command line.
"""

import fcntl
import os
import pty
import shutil
import subprocess
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))

import stand_ins  # noqa: E402
from stand_ins import eventually, LAUNCH, LaunchTest, page, page_bytes, PATIENCE, PYTHON, SCRIPTS  # noqa: E402
from launch_lib import books, options, plan, waiting  # noqa: E402
from launch_lib.console import Pace  # noqa: E402
from launch_lib.exits import Refusal  # noqa: E402


class WhatProcessesGet(LaunchTest):
    def test_only_what_was_said_is_passed_on_and_launch_has_two_defaults(self):
        self.broker_ends_with(0)
        self.script("broker", [["file", "start.w1.0"], ["file", "start.collector.0"], ["books", page()], ["exit", 0]])
        self.assertEqual(self.code(self.start("--workers", "1", "--", "cat", "{}", "--x")), 0)
        self.assertEqual(self.started("broker")["argv"], ["--source", "stdin", "--await-workers", "1", "--fanout", "2"])
        self.assertEqual(self.started("w1")["argv"], ["--handler", "exec", "--stdin", "line", "--", "cat", "{}", "--x"])
        self.assertEqual(self.started("collector")["argv"], ["--sink", "stdout", "--format", "raw"])

    def test_a_fanout_in_the_environment_is_left_to_the_broker(self):
        self.broker_ends_with(0)
        self.env["CURFEW_FANOUT"] = "3"
        self.assertEqual(self.code(self.start_quick()), 0)
        self.assertNotIn("--fanout", self.started("broker")["argv"])

    def test_each_option_reaches_its_process(self):
        with open(self.path("in"), "w"):
            pass
        self.script("broker", [["file", "start.w3.0"], ["file", "start.collector.0"], ["books", page()], ["exit", 0]])
        launch = self.start(
            "--workers", "3", "--fanout=3", "--hedge", "p95", "--hedge-budget", "5%", "--deadline", "1.5s", "--grace", "200ms",
            "--attempts", "4", "--window", "100", "--slots", "2", "--input", "in", "--output", "out", "--json",
            "--keep-order", "--null", "--max-message", "64k", "--max-output", "2m", "--ok-exit", "0,1",
            "--reject-exit", "3", "--log-level", "debug", "--quiet", "--", "cat")
        self.assertEqual(self.code(launch), 0)
        self.assertEqual(self.started("broker")["argv"], [
            "--source", f"file:{self.path('in')}", "--await-workers", "3", "--fanout", "3", "--hedge", "p95",
            "--hedge-budget", "5%", "--deadline", "1.5s", "--attempts", "4", "--window", "100", "--null", "--max-message", "64k", "--log-level", "debug"])
        self.assertEqual(self.started("w3")["argv"], [
            "--grace", "200ms", "--slots", "2", "--max-output", "2m", "--ok-exit", "0,1", "--reject-exit", "3",
            "--log-level", "debug", "--handler", "exec", "--stdin", "exact", "--", "cat"])
        self.assertEqual(self.started("collector")["argv"], [
            "--sink", f"file:{self.path('out')}", "--format", "json", "--keep-order", "--log-level", "debug"])

    def test_what_a_batch_leaves_is_asked_of_the_workers(self):
        for words, collector in ((("--json=full",), ["--sink", "stdout", "--format", "json-full"]),
                                 (("--tag",), ["--sink", "stdout", "--format", "raw", "--tag"]),
                                 (("--joblog", "log", "--results", "dir"),
                                  ["--sink", "stdout", "--format", "raw", "--joblog", self.path("log"),
                                   "--results-dir", self.path("dir")])):
            with self.subTest(words=words):
                self.script("broker", [["file", "start.w1.0"], ["file", "start.collector.0"], ["books", page()], ["exit", 0]])
                self.assertEqual(self.code(self.start("--workers", "1", *words, "--", "cat")), 0)
                self.assertEqual(self.started("w1")["argv"],
                                 ["--report", "full", "--handler", "exec", "--stdin", "line", "--", "cat"])
                self.assertEqual(self.started("collector")["argv"], collector)
                for name in ("w1", "collector", "broker"):
                    os.remove(self.path(f"start.{name}.0"))

    def test_environment_streams_signals_and_descriptors(self):
        self.script("broker", [["stdin"], ["file", "start.w1.0"], ["file", "start.w2.0"], ["file", "start.collector.0"],
                               ["books", page()], ["exit", 0]])
        self.script("collector", [["out", "result\n"], ["wait"]])
        launch = self.start_quick(workers=2, stdin=subprocess.PIPE)
        launch.stdin.write(b"one\ntwo\n")
        launch.stdin.close()
        self.assertEqual(self.code(launch), 0)
        self.assertEqual(self.read("stdin"), "one\ntwo\n")
        self.assertEqual(self.read("out.0"), "result\n")
        run_dirs = set()
        for name in ("broker", "collector", "w1", "w2"):
            start = self.started(name)
            self.assertEqual(start["env"]["CURFEW_NAME"], name)
            self.assertEqual(start["run_dir_mode"], 0o700)
            self.assertEqual(start["ignored"], ["SIGINT", "SIGHUP"])
            self.assertEqual(start["stdin"] == "/dev/null", name != "broker")
            self.assertEqual(start["stdout"] == "/dev/null", name != "collector")
            self.assertEqual(start["fds"], [0, 1, 2, int(start["env"]["CURFEW_LIFELINE"])], "no lifeline but its own")
            run_dirs.add(start["env"]["CURFEW_RUN_DIR"])
        self.assertEqual(len(run_dirs), 1)

    def test_who_feeds_launch_notices_when_the_broker_closes_its_stdin(self):
        self.script("broker", [["books", page()], ["file", "go"], ["exit", 0]])
        self.script("collector", [["deaf"], ["line", "left broker"], ["touch", "broker-is-gone"], ["file", "done"], ["exit", 0]])
        launch = self.start_quick("--grace", "5s", stdin=subprocess.PIPE)
        self.started("collector")
        open(self.path("go"), "w").close()
        eventually(lambda: os.path.exists(self.path("broker-is-gone")), "the broker's end")

        def broken():
            try:
                os.write(launch.stdin.fileno(), b"x\n")
            except BrokenPipeError:
                return True
        self.assertTrue(broken(), "launch itself must not hold stdin")
        open(self.path("done"), "w").close()
        self.assertEqual(self.code(launch), 0)

    def test_a_dash_is_stdin_and_stdout(self):
        self.broker_ends_with(0)
        self.assertEqual(self.code(self.start_quick("--input", "-", "--output=-")), 0)
        self.assertEqual(self.started("broker")["argv"][:2], ["--source", "stdin"])
        self.assertEqual(self.started("collector")["argv"][:2], ["--sink", "stdout"])

    def test_output_is_emptied_first_and_74_where_it_cannot_be_written(self):
        with open(self.path("results"), "w") as file:
            file.write("old")
        self.broker_ends_with(0)
        self.assertEqual(self.code(self.start_quick("--output", "results")), 0)
        self.assertEqual(self.read("results"), "")
        self.assertIn("cannot write", self.refuses("--handler", "echo", "--output", "no/such/folder", code=74))
        self.assertIn("cannot write", self.refuses("--handler", "echo", "--output", ".", code=74))
        self.assertEqual(self.read("start.broker.1"), "")


class RunDirectory(LaunchTest):
    def test_one_that_is_in_use_is_refused_with_the_pid(self):
        self.script("broker", [["books", page()], ["touch", "up"], ["file", "go"], ["exit", 0]])
        first = self.start_quick("--run-dir", self.path("run"))
        eventually(lambda: os.path.exists(self.path("up")), "the broker")
        self.assertEqual(self.refuses("--run-dir", "run", "--handler", "echo"),
                         f"launch: run directory {self.path('run')} is in use (pid {first.pid})\n")
        open(self.path("go"), "w").close()
        self.assertEqual(self.code(first), 0)
        self.assertFalse(os.path.exists(self.path("run")), "launch made it, launch removes it")

    def test_a_given_one_is_left_without_what_curfew_made(self):
        os.mkdir(self.path("run"), 0o700)
        for name in ("mine", "tasks.sock", "broker.lock"):
            open(self.path("run", name), "w").close()
        self.broker_ends_with(0)
        self.assertEqual(self.code(self.start_quick("--run-dir", "run")), 0)
        self.assertEqual(os.listdir(self.path("run")), ["mine"])

    def test_books_of_an_earlier_run_do_not_pass_for_ours(self):
        os.mkdir(self.path("run"), 0o700)
        with open(self.path("run", "books"), "wb") as file:
            file.write(page_bytes(page((9, 9, 9, 9))))
        self.script("broker", [["exit", 0]])
        self.assertEqual(self.code(self.start_quick("--run-dir", "run")), 70)

    def test_one_that_is_too_long_or_cannot_be_used_is_refused(self):
        self.assertIn("bytes long", self.refuses("--run-dir", "x" * 90, "--handler", "echo"))
        self.assertIn("not a folder", self.refuses("--run-dir", "bin/curfew-broker", "--handler", "echo"))
        self.assertIn("cannot make", self.refuses("--run-dir", "no/such", "--handler", "echo"))

    def test_one_where_another_lock_is_held_is_refused(self):
        os.mkdir(self.path("run"), 0o700)
        with open(self.path("run", "broker.lock"), "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            self.assertIn("broker.lock is held", self.refuses("--run-dir", "run", "--handler", "echo"))

    def test_a_private_one_goes_elsewhere_where_there_is_no_room(self):
        long = self.path("x" * 80)
        os.mkdir(long)
        self.env.update(XDG_RUNTIME_DIR=long, TMPDIR=self.private)
        self.script("broker", [["books", page()], ["exit", 0]])
        self.assertEqual(self.code(self.start_quick()), 0)
        self.assertTrue(self.started("broker")["env"]["CURFEW_RUN_DIR"].startswith(self.private + "/curfew-"))


class Procfiles(LaunchTest):
    def test_processes_are_run_as_the_procfile_has_them(self):
        os.mkdir(self.path("app"))
        with open(self.path("app", "Procfile"), "w") as file:
            file.write("# a group\n\n  collector: curfew-collector --sink stdout\r\nw-1_a: curfew-worker --grace 3s\n"
                       "produce: MESSAGE='a b' sh -c 'echo $MESSAGE $CURFEW_NAME; pwd'\nbroker: curfew-broker --source stdin")
        self.script("broker", [["stdin"], ["file", "start.w-1_a.0"], ["file", "start.collector.0"], ["books", page((1, 0, 0, 0))],
                               ["file", "go"], ["exit", 0]])
        launch = self.start("--log-level", "debug", "app/Procfile", stdin=subprocess.PIPE)
        launch.stdin.write(b"for the broker")
        launch.stdin.close()
        eventually(lambda: "\n" in self.read("out.0")[10:], "the producer")
        open(self.path("go"), "w").close()
        self.assertEqual(self.code(launch), 0)
        self.assertEqual(self.read("out.0"), f"a b produce\n{self.home}\n")
        self.assertEqual(self.read("stdin"), "for the broker")
        start = self.started("w-1_a")
        self.assertEqual(start["argv"], ["--grace", "3s"])
        self.assertEqual(start["env"]["CURFEW_PROCFILE_DIR"], self.path("app"))
        self.assertEqual(start["env"]["CURFEW_LOG_LEVEL"], "debug")
        self.assertEqual(start["env"]["PATH"].split(":")[0], self.path("bin"))
        self.assertEqual(start["stdin"], "/dev/null")
        self.assertIn("tasks     1 = 1 completed", self.err(launch))
        self.assertNotIn("starting it again", self.err(launch), "a producer that ends with 0 has finished")

    def test_the_broker_is_told_how_many_workers_to_wait_for(self):
        for said, expected in ((None, "2"), ("7", "7")):
            if said:
                self.env["CURFEW_AWAIT_WORKERS"] = said
            self.script("broker", [["file", "start.w2.0"], ["books", page()], ["exit", 0]])
            lines = ("broker: curfew-broker", "w1: curfew-worker", "w2: curfew-worker", "x: sleep 1000")
            self.assertEqual(self.code(self.start(self.procfile(*lines))), 0)
            self.assertEqual(self.started("broker")["env"]["CURFEW_AWAIT_WORKERS"], expected)
            for name in os.listdir(self.home):
                if name.startswith("start."):
                    os.unlink(self.path(name))

    def test_a_producer_that_fails_is_started_again_whatever_its_code(self):
        path = self.procfile("broker: curfew-broker", "p: sh -c '[ -e again ] || { touch again; exit 64; }; touch done'")
        self.script("broker", [["books", page()], ["file", "done"], ["exit", 0]])
        launch = self.start(path)
        self.assertEqual(self.code(launch), 0)
        self.assertRegex(self.err(launch), r"launch: p \(pid \d+\) died \(exit 64\), starting it again in 100 ms\n")

    def test_workers_and_collectors_are_known_by_their_command(self):
        self.script("w", [["exit", 64]])
        self.script("broker", [["wait"]])
        self.assertEqual(self.code(self.start(self.procfile("broker: curfew-broker", "w: curfew-worker --nope"))), 64)

    def test_a_broker_behind_a_script_is_known_by_its_books(self):
        with open(self.path("mine.sh"), "w") as file:
            file.write("exec curfew-broker\n")
        self.script("b", [["books", page((1, 0, 0, 0), in_flight=1)], ["kill", 9]])
        launch = self.start(self.procfile("b: sh mine.sh", "w: curfew-worker"))
        self.assertEqual(self.code(launch), 75)
        self.assertIn("1 message left without an outcome", self.err(launch))

    def test_without_a_broker_the_first_good_end_ends_the_group(self):
        launch = self.start(self.procfile("a: sleep 1000", "b: true"))
        self.assertEqual(self.code(launch), 0)
        self.assertRegex(self.err(launch), r"\Alaunch: b \(pid \d+\) has ended: stopping the group\n\Z")

    def test_without_a_broker_the_first_signal_ends_the_group(self):
        launch = self.start(self.procfile("a: sleep 1000", "b: sh -c 'touch up; sleep 1000; :'"))
        eventually(lambda: os.path.exists(self.path("up")), "the group")
        launch.terminate()
        self.assertEqual(self.code(launch), 0)

    def test_faults_are_said_with_their_line(self):
        for lines, where in ((["a: true", "# x", "b true"], ":3: not a line"), (["a: x", "", "a: y"], ":3: the name 'a' is taken"),
                             (["a:"], ":1: not a line"), (["a b: x"], ":1: not a line"), (["ü: x"], ":1: not a line"),
                             (["# nothing"], ": no process in it")):
            with self.subTest(lines=lines), self.assertRaisesRegex(Refusal, where):
                options.read_procfile(self.procfile(*lines))
        self.assertIn("Procfile:1: not a line", self.refuses(self.procfile("a")))
        self.assertIn("no such Procfile", self.refuses("missing"))
        self.assertIn("is a folder", self.refuses("bin"))


class Waiting(unittest.TestCase):
    def books(self, **words):
        return books.decode(page_bytes(page((1, 0, 0, 0), state=1, **words)))

    def test_what_keeps_a_group_comes_from_the_books(self):
        at_the_end, busy = self.books(attempts_in_flight=1, intake_ended=1), self.books(in_flight=3, attempts_in_flight=4)
        self.assertEqual(waiting.for_end(at_the_end, False).line(4.2),
                         "waiting for 1 attempt in flight, for 4 s: all outcomes are written")
        self.assertIsNone(waiting.for_end(self.books(attempts_in_flight=1), False), "the intake goes on")
        self.assertIsNone(waiting.for_end(busy, False), "work is no wait")
        self.assertEqual(waiting.for_end(busy, True).what, "3 tasks in flight")
        self.assertIsNone(waiting.for_worker(self.books(workers_ready=1), False), "somebody from outside works")
        self.assertIsNone(waiting.for_worker(self.books(), True))
        self.assertEqual(waiting.for_worker(self.books(), False).what, "a worker")

    def test_it_is_said_after_2_s_and_then_at_doubling_intervals(self):
        patience = waiting.Patience()
        said = [(t / 2, patience.take(t / 2, waiting.Wait("kind", f"{t} of them", "because"))) for t in range(40)]
        self.assertEqual([at for at, line in said if line], [2, 4, 8, 16])
        self.assertIsNone(patience.take(20, None))
        self.assertEqual([patience.take(at, waiting.Wait("kind", "it", "because")) for at in (30, 31.5)], [None, None])
        self.assertEqual(patience.take(33, waiting.Wait("kind", "it", "because")), "waiting for it, for 3 s: because")

    def test_who_does_not_stop_is_named_with_the_time_of_the_kill(self):
        self.assertEqual(waiting.for_members(["w1", "w2"], 3598.2).line(2),
                         "waiting for the end of w1, w2, for 2 s: told to stop; killed in 3598 s")
        self.assertIsNone(waiting.for_members(["w1"], 1.0), "soon over")
        self.assertIsNone(waiting.for_members([], 3598.2))

    def test_a_procfile_with_endpoints_of_its_own_may_be_joined(self):
        for command, is_open in (("curfew-broker", False), ("curfew-broker --events tcp://127.0.0.1:5000", True),
                                 ("curfew-broker --config mine", True), ("curfew-broker --run-dir /run/us", True)):
            found = plan.procfile_plan(options.Options(procfile="Procfile"), [("b", command)], "/bin")
            self.assertEqual(found.open, is_open, command)


class Progress(LaunchTest):
    def test_a_terminal_gets_a_line_that_is_cleared_before_others(self):
        words = page((1234, 0, 0, 0), in_flight=56, state=1)
        self.script("broker", [["books", words], ["file", "go"], ["books", page((1290, 0, 0, 0))], ["exit", 0]])
        primary, secondary = pty.openpty()
        launch = subprocess.Popen([PYTHON, "-E", LAUNCH, "--handler", "echo"], env=self.env, stdin=subprocess.DEVNULL,
                                  stdout=subprocess.DEVNULL, stderr=secondary, start_new_session=True)
        self.launches.append(launch)
        os.close(secondary)
        os.set_blocking(primary, False)
        shown = b""

        def drawn():
            nonlocal shown
            try:
                shown += os.read(primary, 4096)
            except (BlockingIOError, OSError):
                pass
            return b"1234 done, 56 in flight" in shown
        eventually(drawn, "the progress line")
        open(self.path("go"), "w").close()
        self.assertEqual(launch.wait(PATIENCE), 0)
        drawn()
        os.close(primary)
        self.assertIn(b"\r\x1b[Ktasks     1290 =", shown)

    def test_rate_and_time_left_come_from_the_books(self):
        pace = Pace()
        for now, done, read in ((0.0, 0, 0), (1.0, 500, 5000), (2.0, 1000, 10000)):
            found = books.decode(page_bytes(page((done, 0, 0, 0), in_flight=7, input_size=30000, input_read=read)))
            pace.take(now, found)
        self.assertEqual(pace.text(found), "1000 of about 3021 (33%) done, 7 in flight, 2 s, 500/s, 4 s left")

    def test_how_much_is_done_and_what_failed(self):
        def shown(**said):
            pace = Pace()
            found = books.decode(page_bytes(page((95, 3, 1, 1), in_flight=100, **said)))
            pace.take(10.0, found)
            return pace.text(found)

        self.assertEqual(shown(), "100 done, 5 failed, 100 in flight, 0 s")
        self.assertEqual(shown(intake_ended=1), "100 of 200 (50%) done, 5 failed, 100 in flight, 0 s")
        self.assertEqual(shown(input_size=400, input_read=400), "100 of about 200 (50%) done, 5 failed, 100 in flight, 0 s",
                         "the last line may have more behind it")


class CommandLine(LaunchTest):
    def test_wrong_usage_is_one_line_and_64(self):
        for arguments, text in (
                ([], "nothing to run"),
                (["--input", "x", "--output", "./x", "--", "cat"], "would be emptied"),
                (["--workers", "-1", "--", "cat"], "whole number")):
            open(self.path("x"), "w").close()
            self.assertIn(text, self.refuses(*arguments))
        self.assertEqual(self.read("start.broker.0"), "")

    def test_values_of_launch_itself_that_are_not_what_they_should_be_are_refused(self):
        """Those of the processes are theirs to judge: hostile_doors_test.py."""
        numbers = ("", "-1", "0", "010", "1.5", "0x10", "1e3", "99999999999", " 1", "+1", "one", "\u0663", "1_0")
        wrong = {"workers": numbers, "input": ("", "--json"), "output": ("",), "run-dir": ("",)}
        for name, texts in wrong.items():
            for text in texts:
                with self.subTest(flag=name, value=text), self.assertRaises(Refusal) as refused:
                    options.parse([f"--{name}", text, "--", "cat"])
                self.assertEqual(refused.exception.code, 64)

    def test_values_that_are_right_are_taken(self):
        right = {"hedge": ("0", "20ms", "p95"), "drain-timeout": ("none", "0s", "10m"), "grace": ("0ms", "1h")}
        for name, texts in right.items():
            for text in texts:
                self.assertIn(name, options.parse([f"--{name}={text}", "--", "cat"]).given)

    def test_forms_do_not_mix(self):
        for line, text in (("P -- cat", "both a PROCFILE"), ("--handler echo P", "both a PROCFILE"), ("P Q", "one too many"),
                           ("--", "no command"),
                           ("--json --json -- cat", "given twice"), ("--json=yes -- cat", "say --json or --json=full"),
                           ("--workers", "needs a value"), ("--work 2 -- cat", "unknown option --work"), ("-x -- cat", "unknown option -x")):
            with self.subTest(line=line), self.assertRaisesRegex(Refusal, text):
                options.parse(line.split())
        allowed = {"quiet", "run-dir", "log-level", "summary"}
        for flag in options.FLAGS:
            if flag.name not in allowed | {"handler", "help", "version"}:
                value = {"hedge": "0", "grace": "1s", "deadline": "1s", "drain-timeout": "1s", "hedge-budget": "5%",
                         **dict.fromkeys(("source", "sink"), "amqp://host/?queue=q")}.get(flag.name, "1")
                with self.subTest(flag=flag.name), self.assertRaisesRegex(Refusal, "no meaning with a PROCFILE"):
                    options.parse([f"--{flag.name}={value}" if flag.metavar else f"--{flag.name}", "P"])
        self.assertEqual(options.parse(["--quiet", "--run-dir", "x", "--log-level", "debug", "P"]).procfile, "P")

    def test_all_after_two_dashes_is_the_command(self):
        self.assertEqual(options.parse(["--", "sort", "--", "--help"]).command, ["sort", "--", "--help"])

    def test_the_longest_grace_of_a_procfile_is_waited_for(self):
        found = plan.procfile_plan(options.parse(["P"]), [("a", "curfew-worker --grace=7s"), ("b", "x --grace 10ms --grace what")], "/bin")
        self.assertEqual(found.grace, 7.0)

    def test_help_names_every_option(self):
        launch = self.start("--help")
        self.assertEqual(self.code(launch), 0)
        for flag in options.FLAGS:
            self.assertIn(f"--{flag.name}", self.read("out.0"))
        self.assertEqual(self.err(launch), "")
        self.assertLessEqual(max(map(len, self.read("out.0").splitlines())), 120)

    def test_the_stub_builds_what_is_missing_and_gives_everything_else_on(self):
        os.mkdir(self.path("scripts"))
        for name in ("launch", "launch.py", "launch_lib"):
            copy = shutil.copytree if name == "launch_lib" else shutil.copy
            copy(os.path.join(SCRIPTS, name), self.path("scripts", name))
        with open(self.path("scripts", "bootstrap"), "w") as file:
            file.write('#!/bin/sh\n[ "$*" = --quiet ] || exit 1\ncat >bootstrap-read\necho building\n'
                       f'mkdir -p {self.home}/build && cp -r {self.home}/bin {self.home}/build/bin\n')
        os.chmod(self.path("scripts", "bootstrap"), 0o755)
        del self.env["CURFEW_BIN_DIR"]
        program = (self.path("scripts", "launch"),)
        self.assertEqual(self.code(self.start("--help", program=program)), 0)
        self.assertFalse(os.path.exists(self.path("build")), "help needs no build")
        self.script("broker", [["stdin"], ["books", page()], ["exit", 0]])
        for builds in ("building\n", ""):
            launch = self.start_quick("--quiet", stdin=subprocess.PIPE, program=program)
            launch.stdin.write(b"a message\n")
            launch.stdin.close()
            self.assertEqual(self.code(launch), 0)
            self.assertEqual(self.err(launch), builds)
            self.assertEqual((self.read("stdin"), self.read("bootstrap-read")), ("a message\n", ""))


def setUpModule():
    stand_ins.set_up()


if __name__ == "__main__":
    unittest.main()

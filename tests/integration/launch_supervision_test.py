"""What scripts/launch.py promises, against stand-ins for curfew's binaries: exit codes, books, restarts, signals, ends.

The stand-ins (FAKE below, under the names of the binaries, selected by CURFEW_BIN_DIR) do what a script of the test says
and write down how they were started and what came on their lifelines. Each launch runs in a session of its own; this
process is a subreaper, so that what a launch leaves behind is found, and fails the test that left it.
"""

import ast
import ctypes
import fcntl
import os
import pty
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SCRIPTS = os.path.join(ROOT, "scripts")
LAUNCH = os.path.join(SCRIPTS, "launch.py")
PYTHON = "/usr/bin/python3" if os.access("/usr/bin/python3", os.X_OK) else sys.executable
PATIENCE = 10.0  # seconds; every wait is for a condition, this only bounds it
sys.path.insert(0, SCRIPTS)

from launch_lib import books, options, plan, waiting  # noqa: E402
from launch_lib.console import Pace  # noqa: E402
from launch_lib.exits import Refusal  # noqa: E402
from launch_lib.member import Deaths  # noqa: E402
from launch_lib.signals import ONE_STOP, Stops  # noqa: E402

FAKE = f"#!{PYTHON} -SE" + r'''
"""Stands in for a curfew process: plays the steps of its life, ends when its lifeline does or TERM comes.

Some hundred are started, so it imports only what is built in: no signal (which takes enum), no json.
"""
import _signal as signal, os, select, sys

if sys.argv[1:2] == ["--check"]:  # launch asks first; the real ones are asked in hostile_doors_test.py
    os._exit(0)
home, name = os.environ["FAKE_HOME"], os.environ["CURFEW_NAME"]
lifeline = int(os.environ["CURFEW_LIFELINE"])
role = os.path.basename(sys.argv[0])
heard, partial = [], ""

def write(file, text):
    with open(os.path.join(home, "new." + file), "w") as out:
        out.write(text)
    os.rename(os.path.join(home, "new." + file), os.path.join(home, file))

def listen(milliseconds):
    global partial
    poll = select.poll()
    poll.register(lifeline, select.POLLIN)
    if poll.poll(milliseconds):
        data = os.read(lifeline, 4096)
        if not data:
            write(f"eof.{name}", "")
            os._exit(0)
        *lines, partial = (partial + data.decode()).split("\n")
        heard.extend(lines)
        write(f"heard.{name}", "\n".join(heard))

def wait_for_line(text):
    while not any(line.startswith(text) for line in heard):
        listen(None)

def wait_for_file(file):
    while not os.path.exists(os.path.join(home, file)):
        listen(5)

def wait():
    while True:
        listen(None)

def keep_books(words):
    page = [0] * 31
    for number, value in words.items():
        page[int(number) - 1] = value
    page[18] = os.getpid()
    with open(os.path.join(os.environ["CURFEW_RUN_DIR"], "books.new"), "wb") as out:
        out.write(b"CURFEWB1" + b"".join(word.to_bytes(8, "little") for word in page))
    os.rename(out.name, out.name[:-4])

def orphan(*argv):  # a grandchild in a session of its own, whose parent is gone
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            write("orphan", str(os.getpid()))
            os.execvp(argv[0], argv)
        os._exit(0)
    os.wait()

def read_stdin():
    write("stdin", sys.stdin.read())

steps = {
    "books": keep_books, "exit": lambda code: os._exit(code), "kill": lambda n: os.kill(os.getpid(), n),
    "line": wait_for_line, "file": wait_for_file, "wait": wait, "orphan": orphan, "stdin": read_stdin,
    "deaf": lambda: signal.signal(signal.SIGTERM, signal.SIG_IGN), "touch": lambda file: write(file, ""),
    "out": lambda text: os.write(1, text.encode()),
}

life = len([file for file in os.listdir(home) if file.startswith(f"start.{name}.")])
ignored = [name for name in ("SIGINT", "SIGHUP", "SIGTERM") if signal.getsignal(getattr(signal, name)) == signal.SIG_IGN]
signal.signal(signal.SIGTERM, lambda *_: (write(f"term.{name}", ""), os._exit(0)))
write(f"start.{name}.{life}", repr({
    "argv": sys.argv[1:], "role": role, "pid": os.getpid(), "env": dict(os.environ), "ignored": ignored,
    "stdin": os.readlink("/proc/self/fd/0"), "stdout": os.readlink("/proc/self/fd/1"),
    "fds": sorted(int(fd) for fd in os.listdir("/proc/self/fd") if os.path.exists(f"/proc/self/fd/{fd}")),
    "run_dir_mode": os.stat(os.environ["CURFEW_RUN_DIR"]).st_mode & 0o777}))
script = os.path.join(home, "script." + name)
lives = eval(open(script).read()) if os.path.exists(script) else [[["wait"]]]
for step, *arguments in lives[min(life, len(lives) - 1)]:
    steps[step](*arguments)
'''


def page(tasks=(0, 0, 0, 0), in_flight=0, attempts=None, attempts_in_flight=0, **words):
    """The words of a page of books; balanced, unless a word is said otherwise."""
    attempts = attempts or (tasks[0], 0, 0, 0, 0, 0)
    full = [sum(tasks) + in_flight, *tasks, in_flight, sum(attempts) + attempts_in_flight, *attempts, attempts_in_flight, 2]
    names = {"accepted": 1, "started": 7, "state": 15, "input_size": 16, "input_read": 17, "refused": 18, "left": 20, "intake_ended": 21,
             "workers_ready": 22, "collector_synced": 23, "rest": 24, "rest_message": 25, "rest_byte": 26, "rest_messages": 27,
             "rest_bytes": 28, "first_in_flight": 30}
    return {**{number: value for number, value in enumerate(full, start=1)},
            **{names[name]: value for name, value in words.items()}}


def eventually(condition, what, patience=PATIENCE):
    until = time.monotonic() + patience
    while not (value := condition()):
        if time.monotonic() > until:
            raise AssertionError(f"waited in vain: {what}")
        time.sleep(0.005)
    return value


def is_gone(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(") ")[2][0] in "ZX"
    except OSError:
        return True


def is_guard(pid):
    """It ends by itself, once launch's group has."""
    with open(f"/proc/{pid}/cmdline", "rb") as file:
        return b"cgroup.events" in file.read()


def children_of(pid):
    with open(f"/proc/{pid}/task/{pid}/children") as file:
        return [int(child) for child in file.read().split()]


class LaunchTest(unittest.TestCase):
    """A folder with stand-ins, and launches in it."""

    def setUp(self):
        self.home = tempfile.mkdtemp(prefix="lt-", dir="/tmp")
        self.addCleanup(shutil.rmtree, self.home, ignore_errors=True)
        self.private = self.path("private")  # where launch makes its private run directories
        os.mkdir(self.private)
        os.mkdir(self.path("bin"))
        for name in ("broker", "worker", "collector", "monitor"):
            fake = self.path("bin", f"curfew-{name}")
            with open(fake, "w") as file:
                file.write(FAKE)
            os.chmod(fake, 0o755)
        self.env = {**os.environ, "CURFEW_BIN_DIR": self.path("bin"), "FAKE_HOME": self.home,
                    "XDG_RUNTIME_DIR": self.private}
        self.launches = []
        self.addCleanup(self.nothing_is_left)

    def nothing_is_left(self):
        for launch in self.launches:
            if launch.poll() is None:
                launch.kill()
                launch.wait()
            launch.stdin and launch.stdin.close()
        left = []
        until = time.monotonic() + 3
        while children := children_of(os.getpid()):
            late = time.monotonic() > until
            for pid in children:
                if late and pid not in left:
                    left.append(pid)
                if late:
                    os.kill(pid, signal.SIGKILL)  # what was below it becomes ours, and gets the same in the next round
                os.waitpid(pid, os.WNOHANG)
            time.sleep(0.005)
        self.assertEqual(left, [], "processes were left behind")

    # --- what a test says ---

    def path(self, *names):
        return os.path.join(self.home, *names)

    def script(self, name, *lives):
        with open(self.path(f"script.{name}"), "w") as file:
            file.write(repr(lives))

    def broker_ends_with(self, code, **words):
        self.script("broker", [["books", page(**words)], ["exit", code]])

    def procfile(self, *lines):
        with open(self.path("Procfile"), "w") as file:
            file.write("\n".join(lines) + "\n")
        return self.path("Procfile")

    def start(self, *arguments, stdin=subprocess.DEVNULL, program=(PYTHON, "-E", LAUNCH)):
        number = len(self.launches)
        with open(self.path(f"out.{number}"), "wb") as out, open(self.path(f"err.{number}"), "wb") as err:
            launch = subprocess.Popen([*program, *arguments], env=self.env, stdin=stdin, stdout=out, stderr=err,
                                      cwd=self.home, start_new_session=True)
        launch.number = number
        self.launches.append(launch)
        return launch

    def start_quick(self, *arguments, workers=1, **how):
        return self.start("--workers", str(workers), *arguments, "--handler", "echo", **how)

    # --- what a test asks ---

    def err(self, launch):
        return self.read(f"err.{launch.number}")

    def read(self, name):
        try:
            with open(self.path(name)) as file:
                return file.read()
        except FileNotFoundError:
            return ""

    def says(self, launch, text):
        eventually(lambda: text in self.err(launch), f"'{text}' on stderr, not only '{self.err(launch)}'")

    def code(self, launch):
        try:
            code = launch.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.fail(f"launch does not end; it said: {self.err(launch)}")
        self.assertEqual(os.listdir(self.private), [], "a private run directory is left")
        return code

    def started(self, name, life=0):
        """How a stand-in was started, once it is."""
        return ast.literal_eval(eventually(lambda: self.read(f"start.{name}.{life}"), f"start {life} of {name}"))

    def hears(self, name, line):
        eventually(lambda: line in self.read(f"heard.{name}").split("\n"), f"'{line}' on the lifeline of {name}")

    def refuses(self, *arguments, code=64):
        launch = self.start(*arguments)
        self.assertEqual(self.code(launch), code, arguments)
        err = self.err(launch)
        self.assertRegex(err, r"\Alaunch: [^\n]+\n\Z", arguments)
        return err


class ExitCodesAndBooks(LaunchTest):
    def test_all_tasks_completed_is_0_and_ends_with_the_books(self):
        self.script("broker", *[[["file", f"start.{name}.0"] for name in ("w1", "w2", "collector")]
                                + [["books", page((1000, 0, 0, 0), attempts=(1000, 31, 1081, 0, 0, 0))], ["exit", 0]]])
        launch = self.start_quick(workers=2)
        self.assertEqual(self.code(launch), 0)
        self.assertEqual(
            self.err(launch),
            "tasks     1000 = 1000 completed + 0 failed + 0 expired + 0 cancelled + 0 in flight\n"
            "attempts  2112 = 1000 won + 31 late + 1081 cancelled + 0 failed + 0 expired + 0 lost + 0 in flight\n")
        for name in ("w1", "w2", "collector"):
            self.assertTrue(os.path.exists(self.path(f"term.{name}")), name)

    def test_quiet_says_nothing(self):
        self.broker_ends_with(0, tasks=(3, 0, 0, 0))
        launch = self.start_quick("--quiet")
        self.assertEqual((self.code(launch), self.err(launch)), (0, ""))

    def test_a_task_that_did_not_complete_is_1(self):
        self.broker_ends_with(0, tasks=(5, 0, 1, 0))
        self.assertEqual(self.code(self.start_quick()), 1)
        for tasks in ((5, 1, 0, 0), (5, 0, 0, 1)):
            self.assertEqual(books.exit_code(books.Ending(), books.decode(self._page(page(tasks))), True), 1)

    def test_refused_messages_are_1_and_are_said(self):
        self.broker_ends_with(0, tasks=(5, 0, 0, 0), refused=3)
        launch = self.start_quick()
        self.assertEqual(self.code(launch), 1)
        self.assertTrue(self.err(launch).endswith("\nrefused   3 messages over --max-message, of the failed\n"))

    def test_books_that_do_not_balance_are_70(self):
        self.broker_ends_with(0, tasks=(5, 0, 0, 0), started=4)
        launch = self.start_quick()
        self.assertEqual(self.code(launch), 70)
        self.assertIn("launch: the books do not balance\n", self.err(launch))
        found = books.decode(self._page(page((5, 0, 0, 0), accepted=6)))
        self.assertEqual(books.exit_code(books.Ending(), found, True), 70)

    def test_a_broker_without_books_is_70(self):
        self.script("broker", [["exit", 0]])
        launch = self.start_quick()
        self.assertEqual((self.code(launch), self.err(launch)), (70, "launch: the broker left no books\n"))

    def test_messages_without_an_outcome_are_75(self):
        self.broker_ends_with(0, tasks=(5, 0, 0, 0), in_flight=2, left=1)
        launch = self.start_quick("--quiet")
        self.assertEqual(self.code(launch), 75)
        self.assertIn("launch: 3 messages left without an outcome (2 in flight, 1 not accepted)\n", self.err(launch))

    def test_what_is_left_of_the_input_counts_and_what_was_in_flight_is_named(self):
        unknown = 2**64 - 1
        for rest, said in (
            ({"rest": books.REST_LINES, "rest_messages": 90, "rest_bytes": 270},
             ("92 messages left without an outcome (2 in flight, 90 not accepted); the first in flight is message 4",
              "the input was not at its end: 90 messages in 270 bytes left; go on at line 8, byte offset 14 (tail -c +15),"
              " and give what was in flight (2) again")),
            ({"rest": books.REST_RECORDS, "rest_messages": unknown, "rest_bytes": unknown, "left": 1},
             ("3 messages left without an outcome (2 in flight, 1 not accepted), and what else the input holds;"
              " the first in flight is message 4",
              "the input was not at its end: how much is left is not known; go on at message 8, byte offset 14"
              " (tail -c +15), and give what was in flight (2) again")),
            ({"rest": books.REST_ENDLESS}, ("2 messages left without an outcome (2 in flight)",)),
        ):
            with self.subTest(said=said):
                found = books.decode(self._page(page((5, 0, 0, 0), in_flight=2, first_in_flight=4, rest_message=8, rest_byte=14, **rest)))
                self.assertEqual(tuple(books.closing_words(books.Ending(signal=15), found, True)), said)

    def test_64_and_74_of_any_process_end_the_group_with_that_code(self):
        for name, code in (("broker", 64), ("broker", 74), ("w2", 64), ("collector", 74)):
            self.script("broker", [["wait"]])
            self.script(name, [["exit", code]])
            launch = self.start_quick(workers=2)
            self.assertEqual(self.code(launch), code, name)
            self.assertNotIn("starting it again", self.err(launch))
            os.unlink(self.path(f"script.{name}"))

    def test_74_of_the_collector_counts_also_while_the_group_ends(self):
        self.script("collector", [["deaf"], ["touch", "deaf"], ["line", "left broker"], ["exit", 74]])
        self.script("broker", [["file", "deaf"], ["books", page((1, 0, 0, 0))], ["exit", 0]])
        self.assertEqual(self.code(self.start_quick()), 74)

    def test_a_broker_that_dies_ends_the_group_with_75(self):
        for step, name in ((["kill", 9], "SIGKILL"), (["exit", 3], "exit 3")):
            self.script("broker", [["books", page((5, 0, 0, 0), in_flight=7, left=1)], step])
            launch = self.start_quick()
            self.assertEqual(self.code(launch), 75)
            self.assertRegex(self.err(launch), rf"launch: broker \(pid \d+\) died \({name}\): stopping the group\n")
            self.assertIn("launch: 8 messages left without an outcome (7 in flight, 1 not accepted)\n", self.err(launch))

    def test_what_was_read_ahead_of_a_drain_is_said(self):
        self.broker_ends_with(0, tasks=(5, 0, 0, 0), left=3)
        launch = self.start_quick()
        self.assertEqual(self.code(launch), 0)
        self.assertIn("launch: 3 messages read from the input and not accepted any more: give them again\n", self.err(launch))

    def test_a_broker_that_dies_before_its_books_had_accepted_nothing(self):
        for script in ([["kill", 9]], [["books", page((0, 0, 0, 0))], ["kill", 9]]):
            self.script("broker", script)
            launch = self.start_quick()
            self.assertEqual(self.code(launch), 75)
            self.assertIn("launch: the broker died before it had accepted a message: give the whole input again\n"
                          "tasks     0 = ", self.err(launch))

    def test_of_a_broker_in_a_procfile_that_left_no_books_nothing_is_known(self):
        ending = books.Ending(broker_died=True)
        found = books.last_books(ending, None, books_expected=False)  # its run directory may be another one
        self.assertEqual(books.closing_words(ending, found, books_expected=False), ["the broker left no books: how many messages have no outcome is not known"])

    def test_a_broker_that_cannot_be_executed_is_70(self):
        with open(self.path("bin", "curfew-broker"), "w") as file:
            file.write("\x7fno program")
        launch = self.start_quick()
        self.assertEqual(self.code(launch), 70)
        self.assertIn("broker cannot be started", self.err(launch))

    def test_missing_binaries_are_said(self):
        os.unlink(self.path("bin", "curfew-worker"))
        self.assertIn("scripts/bootstrap", self.refuses("--handler", "echo", code=70))

    def test_the_weightier_reason_wins(self):
        ended, balanced = books.Ending, books.decode(self._page(page((1, 0, 0, 0))))
        unbalanced = books.decode(self._page(page((1, 1, 0, 0), accepted=9, left=1)))
        left = books.decode(self._page(page((1, 1, 0, 0), left=1)))
        in_flight = books.decode(self._page(page((1, 1, 0, 0), in_flight=1)))
        cases = [(ended(signal=2, process_code=74, cannot_run=True), unbalanced, 130),
                 (ended(process_code=74, cannot_run=True), unbalanced, 74), (ended(cannot_run=True), balanced, 70),
                 (ended(), unbalanced, 70), (ended(broker_died=True), unbalanced, 75), (ended(), in_flight, 75), (ended(), left, 1)]
        for ending, found, code in cases:
            self.assertEqual(books.exit_code(ending, found, True), code)

    @staticmethod
    def _page(words):
        return books.MAGIC + b"".join(words.get(number, 0).to_bytes(8, "little") for number in range(1, 32))

    def test_a_page_that_is_not_one_is_no_books(self):
        whole = self._page(page((1, 0, 0, 0)))
        self.assertIsNotNone(books.decode(whole))
        self.assertIsNone(books.decode(whole[:-1]))
        self.assertIsNone(books.decode(b"X" + whole[1:]))


class TheEnd(LaunchTest):
    """Whether the others are told that it is `over`: that nobody is left to hear them."""

    def lifelines_of(self, launch):
        self.assertEqual(self.code(launch), 0, self.err(launch))
        return {name: self.read(f"heard.{name}").split("\n") for name in ("w1", "collector")}

    def others_wait_for(self, line):
        for name in ("w1", "collector"):
            self.script(name, [["deaf"], ["touch", f"deaf.{name}"], ["line", line], ["exit", 0]])
        return [["file", f"deaf.{name}"] for name in ("w1", "collector")]

    def test_all_are_told_that_it_is_over_once_the_broker_has_drained(self):
        self.script("broker", [*self.others_wait_for("over"), ["books", page((1, 0, 0, 0))], ["exit", 0]])
        for heard in self.lifelines_of(self.start_quick("--grace", "1h")).values():
            self.assertRegex("\n".join(heard), r"left broker \d+ \d+\nover")

    def test_nobody_is_told_so_where_the_broker_did_not_drain(self):
        self.script("broker", [*self.others_wait_for("left broker"), ["books", page((1, 0, 0, 0), state=3)], ["exit", 0]])
        for heard in self.lifelines_of(self.start_quick()).values():
            self.assertNotIn("over", heard)

    def test_nobody_is_told_so_where_there_is_another_broker(self):
        self.script("b1", [*self.others_wait_for("left b1"), ["books", page((1, 0, 0, 0))], ["exit", 0]])
        launch = self.start(self.procfile("b1: curfew-broker", "b2: curfew-broker --run-dir other", "w1: curfew-worker",
                                          "collector: curfew-collector"))
        for heard in self.lifelines_of(launch).values():
            self.assertNotIn("over", heard)


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

    def test_output_is_emptied_first_and_74_where_it_cannot_be_written(self):
        with open(self.path("results"), "w") as file:
            file.write("old")
        self.broker_ends_with(0)
        self.assertEqual(self.code(self.start_quick("--output", "results")), 0)
        self.assertEqual(self.read("results"), "")
        self.assertIn("cannot write", self.refuses("--handler", "echo", "--output", "no/such/folder", code=74))
        self.assertIn("cannot write", self.refuses("--handler", "echo", "--output", ".", code=74))
        self.assertEqual(self.read("start.broker.1"), "")


class Restarts(LaunchTest):
    def test_a_worker_that_dies_is_started_again_and_the_others_are_told(self):
        self.script("w1", [["kill", 9]], [["touch", "again"], ["wait"]])
        self.script("broker", [["books", page((1, 0, 0, 0))], ["file", "again"], ["file", "told"], ["line", "died w1"], ["exit", 0]])
        self.script("w2", [["line", "died w1"], ["touch", "told"], ["wait"]])
        launch = self.start_quick(workers=2)
        self.assertEqual(self.code(launch), 0)
        first = self.started("w1")["pid"]
        self.assertIn(f"launch: w1 (pid {first}) died (SIGKILL), starting it again in 100 ms\n", self.err(launch))
        self.assertIn(f"died w1 {first}", self.read("heard.broker"))
        self.assertNotEqual(self.started("w1", 1)["pid"], first)
        self.assertTrue(os.path.exists(self.path("told")), "w2 is told too")
        self.assertNotIn("died w1", self.read("heard.w1"))

    def test_a_collector_that_ends_with_0_or_any_code_is_started_again(self):
        self.script("collector", [["exit", 0]], [["exit", 9]], [["touch", "again"], ["wait"]])
        self.script("broker", [["books", page()], ["file", "again"], ["exit", 0]])
        launch = self.start_quick()
        self.assertEqual(self.code(launch), 0)
        self.assertRegex(self.err(launch), r"collector \(pid \d+\) left \(exit 0\), starting it again in 100 ms\n"
                                           r"launch: collector \(pid \d+\) died \(exit 9\), starting it again in 200 ms\n")

    def test_five_quick_deaths_in_a_row_are_70(self):
        self.script("broker", [["wait"]])
        self.script("w2", [["exit", 3]])
        launch = self.start_quick(workers=2)
        self.assertEqual(self.code(launch), 70)
        err = self.err(launch)
        self.assertEqual([wait for wait in (100, 200, 400, 800, 1600) if f"again in {wait} ms" in err], [100, 200, 400, 800])
        self.assertIn("died (exit 3), 5 times in a row within a second of its start: stopping the group\n", err)

    def test_quiet_does_not_say_restarts_but_says_why_it_ends(self):
        self.script("w1", [["kill", 9]], [["touch", "again"], ["wait"]])
        self.script("broker", [["books", page((1, 0, 0, 0), in_flight=1)], ["file", "again"], ["kill", 6]])
        launch = self.start_quick("--quiet")
        self.assertEqual(self.code(launch), 75)
        self.assertNotIn("w1", self.err(launch))
        self.assertIn("died (SIGABRT)", self.err(launch))

    def test_back_off_doubles_to_5_s_and_starts_anew_after_10_s_alive(self):
        deaths = Deaths()
        self.assertEqual([deaths.count(2.0) for _ in range(8)], [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0])
        self.assertEqual([deaths.count(10.0), deaths.count(2.0)], [0.1, 0.2])

    def test_only_quick_deaths_in_a_row_count(self):
        deaths = Deaths()
        self.assertNotIn(None, [deaths.count(0.5) for _ in range(4)] + [deaths.count(1.0)])
        self.assertEqual([deaths.count(0.5) is None for _ in range(5)], [False] * 4 + [True])


class Signals(LaunchTest):
    def test_the_first_signal_drains_and_the_exit_code_is_as_usual(self):
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            self.script("broker", [["books", page((1, 0, 0, 0), in_flight=56, state=1)], ["touch", "up"], ["line", "drain"],
                                   ["file", "go"], ["books", page((57, 0, 0, 0))], ["exit", 0]])
            launch = self.start_quick(workers=2)
            eventually(lambda: os.path.exists(self.path("up")), "the broker")
            self.started("collector")
            launch.send_signal(number)
            for name in ("broker", "w1", "w2", "collector"):
                self.hears(name, "drain")
            open(self.path("go"), "w").close()
            self.assertEqual(self.code(launch), 0)
            self.assertTrue(self.err(launch).startswith("launch: draining, 56 in flight; once more to stop now\ntasks     57 ="))
            for name in os.listdir(self.home):
                if name.startswith(("heard.", "up", "go")):
                    os.unlink(self.path(name))

    def test_one_wish_to_stop_is_one_however_often_it_is_said(self):
        stops = Stops()
        term, hup = signal.SIGTERM, signal.SIGHUP
        self.assertTrue(stops.is_new(term, 100.0))
        stops.begin(100.0, "once more")
        self.assertEqual([stops.is_new(term, 100.0), stops.is_new(hup, 100.05)], [False, False])
        self.assertEqual((stops.take_words(100.09), stops.words_at), ("", 100.0 + ONE_STOP))
        self.assertEqual([stops.take_words(100.2) for _ in range(2)], ["once more", ""])
        self.assertEqual(stops.words_at, None)
        self.assertEqual((stops.is_new(hup, 100.2), stops.is_new(term, 100.25), stops.count), (True, True, 3))

    def test_a_signal_of_another_kind_is_another_wish(self):
        stops = Stops()
        self.assertEqual([stops.is_new(number, 100.0) for number in (signal.SIGTERM, signal.SIGINT)], [True, True])

    def test_signals_together_are_one_and_drain(self):
        """`timeout` tells launch and then its group; HUP comes behind TERM from a service manager."""
        for numbers in ((signal.SIGTERM, signal.SIGTERM), (signal.SIGTERM, signal.SIGHUP), (signal.SIGHUP, signal.SIGHUP)):
            with self.subTest(numbers):
                self.script("broker", [["books", page((1, 0, 0, 0), in_flight=1, state=1)], ["touch", "up"], ["line", "drain"],
                                       ["file", "go"], ["books", page((2, 0, 0, 0))], ["exit", 0]])
                launch = self.start_quick()
                eventually(lambda: os.path.exists(self.path("up")), "the broker")
                self.started("collector")
                for number in numbers:
                    launch.send_signal(number)
                self.says(launch, "draining, 1 in flight; once more to stop now")
                open(self.path("go"), "w").close()
                self.assertEqual(self.code(launch), 0, self.err(launch))
                for name in os.listdir(self.home):
                    if name.startswith(("heard.", "up", "go")):
                        os.unlink(self.path(name))

    def test_while_it_drains_the_dead_are_still_started_again(self):
        self.script("w1", [["line", "drain"], ["kill", 9]], [["touch", "again"], ["wait"]])
        self.script("broker", [["books", page()], ["touch", "up"], ["file", "again"], ["exit", 0]])
        launch = self.start_quick()
        eventually(lambda: os.path.exists(self.path("up")), "the broker")
        launch.terminate()
        self.assertEqual(self.code(launch), 0)

    def test_the_second_signal_stops_now(self):
        for number in (signal.SIGINT, signal.SIGTERM):
            self.script("broker", [["books", page((1, 0, 0, 0), in_flight=2)], ["touch", "up"], ["wait"]])
            launch = self.start_quick()
            eventually(lambda: os.path.exists(self.path("up")), "the broker")
            launch.terminate()
            self.says(launch, "draining, 2 in flight")
            launch.send_signal(number)
            self.assertEqual(self.code(launch), 128 + number)
            self.assertIn("2 messages left without an outcome", self.err(launch))
            self.assertIn("tasks     3 = 1 completed", self.err(launch))
            os.unlink(self.path("up"))

    def test_who_is_deaf_to_term_is_killed_after_grace(self):
        self.script("broker", [["books", page()], ["touch", "up"], ["wait"]])
        self.script("w1", [["deaf"], ["touch", "deaf"], ["wait"]])
        launch = self.start_quick("--grace", "0ms")
        for file in ("up", "deaf"):
            eventually(lambda: os.path.exists(self.path(file)), file)
        launch.terminate()
        self.says(launch, "draining")
        launch.terminate()
        self.assertEqual(self.code(launch), 143)
        self.assertIn(f"launch: did not stop in time, killed: w1 (pid {self.started('w1')['pid']})\n", self.err(launch))

    def test_who_is_deaf_to_term_is_named_while_it_is_waited_for(self):
        self.script("w1", [["deaf"], ["touch", "deaf"], ["wait"]])
        self.script("broker", [["file", "deaf"], ["books", page((1, 0, 0, 0))], ["exit", 0]])
        launch = self.start_quick("--grace", "1h")
        self.says(launch, "launch: waiting for the end of w1, for ")
        self.assertRegex(self.err(launch), r"for \d+ s: told to stop; killed in 3[56]\d\d s\n")
        eventually(lambda: launch.poll() is not None or launch.terminate(), "the end: all signals but the first say so")
        self.assertEqual(self.code(launch), 143)

    def test_a_third_signal_ends_the_patience(self):
        self.script("broker", [["deaf"], ["books", page()], ["touch", "up"], ["wait"]])
        launch = self.start_quick("--grace", "1h")
        eventually(lambda: os.path.exists(self.path("up")), "the broker")
        launch.terminate()
        self.says(launch, "draining")
        launch.terminate()
        self.says(launch, "stopping now")
        launch.terminate()
        self.assertEqual(self.code(launch), 143)

    def test_a_stopped_process_holds_nothing_up(self):
        self.script("broker", [["books", page()], ["touch", "up"], ["wait"]])
        launch = self.start_quick("--grace", "1h")
        eventually(lambda: os.path.exists(self.path("up")), "the broker")
        os.kill(self.started("w1")["pid"], signal.SIGSTOP)
        launch.terminate()
        self.says(launch, "draining")
        launch.terminate()
        self.assertEqual(self.code(launch), 143)


class NothingIsLeft(LaunchTest):
    def test_kill_9_of_launch_leaves_no_process(self):
        path = self.procfile("broker: curfew-broker", "w1: curfew-worker", "other: sleep 1000", "many: sleep 1000 | cat")
        self.script("broker", [["deaf"], ["touch", "up"], ["wait"]])
        self.script("w1", [["deaf"], ["touch", "deaf"], ["wait"]])
        launch = self.start(path)
        for file in ("up", "deaf"):
            eventually(lambda: os.path.exists(self.path(file)), file)
        children = eventually(lambda: len(found := children_of(launch.pid)) == 4 and found, "all four processes")
        launch.kill()
        launch.wait()
        for pid in children:
            eventually(lambda: is_gone(pid), f"the end of {pid}")
        for name in ("broker", "w1"):
            self.assertTrue(os.path.exists(self.path(f"eof.{name}")), "deaf to TERM, it went by its lifeline")
        for pid in children_of(os.getpid()):  # the pipeline's ends, which a shell had started
            if not is_guard(pid):
                os.kill(pid, signal.SIGKILL)
        shutil.rmtree(self.private)  # the real broker would clear it

    def test_orphans_in_a_session_of_their_own_are_ended_too(self):
        self.script("w1", [["orphan", "sleep", "1000"], ["wait"]])
        self.script("broker", [["file", "orphan"], ["books", page()], ["exit", 0]])
        launch = self.start_quick()
        self.assertEqual(self.code(launch), 0)
        self.assertTrue(is_gone(int(self.read("orphan"))))

    def test_orphans_that_are_deaf_are_killed(self):
        self.script("w1", [["orphan", "sh", "-c", "trap '' TERM; touch deaf; while :; do read x; sleep 1000; done"], ["wait"]])
        self.script("broker", [["file", "deaf"], ["books", page()], ["exit", 0]])
        launch = self.start_quick("--grace", "10ms")
        self.assertEqual(self.code(launch), 0)
        self.assertTrue(is_gone(int(self.read("orphan"))))

    def test_orphans_that_end_are_reaped_on_the_way(self):
        self.script("w1", [["orphan", "true"], ["wait"]])
        self.script("broker", [["books", page()], ["file", "go"], ["exit", 0]])
        launch = self.start_quick()
        orphan = int(eventually(lambda: self.read("orphan"), "the orphan"))
        eventually(lambda: not os.path.exists(f"/proc/{orphan}"), "its end, and that it was waited for")
        open(self.path("go"), "w").close()
        self.assertEqual(self.code(launch), 0)

    def test_a_stderr_that_nobody_reads_holds_nothing_up(self):
        self.script("broker", [["books", page()], ["exit", 0]])
        reader, writer = os.pipe()
        os.set_blocking(writer, False)
        try:
            while os.write(writer, b"x" * 4096):
                pass
        except BlockingIOError:
            os.set_blocking(writer, True)
        launch = subprocess.Popen([PYTHON, "-E", LAUNCH, "--handler", "echo"], env=self.env, stderr=writer,
                                  stdin=subprocess.DEVNULL, start_new_session=True)
        self.launches.append(launch)
        self.assertEqual(launch.wait(PATIENCE), 0)
        os.close(reader)
        os.close(writer)


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
            file.write(ExitCodesAndBooks._page(page((9, 9, 9, 9))))
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
        return books.decode(ExitCodesAndBooks._page(page((1, 0, 0, 0), state=1, **words)))

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
            found = books.decode(ExitCodesAndBooks._page(page((done, 0, 0, 0), in_flight=7, input_size=30000, input_read=read)))
            pace.take(now, found)
        self.assertEqual(pace.text(found), "1000 done, 7 in flight, 500/s, 4 s left")


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
                           ("--json --json -- cat", "given twice"), ("--json=yes -- cat", "takes no value"),
                           ("--workers", "needs a value"), ("--work 2 -- cat", "unknown option --work"), ("-x -- cat", "unknown option -x")):
            with self.subTest(line=line), self.assertRaisesRegex(Refusal, text):
                options.parse(line.split())
        allowed = {"quiet", "run-dir", "log-level"}
        for flag in options.FLAGS:
            if flag.name not in allowed | {"handler", "help", "version"}:
                value = {"hedge": "0", "grace": "1s", "deadline": "1s", "drain-timeout": "1s", "hedge-budget": "5%"}.get(flag.name, "1")
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
    ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)  # PR_SET_CHILD_SUBREAPER: see the top


if __name__ == "__main__":
    unittest.main()

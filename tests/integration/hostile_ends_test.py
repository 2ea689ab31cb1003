"""The end of a run tells the truth: what was left of the input, who was stopped by whom, and what nobody cleaned up."""

import fcntl
import json
import os
import re
import shutil
import signal
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "support"))

import peers  # noqa: E402, F401: sees to it that there is a zmq
import zmq  # noqa: E402
from group import PATIENCE, GroupTest, eventually, is_over, numbers  # noqa: E402

LEFT_BEHIND = 75
GATED = "read -r x; until [ -e go ]; do sleep 0.01; done; echo $x"  # from the test's folder, where launch runs


class ADrainBeforeTheEndOfTheInput(GroupTest):
    """It says how much was left, from where to go on, and exits 75; a second run from there makes the whole."""

    def launch_held(self, *words, feed=b"", **how):
        """A group whose work waits for the file `go`, with a window of 4."""
        launch = self.launch("--workers", "2", "--fanout", "1", "--window", "4", "--run-dir", self.run_dir, *words, "--",
                             "sh", "-c", GATED, **how)
        if feed:
            launch.feed(feed)
        self.broker_until(lambda broker: broker["tasks"]["in_flight"] == 2, "two tasks in flight")
        return launch

    def drained(self, launch, number=signal.SIGTERM):
        launch.signal(number)
        launch.says("draining")
        self.write("go", "")
        return launch

    def go_on_at(self, launch):
        """What it said: (what was left, line, byte offset)."""
        said = launch.says(r"the input was not at its end: (.*); go on at line (\d+), byte offset (\d+) \(tail -c \+(\d+)\)")
        self.assertEqual(int(said[3]) + 1, int(said[4]))
        return said[1], int(said[2]), int(said[3])

    def test_of_a_file_says_the_messages_the_bytes_and_the_place_and_who_goes_on_there_misses_nothing(self):
        data = numbers(1000)
        launch = self.drained(self.launch_held("--input", self.write("in", data), "--output", self.path("out")))
        tasks, _ = self.ends_well(launch, LEFT_BEHIND)
        left, line, byte = self.go_on_at(launch)
        self.assertEqual(line, tasks["all"] + 1)
        self.assertEqual(left, f"{1000 - tasks['all']} messages in {len(data) - byte} bytes left")
        self.assertLess(tasks["all"], 1000)
        self.assertEqual(tasks["completed"], tasks["all"])
        rest = self.launch("--workers", "1", "--fanout", "1", "--handler", "echo", stdin=data[byte:])
        self.ends_well(rest)
        with open(self.path("out"), "rb") as out:
            self.assertEqual(sorted(map(int, out.read().split() + rest.out.split())), list(range(1, 1001)))

    def test_of_a_file_on_stdin_counts_from_the_start_of_the_file(self):
        data = b"read by somebody else\n" + numbers(500)
        with open(self.write("in", data), "rb") as file:
            os.lseek(file.fileno(), data.index(b"\n") + 1, os.SEEK_SET)
            launch = self.drained(self.launch_held(stdin=file))
        tasks, _ = self.ends_well(launch, LEFT_BEHIND)
        left, line, byte = self.go_on_at(launch)
        self.assertEqual((line, left), (tasks["all"] + 1, f"{500 - tasks['all']} messages in {len(data) - byte} bytes left"))
        self.assertEqual(data[byte:].split(b"\n")[0], str(line).encode())

    def test_of_a_pipe_that_was_closed_says_the_bytes(self):
        launch = self.launch_held(stdin="pipe", feed=numbers(8))
        launch.end_of_input()
        self.assertEqual(self.snapshot()["tasks"]["in_flight"], 2)
        tasks, _ = self.ends_well(self.drained(launch), LEFT_BEHIND)
        left, line, byte = self.go_on_at(launch)
        self.assertEqual((line, byte), (tasks["all"] + 1, 2 * tasks["all"]))
        self.assertEqual(left, f"{8 - tasks['all']} messages in {16 - byte} bytes left")

    def test_of_a_pipe_that_is_open_says_that_nobody_knows_how_much(self):
        launch = self.launch_held(stdin="pipe", feed=numbers(8))
        tasks, _ = self.ends_well(self.drained(launch), LEFT_BEHIND)
        self.assertEqual(self.go_on_at(launch), ("how much is left is not known", tasks["all"] + 1, 2 * tasks["all"]))

    def test_at_the_end_of_the_input_is_a_good_end_though_nobody_had_read_that_it_is_one(self):
        for name, how in (("file", {"stdin": numbers(2)}), ("pipe", {"stdin": "pipe"})):
            with self.subTest(name):
                launch = self.launch_held(**how) if name == "file" else self.launch_fed_two()
                self.ends_well(self.drained(launch))
                self.assertNotIn("not at its end", launch.err)
                os.unlink(self.path("go"))

    def launch_fed_two(self):
        launch = self.launch("--workers", "2", "--fanout", "1", "--window", "2", "--run-dir", self.run_dir, "--", "sh", "-c",
                             GATED, stdin="pipe")
        launch.feed(numbers(2))
        self.broker_until(lambda broker: broker["tasks"]["in_flight"] == 2, "two tasks in flight")
        launch.end_of_input()
        return launch

    def test_in_the_middle_of_a_message_over_the_limit_goes_on_at_its_start(self):
        launch = self.launch("--workers", "1", "--fanout", "1", "--max-message", "10", "--run-dir", self.run_dir,
                             "--handler", "echo", stdin="pipe")
        launch.feed(b"one\ntwo\n" + b"x" * 1000)
        self.broker_until(lambda broker: broker["source"]["bytes_read"] == 1008, "the start of what is too long")
        launch.signal(signal.SIGTERM)
        self.ends_well(launch, LEFT_BEHIND)
        self.assertEqual(self.go_on_at(launch)[1:], (3, 8))

    def test_messages_that_end_with_a_nul_are_called_messages(self):
        launch = self.launch_held("--null", stdin=numbers(500).replace(b"\n", b"\0"))
        self.ends_well(self.drained(launch), LEFT_BEHIND)
        launch.says(r"go on at message \d+, byte offset \d+ ")

    def test_that_is_cut_short_says_the_place_too(self):
        launch = self.launch_held(stdin=numbers(500))
        launch.signal(signal.SIGTERM)
        launch.says("draining")
        launch.signal(signal.SIGTERM)
        self.assertEqual(launch.code(), 128 + signal.SIGTERM)
        launch.says(r"500 messages left without an outcome \(2 in flight, 498 not accepted\); the first in flight is message 1\n")
        launch.says(r"go on at line 3, byte offset 4 \(tail -c \+5\), and give what was in flight \(2\) again\n")
        self.assertEqual(self.go_on_at(launch)[1], 3)

    def test_that_ends_with_the_death_of_the_broker_says_the_place_too(self):
        launch = self.launch_held(stdin=numbers(500))
        os.kill(self.pid_of("broker"), signal.SIGKILL)
        self.assertEqual(launch.code(), LEFT_BEHIND)
        self.assertEqual(self.go_on_at(launch)[1], 3)
        launch.says(r"2 messages left without an outcome \(2 in flight, 0 not accepted\), and what else the input holds;"
                    r" the first in flight is message 1\n")

    def test_of_a_broker_alone_ends_with_75_and_says_the_place(self):
        broker = self.ready("broker", "--fanout", "1", stdin=numbers(3))
        broker.signal(signal.SIGTERM)
        self.assertEqual(broker.code(), LEFT_BEHIND)
        broker.says("input_left messages=3 bytes=6 go_on_at_line=1 go_on_at_byte=0")

    def test_of_a_broker_alone_that_is_stopped_names_what_was_in_flight(self):
        broker = self.ready("broker", "--fanout", "1", "--grace", "100ms", stdin=numbers(3))
        self.ready("collector", "--sink", "stdout")
        self.ready("worker", "--", "sleep", self.sleep)
        self.broker_until(lambda snapshot: snapshot["tasks"]["in_flight"] > 0, "a task in flight")
        broker.signal(signal.SIGTERM)
        self.assertEqual(broker.code(), LEFT_BEHIND)
        broker.says(r'tasks_left in_flight=\d first=1 not_accepted=0 action="give them again"')


class ADrainWithALimit(GroupTest):
    def test_cancels_what_is_then_in_flight_counts_it_and_exits_75(self):
        launch = self.launch("--workers", "2", "--fanout", "1", "--drain-timeout", "200ms", "--grace", "100ms", "--run-dir",
                             self.run_dir, "--json", "--", "sh", "-c",
                             f"read -r x; if [ $x = 1 ]; then until [ -e go ]; do sleep 0.01; done; echo $x; else sleep {self.sleep}; fi",
                             stdin=numbers(2))
        self.broker_until(lambda broker: broker["tasks"]["in_flight"] == 2, "two tasks in flight")
        self.write("go", "")
        launch.writes(1)
        launch.signal(signal.SIGTERM)
        tasks, attempts = self.ends_well(launch, LEFT_BEHIND)
        self.assertEqual((tasks["completed"], tasks["cancelled"], attempts["cancelled"]), (1, 1, 1))
        launch.says(r"1 message cancelled: the drain was over \(--drain-timeout\)")
        self.assertEqual(json.loads(launch.lines[1])["error"], "the drain was over (--drain-timeout 0.2s)")
        self.nothing_runs(self.sleep)

    def test_that_is_not_reached_is_as_good_as_none(self):
        launch = self.launch("--workers", "1", "--fanout", "1", "--drain-timeout", "10m", "--run-dir", self.run_dir, "--",
                             "sh", "-c", GATED, stdin=numbers(1))
        self.broker_until(lambda broker: broker["tasks"]["in_flight"] == 1, "a task in flight")
        launch.signal(signal.SIGTERM)
        launch.says("draining")
        self.write("go", "")
        self.assertEqual(self.ends_well(launch)[0]["completed"], 1)


class RefusedMessages(GroupTest):
    """A message over --max-message has an outcome of its own kind, in its place, with what is needed to find it."""

    DATA = b"one\n" + b"x" * 5000 + b"\ntwo\n" + b"y" * 11

    def test_are_dead_letters_with_line_offset_size_and_first_bytes(self):
        launch = self.launch("--workers", "1", "--fanout", "1", "--max-message", "10", "--dead-letters", self.path("dead"),
                             "--handler", "echo", stdin=self.DATA)
        tasks, attempts = self.ends_well(launch, 1)
        self.assertEqual((tasks["completed"], tasks["failed"], attempts["all"]), (2, 2, 2))
        launch.says("(?m)^refused   2 messages over --max-message, of the failed$")
        self.assertEqual(launch.lines, ["one", "two"])
        with open(self.path("dead")) as dead:
            letters = [json.loads(line) for line in dead]
        self.assertEqual([(letter["seq"], letter["refused"], letter["message"]) for letter in letters],
                         [(2, {"line": 2, "byte": 4, "size": 5000}, "x" * 1024), (4, {"line": 4, "byte": 5009, "size": 11}, "y" * 11)])
        self.assertEqual(letters[0]["error"], "refused: line 2, byte offset 4, 5000 bytes, over --max-message 10")

    def test_keep_their_place_in_the_order(self):
        launch = self.launch("--workers", "2", "--fanout", "1", "--max-message", "10", "--json", "--keep-order", "--handler",
                             "echo", stdin=self.DATA)
        self.ends_well(launch, 1)
        self.assertEqual([json.loads(line)["outcome"] for line in launch.lines], ["completed", "failed", "completed", "failed"])

    def test_are_said_where_no_sink_has_a_place_for_them(self):
        launch = self.launch("--workers", "1", "--fanout", "1", "--max-message", "10", "--handler", "echo", stdin=self.DATA)
        self.ends_well(launch, 1)
        launch.says("refused: line 2, byte offset 4, 5000 bytes, over --max-message 10")


class PastTheDeadline(GroupTest):
    def test_an_attempt_that_never_began_says_so_and_the_outcome_names_the_deadline(self):
        launch = self.launch("--workers", "1", "--fanout", "1", "--deadline", "3s", "--grace", "100ms", "--json", "--", "sleep",
                             self.sleep, stdin=numbers(2), environment={"CURFEW_CREDIT": "2"})
        self.ends_well(launch, 1)
        first, second = sorted(map(json.loads, launch.lines), key=lambda outcome: outcome["seq"])
        for outcome in (first, second):
            self.assertEqual((outcome["outcome"], outcome["error"]), ("expired", "deadline exceeded: 3s"))
            self.assertEqual([past["end"] for past in outcome["history"]], ["expired"])
        self.assertEqual((first["history"][0]["error"], second["history"][0]["error"]), ("", "it had not begun"))


class WhatNobodyCleared(GroupTest):
    def run_dirs(self):
        return sorted(os.listdir(self.private))

    def killed_group(self, number):
        launch = self.launch("--workers", "1", "--fanout", "1", "--handler", "sleep:1000s", stdin="pipe")
        (name,) = eventually(lambda: self.run_dirs(), "a private run directory")
        eventually(lambda: os.path.exists(os.path.join(self.private, name, "books")), "the broker's page")
        os.killpg(launch.pid, number)
        self.assertEqual(launch.code(), -number)
        self.nothing_runs(patience=PATIENCE)
        return name

    def test_of_a_group_that_was_killed_at_once_is_cleared_by_the_next_start(self):
        for number in (signal.SIGKILL, signal.SIGQUIT):
            with self.subTest(number.name):
                name = self.killed_group(number)
                self.assertEqual(self.run_dirs(), [name], "it stays until the next start")
                self.ends_well(self.launch("--workers", "1", "--fanout", "1", "--handler", "echo", stdin=b"x\n"))
                self.assertEqual(self.run_dirs(), [])

    def test_that_somebody_uses_or_that_is_none_of_ours_stays(self):
        name = self.killed_group(signal.SIGKILL)
        others = {"curfew-00000001": None, "curfew-00000002": "1 given\n", "curfew-mine": "1 private\n"}
        for other, lock in others.items():
            os.mkdir(os.path.join(self.private, other), 0o700)
            if lock is not None:
                self.write(os.path.join("private", other, "launch.lock"), lock)
        with open(os.path.join(self.private, name, "w1.lock"), "w") as held:
            fcntl.flock(held, fcntl.LOCK_EX)
            self.ends_well(self.launch("--workers", "1", "--fanout", "1", "--handler", "echo", stdin=b"x\n"))
            self.assertEqual(self.run_dirs(), sorted([name, *others]))
        self.ends_well(self.launch("--workers", "1", "--fanout", "1", "--handler", "echo", stdin=b"x\n"))
        self.assertEqual(self.run_dirs(), sorted(others))
        for other in others:
            shutil.rmtree(os.path.join(self.private, other))


class ACleanerOfTmp(GroupTest):
    def test_that_removes_the_files_of_a_running_group_does_no_harm(self):
        launch = self.launch("--workers", "1", "--fanout", "1", "--run-dir", self.run_dir, "--json", "--handler", "echo", stdin="pipe")
        launch.feed(b"before\n")
        launch.writes(1)
        removed = {name for name in os.listdir(self.run_dir) if name.endswith((".sock", ".lock")) and name != "launch.lock"}
        for name in os.listdir(self.run_dir):
            os.unlink(os.path.join(self.run_dir, name))
        eventually(lambda: removed <= set(os.listdir(self.run_dir)), lambda: f"{removed - set(os.listdir(self.run_dir))}")
        launch.feed(b"after\n")
        launch.writes(2)
        guest = self.ready("worker", "--name", "guest", "--handler", "echo")  # who comes now finds them all
        self.workers_are_ready(2)
        launch.feed(numbers(20))
        launch.writes(22)
        self.assertEqual(self.binary("worker", "--name", "w1", "--handler", "echo").code(), 64, "its name is taken")
        guest.signal(signal.SIGTERM)
        self.assertEqual(guest.code(), 0)
        launch.end_of_input()
        tasks, _ = self.ends_well(launch)  # the books are those of the page that was removed
        self.assertEqual(tasks["completed"], 22)
        self.assertNotIn("died", launch.err)

    def test_that_removes_the_whole_run_directory_does_no_harm(self):
        launch = self.launch("--workers", "1", "--fanout", "1", "--run-dir", self.run_dir, "--json", "--handler", "echo", stdin="pipe")
        launch.feed(b"before\n")
        launch.writes(1)
        names = {name for name in os.listdir(self.run_dir) if name.endswith(".sock")}
        os.rename(self.run_dir, self.path("gone"))  # at once: what is made anew meanwhile is not in the way
        shutil.rmtree(self.path("gone"))
        eventually(lambda: os.path.isdir(self.run_dir) and names <= set(os.listdir(self.run_dir)), "all sockets")
        self.workers_are_ready(1)
        launch.feed(b"after\n")
        launch.end_of_input()
        self.assertEqual(self.ends_well(launch)[0]["completed"], 2)


class NamesOfTasks(GroupTest):
    def test_of_two_brokers_that_start_at_the_same_instant_differ(self):
        names = []
        for run in ("one", "other"):
            os.mkdir(self.path(run), 0o700)
            with open(self.path(run, "broker.lock"), "w") as lock:
                lock.write("9000000000000 1 ended\n")  # so both have the same incarnation, as if by the clock
            launch = self.launch("--workers", "1", "--fanout", "1", "--run-dir", self.path(run), "--", "sh", "-c",
                                 "echo $CURFEW_TASK", stdin=b"x\n")
            self.ends_well(launch)
            names += launch.lines
        self.assertEqual(len(set(names)), 2, names)
        for name in names:
            self.assertRegex(name, r"^[1-9]\d{0,18}-1$")


class ASourceWithoutAnEnd(GroupTest):
    WAIT = "curfew-worker --slots 2 -- sh -c 'until [ -e go ]; do sleep 0.01; done; cat'"

    def group_at(self, where):
        """It holds two messages, and has room for no more."""
        launch = self.launch_procfile(f"broker: curfew-broker --source zmq:{where} --fanout 1 --window 2 --deadline none",
                                      f"w1: {self.WAIT}", "collector: curfew-collector")
        self.workers_are_ready(1)
        return launch

    def producer(self, where, messages):
        """It stays. What it sends is out of its hands before this returns, where somebody takes it."""
        context = zmq.Context()
        push = context.socket(zmq.PUSH)
        self.addCleanup(context.destroy, 0)
        push.connect(where)
        for number in messages:
            push.send(b"%d" % number)
        return push

    def producer_that_leaves(self, where, messages):
        push = self.producer(where, messages)
        push.close(linger=-1)
        push.context.term()

    def test_that_is_drained_finishes_what_its_producers_believe_delivered(self):
        where = f"ipc://{self.path('in.sock')}"
        launch = self.group_at(where)
        self.producer_that_leaves(where, range(300))
        self.broker_until(lambda broker: broker["tasks"]["in_flight"] == 2, "two tasks in flight")
        launch.signal(signal.SIGTERM)
        eventually(lambda: not os.path.exists(self.path("in.sock")), "the address to be given up")
        self.write("go", "")
        tasks, _ = self.ends_well(launch)
        self.assertEqual((tasks["completed"], sorted(map(int, launch.lines))), (300, list(range(300))))

    def test_that_is_drained_leaves_what_comes_later_to_who_binds_there_next(self):
        where = f"ipc://{self.path('in.sock')}"
        first = self.group_at(where)
        push = self.producer(where, range(10))
        self.broker_until(lambda broker: broker["tasks"]["in_flight"] == 2, "two tasks in flight")
        left = push.get_monitor_socket(zmq.EVENT_DISCONNECTED)
        first.signal(signal.SIGTERM)
        self.assertTrue(left.poll(1000 * PATIENCE), "the producer is left, and knows it")
        for number in range(10, 20):
            push.send(b"%d" % number)
        self.write("go", "")
        self.assertEqual(self.ends_well(first)[0]["completed"], 10)
        second = self.group_at(where)
        second.writes(10)
        self.assertEqual(sorted(map(int, second.lines)), list(range(10, 20)))
        second.signal(signal.SIGTERM)
        self.ends_well(second)

    def test_that_is_stopped_says_what_nobody_took(self):
        where = f"ipc://{self.path('in.sock')}"
        launch = self.group_at(where)
        self.producer_that_leaves(where, range(10))
        self.broker_until(lambda broker: broker["tasks"]["in_flight"] == 2, "two tasks in flight")
        launch.signal(signal.SIGTERM)
        eventually(lambda: not os.path.exists(self.path("in.sock")), "the address to be given up")
        launch.says("once more to stop now")
        launch.signal(signal.SIGTERM)
        self.assertEqual(launch.code(), 128 + signal.SIGTERM)
        launch.says(r"10 messages left without an outcome \(2 in flight, 8 not accepted\)\n")

    def test_that_is_drained_while_paused_says_what_nobody_took(self):
        where = f"ipc://{self.path('in.sock')}"
        launch = self.group_at(where)
        self.assertEqual(self.monitor("pause")[0], 0)
        self.producer_that_leaves(where, range(3))
        launch.signal(signal.SIGTERM)
        self.ends_well(launch, LEFT_BEHIND)
        launch.says("3 messages read from the input and not accepted any more: give them again")

    def test_that_is_drained_is_a_good_end_and_claims_nothing_of_its_producers(self):
        launch = self.launch_procfile(
            "broker: curfew-broker --source zmq:tcp://127.0.0.1:* --fanout 1", "w1: curfew-worker --handler echo",
            "collector: curfew-collector")
        self.workers_are_ready(1)
        launch.signal(signal.SIGTERM)
        self.ends_well(launch)
        launch.says("the source has no end: what its producers hold that was not accepted is not known here")
        self.assertNotIn("not accepted)", launch.err)

    def test_whose_broker_dies_does_not_say_that_none_was_not_accepted(self):
        launch = self.launch_procfile(
            "broker: curfew-broker --source zmq:tcp://127.0.0.1:* --fanout 1", "w1: curfew-worker --handler echo",
            "collector: curfew-collector")
        self.workers_are_ready(1)
        os.kill(self.pid_of("broker"), signal.SIGKILL)
        self.assertEqual(launch.code(), LEFT_BEHIND)
        self.assertIsNone(re.search(r"\d+ not accepted", launch.err), launch.err)


class TermAtTheWholeGroup(GroupTest):
    """As a service manager, `timeout` and `kill %1` send it: to launch and to all that it has started at once."""

    def launch_held(self, *words):
        launch = self.launch("--workers", "2", "--fanout", "1", "--run-dir", self.run_dir, *words, "--", "sh", "-c", GATED,
                             stdin="pipe")
        launch.feed(numbers(2))
        self.broker_until(lambda broker: broker["tasks"]["in_flight"] == 2, "two tasks in flight")
        launch.end_of_input()
        return launch

    def test_is_a_drain_all_that_is_in_flight_is_finished(self):
        launch = self.launch_held()
        members = {name: self.pid_of(name) for name in ("broker", "collector", "w1", "w2")}
        os.killpg(launch.pid, signal.SIGTERM)
        launch.says("draining, 2 in flight")
        eventually(lambda: self.snapshot().get("draining"), "the drain at the broker")
        self.write("go", "")
        tasks, attempts = self.ends_well(launch)
        self.assertEqual((tasks["completed"], attempts["all"]), (2, 2), launch.err)
        self.assertNotRegex(launch.err, "died|starting it again|stopping now")
        self.assertEqual(sorted(launch.lines), ["1", "2"])
        self.assertEqual(len(members), 4)

    def test_twice_stops_now(self):
        launch = self.launch_held()
        os.killpg(launch.pid, signal.SIGTERM)
        launch.says("draining, 2 in flight")
        os.killpg(launch.pid, signal.SIGTERM)
        self.assertEqual(launch.code(), 128 + signal.SIGTERM)

    def test_at_any_one_member_is_a_drain_of_the_group(self):
        for name in ("broker", "collector", "w1"):
            with self.subTest(name):
                launch = self.launch_held()
                pid = self.pid_of(name)
                for _ in range(3):  # the same word said again is no second signal
                    os.kill(pid, signal.SIGTERM)
                launch.says(rf"{name} \(pid {pid}\) got TERM: that is a drain of the group")
                launch.says("draining, 2 in flight")
                eventually(lambda: self.snapshot().get("draining"), "the drain at the broker")
                self.write("go", "")
                tasks, _ = self.ends_well(launch)
                self.assertEqual(tasks["completed"], 2)
                self.assertNotRegex(launch.err, "died|starting it again|stopping now")
                os.unlink(self.path("go"))

    def test_that_comes_from_the_death_of_launch_is_a_stop(self):
        launch = self.launch_held()
        members = [self.pid_of(name) for name in ("broker", "collector", "w1", "w2")]
        launch.signal(signal.SIGKILL)
        eventually(lambda: all(map(is_over, members)), "the end of all members")
        self.nothing_runs(patience=PATIENCE)

    def test_what_obeys_it_is_neither_called_dead_nor_started_again(self):
        launch = self.launch_procfile(
            "broker: curfew-broker --fanout 1", "w1: curfew-worker -- sh -c '" + GATED + "'", "collector: curfew-collector",
            "beside: sh -c 'echo $$ >>beside.starts; exec sleep 1000'", stdin="pipe")
        launch.feed(b"1\n")
        self.broker_until(lambda broker: broker["tasks"]["in_flight"] == 1, "a task in flight")
        launch.end_of_input()
        eventually(lambda: os.path.exists(self.path("beside.starts")), "the process beside")
        os.killpg(launch.pid, signal.SIGTERM)
        launch.says(r"beside \(pid \d+\) has ended \(SIGTERM\): the group drains, it is not started again")
        self.write("go", "")
        tasks, _ = self.ends_well(launch)
        self.assertEqual(tasks["completed"], 1)
        self.assertNotRegex(launch.err, "died|starting it again")


if __name__ == "__main__":
    unittest.main()

"""The end of a run tells the truth: what was left of the input, who was stopped by whom, and what nobody cleaned up."""

import os
import re
import signal
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "support"))

from group import GroupTest, eventually, is_over, numbers  # noqa: E402

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
        launch.says("2 messages left without an outcome")
        self.assertEqual(self.go_on_at(launch)[1], 3)

    def test_that_ends_with_the_death_of_the_broker_says_the_place_too(self):
        launch = self.launch_held(stdin=numbers(500))
        os.kill(self.pid_of("broker"), signal.SIGKILL)
        self.assertEqual(launch.code(), LEFT_BEHIND)
        self.assertEqual(self.go_on_at(launch)[1], 3)

    def test_of_a_broker_alone_ends_with_75_and_says_the_place(self):
        broker = self.ready("broker", "--fanout", "1", stdin=numbers(3))
        broker.signal(signal.SIGTERM)
        self.assertEqual(broker.code(), LEFT_BEHIND)
        broker.says("input_left messages=3 bytes=6 go_on_at_line=1 go_on_at_byte=0")


class ASourceWithoutAnEnd(GroupTest):
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
        eventually(lambda: all(map(is_over, members)), "the end of all members", 6.0)
        self.nothing_runs()

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

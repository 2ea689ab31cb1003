#!/usr/bin/env python3
"""Launch and the processes it did not start itself: numbers that are somebody else's by now, names that are not its own."""

import json
import os
import signal
import subprocess
import sys
import unittest
import unittest.mock

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, ROOT)
sys.path.insert(0, os.path.join(ROOT, "scripts"))

from launch_lib.member import descendants, look_at, signal_all  # noqa: E402
from launch_lib.orphans import Orphans  # noqa: E402
from tests.support.group import GroupTest, eventually, is_over, numbers  # noqa: E402


class Numbers(unittest.TestCase):
    """Between a look into /proc and a signal a process may end, and its number be given to a stranger."""

    def start(self):
        process = subprocess.Popen(["sleep", "1000"])
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        return process

    def test_a_signal_goes_to_the_process_that_was_seen_and_not_to_a_later_one_of_its_number(self):
        stranger = self.start()
        seen = look_at(stranger.pid)
        earlier = seen._replace(start=seen.start - 1)  # as a look before the stranger's birth had it
        signal_all([earlier], signal.SIGTERM)
        signal_all([seen], signal.SIGKILL)
        self.assertEqual(stranger.wait(), -signal.SIGKILL, "it died of the signal that was for another")

    def test_nor_where_the_kernel_holds_no_process(self):
        stranger = self.start()
        seen = look_at(stranger.pid)

        def refuse(*_):
            raise OSError
        real, os.pidfd_open = os.pidfd_open, refuse
        self.addCleanup(setattr, os, "pidfd_open", real)
        signal_all([seen._replace(start=seen.start - 1)], signal.SIGTERM)
        signal_all([seen], signal.SIGKILL)  # a child of ours: nobody else can have its number
        self.assertEqual(stranger.wait(), -signal.SIGKILL)

    def test_a_look_finds_those_below_their_parents_and_not_those_that_are_spared(self):
        shell = subprocess.Popen(["sh", "-c", "sleep 1000 & echo $!; wait"], stdout=subprocess.PIPE, text=True)
        self.addCleanup(shell.communicate)
        below = int(shell.stdout.readline())
        self.addCleanup(signal_all, [look_at(below), look_at(shell.pid)], signal.SIGKILL)
        self.assertEqual({seen.pid for seen in descendants()}, {shell.pid, below})
        self.assertEqual(descendants(lambda seen: seen.pid == shell.pid), [])

    def test_a_supervisor_with_the_number_of_one_that_is_over_has_its_own_time_to_end(self):
        orphans = Orphans("/nowhere", grace=1000.0)
        process = self.start()
        seen = look_at(process.pid)
        earlier = seen._replace(start=seen.start - 1)
        orphans._alone = {earlier.key: (earlier, -1e9)}  # known for ages
        with unittest.mock.patch("launch_lib.orphans._is_supervisor", lambda pid: pid == process.pid):
            orphans.kill(set())
        self.assertEqual(list(orphans._alone), [seen.key])
        self.assertIsNone(process.poll(), "killed for the age of another")
        self.assertGreater(orphans._alone[seen.key][1], 0)


class Names(GroupTest):
    """Launch calls a process by its Procfile line; the broker knows a worker by the name that it has given itself."""

    def setUp(self):
        super().setUp()
        self.environment["CURFEW_HEARTBEAT"] = "1m"  # so silence tells nothing while a test has patience

    def group(self, w1, broker=""):
        """A worker that is not started again: its line waits then."""
        script = self.write("w1.sh", f"[ -e {self.path('begun')} ] && exec sleep {self.sleep}\n: >{self.path('begun')}\n{w1}\n")
        launch = self.launch_procfile(f"broker: curfew-broker --source stdin --fanout 1 {broker}", f"w1: sh {script}",
                                      "collector: curfew-collector --format json", stdin="pipe")
        self.workers_are_ready(1)
        launch.feed(numbers(1))
        broker = self.broker_until(lambda b: b["attempts"]["in_flight"] == 1, "an attempt")
        worker = broker["workers"][0]
        self.assertEqual(worker["name"], "mine")
        return launch, worker["pid"]

    def its_death_is_known(self, pid):
        os.kill(pid, signal.SIGKILL)
        stats = self.broker_until(lambda b: b["attempts"]["lost"] == 1, "the loss of what it did")
        self.assertEqual((stats["workers_died"], stats["workers_left"], stats["workers_silent"]), (1, 0, 0))

    def test_the_death_of_a_worker_with_a_name_of_its_own_is_known_at_once(self):
        _, pid = self.group("exec curfew-worker --name mine --handler sleep:1h")
        self.its_death_is_known(pid)

    def test_so_is_that_of_a_worker_behind_a_shell(self):
        _, pid = self.group("curfew-worker --name mine --handler sleep:1h; exit $?")
        self.its_death_is_known(pid)

    def test_a_worker_that_left_with_code_0_stands_in_the_history_as_left(self):
        launch, pid = self.group("curfew-worker --name mine --handler sleep:1h; exit 0", broker="--poison 1")
        os.kill(pid, signal.SIGKILL)
        launch.writes(1)
        outcome = json.loads(launch.lines[0])
        self.assertEqual(outcome["outcome"], "failed")
        self.assertEqual([(past["end"], past["error"]) for past in outcome["history"]], [("lost", "its worker left")])
        self.assertEqual(self.answer()["workers_left"], 1)
        eventually(lambda: is_over(pid), "its end")


if __name__ == "__main__":
    unittest.main()

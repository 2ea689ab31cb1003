"""A group that stands still as a whole (Ctrl-Z, a frozen container, a paused machine) goes on as if nothing had been; and
one process that stands still alone costs no more than it must."""

import json
import os
import signal
import sys
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))

from group import GroupTest, eventually, processes_with  # noqa: E402

HEARTBEAT = 0.4  # seconds; a lease is two of them, and after three a worker counts as silent


class Standstill(GroupTest):
    """One attempt waits at a gate. All time limits are by the clocks of the processes, which are what is tested here."""

    def start(self, *words):
        os.mkfifo(self.path("gate"))
        work = f'echo $$ >> {self.path("pids")}; read -r word < {self.path("gate")}; cat'
        launch = self.launch("--run-dir", self.run_dir, "--workers", "2", "--fanout", "1", "--json", *words,
                             "--", "sh", "-c", work, stdin=b"one\n", environment={"CURFEW_HEARTBEAT": f"{HEARTBEAT}s"})
        eventually(lambda: os.path.exists(self.path("pids")) and os.path.getsize(self.path("pids")), "the work")
        self.broker_until(lambda broker: broker["attempts"]["in_flight"] == 1, "the attempt")
        return launch

    def stop(self, pids, seconds):
        """They stand still for at least that long. It is time itself that has to pass."""
        for number in (signal.SIGSTOP, signal.SIGCONT):
            for pid in pids:
                os.kill(pid, number)
            until = time.monotonic() + seconds
            if number == signal.SIGSTOP:
                eventually(lambda: time.monotonic() >= until, "the time to pass")

    def all_of(self, launch):
        return sorted({launch.pid, *processes_with(self.home)} - {os.getpid()})

    def completes_at_the_first_attempt(self, launch):
        self.let_go("gate")
        attempts = self.ends_well(launch)[1]
        self.assertEqual((attempts["won"], attempts["all"]), (1, 1))
        self.assertEqual(json.loads(launch.lines[0])["attempts"], 1)
        with open(self.path("pids"), encoding="ascii") as file:
            self.assertEqual(len(file.read().split()), 1, "the work was started once")

    def test_a_whole_group_that_stood_still_goes_on(self):
        launch = self.start("--deadline", "none")
        self.stop(self.all_of(launch), 8 * HEARTBEAT)
        launch.says("stood_still for_s=")
        stats = self.broker_until(lambda broker: broker["stood_still_s"] > 4 * HEARTBEAT, "its standstill")
        self.assertEqual((stats["workers_silent"], {worker["session"] for worker in stats["workers"]}), (0, {1, 2}))
        self.completes_at_the_first_attempt(launch)

    def test_the_deadline_moves_by_the_standstill(self):
        launch = self.start("--deadline", "10s")
        self.stop(self.all_of(launch), 11)
        self.completes_at_the_first_attempt(launch)

    def test_a_stop_is_not_cut_short(self):
        """Work that takes its time to stop, within grace, has that time also where all of the group stood still."""
        os.mkfifo(self.path("gate"))
        trap = f'echo > {self.path("asked")}; read -r word < {self.path("gate")}; echo > {self.path("stopped")}; exit 1'
        launch = self.launch("--run-dir", self.run_dir, "--workers", "1", "--fanout", "1", "--grace", "8s", "--",
                             "sh", "-c", f"trap '{trap}' TERM; echo > {self.path('pids')}; while :; do sleep 0.01; done",
                             stdin=b"one\n")
        eventually(lambda: os.path.exists(self.path("pids")), "the work")
        launch.signal(signal.SIGTERM)
        launch.says("draining")
        launch.signal(signal.SIGTERM)
        eventually(lambda: os.path.exists(self.path("asked")), "the work to be asked to stop")
        self.stop(self.all_of(launch), 12)
        self.let_go("gate")
        self.assertEqual(launch.code(), 128 + signal.SIGTERM, launch.err)
        self.assertTrue(os.path.exists(self.path("stopped")))
        self.assertNotIn("did not stop in time", launch.err)

    def test_several_standstills_one_after_the_other_cost_nothing(self):
        launch = self.start("--deadline", "none")
        for _ in range(3):
            self.stop(self.all_of(launch), 6 * HEARTBEAT)
        self.completes_at_the_first_attempt(launch)

    def test_a_broker_that_stood_still_alone_takes_no_worker_for_silent(self):
        launch = self.start("--deadline", "none")
        self.stop([self.pid_of("broker")], 8 * HEARTBEAT)
        stats = self.broker_until(lambda broker: broker["stood_still_s"] > 4 * HEARTBEAT, "its standstill")
        self.assertEqual(stats["workers_silent"], 0)
        self.let_go("gate")
        self.assertEqual(self.ends_well(launch)[0]["completed"], 1)


if __name__ == "__main__":
    unittest.main()

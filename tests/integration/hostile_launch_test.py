"""Launch and the life of its group, attacked: ends that nobody answers, orphans, members that are of no use, deaf work."""

import contextlib
import os
import signal
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "support"))

from group import GroupTest, eventually, processes_running  # noqa: E402

LONG_GRACE = ("--grace", "1m")  # above the patience of a test


class TheEndOfAGroup(GroupTest):
    """Processes as launch runs them, each with a lifeline; the broker or the collector stands still and answers nothing."""

    def member(self, role, *words, **how):
        """Returns the process, and what launch says to it."""
        reader, writer = os.pipe()
        self.addCleanup(os.close, writer)
        running = self.binary(role, *LONG_GRACE, *words, pass_fds=(reader,),
                              environment={"CURFEW_LIFELINE": str(reader), "CURFEW_NAME": role}, **how)
        os.close(reader)
        return running, lambda line: os.write(writer, line + b"\n")

    def ends_when_over(self, running, say):
        say(b"over")
        running.signal(signal.SIGTERM)
        self.assertEqual(running.code(), 0, running.err)

    def stopped(self, running):
        running.signal(signal.SIGSTOP)
        self.addCleanup(running.signal, signal.SIGCONT)

    def test_a_worker_that_hears_it_is_over_waits_for_no_confirmation(self):
        collector = self.ready("collector", *LONG_GRACE)
        broker = self.ready("broker", "--fanout", "1", "--deadline", "none", stdin="pipe")
        worker, say = self.member("worker", "--handler", "echo")
        self.workers_are_ready(1)
        self.stopped(collector)
        broker.feed(b"x\n")
        eventually(lambda: self.snapshot("worker").get("held", {}).get("reported"), "a report that nobody confirms")
        self.ends_when_over(worker, say)

    def test_a_collector_that_hears_it_is_over_waits_for_no_acknowledgement(self):
        collector, say = self.member("collector")
        broker = self.ready("broker", "--fanout", "1", "--deadline", "none", stdin="pipe")
        self.ready("worker", "--", "sh", "-c", "touch began; until [ -e go ]; do sleep 0.01; done; cat")
        self.workers_are_ready(1)
        broker.feed(b"x\n")
        eventually(lambda: os.path.exists(self.path("began")), "the work")
        self.stopped(broker)
        self.write("go", "")
        eventually(lambda: self.snapshot("collector").get("unacknowledged"), "an outcome that nobody acknowledges")
        self.ends_when_over(collector, say)
        self.assertEqual(collector.lines, ["x"])

    def test_work_that_still_runs_is_stopped_before_its_worker_ends(self):
        self.ready("collector")
        broker = self.ready("broker", "--fanout", "1", "--deadline", "none", stdin="pipe")
        worker, say = self.member("worker", "--", "sleep", self.sleep)
        self.workers_are_ready(1)
        broker.feed(b"x\n")
        eventually(lambda: processes_running(self.sleep), "the work")
        say(b"over")
        eventually(lambda: self.snapshot("worker"), "a worker that goes on: it was not stopped")
        self.ends_when_over(worker, say)
        self.assertEqual(processes_running(self.sleep), [])


if __name__ == "__main__":
    unittest.main()

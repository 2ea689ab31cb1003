"""scripts/drill: its verdict, that it can fail, and that nothing is left of it, however it ends. With one node."""

import argparse
import contextlib
import glob
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import unittest

TESTS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path[:0] = [os.path.join(TESTS, "support"), TESTS]

from group import BIN_DIR, PYTHON, ROOT, eventually, processes_with  # noqa: E402
from rabbit import RabbitServer, needs_rabbit  # noqa: E402

from drill_lib.books import Books  # noqa: E402

with contextlib.suppress(ImportError):  # it needs pika
    from drill_lib.clients import Producer

UP = 400.0  # seconds that a node and groups may take


class Verdict(unittest.TestCase):
    def setUp(self):
        self.books = Books()

    def accept(self, *names, at=0.0):
        for name in names:
            self.books.published(at, name)
            self.books.accepted(name)

    def answer(self, name, at=0.0, task="1-1", redelivered=False):
        self.books.outcome(at, name, task, redelivered)

    def said(self, *names):
        verdict = self.books.verdict()
        return tuple(verdict[name] for name in names)

    def test_an_outcome_that_does_not_come_is_lost(self):
        self.accept("a", "b")
        self.answer("a")
        self.assertEqual(self.said("accepted", "answered", "lost", "unexpected"), (2, 1, 1, 0))
        self.assertEqual((self.books.lost(), self.books.unanswered), (["b"], 1))

    def test_an_outcome_of_what_nobody_published_is_unexpected(self):
        self.accept("a")
        self.answer("a")
        self.answer("z")
        self.assertEqual(self.said("answered", "lost", "unexpected"), (1, 0, 1))

    def test_what_was_not_confirmed_may_come_or_not(self):
        self.books.published(0.0, "a")
        self.books.published(0.0, "b")
        self.answer("a")
        self.assertEqual(self.said("accepted", "answered", "lost", "unexpected", "unconfirmed"), (0, 0, 0, 0, 2))

    def test_an_outcome_may_be_there_before_the_confirmation(self):
        self.books.published(0.0, "a")
        self.answer("a")
        self.books.accepted("a")
        self.assertEqual((self.said("lost"), self.books.unanswered), ((0,), 0))

    def test_a_second_outcome_counts_for_the_fault_before_it(self):
        self.accept("a", "b")
        self.answer("a", task="1-1")
        self.books.fault(1.0, "freeze")
        self.answer("a", task="2-1")  # by another group
        self.answer("a", task="3-1")
        self.answer("b", task="1-2")
        self.answer("b", task="1-2")  # published again
        self.assertEqual(self.said("twice", "twice_after"), (2, {"freeze": 2}))

    def test_what_was_settled_before_a_fault_must_not_come_twice(self):
        for name, at in (("settled", 0.0), ("acknowledged late", 8.5), ("in flight", 9.0), ("during", 12.0), ("after", 21.0)):
            self.accept(name, at=at)
            self.answer(name, at=max(at + 1.0, 11.0 if name == "in flight" else 0.0))
        self.books.fault(10.0, "kill")
        self.books.over(20.0)
        self.assertEqual(self.said("twice", "met"), (0, 3))
        for name in ("settled", "acknowledged late", "in flight", "during", "after"):
            self.answer(name, at=30.0, task="2-1")
        self.assertEqual(self.said("twice", "twice_though_settled"), (5, 2))
        self.assertEqual(self.books.twice_though_settled(), ["after", "settled"])

    def test_a_fault_lasts_until_it_is_over(self):
        self.accept("a", at=50.0)
        self.answer("a", at=51.0, task="1-1")
        self.answer("a", at=52.0, task="2-1")
        self.assertEqual(self.said("met", "twice_though_settled"), (0, 1))
        self.books.fault(10.0, "cut")
        self.assertEqual(self.said("met", "twice_though_settled"), (1, 0))

    def test_what_the_consumer_was_given_again_is_one_outcome(self):
        self.accept("a")
        self.answer("a", task="1-1")
        self.answer("a", task="1-1", redelivered=True)
        self.assertEqual(self.said("answered", "twice"), (1, 0))
        self.answer("a", task="2-1", redelivered=True)
        self.assertEqual(self.said("twice"), (1,))

    def test_a_gap_belongs_to_the_fault_in_which_it_lies(self):
        for at, kind in ((10.0, "cut"), (20.0, "kill"), (30.0, "cut")):
            self.books.fault(at, kind)
        for number, at in enumerate((1.0, 9.0, 15.5, 20.5, 24.0, 28.0, 33.0, 34.0, 40.0)):
            self.answer(str(number), at=at)
        self.assertEqual(self.said("longest_gap_s", "gap_after_s"), (8.0, {"cut": 6.5, "kill": 4.0}))


class Drill:
    def __init__(self, *words):
        self.home = tempfile.mkdtemp(prefix="curfew-test-")
        self.temp = os.path.join(self.home, "temp")
        os.mkdir(self.temp)
        self._out, self._err = os.path.join(self.home, "out"), os.path.join(self.home, "err")
        words = ["setpriv", "--pdeathsig", "TERM", PYTHON, os.path.join(ROOT, "scripts", "drill"), "--nodes", "1",
                 "--groups", "2", "--backlog", "60", "--json", *words]
        with open(self._out, "wb") as out, open(self._err, "wb") as err:
            self.process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=out, stderr=err,
                                            start_new_session=True,
                                            env={**os.environ, "TMPDIR": self.temp, "CURFEW_BIN_DIR": BIN_DIR})

    @property
    def err(self):
        with open(self._err, encoding="utf-8", errors="replace") as file:
            return file.read()

    def says(self, text):
        eventually(lambda: re.search(text, self.err), lambda: f"'{text}', not only: {self.err}", UP)

    def code(self):
        return self.process.wait(UP)

    def verdict(self):
        with open(self._out, encoding="utf-8") as file:
            return json.loads(file.read())

    def node(self):
        """The process id of its first node."""
        [path] = glob.glob(os.path.join(self.temp, "curfew-drill-*", "cluster", "h1", "pid"))
        with open(path, encoding="ascii") as file:
            return int(file.read())

    def remains(self):
        """Processes and files, its guard included."""
        return processes_with(self.temp) + os.listdir(self.temp)

    def remove(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        eventually(lambda: not self.remains(), "the end of a drill that was killed", UP)
        shutil.rmtree(self.home)


@needs_rabbit
class Producing(unittest.TestCase):
    def test_where_a_confirmation_does_not_come_it_goes_on_at_the_next_node(self):
        server = RabbitServer(queues=("jobs",))
        self.addCleanup(server.close)
        books = Books()
        producer = Producer([server.url()], "jobs", books, argparse.Namespace(seed=1, rate=100, backlog=10), confirm=1.0)
        server.set_memory_alarm(True)  # a server that confirms nothing
        producer.start()
        eventually(lambda: producer.losses >= 2 and books.verdict()["unconfirmed"] >= 3, "another connection", UP)
        self.assertEqual(books.verdict()["accepted"], 0)
        server.set_memory_alarm(False)
        eventually(lambda: books.verdict()["accepted"] == 10, "what may be there", UP)
        self.assertTrue(producer.stop())
        self.assertGreaterEqual(books.verdict()["unconfirmed"], 2)


@needs_rabbit
class Drills(unittest.TestCase):
    def drill(self, *words):
        drill = Drill(*words)
        self.addCleanup(drill.remove)
        return drill

    def test_nothing_is_lost_whatever_is_killed(self):
        kinds = ("kill-broker", "kill-collector", "kill-group", "kill-node")
        drill = self.drill("--seed", "7", "--faults", "4", "--kinds", ",".join(kinds))
        self.assertEqual(drill.code(), 0, drill.err)
        verdict = drill.verdict()
        self.assertEqual((verdict["lost"], verdict["unexpected"], verdict["twice_though_settled"], verdict["wrong"]),
                         (0, 0, 0, []))
        self.assertGreater(verdict["met"], 0)
        self.assertEqual((verdict["seed"], verdict["faults"]), (7, dict.fromkeys(sorted(kinds), 1)))
        self.assertEqual(verdict["answered"], verdict["accepted"])
        self.assertGreater(verdict["accepted"], 60)
        self.assertEqual(verdict["gap_after_s"].keys(), verdict["faults"].keys())
        self.assertEqual(drill.remains(), [])

    def test_an_outcome_that_is_dropped_or_invented_fails_it(self):
        drill = self.drill("--groups", "1", "--faults", "0", "--drop", "2", "--invent", "3")
        self.assertEqual(drill.code(), 1, drill.err)
        verdict = drill.verdict()
        self.assertEqual((verdict["lost"], verdict["unexpected"], verdict["wrong"]), (2, 3, []))
        self.assertEqual(drill.remains(), [])

    def test_a_node_that_hangs_is_started_again(self):
        drill = self.drill("--groups", "1", "--faults", "1", "--kinds", "kill-broker", "--hangs", "3")
        drill.says("all is up")
        os.kill(drill.node(), signal.SIGSTOP)
        self.assertEqual(drill.code(), 0, drill.err)
        verdict = drill.verdict()
        self.assertEqual((verdict["nodes_started_again"], verdict["lost"], verdict["wrong"]), (1, 0, []))
        self.assertRegex(drill.err, "1 kill-broker: h1 is not well for 3 s: killed, and started again")

    def test_nothing_is_left_of_one_that_is_interrupted_or_killed(self):
        interrupted = self.drill("--groups", "1", "--faults", "9", "--kinds", "freeze")
        killed = self.drill("--groups", "1", "--faults", "9")
        interrupted.says("freeze: g")
        interrupted.process.send_signal(signal.SIGINT)
        killed.says("all is up")
        killed.process.kill()
        self.assertEqual(interrupted.code(), 130, interrupted.err)
        self.assertEqual(interrupted.remains(), [])
        self.assertEqual(killed.code(), -signal.SIGKILL)
        eventually(lambda: not killed.remains(), lambda: f"an end of {killed.remains()}", UP)


if __name__ == "__main__":
    unittest.main()

"""No attempt waits for a slot that is busy while another is free: placement, recall, and what a worker
that leaves hands back. Work that hangs waits at a FIFO of its own until the test lets it go, so only
order and counts are judged, never times.
"""

import json
import os
import signal
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))

from group import GroupTest, eventually, numbers  # noqa: E402

HANG = 'read -r word; case $word in hang*) : > "$TEST_HOME/$word.begun"; read -r go < "$TEST_HOME/$word";; esac; ' \
    'echo "$word"'
BARRIER = 'read -r word; : > "$TEST_HOME/here/$word"; ' \
    'while set -- "$TEST_HOME"/here/*; [ $# -lt 10 ]; do sleep 0.02; done; echo "$word"'


class SlotsTest(GroupTest):
    def setUp(self):
        super().setUp()
        for word in ("hang", "hang1", "hang2"):
            os.mkfifo(self.path(word))

    def results(self, running):
        return sorted(json.loads(line)["result"] for line in running.lines)


class UnderLaunch(SlotsTest):
    def test_short_work_does_not_wait_behind_long_work_while_another_worker_is_free(self):
        launch = self.launch("--workers", "2", "--fanout", "1", "--deadline", "none", "--json", "--", "sh", "-c", HANG,
                             stdin=b"hang\na\nb\nc\n")
        launch.writes(3)
        self.assertEqual(self.results(launch), ["a", "b", "c"])
        self.let_go("hang")
        self.assertEqual(self.ends_well(launch)[0]["completed"], 4)

    def _barrier(self, **environment):
        os.mkdir(self.path("here"))
        launch = self.launch("--workers", "10", "--fanout", "1", "--deadline", "none", "--json",
                             "--", "sh", "-c", BARRIER, stdin=numbers(10), environment=environment)
        tasks, attempts = self.ends_well(launch, patience=60)
        self.assertEqual((tasks["completed"], attempts["won"], attempts["lost"]), (10, 10, 0))
        self.assertEqual({json.loads(line)["attempts"] for line in launch.lines}, {1}, "a move is no extra work")

    def test_messages_that_need_each_other_to_run_all_run_where_there_are_as_many_slots(self):
        self._barrier()

    def test_they_do_so_too_when_all_workers_are_awaited(self):
        self._barrier(CURFEW_AWAIT_WORKERS="10")

    def test_they_do_so_too_when_messages_are_taken_from_the_first_worker_on(self):
        self._barrier(CURFEW_AWAIT_WORKERS="1")

    def test_a_fanout_of_two_is_two_attempts_of_each_when_the_workers_are_ready(self):
        for round_ in range(3):
            with self.subTest(round=round_):
                launch = self.launch("--run-dir", self.run_dir, "--workers", "4", "--slots", "2", "--fanout", "2",
                                     "--handler", "sleep:20ms", stdin="pipe")
                self.workers_are_ready(4)
                launch.feed(numbers(3))
                launch.end_of_input()
                tasks, attempts = self.ends_well(launch)
                self.assertEqual((tasks["completed"], attempts["all"]), (3, 6))


class ByHand(SlotsTest):
    """One worker takes more than it can do, since it was told to; then another comes."""

    AHEAD = 8
    HELD = ["q1", "q2", "q3", "q4", "q5", "q6", "q7"]

    def setUp(self):
        super().setUp()
        self.collector = self.ready("collector", "--format", "json")
        self.broker = self.ready("broker", "--fanout", "1", "--deadline", "none", stdin="pipe")

    def worker(self, name, credit=AHEAD):
        worker = self.ready("worker", "--credit", str(credit), "--", "sh", "-c", HANG,
                            environment={"CURFEW_NAME": name})
        self.broker_until(lambda b: any(w["name"] == name and w["state"] == "ready" for w in b["workers"]),
                          f"{name} to be ready")
        return worker

    def fill(self):
        """The first worker holds eight, of which the first hangs."""
        worker = self.worker("w1")
        self.broker.feed("\n".join(["hang", *self.HELD, ""]).encode())
        self.broker_until(lambda b: b["attempts"]["in_flight"] == self.AHEAD, "its credit to be used up")
        self.holds("w1", "hang", self.AHEAD)
        return worker

    def holds(self, name, running, attempts):
        """What the worker itself says: what is still under way to it is lost with it, not handed back."""
        eventually(lambda: os.path.exists(self.path(f"{running}.begun")), f"{running} to run")
        eventually(lambda: sum(self.answer(name)["held"].values()) == attempts, f"{name} to hold {attempts}")

    def drained(self):
        self.broker.end_of_input()
        self.assertEqual(self.broker.code(), 0, self.broker.err)

    def only_placed_once(self):
        """Moves show in no figure of an outcome."""
        for line in self.collector.lines:
            outcome = json.loads(line)
            self.assertEqual((outcome["attempts"], outcome["attempt"]), (1, 1), outcome)

    def test_what_stands_behind_work_that_hangs_is_done_by_a_worker_that_comes_later(self):
        self.fill()
        self.worker("w2")
        self.collector.writes(len(self.HELD))
        self.assertEqual(self.results(self.collector), self.HELD)
        self.assertEqual({json.loads(line)["worker"] for line in self.collector.lines}, {"w2"})
        books = self.broker_until(lambda b: b["tasks"]["completed"] == len(self.HELD), "the books to have them")
        attempts = books["attempts"]
        self.assertEqual(books["moved"], len(self.HELD))
        self.assertEqual(attempts["cancelled"], books["moved"])
        self.assertEqual(attempts["started"], self.AHEAD + books["moved"])
        self.assertEqual((attempts["in_flight"], attempts["lost"], attempts["failed"]), (1, 0, 0))
        self.assertTrue(books["balanced"])
        self.only_placed_once()
        self.let_go("hang")
        self.collector.writes(self.AHEAD)
        self.only_placed_once()
        self.drained()

    def test_quick_work_passes_what_hangs_in_all_workers_but_one(self):
        self.worker("w1")
        self.worker("w2")
        self.worker("w3")
        words = [f"m{number:03}" for number in range(100)]
        self.broker.feed("\n".join(["hang1", *words[:50], "hang2", *words[50:], ""]).encode())
        self.collector.writes(len(words))
        self.assertEqual(self.results(self.collector), words)
        self.only_placed_once()
        self.let_go("hang1", "hang2")
        self.collector.writes(len(words) + 2)
        self.drained()

    def test_a_worker_that_is_told_to_stop_hands_back_what_has_not_begun(self):
        first = self.fill()
        first.signal(signal.SIGTERM)
        self.assertEqual(first.code(), 0, first.err)
        books = self.broker_until(lambda b: not b["workers"], "its session to be over")
        self.assertEqual(books["attempts"]["lost"], 1, "what ran there, and nothing else")
        self.assertEqual(books["moved"], len(self.HELD), "each was handed back once")
        self.assertEqual(books["attempts"]["cancelled"], len(self.HELD))
        self.worker("w2")
        self.let_go("hang")
        self.collector.writes(self.AHEAD)
        self.assertEqual(self.results(self.collector), ["hang", *self.HELD])
        self.drained()

    def test_what_was_handed_back_is_done_by_a_worker_that_is_there_already(self):
        first = self.worker("w1")
        self.worker("w2", credit=1)
        self.broker.feed(b"hang1\nhang2\n")
        self.broker_until(lambda b: [w["in_flight"] for w in b["workers"]] == [1, 1], "one to hang in each")
        self.broker.feed("\n".join([*self.HELD, ""]).encode())
        self.broker_until(lambda b: b["attempts"]["in_flight"] == self.AHEAD + 1, "all others to stand in the first")
        for word in ("hang1", "hang2"):
            eventually(lambda: os.path.exists(self.path(f"{word}.begun")), f"{word} to run")
        eventually(lambda: sum(self.answer("w1")["held"].values()) == self.AHEAD, "the first to hold them")
        first.signal(signal.SIGTERM)
        self.assertEqual(first.code(), 0, first.err)
        self.let_go("hang1", "hang2")
        self.collector.writes(self.AHEAD + 1)
        self.assertEqual(self.results(self.collector), ["hang1", "hang2", *self.HELD])
        books = self.broker_until(lambda b: b["tasks"]["completed"] == self.AHEAD + 1, "the books")
        self.assertEqual((books["attempts"]["lost"], books["moved"]), (1, len(self.HELD)))
        self.drained()


if __name__ == "__main__":
    unittest.main()

"""Peers that go wrong: workers that report junk, or nothing, or do not stop; frames that nobody of
the group has sent; messages as large as can be; a reader that stops. Every message has its outcome
in the end, and the group ends by itself.
"""

import json
import os
import signal
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))

from peers import CONTROL, LIFE, REPORTS, TASKS, TO_BROKER, TO_COLLECTOR, Peers, frame  # noqa: E402
from fake_worker import GONE, HELLO, OK, REPORT, FakeWorker  # noqa: E402
import zmq  # noqa: E402
from group import GroupTest, eventually, memory_peak_mib, numbers  # noqa: E402

INCOMPLETE = 1
HEARTBEAT = "2s"
GREATEST = 2**64 - 1


class BadWorkers(GroupTest):
    """Broker and collector are real, the worker is not."""

    def group(self, *words):
        self.environment["CURFEW_HEARTBEAT"] = HEARTBEAT
        self.collector = self.ready("collector", "--format", "json")
        self.broker = self.ready("broker", "--fanout", "1", *words, stdin="pipe")

    def feed(self, count):
        self.broker.feed(numbers(count))

    def outcomes(self):
        return [json.loads(line)["outcome"] for line in self.collector.lines]

    def good_worker_alone(self):
        self.ready("worker", "--handler", "echo", environment={"CURFEW_NAME": "good"})
        self.broker_until(lambda b: [(w["name"], w["state"]) for w in b["workers"]] == [("good", "ready")],
                          "a good worker alone")

    def ends_balanced(self):
        self.broker.signal(signal.SIGUSR1)  # without a worker it does not read on to the end of its input
        self.assertEqual(self.broker.code(), 75, self.broker.err)  # its stdin is open

    def test_a_worker_whose_reports_cannot_be_read_is_refused_and_named_and_every_task_has_its_outcome(self):
        def junk(_, number, seq, __):
            return [(REPORT, number, seq, OK, 1, 1, 5, None, None, None)]
        self.group("--deadline", "5s")
        bad = FakeWorker(self, "bad", answer=junk)
        self.workers_are_ready(1)
        self.feed(12)
        self.collector.writes(12)
        self.assertEqual(self.outcomes(), ["expired"] * 12)
        stats = self.broker_until(lambda b: b["tasks"]["in_flight"] == 0, "the books to have them")
        self.assertGreaterEqual(stats["workers_refused"], 1)
        self.collector.says(rf"worker bad, session {bad.sessions[0]}, record 1 \(type 12, of \d+\): "
                            "field 8 cannot be read")
        bad.leave()
        self.good_worker_alone()
        self.feed(20)
        self.collector.writes(32)
        self.assertEqual(self.outcomes()[12:], ["completed"] * 20)
        self.ends_balanced()

    def test_a_worker_that_never_reports_holds_no_outcome(self):
        self.group("--deadline", "500ms")
        silent = FakeWorker(self, "silent")
        self.workers_are_ready(1)
        self.feed(3)
        self.collector.writes(3)
        self.assertEqual(self.outcomes(), ["expired"] * 3)
        stats = self.broker_until(lambda b: b["tasks"]["expired"] == 3, "the books to have them")
        self.assertEqual((stats["forced"], stats["attempts"]["in_flight"], stats["balanced"]), (3, 3, True))
        for line in self.collector.lines:
            history = [(past["worker"], past["error"]) for past in json.loads(line)["history"]]
            self.assertEqual(history, [("silent", "still running")])
        silent.leave()
        stats = self.broker_until(lambda b: b["attempts"]["in_flight"] == 0, "its attempts to end")
        self.assertEqual((stats["attempts"]["lost"], stats["attempts"]["started"], stats["balanced"]), (3, 3, True))
        self.ends_balanced()

    def test_a_worker_that_reports_tasks_it_was_not_given_holds_no_outcome(self):
        """Of numbers of its own; the tasks are to come."""
        def other(_, number, seq, __):
            return [(REPORT, number, seq + 100, OK, 1, 1, 5, None, b"", b"forged")]
        self.group("--deadline", "1s")
        wrong = FakeWorker(self, "wrong", answer=other)
        self.workers_are_ready(1)
        self.feed(10)
        self.broker_until(lambda b: b["tasks"]["expired"] == 10, "ten to expire")
        wrong.leave()
        self.good_worker_alone()
        self.feed(200)
        def done(broker):
            return (broker["tasks"]["in_flight"], broker["tasks"]["accepted"]) == (0, 210)
        self.broker_until(done, lambda: f"all to have an outcome: {self.snapshot().get('tasks')}")
        self.ends_balanced()


class ForeignFrames(GroupTest):
    """Frames that none of the group has sent, while it works. It heals by itself: no process ends,
    every message is done."""

    MESSAGES = 600

    def setUp(self):
        super().setUp()
        self.peers = Peers()
        self.addCleanup(self.peers.close)
        self.launched = self.launch("--run-dir", self.run_dir, "--workers", "2", "--fanout", "1", "--json",
                                    "--window", "100", "--deadline", "none", "--handler", "sleep:exp:2ms",
                                    stdin="pipe", environment={"CURFEW_HEARTBEAT": HEARTBEAT})
        self.workers_are_ready(2)
        snapshots = self.answers(*self.NAMES)
        self.pids = self.pids_now()
        self.broker = snapshots["broker"]["incarnation"]
        self.collector = snapshots["collector"]["incarnation"]
        self.session = snapshots["w1"]["session"]
        self.w1 = next(worker for worker in snapshots["broker"]["workers"] if worker["name"] == "w1")
        self.launched.feed(numbers(self.MESSAGES // 2))
        self.launched.writes(20)

    def pids_now(self):
        return {name: snapshot["pid"] for name, snapshot in self.answers(*self.NAMES).items()}

    NAMES = ("broker", "collector", "w1", "w2")
    READERS = {"events": "broker", "results": "collector", "w1.tasks": "w1", "w1.control": "w1"}

    def send(self, road, *frames):
        """Returns when all of them were read: what comes last is counted as junk."""
        def junk():
            return self.snapshot(self.READERS[road]).get("malformed_frames", 0)
        before = junk()
        push = self.peers.socket(zmq.PUSH, connect=f"ipc://{self.run_dir}/{road}.sock")
        for bytes_ in (*frames, b"\xc1"):
            push.send(bytes_)
        eventually(lambda: junk() > before, "the frames to be read")

    def heals(self, twice=False):
        """`twice`: a sync may have some outcomes written twice. Where a process notices a forgery, there is one."""
        self.launched.writes(self.MESSAGES // 2)
        self.launched.feed(numbers(self.MESSAGES // 2))
        self.launched.writes(self.MESSAGES)
        self.assertEqual(self.pids_now(), self.pids, "nobody was replaced")
        self.launched.end_of_input()
        self.assertEqual(self.ends_well(self.launched)[0]["completed"], self.MESSAGES)
        seqs = [json.loads(line)["seq"] for line in self.launched.lines]
        self.assertEqual(set(seqs), set(range(1, self.MESSAGES + 1)))
        if not twice and "peer_wrong" not in self.launched.err:
            self.assertEqual(len(seqs), self.MESSAGES)

    def hello(self, incarnation, hello=1, name=b"w1"):
        nowhere = f"ipc://{self.home}/nobody".encode()
        return frame(LIFE, 0, 0, (HELLO, incarnation, hello, name, b"default", 64, 64, 1, nowhere, nowhere))

    # --- events ---

    def collector_hello(self, incarnation, *more):
        return frame(TO_BROKER, self.broker, incarnation, (30, self.broker, [], *more))

    def test_a_collector_of_the_greatest_incarnation(self):
        self.send("events", *[self.collector_hello(GREATEST)] * 3)
        self.heals()

    def test_a_collector_of_the_near_future(self):
        self.send("events", *[self.collector_hello(self.collector + 1)] * 3)
        self.heals(twice=True)

    def test_a_collector_that_asks_for_one_sync_after_the_other(self):
        """While outcomes are on their way to the sink, and what is settled to the broker."""
        push = self.peers.socket(zmq.PUSH, connect=f"ipc://{self.run_dir}/events.sock")
        self.launched.feed(numbers(self.MESSAGES // 2))
        for round_ in range(1, 20):
            push.send(self.collector_hello(self.collector, round_, 99, round_))
            lines = len(self.launched.lines)
            eventually(lambda: len(self.launched.lines) > lines or lines >= self.MESSAGES, "one more outcome")
        self.launched.writes(self.MESSAGES)
        self.launched.end_of_input()
        self.assertEqual(self.ends_well(self.launched)[0]["completed"], self.MESSAGES)

    def test_a_collector_that_says_twice_that_a_record_cannot_be_read(self):
        for round_ in range(1, 6):
            self.send("events", self.collector_hello(self.collector, round_, 22, 1))
        self.heals()

    def test_batches_of_a_stream_to_the_broker(self):
        self.send("events", *(frame(TO_BROKER, self.broker, self.collector, (99,), number=n) for n in range(1, 5000)))
        self.heals()

    def test_acknowledgements_to_the_broker(self):
        self.send("events", *(frame(TO_BROKER, self.broker, self.collector, acked=n) for n in range(1, 5000)))
        self.heals()

    def test_a_newer_life_of_a_worker(self):
        self.send("events", self.hello(GREATEST), self.hello(GREATEST, 2))
        self.heals()

    def test_a_later_session_of_a_worker(self):
        self.send("events", self.hello(self.w1["incarnation"], GREATEST))
        self.heals()

    def test_a_heartbeat_of_a_worker_without_slots(self):
        self.send("events", *[frame(LIFE, self.broker, self.session, (11, 0, 1))] * 20)
        self.heals()

    # --- control and tasks of a worker ---

    def test_gone_said_to_a_worker(self):
        self.send("w1.control", frame(CONTROL, self.broker, self.session, (GONE,)))
        self.heals()

    def test_cancels_said_to_a_worker(self):
        for reason in (1, 2, 3):
            self.send("w1.control", *(frame(CONTROL, self.broker, self.session, (5, reason, [n, n + 9]))
                                      for n in range(1, 2000, 10)))
        self.heals()

    def test_confirmations_said_to_a_worker(self):
        self.send("w1.control", *[frame(CONTROL, self.broker, self.session, (6, [1, 2**63]))] * 20)
        self.heals()

    def test_recalls_said_to_a_worker(self):
        self.send("w1.control", *(frame(CONTROL, self.broker, self.session, (17, GREATEST, [n, n + 9]))
                                  for n in range(1, 2000, 10)))
        self.heals()

    def test_a_ping_that_names_the_greatest_collector(self):
        self.send("w1.control", frame(CONTROL, self.broker, self.session, (4, GREATEST, 1)))
        self.heals()

    def test_a_welcome_of_the_greatest_broker_in_the_moment_after_gone(self):
        self.send("w1.control", frame(CONTROL, self.broker, self.session, (GONE,)),
                  frame(CONTROL, GREATEST, 77, (3, self.w1["incarnation"], 2, 1, 1)))
        self.heals()

    def test_tasks_said_to_a_worker_under_numbers_that_will_come(self):
        self.send("w1.tasks", *(frame(TASKS, self.broker, self.session, (1, n, 10**6 + n, 1, 1, -1, 0, None, b"x"))
                                for n in range(1, 1000)))
        self.heals_with_more()

    # --- results ---

    def test_a_sync_of_the_greatest_broker(self):
        self.send("results", *[frame(TO_COLLECTOR, GREATEST, self.collector, (20, 1, [], [], [], 1))] * 3)
        self.heals()

    def test_a_sync_of_the_near_future(self):
        self.send("results", *[frame(TO_COLLECTOR, self.broker + 1, self.collector, (20, 1, [], [], [], 1))] * 3)
        self.heals()

    def test_a_sync_under_the_name_of_the_broker(self):
        self.send("results", frame(TO_COLLECTOR, self.broker, self.collector, (20, self.broker, [], [], [], 1000)))
        self.heals()

    def test_batches_of_a_stream_to_the_collector_before_a_worker_comes_again(self):
        self.send("results", *(frame(TO_COLLECTOR, self.broker, self.collector, (99,), number=n)
                               for n in range(1, 5000)))
        self.send("w1.control", frame(CONTROL, self.broker, self.session, (GONE,)))
        self.broker_until(lambda b: any(w["session"] > 2 and w["state"] == "ready" for w in b["workers"]),
                          "a new session")
        self.heals()

    def test_tokens_of_a_worker(self):
        self.send("results", *(frame(REPORTS, self.broker, self.session, (13, self.session, r, [], [], [], [], []))
                               for r in range(1, 1000)))
        self.heals()

    def test_more_heartbeats_of_a_worker_than_it_can_keep(self):
        self.send("events", *[frame(LIFE, self.broker, self.session, (11, 4096, 1_000_000))] * 20)
        self.heals()

    def test_acknowledgements_to_the_collector(self):
        self.send("results", *(frame(TO_COLLECTOR, self.broker, self.collector, acked=n) for n in range(1, 5000)))
        self.heals()

    def test_a_rival_of_the_collector(self):
        for incarnation in (self.collector + 1, GREATEST - 2**34, GREATEST):
            self.send("results", *[frame(TO_COLLECTOR, self.broker, incarnation, (21, self.broker))] * 3)
        self.heals(twice=True)

    def test_a_bye_of_a_worker(self):
        self.send("results", frame(REPORTS, self.broker, self.session, (14, self.session)))
        self.heals()

    def test_reports_of_numbers_that_will_come(self):
        self.send("results", *(frame(REPORTS, self.broker, self.session, (12, n, 0, 5, 1, 1, 5, None, b"", b""))
                               for n in range(200, 1000)))
        self.heals()

    def test_a_result_of_a_task_that_will_come(self):
        self.send("results", frame(REPORTS, self.broker, self.session,
                                   (12, 10**6, self.MESSAGES, OK, 1, 1, 5, None, b"", b"x")))
        self.heals_with_more()

    def heals_with_more(self):
        """Outcomes that were forged are written: each message has one, and the group ends."""
        self.launched.feed(numbers(self.MESSAGES // 2))
        every = set(range(1, self.MESSAGES + 1))
        eventually(lambda: {json.loads(line)["seq"] for line in self.launched.lines} >= every, "an outcome for each")
        self.launched.end_of_input()
        self.assertEqual(self.launched.code(), 0, self.launched.err)
        tasks, attempts = self.books(self.launched)
        self.assertEqual((tasks["completed"], attempts["in flight"]), (self.MESSAGES, 0))


class LargeMessages(GroupTest):
    """Verdicts carry their messages: all of them together are more than a frame may have."""

    LARGE = 45_000_000
    MANY = 250

    def test_verdicts_over_messages_that_together_are_more_than_a_frame(self):
        with open(self.path("large"), "wb") as file:
            for _ in range(4):
                file.write(b"x" * self.LARGE + b"\n")
        launch = self.launch("--workers", "4", "--fanout", "1", "--max-message", "64m", "--deadline", "1s", "--json",
                             "--input", self.path("large"), "--handler", "sleep:20s")
        tasks, _ = self.ends_well(launch, INCOMPLETE, patience=60)
        self.assertEqual((tasks["expired"], tasks["all"]), (4, 4))
        self.assertEqual([len(json.loads(line)["message"]) for line in launch.lines], [self.LARGE] * 4)

    def _many(self):
        with open(self.path("many"), "wb") as file:
            for _ in range(self.MANY):
                file.write(b"x" * 1_000_000 + b"\n")
        return self.launch("--run-dir", self.run_dir, "--workers", "1", "--fanout", "1", "--deadline", "1s", "--json",
                           "--input", self.path("many"), "--handler", "sleep:20s")

    def test_verdicts_over_many_messages_at_once(self):
        launch = self._many()
        tasks, _ = self.ends_well(launch, INCOMPLETE, patience=90)
        self.assertEqual((tasks["expired"], tasks["all"]), (self.MANY, self.MANY))
        self.assertEqual({len(json.loads(line)["message"]) for line in launch.lines}, {1_000_000})

    def test_a_group_with_such_verdicts_obeys_term(self):
        launch = self._many()
        self.broker_until(lambda b: b["tasks"]["accepted"] > 100, "a hundred to be taken")
        launch.signal(signal.SIGTERM)
        launch.says("draining, ")
        launch.signal(signal.SIGTERM)
        self.assertIn(launch.code(), (INCOMPLETE, 75, 128 + signal.SIGTERM))


class DeafWork(GroupTest):
    """A function that does not look at its stop token for far longer than grace: the sieve's first
    rounds over its largest number. A thread cannot be killed, so its worker is replaced."""

    def test_its_outcome_is_expired_and_the_group_ends_by_itself(self):
        launch = self.launch_procfile("broker: curfew-broker --source stdin --fanout 1 --deadline 50ms --grace 20ms",
                                      "one: curfew-example-worker --slots 1 --grace 20ms",
                                      "collector: curfew-collector --format json", stdin=b"200000000\n" * 4)
        tasks, attempts = self.ends_well(launch, INCOMPLETE)
        self.assertEqual((tasks["expired"], tasks["all"]), (4, 4))
        self.assertEqual({json.loads(line)["outcome"] for line in launch.lines}, {"expired"})
        self.assertEqual(attempts["lost"], 0)


class StoppedReader(GroupTest):
    BACKLOG = 4 << 20
    WINDOW = 64
    RESULT = 100_000
    MESSAGES = 2000

    def test_a_reader_that_stops_stops_the_intake_and_loses_nothing(self):
        reader, writer = os.pipe()
        self.addCleanup(os.close, reader)
        work = f'head -c {self.RESULT} /dev/zero | tr "\\0" x'
        launch = self.launch("--run-dir", self.run_dir, "--workers", "2", "--slots", "2", "--fanout", "1", "--json",
                             "--deadline", "none", "--window", str(self.WINDOW), "--", "sh", "-c", work,
                             stdin=numbers(self.MESSAGES), stdout=writer,
                             environment={"CURFEW_BACKLOG": str(self.BACKLOG)})
        os.close(writer)
        seen = []

        def intake_has_stopped():
            seen.append(self.broker_until(bool, "the broker"))
            full = seen[-1]["backlog_bytes"] >= self.BACKLOG
            return full and len(seen) > 20 and seen[-20]["tasks"] == seen[-1]["tasks"]
        eventually(intake_has_stopped, lambda: f"the intake to stop: {seen[-1]['tasks']}", 60)
        self.assertLess(seen[-1]["tasks"]["accepted"], self.MESSAGES // 2)
        # The budget and the results that were in flight when it was used up, each also as a line of JSON; the process.
        most = 2 * (self.BACKLOG + self.WINDOW * self.RESULT) / 2**20 + 60
        self.assertLess(memory_peak_mib(self.answer("collector")["pid"]), most)
        seqs = []
        with open(os.dup(reader), "rb") as lines:
            for line in lines:
                seqs.append(json.loads(line)["seq"])
        self.assertEqual(sorted(seqs), list(range(1, self.MESSAGES + 1)))
        self.assertEqual(self.ends_well(launch)[0]["completed"], self.MESSAGES)


if __name__ == "__main__":
    unittest.main()

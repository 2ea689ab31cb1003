"""The broker under attack: lines without an end, floods of hellos, descriptors that run out. It hears its signals, keeps
its good workers, opens a bounded number of sockets, and goes on once the attack is over. And floods at every socket of
the ring, faster than who reads there.
"""

import contextlib
import json
import os
import resource
import signal
import sys
import threading
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))

from peers import CONTROL, LIFE, REPORTS, TASKS, Peers, frame  # noqa: E402
import zmq  # noqa: E402
from group import GroupTest, descriptors_of, eventually, memory_peak_mib, numbers, processor_seconds  # noqa: E402

INCOMPLETE, LEFT_BEHIND, ON_TERM = 1, 75, 128 + signal.SIGTERM
PING, HELLO = 4, 10  # types of records
MOST_NEWCOMERS = 256


@contextlib.contextmanager
def flood(push, frames):
    """Sends the frames again and again, as fast as it can."""
    over = threading.Event()

    def send():
        while not over.is_set():
            for sent in frames:
                with contextlib.suppress(zmq.Again):  # nobody reads any more
                    push.send(sent, zmq.DONTWAIT)

    flooder = threading.Thread(target=send)
    flooder.start()
    try:
        yield
    finally:
        over.set()
        flooder.join()


class Floods(GroupTest):
    """Frames that cost who reads them far more than who sends them: tens of thousands of records in a good envelope."""

    def _flooded(self, socket, kind, process, field):
        peers = Peers()
        self.addCleanup(peers.close)
        launch = self.launch("--run-dir", self.run_dir, "--workers", "1", "--handler", "echo", stdin="pipe")
        worker = self.workers_are_ready(1)["workers"][0]
        push = peers.socket(zmq.PUSH, connect=f"ipc://{self.run_dir}/{socket}.sock")
        session = worker["session"] + (kind == CONTROL)  # a ping of its own would be believed
        junk = frame(kind, self.answer()["incarnation"], session, *[(PING, 0)] * 40_000)
        with flood(push, [junk]):
            eventually(lambda: self.snapshot(process).get(field, 0) > 4_000_000, f"{process} to read the flood")
            launch.feed(numbers(100))
            launch.writes(100)
            self.assertEqual(self.answer()["workers_silent"], 0)
            launch.end_of_input()
            self.assertEqual(self.ends_well(launch)[0]["completed"], 100)

    def test_at_the_collector_it_holds_up_nobody(self):
        self._flooded("results", REPORTS, "collector", "malformed_frames")

    def test_at_the_tasks_of_a_worker_it_holds_up_nobody(self):
        self._flooded("w1.tasks", TASKS, "w1", "malformed_frames")

    def test_at_the_control_socket_of_a_worker_it_holds_up_nobody(self):
        self._flooded("w1.control", CONTROL, "w1", "refused_frames")


class OverlongLines(GroupTest):
    GRACE = 2.0
    MOST_MIB = 100
    HEARTBEAT = "2s"

    def _sparse(self, size, tail):
        """A line of that many NULs, which takes no room on the disk, and `tail` behind it."""
        path = self.path("sparse")
        with open(path, "wb") as file:
            file.seek(size)
            file.write(tail)
        return path

    def test_a_line_without_an_end_on_stdin_costs_no_memory_and_the_broker_hears_term_within_grace(self):
        self.ready("collector")
        self.ready("worker", "--handler", "echo")
        broker = self.ready("broker", "--grace", f"{self.GRACE:.0f}s", stdin=open("/dev/zero", "rb"))
        stats = self.broker_until(lambda b: b["source"]["bytes_read"] > 1 << 30, "a gigabyte to be skipped")
        self.assertEqual(stats["source"]["refused"], 1, "one message, which is counted as soon as it is known to be too long")
        self.assertEqual([worker["state"] for worker in stats["workers"]], ["ready"])
        self.assertLess(memory_peak_mib(broker.pid), self.MOST_MIB)
        broker.signal(signal.SIGTERM)
        self.assertEqual(broker.code(), LEFT_BEHIND, "the line was not at its end")
        broker.says("go_on_at_line=1 go_on_at_byte=0")

    def test_launch_on_a_line_without_an_end_stops_when_it_is_told_to(self):
        launch = self.launch("--run-dir", self.run_dir, "--workers", "1", "--grace", f"{self.GRACE:.0f}s", "--handler", "echo",
                             stdin=open("/dev/zero", "rb"))
        self.broker_until(lambda b: b["source"]["bytes_read"] > 1 << 28, "some of it to be skipped")
        launch.signal(signal.SIGTERM)
        self.assertEqual(self.ends_well(launch, LEFT_BEHIND)[0]["all"], 0)
        launch.says("go on at line 1, byte offset 0 ")

    def test_workers_stay_while_a_line_of_gigabytes_is_skipped_and_the_line_behind_it_is_done(self):
        size = 3 << 30
        launch = self.launch("--run-dir", self.run_dir, "--workers", "2", "--json", "--input", self._sparse(size, b"\ngood\n"),
                             "--handler", "echo", environment={"CURFEW_HEARTBEAT": self.HEARTBEAT})
        eventually(lambda: not launch.alive, "its end", patience=60)
        tasks, attempts = self.ends_well(launch, INCOMPLETE)
        self.assertEqual((tasks["completed"], tasks["failed"], attempts["lost"]), (1, 1, 0))
        refused, good = sorted(map(json.loads, launch.lines), key=lambda outcome: outcome["seq"])
        self.assertEqual(refused["refused"], {"line": 1, "byte": 0, "size": size})
        self.assertEqual(good["result"], "good")
        self.assertIn("refused   1 message over --max-message, of the failed\n", launch.err)
        for word in ("silent", "died", "waiting for"):
            self.assertNotIn(word, launch.err)

    def test_no_worker_is_taken_for_silent_while_the_broker_skips(self):
        self.ready("collector")
        self.ready("worker", "--handler", "echo", "--heartbeat", self.HEARTBEAT)
        self.ready("broker", "--source", "file:/dev/zero", "--heartbeat", self.HEARTBEAT)
        self.workers_are_ready(1)
        stats = self.broker_until(lambda b: b["uptime_s"] > 8 and b["source"]["bytes_read"] > 1 << 30, "eight seconds of it")
        self.assertEqual([(worker["state"], worker["session"]) for worker in stats["workers"]], [("ready", 1)])
        self.assertEqual(stats["workers_silent"], 0)


class Hellos(GroupTest):
    """A stranger says hello as nobody."""

    def setUp(self):
        super().setUp()
        self.peers = Peers()
        self.addCleanup(self.peers.close)
        self.ready("collector")
        self.broker = self.ready("broker", "--source", "zmq:tcp://127.0.0.1:*", "--fanout", "1", "--heartbeat", "2s")
        self.events = self.peers.socket(zmq.PUSH, connect=self.broker.endpoints["events"])
        self.broker_until(lambda b: b["collector"]["synced"], "the collector")
        self.names = 0

    def record(self, **other):
        """A hello that a worker could say, except for what is in `other`."""
        self.names += 1
        said = {"worker": 1, "hello": 1, "name": f"nobody-{self.names}", "pool": "p", "slots": 1, "credit": 1, "pid": 1,
                "tasks": f"ipc://{self.home}/no.tasks", "control": f"ipc://{self.home}/no.control", **other}
        return (HELLO, *(value.encode() if isinstance(value, str) else value for value in said.values()))

    def hello(self, **other):
        self.events.send(frame(LIFE, 0, 0, self.record(**other)))

    def good_worker(self, name="good"):
        return self.ready("worker", "--handler", "echo", "--heartbeat", "2s", environment={"CURFEW_NAME": name})

    def is_ready(self, name="good"):
        return self.broker_until(lambda b: any(w["name"] == name and w["state"] == "ready" for w in b["workers"]),
                                 f"{name} to be ready")

    def gets_work(self, messages=10):
        before = self.answer()["tasks"]["completed"]
        push = self.peers.socket(zmq.PUSH, connect=self.broker.endpoints["source"])
        for number in range(messages):
            push.send(b"%d" % number)
        self.broker_until(lambda b: b["tasks"]["completed"] == before + messages, f"{messages} to be completed")

    def ends_well(self):
        self.broker.signal(signal.SIGUSR1)
        self.assertEqual(self.broker.code(), 0, self.broker.err)

    def test_a_flood_of_made_up_workers_is_bounded_and_good_workers_get_in(self):
        before = descriptors_of(self.broker.pid)
        for _ in range(5000):
            self.hello()
        stats = self.broker_until(lambda b: b["hellos_put_off"] >= 5000 - MOST_NEWCOMERS, "the flood to be read")
        self.assertLessEqual(len(stats["workers"]), MOST_NEWCOMERS)
        self.assertLessEqual(descriptors_of(self.broker.pid), before + 4 * MOST_NEWCOMERS + 20)
        self.good_worker()
        self.is_ready()
        self.gets_work()
        stats = self.broker_until(lambda b: len(b["workers"]) == 1, "the made-up sessions to end")
        self.assertEqual(stats["workers_never_ready"], MOST_NEWCOMERS)
        self.assertEqual(stats["workers_silent"], 0)
        eventually(lambda: descriptors_of(self.broker.pid) <= before + 20, "their descriptors to be closed")
        self.ends_well()

    def test_a_flood_that_is_faster_than_the_broker_reads_does_not_hold_it(self):
        self.good_worker()
        self.is_ready()
        frames = [frame(LIFE, 0, 0, *(self.record() for _ in range(20))) for _ in range(200)]
        with flood(self.events, frames):
            self.broker_until(lambda b: b["hellos_put_off"] > 100_000, "the flood")
            self.gets_work()
            stats = self.answer()
            self.assertEqual(stats["workers_silent"], 0)
            self.assertLessEqual(len(stats["workers"]), MOST_NEWCOMERS + 1)
            self.broker.signal(signal.SIGTERM)
            self.assertEqual(self.broker.code(), 0)

    def test_one_stranger_that_repeats_its_hello_is_ended_and_its_sockets_are_closed(self):
        before = descriptors_of(self.broker.pid)
        def again():
            self.hello(name="again")
            return self.answer()["workers_never_ready"] >= 2
        eventually(again, "its sessions to end, though it says hello")
        self.assertLessEqual(len(self.answer()["workers"]), 2)
        self.assertLessEqual(descriptors_of(self.broker.pid), before + 2 * 4)
        self.ends_well()

    def test_a_hello_that_breaks_a_bound_is_counted_and_said_and_leaves_nothing(self):
        junk = ({"name": "n" * 65}, {"name": "../../w"}, {"name": ""}, {"name": "a\nb"}, {"pool": "p" * 65}, {"pool": "\x1b[2J"},
                {"slots": 16385}, {"slots": 2**32 - 1}, {"credit": 1_000_001}, {"tasks": ""}, {"tasks": "junk"},
                {"tasks": "inproc://x"}, {"control": "tcp://127.0.0.1:0"}, {"control": "tcp://127.0.0.1:99999"},
                {"control": "tcp://no.such.host.invalid:1"}, {"control": "ipc://" + "x" * 108}, {"control": "tcp://eth0;1.2.3.4:5"},
                {"tasks": "pgm://eth0;239.192.1.1:5555"}, {"tasks": b"ipc:///a\0b"}, {"tasks": b"\xff" * 300})
        for other in junk:
            self.hello(**other)
        stats = self.broker_until(lambda b: b["hellos_malformed"] >= len(junk), f"{len(junk)} malformed hellos")
        self.assertEqual((stats["hellos_malformed"], stats["malformed_frames"], stats["workers"]), (len(junk), len(junk), []))
        self.broker.says(r'hellos_refused count=\d+ worker=\S+ wrong="\w+: ')
        self.assertNotIn("frames_dropped", self.broker.err)
        self.good_worker()
        self.is_ready()
        self.gets_work()
        self.ends_well()

    def test_no_worker_can_be_started_that_the_broker_would_refuse(self):
        for words in (("--pool", "p" * 65), ("--pool", "a\x1bb"), ("--name", "n" * 65), ("--name", "a\nb"), ("--name", "a/b"),
                      ("--slots", "16385"), ("--credit", "1000001")):
            worker = self.binary("worker", "--handler", "echo", *words)
            self.assertEqual(worker.code(), 64, words)
            self.assertIn(words[0], worker.err)
        self.ready("worker", "--handler", "echo", "--pool", "p" * 64, "--name", "n" * 64, "--slots", "16384", "--credit", "1000000")
        self.is_ready("n" * 64)

    def limit_descriptors(self, count):
        before = resource.prlimit(self.broker.pid, resource.RLIMIT_NOFILE,
                                  (count, resource.prlimit(self.broker.pid, resource.RLIMIT_NOFILE)[1]))
        return lambda: resource.prlimit(self.broker.pid, resource.RLIMIT_NOFILE, before)

    def test_a_worker_whose_sockets_could_not_be_opened_gets_in_once_there_are_descriptors(self):
        self.good_worker("old")
        self.is_ready("old")
        raise_again = self.limit_descriptors(descriptors_of(self.broker.pid) + 15)  # enough to be called, not for its sockets
        self.good_worker("new")
        stats = self.broker_until(lambda b: b["workers_never_ready"] >= 2, "it to be tried twice, in vain")
        self.assertLessEqual(len(stats["workers"]), 3)
        self.broker.says("worker_unreachable .*out of descriptors")
        self.gets_work()
        used, tries, began = processor_seconds(self.broker.pid), stats["workers_never_ready"], time.monotonic()
        stats = self.broker_until(lambda b: b["workers_never_ready"] >= tries + 5, "more tries")
        passed = time.monotonic() - began
        self.assertLess(processor_seconds(self.broker.pid) - used, 0.3 + passed / 4, "it does not spin meanwhile")
        raise_again()
        self.is_ready("new")
        self.gets_work()
        self.broker_until(lambda b: len(b["workers"]) == 2, "what was tried in vain to be gone")
        self.ends_well()

    def test_a_flood_leaves_the_broker_descriptors_for_its_other_work(self):
        self.good_worker()
        self.is_ready()
        raise_again = self.limit_descriptors(descriptors_of(self.broker.pid) + 60)
        for _ in range(1000):
            self.hello()
        self.broker_until(lambda b: b["hellos_put_off"] + b["workers_never_ready"] >= 950, "the flood to be read")
        self.broker.says("worker_unreachable .*out of descriptors")
        self.gets_work()  # a producer connects, and so does who looks
        raise_again()
        self.broker_until(lambda b: len(b["workers"]) == 1, "the made-up sessions to end")
        self.ends_well()


if __name__ == "__main__":
    unittest.main()

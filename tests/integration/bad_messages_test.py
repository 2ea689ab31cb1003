"""What comes of odd messages, a reader that goes away, and junk on every socket, with the real processes. Whatever was good
goes on.
"""

import array
import base64
import fcntl
import json
import os
import random
import signal
import sys
import termios
import threading
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))

import peers  # noqa: E402
from peers import CONTROL, LIFE, REPORTS, TASKS, TO_BROKER, TO_COLLECTOR, Peers, frame, raw_frame  # noqa: E402
import zmq  # noqa: E402
from group import eventually, memory_peak_mib, numbers  # noqa: E402
from refusals import INCOMPLETE, IO, BadInputTest  # noqa: E402


class Messages(BadInputTest):
    """What counts as a message."""

    def echo(self, data, *words, code=0):
        launch = self.launch("--workers", "2", "--keep-order", *words, "--handler", "echo", stdin=data)
        tasks, _ = self.ends_well(launch, code)
        return launch, tasks

    def test_no_input_is_no_task_and_no_fault(self):
        launch, tasks = self.echo(b"")
        self.assertEqual((tasks["all"], launch.out), (0, b""))

    def test_a_last_line_without_its_newline_counts(self):
        launch, tasks = self.echo(b"one\ntwo")
        self.assertEqual((tasks["all"], launch.out), (2, b"one\ntwo\n"))

    def test_empty_lines_are_messages(self):
        launch, tasks = self.echo(b"\n\nx\n\n")
        self.assertEqual((tasks["all"], launch.out), (4, b"\n\nx\n\n"))

    def test_bytes_that_are_not_utf8_pass_through(self):
        data = b"\n".join(bytes([first, second]) for first in range(256) for second in (0, 128, 255) if first != 10)
        launch, _ = self.echo(data)
        self.assertEqual(launch.out, data + b"\n")

    def test_json_has_base64_for_what_is_not_utf8(self):
        messages = [b"gr\xc3\xbc\xc3\x9fe \"quoted\" \\ \t", b"\xff\xfe", b"\x00", b"\xed\xa0\x80", b"half \xc3"]
        launch, _ = self.echo(b"\n".join(messages), "--json")
        outcomes = [json.loads(line) for line in launch.lines]
        for message, outcome in zip(messages, outcomes, strict=True):
            found = base64.b64decode(outcome["result_base64"]) if "result_base64" in outcome else outcome["result"].encode()
            self.assertEqual(found, message)
        self.assertEqual(["result" in outcome for outcome in outcomes], [True, False, True, False, False])

    def test_with_null_messages_end_with_nul_and_may_hold_newlines(self):
        launch, tasks = self.echo(b"one\ntwo\0three\0\0last", "--null", "--json")
        self.assertEqual([json.loads(line)["result"] for line in launch.lines], ["one\ntwo", "three", "", "last"])

    def test_a_message_over_the_limit_is_refused_and_counted_and_the_rest_goes_on(self):
        messages = [b"a" * 100, b"b" * 101, b"c", b"d" * 5_000_000, b"e" * 100, b"f" * 101]
        launch, tasks = self.echo(b"\n".join(messages), "--max-message", "100", code=INCOMPLETE)
        self.assertEqual(launch.out, b"\n".join([messages[0], b"c", messages[4]]) + b"\n")
        self.assertEqual((tasks["completed"], tasks["failed"], tasks["all"]), (3, 3, 6))
        self.assertRegex(launch.err, r"(?m)^refused +3 messages over --max-message, of the failed$")

    def test_an_endless_message_is_refused_and_costs_no_memory(self):
        launch = self.launch("--run-dir", self.run_dir, "--workers", "1", "--max-message", "1k", "--handler", "echo",
                             stdin="pipe")
        self.workers_are_ready(1)
        for _ in range(64):
            launch.feed(b"x" * (1 << 20))
        peak = memory_peak_mib(self.pid_of("broker"))
        launch.end_of_input()
        tasks, attempts = self.ends_well(launch, INCOMPLETE)
        self.assertEqual((tasks["failed"], tasks["all"], attempts["all"]), (1, 1, 0))
        self.assertIn("refused   1 message over --max-message, of the failed\n", launch.err)
        self.assertLess(peak, 60)

    def test_the_same_over_zeromq(self):
        self.ready("collector")
        self.ready("worker", "--handler", "echo")
        broker = self.ready("broker", "--source", "zmq:tcp://127.0.0.1:*", "--max-message", "100")
        context = Peers()
        self.addCleanup(context.close)
        push = context.socket(zmq.PUSH, connect=broker.endpoints["source"])
        for message in (b"a" * 100, b"b" * 101, b"", b"d" * 5_000_000, b"\0\xff\n", b"e" * 100):
            push.send(message)
        stats = self.broker_until(lambda b: b["tasks"]["completed"] == 4, "the good ones")
        self.assertEqual(stats["source"]["refused"], 2)
        broker.signal(signal.SIGUSR1)  # drain
        self.assertEqual(broker.code(), 0)

    def test_a_message_of_many_frames_over_zeromq_does_no_harm(self):
        collector = self.ready("collector")
        self.ready("worker", "--handler", "echo")
        broker = self.ready("broker", "--source", "zmq:tcp://127.0.0.1:*")
        context = Peers()
        self.addCleanup(context.close)
        push = context.socket(zmq.PUSH, connect=broker.endpoints["source"])
        push.send_multipart([b"a", b"b", b"c"])
        push.send(b"after")
        eventually(lambda: b"after\n" in collector.out, "the message after it")
        broker.signal(signal.SIGUSR1)
        self.assertEqual(broker.code(), 0)


class Readers(BadInputTest):
    def setUp(self):
        super().setUp()
        self.environment["CURFEW_GRACE"] = "300ms"

    def test_a_reader_of_stdout_that_goes_away_ends_the_group(self):
        for work in (("--handler", "echo"), ("--", "cat"), ("--handler", "sleep:exp:1ms")):
            with self.subTest(work=work):
                reader, writer = os.pipe()
                launch = self.launch("--workers", "2", "--slots", "2", *work, stdout=writer,
                                     stdin=b"".join(b"%01999d\n" % n for n in range(500)))  # more than the pipe holds
                os.close(writer)
                with open(reader, "rb") as lines:
                    self.assertTrue(lines.readline().strip().isdigit())
                self.assertEqual(launch.code(), IO)
                self.assertNotIn("starting it again", launch.err)

    def test_a_reader_that_is_slow_loses_nothing(self):
        reader, writer = os.pipe()
        launch = self.launch("--workers", "2", "--window", "64", "--handler", "echo", stdout=writer,
                             stdin=b"".join(b"%0999d\n" % n for n in range(3000)))
        os.close(writer)
        eventually(lambda: launch.err or self._pipe_is_full(reader), "the pipe to be full")
        with open(reader, "rb") as lines:
            found = sorted(int(line) for line in lines)
        self.ends_well(launch)
        self.assertEqual(found, list(range(3000)))

    @staticmethod
    def _pipe_is_full(reader):
        waiting = array.array("i", [0])
        fcntl.ioctl(reader, termios.FIONREAD, waiting)
        return waiting[0] > 50_000


class Junk(BadInputTest):
    """Strangers talk to every socket of a group while it works on a batch. All messages still come out, once."""

    MESSAGES = 1500
    MOST_MIB = 400

    def setUp(self):
        super().setUp()
        self.peers = Peers()
        self.addCleanup(self.peers.close)
        self.launched = self.launch("--run-dir", self.run_dir, "--workers", "2", "--fanout", "2", "--json", "--window", "200",
                                    "--handler", "sleep:exp:5ms", stdin="pipe")
        self.workers_are_ready(2)
        self.random = random.Random(14)
        snapshots = self.answers("broker", "collector", "w1", "w2")
        self.broker = snapshots["broker"]["incarnation"]
        self.collector = snapshots["collector"]["incarnation"]
        self.sessions = {name: snapshots[name]["session"] for name in ("w1", "w2")}
        self.pids = {name: snapshot["pid"] for name, snapshot in snapshots.items()}
        self.feeder = threading.Thread(target=self._feed)
        self.feeder.start()

    def _feed(self):
        self.launched.feed(numbers(self.MESSAGES // 2))

    def endpoint(self, name):
        return f"ipc://{self.run_dir}/{name}.sock"

    def all_come_out(self):
        """The second half comes after the junk."""
        self.feeder.join()
        self.launched.feed("".join(f"{n}\n" for n in range(self.MESSAGES // 2 + 1, self.MESSAGES + 1)).encode())
        for name, pid in self.pids.items():
            self.assertLess(memory_peak_mib(pid), self.MOST_MIB, name)
            self.assertGreater(memory_peak_mib(pid), 0, f"{name} is no more")
        self.launched.end_of_input()
        self.assertEqual(self.launched.code(), 0, self.launched.err[-3000:])
        tasks, attempts = self.books(self.launched)
        self.assertEqual((tasks["completed"], tasks["all"], attempts["in flight"]), (self.MESSAGES, self.MESSAGES, 0))
        seqs = [json.loads(line)["seq"] for line in self.launched.lines]
        self.assertEqual(sorted(seqs), list(range(1, self.MESSAGES + 1)))
        self.assertNotIn("died", self.launched.err)

    def send_all(self, name, frames):
        """Pushes the frames to a socket of the group. Returns how many."""
        push = self.peers.socket(zmq.PUSH, connect=self.endpoint(name))
        count = 0
        for bytes_ in frames:
            push.send(bytes_)
            count += 1
        return count

    def counted(self, name, field, least):
        eventually(lambda: self.snapshot(name).get(field, 0) >= least,
                   lambda: f"{least} {field} at {name}, not {self.snapshot(name).get(field)}")

    PULLS = {"events": "broker", "results": "collector", "w1.tasks": "w1", "w1.control": "w1"}

    def test_random_frames_are_counted_as_malformed(self):
        for name, process in self.PULLS.items():
            with self.subTest(socket=name):
                frames = [self.random.randbytes(self.random.randrange(200)) for _ in range(1000)]
                self.counted(process, "malformed_frames", self.send_all(name, frames))
                self.launched.says(rf"{process}.* frames_dropped count=\d+")
        self.all_come_out()

    def test_frames_of_another_road_or_version_are_counted_as_malformed(self):
        for name, process in self.PULLS.items():
            with self.subTest(socket=name):
                before = self.answer(process)["malformed_frames"]
                good = {"events": (LIFE, TO_BROKER), "results": (REPORTS, TO_COLLECTOR), "w1.tasks": (TASKS,),
                        "w1.control": (CONTROL,)}[name]
                frames = [frame(kind, self.broker, 1) for kind in range(-1, 300) if kind not in good]
                frames += [frame(good[0], self.broker, 1, version=version) for version in (0, 2, 255, 2**64 - 1, "1", None)]
                self.counted(process, "malformed_frames", before + self.send_all(name, frames))
        self.all_come_out()

    def test_bombs_of_msgpack_are_malformed_and_cost_no_memory(self):
        kinds = {"events": (LIFE, 0), "results": (REPORTS, self.sessions["w1"]), "w1.tasks": (TASKS, self.sessions["w1"]),
                 "w1.control": (CONTROL, self.sessions["w1"])}
        for name, (kind, peer) in kinds.items():
            with self.subTest(socket=name):
                frames = list(peers.bombs()) + [raw_frame(kind, self.broker, peer, bomb) for bomb in peers.bombs()]
                before = self.answer(self.PULLS[name])["malformed_frames"]
                self.send_all(name, frames)
                self.counted(self.PULLS[name], "malformed_frames", before + len(frames) // 2)
        self.all_come_out()

    def strangers_frames(self):
        """A good frame for each road, but of a session, a broker, a collector that there is not."""
        nobody = 0x5555_5555_5555
        report = [12, nobody, nobody, 1, 1, 1, 5, None, b"", b"forged"]
        life = [10, nobody, 1, "stranger", "pool", 1, 1, 1, f"ipc://{self.path('none')}", f"ipc://{self.path('none')}"]
        return {
            "events": [frame(LIFE, 0, 0, life), frame(LIFE, self.broker, nobody, [11]),
                       frame(TO_BROKER, self.broker, nobody, [32, 1, 1, 1], number=1)],
            "results": [frame(REPORTS, self.broker, nobody, report),
                        frame(TO_COLLECTOR, 1, self.collector, [25, 1, 2, None, b"given up", 1, 1, []], number=1)],
            "w1.tasks": [frame(TASKS, self.broker, nobody, [1, nobody, nobody, 1, 1, -1, 0, None, b"forged"])],
            "w1.control": [frame(CONTROL, self.broker, nobody, [5, 1, [1, 2**63]]), frame(CONTROL, self.broker, nobody, [8])]}

    def test_good_frames_of_nobody_are_refused(self):
        for name, frames in self.strangers_frames().items():
            with self.subTest(socket=name):
                self.send_all(name, frames * 20)
                if name != "events":
                    self.counted(self.PULLS[name], "refused_frames", 20)
        self.all_come_out()

    def test_frames_cut_at_every_byte_are_malformed(self):
        for name, frames in self.strangers_frames().items():
            with self.subTest(socket=name):
                count = self.send_all(name, (cut for whole in frames for cut in peers.cuts(whole)))
                self.counted(self.PULLS[name], "malformed_frames", count)
        self.all_come_out()

    def test_frames_with_any_bit_turned_do_no_harm(self):
        """In turn of a frame that names nobody, so that no turned bit makes it one that must be believed."""
        for name, frames in self.strangers_frames().items():
            with self.subTest(socket=name):
                self.send_all(name, (turned for whole in frames for turned in peers.flips(whole)))
        self.all_come_out()

    def test_frames_of_this_very_group_with_any_bit_turned_do_no_harm(self):
        frames = {"results": [frame(TO_COLLECTOR, self.broker, self.collector, [21, self.broker])],
                  "events": [frame(TO_BROKER, self.broker, self.collector),
                             frame(TO_BROKER, self.broker, self.collector, [30, self.broker, []])],
                  "w1.control": [frame(CONTROL, self.broker, self.sessions["w1"], [4, self.collector])],
                  "w1.tasks": [frame(TASKS, self.broker, self.sessions["w1"], [2, 2**40])]}
        for name, whole in frames.items():
            with self.subTest(socket=name):
                self.send_all(name, (turned for bytes_ in whole for turned in peers.flips(bytes_)))
        self.all_come_out()

    def test_records_of_the_wrong_shape_in_a_good_envelope_are_malformed(self):
        session = self.sessions["w1"]

        def shapes(type_):
            return [[type_], [type_, None], [type_, {}], [type_, [[[]]]], [type_, -1, -1], [type_, "x"] * 4,
                    [type_, 2**64 - 1, 1.5], [], [[]], ["x"], [None]]
        for name, kind, peer, types in (("events", LIFE, 0, (10,)), ("w1.tasks", TASKS, session, (1,)),
                                        ("w1.control", CONTROL, session, (5, 6, 7))):
            with self.subTest(socket=name):
                frames = [frame(kind, self.broker, peer, shape) for type_ in types for shape in shapes(type_)]
                before = self.answer(self.PULLS[name])["malformed_frames"]
                self.send_all(name, frames)
                self.counted(self.PULLS[name], "malformed_frames", before + len(frames) // 2)
        # In a worker's name: at the third it is gone, what comes then is of no session, and it is admitted again.
        self.send_all("results", [frame(REPORTS, self.broker, session, shape) for type_ in (12, 13) for shape in shapes(type_)])
        self.counted("collector", "malformed_frames", 3)
        self.counted("broker", "workers_refused", 1)
        self.all_come_out()

    def test_raw_bytes_on_every_listener_do_no_harm(self):
        greeting = b"\xff" + b"\0" * 8 + b"\x7f" + b"\x03\x00" + b"NULL".ljust(20, b"\0") + b"\0" * 32
        junk = [b"", b"\0", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", self.random.randbytes(5000), greeting, greeting[:20],
                greeting + b"\x04\xff\xff\xff\xff", greeting + b"\x06" + b"\xff" * 8,
                greeting + b"\x02" + b"\xff" * 8 + b"x" * 1000,
                greeting + b"\x04\x19\x05READY\x0bSocket-Type\0\0\0\x04PUSH" + b"\x02" + b"\x7f" + b"\xff" * 7]
        kept = []
        for name in (*self.PULLS, "admin", "broker.monitor", "collector.monitor", "w1.monitor"):
            for bytes_ in junk:
                connection = peers.raw_connection(self.endpoint(name))
                try:
                    connection.sendall(bytes_)
                except OSError:
                    pass  # it was closed on us: as well
                kept.append(connection)  # says nothing more, and stays
        self.all_come_out()
        for connection in kept:
            connection.close()

    def test_peers_with_the_wrong_kind_of_socket_do_no_harm(self):
        for name in (*self.PULLS, "admin", "broker.monitor"):
            for kind in (zmq.PULL, zmq.SUB, zmq.PUB, zmq.REQ, zmq.REP, zmq.DEALER, zmq.ROUTER, zmq.PAIR, zmq.XPUB, zmq.STREAM):
                stranger = self.peers.socket(kind)
                if kind == zmq.STREAM:
                    continue  # raw bytes: above
                stranger.connect(self.endpoint(name))
                if kind in (zmq.REQ, zmq.DEALER, zmq.PAIR, zmq.PUB):
                    try:
                        stranger.send(b"junk", zmq.DONTWAIT)
                    except zmq.Again:
                        pass
        self.all_come_out()

    def test_junk_to_monitor_and_admin_is_answered_with_an_error(self):
        requests = [b"", b"nope", b"{", b"{}", b"[]", b"null", b'{"ask":3}', b'{"do":3}', b'{"do":"cancel"}',
                    b'{"do":"cancel","seq":-1}', b'{"do":"cancel","seq":"1"}', b'{"ask":"dump","limit":-1' + b"}" * 2, b"[" * 100_000, b"\xff" * 1000,
                    self.random.randbytes(5000)]
        for name in ("admin", "broker.monitor", "collector.monitor", "w1.monitor"):
            ask = self.peers.socket(zmq.REQ, connect=self.endpoint(name))
            for request in requests:
                with self.subTest(socket=name, request=request[:40]):
                    ask.send(request)
                    self.assertIn("error", json.loads(ask.recv()))
            ask.send(b'{"do":"nothing"}' if name == "admin" else b"health")
            self.assertIsInstance(json.loads(ask.recv()), dict)
        self.all_come_out()

    def test_clients_that_ask_and_never_read_do_no_harm(self):
        for name in ("admin", "broker.monitor", "w1.monitor"):
            for _ in range(20):
                deaf = self.peers.socket(zmq.DEALER)
                deaf.rcvhwm = 1
                deaf.connect(self.endpoint(name))
                for _ in range(50):
                    deaf.send_multipart([b"", b'{"ask":"dump","limit":1000000}'])
        self.all_come_out()


if __name__ == "__main__":
    unittest.main()

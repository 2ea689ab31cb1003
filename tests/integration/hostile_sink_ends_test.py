#!/usr/bin/env python3
"""What a sink says it has, it has: readers that are late, leave, or do not read; files that are an input by another
road; full disks. Where that cannot be known, as with a zmq: sink whose reader has gone, the end says so, and is no good one.
"""

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))

from group import BIN_DIR, LAUNCH, PYTHON, GroupTest, eventually, numbers  # noqa: E402
from peers import Peers, zmq  # noqa: E402

FEW = ("--workers", "1", "--slots", "4", "--fanout", "1")
LARGE = 200_000
VERY_LARGE_WORK = "-- sh -c 'head -c 900000 /dev/zero'"  # 14 of them are more than the kernel's buffers take


class ToZeroMQ(GroupTest):
    """`--sink zmq:` connects; the tests bind."""

    def setUp(self):
        super().setUp()
        self.peers = Peers()
        self.addCleanup(self.peers.close)
        self.at = f"ipc://{self.path('sink.sock')}"
        self.environment["CURFEW_GRACE"] = "10s"

    def tearDown(self):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.path("sink.sock"))  # libzmq leaves it behind

    def start(self, work="--handler echo", stdin=b"", collector="", broker="", at=None):
        return self.launch_procfile(f"collector: curfew-collector --sink zmq:{at or self.at} {collector}",
                                    f"w1: curfew-worker --slots 4 {work}",
                                    f"broker: curfew-broker --fanout 1 {broker}", stdin=stdin)

    def reader(self, at=None, kind=None, mark=0):
        made = self.peers.socket(kind or zmq.PULL)
        made.rcvhwm = mark
        if mark:
            made.rcvbuf = 65_536  # else the kernel takes up to 32 MiB for it (tcp_rmem)
        made.bind(at or self.at)
        return made

    def sink(self):
        return self.snapshot("collector").get("sink", {})

    def may_be_lost(self, launch):
        return int(launch.says(r"up to (\d+) outcomes may not have arrived")[1])

    def test_outcomes_wait_while_nobody_is_there_and_that_is_said(self):
        launch = self.start(stdin=numbers(50))
        eventually(lambda: self.sink().get("waiting") == 50, lambda: f"50 that wait: {self.sink()}")
        self.assertEqual(self.sink()["waits_for"], "a reader")
        self.assertGreaterEqual(self.sink()["waiting_bytes"], 50)
        self.assertEqual(self.snapshot()["tasks"]["completed"], 0)
        launch.says(r"sink_waits sink=\S*sink.sock\S* for=\"a reader\" why=.*this side connects, the reader binds")
        reader = self.reader()
        self.assertEqual(sorted(int(reader.recv()) for _ in range(50)), list(range(1, 51)))
        tasks, _ = self.ends_well(launch)
        self.assertEqual(tasks["completed"], 50)
        self.assertIn("sink_goes_on", launch.err)

    def test_with_nobody_there_at_all_nothing_is_said_to_be_complete(self):
        self.environment["CURFEW_GRACE"] = "200ms"
        launch = self.start(stdin=numbers(5))
        eventually(lambda: self.sink().get("waiting") == 5, "5 that wait")
        launch.signal(signal.SIGTERM)
        launch.says("draining")
        launch.signal(signal.SIGINT)
        self.assertEqual(launch.code(), 128 + signal.SIGINT)
        tasks, _ = self.books(launch)
        self.assertEqual((tasks["completed"], tasks["in flight"]), (0, 5))
        self.assertNotIn("may not have arrived", launch.err)

    def test_a_reader_that_leaves_in_the_middle_is_an_error_that_says_how_many(self):
        for at in (self.at, "tcp://127.0.0.1:*"):
            with self.subTest(at=at):
                reader = self.reader(at)
                launch = self.start("-- cat", stdin="pipe", at=reader.last_endpoint.decode().rstrip("\0"))
                launch.feed(numbers(20))
                got = [reader.recv() for _ in range(5)]
                eventually(lambda: self.snapshot().get("tasks", {}).get("completed") == 20, "20 that are settled")
                reader.close(linger=0)
                self.assertEqual(launch.code(), 74, launch.err)
                self.assertIn("has gone", launch.err)
                self.assertGreaterEqual(self.may_be_lost(launch), 20 - len(got))

    def test_a_reader_that_leaves_before_he_was_sent_anything_may_come_again(self):
        launch = self.start(stdin="pipe")
        self.workers_are_ready(1)
        collector = self.pid_of("collector")
        before = self.sockets_of(collector)
        first = self.reader()
        eventually(lambda: self.connections() == 1, "the first to be there")
        connection = self.sockets_of(collector) - before
        first.close(linger=0)
        eventually(lambda: not connection & self.sockets_of(collector), "the collector to have heard that he is gone")
        launch.feed(numbers(3))
        eventually(lambda: self.sink().get("waiting") == 3, "3 that wait")
        reader = self.reader()
        self.assertEqual(sorted(int(reader.recv()) for _ in range(3)), [1, 2, 3])
        launch.end_of_input()
        self.ends_well(launch)

    def sockets_of(self, pid):
        found = set()
        for descriptor in os.listdir(f"/proc/{pid}/fd"):
            with contextlib.suppress(FileNotFoundError):
                found.add(os.readlink(f"/proc/{pid}/fd/{descriptor}"))
        return {name for name in found if name.startswith("socket:")}

    def connections(self):
        """Of the collector, at the sink's endpoint."""
        with open("/proc/net/unix", encoding="utf-8", errors="replace") as sockets:
            return sum(line.rstrip().endswith("sink.sock") and " 03 " in line for line in sockets)

    def test_a_slow_reader_is_waited_for_at_the_end_until_he_has_read_all(self):
        # libzmq 4.3.4 loses what a stalled ipc reader has not read from the kernel when the writer goes.
        for at in (self.at, "tcp://127.0.0.1:*"):
            with self.subTest(at=at):
                reader = self.reader(at, mark=1)
                launch = self.start(VERY_LARGE_WORK, stdin=numbers(14), at=reader.last_endpoint.decode().rstrip("\0"))
                eventually(lambda: self.snapshot("collector").get("stopping"), lambda: f"its end, with: {launch.err}")
                self.assertTrue(launch.alive)
                for _ in range(14):
                    self.assertEqual(len(reader.recv()), 900_000)
                self.ends_well(launch)

    def test_a_reader_that_reads_no_more_is_an_error_at_the_end(self):
        self.environment["CURFEW_GRACE"] = "300ms"
        for at in (self.at, "tcp://127.0.0.1:*"):
            with self.subTest(at=at):
                reader = self.reader(at, mark=1)
                launch = self.start(VERY_LARGE_WORK, stdin=numbers(14),
                                    at=reader.last_endpoint.decode().rstrip("\0"))
                self.assertEqual(launch.code(), 74, launch.err)
                self.assertEqual(self.may_be_lost(launch), 14)
                reader.close(linger=0)

    def test_a_peer_that_is_no_pull_is_an_error(self):
        self.reader(kind=zmq.PUB)
        launch = self.start(stdin=b"1\n")
        self.assertEqual(launch.code(), 74, launch.err)
        self.assertRegex(launch.err, r"who binds at the sink zmq:ipc\S+ is no PULL")

    def test_what_it_holds_is_visible_to_the_backlog(self):
        reader = self.reader(mark=1)  # never reads, so libzmq takes what it can
        size, count = 20_000, 400
        launch = self.start(f"-- sh -c 'head -c {size} /dev/zero'", stdin=numbers(count),
                            broker=f"--backlog 4m --window {count}")
        sink = eventually(lambda: (sink := self.sink()).get("waiting", 0) > 0 and sink,
                          lambda: f"some that wait: {self.sink()}")
        self.assertGreaterEqual(sink["waiting_bytes"], (sink["waiting"] + 250) * size, "the frames in libzmq count")
        self.assertLessEqual(sink["bytes"], 300 * size, "and they are few")
        self.broker_until(lambda broker: broker["backlog_bytes"] >= 4 << 20, "the broker to know")
        for _ in range(count):
            self.assertEqual(len(reader.recv()), size)
        self.ends_well(launch)

    def test_names_and_ipv6_are_endpoints_or_are_refused_with_a_word(self):
        for host in ("localhost", "[::1]"):
            with self.subTest(host=host):
                broker = self.ready("broker", "--source", f"zmq:tcp://{host}:*")
                port = broker.endpoints["source"].rpartition(":")[2]
                reader = self.peers.socket(zmq.PULL)
                reader.ipv6 = host.startswith("[")
                reader.bind(f"tcp://{'[::1]' if reader.ipv6 else '127.0.0.1'}:*")
                at = reader.last_endpoint.decode().rstrip("\0").rpartition(":")[2]
                self.ready("collector", "--sink", f"zmq:tcp://{host}:{at}")
                self.ready("worker", "--handler", "echo")
                producer = self.peers.socket(zmq.PUSH)
                producer.ipv6 = True
                producer.connect(f"tcp://{'[::1]' if reader.ipv6 else '127.0.0.1'}:{port}")
                producer.send(b"over " + host.encode())
                self.assertEqual(reader.recv(), b"over " + host.encode())
                for running in reversed(self._running):
                    running.signal(signal.SIGTERM)
                    self.assertEqual(running.code(), 0, running.err)
        for endpoint, word in (("tcp://::1:5555", "stands in brackets"), ("tcp://[::1:5555", "stands in brackets"),
                               ("tcp://[::x]:5555", "is no IPv6 address")):
            for role, flag in (("broker", "--source"), ("collector", "--sink")):
                with self.subTest(endpoint=endpoint, role=role):
                    refused = self.binary(role, "--insecure", flag, f"zmq:{endpoint}")
                    self.assertEqual(refused.code(), 64, refused.err)
                    self.assertIn(word, refused.err)

    def test_who_binds_and_who_connects_stands_in_the_log_and_the_help(self):
        broker = self.ready("broker", "--source", "zmq:tcp://127.0.0.1:*", "--log-level", "info")
        self.assertRegex(broker.err, r'source_binds endpoint=tcp://127.0.0.1:\d+ producers="PUSH sockets that connect')
        collector = self.ready("collector", "--sink", f"zmq:{self.at}", "--log-level", "info")
        self.assertRegex(collector.err, r'sink_connects endpoint=ipc://\S+ reader="a PULL that binds there"')
        for role, words in (("broker", "a PULL that binds; producers connect"),
                            ("collector", "a PUSH that connects to the PULL")):
            said = self.binary(role, "--help")
            self.assertEqual(said.code(), 0)
            self.assertIn(words, re.sub(r"\s+", " ", said.out.decode()))


class ToAFifo(GroupTest):
    def setUp(self):
        super().setUp()
        self.fifo = self.path("fifo")
        os.mkfifo(self.fifo)

    def group(self, *words, **how):
        return self.launch("--run-dir", self.run_dir, *FEW, *words, **how)

    def reader(self):
        return os.open(self.fifo, os.O_RDONLY | os.O_NONBLOCK)

    def read_all(self, end):
        data = bytearray()
        def at_end():
            with contextlib.suppress(BlockingIOError):
                while piece := os.read(end, 1 << 16):
                    data.extend(piece)
                return bool(data)  # before: nobody has opened it for writing yet
            return False
        eventually(at_end, lambda: f"the end of the FIFO, after {len(data)} bytes")
        os.close(end)
        return bytes(data)

    def test_a_late_reader_gets_all_and_the_loop_stands_nowhere(self):
        for flag, work in (("--output", ("--handler", "echo")), ("--dead-letters", ("--handler", "fail"))):
            with self.subTest(flag=flag):
                launch = self.group(flag, self.fifo, *work, stdin=numbers(30))
                launch.says(r'sink_waits sink=\S*fifo\S* for="a reader" why="nobody has opened this FIFO')
                waits = lambda: self.snapshot("collector")
                eventually(lambda: waits().get("sink_waiting") == 30, "30 outcomes to wait, and an answer that says so")
                self.assertEqual(waits()["sink"]["waits_for"], "a reader")
                data = self.read_all(self.reader())
                self.assertEqual(data.count(b"\n"), 30)
                self.ends_well(launch, 0 if flag == "--output" else 1)

    def test_a_reader_that_goes_away_is_an_error(self):
        for flag, work in (("--output", ("--handler", "echo")), ("--dead-letters", ("--handler", "fail"))):
            with self.subTest(flag=flag):
                end = self.reader()
                launch = self.group(flag, self.fifo, *work, stdin="pipe")
                launch.feed(b"1\n")
                eventually(lambda: _read_some(end), "the first outcome")
                os.close(end)
                launch.feed(b"2\n")
                self.assertEqual(launch.code(), 74, launch.err)
                self.assertRegex(launch.err, "cannot write to the sink .*fifo: its reader has gone: Broken pipe")

    def test_what_a_reader_has_left_unread_when_he_went_has_not_arrived(self):
        end = self.reader()
        launch = self.group("--output", self.fifo, "--handler", "echo", stdin="pipe")
        launch.feed(numbers(9))
        self.broker_until(lambda broker: broker["tasks"]["completed"] == 9, "9 that are written")
        os.close(end)
        launch.end_of_input()
        self.assertEqual(launch.code(), 74, launch.err)
        self.assertIn("has gone, and left 18 bytes unread", launch.err)


def _read_some(end):
    with contextlib.suppress(BlockingIOError):
        return os.read(end, 4096)
    return b""


class AFileOfBoth(GroupTest):
    """An input that an output would destroy or never end: by name, link, descriptor or redirection."""

    TEXT = b"one\ntwo\nthree\n"

    def setUp(self):
        super().setUp()
        self.file = self.write("f", self.TEXT)
        os.symlink("f", self.path("soft"))
        os.link(self.file, self.path("hard"))

    def refused(self, shell, *flags, code=64):
        """Through a shell, which redirects as people do; the file is as it was."""
        words = ("sh", "-c", f'exec "$@" {shell}', "sh", PYTHON, "-E", LAUNCH, *FEW, *flags)
        launch = self.run_words(*words)
        self.assertEqual(launch.code(), code, launch.err)
        return launch

    def test_is_refused_by_every_road(self):
        roads = (self.file, self.path("soft"), self.path("hard"), "/dev/fd/7")
        work = ("--handler", "echo")
        cases = [("7<>f", ("--input", source, flag, sink, *work))
                 for flag in ("--output", "--dead-letters") for source in roads for sink in roads]
        cases += [("<f 7<>f", (flag, sink, *work)) for flag in ("--output", "--dead-letters") for sink in roads]
        cases += [("<f >>f", work), ("<f 1<>f", work), ("<f >>hard", work), (">>soft", ("--input", "hard", *work)),
                  ("<f 2>>f", work), ("2>>hard", ("--input", "f", *work))]
        for shell, flags in cases:
            with self.subTest(shell=shell, flags=flags):
                launch = self.refused(shell, *flags)
                with open(self.file, "rb") as file:
                    text = file.read()
                if "2>>" in shell:
                    self.assertTrue(text.startswith(self.TEXT) and b"is the file of" in text, text)
                    with open(self.file, "wb") as file:
                        file.write(self.TEXT)
                else:
                    self.assertEqual(text, self.TEXT)
                    self.assertRegex(launch.err, "this is the file of (stdin|--input) too")

    def test_the_same_fifo_as_both_is_refused(self):
        os.mkfifo(self.path("fifo"))
        launch = self.refused("", "--input", self.path("fifo"), "--output", self.path("fifo"), "--handler", "echo")
        self.assertIn("--output: this is the file of --input too", launch.err)

    def test_a_broker_refuses_to_read_what_it_or_its_group_writes(self):
        for shell, word in (("<f >>f", "stdout"), ("<f 2>>f", "stderr")):
            with self.subTest(shell=shell):
                broker = self.run_words("sh", "-c", f'exec "$0" {shell}', os.path.join(BIN_DIR, "curfew-broker"),
                                        environment={"CURFEW_RUN_DIR": self.run_dir})
                self.assertEqual(broker.code(), 64)
                with open(self.file, "rb") as file:
                    self.assertIn(f"the file of {word} too", broker.err + file.read().decode())

    def test_ordinary_files_beside_each_other_are_no_fault(self):
        shutil.copy(self.file, self.path("copy"))
        launch = self.launch(*FEW, "--input", self.file, "--output", self.path("copy"), "--dead-letters",
                             self.path("dead"), "--handler", "echo")
        self.ends_well(launch)
        with open(self.path("copy"), "rb") as file:
            self.assertEqual(sorted(file.read().split()), sorted(self.TEXT.split()))
        launch = self.launch(*FEW, "--input", "/dev/null", "--output", "/dev/null", "--handler", "echo")
        self.ends_well(launch)


class WhatIsOpenAlready(GroupTest):
    def test_is_never_emptied_and_no_line_is_overwritten(self):
        for mode in (">", ">>"):
            with self.subTest(mode=mode):
                log = self.write("log", "said before\n")
                shell = f'exec 2{mode}log; echo first >&2; exec "$@"'
                launch = self.run_words("sh", "-c", shell, "sh", PYTHON, "-E", LAUNCH, *FEW, "--dead-letters", "/dev/stderr",
                                        "--handler", "fail", stdin=numbers(20))
                self.assertEqual(launch.code(), 1)
                with open(log, encoding="utf-8") as file:
                    lines = file.read().split("\n")
                self.assertIn("first", lines)
                self.assertEqual("said before" in lines, mode == ">>")
                dead = [json.loads(line)["seq"] for line in lines if line.startswith("{")]
                self.assertEqual(sorted(dead), list(range(1, 21)))
                self.assertTrue(any(line.startswith("tasks ") for line in lines), lines)

    def test_output_to_dev_stdout_goes_on_where_the_shell_is(self):
        launch = self.run_words("sh", "-c", 'echo before; "$@"; echo after', "sh", PYTHON, "-E", LAUNCH, *FEW, "--output",
                                "/dev/stdout", "--handler", "echo", stdin=b"1\n")
        self.assertEqual(launch.code(), 0, launch.err)
        self.assertEqual(launch.lines, ["before", "1", "after"])

    def test_the_file_of_a_stream_by_its_own_name_is_refused(self):
        for number, stream in ((2, "stderr"), (1, "stdout")):
            with self.subTest(stream=stream):
                log = self.write("log", "said before\n")
                launch = self.run_words("sh", "-c", f'exec "$@" {number}>>log', "sh", PYTHON, "-E", LAUNCH, *FEW,
                                        "--dead-letters", "log", "--handler", "fail", stdin=b"1\n")
                self.assertEqual(launch.code(), 64)
                with open(log, encoding="utf-8") as file:
                    text = file.read()
                self.assertTrue(text.startswith("said before\n"), text)
                self.assertIn(f"say --dead-letters /dev/{stream}", text + launch.err)

    def test_the_help_says_what_is_emptied_and_what_is_not(self):
        launch = self.launch("--help")
        self.assertEqual(launch.code(), 0)
        said = re.sub(r"\s+", " ", launch.out.decode())
        for words in ("--output, --dead-letters and --joblog empty the file", "What is open already is never emptied"):
            self.assertIn(words, said)


@unittest.skipUnless(os.geteuid() == 0 and shutil.which("mount"), "needs root")
class AFullDisk(GroupTest):
    def setUp(self):
        super().setUp()
        self.disk = self.path("disk")
        os.mkdir(self.disk)
        if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", self.disk], stderr=subprocess.DEVNULL).returncode:
            self.skipTest("may not mount")
        self.addCleanup(subprocess.run, ["umount", "-l", self.disk], check=True)
        self.out = os.path.join(self.disk, "out")
        self.environment["CURFEW_GRACE"] = "3s"

    def stopped_while_full(self, *words, **how):
        launch = self.launch("--run-dir", self.run_dir, *FEW, "--json", *words, stdin=numbers(20), **how)
        line = launch.says(r"sink_full .*")[0]
        launch.signal(signal.SIGTERM)
        launch.says("draining")
        launch.signal(signal.SIGINT)
        self.assertEqual(launch.code(), 128 + signal.SIGINT, launch.err)
        return line

    def is_whole(self):
        with open(self.out, "rb") as file:
            lines = file.read().split(b"\n")
        self.assertEqual(lines.pop(), b"", "no torn line at the end")
        self.assertGreater(len(lines), 0)
        for line in lines:
            json.loads(line)

    def test_names_itself_and_how_to_stop_and_stopped_leaves_no_torn_line(self):
        work = ("--", "sh", "-c", f'head -c {LARGE} /dev/zero | tr "\\0" x')
        for flag, words in (("stdout", work), ("--output", ("--output", self.out, *work)),
                            ("--dead-letters", ("--dead-letters", self.out, "--ok-exit", "7", *work))):
            with self.subTest(flag=flag), open(self.out, "wb") as out:
                if flag == "--dead-letters":  # the message is in a dead letter
                    words = ("--dead-letters", self.out, "--handler", "fail")
                line = (self.stopped_while_full(*words, stdout=out) if flag == "stdout" else
                        self.stopped_with_large_messages(words) if flag == "--dead-letters" else self.stopped_while_full(*words))
                self.assertIn('sink="stdout"' if flag == "stdout" else self.out, line)
                self.assertIn("No space left on device", line)
                self.assertIn("a second INT or TERM to launch stops", line)
                self.is_whole()

    def stopped_with_large_messages(self, words):
        messages = b"".join(b"%d%s\n" % (n, b"y" * LARGE) for n in range(20))
        launch = self.launch("--run-dir", self.run_dir, *FEW, "--json", *words, stdin=messages)
        line = launch.says(r"sink_full .*")[0]
        launch.signal(signal.SIGTERM)
        launch.says("draining")
        launch.signal(signal.SIGINT)
        self.assertEqual(launch.code(), 128 + signal.SIGINT, launch.err)
        return line


class TheWordToTheNextLife(GroupTest):
    """`ended` in the lock file: only a life that ended well says so, and one that never began changes nothing."""

    def word(self):
        with open(os.path.join(self.run_dir, "collector.lock"), encoding="utf-8") as lock:
            return lock.read().split()[2]

    def collector(self, *words, code, **how):
        ended = self.binary("collector", *words, **how)
        self.assertEqual(ended.code(), code, ended.err)
        return self.word()

    def a_good_life(self):
        collector = self.ready("collector", "--sink", "file:" + self.path("out"))
        collector.signal(signal.SIGTERM)
        self.assertEqual(collector.code(), 0, collector.err)
        return self.word()

    def a_killed_life(self):
        collector = self.ready("collector", "--sink", "file:" + self.path("out"))
        collector.signal(signal.SIGKILL)
        collector.code()
        return self.word()

    def test_is_that_of_the_last_life_that_began(self):
        bad = ("--sink", "nothing")
        self.assertEqual(self.a_good_life(), "ended")
        self.assertEqual(self.collector(*bad, code=64), "ended")
        self.assertEqual(self.a_killed_life(), "running")
        self.assertEqual(self.collector(*bad, code=64), "running")
        self.assertEqual(self.a_good_life(), "ended")

    def test_of_a_life_that_ended_with_an_error_is_not_that_it_ended_well(self):
        os.mkfifo(self.path("fifo"))
        end = os.open(self.path("fifo"), os.O_RDONLY | os.O_NONBLOCK)
        launch = self.launch("--run-dir", self.run_dir, *FEW, "--output", self.path("fifo"), "--handler", "echo", stdin="pipe")
        launch.feed(b"1\n")
        eventually(lambda: _read_some(end), "the first outcome")
        os.close(end)
        lock = os.open(os.path.join(self.run_dir, "collector.lock"), os.O_RDONLY)  # launch removes the name
        self.addCleanup(os.close, lock)
        launch.feed(b"2\n")
        self.assertEqual(launch.code(), 74, launch.err)
        self.assertEqual(os.pread(lock, 100, 0).split()[2], b"running")

    def test_after_a_crash_another_sink_is_not_cut(self):
        self.a_killed_life()
        other = self.write("other", "a line\nand one that its owner did not end")
        collector = self.ready("collector", "--sink", "file:" + other)
        eventually(lambda: os.path.getsize(other) == 42, "the newline")
        collector.signal(signal.SIGTERM)
        self.assertEqual(collector.code(), 0)
        with open(other, encoding="utf-8") as file:
            self.assertEqual(file.read(), "a line\nand one that its owner did not end\n")


if __name__ == "__main__":
    unittest.main()

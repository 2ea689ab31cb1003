#!/usr/bin/env python3
"""Restarts of the collector while its sink is slow, full or at its limit: its successor continues no torn line. What was
torn is cut off in a file and ended with a newline in a pipe, both are said, and every outcome comes whole.

A pipe is read when the test says so; that it is full is asked of the kernel, so a kill hits the collector in a long line.
"""

import array
import collections
import fcntl
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import termios
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))

from group import LAUNCH, PYTHON, GroupTest, eventually, numbers  # noqa: E402

LARGE = 200_000  # bytes of a result
LARGE_WORK = ("sh", "-c", f'head -c {LARGE} /dev/zero | tr "\\0" x')
PIPE_BUF = 4096
FEW = ("--workers", "2", "--slots", "4", "--fanout", "1")


class PipeReader:
    """Both ends of a pipe; reads what the test wants, and no more."""

    def __init__(self, test):
        self._reader, self.writer = os.pipe()
        os.set_blocking(self._reader, False)
        test.addCleanup(self.close)
        self.data = bytearray()
        self.ended = False

    def give_writer_away(self):
        os.close(self.writer)
        self.writer = -1

    def held(self):
        """Bytes that are in the pipe now."""
        count = array.array("i", [0])
        fcntl.ioctl(self._reader, termios.FIONREAD, count)
        return count[0]

    def is_full(self):
        """Of 16 pages only one can have the end of a long line, and room."""
        eventually(lambda: self.held() >= 15 * PIPE_BUF, lambda: f"the pipe to be full, not only {self.held()}")

    def read_to(self, size):
        """Until it has so many bytes, or all there will be."""
        def enough():
            try:
                while len(self.data) < size and (piece := os.read(self._reader, min(1 << 16, size - len(self.data)))):
                    self.data += piece
                self.ended = len(self.data) < size
            except BlockingIOError:
                return False
            return True
        eventually(enough, lambda: f"{size} bytes, not only {len(self.data)}", 60)

    def close(self):
        for end in (self._reader, self.writer):
            if end >= 0:
                os.close(end)
        self._reader = self.writer = -1


class SinkTest(GroupTest):
    def group(self, *words, **how):
        return self.launch("--run-dir", self.run_dir, *FEW, *words, **how)

    def opened(self, path, append=False):
        """As a shell does it with `>` or `>>`."""
        out = os.open(path, os.O_WRONLY | os.O_CREAT | (os.O_APPEND if append else os.O_TRUNC), 0o600)
        self.addCleanup(os.close, out)
        return out

    def kill_collector(self):
        """Until its successor is there."""
        killed = self.pid_of("collector")
        os.kill(killed, signal.SIGKILL)
        eventually(lambda: self.pid_of("collector") != killed, "the next collector")
        eventually(lambda: self.snapshot("collector").get("pid", killed) != killed, "its answer")

    def every_outcome_is_whole(self, data, count):
        """(torn lines, empty lines) among the JSON lines of the data, in which every message has its outcome."""
        self.assertTrue(data.endswith(b"\n"), "the last line ends")
        seqs, torn, empty = collections.Counter(), [], 0
        for line in bytes(data).split(b"\n")[:-1]:
            try:
                seqs[json.loads(line)["seq"]] += 1
            except ValueError:
                if line:
                    torn.append(line)
                else:
                    empty += 1
        self.assertEqual(sorted(seqs), list(range(1, count + 1)), "an outcome is lost")
        for line in torn:
            self.assertTrue(line.startswith(b'{"seq":') and line.count(b'{"seq":') == 1, line[:100])
        return torn, empty


class APipe(SinkTest):
    def start(self, *words, **how):
        pipe = PipeReader(self)
        launch = self.group(*words, stdout=pipe.writer, **how)
        pipe.give_writer_away()
        return launch, pipe

    def test_a_torn_line_is_ended_and_its_outcome_follows_whole(self):
        launch, pipe = self.start("--json", "--", *LARGE_WORK, stdin=numbers(60))
        for kill in range(1, 5):
            pipe.is_full()
            self.kill_collector()
            pipe.read_to(kill * 2_000_000)
        pipe.read_to(1 << 40)
        self.ends_well(launch)
        torn, empty = self.every_outcome_is_whole(pipe.data, 60)
        said = len(re.findall('torn_line_ended sink="stdout"', launch.err))
        self.assertEqual((len(torn), empty), (said, 0))
        self.assertGreater(said, 0)
        self.assertTrue(all(len(line) > PIPE_BUF for line in torn))

    def test_what_the_raw_form_has_torn_is_a_line_of_its_own(self):
        work = f'read n; echo "<$n"; head -c {LARGE} /dev/zero | tr "\\0" x; printf "$n>"'
        launch, pipe = self.start("--", "sh", "-c", work, stdin=numbers(40))
        for kill in range(1, 4):
            pipe.is_full()
            self.kill_collector()
            pipe.read_to(kill * 2_000_000)
        pipe.read_to(1 << 40)
        self.ends_well(launch)
        whole = re.findall(rb"^<(\d+)\nx{%d}\1>$" % LARGE, bytes(pipe.data), re.MULTILINE)
        self.assertEqual({int(n) for n in whole}, set(range(1, 41)))
        self.assertNotRegex(bytes(pipe.data), rb"x<|\n\n")

    def test_lines_that_fit_into_pipe_buf_are_never_torn(self):
        chance = random.Random(4)
        messages = b"".join(b"%s\n" % (b"y" * chance.choice((0, 10, 900, 3000, 3900))) for _ in range(3000))
        launch, pipe = self.start("--json", "--handler", "echo", stdin=messages)
        for _ in range(4):
            pipe.read_to(len(pipe.data) + chance.randrange(300_000, 800_000))  # at whatever it is now
            self.kill_collector()
        pipe.read_to(1 << 40)
        self.ends_well(launch)
        self.assertLessEqual(max(map(len, bytes(pipe.data).split(b"\n"))), PIPE_BUF - 1, "what is meant here")
        self.assertEqual(self.every_outcome_is_whole(pipe.data, 3000), ([], 0))
        self.assertNotIn("torn_line", launch.err)

    def test_dead_letters_in_the_same_pipe_are_refused(self):
        reader, writer = os.pipe()
        self.addCleanup(os.close, reader)
        launch = self.launch("--workers", "1", "--dead-letters", "/dev/stdout", "--handler", "fail", stdin=b"1\n", stdout=writer)
        os.close(writer)
        self.assertEqual(launch.code(), 64, launch.err)
        self.assertIn("the pipe of --sink", launch.err)

    def test_a_reader_that_has_gone_is_an_error(self):
        launch, pipe = self.start("--json", "--", *LARGE_WORK, stdin=numbers(60))
        pipe.is_full()
        pipe.close()
        self.assertEqual(launch.code(), 74, launch.err)
        self.assertIn("Broken pipe", launch.err)


class AFile(SinkTest):
    """stdout as a shell opens it: with `>` the lives of the collector share the offset, with `>>` there is none."""

    def test_is_whole_again_after_kills_in_the_middle_of_writes(self):
        for append in (False, True):
            with self.subTest(append=append):
                path = self.path(f"out.{append}")
                work = 'head -c 4000000 /dev/zero | tr "\\0" x'
                launch = self.group("--json", "--max-output", "5m", "--", "sh", "-c", work, stdin=numbers(20),
                                    stdout=self.opened(path, append))
                for _ in range(4):
                    if not launch.alive:
                        break
                    collector, size = self.pid_of("collector"), os.path.getsize(path)
                    until = time.monotonic() + 20
                    while os.path.getsize(path) == size and launch.alive and time.monotonic() < until:
                        pass  # a write takes milliseconds: the kill must not come later
                    if not launch.alive:
                        break
                    os.kill(collector, signal.SIGKILL)
                    eventually(lambda: self.pid_of("collector") != collector, "the next collector")
                self.ends_well(launch, patience=60)
                with open(path, "rb") as file:
                    self.assertEqual(self.every_outcome_is_whole(file.read(), 20), ([], 0))

    def test_at_its_limit_is_an_error_that_says_so(self):
        for where in ("stdout", "--output"):
            with self.subTest(where=where):
                path = self.path("out" + where)
                words, out = (("--output", path), None) if where == "--output" else ((), self.opened(path))
                limited = ("sh", "-c", 'ulimit -f 1000; exec "$@"', "sh", PYTHON, "-E", LAUNCH)
                launch = self.run_words(*limited, "--run-dir", self.run_dir, *FEW, "--json", *words, "--", *LARGE_WORK,
                                        stdin=numbers(20), stdout=out)
                self.assertEqual(launch.code(), 74, launch.err)
                self.assertRegex(launch.err, r"collector.*as large as a file may be here \(ulimit -f")
                with open(path, "rb") as file:
                    lines = file.read().split(b"\n")
                self.assertEqual(lines.pop(), b"", "it ends with a whole line")
                self.assertGreater(len(lines), 0)
                self.assertTrue(all(len(json.loads(line)["result"]) == LARGE for line in lines))


@unittest.skipUnless(shutil.which("mount"), "needs mount (install: mount)")
@unittest.skipUnless(os.geteuid() == 0, "needs root")
class AFullDisk(SinkTest):
    """A write that finds no more room leaves the beginning of a line; the collector is killed while it waits for space."""

    def setUp(self):
        super().setUp()
        self.disk = self.path("disk")
        os.mkdir(self.disk)
        if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", self.disk], stderr=subprocess.DEVNULL).returncode:
            self.skipTest("needs the right to mount")
        self.addCleanup(subprocess.run, ["umount", "-l", self.disk], check=True)
        self.out = os.path.join(self.disk, "out")

    def resize(self, size):
        subprocess.run(["mount", "-o", f"remount,size={size}", self.disk], check=True)

    def the_collector_finds_no_room(self, launch, times):
        eventually(lambda: launch.err.count("sink_full") >= times, lambda: f"'sink_full' {times} times: {launch.err}")

    def all_come_whole(self, launch, code=0):
        """After two kills on the full disk, when there is room again."""
        for times in (1, 2):
            self.the_collector_finds_no_room(launch, times)
            with open(self.out, "rb") as file:
                self.assertNotEqual(file.read()[-1:], b"\n", "a line is torn")
            self.kill_collector()
        self.the_collector_finds_no_room(launch, 3)
        self.resize("64m")
        self.ends_well(launch, code)
        with open(self.out, "rb") as file:
            self.assertEqual(self.every_outcome_is_whole(file.read(), 20), ([], 0))
        self.assertEqual(len(re.findall(r"torn_line_dropped sink=\S+ bytes=\d+", launch.err)), 2, launch.err)

    def test_stdout(self):
        self.all_come_whole(self.group("--json", "--", *LARGE_WORK, stdin=numbers(20), stdout=self.opened(self.out)))

    def test_stdout_to_append_to(self):
        self.all_come_whole(self.group("--json", "--", *LARGE_WORK, stdin=numbers(20), stdout=self.opened(self.out, True)))

    def test_output(self):
        self.all_come_whole(self.group("--json", "--output", self.out, "--", *LARGE_WORK, stdin=numbers(20)))

    def test_stdout_with_the_run_directory_on_the_same_disk(self):
        self.run_dir = os.path.join(self.disk, "run")
        self.all_come_whole(self.group("--json", "--", *LARGE_WORK, stdin=numbers(20), stdout=self.opened(self.out)))

    def test_dead_letters(self):
        messages = b"".join(b"%d%s\n" % (n, b"y" * LARGE) for n in range(20))
        self.all_come_whole(self.group("--json", "--dead-letters", self.out, "--handler", "fail", stdin=messages), code=1)


if __name__ == "__main__":
    unittest.main()

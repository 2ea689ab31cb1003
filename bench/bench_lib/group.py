"""A group that is measured: started by scripts/launch in a run directory of its own, watched through its books page.

The binaries are copied first, so that a build beside the bench does not change them between two runs. The books page
is read every few milliseconds (one pread of 256 bytes), which gives the instants of the first acceptance and the last
settlement without touching the group. Everything that can go wrong is a Failure.
"""

import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.append(os.path.join(ROOT, "scripts"))
from launch_lib import books as page  # noqa: E402  the page's layout has one reader in Python

BINARIES = ("broker", "worker", "collector", "monitor", "supervisor")
LOOK_EVERY = 0.005  # seconds
PATIENCE = 1800.0  # a bound, not a judgement: who has not ended by then hangs


class Failure(Exception):
    """The bench cannot be run, or what it ran went wrong."""


class Place:
    """Where the benches work: a temporary directory, a copy of the binaries in it. Removed at the end."""

    def __init__(self, scratch):
        self.root = ROOT
        self.built_in = os.path.abspath(os.environ.get("CURFEW_BIN_DIR") or os.path.join(ROOT, "build", "bin"))
        self._short = tempfile.mkdtemp(prefix="cb-", dir="/tmp")  # the paths of sockets have to be short
        self._scratch = tempfile.mkdtemp(prefix="curfew-bench-", dir=scratch)
        self.bin_dir = os.path.join(self._short, "bin")
        self._groups = 0

    def __enter__(self):
        try:
            os.mkdir(self.bin_dir)
            self.copy_binaries()
        except OSError as error:
            self.__exit__()
            raise Failure(f"no binaries to measure, scripts/bootstrap builds them: {error}") from None
        return self

    def __exit__(self, *_):
        for directory in (self._short, self._scratch):
            shutil.rmtree(directory, ignore_errors=True)

    def copy_binaries(self):
        for name in BINARIES:
            shutil.copy2(os.path.join(self.built_in, f"curfew-{name}"), self.bin_dir)

    def file(self, name):
        return os.path.join(self._scratch, name)

    def new_run_dir(self):
        self._groups += 1
        path = os.path.join(self._short, f"g{self._groups}")
        os.mkdir(path, 0o700)
        return path


@dataclass
class Ending:
    whole_s: float  # from the start of launch to its end
    first_at: float  # after the start: the first message was accepted
    settled_at: float  # after the start: all were settled
    cpu_s: float  # of all processes of the group, launch included
    books: page.Books

    @property
    def flow_s(self):
        """From the first acceptance to the last settlement: the run without its start and its end."""
        return max(self.settled_at - self.first_at, 1e-9)


class Group:
    """`with Group(place, options) as group:` starts it; `finish` waits for its good end."""

    def __init__(self, place, *options, command=(), stdin=subprocess.DEVNULL, environment=None):
        self.run_dir = place.new_run_dir()
        self.said = place.file("launch.stderr")
        self._books_file = -1
        self._first_at = self._settled_at = None
        self._ended = None  # (instant, exit code, rusage)
        argv = [os.path.join(place.root, "scripts", "launch"), "--run-dir", self.run_dir, *map(str, options)]
        argv += ["--", *command] if command else []
        with open(self.said, "wb") as stderr:
            self.started_at = time.monotonic()
            self.process = subprocess.Popen(argv, stdin=stdin, stdout=subprocess.DEVNULL, stderr=stderr,
                                            env={**os.environ, "CURFEW_BIN_DIR": place.bin_dir, **(environment or {})})
        self._end = os.pidfd_open(self.process.pid)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self._ended is None:  # something failed before its end: two signals, then launch stops all it has started
            for _ in range(2):
                signal.pidfd_send_signal(self._end, signal.SIGTERM)
                time.sleep(0.1)
            select.select([self._end], [], [], 20)
        if self.process.stdin:
            self.process.stdin.close()
        os.close(self._end)
        if self._books_file >= 0:
            os.close(self._books_file)

    def endpoint(self, name):
        return f"ipc://{self.run_dir}/{name}.monitor.sock"

    def members(self):
        """Names of the processes that answer, the broker first."""
        names = sorted(file.removesuffix(".monitor.sock") for file in os.listdir(self.run_dir)
                       if file.endswith(".monitor.sock"))
        return sorted(names, key=lambda name: (name != "broker", name != "collector", len(name), name))

    def books(self):
        """As the broker's page has them, also after its end; None before it is there."""
        if self._books_file < 0:
            try:
                self._books_file = os.open(os.path.join(self.run_dir, "books"), os.O_RDONLY)
            except OSError:
                return None
        return page.decode(os.pread(self._books_file, 4096, 0))

    def look(self, expected):
        """Notes the instants that Ending reports. True while the group runs."""
        books = self.books()
        now = time.monotonic()
        if books and self._first_at is None and books.accepted:
            self._first_at = now
        if books and self._settled_at is None and books.settled >= expected:
            self._settled_at = now
        if self._ended is None and select.select([self._end], [], [], 0)[0]:
            _, status, usage = os.wait4(self.process.pid, 0)
            self.process.returncode = os.waitstatus_to_exitcode(status)
            self._ended = (time.monotonic(), self.process.returncode, usage)
        return self._ended is None

    def wait_for(self, condition, expected):
        """Until the books fulfil it. The group must not end before."""
        until = time.monotonic() + PATIENCE
        while not ((books := self.books()) and condition(books)):
            if not self.look(expected) or time.monotonic() > until:
                raise Failure(f"the group did not get so far: {self._words()}")
            select.select([self._end], [], [], LOOK_EVERY)
        self.look(expected)

    def wait_for_workers(self, client, count):
        """Until so many are ready, and the collector too: what starts them is then no part of what is measured."""
        self.wait_for(lambda books: books is not None, 1)
        until = time.monotonic() + PATIENCE
        while True:
            answer = client.ask(self.endpoint("broker"), "stats", lambda: self.look(1))
            if answer and answer[0]["collector"]["synced"]:
                if sum(worker["state"] == "ready" for worker in answer[0]["workers"]) >= count:
                    return
            if not self.look(1) or time.monotonic() > until:
                raise Failure(f"the workers are not ready: {self._words()}")
            select.select([self._end], [], [], LOOK_EVERY)

    def drain(self, expected):
        """The good end of a group whose source has none, when all is settled."""
        self.wait_for(lambda books: books.settled >= expected and books.attempts_in_flight == 0, expected)
        self.process.send_signal(signal.SIGTERM)
        return self.finish(expected)

    def stop(self):
        """Two signals: now, whatever is in flight. Different ones, since two of the same may arrive as one."""
        self.process.send_signal(signal.SIGTERM)
        self.process.send_signal(signal.SIGINT)
        until = time.monotonic() + PATIENCE
        while self.look(0):
            if time.monotonic() > until:
                raise Failure(f"the group does not stop: {self._words()}")
            select.select([self._end], [], [], LOOK_EVERY)
        code, books = self._ended[1], self.books()
        if code not in (128 + signal.SIGTERM, 128 + signal.SIGINT) or books is None or not books.balanced:
            raise Failure(f"the group was stopped and ended with {code}: {self._words()}")

    def finish(self, expected):
        """Waits for the group's end. A Failure unless all of `expected` were completed and the books balance."""
        until = time.monotonic() + PATIENCE
        while self.look(expected):
            if time.monotonic() > until:
                raise Failure(f"the group does not end: {self._words()}")
            select.select([self._end], [], [], LOOK_EVERY)
        ended_at, code, usage = self._ended
        books = self.books()
        if code != 0 or books is None or not books.balanced or books.tasks[0] != expected:
            raise Failure(f"the group ended with {code}: {self._words()}")
        since = lambda instant: (instant if instant is not None else ended_at) - self.started_at
        return Ending(ended_at - self.started_at, since(self._first_at), since(self._settled_at),
                      usage.ru_utime + usage.ru_stime, books)

    def _words(self):
        with open(self.said, encoding="utf-8", errors="replace") as file:
            return " | ".join(file.read().splitlines()[-4:]) or "launch said nothing"


def start_time(place, *options, command=()):
    """Seconds that a group takes to start and end without any message."""
    with Group(place, *options, "--input", os.devnull, command=command) as group:
        return group.finish(0).whole_s

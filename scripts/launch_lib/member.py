"""One process of the group: how it is started, spoken to and signalled, and how its deaths are counted.

Owned by the group, which alone reaps. Nothing blocks: a lifeline whose reader does not read (64 KiB of lines) loses
lines, and a process in that state is hung anyhow. A process says one thing on it: `drain`, since it got a TERM that was
not launch's. Starting fails with an OSError.
"""

import ctypes
import fcntl
import os
import signal
import socket
import subprocess
import time
from typing import NamedTuple

from . import clock

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_libc = ctypes.CDLL(None, use_errno=True)

QUICK_DEATH = 1.0  # seconds: who dies sooner after its start died quickly
QUICK_DEATHS = 5  # so many in a row, and it cannot be kept running
FIRST_BACK_OFF = 0.1
LONGEST_BACK_OFF = 5.0
_FIRST_OF_OURS = 10
STEADY = 10.0  # who lived so long starts from the first back-off again


def become_subreaper():
    """From now on whoever loses his parent becomes our child, so that no descendant gets away."""
    if _libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_CHILD_SUBREAPER)")


class Deaths:
    """When a process that died is started again, and when no more. Pure."""

    def __init__(self):
        self._back_off = FIRST_BACK_OFF
        self._quick = 0

    def count(self, lived, forgiven=False):
        """Counts a death after `lived` seconds; returns the wait before the next start, None for 'no more'."""
        if lived >= STEADY:
            self._back_off = FIRST_BACK_OFF
        self._quick = self._quick + 1 if lived < QUICK_DEATH and not forgiven else 0
        if self._quick >= QUICK_DEATHS:
            return None
        wait = self._back_off
        self._back_off = min(2 * wait, LONGEST_BACK_OFF)
        return wait


class Member:
    def __init__(self, process):
        self.process = process
        self.pid = 0  # 0: not running
        self.restart_at = None  # while it waits for its next start
        self.started_at = 0.0
        self.started_on = 0.0  # the same by the wall clock, which files have
        self.deaths = Deaths()
        # A process of its last life that is not over, though what launch watches is; and its lifeline.
        self.outlived_by = self.outlived_lifeline = 0
        self.lifeline = 0  # the number of its end: it names the process whatever stands before it in a shell
        self._lifeline = None  # our end
        self._heard = b""  # the start of a line
        self._listens = True  # until it has closed its end
        self._child = None

    @property
    def name(self):
        return self.process.name

    @property
    def running(self):
        return self.pid != 0

    def may_start(self, now):
        """Whether it is time for its next life, and nothing of the last is left."""
        return self.restart_at is not None and now >= self.restart_at and not self.outlived_by

    def start(self, run_dir):
        """Starts the process with a lifeline of its own. Raises OSError."""
        self.restart_at = None
        self.started_at = clock.now()
        self.started_on = time.time()
        ours, theirs = _lifeline_pair()
        environment = {**os.environ, **self.process.environment, "CURFEW_RUN_DIR": run_dir,
                       "CURFEW_NAME": self.name, "CURFEW_LIFELINE": str(theirs.fileno())}
        try:
            self._child = subprocess.Popen(
                self.process.argv, env=environment, pass_fds=(theirs.fileno(), *self.process.descriptors),
                stdin=self._stdin(),
                stdout=None if self.process.gets_stdout else subprocess.DEVNULL,
                preexec_fn=_between_fork_and_exec(os.getpid()))
        except subprocess.SubprocessError as error:  # the part between fork and exec failed
            ours.close()
            raise OSError(0, str(error)) from None
        except OSError:
            ours.close()
            raise
        finally:
            self.lifeline = os.fstat(theirs.fileno()).st_ino
            theirs.close()
        self._lifeline = ours
        self._heard = b""
        self._listens = True
        self.pid = self._child.pid

    def _stdin(self):
        if not self.process.gets_stdin:
            return subprocess.DEVNULL
        return self.process.stdin_descriptor  # None: launch's own

    def say(self, line):
        if self.running:
            try:
                self._lifeline.send(line.encode() + b"\n")  # so short: whole or not at all
            except OSError:
                pass  # full, or the reader closed its end: it is gone, or not one of curfew's

    @property
    def says_on(self):
        """The descriptor on which it may say something, None for none."""
        return self._lifeline.fileno() if self._lifeline is not None and self._listens else None

    def asks_for_drain(self):
        """Whether it has said so since the last call."""
        if self.says_on is None:
            return False
        try:
            data = self._lifeline.recv(4096)
        except BlockingIOError:
            return False
        except OSError:
            data = b""
        self._listens = bool(data)  # else it has closed its end
        *lines, self._heard = (self._heard + data).split(b"\n")
        self._heard = self._heard[-64:]
        return b"drain" in lines

    def signal(self, number):
        if self.running:
            os.kill(self.pid, number)  # ours and not reaped yet: the number cannot mean somebody else

    def reaped(self):
        """Its end was waited for: forget the process, keep the count of its deaths."""
        self._child.returncode = 0  # subprocess must not wait for that number again
        self._child = None
        self.pid = 0
        self._lifeline.close()
        self._lifeline = None


def _lifeline_pair():
    """Our end and theirs; neither is inherited unless we say so. Theirs has a number of two digits or more: the others a
    shell line may use as it likes (`exec 3<x`)."""
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    try:
        high = fcntl.fcntl(theirs.fileno(), fcntl.F_DUPFD_CLOEXEC, _FIRST_OF_OURS)
    except OSError:
        return ours, theirs  # so few are allowed
    theirs.close()
    return ours, socket.socket(fileno=high)


def _between_fork_and_exec(launch_pid):
    """What every process of the group gets; the disposition 'ignored' is the only one that survives exec.

    INT and HUP: a terminal sends them to the whole foreground group, but what they mean is decided by launch alone.
    """

    def prepare():
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
        if os.getppid() != launch_pid:  # launch died before the line above
            os._exit(1)

    return prepare


class Seen(NamedTuple):
    """A process as a look into /proc found it. Its number may be another's by now: its number and start never are."""

    pid: int
    start: int  # clock ticks since the machine's
    parent: int

    @property
    def key(self):
        return self.pid, self.start


def descendants(spared=lambda seen: False):
    """All below this process, as /proc has them now; without those spared and all below them."""
    children = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit() and (seen := look_at(int(entry))):
            children.setdefault(seen.parent, []).append(seen)
    found, unseen = [], [os.getpid()]
    while unseen:
        below = [seen for seen in children.pop(unseen.pop(), []) if not spared(seen)]
        found += below
        unseen += [seen.pid for seen in below]
    return found


def look_at(pid):
    """None where it is gone by now. A zombie counts: its main thread may be all that is over."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            fields = file.read().rpartition(b") ")[2].split()  # behind the name, which may hold anything
        return Seen(pid, start=int(fields[19]), parent=int(fields[1]))
    except (OSError, IndexError, ValueError):
        return None


def signal_all(processes, number):
    for seen in processes:
        try:
            _signal(seen, number)
        except OSError:
            pass  # gone, or (setuid) not ours to signal


def _signal(seen, number):
    """To that process and to no other: it is held, and then looked at again, since its number may have been given to a
    stranger after the look that found it. Where the kernel holds none (before 5.3), a child of ours still gets its
    signal, as nobody but us takes its end; what is deeper becomes a child of ours when those above it are gone.
    """
    try:
        held = os.pidfd_open(seen.pid)
    except OSError:
        now = look_at(seen.pid)
        if now is not None and now.key == seen.key and now.parent == os.getpid():
            os.kill(seen.pid, number)
        return
    try:
        now = look_at(seen.pid)
        if now is not None and now.key == seen.key:
            signal.pidfd_send_signal(held, number)
    finally:
        os.close(held)


def describe(code):
    """How a process ended: its exit code, or the signal that ended it as a negative number."""
    if code >= 0:
        return f"exit {code}"
    try:
        return signal.Signals(-code).name
    except ValueError:
        return f"signal {-code}"

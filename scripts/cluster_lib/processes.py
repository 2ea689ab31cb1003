"""Processes that are found by a mark, a word NAME=VALUE in their environment, and waiting for a condition.

Whatever a RabbitMQ node starts inherits the mark, though it makes sessions of its own and its parent may be dead: so
nothing of a node is missed, and nothing else is ever killed. Reads /proc alone. Threads: none; fails with TimeoutError.
"""

import contextlib
import os
import select
import signal
import time


def wait_for(condition, what, patience):
    """The first true value of condition(); after so many seconds a TimeoutError that says `what`."""
    until = time.monotonic() + patience
    while not (value := condition()):
        if time.monotonic() > until:
            raise TimeoutError(f"waited {patience:g} s in vain: {what() if callable(what) else what}")
        time.sleep(0.01)
    return value


def _read(pid, name):
    try:
        with open(f"/proc/{pid}/{name}", "rb") as file:
            return file.read()
    except OSError:
        return b""


def has_mark(pid, mark):
    return os.fsencode(mark) in _read(pid, "environ").split(b"\0")


def marked(mark):
    """Ids of the live processes that have this word in their environment; not our own."""
    own = str(os.getpid())
    return [int(pid) for pid in os.listdir("/proc") if pid.isdigit() and pid != own and has_mark(pid, mark)]


def kill(pid, mark, patience=20):
    """SIGKILL, if it has the mark; returns when it has ended."""
    _kill_all([pid], mark, patience)


def kill_marked(mark, patience=20):
    """Kills all that have the mark, those they start meanwhile too, and returns when they have ended."""
    until = time.monotonic() + patience
    while left := marked(mark):
        _kill_all(left, mark, max(0, until - time.monotonic()))


def _kill_all(pids, mark, patience):
    """Each is held while its mark is looked at, so that no other process has its id, and until it has ended: its
    environment is gone some time before its sockets are closed and its locks are free."""
    held = {}
    try:
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                held[pid] = os.pidfd_open(pid)
                if has_mark(pid, mark):
                    signal.pidfd_send_signal(held[pid], signal.SIGKILL)
                else:
                    os.close(held.pop(pid))
        living = lambda: [pid for pid in held if not _has_ended(held[pid])]
        wait_for(lambda: not living(), lambda: f"the end of {living()}", patience)
    finally:
        for descriptor in held.values():
            os.close(descriptor)


def _has_ended(descriptor):
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(0))


def proportional_bytes(pid):
    """What it holds of the machine's memory, what is shared counted in parts (PSS); 0 where it is gone."""
    for line in _read(pid, "smaps_rollup").splitlines():
        if line.startswith(b"Pss:"):
            return int(line.split()[1]) * 1024
    return 0


def processor_seconds(pid):
    fields = _read(pid, "stat").rpartition(b") ")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK") if fields else 0.0

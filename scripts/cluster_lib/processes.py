"""Processes that are found by a mark, a word NAME=VALUE in their environment, and waiting for a condition.

Whatever a RabbitMQ node starts inherits the mark, though it makes sessions of its own and its parent may be dead: so
nothing of a node is missed, and nothing else is ever killed. Reads /proc alone. Threads: none; fails with TimeoutError.
"""

import os
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


def kill(pid, mark):
    """SIGKILL, if it has the mark: it is held while that is looked at, so that no other process has its id."""
    try:
        held = os.pidfd_open(pid)
    except OSError:
        return
    try:
        if has_mark(pid, mark):
            signal.pidfd_send_signal(held, signal.SIGKILL)
    except ProcessLookupError:
        pass
    finally:
        os.close(held)


def kill_marked(mark, patience=20):
    """Kills all that have the mark, those they start meanwhile too, and returns when none is left."""
    def none_left():
        left = marked(mark)
        for pid in left:
            kill(pid, mark)
        return not left
    wait_for(none_left, lambda: f"the end of {marked(mark)}", patience)


def proportional_bytes(pid):
    """What it holds of the machine's memory, what is shared counted in parts (PSS); 0 where it is gone."""
    for line in _read(pid, "smaps_rollup").splitlines():
        if line.startswith(b"Pss:"):
            return int(line.split()[1]) * 1024
    return 0


def processor_seconds(pid):
    fields = _read(pid, "stat").rpartition(b") ")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK") if fields else 0.0

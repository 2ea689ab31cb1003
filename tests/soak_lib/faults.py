"""Faults of processes and links, one at a time, chosen by the seed."""

import os
import random
import signal
import time

from .group import children_of

FAULTS = ("kill-worker", "kill-collector", "kill-supervisor", "stop-worker", "pause-worker", "pause-collector",
          "pause-broker", "reset-links", "stall-links")
PAUSES = (0.1, 1.0, 5.0)


def _age(pid):
    """Seconds since its start; 0 if it has just ended."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            ticks = int(file.read().rpartition(b") ")[2].split()[19])
    except OSError:
        return 0.0
    return time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")


class Faults:
    def __init__(self, group, options):
        self._group, self._random = group, random.Random(options.seed)
        self._kinds = options.faults
        self.struck = {}

    def strike(self):
        kind = self._random.choice(self._kinds)
        what, whom = kind.split("-")
        if whom == "links":
            self._strike_links(what, self._random.choice(self._group.proxies))
            self.struck[kind] = self.struck.get(kind, 0) + 1
            return
        role = "worker" if whom == "supervisor" else whom
        members = self._group.members(role)
        if what in ("kill", "stop") and role == "worker":
            # Launch ends a group in which one dies five times in a row within a second of its start. That is not what is
            # tried here, and where chance strikes each second it would come to it.
            members = [(name, pid) for name, pid in members if _age(pid) > 1.5]
        if not members:
            return
        _, pid = self._random.choice(members)
        try:
            if whom == "supervisor":
                children = children_of(pid)
                if not children:
                    return
                pid = self._random.choice(children)
            handle = os.pidfd_open(pid)
        except OSError:
            return  # it has just ended
        try:
            if what == "pause":
                signal.pidfd_send_signal(handle, signal.SIGSTOP)
                time.sleep(self._random.choice(PAUSES))
                signal.pidfd_send_signal(handle, signal.SIGCONT)
            else:
                signal.pidfd_send_signal(handle, signal.SIGKILL if what == "kill" else signal.SIGUSR1)
            self.struck[kind] = self.struck.get(kind, 0) + 1
        except ProcessLookupError:
            pass
        finally:
            os.close(handle)

    def _strike_links(self, what, proxy):
        if what == "reset":
            proxy.reset()
            return
        proxy.silent = frozenset(self._random.choice((("in",), ("out",), ("in", "out"))))
        time.sleep(self._random.choice(PAUSES))
        proxy.silent = frozenset()

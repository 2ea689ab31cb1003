"""A group whose processes are looked at one by one: the processor time of each, between two moments when all is quiet.

The messages come through the group's stdin, which stays open until the account is taken: so neither the start nor the
end of a process is in it. A thread splices the file into the pipe, which copies nothing.
"""

import ctypes
import fcntl
import os
import subprocess
import threading
import time
from dataclasses import dataclass

from .group import Ending, Failure, Group
from .req import Client

PIPE_BYTES = 1 << 20  # so that the broker reads as much at a time as it would from a file
_libc = ctypes.CDLL(None)


@dataclass
class Account:
    ending: Ending
    cpu_s: dict  # {process: user and system time}
    most_in_flight: int  # tasks, as seen every few milliseconds

    @property
    def all_s(self):
        return sum(self.cpu_s.values())


def take(place, source, count, size, workers, *flags, environment=None):
    """Of one group over the first `count` messages of the file."""
    most = 0

    def over(books):
        nonlocal most
        most = max(most, books.tasks_in_flight)
        return books.settled >= count and books.attempts_in_flight == 0

    with Group(place, "--quiet", "--workers", workers, *flags, stdin=subprocess.PIPE, environment=environment) as group, \
            Client() as client:
        group.wait_for_workers(client, workers)
        before = processor_times(group, client)
        feed(group, source, count * (size + 1))
        group.wait_for(over, count)
        after = processor_times(group, client)
        group.process.stdin.close()
        ending = group.finish(count)
    if before.keys() != after.keys() or any(before[name][0] != after[name][0] for name in before):
        raise Failure("a process was started again in between")
    return Account(ending, {name: after[name][1] - before[name][1] for name in before}, most)


def processor_times(group, client):
    """{process: (pid, seconds)} of all that answer."""
    found = {}
    for name in group.members():
        if (answer := client.ask(group.endpoint(name), "health")) is None:
            raise Failure(f"{name} does not answer")
        found[name] = (answer[0]["pid"], processor_time(answer[0]["pid"]))
    return found


def processor_time(pid):
    """By the process's own clock: exact, where /proc counts in ticks of 10 ms."""
    clock = ctypes.c_int()
    if _libc.clock_getcpuclockid(pid, ctypes.byref(clock)) != 0:
        raise Failure(f"process {pid} is gone")
    return time.clock_gettime(clock.value)


def feed(group, source, size):
    """The first `size` bytes of the file, by a thread; it ends with the group where it does not get so far."""
    pipe = widened(group.process.stdin.fileno())

    def bring():
        splice(source, pipe, size)
        os.close(pipe)

    threading.Thread(target=bring, daemon=True).start()


def widened(pipe):
    """A descriptor of one's own of the pipe, which takes PIPE_BYTES from now on."""
    fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
    return os.dup(pipe)


def splice(source, pipe, left):
    """The file's first `left` bytes into the pipe. False where the other end is gone, and who waits for it says so."""
    try:
        with open(source, "rb") as file:
            while left > 0 and (moved := os.splice(file.fileno(), pipe, min(left, PIPE_BYTES))) > 0:
                left -= moved
    except BrokenPipeError:
        return False
    return True

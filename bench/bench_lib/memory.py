"""Whether a process grows with the messages it has seen: memory of each after a first part, half, and all.

One group; the messages come through its stdin. After each part the input pauses until everything is settled and every
attempt has ended, so that what is in flight (bounded, but moving) does not blur the figure. What the allocator keeps of
an earlier crowd does: so in the first part each process but the broker is stopped for a moment, to have its crowd
early, and there is a figure after half of the messages too. Growth with the messages shows between half and all.
"""

import os
import re
import signal
import subprocess
import threading
import time

from . import messages
from .group import Failure, Group
from .req import Client

RUNS = 1  # time is not measured
STALL = 0.5  # seconds, well below what makes a process suspect
QUIET = 2.5  # seconds: a process gives back what a burst has left with its allocator in the first second that is quiet


def add_options(parser):
    parser.add_argument("--messages", type=int, default=10_000_000)
    parser.add_argument("--first", type=int, default=1_000_000, help="size of the first part (%(default)s)")
    parser.add_argument("--size", type=int, default=128, help="bytes of a message (%(default)s)")
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--fanout", type=int, default=4)


def measure(place, options):
    parts = (options.first, options.messages // 2, options.messages)
    if not 0 < parts[0] < parts[1]:
        raise Failure("--first has to be less than half of --messages")
    with Group(place, "--quiet", "--handler", "echo", "--workers", options.workers, "--fanout", options.fanout,
               "--output", "/dev/null", stdin=subprocess.PIPE) as group:
        crowd = threading.Thread(target=_stall_each, args=(group,))
        crowd.start()
        first = _after(group, 0, parts[0], options, crowd)
        half = _after(group, parts[0], parts[1], options)
        last = _after(group, parts[1], parts[2], options)
        group.process.stdin.close()
        ending = group.finish(options.messages)
    figures = {}
    for name, (pid, resident, highest) in last.items():
        if first.get(name, [0])[0] != pid:
            raise Failure(f"{name} was started again in between")
        for upto, found in zip(parts, (first, half, last)):
            figures[f"{name}, after {upto:,}"] = (found[name][1], "MiB")
        figures[f"{name}, all / first"] = (resident / first[name][1], "x")
        figures[f"{name}, all / half"] = (resident / half[name][1], "x")
        figures[f"{name}, highest ever"] = (highest, "MiB")
    figures["messages, pauses included"] = (options.messages / ending.flow_s, "1/s")
    return figures


def _stall_each(group):
    """Lets what is under way pile up in front of each process once."""
    until = time.monotonic() + 30
    while not ((books := group.books()) and books.accepted) and time.monotonic() < until:
        time.sleep(0.01)
    with Client() as client:
        for name in group.members():
            answer = client.ask(group.endpoint(name), "health") if name != "broker" else None
            if answer is None:
                continue
            process = os.pidfd_open(answer[0]["pid"])
            try:
                signal.pidfd_send_signal(process, signal.SIGSTOP)
                time.sleep(STALL)
            finally:
                signal.pidfd_send_signal(process, signal.SIGCONT)
                os.close(process)


def _after(group, first, upto, options, crowd=None):
    """{process: (pid, resident, highest so far)} in MiB, when that many are settled and nothing is in flight."""
    messages.write(group.process.stdin.fileno(), first, upto - first, options.size)
    if crowd:
        crowd.join()
    group.wait_for(lambda books: books.settled >= upto and books.attempts_in_flight == 0, options.messages)
    time.sleep(QUIET)
    found = {}
    with Client() as client:
        for name in group.members():
            if (answer := client.ask(group.endpoint(name), "health")) is None:
                raise Failure(f"{name} does not answer")
            found[name] = (answer[0]["pid"], *_memory_of(answer[0]["pid"]))
    return found


def _memory_of(pid):
    with open(f"/proc/{pid}/status", encoding="ascii", errors="replace") as file:
        said = file.read()
    return tuple(int(re.search(rf"{field}:\s*(\d+) kB", said)[1]) / 1024 for field in ("VmRSS", "VmHWM"))

"""From the death of a worker to the start of the attempts that replace what it ran.

Each attempt writes the instant of its start and then sleeps. `seen` is SIGKILL: launch sees the death and tells the
broker. `silent` is SIGSTOP: nothing but the missing heartbeats says so.
"""

import os
import signal
import statistics
import subprocess
import time

from .group import Failure, Group
from .req import Client

RUNS = 1
WORK = 'read -r log; date +"%s.%N" >> "$log"; exec sleep 100000'


def add_options(parser):
    parser.add_argument("--kills", type=int, default=30, help="deaths that are seen (%(default)s)")
    parser.add_argument("--stops", type=int, default=5, help="workers that fall silent (%(default)s)")


def measure(place, options):
    figures = {}
    for name, number, times in (("seen", signal.SIGKILL, options.kills), ("silent", signal.SIGSTOP, options.stops)):
        found = sorted(_one(place, number, f"{name}.{time_}") for time_ in range(times))
        figures[f"{name}: median"] = (statistics.median(found) * 1000, "ms")
        figures[f"{name}: p99"] = (found[min(len(found) - 1, int(0.99 * len(found)))] * 1000, "ms")
        figures[f"{name}: times"] = (len(found), "")
    return figures


def _one(place, number, name):
    """Seconds from the signal to the start of the last of the replacing attempts."""
    log = place.file(f"starts.{name}")
    starts = lambda: [float(line) for line in _lines(log)]
    slots = 2
    with Group(place, "--quiet", "--output", os.devnull, "--workers", 2, "--slots", slots, "--fanout", 1, "--grace",
               "100ms", "--deadline", "none", command=("sh", "-c", WORK), stdin=subprocess.PIPE) as group, Client() as client:
        group.wait_for(lambda books: books is not None, slots)
        group.process.stdin.write(f"{log}\n".encode() * slots)
        group.process.stdin.flush()
        _until(group, lambda: len(starts()) >= slots)
        workers = {worker: client.ask(group.endpoint(worker), "dump")[0] for worker in ("w1", "w2")}
        busy = max(workers.values(), key=lambda dump: dump["in_flight"])
        process = os.pidfd_open(busy["pid"])
        struck_at = time.time()
        signal.pidfd_send_signal(process, number)
        _until(group, lambda: len(starts()) >= slots + busy["in_flight"])
        if number == signal.SIGSTOP:
            signal.pidfd_send_signal(process, signal.SIGCONT)
        os.close(process)
        group.process.send_signal(signal.SIGTERM)
        group.process.send_signal(signal.SIGINT)
        return max(starts()) - struck_at


def _lines(path):
    try:
        with open(path, encoding="ascii") as file:
            return [line for line in file if line.endswith("\n")]
    except FileNotFoundError:
        return []


def _until(group, condition):
    until = time.monotonic() + 20
    while not condition():
        if not group.look(1) or time.monotonic() > until:
            raise Failure("the work was not started (again)")
        time.sleep(0.001)

"""What a task costs as the window grows, in processor time of the whole group, and what it holds of the broker's memory.

Time: echo, with credit for the whole window at each worker, so that the window and nothing else is the bound; `most in
flight` says how full it was. Beside it the bare race (ceiling.cpp) with the same bound. Memory: work that does not end fills the largest window, and the broker's resident set
then is compared with that of the same broker before the first message. That group is stopped, not drained.
"""

import re
import subprocess
import time

from . import accounts, beside, echo, messages
from .group import Failure, Group
from .req import Client

RUNS = 3
WINDOWS = (100, 10_000, 1_000_000)
FANOUTS = (1, 2)
FLAT = {"most / least": [f"window {window:,}: processor time of a task" for window in WINDOWS],
        "bare race: most / least": [f"window {window:,}: the same of the bare race" for window in WINDOWS]}
MOST_CREDIT = 1_000_000  # that a worker takes

QUIET_S = 2.5  # in which a process gives back what its burst has left with the allocator


def add_options(parser):
    parser.add_argument("--messages", type=int, default=2_000_000, help="for each window (%(default)s)")
    parser.add_argument("--held", type=int, default=WINDOWS[-1], help="tasks that are held for the memory (%(default)s)")
    parser.add_argument("--size", type=int, default=128, help="bytes of a message (%(default)s)")
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--fanout", type=int, default=4, help="of the echo (%(default)s)")


def measure(place, options):
    if options.messages < options.held:
        raise Failure("--messages: at least as many as --held")
    source = echo.input_of(place, options)
    figures = {}
    for window in WINDOWS:
        account = accounts.take(place, source, options.messages, options.size, options.workers, "--handler", "echo",
                                "--fanout", options.fanout, "--window", window, "--output", place.file("out"),
                                environment=_room(options))
        if wrong := messages.check_file(place.file("out"), options.messages, options.size):
            raise Failure(wrong)
        figures[f"window {window:,}: processor time of a task"] = (account.all_s / options.messages * 1e6, "us")
        race = beside.race(place, source, options.messages, "--workers", options.workers, "--fanout", options.fanout, "--window", window)
        figures[f"window {window:,}: the same of the bare race"] = (beside.cpu_of(race) / options.messages * 1e6, "us")
        figures[f"window {window:,}: most in flight"] = (account.most_in_flight, "")
    for fanout in FANOUTS:
        empty, full = _memory(place, options, source, fanout)
        figures[f"held, fanout {fanout}: broker, empty"] = (empty / 2**20, "MiB")
        figures[f"held, fanout {fanout}: broker, full"] = (full / 2**20, "MiB")
        figures[f"held, fanout {fanout}: of a task, beyond its payload"] = ((full - empty) / options.held - options.size, "B")
    return figures


def _room(options):
    """So that nothing but the window is the bound; the same for all windows."""
    return {"CURFEW_CREDIT": str(MOST_CREDIT), "CURFEW_WINDOW_BYTES": str(4 * max(options.held, *WINDOWS) * options.size)}


def _memory(place, options, source, fanout):
    """Bytes of the broker, without a task and with all of them in flight."""
    held = options.held
    with Group(place, "--quiet", "--handler", "sleep:1h", "--deadline", "none", "--workers", options.workers, "--fanout", fanout,
               "--window", held, stdin=subprocess.PIPE, environment=_room(options)) as group, Client() as client:
        group.wait_for_workers(client, options.workers)
        pid = client.ask(group.endpoint("broker"), "health")[0]["pid"]
        empty = _resident(pid)
        accounts.feed(group, source, held * (options.size + 1))
        group.wait_for(lambda books: books.tasks_in_flight == held and books.attempts_in_flight == held * fanout, held)
        time.sleep(QUIET_S)
        full = _resident(pid)
        group.stop()
        books = group.books()
    if books.accepted != held or books.settled + books.tasks_in_flight != held or books.tasks[0]:
        raise Failure(f"of {held} tasks that do not end the books say {books.lines()}")
    return empty, full


def _resident(pid):
    with open(f"/proc/{pid}/status", encoding="ascii", errors="replace") as file:
        return int(re.search(r"VmRSS:\s*(\d+) kB", file.read())[1]) * 1024

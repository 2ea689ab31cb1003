"""What an attempt costs the broker and the collector as the workers grow more: their own processor time for each.

Fanout 4, echo; see accounts.py for what is counted. Beside it the same with the bare race (ceiling.cpp), in which each
frame of 256 goes to the next four.
"""

from . import accounts, beside, echo, messages
from .fanout import WINDOW
from .group import Failure

RUNS = 3
WORKERS = (4, 16, 64)
MEMBERS = ("broker", "collector")
FLAT = {}
for _member in MEMBERS:
    FLAT |= {f"{_member}: most / least": [f"{count} workers: {_member}, processor time of an attempt" for count in WORKERS],
             f"bare race, {_member}: most / least": [f"{count} workers: bare race, {_member}" for count in WORKERS]}


def add_options(parser):
    parser.add_argument("--messages", type=int, default=2_000_000, help="for each number of workers (%(default)s)")
    parser.add_argument("--size", type=int, default=128, help="bytes of a message (%(default)s)")
    parser.add_argument("--fanout", type=int, default=4)


def measure(place, options):
    source = echo.input_of(place, options)
    figures = {}
    for workers in WORKERS:
        account = accounts.take(place, source, options.messages, options.size, workers, "--handler", "echo",
                                "--fanout", options.fanout, "--output", place.file("out"))
        started = account.ending.books.started
        if started < echo.ATTEMPTS_SHARE * options.fanout * options.messages:
            raise Failure(f"only {started} attempts with {workers} workers")
        if wrong := messages.check_file(place.file("out"), options.messages, options.size):
            raise Failure(wrong)
        race = beside.race(place, source, options.messages, "--workers", workers, "--fanout", options.fanout, "--window", WINDOW)
        for name in MEMBERS:
            figures[f"{workers} workers: bare race, {name}"] = (race[f"{name}_cpu_s"] / race["attempts"] * 1e6, "us")
            cost = account.cpu_s[name] / started * 1e6
            figures[f"{workers} workers: {name}, processor time of an attempt"] = (cost, "us")
        figures[f"{workers} workers: whole group, processor time of an attempt"] = (account.all_s / started * 1e6, "us")
    return figures

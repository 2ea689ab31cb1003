"""What an attempt costs the broker and the collector as the workers grow more: their own processor time for each.

Fanout 4, echo; see accounts.py for what is counted. Beside it the same with the bare race (ceiling.cpp), in which each
frame of 256 goes to the next four.
"""

from . import accounts, beside, echo, messages
from .fanout import WINDOW
from .group import Failure

RUNS = 3
WORKERS = (4, 16, 64)


def add_options(parser):
    parser.add_argument("--messages", type=int, default=500_000, help="for each number of workers (%(default)s)")
    parser.add_argument("--size", type=int, default=128, help="bytes of a message (%(default)s)")
    parser.add_argument("--fanout", type=int, default=4)


def measure(place, options):
    source = echo.input_of(place, options)
    costs, bare, figures = {"broker": [], "collector": []}, {"broker": [], "collector": []}, {}
    for workers in WORKERS:
        account = accounts.take(place, source, options.messages, options.size, workers, "--handler", "echo",
                                "--fanout", options.fanout, "--output", place.file("out"))
        started = account.ending.books.started
        if started < echo.ATTEMPTS_SHARE * options.fanout * options.messages:
            raise Failure(f"only {started} attempts with {workers} workers")
        if wrong := messages.check_file(place.file("out"), options.messages, options.size):
            raise Failure(wrong)
        race = beside.race(place, source, options.messages, "--workers", workers, "--fanout", options.fanout, "--window", WINDOW)
        for name, found in bare.items():
            found.append(race[f"{name}_cpu_s"] / race["attempts"] * 1e6)
            figures[f"{workers} workers: bare race, {name}"] = (found[-1], "us")
        for name, found in costs.items():
            found.append(account.cpu_s[name] / started * 1e6)
            figures[f"{workers} workers: {name}, processor time of an attempt"] = (found[-1], "us")
        figures[f"{workers} workers: whole group, processor time of an attempt"] = (account.all_s / started * 1e6, "us")
    for name, found in costs.items():
        figures[f"{name}: most / least"] = (max(found) / min(found), "x")
        figures[f"bare race, {name}: most / least"] = (max(bare[name]) / min(bare[name]), "x")
    return figures

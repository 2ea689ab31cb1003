"""What an attempt costs as the fanout grows: processor time of the whole group for each, with sixteen workers.

The attempts are as many for each fanout, so the messages are fewer; echo is the work. See accounts.py for what is counted.
Beside it the same with the bare race (ceiling.cpp), which keeps no books: how flat could it be?
"""

import os

from . import accounts, beside, echo, messages
from .group import Failure

RUNS = 3
FANOUTS = (1, 2, 4, 8, 16)
WINDOW = 4096  # curfew's own
FLAT = {"most / least": [f"fanout {fanout}: processor time of an attempt" for fanout in FANOUTS],
        "bare race: most / least": [f"fanout {fanout}: the same of the bare race" for fanout in FANOUTS]}


def add_options(parser):
    parser.add_argument("--attempts", type=int, default=2_000_000, help="for each fanout (%(default)s)")
    parser.add_argument("--size", type=int, default=128, help="bytes of a message (%(default)s)")
    parser.add_argument("--workers", type=int, default=16)


def measure(place, options):
    figures = {}
    for fanout in FANOUTS:
        count = max(1, options.attempts // fanout)
        source = place.file(f"in.{fanout}")
        if not os.path.exists(source):
            messages.make_file(source, count, options.size)
        account = accounts.take(place, source, count, options.size, options.workers, "--handler", "echo", "--fanout", fanout,
                                "--output", place.file("out"))
        started = account.ending.books.started
        if started < echo.ATTEMPTS_SHARE * fanout * count:
            raise Failure(f"only {started} attempts for {count} tasks, with --fanout {fanout}")
        if wrong := messages.check_file(place.file("out"), count, options.size):
            raise Failure(wrong)
        figures[f"fanout {fanout}: processor time of an attempt"] = (account.all_s / started * 1e6, "us")
        race = beside.race(place, source, count, "--workers", options.workers, "--fanout", fanout, "--window", WINDOW)
        figures[f"fanout {fanout}: the same of the bare race"] = (beside.cpu_of(race) / race["attempts"] * 1e6, "us")
        figures[f"fanout {fanout}: messages"] = (count / account.ending.flow_s, "1/s")
    return figures

"""Which share of the time the slots of slow work are busy, as long as there are messages enough.

Each worker is asked for its `slots.busy` every 50 ms in the middle of the run, from a quarter to three quarters of the
messages settled. A slot counts as busy from the start of its work until its worker has noticed the end, so `work done`
stands beside it: what was settled in that time x the mean of the work, of the slots x the time. That one is exact but
for chance (the sleeps are drawn at random: two or three in a hundred).
"""

import os
import statistics
import time

from . import messages, procfile
from .group import Failure, Group
from .req import Client

RUNS = 3
EVERY = 0.05  # seconds
SLEEPS = {"100 ms": ("sleep:exp:100ms", 0.1), "10 ms": ("sleep:exp:10ms", 0.01)}
WORKERS = {"alike": (16, 16, 16, 16), "unequal": (4, 4, 28, 28)}  # their slots


def add_options(parser):
    parser.add_argument("--seconds", type=float, default=8.0, help="of each run, about (%(default)s)")
    parser.add_argument("--only", choices=WORKERS, help="one kind of group")


def measure(place, options):
    figures = {}
    for kind, slots in WORKERS.items():
        for sleep, (handler, mean) in SLEEPS.items():
            if options.only in (None, kind):
                count = max(100, int(options.seconds * sum(slots) / mean))
                busy, done, samples = _one(place, slots, handler, mean, count)
                figures[f"{kind}, {sleep}: busy"] = (100 * busy, "%")
                figures[f"{kind}, {sleep}: work done"] = (100 * done, "%")
                figures[f"{kind}, {sleep}: samples"] = (samples, "")
    return figures


def _one(place, slots, handler, mean, count):
    source, sink = messages.make_file(place.file("in"), count, messages.DIGITS), place.file("out")
    file = procfile.write(place, [("--handler", handler, "--slots", number) for number in slots], ("--fanout", 1),
                          sink=f"file:{sink}", source=f"file:{source}")
    with Group(place, "--quiet", file) as group, Client() as client:
        group.wait_for(lambda books: books.settled >= count // 4, count)
        settled, since = group.books().settled, time.monotonic()
        names = [name for name in group.members() if name.startswith("w")]
        shares, next_at = [], since
        while (books := group.books()).settled < count * 3 // 4:
            group.wait_for(lambda books: time.monotonic() >= next_at or books.settled >= count * 3 // 4, count)
            next_at += EVERY
            shares.append(_busy(client, group, names, sum(slots)))
        took = time.monotonic() - since
        group.finish(count)
    os.unlink(source)
    if wrong := messages.check_file(sink, count, messages.DIGITS):
        raise Failure(wrong)
    return statistics.mean(shares), (books.settled - settled) * mean / (took * sum(slots)), len(shares)


def _busy(client, group, names, slots):
    busy = 0
    for name in names:
        if (answer := client.ask(group.endpoint(name), "stats")) is None:
            raise Failure(f"{name} does not answer")
        busy += answer[0]["slots"]["busy"]
    return busy / slots

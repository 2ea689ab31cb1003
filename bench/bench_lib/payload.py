"""How many bytes a second are moved, file to file, for messages from small to as large as they may be by default.

The broker gets the file on its stdin (see accounts.py) when all workers are ready: a few hundred large messages would
else be over before the last of them is there.

Bytes over all hops = the size x the attempts started x 2: to the worker and to the collector. That is what it would be if
each attempt brought its result back; but a loser that is called home drops it, so it is too much. `at least` counts the
way back for winners alone; the truth lies between. Beside them, in the same round, what one PUSH/PULL hop of ZeroMQ
moves (raw_hop.cpp), one message a frame; for small messages 256 a frame too.
"""

import os

from . import accounts, beside, echo, messages
from .group import Failure

SIZES = {"64 B": 64, "1 KiB": 1 << 10, "16 KiB": 16 << 10, "256 KiB": 256 << 10, "1 MiB": 1 << 20}
SMALL = 4096  # bytes: below, messages are batched by whoever is in a hurry


def add_options(parser):
    parser.add_argument("--messages", type=int, default=400_000, help="of each size, at most (%(default)s)")
    parser.add_argument("--mib", type=int, default=256, help="of each size, at most (%(default)s)")
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--fanout", type=int, default=4)
    parser.add_argument("--only", choices=SIZES, help="one size")


def measure(place, options):
    figures = {}
    for name, size in SIZES.items():
        if options.only in (None, name):
            figures |= _one(place, options, name, size)
    return figures


def _one(place, options, name, size):
    count = max(1, min(options.messages, (options.mib << 20) // size))
    source, sink = messages.make_file(place.file("in"), count, size), place.file("out")
    account = accounts.take(place, source, count, size, options.workers, "--handler", "echo", "--fanout", options.fanout,
                            "--output", sink)
    ending = account.ending
    wrong = messages.check_file(sink, count, size)
    os.unlink(sink)
    if wrong or ending.books.started < echo.ATTEMPTS_SHARE * options.fanout * count:
        raise Failure(f"{name}: {wrong or f'only {ending.books.started} attempts for {count} tasks'}")
    moved = size * ending.books.started * 2 / ending.flow_s
    least = size * (ending.books.started + ending.books.attempts[0]) / ending.flow_s
    hops = {}
    for batch in (256, 1) if size < SMALL else (1,):
        hops[batch] = size * count / beside.seconds_of(place, "raw_hop", source, count, "--batch", batch)
    figures = {f"{name}: messages": (count / ending.flow_s, "1/s"), f"{name}: over all hops": (moved / 2**20, "MiB/s"),
               f"{name}: over all hops, at least": (least / 2**20, "MiB/s")}
    for batch, hop in hops.items():
        figures[f"{name}: raw hop, frames of {batch}"] = (hop / 2**20, "MiB/s")
        figures[f"{name}: all hops / raw hop of {batch}"] = (moved / hop, "x")
        figures[f"{name}: all hops, at least / raw hop of {batch}"] = (least / hop, "x")
    return figures

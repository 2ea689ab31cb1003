"""How many messages a second go into a database, beside a bare loop of the same inserts.

The loop (bare_rows.cpp) is one process with one statement, in transactions of the size that the sink's had in the same
round. Beside it the same group with a file as its sink.
"""

import contextlib
import os
import re
import sqlite3

from . import beside, echo, messages
from .group import Failure, Group

RUNS = 3
SYNC = {"always": "FULL", "1s": "NORMAL", "none": "OFF"}  # of SQLite


def add_options(parser):
    parser.add_argument("--messages", type=int, default=500_000)
    parser.add_argument("--size", type=int, default=128, help="bytes of a message (%(default)s)")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--fanout", type=int, default=1)
    parser.add_argument("--sync", default="1s", choices=SYNC, help="as launch's (%(default)s)")


def measure(place, options):
    source, database, out = echo.input_of(place, options), place.file("out.db"), place.file("out")
    group = ["--quiet", "--log-level", "info", "--handler", "echo", "--workers", options.workers, "--fanout", options.fanout,
             "--input", source]
    _remove(database)
    with Group(place, *group, "--output", f"sqlite:{database}", "--sync", options.sync) as running:
        ending = running.finish(options.messages)
        transactions = _transactions(running.said)
    _check(database, options)
    with Group(place, *group, "--output", out) as running:
        to_file = running.finish(options.messages)
    if wrong := messages.check_file(out, options.messages, options.size):
        raise Failure(wrong)
    rows = options.messages / transactions
    bare = _bare(place, options, source, database, max(1, round(rows)))
    rate = options.messages / ending.flow_s
    return {
        "messages, first accepted to last settled": (rate, "1/s"),
        "the same, into a file": (options.messages / to_file.flow_s, "1/s"),
        "bare loop of inserts": (options.messages / bare, "1/s"),
        "curfew / bare loop": (rate * bare / options.messages, "x"),
        "rows of a transaction": (rows, ""),
        "processor time of a message": (ending.cpu_s / options.messages * 1e6, "us"),
        "the same, into a file ": (to_file.cpu_s / options.messages * 1e6, "us"),
    }


def _transactions(said):
    with open(said, encoding="utf-8", errors="replace") as file:
        found = re.search(r"sink_ends .*transactions=(\d+)", file.read())
    if not found:
        raise Failure("the collector has not said how many transactions it made")
    return int(found[1])


def _check(database, options):
    with contextlib.closing(sqlite3.connect(database)) as opened:
        found = opened.execute("SELECT count(*), count(DISTINCT seq), count(DISTINCT result), min(length(result)),"
                               " max(length(result)) FROM outcomes").fetchone()
    if found != (*[options.messages] * 3, options.size, options.size):
        raise Failure(f"{database} has not each message once: {found}")


def _bare(place, options, source, database, batch):
    """Seconds."""
    beside_it = place.file("bare.db")
    _remove(beside_it)
    said = beside.run(place, "bare_rows", "--input", source, "--output", beside_it, "--like", database, "--batch", batch,
                      "--sync", SYNC[options.sync])
    if said["messages"] != options.messages:
        raise Failure(f"bare_rows lost messages: {said}")
    return said["seconds"]


def _remove(database):
    for end in ("", "-wal", "-shm"):
        with contextlib.suppress(FileNotFoundError):
            os.remove(database + end)

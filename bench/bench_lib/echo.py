"""How many messages a second pass through, file to file, where the work itself is nothing.

Beside it, in the same round: the same race without books, credit, cancels and failures (ceiling.cpp), and the same file
over one PUSH/PULL hop between two processes (raw_hop.cpp), in frames of 256 messages and in frames of one.
"""

import os

from . import beside, messages
from .group import Failure, Group, start_time

ATTEMPTS_SHARE = 0.98  # of the fanout: what is not started was decided before it could be


def add_options(parser):
    parser.add_argument("--messages", type=int, default=1_000_000)
    parser.add_argument("--size", type=int, default=128, help="bytes of a message (%(default)s)")
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--fanout", type=int, default=4)


def measure(place, options):
    source, sink = input_of(place, options), place.file("out")
    group = ["--quiet", "--handler", "echo", "--workers", options.workers, "--fanout", options.fanout, "--output", sink]
    start = start_time(place, *group)
    ending = run(place, options, *group, "--input", source)
    wrong = messages.check_file(sink, options.messages, options.size)
    attempts = ending.books.started / options.messages
    if wrong or attempts < ATTEMPTS_SHARE * options.fanout:
        raise Failure(wrong or f"only {attempts:.3f} attempts a task, with --fanout {options.fanout}")
    ceiling = beside.seconds_of(place, "ceiling", source, options.messages, "--workers", options.workers)
    hop = beside.seconds_of(place, "raw_hop", source, options.messages, "--batch", 256)
    single = beside.seconds_of(place, "raw_hop", source, options.messages, "--batch", 1)
    rate = options.messages / ending.flow_s
    return {
        "messages, whole run": (options.messages / ending.whole_s, "1/s"),
        "messages, first accepted to last settled": (rate, "1/s"),
        "attempts, first accepted to last settled": (ending.books.started / ending.flow_s, "1/s"),
        "attempts of a task": (attempts, ""),
        "processor time of a message": (ending.cpu_s / options.messages * 1e6, "us"),
        "start and end, empty input": (start, "s"),
        "ceiling": (options.messages / ceiling, "1/s"),
        "curfew / ceiling": (rate * ceiling / options.messages, "x"),
        "raw hop, frames of 256": (options.messages / hop, "1/s"),
        "raw hop, frames of 1": (options.messages / single, "1/s"),
        "raw hop of 256 / curfew": (options.messages / hop / rate, "x"),
        "raw hop of 1 / curfew": (options.messages / single / rate, "x"),
    }


def input_of(place, options):
    """The file of messages, made once."""
    path = place.file("in")
    return path if os.path.exists(path) else messages.make_file(path, options.messages, options.size)


def run(place, options, *group):
    with Group(place, *group) as running:
        return running.finish(options.messages)

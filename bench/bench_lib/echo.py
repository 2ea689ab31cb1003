"""How many messages a second pass through, file to file, where the work itself is nothing.

Beside it, in the same round: the same race without books, credit, cancels and failures (ceiling.cpp), and the same file
over one PUSH/PULL hop between two processes (raw_hop.cpp), in frames of 256 messages and in frames of one.
"""

import json
import os
import subprocess

from . import messages
from .group import Failure, Group, start_time

SOURCES = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
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
    ceiling = _beside(place, "ceiling", source, options, "--workers", options.workers)
    hop = _beside(place, "raw_hop", source, options, "--batch", 256)
    single = _beside(place, "raw_hop", source, options, "--batch", 1)
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


def _beside(place, name, source, options, *words):
    """The seconds of one of our own small programs for the same file."""
    sink = place.file("beside")
    words = [_program(place, name), "--input", source, "--output", sink, *map(str, words)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise Failure(f"{name}: {done.stderr.strip()}")
    said = json.loads(done.stdout)
    if said["messages"] != options.messages or os.path.getsize(sink) != os.path.getsize(source):
        raise Failure(f"{name} lost messages: {done.stdout.strip()}")
    return said["seconds"]


def _program(place, name):
    """The one of the build (-DCURFEW_BENCH=ON), else our own, compiled here."""
    built = os.path.join(place.built_in, f"curfew-{name.replace('_', '-')}")
    if os.access(built, os.X_OK):
        return built
    own = place.file(name)
    if not os.path.exists(own):
        compiled = subprocess.run([os.environ.get("CXX", "c++"), "-std=c++20", "-O2", os.path.join(SOURCES, f"{name}.cpp"),
                                   "-o", own, "-lzmq"], capture_output=True, text=True, check=False)
        if compiled.returncode != 0:
            raise Failure(f"cannot compile {name}.cpp: {compiled.stderr.strip()}")
    return own

"""How many messages a second go through programs that stay, beside a bare loop over two pipes.

The loop (pipe_talk.cpp) has a process for each slot, and one message at a time. The program is cat.
"""

from . import beside
from .group import Failure, Group

RUNS = 3


def add_options(parser):
    parser.add_argument("--messages", type=int, default=100_000)
    parser.add_argument("--slots", type=int, default=2, help="programs at a time (%(default)s)")


def measure(place, options):
    source, out = place.file("in"), place.file("out")
    with open(source, "w", encoding="ascii") as file:
        file.writelines(f"{number}\n" for number in range(options.messages))
    with Group(place, "--quiet", "--coprocess", "--workers", 1, "--fanout", 1, "--slots", options.slots, "--input", source,
               "--output", out, command=["cat"]) as group:
        ending = group.finish(options.messages)
    with open(out, "rb") as file:
        if len(set(file)) != options.messages:
            raise Failure("not each message has an outcome")
    bare = beside.run(place, "pipe_talk", "--count", options.messages, "--slots", options.slots, "cat")
    return {"curfew": (options.messages / ending.flow_s, "1/s"),
            "bare loop": (options.messages / bare["seconds"], "1/s"),
            "curfew / bare loop": (bare["seconds"] / ending.flow_s, "x"),
            "curfew, processor time of a message": (ending.cpu_s / options.messages * 1e6, "us")}

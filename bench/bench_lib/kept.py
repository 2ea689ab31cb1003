"""What a run that can be gone on with costs: launch --resume, with each --sync, beside the same run without.

In a round each of them once, one after the other; the run without twice, first and last, and the mean of the two stands
beside the others.
"""

import contextlib
import os

from . import echo, messages
from .group import Failure, Group

SYNCS = ("1s", "always", "none")


def add_options(parser):
    echo.add_options(parser)


def measure(place, options):
    source, out = echo.input_of(place, options), place.file("out")
    group = ["--quiet", "--handler", "echo", "--workers", options.workers, "--fanout", options.fanout,
             "--input", source, "--output", out]
    first = _run(place, options, group)
    kept = {sync: _run(place, options, [*group, "--resume", "--sync", sync]) for sync in SYNCS}
    last = _run(place, options, group)
    seconds = (first.flow_s + last.flow_s) / 2
    figures = {"messages, without --resume": (options.messages / seconds, "1/s"),
               "processor time of a message, without": ((first.cpu_s + last.cpu_s) / 2 / options.messages * 1e6, "us")}
    for sync, ending in kept.items():
        figures[f"--resume --sync {sync}"] = (options.messages / ending.flow_s, "1/s")
        figures[f"{sync} / without"] = (seconds / ending.flow_s, "x")
        figures[f"processor time of a message, {sync}"] = (ending.cpu_s / options.messages * 1e6, "us")
    return figures


def _run(place, options, group):
    out = place.file("out")
    for end in ("", ".journal", ".checkpoint", ".cut"):
        with contextlib.suppress(FileNotFoundError):
            os.remove(out + end)
    with Group(place, *group) as running:
        ending = running.finish(options.messages)
    if wrong := messages.check_file(out, options.messages, options.size):
        raise Failure(wrong)
    return ending

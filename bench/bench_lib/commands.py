"""How many commands a second are run and their outputs collected, beside GNU parallel and xargs on the same job."""

import os
import shutil
import subprocess
import time

from .group import Failure, Group, start_time

ABOUT_XARGS = "xargs (does not collect)"


def add_options(parser):
    parser.add_argument("--messages", type=int, default=20_000)
    parser.add_argument("--slots", type=int, default=2,
                        help="commands at a time (%(default)s): the slots of one worker")
    parser.add_argument("--command", default="/bin/true")


def measure(place, options):
    source = place.file("in")
    with open(source, "w", encoding="ascii") as file:
        file.writelines(f"{number}\n" for number in range(options.messages))
    figures = _curfew(place, options, source)
    own = figures["curfew"][0]
    for name, argv in _others(options).items():
        if not shutil.which(argv[0]):
            figures[f"{name}: not installed"] = (0, "")
            continue
        start = _time(place, argv, os.devnull)
        took = _time(place, argv, source)
        rate = options.messages / max(took - start, 1e-9)
        figures[name] = (rate, "1/s")
        figures[f"{name}, start"] = (start, "s")
        figures[f"curfew / {name}"] = (own / rate, "x")
    return figures


def _curfew(place, options, source):
    group = ["--quiet", "--fanout", 1, "--workers", 1, "--slots", options.slots, "--output", place.file("out")]
    start = start_time(place, *group, command=[options.command])
    with Group(place, *group, "--input", source, command=[options.command]) as running:
        ending = running.finish(options.messages)
    with open(place.file("out"), "rb") as file:
        if (lines := sum(1 for _ in file)) != options.messages:
            raise Failure(f"{lines} outcomes of {options.messages} messages")
    return {
        "curfew": (options.messages / max(ending.whole_s - start, 1e-9), "1/s"),
        "curfew, first accepted to last settled": (options.messages / ending.flow_s, "1/s"),
        "curfew, start": (start, "s"),
        "curfew, processor time of a command": (ending.cpu_s / options.messages * 1e3, "ms"),
    }


def _others(options):
    """The message is an argument for them: that is how both are used. `true` reads neither that nor its stdin."""
    jobs = str(options.slots)
    return {"parallel": ["parallel", "--will-cite", f"-j{jobs}", options.command],
            ABOUT_XARGS: ["xargs", f"-P{jobs}", "-n1", "-r", options.command]}


def _time(place, argv, source):
    with open(source, "rb") as stdin, open(place.file("out"), "wb") as stdout:
        started_at = time.monotonic()
        done = subprocess.run(argv, stdin=stdin, stdout=stdout, stderr=subprocess.PIPE, check=False)
        took = time.monotonic() - started_at
    if done.returncode != 0:
        raise Failure(f"{argv[0]} ended with {done.returncode}: {done.stderr.decode(errors='replace')[-200:]}")
    return took

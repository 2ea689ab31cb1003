"""Which share of the workers' processor time is burned by losers after the win, where the work is a C++ function.

A race of two on two workers with one slot each; each attempt burns 10 ms and looks at its stop token. What losers burn
before the win is what a race is; what they burn after it is our fault. That cannot be had from the sum of the
processor time, which the race itself moves by far more. But a loser burns at most from the winner's end to its own, and
that is three hops (winner to collector, collector to broker, broker to loser) and a stop; the broker's `cancel_time`
is the same three hops in another order (broker to loser, loser to collector, collector to broker) and the stop. So
`wasted` = the sum of cancel_time over all losers called home / the processor time of the workers. All losers count, also
those that ended by themselves before the stop came or had not begun, and also the time that a process waited for a
core, while its loser may have waited too: so it is rather too much.

`bare hops`: what three hops with nothing in between (ring.cpp) would waste where all cores spin, for as many losers.
"""

import subprocess

from . import accounts, cancel, messages
from .group import Failure, Group
from .req import Client

WORK_MS = 10


def add_options(parser):
    parser.add_argument("--messages", type=int, default=1000)


def measure(place, options):
    count = options.messages
    with Group(place, "--quiet", "--handler", f"spin:{WORK_MS}ms", "--workers", 2, "--slots", 1, "--fanout", 2,
               "--output", place.file("out"), stdin=subprocess.PIPE) as group, Client() as client:
        group.wait_for_workers(client, 2)
        before = accounts.processor_times(group, client)
        messages.write(group.process.stdin.fileno(), 0, count, messages.DIGITS)
        group.wait_for(lambda books: books.settled >= count and books.attempts_in_flight == 0, count)
        after = accounts.processor_times(group, client)
        answer = client.ask(group.endpoint("broker"), "stats")
        group.process.stdin.close()
        ending = group.finish(count)
    if answer is None or answer[0]["cancel_time"]["count"] == 0:
        raise Failure("there were no losers to call home")
    if wrong := messages.check_file(place.file("out"), count, messages.DIGITS):
        raise Failure(wrong)
    times = answer[0]["cancel_time"]
    _, late, cancelled = ending.books.attempts[:3]
    called_home = sum(times["counts"])
    work_s = sum(after[name][1] - before[name][1] for name in ("w1", "w2"))
    bare_us = cancel.bare_hops(place, min(count, 500))["mean_us"]
    return {
        "bare hops": (100 * called_home * bare_us / 1e6 / work_s, "%"),
        "wasted": (100 * times["sum_us"] / 1e6 / work_s, "%"),
        "losers called home": (called_home, ""),
        "losers ended cancelled": (cancelled, ""),
        "losers ended late": (late, ""),
        "cancel time: p50": (times["p50_us"], "us"),
        "cancel time: mean": (times["sum_us"] / called_home, "us"),
        "cancel time: p99": (times["p99_us"], "us"),
        "processor time of the workers": (work_s, "s"),
        "the same / messages x work": (work_s / (count * WORK_MS / 1000), "x"),
    }


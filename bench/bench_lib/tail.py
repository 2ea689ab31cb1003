"""What hedging does to the tail: latencies and extra attempts for several policies, under stragglers.

The experiment of "The Tail at Scale" (Dean and Barroso, 2013) on this pipeline: messages arrive at random (Poisson,
whether or not earlier ones have been answered), at a rate that keeps a share of the slots busy; one in a hundred
attempts (--slow) takes a hundred times as long as the others. Latency is the broker's and the worker's: from the acceptance of a
message to the report that decides it.
"""

import json
import subprocess

from . import messages
from .flags import share
from .group import Failure, Group

RUNS = 1
USUAL_MS = 10
FACTOR = 100
POLICIES = {
    "one attempt": ["--fanout", 1],
    "hedge 3 x median": ["--fanout", 2, "--hedge", f"{3 * USUAL_MS}ms"],
    "hedge p98": ["--fanout", 2, "--hedge", "p98"],
    "hedge p95": ["--fanout", 2, "--hedge", "p95"],
    "hedge idle": ["--fanout", 2, "--hedge", "idle"],
    "race of 2": ["--fanout", 2, "--hedge", "0"],
}
BUDGETS = (None, "5%", "2%")


def add_options(parser):
    parser.add_argument("--messages", type=int, default=30_000, help="for each policy (%(default)s)")
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--slots", type=int, default=16, help="of each worker (%(default)s)")
    parser.add_argument("--load", type=share(most=2), default=0.3,
                        help="share of the slots that one attempt each would keep busy, 2 at most (%(default)s)")
    parser.add_argument("--slow", type=share(most=1), default=0.01,
                        help="share of the attempts that take a hundred times as long (%(default)s)")
    parser.add_argument("--only", help="one policy, by its name")


def measure(place, options):
    figures, alone = {}, None
    for name, policy in POLICIES.items():
        if options.only not in (None, name):
            continue
        hedges = "--hedge" in policy and policy[-1] not in ("0", "idle")
        for budget in BUDGETS if hedges else (None,):
            label = f"{name}, budget {budget}" if budget else name
            latencies, extra = _one(place, options, [*policy, *(["--hedge-budget", budget] if budget else [])])
            for text, share in (("p50", 0.5), ("p99", 0.99), ("p99.9", 0.999)):
                figures[f"{label}: {text}"] = (latencies[int(share * len(latencies))] / 1000, "ms")
            figures[f"{label}: extra attempts"] = (100 * extra, "%")
            alone = alone or figures[f"{label}: p99.9"][0]
            figures[f"{label}: p99.9 of one attempt / this"] = (alone / figures[f"{label}: p99.9"][0], "x")
    return figures


def _one(place, options, policy):
    """(sorted latencies in us, extra attempts as a share of the messages)."""
    mean_s = USUAL_MS * (1 - options.slow + FACTOR * options.slow) / 1000
    rate = options.load * options.workers * options.slots / mean_s
    out = place.file("outcomes")
    work = f"sleep:tail:{USUAL_MS}ms:{USUAL_MS * FACTOR}ms:{100 * options.slow:g}%"
    with Group(place, "--quiet", "--json", "--output", out, "--workers", options.workers, "--slots", options.slots,
               "--handler", work, *policy, stdin=subprocess.PIPE) as group:
        group.wait_for(lambda books: books is not None, options.messages)
        messages.feed_at_random(group.process.stdin, options.messages, rate)
        group.process.stdin.close()
        ending = group.finish(options.messages)
    with open(out, encoding="utf-8") as file:
        latencies = sorted(json.loads(line)["latency_us"] for line in file)
    if len(latencies) != options.messages:
        raise Failure(f"{len(latencies)} outcomes of {options.messages} messages")
    return latencies, sum(ending.books.attempts) / options.messages - 1

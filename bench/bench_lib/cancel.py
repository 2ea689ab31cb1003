"""How long it takes to call the losers home: from the outcome's arrival at the broker to that of each loser's end.

The broker measures it itself (cancel_time in its stats); it is read when all attempts have ended and before the input
closes. `bare hops` is the same road with nothing in between (ring.cpp, three hops) while two processes spin; `bare call
home` are the frames of `sleep half`, at its rate, with nothing that curfew is for (call_home.cpp). Three loads each:
`alone` has one task in flight, so that all its attempts really run when one wins and nothing else is in the way; `full`
has the usual window and all messages at once, so that most losers are still queued in their workers and the processes
are busy; `half` has them at random instants (Poisson), at half of the rate of `full`, measured just before.
"""

import os
import subprocess

from . import beside, messages
from .group import Failure, Group
from .req import Client

# Random by task and attempt, 10 to 99 ms, and the same in each run; dash has no RANDOM.
_SLEEP = "exec sleep 0.0$(( (CURFEW_SEQ * 7919 + CURFEW_ATTEMPT * 104729) % 90 + 10 ))"
KINDS = {  # the group, its command, and how many times the messages make up a second or more at full load
    # One thread sleeps for all slots: the road of a cancel alone.
    "sleep": (["--handler", "sleep:exp:20ms", "--workers", 4, "--fanout", 4], (), 20),
    # A C++ function on a thread of its own. All take equally long, so the second starts when the first is half done.
    "spin": (["--handler", "spin:20ms", "--workers", 2, "--fanout", 2, "--hedge", "10ms"], (), 1),
    # A process for each attempt, killed by its supervisor.
    "exec": (["--workers", 4, "--fanout", 4], ("/bin/sh", "-c", _SLEEP), 1),
}


def add_options(parser):
    parser.add_argument("--messages", type=int, default=500, help="of each kind and load (%(default)s)")
    parser.add_argument("--only", choices=KINDS, help="one kind of work")


def bare_hops(place, count):
    """What three hops of ZeroMQ say of themselves while all cores spin."""
    return beside.run(place, "ring", "--dir", place.new_run_dir(), "--hops", 3, "--spinners", os.cpu_count(), "--count", count)


def measure(place, options):
    figures = {}
    if options.only in (None, "spin"):
        bare = bare_hops(place, options.messages)
        figures |= {"bare hops beside spinning work: p50": (bare["p50_us"], "us"),
                    "bare hops beside spinning work: p99": (bare["p99_us"], "us")}
    for kind, (group, command, times) in KINDS.items():
        if options.only in (None, kind):
            figures |= _loads(place, options.messages, kind, group, command, times)
    if options.only in (None, "sleep"):
        rate, _ = figures["sleep: top rate"]
        bare = beside.run(place, "call_home", "--dir", place.new_run_dir(), "--rate", rate / 2,
                          "--count", _count_of_half(options.messages, KINDS["sleep"][2]))
        figures |= {"bare call home, sleep half: p50": (bare["p50_us"], "us"),
                    "bare call home, sleep half: p99": (bare["p99_us"], "us")}
    return figures


def _count_of_half(count, times):
    """As long as the full load, or nearly."""
    return max(count, times * count // 2)


def _loads(place, count, kind, group, command, times):
    full, top = _one(place, times * count, f"{kind} full", group, command)
    half, _ = _one(place, _count_of_half(count, times), f"{kind} half", group, command, top / 2)
    alone, _ = _one(place, count, f"{kind} alone", [*group, "--window", 1], command)
    return {f"{kind}: top rate": (top, "1/s")} | alone | half | full


def _one(place, count, name, group, command, rate=None):
    """(figures, messages settled a second) of a run with all messages at once, or at so many a second."""
    output = ["--quiet", "--output", os.devnull]
    with Group(place, *output, *group, command=command, stdin=subprocess.PIPE) as running, Client() as client:
        running.wait_for_workers(client, group[group.index("--workers") + 1])
        if rate:
            messages.feed_at_random(running.process.stdin, count, rate)
        else:
            running.process.stdin.write(b"".join(b"%d\n" % number for number in range(count)))
            running.process.stdin.flush()
        running.wait_for(lambda books: books.settled >= count and books.attempts_in_flight == 0, count)
        answer = client.ask(running.endpoint("broker"), "stats")
        running.process.stdin.close()
        ending = running.finish(count)
    if answer is None:
        raise Failure("the broker does not answer")
    times = answer[0]["cancel_time"]
    if times["count"] == 0:
        raise Failure(f"{name}: there were no losers to call home")
    return {
        f"{name}: p50": (times["p50_us"], "us"),
        f"{name}: p99": (times["p99_us"], "us"),
        f"{name}: losers called home": (times["count"], ""),
        f"{name}: of them ended cancelled": (ending.books.attempts[2], ""),
    }, count / ending.flow_s

"""How long a message is under way, from a client's PUSH to the ingest until its outcome is at the client's PULL.

The client (ping_pong.cpp) is one process at both ends of the group. `alone`: one message at a time, for two fanouts; beside it, four hops with nothing in between (ring.cpp).
`load`: the usual fanout, on a schedule that stands from the beginning, at half of the top rate: what comes through from end to end, with this client
at both, when it sends all as fast as it can, measured just before. Latency counts from the scheduled instant, so no wait is omitted. Beside both, the bare race
(ceiling.cpp) with the same client, at the same rate; and what the machine takes away by itself (gaps.cpp), just after.
"""

from . import beside, procfile
from .flags import share
from .group import Failure, Group
from .req import Client

WARM_UP = 1000
MORE_THAN_ANY = 10_000_000  # messages a second


def add_options(parser):
    parser.add_argument("--messages", type=int, default=20_000, help="one at a time, for each fanout (%(default)s)")
    parser.add_argument("--size", type=int, default=128, help="bytes of a message (%(default)s)")
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--fanout", type=int, default=4)
    parser.add_argument("--rate-messages", type=int, default=1_000_000, help="to find the top rate (%(default)s)")
    parser.add_argument("--share", type=share(most=1), default=0.5, help="of the top rate, for the load (%(default)s)")
    parser.add_argument("--seconds", type=float, default=5.0, help="of load (%(default)s)")
    parser.add_argument("--burst-us", type=int, default=500, help="from burst to burst of the schedule, 50 to 1000 (%(default)s)")


def measure(place, options):
    figures = {}
    for fanout in sorted({1, options.fanout}):
        said = _one(place, options, fanout, "--count", options.messages, "--warm-up", WARM_UP)
        figures |= _figures(f"alone, fanout {fanout}", said, "us", 1)
    ring = beside.run(place, "ring", "--dir", place.new_run_dir(), "--count", options.messages)
    figures |= {"bare ring: p50": (ring["p50_us"], "us"), "bare ring: p99": (ring["p99_us"], "us")}
    for fanout in sorted({1, options.fanout}):
        figures[f"alone, fanout {fanout} / bare ring: p50"] = (figures[f"alone, fanout {fanout}: p50"][0] / ring["p50_us"], "x")
    figures |= _figures("bare race, alone", _bare(place, options, "--count", options.messages, "--warm-up", WARM_UP), "us", 1)
    top = _top_rate(place, options)
    rate = int(top * options.share)
    said = _one(place, options, options.fanout, "--count", int(rate * options.seconds), "--warm-up", rate // 2,
                "--rate", rate, "--burst-us", options.burst_us)
    figures |= _figures("bare race, load", _bare(place, options, "--count", int(rate * options.seconds), "--warm-up", rate // 2,
                                                "--rate", rate, "--burst-us", options.burst_us), "ms", 1000)
    gaps = beside.run(place, "gaps", "--seconds", options.seconds)
    figures |= {"the machine's own gaps: over 2 ms": (gaps["over_2ms_per_s"], "1/s"),
                "the machine's own gaps: longest": (gaps["longest_ms"], "ms"),
                "the machine's own gaps: taken away": (gaps["taken_percent"], "%")}
    return figures | _figures("load", said, "ms", 1000) | {
        "load: top rate before": (top, "1/s"),
        "load: rate": (rate, "1/s"),
        "load: sends late, p99": (said["lateness_p99_us"] / 1000, "ms"),
    }


def _figures(name, said, unit, divisor):
    return {f"{name}: {what}": (said[f"{what}_us"] / divisor, unit) for what in ("p50", "p99", "most")}


def _top_rate(place, options):
    said = _one(place, options, options.fanout, "--count", options.rate_messages, "--warm-up", 0, "--rate", MORE_THAN_ANY)
    return options.rate_messages / said["seconds"]


def _one(place, options, fanout, *words):
    """What the client says of a group of its own that ends well."""
    file = procfile.write(place, [("--handler", "echo")] * options.workers, ("--fanout", fanout),
                          sink=f"zmq:{procfile.RESULTS}", source=f"zmq:{procfile.INGEST}")
    beside.program(place, "ping_pong")
    with Group(place, "--quiet", file) as group, Client() as client:
        group.wait_for_workers(client, options.workers)
        client_of_group = beside.start_to_stay(
            place, "ping_pong", "--ingest", procfile.endpoint(group, procfile.INGEST),
            "--sink", procfile.endpoint(group, procfile.RESULTS), "--size", options.size, *words)
        with client_of_group:
            try:
                said = beside.said_already("ping_pong", client_of_group)
                ending = group.drain(_all_of(words))  # a reader that leaves before is an error of the sink
                client_of_group.communicate()
            finally:
                client_of_group.kill()  # nothing, where it has ended
    if ending.books.accepted != _all_of(words):
        raise Failure(f"{ending.books.accepted} accepted of {_all_of(words)}")
    return said


def _bare(place, options, *words):
    """What the client says of a race without books, which is killed at the end."""
    run_dir = place.new_run_dir()
    ingest, sink = (f"ipc://{run_dir}/{name}" for name in ("ingest", "out"))
    race = beside.start(place, "ceiling", "--ingest", ingest, "--sink", sink, "--output", f"{run_dir}/race", "--workers",
                        options.workers, "--fanout", options.fanout)
    with race:
        try:
            return beside.run(place, "ping_pong", "--ingest", ingest, "--sink", sink, "--size", options.size, *words)
        finally:
            race.kill()


def _all_of(words):
    said = dict(zip(words[::2], words[1::2]))
    return said["--count"] + said["--warm-up"]

"""What a crowd of lookers costs: the echo bench alone, and with many who ask stats and dump without pause, or never read.

The crowd (crowd.cpp) comes when the workers are ready and goes when all is settled. Its own processor time is its own: the
ratio of the groups' processor times shows what it costs them, that of the rates what it costs on these cores.
"""

import signal
import subprocess

from . import accounts, beside, echo
from .group import Failure, Group
from .req import Client

RUNS = 5


def add_options(parser):
    echo.add_options(parser)
    parser.set_defaults(messages=4_000_000)
    parser.add_argument("--clients", type=int, default=100, help="that ask without pause (%(default)s)")
    parser.add_argument("--silent", type=int, default=20, help="that ask and never read (%(default)s)")


def measure(place, options):
    source = echo.input_of(place, options)
    alone_s, alone_cpu_s, _ = _one(place, options, source, crowd=False)
    watched_s, watched_cpu_s, answers = _one(place, options, source, crowd=True)
    return {
        "messages, alone": (options.messages / alone_s, "1/s"),
        "messages, with the crowd": (options.messages / watched_s, "1/s"),
        "with the crowd / alone": (alone_s / watched_s, "x"),
        "processor time of the group, with the crowd / alone": (watched_cpu_s / alone_cpu_s, "x"),
        "answers": (answers / watched_s, "1/s"),
    }


def _one(place, options, source, crowd):
    """(seconds of flow, processor time of the daemons meanwhile, answers)"""
    answers = 0
    with Group(place, "--quiet", "--handler", "echo", "--workers", options.workers, "--fanout", options.fanout, "--output",
               place.file("out"), stdin=subprocess.PIPE) as group, Client() as client:
        group.wait_for_workers(client, options.workers)
        before = accounts.processor_times(group, client)
        lookers = beside.start(place, "crowd", "--run-dir", group.run_dir, "--clients", options.clients, "--silent",
                               options.silent) if crowd else None
        accounts.feed(group, source, options.messages * (options.size + 1))
        group.wait_for(lambda books: books.settled >= options.messages and books.attempts_in_flight == 0, options.messages)
        if lookers:
            lookers.send_signal(signal.SIGTERM)
            answers = beside.said_by("crowd", lookers)["answers"]
            if answers == 0:
                raise Failure("the crowd got no answer")
        after = accounts.processor_times(group, client)
        group.process.stdin.close()
        ending = group.finish(options.messages)
    return ending.flow_s, sum(after[name][1] - before[name][1] for name in before), answers

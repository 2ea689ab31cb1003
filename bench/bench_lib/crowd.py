"""What a crowd of lookers costs: one group that is kept busy, and in turn with and without many who ask or never read.

Two runs of a group differ by far more than what is looked for, so one group goes through many slices of a second or two, in
the order without, with, with, without, so that a machine that grows slower or faster does so for both. The crowd
(crowd.cpp) comes a second before its slice and goes a second before the next, which its coming and going would disturb. The group
reads the same file again and again, and writes into /dev/null, since the writing back of a file would come and go too.
Compared are the sums of each four slices; its own processor time is the crowd's: the ratio of the group's processor
time for a message shows what the crowd costs the group, that of the rates what it costs on these cores.
"""

import argparse
import os
import select
import signal
import statistics
import subprocess
import threading
import time

from . import accounts, beside, echo
from .group import Failure, Group
from .req import Client

RUNS = 5
SETTLE = 1.0  # seconds before a slice is counted


def add_options(parser):
    echo.add_options(parser)
    parser.add_argument("--clients", type=int, default=100, help="that ask without pause (%(default)s)")
    parser.add_argument("--silent", type=int, default=20, help="that ask and never read (%(default)s)")
    parser.add_argument("--quartets", type=_at_least_two, default=30, help="of slices in a run (%(default)s)")
    parser.add_argument("--slice", type=float, default=1.5, help="seconds of a slice (%(default)s)")


def _at_least_two(text):
    if int(text) < 2:
        raise argparse.ArgumentTypeError("at least 2: there is no standard error of one")
    return int(text)


def measure(place, options):
    source = echo.input_of(place, options)
    rates, costs, alone, answers = [], [], [], 0
    with Group(place, "--quiet", "--handler", "echo", "--workers", options.workers, "--fanout", options.fanout, "--output",
               "/dev/null", stdin=subprocess.PIPE) as group, Client() as client:
        group.wait_for_workers(client, options.workers)
        pids = [pid for pid, _ in accounts.processor_times(group, client).values()]
        feed = _EndlessFeed(group, source, options.messages)
        group.wait_for(lambda books: books.settled >= options.messages, 1)
        for _ in range(options.quartets):
            before, with_it, again, after = (_slice(place, group, pids, options, crowd) for crowd in (False, True, True, False))
            without = before + after
            watched = with_it + again
            rates.append(watched.rate / without.rate)
            costs.append(watched.cost / without.cost)
            alone.append(without.rate)
            answers += watched.answers
        count = feed.stop()
        group.wait_for(lambda books: books.settled >= count and books.attempts_in_flight == 0, count)
        group.process.stdin.close()
        group.finish(count)
    if answers == 0:
        raise Failure("the crowd got no answer")
    return {
        "messages, alone": (statistics.median(alone), "1/s"),
        "rate with the crowd / alone": (statistics.median(rates), "x"),
        "the same, standard error of the mean of its quartets": (statistics.stdev(rates) / len(rates) ** 0.5, "x"),
        "processor time of a message, with the crowd / alone": (statistics.median(costs), "x"),
        "answers": (answers / (2 * options.quartets * (SETTLE + options.slice)), "1/s"),
    }


class _Slice:
    def __init__(self, messages, seconds, cpu_s, answers):
        self.messages, self.seconds, self.cpu_s, self.answers = messages, seconds, cpu_s, answers

    def __add__(self, other):
        return _Slice(self.messages + other.messages, self.seconds + other.seconds, self.cpu_s + other.cpu_s,
                      self.answers + other.answers)

    @property
    def rate(self):
        return self.messages / self.seconds

    @property
    def cost(self):
        return self.cpu_s / self.messages


def _slice(place, group, pids, options, crowd):
    lookers = beside.start(place, "crowd", "--run-dir", group.run_dir, "--clients", options.clients, "--silent",
                           options.silent) if crowd else None
    answers = 0
    try:
        _flow(group, SETTLE)
        begun = (group.books().settled, time.monotonic(), sum(map(accounts.processor_time, pids)))
        _flow(group, options.slice)
        ended = (group.books().settled, time.monotonic(), sum(map(accounts.processor_time, pids)))
    finally:
        if lookers:
            lookers.send_signal(signal.SIGTERM)
            answers = beside.said_by("crowd", lookers)["answers"]
    return _Slice(*(now - then for now, then in zip(ended, begun)), answers)


def _flow(group, seconds):
    """Lets it work so long."""
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0:
        if not group.look(1):
            raise Failure("the group ended before its time")
        select.select([], [], [], min(left, 0.1))


class _EndlessFeed:
    """The file's messages into the group, again and again, by a thread that splices."""

    def __init__(self, group, source, messages):
        self._pipe = accounts.widened(group.process.stdin.fileno())
        self._source, self._size, self._messages = source, os.path.getsize(source), messages
        self._enough = threading.Event()
        self._copies = 0
        self._thread = threading.Thread(target=self._feed, daemon=True)
        self._thread.start()

    def stop(self):
        """Ends with the copy that it is at. How many messages it has brought."""
        self._enough.set()
        self._thread.join()
        return self._copies * self._messages

    def _feed(self):
        while not self._enough.is_set() and accounts.splice(self._source, self._pipe, self._size):
            self._copies += 1
        os.close(self._pipe)

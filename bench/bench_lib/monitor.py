"""What looking costs, and whether it tells the truth: stats and dump each second while the echo bench runs.

Each answer is checked: tasks in flight within the window, attempts of each worker within its credit and the window (a
winner that waits for the sink holds no credit, and losers outlive their task), the books balanced, a dump that lists as
many as it says. The time of a question is that of the REQ alone (see req.py). The same run without any
looking stands beside it.
"""

import statistics
import time

from . import echo
from .group import Failure, Group
from .req import Client


def add_options(parser):
    echo.add_options(parser)
    parser.add_argument("--every", type=float, default=1.0, help="seconds from question to question (%(default)s)")
    parser.add_argument("--limit", type=int, default=1_000_000, help="most attempts that a dump lists (%(default)s)")


def measure(place, options):
    group = ["--quiet", "--handler", "echo", "--workers", options.workers, "--fanout", options.fanout,
             "--output", place.file("out"), "--input", echo.input_of(place, options)]
    unwatched = echo.run(place, options, *group)
    asked = Asked(options)
    with Group(place, *group) as running, Client() as client:
        running.wait_for(lambda books: books.accepted > 0, options.messages)
        next_at = time.monotonic()
        while running.look(options.messages) and running.books().settled < options.messages:
            if time.monotonic() >= next_at:
                next_at += options.every
                asked.look(client, running)
            time.sleep(0.005)
        watched = running.finish(options.messages)
    if not asked.times:
        raise Failure("the run was over before the first question: give it more --messages")
    figures = {}
    for what, times in asked.times.items():
        figures[f"{what}, median"] = (statistics.median(times) * 1e3, "ms")
        figures[f"{what}, most"] = (max(times) * 1e3, "ms")
        figures[f"{what}, answers"] = (len(times), "")
    return figures | {
        "largest dump": (asked.largest / 2**20, "MiB"),
        "most tasks in flight": (asked.most_tasks, ""),
        "window": (asked.window, ""),
        "most attempts in flight": (asked.most_attempts, ""),
        "messages, watched": (options.messages / watched.flow_s, "1/s"),
        "messages, not watched": (options.messages / unwatched.flow_s, "1/s"),
        "not watched / watched": (watched.flow_s / unwatched.flow_s, "x"),
    }


class Asked:
    """The answers so far. `look` is a Failure if one of them is not the truth."""

    def __init__(self, options):
        self._options = options
        self.times = {}  # {question to whom: [seconds]}
        self.largest = self.most_tasks = self.most_attempts = self.window = 0

    def look(self, client, group):
        stats = self._ask(client, group, "broker", "stats", "stats")
        dump = self._ask(client, group, "broker", "dump", {"ask": "dump", "limit": self._options.limit})
        for name in group.members():
            if name.startswith("w"):
                self._check_dump(self._ask(client, group, name, "dump", {"ask": "dump", "limit": self._options.limit}))
        self._check_stats(stats)
        self._check_dump(dump)

    def _ask(self, client, group, name, what, question):
        flowing = lambda: group.look(self._options.messages) and group.books().settled < self._options.messages
        answered = client.ask(group.endpoint(name), question, flowing)
        if answered is None:
            if flowing():
                raise Failure(f"{name} does not answer")
            return None  # its group has ended meanwhile
        answer, took, size = answered
        role = "worker" if name.startswith("w") else name
        self.times.setdefault(f"{what} of the {role}", []).append(took)
        self.largest = max(self.largest, size)
        return answer

    def _check_stats(self, stats):
        if stats is None:
            return
        tasks, attempts = stats["tasks"]["in_flight"], stats["attempts"]["in_flight"]
        self.window = stats["window"]
        self.most_tasks = max(self.most_tasks, tasks)
        self.most_attempts = max(self.most_attempts, attempts)
        if tasks > self.window or not stats["balanced"]:
            raise Failure(f"stats say {tasks} tasks in flight, balanced: {stats['balanced']}")
        for worker in stats["workers"]:
            if worker["in_flight"] > worker["credit"] + self.window:
                raise Failure(f"{worker['name']} has {worker['in_flight']} in flight, its credit is {worker['credit']}")

    def _check_dump(self, dump):
        if dump is not None and len(dump["attempts"]) != min(dump["in_flight"], self._options.limit):
            raise Failure(f"a dump lists {len(dump['attempts'])} of {dump['in_flight']} attempts")

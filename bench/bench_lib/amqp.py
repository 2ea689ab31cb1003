"""How many messages a second are raced from queue to queue of a RabbitMQ node, beside plain consumers that race there.

Beside it (plain_race.cpp): a fanout exchange gives each message to four queues, a consumer of each publishes its result
into a queue of results, and a collector publishes the first of each id. Beside both: one consumer that moves messages from
queue to queue (moved). A round has each twice, in the order ABCCBA, each from queues that were filled before; all queues
are quorum queues of one node. Also the processor time of a message in each process.
"""

import os
import statistics
import sys
import time

from . import accounts, beside
from .group import ROOT, Failure, Group
from .req import Client

sys.path.append(os.path.join(ROOT, "tests", "support"))

RUNS = 3
SOURCE, RESULTS, OUTCOMES, EXCHANGE = "bench", "bench.results", "bench.outcomes", "bench.race"
QUIET = 0.05  # of a processor: what a node uses that has nothing to do, at most


def add_options(parser):
    parser.add_argument("--messages", type=int, default=40_000)
    parser.add_argument("--size", type=int, default=128, help="bytes of a message (%(default)s)")
    parser.add_argument("--fanout", type=int, default=4, help="workers, and queues of the plain race (%(default)s)")
    parser.add_argument("--prefetch", type=int, default=1000, help="of each plain consumer (%(default)s)")
    parser.add_argument("--results", default="quorum", choices=("quorum", "classic"),
                        help="the plain race's queue of results (%(default)s)")


def measure(place, options):
    rabbit = _rabbit()
    with rabbit.RabbitServer(schedulers=len(os.sched_getaffinity(0))) as server:
        bench = Bench(place, options, server, rabbit.pika)
        halves = [bench.curfew(), bench.plain(), bench.moved(), bench.moved(), bench.plain(), bench.curfew()]
    units = {name: unit for half in halves for name, (_, unit) in half.items()}
    figures = {name: (statistics.mean(half[name][0] for half in halves if name in half), unit)
               for name, unit in units.items()}
    rate = figures["curfew"][0]
    return {"curfew / plain": (rate / figures["plain"][0], "x"), "curfew / moved": (rate / figures["moved"][0], "x"),
            **figures}


def _rabbit():
    import rabbit
    if not rabbit.is_installed():
        raise Failure("needs RabbitMQ: apt-get install --no-install-recommends rabbitmq-server")
    if not rabbit.pika:
        raise Failure(f"needs pika, which {sys.executable} does not have: apt-get install python3-pika, and"
                      f" /usr/bin/python3 bench/run amqp")
    return rabbit


class Bench:
    """The runs of a round at one node."""

    def __init__(self, place, options, server, pika):
        self._place, self._options, self._server, self._pika = place, options, server, pika

    def curfew(self):
        options = self._options
        self._make_queues([SOURCE])
        at_start = self._start()
        filled = self._fill("", SOURCE)
        before = accounts.processor_time(self._server.pid)
        with self._group() as group, Client() as client:
            group.wait_for(lambda books: books.settled >= options.messages and books.attempts_in_flight == 0,
                           options.messages)
            server = accounts.processor_time(self._server.pid) - before
            used = accounts.processor_times(group, client)
            ending = group.drain(options.messages)
        self._check()
        used = {name: seconds - at_start[name] for name, (_, seconds) in used.items()}
        cpu = {"workers": sum(used[name] for name in used if name not in ("broker", "collector"))}
        cpu |= {"broker": used["broker"], "collector": used["collector"], "RabbitMQ": server}
        return {"curfew": (options.messages / ending.flow_s, "1/s"),
                "attempts of a task": (ending.books.started / options.messages, ""),
                **self._of_a_message("curfew", cpu), **filled}

    def _group(self):
        options, address = self._options, f"amqp://127.0.0.1:{self._server.port}/?queue="
        return Group(self._place, "--quiet", "--handler", "echo", "--workers", options.fanout, "--fanout",
                     options.fanout, "--source", address + SOURCE, "--sink", address + OUTCOMES)

    def _start(self):
        """{process: seconds} that each uses before there is a message."""
        with self._group() as group, Client() as client:
            group.wait_for_workers(client, self._options.fanout)
            used = accounts.processor_times(group, client)
            group.drain(0)
        return {name: seconds for name, (_, seconds) in used.items()}

    def plain(self):
        options = self._options
        queues = [f"{SOURCE}.{number}" for number in range(options.fanout)]
        self._make_queues(queues)
        self._fill(EXCHANGE, "")
        before = accounts.processor_time(self._server.pid)
        said = self._program("--race", "--queues", ",".join(queues), "--results", RESULTS, "--key", OUTCOMES,
                             "--prefetch", options.prefetch)
        server = accounts.processor_time(self._server.pid) - before
        self._check()
        cpu = {"consumers": said["workers_cpu_s"], "collector": said["collector_cpu_s"], "RabbitMQ": server}
        return {"plain": (options.messages / said["decided_s"], "1/s"),
                "plain, until the last result": (options.messages / said["seconds"], "1/s"),
                **self._of_a_message("plain", cpu)}

    def moved(self):
        """One consumer from queue to queue, and no race: what the server alone takes."""
        self._make_queues([SOURCE])
        self._fill("", SOURCE)
        before = accounts.processor_time(self._server.pid)
        said = self._program("--move", "--queues", SOURCE, "--key", OUTCOMES, "--prefetch", self._options.prefetch)
        server = accounts.processor_time(self._server.pid) - before
        self._check()
        return {"moved": (self._options.messages / said["seconds"], "1/s"),
                **self._of_a_message("moved", {"RabbitMQ": server})}

    def _of_a_message(self, who, cpu):
        return {f"{who}, processor time of a message: {name}": (1e6 * seconds / self._options.messages, "us")
                for name, seconds in cpu.items()}

    def _make_queues(self, sources):
        """All anew, and the sources bound to the exchange."""
        quorum = {"x-queue-type": "quorum"}
        with self._pika.BlockingConnection(self._server.parameters()) as connection:
            channel = connection.channel()
            for name in [SOURCE, RESULTS, OUTCOMES, *(f"{SOURCE}.{number}" for number in range(self._options.fanout))]:
                channel.queue_delete(name)
            channel.exchange_declare(EXCHANGE, "fanout", durable=True)
            channel.queue_declare(RESULTS, durable=True,
                                  arguments=quorum if self._options.results == "quorum" else None)
            for name in [OUTCOMES, *sources]:
                channel.queue_declare(name, durable=True, arguments=quorum)
            for name in sources:
                channel.queue_bind(name, EXCHANGE)

    def _fill(self, exchange, key):
        """What that alone costs the node, and how fast it is."""
        before = accounts.processor_time(self._server.pid)
        said = self._program("--fill", "--exchange", exchange, "--key", key)
        took = accounts.processor_time(self._server.pid) - before
        self._wait_until_quiet()
        return {"only published": (self._options.messages / said["seconds"], "1/s"),
                "only published, processor time of a message: RabbitMQ": (1e6 * took / self._options.messages, "us")}

    def _check(self):
        self._program("--take", "--queues", OUTCOMES)

    def _program(self, mode, *words):
        options = self._options
        said = beside.run(self._place, "plain_race", mode, options.messages, "--port", self._server.port, "--size",
                          options.size, *words)
        if said["messages"] != options.messages:
            raise Failure(f"plain_race {mode}: {said}")
        return said

    def _wait_until_quiet(self, every=0.2, patience=30):
        """Until the node has written to its files what it was given."""
        before, until = accounts.processor_time(self._server.pid), time.monotonic() + patience
        while time.monotonic() < until:
            time.sleep(every)
            now = accounts.processor_time(self._server.pid)
            if now - before < QUIET * every:
                return
            before = now
        raise Failure(f"the node has more to do after {patience} s")

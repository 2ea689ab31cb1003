"""The nodes, the groups, the producer and the consumer of a drill: made, looked at, removed.

Nothing of it is left when remove() returns; and where the drill is killed, its guard (guard.py) does the same.
"""

import contextlib
import os
import shutil
import tempfile
import time

from cluster_lib import definitions
from cluster_lib.cluster import Cluster
from cluster_lib.exits import UNAVAILABLE, Refusal
from cluster_lib.node import NodeError

from .clients import ERRORS, Consumer, Producer, connect
from .group import BIN_DIR, Group
from .guard import Guard

SERVER_PATIENCE = 15  # seconds: consumer_timeout, less than what the groups are told
_TICK = 3
_QUIET = 15
WELL = 180  # seconds until all is well again after a fault


def _check_binaries():
    for name in ("broker", "collector", "worker", "supervisor", "monitor"):
        if not os.access(os.path.join(BIN_DIR, f"curfew-{name}"), os.X_OK):
            raise Refusal(UNAVAILABLE, f"there is no curfew-{name} in {BIN_DIR}: scripts/bootstrap builds it")


class NotWell(Exception):
    pass


class Field:
    def __init__(self, options, books):
        self._options = options
        self.books = books
        _check_binaries()
        self.home = tempfile.mkdtemp(prefix="curfew-drill-")
        self.cluster = None
        self.groups = []
        self.nodes_started_again = 0
        self.producer = self.consumer = None
        self._guard = Guard(self.home)

    # --- up and down ---

    def up(self):
        options = self._options
        alone = options.nodes == 1
        self.cluster = Cluster.make(
            options.nodes, directory=os.path.join(self.home, "cluster"), one_address=alone,
            guests=0 if alone else options.groups,
            advanced=[f"{{consumer_timeout, {SERVER_PATIENCE * 1000}}}", f"{{channel_tick_interval, {_TICK * 1000}}}"])
        self._guard.knows(self.cluster.tag)
        self.cluster.up()
        for number in range(1, options.groups + 1):
            self.groups.append(self._group(number))
            self.groups[-1].start()
        urls, queue = self.cluster.urls(), self.cluster.queue
        self.consumer = Consumer(urls, f"{queue}.outcomes", self.books, options.drop, options.invent)
        self.producer = Producer(urls, queue, self.books, options)
        self.consumer.start()
        self.producer.start()

    def _group(self, number):
        nodes = list(self.cluster.nodes.values())
        turned = nodes[number % len(nodes):] + nodes[:number % len(nodes)]  # so that not all are at one node
        hosts = ",".join(f"{node.address}:{node.port}" for node in turned)
        name, queue = f"g{number}", self.cluster.queue
        enter = self.cluster.enter(name) if self.cluster.guests else ()
        return Group(name, os.path.join(self.home, name), self._options.logs or self.home,
                     f"amqp://guest@{hosts}/?queue={queue}", f"amqp://guest@{hosts}/?queue={queue}.outcomes", enter)

    def remove(self):
        """May be called at any time; what fails here is left to the guard."""
        for group in self.groups:
            group.remove()
        for client in (self.producer, self.consumer):
            if client and client.is_alive():
                client.stop(0)
        if self.cluster:
            self._keep_logs()
            self.cluster.down()
        shutil.rmtree(self.home, ignore_errors=True)
        self._guard.dismiss()

    def _keep_logs(self):
        if self._options.logs:
            for host, node in self.cluster.nodes.items():
                with contextlib.suppress(OSError):
                    shutil.copy(node.log, os.path.join(self._options.logs, f"{host}.log"))

    # --- looking ---

    def wait(self, condition, what, patience):
        """Until it holds. NotWell where it does not in time."""
        until = time.monotonic() + patience
        while not condition():
            if time.monotonic() > until:
                raise NotWell(f"{what} did not come within {patience:g} s")
            time.sleep(0.2)

    def rest(self, seconds, tell):
        """Meanwhile it tells where messages stand when no outcome comes for long."""
        until, told = time.monotonic() + seconds, False
        while (now := time.monotonic()) < until:
            if not told and self.books.quiet_since() < now - _QUIET:
                told = True
                with contextlib.suppress(NodeError, StopIteration):
                    messages, outcomes = self.depths()
                    tell(f"no outcome for {_QUIET} s; at the server {messages} messages, {outcomes} outcomes")
            time.sleep(min(0.2, max(0.0, until - time.monotonic())))

    def times_impatient(self):
        """How often a node has closed a channel because of its consumer timeout."""
        found = 0
        for node in self.cluster.nodes.values():
            with open(node.log, "rb") as log:
                found += log.read().count(b"timed out waiting for delivery acknowledgement")
        return found

    def a_node(self):
        """One that can be asked."""
        return next(host for host in self.cluster.hosts
                    if self.cluster.is_running(host) and not (self.cluster.network and self.cluster.network.is_cut(host)))

    def _column(self, *columns):
        """{queue: [words]}, as the server's own tool has it."""
        said = self.cluster.ctl(self.a_node(), "list_queues", "--no-table-headers", "name", *columns)
        return {name: words for name, *words in (line.split("\t") for line in said.splitlines() if line.strip())}

    def _of_queues(self, names, *columns):
        """Their [words]. NodeError where a node knows nothing of one, as it may while it is parted from others."""
        found = self._column(*columns)
        if missing := [name for name in names if name not in found]:
            raise NodeError(f"the list of queues has no {', '.join(missing)}")
        return [found[name] for name in names]

    def leader(self):
        """The host at which the queue of messages has its leader."""
        [[name]] = self._of_queues([self.cluster.queue], "leader")
        return next(host for host, node in self.cluster.nodes.items() if node.name == name)

    def depths(self):
        """Of messages and of outcomes: what waits or is not acknowledged. Seconds old."""
        names = (self.cluster.queue, f"{self.cluster.queue}.outcomes")
        return [sum(map(int, words)) for words in self._of_queues(names, "messages_ready", "messages_unacknowledged")]

    def dead(self):
        [[count]] = self._of_queues([f"{self.cluster.queue}.dead"], "messages")
        return int(count)

    def all_is_empty(self):
        with contextlib.suppress(NodeError):
            return self.depths() == [0, 0]
        return False

    def wait_until_well(self, tell):
        self._wait_for_nodes(tell)
        for group in self.groups:
            self.wait(lambda group=group: group.completed() is not None, f"a group {group.name} that takes messages", WELL)
        before = {group: group.completed() for group in self.groups}
        for group in self.groups:
            self.wait(lambda group=group: group.completed() not in (None, before[group]), f"work of {group.name}", WELL)
        since = time.monotonic()
        self.wait(lambda: self.books.quiet_since() > since, "an outcome", WELL)

    def _wait_for_nodes(self, tell):
        with contextlib.suppress(NotWell):
            return self.wait(self._nodes_are_well, "all nodes", self._options.hangs)
        for host in self._sick_nodes():
            self._start_again(host, tell)
        self.wait(self._nodes_are_well, "all nodes", WELL)

    def _sick_nodes(self):
        """Those that do not serve; else those that no more than half of the nodes take for running: a cut that ends as it
        is noticed may leave RabbitMQ's own books in two parts."""
        hosts = self.cluster.hosts
        if mute := [host for host in hosts if not self._serves(host)]:
            return mute
        seen = [self._seen_by(host) for host in hosts]
        return [host for host in hosts if sum(self.cluster.nodes[host].name in names for names in seen) <= len(hosts) // 2]

    def _seen_by(self, host):
        """What it says which nodes run; nothing where it does not answer."""
        with contextlib.suppress(NodeError):
            return self.cluster.ctl(host, "eval", "rabbit_nodes:all_running().")
        return ""

    def _nodes_are_well(self):
        """Each serves clients, and each queue has all its members."""
        if not all(map(self._serves, self.cluster.hosts)):
            return False
        try:
            online = self._column("online")
        except NodeError:
            return False
        return len(online) == 3 and all(words[0].count("@") == self._options.nodes for words in online.values())

    def _serves(self, host):
        with contextlib.suppress(*ERRORS):
            with contextlib.closing(connect(self.cluster.urls([host])[0])) as connection:
                connection.channel().queue_declare(self.cluster.queue, passive=True)
                return True
        return False

    # --- nodes ---

    def start_node(self, host, tell):
        """Returns when it serves clients."""
        try:
            self.cluster.start(host, patience=self._options.hangs)
        except NodeError:
            self._start_again(host, tell)

    def _start_again(self, host, tell):
        """As its operator would: a node of 3.10 that was cut off may hang, or be left out (docs/rabbitmq.md)."""
        self.nodes_started_again += 1
        tell(f"{host} is not well for {self._options.hangs:g} s: killed, and started again")
        self.cluster.kill(host)
        self.cluster.start(host)

    # --- the queue of messages ---

    def delete_queue(self):
        """The producer stands, and all that was accepted has its outcome: so nothing of it is lost with the queue."""
        if not self.producer.pause():
            raise NotWell("the producer's last confirmation did not come")
        self.wait(lambda: not self.books.unanswered and self.all_is_empty(), "an empty queue", WELL)
        with contextlib.closing(connect(self.cluster.urls()[0])) as connection:
            connection.channel().queue_delete(self.cluster.queue)

    def make_queue(self, host):
        """With its leader there, as it was before."""
        wanted = definitions.of_queues(self.cluster.queue)["queues"][0]
        with contextlib.closing(connect(self.cluster.urls([host])[0])) as connection:
            connection.channel().queue_declare(wanted["name"], durable=True, arguments=wanted["arguments"])
        self.cluster.settle()
        self.producer.go_on()

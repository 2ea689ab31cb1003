"""A RabbitMQ cluster on one machine, made, hurt and removed: by scripts/cluster, and by whoever imports this.

    with Cluster.make(nodes=3) as cluster:       # up; down at the end, whatever happens
        cluster.urls()                           # ['amqp://guest:guest@10.99.0.11:5672/%2f', ...]
        cluster.cut("h2"); cluster.join("h2"); cluster.kill("h1"); cluster.start("h1")

Each node is a host, h1 to hN, with an address of its own at a switch (see network.py); `guests` are hosts g1 to gM
without a node, for clients: `subprocess.run([*cluster.enter("g1"), ...])`. With one_address all are on 127.0.0.1, on
ports of their own; then there are no guests, and nothing can be cut. `find` gives a cluster that another process keeps
up. All that is known is in its layout, a dictionary as the registry keeps it.

Blocking calls on one thread. Fails with Refusal before anything was started, with NodeError and TimeoutError after.
"""

import contextlib
import json
import os
import secrets
import shutil
import tempfile

from . import definitions, network, registry
from .exits import UNAVAILABLE, USAGE, Refusal
from .node import FORMED, Node, NodeError, is_installed, mark_of, start_epmd
from .ports import Port
from .processes import kill_marked, marked

MOST = 9
_PATIENCE = 120  # seconds for a start
_SETTINGS = ("cluster_partition_handling = pause_minority", "net_ticktime = 10",
             "cluster_formation.peer_discovery_backend = classic_config")
_AMQP, _DIST, _EPMD = 5672, 25672, 4369  # in a network namespace of its own nobody else has them


class Cluster:
    def __init__(self, layout, entry=None):
        """See make and find."""
        self._layout = layout
        self._entry = entry  # where this process keeps the cluster up
        self._ports = []
        self._processes = {}
        self.directory = layout["directory"]
        self.hosts = [node["host"] for node in layout["nodes"]]
        self.guests = [f"g{number}" for number in range(1, layout["guests"] + 1)]
        numbers = {host: 10 + number for number, host in enumerate(self.hosts, 1)}
        numbers |= {host: 100 + number for number, host in enumerate(self.guests, 1)}
        self.network = None
        if not layout["one_address"]:
            self.network = network.Network(layout["tag"], numbers, os.path.join(self.directory, "hosts"))
        self.nodes = {node["host"]: self._node(node) for node in layout["nodes"]}

    @classmethod
    def make(cls, nodes=3, *, directory=None, one_address=False, queue="curfew", guests=0, settings=(), advanced=()):
        """A new one, not yet up. `directory` is for its data, not there or empty; `queue`: see definitions.of_queues;
        `settings` and `advanced`: as Node.configure has them."""
        _check(nodes, one_address, guests, directory)
        is_free = (lambda tag: True) if one_address else network.is_free
        entry = registry.claim(network.TAGS, is_free)
        if entry is None:
            raise Refusal(UNAVAILABLE, "all of 10.99.0.0 to 10.99.254.0 are in use: scripts/cluster down --all")
        try:
            ports = [Port() for _ in range(1 + 2 * nodes)] if one_address else []
            layout = {"tag": entry.tag, "keeper": os.getpid(), "one_address": one_address, "guests": guests,
                      "queue": queue, "settings": list(settings), "advanced": list(advanced),
                      "directory": os.path.abspath(directory or tempfile.mkdtemp(prefix="curfew-cluster-")),
                      "nodes": [_place(number, entry.tag, ports) for number in range(1, nodes + 1)]}
            entry.write(layout)
        except BaseException:
            entry.remove()
            raise
        cluster = cls(layout, entry)
        cluster._ports = ports
        return cluster

    @classmethod
    def find(cls, tag):
        """One that another process keeps up, or has left behind; None if there is none."""
        layout = registry.layouts().get(tag)
        return cls(layout) if layout else None

    @classmethod
    def take(cls, tag):
        """One that nobody keeps up any more, to be removed: down() does it. None if there is none."""
        cluster, entry = cls.find(tag), registry.take(tag)
        return cls(cluster._layout, entry) if cluster and entry else None

    @property
    def tag(self):
        return self._layout["tag"]

    @property
    def keeper(self):
        """The process that keeps it up; 0 where that was killed."""
        return self._layout["keeper"] if registry.is_kept(self.tag) else 0

    @property
    def queue(self):
        return self._layout["queue"]

    def _node(self, where):
        enter = self.network.enter(where["host"]) if self.network else ()
        words = {name: where[name] for name in ("name", "address", "port", "dist_port", "epmd_port")}
        return Node(os.path.join(self.directory, where["host"]), enter=enter, **words)

    # --- up and down ---

    def up(self, tell=lambda stage: None):
        """Returns when all nodes are one cluster and the queues are there; otherwise nothing is left of it. `tell`: is
        called with each stage."""
        try:
            self._up(tell)
        except BaseException:
            self.down()
            raise

    def _up(self, tell):
        os.makedirs(self.directory, mode=0o700, exist_ok=True)
        if self.network:
            self.network.up()
        cookie, users = secrets.token_hex(16), definitions.of_users({"guest": "guest"}, ["/"])
        for node in self.nodes.values():
            settings = [*_SETTINGS, *self._peers_of(node), *self._layout["settings"]]
            node.configure(cookie, settings, users, self._layout["advanced"])
        self._start_epmds()
        self._processes["h1"] = self._first().start()
        self._first().wait_until_ready(self._processes["h1"], _PATIENCE, said=FORMED)
        if len(self.hosts) > 1:
            tell(f"h1 runs; {' and '.join(self.hosts[1:])} join{'s' if len(self.hosts) == 2 else ''} it")
        for host in self.hosts[1:]:
            self._processes[host] = self.nodes[host].start()
        for host, node in self.nodes.items():
            node.wait_until_ready(self._processes[host], _PATIENCE)
        tell("all nodes run; the queues are made")
        self._declare()

    def _peers_of(self, node):
        """The first node begins the cluster, the others join it. If all began at once, they would wait for each other's
        locks, and one would give up after 10 s."""
        if node is self._first():
            return []
        return [f"cluster_formation.classic_config.nodes.{number} = {name}"
                for number, name in enumerate((self._first().name, node.name), 1)]

    def _start_epmds(self):
        for host, node in list(self.nodes.items()) if self.network else list(self.nodes.items())[:1]:
            home = node.home if self.network else self.directory
            self._processes[f"epmd of {host}"] = start_epmd(home, node.epmd_port, node.address,
                                                            self.network.enter(host) if self.network else ())

    def _declare(self):
        path = self._first().write("queues.json", json.dumps(definitions.of_queues(self.queue)))
        self._first().ctl("import_definitions", path)
        if (found := self._first().settle()) != len(self.nodes):
            raise NodeError(f"only {found} of {len(self.nodes)} nodes have found each other")

    def _first(self):
        return self.nodes["h1"]

    def settle(self):
        """Returns when the nodes have written down which queues there are: do this after a queue was declared, before
        the next kill (Node.settle says why)."""
        next(node for node in self.nodes.values() if node.pid).settle()

    def down(self):
        """Removes all of it: also one that another process made, and one that is half there. May be called again."""
        kill_marked(mark_of(self.directory))
        for node in self.nodes.values():
            kill_marked(mark_of(node.home))
        for process in self._processes.values():
            process.wait(20)
        if self.network:
            self.network.down()
        for name in (*self.hosts, "hosts"):
            path = os.path.join(self.directory, name)
            shutil.rmtree(path, ignore_errors=True) if os.path.isdir(path) else _unlink(path)
        with contextlib.suppress(OSError):  # not there, or somebody's files are in it
            os.rmdir(self.directory)
        for port in self._ports:
            port.close()
        if self._entry:
            self._entry.remove()
            self._entry = None

    def __enter__(self):
        self.up()
        return self

    def __exit__(self, *_):
        self.down()

    # --- what is done to it ---

    def kill(self, *hosts):
        """SIGKILL to the nodes; their hosts stay."""
        for host in hosts:
            self.nodes[host].kill()
            if host in self._processes:
                self._processes[host].wait(20)

    def start(self, *hosts, patience=_PATIENCE):
        """Starts nodes again, with their data; returns when they serve clients. Start together what was killed together:
        a node waits for those that it last saw running, and one whose cable is cut for the others."""
        started = {host: self.nodes[host].start() for host in hosts}
        self._processes |= started
        for host, process in started.items():
            self.nodes[host].wait_until_ready(process, patience)

    def cut(self, *hosts):
        """Pulls the cables of hosts, nodes or guests."""
        for host in hosts:
            self._cables().cut(host)

    def join(self, *hosts):
        for host in hosts:
            self._cables().join(host)

    def ctl(self, host, *words):
        """What `rabbitmqctl WORDS` says at that node; NodeError where it fails."""
        return self.nodes[host].ctl(*words)

    def enter(self, host):
        """The words before a command that is to run on that host."""
        return self._cables().enter(host)

    def _cables(self):
        if not self.network:
            raise Refusal(USAGE, "with --one-address there are no hosts, so nothing can be cut, joined or run there")
        return self.network

    # --- what it is ---

    def places(self):
        """HOST:PORT of each node, the port where it is not AMQP's own."""
        return [node.address if node.port == _AMQP else f"{node.address}:{node.port}" for node in self.nodes.values()]

    def urls(self, hosts=None):
        return [f"amqp://guest:guest@{node.address}:{node.port}/%2f"
                for host, node in self.nodes.items() if hosts is None or host in hosts]

    def memory(self):
        """Bytes that all its processes hold, what is shared counted once."""
        return sum(node.memory() for node in self.nodes.values())

    def processor_seconds(self):
        """Of the nodes that run now, since each was started."""
        return sum(node.processor_seconds() for node in self.nodes.values())

    def is_running(self, host):
        return bool(self.nodes[host].pid)

    def remains(self):
        """Processes that are there."""
        homes = [self.directory, *(node.home for node in self.nodes.values())]
        return [pid for home in homes for pid in marked(mark_of(home))]

    def reap(self):
        """Takes note of those that were killed by another process."""
        for process in self._processes.values():
            process.poll()


def _check(nodes, one_address, guests, directory):
    if not is_installed():
        raise Refusal(UNAVAILABLE, "RabbitMQ is not installed: scripts/bootstrap --cluster --no-build does it")
    if not 1 <= nodes <= MOST or not 0 <= guests <= MOST:
        raise Refusal(USAGE, f"from 1 to {MOST} nodes, and at most {MOST} guests")
    if one_address and guests:
        raise Refusal(USAGE, "with --one-address there are no hosts, so no guests either")
    if not one_address and (why := network.lack()):
        raise Refusal(UNAVAILABLE, f"{why}; with --one-address all nodes are on 127.0.0.1, and nothing can be cut")
    if directory and os.path.exists(directory) and (not os.path.isdir(directory) or os.listdir(directory)):
        raise Refusal(USAGE, f"'{directory}' is there already, and is no empty folder")


def _place(number, tag, ports):
    """Where a node is. Of the ports the first is epmd's, and two each are a node's."""
    host = f"h{number}"
    if not ports:
        return {"host": host, "name": f"rabbit@{host}", "address": f"10.99.{tag}.{10 + number}", "port": _AMQP,
                "dist_port": _DIST, "epmd_port": _EPMD}
    return {"host": host, "name": f"{host}@localhost", "address": "127.0.0.1", "port": ports[2 * number - 1].number,
            "dist_port": ports[2 * number].number, "epmd_port": ports[0].number}


def _unlink(path):
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)

"""One RabbitMQ node for a test: in a folder, with ports, a cookie and an epmd of its own, on 127.0.0.1 alone.

    server = RabbitServer()           # about 5 s, 120 MB
    pika.BlockingConnection(server.parameters())
    server.kill(); server.start()     # with the data and the ports it had
    server.close()                    # for certain: nothing of it is left

It needs no right, and touches no service of the machine. A test that is killed takes the node with it. Made and used on
one thread, the one that starts the node: the node dies with that thread. Fails with NodeError.
"""

import os
import secrets
import shutil
import sys
import tempfile
import unittest

_ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(_ROOT, "scripts"))

from cluster_lib import definitions, processes  # noqa: E402
from cluster_lib.node import Node, NodeError, is_installed, mark_of, start_epmd  # noqa: E402
from cluster_lib.ports import Port  # noqa: E402

try:
    import pika
except ImportError:
    pika = None

needs_rabbit = unittest.skipUnless(is_installed() and pika,
                                   "needs RabbitMQ and pika (install: rabbitmq-server python3-pika)")
_DIES_WITH_US = ("setpriv", "--pdeathsig", "KILL")


class RabbitServer:
    """Running and ready when it is made, unless started=False.

    users               {name: password}; each may do everything in each of the vhosts
    vhosts              names
    queues              quorum queues there from the start, in the first of the vhosts: each NAME makes NAME,
                        NAME.outcomes and NAME.dead, as `scripts/cluster --queue` does
    consumer_timeout    seconds until RabbitMQ closes the channel of a consumer that does not ack; with `tick`, seconds
                        between its looks (60 unless said)
    tls                 (certificate, key) or (certificate, key, CA): paths. `tls_port` listens then; with a CA a client
                        has to show a certificate of its
    settings            further lines of rabbitmq.conf
    advanced            further Erlang terms for {rabbit, [...]}
    plugins             names
    schedulers          threads that run its Erlang processes
    """

    def __init__(self, *, users=None, vhosts=("/",), queues=(), consumer_timeout=None, tick=None, tls=None, settings=(),
                 advanced=(), plugins=(), schedulers=1, started=True):
        self.users = users or {"guest": "guest"}
        self.vhosts = vhosts
        self.home = tempfile.mkdtemp(prefix="curfew-rabbit-")
        self._ports = [Port() for _ in range(4)]
        self.port, self.tls_port, dist_port, epmd_port = (port.number for port in self._ports)
        self.node = Node(self.home, "rabbit@localhost", port=self.port, dist_port=dist_port, epmd_port=epmd_port,
                         schedulers=schedulers)
        self._epmd = self._process = None
        wanted = definitions.of_users(self.users, vhosts)
        for name in queues:
            wanted.setdefault("queues", []).extend(definitions.of_queues(name, vhosts[0])["queues"])
        try:
            self.node.configure(secrets.token_hex(16), (*self._tls_lines(tls), *settings), wanted,
                                (*_times(consumer_timeout, tick), *advanced), plugins)
            self._epmd = start_epmd(self.home, epmd_port, "127.0.0.1", _DIES_WITH_US)
            if started:
                self.start()
        except BaseException:
            self.close()
            raise

    def _tls_lines(self, tls):
        if not tls:
            return ()
        certificate, key, *ca = tls
        return (f"listeners.ssl.1 = 127.0.0.1:{self.tls_port}", f"ssl_options.certfile = {certificate}",
                f"ssl_options.keyfile = {key}", f"ssl_options.cacertfile = {ca[0] if ca else certificate}",
                f"ssl_options.verify = {'verify_peer' if ca else 'verify_none'}",
                f"ssl_options.fail_if_no_peer_cert = {str(bool(ca)).lower()}")

    def start(self, patience=60):
        """Starts the node, with the data it had, and returns when it serves clients."""
        self._process = self.node.start(_DIES_WITH_US)
        self.node.wait_until_ready(self._process, patience)

    def kill(self, settled=True):
        """SIGKILL; returns when it is gone. The data and the ports are kept. Settled: not before the node has written
        down which queues there are (0.5 s), since one declared in the second before would be lost (Node.settle)."""
        if settled and self.pid:
            self.node.settle()
        self.node.kill()
        if self._process:
            self._process.wait(20)

    def stop(self, patience=30):
        """As an administrator stops it (SIGTERM); returns when it is gone."""
        self._process.terminate()
        self._process.wait(patience)

    def close(self):
        """Kills all that is left, and removes the folder. May be called more than once."""
        processes.kill_marked(mark_of(self.home))
        for process in (self._process, self._epmd):
            if process:
                process.wait(20)
        for port in self._ports:
            port.close()
        shutil.rmtree(self.home, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    @property
    def pid(self):
        """Of the node; 0 where it does not run."""
        return self.node.pid

    def ctl(self, *words):
        """What `rabbitmqctl WORDS` says (0.4 s); NodeError where it fails."""
        return self.node.ctl(*words)

    def eval(self, expression):
        """What an Erlang expression, as 'rabbit_alarm:get_alarms().', is in the node."""
        return self.ctl("eval", expression).strip()

    def set_memory_alarm(self, on):
        """On: connections that publish are blocked, and told so, when this returns; off: they go on."""
        limit = "0.00001" if on else '{absolute, "512MB"}'
        self.eval(f"vm_memory_monitor:set_vm_memory_high_watermark({limit}).")
        processes.wait_for(lambda: ("memory" in self.eval("rabbit_alarm:get_alarms().")) == on, "the alarm", 20)

    def url(self, user=None, vhost=None, tls=False):
        """amqp://USER:PASSWORD@127.0.0.1:PORT/VHOST, of the first user and vhost unless said."""
        user = user or next(iter(self.users))
        vhost = (vhost or self.vhosts[0]).replace("%", "%25").replace("/", "%2f")
        return (f"amqp{'s' if tls else ''}://{user}:{self.users[user]}@127.0.0.1:"
                f"{self.tls_port if tls else self.port}/{vhost}")

    def parameters(self, user=None, vhost=None, **more):
        """For pika.BlockingConnection."""
        user = user or next(iter(self.users))
        return pika.ConnectionParameters("127.0.0.1", self.port, vhost or self.vhosts[0],
                                         pika.PlainCredentials(user, self.users[user]), **more)


def _times(consumer_timeout, tick):
    wanted = {"consumer_timeout": consumer_timeout, "channel_tick_interval": tick}
    return [f"{{{name}, {int(seconds * 1000)}}}" for name, seconds in wanted.items() if seconds is not None]


__all__ = ["NodeError", "Port", "RabbitServer", "needs_rabbit"]

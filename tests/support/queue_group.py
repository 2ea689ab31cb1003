"""Groups whose messages come from queues of a RabbitMQ node of the tests' own, and whose outcomes go there.

A producer and a consumer beside them, by pika: another implementation of AMQP than ours.
"""

import collections
import contextlib
import os
import signal

from group import GroupTest, eventually
from rabbit import RabbitServer, pika


class QueueTest(GroupTest):
    """A node for the class; for each test queues of its own: `jobs`, `done`, `dead`."""

    HOW = {}  # how the node is started

    @classmethod
    def setUpClass(cls):
        cls.server = RabbitServer(**cls.HOW)
        cls.addClassCleanup(cls.server.close)

    def setUp(self):
        super().setUp()
        if not self.server.pid:  # a test before has failed while it was away
            self.server.start()
        name = os.urandom(4).hex()
        self.jobs, self.done, self.dead = f"jobs.{name}", f"done.{name}", f"dead.{name}"
        self.open_channel()
        for queue in (self.done, self.dead):
            self.channel.queue_declare(queue, durable=True, arguments={"x-queue-type": "quorum"})
        self.channel.queue_declare(self.jobs, durable=True, arguments={
            "x-queue-type": "quorum", "x-delivery-limit": 20, "x-dead-letter-exchange": "",
            "x-dead-letter-routing-key": self.dead, "x-dead-letter-strategy": "at-least-once", "x-overflow": "reject-publish"})

    def open_channel(self):
        """Also after the node was killed."""
        self.connection = pika.BlockingConnection(self.server.parameters())
        self.addCleanup(self._hang_up, self.connection)
        self.channel = self.connection.channel()
        self.channel.confirm_delivery()

    @staticmethod
    def _hang_up(connection):
        with contextlib.suppress(pika.exceptions.AMQPError):
            connection.close()

    def url(self, scheme="amqp", port=None, vhost="", user="guest", **parameters):
        query = "&".join(f"{name}={value}" for name, value in parameters.items())
        return f"{scheme}://{user}@127.0.0.1:{port or self.server.port}/{vhost}" + (f"?{query}" if query else "")

    def publish(self, body, queue=None, **properties):
        """Returns when the queue has it, on disk."""
        self.channel.basic_publish("", queue or self.jobs, body if isinstance(body, bytes) else body.encode(),
                                   pika.BasicProperties(delivery_mode=2, **properties), mandatory=True)

    def publish_numbers(self, count, first=1, **properties):
        for number in range(first, first + count):
            self.publish(str(number), message_id=f"id{number}", **properties)

    def take(self, queue, count=1, patience=30):
        """So many messages of a queue, acknowledged: [(properties, body)]."""
        taken = []
        for method, properties, body in self.channel.consume(queue, inactivity_timeout=patience):
            if method is None:
                self.fail(f"only {len(taken)} of {count} in {queue}: {[body for _, body in taken][:10]}")
            self.channel.basic_ack(method.delivery_tag)
            taken.append((properties, body))
            if len(taken) == count:
                break
        self.channel.cancel()
        return taken

    def take_bodies(self, queue, count=1):
        return collections.Counter(body.decode() for _, body in self.take(queue, count))

    def depth(self, queue):
        """Messages that wait there for a consumer."""
        return self.channel.queue_declare(queue, passive=True).method.message_count

    def depths(self, queue):
        """(ready, unacknowledged), as the server's own tool has it."""
        for line in self.server.ctl("list_queues", "--quiet", "name", "messages_ready", "messages_unacknowledged").splitlines():
            name, *counts = line.split("\t")
            if name == queue:
                return tuple(map(int, counts))
        self.fail(f"no queue {queue}")

    def group(self, *words, sink=True, source=True, **how):
        """A launch from queue to queue, in this test's run directory."""
        ends = (["--source", self.url(queue=self.jobs)] if source else []) + (["--sink", self.url(queue=self.done)] if sink else [])
        return self.launch("--run-dir", self.run_dir, *ends, *words, **how)

    def drained(self, launch, code=0):
        """Ended by a first INT."""
        launch.signal(signal.SIGINT)
        return self.ends_well(launch, code)

    def nothing_waits(self, queue=None):
        """At the server: nothing ready, nothing unacknowledged. Its counts may be some seconds old."""
        eventually(lambda: self.depths(queue or self.jobs) == (0, 0), lambda: f"an empty queue: {self.depths(queue or self.jobs)}")

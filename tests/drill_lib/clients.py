"""A producer and a consumer that are not curfew's: pika, each with a connection and a thread of its own.

Both go on at another node when theirs does not answer. They end by stop(), within the time that a node is waited for.
"""

import contextlib
import random
import socket
import threading
import time

import pika
from pika.adapters.utils.connection_workflow import AMQPConnectorException

ERRORS = (pika.exceptions.AMQPError, AMQPConnectorException, OSError)  # the second: a server that is mute
_HEARTBEAT = 5
_PAUSE = 0.2  # seconds before another connection
_SILENCE = 10.0
_CONFIRM = 30.0  # seconds: after a cut that was noticed on one side only a server has never confirmed one (3.10.8)


def connect(url):
    """Fails with one of ERRORS, within seconds."""
    parameters = pika.URLParameters(url)
    parameters.heartbeat = _HEARTBEAT
    parameters.socket_timeout = 3
    parameters.stack_timeout = 8
    return pika.BlockingConnection(parameters)


class _Client(threading.Thread):
    """Calls work(connection) again and again, each time with a new connection, at the next node."""

    def __init__(self, urls):
        super().__init__(daemon=True)
        self._urls = urls
        self._stopped = threading.Event()
        self.losses = 0

    def run(self):
        for turn in range(1 << 62):
            if self._stopped.is_set():
                return
            connection = None
            try:
                connection = connect(self._urls[turn % len(self._urls)])
                self.work(connection)
            except ERRORS:
                self.losses += 1
            finally:
                with contextlib.suppress(*ERRORS):
                    if connection and connection.is_open:
                        connection.close()
            self._stopped.wait(_PAUSE)

    def stop(self, patience=_CONFIRM + 15):
        """False where it does not end."""
        self._stopped.set()
        self.join(patience)
        return not self.is_alive()


class Producer(_Client):
    """At most `rate` messages a second, and none while `backlog` of them have no outcome: so the queue is always longer
    than what the groups have fetched."""

    def __init__(self, urls, queue, books, options, confirm=_CONFIRM):
        """`confirm`: seconds that a confirmation may take; then it goes on at the next node."""
        super().__init__(urls)
        self._confirm = confirm
        self._queue, self._books, self._options = queue, books, options
        self._chance = random.Random(f"{options.seed} work")
        self._number = 0
        self._special = []  # bodies to be published next
        self._waits_since = None  # for a confirmation
        self._paused = threading.Event()
        self._idle = threading.Event()

    def say(self, body):
        """A message of its own beside the others."""
        self._special.append(body)

    def pause(self, patience=30):
        """False where it is still waiting for a confirmation."""
        self._idle.clear()
        self._paused.set()
        return self._idle.wait(patience)

    def go_on(self):
        self._paused.clear()

    def work(self, connection):
        self._waits_since = None
        threading.Thread(target=self._watch, args=(connection,), daemon=True).start()
        channel = self._channel(connection)
        next_at = time.monotonic()
        while not self._stopped.is_set():
            waits = self._paused.is_set() or (self._books.unanswered >= self._options.backlog and not self._special)
            if self._paused.is_set():
                self._idle.set()
            now = time.monotonic()
            if waits or now < next_at:
                connection.process_data_events(0.05 if waits else max(0.001, next_at - now))
                continue
            next_at = max(next_at + 1 / self._options.rate, now - 1)
            try:
                self._publish(channel)
            except pika.exceptions.NackError:  # its channel is refused further on: see docs/rabbitmq.md
                channel.close()
                channel = self._channel(connection)

    def _watch(self, connection):
        """Breaks a connection on which a confirmation does not come: pika waits for it without a limit."""
        while connection.is_open:
            time.sleep(0.5)  # pika, which waits, can tell nobody
            since = self._waits_since
            if since is not None and time.monotonic() - since > self._confirm:
                with contextlib.suppress(AttributeError, OSError):
                    connection._impl._transport._sock.shutdown(socket.SHUT_RDWR)
                return

    @staticmethod
    def _channel(connection):
        channel = connection.channel()
        channel.confirm_delivery()
        return channel

    def _publish(self, channel):
        self._number += 1
        name, body = f"{self._options.seed}-{self._number}", self._special.pop() if self._special else self._draw()
        self._books.published(time.monotonic(), name)
        self._waits_since = time.monotonic()
        try:
            channel.basic_publish("", self._queue, body.encode(), pika.BasicProperties(message_id=name, delivery_mode=2),
                                  mandatory=True)
        finally:
            self._waits_since = None
        self._books.accepted(name)

    def _draw(self):
        """Seconds of work: mostly quick, now and then slow."""
        slow = self._chance.random() < 0.3
        return f"{self._chance.uniform(0.1, 0.3) if slow else self._chance.uniform(0.003, 0.05):.3f}"


class Consumer(_Client):
    """Counts each outcome, and then acknowledges it. Where it is given none for some seconds it consumes anew, at the
    next node: after a cut a server has let it wait for 20 s, and outcomes with it."""

    def __init__(self, urls, queue, books, drops=0, invents=0):
        """`drops`, `invents`: so many outcomes, for a try of the verdict itself."""
        super().__init__(urls)
        self._queue, self._books = queue, books
        self._drops, self._invents = drops, invents

    def work(self, connection):
        channel = connection.channel()
        channel.basic_qos(prefetch_count=100)
        heard_at = time.monotonic()
        for method, properties, _ in channel.consume(self._queue, inactivity_timeout=0.2):
            if self._stopped.is_set() or time.monotonic() - heard_at > _SILENCE:
                return
            if method:
                heard_at = time.monotonic()
                self._count(method, properties)
                channel.basic_ack(method.delivery_tag)
        # The server has cancelled the consumer, as it does where the queue's leader is gone

    def _count(self, method, properties):
        now, headers = time.monotonic(), properties.headers or {}
        if self._drops:
            self._drops -= 1
            return
        while self._invents:
            self._invents -= 1
            self._books.outcome(now, f"invented-{self._invents}", "0-0", False)
        self._books.outcome(now, properties.message_id, headers.get("task"), method.redelivered,
                            headers.get("outcome") == "completed")

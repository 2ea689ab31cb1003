"""A worker by hand: it speaks curfew's protocol over pyzmq as docs/protocol.md has it, and does what a
test tells it to, which no good worker would. Its thread owns its sockets; a test looks at its lists.
"""

import contextlib
import io
import os
import threading

from peers import LIFE, REPORTS, Peers, frame  # first: it finds a Python that has the others
import msgpack
import zmq

TASK, WELCOME, GONE, TASK_RUN, HELLO, HEARTBEAT, REPORT = 1, 3, 8, 9, 10, 11, 12  # types of records
OK = 1  # kind of a report
BEAT_S = 0.02  # between hellos and heartbeats: the shortest heartbeat a test may choose is a few of these


def tasks_in(records):
    """(number, seq, payload) of each attempt in the records of a frame of tasks."""
    for record in records:
        if record[0] == TASK:
            yield record[1], record[2], record[8]
        elif record[0] == TASK_RUN:
            number, seq, left_out = record[1], record[2], []
            for item in msgpack.Unpacker(io.BytesIO(record[7]), raw=True):
                if isinstance(item, int):
                    left_out.append(item)
                    continue
                if left_out:
                    number, seq, left_out = number + left_out[0], seq + left_out[1], []
                yield number, seq, item
                number, seq = number + 1, seq + 1


class FakeWorker:
    def __init__(self, test, name, slots=64, answer=None):
        """`answer(worker, number, seq, payload)` is asked for each attempt: records to report, each in
        a frame of its own."""
        self.name, self.slots = name, slots
        self.answer = answer or (lambda *_: ())
        self.attempts, self.sessions = [], []
        self.broker = self.session = 0
        self._hello = 1
        self._over = threading.Event()
        self._peers = Peers()
        self._endpoints = [f"ipc://{test.home}/{name}.{road}" for road in ("tasks", "control")]
        self._tasks, self._control = (self._peers.socket(zmq.PULL, bind=endpoint) for endpoint in self._endpoints)
        self._events, self._results = (self._peers.socket(zmq.PUSH, connect=f"ipc://{test.run_dir}/{road}.sock")
                                       for road in ("events", "results"))
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        test.addCleanup(self.leave)

    def leave(self):
        """Falls silent, now or at the latest with its test."""
        self._over.set()
        self._thread.join()
        self._peers.close()
        for endpoint in self._endpoints:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(endpoint.removeprefix("ipc://"))

    def _run(self):
        poller = zmq.Poller()
        for socket in (self._tasks, self._control):
            poller.register(socket, zmq.POLLIN)
        while not self._over.is_set():
            self._show_life()
            for socket, _ in poller.poll(BEAT_S * 1000):
                self._take(msgpack.Unpacker(io.BytesIO(socket.recv()), raw=True, strict_map_key=False))

    def _show_life(self):
        if self.session:
            self._events.send(frame(LIFE, self.broker, self.session, (HEARTBEAT, self.slots, self.slots)))
        else:
            hello = (HELLO, 1, self._hello, self.name.encode(), b"pool", self.slots, self.slots, 1,
                     *(endpoint.encode() for endpoint in self._endpoints))
            self._events.send(frame(LIFE, self.broker, 0, hello))

    def _take(self, unpacker):
        _, _, broker, peer, *_ = next(unpacker)
        records = list(unpacker)
        for record in records:
            if record[0] == WELCOME and record[2] == self._hello and not self.session:
                self.broker, self.session = broker, peer
                self.sessions.append(peer)
            elif record[0] == GONE and peer == self.session:
                self.session = 0
                self._hello += 1
        for attempt in tasks_in(records):
            self.attempts.append(attempt)
            for report in self.answer(self, *attempt):
                self._results.send(frame(REPORTS, self.broker, self.session, report))

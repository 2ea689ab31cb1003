"""A proxy on an ipc endpoint that does to a link what networks do: delay, jitter, silence, resets, one byte at a time.

`Proxy.before(path)` takes the place of a socket file that is bound already: the file is renamed, so its owner notices
nothing, and who connects from then on is served by the proxy. `Proxy(path, target)` listens where nobody does yet. Bytes
are never changed and never lost on a link that stays open: what a stream socket cannot do is not tried.

`by_message=True` is for what happens across reconnects and restarts: the proxy knows ZMTP's messages, sends each `copies`
times, the further ones later, and lets a share of them (`stall`) be overtaken by those behind them.

One thread each, ended by close(). The settings may be changed at any time, from any thread.
"""

import bisect
import contextlib
import os
import random
import select
import socket
import threading
import time

_CHUNK = 64 * 1024


class Proxy:
    def __init__(self, path, target, seed=0, by_message=False):
        self.delay = (0.0, 0.0)  # seconds, from and to; drawn for each piece, and never overtaking
        self.piece = _CHUNK  # most bytes at a time
        self.silent = frozenset()  # directions that stand still: 'in' (to the target), 'out'
        self.copies = (1, 1)  # of each message, at least and at most
        self.stall = (0.0, 0.0)  # share of the messages, seconds
        self.links = 0  # ever
        self.resets = 0
        self.copied = 0
        self.stalled = 0
        self._by_message = by_message
        self._target = target
        self._random = random.Random(seed)
        self._pairs = []  # of _Ends
        self._reset_wanted = False
        self._wake_reader, self._wake_writer = os.pipe()
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(path + ".new")
        self._listener.listen(64)
        os.rename(path + ".new", path)
        self._path = path
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    @classmethod
    def before(cls, path, seed=0, by_message=False):
        """In place of a socket that is there, which is never missing meanwhile: its owner would bind anew."""
        os.link(path, path + ".behind")
        return cls(path, path + ".behind", seed, by_message)

    def reset(self):
        """Cuts every link; both sides may connect again."""
        self._reset_wanted = True
        self._poke()

    def close(self):
        os.write(self._wake_writer, b"x")
        self._thread.join()
        os.close(self._wake_writer)
        for path in (self._path, self._target):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)

    def _poke(self):
        os.write(self._wake_writer, b".")

    # --- the thread ---

    def _run(self):
        while True:
            now = time.monotonic()
            readers = [self._listener, self._wake_reader]
            writers, next_at = [], now + 0.05  # settings may have changed meanwhile
            for flow in self._flows():
                if flow.wants_to_read():
                    readers.append(flow.source)
                if flow.held:
                    (writers.append(flow.drain) if flow.held[0][0] <= now else None)
                    next_at = min(next_at, max(flow.held[0][0], now))
            ready, writable, _ = select.select(readers, writers, [], max(0.0, next_at - now) if not writers else 0.05)
            if self._wake_reader in ready and b"x" in os.read(self._wake_reader, 64):
                break
            if self._reset_wanted:
                self._reset_wanted = False
                self.resets += 1
                self._drop(list(self._pairs))
                continue
            if self._listener in ready:
                self._accept()
            for flow in list(self._flows()):
                try:
                    if flow.source in ready and flow.wants_to_read():
                        flow.read()
                    if flow.drain in writable:
                        flow.write(time.monotonic())
                except OSError:
                    flow.over = True
            self._drop([pair for pair in self._pairs if any(flow.over and not flow.held for flow in pair)])
        self._drop(list(self._pairs))
        self._listener.close()
        os.close(self._wake_reader)

    def _flows(self):
        return [flow for pair in self._pairs for flow in pair]

    def _accept(self):
        near, _ = self._listener.accept()
        far = socket.socket(socket.AF_UNIX)
        try:
            far.connect(self._target)
        except OSError:
            near.close()  # the target is not there (yet): the other side tries again
            far.close()
            return
        self.links += 1
        near.setblocking(False)
        far.setblocking(False)
        self._pairs.append((_Flow(self, near, far, "in"), _Flow(self, far, near, "out")))

    def _drop(self, pairs):
        for pair in pairs:
            if pair in self._pairs:
                self._pairs.remove(pair)
            for flow in pair:
                flow.source.close()


class _Splitter:
    """Cuts a stream of ZMTP 3 (https://rfc.zeromq.org/spec/23/) into its greeting, commands and messages."""

    _LONG, _COMMAND = 2, 4

    def __init__(self):
        self._data = b""
        self._greeting = 64  # bytes of it to come; either side sends its second half only when it has seen some

    def feed(self, data):
        """[(bytes, whether they are a message)]; a message that is not whole yet waits."""
        pieces = []
        if self._greeting:
            pieces.append((data[: self._greeting], False))
            data = data[self._greeting:]
            self._greeting -= len(pieces[0][0])
        self._data += data
        while size := self._size():
            pieces.append((self._data[:size], not self._data[0] & self._COMMAND))
            self._data = self._data[size:]
        return pieces

    def _size(self):
        """Of the command or message at the front; 0 while it is not whole."""
        if len(self._data) < 2:
            return 0
        if not self._data[0] & self._LONG:
            size = 2 + self._data[1]
        elif len(self._data) < 9:
            return 0
        else:
            size = 9 + int.from_bytes(self._data[1:9], "big")
        return size if len(self._data) >= size else 0


class _Flow:
    """One direction of one link."""

    def __init__(self, proxy, source, drain, direction):
        self.proxy, self.source, self.drain, self.direction = proxy, source, drain, direction
        self.held = []  # (due, bytes), in the order in which they are due
        self.over = False
        self._splitter = _Splitter() if proxy._by_message else None
        self._last_due = 0.0

    def wants_to_read(self):
        return not self.over and len(self.held) < (4096 if self._splitter else 64) and self.direction not in self.proxy.silent

    def read(self):
        data = self.source.recv(self.proxy.piece)
        if not data:
            self.over = True
            return
        pieces = self._splitter.feed(data) if self._splitter else [(data, False)]
        for piece, is_message in pieces:
            self._hold(piece, is_message)

    def _hold(self, piece, is_message):
        proxy, chance = self.proxy, self.proxy._random
        due = time.monotonic() + chance.uniform(*proxy.delay)
        if is_message and chance.random() < proxy.stall[0]:
            proxy.stalled += 1
            due += proxy.stall[1]
        else:
            due = self._last_due = max(due, self._last_due)  # in order
        bisect.insort_right(self.held, (due, piece), key=lambda held: held[0])
        copies = chance.randint(*proxy.copies) - 1 if is_message else 0
        for _ in range(copies):
            proxy.copied += 1
            bisect.insort_right(self.held, (due + chance.uniform(0, 0.1), piece), key=lambda held: held[0])

    def write(self, now):
        while self.held and self.held[0][0] <= now and self.direction not in self.proxy.silent:
            due, data = self.held[0]
            sent = self.drain.send(data[: self.proxy.piece])
            if sent == len(data):
                self.held.pop(0)
            else:
                self.held[0] = (due, data[sent:])
                if self.proxy.piece < _CHUNK:
                    break

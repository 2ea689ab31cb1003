"""Peers of curfew's sockets for the integration tests: producers, consumers, and senders of junk, over pyzmq or raw bytes.

Needs the Debian packages python3-zmq and python3-msgpack; a test that was started by another Python goes on in the
system's. Every socket has a linger of zero and a time limit, so that no test hangs in one.
"""

import importlib.util
import os
import socket
import sys

_SYSTEM_PYTHON = "/usr/bin/python3"
if not (importlib.util.find_spec("zmq") and importlib.util.find_spec("msgpack")):
    if os.path.realpath(sys.executable) != os.path.realpath(_SYSTEM_PYTHON):
        os.execv(_SYSTEM_PYTHON, [_SYSTEM_PYTHON, *sys.orig_argv[1:]])

import msgpack  # noqa: E402
import zmq  # noqa: E402

LIMIT_MS = 10_000
VERSION = 1
TASKS, CONTROL, REPORTS, LIFE, TO_COLLECTOR, TO_BROKER = range(1, 7)  # kinds of frames


class Peers:
    """A context and the sockets made in it; close() ends all of them at once."""

    def __init__(self):
        self._context = zmq.Context()
        self._sockets = []

    def socket(self, kind, connect=None, bind=None):
        """A zmq socket; what is sent on a PUSH waits at most LIMIT_MS for room."""
        made = self._context.socket(kind)
        self._sockets.append(made)
        made.linger = 0
        made.sndtimeo = made.rcvtimeo = LIMIT_MS
        made.sndhwm = made.rcvhwm = 100_000
        if connect:
            made.connect(connect)
        if bind:
            made.bind(bind)
        return made

    def close(self):
        for made in self._sockets:
            made.close(linger=0)
        self._context.term()


def raw_connection(endpoint):
    """A plain stream socket to an ipc:// or tcp:// endpoint."""
    scheme, _, address = endpoint.partition("://")
    if scheme == "ipc":
        made = socket.socket(socket.AF_UNIX)
        made.settimeout(LIMIT_MS / 1000)
        made.connect(address)
        return made
    host, _, port = address.rpartition(":")
    return socket.create_connection((host, int(port)), LIMIT_MS / 1000)


def frame(kind, broker, peer, *records, number=0, acked=0, version=VERSION):
    """A frame of curfew's protocol (common/wire/wire.h); each record is a list whose first element is its type."""
    body = b"".join(msgpack.packb(list(record), use_bin_type=True) for record in records)
    return msgpack.packb([version, kind, broker, peer, number, acked, len(body)]) + body


def raw_frame(kind, broker, peer, body, number=0):
    """The same, around bytes that need not be records."""
    return msgpack.packb([VERSION, kind, broker, peer, number, 0, len(body)]) + body


def bombs():
    """Bodies that claim, or would take, far more than they weigh."""
    deep = b"\x91" * 10_000 + b"\xc0"
    many = 200_000
    yield b"\xdd\xff\xff\xff\xff"  # an array of 2^32 - 1
    yield b"\xdf\xff\xff\xff\xff"  # a map of 2^32 - 1
    yield b"\x92\x0c\xc6\xff\xff\xff\xff"  # a report with 4 GiB of bytes
    yield b"\x92\x0c\xdb\xff\xff\xff\xff"
    yield deep
    yield b"\x92\x0d" + deep  # inside a record
    yield b"\x92\x0d\xdd" + many.to_bytes(4, "big") + b"\xc0" * many  # intervals of nil
    yield b"\x98\x0d\x01\x01\xdd" + many.to_bytes(4, "big") + b"\x01" * many + b"\x90" * 4  # 100000 intervals of [1, 1]
    yield b"\x92\x0d\x92\x00\xcf" + b"\xff" * 8  # all numbers there are
    nested = b"".join(b"\xdd" + many.to_bytes(4, "big") for _ in range(7))
    yield nested + b"\xc0" * many  # each claims as many as there are bytes
    yield b"\x92\x0d\x98" + b"\xc0" * 8
    yield b"\xc1" * 64  # the one byte msgpack never uses


def cuts(whole):
    """Every beginning of it that is not all of it."""
    return (whole[:length] for length in range(len(whole)))


def flips(whole):
    """It with each single bit turned."""
    for at in range(len(whole)):
        for bit in range(8):
            turned = bytearray(whole)
            turned[at] ^= 1 << bit
            yield bytes(turned)

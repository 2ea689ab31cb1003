"""A ZeroMQ REQ by ctypes, to ask a process's monitor socket: libzmq is there wherever curfew runs, pyzmq need not be.

A question is timed from the send to the end of the receive; the connection is made once and kept.
"""

import ctypes
import json
import time

_REQ, _LINGER, _RCVTIMEO, _SNDTIMEO = 3, 17, 27, 28
_SLICE = 20  # milliseconds: so often `alive` is asked while an answer is waited for
_zmq = None


def _library():
    global _zmq
    if _zmq is None:
        _zmq = ctypes.CDLL("libzmq.so.5", use_errno=True)
        _zmq.zmq_ctx_new.restype = _zmq.zmq_socket.restype = _zmq.zmq_msg_data.restype = ctypes.c_void_p
        _zmq.zmq_msg_size.restype = ctypes.c_size_t
        _zmq.zmq_ctx_term.argtypes = _zmq.zmq_close.argtypes = _zmq.zmq_msg_init.argtypes = [ctypes.c_void_p]
        _zmq.zmq_msg_data.argtypes = _zmq.zmq_msg_size.argtypes = _zmq.zmq_msg_close.argtypes = [ctypes.c_void_p]
        _zmq.zmq_socket.argtypes = [ctypes.c_void_p, ctypes.c_int]
        _zmq.zmq_setsockopt.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p, ctypes.c_size_t]
        _zmq.zmq_connect.argtypes = [ctypes.c_void_p, ctypes.c_char_p]
        _zmq.zmq_send.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_size_t, ctypes.c_int]
        _zmq.zmq_msg_recv.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int]
    return _zmq


def version():
    try:
        numbers = [ctypes.c_int() for _ in range(3)]
        _library().zmq_version(*(ctypes.byref(number) for number in numbers))
        return ".".join(str(number.value) for number in numbers)
    except OSError:
        return "unknown"


class _Message(ctypes.Structure):
    _fields_ = [("opaque", ctypes.c_uint64 * 8)]


class Client:
    """Asks many processes, one question at a time."""

    def __init__(self, patience=10.0):
        self._zmq = _library()
        self._context = self._zmq.zmq_ctx_new()
        self._patience = patience
        self._sockets = {}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for endpoint in list(self._sockets):
            self._close(endpoint)
        self._zmq.zmq_ctx_term(self._context)

    def ask(self, endpoint, question, alive=lambda: True):
        """(answer, seconds, bytes); None if no answer came, in our patience or as long as it is `alive`."""
        socket = self._sockets.get(endpoint) or self._connect(endpoint)
        words = (question if isinstance(question, str) else json.dumps(question)).encode()
        message = _Message()
        self._zmq.zmq_msg_init(ctypes.byref(message))
        try:
            asked_at = time.monotonic()
            if self._zmq.zmq_send(socket, words, len(words), 0) < 0:
                return self._close(endpoint)
            while self._zmq.zmq_msg_recv(ctypes.byref(message), socket, 0) < 0:
                if not alive() or time.monotonic() - asked_at > self._patience:
                    return self._close(endpoint)  # a REQ without its answer cannot be used again
            took = time.monotonic() - asked_at
            size = self._zmq.zmq_msg_size(ctypes.byref(message))
            answer = json.loads(ctypes.string_at(self._zmq.zmq_msg_data(ctypes.byref(message)), size))
        finally:
            self._zmq.zmq_msg_close(ctypes.byref(message))
        return answer, took, size

    def _connect(self, endpoint):
        socket = self._zmq.zmq_socket(self._context, _REQ)
        for option, value in ((_LINGER, 0), (_RCVTIMEO, _SLICE), (_SNDTIMEO, _SLICE)):
            value = ctypes.c_int(value)
            self._zmq.zmq_setsockopt(socket, option, ctypes.byref(value), ctypes.sizeof(value))
        self._zmq.zmq_connect(socket, endpoint.encode())
        self._sockets[endpoint] = socket
        return socket

    def _close(self, endpoint):
        self._zmq.zmq_close(self._sockets.pop(endpoint))

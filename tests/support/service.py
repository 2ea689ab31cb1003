"""A service on loopback for tests of http: what it answers to each request is a coroutine of the test's. It notes every
request, and how each connection ended: `reset` or `closed` by the client while it waited for an answer, or `idle`.
"""

import asyncio
import collections
import gzip
import threading
from dataclasses import dataclass, field


@dataclass
class Request:
    method: str
    path: str
    headers: dict
    body: bytes
    number: int  # of the service's, from 1
    writer: object = field(repr=False, default=None)

    async def send(self, data):
        self.writer.write(data)
        await self.writer.drain()

    def reset(self):
        """As a service that is killed."""
        self.writer.transport.abort()


def reply(body=b"", status="200 OK", *headers):
    body = body.encode() if isinstance(body, str) else body
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers]
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + body


def zipped(body):
    return reply(gzip.compress(body), "200 OK", "Content-Encoding: gzip")


class Service:
    """`answer(request)`: returns the bytes of a response, or None where it has sent them itself. Close it."""

    def __init__(self, answer, tls=None, port=0):
        self._answer = answer
        self.requests = []
        self.ends = collections.Counter()
        self.connections = 0
        self._loop = asyncio.new_event_loop()
        self._tasks = set()
        started = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(tls, port, started), daemon=True)
        self._thread.start()
        started.wait(10)

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def close(self):
        if self._loop.is_running():
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(10)

    def say(self, data):
        """On the connection of the last request, which nobody has asked for it. It has arrived when this returns."""
        asyncio.run_coroutine_threadsafe(self.requests[-1].send(data), self._loop).result(10)

    def hang_up(self):
        """Closes the connection of the last request."""
        self._loop.call_soon_threadsafe(self.requests[-1].writer.close)

    def _run(self, tls, port, started):
        asyncio.set_event_loop(self._loop)
        server = self._loop.run_until_complete(
            asyncio.start_server(self._serve, "127.0.0.1", port, ssl=tls, backlog=16384, limit=1 << 22))
        self.port = server.sockets[0].getsockname()[1]
        started.set()
        try:
            self._loop.run_forever()
        finally:
            server.close()
            for task in asyncio.all_tasks(self._loop):
                task.cancel()
            self._loop.run_until_complete(asyncio.sleep(0))
            self._loop.close()

    async def _serve(self, reader, writer):
        self.connections += 1
        try:
            while await self._serve_one(reader, writer):
                pass
        except (ConnectionError, asyncio.IncompleteReadError):
            self.ends["idle"] += 1
        except asyncio.CancelledError:
            return
        finally:
            writer.close()

    async def _serve_one(self, reader, writer):
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        method, path, _ = (head[0] + "  ").split(" ", 2)
        headers = dict(line.split(": ", 1) if ": " in line else (line.rstrip(":"), "") for line in head[1:] if line)
        headers = {name.lower(): value for name, value in headers.items()}
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        request = Request(method, path, headers, body, len(self.requests) + 1, writer)
        self.requests.append(request)
        answer = self._loop.create_task(self._answer(request))
        gone = self._loop.create_task(self._until_gone(reader))
        await asyncio.wait((answer, gone), return_when=asyncio.FIRST_COMPLETED)
        if not answer.done():
            self.ends[gone.result()] += 1
            answer.cancel()
            return False
        gone.cancel()
        try:
            await gone
        except asyncio.CancelledError:
            pass
        if answer.result() is None:
            return False
        writer.write(answer.result())
        await writer.drain()
        return True

    @staticmethod
    async def _until_gone(reader):
        try:
            return "closed" if not await reader.read(1) else "talked"
        except ConnectionResetError:
            return "reset"

#!/usr/bin/env python3
"""Three replicas of a service, on loopback, that do the same: look a key up, which takes about 10 ms.

    a    is slow now and then: 1% of its answers take a second
    b    the same
    c    fails one request in three, and quickly

Each counts the requests that it was sent, those that it has answered, and those whose client was gone before.
"""

import asyncio
import collections
import random

SLOW = 1.0  # seconds


class Backend:
    def __init__(self, slow_share, failing_share, seed):
        self._slow, self._failing = slow_share, failing_share
        self._dice = random.Random(seed)
        self.counts = collections.Counter()

    async def start(self):
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, backlog=1024)
        self.url = "http://127.0.0.1:{}/{{}}".format(self._server.sockets[0].getsockname()[1])

    async def _serve(self, reader, writer):
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                self.counts["requests"] += 1
                answer = asyncio.ensure_future(self._answer(head.split(b" ")[1]))
                gone = asyncio.ensure_future(self._hung_up(reader))  # as a client that races does on the loser
                await asyncio.wait((answer, gone), return_when=asyncio.FIRST_COMPLETED)
                if not answer.done():
                    self.counts["hung up"] += 1
                    answer.cancel()
                    return
                gone.cancel()
                await asyncio.wait((gone,))
                writer.write(answer.result())
                self.counts["answered"] += 1
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    @staticmethod
    async def _hung_up(reader):
        try:
            await reader.read(1)
        except ConnectionError:
            pass

    async def _answer(self, path):
        if self._dice.random() < self._failing:
            return b"HTTP/1.1 503 Unavailable\r\nContent-Length: 0\r\n\r\n"
        slow = self._dice.random() < self._slow
        await asyncio.sleep(SLOW if slow else self._dice.uniform(0.008, 0.012))
        body = b"value of " + path[1:]
        return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)


async def start_three():
    backends = {"a": Backend(0.01, 0, 1), "b": Backend(0.01, 0, 2), "c": Backend(0, 1 / 3, 3)}
    for backend in backends.values():
        await backend.start()
    return backends


async def main():
    backends = await start_three()
    print("\n".join(f"{name}  {backend.url}" for name, backend in backends.items()), flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    try:
        asyncio.run(main())
    except KeyboardInterrupt:
        pass

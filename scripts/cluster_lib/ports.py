"""Free ports on 127.0.0.1 that stay ours until somebody of ours listens there."""

import socket


class Port:
    """A port that nobody else gets: a socket is bound to it, which does not listen, so that a server that sets
    SO_REUSEADDR, as all of Erlang's do, may listen there, today and after its restart."""

    def __init__(self):
        self._holder = socket.socket()
        self._holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._holder.bind(("127.0.0.1", 0))
        self.number = self._holder.getsockname()[1]

    def close(self):
        self._holder.close()

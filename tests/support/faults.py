"""What tests of faults share: outcomes that are each there once, and strangers who knock at a socket."""

import contextlib
import socket

from tests.support.group import GroupTest, eventually


class FaultTest(GroupTest):
    def each_has_one_outcome(self, lines, count):
        self.assertEqual(sorted(map(int, lines)), list(range(1, count + 1)))

    def endpoint(self, name):
        return f"ipc://{self.run_dir}/{name}"


def knock(path, patience=20):
    """A connection to a listener, whose backlog may be full just now."""
    stranger = socket.socket(socket.AF_UNIX)
    stranger.settimeout(patience)

    def connected():
        try:
            stranger.connect(path)
        except BlockingIOError:
            return False
        return True
    try:
        eventually(connected, f"a place in the backlog of {path}")
    except BaseException:
        stranger.close()
        raise
    return stranger


def wait_until_dropped(stranger):
    """Until the other side closes the connection; what it says before is of no interest."""
    with contextlib.suppress(ConnectionResetError):
        while stranger.recv(4096):
            pass

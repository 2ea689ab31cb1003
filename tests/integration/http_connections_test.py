"""What becomes of the connections that the http handler keeps: those on which something comes unasked and those that a service
closes.
"""

import os
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))

from group import eventually  # noqa: E402
from service import reply  # noqa: E402
from service_group import DIRECT, TlsTest  # noqa: E402

CLOSE_WAIT = "08"


def waiting_to_be_closed(port):
    """How many of our connections to this port their service has closed, and we have not."""
    with open("/proc/net/tcp", encoding="ascii") as file:
        fields = [line.split() for line in file][1:]
    return sum(remote.endswith(f":{port:04X}") and state == CLOSE_WAIT for _, _, remote, state, *_ in fields)


class AtRest(TlsTest):
    def start(self, url, *words):
        """A group that has had its first answer, and whose connection rests."""
        launch = self.launch("--url", url, "--slots", "1", "--ca", self.path("cert"), *words, stdin="pipe",
                             environment=DIRECT)
        launch.feed(b"a\n")
        launch.writes(1)
        return launch

    def test_bytes_that_nobody_asked_for_are_no_answer(self):
        plain = self.service()
        for service, url, words in ((plain, plain.url + "/{}", ()), (*self.tls_service(), ()),
                                    (*self.tls_service(), ("--http2",))):
            with self.subTest(url=url, words=words):
                launch = self.start(url, *words)
                service.say(reply("wrong"))
                launch.feed(b"b\n")
                launch.end_of_input()
                self.ends_well(launch)
                self.assertEqual(launch.lines, ["/a", "/b"])
                self.assertEqual(service.connections, 2)

    def test_one_that_its_service_closes_is_closed(self):
        service = self.service()
        launch = self.start(service.url + "/{}")
        service.hang_up()
        eventually(lambda: service.ends["idle"] == 1, "the service has closed it")
        eventually(lambda: waiting_to_be_closed(service.port) == 0, "the worker closes it")
        launch.feed(b"b\n")
        launch.end_of_input()
        self.ends_well(launch)
        self.assertEqual(launch.lines, ["/a", "/b"])


if __name__ == "__main__":
    unittest.main()

"""What becomes of the connections that the http handler keeps: those on which something comes unasked, those that a service
closes, and those of services that count how many requests they take.
"""

import os
import shutil
import socket
import subprocess
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))

from group import eventually  # noqa: E402
from service import reply  # noqa: E402
from service_group import DIRECT, TlsTest  # noqa: E402

NGINX = shutil.which("nginx") or shutil.which("/usr/sbin/nginx")
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


NGINX_CONF = """
daemon off;
pid {home}/nginx.pid;
error_log {home}/nginx.log;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    client_body_temp_path {home}/body;
    proxy_temp_path {home}/proxy;
    fastcgi_temp_path {home}/fastcgi;
    uwsgi_temp_path {home}/uwsgi;
    scgi_temp_path {home}/scgi;
    server {{
        listen unix:{home}/nginx.sock ssl http2;
        ssl_certificate {home}/cert;
        ssl_certificate_key {home}/key;
        keepalive_requests {requests};
        location / {{ return 200 "$request_uri"; }}
    }}
}}
"""


@unittest.skipUnless(NGINX, "needs nginx (install: nginx)")
class GoAway(TlsTest):
    def nginx(self, requests):
        """Takes so many requests on a connection."""
        conf = self.write("nginx.conf", NGINX_CONF.format(home=self.home, requests=requests))
        server = subprocess.Popen([NGINX, "-c", conf, "-e", self.path("nginx.log")], stderr=subprocess.DEVNULL)
        self.addCleanup(server.wait)
        self.addCleanup(server.terminate)
        eventually(lambda: self.is_listened_to(self.path("nginx.sock")), "nginx listens")

    @staticmethod
    def is_listened_to(path):
        with socket.socket(socket.AF_UNIX) as client:
            return client.connect_ex(path) == 0

    def test_a_request_that_a_connection_does_not_take_any_more_goes_to_the_next(self):
        self.nginx(requests=20)
        for version in ((), ("--http2",)):
            with self.subTest(version=version):
                outcomes = self.race("https://localhost/{}", messages=range(3000),
                                     words=(*version, "--ca", self.path("cert"), "--unix-socket", self.path("nginx.sock"),
                                            "--slots", "64", "--attempts", "1"))
                self.assertEqual([outcome["result"] for outcome in outcomes], [f"/{number}" for number in range(3000)])


if __name__ == "__main__":
    unittest.main()

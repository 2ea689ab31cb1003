"""Groups that ask services: the services of this process over TCP and TLS, and those of other programs over HTTP/2."""

import asyncio
import json
import os
import socket
import ssl
import subprocess

from group import GroupTest, eventually
from service import Service, reply

DIRECT = {name: "" for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")}


async def echo(request):
    return reply(request.body or request.path)


async def never(request):
    await asyncio.sleep(1000)


def after(seconds, answer=echo):
    async def answer_later(request):
        await asyncio.sleep(seconds)
        return await answer(request)

    return answer_later


def says(data):
    async def answer(request):
        return data

    return answer


class HttpTest(GroupTest):
    def service(self, answer=echo, **how):
        service = Service(answer, **how)
        self.addCleanup(service.close)
        return service

    def race(self, *urls, words=(), messages=("m",), code=0, environment=(), **how):
        """Outcomes of the messages, by their order. They come when each of the services has its worker."""
        flags = [word for url in urls for word in ("--url", url)]
        launch = self.launch("--run-dir", self.run_dir, *flags, "--json", *words, stdin="pipe",
                             environment={**DIRECT, **dict(environment)}, **how)
        if len(urls) > 1:
            self.workers_are_ready(len(urls))
        launch.feed("".join(f"{message}\n" for message in messages).encode())
        launch.end_of_input()
        self.ends_well(launch, code=code)
        self.err = launch.err
        return sorted((json.loads(line) for line in launch.lines), key=lambda outcome: outcome["seq"])

    def one(self, answer, *words, place="/{}", **how):
        """The outcome of one message at one service."""
        service = self.service(answer)
        outcome, = self.race(service.url + place, words=words, **how)
        return outcome

    def fails(self, answer, *words, saying, **how):
        outcome = self.one(answer, *words, code=1, **how)
        self.assertEqual(outcome["outcome"], "failed", outcome)
        self.assertIn(saying, outcome["error"])
        return outcome


class TlsTest(HttpTest):
    def setUp(self):
        super().setUp()
        make_certificate(self.path("cert"), self.path("key"))

    def tls_service(self, answer=echo):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.path("cert"), self.path("key"))
        service = self.service(answer, tls=context)
        return service, f"https://127.0.0.1:{service.port}/{{}}"


class Http2Test(TlsTest):
    def nghttpd(self, **files):
        """The URL of one that serves these files."""
        os.mkdir(self.path("htdocs"))
        for name, size in files.items():
            with open(self.path("htdocs", name), "wb") as file:
                file.truncate(size)
        log = open(self.path("nghttpd.log"), "wb")
        self.addCleanup(log.close)
        port = free_port()
        server = subprocess.Popen(["nghttpd", "-v", "-a", "127.0.0.1", "-d", self.path("htdocs"), str(port),
                                   self.path("key"), self.path("cert")], stdout=log, stderr=subprocess.STDOUT)
        self.addCleanup(server.wait)
        self.addCleanup(server.kill)
        eventually(lambda: listens(port), "nghttpd listens")
        return f"https://127.0.0.1:{port}/{{}}"

    def seen(self, what):
        with open(self.path("nghttpd.log"), encoding="utf-8", errors="replace") as file:
            return file.read().count(what)


def make_certificate(certificate, key):
    """For localhost, signed by itself, as two files."""
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost",
                    "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", key, "-out", certificate],
                   check=True, capture_output=True)


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def listens(port):
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0

"""Queue servers that say no, and messages that are none: each a clear error or a counted failure, and nothing is lost."""

import contextlib
import json
import os
import resource
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import unittest.mock
import shutil

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "support"))

from group import eventually  # noqa: E402
from queue_group import QueueTest  # noqa: E402
from rabbit import needs_rabbit, pika  # noqa: E402

MIB = 1 << 20


class Odd:
    """A server on loopback that is none: it says one of `words` whenever it has heard something, and closes."""

    def __init__(self, *words):
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self._words = words
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            try:
                client, _ = self._socket.accept()
            except OSError:
                return
            with client, contextlib.suppress(OSError):
                for words in self._words:
                    client.recv(10_000)
                    client.sendall(words)
                client.shutdown(socket.SHUT_WR)
                client.recv(10_000)  # what is unread would reset it before its words were heard

    def close(self):
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()


def method(number, arguments):
    """A frame of a connection, which is class 10."""
    payload = struct.pack(">HH", 10, number) + arguments
    return struct.pack(">BHI", 1, 0, len(payload)) + payload + b"\xce"


START = method(10, b"\x00\x09" + bytes(4) + b"\x00\x00\x00\x05PLAIN" + b"\x00\x00\x00\x05en_US")


def close(code, why):
    return method(50, struct.pack(">HB", code, len(why)) + why + bytes(4))


@contextlib.contextmanager
def raw_headers(table):
    """Headers are sent as these bytes, which pika would not make."""
    def encode(pieces, _):
        pieces.append(table)
        return len(table)
    with unittest.mock.patch("pika.data.encode_table", encode):
        yield


def nested(size):
    """A table of that size with a table in it, that has one, and so on: six bytes each."""
    return b"".join((6 * left).to_bytes(4, "big") + b"\x00F" for left in range(size // 6, 0, -1)) + bytes(4)


@contextlib.contextmanager
def small_stacks():
    """What is started meanwhile has a stack of 1 MiB, in each of its threads."""
    before = resource.getrlimit(resource.RLIMIT_STACK)
    resource.setrlimit(resource.RLIMIT_STACK, (MIB, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_STACK, before)


@needs_rabbit
class Refused(QueueTest):
    HOW = {"users": {"guest": "guest", "me": "secret"}, "vhosts": ("/", "other")}

    def refuses(self, code, *saying, source=None, sink=None, words=(), environment=()):
        ends = ["--source", source or self.url(queue=self.jobs)] + (["--sink", sink] if sink else [])
        launch = self.launch("--run-dir", self.run_dir, *ends, *words, "--handler", "echo", environment=environment)
        self.assertEqual(launch.code(), code, launch.err)
        for text in saying:
            self.assertIn(text, launch.err)
        self.assertNotIn("secret", launch.err)

    def test_who_may_not_log_in(self):
        self.refuses(64, "no password for 'me'", source=self.url(user="me", queue=self.jobs))
        wrong = {"CURFEW_AMQP_PASSWORD": "wrong"}
        self.refuses(64, "ACCESS_REFUSED", "--password-file", source=self.url(user="me", queue=self.jobs), environment=wrong)
        self.refuses(64, "from its own machine only", source=self.url(user="guest", queue=self.jobs), environment=wrong)
        self.refuses(64, "--password-file", source=f"amqp://me:secret@127.0.0.1/?queue={self.jobs}")
        self.refuses(64, "no password in the first line", source=self.url(user="me", queue=self.jobs), words=("--password-file", "/dev/null"))

    def test_a_password_of_a_file_or_the_environment(self):
        password = self.write("password", "secret\n")
        for words, environment in ((("--password-file", password), {}), ((), {"CURFEW_AMQP_PASSWORD": "secret"})):
            self.publish("m")
            launch = self.launch("--run-dir", self.run_dir, "--source", self.url(user="me", queue=self.jobs),
                                 "--sink", self.url(user="me", queue=self.done), *words, "--handler", "echo", environment=environment)
            self.assertEqual(self.take_bodies(self.done), {"m": 1})
            self.drained(launch)

    def test_a_place_that_is_not_there(self):
        self.refuses(69, "add_vhost nowhere", source=self.url(vhost="nowhere", queue=self.jobs))
        self.refuses(69, "NOT_FOUND", "rabbitmqadmin", "declare queue name=missing", "--declare", source=self.url(queue="missing"))
        self.refuses(69, "NOT_FOUND", "declare queue name=missing", sink=self.url(queue="missing"))
        self.refuses(69, "NOT_FOUND", "declare exchange name=missing", sink=self.url(exchange="missing", key="k"))
        self.refuses(69, "cannot be reached", "nobody listens there", source=self.url(port=1, queue=self.jobs))

    def test_what_is_no_queue_server(self):
        for words in (b"HTTP/1.1 400 Bad Request\r\n\r\n", b"AMQP\x03\x01\x00\x00", b"\x00" * 100, b""):
            odd = Odd(words)
            self.addCleanup(odd.close)
            with self.subTest(words):
                self.refuses(69, f"127.0.0.1:{odd.port}", source=self.url(port=odd.port, queue=self.jobs))

    def test_any_host_of_several_will_do(self):
        for words in ((), (START, close(541, b"INTERNAL_ERROR")), (START, close(320, b"CONNECTION_FORCED"))):
            with self.subTest(words):
                odd = Odd(*words)
                self.addCleanup(odd.close)
                self.refuses(69, f"127.0.0.1:{odd.port}", source=self.url(port=odd.port, queue=self.jobs))
                self.publish("m")
                hosts = f"127.0.0.1:1,127.0.0.1:{odd.port},127.0.0.1:{self.server.port}"
                launch = self.launch("--run-dir", self.run_dir, "--source", f"amqp://{hosts}/?queue={self.jobs}",
                                     "--sink", self.url(queue=self.done), "--handler", "echo")
                self.assertEqual(self.take_bodies(self.done), {"m": 1})
                self.drained(launch)

    def test_a_server_that_says_no_is_not_taken_for_one_that_is_away(self):
        odd = Odd(START, close(403, b"ACCESS_REFUSED"))
        self.addCleanup(odd.close)
        self.refuses(64, "ACCESS_REFUSED", source=f"amqp://127.0.0.1:{odd.port},127.0.0.1:{self.server.port}/?queue={self.jobs}")

    def test_queues_of_another_kind(self):
        name = f"kind.{self.jobs}"
        self.channel.queue_declare(f"{name}.stream", durable=True, arguments={"x-queue-type": "stream"})
        self.refuses(64, "is a stream", source=self.url(queue=f"{name}.stream"))
        self.channel.queue_declare(f"{name}.own", exclusive=True)
        self.refuses(64, "RESOURCE_LOCKED", "exclusive", source=self.url(queue=f"{name}.own"))
        self.channel.queue_declare(f"{name}.classic", durable=True)
        self.publish("m", queue=f"{name}.classic")
        launch = self.launch("--run-dir", self.run_dir, "--source", self.url(queue=f"{name}.classic"), "--sink", self.url(queue=self.done),
                             "--handler", "echo")
        self.assertEqual(self.take_bodies(self.done), {"m": 1})
        self.assertIn("is a classic queue", launch.err)
        self.drained(launch)

    def test_a_user_who_may_not_configure_cannot_see_what_a_queue_is(self):
        self.server.ctl("set_permissions", "me", "", ".*", ".*")
        self.addCleanup(self.server.ctl, "set_permissions", "me", ".*", ".*", ".*")
        self.publish("m")
        launch = self.launch("--run-dir", self.run_dir, "--source", self.url(user="me", queue=self.jobs), "--sink",
                             self.url(user="me", queue=self.done), "--handler", "echo", environment={"CURFEW_AMQP_PASSWORD": "secret"})
        self.assertEqual(self.take_bodies(self.done), {"m": 1})
        self.assertIn("may not configure it", launch.err)
        self.drained(launch)

    def test_queues_that_are_missing_are_made_where_that_is_wanted(self):
        made, out = f"made.{self.jobs}", f"out.{self.jobs}"
        launch = self.launch("--run-dir", self.run_dir, "--source", self.url(queue=made), "--sink", self.url(queue=out), "--declare",
                             "--handler", "echo")
        eventually(lambda: self.answer()["source"].get("prefetch"), "a consumer")
        self.publish("m", queue=made)
        self.assertEqual(self.take_bodies(out), {"m": 1})
        self.assertIn(f"{made}\tquorum", self.server.ctl("list_queues", "--quiet", "name", "type"))
        self.drained(launch)

    def test_a_deadline_that_the_server_does_not_wait_for(self):
        for words in (("--deadline", "none"), ("--deadline", "40m"), ("--consumer-timeout", "20s")):
            self.refuses(64, "--consumer-timeout", words=words)

    def test_wrong_words(self):
        for source, saying in (("amqp://127.0.0.1/", "queue=NAME"), ("amqp://127.0.0.1/?queu=a", "'queu' is not known"),
                               ("amqp:127.0.0.1", "two slashes"), ("amqp://127.0.0.1/a/b?queue=q", "%2f")):
            self.refuses(64, saying, source=source)
        self.refuses(64, "exchange=NAME&key=KEY", sink=self.url(key="k"))
        self.refuses(64, "give one", words=("--input", "/dev/null"))
        self.refuses(64, "--on-source-lost", words=("--on-source-lost", "maybe"))


@needs_rabbit
class Messages(QueueTest):
    def test_of_every_size_and_id(self):
        big = bytes(range(256)) * (16 * MIB // 256)
        self.publish(b"", message_id="empty")
        self.publish(big, message_id="big")
        self.publish("long id", message_id="i" * 255)
        self.publish("twice", message_id="same")
        self.publish("twice", message_id="same")
        self.publish("other bytes", message_id="same")
        launch = self.group("--max-message", "16m", "--handler", "echo", "--fanout", "1")
        taken = self.take(self.done, 5)
        found = sorted((properties.message_id, len(body)) for properties, body in taken)
        self.assertEqual(found, sorted([("empty", 0), ("big", 16 * MIB), ("i" * 255, 7), ("same", 5), ("same", 11)]))
        self.assertIn(big, [body for _, body in taken])
        self.drained(launch)
        self.nothing_waits()
        self.assertEqual(self.depth(self.done), 0)

    def test_one_over_the_limit_is_a_dead_letter(self):
        self.publish(b"x" * 5000, message_id="long")
        self.publish("next")
        launch = self.group("--max-message", "4k", "--dead-letters", self.url(queue=self.dead), "--handler", "echo")
        self.assertEqual(self.take_bodies(self.done), {"next": 1})
        (properties, body), (whole, all_of_it) = self.take(self.dead, 2)
        self.assertEqual((properties.message_id, body), ("long", b"x" * 1024))
        self.assertEqual((whole.message_id, all_of_it), ("long", b"x" * 5000), "that is the queue's")
        self.assertIn("5000 bytes, over --max-message 4096", properties.headers["error"])
        self.drained(launch, code=1)
        self.nothing_waits()

    def test_headers_over_the_limit_are_a_dead_letter(self):
        self.publish("m", headers={f"h{number}": "x" * 1000 for number in range(100)})
        self.publish("next")
        launch = self.group("--handler", "echo", "--dead-letters", self.write("dead", ""))
        self.assertEqual(self.take_bodies(self.done), {"next": 1})
        self.drained(launch, code=1)
        with open(self.path("dead"), encoding="utf-8") as file:
            self.assertIn("its properties and headers have", json.loads(file.read())["error"])

    def test_headers_in_headers_as_deep_as_a_frame_can_have_them(self):
        with raw_headers(nested(131_000)):
            self.publish("deep", message_id="deep", headers={"any": 1})
        self.publish("next")
        with small_stacks():
            launch = self.group("--handler", "echo", "--fanout", "1")
        self.assertEqual(self.take_bodies(self.done, 2), {"deep": 1, "next": 1})
        self.drained(launch)


@needs_rabbit
class LongHeaders(QueueTest):
    """A server that takes headers longer than a frame of ours, as others do from who sends over HTTP."""

    HOW = {"settings": ("frame_max = 4194304",)}

    def publish_long(self, body, sends=contextlib.nullcontext(), **properties):
        """`sends`: how the headers are."""
        with unittest.mock.patch("pika.spec.FRAME_MAX_SIZE", 4 * MIB), \
                pika.BlockingConnection(self.server.parameters(frame_max=4 * MIB)) as connection:
            channel = connection.channel()
            with sends:
                channel.basic_publish("", self.jobs, body.encode(), pika.BasicProperties(delivery_mode=2, **properties))

    def test_of_a_mebibyte_they_are_a_dead_letter(self):
        self.publish_long("long", message_id="long", headers={"h": "x" * MIB})
        self.publish("next")
        launch = self.group("--handler", "echo", "--dead-letters", self.write("dead", ""))
        self.assertEqual(self.take_bodies(self.done), {"next": 1})
        self.drained(launch, code=1)
        with open(self.path("dead"), encoding="utf-8") as file:
            letter = json.loads(file.read())
        self.assertEqual(letter["id"], "long")
        self.assertRegex(letter["error"], r"its properties and headers have 10485\d\d bytes")
        self.assertNotIn("source_lost", launch.err)

    def test_in_one_another(self):
        self.publish_long("deep", raw_headers(nested(160_000)), headers={"any": 1})  # of a MiB would take RabbitMQ minutes
        self.publish("next")
        with small_stacks():
            launch = self.group("--handler", "echo", "--fanout", "1")
        self.assertEqual(self.take_bodies(self.done, 2), {"deep": 1, "next": 1})
        self.drained(launch)

    def test_longer_ones_are_rejected_and_the_next_is_served(self):
        self.publish_long("too long", message_id="long", headers={"h": "x" * 2 * MIB})
        for number in range(5):
            self.publish(str(number))
        launch = self.group("--handler", "echo", "--fanout", "1")
        self.assertEqual(self.take_bodies(self.done, 5), {str(number): 1 for number in range(5)})
        [(properties, body)] = self.take(self.dead)
        self.assertEqual((properties.message_id, len(properties.headers["h"]), body), ("long", 2 * MIB, b"too long"))
        self.assertGreaterEqual(self.answer()["source"]["unreadable"], 1)
        launch.says("message_rejected .*longer than 1310720 bytes")
        self.drained(launch)
        self.nothing_waits()


@needs_rabbit
class Tls(QueueTest):
    ASKS = False  # the server asks for a certificate of who comes

    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.mkdtemp(prefix="curfew-test-", dir="/tmp")
        cls.addClassCleanup(shutil.rmtree, cls.folder)
        for name in ("server", "foreign"):
            subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={name}",
                            "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", f"{cls.folder}/{name}.key",
                            "-out", f"{cls.folder}/{name}.pem"], check=True, capture_output=True)
        for words in (("req", "-new", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=client", "-keyout", "client.key", "-out", "request"),
                      ("x509", "-req", "-in", "request", "-CA", "foreign.pem", "-CAkey", "foreign.key", "-CAcreateserial", "-days", "2",
                       "-out", "client.pem")):  # RabbitMQ takes none that has signed itself
            subprocess.run(["openssl", *words], check=True, capture_output=True, cwd=cls.folder)
        client = (f"{cls.folder}/foreign.pem",) if cls.ASKS else ()
        cls.HOW = {"tls": (f"{cls.folder}/server.pem", f"{cls.folder}/server.key", *client)}
        super().setUpClass()

    def test_a_server_that_is_known_is_spoken_to(self):
        self.publish("m")
        secure = self.url(scheme="amqps", port=self.server.tls_port, queue=self.jobs)
        launch = self.launch("--run-dir", self.run_dir, "--source", secure, "--sink", secure.replace(self.jobs, self.done),
                             "--ca", f"{self.folder}/server.pem", "--handler", "echo")
        self.assertEqual(self.take_bodies(self.done), {"m": 1})
        self.drained(launch)

    def test_a_foreign_one_is_not(self):
        secure = self.url(scheme="amqps", port=self.server.tls_port, queue=self.jobs)
        for words in ((), ("--ca", f"{self.folder}/foreign.pem"), ("--ca", "/dev/null")):
            launch = self.launch("--run-dir", self.run_dir, "--source", secure, *words, "--handler", "echo")
            self.assertIn(launch.code(), (64, 69), launch.err)
            self.assertRegex(launch.err, "not trusted|no certificates")


@needs_rabbit
class TlsOfBothSides(Tls):
    ASKS = True

    def test_a_server_that_is_known_is_spoken_to(self):
        """And it asks who comes."""
        self.publish("m")
        secure = self.url(scheme="amqps", port=self.server.tls_port, queue=self.jobs)
        ends = ("--run-dir", self.run_dir, "--source", secure, "--sink", secure.replace(self.jobs, self.done), "--ca", f"{self.folder}/server.pem")
        launch = self.launch(*ends, "--handler", "echo")
        self.assertIn(launch.code(), (64, 69), launch.err)
        self.assertIn("cannot be reached", launch.err)
        launch = self.launch(*ends, "--cert", f"{self.folder}/client.pem", "--key", f"{self.folder}/client.key", "--handler", "echo")
        self.assertEqual(self.take_bodies(self.done), {"m": 1})
        self.drained(launch)

    def test_a_foreign_one_is_not(self):
        """A certificate without its key."""
        secure = self.url(scheme="amqps", port=self.server.tls_port, queue=self.jobs)
        launch = self.launch("--run-dir", self.run_dir, "--source", secure, "--cert", f"{self.folder}/foreign.pem", "--handler", "echo")
        self.assertEqual(launch.code(), 64, launch.err)
        self.assertIn("go together", launch.err)


if __name__ == "__main__":
    import unittest

    unittest.main()

"""The RabbitMQ node that tests start: what they rely on."""

import contextlib
import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import unittest
import unittest.mock

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "support"))

from group import PYTHON, eventually, is_over, processes_with  # noqa: E402
from rabbit import NodeError, Port, RabbitServer, needs_rabbit, pika  # noqa: E402
from service_group import make_certificate  # noqa: E402


def listens(port):
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


class ReservedPort(unittest.TestCase):
    def test_is_given_to_nobody_but_one_who_asks_for_it_to_listen(self):
        held = Port()
        self.addCleanup(held.close)
        others = [Port() for _ in range(200)]
        for other in others:
            self.addCleanup(other.close)
        self.assertNotIn(held.number, [other.number for other in others])
        with socket.socket() as server:
            server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            server.bind(("127.0.0.1", held.number))
            server.listen()
            self.assertTrue(listens(held.number))


@needs_rabbit
class Server(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.mkdtemp(prefix="curfew-test-")
        cls.addClassCleanup(shutil.rmtree, folder)
        cls.certificate, key = os.path.join(folder, "cert"), os.path.join(folder, "key")
        make_certificate(cls.certificate, key)
        cls.server = RabbitServer(users={"guest": "guest", "other": "a/b:c"}, vhosts=("/", "a/b"), queues=("curfew",),
                                  tls=(cls.certificate, key), consumer_timeout=1, tick=0.2)
        cls.addClassCleanup(cls.server.close)

    def connect(self, *words):
        connection = pika.BlockingConnection(self.server.parameters(*words))
        self.addCleanup(self.hang_up, connection)
        return connection

    @staticmethod
    def hang_up(connection):
        with contextlib.suppress(pika.exceptions.AMQPError):  # one whose server was killed
            connection.close()

    def channel(self, *words):
        connection = self.connect(*words)
        channel = connection.channel()
        channel.confirm_delivery()
        return channel

    def publish(self, channel, queue, body):
        """Returns when the queue has it."""
        channel.basic_publish("", queue, body, pika.BasicProperties(delivery_mode=2), mandatory=True)

    def test_what_was_confirmed_outlives_a_kill(self):
        channel = self.channel()
        arguments = {"x-queue-type": "quorum"}
        channel.queue_declare("kept", durable=True, arguments=arguments)
        self.publish(channel, "kept", b"message")
        port, pid = self.server.port, self.server.pid
        self.server.kill()
        self.assertEqual(self.server.pid, 0)
        self.assertTrue(is_over(pid))
        self.assertFalse(listens(port))
        with self.assertRaises(pika.exceptions.AMQPConnectionError):
            pika.BlockingConnection(self.server.parameters())
        self.server.start()
        self.assertEqual(self.server.port, port)
        channel = self.channel()
        channel.queue_declare("kept", durable=True, arguments=arguments)
        for method, _, body in channel.consume("kept", inactivity_timeout=20):
            self.assertEqual(body, b"message")
            channel.basic_ack(method.delivery_tag)
            break

    def test_the_named_queues_are_there(self):
        channel = self.channel()
        self.publish(channel, "curfew", b"poison")
        self.assertEqual(channel.queue_declare("curfew.outcomes", passive=True).method.message_count, 0)
        method, _, _ = channel.basic_get("curfew")
        channel.basic_reject(method.delivery_tag, requeue=False)
        method, _, body = eventually(lambda: (got := channel.basic_get("curfew.dead"))[0] and got, "the dead letter")
        self.assertEqual(body, b"poison")
        channel.basic_ack(method.delivery_tag)

    def test_users_and_virtual_hosts_are_there(self):
        for user in ("guest", "other"):
            for vhost in ("/", "a/b"):
                self.channel(user, vhost)
                with self.subTest(user=user, vhost=vhost):
                    pika.BlockingConnection(pika.URLParameters(
                        self.server.url(user, vhost).replace("a/b:c", "a%2fb%3ac"))).close()
        wrong = self.server.parameters()
        wrong.credentials = pika.PlainCredentials("guest", "wrong")
        with self.assertRaises(pika.exceptions.AMQPConnectionError):
            pika.BlockingConnection(wrong)

    def test_it_serves_tls_with_the_certificate_that_it_was_given(self):
        for context, is_known in ((ssl.create_default_context(cafile=self.certificate), True),
                                  (ssl.create_default_context(), False)):
            parameters = pika.ConnectionParameters("127.0.0.1", self.server.tls_port,
                                                   ssl_options=pika.SSLOptions(context, "localhost"))
            if is_known:
                pika.BlockingConnection(parameters).close()
            else:
                self.assertRaises(ssl.SSLCertVerificationError, pika.BlockingConnection, parameters)

    def test_a_consumer_that_never_acks_is_timed_out(self):
        channel = self.channel()
        self.publish(channel, "curfew", b"held")
        with self.assertRaises(pika.exceptions.ChannelClosedByBroker) as closed:
            for _ in channel.consume("curfew", inactivity_timeout=20):
                pass
        self.assertEqual(closed.exception.reply_code, 406)
        self.assertIn("timeout", closed.exception.reply_text)
        channel = self.channel()
        channel.queue_purge("curfew")

    def test_a_memory_alarm_blocks_who_publishes_until_it_is_over(self):
        blocked = []
        connection = self.connect()
        connection.add_on_connection_blocked_callback(lambda *_: blocked.append(True))
        connection.add_on_connection_unblocked_callback(lambda *_: blocked.append(False))
        self.server.set_memory_alarm(True)
        try:
            connection.channel().basic_publish("", "of-nobody", b"")
            eventually(lambda: connection.process_data_events(0) or blocked, "the word that it is blocked")
        finally:
            self.server.set_memory_alarm(False)
        eventually(lambda: connection.process_data_events(0) or blocked == [True, False], lambda: f"the end: {blocked}")

    def test_it_listens_on_loopback_alone(self):
        listening = subprocess.run(["ss", "-ltnHp"], check=True, capture_output=True, text=True).stdout
        own = [line.split()[3] for line in listening.splitlines() if f"pid={self.server.pid}," in line]
        self.assertEqual(len(own), 3, listening)  # AMQP, with TLS and without, and other nodes
        for address in own:
            self.assertTrue(address.startswith("127.0.0.1:"), listening)

    def test_another_at_the_same_time_has_ports_and_a_cookie_of_its_own(self):
        with RabbitServer(started=False) as other:
            self.assertNotIn(other.port, (self.server.port, self.server.tls_port))
            self.assertFalse(listens(other.port))
            with self.assertRaises(NodeError):  # its name is known to its own epmd alone
                other.ctl("status")


@needs_rabbit
class Remains(unittest.TestCase):
    def test_there_are_none_of_a_server_that_was_closed(self):
        with RabbitServer() as server:
            home, port = server.home, server.port
            self.assertGreaterEqual(len(processes_with(home)), 3)  # the node, its epmd, what the node has started
        self.assertEqual(processes_with(home), [])
        self.assertFalse(os.path.exists(home))
        self.assertFalse(listens(port))

    def test_there_are_none_of_one_that_could_not_start(self):
        with tempfile.TemporaryDirectory(prefix="curfew-test-") as folder:
            with unittest.mock.patch.object(tempfile, "tempdir", folder):
                with self.assertRaisesRegex(NodeError, "no_such_setting"):
                    RabbitServer(settings=("no_such_setting = 1",))
            self.assertEqual(processes_with(folder), [])
            self.assertEqual(os.listdir(folder), [])

    def test_a_test_that_is_killed_takes_its_server_with_it(self):
        code = ("import sys; sys.path.insert(0, sys.argv[1]); from rabbit import RabbitServer\n"
                "server = RabbitServer(); print(server.home, flush=True); sys.stdin.read()")
        words = [PYTHON, "-B", "-c", code, os.path.dirname(os.path.abspath(sys.modules["rabbit"].__file__))]
        with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as test:
            home = test.stdout.readline().strip()
            try:
                self.assertTrue(processes_with(home))
                test.send_signal(signal.SIGKILL)
                test.wait()
                eventually(lambda: not processes_with(home), lambda: f"the end of {processes_with(home)}")
            finally:
                test.kill()
                subprocess.run(["rm", "-rf", home], check=True)


if __name__ == "__main__":
    unittest.main()

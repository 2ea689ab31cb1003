"""scripts/cluster, as its user sees it: three nodes with cables of their own, what is done to them, and their end."""

import contextlib
import errno
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import unittest
import unittest.mock

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "support"))

from group import PYTHON, ROOT, eventually, processes_with  # noqa: E402
from rabbit import needs_rabbit, pika  # noqa: E402

from cluster_lib import network, processes  # noqa: E402
from cluster_lib.cluster import Cluster  # noqa: E402
from cluster_lib.exits import Refusal  # noqa: E402

CLUSTER = os.path.join(ROOT, "scripts", "cluster")


def why_no_hosts():
    if why := network.lack():
        return why
    done = subprocess.run(["unshare", "--net", "--uts", "--mount", "true"], capture_output=True, text=True)
    return f"needs network namespaces: {done.stderr.strip()}" if done.returncode else ""


needs_hosts = unittest.skipIf(why_no_hosts(), why_no_hosts())


def cluster(*words, code=0):
    """What a command of scripts/cluster says."""
    done = subprocess.run([PYTHON, CLUSTER, *words], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          timeout=120)
    if done.returncode != code:
        raise AssertionError(f"cluster {' '.join(words)}: {done.returncode}, not {code}: {done.stdout}{done.stderr}")
    return done.stdout + done.stderr


class Up:
    """`cluster up`, in its own session; it leaves when the test is killed."""

    def __init__(self, *words):
        self.home = tempfile.mkdtemp(prefix="curfew-test-")
        self.data = os.path.join(self.home, "data")
        self._out = os.path.join(self.home, "out")
        with open(self._out, "wb") as out:
            self.process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "TERM", PYTHON, CLUSTER, "up", "--dir", self.data, *words], stdout=out,
                stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, start_new_session=True)
        self.tag = self.says(r"as cluster (\d+)", 20)

    def said(self):
        with open(self._out, encoding="utf-8") as file:
            return file.read()

    def says(self, pattern, patience=120):
        def found():
            return re.search(pattern, self.said()) or self.process.poll() is not None
        eventually(found, lambda: f"'{pattern}', not only: {self.said()}", patience)
        match = re.search(pattern, self.said())
        if not match:
            raise AssertionError(f"`up` ended with {self.process.poll()}: {self.said()}")
        return match[1]

    def has_node(self, host):
        eventually(lambda: processes_with(os.path.join(self.data, host)), f"a process of {host}")

    def end(self, number=signal.SIGINT):
        """Its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(60)

    def remove(self):
        self.end(signal.SIGTERM)
        subprocess.run([PYTHON, CLUSTER, "down", "--tag", self.tag], capture_output=True)
        subprocess.run(["rm", "-rf", self.home], check=True)

    def remains(self):
        """Of what is outside of the test's folder, and of the data."""
        found = [f"process {pid}" for pid in processes_with(self.data)] + ([self.data] if os.path.exists(self.data) else [])
        whose = re.search(rf"^cluster {self.tag}, in (.*), ", cluster("status"), re.MULTILINE)
        if whose and whose[1] != self.data:  # another cluster has the number by now, and what is called by it
            return found
        found += [name for name in os.listdir("/sys/class/net") if name == f"curfew{self.tag}"]
        if not why_no_hosts():
            names = subprocess.run(["ip", "netns"], check=True, capture_output=True, text=True).stdout
            found += re.findall(rf"^curfew{self.tag}-\w+", names, re.MULTILINE)
        return found + (["its entry"] if whose else [])


@needs_rabbit
@needs_hosts
class ThreeNodes(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.links = set(os.listdir("/sys/class/net"))
        cls.up = Up("--guests", "1")
        cls.addClassCleanup(cls.up.remove)
        cls.said = cls.up.says(r"(?s)(cluster \d+: 3 nodes, ready after .*removes it all)")
        cls.urls = re.findall(r"^ +h\d +(amqp://\S+)$", cls.said, re.MULTILINE)

    def command(self, word, *words, code=0):
        return cluster(word, "--tag", self.up.tag, *words, code=code)

    @staticmethod
    def hang_up(connection):
        with contextlib.suppress(pika.exceptions.AMQPError):  # one whose node was killed
            connection.close()

    def channel(self, number):
        """At node h1, h2, h3."""
        parameters = pika.URLParameters(self.urls[number - 1])
        parameters.socket_timeout = 5
        connection = pika.BlockingConnection(parameters)
        self.addCleanup(self.hang_up, connection)
        channel = connection.channel()
        channel.confirm_delivery()
        return channel

    def publish(self, number, body):
        """Returns when the nodes have it. While a queue has no leader a message is refused, and a channel whose first
        message was, has all of them refused: it goes on asking the node that is gone."""
        def is_taken():
            with contextlib.suppress(pika.exceptions.NackError):
                properties = pika.BasicProperties(delivery_mode=2)
                self.channel(number).basic_publish("", "curfew", body, properties, mandatory=True)
                return True
        eventually(is_taken, "a confirmation")

    def take(self, channel):
        method, _, body = eventually(lambda: (got := channel.basic_get("curfew"))[0] and got, "a message")
        channel.basic_ack(method.delivery_tag)
        return body

    def queues(self, at):
        words = ("list_queues", "--formatter", "json", "name", "type", "arguments", "online")
        return {queue["name"]: queue for queue in json.loads(self.command("ctl", at, *words))}

    def answers(self, host, seconds=1):
        with socket.socket() as client:
            client.settimeout(seconds)
            return client.connect_ex((f"10.99.{self.up.tag}.1{host[1]}", 5672)) == 0

    def node_of(self, host):
        return re.search(rf"^ +{host} .* (running|down) +(joined|cut)", self.command("status"), re.MULTILINE).groups()

    def test_what_it_took_and_where_it_is_are_said(self):
        self.assertRegex(self.said, r"ready after [\d.]+ s: [1-9]\d+ MB, [\d.]+ s of processor time")
        self.assertEqual(self.urls, [f"amqp://guest:guest@10.99.{self.up.tag}.1{n}:5672/%2f" for n in (1, 2, 3)])

    def test_the_queues_are_on_all_nodes_and_bounded(self):
        eventually(lambda: all(len(queue["online"]) == 3 for queue in self.queues("h2").values()), "three replicas")
        queues = self.queues("h2")
        self.assertEqual({name: queue["type"] for name, queue in queues.items()},
                         dict.fromkeys(("curfew", "curfew.outcomes", "curfew.dead"), "quorum"))
        arguments = str(queues["curfew"]["arguments"])
        for argument in ("x-delivery-limit", "20", "curfew.dead", "at-least-once", "reject-publish"):
            self.assertIn(argument, arguments)

    def test_what_one_node_took_another_gives(self):
        self.publish(1, b"across")
        self.assertEqual(self.take(self.channel(3)), b"across")

    def test_a_node_that_was_killed_is_not_missed_and_comes_back(self):
        self.publish(1, b"before")
        self.command("kill", "h1")
        try:
            self.assertEqual(self.node_of("h1")[0], "down")
            self.assertFalse(self.answers("h1"))
            self.publish(2, b"meanwhile")
            channel = self.channel(2)
            self.assertEqual([self.take(channel), self.take(channel)], [b"before", b"meanwhile"])
        finally:
            self.command("start", "h1")
        self.assertEqual(self.node_of("h1")[0], "running")
        eventually(lambda: len(self.queues("h2")["curfew"]["online"]) == 3, "three replicas")
        self.publish(1, b"after")
        self.assertEqual(self.take(self.channel(1)), b"after")
        self.assertIn("runs already", self.command("start", "h1", code=70))

    def test_a_host_that_is_cut_runs_and_is_not_reached(self):
        self.command("cut", "h3")
        try:
            self.assertEqual(self.node_of("h3"), ("running", "cut"))
            self.assertFalse(self.answers("h3"))
            self.assertTrue(self.answers("h1", 5))
        finally:
            self.command("join", "h3")
        self.assertEqual(self.node_of("h3"), ("running", "joined"))
        eventually(lambda: self.answers("h3"), "h3 to be reached again")

    def test_a_guest_is_a_host_of_its_own_and_can_be_cut(self):
        look = ("bash", "-c", "cat /proc/sys/kernel/hostname; exec 3<>/dev/tcp/h2/5672")
        self.assertEqual(self.command("exec", "g1", *look).strip(), "g1")
        ask = ("exec", "g1", "timeout", "3", *look)
        self.command("cut", "g1")
        try:
            self.command(*ask, code=124)
        finally:
            self.command("join", "g1")
        eventually(lambda: subprocess.run([PYTHON, CLUSTER, "exec", "--tag", self.up.tag, *ask[1:]],
                                          capture_output=True).returncode == 0, "g1 to be on the network again")

    def test_the_machine_has_one_link_more_and_its_own_names(self):
        ours = {name for name in set(os.listdir("/sys/class/net")) - self.links if not re.match(r"curfew\d", name)}
        self.assertEqual(ours, set())
        self.assertIn(f"curfew{self.up.tag}", os.listdir("/sys/class/net"))
        with open("/etc/hosts", encoding="utf-8") as file:
            self.assertNotIn(f"10.99.{self.up.tag}.", file.read())

    def test_what_is_not_there_is_said(self):
        self.assertIn("there is no 'h4', only h1, h2, h3", self.command("kill", "h4", code=64))
        self.assertIn("no_such_word", self.command("ctl", "h1", "no_such_word", code=64))


@needs_rabbit
@needs_hosts
class Ends(unittest.TestCase):
    def up(self, *words):
        up = Up(*words)
        self.addCleanup(up.remove)
        return up

    @staticmethod
    def status_of(up):
        return cluster("status", "--tag", up.tag)

    def test_nothing_is_left_when_its_start_is_interrupted(self):
        up = self.up()
        up.has_node("h1")
        self.assertTrue(up.remains())
        self.assertEqual(up.end(signal.SIGINT), 128 + signal.SIGINT)
        self.assertEqual(up.remains(), [])

    def test_down_removes_what_an_up_that_was_killed_has_left(self):
        up = self.up("--nodes", "1")
        up.has_node("h1")
        up.process.kill()
        up.process.wait()
        self.assertTrue(up.remains())
        # What it had forked, and what has not become another program yet, holds the lock a moment longer.
        eventually(lambda: "its `up` was killed" in self.status_of(up), lambda: f"that, in:\n{cluster('status')}")
        cluster("down", "--tag", up.tag)
        self.assertEqual(up.remains(), [])
        self.assertIn("no such cluster", cluster("down", "--tag", up.tag, code=69))

    def test_down_ends_the_up_of_another_terminal(self):
        up = self.up("--nodes", "1")
        up.has_node("h1")
        cluster("down", "--tag", up.tag)
        self.assertEqual(up.process.wait(20), 128 + signal.SIGTERM)
        self.assertEqual(up.remains(), [])

    def test_two_at_a_time_are_apart(self):
        first, second = Cluster.make(nodes=1), Cluster.make(nodes=1)
        try:
            self.assertNotEqual(first.tag, second.tag)
            self.assertNotEqual(first.urls(), second.urls())
        finally:
            first.down()
            second.down()
        self.assertEqual([os.path.exists(one.directory) for one in (first, second)], [False, False])


@needs_rabbit
class OneAddress(unittest.TestCase):
    def test_is_what_is_offered_without_root(self):
        with unittest.mock.patch("os.geteuid", return_value=1000):
            with self.assertRaisesRegex(Refusal, "need root.*--one-address") as refused:
                Cluster.make()
        self.assertEqual(refused.exception.code, 69)

    def test_nodes_are_one_cluster_and_nothing_is_left_after_ctrl_c(self):
        up = Up("--one-address", "--nodes", "2", "--queue", "jobs")
        self.addCleanup(up.remove)
        said = up.says(r"(?s)(ready after.*removes it all)")
        urls = re.findall(r"(?m)^    h\d  (amqp://\S+)", said)
        self.assertEqual(len(set(urls)), 2)
        places = ",".join(re.search("@(.*)/", url)[1] for url in urls)
        self.assertIn(f"--source 'amqp://{places}/?queue=jobs' --sink 'amqp://{places}/?queue=jobs.outcomes' -- ", said)
        for url in urls:
            connection = pika.BlockingConnection(pika.URLParameters(url))
            connection.channel().queue_declare("jobs.outcomes", passive=True)
            connection.close()
        self.assertIn("nothing can be cut", cluster("cut", "--tag", up.tag, "h1", code=64))
        self.assertEqual(up.end(signal.SIGINT), 128 + signal.SIGINT)
        self.assertEqual(up.remains(), [])

    def test_one_that_cannot_start_leaves_nothing(self):
        one = Cluster.make(nodes=1, one_address=True, settings=["no_such_setting = 1"])
        with self.assertRaisesRegex(Exception, "no_such_setting"):
            one.up()
        self.assertEqual(processes_with(one.directory), [])
        self.assertFalse(os.path.exists(one.directory))
        self.assertIsNone(Cluster.find(one.tag))


class Kill(unittest.TestCase):
    def test_returns_when_sockets_are_closed(self):
        """A process with much memory: its environment is gone before that, its sockets after."""
        mark = f"CURFEW_TEST=cluster-kill-{os.getpid()}"
        listener = socket.create_server(("127.0.0.1", 0))
        hold = f"import socket; s = socket.socket(fileno={listener.fileno()}); b = bytearray(b'x') * 400_000_000; " \
               "print(flush=True); input()"
        child = subprocess.Popen([PYTHON, "-c", hold], pass_fds=[listener.fileno()], stdin=subprocess.PIPE,
                                 stdout=subprocess.PIPE, env={**os.environ, **dict([mark.split("=")])})
        self.addCleanup(child.communicate)
        self.addCleanup(child.kill)
        address = listener.getsockname()
        listener.close()
        self.assertEqual(child.stdout.readline(), b"\n")
        self.assertEqual(processes.marked(mark), [child.pid])
        processes.kill(child.pid, mark)
        with socket.socket() as client:
            self.assertEqual(client.connect_ex(address), errno.ECONNREFUSED)

    def test_spares_what_has_no_mark(self):
        child = subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.addCleanup(child.kill)
        processes.kill(child.pid, "CURFEW_TEST=of-no-process")
        self.assertEqual(child.communicate(b"lives"), (b"lives", None))


class Usage(unittest.TestCase):
    def test_is_said_in_a_line(self):
        for words in ((), ("fly",), ("up", "--nodes", "x"), ("kill",)):
            with self.subTest(words=words):
                self.assertEqual(cluster(*words, code=64).count("\n"), 1)
        self.assertIn("scripts/cluster up", cluster("--help"))


if __name__ == "__main__":
    unittest.main()

"""A queue server to which there is no way, or a slow one: nobody has to wait for it who does not want to."""

import os
import signal
import socket
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "support"))

from group import BIN_DIR, GroupTest, eventually  # noqa: E402
from queue_group import QueueTest  # noqa: E402
from rabbit import needs_rabbit  # noqa: E402

SLOW_NAMES = {"LD_PRELOAD": os.path.realpath(os.path.join(BIN_DIR, "..", "lib", "libcurfew-slow-resolver.so"))}
LONG = "10m"


class Stops(GroupTest):
    """While there is no connection yet."""

    def ways(self):
        """(what is wrong, host): no answer to a greeting, to a question for a name."""
        mute = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(mute.close)
        return ("greeting", f"127.0.0.1:{mute.getsockname()[1]}"), ("name", "slow.invalid")

    def reaching(self, role, flag, host, *words):
        """Its lock is there before it tries."""
        running = self.binary(role, flag, f"amqp://{host}/?queue=q", *words, environment=SLOW_NAMES)
        eventually(lambda: os.path.exists(os.path.join(self.run_dir, f"{role}.monitor.sock")), f"the {role}")
        return running

    def test_a_process_that_is_not_ready_ends_within_its_grace(self):
        for role, flag in (("broker", "--source"), ("collector", "--sink")):
            for what, host in self.ways():
                for number in (signal.SIGINT, signal.SIGTERM):
                    with self.subTest(role, what=what, number=number):
                        running = self.reaching(role, flag, host, "--grace", "10ms")
                        running.signal(number)
                        self.assertEqual(running.code(), 75, running.err)
                        self.assertIn("stopped before it was ready", running.err)

    def test_it_leaves_nothing_when_launch_is_killed(self):
        launch = self.launch("--source", f"amqp://{self.ways()[0][1]}/?queue=q", "--handler", "echo")
        (name,) = eventually(lambda: os.listdir(self.private), "a private run directory")
        eventually(lambda: os.path.exists(os.path.join(self.private, name, "broker.monitor.sock")), "the broker")
        launch.signal(signal.SIGKILL)
        launch.code()
        eventually(lambda: not os.listdir(self.private), "the run directory to be gone")

    def test_its_grace_is_that_of_its_way(self):
        running = self.reaching("broker", "--source", self.ways()[0][1], "--grace", LONG)
        running.signal(signal.SIGINT)
        self.assertEqual(running.code(), 69, running.err)
        self.assertIn("cannot be reached", running.err)

    def test_a_group_that_has_taken_nothing_ends_at_the_first_wish(self):
        for what, host in self.ways():
            with self.subTest(what):
                url = f"amqp://{host}/?queue=q"
                launch = self.launch("--run-dir", self.run_dir, "--source", url, "--sink", url, "--handler", "echo",
                                     environment=SLOW_NAMES)
                eventually(lambda: os.path.exists(os.path.join(self.run_dir, "broker.monitor.sock")), "the broker")
                launch.signal(signal.SIGINT)
                self.assertEqual(launch.code(), 0, launch.err)
                self.assertIn(f"nothing was taken from {url} yet", launch.err)
                self.assertNotIn("killed", launch.err)
                self.assertNotIn("books", launch.err)


@needs_rabbit
class GoesOn(QueueTest):
    """The server is away, and the next host has a name that nobody looks up."""

    def away(self):
        """A launch whose server was killed."""
        ends = [f"amqp://guest@127.0.0.1:{self.server.port},slow.invalid/?queue={queue}" for queue in (self.jobs, self.done)]
        launch = self.launch("--run-dir", self.run_dir, "--source", ends[0], "--sink", ends[1], "--handler", "echo",
                             environment=SLOW_NAMES)
        self.publish("before", message_id="before")
        self.take(self.done)
        self.nothing_waits()
        self.server.kill()
        trouble = lambda: self.answer()["source"]["trouble"]
        eventually(lambda: "slow.invalid:5672: its name is looked up" in trouble(), trouble)
        return launch

    def test_the_first_host_is_tried_again(self):
        launch = self.away()
        self.server.start()
        self.open_channel()
        self.publish("after", message_id="after")
        self.assertEqual(self.take_bodies(self.done), {"after": 1})
        self.drained(launch)

    def test_a_stop_waits_for_no_name(self):
        launch = self.away()
        self.drained(launch)
        self.assertNotIn("killed", launch.err)


if __name__ == "__main__":
    import unittest
    unittest.main()

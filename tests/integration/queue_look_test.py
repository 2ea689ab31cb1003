"""What the monitor shows of a group between queues of RabbitMQ: figures, a lost server, an alarm. CURFEW_SCREENSHOTS=DIR keeps the page."""

import os
import shutil
import subprocess
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "support"))

from browser import CHROMIUM, DRIVER, Browser  # noqa: E402
from group import eventually  # noqa: E402
from queue_group import QueueTest  # noqa: E402
from rabbit import needs_rabbit  # noqa: E402
from served import HttpTest  # noqa: E402

PROMTOOL = shutil.which("promtool")
SIZES = {"phone": (390, 844), "desktop": (1440, 900)}


@needs_rabbit
class QueueLook(QueueTest, HttpTest):
    """QueueTest.url() is for the group; from serve() on, self.url is the page's."""

    def held_group(self, messages):
        """Its work ends when let_go() is called; 4 messages are begun, the others wait in the queue."""
        self.publish_numbers(messages)
        self.gate = self.path("gate")
        self.environment["CURFEW_CREDIT"] = "2"
        launch = self.group("--workers", "2", "--slots", "2", "--fanout", "1", "--deadline", "500s", "--", "sh", "-c",
                            f"while [ ! -e {self.gate} ]; do sleep 0.05; done; cat")
        self.serve("--group-name", "rack 1")
        eventually(lambda: self.metric(f'curfew_source_unacked{{queue="{self.jobs}"}}') == 4, "four to be begun")
        return launch

    def let_go(self):
        with open(self.gate, "wb"):
            pass

    def source(self, what):
        return self.metric(f'curfew_source_{what}{{queue="{self.jobs}"}}')

    def check(self):
        code, out, _ = self.monitor("check")
        return code, out

    def test_the_figures_of_the_queue_are_shown(self):
        launch = self.held_group(30)
        eventually(lambda: (self.source("depth") or 0) > 10, "the depth")
        self.assertEqual((self.source("connected"), self.source("redelivered_total"), self.metric("curfew_sink_blocked")), (1, 0, 0))
        self.assertGreaterEqual(self.source("prefetch"), 4)
        self.assertGreater(self.source("oldest_unacked_seconds"), 0)
        _, out, _ = self.monitor("stats")
        self.assertRegex(out, rf"(?m)^  queue     {self.jobs} at 127\.0\.0\.1\S*: depth \d+, prefetch \d+, fetched \d+, unacked 4 "
                              r"\(the oldest [^)]+\), redelivered 0, connections lost 0$")
        _, out, _ = self.monitor("--once", "top")
        self.assertRegex(out, r"(?m)^queue +depth \S+  unacked 4 oldest \S+  prefetch \d+  redelivered 0")
        self.assertEqual((self.check()[0], self.get("/readyz")), (0, (200, "ok\n")))
        self.let_go()
        self.take(self.done, 30)
        self.drained(launch)

    @unittest.skipUnless(PROMTOOL, "needs promtool (install: prometheus)")
    def test_promtool_accepts_the_metrics(self):
        launch = self.held_group(5)
        done = subprocess.run([PROMTOOL, "check", "metrics"], input=self.get("/metrics")[1], capture_output=True, text=True,
                              timeout=60, check=False)
        self.assertEqual((done.returncode, done.stdout + done.stderr), (0, ""))
        self.let_go()
        self.take(self.done, 5)
        self.drained(launch)

    def test_a_server_that_is_gone_is_a_warning_and_the_group_is_not_ready_until_it_is_back(self):
        launch = self.held_group(5)
        self.server.kill()
        eventually(lambda: self.source("connected") == 0, "the loss to be seen")
        self.assertIsNone(self.source("depth"))
        eventually(lambda: self.get("/readyz")[0] == 503, "the group not to be ready")
        self.assertRegex(self.get("/readyz")[1], rf"^the queue {self.jobs} is not connected for \S+ \(")
        code, out = self.check()
        self.assertEqual(code, 1, out)
        self.assertRegex(out, rf"^CURFEW WARNING - the queue {self.jobs} is not connected for ")
        self.server.start()
        eventually(lambda: self.get("/readyz")[0] == 200, "the group to be ready again")
        self.assertEqual((self.source("connected"), self.source("connections_lost_total")), (1, 1))
        self.let_go()
        eventually(lambda: (self.source("redelivered_total") or 0) > 0, "what came again")
        self.open_channel()
        self.take(self.done, 5)
        self.drained(launch)

    def test_a_server_with_an_alarm_is_a_warning_and_the_group_is_not_ready_until_it_is_over(self):
        launch = self.held_group(4)
        self.server.set_memory_alarm(True)
        self.addCleanup(self.server.set_memory_alarm, False)
        self.let_go()
        eventually(lambda: self.get("/readyz") == (503, "the sink waits for the server's alarm\n"),
                   lambda: f"the group not to be ready: {self.get('/readyz')}")
        self.assertEqual(self.metric("curfew_sink_blocked"), 1)
        code, out = self.check()
        self.assertEqual(code, 1, out)
        self.assertIn("the sink waits for the server's alarm", out)
        self.assertRegex(self.monitor("stats")[1], r"(?m)^  sink      waits for the server's alarm for .*, outcomes \d+$")
        self.server.set_memory_alarm(False)
        eventually(lambda: self.get("/readyz")[0] == 200, "the group to be ready again")
        self.take(self.done, 4)
        self.drained(launch)

    @unittest.skipUnless(CHROMIUM and DRIVER, "needs a browser (install: chromium chromium-driver)")
    def test_the_page_has_the_queue_and_says_when_it_is_lost(self):
        launch = self.held_group(30)
        with Browser(self) as browser:
            browser.open(self.url + "/")
            facts = lambda: browser.text("#queue-facts") or ""
            eventually(lambda: self.jobs in facts() and "Unacknowledged here4" in facts(), lambda: f"the queue: {facts()}")
            self.assertEqual(browser.text("#queue-sign"), "Queue connected")
            self.assertEqual(browser.text("#group"), "rack 1")
            self.keep_at_sizes(browser, "queue")
            self.server.kill()
            eventually(lambda: "not connected" in browser.text("#state"), lambda: f"the loss: {browser.text('#state')}")
            self.assertEqual(browser.text("#queue-sign"), "Queue not connected")
            self.assertEqual(browser.run("return document.title"), "rack 1: look (curfew)")
            self.keep_at_sizes(browser, "queue-lost")
            self.assertEqual(browser.complaints(), [])
        self.server.start()
        self.let_go()
        self.open_channel()
        self.take(self.done, 30)
        self.drained(launch)

    def keep_at_sizes(self, browser, name):
        for size, (width, height) in SIZES.items():
            browser.resize(width, height)
            eventually(lambda: browser.run("return document.documentElement.scrollWidth - window.innerWidth") <= 0,
                       f"the page to fit a {size}")
            browser.keep(f"{name}-{size}")


if __name__ == "__main__":
    unittest.main()

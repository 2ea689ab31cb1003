"""A group that `curfew-monitor serve` shows, and what it answers."""

import os
import re
import urllib.error
import urllib.request

from group import BIN_DIR, GroupTest, eventually, numbers


class HttpTest(GroupTest):
    def serve(self, *words):
        """The monitor of this test's group; self.url is where it answers."""
        monitor = self.run_words(os.path.join(BIN_DIR, "curfew-monitor"), "--run-dir", self.run_dir, "--http", "127.0.0.1:0",
                                 *words, "serve")
        self.url = monitor.says(r"http://127\.0\.0\.1:\d+")[0]
        return monitor

    def get(self, path, headers=(), method="GET"):
        """(status, text) of an answer."""
        request = urllib.request.Request(self.url + path, headers=dict(headers), method=method)
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()

    def metric(self, name):
        """Its value, None where it is not there. Without the group's label, which all have."""
        text = re.sub(r'\{group="[^"]*"(?:(,)|\})', lambda match: "{" if match[1] else "", self.get("/metrics")[1])
        match = re.search(rf"^{re.escape(name)} (\S+)$", text, re.MULTILINE)
        return float(match[1]) if match else None

    def slow_group(self, messages=3):
        self.environment["CURFEW_CREDIT"] = "3"  # one attempt waits behind two slots
        launch = self.launch("--run-dir", self.run_dir, "--workers", "2", "--slots", "2", "--deadline", "500s", "--handler",
                             "sleep:500s", stdin=numbers(messages))
        self.workers_are_ready(2)
        self.broker_until(lambda b: b["attempts"]["in_flight"] == 2 * messages, "all attempts")
        held = lambda: sum(len(self.snapshot(name, "dump").get("attempts", [])) for name in ("w1", "w2"))
        eventually(lambda: held() == 2 * messages, "all attempts at the workers")
        return launch

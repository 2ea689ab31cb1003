"""What `curfew-monitor serve` and `check` promise: the group over HTTP, read only, true, and never a hang."""

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import unittest
import urllib.error
import urllib.request

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))

from group import BIN_DIR, eventually, numbers  # noqa: E402
from served import HttpTest  # noqa: E402

PROMETHEUS, PROMTOOL = shutil.which("prometheus"), shutil.which("promtool")
RULES = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "docs", "prometheus")
DASHBOARD = os.path.join(os.path.dirname(RULES), "grafana", "curfew.json")


class Serve(HttpTest):
    def test_all_answers_tell_the_same_of_a_group_that_is_well(self):
        self.slow_group(3)
        self.serve()
        self.assertEqual(self.get("/livez"), (200, "ok\n"))
        self.assertEqual(self.get("/readyz"), (200, "ok\n"))
        stats = json.loads(self.get("/stats.json")[1])
        self.assertEqual([p["name"] for p in stats["processes"]], ["broker", "collector", "w1", "w2"])
        broker = stats["processes"][0]
        self.assertEqual((broker["tasks"]["in_flight"], broker["attempts"]["in_flight"]), (3, 6))
        self.assertGreater(broker["oldest_attempt_s"], 0)
        self.assertEqual(self.metric("curfew_attempts_in_flight"), 6)
        self.assertEqual(self.metric("curfew_attempts_residue"), 0)
        self.assertEqual(self.metric('curfew_worker_slots{worker="w1",pool="default",state="busy"}'), 2)
        dump = json.loads(self.get("/dump.json?limit=4")[1])
        self.assertEqual((dump["in_flight"], len(dump["attempts"])), (6, 4))
        self.assertEqual({(g["state"], g["count"]) for g in dump["groups"]}, {("running", 4), ("queued", 2)})
        self.assertRegex(self.get("/dump")[1], r"^6 attempts in flight\n +count +state +pool +oldest\n +4 +running +default")
        self.assertEqual(len(json.loads(self.get("/dump.json?state=running&worker=w2")[1])["attempts"]), 2)
        history = eventually(lambda: (h := json.loads(self.get("/history.json?seconds=600")[1])) and len(h["t"]) > 1 and h,
                             "a second look")
        self.assertEqual(history["attempts_in_flight"][-1], 6)

    def test_a_group_that_ended_leaves_its_last_figures_until_another_comes(self):
        def group():
            launch = self.launch("--run-dir", self.run_dir, "--workers", "1", "--fanout", "1", "--handler", "echo", stdin="pipe")
            self.workers_are_ready(1)
            return launch
        stats = lambda: json.loads(self.get("/stats.json")[1])
        first = group()
        self.serve()
        first.feed(b"one\ntwo\n")
        eventually(lambda: stats()["processes"][0].get("tasks", {}).get("completed") == 2, "both to be completed")
        self.assertEqual((stats()["ended"], "last" in stats()), (None, False))
        first.end_of_input()
        self.assertEqual(first.code(), 0)
        eventually(lambda: stats()["ended"], "the end of the group")
        said = stats()
        self.assertTrue(all(process["gone"] for process in said["processes"]), said["processes"])
        self.assertEqual((said["last"][0]["role"], said["last"][0]["tasks"]["completed"]), ("broker", 2))
        self.assertLess(abs(said["ended"] - said["time"]), 60)
        history = json.loads(self.get("/history.json")[1])
        self.assertEqual(history["tasks_in_flight"][-1], None)
        self.assertLessEqual(history["t"][-1], said["ended"])
        self.assertEqual(self.get("/readyz")[0], 503)
        self.assertIsNotNone(history["tasks_in_flight"][0], "it begins where the group began")
        second = group()
        eventually(lambda: stats()["ended"] is None and stats()["processes"][0].get("tasks", {}).get("completed") == 0, "the next group")
        second.end_of_input()
        self.assertEqual(second.code(), 0)

    def test_it_only_looks(self):
        self.slow_group(1)
        self.serve()
        for method in ("POST", "PUT", "DELETE"):
            self.assertEqual(self.get("/stats.json", method=method)[0], 405)
        for path in ("/dump.json?limit=x", "/dump.json?limit=100000", "/dump?older_than=soon", "/history.json?seconds=1e9"):
            status, said = self.get(path)
            self.assertEqual(status, 400, path)
            self.assertIn("error", json.loads(said))
        self.assertEqual(self.get("/no/such")[0], 404)
        self.assertEqual(self.get("/../../etc/passwd")[0], 404)

    def test_a_page_elsewhere_cannot_ask_by_a_name_of_its_own(self):
        self.slow_group(1)
        self.serve()
        self.assertEqual(self.get("/stats.json", {"Host": "rebound.example:80"})[0], 403)
        self.assertEqual(self.get("/stats.json", {"Host": "localhost:9464"})[0], 200)
        self.assertEqual(self.get("/stats.json", {"Host": "127.0.0.1.example"})[0], 403)

    def test_others_than_this_machine_need_a_token(self):
        for host in ("0.0.0.0", "127.example.org"):
            code, _, err = self.monitor("--http", f"{host}:0", "serve")
            self.assertEqual(code, 64)
            self.assertIn("--token-file", err)
        self.slow_group(1)
        self.serve("--token-file", self.write("token", "s3cret\n"))
        self.assertEqual(self.get("/stats.json")[0], 401)
        self.assertEqual(self.get("/stats.json", {"Authorization": "Bearer s3cre"})[0], 401)
        self.assertEqual(self.get("/stats.json", {"Authorization": "Bearer s3cret"})[0], 200)
        basic = "Basic Y3VyZmV3OnMzY3JldA=="  # curfew:s3cret
        self.assertEqual(self.get("/stats.json", {"Authorization": basic})[0], 200)

    def test_a_worker_that_is_killed_and_a_broker_that_is_gone_are_seen(self):
        launch = self.slow_group(1)
        self.serve()
        pid = self.pid_of("w1")
        before = self.metric('curfew_workers_ended_total{how="died"}')
        os.kill(pid, signal.SIGKILL)
        eventually(lambda: self.metric('curfew_workers_ended_total{how="died"}') == before + 1, "the death to be counted")
        os.kill(self.pid_of("broker"), signal.SIGKILL)
        launch.code()
        eventually(lambda: self.get("/readyz") == (503, "the broker does not answer\n"), "readyz to say so")
        self.assertEqual(self.metric('curfew_up{process="broker",role="broker"}'), 0)
        processes = {p["name"]: p for p in json.loads(self.get("/stats.json")[1])["processes"]}
        self.assertTrue(processes["broker"]["gone"])
        self.assertEqual(self.get("/livez")[0], 200)

    def test_without_a_group_it_says_so_and_takes_the_group_when_it_comes(self):
        self.serve()
        status, said = self.get("/stats.json")
        self.assertEqual(status, 503)
        self.assertIn("error", json.loads(said))
        self.slow_group(1)
        eventually(lambda: self.get("/readyz")[0] == 200, "the group to be found")

    def test_it_ends_at_term(self):
        self.slow_group(1)
        monitor = self.serve()
        monitor.signal(signal.SIGTERM)
        self.assertEqual(monitor.code(), 0)


class GroupName(HttpTest):
    def test_a_name_that_no_label_may_have_is_refused(self):
        for name in (b"a\nb", b"\xff", b"n" * 256):
            code, _, err = self.monitor("--group-name", name, "serve")
            self.assertEqual(code, 64)
            self.assertIn("--group-name", err)

    def test_it_is_said_or_the_machines(self):
        self.slow_group(1)
        self.serve()
        self.assertEqual(json.loads(self.get("/stats.json")[1])["group"], os.uname().nodename)
        self.assertIn(f'curfew_attempts_in_flight{{group="{os.uname().nodename}"}} 2\n', self.get("/metrics")[1])
        self.environment["CURFEW_GROUP_NAME"] = 'käfig "7"'
        self.serve()
        self.assertEqual(json.loads(self.get("/stats.json")[1])["group"], 'käfig "7"')
        self.assertIn('curfew_attempts_in_flight{group="käfig \\"7\\""} 2\n', self.get("/metrics")[1])
        self.assertTrue(self.monitor("stats")[1].startswith('group käfig "7"\nbroker broker  pid '))


@unittest.skipUnless(PROMETHEUS and PROMTOOL, "needs prometheus and promtool (install: prometheus)")
class Prometheus(HttpTest):
    def test_promtool_accepts_the_metrics_and_the_rules(self):
        self.slow_group(3)
        self.serve()
        for words, data in ((["check", "metrics"], self.get("/metrics")[1]), (["check", "rules", os.path.join(RULES, "alerts.yml")], None),
                            (["test", "rules", os.path.join(RULES, "alerts_test.yml")], None)):
            done = subprocess.run([PROMTOOL, *words], input=data, capture_output=True, text=True, timeout=60, check=False)
            self.assertEqual((done.returncode, done.stderr), (0, ""), f"{words}: {done.stdout}")

    def test_the_dashboards_questions_are_such(self):
        with open(DASHBOARD, encoding="utf-8") as file:
            panels = json.load(file)["panels"]
        questions = [target["expr"] for panel in panels for target in panel.get("targets", [])]
        self.assertGreater(len(questions), 50)
        rules = [{"record": f"q:{i}", "expr": q.replace("$__rate_interval", "1m").replace("$group", "(a|b)")}
                 for i, q in enumerate(questions)]
        config = self.write("questions.yml", json.dumps({"groups": [{"name": "questions", "rules": rules}]}))
        done = subprocess.run([PROMTOOL, "check", "rules", config], capture_output=True, text=True, timeout=60, check=False)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertNotIn("$", "".join(rule["expr"] for rule in rules))

    def test_prometheus_scrapes_it(self):
        self.slow_group(3)
        self.serve()
        target = self.url.removeprefix("http://")
        config = self.write("prometheus.yml", "scrape_configs: [{job_name: curfew, scrape_interval: 1s, static_configs: "
                                              f"[{{targets: ['{target}']}}]}}]\nrule_files: ['{os.path.abspath(RULES)}/alerts.yml']\n")
        server = self.run_words(PROMETHEUS, f"--config.file={config}", f"--storage.tsdb.path={self.path('tsdb')}",
                                "--web.listen-address=127.0.0.1:0", "--log.level=info")
        # It is told port 0 and does not say which it got: its socket does.
        def asked():
            port = next((p for p in _listening(server.pid)), None)
            if port is None:
                return None
            with contextlib.suppress(OSError), urllib.request.urlopen(
                    f"http://127.0.0.1:{port}/api/v1/query?query=curfew_attempts_in_flight", timeout=5) as answer:
                found = json.load(answer)["data"]["result"]
                return float(found[0]["value"][1]) if found else None
            return None
        self.assertEqual(eventually(asked, "a scrape"), 6)


def _listening(pid):
    """The TCP ports at which a process listens."""
    sockets = set()
    with contextlib.suppress(OSError):
        for name in os.listdir(f"/proc/{pid}/fd"):
            with contextlib.suppress(OSError):
                if match := re.fullmatch(r"socket:\[(\d+)\]", os.readlink(f"/proc/{pid}/fd/{name}")):
                    sockets.add(match[1])
    with open("/proc/net/tcp", encoding="ascii") as table:
        for line in table.readlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and fields[9] in sockets:
                yield int(fields[1].rpartition(":")[2], 16)


class Check(HttpTest):
    def check(self, *words):
        code, out, _ = self.monitor("check", *words)
        self.assertEqual(out.count("\n"), 1, out)
        return code, out

    def test_it_speaks_as_monitoring_plugins_do(self):
        code, out = self.check()
        self.assertEqual(code, 3)
        self.assertTrue(out.startswith("CURFEW UNKNOWN - "), out)
        launch = self.slow_group(2)
        code, out = self.check("--max-in-flight", "4", "--max-age", "1h")
        self.assertEqual(code, 0, out)
        self.assertRegex(out, r"^CURFEW OK - 2 tasks and 4 attempts in flight, .* \| .*attempts_in_flight=4;;4;0 ")
        self.assertEqual(self.check("--max-in-flight", "3")[0], 2)
        eventually(lambda: self.check("--max-age", "10ms")[0] == 2, "the attempts to be old")
        code, out = self.check("--drained")
        self.assertEqual(code, 2)
        self.assertIn("not drained", out)
        os.kill(self.pid_of("broker"), signal.SIGKILL)
        launch.code()

    def test_work_that_fails_is_a_warning(self):
        launch = self.launch("--run-dir", self.run_dir, "--workers", "1", "--fanout", "1", "--attempts", "1", "--handler", "fail",
                             stdin="pipe")
        self.workers_are_ready(1)
        self.assertEqual(self.check("--max-failed", "10%", "--failed-window", "1ms")[0], 0, "nothing ends")
        probe = self.run_words(os.path.join(BIN_DIR, "curfew-monitor"), "--run-dir", self.run_dir, "--max-failed", "10%",
                               "--failed-window", "1s", "check")
        eventually(lambda: launch.feed(b"x\n") or not probe.alive, "its end")
        self.assertEqual(probe.code(), 1, probe.out)
        self.assertRegex(probe.out.decode(), r"^CURFEW WARNING - (\d+) of \1 attempts? that ended failed, more than 10% \| ")
        self.assertEqual(self.monitor("check", "--max-failed", "many")[0], 64)
        launch.end_of_input()
        self.assertEqual(launch.code(), 1)

    def test_a_drained_group_passes_the_gate(self):
        launch = self.launch("--run-dir", self.run_dir, "--workers", "2", "--handler", "echo", stdin="pipe")
        self.workers_are_ready(2)
        launch.feed(numbers(100))
        launch.writes(100)
        eventually(lambda: self.check("--drained")[0] == 0, "nothing to be alive")
        launch.end_of_input()
        self.ends_well(launch)

    def test_work_that_ignores_its_stop_under_a_grace_that_is_far_too_long_is_found_as_a_leak(self):
        """The story that the project began with: what is in flight only rises. And with the usual grace it does not."""
        work = 'read n; if [ $CURFEW_ATTEMPT = 1 ]; then echo $n; else trap "" TERM; exec sleep 3600; fi'
        for grace, leaks in (("1h", True), ("100ms", False)):
            with self.subTest(grace=grace):
                self.run_dir = self.path(f"run-{grace}")
                launch = self.launch("--run-dir", self.run_dir, "--workers", "3", "--slots", "100", "--fanout", "2", "--deadline", "1h",
                                     "--grace", grace, "--", "sh", "-c", work, stdin="pipe")
                self.workers_are_ready(3)
                for number in range(1, 6):
                    launch.feed(b"%d\n" % number)
                launch.writes(3)
                probe = self.run_words(os.path.join(BIN_DIR, "curfew-monitor"), "--run-dir", self.run_dir, "--growth", "4s", "check")
                number = 5
                while probe.alive:
                    number += 1
                    launch.feed(b"%d\n" % number)
                    began = time.monotonic()
                    eventually(lambda: time.monotonic() - began > 0.06 or not probe.alive, "the next message")
                self.assertEqual(probe.code(), 2 if leaks else 0, probe.out)
                if leaks:
                    self.assertIn(b"only rise", probe.out)
                    code, out, _ = self.monitor("--group", "dump")
                    self.assertEqual(code, 0)
                    self.assertRegex(out, r"\d+ +cancelling +default", "it names the place")
                launch.signal(signal.SIGINT)
                launch.signal(signal.SIGTERM)


if __name__ == "__main__":
    unittest.main()

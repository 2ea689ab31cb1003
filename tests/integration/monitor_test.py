"""What curfew-monitor promises: at any moment one command says what is in flight, where, for how long, and what does not answer.

Against real groups whose work would sleep for a quarter of an hour, so that what is looked at stays there.
"""

import contextlib
import json
import os
import pty
import re
import signal
import socket
import sys
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))

from group import GroupTest, command_of, eventually, is_over, numbers, processes_running  # noqa: E402

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
STATES = ("queued", "running", "cancelling", "reported")


class MonitorTest(GroupTest):
    def long_work(self, messages=3, *words):
        """A group of two workers with two slots each, in which each message is worked on twice, for long."""
        self.environment["CURFEW_CREDIT"] = "3"  # one attempt waits behind two slots
        launch = self.launch("--run-dir", self.run_dir, "--workers", "2", "--slots", "2", "--deadline", "500s", *words, "--",
                             "sleep", self.sleep, stdin=numbers(messages))
        self.workers_are_ready(2)

        def known():
            attempts = [a for name in ("w1", "w2") for a in self.snapshot(name, "dump").get("attempts", [])]
            return (len(attempts), sum(a["pid"] is not None for a in attempts)) == (2 * messages, min(4, 2 * messages))
        eventually(known, "the workers to have it, and know of its processes")
        return launch

    def setUp(self):
        super().setUp()
        self.environment["CURFEW_GRACE"] = "200ms"

    def stop_now(self, launch):
        launch.signal(signal.SIGINT)
        launch.says("draining")
        launch.signal(signal.SIGINT)
        self.assertEqual(launch.code(), 128 + signal.SIGINT)
        self.nothing_runs(self.sleep)


class Dump(MonitorTest):
    def test_each_live_attempt_is_listed_by_the_broker_and_by_its_worker(self):
        launch = self.long_work(3)
        dumps = {}

        def all_there():
            dumps.update(self.snapshots("dump"))
            return all(len(dumps.get(name, {"attempts": ()})["attempts"]) == n for name, n in (("broker", 6), ("w1", 3), ("w2", 3)))
        eventually(all_there, lambda: f"6 attempts at the broker, 3 at each worker, not {dumps}")
        at_broker = {(a["session"], a["number"]): a for a in dumps["broker"]["attempts"]}
        at_workers = {(a["session"], a["number"]): a for name in ("w1", "w2") for a in dumps[name]["attempts"]}
        self.assertEqual(at_broker.keys(), at_workers.keys())
        self.assertEqual(dumps["broker"]["in_flight"], 6)
        self.assertEqual(sorted((a["seq"], a["attempt"]) for a in at_broker.values()),
                         [(seq, attempt) for seq in (1, 2, 3) for attempt in (1, 2)])
        for key, seen in at_workers.items():
            sent = at_broker[key]
            self.assertEqual([seen[field] for field in ("seq", "attempt", "worker")],
                             [sent[field] for field in ("seq", "attempt", "worker")])
            for attempt in (seen, sent):
                self.assertGreater(attempt["age_s"], 0)
                self.assertLess(attempt["age_s"], 60)
                self.assertGreater(attempt["left_s"], 400)
                self.assertLessEqual(attempt["left_s"], 500)
                self.assertIn(attempt["state"], STATES)
        running = [a for a in at_workers.values() if a["state"] == "running"]
        self.assertEqual(sorted(a["pid"] for a in running), sorted(processes_running(self.sleep)))
        self.assertEqual([a["pid"] for a in at_workers.values() if a["state"] == "queued"], [None, None])
        for attempt in running:
            self.assertIn(self.sleep, command_of(attempt["pid"]))
        self.stop_now(launch)

    def test_the_dump_is_readable_too(self):
        launch = self.long_work(2)
        code, out, err = self.monitor("--by-process", "dump")
        self.assertEqual((code, err), (0, ""))
        self.assertRegex(out, r"(?m)^broker broker: 4 attempts in flight$")
        self.assertEqual(len(re.findall(r"(?m)^ +task +attempt +worker +state +age +left +pid$", out)), 3)
        row = rf"(?m)^ +(\d+) +(\d+) +(w\d) +running +[\d.]+ (?:us|ms|s) +(?:4\d\d\.\d|500\.0) s +(\d+) *$"
        rows = re.findall(row, out)
        self.assertEqual(sorted(int(pid) for *_, pid in rows), sorted(processes_running(self.sleep)), out)
        self.stop_now(launch)

    def test_a_limit_is_kept_and_what_is_left_out_is_said(self):
        launch = self.long_work(3)
        self.broker_until(lambda b: b["attempts"]["in_flight"] == 6, "6 attempts in flight")
        code, out, _ = self.monitor("--limit", "2", "--by-process", "dump")
        self.assertEqual(code, 0)
        self.assertRegex(out, r"(?ms)^broker broker: 6 attempts in flight$.*?^ +\.\.\. and 4 more \(--limit\)$")
        code, out, err = self.monitor("--limit", "2", "dump")
        self.assertEqual((code, err), (0, ""))
        self.assertRegex(out, r"(?ms)^6 attempts in flight$.*^ +task attempt .*^\.\.\. and 4 more \(--limit\)$")
        self.assertEqual(len(re.findall(r"(?m)^ +\d+ +[12] +w[12] +default ", out)), 2, out)
        self.stop_now(launch)

    def test_the_whole_group_is_one_list_the_oldest_first_with_what_its_workers_know(self):
        launch = self.long_work(3)
        whole = {}

        def all_there():
            whole.update(json.loads(self.monitor("--json", "dump")[1]))
            return [a["state"] for a in whole["attempts"]].count("running") == 4
        eventually(all_there, lambda: f"four that run, not {whole}")
        self.assertEqual((whole["in_flight"], whole["matching"], len(whole["attempts"])), (6, 6, 6))
        ages = [attempt["age_s"] for attempt in whole["attempts"]]
        self.assertEqual(ages, sorted(ages, reverse=True))
        self.assertEqual({attempt["worker"] for attempt in whole["attempts"]}, {"w1", "w2"})
        self.assertEqual(sorted(a["pid"] for a in whole["attempts"] if a["pid"]), sorted(processes_running(self.sleep)))
        code, out, err = self.monitor("dump")
        self.assertEqual((code, err, len(re.findall(r"(?m)^ +\d+ +[12] +w[12] ", out))), (0, "", 6), out)
        code, out, err = self.monitor("--group", "dump")  # as it was: no more than the places
        self.assertEqual((code, err, re.findall(r"(?m)^ +\d+ +[12] +w[12] ", out)), (0, "", []), out)
        self.assertRegex(out, r"(?m)^ +4 +running +default ")
        pid = self.pid_of("w1")
        os.kill(pid, signal.SIGSTOP)
        try:
            code, out, err = self.monitor("dump")
        finally:
            os.kill(pid, signal.SIGCONT)
        self.assertEqual((code, err), (2, "curfew-monitor: w1 does not answer\n"))
        self.assertEqual(len(re.findall(r"(?m)^ +\d+ +[12] +w[12] ", out)), 6, "the broker knows them")
        self.stop_now(launch)

    def test_attempts_that_are_called_home_are_shown_as_cancelling(self):
        work = f'trap "" TERM; sleep {self.sleep}; sleep {self.sleep}'
        launch = self.launch("--run-dir", self.run_dir, "--workers", "1", "--fanout", "1", "--deadline", "3s", "--grace",
                             "15s", "--", "sh", "-c", work, stdin=b"x\n")
        for name in ("broker", "w1"):
            def cancelling():
                attempts = self.snapshot(name, "dump").get("attempts", [])
                return attempts[0] if attempts and attempts[0]["state"] == "cancelling" else None
            self.assertLess(eventually(cancelling, f"a cancelling attempt at {name}")["left_s"], 0)
        self.assertEqual(launch.code(), 1)
        self.assertEqual(self.books(launch)[1]["expired"], 1)
        self.nothing_runs(self.sleep)


class Events(MonitorTest):
    def test_each_end_is_told_as_it_happens(self):
        """Two workers race each message, which the command fails or answers; a follower hears of all ends."""
        launch = self.launch("--run-dir", self.run_dir, "--workers", "2", "--fanout", "2", "--attempts", "1", "--", "sh", "-c",
                             'read -r m; [ "$m" = bad ] && exit 1; sleep "0.0$CURFEW_ATTEMPT"; echo "$m"', stdin="pipe")
        self.workers_are_ready(2)
        follower = self.binary("monitor", "events")
        ends = lambda: [json.loads(line) for line in follower.lines]

        def begun():  # what ended before the first question is not told
            launch.feed(b"ping\n")
            return ends()
        eventually(begun, "the first end")
        launch.feed(b"good\nbad\n")
        eventually(lambda: "failed" in [e["end"] for e in ends()], "the failure")
        launch.end_of_input()
        self.assertEqual(launch.code(), 1)
        self.assertEqual(follower.code(), 2)
        self.assertIn("gone", follower.err)
        found = ends()
        last = {(e["seq"], e["attempt"]): e for e in found}
        self.assertEqual(len(last), len(found), "an end was told twice")
        seqs = sorted({seq for seq, _ in last})
        bad = next(e for e in found if e["end"] == "failed")
        self.assertEqual((bad["seq"], bad["called_home"]), (seqs[-1], None))
        self.assertRegex(bad["error"], "1")
        self.assertIn("won", [last[(seqs[-2], attempt)]["end"] for attempt in (1, 2) if (seqs[-2], attempt) in last])
        self.assertEqual({(e["left_out"], e["pool"]) for e in found}, {(0, "default")})
        for end in found:
            self.assertRegex(end["time"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")
            self.assertGreaterEqual(end["took_s"], 0)

    def test_on_a_terminal_it_is_a_table_and_elsewhere_where_that_is_said(self):
        launch = self.launch("--run-dir", self.run_dir, "--workers", "1", "--fanout", "1", "--attempts", "1", "--handler", "fail",
                             stdin="pipe")
        self.workers_are_ready(1)
        terminal, inside = pty.openpty()
        self.addCleanup(os.close, terminal)
        os.set_blocking(terminal, False)
        followers = [self.binary("monitor", "events", stdout=inside), self.binary("monitor", "events", "--text")]
        self.binary("monitor", "events", "--json", stdout=inside)
        os.close(inside)
        shown = bytearray()

        def begun():  # what ended before the first question is not told
            launch.feed(b"ping\n")
            with contextlib.suppress(BlockingIOError):
                shown.extend(os.read(terminal, 65536))
            return b" failed " in shown and b'"end":"failed"' in shown and len(followers[1].lines) > 1
        eventually(begun, lambda: f"the first ends on each, not {bytes(shown)} and {followers[1].lines}")
        launch.end_of_input()
        launch.code()
        row = r"\d\d:\d\d:\d\d\.\d{3} +\S+-\d+ +1 w1 +default failed +\S+"
        self.assertRegex(shown.decode(), rf"(?m)^time +id +att worker +pool +end +took error\r\n(?:.*\n)*{row}")
        self.assertRegex(followers[1].lines[0], "^time +id +att worker +pool +end +took error$")
        self.assertRegex(followers[1].lines[1], f"^{row}")
        self.assertEqual(self.monitor("events", "--text", "--json")[0], 64)

    def test_without_a_group_it_says_so(self):
        code, out, err = self.monitor("events")
        self.assertEqual((code, out), (64, ""))
        self.assertIn("nothing runs", err) if os.path.isdir(self.run_dir) else self.assertIn("run directory", err)

    def test_who_is_no_broker_cannot_tell(self):
        launch = self.long_work(1)
        code, _, err = self.monitor("--connect", f"ipc://{self.run_dir}/collector.monitor.sock", "events")
        self.assertEqual(code, 2)
        self.assertIn("only the broker", err)
        self.stop_now(launch)


class Pause(MonitorTest):
    def test_a_paused_broker_takes_nothing_until_it_is_resumed(self):
        launch = self.launch("--run-dir", self.run_dir, "--workers", "1", "--fanout", "1", "--handler", "echo", stdin="pipe")
        self.workers_are_ready(1)
        launch.feed(b"one\n")
        launch.writes(1)
        self.broker_until(lambda b: b["tasks"]["in_flight"] == 0, "the first to be settled")
        said = "paused: no messages are taken until `curfew-monitor resume`; no task is in flight\n"
        self.assertEqual(self.monitor("pause")[:2], (0, said))
        self.assertTrue(self.answer()["paused"])
        self.assertIn("PAUSED", self.monitor("stats")[1])
        launch.feed(b"two\n")
        for _ in range(3):  # between two answers lies a turn, in which it would have been taken
            self.assertEqual(self.answer()["tasks"]["accepted"], 1)
        code, out, _ = self.monitor("resume")
        self.assertEqual((code, out), (0, "no longer paused; no task is in flight\n"))
        launch.writes(2)
        launch.end_of_input()
        self.assertEqual(launch.code(), 0)
        self.assertEqual(launch.lines, ["one", "two"])


class Connections(MonitorTest):
    def test_who_came_and_who_was_no_peer_is_counted(self):
        collector = self.ready("collector")
        self.ready("broker", "--source", f"zmq:ipc://{self.run_dir}/in.sock", "--fanout", "1")
        self.ready("worker", "--handler", "echo")
        self.workers_are_ready(1)
        connections = lambda name: self.snapshot(name).get("connections", {})
        self.assertGreaterEqual(eventually(lambda: connections("broker").get("accepted", 0) >= 2 and connections("broker"),
                                           "worker and collector to be counted")["connected"], 1)
        with socket.socket(socket.AF_UNIX) as stranger:
            stranger.connect(os.path.join(self.run_dir, "events.sock"))
            stranger.sendall(b"GET / HTTP/1.1\r\nHost: curfew\r\n\r\n" + b"x" * 100)
            eventually(lambda: connections("broker").get("refused", 0) >= 1, "the stranger to be counted")
        before = connections("broker").get("disconnected", 0)
        collector.signal(signal.SIGTERM)
        eventually(lambda: connections("broker").get("disconnected", 0) > before, "the collector's end to be counted")
        eventually(lambda: connections("broker").get("retried", 0) > 0, "the broker to try again")
        code, out, _ = self.monitor("stats")
        self.assertRegex(out, r"(?m)^  connections \d+ accepted, \d+ connected, \d+ disconnected")


class Top(MonitorTest):
    def test_one_screen_shows_the_group_and_who_does_not_answer(self):
        launch = self.long_work(3)
        self.broker_until(lambda b: b["attempts"]["in_flight"] == 6, "6 attempts in flight")
        code, out, err = self.monitor("--once", "top")
        self.assertEqual((code, err), (0, ""))
        self.assertRegex(out, r"(?m)^curfew +broker .*books balanced +collector synced")
        self.assertRegex(out, r"(?m)^w1 +(default +)?ready +2/2 +3 ")
        self.assertRegex(out, r"(?m)^ATTEMPTS 6 ")
        self.assertTrue(all(len(line) <= 80 for line in out.splitlines()), out)
        os.kill(self.pid_of("broker"), signal.SIGKILL)
        launch.code()
        code, out, _ = self.monitor("--once", "top")
        self.assertNotEqual(code, 0)
        self.nothing_runs(self.sleep)


class Stats(MonitorTest):
    def test_stats_show_the_laws_and_each_worker(self):
        launch = self.long_work(3)
        self.broker_until(lambda b: b["attempts"]["in_flight"] == 6, "6 attempts in flight")
        code, out, err = self.monitor("stats")
        self.assertEqual((code, err), (0, ""))
        self.assertIn("tasks     3 = 0 completed + 0 failed + 0 expired + 0 cancelled + 3 in flight\n", out)
        self.assertIn("attempts  6 = 0 won + 0 late + 0 cancelled + 0 failed + 0 expired + 0 lost + 6 in flight\n", out)
        self.assertIn("books balanced", out)
        for name in ("w1", "w2"):
            self.assertRegex(out, rf"(?m)^  {name} +default +ready +3 +3 +3 ")
            self.assertRegex(out, rf"(?m)^worker {name}  pid \d+ ")
        self.assertEqual(out.count("slots 2 busy of 2, 0 out of service"), 2)
        self.assertEqual(out.count("1 queued  2 running  0 cancelling  0 reported"), 2)
        self.stop_now(launch)

    def test_json_stats_are_one_object_a_process_the_broker_first(self):
        launch = self.long_work(1)
        code, out, _ = self.monitor("--json", "stats")
        snapshots = [json.loads(line) for line in out.splitlines()]
        self.assertEqual((code, [s["name"] for s in snapshots]), (0, ["broker", "collector", "w1", "w2"]))
        for snapshot in snapshots:
            for field in ("schema", "role", "pid", "version", "incarnation", "uptime_s", "memory_kib", "descriptors", "threads"):
                self.assertIn(field, snapshot)
            self.assertFalse(is_over(snapshot["pid"]))
        broker = snapshots[0]
        self.assertEqual(broker["tasks"]["accepted"], sum(broker["tasks"].values()) - broker["tasks"]["accepted"])
        self.assertEqual(broker["attempts"]["started"], sum(broker["attempts"].values()) - broker["attempts"]["started"])
        self.stop_now(launch)

    def test_each_field_of_stats_is_in_the_documentation(self):
        launch = self.long_work(1)
        with open(os.path.join(ROOT, "docs", "monitor.md"), encoding="utf-8") as file:
            said = set(re.findall(r"\w+", file.read()))

        def names(value):
            for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
                yield from names(inner)
            yield from value if isinstance(value, dict) else ()
        for name, snapshot in self.answers("broker", "collector", "w1", "w2").items():
            self.assertEqual(set(names(snapshot)) - said, set(), f"stats of {name}")
        self.stop_now(launch)

    def test_in_flight_stays_within_the_window_and_the_credits_and_the_books_always_balance(self):
        credit = 10  # said, since a credit that adapts may be above it and below a moment later
        launch = self.launch("--run-dir", self.run_dir, "--workers", "3", "--fanout", "2", "--window", "50", "--slots", "8",
                             "--handler", "sleep:exp:15ms", stdin="pipe", environment={"CURFEW_CREDIT": str(credit)})
        self.workers_are_ready(3)
        samples = []

        def enough_while_busy():
            launch.feed(numbers(2000))  # a second's work or two, as a look may take as long
            if broker := self.snapshot():
                samples.append(broker)
            return sum(s["tasks"]["in_flight"] > 10 for s in samples) > 10
        eventually(enough_while_busy, "looks at a group that is busy")
        launch.end_of_input()
        while launch.alive:
            if broker := self.snapshot():
                samples.append(broker)
        self.ends_well(launch)
        self.assertLessEqual(max(s["tasks"]["in_flight"] for s in samples), 50)
        for sample in samples:
            self.assertTrue(sample["balanced"])
            for worker in sample["workers"]:
                self.assertEqual(worker["credit"], credit)
                self.assertLessEqual(worker["credit_taken"], credit)
                waiting_for_the_sink = worker["in_flight"] - worker["credit_taken"]
                self.assertTrue(0 <= waiting_for_the_sink <= sample["tasks"]["in_flight"], worker)
                self.assertEqual(worker["sent"], worker["in_flight"] + sum(
                    worker[end] for end in ("won", "late", "cancelled", "failed", "expired", "lost")))

    def test_watch_prints_a_line_each_time_and_says_when_the_broker_is_gone(self):
        launch = self.long_work(2)
        watch = self.binary("monitor", "--watch", "100ms", "stats")
        watch.writes(3)
        self.assertRegex(watch.lines[0], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d  in flight: 2 tasks, 4 attempts   won 0 ")
        os.kill(self.pid_of("broker"), signal.SIGKILL)
        self.assertEqual(watch.code(), 2)
        self.assertRegex(watch.err, r"  (broker does not answer: gone|the group ended; its last figures:\n.*  in flight: 2 tasks.*)\n$")
        self.assertEqual(launch.code(), 75)
        self.nothing_runs(self.sleep)

    def test_watch_says_that_the_group_ended_and_its_last_figures(self):
        launch = self.launch("--run-dir", self.run_dir, "--workers", "1", "--fanout", "1", "--handler", "echo", stdin="pipe")
        self.workers_are_ready(1)
        launch.feed(b"one\n")
        self.broker_until(lambda b: b["tasks"]["completed"] == 1, "the first to be completed")
        watch = self.binary("monitor", "--watch", "50ms", "stats")
        watch.writes(1)
        launch.end_of_input()
        self.assertEqual((launch.code(), watch.code()), (0, 2))
        said, last = watch.err.splitlines()
        self.assertRegex(said, r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d  the group ended; its last figures:$")
        self.assertEqual(last, watch.lines[-1])

    def test_flags_may_follow_the_verb(self):
        launch = self.long_work(1)
        code, out, err = self.monitor("stats", "--json")
        self.assertEqual((code, err), (0, ""))
        self.assertEqual(json.loads(out.splitlines()[0])["role"], "broker")
        self.stop_now(launch)

    def test_a_watcher_whose_reader_goes_away_ends(self):
        launch = self.long_work(1)
        reader, writer = os.pipe()
        watch = self.binary("monitor", "--watch", "50ms", "stats", stdout=writer)
        os.close(writer)
        with open(reader, "rb") as lines:
            self.assertIn(b"in flight", lines.readline())
        self.assertNotEqual(watch.code(), 0)
        self.stop_now(launch)


class Silence(MonitorTest):
    def test_a_process_that_stands_still_is_named_and_the_others_are_shown(self):
        launch = self.long_work(1)
        for name in ("w1", "collector"):
            with self.subTest(name=name):
                pid = self.pid_of(name)
                os.kill(pid, signal.SIGSTOP)
                try:
                    asked_at = time.monotonic()
                    code, out, err = self.monitor("stats")
                    self.assertLess(time.monotonic() - asked_at, 20)
                finally:
                    os.kill(pid, signal.SIGCONT)
                self.assertEqual(code, 2)
                self.assertRegex(err, rf"^curfew-monitor: {name} does not answer at ipc://\S+\n$")
                for other in {"broker", "collector", "w1", "w2"} - {name}:
                    self.assertRegex(out, rf"(?m)^\w+ {other}  pid ")
        self.workers_are_ready(2)
        self.stop_now(launch)

    def test_a_broker_that_stands_still_is_said_by_each_verb(self):
        launch = self.long_work(1)
        pid = self.pid_of("broker")
        os.kill(pid, signal.SIGSTOP)
        try:
            asked = [self.binary("monitor", *verb) for verb in (("drain",), ("cancel", "1"), ("--watch", "50ms", "stats"))]
            for monitor in asked:
                self.assertEqual(monitor.code(), 2)
                self.assertIn("does not answer", monitor.err)
        finally:
            os.kill(pid, signal.SIGCONT)
        self.stop_now(launch)

    def test_where_nothing_runs_one_line_says_so(self):
        os.mkdir(self.run_dir)
        for where in (self.run_dir, self.path("missing")):
            code, out, err = self.monitor("--run-dir", where, "stats")
            self.assertEqual((code, out), (64, ""))
            self.assertIn(where, err.splitlines()[0])


class Verbs(MonitorTest):
    def test_cancel_settles_the_task_as_cancelled_and_ends_its_work(self):
        launch = self.long_work(2, "--json")
        code, out, _ = self.monitor("cancel", "1")
        self.assertEqual((code, out), (0, "task 1 is cancelled\n"))
        eventually(lambda: len(processes_running(self.sleep)) == 2, "the end of its work")
        launch.writes(1)
        outcome = json.loads(launch.lines[0])
        self.assertEqual((outcome["seq"], outcome["outcome"]), (1, "cancelled"))
        for seq in ("1", "77"):
            code, out, _ = self.monitor("cancel", seq)
            self.assertEqual((code, out), (1, f"task {seq} is not cancelled: there is no such task in flight\n"))
            code, out, _ = self.monitor("cancel", seq, "--json")
            said = json.loads(out)
            self.assertEqual((code, said["ok"], said["reason"]), (1, False, "there is no such task in flight"))
        self.assertEqual(self.monitor("cancel", "2")[0], 0)
        tasks, attempts = self.ends_well(launch, code=1)
        self.assertEqual((tasks["cancelled"], attempts["cancelled"]), (2, 4))
        self.nothing_runs(self.sleep)

    def test_cancel_takes_many_and_goes_on_after_one_that_is_not_there(self):
        launch = self.long_work(3)
        code, out, _ = self.monitor("--json", "cancel", "3", "99", "1", "2")
        self.assertEqual((code, [json.loads(line)["ok"] for line in out.splitlines()]), (1, [True, False, True, True]))
        self.assertEqual(self.ends_well(launch, code=1)[0]["cancelled"], 3)

    def test_drain_ends_the_intake_and_the_group_when_the_last_is_done(self):
        launch = self.launch("--run-dir", self.run_dir, "--workers", "2", "--slots", "2", *self.gated(), stdin="pipe")
        launch.feed(numbers(2))
        self.broker_until(lambda b: b["tasks"]["in_flight"] == 2, "both to be in flight")
        code, out, _ = self.monitor("drain")
        self.assertEqual(code, 0)
        self.open_gate()
        self.assertRegex(out, r"^the broker takes no more messages, and ends(: no| when the) .*in flight")
        tasks, _ = self.ends_well(launch, code=75)  # its stdin is still open
        self.assertEqual((tasks["completed"], sorted(launch.lines)), (2, ["1", "2"]))

    def test_cancel_of_what_is_no_number_is_wrong_usage(self):
        for word in ("x", "-1", "01", "1e3", "", "18446744073709551616"):
            self.assertEqual(self.monitor("cancel", "--", word)[0], 64, word)


if __name__ == "__main__":
    unittest.main()

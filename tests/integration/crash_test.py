"""What must come out when processes die, stand still or are told to stop in the middle: real signals, under load.

Each group runs under scripts/launch. Heartbeats are shortened where a test would else wait for the usual three seconds.
"""

import collections
import json
import os
import random
import re
import signal
import sys
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))

from group import (LAUNCH, PYTHON, GroupTest, command_of, eventually, is_over, numbers, processes_running,  # noqa: E402
                   processes_with)


class CrashTest(GroupTest):
    def group(self, *words, **how):
        """launch with a run directory that the test can look into."""
        return self.launch("--run-dir", self.run_dir, *words, **how)

    def kill(self, name, number=signal.SIGKILL):
        pid = self.pid_of(name)
        os.kill(pid, number)
        return pid

    def every_message_has_one_outcome(self, lines, count):
        seqs = collections.Counter(json.loads(line)["seq"] for line in lines)
        self.assertEqual(sorted(seqs), list(range(1, count + 1)))
        self.assertEqual([seq for seq, times in seqs.items() if times > 1], [])

    def each_is_completed(self, data, count, most_twice):
        """Of a sink: no line is torn or mixed, and no more than `most_twice` outcomes are there twice."""
        self.assertTrue(data.endswith(b"\n"))
        outcomes = [json.loads(line) for line in data.splitlines()]  # a torn or mixed line would not parse
        seqs = collections.Counter(outcome["seq"] for outcome in outcomes)
        self.assertEqual(sorted(seqs), list(range(1, count + 1)))
        self.assertEqual({outcome["outcome"] for outcome in outcomes}, {"completed"})
        self.assertTrue(all(outcome["result"] == str(outcome["seq"]) for outcome in outcomes))
        self.assertLessEqual(len(outcomes) - count, most_twice)
        return outcomes

    def the_run_directory_is_gone(self):
        eventually(lambda: not os.path.exists(self.run_dir), "the run directory to be removed")


class Workers(CrashTest):
    def test_killed_workers_cost_no_message_and_double_none(self):
        launch = self.group("--workers", "3", "--json", "--slots", "8", "--handler", "sleep:exp:20ms", stdin="pipe")
        for fed, name in ((0, "w1"), (400, "w2"), (800, "w3"), (1200, "w1"), (1600, "w2")):
            launch.feed(b"".join(b"%d\n" % n for n in range(fed + 1, fed + 401)))
            launch.writes(fed + 100)
            self.kill(name)
        launch.end_of_input()
        tasks, attempts = self.ends_well(launch)
        self.every_message_has_one_outcome(launch.lines, 2000)
        self.assertEqual((tasks["completed"], attempts["won"]), (2000, 2000))
        self.assertGreater(attempts["lost"], 0)
        self.assertEqual(len(re.findall(r"^launch: w\d \(pid \d+\) died \(SIGKILL\), starting it again", launch.err, re.MULTILINE)), 5)

    def test_the_work_of_a_killed_worker_dies_with_it_and_is_done_elsewhere(self):
        work = f'if [ "$CURFEW_ATTEMPT" = 1 ]; then setsid --fork sleep {self.sleep}; exec sleep {self.sleep}; fi; cat'
        launch = self.group("--workers", "2", "--fanout", "1", "--json", "--", "sh", "-c", work, stdin=b"hello\n")
        eventually(lambda: len(processes_running(self.sleep)) == 2, "the work and what it left in the background")
        worker = self.answer(verb="dump")["attempts"][0]["worker"]
        self.kill(worker)
        eventually(lambda: not processes_running(self.sleep), "the end of the work of the killed worker")
        tasks, attempts = self.ends_well(launch)
        outcome = json.loads(launch.lines[0])
        self.assertEqual((outcome["result"], attempts["lost"], attempts["won"]), ("hello", 1, 1))

    def test_work_that_kills_its_worker_is_given_up_after_three(self):
        work = 'read m; if [ "$m" = poison ]; then read -r _ _ _ up _ </proc/$PPID/stat; kill -9 "$up"; sleep 100; fi; echo "$m"'
        launch = self.group("--workers", "2", "--fanout", "1", "--json", "--", "sh", "-c", work, stdin=b"poison\n" + numbers(50))
        tasks, attempts = self.ends_well(launch, code=1)
        self.every_message_has_one_outcome(launch.lines, 51)
        self.assertEqual((tasks["failed"], tasks["completed"]), (1, 50))
        dead_letter = next(outcome for outcome in map(json.loads, launch.lines) if outcome["outcome"] == "failed")
        self.assertEqual(dead_letter["seq"], 1)
        self.assertIn("killed 3 workers", dead_letter["error"])

    def test_a_worker_that_stood_still_past_the_limit_causes_no_double_outcome(self):
        launch = self.group("--workers", "2", "--json", "--slots", "8", "--handler", "sleep:exp:20ms", stdin="pipe",
                            environment={"CURFEW_HEARTBEAT": "200ms"})
        for fed in (0, 500, 1000):
            launch.feed(b"".join(b"%d\n" % n for n in range(fed + 1, fed + 501)))
            launch.writes(fed + 100)
            before = self.answer()["workers_silent"]
            pid = self.kill("w1", signal.SIGSTOP)
            self.broker_until(lambda b: b["workers_silent"] > before, "the broker to notice the silence")
            os.kill(pid, signal.SIGCONT)
            self.workers_are_ready(2)
        launch.end_of_input()
        tasks, attempts = self.ends_well(launch)
        self.every_message_has_one_outcome(launch.lines, 1500)
        self.assertEqual((tasks["completed"], attempts["won"]), (1500, 1500))
        self.assertNotIn("died", launch.err)

    def test_a_pause_below_the_limit_costs_no_session(self):
        launch = self.group("--workers", "2", "--json", "--handler", "sleep:exp:20ms", stdin="pipe",
                            environment={"CURFEW_HEARTBEAT": "20s"})  # a limit of a minute: far above any pause here
        launch.feed(numbers(2000))
        launch.writes(100)
        pid = self.kill("w1", signal.SIGSTOP)
        launch.writes(300)
        os.kill(pid, signal.SIGCONT)
        launch.writes(1000)
        stats = self.answer()
        launch.end_of_input()
        self.assertEqual((stats["workers_silent"], stats["workers_left"], stats["workers_died"]), (0, 0, 0))
        tasks, attempts = self.ends_well(launch)
        self.every_message_has_one_outcome(launch.lines, 2000)
        self.assertEqual(attempts["lost"], 0)

    def test_a_worker_told_to_stop_leaves_within_grace_and_its_attempts_are_tried_elsewhere(self):
        launch = self.group("--workers", "2", "--fanout", "1", "--json", "--slots", "4", "--grace", "20s", "--", "sh", "-c",
                            "sleep 0.05; cat", stdin="pipe")
        launch.feed(numbers(200))
        launch.writes(20)
        self.workers_are_ready(2)
        pid = self.kill("w1", signal.SIGUSR1)
        told_at = time.monotonic()
        eventually(lambda: is_over(pid), "w1 to leave")
        self.assertLess(time.monotonic() - told_at, 15)
        self.broker_until(lambda b: b["workers_left"] == 1, "the broker to have its bye")
        launch.end_of_input()
        tasks, attempts = self.ends_well(launch)
        self.every_message_has_one_outcome(launch.lines, 200)
        self.assertEqual((tasks["completed"], attempts["failed"]), (200, 0))

    def test_a_killed_supervisor_leaves_no_orphan_and_its_work_is_tried_again(self):
        work = f'if [ "$CURFEW_ATTEMPT" = 1 ]; then setsid --fork sleep {self.sleep}; exec sleep {self.sleep}; fi; cat'
        launch = self.group("--workers", "1", "--fanout", "1", "--attempts", "2", "--json", "--", "sh", "-c", work,
                            stdin=b"hello\n")
        eventually(lambda: len(processes_running(self.sleep)) == 2, "the work and what it left in the background")
        worker = self.pid_of("w1")
        for pid in self.supervisors():
            os.kill(pid, signal.SIGKILL)
        tasks, attempts = self.ends_well(launch)
        self.assertEqual([json.loads(line)["result"] for line in launch.lines], ["hello"])
        self.assertEqual((attempts["failed"], attempts["won"]), (1, 1))
        self.assertNotRegex(launch.err, r"launch: .* died", "the worker survives its supervisors")
        self.assertTrue(is_over(worker))
        self.nothing_runs(self.sleep)


class Collector(CrashTest):
    WINDOW = 64

    def sink_after_kills(self, *flags, count=3000, kills=(300, 1200)):
        sink = self.path("sink")
        launch = self.group("--workers", "3", "--json", "--window", str(self.WINDOW), "--output", sink, *flags,
                            "--handler", "sleep:exp:5ms", stdin="pipe")
        return self.after_kills(launch, sink, count, kills, most_twice=len(kills) * self.WINDOW)

    def after_kills(self, launch, sink, count, kills, most_twice=0, most_without_winner=0):
        lines = numbers(count).splitlines(keepends=True)

        def written():
            with open(sink, "rb") as file:
                return file.read().count(b"\n")
        fed = 0
        for done in kills:
            launch.feed(b"".join(lines[fed:done + 20 * self.WINDOW]))  # so the batch is not over at the kill
            fed = done + 20 * self.WINDOW
            pid = self.pid_of("collector")
            eventually(lambda: os.path.exists(sink) and written() >= done, f"{done} outcomes in the sink")
            os.kill(pid, signal.SIGKILL)
            eventually(lambda: is_over(pid), "the end of the collector")
        launch.feed(b"".join(lines[fed:]))
        launch.end_of_input()
        tasks, attempts = self.ends_well(launch)
        self.assertEqual(tasks["completed"], count)
        self.assertGreaterEqual(attempts["won"], count - most_without_winner)
        with open(sink, "rb") as file:
            data = file.read()
        return self.each_is_completed(data, count, most_twice)

    def test_a_killed_collector_costs_no_outcome_and_tears_no_line(self):
        self.sink_after_kills()

    def test_with_a_journal_a_killed_collector_writes_each_outcome_once(self):
        for sync in ("always", "1s", "none"):
            with self.subTest(sync):
                sink = self.path(f"sink-{sync}")
                procfile = self.write("Procfile", "\n".join((
                    f"broker: curfew-broker --source stdin --window {self.WINDOW}",
                    "w1: curfew-worker --handler sleep:exp:5ms", "w2: curfew-worker --handler sleep:exp:5ms",
                    f"collector: curfew-collector --format json --sink file:{sink} --journal --sync {sync}")) + "\n")
                launch = self.run_words(PYTHON, "-E", LAUNCH, "--run-dir", self.run_dir, procfile, stdin="pipe")
                # Whose the outcome is that only the sink remembers, nobody knows
                self.after_kills(launch, sink, 1500, (100, 300, 500), most_without_winner=3 * self.WINDOW)

    def test_a_killed_collector_keeps_the_order_after_its_restart(self):
        seqs = [outcome["seq"] for outcome in self.sink_after_kills("--keep-order", count=1500, kills=(300, 700))]
        drops = [at for at in range(1, len(seqs)) if seqs[at] <= seqs[at - 1]]
        self.assertLessEqual(len(drops), 2, "only what an old collector wrote comes again")

    def test_a_collector_that_stands_still_is_missed_and_nothing_piles_up_for_it(self):
        launch = self.group("--workers", "2", "--json", "--handler", "sleep:exp:20ms", stdin="pipe")
        first = numbers(300)
        launch.feed(first)
        launch.writes(100)
        pid = self.kill("collector", signal.SIGSTOP)
        self.kill("w1")  # the broker has something to tell the collector
        launch.feed(numbers(500)[len(first):])
        launch.says(r"waiting for=collector")
        stats = self.broker_until(lambda b: b["collector"]["last_heard_s"] > 4.5, "another heartbeat")
        self.assertGreater(stats["collector"]["unacknowledged"], 0)
        self.assertEqual(stats["collector"]["resent"], 0, "what it has not read is still under way")
        os.kill(pid, signal.SIGCONT)
        launch.end_of_input()
        tasks, attempts = self.ends_well(launch)
        self.every_message_has_one_outcome(launch.lines, 500)
        self.assertEqual((tasks["completed"], attempts["won"]), (500, 500))

    def test_work_under_way_goes_on_while_there_is_no_collector(self):
        go = self.path("go")
        work = f"while ! [ -e {go} ]; do sleep 0.02; done; cat"
        sink = self.path("sink")
        launch = self.group("--workers", "2", "--fanout", "1", "--slots", "2", "--json", "--output", sink, "--", "sh", "-c", work,
                            stdin=numbers(4))
        self.broker_until(lambda b: b["attempts"]["in_flight"] == 4, "4 attempts in flight")
        self.kill("collector")
        self.write("go", "")
        tasks, attempts = self.ends_well(launch)
        self.assertEqual((tasks["completed"], attempts["all"]), (4, 4), "no attempt was repeated")
        with open(sink) as file:
            self.every_message_has_one_outcome(file.read().splitlines(), 4)


class Broker(CrashTest):
    def test_a_killed_broker_ends_the_group_with_75_and_the_count_of_what_is_left(self):
        launch = self.group("--workers", "2", "--fanout", "2", "--json", "--window", "100", "--", "sh", "-c",
                            f'read m; if [ "$m" -gt 10 ]; then exec sleep {self.sleep}; fi; echo $m', stdin=numbers(30))
        launch.writes(10)
        in_flight = self.broker_until(lambda b: b["tasks"]["completed"] == 10 and b["attempts"]["in_flight"],
                                     "the rest to be under way")["tasks"]["in_flight"]
        self.kill("broker")
        self.assertEqual(launch.code(), 75)
        said = launch.says(r"launch: (\d+) messages? left without an outcome \((\d+) in flight, (\d+) not accepted\)")
        self.assertGreaterEqual(int(said[2]), in_flight)
        self.assertEqual(int(said[1]), int(said[2]) + int(said[3]))
        tasks, _ = self.books(launch)
        self.assertEqual((tasks["completed"], tasks["in flight"]), (10, int(said[2])))
        self.nothing_runs(self.sleep)
        self.the_run_directory_is_gone()


class ManyKills(CrashTest):
    """SIGKILL at random times under load, twenty of each kind of process."""

    SEED = int(os.environ.get("CURFEW_TEST_SEED") or int.from_bytes(os.urandom(4), "big"))
    KILLS = 20
    IN_A_GROUP = 4  # one more within a second of its start, and launch gives up
    WINDOW = 64

    def setUp(self):
        super().setUp()
        self.random = random.Random(self.SEED)

    def test_of_workers_and_collectors(self):
        for group in range(self.KILLS // self.IN_A_GROUP):
            with self.subTest(group=group, seed=self.SEED):
                self.run_dir = self.path(f"run{group}")
                self.kill_in_a_group(self.path(f"sink{group}"))

    def kill_in_a_group(self, sink):
        launch = self.group("--workers", "3", "--json", "--window", str(self.WINDOW), "--output", sink,
                            "--handler", "sleep:exp:5ms", stdin="pipe", environment={"CURFEW_POISON": "0"})
        victims = ["collector"] * self.IN_A_GROUP + [f"w{1 + n % 3}" for n in range(self.IN_A_GROUP)]
        self.random.shuffle(victims)
        fed = 0

        def written():
            with open(sink, "rb") as file:
                return file.read().count(b"\n")
        for victim in victims:
            more = self.random.randrange(100, 300)
            launch.feed(b"".join(b"%d\n" % n for n in range(fed + 1, fed + more + 1)))
            fed += more
            eventually(lambda: os.path.exists(sink) and written() >= fed - 2 * self.WINDOW, "progress")
            self.kill(victim)
        launch.feed(b"".join(b"%d\n" % n for n in range(fed + 1, fed + 101)))
        launch.end_of_input()
        tasks, attempts = self.ends_well(launch)
        self.assertEqual((tasks["completed"], attempts["won"]), (fed + 100, fed + 100))
        with open(sink, "rb") as file:
            self.each_is_completed(file.read(), fed + 100, self.IN_A_GROUP * self.WINDOW)

    def test_of_brokers(self):
        for number in range(self.KILLS):
            with self.subTest(number=number, seed=self.SEED):
                self.run_dir = self.path(f"run{number}")
                done = self.random.randrange(0, 300)
                launch = self.group("--workers", "2", "--slots", "2", "--grace", "200ms", "--handler", "sleep:exp:2ms",
                                    stdin="pipe")
                broker = self.pid_of("broker")
                launch.feed(numbers(3000))
                launch.writes(done)
                os.kill(broker, signal.SIGKILL)
                self.assertEqual(launch.code(), 75, launch.err)
                tasks, _ = self.books(launch)
                if tasks["all"] == 0:
                    launch.says("launch: the broker died before it had accepted a message: give the whole input again")
                    self.assertEqual(launch.lines, [])
                    continue
                said = launch.says(r"launch: (\d+) messages? left without an outcome \((\d+) in flight, (\d+) not accepted\)")
                self.assertEqual(int(said[1]), int(said[2]) + int(said[3]))
                # What was written and not yet acknowledged counts as in flight: never as done, and never as nothing.
                lines = list(map(int, launch.lines))
                self.assertEqual(len(set(lines)), len(lines), "none twice")
                self.assertLessEqual(tasks["completed"], len(lines))
                self.assertGreaterEqual(tasks["completed"] + int(said[2]), len(lines))
                self.the_run_directory_is_gone()


class Launch(CrashTest):
    def setUp(self):
        super().setUp()
        self.environment["CURFEW_GRACE"] = "300ms"

    def test_after_launch_is_killed_nothing_is_left(self):
        for where in ((), ("--run-dir", self.run_dir)):
            with self.subTest(where=where):
                launch = self.launch(*where, "--workers", "2", "--", "sh", "-c",
                                     f"setsid --fork sleep {self.sleep}; exec sleep {self.sleep}", stdin=numbers(10))
                eventually(lambda: len(processes_running(self.sleep)) == 4, "the work")
                launch.signal(signal.SIGKILL)
                self.assertEqual(launch.code(), -signal.SIGKILL)
                eventually(lambda: not processes_with(self.home) and not processes_running(self.sleep), "the end of the group")
                eventually(lambda: not os.listdir(self.private), "the private run directory to be removed")
                self.the_run_directory_is_gone()

    def test_after_launch_is_killed_what_is_not_ours_stays_in_a_given_run_directory(self):
        os.mkdir(self.run_dir, 0o700)
        os.mkdir(os.path.join(self.run_dir, "mine"))
        with open(os.path.join(self.run_dir, "notes"), "w") as notes:
            notes.write("mine")
        launch = self.group("--workers", "2", "--handler", "sleep:1h", stdin=numbers(10))
        self.broker_until(lambda b: b["tasks"]["in_flight"] == 10, "the work")
        launch.signal(signal.SIGKILL)
        launch.code()
        eventually(lambda: sorted(os.listdir(self.run_dir)) == ["mine", "notes"], "the end of what is ours")

    def test_after_launch_is_killed_the_run_directory_is_in_use_until_the_last_process_has_ended(self):
        os.mkdir(self.run_dir, 0o700)
        launch = self.group("--workers", "1", "--fanout", "1", "--grace", "5m", "--", "sh", "-c",
                            f"trap '' TERM; while :; do sleep {self.sleep}; done", stdin=numbers(1))
        eventually(lambda: processes_running(self.sleep), "the work")
        broker, worker = self.pid_of("broker"), self.pid_of("w1")
        launch.signal(signal.SIGKILL)
        eventually(lambda: is_over(broker), "the end of the broker")
        second = self.group("--workers", "1", "--handler", "echo", stdin=b"1\n")
        self.assertEqual(second.code(), 64)
        second.says(r"run directory .* is in use \(w1\.lock is held\)")
        for pid in processes_with(self.home):  # the worker waits for its work, for minutes
            if command_of(pid).startswith("sh -c"):
                os.kill(pid, signal.SIGKILL)
        eventually(lambda: is_over(worker), "the end of the worker")
        eventually(lambda: not os.listdir(self.run_dir), "the directory, which is not ours, to be left as it was")

    def test_after_launch_is_killed_work_that_traps_term_is_killed_too(self):
        launch = self.group("--workers", "1", "--grace", "300ms", "--", "sh", "-c",
                            f'trap "" TERM; sleep {self.sleep}; sleep {self.sleep}', stdin=b"x\n")
        eventually(lambda: processes_running(self.sleep), "the work")
        launch.signal(signal.SIGKILL)
        launch.code()
        eventually(lambda: not processes_with(self.home) and not processes_running(self.sleep), "the end of the group")
        self.the_run_directory_is_gone()

    def test_the_first_int_drains(self):
        launch = self.group("--workers", "2", "--slots", "4", *self.gated(), stdin="pipe")
        launch.feed(numbers(20))
        self.broker_until(lambda b: b["attempts"]["in_flight"] > 0, "attempts in flight")
        launch.signal(signal.SIGINT)
        launch.says("launch: draining")
        self.open_gate()
        tasks, _ = self.ends_well(launch, 75)  # its stdin is still open
        self.assertEqual(tasks["all"], tasks["completed"])
        self.assertEqual(sorted(map(int, launch.lines)), list(range(1, tasks["all"] + 1)))
        go_on = launch.says(r"the input was not at its end: .*; go on at line (\d+), ")
        self.assertEqual(int(go_on[1]), tasks["all"] + 1, "what was taken out of the pipe and not done is said")
        self.the_run_directory_is_gone()

    def test_a_second_int_stops_now(self):
        launch = self.group("--workers", "2", "--", "sleep", self.sleep, stdin=numbers(5))
        eventually(lambda: processes_running(self.sleep), "the work")
        launch.signal(signal.SIGINT)
        launch.says("launch: draining")
        launch.signal(signal.SIGINT)
        asked_at = time.monotonic()
        self.assertEqual(launch.code(), 128 + signal.SIGINT)
        self.assertLess(time.monotonic() - asked_at, 15)
        self.nothing_runs(self.sleep)
        self.the_run_directory_is_gone()

    def test_a_term_drains_as_an_int_does(self):
        launch = self.group("--workers", "2", *self.gated(), stdin="pipe")
        launch.feed(b"1\n")
        self.broker_until(lambda b: b["attempts"]["in_flight"] > 0, "attempts in flight")
        launch.signal(signal.SIGTERM)
        launch.says("launch: draining")
        self.open_gate()
        self.assertEqual((self.ends_well(launch, 75)[0]["completed"], launch.lines), (1, ["1"]))


class AlonePeers(CrashTest):
    """Processes without launch: nobody tells them who died."""

    def setUp(self):
        super().setUp()
        self.environment["CURFEW_HEARTBEAT"] = "200ms"

    def test_each_process_ends_within_grace_of_a_term_whatever_its_peers_do(self):
        for role, words in (("collector", ()), ("worker", ("--handler", "echo")), ("worker", ("--", "sleep", self.sleep)),
                            ("broker", ("--source", "stdin"))):
            with self.subTest(role=role, words=words):
                running = self.ready(role, *words, stdin="pipe")
                running.signal(signal.SIGTERM)
                asked_at = time.monotonic()
                self.assertIn(running.code(), (0, 75))
                self.assertLess(time.monotonic() - asked_at, 15)

    def test_workers_that_lose_their_broker_stop_their_work_and_serve_the_next(self):
        collector = self.ready("collector", "--format", "json")
        self.ready("worker", "--name", "w1", "--", "sh", "-c",
                   f'read m; if [ "$m" = long ]; then exec sleep {self.sleep}; fi; echo $m')
        first = self.ready("broker", "--source", "stdin", "--fanout", "1", stdin=b"long\n")
        eventually(lambda: processes_running(self.sleep), "the work")
        first.signal(signal.SIGKILL)
        first.code()
        eventually(lambda: not processes_running(self.sleep), "work that nobody waits for to end")
        second = self.ready("broker", "--source", "stdin", "--fanout", "1", stdin=b"short\n")
        self.assertEqual(second.code(), 0, second.err)
        self.assertEqual([json.loads(line)["result"] for line in collector.lines], ["short"])

    def test_a_worker_killed_without_a_witness_is_missed_and_its_attempts_are_tried_elsewhere(self):
        collector = self.ready("collector", "--format", "json")
        workers = {name: self.ready("worker", "--name", name, "--slots", "4", "--handler", "sleep:50ms") for name in ("w1", "w2")}
        broker = self.ready("broker", "--source", "stdin", "--fanout", "1", stdin="pipe")
        broker.feed(numbers(100))
        collector.writes(10)
        workers["w1"].signal(signal.SIGKILL)
        workers["w1"].code()
        self.broker_until(lambda b: b["workers_silent"] >= 1, "the silence")
        broker.end_of_input()
        self.assertEqual(broker.code(), 0, broker.err)
        self.every_message_has_one_outcome(collector.lines, 100)
        for socket in ("w1.tasks.sock", "w1.control.sock", "w1.monitor.sock"):
            os.unlink(os.path.join(self.run_dir, socket))  # of a killed process without launch: the next w1 would take them over


if __name__ == "__main__":
    unittest.main()

#!/usr/bin/env python3
"""Faults that come from outside: bad links, stalled peers, too few descriptors, processes and memory, other clocks, work
that floods or kills, restarts in any order. What tells right from wrong: every message has exactly one outcome, the books
balance, nothing is left.

Crashes are in crash_test.py, junk in bad_input_test.py.
"""

import collections
import contextlib
import itertools
import json
import os
import random
import re
import resource
import signal
import socket
import subprocess
import sys
import time
import unittest

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))

from tests.support.faults import FaultTest, knock, wait_until_dropped  # noqa: E402
from tests.support.group import (LAUNCH, PYTHON, descriptors_of, eventually, memory_peak_mib,  # noqa: E402
                                 numbers, processes_running)
from tests.support.proxy import Proxy  # noqa: E402

SEED = int(os.environ.get("CURFEW_TEST_SEED") or int.from_bytes(os.urandom(4), "big"))


class BadLinks(FaultTest):
    """Every link of a group goes through a proxy. No process is started again: links heal by themselves."""

    STRIKES = 20
    WORKERS = 3

    def setUp(self):
        super().setUp()
        self.environment["CURFEW_HEARTBEAT"] = "200ms"
        self.random = random.Random(SEED)
        self.proxies = {}
        os.mkdir(self.run_dir, 0o700)
        self.addCleanup(lambda: [proxy.close() for proxy in self.proxies.values()])
        self.addCleanup(self._end_all)  # before the proxies
        # Results and events are proxied before anybody can know the real ones; a worker's own sockets before there is a
        # broker that could ask for them.
        for name in ("results", "events"):
            self.proxies[name] = Proxy(f"{self.run_dir}/{name}", f"{self.run_dir}/{name}.real", self.random.random())
        self.collector = self.ready("collector", "--results", self.endpoint("results.real"),
                                    "--broker", self.endpoint("events"))
        self.workers = []
        for number in range(1, self.WORKERS + 1):
            worker = self.ready("worker", "--name", f"w{number}", "--broker", self.endpoint("events"),
                                "--collector", self.endpoint("results"), "--slots", "4", "--handler", "sleep:exp:5ms")
            self.workers.append(worker)
            for socket_of in ("tasks", "control"):
                path = worker.endpoints[socket_of].removeprefix("ipc://")
                self.proxies[f"w{number}.{socket_of}"] = Proxy.before(path, self.random.random())

    def _end_all(self):
        for running in self._running:
            running.signal(signal.SIGTERM)
        for running in self._running:
            running.code()

    def strike(self, proxy):
        """A fault, and the way back."""
        kind = self.random.choice(("reset", "reset", "silent", "one way", "slow", "bytes"))
        if kind == "reset":
            proxy.reset()
            return lambda: None
        if kind == "silent":
            proxy.silent = frozenset(("in", "out"))
        elif kind == "one way":
            proxy.silent = frozenset((self.random.choice(("in", "out")),))
        elif kind == "slow":
            proxy.delay = (0.0, 0.1)
        else:
            proxy.piece = 1

        def heal():
            proxy.silent, proxy.delay, proxy.piece = frozenset(), (0.0, 0.0), 1 << 16
            if kind == "silent" and self.random.random() < 0.5:
                proxy.reset()  # a link that stood still for long is often a dead one
        return heal

    def test_whatever_happens_to_the_links_each_message_has_one_outcome(self):
        count = 4000
        broker = self.ready("broker", "--source", "stdin", "--events", self.endpoint("events.real"), "--collector",
                            self.endpoint("results"), "--fanout", "2", "--deadline", "none", stdin="pipe")
        half = count // 2
        broker.feed(numbers(half))
        for _ in range(self.STRIKES):
            heal = self.strike(self.random.choice(list(self.proxies.values())))
            time.sleep(self.random.choice((0.02, 0.1, 0.3, 0.7)))  # the fault's length is the fault
            heal()
        broker.feed(numbers(count)[len(numbers(half)):])
        broker.end_of_input()
        self.assertEqual(broker.code(60), 0, f"seed {SEED}: {broker.err[-2000:]}")
        self.assertTrue(all(running.alive for running in (self.collector, *self.workers)), f"seed {SEED}")
        self.each_has_one_outcome(self.collector.lines, count)
        self.assertGreater(sum(proxy.links for proxy in self.proxies.values()), len(self.proxies), f"seed {SEED}")


class Replays(FaultTest):
    """Every message between the processes may come up to five times, and late; cancels are held back."""

    def test_what_comes_again_or_late_changes_nothing(self):
        count = 3000
        os.mkdir(self.run_dir, 0o700)
        proxies = [Proxy(f"{self.run_dir}/{name}.sock", f"{self.run_dir}/{name}.real", SEED, by_message=True)
                   for name in ("results", "events")]
        self.addCleanup(lambda: [proxy.close() for proxy in proxies])
        collector = self.ready("collector", "--results", self.endpoint("results.real"), "--broker", self.endpoint("events.sock"))
        workers = []
        for number in range(1, 4):
            worker = self.ready("worker", "--name", f"w{number}", "--broker", self.endpoint("events.sock"),
                                "--collector", self.endpoint("results.sock"), "--slots", "4", "--handler", "sleep:exp:2ms")
            workers.append(worker)
            for socket_of in ("tasks", "control"):
                proxy = Proxy.before(worker.endpoints[socket_of].removeprefix("ipc://"), SEED + number, by_message=True)
                if socket_of == "control":
                    proxy.delay = (0.0, 0.02)
                    proxy.stall = (0.01, 1.0)  # one in a hundred is held back for a second, and those behind it go ahead
                proxies.append(proxy)
        for proxy in proxies:
            proxy.copies = (1, 5)
        broker = self.ready("broker", "--source", "stdin", "--events", self.endpoint("events.real"), "--collector",
                            self.endpoint("results.sock"), "--fanout", "3", "--deadline", "none", stdin=numbers(count))
        self.assertEqual(broker.code(60), 0, f"seed {SEED}: {broker.err[-2000:]}")
        self.each_has_one_outcome(collector.lines, count)
        self.assertTrue(all(running.alive for running in (collector, *workers)), f"seed {SEED}")
        self.assertGreater(sum(proxy.copied for proxy in proxies), 1000)
        self.assertGreater(sum(proxy.stalled for proxy in proxies), 0)
        for running in (collector, *workers):
            running.signal(signal.SIGTERM)
        for running in (collector, *workers):
            self.assertEqual(running.code(), 0, running.err)


class Pauses(FaultTest):
    PAUSES = 10

    def test_a_process_that_stands_still_for_a_while_costs_no_outcome_and_doubles_none(self):
        chance = random.Random(SEED)
        launch = self.launch("--run-dir", self.run_dir, "--workers", "3", "--slots", "4", "--fanout", "2", "--handler",
                             "sleep:exp:5ms", stdin="pipe", environment={"CURFEW_HEARTBEAT": "200ms"})
        fed = 0
        for _ in range(self.PAUSES):
            launch.feed(b"".join(b"%d\n" % n for n in range(fed + 1, fed + 201)))
            fed += 200
            pid = self.pid_of(chance.choice(("broker", "collector", "w1", "w2", "w3")))
            os.kill(pid, signal.SIGSTOP)
            time.sleep(chance.choice((0.02, 0.3, 1.0)))  # below the limit of 600 ms, and beyond it
            os.kill(pid, signal.SIGCONT)
            launch.writes(fed - 150)
        launch.end_of_input()
        self.ends_well(launch)
        self.each_has_one_outcome(launch.lines, fed)
        self.assertNotIn("died", launch.err)


class Strangers(FaultTest):
    MARGIN = 10  # descriptors that come and go with whoever looks at the group

    def test_two_thousand_idle_connections_hold_up_nobody_and_are_dropped(self):
        count, (soft, hard) = 2000, resource.getrlimit(resource.RLIMIT_NOFILE)
        self.assertTrue(hard == resource.RLIM_INFINITY or hard >= count + 200, f"ulimit -Hn is {hard}: too few for this test")
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, count + 200), hard))
        self.addCleanup(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        launch = self.launch("--run-dir", self.run_dir, "--workers", "2", "--handler", "echo", stdin="pipe")
        self.workers_are_ready(2)
        names = ("results", "events", "w1.tasks", "w1.control", "broker.monitor")
        pids = [self.pid_of(name) for name in ("broker", "collector", "w1")]
        before = sum(map(descriptors_of, pids))
        there = lambda: sum(map(descriptors_of, pids)) >= before + count - self.MARGIN
        fed, were_there = 0, False
        while not were_there and fed < 20_000:  # they are there for 5 s each, and this machine may be busy for as long
            with contextlib.ExitStack() as stack:
                strangers = [stack.enter_context(contextlib.closing(knock(f"{self.run_dir}/{name}.sock")))
                             for _ in range(count // len(names)) for name in names]
                with contextlib.suppress(AssertionError):
                    eventually(there, f"{count} to be let in", 5)
                launch.feed(b"".join(b"%d\n" % n for n in range(fed + 1, fed + 2001)))
                fed += 2000
                launch.writes(fed)
                were_there = there()
                for stranger in strangers:
                    wait_until_dropped(stranger)
        self.assertTrue(were_there, "done while all of them are there")
        eventually(lambda: sum(map(descriptors_of, pids)) <= before + self.MARGIN, "the descriptors to be back")
        launch.end_of_input()
        self.ends_well(launch)
        self.each_has_one_outcome(launch.lines, fed)

    def test_idle_connections_and_stalled_handshakes_hold_up_nobody_and_are_dropped(self):
        launch = self.launch("--run-dir", self.run_dir, "--workers", "2", "--handler", "echo", stdin="pipe")
        self.workers_are_ready(2)
        strangers = []
        try:
            for name in ("results", "events", "w1.tasks", "w1.control", "broker.monitor"):
                for number in range(60):
                    stranger = socket.socket(socket.AF_UNIX)
                    stranger.settimeout(20)
                    stranger.connect(f"{self.run_dir}/{name}.sock")
                    if number % 2:
                        stranger.sendall(b"\xff\0\0\0\0\0\0\0\1\x7f\3")  # half of a ZMTP greeting
                    strangers.append(stranger)
            launch.feed(numbers(2000))
            launch.writes(2000)
            for stranger in strangers:  # libzmq drops who has not shaken hands within five seconds
                while stranger.recv(4096):
                    pass
        finally:
            for stranger in strangers:
                stranger.close()
        launch.end_of_input()
        self.ends_well(launch)
        self.each_has_one_outcome(launch.lines, 2000)


class Floods(FaultTest):
    def test_endless_stderr_is_dropped_and_costs_no_memory(self):
        launch = self.launch("--run-dir", self.run_dir, "--workers", "1", "--fanout", "1", "--deadline", "700ms", "--",
                             "sh", "-c", "exec yes 'this goes on and on' >&2", stdin=b"1\n", )
        worker = self.pid_of("w1")
        eventually(lambda: processes_running("this goes on and on") or not launch.alive, "the flood")
        peak = 0.0
        while launch.alive:
            peak = max(peak, memory_peak_mib(worker))
            time.sleep(0.01)
        tasks, _ = self.ends_well(launch, code=1)
        self.assertEqual(tasks["expired"], 1)
        self.assertLess(peak, 100)
        self.assertLess(len(launch.err), 200_000)
        self.nothing_runs("this goes on and on")

    def test_a_bounded_fork_bomb_is_gone_with_its_attempt(self):
        bomb = f"for i in $(seq 40); do setsid sh -c 'sleep {self.sleep} & sleep {self.sleep}' & done; wait"
        launch = self.launch("--run-dir", self.run_dir, "--workers", "1", "--slots", "1", "--fanout", "1", "--deadline",
                             "600ms", "--grace", "200ms", "--", "sh", "-c", bomb, stdin=b"1\n")
        eventually(lambda: len(processes_running(self.sleep)) >= 40 or not launch.alive, "the bomb")
        tasks, _ = self.ends_well(launch, code=1)
        self.assertEqual(tasks["expired"], 1)
        self.nothing_runs(self.sleep)


@unittest.skipUnless(os.geteuid() == 0, "needs root")
class Clocks(FaultTest):
    """Monotonic clocks that differ, by time namespaces. No running process sees its clock jump there: it jumps when the
    process is started again. Nothing is decided by the wall clock."""

    HOUR, YEAR = 3600, 365 * 86400
    SHIFTED = "unshare --time --fork --kill-child=TERM --monotonic {0} --boottime {0} --"
    # The same for one that shall end at TERM, which unshare keeps from its child.
    OFF = f"""by=$1; shift; {SHIFTED.format('$by')} "$@" & trap "kill -KILL $!" TERM; wait $!"""

    def setUp(self):
        super().setUp()
        if subprocess.run([*self.SHIFTED.format(1).split(), "true"], stderr=subprocess.DEVNULL).returncode != 0:
            self.skipTest("needs time namespaces")
        self.off = self.write("off.sh", self.OFF)
        self.back = -int(time.clock_gettime(time.CLOCK_MONOTONIC) / 2)  # no clock is before the start of the machine

    def group(self, w1, w2, collector, work="--handler sleep:exp:5ms", broker="", words=(), **how):
        """Seconds that the clock of each is off, or a script that starts w1."""
        first = f"sh {w1}" if isinstance(w1, str) else f"sh {self.off} {w1} curfew-worker {work}"
        procfile = self.write("Procfile", "\n".join((
            f"broker: curfew-broker --source stdin {broker}", f"w1: {first}",
            f"w2: sh {self.off} {w2} curfew-worker {work}",
            f"collector: sh {self.off} {collector} curfew-collector --format json")) + "\n")
        return self.run_words(*words, PYTHON, "-E", LAUNCH, "--run-dir", self.run_dir, procfile, **how)

    def each_is_done_once(self, launch, count):
        self.assertEqual(launch.code(), 0, launch.err[-2000:])
        self.each_has_one_outcome([json.loads(line)["result"] for line in launch.lines], count)
        self.assertIn(f"{count} = {count} completed", launch.err)

    def test_each_process_may_have_a_monotonic_clock_of_its_own(self):
        launch = self.group(self.YEAR, 50, self.HOUR, broker="--deadline 1m --hedge 20ms", stdin=numbers(500))
        self.each_is_done_once(launch, 500)

    def test_the_brokers_clock_may_be_an_hour_ahead_of_some_and_behind_others(self):
        launch = self.group(self.back, 2 * self.HOUR, self.YEAR, broker="--fanout 2 --deadline 1m",
                            words=self.SHIFTED.format(self.HOUR).split(), stdin=numbers(500))
        self.each_is_done_once(launch, 500)

    def test_a_worker_whose_clock_jumps_forth_and_back_with_each_start_costs_no_message(self):
        count, starts = 1500, self.write("starts", "")
        script = self.write("w1.sh", f"""echo >>{starts}
            case $(wc -l <{starts}) in *[02468]) by={self.HOUR};; *) by={self.back};; esac
            exec sh {self.off} $by curfew-worker --slots 4 --handler sleep:exp:5ms""")
        launch = self.group(script, 0, 0, broker="--fanout 1 --deadline 20s", stdin="pipe")
        for fed in range(0, count, 300):
            launch.feed(b"".join(b"%d\n" % n for n in range(fed + 1, fed + 301)))
            launch.writes(fed + 100)
            self.workers_are_ready(2)
            if fed < 1200:
                os.kill(self.pid_of("w1"), signal.SIGKILL)
        launch.end_of_input()
        self.each_is_done_once(launch, count)
        with open(starts, encoding="utf-8") as file:
            self.assertEqual(len(file.readlines()), 5)

    def test_deadlines_and_hedges_come_when_they_are_due_whatever_the_clocks_of_those_who_keep_them(self):
        work = f"-- sh -c 'read m; if [ $m -gt 20 ]; then exec sleep {self.sleep}; fi; echo $m'"
        began = time.monotonic()
        launch = self.group(self.YEAR, self.back, self.HOUR, work=work, stdin=numbers(24),
                            broker="--deadline 5s --grace 200ms --hedge 100ms --fanout 2")
        self.assertEqual(launch.code(), 1, launch.err[-2000:])
        self.assertLess(time.monotonic() - began, 60)
        outcomes = {outcome["seq"]: outcome for outcome in map(json.loads, launch.lines)}
        self.assertEqual([outcomes[seq]["outcome"] for seq in range(1, 25)], 20 * ["completed"] + 4 * ["expired"])
        for seq in range(21, 25):
            self.assertLessEqual(len(outcomes[seq]["history"]), 2)
        self.nothing_runs(self.sleep)


class Restarts(FaultTest):
    def test_the_processes_may_be_started_in_any_order(self):
        for order in itertools.permutations(("broker", "worker", "collector")):
            with self.subTest(order=order):
                self.run_dir = self.path("-".join(order))
                started = {}
                for role in order:
                    words = {"broker": ("--source", "stdin"), "worker": ("--name", "w1", "--handler", "echo"), "collector": ()}
                    started[role] = self.ready(role, *words[role], stdin=numbers(50) if role == "broker" else None)
                self.assertEqual(started["broker"].code(), 0, started["broker"].err)
                self.each_has_one_outcome(started["collector"].lines, 50)
                for role in ("worker", "collector"):
                    started[role].signal(signal.SIGTERM)
                    self.assertEqual(started[role].code(), 0, started[role].err)

    def test_a_group_without_a_collector_waits_for_one(self):
        self.ready("worker", "--name", "w1", "--handler", "echo")
        broker = self.ready("broker", "--source", "stdin", stdin=numbers(50))
        broker.says("waiting for=collector")
        self.assertEqual(self.answer()["tasks"]["in_flight"], 0)
        collector = self.ready("collector")
        self.assertEqual(broker.code(), 0, broker.err)
        self.each_has_one_outcome(collector.lines, 50)


class ClocksSetBack(FaultTest):
    """What a process is numbered by is a time. Here one life has a time of the next century, and the next life, in another
    run directory, has not."""

    LATER = 10 ** 13  # milliseconds

    def started_later(self, name):
        """A run directory in which the last life of that name was in the future."""
        directory = self.path(f"later-{name}")
        os.mkdir(directory, 0o700)
        with open(os.path.join(directory, f"{name}.lock"), "w", encoding="ascii") as file:
            file.write(f"{self.LATER} 1 ended\n")
        return directory

    def test_a_worker_and_a_collector_that_outlive_their_broker_take_one_that_seems_older(self):
        events = f"ipc://{self.path('events')}"
        words = {"worker": ("--name", "w1", "--handler", "echo"), "collector": ()}
        peers = {role: self.ready(role, "--broker", events, *more) for role, more in words.items()}
        results = peers["collector"].endpoints["results"]
        for directory, numbered in ((self.started_later("broker"), range(1, 51)), (self.path("now"), range(51, 101))):
            broker = self.ready("broker", "--run-dir", directory, "--events", events, "--collector", results,
                                stdin=b"".join(b"%d\n" % n for n in numbered))
            self.assertEqual(broker.code(), 0, broker.err)
        self.each_has_one_outcome(peers["collector"].lines, 100)
        for role, running in peers.items():
            running.signal(signal.SIGTERM)
            self.assertEqual(running.code(), 0, f"{role}: {running.err}")

    def test_a_collector_that_seems_older_than_the_one_before_takes_its_place_and_says_so(self):
        results = f"ipc://{self.path('results')}"
        broker = self.ready("broker", "--source", "stdin", "--collector", results, stdin="pipe")
        self.ready("worker", "--name", "w1", "--handler", "echo", "--collector", results)
        lines = []
        for directory, numbered in ((self.started_later("collector"), range(1, 51)), (self.path("now"), range(51, 101))):
            collector = self.ready("collector", "--run-dir", directory, "--results", results, "--broker",
                                   broker.endpoints["events"])
            broker.feed(b"".join(b"%d\n" % n for n in numbered))
            collector.writes(50)
            self.broker_until(lambda b: b["tasks"]["in_flight"] == 0, "all to be settled")
            if 51 in numbered:
                collector.says("incarnation_raised")
            else:
                collector.signal(signal.SIGTERM)
                self.assertEqual(collector.code(), 0, collector.err)
            lines += collector.lines
        broker.end_of_input()
        self.assertEqual(broker.code(), 0, broker.err)
        self.each_has_one_outcome(lines, 100)


class DeadLetters(FaultTest):
    def letters(self, name="dead"):
        with open(self.path(name), encoding="utf-8") as file:
            return {letter["seq"]: letter for letter in map(json.loads, file)}

    def test_they_tell_what_was_tried_and_what_was_asked(self):
        command = 'read m; case "$m" in bad) echo no >&2; exit 3;; hopeless) exit 9;; *) echo "$m";; esac'
        launch = self.launch("--run-dir", self.run_dir, "--workers", "2", "--slots", "4", "--attempts", "2", "--fanout", "2", "--hedge",
                             "10s", "--reject-exit", "9", "--dead-letters", self.path("dead"), "--output",
                             self.path("out"), "--", "sh", "-c", command, stdin="pipe")
        self.workers_are_ready(2)
        launch.feed(b"good\nbad\nhopeless\n")
        launch.end_of_input()
        tasks, _ = self.ends_well(launch, code=1)
        self.assertEqual((tasks["completed"], tasks["failed"]), (1, 2))
        with open(self.path("out"), encoding="utf-8") as file:
            self.assertEqual(file.read(), "good\n")
        letters = self.letters()
        self.assertEqual({seq: letter["message"] for seq, letter in letters.items()}, {2: "bad", 3: "hopeless"})
        self.assertEqual([past["end"] for past in letters[2]["history"]], ["failed", "failed"])
        self.assertEqual(len({past["worker"] for past in letters[2]["history"]}), 2, "the second attempt goes elsewhere")
        self.assertEqual((letters[3]["attempts"], letters[3]["attempt"]), (1, 1), "no second attempt of what was rejected")

    def test_ten_poisonous_messages_of_both_kinds_are_dead_letters_and_the_good_ones_complete(self):
        """Five kill their worker, twice and no more, five always fail. Each worker that died waits longer for its restart."""
        poison, workers = [word for word in ("kill", "fail") for _ in range(5)], 5
        messages = [f"{word}{n}" for n, word in enumerate(poison)]
        random.Random(SEED).shuffle(messages)
        messages = [message for n, one in enumerate(messages) for message in (*(f"good{20 * n + i}" for i in range(20)), one)]
        work = ('read m; case "$m" in kill*) read -r _ _ _ up _ </proc/$PPID/stat; kill -9 "$up"; exec sleep 100;; '
                'fail*) echo "no $m" >&2; exit 3;; esac; echo "$m"')
        launch = self.launch("--run-dir", self.run_dir, "--workers", str(workers), "--fanout", "1", "--attempts", "2", "--json",
                             "--dead-letters", self.path("dead"), "--", "sh", "-c", work,
                             stdin="".join(f"{message}\n" for message in messages).encode(),
                             environment={"CURFEW_POISON": "2"})
        tasks, attempts = self.ends_well(launch, code=1)
        self.assertEqual((tasks["completed"], tasks["failed"], tasks["expired"]), (200, 10, 0), f"seed {SEED}")
        self.assertEqual(sorted(json.loads(line)["result"] for line in launch.lines),
                         sorted(message for message in messages if message.startswith("good")))
        letters = self.letters()
        self.assertEqual({seq: letter["message"] for seq, letter in letters.items()},
                         {n: message for n, message in enumerate(messages, 1) if not message.startswith("good")})
        for letter in letters.values():
            kills = letter["message"].startswith("kill")
            self.assertIn("killed 2 workers" if kills else f"no {letter['message']}", letter["error"])
            # One that waited in a worker which another message killed is lost with it, and is not blamed.
            ends = collections.Counter(past["end"] for past in letter["history"])
            self.assertEqual(ends["failed"], 0 if kills else 2, letter)
            self.assertGreaterEqual(ends["lost"], 2 if kills else 0, letter)
            self.assertEqual(ends["lost"] + ends["failed"], len(letter["history"]), letter)
        self.assertEqual(attempts["failed"], 10)
        waits = {f"w{n}": re.findall(rf"^launch: w{n} \(pid \d+\) died \(SIGKILL\), starting it again in (\S+ m?s)$", launch.err,
                                     re.MULTILINE) for n in range(1, workers + 1)}
        self.assertEqual(sum(map(len, waits.values())), 10, launch.err)
        for name, words in waits.items():
            self.assertEqual(words, ["100 ms", "200 ms", "400 ms", "800 ms"][:len(words)], name)

    def test_a_file_of_dead_letters_that_cannot_be_written_is_74(self):
        launch = self.launch("--dead-letters", self.path("no", "such", "folder"), "--handler", "echo", stdin=b"1\n")
        self.assertEqual(launch.code(), 74, launch.err)
        self.assertIn("--dead-letters: cannot write", launch.err)


if __name__ == "__main__":
    unittest.main()

"""What a race promises, with the real processes: each message one outcome, losers called home for real, books balanced.

Through scripts/launch where a user would, with processes started one by one where their order or endpoints matter.
"""

import json
import os
import signal
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))

from peers import Peers  # noqa: E402
import zmq  # noqa: E402
from group import BIN_DIR, GroupTest, attempts_running, eventually, numbers  # noqa: E402


class Race(GroupTest):
    def test_ten_thousand_messages_come_out_once_each_and_the_books_balance(self):
        launch = self.launch("--workers", "4", "--fanout", "3", "--handler", "sleep:exp:2ms", stdin=numbers(10_000))
        tasks, attempts = self.ends_well(launch)
        self.assertEqual(sorted(map(int, launch.lines)), list(range(1, 10_001)))
        self.assertEqual((tasks["all"], tasks["completed"]), (10_000, 10_000))
        self.assertEqual(attempts["won"], 10_000)
        self.assertGreater(attempts["all"], 20_000, "a race starts the others too")
        self.assertLessEqual(attempts["all"], 30_000)
        self.assertEqual((attempts["failed"], attempts["expired"], attempts["lost"]), (0, 0, 0))

    def test_the_order_of_the_messages_is_kept_when_asked_for(self):
        launch = self.launch("--workers", "3", "--keep-order", "--handler", "sleep:exp:5ms", stdin=numbers(500))
        self.ends_well(launch)
        self.assertEqual(launch.lines, [str(n) for n in range(1, 501)])

    def test_json_outcomes_have_all_their_fields(self):
        launch = self.launch("--workers", "2", "--json", "--handler", "sleep:1ms", stdin=b"one\ntwo\n")
        self.ends_well(launch)
        outcomes = {outcome["seq"]: outcome for outcome in map(json.loads, launch.lines)}
        self.assertEqual({seq: outcome["result"] for seq, outcome in outcomes.items()}, {1: "one", 2: "two"})
        for outcome in outcomes.values():
            self.assertEqual(list(outcome), ["seq", "id", "outcome", "result", "worker", "pool", "attempt", "attempts", "latency_us"])
            self.assertEqual((outcome["id"], outcome["outcome"], outcome["pool"]), (None, "completed", "default"))
            self.assertIn(outcome["worker"], ("w1", "w2"))
            self.assertIn(outcome["attempt"], (1, 2))
            self.assertLessEqual(outcome["attempt"], outcome["attempts"])
            self.assertGreaterEqual(outcome["latency_us"], 1000)

    def test_a_hedge_starts_far_fewer_attempts_than_a_race(self):
        extra = {}
        for hedge in ("0", "300ms"):
            launch = self.launch("--workers", "4", "--fanout", "2", "--hedge", hedge, "--handler", "sleep:tail:1ms:1500ms:1%",
                                 stdin=numbers(1500))
            tasks, attempts = self.ends_well(launch)
            self.assertEqual(tasks["completed"], 1500)
            extra[hedge] = attempts["all"] - 1500
        self.assertGreater(extra["0"], 300, "before all workers are there a task may be done by one")
        self.assertGreater(extra["300ms"], 0, "some were slow")
        self.assertLess(extra["300ms"], extra["0"] / 3)

    def test_the_attempts_of_one_task_run_on_different_workers(self):
        launch = self.launch("--run-dir", self.run_dir, "--workers", "3", "--fanout", "3", "--slots", "2", "--json", "--", "sh", "-c",
                             "sleep 0.01; exit 1", stdin="pipe")
        self.workers_are_ready(3)
        launch.feed(numbers(2))  # as many as the slots of each worker: nobody waits for a place
        launch.end_of_input()
        self.ends_well(launch, code=1)
        for outcome in map(json.loads, launch.lines):
            self.assertEqual(sorted(past["worker"] for past in outcome["history"]), ["w1", "w2", "w3"])


class CallingHome(GroupTest):
    """One worker is quick, the other would sleep for a quarter of an hour: its work is called home a hundred times."""

    SLOTS = 3

    def race_against(self, slow):
        self.write("quick", f'read m; while [ "$m" = first ] && ! [ -e {self.path("go")} ]; do sleep 0.01; done\n'
                            'sleep 0.005; echo $m')
        launch = self.launch_procfile(
            "broker: curfew-broker --source stdin --fanout 2",
            f"slow: curfew-worker --slots {self.SLOTS} --pool slow --grace 200ms -- {slow}",
            f"quick: curfew-worker --slots 2 --pool quick -- sh {self.path('quick')}",
            "collector: curfew-collector", stdin="pipe")
        self.workers_are_ready(2)
        launch.feed(b"first\n")
        eventually(lambda: attempts_running(self.sleep), "the slow work")
        self.write("go", "")
        launch.feed(numbers(99))
        launch.end_of_input()
        most = 0

        def is_over():
            nonlocal most
            most = max(most, len(attempts_running(self.sleep)))
            return not launch.alive
        eventually(is_over, "the end of the group, long before its slow work would end")
        tasks, attempts = self.ends_well(launch)
        self.assertEqual(sorted(launch.lines), sorted(["first", *map(str, range(1, 100))]))
        self.assertEqual((tasks["completed"], attempts["won"], attempts["failed"], attempts["lost"]), (100, 100, 0, 0))
        self.assertGreaterEqual(attempts["cancelled"], 1)
        self.assertLessEqual(most, self.SLOTS, "a slot was given away before its work was over")
        self.nothing_runs(self.sleep)

    def test_a_loser_that_sleeps_is_called_home(self):
        self.race_against(f"sleep {self.sleep}")

    def test_losers_in_sessions_of_their_own_are_called_home(self):
        self.race_against(f"sh -c 'setsid --fork sleep {self.sleep}; setsid --wait sleep {self.sleep}'")

    def test_losers_that_trap_term_are_killed_after_grace(self):
        self.race_against(f"""sh -c 'trap "" TERM INT HUP; sleep {self.sleep}; sleep {self.sleep}'""")

    def test_what_a_winner_leaves_in_the_background_goes_with_it(self):
        launch = self.launch("--workers", "2", "--", "sh", "-c", f"sleep {self.sleep} >/dev/null 2>&1 & echo done", stdin=numbers(5))
        self.ends_well(launch)
        self.assertEqual(launch.lines, ["done"] * 5)
        self.nothing_runs(self.sleep)


class Endings(GroupTest):
    """Outcomes other than completed, and their exit code."""

    def outcomes(self, launch):
        return [json.loads(line) for line in launch.lines]

    def test_past_the_deadline_a_task_settles_expired_and_its_work_ends(self):
        launch = self.launch("--workers", "2", "--json", "--deadline", "300ms", "--slots", "3", "--", "sleep", self.sleep,
                             stdin=numbers(3))
        tasks, attempts = self.ends_well(launch, code=1)
        self.assertEqual((tasks["expired"], attempts["expired"]), (3, attempts["all"]))
        for outcome in self.outcomes(launch):
            self.assertEqual((outcome["outcome"], outcome["error"]), ("expired", "deadline exceeded: 300ms"))
            self.assertGreaterEqual(outcome["latency_us"], 300_000)
            self.assertLess(outcome["latency_us"], 20_000_000, "the work would take 1000 s")
        self.nothing_runs(self.sleep)

    def test_a_deadline_cuts_off_a_built_in_handler_too(self):
        launch = self.launch("--workers", "2", "--deadline", "200ms", "--handler", "sleep:100s", stdin=numbers(50))
        tasks, _ = self.ends_well(launch, code=1)
        self.assertEqual((tasks["expired"], launch.out), (50, b""))

    def test_work_that_always_fails_settles_failed_with_its_history(self):
        launch = self.launch("--workers", "2", "--fanout", "2", "--json", "--", "sh", "-c", "echo why >&2; exit 7", stdin=numbers(4))
        tasks, attempts = self.ends_well(launch, code=1)
        self.assertEqual((tasks["failed"], attempts["failed"]), (4, 8))
        for outcome in self.outcomes(launch):
            self.assertEqual(outcome["outcome"], "failed")
            self.assertIn("exit code 7", outcome["error"])
            self.assertIn("why", outcome["error"])
            self.assertEqual([past["end"] for past in outcome["history"]], ["failed", "failed"])

    def test_more_attempts_than_the_fanout_may_fail_before_one_completes(self):
        work = 'if [ "$CURFEW_ATTEMPT" -lt 4 ]; then exit 1; fi; echo at last'
        launch = self.launch("--workers", "2", "--fanout", "1", "--attempts", "5", "--", "sh", "-c", work, stdin=b"x\n")
        tasks, attempts = self.ends_well(launch)
        self.assertEqual((launch.lines, attempts["failed"], attempts["won"]), (["at last"], 3, 1))

    def test_a_rejection_settles_the_task_and_calls_the_others_home(self):
        work = f'if [ "$CURFEW_ATTEMPT" = 1 ]; then sleep 0.2; exit 9; fi; exec sleep {self.sleep}'
        launch = self.launch("--workers", "2", "--slots", "3", "--json", "--reject-exit", "9", "--", "sh", "-c", work,
                             stdin=numbers(3))
        tasks, attempts = self.ends_well(launch, code=1)  # long before the others' work would end
        self.assertEqual((tasks["failed"], attempts["failed"]), (3, 3))
        self.assertEqual(attempts["cancelled"], attempts["all"] - 3)
        self.assertEqual([outcome["outcome"] for outcome in self.outcomes(launch)], ["failed"] * 3)
        self.nothing_runs(self.sleep)


class OverZeroMQ(GroupTest):
    def setUp(self):
        super().setUp()
        self.peers = Peers()
        self.addCleanup(self.peers.close)
        self.environment["CURFEW_HEARTBEAT"] = "200ms"

    def test_messages_pushed_over_tcp_come_out_of_a_pull_and_a_drain_ends_it(self):
        pull = self.peers.socket(zmq.PULL, bind="tcp://127.0.0.1:*")
        self.ready("collector", "--sink", "zmq:" + pull.last_endpoint.decode().rstrip("\0"))
        for name in ("w1", "w2"):
            self.ready("worker", "--name", name, "--handler", "sleep:exp:2ms")
        broker = self.ready("broker", "--source", "zmq:tcp://127.0.0.1:*", "--fanout", "2")
        self.assertRegex(broker.endpoints["source"], r"^tcp://127\.0\.0\.1:\d+$")
        pushes = [self.peers.socket(zmq.PUSH, connect=broker.endpoints["source"]) for _ in range(2)]
        for n in range(2000):
            pushes[n % 2].send(b"message %d" % n)
        results = sorted(pull.recv() for _ in range(2000))
        self.assertEqual(results, sorted(b"message %d" % n for n in range(2000)))
        code, out, _ = self.monitor("--json", "drain")
        self.assertEqual((code, json.loads(out)["ok"]), (0, True))
        self.assertEqual(broker.code(), 0)
        with self.assertRaises(zmq.Again):
            pull.recv(zmq.DONTWAIT)

    def test_a_drain_finishes_what_is_in_flight_and_takes_nothing_new(self):
        self.ready("collector", "--sink", "file:" + self.path("sink"), "--format", "json")
        self.ready("worker", "--slots", "20", "--", "sh", "-c", 'until [ -e "$TEST_HOME/go" ]; do sleep 0.01; done; cat')
        broker = self.ready("broker", "--source", f"zmq:ipc://{self.path('ingest.sock')}", "--deadline", "none")
        self.workers_are_ready(1)
        push = self.peers.socket(zmq.PUSH, connect=broker.endpoints["source"])
        for n in range(20):
            push.send(b"%d" % n)
        self.broker_until(lambda b: b["tasks"]["in_flight"] == 20, "all 20 to be in flight")
        code, out, _ = self.monitor("--json", "drain")
        self.assertEqual((code, json.loads(out)["tasks_in_flight"]), (0, 20))
        self.write("go", "")
        self.assertEqual(broker.code(), 0)
        with open(self.path("sink")) as sink:
            self.assertEqual(sorted(json.loads(line)["seq"] for line in sink), list(range(1, 21)))

    def test_producers_that_leave_at_once_are_heard_to_their_last_message(self):
        """Each has gone while most of what it sent is still in the kernel, and the window is full."""
        producers, each = 20, 1000
        self.ready("collector", "--sink", "file:" + self.path("sink"))
        self.ready("worker", "--handler", "echo")
        broker = self.ready("broker", "--source", f"zmq:ipc://{self.path('ingest.sock')}", "--fanout", "1", "--window", "16")
        for producer in range(producers):
            with zmq.Context() as context, context.socket(zmq.PUSH) as push:
                push.connect(broker.endpoints["source"])
                for n in range(each):
                    push.send(b"%d %d" % (producer, n))
        self.broker_until(lambda b: b["tasks"]["completed"] == producers * each, "all to be completed")
        self.assertEqual((self.monitor("drain")[0], broker.code()), (0, 0))
        with open(self.path("sink")) as sink:
            self.assertEqual(sorted(sink), sorted(f"{producer} {n}\n" for producer in range(producers) for n in range(each)))


class StartOrders(GroupTest):
    """Who comes first must not matter."""

    def setUp(self):
        super().setUp()
        self.environment["CURFEW_HEARTBEAT"] = "200ms"

    def starts(self):
        return {"broker": lambda: self.ready("broker", "--source", "stdin", stdin=numbers(200)),
                "collector": lambda: self.ready("collector", "--format", "json"),
                "worker": lambda: self.ready("worker", "--name", "w1", "--handler", "sleep:exp:1ms")}

    def check_order(self, *order):
        starts = self.starts()
        running = {role: starts[role]() for role in order}
        self.assertEqual(running["broker"].code(), 0, running["broker"].err)
        self.assertEqual(sorted(json.loads(line)["seq"] for line in running["collector"].lines), list(range(1, 201)))
        for role in ("collector", "worker"):
            running[role].signal(signal.SIGTERM)
            self.assertEqual(running[role].code(), 0)

    def test_broker_collector_worker(self):
        self.check_order("broker", "collector", "worker")

    def test_broker_worker_collector(self):
        self.check_order("broker", "worker", "collector")

    def test_collector_broker_worker(self):
        self.check_order("collector", "broker", "worker")

    def test_collector_worker_broker(self):
        self.check_order("collector", "worker", "broker")

    def test_worker_broker_collector(self):
        self.check_order("worker", "broker", "collector")

    def test_worker_collector_broker(self):
        self.check_order("worker", "collector", "broker")

    def test_a_broker_without_workers_says_that_it_waits_and_goes_on_when_they_come(self):
        starts = self.starts()
        collector, broker = starts["collector"](), starts["broker"]()
        broker.says("waiting for=workers")
        starts["worker"]()
        self.assertEqual(broker.code(), 0)
        self.assertEqual(len(collector.lines), 200)

    def test_a_broker_without_a_collector_says_that_it_waits_and_goes_on_when_it_comes(self):
        starts = self.starts()
        broker, _ = starts["broker"](), starts["worker"]()
        broker.says("waiting for=collector")
        collector = starts["collector"]()
        self.assertEqual(broker.code(), 0)
        self.assertEqual(len(collector.lines), 200)


class FunctionWorker(GroupTest):
    """A worker around a C++ function: examples/function counts primes."""

    def launch_primes(self, messages, *broker):
        return self.launch_procfile(f"broker: curfew-broker --source stdin --fanout 2 {' '.join(broker)}",
                                    "left: curfew-example-worker --slots 2", "right: curfew-example-worker --slots 2",
                                    "collector: curfew-collector --format json", stdin=messages)

    def test_answers_come_from_the_function_and_a_rejection_is_final(self):
        launch = self.launch_primes(b"10\n100\n1000\nmany\n")
        tasks, attempts = self.ends_well(launch, code=1)
        outcomes = {outcome["seq"]: outcome for outcome in map(json.loads, launch.lines)}
        self.assertEqual([outcomes[seq].get("result") for seq in (1, 2, 3, 4)], ["4", "25", "168", None])
        self.assertEqual(outcomes[4]["outcome"], "failed")
        self.assertIn("not a whole number", outcomes[4]["error"])
        self.assertEqual((tasks["completed"], tasks["failed"]), (3, 1))

    def test_a_function_that_looks_at_its_stop_token_obeys_the_deadline(self):
        launch = self.launch_primes(b"200000000\n", "--deadline", "100ms")
        tasks, _ = self.ends_well(launch, code=1)
        self.assertEqual(tasks["expired"], 1)


if __name__ == "__main__":
    unittest.main()

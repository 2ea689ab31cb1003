"""launch --halt and --delay: a batch that is not worth its work ends early, and says where to go on; tasks that start apart."""

import os
import re
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))

from group import GroupTest, eventually, numbers, processes_running  # noqa: E402

INCOMPLETE, USAGE, LEFT = 1, 64, 75
ONE_AT_A_TIME = ("--workers", "1", "--fanout", "1", "--attempts", "1", "--slots", "1", "--window", "1")


class HaltTest(GroupTest):
    def halts(self, launch, tasks, code=LEFT):
        self.assertEqual(launch.code(), code, launch.err[-2000:])
        self.assertEqual(re.findall(r"^launch: (\d+) tasks? did not complete: --halt$", launch.err, re.M), [str(tasks)], launch.err)
        return self.books(launch)


class Soon(HaltTest):
    def test_nothing_new_is_taken_and_what_is_in_flight_is_finished(self):
        work = ("--", "sh", "-c", f'read -r n; case $n in 1) until [ -e {self.path("go")} ]; do sleep 0.01; done; echo $n;; *) exit 3;; esac')
        launch = self.launch("--run-dir", self.run_dir, "--halt", "soon,fail=2", "--workers", "2", "--slots", "1", "--fanout", "1",
                             "--window", "2", *work, stdin=numbers(100))
        eventually(lambda: self.snapshot().get("halted") == 2, "a broker that halts")
        self.assertTrue(self.answer()["draining"])
        self.write("go", "")
        tasks, _ = self.halts(launch, 2)
        self.assertEqual((tasks["completed"], tasks["in flight"]), (1, 0), launch.err)
        self.assertEqual(launch.lines, ["1"])
        self.assertRegex(launch.err, r"the input was not at its end: .* go on at line \d+")
        self.assertNotIn("died", launch.err)

    def test_where_all_had_been_taken_nothing_is_left(self):
        launch = self.launch("--halt", "soon,fail=2", *ONE_AT_A_TIME, "--handler", "fail", stdin=numbers(2))
        self.assertEqual(launch.code(), INCOMPLETE, launch.err)

    def test_a_share_is_of_what_has_its_outcome_and_counts_from_the_third_on(self):
        launch = self.launch("--halt", "soon,fail=100%", *ONE_AT_A_TIME, "--handler", "fail", stdin=numbers(10))
        tasks, _ = self.halts(launch, 3)
        self.assertEqual(tasks["failed"], 3)
        work = ("--", "sh", "-c", 'read -r n; [ $((n % 5)) -ne 0 ] && echo $n')
        launch = self.launch("--halt", "soon,fail=21%", *ONE_AT_A_TIME, *work, stdin=numbers(40))
        self.assertEqual(self.ends_well(launch, INCOMPLETE)[0]["failed"], 8)
        launch = self.launch("--halt", "soon,fail=20%", *ONE_AT_A_TIME, *work, stdin=numbers(40))
        self.assertEqual(self.halts(launch, 3)[0]["all"], 15)

    def test_what_failed_less_often_ends_as_ever(self):
        launch = self.launch("--halt", "now,fail=3", *ONE_AT_A_TIME, "--", "sh", "-c", "read -r n; [ $n -gt 2 ]", stdin=numbers(9))
        tasks, _ = self.ends_well(launch, INCOMPLETE)
        self.assertEqual((tasks["completed"], tasks["failed"]), (7, 2))
        self.assertNotIn("--halt", launch.err)


class Now(HaltTest):
    def test_what_is_in_flight_is_stopped_and_left(self):
        launch = self.launch("--halt", "now,fail=1", "--workers", "2", "--slots", "1", "--fanout", "1", "--deadline", "none", "--",
                             "sh", "-c", f'read -r n; [ "$n" = 1 ] && exec sleep {self.sleep}; '
                                         f'until [ -e {self.path("go")} ]; do sleep 0.01; done; exit 3', stdin=numbers(50))
        eventually(lambda: processes_running(self.sleep), "work that would not end")
        self.write("go", "")
        tasks, _ = self.halts(launch, 1)
        self.assertGreaterEqual(tasks["in flight"], 1)
        self.assertIn("left without an outcome", launch.err)
        self.assertNotIn("died", launch.err)
        self.nothing_runs(self.sleep)

    def test_what_expired_counts_too(self):
        launch = self.launch("--halt", "now,fail=1", "--workers", "1", "--fanout", "1", "--deadline", "50ms", "--", "sleep", self.sleep,
                             stdin=numbers(1000))
        self.assertEqual(launch.code(), LEFT, launch.err)
        self.assertRegex(launch.err, r"launch: \d+ tasks? did not complete: --halt")
        self.nothing_runs(self.sleep)

    def test_where_nothing_is_left_the_code_is_as_ever(self):
        launch = self.launch("--halt", "now,fail=1", *ONE_AT_A_TIME, "--handler", "fail", stdin=numbers(1))
        self.assertEqual(launch.code(), INCOMPLETE, launch.err)


class Resumed(HaltTest):
    def test_the_same_command_goes_on_behind_what_did_not_complete(self):
        for when in ("now", "soon"):
            with self.subTest(when):
                source = self.write(f"in.{when}", numbers(9))
                words = ("--resume", "--input", source, "--output", self.path(f"out.{when}"), "--halt", f"{when},fail=3", *ONE_AT_A_TIME,
                         "--", "sh", "-c", "read -r n; [ $n -gt 6 ] && echo $n")
                for _ in range(2):
                    launch = self.launch(*words)
                    self.halts(launch, 3)
                    self.assertIn("launch: the same command goes on from here", launch.err)
                self.assertEqual(self.launch(*words).code(), 1, "what did not complete before counts")
                with open(self.path(f"out.{when}")) as file:
                    self.assertEqual(file.read(), "7\n8\n9\n")


class Delay(GroupTest):
    def test_the_second_task_waits_for_it_and_a_drain_does_not(self):
        launch = self.launch("--run-dir", self.run_dir, "--delay", "1000h", "--handler", "echo", stdin=numbers(5))
        launch.writes(1)
        stats = self.broker_until(lambda broker: broker["tasks"]["completed"] == 1, "the first task to be completed")
        self.assertEqual((stats["tasks"]["accepted"], stats["source"]["ended"]), (1, False))
        self.assertEqual(self.monitor("drain")[0], 0)
        self.assertEqual(launch.code(), LEFT, launch.err)
        self.assertIn("go on at line 2, byte offset 2", launch.err)

    def test_nobody_waits_behind_the_last_task(self):
        launch = self.launch("--delay", "1000h", "--handler", "echo", stdin=b"one\n")
        self.ends_well(launch)
        launch = self.launch("--run-dir", self.run_dir, "--delay", "1000h", "--handler", "echo", stdin="pipe")
        launch.feed(b"one\n")
        launch.writes(1)
        launch.end_of_input()
        self.ends_well(launch)

    def test_a_short_one_holds_nothing_up_for_good(self):
        launch = self.launch("--delay", "1ms", "--handler", "echo", stdin=numbers(20))
        self.assertEqual(self.ends_well(launch)[0]["completed"], 20)


class BadInput(GroupTest):
    def test_what_is_no_halt_and_no_delay_is_refused(self):
        for flag, values in (("--halt", ("later", "later,fail=3", "now", "soon,", "now,fail=0", "soon,fail=0%", "now,fail=101%", "now,fail=",
                                         "now,fail=-1", "now,fail=1.5", "now,success=1", "now,fail=3,fail=4", "", "NOW,fail=1")),
                             ("--delay", ("1", "-1s", "1 s", "", "x", "99999h"))):
            for value in values:
                with self.subTest(flag=flag, value=value):
                    launch = self.launch(f"{flag}={value}", "--handler", "echo")
                    self.assertEqual((launch.code(), launch.out), (USAGE, b""), launch.err)
                    self.assertEqual(launch.err.count("\n"), 1, launch.err)
                    self.assertIn(flag, launch.err)


if __name__ == "__main__":
    unittest.main()

"""What scripts/launch.py promises, against stand-ins for curfew's binaries: exit codes, books, restarts, signals, ends.
"""

import os
import shutil
import signal
import subprocess
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))

import stand_ins  # noqa: E402
from stand_ins import (children_of, eventually, is_gone, is_guard, page_bytes,  # noqa: E402
                       LAUNCH, LaunchTest, page, PATIENCE, PYTHON)
from launch_lib import books  # noqa: E402
from launch_lib.member import Deaths  # noqa: E402
from launch_lib.signals import ONE_STOP, Stops  # noqa: E402


class ExitCodesAndBooks(LaunchTest):
    def test_all_tasks_completed_is_0_and_ends_with_the_books(self):
        self.script("broker", *[[["file", f"start.{name}.0"] for name in ("w1", "w2", "collector")]
                                + [["books", page((1000, 0, 0, 0), attempts=(1000, 31, 1081, 0, 0, 0))], ["exit", 0]]])
        launch = self.start_quick(workers=2)
        self.assertEqual(self.code(launch), 0)
        self.assertEqual(
            self.err(launch),
            "tasks     1000 = 1000 completed + 0 failed + 0 expired + 0 cancelled + 0 in flight\n"
            "attempts  2112 = 1000 won + 31 late + 1081 cancelled + 0 failed + 0 expired + 0 lost + 0 in flight\n")
        for name in ("w1", "w2", "collector"):
            self.assertTrue(os.path.exists(self.path(f"term.{name}")), name)

    def test_quiet_says_nothing(self):
        self.broker_ends_with(0, tasks=(3, 0, 0, 0))
        launch = self.start_quick("--quiet")
        self.assertEqual((self.code(launch), self.err(launch)), (0, ""))

    def test_a_task_that_did_not_complete_is_1(self):
        self.broker_ends_with(0, tasks=(5, 0, 1, 0))
        self.assertEqual(self.code(self.start_quick()), 1)
        for tasks in ((5, 1, 0, 0), (5, 0, 0, 1)):
            self.assertEqual(books.exit_code(books.Ending(), books.decode(page_bytes(page(tasks))), True), 1)

    def test_refused_messages_are_1_and_are_said(self):
        self.broker_ends_with(0, tasks=(5, 0, 0, 0), refused=3)
        launch = self.start_quick()
        self.assertEqual(self.code(launch), 1)
        self.assertTrue(self.err(launch).endswith("\nrefused   3 messages over --max-message, of the failed\n"))

    def test_books_that_do_not_balance_are_70(self):
        self.broker_ends_with(0, tasks=(5, 0, 0, 0), started=4)
        launch = self.start_quick()
        self.assertEqual(self.code(launch), 70)
        self.assertIn("launch: the books do not balance\n", self.err(launch))
        found = books.decode(page_bytes(page((5, 0, 0, 0), accepted=6)))
        self.assertEqual(books.exit_code(books.Ending(), found, True), 70)

    def test_a_broker_without_books_is_70(self):
        self.script("broker", [["exit", 0]])
        launch = self.start_quick()
        self.assertEqual((self.code(launch), self.err(launch)), (70, "launch: the broker left no books\n"))

    def test_messages_without_an_outcome_are_75(self):
        self.broker_ends_with(0, tasks=(5, 0, 0, 0), in_flight=2, left=1)
        launch = self.start_quick("--quiet")
        self.assertEqual(self.code(launch), 75)
        self.assertIn("launch: 3 messages left without an outcome (2 in flight, 1 not accepted)\n", self.err(launch))

    def test_what_is_left_of_the_input_counts_and_what_was_in_flight_is_named(self):
        unknown = 2**64 - 1
        for rest, said in (
            ({"rest": books.REST_LINES, "rest_messages": 90, "rest_bytes": 270},
             ("92 messages left without an outcome (2 in flight, 90 not accepted); the first in flight is message 4",
              "the input was not at its end: 90 messages in 270 bytes left; go on at line 8, byte offset 14 (tail -c +15),"
              " and give what was in flight (2) again")),
            ({"rest": books.REST_RECORDS, "rest_messages": unknown, "rest_bytes": unknown, "left": 1},
             ("3 messages left without an outcome (2 in flight, 1 not accepted), and what else the input holds;"
              " the first in flight is message 4",
              "the input was not at its end: how much is left is not known; go on at message 8, byte offset 14"
              " (tail -c +15), and give what was in flight (2) again")),
            ({"rest": books.REST_ENDLESS}, ("2 messages left without an outcome (2 in flight)",)),
            ({"rest": books.REST_QUEUE}, (
                "2 messages had no outcome: the queue has them again, for other groups or for this one when it is started"
                " again",)),
        ):
            with self.subTest(said=said):
                found = books.decode(page_bytes(page((5, 0, 0, 0), in_flight=2, first_in_flight=4, rest_message=8, rest_byte=14, **rest)))
                self.assertEqual(tuple(books.closing_words(books.Ending(signal=15), found, True)), said)

    def test_what_a_queue_gave_it_has_again(self):
        again = "the queue has it again, for other groups or for this one when it is started again"
        for completed, in_flight, ending, said in (
            (5, 1, books.Ending(signal=15), [f"1 message had no outcome: {again}"]),
            (5, 0, books.Ending(broker_died=True), [f"what was not acknowledged is not lost: {again}"]),
            (0, 0, books.Ending(broker_died=True), [f"what was not acknowledged is not lost: {again}"]),
            (5, 0, books.Ending(), []),
        ):
            with self.subTest(completed=completed, in_flight=in_flight, ending=ending):
                found = books.decode(page_bytes(page((completed, 0, 0, 0), in_flight=in_flight, rest=books.REST_QUEUE)))
                self.assertEqual(books.closing_words(ending, found, True), said)
                self.assertEqual(books.remarks(found), [], "a queue keeps what nobody took")

    def test_64_and_74_of_any_process_end_the_group_with_that_code(self):
        for name, code in (("broker", 64), ("broker", 74), ("w2", 64), ("collector", 74)):
            self.script("broker", [["wait"]])
            self.script(name, [["exit", code]])
            launch = self.start_quick(workers=2)
            self.assertEqual(self.code(launch), code, name)
            self.assertNotIn("starting it again", self.err(launch))
            os.unlink(self.path(f"script.{name}"))

    def test_74_of_the_collector_counts_also_while_the_group_ends(self):
        self.script("collector", [["deaf"], ["touch", "deaf"], ["line", "left broker"], ["exit", 74]])
        self.script("broker", [["file", "deaf"], ["books", page((1, 0, 0, 0))], ["exit", 0]])
        self.assertEqual(self.code(self.start_quick()), 74)

    def test_a_broker_that_dies_ends_the_group_with_75(self):
        for step, name in ((["kill", 9], "SIGKILL"), (["exit", 3], "exit 3")):
            self.script("broker", [["books", page((5, 0, 0, 0), in_flight=7, left=1)], step])
            launch = self.start_quick()
            self.assertEqual(self.code(launch), 75)
            self.assertRegex(self.err(launch), rf"launch: broker \(pid \d+\) died \({name}\): stopping the group\n")
            self.assertIn("launch: 8 messages left without an outcome (7 in flight, 1 not accepted)\n", self.err(launch))

    def test_what_was_read_ahead_of_a_drain_is_said(self):
        self.broker_ends_with(0, tasks=(5, 0, 0, 0), left=3)
        launch = self.start_quick()
        self.assertEqual(self.code(launch), 0)
        self.assertIn("launch: 3 messages read from the input and not accepted any more: give them again\n", self.err(launch))

    def test_a_broker_that_dies_before_its_books_had_accepted_nothing(self):
        for script in ([["kill", 9]], [["books", page((0, 0, 0, 0))], ["kill", 9]]):
            self.script("broker", script)
            launch = self.start_quick()
            self.assertEqual(self.code(launch), 75)
            self.assertIn("launch: the broker died before it had accepted a message: give the whole input again\n"
                          "tasks     0 = ", self.err(launch))

    def test_of_a_broker_in_a_procfile_that_left_no_books_nothing_is_known(self):
        ending = books.Ending(broker_died=True)
        found = books.last_books(ending, None, books_expected=False)  # its run directory may be another one
        self.assertEqual(books.closing_words(ending, found, books_expected=False), ["the broker left no books: how many messages have no outcome is not known"])

    def test_a_broker_that_cannot_be_executed_is_70(self):
        with open(self.path("bin", "curfew-broker"), "w") as file:
            file.write("\x7fno program")
        launch = self.start_quick()
        self.assertEqual(self.code(launch), 70)
        self.assertIn("broker cannot be started", self.err(launch))

    def test_missing_binaries_are_said(self):
        os.unlink(self.path("bin", "curfew-worker"))
        self.assertIn("scripts/bootstrap", self.refuses("--handler", "echo", code=70))

    def test_the_weightier_reason_wins(self):
        ended, balanced = books.Ending, books.decode(page_bytes(page((1, 0, 0, 0))))
        unbalanced = books.decode(page_bytes(page((1, 1, 0, 0), accepted=9, left=1)))
        left = books.decode(page_bytes(page((1, 1, 0, 0), left=1)))
        in_flight = books.decode(page_bytes(page((1, 1, 0, 0), in_flight=1)))
        cases = [(ended(signal=2, process_code=74, cannot_run=True), unbalanced, 130),
                 (ended(process_code=74, cannot_run=True), unbalanced, 74), (ended(cannot_run=True), balanced, 70),
                 (ended(), unbalanced, 70), (ended(broker_died=True), unbalanced, 75), (ended(), in_flight, 75), (ended(), left, 1)]
        for ending, found, code in cases:
            self.assertEqual(books.exit_code(ending, found, True), code)

    def test_a_page_that_is_not_one_is_no_books(self):
        whole = page_bytes(page((1, 0, 0, 0)))
        self.assertIsNotNone(books.decode(whole))
        self.assertIsNone(books.decode(whole[:-1]))
        self.assertIsNone(books.decode(b"X" + whole[1:]))


class TheEnd(LaunchTest):
    """Whether the others are told that it is `over`: that nobody is left to hear them."""

    def lifelines_of(self, launch):
        self.assertEqual(self.code(launch), 0, self.err(launch))
        return {name: self.read(f"heard.{name}").split("\n") for name in ("w1", "collector")}

    def others_wait_for(self, line):
        for name in ("w1", "collector"):
            self.script(name, [["deaf"], ["touch", f"deaf.{name}"], ["line", line], ["exit", 0]])
        return [["file", f"deaf.{name}"] for name in ("w1", "collector")]

    def test_all_are_told_that_it_is_over_once_the_broker_has_drained(self):
        self.script("broker", [*self.others_wait_for("over"), ["books", page((1, 0, 0, 0))], ["exit", 0]])
        for heard in self.lifelines_of(self.start_quick("--grace", "1h")).values():
            self.assertRegex("\n".join(heard), r"left broker \d+ \d+\nover")

    def test_nobody_is_told_so_where_the_broker_did_not_drain(self):
        self.script("broker", [*self.others_wait_for("left broker"), ["books", page((1, 0, 0, 0), state=3)], ["exit", 0]])
        for heard in self.lifelines_of(self.start_quick()).values():
            self.assertNotIn("over", heard)

    def test_nobody_is_told_so_where_there_is_another_broker(self):
        self.script("b1", [*self.others_wait_for("left b1"), ["books", page((1, 0, 0, 0))], ["exit", 0]])
        launch = self.start(self.procfile("b1: curfew-broker", "b2: curfew-broker --run-dir other", "w1: curfew-worker",
                                          "collector: curfew-collector"))
        for heard in self.lifelines_of(launch).values():
            self.assertNotIn("over", heard)


class Restarts(LaunchTest):
    def test_a_worker_that_dies_is_started_again_and_the_others_are_told(self):
        self.script("w1", [["kill", 9]], [["touch", "again"], ["wait"]])
        self.script("broker", [["books", page((1, 0, 0, 0))], ["file", "again"], ["file", "told"], ["line", "died w1"], ["exit", 0]])
        self.script("w2", [["line", "died w1"], ["touch", "told"], ["wait"]])
        launch = self.start_quick(workers=2)
        self.assertEqual(self.code(launch), 0)
        first = self.started("w1")["pid"]
        self.assertIn(f"launch: w1 (pid {first}) died (SIGKILL), starting it again in 100 ms\n", self.err(launch))
        self.assertIn(f"died w1 {first}", self.read("heard.broker"))
        self.assertNotEqual(self.started("w1", 1)["pid"], first)
        self.assertTrue(os.path.exists(self.path("told")), "w2 is told too")
        self.assertNotIn("died w1", self.read("heard.w1"))

    def test_a_collector_that_ends_with_0_or_any_code_is_started_again(self):
        self.script("collector", [["exit", 0]], [["exit", 9]], [["touch", "again"], ["wait"]])
        self.script("broker", [["books", page()], ["file", "again"], ["exit", 0]])
        launch = self.start_quick()
        self.assertEqual(self.code(launch), 0)
        self.assertRegex(self.err(launch), r"collector \(pid \d+\) left \(exit 0\), starting it again in 100 ms\n"
                                           r"launch: collector \(pid \d+\) died \(exit 9\), starting it again in 200 ms\n")

    def test_five_quick_deaths_in_a_row_are_70(self):
        self.script("broker", [["wait"]])
        self.script("w2", [["exit", 3]])
        launch = self.start_quick(workers=2)
        self.assertEqual(self.code(launch), 70)
        err = self.err(launch)
        self.assertEqual([wait for wait in (100, 200, 400, 800, 1600) if f"again in {wait} ms" in err], [100, 200, 400, 800])
        self.assertIn("died (exit 3), 5 times in a row within a second of its start: stopping the group\n", err)

    def test_quiet_does_not_say_restarts_but_says_why_it_ends(self):
        self.script("w1", [["kill", 9]], [["touch", "again"], ["wait"]])
        self.script("broker", [["books", page((1, 0, 0, 0), in_flight=1)], ["file", "again"], ["kill", 6]])
        launch = self.start_quick("--quiet")
        self.assertEqual(self.code(launch), 75)
        self.assertNotIn("w1", self.err(launch))
        self.assertIn("died (SIGABRT)", self.err(launch))

    def test_back_off_doubles_to_5_s_and_starts_anew_after_10_s_alive(self):
        deaths = Deaths()
        self.assertEqual([deaths.count(2.0) for _ in range(8)], [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0])
        self.assertEqual([deaths.count(10.0), deaths.count(2.0)], [0.1, 0.2])

    def test_only_quick_deaths_in_a_row_count(self):
        deaths = Deaths()
        self.assertNotIn(None, [deaths.count(0.5) for _ in range(4)] + [deaths.count(1.0)])
        self.assertEqual([deaths.count(0.5) is None for _ in range(5)], [False] * 4 + [True])


class Signals(LaunchTest):
    def test_the_first_signal_drains_and_the_exit_code_is_as_usual(self):
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            self.script("broker", [["books", page((1, 0, 0, 0), in_flight=56, state=1)], ["touch", "up"], ["line", "drain"],
                                   ["file", "go"], ["books", page((57, 0, 0, 0))], ["exit", 0]])
            launch = self.start_quick(workers=2)
            eventually(lambda: os.path.exists(self.path("up")), "the broker")
            self.started("collector")
            launch.send_signal(number)
            for name in ("broker", "w1", "w2", "collector"):
                self.hears(name, "drain")
            open(self.path("go"), "w").close()
            self.assertEqual(self.code(launch), 0)
            self.assertRegex(self.err(launch), "^launch: draining, 56 in flight; once more to stop now\n(launch: waiting for .*\n)*"
                                               "tasks     57 =")
            for name in os.listdir(self.home):
                if name.startswith(("heard.", "up", "go")):
                    os.unlink(self.path(name))

    def test_one_wish_to_stop_is_one_however_often_it_is_said(self):
        stops = Stops()
        term, hup = signal.SIGTERM, signal.SIGHUP
        self.assertTrue(stops.is_new(term, 100.0))
        stops.begin(100.0, "once more")
        self.assertEqual([stops.is_new(term, 100.0), stops.is_new(hup, 100.05)], [False, False])
        self.assertEqual((stops.take_words(100.09), stops.words_at), ("", 100.0 + ONE_STOP))
        self.assertEqual([stops.take_words(100.2) for _ in range(2)], ["once more", ""])
        self.assertEqual(stops.words_at, None)
        self.assertEqual((stops.is_new(hup, 100.2), stops.is_new(term, 100.25), stops.count), (True, True, 3))

    def test_a_signal_of_another_kind_is_another_wish(self):
        stops = Stops()
        self.assertEqual([stops.is_new(number, 100.0) for number in (signal.SIGTERM, signal.SIGINT)], [True, True])

    def test_signals_together_are_one_and_drain(self):
        """`timeout` tells launch and then its group; HUP comes behind TERM from a service manager."""
        for numbers in ((signal.SIGTERM, signal.SIGTERM), (signal.SIGTERM, signal.SIGHUP), (signal.SIGHUP, signal.SIGHUP)):
            with self.subTest(numbers):
                self.script("broker", [["books", page((1, 0, 0, 0), in_flight=1, state=1)], ["touch", "up"], ["line", "drain"],
                                       ["file", "go"], ["books", page((2, 0, 0, 0))], ["exit", 0]])
                launch = self.start_quick()
                eventually(lambda: os.path.exists(self.path("up")), "the broker")
                self.started("collector")
                for number in numbers:
                    launch.send_signal(number)
                self.says(launch, "draining, 1 in flight; once more to stop now")
                open(self.path("go"), "w").close()
                self.assertEqual(self.code(launch), 0, self.err(launch))
                for name in os.listdir(self.home):
                    if name.startswith(("heard.", "up", "go")):
                        os.unlink(self.path(name))

    def test_while_it_drains_the_dead_are_still_started_again(self):
        self.script("w1", [["line", "drain"], ["kill", 9]], [["touch", "again"], ["wait"]])
        self.script("broker", [["books", page()], ["touch", "up"], ["file", "again"], ["exit", 0]])
        launch = self.start_quick()
        eventually(lambda: os.path.exists(self.path("up")), "the broker")
        launch.terminate()
        self.assertEqual(self.code(launch), 0)

    def test_the_second_signal_stops_now(self):
        for number in (signal.SIGINT, signal.SIGTERM):
            self.script("broker", [["books", page((1, 0, 0, 0), in_flight=2)], ["touch", "up"], ["wait"]])
            launch = self.start_quick()
            eventually(lambda: os.path.exists(self.path("up")), "the broker")
            launch.terminate()
            self.says(launch, "draining, 2 in flight")
            launch.send_signal(number)
            self.assertEqual(self.code(launch), 128 + number)
            self.assertIn("2 messages left without an outcome", self.err(launch))
            self.assertIn("tasks     3 = 1 completed", self.err(launch))
            os.unlink(self.path("up"))

    def test_who_is_deaf_to_term_is_killed_after_grace(self):
        self.script("broker", [["books", page()], ["touch", "up"], ["wait"]])
        self.script("w1", [["deaf"], ["touch", "deaf"], ["wait"]])
        launch = self.start_quick("--grace", "3s")
        for file in ("up", "deaf"):
            eventually(lambda: os.path.exists(self.path(file)), file)
        launch.terminate()
        self.says(launch, "draining")
        launch.terminate()
        self.assertEqual(self.code(launch), 143)
        self.assertIn(f"launch: did not stop in time, killed: w1 (pid {self.started('w1')['pid']})\n", self.err(launch))

    def test_who_is_deaf_to_term_is_named_while_it_is_waited_for(self):
        self.script("w1", [["deaf"], ["touch", "deaf"], ["wait"]])
        self.script("broker", [["file", "deaf"], ["books", page((1, 0, 0, 0))], ["exit", 0]])
        launch = self.start_quick("--grace", "1h")
        self.says(launch, "launch: waiting for the end of w1, for ")
        self.assertRegex(self.err(launch), r"for \d+ s: told to stop; killed in 3[56]\d\d s\n")
        eventually(lambda: launch.poll() is not None or launch.terminate(), "the end: all signals but the first say so")
        self.assertEqual(self.code(launch), 143)

    def test_a_third_signal_ends_the_patience(self):
        self.script("broker", [["deaf"], ["books", page()], ["touch", "up"], ["wait"]])
        launch = self.start_quick("--grace", "1h")
        eventually(lambda: os.path.exists(self.path("up")), "the broker")
        launch.terminate()
        self.says(launch, "draining")
        launch.terminate()
        self.says(launch, "stopping now")
        launch.terminate()
        self.assertEqual(self.code(launch), 143)

    def test_a_stopped_process_holds_nothing_up(self):
        self.script("broker", [["books", page()], ["touch", "up"], ["wait"]])
        launch = self.start_quick("--grace", "1h")
        eventually(lambda: os.path.exists(self.path("up")), "the broker")
        os.kill(self.started("w1")["pid"], signal.SIGSTOP)
        launch.terminate()
        self.says(launch, "draining")
        launch.terminate()
        self.assertEqual(self.code(launch), 143)


class NothingIsLeft(LaunchTest):
    def test_kill_9_of_launch_leaves_no_process(self):
        path = self.procfile("broker: curfew-broker", "w1: curfew-worker", "other: sleep 1000", "many: sleep 1000 | cat")
        self.script("broker", [["deaf"], ["touch", "up"], ["wait"]])
        self.script("w1", [["deaf"], ["touch", "deaf"], ["wait"]])
        launch = self.start(path)
        for file in ("up", "deaf"):
            eventually(lambda: os.path.exists(self.path(file)), file)
        children = eventually(lambda: len(found := children_of(launch.pid)) == 4 and found, "all four processes")
        launch.kill()
        launch.wait()
        for pid in children:
            eventually(lambda: is_gone(pid), f"the end of {pid}")
        for name in ("broker", "w1"):
            self.assertTrue(os.path.exists(self.path(f"eof.{name}")), "deaf to TERM, it went by its lifeline")
        for pid in children_of(os.getpid()):  # the pipeline's ends, which a shell had started
            if not is_guard(pid):
                os.kill(pid, signal.SIGKILL)
        shutil.rmtree(self.private)  # the real broker would clear it

    def test_orphans_in_a_session_of_their_own_are_ended_too(self):
        self.script("w1", [["orphan", "sleep", "1000"], ["wait"]])
        self.script("broker", [["file", "orphan"], ["books", page()], ["exit", 0]])
        launch = self.start_quick()
        self.assertEqual(self.code(launch), 0)
        self.assertTrue(is_gone(int(self.read("orphan"))))

    def test_orphans_that_are_deaf_are_killed(self):
        self.script("w1", [["orphan", "sh", "-c", "trap '' TERM; touch deaf; while :; do read x; sleep 1000; done"], ["wait"]])
        self.script("broker", [["file", "deaf"], ["books", page()], ["exit", 0]])
        launch = self.start_quick("--grace", "10ms")
        self.assertEqual(self.code(launch), 0)
        self.assertTrue(is_gone(int(self.read("orphan"))))

    def test_orphans_that_end_are_reaped_on_the_way(self):
        self.script("w1", [["orphan", "true"], ["wait"]])
        self.script("broker", [["books", page()], ["file", "go"], ["exit", 0]])
        launch = self.start_quick()
        orphan = int(eventually(lambda: self.read("orphan"), "the orphan"))
        eventually(lambda: not os.path.exists(f"/proc/{orphan}"), "its end, and that it was waited for")
        open(self.path("go"), "w").close()
        self.assertEqual(self.code(launch), 0)

    def test_a_stderr_that_nobody_reads_holds_nothing_up(self):
        self.script("broker", [["books", page()], ["exit", 0]])
        reader, writer = os.pipe()
        os.set_blocking(writer, False)
        try:
            while os.write(writer, b"x" * 4096):
                pass
        except BlockingIOError:
            os.set_blocking(writer, True)
        launch = subprocess.Popen([PYTHON, "-E", LAUNCH, "--handler", "echo"], env=self.env, stderr=writer,
                                  stdin=subprocess.DEVNULL, start_new_session=True)
        self.launches.append(launch)
        self.assertEqual(launch.wait(PATIENCE), 0)
        os.close(reader)
        os.close(writer)


def setUpModule():
    stand_ins.set_up()


if __name__ == "__main__":
    unittest.main()

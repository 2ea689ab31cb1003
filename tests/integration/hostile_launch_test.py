"""Launch and the life of its group, attacked: ends that nobody answers, orphans, members that are of no use, deaf work."""

import contextlib
import os
import signal
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "support"))

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))), "scripts"))

from group import GroupTest, command_of, environment_of, eventually, is_over, processes_running, processes_with  # noqa: E402
from launch_lib import guard  # noqa: E402

CGROUP = guard.can_start()
LONG_GRACE = ("--grace", "1m")  # above the patience of a test


class TheEndOfAGroup(GroupTest):
    """Processes as launch runs them, each with a lifeline; the broker or the collector stands still and answers nothing."""

    def member(self, role, *words, **how):
        """Returns the process, and what launch says to it."""
        reader, writer = os.pipe()
        self.addCleanup(os.close, writer)
        running = self.binary(role, *LONG_GRACE, *words, pass_fds=(reader,),
                              environment={"CURFEW_LIFELINE": str(reader), "CURFEW_NAME": role}, **how)
        os.close(reader)
        return running, lambda line: os.write(writer, line + b"\n")

    def ends_when_over(self, running, say):
        say(b"over")
        running.signal(signal.SIGTERM)
        self.assertEqual(running.code(), 0, running.err)

    def stopped(self, running):
        running.signal(signal.SIGSTOP)
        self.addCleanup(running.signal, signal.SIGCONT)

    def test_a_worker_that_hears_it_is_over_waits_for_no_confirmation(self):
        collector = self.ready("collector")
        broker = self.ready("broker", "--fanout", "1", "--deadline", "none", stdin="pipe")
        worker, say = self.member("worker", "--handler", "echo")
        self.workers_are_ready(1)
        self.stopped(collector)
        broker.feed(b"x\n")
        eventually(lambda: self.snapshot("worker").get("held", {}).get("reported"), "a report that nobody confirms")
        self.ends_when_over(worker, say)

    def test_a_collector_that_hears_it_is_over_waits_for_no_acknowledgement(self):
        collector, say = self.member("collector")
        broker = self.ready("broker", "--fanout", "1", "--deadline", "none", stdin="pipe")
        self.ready("worker", "--", "sh", "-c", "touch began; until [ -e go ]; do sleep 0.01; done; cat")
        self.workers_are_ready(1)
        broker.feed(b"x\n")
        eventually(lambda: os.path.exists(self.path("began")), "the work")
        self.stopped(broker)
        self.write("go", "")
        # Something else may wait for its acknowledgement already.
        eventually(lambda: collector.lines == ["x"], "the outcome")
        self.assertGreater(self.snapshot("collector")["unacknowledged"], 0)
        self.ends_when_over(collector, say)

    def test_work_that_still_runs_is_stopped_before_its_worker_ends(self):
        self.ready("collector")
        broker = self.ready("broker", "--fanout", "1", "--deadline", "none", stdin="pipe")
        worker, say = self.member("worker", "--", "sleep", self.sleep)
        self.workers_are_ready(1)
        broker.feed(b"x\n")
        eventually(lambda: processes_running(self.sleep), "the work")
        say(b"over")
        eventually(lambda: self.snapshot("worker"), "a worker that goes on: it was not stopped")
        self.ends_when_over(worker, say)
        self.assertEqual(processes_running(self.sleep), [])


class WorkerAndSupervisorKilledTogether(GroupTest):
    """Work that leaves its session and its parents, when all that would clean up after it is killed at once."""

    ESCAPES = "read -r x; setsid sh -c 'sleep {0} & sleep {0} & wait' & (setsid sleep {0} &) ; sleep {0}"

    def work(self):
        return processes_running(self.sleep)

    def kill_those_above(self, launch):
        """The worker and its supervisor, before either can do anything about the other."""
        worker = self.pid_of("w1")
        supervisor = next(pid for pid in self.supervisors() if environment_of(pid).get("CURFEW_NAME") == "w1")
        for number in (signal.SIGSTOP, signal.SIGKILL):
            for pid in (supervisor, worker):  # the other way, the supervisor might end first, by itself
                os.kill(pid, number)
        launch.says(r"w1 \(pid \d+\) died \(SIGKILL\)")

    def test_their_work_dies_while_the_group_goes_on(self):
        work = f"case $CURFEW_ATTEMPT in 1) {self.ESCAPES.format(self.sleep)};; *) cat;; esac"
        launch = self.launch("--workers", "1", "--fanout", "1", "--run-dir", self.run_dir, "--", "sh", "-c", work, stdin="pipe")
        launch.feed(b"one\n")
        eventually(lambda: len(self.work()) == 4, "the work and what it started")
        self.kill_those_above(launch)
        eventually(lambda: not self.work(), lambda: f"the end of {[(pid, command_of(pid)) for pid in self.work()]}")
        launch.says(r"killed work whose worker and supervisor died: \w+ \(pid \d+, task \d+-1\)")
        launch.writes(1)
        self.assertTrue(launch.alive)
        launch.end_of_input()
        self.ends_well(launch)
        self.assertEqual(launch.lines, ["one"])

    def test_a_stopped_supervisor_does_not_keep_the_work_of_a_dead_worker(self):
        work = f"case $CURFEW_ATTEMPT in 1) {self.ESCAPES.format(self.sleep)};; *) cat;; esac"
        launch = self.launch("--workers", "1", "--fanout", "1", "--run-dir", self.run_dir, "--", "sh", "-c", work, stdin="pipe")
        launch.feed(b"one\n")
        eventually(lambda: len(self.work()) == 4, "the work and what it started")
        worker, supervisor = self.pid_of("w1"), self.supervisors()[0]
        os.kill(supervisor, signal.SIGSTOP)
        os.kill(worker, signal.SIGKILL)
        eventually(lambda: not self.work() and is_over(supervisor), "the end of the supervisor and of its work")
        launch.end_of_input()
        self.ends_well(launch)

    def test_work_that_forks_without_pause_dies_too(self):
        forks = f"setsid sh -c 'while :; do sleep {self.sleep} & sleep 0.01; done' & sleep {self.sleep}"
        launch = self.launch("--workers", "1", "--fanout", "1", "--run-dir", self.run_dir, "--", "sh", "-c",
                             f"case $CURFEW_ATTEMPT in 1) {forks};; *) cat;; esac", stdin="pipe")
        launch.feed(b"one\n")
        eventually(lambda: len(self.work()) > 5, "the work and what it started")
        self.kill_those_above(launch)
        eventually(lambda: not self.work(), lambda: f"the end of {len(self.work())} processes")
        launch.end_of_input()
        self.ends_well(launch)

    def test_work_of_living_supervisors_and_what_a_procfile_left_go_on(self):
        mine, left = self.sleep + "1", self.sleep + "2"
        launch = self.launch_procfile(
            "broker: curfew-broker --fanout 1 --deadline none", "collector: curfew-collector",
            f"w1: curfew-worker -- sh {self.write('doomed.sh', self.ESCAPES.format(self.sleep))}",
            f"w2: curfew-worker -- sh {self.write('good.sh', self.ESCAPES.format(mine))}",
            f"other: sh -c '(setsid sleep {left} &) ; sleep {left}'", stdin="pipe", environment={"CURFEW_TASK": "1-1"})
        self.workers_are_ready(2)
        launch.feed(b"one\ntwo\n")
        for argument, count in ((self.sleep, 4), (mine, 4), (left, 2)):
            eventually(lambda: len(processes_running(argument)) == count, f"{count} processes with {argument}")
        doomed, good = self.work(), processes_running(mine) + processes_running(left)
        self.kill_those_above(launch)
        launch.says("killed work whose worker and supervisor died")
        eventually(lambda: all(map(is_over, doomed)), "the end of the work of the dead")
        self.assertEqual(processes_running(mine) + processes_running(left), good)
        launch.signal(signal.SIGTERM)
        launch.says("draining")
        launch.signal(signal.SIGTERM)
        self.assertEqual(launch.code(), 143)

    def group_of(self, launch):
        """The folder of the cgroup that launch has made, none where it may not."""
        def find():
            try:
                return guard.group_of(launch.pid)
            except OSError:
                return None
        eventually(lambda: self.snapshot(), "the broker, which is started later")
        return find()

    @unittest.skipUnless(CGROUP, "needs cgroup v2, Linux 5.14, and the right to make a group")
    def test_with_launch_and_all_of_its_group_killed_too_nothing_is_left(self):
        work = f"{self.ESCAPES.format(self.sleep)}"
        launch = self.launch("--workers", "1", "--fanout", "1", "--grace", "0ms", "--run-dir", self.run_dir,
                             "--", "sh", "-c", work, stdin=b"one\n")
        eventually(lambda: len(self.work()) == 4, "the work and what it started")
        group = self.group_of(launch)
        self.assertIn(f"curfew-{launch.pid}", group)
        known = [pid for pid in processes_with(self.home) if "curfew" in command_of(pid) or pid == launch.pid]
        known.sort(key=lambda pid: pid not in self.supervisors())  # theirs goes on when its worker dies
        for number in (signal.SIGSTOP, signal.SIGKILL):
            for pid in known:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, number)
        eventually(lambda: not self.work(), lambda: f"the end of {[(pid, command_of(pid)) for pid in self.work()]}")
        eventually(lambda: not os.path.exists(group), f"the removal of {group}")
        launch.code()
        for name in os.listdir(self.run_dir):  # nobody was left to do it
            os.unlink(os.path.join(self.run_dir, name))

    @unittest.skipUnless(CGROUP, "needs cgroup v2, Linux 5.14, and the right to make a group")
    def test_the_cgroup_goes_with_the_group_however_it_ends(self):
        ends = ((0, lambda launch: launch.end_of_input()),
                (75, lambda launch: os.kill(self.pid_of("broker"), signal.SIGKILL)))
        for code, end in ends:
            launch = self.launch("--workers", "1", "--run-dir", self.run_dir, "--handler", "echo", stdin="pipe")
            group = self.group_of(launch)
            self.assertTrue(os.path.isdir(group))
            end(launch)
            self.assertEqual(launch.code(), code, launch.err)
            eventually(lambda: not os.path.exists(group), f"the removal of {group}")


class UselessMembers(GroupTest):
    """Groups that lack what they need, with the real broker and collector."""

    BROKER, COLLECTOR = "broker: curfew-broker --deadline none", "collector: curfew-collector"

    def private_group(self, *lines):
        """In a run directory that nobody is told of."""
        return self.launch(self.write("Procfile", "\n".join(lines) + "\n"), stdin=b"one\ntwo\n")

    def test_a_group_whose_only_worker_was_none_ends_and_says_so(self):
        launch = self.private_group(self.BROKER, self.COLLECTOR, "x: true")
        self.assertEqual(launch.code(), 70, launch.err)
        launch.says(r"there is no worker: no process of this group is one \(x ended with 0, which is not started again\)")

    def test_a_group_without_a_collector_ends_and_says_so(self):
        launch = self.private_group(self.BROKER, "w: curfew-worker --handler echo")
        self.assertEqual(launch.code(), 70, launch.err)
        launch.says("there is no collector: no process of this group is one, and .*'collector: curfew-collector'")

    def test_a_group_without_a_broker_ends_and_says_so(self):
        launch = self.private_group(self.COLLECTOR, "w: curfew-worker --handler echo")
        self.assertEqual(launch.code(), 70, launch.err)
        launch.says("there is no broker: no process of this group is one, and .*'broker: curfew-broker'")

    def test_a_worker_that_ends_with_0_again_and_again_ends_the_group(self):
        launch = self.private_group(self.BROKER, self.COLLECTOR, "w: curfew-worker --version")
        self.assertEqual(launch.code(), 70, launch.err)
        launch.says(r"w \(pid \d+\) left \(exit 0\), 5 times in a row .*: stopping the group; it is to run until it is told to stop")

    def test_a_command_that_is_not_there_ends_the_group_at_its_first_start(self):
        launch = self.private_group(self.BROKER, "w: curfew-worker --handler echo", "c: curfew-colector")
        self.assertEqual(launch.code(), 70, launch.err)
        launch.says(r"c \(pid \d+\) died \(exit 127\): stopping the group; a shell says so of a command that is not there")
        self.assertNotIn("starting it again", launch.err)

    def test_a_group_that_somebody_may_join_waits_and_says_for_what(self):
        launch = self.launch_procfile(self.BROKER, self.COLLECTOR, "x: true", stdin=b"one\n")
        launch.says(r"waiting for a worker, for \d+ s: no process of this group is one that runs")
        self.ready("worker", "--handler", "echo")
        self.ends_well(launch)
        self.assertEqual(launch.lines, ["one"])


class DeafWork(GroupTest):
    """Two workers of the deaf kind: see deaf_worker.cpp. Grace is longer than the test, so nobody is replaced."""

    def deaf_group(self, fanout):
        worker = "curfew-deaf-worker --slots 2 --grace 5m"
        launch = self.launch_procfile(f"broker: curfew-broker --deadline none --fanout {fanout}",
                                      "collector: curfew-collector", f"w1: {worker}", f"w2: {worker}", stdin="pipe")
        self.workers_are_ready(2)
        launch.feed(self.path("listen").encode() + b"\n")
        return launch

    def test_a_group_that_waits_for_it_alone_says_so_at_doubling_intervals(self):
        launch = self.deaf_group(fanout=2)
        launch.end_of_input()
        launch.writes(1)
        said = r"launch: waiting for 1 attempt in flight, for \d+ s: all outcomes are written\n"
        launch.says(f"(?s){said}.*{said}")
        self.assertGreaterEqual(self.answer()["settled_for_s"], 2)
        self.assertIn("waiting for 1 attempt in flight", self.monitor("stats")[1])
        self.write("listen", "")
        self.ends_well(launch)

    def test_a_group_that_waits_for_messages_too_says_nothing(self):
        launch = self.deaf_group(fanout=2)
        launch.writes(1)
        self.assertIsNone(self.broker_until(lambda broker: broker["tasks"]["in_flight"] == 0, "the outcome")["settled_for_s"])
        started = launch.err  # which may have taken its time
        self.write("listen", "")
        self.broker_until(lambda broker: broker["attempts"]["in_flight"] == 0, "the end of the deaf one")
        launch.end_of_input()
        self.ends_well(launch)
        self.assertNotIn("waiting", launch.err.removeprefix(started))

    def test_a_drain_says_which_tasks_it_waits_for(self):
        launch = self.deaf_group(fanout=1)
        self.broker_until(lambda broker: broker["tasks"]["in_flight"] == 1, "the task")
        launch.signal(signal.SIGTERM)
        launch.says(r"launch: waiting for 1 task in flight, for \d+ s: the group drains; once more to stop now\n")
        self.write("listen", "")
        self.ends_well(launch, 75)


class Fanout(GroupTest):
    SAID = "--fanout 3 is above the number of workers: a task has at most 2 attempts at a time"

    def test_one_above_the_number_of_workers_is_said_once(self):
        launch = self.launch("--workers", "2", "--fanout", "3", "--handler", "echo", stdin=b"one\ntwo\n")
        self.ends_well(launch)
        self.assertEqual(launch.err.count(self.SAID), 1, launch.err)
        launch = self.launch_procfile("broker: curfew-broker --fanout 3", "collector: curfew-collector",
                                      *(f"w{n}: curfew-worker --handler echo" for n in (1, 2)), stdin=b"one\n")
        self.ends_well(launch)
        self.assertEqual(launch.err.count(self.SAID), 1, launch.err)

    def test_neither_the_default_nor_one_that_others_may_meet_is_said(self):
        launch = self.launch("--workers", "1", "--handler", "echo", stdin=b"one\n")
        self.ends_well(launch)
        self.assertNotIn("fanout", launch.err)
        launch = self.launch_procfile("broker: curfew-broker --fanout 3 --run-dir " + self.run_dir, "collector: curfew-collector",
                                      "w: curfew-worker --handler echo", stdin=b"one\n")
        self.ends_well(launch)
        self.assertNotIn("fanout", launch.err)


if __name__ == "__main__":
    unittest.main()

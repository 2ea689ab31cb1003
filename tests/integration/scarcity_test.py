"""Too little of something: descriptors, processes, memory, disk, and work that nothing can kill. What tells right from
wrong: every message has exactly one outcome, the books balance, nothing is left.
"""

import contextlib
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))

from tests.support.faults import FaultTest, knock, wait_until_dropped  # noqa: E402
from tests.support.group import (BIN_DIR, address_space, descriptors_of, eventually, is_over,  # noqa: E402
                                 numbers, processor_seconds)


class Scarcity(FaultTest):
    FEW = 48  # descriptors
    BUSY = 12  # below this number all are in use in a worker, as long as it lives

    def test_broker_worker_and_collector_without_descriptors_turn_strangers_away_and_work_on(self):
        few = f"prlimit --nofile={self.FEW} curfew"
        launch = self.launch_procfile(f"broker: {few}-broker --source stdin", f"w1: {few}-worker --name w1 --handler echo",
                                      f"collector: {few}-collector", stdin="pipe")
        self.workers_are_ready(1)
        launch.feed(numbers(500))
        launch.writes(500)
        listeners = {"broker": "events", "w1": "w1.tasks", "collector": "results"}
        pids = {name: self.pid_of(name) for name in listeners}
        before = {name: descriptors_of(pid) for name, pid in pids.items()}
        used = {name: processor_seconds(pid) for name, pid in pids.items()}
        with contextlib.ExitStack() as stack:
            strangers = [stack.enter_context(contextlib.closing(knock(f"{self.run_dir}/{listener}.sock")))
                         for _ in range(2 * self.FEW) for listener in listeners.values()]
            eventually(lambda: all(descriptors_of(pid) == self.FEW for pid in pids.values()), "all descriptors to be in use")
            launch.feed(b"".join(b"%d\n" % n for n in range(501, 1001)))
            launch.writes(1000)
            for pid in pids.values():  # one less for a moment, as somebody is turned away
                self.assertGreaterEqual(descriptors_of(pid), self.FEW - 1, "done while there was none left")
            for stranger in strangers:  # some at once, those that were let in within seconds
                wait_until_dropped(stranger)
            for name, pid in pids.items():
                self.assertLess(processor_seconds(pid) - used[name], 1.0, f"{name} turned without pause")
        for name in pids:
            launch.says(rf"warning {name} connections_refused count=\d+ .*descriptors")
        eventually(lambda: all(descriptors_of(pid) <= before[name] + 3 for name, pid in pids.items()), "the descriptors to be back")
        eventually(lambda: self.snapshots().keys() == pids.keys(), "those who ask to be let in again")
        launch.feed(b"".join(b"%d\n" % n for n in range(1001, 1501)))
        launch.end_of_input()
        self.ends_well(launch)
        self.each_has_one_outcome(launch.lines, 1500)
        self.assertNotIn("died", launch.err)

    def test_a_process_that_cannot_begin_for_want_of_descriptors_says_so(self):
        roles = (("broker", 15, ()), ("worker", 18, ("--handler", "echo")), ("worker", 40, ("--slots", "40", "--", "cat")),
                 ("collector", 15, ()))
        for role, few, words in roles:
            with self.subTest(role=role, words=words):
                running = self.run_words("prlimit", f"--nofile={few}", os.path.join(BIN_DIR, f"curfew-{role}"), *words,
                                         environment={"CURFEW_RUN_DIR": self.run_dir})
                self.assertIn(running.code(), (64, 74), running.err)
                self.assertIn("Too many open files", running.err)
                eventually(lambda: not self.supervisors(), "the end of its supervisors")

    def test_work_that_cannot_be_started_for_want_of_descriptors_fails_with_the_reason_until_there_are_some(self):
        launch = self.launch("--run-dir", self.run_dir, "--workers", "1", "--slots", "2", "--fanout", "1", "--json", "--",
                             "cat", stdin="pipe")
        self.workers_are_ready(1)
        launch.feed(numbers(10))
        launch.writes(10)
        worker = self.pid_of("w1")
        used, supervisors = processor_seconds(worker), self.supervisors()
        before = resource.prlimit(worker, resource.RLIMIT_NOFILE, (self.BUSY, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
        for pid in supervisors:  # to be replaced, which takes descriptors
            os.kill(pid, signal.SIGKILL)
        eventually(lambda: all(map(is_over, supervisors)), "the end of the supervisors")
        launch.feed(b"11\n12\n")
        launch.writes(12)
        for line in launch.lines[10:]:
            outcome = json.loads(line)
            self.assertEqual(outcome["outcome"], "failed")
            self.assertIn("Too many open files", outcome["error"])
        self.assertLess(processor_seconds(worker) - used, 0.5)
        resource.prlimit(worker, resource.RLIMIT_NOFILE, before)
        eventually(lambda: len(self.supervisors()) == 2, "the supervisors to be started")
        launch.feed(b"".join(b"%d\n" % n for n in range(13, 31)))
        launch.end_of_input()
        tasks, _ = self.ends_well(launch, code=1)
        self.assertEqual((tasks["completed"], tasks["failed"]), (28, 2))
        self.assertNotIn("died (", launch.err)

    def limit_processes_of(self, pids):
        """From now on none of them can start another. Returns the way back."""
        if os.geteuid() != 0:  # the limit on processes does not bind root
            before = [resource.prlimit(pid, resource.RLIMIT_NPROC, (1, resource.getrlimit(resource.RLIMIT_NPROC)[1]))
                      for pid in pids]
            return lambda: [resource.prlimit(pid, resource.RLIMIT_NPROC, limit) for pid, limit in zip(pids, before)]
        return self.limit("pids", pids, "0", "pids.max")

    def limit(self, controller, pids, value, *settings):
        """Moves processes into a cgroup of their own and limits it there (by the first setting there is). Returns the way
        back."""
        try:
            with open("/proc/self/cgroup", encoding="utf-8") as file:
                own = {line.split(":")[1]: line.strip().split(":", 2)[2] for line in file}
            root = f"/sys/fs/cgroup/{controller}" + own[controller] if controller in own else "/sys/fs/cgroup" + own[""]
            group = tempfile.mkdtemp(prefix="curfew-test-", dir=root)
        except (OSError, KeyError) as error:
            self.skipTest(f"needs a cgroup of its own: {error.strerror if isinstance(error, OSError) else error}")
        home = os.path.join(root, "cgroup.procs")

        def move(to):
            with open(os.path.join(group, "cgroup.procs"), encoding="utf-8") as file:
                inside = file.read().split()
            for pid in inside if to == home else pids:
                with contextlib.suppress(ProcessLookupError), open(to, "w", encoding="utf-8") as file:
                    file.write(str(pid))

        def undo():
            if os.path.exists(group):
                move(home)
                eventually(lambda: not _removal_fails(group), "the cgroup to be empty")
        self.addCleanup(undo)
        there = [setting for setting in settings if os.path.exists(os.path.join(group, setting))]
        if not there:
            self.skipTest(f"needs cgroups that limit {controller}")
        with open(os.path.join(group, there[0]), "w", encoding="utf-8") as file:
            file.write(value)
        move(os.path.join(group, "cgroup.procs"))
        return undo

    def limit_memory_of(self, pids):
        """What they have counts where they were: this is for what comes on top of it. At its end the kernel kills."""
        if os.geteuid() != 0:
            self.skipTest("needs root")
        return self.limit("memory", pids, str(24 << 20), "memory.max", "memory.limit_in_bytes")

    def test_work_that_cannot_be_started_for_want_of_processes_fails_with_the_reason_until_there_are_some(self):
        launch = self.launch("--run-dir", self.run_dir, "--workers", "1", "--slots", "2", "--fanout", "1", "--json", "--",
                             "cat", stdin="pipe")
        self.workers_are_ready(1)
        launch.feed(numbers(10))
        launch.writes(10)
        worker = self.pid_of("w1")
        used = processor_seconds(worker)
        undo = self.limit_processes_of([worker, *self.supervisors()])
        launch.feed(b"".join(b"%d\n" % n for n in range(11, 21)))
        launch.writes(20)
        undo()
        for line in launch.lines[10:]:
            outcome = json.loads(line)
            self.assertEqual(outcome["outcome"], "failed")
            self.assertIn("fork: Resource temporarily unavailable", outcome["error"])
        self.assertLess(processor_seconds(worker) - used, 0.5)
        launch.feed(b"".join(b"%d\n" % n for n in range(21, 31)))
        launch.end_of_input()
        tasks, _ = self.ends_well(launch, code=1)
        self.assertEqual((tasks["completed"], tasks["failed"]), (20, 10))

    def test_worker_and_collector_without_memory_for_a_message_do_it_when_there_is_some(self):
        short = []
        for name in ("w1", "collector"):  # each in a group of its own, side by side
            self.run_dir = self.path(f"run-{name}")
            launch = self.launch("--run-dir", self.run_dir, "--workers", "1", "--fanout", "1", "--handler", "echo", "--deadline",
                                 "none", "--max-message", "32m", stdin="pipe")
            self.workers_are_ready(1)
            launch.feed(numbers(100))
            launch.writes(100)
            pid = self.answer(name)["pid"]
            used = processor_seconds(pid)
            resource.prlimit(pid, resource.RLIMIT_AS, (address_space(pid) + (4 << 20), resource.RLIM_INFINITY))
            launch.feed(b"x" * (16 << 20) + b"\n")
            launch.feed(b"".join(b"%d\n" % n for n in range(101, 201)))
            launch.writes(200)  # the others pass
            short.append((name, launch, pid, used))
        for name, launch, pid, used in short:
            self.assertLess(processor_seconds(pid) - used, 1.0, f"{name} turned without pause")
            if not is_over(pid):
                resource.prlimit(pid, resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
            launch.end_of_input()
        for name, launch, _, _ in short:
            with self.subTest(name=name):
                tasks, _ = self.ends_well(launch)
                self.assertEqual(tasks["completed"], 201)
                self.assertEqual(sorted(map(len, launch.lines))[-1], 16 << 20)

    def test_a_broker_without_memory_ends_the_group_with_75_and_the_count_of_what_is_left(self):
        launch = self.launch("--run-dir", self.run_dir, "--workers", "1", "--fanout", "1", "--max-message", "32m", "--", "sh", "-c",
                             f'read -r m; if [ "$m" = 101 ]; then exec sleep {self.sleep}; fi; echo "$m"', stdin="pipe")
        self.workers_are_ready(1)
        launch.feed(numbers(101))
        launch.writes(100)
        self.broker_until(lambda b: b["tasks"]["in_flight"] == 1 and b["tasks"]["completed"] == 100, "one under way")
        broker = self.pid_of("broker")
        resource.prlimit(broker, resource.RLIMIT_AS, (address_space(broker) + (4 << 20), resource.RLIM_INFINITY))
        with contextlib.suppress(BrokenPipeError):
            launch.feed(b"x" * (16 << 20) + b"\n")
        self.assertEqual(launch.code(), 75, launch.err)
        launch.says("bad_alloc")
        # The large one counts, too, if the broker has come to note that it had read a part of it.
        said = launch.says(r"launch: (\d+) messages? left without an outcome \(1 in flight, ([01]) not accepted\)")
        self.assertEqual(int(said[1]), 1 + int(said[2]))
        self.nothing_runs(self.sleep)

    def test_work_that_the_kernel_kills_for_its_memory_is_a_dead_letter_and_the_worker_lives(self):
        # One process alone, so that it is the one that is killed.
        command = r"""read n; if [ $n = 17 ]; then exec python3 -c 'print(len(b"x" * int(1e8)))'; fi; echo $n"""
        launch = self.launch("--run-dir", self.run_dir, "--workers", "1", "--slots", "2", "--fanout", "1", "--dead-letters",
                             self.path("dead"), "--", "bash", "-c", command, stdin="pipe")
        self.workers_are_ready(1)
        launch.feed(numbers(10))
        launch.writes(10)
        worker = self.pid_of("w1")
        undo = self.limit_memory_of([worker, *self.supervisors()])
        launch.feed(b"".join(b"%d\n" % n for n in range(11, 31)))
        self.broker_until(lambda b: b["tasks"]["failed"] == 1, "the kernel to kill")
        undo()
        launch.end_of_input()
        tasks, attempts = self.ends_well(launch, code=1)
        self.assertEqual((tasks["completed"], tasks["failed"], attempts["failed"]), (29, 1, 1))
        with open(self.path("dead"), encoding="utf-8") as file:
            letter = json.loads(file.read())
        self.assertEqual((letter["message"], letter["error"]), ("17", "killed by SIGKILL"))
        self.assertNotIn("died (", launch.err)

    def test_a_worker_that_the_kernel_kills_for_its_memory_costs_no_message(self):
        launch = self.launch("--run-dir", self.run_dir, "--workers", "1", "--fanout", "1", "--handler", "echo", "--max-message",
                             "64m", stdin="pipe")
        self.workers_are_ready(1)
        launch.feed(numbers(100))
        launch.writes(100)
        self.limit_memory_of([self.pid_of("w1")])
        launch.feed(b"x" * (48 << 20) + b"\n")  # its next life is outside of the limit
        launch.feed(b"".join(b"%d\n" % n for n in range(101, 201)))
        launch.end_of_input()
        tasks, attempts = self.ends_well(launch)
        self.assertEqual(tasks["completed"], 201)
        self.assertGreaterEqual(attempts["lost"], 1)
        launch.says(r"w1 \(pid \d+\) died \(SIGKILL\)")

    def test_a_worker_with_few_descriptors_does_its_work(self):
        worker = 'sh -c "ulimit -n 64; exec curfew-worker --slots 1 --handler exec -- sh -c \'sleep 0.001; cat\'"'
        launch = self.launch_procfile("broker: curfew-broker --source stdin --fanout 1 --attempts 3",
                                      f"w1: {worker}", "collector: curfew-collector", words=(), stdin=numbers(50))
        self.assertEqual(launch.code(), 0, launch.err[-2000:])
        self.each_has_one_outcome(launch.lines, 50)

    def test_work_that_runs_out_of_memory_is_a_dead_letter_and_the_rest_goes_on(self):
        command = "ulimit -v 30000; read n; if [ $n = 7 ]; then exec tail -c 100000000 /dev/zero; fi; echo $n"
        launch = self.launch("--run-dir", self.run_dir, "--workers", "1", "--fanout", "1", "--dead-letters",
                             self.path("dead"), "--", "bash", "-c", command, stdin=numbers(20))
        tasks, attempts = self.ends_well(launch, code=1)
        self.assertEqual((tasks["completed"], tasks["failed"], attempts["failed"]), (19, 1, 1))
        with open(self.path("dead"), encoding="utf-8") as file:
            [dead] = [json.loads(line) for line in file]
        self.assertEqual((dead["seq"], dead["outcome"], dead["message"]), (7, "failed", "7"))
        self.assertEqual([past["end"] for past in dead["history"]], ["failed"])
        self.assertNotIn("7", launch.lines)


def _removal_fails(folder):
    try:
        os.rmdir(folder)
    except OSError:
        return True
    return False


@unittest.skipUnless(all(map(shutil.which, ("mkfs.ext4", "mount", "fsfreeze"))), "needs a file system to freeze (install: e2fsprogs mount)")
@unittest.skipUnless(os.geteuid() == 0, "needs root")
class Unkillable(FaultTest):
    """Work that writes to a frozen file system sleeps in the kernel, where no signal reaches it."""

    def setUp(self):
        super().setUp()
        image, self.disk = self.path("image"), self.path("disk")
        os.mkdir(self.disk)
        with open(image, "wb") as file:
            file.truncate(8 << 20)
        subprocess.run(["mkfs.ext4", "-q", image], check=True)
        if subprocess.run(["mount", "-o", "loop", image, self.disk], stderr=subprocess.DEVNULL).returncode != 0:
            self.skipTest("needs loop devices, and the right to mount one")
        self.addCleanup(subprocess.run, ["umount", self.disk], check=True)
        # Thaws it however this test ends: nobody must be stuck for ever.
        self.guard = subprocess.Popen(["setsid", "-w", "sh", "-c", f"cat >/dev/null; fsfreeze -u {self.disk}"],
                                      stdin=subprocess.PIPE)
        self.addCleanup(self.thaw)
        subprocess.run(["fsfreeze", "-f", self.disk], check=True)

    def thaw(self):
        self.guard.stdin.close()
        self.guard.wait()

    def test_its_attempt_ends_its_slot_is_out_of_service_and_comes_back(self):
        work = f'read n; case $n in stuck*) echo x > {self.disk}/$n;; esac; echo $n'
        launch = self.launch("--run-dir", self.run_dir, "--workers", "1", "--slots", "3", "--fanout", "1", "--json",
                             "--deadline", "5s", "--grace", "200ms", "--", "sh", "-c", work, stdin="pipe")
        self.workers_are_ready(1)
        launch.feed(b"stuck1\nstuck2\n")
        launch.writes(2)
        for line in launch.lines:
            outcome = json.loads(line)
            self.assertEqual(outcome["outcome"], "expired")
            self.assertIn("does not end", outcome["history"][0]["error"])
        eventually(lambda: self.answer("w1", "dump")["in_flight"] == 0, "the confirmation of both")
        worker = self.answer("w1", "dump")
        self.assertEqual(len(worker["out_of_service"]), 2)
        stuck = [slot["pid"] for slot in worker["out_of_service"]]
        self.assertFalse(any(map(is_over, stuck)), "shown while it is there")
        launch.feed(numbers(50))  # on the slot that is left
        launch.writes(52)
        self.thaw()
        eventually(lambda: all(map(is_over, stuck)), "the end of what was stuck")
        eventually(lambda: self.answer("w1")["slots"]["out_of_service"] == 0, "the slots to come back")
        launch.end_of_input()
        tasks, attempts = self.ends_well(launch, code=1)
        self.assertEqual((tasks["completed"], tasks["expired"], attempts["expired"]), (50, 2, 2), "one end each")


if __name__ == "__main__":
    unittest.main()

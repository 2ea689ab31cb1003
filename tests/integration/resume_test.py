"""A run that was killed goes on: nothing is done twice, nothing is left out, and what it goes on from is what it was.

A broker with a checkpoint and a collector with a journal, in a Procfile; whoever dies, the same command again.
"""

import contextlib
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))

from group import (BIN_DIR, LAUNCH, PYTHON, GroupTest, environment_of, eventually, is_over, is_stopped,  # noqa: E402
                   numbers, processes_with, program_of)

COUNT = 8000  # some seconds of work: whoever is killed after a part of it is killed before its end


class ResumeTest(GroupTest):
    def setUp(self):
        super().setUp()
        self.write("in", numbers(COUNT))
        self.out = self.path("out")

    def group(self, source="in", sync="1s", form="raw", broker="", work="sleep:exp:3ms"):
        procfile = self.write("Procfile", "\n".join((
            f"broker: curfew-broker --source file:{self.path(source)} --checkpoint {self.path('at')} --window 64 {broker}",
            f"w1: curfew-worker --handler {work} --slots 4", f"w2: curfew-worker --handler {work} --slots 4",
            f"collector: curfew-collector --sink file:{self.out} --journal --sync {sync} --format {form}")) + "\n")
        return self.run_words(PYTHON, "-E", LAUNCH, "--run-dir", self.run_dir, procfile)

    def lines(self):
        if not os.path.exists(self.out):
            return []
        with open(self.out, "rb") as file:
            return file.read().splitlines()

    def written(self, lines):
        eventually(lambda: len(self.lines()) >= lines, f"{lines} outcomes in the output")

    def each_is_there_once(self, results):
        self.assertEqual(sorted(map(int, results)), list(range(1, COUNT + 1)))

    def ends_with_all(self, **how):
        launch = self.group(**how)
        self.assertEqual(launch.code(), 0, launch.err[-2000:])
        return launch


class Killed(ResumeTest):
    def test_a_broker_that_dies_is_started_again_and_goes_on(self):
        launch = self.group()
        epochs, others = set(), set()
        for done in (200, 500, 800):
            self.written(done)
            with open(self.path("at")) as file:
                epochs.add(json.loads(file.readline())["epoch"])
            others.add(tuple(self.pid_of(name) for name in ("w1", "w2", "collector")))
            os.kill(self.pid_of("broker"), signal.SIGKILL)
        self.assertEqual(launch.code(), 0, launch.err[-2000:])
        self.each_is_there_once(self.lines())
        self.assertEqual((len(epochs), len(others)), (1, 1), "one epoch; workers and collector outlive their broker")
        self.assertEqual(launch.err.count("died (SIGKILL), starting it again"), 3)
        before, now = (re.search(text, launch.err) for text in (r"before +(\d+) messages had", r"tasks +(\d+) = "))
        self.assertEqual(int(before[1]) + int(now[1]), COUNT, "each stands in the books or before them")

    def test_a_broker_that_dies_in_a_drain_ends_the_group(self):
        launch = self.group(work="sleep:1000s")
        self.broker_until(lambda broker: broker["attempts"]["in_flight"] > 0, "work in flight")
        launch.process.send_signal(signal.SIGINT)
        launch.says("draining")
        os.kill(self.pid_of("broker"), signal.SIGKILL)
        self.assertEqual(launch.code(), 75, launch.err[-2000:])

    def test_a_drain_that_comes_while_the_broker_is_dead_is_heard_by_its_next_life(self):
        launch = self.group()
        self.written(100)
        os.kill(self.pid_of("broker"), signal.SIGKILL)
        launch.says("starting it again")
        launch.process.send_signal(signal.SIGINT)
        self.assertEqual(launch.code(), 75, launch.err[-2000:])
        self.ends_with_all()
        self.each_is_there_once(self.lines())

    def test_a_broker_that_cannot_live_is_given_up(self):
        launch = self.group(work="sleep:1000s")
        while launch.process.poll() is None:
            for pid in processes_with(self.home):
                if program_of(pid) == "curfew-broker":
                    os.kill(pid, signal.SIGKILL)
        self.assertEqual(launch.code(), 75, launch.err[-2000:])
        self.assertIn("5 times in a row within a second of its start", launch.err)

    def test_a_group_that_is_killed_as_a_whole_is_gone_on_from(self):
        for form, sync in (("raw", "always"), ("json", "none")):
            with self.subTest(form=form, sync=sync):
                for name in ("out", "out.journal", "at"):
                    if os.path.exists(self.path(name)):
                        os.remove(self.path(name))
                for done in (100, 600):
                    self.group(form=form, sync=sync)
                    self.written(done)
                    pids = processes_with(self.home)
                    random.shuffle(pids)
                    for pid in pids:
                        os.kill(pid, signal.SIGKILL)
                    eventually(lambda pids=pids: all(map(is_over, pids)), "the end of them all")
                self.ends_with_all(form=form, sync=sync)
                lines = self.lines()
                self.each_is_there_once(lines if form == "raw" else [json.loads(line)["result"] for line in lines])
                if form == "json":
                    self.assertEqual({json.loads(line)["seq"] for line in lines}, set(range(1, COUNT + 1)))

    def test_a_run_that_is_done_has_nothing_to_do(self):
        self.ends_with_all()
        launch = self.ends_with_all()
        self.assertIn("tasks     0 = 0 completed", launch.err)
        self.each_is_there_once(self.lines())

    def test_what_was_added_to_the_input_is_done(self):
        self.write("in", numbers(COUNT - 100))
        self.ends_with_all()
        self.write("in", numbers(COUNT))
        launch = self.ends_with_all()
        self.assertIn("tasks     100 = 100 completed", launch.err)
        self.each_is_there_once(self.lines())

    def test_an_output_that_was_lost_is_done_again(self):
        self.ends_with_all()
        os.remove(self.out)
        os.remove(self.out + ".journal")
        launch = self.ends_with_all()
        self.assertIn(f"tasks     {COUNT} = {COUNT} completed", launch.err)
        self.each_is_there_once(self.lines())


class Launch(ResumeTest):
    """launch --resume: the same command again."""

    def resume(self, *words, work="sleep:exp:3ms"):
        return self.launch("--resume", "--input", self.path("in"), "--output", self.out, "--workers", "2", "--slots", "4",
                           "--window", "64", *words, "--handler", work)

    def test_what_was_interrupted_drained_or_killed_goes_on(self):
        for done, number in ((100, signal.SIGINT), (400, signal.SIGKILL), (700, signal.SIGTERM)):
            launch = self.resume()
            self.written(done)
            launch.process.send_signal(number)
            code = launch.code()
            if number == signal.SIGKILL:
                eventually(lambda: not processes_with(self.home), "the end of the group of a launch that was killed")
            else:
                self.assertEqual(code, 75, launch.err[-2000:])
                self.assertIn("launch: the same command goes on from here", launch.err)
        launch = self.resume()
        self.assertEqual(launch.code(), 0, launch.err[-2000:])
        self.each_is_there_once(self.lines())

    def test_what_a_drain_had_no_time_for_is_left_and_done_by_the_same_command(self):
        launch = self.resume("--drain-timeout", "100ms", "--run-dir", self.run_dir, work="sleep:1000s")
        self.broker_until(lambda broker: broker["attempts"]["in_flight"] > 0, "work in flight")
        launch.process.send_signal(signal.SIGINT)
        self.assertEqual(launch.code(), 75, launch.err[-2000:])
        self.assertIn("drain_timeout tasks_left=", launch.err)
        self.assertEqual(self.resume().code(), 0)
        self.each_is_there_once(self.lines())

    def test_the_second_on_one_output_is_refused_and_touches_nothing(self):
        first = self.resume("--run-dir", self.run_dir, work="sleep:1000s")
        self.broker_until(lambda broker: broker["attempts"]["in_flight"] > 0, "work in flight")
        second = self.resume()
        self.assertEqual(second.code(), 64, second.err[-2000:])
        self.assertRegex(second.err, "is being written by another collector|another broker goes on from")
        first.process.send_signal(signal.SIGINT)
        first.says("draining")
        first.process.send_signal(signal.SIGTERM)
        first.code()
        launch = self.resume()
        self.assertEqual(launch.code(), 0, launch.err[-2000:])
        self.each_is_there_once(self.lines())

    def test_dead_letters_are_gone_on_with_too(self):
        letters = self.path("letters")
        words = ("--dead-letters", letters, "--attempts", "1", "--fanout", "1")
        launch = self.launch("--resume", "--input", self.path("in"), "--output", self.out, "--workers", "2", *words, "--",
                             "sh", "-c", "read n; [ $((n % 3)) != 0 ] && echo $n")
        self.written(100)
        launch.process.send_signal(signal.SIGINT)
        self.assertEqual(launch.code(), 75, launch.err[-2000:])
        launch = self.resume(*words)
        self.assertEqual(launch.code(), 1, launch.err[-2000:])
        self.assertRegex(launch.err, r"before +\d+ messages had an outcome already, \d+ of them did not complete")
        self.assertIn("another_command before=\"-- sh -c", launch.err)
        with open(letters) as file:
            failed = [json.loads(line)["message"] for line in file]
        self.assertGreater(len(failed), 0)
        self.each_is_there_once([*self.lines(), *failed])

    def test_what_did_not_complete_is_tried_once_more_where_that_is_asked_for(self):
        letters, mark = self.path("letters"), self.path("mark")
        work = f"read n; [ $((n % 3)) != 0 ] || [ -e {mark} ] && echo $n"

        def run(*words):
            launch = self.launch(*words, "--input", self.path("few"), "--output", self.out, "--dead-letters", letters,
                                 "--workers", "2", "--attempts", "1", "--fanout", "1", "--", "sh", "-c", work)
            return launch, launch.code()

        self.write("few", numbers(30))
        self.assertEqual(run("--resume")[1], 1)
        launch, code = run("--resume")
        self.assertEqual(code, 1, "what did not complete has its outcome")
        self.assertIn("before    30 messages had an outcome already, 10 of them did not complete", launch.err)
        launch, code = run("--resume-failed")
        self.assertEqual(code, 1, "it fails again")
        self.assertIn("tasks     10 = 0 completed + 10 failed", launch.err)
        self.write("mark", "")
        launch, code = run("--resume-failed")
        self.assertEqual(code, 0, launch.err[-2000:])
        self.assertIn("tasks     10 = 10 completed", launch.err)
        self.assertEqual(sorted(map(int, self.lines())), list(range(1, 31)))
        launch, code = run("--resume")
        self.assertEqual(code, 0, "all have completed")
        self.assertIn("before    30 messages had an outcome already\n", launch.err)
        with open(letters) as file:
            self.assertEqual(sum(1 for _ in file), 20, "each failure is there")

    def collectors_that_are_held(self):
        """A folder of programs whose collector stops itself at its start: whoever asks it waits."""
        programs = self.path("programs")
        os.mkdir(programs)
        for name in os.listdir(BIN_DIR):
            os.symlink(os.path.join(BIN_DIR, name), os.path.join(programs, name))
        os.remove(os.path.join(programs, "curfew-collector"))
        held = self.write("programs/curfew-collector", f"""#!/bin/sh
case "$*" in *--check*) ;; *) kill -STOP $$ ;; esac
exec {BIN_DIR}/curfew-collector "$@"
""")
        os.chmod(held, 0o755)
        return programs

    def held_collector(self):
        def find():
            return next((pid for pid in processes_with(self.home)
                         if environment_of(pid).get("CURFEW_NAME") == "collector" and is_stopped(pid)), None)
        return eventually(find, "a collector that is held")

    def open_once(self, gate):
        with contextlib.suppress(OSError):  # nobody reads
            os.close(os.open(self.path(gate), os.O_WRONLY | os.O_NONBLOCK))

    def test_the_wish_to_try_again_outlives_a_broker_that_could_not_ask_and_is_granted_once(self):
        letters, again = self.path("letters"), self.path("again")
        work = f"read n; [ $((n % 3)) != 0 ] || {{ [ $n = 30 ] && [ -e {again} ] && cat {self.path('gate')}; }} && echo $n"
        words = ("--input", self.write("few", numbers(30)), "--output", self.out, "--dead-letters", letters,
                 "--workers", "2", "--slots", "4", "--attempts", "1", "--fanout", "1", "--", "sh", "-c", work)

        def failures():
            with open(letters) as file:
                return sum(1 for _ in file)

        self.assertEqual(self.launch("--resume", *words).code(), 1)
        self.assertEqual(failures(), 10)
        os.mkfifo(self.path("gate"))
        self.write("again", "")
        launch = self.launch("--resume-failed", *words, environment={"CURFEW_BIN_DIR": self.collectors_that_are_held()})
        held = self.held_collector()
        os.kill(self.pid_of("broker"), signal.SIGKILL)
        launch.says("starting it again")
        os.kill(held, signal.SIGCONT)
        eventually(lambda: failures() == 19, lambda: f"another try of 9, and the tenth at the gate: {failures()} failures")
        os.kill(self.pid_of("broker"), signal.SIGKILL)
        eventually(lambda: launch.err.count("starting it again") == 2, "its third life")
        eventually(lambda: self.open_once("gate") or not launch.alive, "the end")  # whichever life's work waits there
        self.assertEqual(launch.code(), 1, launch.err[-2000:])
        self.assertEqual(failures(), 19, "what failed in this run is not tried again by its next life")
        self.assertEqual(sorted(map(int, self.lines())), [n for n in range(1, 31) if n % 3 or n == 30])

    def test_a_checkpoint_that_is_gone_is_not_begun_anew(self):
        self.assertEqual(self.resume().code(), 0)
        os.remove(self.out + ".checkpoint")
        launch = self.resume()
        self.assertEqual(launch.code(), 64)
        self.assertIn("out has outcomes, and", launch.err)
        self.each_is_there_once(self.lines())

    def test_what_it_cannot_go_on_with_is_refused(self):
        os.mkfifo(self.path("fifo"))
        self.write("full", "somebody's\n")
        self.write("done", "what is done\n")
        self.write("done.journal", "")
        for words, text in (
                (("--resume", "--output", self.out), "--resume needs --input FILE"),
                (("--resume", "--input", self.path("in")), "and --output FILE"),
                (("--resume", "--input", self.path("fifo"), "--output", self.out), "is no file of its own"),
                (("--resume", "--input", self.path("in"), "--output", self.path("fifo")), "is no file of its own"),
                (("--resume", "--input", self.path("in"), "--output", "/dev/stdout"), "is no file of its own"),
                (("--resume", "--input", self.path("in"), "--output", self.path("private")), "is no file of its own"),
                (("--resume", "--input", self.path("in"), "--output", self.path("full")), "and no journal of them"),
                (("--joblog", "sqlite:" + self.path("log"), "--output", self.out), "--joblog: a job log is a file"),
                (("--tag", "--output", "sqlite:" + self.path("base")), "--tag has no meaning with --output sqlite:FILE"),
                (("--sync", "1s", "--output", self.out), "--sync has no meaning without --resume"),
                (("--output", self.path("done")), "say --resume, or move both away"),
                (("--resume", "--sync", "2s", "--input", self.path("in"), "--output", self.out), "--sync")):
            with self.subTest(words=words):
                launch = self.launch(*words, "--handler", "echo")
                self.assertEqual(launch.code(), 64, launch.err[-2000:])
                self.assertIn(text, launch.err)
        for name, text in (("full", "somebody's\n"), ("done", "what is done\n")):
            with open(self.path(name)) as file:
                self.assertEqual(file.read(), text)


class Refused(ResumeTest):
    def refused(self, text, **how):
        before = self.lines()
        launch = self.group(**how)
        self.assertEqual(launch.code(), 64, launch.err[-2000:])
        self.assertIn(text, launch.err)
        self.assertEqual(self.lines(), before, "nothing was touched")

    def test_another_input_and_another_output(self):
        self.ends_with_all()
        self.write("other", numbers(COUNT).replace(b"7", b"8"))
        self.refused("was changed within the", source="other")
        self.write("other", numbers(10))
        self.refused("had been read", source="other")
        self.refused("that run was without --null", broker="--null")
        with open(self.out, "rb") as file:
            data = file.read()
        self.write("out", data[::-1])
        self.refused("is not the file that the journal")

    def test_an_output_that_is_no_file(self):
        os.mkfifo(self.path("fifo"))
        os.mkdir(self.path("folder"))
        for name, text in (("fifo", "is no file: only a file can be gone on with"), ("folder", "Is a directory")):
            with self.subTest(name):
                self.out = self.path(name)
                launch = self.group()
                self.assertEqual(launch.code(), 64, launch.err[-2000:])
                self.assertIn(f"'{self.out}'", launch.err)
                self.assertIn(text, launch.err)
                self.assertFalse(os.path.exists(f"{self.out}.journal"), "nothing is begun beside it")

    def test_a_checkpoint_or_a_journal_that_is_none(self):
        self.write("at", "no checkpoint\n")
        self.refused("it is damaged")
        for name in ("at", "out.journal"):  # the collector may have begun
            if os.path.exists(self.path(name)):
                os.remove(self.path(name))
        self.write("out", "somebody's\n")
        self.refused("and no journal of them")

    def test_what_cannot_hand_over_again(self):
        for program, words, text in (
                ("broker", ("--checkpoint", self.path("at")), "only --source file:PATH can hand its messages over again"),
                ("collector", ("--sync", "always"), "has no meaning without --journal"),
                ("collector", ("--journal",), "only --sink file:PATH can be gone on with")):
            with self.subTest(program):
                running = self.run_words(os.path.join(os.environ["CURFEW_BIN_DIR"], f"curfew-{program}"), "--check", *words)
                self.assertEqual(running.code(), 64)
                self.assertIn(text, running.err)


class Places(ResumeTest):
    """Files on file systems that cannot be written, or are others."""

    def read_only(self, path):
        """Launch where this file is on a file system that nobody writes to, not even root; in a mount namespace of its own."""
        held = ("unshare", "--mount", "sh", "-c", 'mount --bind "$0" "$0" && mount -o remount,ro,bind "$0" "$0" && exec "$@"', path)
        if subprocess.run([*held, "true"], stderr=subprocess.DEVNULL).returncode:
            self.skipTest("needs the right to mount")
        return self.run_words(*held, PYTHON, "-E", LAUNCH, *self.words())

    def words(self):
        return ("--resume", "--input", self.path("in"), "--output", self.out, "--workers", "2", "--slots", "4", "--window",
                "64", "--handler", "sleep:exp:3ms")

    @unittest.skipUnless(shutil.which("unshare") and shutil.which("mount"), "needs unshare and mount (install: util-linux, mount)")
    def test_what_cannot_be_written_is_named_and_left_as_it_is(self):
        launch = self.launch(*self.words())
        self.written(100)
        launch.process.send_signal(signal.SIGINT)
        self.assertEqual(launch.code(), 75)
        before = self.lines()
        for end in ("", ".journal", ".checkpoint"):
            with self.subTest(end):
                launch = self.read_only(self.out + end)
                self.assertEqual(launch.code(), 64, launch.err[-2000:])
                self.assertRegex(launch.err, f"cannot write.* '{re.escape(self.out + end)}': Read-only file system")
                self.assertEqual(self.lines(), before)
        self.assertEqual(self.launch(*self.words()).code(), 0, "where it can be written it goes on")
        self.each_is_there_once(self.lines())

    def test_an_output_on_another_file_system_than_its_journal(self):
        if not os.path.isdir("/dev/shm") or os.stat("/dev/shm").st_dev == os.stat(self.home).st_dev:
            self.skipTest("needs a /dev/shm of its own")
        elsewhere = tempfile.mkdtemp(dir="/dev/shm")
        self.addCleanup(shutil.rmtree, elsewhere)
        os.symlink(os.path.join(elsewhere, "out"), self.out)
        for number in (signal.SIGKILL, signal.SIGINT):
            launch = self.launch(*self.words(), "--sync", "always")
            self.written(len(self.lines()) + 100)
            launch.process.send_signal(number)
            launch.code()
            eventually(lambda: not processes_with(self.home), "the end of the group")
        self.assertEqual(self.launch(*self.words()).code(), 0)
        self.each_is_there_once(self.lines())
        self.assertTrue(os.path.islink(self.out))
        self.assertEqual(os.listdir(elsewhere), ["out"], "its journal is where its name is")


if __name__ == "__main__":
    unittest.main()

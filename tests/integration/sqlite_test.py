"""A database as the sink: each outcome is in it once, whatever is killed, locked or full; and what it is not, is refused."""

import contextlib
import json
import os
import random
import re
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))

from disk import MISSING, Disk  # noqa: E402
from group import BIN_DIR, LAUNCH, PYTHON, GroupTest, eventually, is_over, numbers, processes_with  # noqa: E402

COUNT = 3000


class SqliteTest(GroupTest):
    def setUp(self):
        super().setUp()
        self.write("in", numbers(COUNT))
        self.database = self.path("out.db")

    def ask(self, question, database=None):
        """All rows; none while there is no table yet."""
        database = database or self.database
        if not os.path.exists(database):
            return []
        with contextlib.closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=20)) as opened:
            try:
                return opened.execute(question).fetchall()
            except sqlite3.OperationalError as error:
                if "no such table" not in str(error):
                    raise
                return []

    def count(self, database=None):
        return (self.ask("SELECT count(*) FROM outcomes", database) or [(0,)])[0][0]

    def written(self, rows):
        eventually(lambda: self.count() >= rows, lambda: f"{rows} outcomes in the database, not only {self.count()}")

    def each_is_there_once(self, count=COUNT):
        rows = self.ask("SELECT seq, result, outcome, typeof(result) FROM outcomes ORDER BY seq")
        self.assertEqual(rows, [(seq, str(seq), "completed", "text") for seq in range(1, count + 1)])
        self.assertEqual(self.ask("PRAGMA integrity_check"), [("ok",)])

    def procfile(self, *collector, broker=("--source", "stdin")):
        return self.write("Procfile", "\n".join((
            f"broker: curfew-broker --window 64 {' '.join(broker)}",
            "w1: curfew-worker --handler sleep:exp:3ms --slots 4", "w2: curfew-worker --handler sleep:exp:3ms --slots 4",
            f"collector: curfew-collector --sink sqlite:{self.database} {' '.join(collector)}")) + "\n")

    def group(self, *words, **how):
        return self.run_words(PYTHON, "-E", LAUNCH, "--run-dir", self.run_dir, *words, **how)

    def ends(self, launch, code=0):
        self.assertEqual(launch.code(), code, launch.err[-2000:])
        return launch


class Killed(SqliteTest):
    def test_a_killed_collector_writes_each_outcome_once(self):
        for sync in ("always", "1s", "none"):
            with self.subTest(sync):
                self.database = self.path(f"{sync}.db")
                launch = self.group(self.procfile("--sync", sync), stdin="pipe")
                lines = numbers(1200).splitlines(keepends=True)
                for fed, done in ((0, 100), (400, 500), (800, 900)):
                    launch.feed(b"".join(lines[fed:fed + 400]))
                    self.written(done)
                    pid = self.pid_of("collector")
                    os.kill(pid, signal.SIGKILL)
                    eventually(lambda pid=pid: is_over(pid), "the end of the collector")
                launch.end_of_input()
                tasks, _ = self.ends_well(launch)
                self.assertEqual(tasks["completed"], len(lines))
                self.each_is_there_once(len(lines))

    def test_a_group_that_is_killed_as_a_whole_is_gone_on_from(self):
        procfile = self.procfile("--sync", "1s", broker=(f"--source file:{self.path('in')} --checkpoint {self.path('at')}",))
        for done in (100, 400, 800):
            self.group(procfile)
            self.written(done)
            pids = processes_with(self.home)
            random.shuffle(pids)
            for pid in pids:
                os.kill(pid, signal.SIGKILL)
            eventually(lambda pids=pids: all(map(is_over, pids)), "the end of them all")
        self.ends(self.group(procfile))
        self.each_is_there_once()
        self.assertEqual(self.ask("SELECT count(DISTINCT epoch) FROM outcomes"), [(1,)])


@unittest.skipIf(MISSING, "needs mkfs.ext4, mount and losetup (install: e2fsprogs, mount)")
class PowerLoss(SqliteTest):
    """An ext4 of our own that is shut down under load: what was not on the disk is gone."""

    MANY = 6000  # enough that the power goes before the run ends, however seldom we get to look

    def setUp(self):
        super().setUp()
        self.write("in", numbers(self.MANY))
        self.disk = Disk(self.home)
        self.addCleanup(self.disk.drop)
        if not self.disk.make():
            self.skipTest("needs the right to mount a loop device")
        self.database = os.path.join(self.disk.path, "out.db")

    def start(self, sync):
        return self.group("--workers", "2", "--slots", "4", "--window", "64", "--resume", "--input", self.path("in"), "--output",
                          f"sqlite:{self.database}", "--sync", sync, "--handler", "sleep:exp:3ms")

    def test_with_sync_always_it_takes_nothing_and_else_what_is_done_again(self):
        for sync in ("always", "1s"):
            with self.subTest(sync):
                launch = self.start(sync)
                self.broker_until(lambda broker: broker["tasks"]["completed"] > 200, "some outcomes")
                acknowledged = self.answer()["tasks"]["completed"]
                self.disk.lose_power()
                self.ends(launch, 74)
                self.assertTrue(self.disk.get_back())
                if sync == "always":
                    self.assertGreaterEqual(self.count(), acknowledged)
                self.ends(self.start(sync))
                self.each_is_there_once(self.MANY)
                for name in ("out.db", "out.db.checkpoint"):
                    os.remove(os.path.join(self.disk.path, name))


class Launch(SqliteTest):
    def start(self, *words, work=("--handler", "sleep:exp:3ms")):
        return self.launch("--run-dir", self.run_dir, "--workers", "2", "--slots", "4", "--window", "64", "--input",
                           self.path("in"), *words, *work)

    def resume(self, *words, **how):
        return self.start("--resume", "--output", f"sqlite:{self.database}", *words, **how)

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
        self.ends(self.resume())
        self.each_is_there_once()
        self.assertTrue(os.path.exists(self.database + ".checkpoint"))
        self.assertFalse(os.path.exists(self.database + ".journal"), "a database is its own")

    def test_without_resume_a_new_or_an_empty_one_is_filled_and_no_other(self):
        with contextlib.closing(sqlite3.connect(self.database)):
            pass
        words = ("--output", f"sqlite:{self.database}")
        self.ends(self.start(*words))
        self.each_is_there_once()
        refused = self.ends(self.start(*words), 64)
        self.assertIn("has outcomes of a run already: say --resume to go on with it, or move it away", refused.err)
        self.each_is_there_once()

    def test_a_relative_path_and_every_mode_of_sync(self):
        for sync in ("always", "1s", "none"):
            self.ends(self.start("--output", f"sqlite:{sync}.db", "--sync", sync, work=("--handler", "echo")))
            self.database = self.path(f"{sync}.db")
            self.assertFalse(os.path.exists(self.database + "-wal"), "all of it is in the one file")
            self.each_is_there_once()

    def test_a_row_that_was_taken_out_is_done_again(self):
        self.ends(self.resume())
        with contextlib.closing(sqlite3.connect(self.database)) as database:
            with database:
                database.execute("DELETE FROM outcomes WHERE seq BETWEEN 11 AND 30")
        launch = self.ends(self.resume())
        self.assertIn("tasks     20 = 20 completed", launch.err)
        self.each_is_there_once()

    def test_outcomes_without_their_checkpoint_are_no_beginning(self):
        self.ends(self.start("--output", f"sqlite:{self.database}"))
        refused = self.ends(self.resume(), 64)
        self.assertIn("has outcomes, and", refused.err)
        self.assertIn("which says of which messages, is not there: restore it, or move", refused.err)
        self.each_is_there_once()

    def test_dead_letters_are_a_database_too(self):
        work = ("--attempts", "1", "--fanout", "1", "--", "sh", "-c", "read n; [ $((n % 3)) != 0 ] && echo $n")
        self.write("in", numbers(60))
        letters = self.path("letters.db")
        self.ends(self.start("--output", self.path("out"), "--dead-letters", f"sqlite:{letters}", work=work), 1)
        rows = self.ask("SELECT message, outcome, history FROM outcomes ORDER BY seq", letters)
        self.assertEqual([row[:2] for row in rows], [(str(n), "failed") for n in range(3, 61, 3)])
        self.assertEqual(json.loads(rows[0][2])[0]["end"], "failed")
        with open(self.path("out"), encoding="ascii") as file:
            self.assertEqual(sorted(map(int, file)), [n for n in range(1, 61) if n % 3])

    def test_what_did_not_complete_is_in_the_one_table(self):
        work = ("--attempts", "1", "--fanout", "1", "--", "sh", "-c", "read n; [ $((n % 3)) != 0 ] && echo $n")
        self.write("in", numbers(30))
        launch = self.ends(self.start("--output", f"sqlite:{self.database}", work=work), 1)
        self.assertNotIn("task_failed", launch.err, "it has a place")
        self.assertEqual(self.ask("SELECT outcome, count(*), count(message), count(result) FROM outcomes GROUP BY 1"),
                         [("completed", 20, 0, 20), ("failed", 10, 10, 0)])

    def test_two_databases_and_a_database_with_a_file_are_gone_on_with(self):
        work = ("--attempts", "1", "--fanout", "1", "--", "sh", "-c", "read n; sleep 0.05; [ $((n % 3)) != 0 ] && echo $n")
        self.write("in", numbers(300))
        for name, output, letters in (("a", "sqlite:", "sqlite:"), ("b", "sqlite:", ""), ("c", "", "sqlite:")):
            with self.subTest(name):
                self.database = self.path(f"{name}.out")
                words = ("--resume", "--output", output + self.database, "--dead-letters", letters + self.path(f"{name}.letters"))
                launch = self.start(*words, work=work)
                self.broker_until(lambda broker: broker["tasks"]["completed"] > 20, "some outcomes")
                launch.process.send_signal(signal.SIGINT)
                self.ends(launch, 75)
                self.ends(self.start(*words, work=work), 1)
                done = self.results(output, f"{name}.out", "result")
                self.assertEqual(sorted([*done, *self.results(letters, f"{name}.letters", "message")]), list(range(1, 301)))

    def results(self, kind, name, column):
        if kind:
            return [int(row[0]) for row in self.ask(f"SELECT {column} FROM outcomes", self.path(name))]
        with open(self.path(name), encoding="ascii") as file:
            return [int(json.loads(line)["message"] if column == "message" else line) for line in file]

    def test_the_second_on_one_database_is_refused_and_touches_nothing(self):
        first = self.resume(work=("--handler", "sleep:1000s"))
        self.broker_until(lambda broker: broker["attempts"]["in_flight"] > 0, "work in flight")
        second = self.ends(self.launch("--resume", "--input", self.path("in"), "--output", f"sqlite:{self.database}",
                                       "--handler", "echo"), 64)
        self.assertRegex(second.err, "is being written by another collector|another broker goes on from")
        first.process.send_signal(signal.SIGINT)
        first.says("draining")
        first.process.send_signal(signal.SIGTERM)
        first.code()
        self.ends(self.resume())
        self.each_is_there_once()

    def test_what_makes_no_sense_is_refused_before_anything_is_touched(self):
        os.mkfifo(self.path("fifo"))
        out = f"sqlite:{self.database}"
        for words, text in (
                (("--output", out, "--json"), "--json has no meaning with --output sqlite:FILE"),
                (("--output", out, "--dead-letters", out), "this is the file of --output"),
                (("--output", out, "--dead-letters", self.database), "this is the file of --output"),
                (("--output", self.database, "--dead-letters", out), "this is the file of --output"),
                (("--output", "sqlite:"), "is not a path"),
                (("--output", f"sqlite:{self.path('in')}"), "this is the file of --input too"),
                (("--output", f"sqlite:{self.path('fifo')}"), "is no file of its own"),
                (("--output", "sqlite:/dev/stdout"), "is no file of its own"),
                (("--output", out, "--sync", "2s"), "--sync"),
                (("--output", self.path("file"), "--sync", "1s"), "--sync has no meaning without --resume")):
            with self.subTest(words=words):
                self.assertIn(text, self.ends(self.start(*words), 64).err)
                self.assertFalse(os.path.exists(self.database))


class Waits(SqliteTest):
    def test_a_lock_of_another_program_is_waited_for_and_named(self):
        launch = self.group(self.procfile(), stdin="pipe")
        launch.feed(b"1\n")
        self.written(1)
        with contextlib.closing(sqlite3.connect(self.database, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            launch.feed(b"2\n3\n")
            launch.says(r'sink_waits sink="sqlite:\S+" for="a lock"')
            self.assertEqual(self.answer("collector")["sink"]["waits_for"], "a lock")
            other.execute("COMMIT")
            launch.says("sink_goes_on")
        launch.end_of_input()
        self.ends_well(launch)
        self.each_is_there_once(3)

    @unittest.skipUnless(os.geteuid() == 0 and shutil.which("mount"), "needs root, and mount")
    def test_a_full_disk_is_waited_for_over_kills_too(self):
        disk = self.path("disk")
        os.mkdir(disk)
        if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", disk], stderr=subprocess.DEVNULL).returncode:
            self.skipTest("may not mount")
        self.addCleanup(subprocess.run, ["umount", "-l", disk], check=True)
        self.database = os.path.join(disk, "out.db")
        launch = self.group("--output", f"sqlite:{self.database}", "--window", "64", "--workers", "2", "--",
                            "sh", "-c", "head -c 60000 /dev/zero | tr '\\0' x", stdin=numbers(100))
        for times in (1, 2):
            eventually(lambda times=times: launch.err.count("sink_full") >= times, lambda: f"a full disk: {launch.err[-2000:]}")
            os.kill(self.pid_of("collector"), signal.SIGKILL)
        eventually(lambda: launch.err.count("sink_full") >= 3, lambda: f"a full disk: {launch.err[-2000:]}")
        subprocess.run(["mount", "-o", "remount,size=64m", disk], check=True)
        self.ends_well(launch)
        self.assertEqual(self.ask("SELECT count(*), count(DISTINCT seq), min(length(result)) FROM outcomes"), [(100, 100, 60000)])


class Ends(SqliteTest):
    def test_what_cannot_be_written_ends_the_group_and_nothing_is_acknowledged_after_it(self):
        launch = self.group(self.procfile(), stdin="pipe")
        launch.feed(numbers(100))
        self.written(100)
        resource.prlimit(self.pid_of("collector"), resource.RLIMIT_FSIZE, (64 << 10, 64 << 10))
        launch.feed(b"".join(b"%d\n" % n for n in range(101, 1001)))
        self.ends(launch, 74)
        self.assertRegex(launch.err, r"cannot write to the sink sqlite:\S+: .*\(ulimit -f, or the most of its file system\)")
        tasks, _ = self.books(launch)
        rows = self.ask("SELECT seq FROM outcomes")
        self.assertGreaterEqual(len(rows), tasks["completed"], "what was acknowledged is there")
        self.assertLess(len(rows), 1000)
        self.assertEqual(self.ask("PRAGMA integrity_check"), [("ok",)])


class Refused(SqliteTest):
    def refused(self, text, *before, code=64):
        running = self.run_words(*before, os.path.join(BIN_DIR, "curfew-collector"), "--run-dir", self.run_dir, "--sink",
                                 f"sqlite:{self.database}")
        self.assertEqual(running.code(), code, running.err)
        self.assertIn(text, running.err)
        self.assertEqual(len(running.err.splitlines()), 1, running.err)

    def test_what_is_none_of_curfews(self):
        self.write("out.db", "somebody's\n")
        self.refused("is no database of SQLite: name another file")
        with open(self.database, encoding="ascii") as file:
            self.assertEqual(file.read(), "somebody's\n")
        os.remove(self.database)
        with contextlib.closing(sqlite3.connect(self.database)) as database:
            database.execute("CREATE TABLE notes(text)")
        self.refused("is a database of another program's: name another file")
        self.assertEqual(self.ask("SELECT count(*) FROM notes"), [(0,)])

    def test_one_that_another_program_has_for_itself(self):
        with contextlib.closing(sqlite3.connect(self.database, isolation_level=None)) as other:
            other.execute("BEGIN EXCLUSIVE")
            self.refused("is locked by another program: end it")

    def test_a_folder_that_is_not_there(self):
        self.database = self.path("nowhere", "out.db")
        self.refused("No such file or directory")

    @unittest.skipUnless(os.geteuid() == 0 and shutil.which("mount"), "needs root, and mount")
    def test_a_file_system_that_is_read_only(self):
        disk = self.path("disk")
        os.mkdir(disk)
        if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", disk], stderr=subprocess.DEVNULL).returncode:
            self.skipTest("may not mount")
        self.addCleanup(subprocess.run, ["umount", "-l", disk], check=True)
        self.database = os.path.join(disk, "out.db")
        with open(self.database, "wb"):
            pass
        subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
        self.refused("Read-only file system")

    @unittest.skipUnless(os.geteuid() == 0 and shutil.which("setpriv"), "needs root, to be somebody else")
    def test_a_file_or_a_folder_that_may_not_be_written(self):
        somebody = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")
        if subprocess.run([*somebody, os.path.join(BIN_DIR, "curfew-collector"), "--version"], capture_output=True).returncode:
            self.skipTest("the binaries are not everybody's")
        os.chmod(self.home, 0o755)
        os.mkdir(self.run_dir, 0o700)
        os.chown(self.run_dir, 65534, 65534)
        self.write("out.db", "")
        self.refused("Permission denied", *somebody)
        os.chown(self.database, 65534, 65534)
        self.refused("its folder has to be writable, too", *somebody)
        self.assertEqual(os.path.getsize(self.database), 0)


if __name__ == "__main__":
    unittest.main()

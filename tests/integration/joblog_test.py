"""What a batch leaves beside its results: a job log, a folder for each message, results with their message."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))

from group import GroupTest, eventually, numbers, processes_with  # noqa: E402

HEADER = "Seq\tStart\tSeconds\tWorker\tAttempts\tEnd\tExit\tMessage"
FILES = {"stdout", "stderr", "stderr.end", "meta.json"}


class BatchTest(GroupTest):
    def setUp(self):
        super().setUp()
        self.log = self.path("log")
        self.results = self.path("results")
        self.out = self.path("out")

    def text(self, name):
        with open(name, encoding="utf-8") as file:
            return file.read()

    def rows(self):
        """{number: its row}, after the header and the numbers were checked: each is there once."""
        lines = self.text(self.log).split("\n")
        self.assertEqual((lines[0], lines[-1]), (HEADER, ""))
        rows = [dict(zip(HEADER.split("\t"), line.split("\t"), strict=True)) for line in lines[1:-1]]
        found = {int(row["Seq"]): row for row in rows}
        self.assertEqual(len(found), len(rows), "a number is there twice")
        return found

    def folder(self, number, name=""):
        return os.path.join(self.results, f"{number // 1000:06}", f"{number:09}", name)

    def numbers_of_folders(self):
        """Of all that are there, each of which is whole."""
        found = set()
        for path, folders, files in os.walk(self.results):
            if os.path.dirname(path) == self.results:
                self.assertFalse([name for name in folders if name.startswith(".")], "what was not made whole")
                found |= set(map(int, folders))
            elif path != self.results:
                self.assertLessEqual(set(files), FILES)
                self.assertIn("meta.json", files)
                json.loads(self.text(os.path.join(path, "meta.json")))
        return found


WORK = r"""
read -r word
echo "$word speaks" >&2
case $word in
    fails) exit 3;;
    dies) kill -9 $$;;
    hangs) exec sleep 1000;;
    talks) seq 10000 >&2; echo said;;
    *) echo "$word is done";;
esac
"""
WORDS = ("works", "fails", "dies", "hangs", "talks")


class Fields(BatchTest):
    def setUp(self):
        super().setUp()
        self.began = time.time()

    def run_all(self, *words, code=1, workers="2"):
        launch = self.launch("--workers", workers, "--fanout", "1", "--attempts", "1", "--deadline", "5s", *words, "--", "sh",
                             "-c", WORK, stdin="".join(f"{word}\n" for word in WORDS).encode())
        self.assertEqual(launch.code(), code, launch.err[-2000:])
        return launch

    def test_a_joblog_says_what_became_of_each_message(self):
        self.run_all("--joblog", self.log)
        rows = self.rows()
        self.assertEqual({row["Message"]: (row["End"], row["Exit"], row["Attempts"]) for row in rows.values()},
                         {"works": ("completed", "0", "1"), "fails": ("failed", "3", "1"), "dies": ("failed", "-9", "1"),
                          "hangs": ("expired", "-15", "1"), "talks": ("completed", "0", "1")})
        for number, row in rows.items():
            self.assertEqual(row["Message"], WORDS[number - 1])
            self.assertIn(row["Worker"], ("w1", "w2"))
            self.assertRegex(row["Start"], r"^\d+\.\d{3}$")
            self.assertTrue(self.began - 1 <= float(row["Start"]) <= time.time(), row)
            self.assertLess(float(row["Seconds"]), time.time() - self.began)
        self.assertGreater(float(rows[4]["Seconds"]), 1)

    def test_json_full_says_it_too(self):
        launch = self.run_all("--json=full")
        said = {outcome["message"]: outcome for outcome in map(json.loads, launch.lines)}
        self.assertEqual({word: (outcome["outcome"], outcome["exit_code"], outcome["signal"]) for word, outcome in said.items()},
                         {"works": ("completed", 0, None), "fails": ("failed", 3, None), "dies": ("failed", None, 9),
                          "hangs": ("expired", None, 15), "talks": ("completed", 0, None)})
        self.assertEqual(said["works"]["result"], "works is done")
        self.assertEqual(said["fails"]["stderr"], "fails speaks\n")
        self.assertEqual(said["hangs"]["stderr"], "hangs speaks\n")
        self.assertTrue(said["talks"]["stderr_end"].endswith("\n9999\n10000\n"))
        self.assertNotIn("stderr", said["talks"])
        for outcome in said.values():
            self.assertRegex(outcome["started"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")
            self.assertIn(outcome["worker"], ("w1", "w2"))
            self.assertGreater(outcome["run_us"], 0)

    def test_plain_json_is_as_it_was(self):
        launch = self.run_all("--json", "--joblog", self.log)
        for outcome in map(json.loads, launch.lines):
            self.assertFalse({"started", "run_us", "exit_code", "signal", "stderr"} & outcome.keys())
            self.assertEqual("message" in outcome, outcome["outcome"] != "completed")

    def test_results_has_a_folder_for_each_message(self):
        self.run_all("--results", self.results)
        self.assertEqual(self.numbers_of_folders(), {1, 2, 3, 4, 5})
        self.assertEqual(self.text(self.folder(1, "stdout")), "works is done")
        self.assertEqual(self.text(self.folder(1, "stderr")), "works speaks\n")
        self.assertEqual(set(os.listdir(self.folder(2))), {"stderr", "meta.json"})
        self.assertEqual(self.text(self.folder(4, "stderr")), "hangs speaks\n")
        self.assertEqual(set(os.listdir(self.folder(5))), {"stdout", "stderr.end", "meta.json"})
        meta = json.loads(self.text(self.folder(2, "meta.json")))
        self.assertEqual((meta["seq"], meta["outcome"], meta["exit_code"], meta["message"]), (2, "failed", 3, "fails"))
        self.assertNotIn("result", json.loads(self.text(self.folder(1, "meta.json"))))

    def test_dead_letters_are_in_the_joblog_as_all_others(self):
        self.run_all("--joblog", self.log, "--results", self.results, "--dead-letters", self.path("letters"))
        self.assertEqual(set(self.rows()), {1, 2, 3, 4, 5})
        self.assertEqual(self.numbers_of_folders(), {1, 2, 3, 4, 5})
        self.assertEqual(self.text(self.path("letters")).count("\n"), 3)

    def test_work_that_is_no_process_has_no_exit_code(self):
        launch = self.launch("--workers", "2", "--joblog", self.log, "--json=full", "--handler", "sleep:5ms", stdin=b"a\n")
        self.assertEqual(launch.code(), 0, launch.err[-2000:])
        outcome = json.loads(launch.out)
        self.assertEqual((outcome["message"], outcome["exit_code"], outcome["signal"], outcome["stderr"]), ("a", None, None, ""))
        self.assertGreaterEqual(outcome["run_us"], 5000)
        self.assertEqual(self.rows()[1]["Exit"], "-")
        self.assertGreaterEqual(float(self.rows()[1]["Seconds"]), 0.005)

    def test_a_program_that_stays_tells_what_it_said_of_each_message(self):
        program = "while read -r word; do echo \"$word speaks\" >&2; echo \"$word is done\"; done"
        launch = self.launch("--workers", "1", "--fanout", "1", "--json=full", "--coprocess", "--", "sh", "-c", program,
                             stdin=b"a\nb\n")
        self.assertEqual(launch.code(), 0, launch.err[-2000:])
        said = {outcome["message"]: outcome for outcome in map(json.loads, launch.lines)}
        for word in "ab":
            self.assertEqual((said[word]["exit_code"], said[word]["stderr"]), (None, f"{word} speaks\n"))


class Messages(BatchTest):
    def test_losers_do_not_appear(self):
        launch = self.launch("--workers", "2", "--fanout", "2", "--hedge", "0", "--joblog", self.log, "--results", self.results,
                             "--handler", "sleep:exp:3ms", stdin=numbers(300))
        tasks, attempts = self.ends_well(launch)
        self.assertGreater(attempts["all"], tasks["all"])
        rows = self.rows()
        self.assertEqual(set(rows), set(range(1, 301)))
        self.assertTrue(all(row["End"] == "completed" for row in rows.values()))
        self.assertEqual(self.numbers_of_folders(), set(range(1, 301)))
        for number in rows:
            self.assertEqual(rows[number]["Message"], str(number))
            self.assertEqual(self.text(self.folder(number, "stdout")), str(number))

    def test_no_message_breaks_a_line(self):
        messages = (b"a\tb", b"two\nlines", b"\xff\xfe", b"\\n", b"\x1b[31m\r", "grün".encode(), b"")
        launch = self.launch("--null", "--workers", "1", "--fanout", "1", "--keep-order", "--tag", "--joblog", self.log,
                             "--handler", "echo", stdin=b"\0".join(messages) + b"\0")
        self.assertEqual(launch.code(), 0, launch.err[-2000:])
        escaped = ["a\\tb", "two\\nlines", "\\xff\\xfe", "\\\\n", "\\x1b[31m\\r", "grün", ""]
        self.assertEqual([self.rows()[number]["Message"] for number in range(1, 8)], escaped)
        lines = [tag.encode() + b"\t" + line for tag, message in zip(escaped, messages) for line in message.split(b"\n")]
        self.assertEqual(launch.out.split(b"\n")[:-1], lines)

    def test_a_tag_stands_before_each_line_of_a_result(self):
        launch = self.launch("--tag", "--workers", "1", "--fanout", "1", "--keep-order", "--", "sh", "-c",
                             "read n; seq $n", stdin=b"1\n3\n")
        self.assertEqual(launch.code(), 0, launch.err[-2000:])
        self.assertEqual(launch.lines, ["1\t1", "3\t1", "3\t2", "3\t3"])

    def test_a_refused_message_is_in_the_joblog(self):
        launch = self.launch("--workers", "1", "--fanout", "1", "--max-message", "3", "--joblog", self.log, "--handler", "echo",
                             stdin=b"a\nlonger\n")
        self.assertEqual(launch.code(), 1, launch.err[-2000:])
        row = self.rows()[2]
        self.assertEqual((row["Start"], row["Worker"], row["Attempts"], row["End"], row["Exit"]), ("-", "-", "0", "failed", "-"))

    def test_a_service_has_no_exit_code(self):
        launch = self.launch("--url", "http://127.0.0.1:1/{}", "--attempts", "1", "--deadline", "1s", "--json=full", stdin=b"a\n")
        self.assertEqual(launch.code(), 1, launch.err[-2000:])
        outcome = json.loads(launch.out)
        self.assertEqual((outcome["message"], outcome["exit_code"], outcome["signal"]), ("a", None, None))


class Killed(BatchTest):
    COUNT = 4000

    def resume(self, *words, form=()):
        self.write("in", numbers(self.COUNT))
        return self.launch("--resume", "--input", self.path("in"), "--output", self.out, "--workers", "2", "--slots", "4",
                           "--window", "64", "--joblog", self.log, "--results", self.results, *form, *words, "--handler",
                           "sleep:exp:3ms")

    def written(self, lines):
        def count():
            if not os.path.exists(self.out):
                return 0
            with open(self.out, "rb") as file:
                return file.read().count(b"\n")
        eventually(lambda: count() >= lines, f"{lines} outcomes in the output")

    def all_are_there_once(self):
        everything = set(range(1, self.COUNT + 1))
        self.assertEqual(sorted(map(int, self.text(self.out).split())), sorted(everything))
        self.assertEqual(set(self.rows()), everything)
        self.assertEqual(self.numbers_of_folders(), everything)
        for number in everything:
            self.assertEqual(self.text(self.folder(number, "stdout")), str(number))

    def test_a_collector_that_is_killed_leaves_each_number_once(self):
        launch = self.resume()
        for done in (100, 500, 900):
            self.written(done)
            os.kill(self.pid_of("collector"), signal.SIGKILL)
        self.assertEqual(launch.code(), 0, launch.err[-2000:])
        self.all_are_there_once()

    def test_a_launch_that_is_killed_leaves_each_number_once(self):
        for done, sync in ((300, "always"), (900, "none")):
            launch = self.resume("--sync", sync)
            self.written(done)
            launch.process.kill()
            launch.code()
            eventually(lambda: not processes_with(self.home), "the end of the group of a launch that was killed")
        launch = self.resume()
        self.assertEqual(launch.code(), 0, launch.err[-2000:])
        self.all_are_there_once()

    def test_a_joblog_can_be_begun_in_the_middle(self):
        self.write("in", numbers(10))
        words = ("--resume", "--input", self.path("in"), "--output", self.out, "--workers", "1")
        self.assertEqual(self.launch(*words, "--handler", "echo").code(), 0)
        self.write("in", numbers(20))
        launch = self.launch(*words, "--joblog", self.log, "--handler", "echo")
        self.assertEqual(launch.code(), 0, launch.err[-2000:])
        self.assertEqual(set(self.rows()), set(range(11, 21)), "what is done is not done again")


class MadeAnew(BatchTest):
    def run_some(self, count, *words):
        launch = self.launch("--workers", "1", "--joblog", self.log, "--results", self.results, *words, "--handler", "echo",
                             stdin=numbers(count))
        return launch, launch.code()

    def test_a_run_that_does_not_go_on_begins_with_nothing(self):
        for count in (1200, 5):
            launch, code = self.run_some(count)
            self.assertEqual(code, 0, launch.err[-2000:])
            self.assertEqual(set(self.rows()), set(range(1, count + 1)))
            self.assertEqual(self.numbers_of_folders(), set(range(1, count + 1)))

    def test_what_is_not_curfews_stays(self):
        self.run_some(5)
        self.write(os.path.join(self.folder(3), "notes"), "mine")
        launch, code = self.run_some(2)
        self.assertEqual(code, 64)
        self.assertIn("notes is not curfew's", launch.err)
        self.assertEqual(self.numbers_of_folders_with_notes(), {1, 2, 3, 4, 5})
        os.remove(self.folder(3, "notes"))
        self.write(os.path.join(self.results, "README"), "mine")
        self.assertEqual(self.run_some(2)[1], 0)
        self.assertEqual(self.numbers_of_folders(), {1, 2})
        self.assertEqual(self.text(os.path.join(self.results, "README")), "mine")

    def numbers_of_folders_with_notes(self):
        return {int(name) for name in os.listdir(os.path.join(self.results, "000000"))}


class BadInput(BatchTest):
    def refused(self, text, *words, code=64):
        with self.subTest(words=words):
            launch = self.launch(*words, "--handler", "echo", stdin=b"a\n")
            self.assertEqual(launch.code(), code, launch.err[-2000:])
            self.assertIn(text, launch.err)
            self.assertEqual(launch.out, b"")

    def test_flags_that_say_nothing(self):
        self.refused("--json=x: say --json or --json=full", "--json=x")
        self.refused("--json=: say --json or --json=full", "--json=")
        self.refused("say --json=full", "--json", "full")
        self.refused("--json is given twice", "--json", "--json=full")
        self.refused("--tag has no meaning with --json", "--tag", "--json")
        self.refused("--tag has no meaning with --json", "--tag", "--json=full")
        self.refused("'--handler' is not a path", "--joblog")

    def test_files_and_folders_that_are_somebody_elses(self):
        self.write("file", "text\n")
        os.mkdir(self.path("full"))
        self.write("full/letter", "dear\n")
        self.write("in", "a\n")
        self.refused("is no folder", "--results", self.path("file"))
        self.refused("is not empty, and not of curfew", "--results", self.path("full"))
        self.refused("cannot make", "--results", self.path("none/such"))
        self.refused("cannot make", "--results", "/proc/curfew-results")
        self.refused("is the file of --output too", "--output", self.out, "--joblog", self.out)
        self.refused("is the file of --dead-letters too", "--dead-letters", self.out, "--joblog", self.out)
        self.refused("this is the file of --input too", "--input", self.path("in"), "--joblog", self.path("in"))
        self.refused("cannot write", "--joblog", self.path("full"), code=74)
        self.refused("--joblog", "--joblog", self.path("none/such"), code=74)
        self.write("done", "")
        self.write("done.journal", "")
        self.refused("say --resume, or move both away", "--joblog", self.path("done"))
        self.assertEqual(self.text(self.path("full/letter")), "dear\n")
        self.assertEqual(self.text(self.path("in")), "a\n")

    def test_flags_of_the_collector(self):
        for words, text in ((("--tag", "--format", "json"), "--tag: has no meaning with --format json"),
                            (("--format", "full"), "is not one of: raw, json, json-full"),
                            (("--results-dir", "/etc"), "is not empty, and not of curfew"),
                            (("--sink", f"file:{self.write('same', '')}", "--joblog", self.path("same")), "is the file of --sink")):
            with self.subTest(words=words):
                running = self.binary("collector", "--check", *words)
                self.assertEqual(running.code(), 64, running.err)
                self.assertIn(text, running.err)

    def test_two_runs_on_one_folder_of_results(self):
        first = self.launch("--run-dir", self.run_dir, "--workers", "1", "--results", self.results, "--handler", "sleep:1000s",
                            stdin="pipe")
        self.broker_until(lambda broker: broker["pid"], "the first to be there")
        self.refused("is being written by another", "--results", self.results)
        first.end_of_input()
        self.assertEqual(first.code(), 0, first.err[-2000:])


@unittest.skipUnless(os.geteuid() == 0 and shutil.which("mount"), "needs root")
class FullDisk(BatchTest):
    def test_a_full_disk_is_waited_for_and_nothing_is_lost(self):
        disk = self.path("disk")
        os.mkdir(disk)
        if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", disk], stderr=subprocess.DEVNULL).returncode:
            self.skipTest("needs the right to mount")
        self.addCleanup(subprocess.run, ["umount", "-l", disk], check=True)
        self.results = os.path.join(disk, "results")
        launch = self.launch("--workers", "1", "--results", self.results, "--output", self.out, "--handler", "echo",
                             stdin=numbers(300))
        launch.says("sink_full")
        subprocess.run(["mount", "-o", "remount,size=64m", disk], check=True)
        self.assertEqual(launch.code(), 0, launch.err[-2000:])
        self.assertIn("sink_goes_on", launch.err)
        self.assertEqual(self.numbers_of_folders(), set(range(1, 301)))
        self.assertEqual(self.text(self.out).count("\n"), 300)


if __name__ == "__main__":
    unittest.main()

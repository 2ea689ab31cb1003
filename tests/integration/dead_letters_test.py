"""curfew-monitor dead-letters: what did not complete is listed, shown and given out to be tried again, whole or not at all."""

import base64
import json
import os
import subprocess
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))

from group import BIN_DIR, GroupTest, PATIENCE, memory_peak_mib  # noqa: E402

MONITOR = os.path.join(BIN_DIR, "curfew-monitor")
USAGE, INCOMPLETE, IO = 64, 1, 74


def letter(seq, message="message", task="7", **more):
    """As the collector writes it; `task`: its epoch."""
    field = {"message": message} if isinstance(message, str) else {"message_base64": base64.b64encode(message).decode()}
    line = {"seq": seq, "id": None, "outcome": "failed", "error": "exit code 3", "attempts": 1, "latency_us": 5, "history": [],
            "task": f"{task}-{seq}", **field, **more}
    return json.dumps(line) + "\n"


def refused(seq, size, message="x"):
    return letter(seq, message, refused={"line": seq, "byte": 100 * seq, "size": size}, error="refused: ...")


class DeadLettersTest(GroupTest):
    def ask(self, *words, stdin=b"", stdout=subprocess.PIPE):
        """(exit code, stdout as bytes, stderr) of dead-letters with these words."""
        done = subprocess.run([MONITOR, "dead-letters", *words], input=stdin, stdout=stdout, stderr=subprocess.PIPE, cwd=self.home,
                              timeout=PATIENCE, env={**self.environment, "LC_ALL": "C.UTF-8"})
        return done.returncode, done.stdout, done.stderr.decode()

    def retry(self, text, *words, code=0, saying=""):
        self.write("letters", text)
        done, out, err = self.ask("retry", "letters", *words)
        self.assertEqual(done, code, err)
        self.assertIn(saying, err)
        if not saying:
            self.assertEqual(err, "")
        return out


class OfAGroup(DeadLettersTest):
    def test_what_failed_is_tried_again_and_completes(self):
        work = ("--", "sh", "-c", 'read -r n; [ -e good ] || [ "$n" != 2 ] || { echo no >&2; exit 3; }; echo "$n"')
        for words, kept in ((("--dead-letters", self.path("letters")), "letters"), (("--json", "--output", self.path("letters")), "letters")):
            with self.subTest(words=words):
                launch = self.launch("--workers", "1", "--fanout", "1", *words, *work, stdin=b"1\n2\n3\n")
                self.assertEqual(launch.code(), 1, launch.err)
                code, out, err = self.ask("ls", kept)
                self.assertEqual((code, err), (0, ""))
                header, row, last = out.decode().splitlines()
                self.assertEqual(header.split(), ["seq", "outcome", "attempts", "reason", "message"])
                self.assertEqual(row.split(), ["2", "failed", "1", "exit", "code", "3:", "no", "2"])
                self.assertEqual(last, "1 letter: 1 failed; most often: exit code 3: no (1)")
                self.write("good", "")
                code, out, err = self.ask("retry", kept)
                self.assertEqual((code, out, err), (0, b"2\n", ""))
                launch = self.launch("--workers", "1", *work, stdin=out)
                self.ends_well(launch)
                self.assertEqual(launch.lines, ["2"])
                os.remove(self.path("good"))

    def test_a_letter_says_which_task_the_work_had(self):
        launch = self.launch("--workers", "1", "--fanout", "1", "--dead-letters", self.path("letters"), "--", "sh", "-c",
                             "echo $CURFEW_TASK > task; exit 1", stdin=b"x\n")
        self.assertEqual(launch.code(), 1, launch.err)
        with open(self.path("letters")) as file, open(self.path("task")) as task:
            self.assertEqual(json.load(file)["task"], task.read().strip())

    def test_a_message_that_was_too_large_is_not_given_out_cut(self):
        large = b"y" * 2000
        launch = self.launch("--workers", "1", "--max-message", "1k", "--dead-letters", self.path("letters"), "--attempts", "1",
                             "--handler", "fail", stdin=b"a\n" + large + b"\nb\n")
        self.assertEqual(launch.code(), 1, launch.err)
        code, out, err = self.ask("retry", "letters")
        self.assertEqual((code, sorted(out.split())), (1, [b"a", b"b"]))
        self.assertEqual(err, "curfew-monitor: message 2 is not given out: it has 2000 bytes, was refused for that, and its letter"
                              " has the first 1024; it is message 2 of the input, byte offset 2\n")


class Retry(DeadLettersTest):
    def test_messages_come_as_they_were(self):
        odd = ["", " a\tb ", "€", "\x01\x1b", b"\xff\xfe", "x" * 100_000]
        out = self.retry("".join(letter(n, message) for n, message in enumerate(odd, 1)))
        self.assertEqual(out.split(b"\n")[:-1], [m if isinstance(m, bytes) else m.encode() for m in odd])
        odd.append("two\nlines")
        out = self.retry("".join(letter(n, message) for n, message in enumerate(odd, 1)), "--null")
        self.assertEqual(out.split(b"\0")[:-1], [m if isinstance(m, bytes) else m.encode() for m in odd])

    def test_a_task_that_stands_there_twice_is_given_once_and_the_same_number_of_another_run_is_another(self):
        text = letter(1, "a") + letter(2, "b") + letter(1, "a") + letter(1, "c", task="8") + letter(2, "b")
        self.assertEqual(self.retry(text), b"a\nb\nc\n")

    def test_without_an_epoch_nothing_is_taken_for_the_same(self):
        self.assertEqual(self.retry(letter(1, "a", task="x") + letter(1, "b", task="x")), b"a\nb\n")

    def test_only_the_numbers_that_are_named_are_given(self):
        text = "".join(letter(n, f"m{n}") for n in range(1, 10))
        self.assertEqual(self.retry(text, "3", "9", "3"), b"m3\nm9\n")

    def test_nothing_is_given_where_not_all_can_be(self):
        text = letter(1, "a") + letter(2, "two\nlines") + letter(3, "a\0b")
        self.assertEqual(self.retry(text, code=USAGE, saying="message 2 of letters has a newline, and would be several lines: say"
                                                             " --null here and at launch; nothing was given out"), b"")
        self.assertEqual(self.retry(text, "1", "7", code=INCOMPLETE, saying="no letter of message 7: nothing was given out"), b"")
        self.assertEqual(self.retry(text, "--null", "1", "3", code=USAGE, saying="message 3 of letters has a NUL byte"), b"")
        self.assertEqual(self.retry(text, "1", "3"), b"a\na\0b\n")

    def test_a_refused_message_of_which_the_letter_has_all_is_given(self):
        text = refused(1, 1) + refused(2, 5000, "y" * 1024) + letter(3, "z")
        self.assertEqual(self.retry(text, code=INCOMPLETE, saying="message 2 is not given out"), b"x\nz\n")
        many = "".join(refused(n, 5000) for n in range(1, 31))
        _, _, err = self.ask("retry", self.write("letters", many))
        self.assertEqual(len(err.splitlines()), 11)
        self.assertIn("20 more such messages", err)

    def test_what_is_no_outcome_is_counted_and_said_and_the_rest_is_given(self):
        whole = letter(2, "b")
        for end, saying in (("junk\n{}\n", "2 lines of letters are no outcome, and left out; the first is line 2"),
                            (whole[:-20], "the last line of letters has no end")):
            self.assertEqual(self.retry(letter(1, "a") + end, code=INCOMPLETE, saying=saying), b"a\n")

    def test_a_pipe_can_be_read_once(self):
        text = letter(1, "a").encode()
        code, out, err = self.ask("retry", "-", "--null", stdin=text)
        self.assertEqual((code, out, err), (0, b"a\0", ""))
        for words in ((), ("--null", "1")):
            code, out, err = self.ask("retry", "-", *words, stdin=text)
            self.assertEqual((code, out), (USAGE, b""))
            self.assertIn("stdin is no file, and cannot be looked at before", err)
        with open(self.write("letters", text), "rb") as file:
            done = subprocess.run([MONITOR, "dead-letters", "retry", "-"], stdin=file, capture_output=True, timeout=PATIENCE)
            self.assertEqual((done.returncode, done.stdout), (0, b"a\n"))

    def test_a_reader_that_goes_away_ends_it(self):
        self.write("letters", letter(1, "x" * 100_000))
        reader, writer = os.pipe()
        os.close(reader)
        self.assertEqual(self.ask("retry", "letters", stdout=writer)[0], -13)
        os.close(writer)
        done = subprocess.run(["sh", "-c", f"trap '' PIPE; {MONITOR} dead-letters retry letters | :; exit 0"], cwd=self.home,
                              capture_output=True, timeout=PATIENCE)
        self.assertIn(done.stderr, (b"", b"curfew-monitor: dead-letters: stdout: Broken pipe\n"))
        done = subprocess.run(["sh", "-c", f"{MONITOR} dead-letters retry letters >/dev/full"], cwd=self.home, capture_output=True,
                              timeout=PATIENCE)
        self.assertEqual((done.returncode, done.stderr), (IO, b"curfew-monitor: dead-letters: stdout: No space left on device\n"))


class Looks(DeadLettersTest):
    def test_the_table_fits_and_nothing_of_a_letter_touches_the_terminal(self):
        evil = "\x1b[2J\x07\r\n\x9b\u202e" + "w" * 300
        self.write("letters", letter(1, evil, error=evil) + letter(20_000_000, b"\xff\x1b" * 500, outcome="expired"))
        code, out, err = self.ask("ls", "letters")
        self.assertEqual((code, err), (0, ""))
        text = out.decode()
        self.assertLessEqual(max(map(len, text.splitlines())), 80)
        self.assertIn("2 letters: 1 failed, 1 expired; most often: ", text.splitlines()[-1])
        shown = self.ask("show", "letters", "1")[1].decode()
        for bad in "\x1b\x07\r\x9b\u202e":
            self.assertNotIn(bad, text + shown)
        self.assertIn(r"\x1b[2J\x07\x0d", shown)

    def test_the_first_are_listed_and_all_are_counted(self):
        self.write("letters", "".join(letter(n) for n in range(1, 51)))
        code, out, err = self.ask("ls", "letters", "--limit", "3")
        self.assertEqual((code, len(out.splitlines()), err), (0, 5, "curfew-monitor: the first 3 are listed (--limit)\n"))
        self.assertTrue(out.splitlines()[-1].startswith(b"50 letters: "))
        code, out, _ = self.ask("ls", "letters", "--json", "--limit", "3")
        self.assertEqual([json.loads(line)["seq"] for line in out.splitlines()], [1, 2, 3])

    def test_a_letter_is_shown_with_each_of_its_attempts(self):
        history = [{"attempt": n, "worker": f"w{n}", "end": "failed", "error": f"reason {n}"} for n in (1, 2)]
        self.write("letters", letter(5, "two\nlines", history=history, attempts=2) + letter(5, "another", task="8"))
        code, out, err = self.ask("show", "letters", "5")
        self.assertEqual((code, err), (0, ""))
        first, second = out.decode().split("\n\n")
        self.assertEqual(first.splitlines()[:2], ["task      7-5", "outcome   failed after 2 attempts in 5us"])
        self.assertIn("attempt   2 at w2: failed\n    reason 2\nmessage   9 bytes\n    two\n    lines", first)
        self.assertIn("task      8-5", second)

    def test_a_file_without_letters_has_none(self):
        for text in ("", letter(1, outcome="completed")):
            self.assertEqual(self.ask("ls", self.write("letters", text)), (0, b"0 letters\n", ""))
            self.assertEqual(self.ask("retry", "letters"), (0, b"", ""))
        code, out, err = self.ask("show", "letters", "1")
        self.assertEqual((code, out), (INCOMPLETE, b""))
        self.assertIn("no letter of message 1", err)

    def test_nothing_of_the_file_is_changed(self):
        text = letter(1) + "junk\n" + letter(2)[:-5]
        self.write("letters", text)
        for words in (("ls",), ("show", "1"), ("retry",)):
            self.ask(words[0], "letters", *words[1:])
        with open(self.path("letters")) as file:
            self.assertEqual(file.read(), text)


class BadInput(DeadLettersTest):
    def test_wrong_usage_is_64_and_says_what_is_right(self):
        self.write("letters", letter(1))
        for words, text in (((), "what is to be done is missing"), (("list", "letters"), "unknown command 'list'"),
                            (("ls",), "FILE is missing"), (("show", "letters"), "the number of a message is missing"),
                            (("show", "letters", "x"), "'x' is not the number of a message"),
                            (("retry", "letters", "1", "01"), "'01' is not the number"), (("ls", "letters", "1"), "one word too many"),
                            (("show", "letters", "1", "2"), "one word too many"), (("ls", "letters", "--limit", "0"), "--limit"),
                            (("ls", "missing"), "cannot read 'missing': No such file"), (("ls", "."), "'.' is a folder")):
            with self.subTest(words=words):
                code, out, err = self.ask(*words)
                self.assertEqual((code, out), (USAGE, b""), err)
                self.assertIn(text, err.splitlines()[0])

    def test_a_binary_file_and_foreign_json_are_counted(self):
        with open(MONITOR, "rb") as file:
            binary = file.read(1_000_000)
        for text in (binary, b'{"seq":1}\n[1,2]\nnull\n', b"\0" * 100_000 + b"\n"):
            for words in (("ls", "letters"), ("retry", "letters")):
                self.write("letters", text)
                code, out, err = self.ask(*words)
                self.assertEqual(code, INCOMPLETE)
                self.assertRegex(err, r"no outcome, and left out; the first is line \d+|the last line of letters has no end")
                self.assertEqual(out, b"0 letters\n" if words[0] == "ls" else b"")

    def test_a_line_of_100_mb_costs_its_bytes_and_no_more(self):
        for line in (b"[" * 100_000_000, b"[" + b"0," * 50_000_000):
            with open(self.path("letters"), "wb") as file:
                file.write(line + b"\n" + letter(2, "b").encode())
            del line
            running = self.binary("monitor", "dead-letters", "retry", self.path("letters"))
            peak = 0
            while running.alive:
                peak = max(peak, memory_peak_mib(running.pid))
            self.assertEqual((running.code(), running.out), (INCOMPLETE, b"b\n"), running.err)
            self.assertLess(peak, 400)


if __name__ == "__main__":
    unittest.main()

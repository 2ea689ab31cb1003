"""launch --dry-run: the command of each message, as a line that a shell may run; and that nothing is run."""

import os
import subprocess
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))

from group import GroupTest  # noqa: E402

ODD = ("plain", "", "it's 50% \\n", "-n", "--", "$HOME `id` $(id) \"x\" ; & | > <", " spaces  ", "tab\there", "esc\x1b[31m", "\x01\x7f\r",
       "€ \u202e \x9b")


class DryRunTest(GroupTest):
    def dry(self, *words, messages=("one", "two"), stdin=None, code=0, environment=()):
        """(its lines, its stderr)"""
        data = "".join(f"{message}\n" for message in messages).encode() if stdin is None else stdin
        launch = self.launch("--dry-run", *words, stdin=data, environment={"CURFEW_BIN_DIR": "/nonexistent", **dict(environment)})
        self.assertEqual(launch.code(), code, launch.err)
        self.assertEqual(os.listdir(self.private), [], "a run directory")
        return launch.out.decode().splitlines(), launch.err

    def run_by(self, shell, lines):
        done = subprocess.run([shell], input="\n".join([*lines, ""]).encode(), capture_output=True, cwd=self.home, timeout=20)
        self.assertEqual(done.stderr, b"")
        return done.stdout


class Commands(DryRunTest):
    def test_each_message_is_a_line_that_any_shell_runs_as_the_worker_would(self):
        lines, _ = self.dry("--", "cat", messages=ODD)
        self.assertEqual(lines[0], r"printf '%s\n' plain | cat")
        self.assertEqual(len(lines), len(ODD))
        self.assertEqual(self.run_by("sh", lines).decode(), "".join(f"{message}\n" for message in ODD))

    def test_a_message_in_an_argument_is_one_word_of_bash(self):
        lines, _ = self.dry("--", "printf", r"%s\n", "<{}>", "{}{}", messages=ODD)
        self.assertEqual(self.run_by("bash", lines).decode(), "".join(f"<{m}>\n{m}{m}\n" for m in ODD))
        self.assertEqual(self.dry("-I", "@", "--", "echo", "@", "{}")[0], ["echo one '{}'", "echo two '{}'"])
        self.assertEqual(self.dry("--", "{}", "x")[0][0], r"printf '%s\n' one | '{}' x", "the message never chooses the command")

    def test_bytes_that_are_no_text_stay_what_they_are_and_none_reaches_a_terminal(self):
        data = bytes(byte for byte in range(256) if byte != 0)
        for words in (("--", "cat"), ("--", "printf", "%s", "{}")):
            launch = self.launch("--dry-run", "--null", *words, stdin=data)
            self.assertEqual(launch.code(), 0, launch.err)
            self.assertTrue(all(32 <= byte < 127 for byte in launch.out[:-1]), launch.out)
            self.assertEqual(self.run_by("bash", launch.out.decode().splitlines()), data)
        lines, _ = self.dry("--", "cat", stdin=b"a\0b\n")
        self.assertEqual(self.run_by("sh", lines), b"a\0b\n")

    def test_the_separator_says_what_stdin_gets(self):
        self.assertEqual(self.dry("--null", "--", "cat", stdin=b"one\0two")[0], ["printf %s one | cat", "printf %s two | cat"])
        self.assertEqual(self.dry("--stdin", "exact", "--", "cat")[0][0], "printf %s one | cat")
        self.assertEqual(self.dry("--null", "--stdin", "line", "--", "cat", stdin=b"a\nb")[0], [r"printf 'a\nb\n' | cat"])
        self.assertEqual(self.dry("--", "cat", stdin=b"a\0b", environment={"CURFEW_NULL": "1"})[0][1], "printf %s b | cat")

    def test_each_pool_has_its_line_with_its_name(self):
        lines, _ = self.dry("--pool", "a=cat", "--pool", "b=grep -v '{} x'", messages=("one",))
        self.assertEqual(lines, [r"printf '%s\n' one | CURFEW_POOL=a cat", "CURFEW_POOL=b grep -v 'one x'"])

    def test_a_program_that_stays_is_fed_by_its_framing(self):
        for framing, line in (("line", r"printf '%s\n' one | cat -u '{}'"), ("netstring", "printf %s 3:one, | cat -u '{}'"),
                              ("json", """printf '%s\\n' '{"seq":1,"attempt":1,"message":"one"}' | cat -u '{}'""")):
            self.assertEqual(self.dry("--coprocess", "--framing", framing, "--", "cat", "-u", "{}", messages=("one",))[0], [line])

    def test_a_service_is_asked_by_method_and_url(self):
        lines, _ = self.dry("--url", "http://a:1/{}?q={}", "--url", "http://b/p", messages=("a b/ü?",))
        self.assertEqual(lines, ["GET http://a:1/a%20b%2F%C3%BC%3F?q=a%20b%2F%C3%BC%3F", "POST http://b/p 'a b/ü?'"])
        self.assertEqual(self.dry("--url", "http://a/{}", "--method", "DELETE", messages=("x",))[0], ["DELETE http://a/x"])


class Nothing(DryRunTest):
    def test_is_run_and_no_file_is_made_or_emptied(self):
        self.write("out", "kept\n")
        self.write("dead", "kept\n")
        source = self.write("in", "one\n")
        before = sorted(os.listdir(self.home))
        launch = self.launch("--dry-run", "--input", source, "--output", self.path("out"), "--dead-letters", self.path("dead"),
                             "--run-dir", self.run_dir, "--", "touch", self.path("made"))
        self.assertEqual(launch.code(), 0, launch.err)
        self.assertEqual(launch.lines, [rf"printf '%s\n' one | touch {self.path('made')}"])
        self.assertEqual([name for name in sorted(os.listdir(self.home)) if not name.startswith(("out.", "err."))], before)
        for name in ("out", "dead"):
            with open(self.path(name)) as file:
                self.assertEqual(file.read(), "kept\n")

    def test_is_said_of_a_message_that_would_be_run(self):
        lines, err = self.dry("--max-message", "1k", "--", "cat", messages=("a", "x" * 1025, "x" * 1024))
        self.assertEqual(len(lines), 2)
        self.assertEqual(err, "launch: message 2 would not be run: 1025 bytes are over --max-message\n")
        lines, err = self.dry("--", "echo", "{}", stdin=b"a\0b\nc\n")
        self.assertEqual(lines, ["echo c"])
        self.assertIn("message 1 would not be run: it holds a NUL byte", err)
        lines, err = self.dry("--null", "--coprocess", "--", "cat", stdin=b"a\nb\0c")
        self.assertEqual(lines, [r"printf '%s\n' c | cat"])
        self.assertIn("message 1 would not be run: it has a newline", err)

    def test_is_printed_where_it_has_no_meaning_and_the_reason_is_said(self):
        self.write("Procfile", "a: true\n")
        for words, text in ((("--handler", "echo"), "no command of yours is run"), ((self.path("Procfile"),), "its commands stand in it"),
                            (("--input", self.path("no"), "--", "cat"), "No such file"), (("--input", self.home, "--", "cat"), "Is a dir"),
                            (("--max-message", "x", "--", "cat"), "is not a size"), (("--pool", "a", ), "is not NAME="),
                            (("--coprocess", "--framing", "x", "--", "cat"), "is not line, netstring or json"),
                            (("--resume", "--input", self.write("in", ""), "--output", self.path("o"), "--", "cat"), "with --resume")):
            with self.subTest(words=words):
                lines, err = self.dry(*words, code=64)
                self.assertEqual((lines, err.count("\n")), ([], 1), err)
                self.assertIn(text, err)

    def test_comes_of_an_empty_input(self):
        self.assertEqual(self.dry("--", "cat", stdin=b""), ([], ""))
        self.assertEqual(self.dry("--", "cat", stdin=b"\n")[0], [r"printf '%s\n' '' | cat"])

    def test_is_left_when_the_reader_goes_away(self):
        reader, writer = os.pipe()
        os.close(reader)
        with open("/dev/zero", "rb") as endless:
            launch = self.launch("--dry-run", "--null", "--", "cat", stdin=endless, stdout=writer)
        os.close(writer)
        self.assertEqual(launch.code(), -13, launch.err)


if __name__ == "__main__":
    unittest.main()

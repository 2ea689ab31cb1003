"""Programs that stay, and are given one message after the other: what they are told, how they are stopped, and what they
do that is wrong. Each attempt has one end, no process is left, and the rest goes on.
"""

import json
import os
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))

from group import PYTHON, GroupTest, eventually, is_over, processes_running, times_woken  # noqa: E402

LINES = """
import sys, os, time
for line in sys.stdin:
    word = line.rstrip("\\n")
    if word == "hang": time.sleep(1000)
    if word == "die": sys.exit(3)
    if word == "twice": print("one", flush=True)
    if word == "long": print("x" * 3000000, flush=True)
    if word == "quit": print("bye", flush=True); sys.exit(0)
    print(os.getpid() if word == "pid" else word.upper(), flush=True)
"""
JSON = """
import json, sys
for line in sys.stdin:
    asked = json.loads(line)
    word = asked.get("message", asked.get("message_base64"))
    answer = {"rejected": "no"} if word == "reject" else {"failed": "why"} if word == "fail" else {"ok": asked}
    if word == "other": answer["seq"] = asked["seq"] + 1
    print("what?" if word == "junk" else json.dumps(answer), flush=True)
"""
NETSTRINGS = """
import sys
stdin, stdout = sys.stdin.buffer, sys.stdout.buffer
while True:
    size = b""
    while (byte := stdin.read(1)) != b":":
        if not byte: sys.exit()
        size += byte
    message = stdin.read(int(size)); stdin.read(1)
    if message == b"half": stdout.write(b"10:abc"); stdout.flush(); continue
    if message == b"junk": stdout.write(b"junk"); stdout.flush(); continue
    answer = message[::-1]
    stdout.write(b"%d:%s," % (len(answer), answer)); stdout.flush()
"""


class CoprocessTest(GroupTest):
    def talk(self, script, messages, *words, code=0, separator="\n", json_lines=True, later=(), **how):
        """Outcomes of the messages, in one slot of one worker unless said. `later`: messages that come when those have
        their outcomes."""
        program = self.write("program.py", script)
        launch = self.launch("--coprocess", "--workers", "1", "--fanout", "1", *(("--json",) if json_lines else ()), *words,
                             "--", PYTHON, "-u", program,
                             stdin="pipe", **how)
        launch.feed("".join(f"{message}{separator}" for message in messages).encode())
        if later:
            launch.writes(len(messages))
            launch.feed("".join(f"{message}{separator}" for message in later).encode())
        launch.end_of_input()
        self.ends_well(launch, code=code)
        self.launched = launch
        self.nothing_runs(program)
        return sorted((json.loads(line) for line in launch.lines), key=lambda outcome: outcome["seq"])

    def results(self, outcomes):
        return [outcome.get("result", outcome["outcome"]) for outcome in outcomes]


class Talking(CoprocessTest):
    def test_one_program_answers_one_message_after_the_other(self):
        outcomes = self.talk(LINES, ["a", "", "b c", *["pid"] * 20])
        self.assertEqual(self.results(outcomes)[:3], ["A", "", "B C"])
        self.assertEqual(len(set(self.results(outcomes)[3:])), 1)

    def test_one_that_writes_what_it_has_read_so_far_is_fine(self):
        launch = self.launch("--coprocess", "--workers", "1", "--fanout", "1", "--keep-order", "--", "cat",
                             stdin=b"abc\n\nde\n" * 100)
        self.ends_well(launch)
        self.assertEqual(launch.lines, ["abc", "", "de"] * 100)

    def test_each_slot_has_its_own(self):
        outcomes = self.talk(LINES, ["pid"] * 200, "--slots", "3")
        self.assertEqual(len(set(self.results(outcomes))), 3)

    def test_json_says_what_is_worked_on(self):
        outcome, = self.talk(JSON, ["hello"], "--framing", "json", "--deadline", "99s")
        asked = json.loads(outcome["result"])
        self.assertEqual((asked["seq"], asked["attempt"], asked["message"]), (1, 1, "hello"))
        self.assertLess(60_000, asked["deadline_ms"])
        self.assertLessEqual(asked["deadline_ms"], 99_000)

    def test_json_fails_and_rejects(self):
        outcomes = self.talk(JSON, ["fail", "reject", "x"], "--framing", "json", "--attempts", "2", code=1)
        self.assertEqual([outcome.get("error") for outcome in outcomes[:2]], ["why", "no"])
        self.assertEqual([outcome["attempts"] for outcome in outcomes[:2]], [2, 1])
        self.assertEqual(outcomes[2]["outcome"], "completed")

    def test_netstrings_carry_any_bytes(self):
        outcomes = self.talk(NETSTRINGS, ["ab\ncd", "", "x" * 200_000], "--framing", "netstring", "--null", separator="\0")
        self.assertEqual(self.results(outcomes), ["dc\nba", "", "x" * 200_000])

    def test_a_message_with_a_newline_is_no_line(self):
        outcomes = self.talk(LINES, ["a\nb", "c"], "--null", "--attempts", "3", separator="\0", code=1)
        self.assertIn("--framing netstring", outcomes[0]["error"])
        self.assertEqual((outcomes[0]["attempts"], outcomes[1]["result"]), (1, "C"))

    def test_it_is_started_anew_after_so_many_answers(self):
        outcomes = self.talk(LINES, ["pid"] * 9, "--recycle", "3")
        pids = self.results(outcomes)
        self.assertEqual([len(set(pids[i:i + 3])) for i in (0, 3, 6)], [1, 1, 1])
        self.assertEqual(len(set(pids)), 3)

    def test_two_programs_race_and_the_losers_are_stopped_for_real(self):
        slow = self.write("slow.py", "import subprocess, sys\nfor line in sys.stdin: subprocess.run(['sleep', sys.argv[1]])\n")
        quick = self.write("quick.py", LINES)
        launch = self.launch("--coprocess", "--pool", f"slow={PYTHON} -u {slow} {self.sleep}",
                             "--pool", f"quick={PYTHON} -u {quick}", "--hedge", "0", "--json", stdin=b"a\nb\nc\n")
        self.ends_well(launch)
        self.assertEqual({json.loads(line)["pool"] for line in launch.lines}, {"quick"})
        self.nothing_runs(self.sleep)


class Stopping(CoprocessTest):
    def test_one_that_hangs_is_stopped_at_the_deadline_and_the_next_message_is_answered(self):
        outcomes = self.talk(LINES, ["a", "hang"], "--deadline", "5s", "--grace", "300ms", code=1, later=["b"])
        self.assertEqual(self.results(outcomes), ["A", "expired", "B"])

    def test_one_that_is_stopped_before_it_has_read_is_not_looked_at_any_more(self):
        told = self.path("told")
        script = ("import os, signal, sys, time\n"
                  "signal.signal(signal.SIGTERM, lambda *_: os.symlink(str(os.getpid()), sys.argv[1]))\n"
                  "while True: time.sleep(1000)\n")
        program = self.write("program.py", script)
        launch = self.launch("--coprocess", "--workers", "1", "--fanout", "1", "--deadline", "5s", "--grace", "2s", "--",
                             PYTHON, program, told, stdin="pipe")
        launch.feed(b"a\n")
        eventually(lambda: os.path.lexists(told), "its SIGTERM")
        before = sum(map(times_woken, self.supervisors()))
        eventually(lambda: is_over(int(os.readlink(told))), "its end by SIGKILL")
        self.assertLess(sum(map(times_woken, self.supervisors())) - before, 30, "in 2 s")  # every 20 ms: 100
        launch.end_of_input()
        self.ends_well(launch, code=1)

    def test_one_that_answers_nothing_is_said_to_buffer(self):
        outcome, = self.talk("import sys\nfor line in sys.stdin: sys.stdout.write(line)\n"
                             .replace("import sys", "import sys, io\nsys.stdout = io.TextIOWrapper(open(1, 'wb', 65536))"),
                             ["a"], "--deadline", "1s", code=1)
        self.assertEqual(outcome["outcome"], "expired")
        self.assertIn("does it buffer its stdout", outcome["history"][0]["error"])

    def test_the_spare_one_stands_ready(self):
        """It is started while the first works, so the one that takes its place has begun long before."""
        script = "import time; began = time.monotonic()\n" + LINES.replace("os.getpid()", "time.monotonic() - began")
        outcomes = self.talk(script, ["hang", "pid"], "--deadline", "5s", code=1)
        self.assertGreaterEqual(float(outcomes[1]["result"]), 1.0)

    def test_nothing_is_left_when_the_worker_is_killed(self):
        program = self.write("program.py", "import subprocess, sys\nfor line in sys.stdin: subprocess.run(['sleep', sys.argv[1]])\n")
        launch = self.launch("--coprocess", "--workers", "1", "--fanout", "1", "--run-dir", self.run_dir, "--deadline", "15s",
                             "--", PYTHON, "-u", program, self.sleep, stdin="pipe")
        launch.feed(b"a\n")
        eventually(lambda: processes_running(self.sleep), "it works")
        os.kill(self.pid_of("w1"), 9)
        launch.end_of_input()
        launch.code()
        self.nothing_runs(self.sleep)
        self.nothing_runs(program)


class WhatProgramsDoWrong(CoprocessTest):
    def test_one_that_ends_fails_its_message_and_no_other(self):
        outcomes = self.talk(LINES, ["a", "die", "b"], code=1)
        self.assertEqual(self.results(outcomes), ["A", "failed", "B"])
        self.assertIn("has ended before it had answered: exit code 3", outcomes[1]["error"])

    def test_what_it_says_before_it_ends_is_an_answer(self):
        outcomes = self.talk(LINES, ["quit", "a"], "--attempts", "2")  # it may be given the next while it ends
        self.assertEqual(self.results(outcomes), ["bye", "A"])

    def test_one_that_says_more_than_was_asked_is_started_anew(self):
        outcomes = self.talk(LINES, ["pid", "twice", "pid"])
        first, answer, second = self.results(outcomes)
        self.assertEqual(answer, "one")
        self.assertNotEqual(first, second)

    def test_one_that_greets_is_not_believed(self):
        outcomes = self.talk("print('welcome', flush=True)\n" + LINES, ["a"], "--attempts", "3", code=1)
        self.assertEqual(outcomes[0]["outcome"], "failed")
        self.assertIn("said what it was not asked for", outcomes[0]["error"])
        self.assertIn("welcome", outcomes[0]["error"])

    def test_one_that_greets_and_is_slow_is_not_believed_either(self):
        slow = LINES.replace("    word =", "    time.sleep(0.1)\n    word =", 1)
        outcomes = self.talk("print('welcome', flush=True)\n" + slow, ["a"], "--attempts", "2", code=1)
        self.assertIn("welcome", outcomes[0]["error"])

    def test_a_message_that_was_not_read_to_its_end_is_not_written_again(self):
        """It answers after 100 bytes of each, and looks at all that it reads."""
        script = """
import os
want, got = b"", b""
for letter in b"ab":
    line = bytes([letter]) * 900_000 + b"\\n"
    while len(got) < 100: got += os.read(0, 65536)
    os.write(1, b"early\\n")
    while len(got) < len(line): got += os.read(0, min(65536, len(line) - len(got)))
    if got[:len(line)] != line: os._exit(7)
    got = got[len(line):]
os.read(0, 1)
"""
        outcomes = self.talk(script, ["a" * 900_000, "b" * 900_000], json_lines=True)
        self.assertEqual(self.results(outcomes), ["early", "early"], self.launched.err)

    def test_json_that_is_nested_without_end(self):
        script = "import sys\nfor line in sys.stdin: print('{\"ok\":' + '[' * 200000 + ']' * 200000 + '}', flush=True)\n"
        outcomes = self.talk(script, ["a"], "--framing", "json", code=1)
        self.assertIn("its answer is none of", outcomes[0]["error"])
        self.assertNotIn("SIGSEGV", self.launched.err)

    def test_an_answer_that_is_too_long(self):
        outcomes = self.talk(LINES, ["long", "a"], code=1)
        self.assertIn("--max-output", outcomes[0]["error"])
        self.assertEqual(outcomes[1]["result"], "A")

    def test_a_line_without_an_end_is_bounded(self):
        outcomes = self.talk("import sys\nfor line in sys.stdin:\n    while True: sys.stdout.write('x' * 65536)\n", ["a"], code=1)
        self.assertIn("--max-output", outcomes[0]["error"])

    def test_json_that_is_none_or_for_another_message(self):
        outcomes = self.talk(JSON, ["junk", "other", "x"], "--framing", "json", code=1)
        self.assertIn("its answer is none of", outcomes[0]["error"])
        self.assertRegex(self.launched.err, "coprocess_ended reason=.*'what\\?'")
        self.assertIn("for another message", outcomes[1]["error"])
        self.assertEqual(outcomes[2]["outcome"], "completed")

    def test_half_a_netstring_and_none(self):
        outcomes = self.talk(NETSTRINGS, ["half", "junk", "abc"], "--framing", "netstring", "--deadline", "5s", code=1)
        self.assertEqual(self.results(outcomes), ["expired", "failed", "cba"])

    def test_one_that_ends_at_once_is_held_and_comes_back(self):
        gate = self.path("gate")
        script = f"import os, sys\nif not os.path.exists({gate!r}): sys.exit(9)\n" + LINES
        program = self.write("program.py", script)
        launch = self.launch("--coprocess", "--workers", "1", "--fanout", "1", "--attempts", "100", "--deadline", "60s",
                             "--run-dir", self.run_dir, "--", PYTHON, "-u", program, stdin="pipe")
        launch.feed(b"a\n")
        eventually(lambda: self.answer("w1")["coprocess"]["times_held"] >= 1, "it is held")
        self.write("gate", "")
        launch.end_of_input()
        self.ends_well(launch)
        self.assertEqual(launch.lines, ["A"])
        self.assertRegex(launch.err, "coprocess_ended reason=.*exit code 9")

    def test_what_means_nothing_for_it_is_refused(self):
        for words in (("--stdin", "line"), ("--ok-exit", "0"), ("--reject-exit", "1"), ("-I", "@")):
            with self.subTest(words=words):
                launch = self.launch("--coprocess", *words, "--", "cat", stdin=b"a\n")
                self.assertEqual(launch.code(), 64)
                self.assertIn("has no meaning with --coprocess", launch.err)

    def test_one_that_is_not_there_is_said_before_the_start(self):
        launch = self.launch("--coprocess", "--", "no-such-program", stdin=b"a\n")
        self.assertEqual(launch.code(), 64)
        self.assertIn("cannot run 'no-such-program'", launch.err)


class Accepting(CoprocessTest):
    def test_a_result_without_a_match_cannot_win(self):
        unknown = self.write("unknown.sh", "echo s UNKNOWN")
        solver = self.write("solver.sh", "sleep 0.2; echo s UNSATISFIABLE")
        launch = self.launch("--pool", f"a=sh {unknown}", "--pool", f"b=sh {solver}", "--accept", "^s (UN)?SAT", "--attempts",
                             "2", "--hedge", "0", "--json", stdin=b"p\n")
        self.ends_well(launch)
        outcome = json.loads(launch.lines[0])
        self.assertEqual((outcome["result"], outcome["pool"]), ("s UNSATISFIABLE", "b"))

    def test_what_fails_in_one_place_is_tried_in_the_other(self):
        launch = self.launch("--pool", "bad=false", "--pool", "good=sh -c 'sleep 0.05; cat'", "--hedge", "0", "--json",
                             stdin=b"".join(b"%d\n" % number for number in range(10)))
        self.ends_well(launch)
        self.assertEqual({json.loads(line)["pool"] for line in launch.lines}, {"good"})

    def test_without_any_match_the_message_fails_and_says_why(self):
        launch = self.launch("--accept", "yes", "--json", "--", "echo", "no", stdin=b"p\n")
        self.ends_well(launch, code=1)
        self.assertIn("no match of --accept yes", json.loads(launch.lines[0])["error"])


if __name__ == "__main__":
    unittest.main()

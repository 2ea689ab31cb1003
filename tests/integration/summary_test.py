"""What racing gave, as launch says it at the end: for a person, and for a script."""

import json
import os
import re
import subprocess
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))

from group import LAUNCH, GroupTest  # noqa: E402

sys.path.insert(0, os.path.dirname(LAUNCH))

from launch_lib import books, summary  # noqa: E402
from stand_ins import page, page_bytes  # noqa: E402

FAILS = "n=$(cat); test $((n % 10)) -ne 3 || { echo \"bad number $n\" >&2; exit 4; }; echo $n"


def found(**words):
    return books.decode(page_bytes(page((90, 10, 0, 0), **words)))


def times(count, p50=10_100, p99=20_900, p999=1_250_000):
    return {"count": count, "p50_us": p50, "p99_us": p99, "p999_us": p999}


def pool(name, won, **ends):
    return {"name": name, "won": won, "late": 1, **ends, "won_time": times(won)}


class Text(unittest.TestCase):
    def text(self, width=80, **said):
        return summary.text(found(), {"uptime_s": 1, **said}, 2.5, width)

    def test_the_first_line_says_how_much_and_how_fast(self):
        self.assertEqual(self.text(), ["summary   100 tasks in 2.50 s (40/s), 90 completed, 10 failed"])

    def test_the_latency_is_that_of_tasks(self):
        self.assertEqual(self.text(task_time=times(90))[1:], ["latency   p50 10.1 ms, p99 20.9 ms, p99.9 1.25 s"])

    def test_hedges_are_told_of_where_there_were_any(self):
        self.assertEqual(self.text(hedges={"sent": 0, "won": 0, "saved_us": 0, "withheld": 0})[1:], [])
        self.assertEqual(self.text(hedges={"sent": 60, "won": 31, "saved_us": 12_000, "withheld": 2})[1:],
                         ["hedges    60 sent, 31 won, 12.0 ms saved at least; 2 more were due, and there was no budget"[:80]])

    def test_who_wins_is_drawn_the_first_first(self):
        lines = self.text(pools=[pool("b", 25), pool("a", 75), pool("idle", 0, late=0)])[1:]
        self.assertEqual([line.split()[:2] for line in lines], [["wins", "a"], ["b", "#####"]])
        self.assertEqual([line.count("#") for line in lines], [15, 5])
        self.assertIn(" 75%      75  p99 20.9 ms", lines[0])

    def test_of_one_pool_there_is_nothing_to_draw(self):
        self.assertEqual(self.text(pools=[pool("a", 75)])[1:], [])

    def test_why_work_failed_the_most_frequent_first(self):
        failures = [{"reason": "failed: exit code #", "count": 7, "at_most_too_many": 2, "worker": "w1", "seq": 13, "error": "exit code 3"},
                    {"reason": "lost: its worker died", "count": 1, "at_most_too_many": 0, "worker": "w2", "seq": 5,
                     "error": "its worker died"}]
        self.assertEqual(self.text(failures=failures)[1:], ["failures  about 7 failed: exit code # (message 13 at w1)",
                                                           "          1 lost: its worker died (message 5 at w2)"])

    def test_lines_are_within_the_terminal_and_have_no_controls(self):
        said = {"pools": [pool("p" * 200, 50), *(pool(f"q{i}", i) for i in range(20))], "task_time": times(90),
                "hedges": {"sent": 60, "won": 31, "saved_us": 12_000, "withheld": 2},
                "failures": [{"reason": "failed: \x1b[31m" + "long " * 60, "count": 70 - i, "at_most_too_many": 0, "worker": "w" * 60,
                              "seq": i, "error": "e"} for i in range(9)]}
        for width in (40, 80, 200):
            lines = self.text(width, **said)
            self.assertLessEqual(max(map(len, lines)), width)
            self.assertTrue(all(line.isprintable() for line in lines))
            self.assertIn("          and 11 pools more"[:width], lines)
            self.assertIn("          and 4 reasons more", lines)

    def test_where_the_broker_left_no_word_the_books_are_all(self):
        self.assertEqual(summary.text(found(), {}, 2.5, 80), [])
        self.assertEqual(summary.text(None, {"uptime_s": 1}, 2.5, 80), [])

    def test_three_digits_of_a_time(self):
        for us, words in ((0, "0.00 us"), (950, "950 us"), (999.6, "1.00 ms"), (1_234, "1.23 ms"), (12_345, "12.3 ms"), (123_456, "123 ms"),
                          (999_600, "1.00 s"), (61_000_000, "61.0 s"), (99_960_000, "1 min 40 s"), (125_000_000, "2 min 5 s"),
                          (7_500_000_000, "2 h 5 min")):
            self.assertEqual(summary.short_time(us), words)


class OfARun(GroupTest):
    def run_launch(self, *arguments, count=300):
        out = self.path("out")
        return self.run_plainly("--output", out, *arguments, count=count)

    def run_plainly(self, *arguments, count):
        return subprocess.run([sys.executable, "-E", LAUNCH, *arguments], input="".join(f"{n}\n" for n in range(1, count + 1)),
                              capture_output=True, text=True, timeout=60, env=self.environment)

    def test_json_is_one_line_on_stdout(self):
        done = self.run_launch("--summary", "json", "--attempts", "1", "--fanout", "1", "--", "sh", "-c", FAILS)
        self.assertEqual(done.returncode, 1, done.stderr)
        said = json.loads(done.stdout)
        self.assertEqual(done.stdout.count("\n"), 1)
        self.assertEqual((said["code"], said["tasks"]["accepted"], said["tasks"]["completed"], said["tasks"]["failed"]), (1, 300, 270, 30))
        self.assertLess(0, said["tasks"]["p50_us"])
        self.assertLessEqual(said["tasks"]["p50_us"], said["tasks"]["p999_us"])
        self.assertEqual(sum(pool["won"] for pool in said["pools"]), 270)
        self.assertEqual([(failure["reason"], failure["count"]) for failure in said["failures"]],
                         [("failed: exit code 4: bad number #", 30)])
        self.assertNotIn("summary ", done.stderr)
        self.assertIn("tasks     300 = 270 completed", done.stderr)

    def test_text_stands_before_the_books(self):
        done = self.run_launch("--pool", "quick=cat", "--pool", "slow=sh -c 'sleep 5; cat'", "--stdin", "line", "--hedge", "0", count=20)
        self.assertEqual(done.returncode, 0, done.stderr)
        lines = done.stderr.splitlines()
        self.assertRegex(lines[0], r"^summary   20 tasks in .*, 20 completed$")
        self.assertRegex(lines[1], r"^latency   p50 .* p99 .* p99\.9 ")
        self.assertTrue(any(re.match(r"(wins  |    ) +quick +#+ +100% +20", line) for line in lines), done.stderr)
        self.assertEqual([line[:8] for line in lines[-2:]], ["tasks   ", "attempts"])

    def test_on_a_terminal_all_but_the_books_is_within_its_width(self):
        fails = self.write("fails", "#!/bin/sh\nread -r n; test $n -gt 5 || { echo a reason that no line has the room for, by far >&2; exit 4; }; echo $n\n")
        launch = f"{sys.executable} -E {LAUNCH} --log-level error --attempts 1 --fanout 1 -- sh {fails}"
        done = subprocess.run(["script", "-qec", f"stty cols 80; seq 20 | {launch}", "/dev/null"], stdin=subprocess.DEVNULL,
                              capture_output=True, timeout=60, env=self.environment, check=False)
        lines = done.stdout.split(b"\n")
        self.assertTrue(any(line.startswith(b"failures ") for line in lines), done.stdout)
        wide = [line for line in lines if len(line) > 80]  # with the terminal's carriage return
        self.assertEqual([line[:8] for line in wide if not line.startswith(b"tasks ")], [b"attempts"], done.stdout)

    def test_quiet_and_none_say_nothing_of_it(self):
        self.assertEqual(self.run_launch("--quiet", "--handler", "echo").stderr, "")
        self.assertNotIn("summary", self.run_launch("--summary", "none", "--handler", "echo").stderr)

    def test_json_needs_a_stdout_without_results(self):
        done = self.run_plainly("--summary", "json", "--handler", "echo", count=1)
        self.assertEqual(done.returncode, 64)
        self.assertIn("--output", done.stderr)

    def test_hedges_onto_idle_slots_are_counted_once_each(self):
        done = self.run_launch("--summary", "json", "--hedge", "idle", "--fanout", "2", "--handler", "sleep:exp:2ms", "--workers", "2")
        said = json.loads(done.stdout)
        hedges = said["hedges"]
        self.assertLess(0, hedges["sent"])
        self.assertEqual(hedges["sent"], sum(hedges[end] for end in books.ATTEMPT_ENDS))
        self.assertEqual(hedges["sent"], said["attempts"]["started"] - said["tasks"]["accepted"])


if __name__ == "__main__":
    unittest.main()

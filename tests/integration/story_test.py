"""What `curfew-monitor story` promises: one task, in flight or ended, with what its broker and its workers know, put together."""

import json
import os
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))

from browser import CHROMIUM, DRIVER, Browser  # noqa: E402
from group import eventually  # noqa: E402
from served import HttpTest  # noqa: E402


class StoryTest(HttpTest):
    def race(self):
        """A message that a pool will win when it is let go, and another loses then. The source stays open."""
        os.mkfifo(self.path("gate"))
        launch = self.launch("--run-dir", self.run_dir, "--deadline", "500s", "--fanout", "2", "--pool", f"quick=head -n1 {self.path('gate')}",
                             "--pool", f"slow=sleep {self.sleep}", stdin="pipe")
        launch.feed(b"message\n")
        eventually(lambda: sum(self.begun(attempt) for attempt in (self.story() or {"attempts": ()})["attempts"]) == 2, "both to begin")
        return launch

    @staticmethod
    def begun(attempt):
        return attempt["work"] is not None and attempt["work"]["began_us"] is not None

    def story(self, task="1"):
        code, out, _ = self.monitor("story", task, "--json")
        return json.loads(out)["task"] if code == 0 else None

    def ended(self):
        """When all of it has its end."""
        return eventually(lambda: (story := self.story()) and story["state"] == "settled" and all(a["end"] for a in story["attempts"]) and story,
                          "the end of the story")

    def end(self, launch):
        launch.end_of_input()
        self.assertEqual(launch.code(), 0)


class Story(StoryTest):
    def test_it_is_told_in_flight_and_after_its_end(self):
        launch = self.race()
        story = self.story()
        self.assertEqual((story["seq"], story["state"], story["outcome"], story["settled_us"]), (1, "open", None, None))
        self.assertEqual([a["end"] for a in story["attempts"]], [None, None])
        text = self.monitor("story", "1")[1]
        self.assertRegex(text, r"^task 1: in flight for \S+, \S+ left\n")
        self.let_go("gate")
        story = self.ended()
        by_pool = {a["pool"]: a for a in story["attempts"]}
        quick, slow = by_pool["quick"], by_pool["slow"]
        self.assertEqual((story["outcome"], quick["end"], slow["end"], slow["called_home"]), ("completed", "won", "cancelled", "decided"))
        self.assertEqual((story["started"], story["left_out"]), (2, 0))
        # Each process reads two clocks, one after the other, and one of them leaves out where it stood still
        slack = 5000 + 1e6 * sum(process["stood_still_s"] for process in self.snapshots().values())
        for attempt in (quick, slow):
            work = attempt["work"]
            times = [story["accepted_us"], attempt["sent_us"], work["began_us"], work["stop_us"], work["ended_us"], attempt["ended_us"]]
            said = [time for time in times if time is not None]
            self.assertTrue(all(b >= a - slack for a, b in zip(said, said[1:])), f"{attempt['pool']}: {times}")
        self.assertIsNone(quick["work"]["stop_us"])
        self.assertGreaterEqual(slow["work"]["stop_us"], slow["called_home_us"] - slack)
        self.end(launch)

    def test_as_text_each_attempt_is_a_bar_and_a_row(self):
        self.environment["LC_ALL"] = "C"
        launch = self.race()
        self.let_go("gate")
        self.ended()
        code, text, _ = self.monitor("story", "1")
        self.assertEqual(code, 0)
        self.assertRegex(text, r"^task 1: completed after \S+, by its attempt \d at w\d\naccepted ")
        self.assertRegex(text, r"\n\d +w\d +[=.]+\*\n")
        self.assertRegex(text, r"\n\d +w\d +[=.~]+~*o\n")
        self.assertRegex(text, r"\n\d +w\d +quick .* won\n")
        self.assertRegex(text, r"\n\d +w\d +slow .* cancelled\n")
        self.end(launch)

    def test_what_is_not_told_is_said_with_the_reason(self):
        launch = self.race()
        code, out, err = self.monitor("story", "99")
        self.assertEqual((code, out), (1, ""))
        self.assertIn("there is no task 99 yet: the last message has the number 1", err)
        code, _, err = self.monitor("story", "order-7")
        self.assertEqual(code, 1)
        self.assertIn("task order-7 is not in flight, and not among the last", err)
        for words in ((), ("",), ("1", "2")):
            code, out, err = self.monitor("story", *words)
            self.assertEqual((code, out), (64, ""), err)
            self.assertIn("story: ", err)
        self.let_go("gate")
        self.end(launch)

    def test_a_worker_knows_its_own_part_and_says_whom_to_ask(self):
        launch = self.race()
        code, _, err = self.monitor("story", "1", "--connect", f"ipc://{self.run_dir}/w1.monitor.sock")
        self.assertEqual(code, 2)
        self.assertIn("the broker does not answer: it alone knows the story of a task", err)
        self.let_go("gate")
        self.end(launch)

    def test_over_http_it_is_the_same(self):
        launch = self.race()
        self.serve()
        self.let_go("gate")
        story = self.ended()
        status, text = self.get("/story.json?task=1")
        # Not to the microsecond: each answer reads two clocks, one after the other
        told = lambda story: [(a["worker"], a["end"], a["called_home"], a["work"]["stop_us"] is None) for a in story["attempts"]]
        self.assertEqual((status, told(json.loads(text)["task"])), (200, told(story)))
        self.assertEqual(self.get("/story.json")[0], 400)
        status, text = self.get("/story.json?task=99")
        self.assertEqual((status, json.loads(text)["error"]), (404, "there is no task 99 yet: the last message has the number 1"))
        self.assertEqual(self.get("/task/1")[1], self.get("/task/order%2F7")[1])
        self.end(launch)


@unittest.skipUnless(CHROMIUM and DRIVER, "needs a browser (install: chromium chromium-driver)")
class Page(StoryTest):
    def test_it_follows_a_task_to_its_end_and_fits(self):
        launch = self.race()
        self.serve()
        with Browser(self) as browser:
            browser.open(self.url + "/task/1")
            eventually(lambda: (browser.text("#state") or "").startswith("In flight for"), "the task in flight")
            self.let_go("gate")
            ends = lambda: browser.run("return [...document.querySelectorAll('.line .end')].map(e => e.textContent).sort().join()")
            eventually(lambda: ends() == "cancelled,won", lambda: f"both ends, not {ends()}")
            self.assertRegex(browser.text("#state"), r"^Completed after .*, by its attempt \d at w\d\.$")
            self.assertEqual(browser.run("return document.querySelectorAll('#times tbody tr').length"), 2)
            for name, (width, height) in {"phone": (390, 844), "desktop": (1440, 900)}.items():
                for dark in (False, True):
                    browser.resize(width, height, dark)
                    over = lambda: browser.run("return document.documentElement.scrollWidth - window.innerWidth")
                    eventually(lambda: over() <= 0, f"the page to fit a {name}")
                    browser.keep(f"task-{name}-{'dark' if dark else 'light'}")
            self.assertEqual(browser.complaints(), [])
        self.end(launch)


if __name__ == "__main__":
    unittest.main()

"""The page of `curfew-monitor serve` in a browser: it moves, it sees who dies, it fits. CURFEW_SCREENSHOTS=DIR keeps what it looked like."""

import os
import re
import signal
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))

from browser import CHROMIUM, DRIVER, Browser  # noqa: E402
from group import eventually, numbers  # noqa: E402
from served import HttpTest  # noqa: E402

SIZES = {"phone": (390, 844), "tablet": (820, 1180), "laptop": (1280, 800), "desktop": (1920, 1080)}
RACER = "sh -c 'read -r n; case $n in *3) echo no >&2; exit 3;; esac; sleep {}; echo $n'"


@unittest.skipUnless(CHROMIUM and DRIVER, "needs a browser (install: chromium chromium-driver)")
class Page(HttpTest):
    def busy_group(self):
        """Thousands of messages, of which each takes its time."""
        launch = self.launch("--run-dir", self.run_dir, "--workers", "3", "--slots", "2", "--handler", "sleep:exp:30ms", stdin=numbers(20_000))
        self.workers_are_ready(3)
        return launch

    def number_in(self, browser, selector, pattern):
        match = re.search(pattern, (browser.text(selector) or "").replace(",", ""))
        return int(match[1]) if match else None

    def completed(self, browser):
        return self.number_in(browser, "#tasks-law", r"(\d+)\s*completed")

    def test_the_numbers_move_a_death_is_seen_and_so_is_the_end(self):
        launch = self.busy_group()
        self.serve()
        with Browser(self) as browser:
            browser.open(self.url + "/")
            first = eventually(lambda: self.completed(browser), "the first numbers")
            eventually(lambda: self.completed(browser) > first, "the numbers to move")
            rows = lambda: browser.run("return [...document.querySelectorAll('#workers tbody tr')].map(r => r.textContent)")
            self.assertEqual(len(eventually(lambda: len(rows()) == 3 and rows(), "three workers")), 3)
            eventually(lambda: browser.run("return document.querySelectorAll('#oldest tbody tr').length") > 0, "the oldest attempts")
            pid = self.pid_of("w2")
            row = lambda: browser.text("#processes tbody") or ""
            eventually(lambda: str(pid) in row(), "w2 with its pid")
            os.kill(pid, signal.SIGKILL)
            eventually(lambda: "died" in browser.text("#facts") and self.died(browser) == 1, "the death on the page")
            eventually(lambda: str(pid) not in row() and "w2" in row(), "the worker that replaces it")
            os.kill(self.pid_of("broker"), signal.SIGKILL)
            launch.code()
            eventually(lambda: re.search(r"The group ended at \d\d:\d\d:\d\d: these are its last figures", browser.text("#state")),
                       lambda: f"the page to say that the group ended, not {browser.text('#state')}")
            self.assertGreater(self.completed(browser), first)
            self.assertEqual(len(rows()), 3)
            browser.keep("gone")
            browser.open(self.url + "/")  # to who comes now it shows the same
            eventually(lambda: "The group ended" in browser.text("#state"), "the end, to who comes later")
            self.assertGreater(self.completed(browser), first)
            self.assertEqual([line for line in browser.complaints() if "Failed to load resource" not in line], [])

    def died(self, browser):
        return browser.run("const names = [...document.querySelectorAll('#facts dt')];"
                           "const name = names.find(e => e.textContent.includes('died'));"
                           "return name ? parseInt(name.nextElementSibling.textContent) : null;")

    def test_work_that_fails_turns_it_amber(self):
        self.launch("--run-dir", self.run_dir, "--workers", "1", "--fanout", "1", "--attempts", "1", "--slots", "2", "--", "sh", "-c",
                    "sleep 0.05; exit 1", stdin=numbers(20_000))
        self.workers_are_ready(1)
        self.serve()
        with Browser(self) as browser:
            browser.open(self.url + "/")
            words = r"^Needs a look\. (\d+) of \1 attempts that ended in the last \d+\.0 s failed\."
            eventually(lambda: re.search(words, browser.text("#state") or ""), lambda: f"the failures, not {browser.text('#state')}")
            self.assertEqual(browser.run("return document.body.getAttribute('data-level')"), "warn")

    def test_the_first_screen_says_how_it_goes_who_wins_and_what_fails(self):
        self.launch("--run-dir", self.run_dir, "--pool", "quick=" + RACER.format(0.02), "--pool", "slow=" + RACER.format(0.5),
                    "--slots", "2", "--stdin", "line", stdin=numbers(20_000))
        self.workers_are_ready(2)
        self.serve()
        with Browser(self) as browser:
            browser.resize(*SIZES["laptop"])
            browser.open(self.url + "/")
            bars = lambda: browser.run("return [...document.querySelectorAll('#wins-bars li')].map(e => [e.dataset.key, parseInt("
                                       "e.querySelector('b').textContent), parseFloat(e.querySelector('.bar span').style.width)])")
            eventually(lambda: len(bars()) == 2 and bars()[0][1] > 50, lambda: f"who wins, not {bars()}")
            (winner, share, width), (_, other, _) = bars()
            self.assertEqual((winner, share + other), ("quick", 100))
            self.assertAlmostEqual(width, share, delta=0.6)
            failures = lambda: browser.text("#failures-list") or ""
            eventually(lambda: re.search(r"failed: exit code 3: no.*message \d*3 at w[12]", failures()), lambda: f"why, not {failures()}")
            eventually(lambda: browser.run("return document.getElementById('failures').dataset.level") == "warn", "it to be amber")
            self.assertRegex(browser.text("#failures-note"), r"^\d+ of \d+ attempts that ended in the last .* failed\.")
            latency = lambda: browser.text("#latency-facts") or ""
            eventually(lambda: re.search(r"p50[\d.]+\s(ms|s)p99[\d.]+\s(ms|s)p99\.9[\d.]+\s(ms|s)", latency()), lambda: f"times, not {latency()}")
            eventually(lambda: re.search(r"p50 [\d.]+ (ms|s)", browser.text("#pace .key") or ""), "the curve of the latency")
            ends = browser.run("return ['pace', 'wins', 'failures'].map(id => document.getElementById(id).getBoundingClientRect().bottom)")
            self.assertLessEqual(max(ends), SIZES["laptop"][1], "without scrolling")
            self.assertLessEqual(max(ends), browser.run("return document.getElementById('ring').getBoundingClientRect().top"))
            browser.keep("first-screen")

    def test_it_fits_at_four_sizes_in_dark_and_light(self):
        self.busy_group()
        self.serve()
        with Browser(self) as browser:
            browser.open(self.url + "/")
            for name, (width, height) in SIZES.items():
                for dark in (False, True):
                    browser.resize(width, height, dark)
                    eventually(lambda: self.completed(browser), "the numbers")
                    eventually(lambda: browser.run("return document.querySelectorAll('#chart-rates canvas').length") > 0, "the charts")
                    over = lambda: browser.run("return document.documentElement.scrollWidth - window.innerWidth")
                    eventually(lambda: over() <= 0, f"the page to fit a {name}")
                    browser.keep(f"{name}-{'dark' if dark else 'light'}")
            self.assertEqual(browser.complaints(), [])

    def test_it_is_worked_by_keyboard(self):
        self.busy_group()
        self.serve()
        with Browser(self) as browser:
            browser.open(self.url + "/")
            eventually(lambda: self.completed(browser), "the numbers")
            browser.press("#ranges button[data-seconds='3600']", "\ue007")  # Enter
            eventually(lambda: browser.run("return document.querySelector('#ranges button[data-seconds=\"3600\"]').getAttribute('aria-pressed')")
                       == "true", "the range to change")
            order = lambda: browser.run("return [...document.querySelectorAll('#workers thead th')].map(e => e.getAttribute('aria-sort')).join()")
            before = order()
            browser.press("#workers thead button", " ")
            eventually(lambda: order() != before, "the table to be sorted the other way")


if __name__ == "__main__":
    unittest.main()

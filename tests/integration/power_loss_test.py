"""What a power loss may take: a disk that is gone in the middle of the work, as far as it was written, and is there again.

What a broker had been told before is compared with what a later run finds.
"""

import json
import os
import random
import re
import sys
import time
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "support"), os.path.join(HERE, "..", "..", "scripts")]

from disk import MISSING, Disk  # noqa: E402
from group import GroupTest, eventually, numbers  # noqa: E402
from launch_lib import books  # noqa: E402

COUNT = 6000
FEW = 1500  # with folders, each a few files
SEED = int(os.environ.get("CURFEW_TEST_SEED") or random.randrange(2**32))


@unittest.skipIf(MISSING, "needs mkfs.ext4, mount and losetup (install: e2fsprogs, mount)")
class PowerLoss(GroupTest):
    def setUp(self):
        super().setUp()
        self.write("in", numbers(COUNT))
        self.disk = Disk(self.home)

    def make_disk(self):
        if not self.disk.make():
            self.disk.drop()
            self.skipTest("needs the right to mount a loop device")

    def resume(self, sync, *words):
        self.page = books.Page(os.path.join(self.run_dir, "books"))  # before launch makes the folder: it makes no file then
        return self.launch("--resume", "--sync", sync, "--run-dir", self.run_dir, "--input", self.path("in"), "--output",
                           os.path.join(self.disk.path, "out"), "--workers", "2", "--slots", "4", "--handler", "sleep:exp:3ms", *words)

    def told(self):
        """How many have their outcome, by the books; also when the run is over."""
        found = self.page.read()
        return 0 if found is None else found.tasks[0]

    def test_what_was_acknowledged_is_there_and_the_rest_is_done_again(self):
        chance = random.Random(SEED)
        for number in range(10):
            sync = ("always", "1s")[number % 2]
            with self.subTest(number=number, sync=sync, seed=SEED):
                self.make_disk()
                try:
                    self.lose_it_once(sync, chance.uniform(0.2, 1.0) + (1.2 if sync == "1s" else 0))
                finally:
                    self.disk.drop()

    def lose_it_once(self, sync, seconds):
        launch = self.resume(sync)
        eventually(self.told, "the first outcome")
        samples = [(time.monotonic(), self.told())]
        until = time.monotonic() + seconds
        while time.monotonic() < until and self.told() < COUNT // 2:
            samples.append((time.monotonic(), self.told()))
            time.sleep(0.002)
        lost_at = time.monotonic()
        self.disk.lose_power()
        self.assertEqual(launch.code(), 74, launch.err[-2000:])
        if sync == "always":
            promised = self.told()  # all of which the broker was ever told
        else:
            promised = max(count for at, count in samples if at <= lost_at - 1.0)
        self.assertGreater(promised, 0)

        self.assertTrue(self.disk.get_back())
        launch = self.resume(sync)
        self.assertEqual(launch.code(), 0, launch.err[-2000:])
        before = re.search(r"before +(\d+) messages had an outcome", launch.err)
        self.assertGreaterEqual(int(before[1]) if before else 0, promised, "what was promised is there")
        with open(os.path.join(self.disk.path, "out"), "rb") as file:
            self.assertEqual(sorted(map(int, file)), list(range(1, COUNT + 1)), "each is there once")

    def test_what_was_acknowledged_has_its_line_in_the_job_log_and_its_folder(self):
        self.write("in", numbers(FEW))
        log, folders = os.path.join(self.disk.path, "log"), os.path.join(self.disk.path, "folders")
        for tenths, beside in ((2, ("--joblog", log)), (6, ("--joblog", log, "--results", folders))):
            with self.subTest(beside=beside[::2]):
                self.make_disk()
                try:
                    launch = self.resume("always", *beside)
                    self.is_told(launch, FEW * tenths // 10)
                    self.disk.lose_power()
                    self.assertEqual(launch.code(), 74, launch.err[-2000:])
                    promised = self.told()
                    self.assertGreater(promised, 0)
                    self.assertTrue(self.disk.get_back())
                    there = self.whole_lines(os.path.join(self.disk.path, "out"))
                    self.assertGreaterEqual(len(there), promised)
                    self.have_each_of(there, log, folders)
                    launch = self.resume("always", *beside)
                    self.assertEqual(launch.code(), 0, launch.err[-2000:])
                    there = self.whole_lines(os.path.join(self.disk.path, "out"))
                    self.assertEqual(sorted(there), list(range(1, FEW + 1)), "each is there once")
                    logged = self.have_each_of(there, log, folders)
                    self.assertEqual(sorted(logged), list(range(1, FEW + 1)), "each has one line")
                finally:
                    self.disk.drop()

    def is_told(self, launch, least):
        eventually(lambda: self.told() >= least or not launch.alive,
                   lambda: f"{least} outcomes, and not only {self.told()}: {launch.err[-2000:]}")
        self.assertTrue(launch.alive, launch.err[-2000:])

    def whole_lines(self, path):
        """What the disk has, without what it has no bytes of."""
        with open(path, "rb") as file:
            return [int(line) for line in file if line.endswith(b"\n") and b"\0" not in line]

    def have_each_of(self, there, log, folders):
        """Each that is in the output is in the job log, and has its folder. Returns whose line the job log has."""
        with open(log, "rb") as file:
            logged = [int(line.split(b"\t")[0]) for line in file.read().split(b"\n")[1:-1] if b"\0" not in line]
        self.assertEqual(set(there) - set(logged), set(), "in the output, and not in the job log")
        for seq in there if os.path.exists(folders) else ():
            folder = os.path.join(folders, f"{seq // 1000:06}", f"{seq:09}")
            with open(os.path.join(folder, "stdout"), "rb") as file:
                self.assertEqual(file.read().strip(), b"%d" % seq)
            with open(os.path.join(folder, "meta.json"), encoding="utf-8") as file:
                self.assertEqual(json.load(file)["seq"], seq)
        return logged


if __name__ == "__main__":
    unittest.main()

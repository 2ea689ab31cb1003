"""What a power loss may take: a disk that is gone in the middle of the work, as far as it was written, and is there again.

An ext4 on a loop device is shut down by its own ioctl: nothing more is written, not even its journal. What a broker had
been told before is then compared with what a later run finds.
"""

import fcntl
import os
import random
import re
import shutil
import struct
import subprocess
import sys
import time
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "support"), os.path.join(HERE, "..", "..", "scripts")]

from group import GroupTest, eventually, numbers  # noqa: E402
from launch_lib import books  # noqa: E402

COUNT = 6000
_SHUTDOWN = 0x8004587D  # FS_IOC_SHUTDOWN
_NO_LOG_FLUSH = 2
SEED = int(os.environ.get("CURFEW_TEST_SEED") or random.randrange(2**32))


@unittest.skipUnless(shutil.which("mkfs.ext4") and shutil.which("mount"), "needs mkfs.ext4 and mount (install: e2fsprogs, mount)")
class PowerLoss(GroupTest):
    def setUp(self):
        super().setUp()
        self.write("in", numbers(COUNT))
        self.image, self.disk = self.path("image"), self.path("disk")
        os.mkdir(self.disk)

    def make_disk(self):
        with open(self.image, "wb") as file:
            file.truncate(256 << 20)
        subprocess.run(["mkfs.ext4", "-q", "-F", self.image], check=True)
        if not self.mount():
            self.skipTest("needs the right to mount a loop device")

    def mount(self):
        return subprocess.run(["mount", "-o", "loop", self.image, self.disk], stderr=subprocess.DEVNULL).returncode == 0

    def lose_power(self):
        disk = os.open(self.disk, os.O_RDONLY)
        try:
            fcntl.ioctl(disk, _SHUTDOWN, struct.pack("I", _NO_LOG_FLUSH))
        finally:
            os.close(disk)

    def resume(self, sync):
        return self.launch("--resume", "--sync", sync, "--run-dir", self.run_dir, "--input", self.path("in"), "--output",
                           os.path.join(self.disk, "out"), "--workers", "2", "--slots", "4", "--handler", "sleep:exp:3ms")

    def test_what_was_acknowledged_is_there_and_the_rest_is_done_again(self):
        chance = random.Random(SEED)
        for number in range(10):
            sync = ("always", "1s")[number % 2]
            with self.subTest(number=number, sync=sync, seed=SEED):
                self.make_disk()
                try:
                    self.lose_it_once(sync, chance.uniform(0.2, 1.0) + (1.2 if sync == "1s" else 0))
                finally:
                    subprocess.run(["umount", "-l", self.disk], stderr=subprocess.DEVNULL)

    def lose_it_once(self, sync, seconds):
        launch = self.resume(sync)
        page = books.Page(os.path.join(self.run_dir, "books"))
        told = lambda: (found := page.read()) is not None and found.tasks[0]
        eventually(told, "the first outcome")
        samples = [(time.monotonic(), told())]
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            samples.append((time.monotonic(), told()))
            time.sleep(0.002)
        lost_at = time.monotonic()
        self.lose_power()
        self.assertEqual(launch.code(), 74, launch.err[-2000:])
        if sync == "always":
            promised = told()  # all of which the broker was ever told
        else:
            promised = max(count for at, count in samples if at <= lost_at - 1.0)
        self.assertGreater(promised, 0)

        subprocess.run(["umount", self.disk], check=True)
        self.assertTrue(self.mount())
        launch = self.resume(sync)
        self.assertEqual(launch.code(), 0, launch.err[-2000:])
        before = re.search(r"before +(\d+) messages had an outcome", launch.err)
        self.assertGreaterEqual(int(before[1]) if before else 0, promised, "what was promised is there")
        with open(os.path.join(self.disk, "out"), "rb") as file:
            self.assertEqual(sorted(map(int, file)), list(range(1, COUNT + 1)), "each is there once")


if __name__ == "__main__":
    unittest.main()

"""The examples do what their READMEs say, in small."""

import os
import re
import subprocess
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))

from group import PYTHON, ROOT, GroupTest  # noqa: E402


def example(*names):
    return os.path.join(ROOT, "examples", *names)


class Examples(GroupTest):
    def test_hedging_takes_the_tail_away(self):
        direct = {name: "" for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY")}
        compare = subprocess.run([PYTHON, example("http", "compare.py"), "--messages", "400", "--rate", "200"],
                                 env={**self.environment, **direct}, capture_output=True, text=True, timeout=100)
        rows = re.findall(r"^(\w.*?) +(\d+) ms +(\d+) ms +(\d+) ms +([\d.]+)x +(\d+)$", compare.stdout, re.M)
        self.assertEqual(len(rows), 3, compare.stdout + compare.stderr)
        plain, hedged, failing = rows
        self.assertGreaterEqual(int(plain[3]), 1000, "the tail is there")
        self.assertEqual([row[5] for row in rows], ["0"] * 3, "nothing fails")
        self.assertLess(float(hedged[4]), 1.1)

    def test_a_model_is_loaded_once_for_each_slot(self):
        lines = ["wo ist der hund", "where is the dog", "donde esta el perro"] * 20
        launch = self.launch("--coprocess", "--workers", "1", "--fanout", "1", "--slots", "2", "--keep-order", "--", PYTHON,
                             example("coprocess", "model.py"), stdin="".join(f"{line}\n" for line in lines).encode())
        self.ends_well(launch)
        self.assertEqual([line.split()[0] for line in launch.lines], ["de", "en", "es"] * 20)


if __name__ == "__main__":
    unittest.main()

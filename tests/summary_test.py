#!/usr/bin/env python3
"""A test that cannot run is skipped in ctest's own words, and scripts/test says so at its end, and which cases failed."""

import json
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parent.parent
RUN, SUMMARY = ROOT / "tests" / "support" / "run.py", ROOT / "tests" / "support" / "summary.py"
CASE = """
import unittest
class Case(unittest.TestCase):
    def test_good(self):
        pass
"""
SKIP = """
    @unittest.skip("needs a browser (install: chromium chromium-driver)")
    def test_skipped(self):
        self.fail()
"""
FAIL = """
    def test_bad(self):
        self.fail()
"""
WHOLE = """
@unittest.skip("needs root")
class Whole(unittest.TestCase):
    def test_one(self):
        self.fail()
"""
FILES = {"good": CASE, "skip": CASE + SKIP, "fail": CASE + SKIP + FAIL, "whole": CASE + WHOLE, "empty": "import unittest\n"}


class Summary(unittest.TestCase):
    def setUp(self):
        scratch = tempfile.TemporaryDirectory(prefix="curfew-summary-")
        self.addCleanup(scratch.cleanup)
        self.folder = pathlib.Path(scratch.name)
        for name, text in FILES.items():
            (self.folder / f"{name}_test.py").write_text(text)

    def run_file(self, name):
        return subprocess.run([sys.executable, RUN, self.folder / f"{name}_test.py"], capture_output=True, text=True, check=False)

    def ctest(self, *names):
        """ctest over these files; its exit code, its words, and what is made of them."""
        (self.folder / "CTestTestfile.cmake").write_text("".join(
            f'add_test({name} "{sys.executable}" "{RUN}" "{self.folder}/{name}_test.py")\n'
            f"set_tests_properties({name} PROPERTIES SKIP_RETURN_CODE 77)\n" for name in names))
        return self.ctest_of_folder()

    def ctest_of_folder(self):
        junit = self.folder / "junit.xml"
        done = subprocess.run(["ctest", "--test-dir", self.folder, "--output-junit", junit], capture_output=True, text=True, check=False)

        def summary(*options):
            said = subprocess.run([sys.executable, SUMMARY, *options, junit], capture_output=True, text=True, check=False)
            self.assertEqual(said.stderr, "")
            return said.returncode, said.stdout
        return done.returncode, done.stdout, summary

    def test_a_file_with_a_skipped_test_has_not_passed_and_a_failure_counts_for_more(self):
        codes = {name: self.run_file(name).returncode for name in FILES}
        self.assertEqual(codes, {"good": 0, "skip": 77, "whole": 77, "fail": 1, "empty": 1})

    def test_ctest_calls_it_skipped(self):
        code, said, _ = self.ctest("good", "skip", "whole")
        self.assertEqual(code, 0)
        self.assertEqual(said.count("***Skipped"), 2, said)

    def test_the_last_lines_say_how_many_why_and_what_to_install(self):
        _, _, summary = self.ctest("good", "skip", "whole")
        code, said = summary()
        self.assertEqual(code, 0)
        self.assertRegex(said, r"2 tests were skipped")
        self.assertRegex(said, r"skip: 1: needs a browser")
        self.assertRegex(said, r"whole: 1: needs root")
        self.assertTrue(said.endswith("apt-get install chromium chromium-driver (or scripts/bootstrap --ci)\n"), said)

    def test_nothing_is_said_where_none_was_skipped_or_nothing_ran(self):
        _, _, summary = self.ctest("good")
        self.assertEqual(summary("--none-but", ""), (0, ""))
        (self.folder / "junit.xml").unlink()
        self.assertEqual(summary("--none-but", ""), (0, ""))

    def test_the_cases_that_failed_are_named(self):
        code, _, summary = self.ctest("good", "fail")
        self.assertNotEqual(code, 0)
        self.assertEqual(summary(), (0, "\nFailed:\n    fail: test_bad\n"))

    def test_the_cases_of_googletest_are_named_once_each(self):
        said = ("[ RUN      ] Suite.Bad\n[  FAILED  ] Suite.Bad (3 ms)\n[  FAILED  ] Many/Suite.Each/2, where GetParam() = 2 (0 ms)\n"
                "[  PASSED  ] 1 test.\n[  FAILED  ] 2 tests, listed below:\n[  FAILED  ] Suite.Bad\n"
                "[  FAILED  ] Many/Suite.Each/2, where GetParam() = 2\n")
        (self.folder / "unit.txt").write_text(said)
        (self.folder / "CTestTestfile.cmake").write_text(f'add_test(unit sh -c "cat {self.folder}/unit.txt; exit 1")\n')
        _, _, summary = self.ctest_of_folder()
        self.assertEqual(summary(), (0, "\nFailed:\n    unit: Suite.Bad\n    unit: Many/Suite.Each/2\n"))

    def test_the_gate_allows_none_but_what_its_machine_is_said_to_lack(self):
        _, _, summary = self.ctest("skip", "whole")
        self.assertEqual(summary("--none-but", "")[0], 1)
        self.assertEqual(summary("--none-but", "needs root")[0], 1, "one reason is not both")
        self.assertEqual(summary("--none-but", "needs root|needs a browser.*")[0], 0)

    def test_each_test_of_python_in_this_build_may_be_skipped(self):
        build = os.environ["CURFEW_BIN_DIR"] + "/.."
        shown = subprocess.run(["ctest", "--test-dir", build, "--show-only=json-v1"], capture_output=True, text=True, check=True).stdout
        tests = {test["name"]: {p["name"]: p["value"] for p in test["properties"]} for test in json.loads(shown)["tests"]}
        may = {name for name in tests if name.startswith(("integration.", "unit", "hostile", "instructions"))}
        self.assertGreater(len(may), 10)
        self.assertEqual([name for name in may if tests[name].get("SKIP_RETURN_CODE") != 77], [])
        files = {path.name.removesuffix("_test.py") for path in (ROOT / "tests" / "integration").glob("*_test.py")}
        self.assertEqual(files, {name.removeprefix("integration.") for name in tests if name.startswith("integration.")})


if __name__ == "__main__":
    unittest.main()

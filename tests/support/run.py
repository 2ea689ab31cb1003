#!/usr/bin/env python3
"""Runs the tests of one file for ctest: 0 if all passed, 1 if one failed, 77 if none failed but one was skipped.

    tests/support/run.py tests/integration/FILE_test.py [Class.test...]

ctest calls 77 skipped (SKIP_RETURN_CODE), so what did not run never counts as passed without a word. Each test that was
skipped is a line at the end, `skipped: FILE.Class.test: why`, which scripts/test puts together.
"""

import importlib.util
import os
import re
import sys
import unittest

SKIPPED = 77


def load(path):
    name = os.path.splitext(os.path.basename(path))[0]
    spec = importlib.util.spec_from_file_location(name, path)
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def main():
    path, *names = sys.argv[1:]
    result = unittest.main(load(path), argv=[path, *names], exit=False).result
    sys.stderr.flush()
    for test, why in result.skipped:
        named = re.search(r"\(([^()]+)\)$", test.id())  # a whole class that was skipped: 'setUpClass (FILE.Class)'
        print(f"skipped: {named[1] if named else test.id()}: {why}", flush=True)
    if not result.testsRun and not result.skipped:
        print(f"{path}: no test ran", file=sys.stderr)
        return 1
    if not result.wasSuccessful():
        return 1
    return SKIPPED if result.skipped else 0


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env python3
"""The last words on a run of ctest: which cases failed, and which were skipped, why, and what to install; nothing
where all passed.

    tests/support/summary.py [--none-but REGEX] JUNIT_FILE     (of ctest --output-junit)

With --none-but it fails (1) if a test was skipped for a reason that REGEX does not match in full; an empty one allows
none. What a reason wants installed stands in it as `install: PACKAGE...`.
"""

import argparse
import collections
import re
import sys
import xml.etree.ElementTree

SKIPPED = re.compile(r"^skipped: (\S+): (.+)$", re.MULTILINE)
INSTALL = re.compile(r"\(?install: ([\w.+ -]+)\)?")
FAILED = re.compile(r"^(?:\[  FAILED  \] (?=\S+\.)|(?:FAIL|ERROR): )([\w./]+)", re.MULTILINE)  # GoogleTest's, unittest's


def read(path):
    """Of a run: (ctest's name, case) of each that failed, and (ctest's name, test, why) of each that was skipped. A
    test of ctest's that does not say which counts as one, and is not among the failed."""
    failed, skipped = [], []
    try:
        tests = xml.etree.ElementTree.parse(path).getroot().iter("testcase")
    except (OSError, xml.etree.ElementTree.ParseError):
        tests = ()  # ctest ran nothing, as with -N
    for test in tests:
        name, said = test.get("name"), test.findtext("system-out") or ""
        if test.find("failure") is not None:
            failed += [(name, case) for case in dict.fromkeys(FAILED.findall(said))]
        elif test.find("skipped") is not None:
            skipped += [(name, *case) for case in SKIPPED.findall(said) or [(name, "did not run")]]
    return failed, skipped


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--none-but", metavar="REGEX", help="fail if one was skipped for a reason that is not this")
    parser.add_argument("junit")
    options = parser.parse_args()
    failed, found = read(options.junit)
    if failed:
        print("\nFailed:")
    for name, case in failed:
        print(f"    {name}: {case}")
    if not found:
        return 0
    why = collections.Counter((name, why) for name, _, why in found)
    many = "1 test was" if len(found) == 1 else f"{len(found)} tests were"
    print(f"\n{many} skipped, and proved nothing:")
    for (name, reason), count in sorted(why.items()):
        print(f"    {name}: {count}: {reason}")
    if packages := sorted({name for _, reason in why for said in INSTALL.findall(reason) for name in said.split()}):
        print(f"Install what they need: apt-get install {' '.join(packages)} (or scripts/bootstrap --ci)")
    if options.none_but is None:
        return 0
    wrong = [reason for _, reason in why if not (options.none_but and re.fullmatch(options.none_but, reason))]
    print("None may be skipped here." if wrong else f"These may be skipped here: {options.none_but}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env python3
"""Says which tests of a run of ctest were skipped, why, and what to install; nothing where none was.

    tests/support/skips.py [--none-but REGEX] JUNIT_FILE     (of ctest --output-junit)

With --none-but it fails (1) if a test was skipped for a reason that REGEX does not match in full; an empty one allows
none. What a reason wants installed stands in it as `install: PACKAGE...`.
"""

import argparse
import collections
import re
import sys
import xml.etree.ElementTree

LINE = re.compile(r"^skipped: (\S+): (.+)$", re.MULTILINE)
INSTALL = re.compile(r"\(?install: ([\w.+ -]+)\)?")


def skips(path):
    """(ctest's name, test, why) of each; a test of ctest's that does not say which counts as one."""
    try:
        cases = xml.etree.ElementTree.parse(path).getroot().iter("testcase")
    except (OSError, xml.etree.ElementTree.ParseError):
        return  # ctest ran nothing, as with -N
    for case in cases:
        if case.find("skipped") is None:
            continue
        said = LINE.findall(case.findtext("system-out") or "")
        yield from ((case.get("name"), test, why) for test, why in said or [(case.get("name"), "did not run")])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--none-but", metavar="REGEX", help="fail if one was skipped for a reason that is not this")
    parser.add_argument("junit")
    options = parser.parse_args()
    found = list(skips(options.junit))
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

#!/usr/bin/env python3
"""What a message costs the cores, in instructions: a guard against growing slower that measures no time.

A fixed job (instructions/job.cpp) runs under callgrind with few messages and with many; the difference for each message
is compared with the figure in instructions.json. It is the same on each run of a build, so a busy machine changes
nothing. More than 10% above fails, more than 10% below asks to be recorded. Figures of another compiler, build type or
C library do not compare: then they are printed, and the test is skipped, as it is without valgrind.

    tests/instructions_test.py             compares (CURFEW_BIN_DIR: where the build is, else build/bin)
    tests/instructions_test.py --record    writes the figures of this build down
"""

import argparse
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
JOB = pathlib.Path(os.environ.get("CURFEW_BIN_DIR") or HERE.parent / "build" / "bin") / "curfew-core-job"
RECORD = HERE / "instructions.json"
VARIANTS = ("race", "hedge", "keep-order")
FEW, MANY = 4_000, 12_000
TOLERANCE = 0.10
SKIPPED = 77  # in ctest's words
# Nothing of the caller's environment: it lies on the stack, and moves what comes behind it.
ENVIRONMENT = {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"}


def run(*words):
    try:
        done = subprocess.run(list(map(str, words)), env=ENVIRONMENT, capture_output=True, text=True, check=False)
    except OSError as error:
        sys.exit(f"{words[0]}: {error.strerror}; scripts/test installs and builds what is needed")
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, words))} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return done.stdout


def count(variant, messages, directory):
    """The instructions of a whole run; which functions took them is in the directory."""
    found = directory / f"{variant}.{messages}"
    run("valgrind", "--quiet", "--tool=callgrind", f"--callgrind-out-file={found}", JOB, variant, messages)
    return int(re.search(r"^(?:summary|totals): (\d+)", found.read_text(), re.MULTILINE)[1])


def of_a_message(variant, directory):
    return round((count(variant, MANY, directory) - count(variant, FEW, directory)) / (MANY - FEW))


def costliest(variant, directory):
    """The ten functions that take most, by themselves, in the run with many messages."""
    table = run("callgrind_annotate", "--auto=no", "--threshold=100", directory / f"{variant}.{MANY}")
    lines = re.findall(r"^ *([\d,]+ \([ \d.]+%\)) +(?:\S*/)?([^\s/:]+):(.+?)(?: \[\S+\])?$", table, re.MULTILINE)
    return "\n".join(f"    {cost:>20}  {file}  {function[:90]}" for cost, file, function in lines[:10])


def compare(figures, recorded, directory):
    """The number of variants that have grown too dear."""
    dearer = 0
    for variant, figure in figures.items():
        before = recorded.get(variant)
        if before is None:
            print(f"{variant}: {figure} instructions for each message, not yet recorded: --record")
            continue
        change = figure / before - 1
        print(f"{variant}: {figure} instructions for each message, recorded {before}, {change:+.1%}")
        if change > TOLERANCE:
            dearer += 1
            print(f"  more than {TOLERANCE:.0%} above. What takes most in a run of {MANY}:")
            print(costliest(variant, directory))
            print("  If that is what the change is worth: tests/instructions_test.py --record, and say why in the commit")
        elif change < -TOLERANCE:
            print("  more than 10% below: well done; tests/instructions_test.py --record keeps it so")
    return dearer


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--record", action="store_true", help=f"write the figures to {RECORD.name}")
    options = parser.parse_args()
    if not shutil.which("valgrind"):
        print("skipped: instructions: needs valgrind (install: valgrind)")
        return SKIPPED
    built_by = run(JOB, "built").strip()
    with tempfile.TemporaryDirectory(prefix="curfew-instructions-") as scratch:
        directory = pathlib.Path(scratch)
        figures = {variant: of_a_message(variant, directory) for variant in VARIANTS}
        if options.record:
            RECORD.write_text(json.dumps({"built by": built_by, "instructions of a message": figures}, indent=4) + "\n")
            print(f"recorded for {built_by}: {figures}")
            return 0
        recorded = json.loads(RECORD.read_text())
        if recorded["built by"] != built_by:
            print(f"{figures}\nskipped: instructions: this build is by {built_by}, and the record by"
                  f" {recorded['built by']}: figures of another build do not compare")
            return SKIPPED
        return 1 if compare(figures, recorded["instructions of a message"], directory) else 0


if __name__ == "__main__":
    sys.exit(main())

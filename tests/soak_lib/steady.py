"""One group, no faults, as many attempts as are asked for: does any process grow, and is every one accounted?

The messages are numbers, all with as many digits: what is in flight takes as much memory at the end as at the beginning
(two digits more in a message were two per cent of a worker). Each outcome is checked off as it comes. Once a second the memory, descriptors
and threads of each process are read from /proc. A line a minute; at the end the first tenth of the run and the last are
compared, by their medians.
"""

import os
import statistics
import subprocess
import threading
import time

from .books import ends_of, wrong_books
from .group import Group, children_of

MEMORY_MAY_GROW = 1.02
DESCRIPTORS, THREADS, MEMORY = "descriptors", "threads", "KiB"


class Checker(threading.Thread):
    """Reads the outcomes, and checks off each number."""

    CHUNK = 1 << 20

    def __init__(self, descriptor, base, count):
        """The numbers are those from base + 1 to base + count."""
        super().__init__(daemon=True)
        self.seen = bytearray(count + 1)
        self._base = base
        self.lines = 0
        self._descriptor = descriptor

    def run(self):
        rest = b""
        seen, base = self.seen, self._base
        while chunk := os.read(self._descriptor, self.CHUNK):
            whole, newline, rest = (rest + chunk).rpartition(b"\n")
            if not newline:
                continue
            numbers = whole.split(b"\n")
            for number in map(int, numbers):
                seen[number - base] += 1
            self.lines += len(numbers)

    def wrong(self):
        lost, once = self.seen.count(0, 1), self.seen.count(1, 1)
        twice = len(self.seen) - 1 - lost - once
        found = [f"{lost} messages have no outcome, the first is {self._base + self.seen.index(0, 1)}"] if lost else []
        return found + ([f"{twice} messages have two outcomes"] if twice else [])


def look(pid):
    """{what: how much} of a process; None if it has just ended."""
    try:
        with open(f"/proc/{pid}/status", encoding="ascii", errors="replace") as file:
            fields = dict(line.split(":", 1) for line in file if ":" in line)
        return {MEMORY: int(fields["VmRSS"].split()[0]), THREADS: int(fields["Threads"]),
                DESCRIPTORS: len(os.listdir(f"/proc/{pid}/fd"))}
    except (OSError, KeyError):
        return None


def run(options, home):
    count = -(-options.attempts // options.fanout)
    print(f"soak: {options.attempts} attempts, {count} messages of {options.handler}", flush=True)
    base = 10 ** len(str(count))
    numbers = subprocess.Popen(["seq", str(base + 1), str(base + count)], stdout=subprocess.PIPE)
    outcomes, sink = os.pipe()
    group = Group(options, home, numbers.stdout, sink)
    os.close(sink)
    numbers.stdout.close()
    checker = Checker(outcomes, base, count)
    checker.start()
    samples = _watch(options, group, checker, count)
    code, said = group.end()
    checker.join()
    numbers.wait()
    os.close(outcomes)
    return _judge(options, code, said, checker, samples)


def _watch(options, group, checker, count):
    """[(share of the messages that are done, {name: what it has})], one a second."""
    samples, began, line_at, lines = [], time.monotonic(), 60, 0
    while group.process.poll() is None:
        try:
            group.process.wait(1)
        except subprocess.TimeoutExpired:
            pass
        members = {name: look(pid) for name, pid in _all_members(group)}
        samples.append((checker.lines / count, {name: has for name, has in members.items() if has}))
        passed = time.monotonic() - began
        if len(samples) == 1:
            group.stats()  # what the first look takes (code, a connection's buffers) is not to pass for growth later
        if passed >= line_at:
            memory = " ".join(f"{name} {has[MEMORY] // 1024}" for name, has in sorted(samples[-1][1].items()))
            rate = (checker.lines - lines) / 60 * options.fanout
            broker = group.stats().get("broker", {}).get("attempts", {})
            print(f"{passed:7.0f} s  {100 * checker.lines / count:5.1f}%  {rate:,.0f} attempts/s, in flight"
                  f" {broker.get('in_flight', '?')}, MiB: {memory}", flush=True)
            line_at, lines = line_at + 60, checker.lines
    return samples


def _all_members(group):
    return [member for role in ("broker", "collector", "worker") for member in group.members(role)]


def _judge(options, code, said, checker, samples):
    wrong = checker.wrong() + wrong_books(code, said)
    started = (ends_of(said, "attempts") or (0, {}))[0]
    if started < 0.98 * options.attempts:
        wrong.append(f"only {started} attempts were started")
    print("\n".join(line for line in said.splitlines() if line.startswith(("tasks ", "attempts "))))
    # The very first and last seconds are starting and ending.
    first = [has for share, has in samples if 0.01 < share <= 0.11]
    last = [has for share, has in samples if 0.89 <= share < 0.99]
    names = sorted(set(first[0]) & set(last[0])) if first and last else []
    if not names:
        wrong.append("too short a run to compare its first and its last tenth")
    for name in names:
        then, now = (({what: statistics.median(has[name][what] for has in part if name in has)
                       for what in (MEMORY, DESCRIPTORS, THREADS)}) for part in (first, last))
        print(f"{name:<10} memory {then[MEMORY]:.0f} to {now[MEMORY]:.0f} KiB ({now[MEMORY] / then[MEMORY]:.3f}),"
              f" descriptors {then[DESCRIPTORS]:.0f} to {now[DESCRIPTORS]:.0f},"
              f" threads {then[THREADS]:.0f} to {now[THREADS]:.0f}")
        curve = [statistics.median(values) for tenth in range(10)
                 if (values := [has[name][MEMORY] for share, has in samples
                                if tenth <= 10 * share < tenth + 1 and name in has])]
        print(f"{'':<10} by tenths, KiB: {' '.join(f'{kib:.0f}' for kib in curve)}")
        if now[MEMORY] > MEMORY_MAY_GROW * then[MEMORY]:
            wrong.append(f"{name} has grown")
        wrong += [f"{name} has other {what}" for what in (DESCRIPTORS, THREADS) if then[what] != now[what]]
    for what in wrong:
        print(f"WRONG: {what}")
    print("soak: failed" if wrong else "soak: passed")
    return 1 if wrong else 0

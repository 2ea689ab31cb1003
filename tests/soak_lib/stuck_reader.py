"""A reader of stdout that stands still again and again: is memory bounded, does the intake wait, is
nothing lost?

Each time the reader stands, the intake must come to a stand, with the backlog full and no work
under way, and take no message until the reader goes on; then it must go on too. The peaks of memory
are the kernel's (VmHWM), so that none is missed between two looks. The bounds:

    collector   the backlog; an eighth of it or 1 MiB (so much more may wait before the collector
                says so again); the results in flight (the credits of all workers) twice, since the
                frame that brought one may still be there; and a fixed part
    worker      the same: it keeps each result until the sink has it, and may have made most of them
    broker      a message for each of those results, and a fixed part

The fixed part is the process itself and what the allocator keeps.
"""

import os
import re
import threading
import time

from .books import wrong_books
from .group import Feeder, Group

DIGITS = 1000  # of a message; so that few are read ahead of the pipe
MIB = 1 << 20
FIXED = 32 * MIB
OF_A_TASK = 400  # bytes in the broker, beside the message
WINDOW = 4096  # of the broker: with small results it, and not the backlog, would stop the intake
PATIENCE = 60.0  # for the intake to come to a stand, and to go on


class Reader(threading.Thread):
    """Reads the outcomes unless it stands, and checks off each number."""

    CHUNK = 1 << 20

    def __init__(self, descriptor, size):
        super().__init__(daemon=True)
        self.seen = {}
        self.garbage = []
        self._descriptor, self._padding = descriptor, b"x" * (size - DIGITS)
        self._goes_on = threading.Event()
        self._goes_on.set()

    def stand(self):
        self._goes_on.clear()

    def go_on(self):
        self._goes_on.set()

    def run(self):
        rest = bytearray()
        while chunk := os.read(self._descriptor, self.CHUNK):
            searched = len(rest)
            rest += chunk
            while (end := rest.find(b"\n", searched)) >= 0:
                self._check(bytes(rest[:end]))
                del rest[:end + 1]
                searched = 0
            self._goes_on.wait()
        if rest:
            self._check(bytes(rest))

    def _check(self, line):
        number, padding = line[:DIGITS], line[DIGITS:]
        if number.isdigit() and padding == self._padding:
            self.seen[int(number)] = self.seen.get(int(number), 0) + 1
        else:
            self.garbage.append(f"{line[:40]!r}, {len(line)} bytes")

    def wrong(self, count):
        lost = [number for number in range(1, count + 1) if number not in self.seen]
        twice = sum(times > 1 for times in self.seen.values())
        strange = sum(not 1 <= number <= count for number in self.seen)
        return ([f"a line that is no outcome: {line}" for line in self.garbage[:3]] +
                ([f"{len(lost)} messages have no outcome, the first is {lost[0]}"] if lost else []) +
                ([f"{twice} messages have two outcomes"] if twice else []) +
                ([f"{strange} outcomes are of messages that nobody sent"] if strange else []))


class LongNumbers(Feeder):
    BLOCK = 16

    @staticmethod
    def line(number):
        return f"{number:0{DIGITS}}\n"


class Watch:
    """The group while it runs: what its broker says, the peaks of memory, and who is above its bound."""

    def __init__(self, group, options, credit):
        self._group, self._options = group, options
        in_flight = options.workers * credit * options.size
        waiting = options.backlog + max(options.backlog // 8, MIB) + in_flight
        self._of_results = waiting + in_flight + FIXED
        self._of_messages = waiting // options.size * (DIGITS + OF_A_TASK) + FIXED
        self.peaks = {}

    def bound(self, name):
        return self._of_messages if name == "broker" else self._of_results

    def look(self):
        for role in ("broker", "collector", "worker"):
            for name, pid in self._group.members(role):
                self.peaks[name] = max(self.peaks.get(name, 0), peak_of(pid))

    def above(self):
        return [f"{name} had {peak / MIB:.0f} MiB, at most {self.bound(name) / MIB:.0f} were promised"
                for name, peak in sorted(self.peaks.items()) if peak > self.bound(name)]

    def ended(self):
        return self._group.process.poll() is not None

    def wait(self, condition, seconds):
        """True once it holds. False after that time, when the group has ended, and when memory is above its bound."""
        end = time.monotonic() + seconds
        while not condition():
            self.look()
            if time.monotonic() >= end or self.ended() or self.above():
                return False
            time.sleep(0.1)
        return True

    def intake(self):
        """(messages that were accepted, whether the backlog is full and no worker has work left), once all answer."""
        while True:
            stats = self._group.stats()
            workers = [one for one in stats.values() if one["role"] == "worker"]
            if "broker" in stats and len(workers) == self._options.workers:
                break
            if self.ended():
                return 0, False
            time.sleep(0.1)
        still = not any(one["held"][what] for one in workers for what in ("queued", "running", "cancelling"))
        return (stats["broker"]["tasks"]["accepted"],
                still and stats["broker"]["backlog_bytes"] >= self._options.backlog)


def peak_of(pid):
    """Bytes; 0 if it has just ended."""
    try:
        with open(f"/proc/{pid}/status", encoding="ascii", errors="replace") as file:
            return int(re.search(r"^VmHWM:\s+(\d+) kB", file.read(), re.MULTILINE)[1]) << 10
    except (OSError, TypeError):
        return 0


def run(options, home):
    wrong = []
    for fanout in [options.fanout] if options.fanout else [1, 2]:
        options.fanout = fanout
        wrong += _run_group(options, os.path.join(home, str(fanout)))
    for what in wrong:
        print(f"WRONG: {what}")
    print("soak: failed" if wrong else "soak: passed")
    return 1 if wrong else 0


def _start(options, home, sink, credit):
    os.mkdir(home)
    script = f"printf %s \"$1\"; head -c {options.size - DIGITS} /dev/zero | tr '\\0' x"
    return Group(options, home, sink=sink, feeder=LongNumbers,
                 flags=["--slots", str(options.slots), "--deadline", "none", "--max-output", str(2 * options.size)],
                 work=["--", "sh", "-c", script, "sh", "{}"],
                 environment={"CURFEW_BACKLOG": str(options.backlog), "CURFEW_CREDIT": str(credit)})


def _run_group(options, home):
    # Given, so that the results in flight are known; one that adapts is no larger for work of 5 ms.
    credit = 2 * options.slots
    outcomes, sink = os.pipe()
    group = _start(options, home, sink, credit)
    os.close(sink)
    reader, watch = Reader(outcomes, options.size), Watch(group, options, credit)
    reader.start()
    print(f"soak: fanout {options.fanout}, {options.workers} workers of {options.slots} slots, results of"
          f" {options.size} bytes, backlog {options.backlog / MIB:.0f} MiB", flush=True)
    wrong, began, stood = [], time.monotonic(), 0
    while not wrong and (not stood or time.monotonic() - began < options.seconds):
        wrong = _stand_once(options, reader, watch, began)
        stood += 1
        watch.wait(lambda: False, options.every)
        wrong += watch.above()
    code, said = group.end()
    reader.join()
    os.close(outcomes)
    wrong += reader.wrong(group.feeder.count) + wrong_books(code, said)
    print("\n".join(line for line in said.splitlines() if line.startswith(("tasks ", "attempts "))))
    for name, peak in sorted(watch.peaks.items()):
        print(f"{name:<10} {peak / MIB:6.0f} MiB at its peak, at most {watch.bound(name) / MIB:.0f}")
    print(f"messages   {group.feeder.count}, the reader stood {stood} times", flush=True)
    return [f"fanout {options.fanout}: {what}" for what in dict.fromkeys(wrong)]


def _stand_once(options, reader, watch, began):
    """What is wrong."""
    reader.stand()
    try:
        if not watch.wait(lambda: watch.intake()[1], PATIENCE):
            return [f"the reader stood, and the intake did not come to a stand within {PATIENCE:g} s"]
        before, _ = watch.intake()
        watch.wait(lambda: False, options.stand)
        after, still = watch.intake()
        print(f"{time.monotonic() - began:7.0f} s  {after} accepted, the intake stands; MiB at most so far: " +
              " ".join(f"{name} {peak / MIB:.0f}" for name, peak in sorted(watch.peaks.items())), flush=True)
        if after != before or not still:
            return [f"the reader stood, and {after - before} more messages were accepted, or work went on"]
    finally:
        reader.go_on()
    if not watch.wait(lambda: watch.intake()[0] > after, PATIENCE):
        return [f"the reader went on, and no message was accepted within {PATIENCE:g} s"]
    return []

"""Runs of a file that are killed again and again and gone on with (launch --resume), until so many processes were killed.

Each run has a form of its outcomes, a way of syncing, work and a fanout of its own, all drawn by the seed, and some
thirty kills: broker, collector, a worker, a supervisor, launch, or all that belongs to it at once. Launch is started
again with the same command whenever it ends before its input does. Then what stands in output and dead letters is
counted against the input.
"""

import collections
import contextlib
import json
import os
import random
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from dataclasses import dataclass

from .group import BIN_DIR, ROOT

KILLS_OF_A_RUN = 30
MESSAGES = 40_000  # ten times as many of work that is nothing
VICTIMS = ("broker", "collector", "worker", "supervisor", "launch", "all")
LONGEST_PAUSE = 1.2  # seconds between two kills; the shortest is none, so that a start is hit, too
PATIENCE = 300.0  # for the end of a run that nobody disturbs any more
_MARK = "CURFEW_SOAK_RUN"  # in the environment of all that belongs to a run
_IN_THE_WAY = re.compile(r"is the run before still there\?|is being written by another")
# Launch was killed, or something of it that it cannot do without was, too often
_GOES_ON = (75, 70, -signal.SIGKILL, 128 + signal.SIGKILL)


@dataclass
class Case:
    """What a run is."""

    form: str  # raw, json, sqlite
    sync: str
    work: str
    flags: tuple

    @property
    def words(self):
        return f"{self.form} --sync {self.sync} {self.work} {' '.join(self.flags)}"


def draw(chance):
    form, sync = chance.choice(("raw", "json", "sqlite")), chance.choice(("always", "1s", "none"))
    flags = ["--fanout", str(chance.choice((1, 2, 3))), "--slots", str(chance.choice((1, 4, 16))),
             "--window", str(chance.choice((16, 256, 4096)))]
    work = chance.choice(("sleep:exp:2ms", "sleep:exp:5ms", "echo", "coprocess"))
    if chance.random() < 0.3:
        flags.append("--keep-order")
    if chance.random() < 0.5:
        flags += ["--dead-letters", chance.choice(("letters", "sqlite:letters")), "--deadline", "20ms", "--attempts", "1"]
    elif form != "raw" and chance.random() < 0.5:
        flags += ["--deadline", "20ms", "--attempts", "1"]
    elif form == "raw" and work == "coprocess":
        flags += ["--dead-letters", "letters"]  # a program whose supervisor is killed has failed: raw output does not say so
    return Case(form, sync, work, tuple(flags))


@dataclass
class Tally:
    """Of messages."""

    accepted: int = 0
    answered: int = 0
    lost: int = 0
    unexpected: int = 0
    duplicated: int = 0

    def add(self, other):
        for name in vars(self):
            setattr(self, name, getattr(self, name) + getattr(other, name))

    @property
    def is_right(self):
        return self.lost == self.unexpected == self.duplicated == 0


class Run:
    """One file from its start to its end, whatever is killed meanwhile. Owns a folder."""

    def __init__(self, case, home, number, chance, messages):
        self.case, self._home, self._chance, self._messages = case, home, chance, messages
        self._mark = f"{os.getpid()}-{number}"
        self.killed = collections.Counter()
        self.starts = 0
        self.wrong = []
        os.mkdir(home)
        with open(os.path.join(home, "in"), "w", encoding="ascii") as file:
            file.writelines(f"{n}\n" for n in range(1, messages + 1))

    def go(self, kills):
        """Returns the tally."""
        launch = self._start()
        for _ in range(kills):
            time.sleep(self._chance.uniform(0, LONGEST_PAUSE) * self._chance.random())
            if launch.poll() is not None:
                if launch.returncode in (0, 1):
                    break  # it is done already
                launch = self._again(launch)
            self._kill(self._chance.choice(VICTIMS), launch)
        until = time.monotonic() + PATIENCE
        while True:
            try:
                code = launch.wait(timeout=max(0.1, until - time.monotonic()))
            except subprocess.TimeoutExpired:
                self.wrong.append("it does not end")
                self._end_all()
                break
            if code in (0, 1):
                break
            if self.wrong:
                break
            launch = self._again(launch)
        self._nothing_is_left()
        return self._count()

    # --- processes ---

    def _start(self):
        self.starts += 1
        work = (["--coprocess", "--", "cat"] if self.case.work == "coprocess" else ["--handler", self.case.work])
        words = [os.path.join(ROOT, "scripts", "launch"), "--resume", "--sync", self.case.sync, "--input", "in",
                 "--output", "sqlite:out" if self.case.form == "sqlite" else "out", "--workers", "2", *(["--json"] if self.case.form == "json" else []), *self.case.flags, *work]
        environment = {**os.environ, _MARK: self._mark, "CURFEW_BIN_DIR": BIN_DIR, "CURFEW_POISON": "0"}
        with open(os.path.join(self._home, "err"), "ab") as err:
            return subprocess.Popen(words, cwd=self._home, stdin=subprocess.DEVNULL, stderr=err, env=environment)

    def _again(self, launch):
        """It ended before its input did: the same command. One that meets what is left of the one before says so."""
        if launch.returncode not in _GOES_ON and not (launch.returncode == 64 and _IN_THE_WAY.search(self._said()[-2000:])):
            self.wrong.append(f"launch ended with {launch.returncode}: {self._said()[-600:]}")
        return self._start()

    def _said(self):
        with open(os.path.join(self._home, "err"), encoding="utf-8", errors="replace") as file:
            return file.read()

    def _processes(self):
        """[(pid, program)] of all that belongs to the run."""
        found, mark = [], f"{_MARK}={self._mark}".encode()
        for entry in os.listdir("/proc"):
            if not entry.isdigit():
                continue
            try:
                with open(f"/proc/{entry}/environ", "rb") as file:
                    is_ours = mark in file.read().split(b"\0")
                if is_ours:
                    found.append((int(entry), os.path.basename(os.readlink(f"/proc/{entry}/exe"))))
            except OSError:
                continue  # it has just ended
        return found

    def _kill(self, victim, launch):
        if victim == "launch":
            pids = [launch.pid] if launch.poll() is None else []
        elif victim == "all":
            pids = [pid for pid, _ in self._processes()]
            self._chance.shuffle(pids)
        else:
            there = [pid for pid, program in self._processes() if program == f"curfew-{victim}"]
            pids = [self._chance.choice(sorted(there))] if there else []
        for pid in pids:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        self.killed[victim] += bool(pids)

    def _end_all(self):
        for pid, _ in self._processes():
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue

    def _nothing_is_left(self):
        until = time.monotonic() + 15
        while left := self._processes():
            if time.monotonic() > until:
                self.wrong.append(f"left behind: {left}")
                self._end_all()
                return
            time.sleep(0.05)

    # --- outcomes ---

    def _count(self):
        seen = collections.Counter()
        letters = "sqlite" if "sqlite:letters" in self.case.flags else "json"
        for number in (*self._outcomes("out", self.case.form), *self._outcomes("letters", letters)):
            seen[number] += 1
        asked = range(1, self._messages + 1)
        return Tally(accepted=self._messages, answered=sum(number in seen for number in asked),
                     lost=sum(number not in seen for number in asked),
                     unexpected=sum(count for number, count in seen.items() if number not in asked),
                     duplicated=sum(count - 1 for count in seen.values()))

    def _outcomes(self, name, form):
        path = os.path.join(self._home, name)
        if not os.path.exists(path):
            return
        if form == "sqlite":
            with contextlib.closing(sqlite3.connect(path)) as database:
                yield from map(_number_in, database.execute("select outcome, result, message from outcomes"))
            return
        with open(path, "rb") as file:
            for line in file:
                yield _number_of(line, form == "json")


def _number_of(line, is_json):
    """0 for what is no outcome of ours."""
    try:
        if not line.endswith(b"\n"):
            return 0
        if is_json:
            outcome = json.loads(line)
            return int(outcome["result"] if outcome["outcome"] == "completed" else outcome["message"])
        return int(line)
    except (ValueError, KeyError):
        return 0


def _number_in(row):
    outcome, result, message = row
    text = result if outcome == "completed" else message
    return int(text) if str(text).isdigit() else 0


def run(options, home):
    chance = random.Random(options.seed)
    print(f"soak: seed {options.seed}, {options.kills} kills", flush=True)
    total, killed, number, failed = Tally(), collections.Counter(), 0, False
    while sum(killed.values()) < options.kills:
        number += 1
        folder = os.path.join(home, f"run{number}")
        case = draw(chance)
        one = Run(case, folder, number, chance, MESSAGES * (10 if case.work == "echo" else 1))
        tally = one.go(min(KILLS_OF_A_RUN, options.kills - sum(killed.values())))
        total.add(tally)
        killed += one.killed
        verdict = "right" if tally.is_right and not one.wrong else "WRONG"
        print(f"{number:4}  {verdict}  {sum(one.killed.values()):3} kills {one.starts:3} starts  {tally.answered} answered"
              f"  {one.case.words}", flush=True)
        for what in one.wrong:
            print(f"WRONG: {what}")
        if verdict == "WRONG":
            failed = True
            kept = f"{home}-run{number}"
            shutil.move(folder, kept)
            print(f"WRONG: {tally}; its files are in {kept}")
        else:
            shutil.rmtree(folder)
    print("kills       " + ", ".join(f"{count} {victim}" for victim, count in sorted(killed.items())))
    for name, count in vars(total).items():
        print(f"{name:<11} {count}")
    if failed:
        print(f"soak: failed; again with --kills {options.kills} --seed {options.seed}", file=sys.stderr)
    print(f"soak: {'failed' if failed else 'passed'}")
    return 1 if failed else 0

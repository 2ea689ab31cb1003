"""Stand-ins for curfew's binaries, and launches of scripts/launch.py against them.

The stand-ins (FAKE below, under the names of the binaries, selected by CURFEW_BIN_DIR) do what a script of the test says
and write down how they were started and what came on their lifelines. Each launch runs in a session of its own; the
test's process is a subreaper (set_up()), so that what a launch leaves behind is found, and fails the test that left it.
"""

import ast
import ctypes
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SCRIPTS = os.path.join(ROOT, "scripts")
LAUNCH = os.path.join(SCRIPTS, "launch.py")
PYTHON = "/usr/bin/python3" if os.access("/usr/bin/python3", os.X_OK) else sys.executable
PATIENCE = 60.0  # seconds; every wait is for a condition, this only bounds it
sys.path.insert(0, SCRIPTS)

from launch_lib import books  # noqa: E402

FAKE = f"#!{PYTHON} -SE" + r'''
"""Stands in for a curfew process: plays the steps of its life, ends when its lifeline does or TERM comes.

Some hundred are started, so it imports only what is built in: no signal (which takes enum), no json.
"""
import _signal as signal, os, select, sys

if sys.argv[1:2] == ["--check"]:  # launch asks first; the real ones are asked in hostile_doors_test.py
    os._exit(0)
home, name = os.environ["FAKE_HOME"], os.environ["CURFEW_NAME"]
lifeline = int(os.environ["CURFEW_LIFELINE"])
role = os.path.basename(sys.argv[0])
heard, partial = [], ""

def write(file, text):
    with open(os.path.join(home, "new." + file), "w") as out:
        out.write(text)
    os.rename(os.path.join(home, "new." + file), os.path.join(home, file))

def listen(milliseconds):
    global partial
    poll = select.poll()
    poll.register(lifeline, select.POLLIN)
    if poll.poll(milliseconds):
        data = os.read(lifeline, 4096)
        if not data:
            write(f"eof.{name}", "")
            os._exit(0)
        *lines, partial = (partial + data.decode()).split("\n")
        heard.extend(lines)
        write(f"heard.{name}", "\n".join(heard))

def wait_for_line(text):
    while not any(line.startswith(text) for line in heard):
        listen(None)

def wait_for_file(file):
    while not os.path.exists(os.path.join(home, file)):
        listen(5)

def wait():
    while True:
        listen(None)

def keep_books(words):
    page = [0] * 33
    for number, value in words.items():
        page[int(number) - 1] = value
    page[18] = os.getpid()
    with open(os.path.join(os.environ["CURFEW_RUN_DIR"], "books.new"), "wb") as out:
        out.write(b"CURFEWB1" + b"".join(word.to_bytes(8, "little") for word in page))
    os.rename(out.name, out.name[:-4])

def orphan(*argv):  # a grandchild in a session of its own, whose parent is gone
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            write("orphan", str(os.getpid()))
            os.execvp(argv[0], argv)
        os._exit(0)
    os.wait()

def read_stdin():
    write("stdin", sys.stdin.read())

steps = {
    "books": keep_books, "exit": lambda code: os._exit(code), "kill": lambda n: os.kill(os.getpid(), n),
    "line": wait_for_line, "file": wait_for_file, "wait": wait, "orphan": orphan, "stdin": read_stdin,
    "deaf": lambda: signal.signal(signal.SIGTERM, signal.SIG_IGN), "touch": lambda file: write(file, ""),
    "out": lambda text: os.write(1, text.encode()),
}

life = len([file for file in os.listdir(home) if file.startswith(f"start.{name}.")])
ignored = [name for name in ("SIGINT", "SIGHUP", "SIGTERM") if signal.getsignal(getattr(signal, name)) == signal.SIG_IGN]
signal.signal(signal.SIGTERM, lambda *_: (write(f"term.{name}", ""), os._exit(0)))
write(f"start.{name}.{life}", repr({
    "argv": sys.argv[1:], "role": role, "pid": os.getpid(), "env": dict(os.environ), "ignored": ignored,
    "stdin": os.readlink("/proc/self/fd/0"), "stdout": os.readlink("/proc/self/fd/1"),
    "fds": sorted(int(fd) for fd in os.listdir("/proc/self/fd") if os.path.exists(f"/proc/self/fd/{fd}")),
    "run_dir_mode": os.stat(os.environ["CURFEW_RUN_DIR"]).st_mode & 0o777}))
script = os.path.join(home, "script." + name)
lives = eval(open(script).read()) if os.path.exists(script) else [[["wait"]]]
for step, *arguments in lives[min(life, len(lives) - 1)]:
    steps[step](*arguments)
'''


def page(tasks=(0, 0, 0, 0), in_flight=0, attempts=None, attempts_in_flight=0, **words):
    """The words of a page of books; balanced, unless a word is said otherwise."""
    attempts = attempts or (tasks[0], 0, 0, 0, 0, 0)
    full = [sum(tasks) + in_flight, *tasks, in_flight, sum(attempts) + attempts_in_flight, *attempts, attempts_in_flight, 2]
    names = {"accepted": 1, "started": 7, "state": 15, "input_size": 16, "input_read": 17, "refused": 18, "left": 20, "intake_ended": 21,
             "workers_ready": 22, "collector_synced": 23, "rest": 24, "rest_message": 25, "rest_byte": 26, "rest_messages": 27,
             "rest_bytes": 28, "first_in_flight": 30, "settled_before": 31, "failures_before": 32, "halted": 33}
    return {**{number: value for number, value in enumerate(full, start=1)},
            **{names[name]: value for name, value in words.items()}}


def page_bytes(words):
    """The page itself."""
    return books.MAGIC + b"".join(words.get(number, 0).to_bytes(8, "little") for number in range(1, 34))


def eventually(condition, what, patience=PATIENCE):
    until = time.monotonic() + patience
    while not (value := condition()):
        if time.monotonic() > until:
            raise AssertionError(f"waited in vain: {what}")
        time.sleep(0.005)
    return value


def is_gone(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(") ")[2][0] in "ZX"
    except OSError:
        return True


def is_guard(pid):
    """It ends by itself, once launch's group has."""
    with open(f"/proc/{pid}/cmdline", "rb") as file:
        return b"cgroup.events" in file.read()


def children_of(pid):
    with open(f"/proc/{pid}/task/{pid}/children") as file:
        return [int(child) for child in file.read().split()]


class LaunchTest(unittest.TestCase):
    """A folder with stand-ins, and launches in it."""

    def setUp(self):
        self.home = tempfile.mkdtemp(prefix="lt-", dir="/tmp")
        self.addCleanup(shutil.rmtree, self.home, ignore_errors=True)
        self.private = self.path("private")  # where launch makes its private run directories
        os.mkdir(self.private)
        os.mkdir(self.path("bin"))
        for name in ("broker", "worker", "collector", "monitor"):
            fake = self.path("bin", f"curfew-{name}")
            with open(fake, "w") as file:
                file.write(FAKE)
            os.chmod(fake, 0o755)
        self.env = {**os.environ, "CURFEW_BIN_DIR": self.path("bin"), "FAKE_HOME": self.home,
                    "XDG_RUNTIME_DIR": self.private}
        self.launches = []
        self.addCleanup(self.nothing_is_left)

    def nothing_is_left(self):
        for launch in self.launches:
            if launch.poll() is None:
                launch.kill()
                launch.wait()
            launch.stdin and launch.stdin.close()
        left = []
        until = time.monotonic() + 20
        while children := children_of(os.getpid()):
            late = time.monotonic() > until
            for pid in children:
                if late and pid not in left:
                    left.append(pid)
                if late:
                    os.kill(pid, signal.SIGKILL)  # what was below it becomes ours, and gets the same in the next round
                os.waitpid(pid, os.WNOHANG)
            time.sleep(0.005)
        self.assertEqual(left, [], "processes were left behind")

    # --- what a test says ---

    def path(self, *names):
        return os.path.join(self.home, *names)

    def script(self, name, *lives):
        with open(self.path(f"script.{name}"), "w") as file:
            file.write(repr(lives))

    def broker_ends_with(self, code, **words):
        self.script("broker", [["books", page(**words)], ["exit", code]])

    def procfile(self, *lines):
        with open(self.path("Procfile"), "w") as file:
            file.write("\n".join(lines) + "\n")
        return self.path("Procfile")

    def start(self, *arguments, stdin=subprocess.DEVNULL, program=(PYTHON, "-E", LAUNCH)):
        number = len(self.launches)
        with open(self.path(f"out.{number}"), "wb") as out, open(self.path(f"err.{number}"), "wb") as err:
            launch = subprocess.Popen([*program, *arguments], env=self.env, stdin=stdin, stdout=out, stderr=err,
                                      cwd=self.home, start_new_session=True)
        launch.number = number
        self.launches.append(launch)
        return launch

    def start_quick(self, *arguments, workers=1, **how):
        return self.start("--workers", str(workers), *arguments, "--handler", "echo", **how)

    # --- what a test asks ---

    def err(self, launch):
        return self.read(f"err.{launch.number}")

    def read(self, name):
        try:
            with open(self.path(name)) as file:
                return file.read()
        except FileNotFoundError:
            return ""

    def says(self, launch, text):
        eventually(lambda: text in self.err(launch), f"'{text}' on stderr, not only '{self.err(launch)}'")

    def code(self, launch):
        try:
            code = launch.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.fail(f"launch does not end; it said: {self.err(launch)}")
        self.assertEqual(os.listdir(self.private), [], "a private run directory is left")
        return code

    def started(self, name, life=0):
        """How a stand-in was started, once it is."""
        return ast.literal_eval(eventually(lambda: self.read(f"start.{name}.{life}"), f"start {life} of {name}"))

    def hears(self, name, line):
        eventually(lambda: line in self.read(f"heard.{name}").split("\n"), f"'{line}' on the lifeline of {name}")

    def refuses(self, *arguments, code=64):
        launch = self.start(*arguments)
        self.assertEqual(self.code(launch), code, arguments)
        err = self.err(launch)
        self.assertRegex(err, r"\Alaunch: [^\n]+\n\Z", arguments)
        return err


def set_up():
    """To be called in setUpModule()."""
    ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)  # PR_SET_CHILD_SUBREAPER: see the top

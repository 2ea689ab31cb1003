"""Groups of curfew's real processes for the integration tests: started, fed, looked at, ended, and checked for remains.

Each test has a folder of its own under /tmp, and each process it starts a session of its own. The folder's name stands in
the environment of all that descends from the test (CURFEW_RUN_DIR, XDG_RUNTIME_DIR, TEST_HOME), so that whatever is left of
it is found in /proc, killed, and fails the test; nothing else is ever killed. All waiting is for a condition, with
PATIENCE as the bound. The binaries are those of CURFEW_BIN_DIR (the build's bin unless said).
"""

import contextlib
import json
import os
import re
import select
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BIN_DIR = os.path.abspath(os.environ.get("CURFEW_BIN_DIR") or os.path.join(ROOT, "build", "bin"))
PYTHON = "/usr/bin/python3" if os.access("/usr/bin/python3", os.X_OK) else sys.executable
LAUNCH = os.path.join(ROOT, "scripts", "launch.py")
PATIENCE = 60.0  # seconds; only ever reached by a test that fails

TASK_ENDS = ("completed", "failed", "expired", "cancelled")
ATTEMPT_ENDS = ("won", "late", "cancelled", "failed", "expired", "lost")


def eventually(condition, what, patience=PATIENCE):
    """The first true value of condition(). `what` (a text, or a function that makes one) is said if it never comes."""
    until = time.monotonic() + patience
    while not (value := condition()):
        if time.monotonic() > until:
            raise AssertionError(f"waited in vain: {what() if callable(what) else what}")
        time.sleep(0.005)
    return value


# --- what /proc says ---

def _read(*names):
    try:
        with open(os.path.join("/proc", *map(str, names)), "rb") as file:
            return file.read()
    except OSError:
        return b""


def processes_with(text):
    """Ids of the live processes that have the text in their environment."""
    text = text.encode()
    return [int(pid) for pid in os.listdir("/proc") if pid.isdigit() and text in _read(pid, "environ")]


def kill_if_it_has(pid, text):
    """Kills the process if it has the text in its environment; it is held while that is looked at."""
    try:
        held = os.pidfd_open(pid)
    except OSError:
        return
    try:
        if text.encode() in _read(pid, "environ"):
            signal.pidfd_send_signal(held, signal.SIGKILL)
    except OSError:
        pass  # gone meanwhile
    finally:
        os.close(held)


def command_of(pid):
    """Its arguments, as one text."""
    return _read(pid, "cmdline").replace(b"\0", b" ").decode(errors="replace").strip()


def environment_of(pid):
    words = (word.partition(b"=") for word in _read(pid, "environ").split(b"\0"))
    return {name.decode(errors="replace"): value.decode(errors="replace") for name, _, value in words}


def parent_of(pid):
    """0 where it is gone."""
    fields = _read(pid, "stat").rpartition(b") ")[2].split()
    return int(fields[1]) if fields else 0


def program_of(pid):
    try:
        return os.path.basename(os.readlink(f"/proc/{pid}/exe"))
    except OSError:
        return ""


def processes_running(argument):
    """Ids of the live processes whose one argument this is, as `sleep 1000.5`; whoever would start them has more than one."""
    argument = argument.encode()
    return [int(pid) for pid in os.listdir("/proc") if pid.isdigit() and _read(pid, "cmdline").split(b"\0")[1:-1] == [argument]]


def attempts_running(argument):
    """The attempts, by task and number, of which a process with this argument lives."""
    found = set()
    for pid in processes_running(argument):
        environment = environment_of(pid)
        if "CURFEW_SEQ" in environment:
            found.add((int(environment["CURFEW_SEQ"]), int(environment["CURFEW_ATTEMPT"])))
    return found


def is_over(pid):
    return _read(pid, "stat").rpartition(b") ")[2][:1] in (b"", b"Z", b"X")


def is_stopped(pid):
    return _read(pid, "stat").rpartition(b") ")[2][:1] == b"T"


def descriptors_of(pid):
    """How many it has open."""
    try:
        return len(os.listdir(f"/proc/{pid}/fd"))
    except OSError:
        return 0


def processor_seconds(pid):
    """What it has used so far; of its own, without its children."""
    fields = _read(pid, "stat").rpartition(b") ")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK") if fields else 0.0


def times_woken(pid):
    """How often a process with one thread has waited for something; 0 where it is gone."""
    found = re.search(rb"\nvoluntary_ctxt_switches:\s+(\d+)", _read(pid, "status"))
    return int(found[1]) if found else 0


def address_space(pid):
    """Bytes."""
    return int(re.search(rb"VmSize:\s+(\d+) kB", _read(pid, "status"))[1]) * 1024


def memory_peak_mib(pid):
    match = re.search(rb"VmHWM:\s+(\d+) kB", _read(pid, "status"))
    return int(match[1]) / 1024 if match else 0.0


class Running:
    """A process that a test has started. What it wrote is in files, so nothing it does can block on the test."""

    def __init__(self, home, number, words, environment, stdin, stdout, pass_fds=()):
        self._out, self._err = (os.path.join(home, f"{name}.{number}") for name in ("out", "err"))
        self.endpoints = {}
        with open(self._out, "wb") as out, open(self._err, "wb") as err:
            self.process = subprocess.Popen(words, env=environment, cwd=home, stdin=stdin, start_new_session=True,
                                            stdout=out if stdout is None else stdout, stderr=err, pass_fds=pass_fds)
        self.pid = self.process.pid

    @property
    def out(self):
        with open(self._out, "rb") as file:
            return file.read()

    @property
    def err(self):
        with open(self._err, encoding="utf-8", errors="replace") as file:
            return file.read()

    @property
    def lines(self):
        """The whole lines on its stdout."""
        return self.out.decode().split("\n")[:-1]

    @property
    def alive(self):
        return self.process.poll() is None

    def feed(self, data):
        self.process.stdin.write(data)
        self.process.stdin.flush()

    def end_of_input(self):
        self.process.stdin.close()

    def signal(self, number):
        if self.alive:
            os.kill(self.pid, number)

    def code(self, patience=PATIENCE):
        """Its exit code, once it has ended by itself."""
        try:
            return self.process.wait(patience)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"{self.process.args[:3]} does not end; it said: {self.err[-2000:]}") from None

    def says(self, text):
        eventually(lambda: re.search(text, self.err), lambda: f"'{text}' on stderr, not only: {self.err[-2000:]}")
        return re.search(text, self.err)

    def writes(self, lines):
        """Waits until so many lines are on its stdout."""
        eventually(lambda: self.out.count(b"\n") >= lines or not self.alive,
                   lambda: f"{lines} lines on stdout, not only {self.out.count(10)}; stderr: {self.err[-2000:]}")


class GroupTest(unittest.TestCase):
    """A folder, processes started in it, and the check that nothing of them remains."""

    def setUp(self):
        self.home = tempfile.mkdtemp(prefix="curfew-test-", dir="/tmp")
        self.run_dir = self.path("run")
        self.private = self.path("private")  # where launch makes its private run directories
        os.mkdir(self.private)
        self.environment = {name: value for name, value in os.environ.items() if not name.startswith("CURFEW_")}
        self.environment.update(CURFEW_BIN_DIR=BIN_DIR, XDG_RUNTIME_DIR=self.private, TEST_HOME=self.home)
        self._running = []
        self.sleep = f"1000.{int.from_bytes(os.urandom(5), 'big')}"  # an argument for `sleep` that nobody else uses
        self.addCleanup(self._clean_up)

    # --- starting ---

    def path(self, *names):
        return os.path.join(self.home, *names)

    def write(self, name, data):
        with open(self.path(name), "wb") as file:
            file.write(data if isinstance(data, bytes) else data.encode())
        return self.path(name)

    def run_words(self, *words, stdin=None, stdout=None, environment=(), pass_fds=()):
        """Starts a process. `stdin`: bytes, an open file, 'pipe' (see Running.feed), or nothing."""
        number = len(self._running)
        if stdin == "pipe":
            source = subprocess.PIPE
        elif stdin is None:
            source = subprocess.DEVNULL
        else:
            source = stdin if hasattr(stdin, "fileno") else open(self.write(f"in.{number}", stdin), "rb")
        running = Running(self.home, number, list(words), {**self.environment, **dict(environment)}, source, stdout, pass_fds)
        if hasattr(source, "close"):
            source.close()
        self._running.append(running)
        return running

    def launch(self, *words, **how):
        return self.run_words(PYTHON, "-E", LAUNCH, *words, **how)

    def launch_procfile(self, *lines, words=(), **how):
        return self.launch("--run-dir", self.run_dir, *words, self.write("Procfile", "\n".join(lines) + "\n"), **how)

    def binary(self, role, *words, **how):
        """One of curfew's own processes, in this test's run directory; nobody waits until it is ready."""
        return self.run_words(os.path.join(BIN_DIR, f"curfew-{role}"), *words,
                              environment={"CURFEW_RUN_DIR": self.run_dir, **how.pop("environment", {})}, **how)

    def ready(self, role, *words, **how):
        """The same, once it says that it is ready; its endpoints are known then."""
        reader, writer = os.pipe()
        try:
            words = ("--ready-fd", str(writer), *words)
            running = self.binary(role, *words, pass_fds=(writer,), **how)
        finally:
            os.close(writer)
        with open(reader, "rb") as ready:
            if not select.select([ready], [], [], PATIENCE)[0]:
                self.fail(f"curfew-{role} is never ready; it said: {running.err}")
            line = ready.readline()
        self.assertTrue(line, f"curfew-{role} ended before it was ready: {running.err}")
        running.endpoints = json.loads(line)["endpoints"]
        return running

    # --- looking ---

    def monitor(self, *words):
        """What curfew-monitor did: (exit code, stdout, stderr)."""
        done = subprocess.run([os.path.join(BIN_DIR, "curfew-monitor"), *words], stdin=subprocess.DEVNULL, capture_output=True,
                              text=True, timeout=PATIENCE, env={**self.environment, "CURFEW_RUN_DIR": self.run_dir})
        return done.returncode, done.stdout, done.stderr

    def snapshots(self, verb="stats"):
        """{process name: its JSON} of those in the run directory that answer."""
        words = ("--by-process",) if verb == "dump" else ()
        return {snapshot["name"]: snapshot for line in self.monitor("--json", verb, *words)[1].splitlines()
                if "name" in (snapshot := json.loads(line))}

    def snapshot(self, name="broker", verb="stats"):
        """The JSON of one process; nothing where it is not there (yet)."""
        socket = os.path.join(self.run_dir, f"{name}.monitor.sock")
        code, out, _ = self.monitor("--connect", f"ipc://{socket}", "--json", verb) if os.path.exists(socket) else (1, "", "")
        return json.loads(out) if code == 0 else {}

    def answer(self, name="broker", verb="stats"):
        """The same of one that is there: asked again where the machine is too busy for an answer in time."""
        return eventually(lambda: self.snapshot(name, verb), f"an answer of {name}")

    def answers(self, *names, verb="stats"):
        """{process name: its JSON} once all of these answer together."""
        def all_of_them():
            found = self.snapshots(verb)
            return found if found.keys() >= set(names) else None
        return eventually(all_of_them, f"answers of {names}")

    def broker_until(self, condition, what):
        """The broker's first snapshot for which condition(snapshot) is true."""
        looks = answered = 0
        snapshot = {}

        def look():
            nonlocal looks, answered, snapshot
            looks += 1
            if found := self.snapshot():
                answered, snapshot = answered + 1, found
            return snapshot if found and condition(snapshot) else None
        return eventually(look, lambda: f"{what() if callable(what) else what}; the last of {answered} answers to {looks}"
                                        f" questions: {json.dumps(snapshot)[:4000]}")

    def let_go(self, *words):
        """Work that reads from the FIFOs of these names, in whatever order it begins, reads a line."""
        left = list(words)
        while left:
            word, gate = eventually(lambda: next(((w, gate) for w in left if (gate := self._gate_of(w))), None),
                                    f"work at a gate of {left}")
            with open(gate, "wb") as opened:
                opened.write(b"go\n")
            left.remove(word)

    def _gate_of(self, word):
        try:
            return os.open(self.path(word), os.O_WRONLY | os.O_NONBLOCK)
        except OSError:  # nobody reads
            return None

    def workers_are_ready(self, count):
        def enough(broker):
            return sum(worker["state"] == "ready" for worker in broker["workers"]) >= count
        return self.broker_until(enough, f"{count} workers to be ready")

    def pid_of(self, name):
        """The process of a group that launch has given this name; its supervisors and its work are others."""
        def find():
            for pid in processes_with(self.home):
                if environment_of(pid).get("CURFEW_NAME") == name and program_of(pid) in (
                        "curfew-broker", "curfew-worker", "curfew-collector", "curfew-example-worker"):
                    return pid
        return eventually(find, lambda: f"process {name} among {[command_of(pid) for pid in processes_with(self.home)]};"
                                        f" {[running.err[-500:] for running in self._running]}")

    def supervisors(self):
        return [pid for pid in processes_with(self.home) if program_of(pid) == "curfew-supervisor"]

    # --- judging ---

    def books(self, launch):
        """(tasks, attempts) of launch's last two lines, each {'all': N, word: N}, after their arithmetic was checked."""
        found = []
        for label, ends in (("tasks", TASK_ENDS), ("attempts", ATTEMPT_ENDS)):
            words = (*ends, "in flight")
            pattern = rf"^{label} +(\d+) = " + r" \+ ".join(rf"(\d+) {word}" for word in words) + "$"
            match = re.search(pattern, launch.err, re.MULTILINE)
            self.assertIsNotNone(match, f"no line of {label} on stderr: {launch.err[-2000:]}")
            total, *counts = map(int, match.groups())
            self.assertEqual(total, sum(counts), match[0])
            found.append({"all": total, **dict(zip(words, counts))})
        return found

    def ends_well(self, launch, code=0, patience=PATIENCE):
        """Ends with that code, books that balance, and nothing in flight. Returns the books."""
        self.assertEqual(launch.code(patience), code, launch.err[-2000:])
        tasks, attempts = self.books(launch)
        self.assertEqual((tasks["in flight"], attempts["in flight"]), (0, 0), launch.err)
        self.assertLessEqual(attempts["won"], tasks["completed"])
        return tasks, attempts

    def nothing_runs(self, *arguments, patience=1.0):
        """No process with one of these arguments, and none with this test's folder in its environment. After an end of launch
        that is so at once."""
        def remains():
            return [pid for argument in arguments for pid in processes_running(argument)] + processes_with(self.home)
        eventually(lambda: not remains(), lambda: f"left behind: {[(pid, command_of(pid)) for pid in remains()]}", patience)

    # --- work that ends when the test says so ---

    def gated(self, work="cat"):
        """Words of a command that waits for open_gate() and then does the work; it looks now and then, as any number of
        them may wait."""
        return "--", "sh", "-c", f"until [ -e {self.path('gate')} ]; do sleep 0.02; done; {work}"

    def open_gate(self):
        self.write("gate", "")

    # --- the end ---

    def _clean_up(self):
        for running in self._running:
            running.signal(signal.SIGCONT)
            running.signal(signal.SIGTERM)
            running.signal(signal.SIGINT)  # launch drains at the first; two of one kind could become one
        try:
            for running in self._running:
                running.code(30)
            eventually(lambda: not processes_with(self.home), "the end of all that the test has started", 30)
        except AssertionError:
            left = self._kill_all()
            raise AssertionError(f"left behind: {left}") from None
        finally:
            self._kill_all()
            for running in self._running:
                running.process.wait()
                if running.process.stdin:
                    with contextlib.suppress(OSError):
                        running.process.stdin.close()
            sockets, private = self._sockets(), os.listdir(self.private)
            shutil.rmtree(self.home, ignore_errors=True)
        self.assertEqual(private, [], "launch left a private run directory")
        self.assertEqual(sockets, [], "sockets were left in the run directory")

    def _kill_all(self):
        """Kills what the test has started, and what came of it. Returns the commands."""
        found = []
        until = time.monotonic() + 5
        while (pids := processes_with(self.home)) and time.monotonic() < until:
            for pid in pids:
                found.append(f"{pid} {command_of(pid)}")
                kill_if_it_has(pid, self.home)
            time.sleep(0.01)
        for running in self._running:
            if running.alive:
                running.process.kill()
        return sorted(set(found))

    def _sockets(self):
        return [os.path.join(folder, name) for folder, _, names in os.walk(self.home) for name in names
                if stat.S_ISSOCK(os.lstat(os.path.join(folder, name)).st_mode)]


def numbers(count):
    """What `seq count` prints."""
    return "".join(f"{n}\n" for n in range(1, count + 1)).encode()

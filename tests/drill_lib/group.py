"""One curfew group, from queue to queue, with the supervisor that a machine would have: a thread that starts launch again
whenever it ends.

All that belongs to it is found by a mark in its environment. Fails with TimeoutError and OSError.
"""

import collections
import json
import os
import signal
import subprocess
import sys
import threading
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "scripts"))

from cluster_lib import processes  # noqa: E402

BIN_DIR = os.path.abspath(os.environ.get("CURFEW_BIN_DIR") or os.path.join(ROOT, "build", "bin"))
MARK = "CURFEW_DRILL"
_RESTART = 1.0  # seconds, as systemd's RestartSec
# Seconds of sleep; or a path: work that hangs while there is such a file
_WORK = ('read -r what; case $what in /*) while [ -e "$what" ]; do sleep 0.2; done ;; *) sleep "$what" ;; esac;'
         ' echo "$what"')


def mark_of(directory):
    return f"{MARK}={directory}"


class Group:
    def __init__(self, name, home, logs, source, sink, enter=()):
        """`enter`: words before the command, which lead to its host."""
        self.name = name
        self.run_dir = os.path.join(home, "run")
        self.log = os.path.join(logs, f"{name}.err")
        self.ends = collections.Counter()  # exit codes of launch that nobody had asked for
        self._mark = mark_of(home)
        self._environment = {**os.environ, MARK: home, "CURFEW_BIN_DIR": BIN_DIR, "CURFEW_AMQP_PASSWORD": "guest"}
        self._words = [*enter, sys.executable, os.path.join(ROOT, "scripts", "launch.py"), "--run-dir", self.run_dir,
                       "--source", source, "--sink", sink, "--workers", "2", "--slots", "2", "--fanout", "2",
                       "--deadline", "100s", "--consumer-timeout", "2m", "--", "sh", "-c", _WORK]
        self._process = None
        self._ends = threading.Event()
        self._supervisor = threading.Thread(target=self._supervise, daemon=True)
        os.makedirs(home)

    def start(self):
        self._supervisor.start()

    def _supervise(self):
        while not self._ends.is_set():
            with open(self.log, "ab") as log:
                self._process = subprocess.Popen(["setpriv", "--pdeathsig", "KILL", *self._words],
                                                 env=self._environment, stdin=subprocess.DEVNULL,
                                                 stdout=subprocess.DEVNULL, stderr=log, start_new_session=True)
            code = self._process.wait()
            if not self._ends.is_set():
                self.ends[code] += 1
            self._ends.wait(_RESTART)

    def end(self, patience):
        """It drains. What is wrong, or None; and nothing is left of it."""
        self._ends.set()
        wrong = None
        if self._process and self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
            try:
                code = self._process.wait(patience)
                wrong = f"{self.name}: launch ended with {code}" if code not in (0, 1) else None
            except subprocess.TimeoutExpired:
                wrong = f"{self.name}: launch did not drain within {patience:g} s"
        self.remove()
        return wrong

    def remove(self):
        self._ends.set()
        processes.kill_marked(self._mark)
        if self._supervisor.is_alive():
            self._supervisor.join(20)
            processes.kill_marked(self._mark)  # it may just have started launch again

    # --- what is done to it ---

    def kill(self, role):
        """SIGKILL to its broker, collector. False where there is none now."""
        for pid in processes.marked(self._mark):
            if _program_of(pid) == f"curfew-{role}":
                processes.kill(pid, self._mark)
                return True
        return False

    def kill_all(self):
        """At once, as a machine dies: none of them sees another one die before, and says that work has failed."""
        self.freeze()
        processes.kill_marked(self._mark)

    def freeze(self):
        """SIGSTOP to all, until there is none that runs."""
        def all_stand():
            running = [pid for pid in processes.marked(self._mark) if _state_of(pid) not in ("T", "Z", "")]
            self._signal(running, signal.SIGSTOP)
            return not running
        processes.wait_for(all_stand, f"{self.name} to stand still", 20)

    def thaw(self):
        self._signal(processes.marked(self._mark), signal.SIGCONT)

    @staticmethod
    def _signal(pids, number):
        for pid in pids:
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                pass  # has just ended

    # --- what it is ---

    def completed(self):
        """How many tasks, while it takes messages from the queue; None where it does not."""
        done = subprocess.run([os.path.join(BIN_DIR, "curfew-monitor"), "stats", "--json", "--run-dir", self.run_dir],
                              capture_output=True, text=True, timeout=30)
        for line in done.stdout.splitlines():
            one = json.loads(line)
            if "source" in one:
                takes = one["source"].get("connected") and one["source"].get("prefetch")
                return one["tasks"]["completed"] if takes else None
        return None


def _program_of(pid):
    try:
        return os.path.basename(os.readlink(f"/proc/{pid}/exe"))
    except OSError:
        return ""


def _state_of(pid):
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return file.read().rpartition(b") ")[2][:1].decode()
    except OSError:
        return ""

"""The group under test, what feeds it, and where its processes are."""

import json
import os
import re
import subprocess
import sys
import threading

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))
sys.path.insert(0, ROOT)

from tests.support.proxy import Proxy  # noqa: E402

BIN_DIR = os.path.abspath(os.environ.get("CURFEW_BIN_DIR") or os.path.join(ROOT, "build", "bin"))


class Feeder(threading.Thread):
    """Writes numbers into launch's stdin until stop(); `count` of them in the end."""

    BLOCK = 512

    def __init__(self, pipe):
        super().__init__(daemon=True)
        self.count = 0
        self._pipe = pipe
        self._stopped = False

    def run(self):
        try:
            while not self._stopped:
                block = range(self.count + 1, self.count + 1 + self.BLOCK)
                self._pipe.write("".join(map(self.line, block)).encode())
                self._pipe.flush()
                self.count += self.BLOCK
            self._pipe.close()
        except BrokenPipeError:
            pass  # launch ended: its exit code says why

    @staticmethod
    def line(number):
        return f"{number}\n"

    def stop(self):
        self._stopped = True


class Group:
    """Fed by a Feeder, its outcomes in the file `out`; or fed by and writing to the descriptors that are given.

    `flags` of launch, words of the `work` instead of options.handler, and `environment` come on top.
    """

    def __init__(self, options, home, source=None, sink=None, feeder=Feeder, flags=(), work=None, environment=None):
        self.run_dir = os.path.join(home, "run")
        self.out, self._err = os.path.join(home, "out"), os.path.join(home, "err")
        words = [os.path.join(ROOT, "scripts", "launch"), "--run-dir", self.run_dir, "--workers", str(options.workers),
                 "--fanout", str(options.fanout)]
        if sink is None:
            words += ["--output", self.out]
        words += flags
        words += work or (["--", "cat"] if options.handler == "exec" else ["--handler", options.handler])
        environment = dict(os.environ, CURFEW_POISON="0") | (environment or {})
        self.proxies = []
        if any(fault.endswith("-links") for fault in options.faults):
            environment |= self._make_proxies(home, options.seed)
        with open(self._err, "wb") as err:
            self.process = subprocess.Popen(words, stdin=subprocess.PIPE if source is None else source, stdout=sink,
                                            stderr=err, env=environment)
        self.feeder = None
        if source is None:
            self.feeder = feeder(self.process.stdin)
            self.feeder.start()

    def _make_proxies(self, home, seed):
        """In front of the two sockets that all others connect to. Returns what the processes are told of it."""
        told = {}
        for real, others in (("RESULTS", "COLLECTOR"), ("EVENTS", "BROKER")):
            near, far = (os.path.join(home, f"{real.lower()}.{which}") for which in ("proxy", "real"))
            self.proxies.append(Proxy(near, far, seed))
            told |= {f"CURFEW_{real}": f"ipc://{far}", f"CURFEW_{others}": f"ipc://{near}"}
        return told

    def stats(self):
        """{name: its stats} of those that answer."""
        done = subprocess.run([os.path.join(BIN_DIR, "curfew-monitor"), "stats", "--json", "--run-dir", self.run_dir],
                              capture_output=True, text=True)
        found = [json.loads(line) for line in done.stdout.splitlines()]
        return {one["name"]: one for one in found if "name" in one and "pid" in one}

    def members(self, role):
        """[(name, pid)] of the processes of that role that run now: launch's children, by the names that it gives."""
        found = []
        for pid in children_of(self.process.pid):
            try:
                with open(f"/proc/{pid}/environ", "rb") as file:
                    name = re.search(rb"(?:^|\0)CURFEW_NAME=([^\0]*)", file.read())
            except OSError:
                continue  # it has just ended
            if name and re.fullmatch({"worker": r"w\d+"}.get(role, role), name[1].decode()):
                found.append((name[1].decode(), pid))
        return sorted(found)

    def end(self):
        if self.feeder:
            self.feeder.stop()
        code = self.process.wait()
        for proxy in self.proxies:
            proxy.close()
        with open(self._err, encoding="utf-8", errors="replace") as file:
            return code, file.read()


def children_of(pid):
    """Of its first thread: where launch and a worker start theirs."""
    try:
        with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
            return [int(child) for child in file.read().split()]
    except OSError:
        return []

"""One RabbitMQ node in a folder of its own, whatever else runs on the machine: files, start, readiness, end.

The folder is the node's HOME, with its cookie, configuration, data and log; nothing is read from /etc/rabbitmq, and no
service of the machine is used: `epmd`, where Erlang's nodes look up each other's ports, is one that the owner has
started (start_epmd) on a port of its own. Every process has the folder in its environment, the mark by which it is
found.

A Node object holds no state but where things are: one in another process, made with the same words, does the same.
Blocking calls, on the caller's thread. Fails with NodeError, whose text has the first errors of the node.
"""

import json
import os
import re
import shutil
import subprocess

from . import processes
from .processes import wait_for

SBIN = "/usr/lib/rabbitmq/bin"  # without Debian's wrapper, which insists on the user rabbitmq and its folders
_MARK = "CURFEW_RABBIT"
_SAID = 12  # lines
_STARTED = b"Server startup complete"
FORMED = b"Will try to unlock with peer discovery backend"  # it is a cluster that others may join
_SMALL = "+S {schedulers}:{schedulers} +SDio {schedulers} +A 1"  # few threads; no spinning is RabbitMQ's default


class NodeError(Exception):
    pass


def is_installed():
    return os.access(f"{SBIN}/rabbitmq-server", os.X_OK) and bool(shutil.which("epmd"))


def environment(home, epmd_port, **more):
    """That of the caller without what would lead a node or epmd elsewhere."""
    kept = {name: value for name, value in os.environ.items() if not re.match("RABBITMQ_|ERL_|NOTIFY_SOCKET$", name)}
    return {**kept, "HOME": home, _MARK: home, "ERL_EPMD_PORT": str(epmd_port), "LC_ALL": "C.UTF-8",
            "ERL_AFLAGS": "-start_epmd false", **more}


def mark_of(home):
    return f"{_MARK}={home}"


def start_epmd(home, port, address, enter=()):
    """Returns when it can be asked; it ends with kill_marked(mark_of(home)). One is enough for all nodes of a host."""
    process = subprocess.Popen([*enter, "epmd", "-port", str(port), "-address", address], start_new_session=True,
                               env=environment(home, port), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL)
    names = [*enter, "epmd", "-port", str(port), "-names"]

    def answers():
        if process.poll() is not None:
            raise NodeError(f"epmd does not start on port {port} of {address}")
        return subprocess.run(names, env=environment(home, port), capture_output=True).returncode == 0
    wait_for(answers, "epmd", 20)
    return process


class Node:
    """`enter`: words before each command, which lead into the node's host (a network namespace)."""

    def __init__(self, home, name, *, address="127.0.0.1", port, dist_port, epmd_port, enter=(), schedulers=1):
        self.home = os.path.abspath(home)
        self.name = name  # rabbit@HOST
        self.address, self.port, self.dist_port, self.epmd_port = address, port, dist_port, epmd_port
        self._enter = tuple(enter)
        self._schedulers = schedulers
        self._log_began = 0  # bytes that were there before this start

    # --- files ---

    def write(self, name, text, mode=0o600):
        path = os.path.join(self.home, name)
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "w", encoding="utf-8") as file:
            file.write(text)
        return path

    def configure(self, cookie, settings, definitions=None, advanced=(), plugins=()):
        """Writes the files. `settings` are lines of rabbitmq.conf; `advanced` are Erlang terms of {rabbit, [...]}."""
        os.makedirs(self.home, mode=0o700, exist_ok=True)
        lines = [f"listeners.tcp.1 = {self.address}:{self.port}", "loopback_users = none",
                 "vm_memory_high_watermark.absolute = 512MB", "disk_free_limit.absolute = 1MB", *settings]
        if definitions:
            lines.append(f"load_definitions = {self.write('definitions.json', json.dumps(definitions))}")
        self.write(".erlang.cookie", cookie, 0o400)
        self.write("rabbitmq.conf", "\n".join(lines) + "\n")
        self.write("advanced.config", f"[{{rabbit, [{', '.join(advanced)}]}}].\n")
        self.write("enabled_plugins", f"[{', '.join(plugins)}].\n")

    @property
    def log(self):
        return os.path.join(self.home, "log", "node.log")

    def _environment(self):
        here = lambda name: os.path.join(self.home, name)
        interface = f"{{{self.address.replace('.', ',')}}}"
        return environment(
            self.home, self.epmd_port, RABBITMQ_CONF_ENV_FILE=here("no-environment"), RABBITMQ_NODENAME=self.name,
            RABBITMQ_MNESIA_BASE=here("data"), RABBITMQ_LOG_BASE=here("log"), RABBITMQ_LOGS=self.log,
            RABBITMQ_CONFIG_FILE=here("rabbitmq"), RABBITMQ_ADVANCED_CONFIG_FILE=here("advanced.config"),
            RABBITMQ_ENABLED_PLUGINS_FILE=here("enabled_plugins"), RABBITMQ_PID_FILE=here("rabbit.pid"),
            RABBITMQ_DIST_PORT=str(self.dist_port),
            RABBITMQ_ALLOW_INPUT="1",  # so that the shells exec, and the process we start is the node
            RABBITMQ_SERVER_START_ARGS="-noinput +B i",
            RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS=_SMALL.format(schedulers=self._schedulers) +
            f" -kernel inet_dist_use_interface {interface}")

    # --- processes ---

    def start(self, before=()):
        """The process of the node; not yet ready. `before`: words in front of its command."""
        if self.pid:
            raise NodeError(f"{self.name} runs already")
        os.makedirs(os.path.dirname(self.log), exist_ok=True)
        self._log_began = self._size_of_log()
        with open(os.path.join(self.home, "out"), "wb") as out:
            process = subprocess.Popen([*self._enter, *before, f"{SBIN}/rabbitmq-server"], start_new_session=True,
                                       env=self._environment(), stdin=subprocess.DEVNULL, stdout=out,
                                       stderr=subprocess.STDOUT, cwd=self.home)
        self.write("pid", str(process.pid))
        return process

    @property
    def pid(self):
        """0 where it does not run."""
        try:
            with open(os.path.join(self.home, "pid"), encoding="ascii") as file:
                pid = int(file.read() or 0)
        except OSError:
            return 0
        return pid if pid and processes.has_mark(pid, mark_of(self.home)) else 0

    def wait_until_ready(self, process, patience=60, said=_STARTED):
        """Until it serves clients, or has said something else. `process` is what start() returned."""
        def has_said():
            if process.poll() is not None:
                raise NodeError(f"{self.name} ended with {process.returncode}; it said:\n{self.last_words()}")
            with open(self.log, "rb") if os.path.exists(self.log) else open(os.devnull, "rb") as file:
                file.seek(self._log_began)
                return said in file.read()
        try:
            wait_for(has_said, "a node that is ready", patience)
        except TimeoutError:
            raise NodeError(f"{self.name} is not ready after {patience:g} s; it said:\n{self.last_words()}") from None

    def settle(self):
        """Writes down which quorum queues there are, here and at all nodes that this one knows to run. Their number.
        RabbitMQ 3.10 puts that off for a second or two; a node that is killed before has a new queue anew and empty,
        though its messages were confirmed, and alone it elects no leader."""
        return int(self.ctl("eval", "length([rpc:call(N, lists, foreach, [fun dets:sync/1, rpc:call(N, dets, all, [])])"
                                    " || N <- rabbit_nodes:all_running()]).").strip())

    def kill(self):
        """SIGKILL, to the node alone; returns when it is gone. What it had started ends by itself; epmd stays."""
        if pid := self.pid:
            processes.kill(pid, mark_of(self.home))

    def ctl(self, *words, patience=60):
        """What `rabbitmqctl WORDS` says; NodeError where it fails."""
        command, its_environment = self.ctl_command(words)
        try:
            done = subprocess.run(command, env=its_environment, stdin=subprocess.DEVNULL, capture_output=True,
                                  text=True, timeout=patience, cwd=self.home)
        except subprocess.TimeoutExpired:
            raise NodeError(f"rabbitmqctl {words[0]} has no answer after {patience:g} s") from None
        if done.returncode:
            raise NodeError(f"rabbitmqctl {' '.join(words)}: {(done.stdout + done.stderr).strip()}")
        return done.stdout

    def ctl_command(self, words):
        """The command and its environment."""
        return [*self._enter, f"{SBIN}/rabbitmqctl", "-q", "-n", self.name, *words], self._environment()

    # --- what it said, and costs ---

    def _size_of_log(self):
        return os.path.getsize(self.log) if os.path.exists(self.log) else 0

    def last_words(self):
        """Its first errors since it was started, or else the end of what it wrote."""
        lines = []
        for path, begin in ((os.path.join(self.home, "out"), 0), (self.log, self._log_began)):
            if os.path.exists(path):
                with open(path, "rb") as file:
                    file.seek(begin)
                    lines += re.sub(r"\x1b\[[0-9;]*m", "", file.read().decode(errors="replace")).splitlines()
        errors = [line for line in lines if "[error]" in line and len(line.rsplit(">", 1)[-1].strip()) > 1]
        return "\n".join(dict.fromkeys(line[:300] for line in errors[:_SAID] or lines[-_SAID:]))

    def memory(self):
        """Bytes, of the node and of what it has started."""
        return sum(map(processes.proportional_bytes, processes.marked(mark_of(self.home))))

    def processor_seconds(self):
        return processes.processor_seconds(self.pid) if self.pid else 0.0

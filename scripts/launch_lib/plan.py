"""What a group consists of: each process's name, role, command, and what it gets of launch's own streams.

Pure: made from options and a Procfile's lines before anything is started.
"""

import enum
import os
import re
from dataclasses import dataclass, field

from . import values
from .options import default_grace


class Role(enum.Enum):
    BROKER = "curfew-broker"  # its end is the group's end; never started again
    WORKER = "curfew-worker"  # started again whenever it ends; its exit codes 64 and 74 end the group
    COLLECTOR = "curfew-collector"  # as a worker
    OTHER = None  # a Procfile's own: started again unless it exits with 0


@dataclass(frozen=True)
class Process:
    name: str  # CURFEW_NAME
    role: Role
    argv: tuple
    environment: dict = field(default_factory=dict)  # on top of launch's own
    gets_stdin: bool = False
    gets_stdout: bool = False


@dataclass(frozen=True)
class Plan:
    processes: tuple
    grace: float  # seconds: how long launch waits after TERM before it kills is counted from this
    brokers: int  # as far as commands tell; one that is hidden in a script is not counted
    books_expected: bool  # a broker that ends well must have left books in our run directory


def quick_plan(options, bin_dir):
    """Collector, workers, broker: the broker last, so that what it reads finds somebody at home."""
    binary = lambda role: os.path.join(bin_dir, role.value)
    source, sink = options.given.get("input"), options.given.get("output")
    collector = [binary(Role.COLLECTOR), "--sink", f"file:{os.path.abspath(sink)}" if sink else "stdout",
                 "--format", "json" if "json" in options.given else "raw", *options.passed_on("collector")]
    if "dead-letters" in options.given:
        collector += ["--dead-letters", f"file:{os.path.abspath(options.given['dead-letters'])}"]
    worker = [binary(Role.WORKER), *options.passed_on("worker"), "--handler", options.given.get("handler", "exec")]
    if options.command:
        worker += ["--", *options.command]
    broker = [binary(Role.BROKER), "--source", f"file:{os.path.abspath(source)}" if source else "stdin",
              *options.passed_on("broker")]
    processes = [Process("collector", Role.COLLECTOR, tuple(collector), gets_stdout=True)]
    processes += [Process(f"w{number}", Role.WORKER, tuple(worker)) for number in range(1, options.workers + 1)]
    processes += [Process("broker", Role.BROKER, tuple(broker), gets_stdin=True)]
    return Plan(tuple(processes), options.grace, brokers=1, books_expected=True)


def procfile_plan(options, commands, bin_dir):
    """A Procfile's processes in its order. Only the first broker is the broker: there is one stdin."""
    environment = {
        "PATH": bin_dir + os.pathsep + os.environ.get("PATH", os.defpath),
        "CURFEW_PROCFILE_DIR": os.path.dirname(os.path.abspath(options.procfile)),
    }
    if "log-level" in options.given:
        environment["CURFEW_LOG_LEVEL"] = options.given["log-level"]
    processes = []
    for name, command in commands:
        role = _role_of(command)
        if role is Role.BROKER and any(process.role is Role.BROKER for process in processes):
            role = Role.OTHER
        processes.append(Process(name, role, ("/bin/sh", "-c", _exec_line(command)), environment,
                                 gets_stdin=role is Role.BROKER, gets_stdout=True))
    brokers = sum(_role_of(command) is Role.BROKER for _, command in commands)
    return Plan(tuple(processes), _longest_grace(commands), brokers, books_expected=False)


def _role_of(command):
    return next((role for role in Role if role.value and role.value in command), Role.OTHER)


def _exec_line(command):
    """`exec`, so that the process that launch knows is the command and not a shell before it."""
    assigns_first = re.match(r"[A-Za-z_][A-Za-z0-9_]*=", command)  # 'NAME=value command' is no word for exec
    return f"exec env {command}" if assigns_first else f"exec {command}"


def _longest_grace(commands):
    """A worker that was told a longer grace needs it at the group's end too."""
    said = [values.seconds(text) for _, command in commands for text in re.findall(r"--grace[ =]+(\S+)", command)]
    return max([default_grace(), *(min(length, values.LONGEST_GRACE) for length in said if length is not None)])

"""What a group consists of: each process's name, role, command, and what it gets of launch's own streams.

Pure: made from options and a Procfile's lines before anything is started.
"""

import enum
import os
import re
import shlex
import shutil
from dataclasses import dataclass, field
from typing import Optional

from . import descriptors, files, values, work
from .books import counted
from .options import absolute, asked_fanout, default_grace
from .work import worker_arguments


_FORMATS = {None: "raw", True: "json", "full": "json-full"}  # by what was said of --json
_OF_LAUNCH = ("CURFEW_BIN_DIR",)  # no process judges it


class Role(enum.Enum):
    BROKER = "curfew-broker"  # its end is the group's end; started again only where it goes on from a checkpoint
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
    stdin_descriptor: Optional[int] = None  # of launch, in place of its stdin; launch lets go of it
    descriptors: tuple = ()  # of launch, which the process has under the same numbers
    goes_on: bool = False  # a broker that knows where it was: started again when it dies


@dataclass(frozen=True)
class Plan:
    processes: tuple
    grace: float  # seconds: how long launch waits after TERM before it kills is counted from this
    brokers: int  # as far as commands tell; one that is hidden in a script is not counted
    open: bool  # somebody outside may know how to join: by endpoints of its own, or by a config that we do not read
    books_expected: bool  # a broker that ends well must have left books in our run directory
    remark: str = ""  # what is to be said before it starts
    source: str = ""  # the queue that its broker takes from; it is said when it does
    asked: tuple = ()  # of the processes, those that are asked before (checks.py): one of each kind


def quick_plan(options, bin_dir, wish):
    """Collector, workers, broker: the broker last, so that what it reads finds somebody at home. `wish`: a word that no
    other run has, by which all lives of the broker have the same wish."""
    binary = lambda role: os.path.join(bin_dir, role.value)
    source, sink = options.given.get("input"), options.given.get("output")
    letters, log = options.given.get("dead-letters"), options.given.get("joblog")
    collector = [binary(Role.COLLECTOR), *_sinks(options)]
    workers = worker_arguments(options)
    piped = _piped(source)
    from_file = source and piped is None
    queue = options.given.get("source")
    broker = [binary(Role.BROKER), "--source", queue or (f"file:{absolute('--input', source)}" if from_file else "stdin"),
              "--await-workers", os.environ.get("CURFEW_AWAIT_WORKERS") or str(len(workers)), *options.passed_on("broker")]
    if "resume" in options.given:
        checkpoint = f"{absolute('--output', files.path_of(options, 'output'))}.checkpoint"
        broker += ["--checkpoint", checkpoint, f"--command={work.words_of(options)}"]
    if queue and (letters or options.letters_queue or ("json" in options.given and _has_all(options.given.get("sink")))):
        broker.append("--keeps-failed")
    if "resume-failed" in options.given:
        broker += ["--retry-failed", wish]
    named = lambda path: descriptors.named_in([path or ""])
    for_sinks = named(sink) + named(letters) + named(log)
    processes = [Process("collector", Role.COLLECTOR, tuple(collector), gets_stdout=True, descriptors=for_sinks)]
    processes += [Process(f"w{number}", Role.WORKER, (binary(Role.WORKER), *words), descriptors=needed)
                  for number, (words, needed) in enumerate(workers, start=1)]
    processes += [Process("broker", Role.BROKER, tuple(broker), gets_stdin=queue is None, stdin_descriptor=piped,
                          descriptors=named(source) if piped is None else (), goes_on="resume" in options.given)]
    return Plan(tuple(processes), options.grace, brokers=1, open=False, books_expected=True,
                remark=work.remark(options) or ("" if "url" in options.given else _on_fanout(options.asked_fanout, len(workers))),
                source=queue or "", asked=_asked(options, processes))


def _has_all(sink):
    """Whether the sink has each outcome; else it publishes answers alone. (collector/sinks/table.cpp)"""
    return not re.match("amqps?:", sink or "") or bool(re.search("[?&](queue|exchange)=[^&]", sink))


def _sinks(options):
    """The arguments of the collector."""
    sink, letters, log = (options.given.get(flag) for flag in ("output", "dead-letters", "joblog"))
    form = () if files.is_database(sink) else ("--format", _FORMATS[options.given.get("json")])
    where = options.given.get("sink") or (files.sink_of("output", sink) if sink else "stdout")
    words = ["--sink", where, *form, *options.passed_on("collector")]
    if letters or options.letters_queue:
        words += ["--dead-letters", options.letters_queue or files.sink_of("dead-letters", letters)]
    for flag, theirs in (("joblog", "--joblog"), ("results", "--results-dir")):
        if flag in options.given:
            words += [theirs, absolute(f"--{flag}", options.given[flag])]
    if "resume" in options.given and not all(map(files.is_database, filter(None, (sink, letters, log)))):
        words.append("--journal")
    return words


def _asked(options, processes):
    """Who is asked before the start: of each kind one, where anything was said that only it can judge.

    To ask costs more than a tenth of a short run. What launch says by itself is right, and a COMMAND that is found may
    well run; so there is no doubt in the plainest run, `launch -- COMMAND`.
    """
    kinds = {process.role: [process] for process in reversed(processes)}
    if "url" in options.given or "pool" in options.given:  # each has something else to judge
        kinds[Role.WORKER] = [process for process in processes if process.role is Role.WORKER]
    if any(name.startswith("CURFEW_") and name not in _OF_LAUNCH for name in os.environ):
        return tuple(process for those in kinds.values() for process in those)
    doubted = {Role.BROKER: options.says_to("broker") or "input" in options.given or "source" in options.given,
               Role.WORKER: options.says_to("worker") or any(name in options.given for name in ("handler", "url"))
                            or not options.finds_command(),
               Role.COLLECTOR: options.says_to("collector") or bool(options.letters_queue)
                               or any(name in options.given for name in ("joblog", "results", "sink"))}
    return tuple(process for role, those in kinds.items() if doubted[role] for process in those)


def _piped(source):
    """The descriptor of a pipe that is the input. It becomes the broker's stdin: so launch does not keep it, and the
    broker has no second one. A file is opened anew by its name, as any program would."""
    number = descriptors.named_by(source)
    return None if number is None or descriptors.is_file(number) else number


def procfile_plan(options, commands, bin_dir):
    """A Procfile's processes in its order. Only the first broker is the broker: there is one stdin."""
    environment = {
        "PATH": bin_dir + os.pathsep + os.environ.get("PATH", os.defpath),
        "CURFEW_PROCFILE_DIR": os.path.dirname(absolute("PROCFILE", options.procfile)),
    }
    if "log-level" in options.given:
        environment["CURFEW_LOG_LEVEL"] = options.given["log-level"]
    expected = str(sum(_role_of(command) is Role.WORKER for _, command in commands))
    gathers = {"CURFEW_AWAIT_WORKERS": os.environ.get("CURFEW_AWAIT_WORKERS", expected)}
    processes = []
    for name, command in commands:
        role = _role_of(command)
        if role is Role.BROKER and any(process.role is Role.BROKER for process in processes):
            role = Role.OTHER
        own = gathers if role is Role.BROKER else {}
        line = _shell_line(command, environment["PATH"])
        processes.append(Process(name, role, ("/bin/sh", "-c", line), {**environment, **own},
                                 gets_stdin=role is Role.BROKER, gets_stdout=True,
                                 goes_on=role is Role.BROKER and "--checkpoint" in command,
                                 descriptors=descriptors.named_in([command])))
    brokers = sum(_role_of(command) is Role.BROKER for _, command in commands)
    workers = sum(process.role in (Role.WORKER, Role.OTHER) for process in processes)  # OTHER may be one
    is_open = _is_open(commands)
    return Plan(tuple(processes), _longest_grace(commands), brokers, is_open, books_expected=False,
                remark="" if is_open else _on_fanout(_fanout_of(commands), workers),
                asked=_asked_for_all(options, bin_dir))


def _asked_for_all(options, bin_dir):
    """Of a Procfile only what launch says to all: the rest may be a shell's."""
    broker = os.path.join(bin_dir, Role.BROKER.value)
    if "log-level" not in options.given or not os.access(broker, os.X_OK):
        return ()
    return (Process("broker", Role.BROKER, (broker, f"--log-level={options.given['log-level']}")),)


def _role_of(command):
    return next((role for role in Role if role.value and role.value in command), Role.OTHER)


def _on_fanout(fanout, workers):
    """Different attempts of a task run on different workers. `fanout`: 0 where nobody asked for one."""
    if fanout <= workers:
        return ""
    most = counted(workers, "attempt")
    return f"--fanout {fanout} is above the number of workers: a task has at most {most} at a time"


def _fanout_of(commands):
    for _, command in commands:
        if Role.BROKER.value in command and (said := re.search(r"--fanout[ =]+([0-9]{1,9})\b", command)):
            return int(said[1])
    return asked_fanout(os.environ.get("CURFEW_FANOUT", ""))


def _is_open(commands):
    said = [command for _, command in commands]
    said += [value for name, value in os.environ.items() if name.startswith("CURFEW_")]
    joinable = re.compile(r"://|--config|--run-dir|CURFEW_RUN_DIR|CURFEW_CONFIG")
    return "CURFEW_CONFIG" in os.environ or any(map(joinable.search, said))


_ASSIGNMENTS = re.compile(r"""(?:[A-Za-z_][A-Za-z0-9_]*=(?:[^\s'"\\`$;&|()<>]|\\.|'[^']*'|"[^"]*"|\$\w+)*[ \t]+)*""")
_COPIED_DESCRIPTOR = re.compile(r"[0-9]*[<>]&[0-9-]")


def _shell_line(command, path):
    """The line as a shell is to run it. Where that is one program and no more, with an `exec`: so the process that
    launch knows is the program, and not a shell that waits for it. All else is the user's as he wrote it."""
    begin = _ASSIGNMENTS.match(command).end()
    lexer = shlex.shlex(_COPIED_DESCRIPTOR.sub("", command[begin:]), posix=True, punctuation_chars=";&|()")
    lexer.commenters = ""
    try:
        words = list(lexer)
    except ValueError:
        return command  # a quote without its end: the shell says so
    if not words or any(word and set(word) <= set(";&|()") for word in words):
        return command
    word = re.match(r"\S+", command[begin:])[0]
    if re.match(r"[A-Za-z_][A-Za-z0-9_]*=", word):
        return command  # an assignment that we do not understand
    is_program = re.search(r"[$`~'\"\\]", word) or shutil.which(word, path=path)
    return f"{command[:begin]}exec {command[begin:]}" if is_program else command


def _longest_grace(commands):
    """A worker that was told a longer grace needs it at the group's end too."""
    said = [values.seconds(text) for _, command in commands for text in re.findall(r"--grace[ =]+(\S+)", command)]
    return max([default_grace(), *(min(length, values.LONGEST_GRACE) for length in said if length is not None)])

"""The command line of launch: one table of flags, from which parsing, checking, passing on and the help are made.

Pure but for Options.check_files and read_procfile. Fails with a Refusal of one line. Flags are never abbreviated,
and none is accepted twice: a line that was misread would run work that nobody asked for.
"""

import os
import re
import shutil
from dataclasses import dataclass, field
from typing import Callable, Optional

from . import values
from .exits import Exit, Refusal, usage

DEFAULT_FANOUT = "2"
_GRACE = 1.0  # seconds; the binaries have the same default
HANDLERS_WITH_COMMAND = ("exec", "coprocess")


@dataclass(frozen=True)
class Flag:
    name: str
    metavar: str  # empty: a switch
    check: Optional[Callable[[str], str]]
    to: str  # which process it is passed on to; 'launch': to none as it stands
    help: str
    procfile: bool = False  # whether it has a meaning with a PROCFILE


FLAGS = (
    Flag("workers", "N", values.whole(1, 1024), "launch", "worker processes (as many as there are cores)"),
    Flag("fanout", "K", values.whole(1, 1000), "broker", "the most attempts of one task alive together (2)"),
    Flag("hedge", "0|DUR|pNN", values.hedge, "broker",
         "when the next attempt starts: 0 at once (a race), 20ms after the last, p95 as measured"),
    Flag("hedge-budget", "PCT", values.percent, "broker", "extra attempts as a share of tasks, such as 5%"),
    Flag("deadline", "DUR|none", values.deadline, "broker", "how long a task may take (30s)"),
    Flag("drain-timeout", "DUR|none", values.patience, "broker",
         "how long a drain may take; what is then in flight is cancelled (none)"),
    Flag("grace", "DUR", values.grace, "worker", "how long a cancelled attempt may take until it is killed (1s)"),
    Flag("attempts", "N", values.whole(1, 1000), "broker", "how many attempts may fail before the task fails (fanout)"),
    Flag("window", "N", values.whole(1, 4_000_000), "broker", "the most tasks in flight"),
    Flag("slots", "N", values.whole(1, 1024), "worker", "places where work runs, in each worker"),
    Flag("input", "FILE", values.path, "launch", "read messages from FILE, not from stdin"),
    Flag("output", "FILE", values.path, "launch", "write outcomes to FILE (made anew), not to stdout"),
    Flag("dead-letters", "FILE", values.path, "launch", "tasks that did not complete, a JSON line each (made anew)"),
    Flag("json", "", None, "launch", "a JSON line for each outcome, whatever it was; else the bare results"),
    Flag("keep-order", "", None, "collector", "outcomes in the order of the messages"),
    Flag("null", "", None, "broker", "messages end with a NUL byte, not with a line's end"),
    Flag("max-message", "SIZE", values.size, "broker", "larger messages are refused, and counted (1m)"),
    Flag("max-output", "SIZE", values.size, "worker", "an attempt that writes more has failed (1m)"),
    Flag("ok-exit", "LIST", values.exit_list, "worker", "exit codes of COMMAND that mean a result (0)"),
    Flag("reject-exit", "LIST", values.exit_list, "worker", "exit codes that mean: no other attempt will do better"),
    Flag("handler", "NAME", values.word, "launch", "in place of a COMMAND: echo, sleep:DIST, spin:DUR, fail"),
    Flag("run-dir", "DIR", values.path, "launch", "where the sockets are (a private one, removed at the end)",
         procfile=True),
    Flag("quiet", "", None, "launch", "no progress, no notices, no books on stderr; errors only", procfile=True),
    Flag("log-level", "L", values.word, "all", "how much the processes log", procfile=True),
    Flag("version", "", None, "launch", "say which curfew this is", procfile=True),
    Flag("help", "", None, "launch", "show this", procfile=True),
)
_BY_NAME = {flag.name: flag for flag in FLAGS}

_HEAD = """\
usage: launch [OPTIONS] -- COMMAND [ARG...]    run COMMAND for each message
       launch [OPTIONS] --handler NAME         the same with a built-in handler
       launch [OPTIONS] PROCFILE               a process group of your own, lines of 'name: command'

Reads messages from stdin, a line each; races each one on up to K workers; writes the first result to stdout, a line
each, and calls the other attempts home. COMMAND gets the message on its stdin and writes the result to its stdout; an
argument {} is replaced by the message. There is no shell: write -- sh -c '...' for one.

    seq 10 | launch --handler echo
    launch --fanout 3 --hedge 0 --input puzzles --output answers -- ./solve
    launch --hedge p95 --hedge-budget 5% --deadline 2s -- curl -sf https://example.org/{}

options (defaults in parentheses; DUR needs its unit: 100us, 5ms, 1.5s, 2m, 1h; SIZE is in bytes, or 64k, 1m):
"""
_TAIL = """
With a PROCFILE only --run-dir, --quiet and --log-level have a meaning: say the rest to the processes. PATH then begins
with the folder of the curfew binaries, and CURFEW_PROCFILE_DIR names the folder of the PROCFILE.

Where it may, launch runs its group in a cgroup (v2) of its own, so that nothing of it outlives even a kill of all its
processes at once; --log-level info says so where it may not.

The first INT or TERM drains: what is in flight finishes, nothing new is taken; what was left of the input is said, and
from where to go on. TERM at any of its processes does the same. The second at launch stops now. Under systemd say
KillMode=mixed: else the work itself gets TERM too.

exit code: 0 every task completed; 1 some did not; 64 wrong usage; 70 the books do not balance, or a process cannot be
kept running; 74 I/O error; 75 messages were left without an outcome, or the input was not at its end; 128+n stopped by
signal n.
"""


def default_grace():
    """Seconds; the processes look into the environment too."""
    said = values.seconds(os.environ.get("CURFEW_GRACE", ""))
    return _GRACE if said is None else min(said, values.LONGEST_GRACE)


def asked_fanout(text):
    """What somebody asked for in a flag or in the environment; 0 for nothing that we can judge."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0


def help_text():
    lines = []
    for flag in FLAGS:
        name = f"--{flag.name} {flag.metavar}".rstrip()
        lines.append(f"  {name:<22}{flag.help}")
    return _HEAD + "\n".join(lines) + "\n" + _TAIL


@dataclass
class Options:
    given: dict = field(default_factory=dict)  # flag name -> the text to pass on; True for a switch
    command: Optional[list] = None  # None: there was no '--'
    procfile: Optional[str] = None
    asked_fanout: int = 0  # 0: it is the default

    @property
    def quiet(self):
        return "quiet" in self.given

    @property
    def workers(self):
        return int(self.given.get("workers") or len(os.sched_getaffinity(0)))

    @property
    def grace(self):
        return values.seconds(self.given["grace"]) if "grace" in self.given else default_grace()

    def passed_on(self, role):
        """The arguments for a process of that role: what was said, nothing else (the binaries have the defaults)."""
        arguments = []
        for flag in FLAGS:
            if flag.to in (role, "all") and flag.name in self.given:
                arguments += [f"--{flag.name}"] if not flag.metavar else [f"--{flag.name}", self.given[flag.name]]
        return arguments

    def check_files(self):
        """Refuses now what would otherwise fail N times, in N processes."""
        if self.command:
            _check_command(self.command[0])
        source, sink = self.given.get("input"), self.given.get("output")
        if source is not None:
            _check_input(source)
        if source is not None and sink is not None and os.path.exists(sink) and os.path.samefile(source, sink):
            raise usage(f"--output: {sink} is the --input too, and would be emptied first")


def parse(arguments):
    """Options of a command line. Raises Refusal. 'help' and 'version' end the reading: the rest is not judged."""
    options = Options()
    positional = []
    rest = list(arguments)
    while rest:
        argument = rest.pop(0)
        if argument == "--":
            options.command = rest
            break
        if not argument.startswith("-"):
            positional.append(argument)
            continue
        name = _take_flag(options, argument, rest)
        if name in ("help", "version"):
            return options
    _check_form(options, positional)
    return options


def _take_flag(options, argument, rest):
    text, equals, value = argument.partition("=")
    flag = _BY_NAME.get(text[2:]) if text.startswith("--") else _BY_NAME["help"] if argument == "-h" else None
    if flag is None:
        raise usage(f"unknown option {text} (--help lists them)")
    if flag.name in options.given:
        raise usage(f"--{flag.name} is given twice")
    if not flag.metavar:
        if equals:
            raise usage(f"--{flag.name} takes no value")
        options.given[flag.name] = True
        return flag.name
    if not equals:
        if not rest:
            raise usage(f"--{flag.name} needs a value: {flag.metavar}")
        value = rest.pop(0)
    try:
        options.given[flag.name] = flag.check(value)
    except ValueError as error:
        raise usage(f"--{flag.name}: '{value}' is not {error}") from None
    return flag.name


def _check_form(options, positional):
    """Exactly one of COMMAND, --handler and PROCFILE, and only the flags that go with it."""
    if positional:
        _check_procfile_form(options, positional)
        return
    handler = options.given.get("handler")
    if options.command is None and handler is None:
        raise usage("nothing to run: give -- COMMAND, or --handler NAME, or a PROCFILE (see --help)")
    if options.command == [] or (handler in HANDLERS_WITH_COMMAND and options.command is None):
        raise usage("no command: give it after '--'")
    if handler is not None and handler not in HANDLERS_WITH_COMMAND and options.command is not None:
        raise usage(f"--handler {handler} takes no COMMAND")
    options.asked_fanout = asked_fanout(options.given.get("fanout") or os.environ.get("CURFEW_FANOUT", ""))
    if not os.environ.get("CURFEW_FANOUT"):  # the processes look into the environment too
        options.given.setdefault("fanout", DEFAULT_FANOUT)


def _check_procfile_form(options, positional):
    if options.command is not None:
        raise usage(f"both a PROCFILE ({positional[0]}) and a COMMAND: give one")
    if "handler" in options.given:
        raise usage(f"both a PROCFILE ({positional[0]}) and --handler: give one")
    if len(positional) > 1:
        raise usage(f"'{positional[1]}' is one too many: a PROCFILE stands alone, a COMMAND goes after '--'")
    for name in options.given:
        if not _BY_NAME[name].procfile:
            raise usage(f"--{name} has no meaning with a PROCFILE: say it to the processes in it")
    options.procfile = positional[0]


def _check_command(name):
    if shutil.which(name):
        return
    if "/" not in name:
        raise usage(f"cannot run '{name}': not found in PATH")
    why = "no such file" if not os.path.exists(name) else "a folder" if os.path.isdir(name) else "not executable"
    raise usage(f"cannot run '{name}': {why}")


def _check_input(name):
    if not os.path.exists(name):
        raise usage(f"--input: no such file: {name}")
    if os.path.isdir(name):
        raise usage(f"--input: a folder: {name}")
    if not os.access(name, os.R_OK):
        raise Refusal(Exit.IO, f"--input: cannot read {name}: permission denied")


_PROCFILE_LINE = re.compile(r"([A-Za-z0-9_-]+):\s*(\S.*)")


def parse_procfile(name, text):
    """[(process name, command)] of a Procfile, in its order. Raises Refusal with the number of the line."""
    first_seen = {}
    commands = []
    for number, line in enumerate(text.split("\n"), start=1):
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        match = _PROCFILE_LINE.fullmatch(line)
        if not match or "\0" in line:
            raise usage(f"{name}:{number}: not a line of 'name: command' (names have letters, digits, _ and -)")
        if match[1] in first_seen:
            raise usage(f"{name}:{number}: the name '{match[1]}' is taken, by line {first_seen[match[1]]}")
        first_seen[match[1]] = number
        commands.append((match[1], match[2]))
    if not commands:
        raise usage(f"{name}: no process in it; write lines of 'name: command'")
    return commands


def read_procfile(name):
    try:
        with open(name, encoding="utf-8", errors="surrogateescape", newline="") as file:
            return parse_procfile(name, file.read())
    except FileNotFoundError:
        raise usage(f"no such Procfile: {name} (a COMMAND goes after '--')") from None
    except IsADirectoryError:
        raise usage(f"{name} is a folder, not a Procfile") from None
    except OSError as error:
        raise Refusal(Exit.IO, f"cannot read {name}: {error.strerror}") from None

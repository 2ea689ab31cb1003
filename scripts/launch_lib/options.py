"""The command line of launch: one table of flags, from which parsing, passing on and the help are made.

Pure but for Options.check_files and read_procfile. Fails with a Refusal of one line. Flags are never abbreviated,
and none is accepted twice: a line that was misread would run work that nobody asked for.
"""

import os
import re
import shutil
from dataclasses import dataclass, field
from typing import Callable, Optional

from . import descriptors, files, values
from .exits import Exit, Refusal, usage
from .files import absolute
from .work import check_work, split_pool

DEFAULT_FANOUT = "2"
_GRACE = 1.0  # seconds; the binaries have the same default
_FALSE = ("", "0", "false", "off", "no", "disable")  # what the processes take for it in the environment


@dataclass(frozen=True)
class Flag:
    name: str
    metavar: str  # empty: a switch
    check: Optional[Callable[[str], str]]  # None: whoever it is passed on to judges it (checks.py)
    to: str  # which process it is passed on to; 'launch': to none as it stands
    help: str
    procfile: bool = False  # whether it has a meaning with a PROCFILE
    letter: str = ""  # the short way to write it: -I TOKEN
    repeats: bool = False  # it may be said several times
    goes_with: str = ""  # without which other flag it has no meaning
    not_with: tuple = ()  # with which other flags it has no meaning
    words: tuple = ()  # of a switch: what may stand behind it, as in --json=full


QUEUE = "a queue"  # --source or --sink, or --dead-letters
_NO_RUN = ("coprocess", "url")  # with which no COMMAND is run for each message


FLAGS = (
    Flag("workers", "N", values.whole(1, 1024), "launch", "worker processes (as many as there are cores)"),
    Flag("fanout", "K", None, "broker", "the most attempts of one task alive together (2)"),
    Flag("hedge", "0|DUR|pNN|idle", None, "broker",
         "next attempt: 0 at once (a race), 20ms later, p95 as measured, idle on a free slot (0)"),
    Flag("hedge-budget", "PCT", None, "broker", "extra attempts as a share of tasks, such as 5%"),
    Flag("deadline", "DUR|none", None, "broker", "how long a task may take (30s)"),
    Flag("drain-timeout", "DUR|none", None, "broker",
         "how long a drain may take; what is then in flight is cancelled (none)"),
    Flag("delay", "DUR", None, "broker", "at least so long between the starts of two tasks"),
    Flag("halt", "WHEN,fail=N|N%", None, "broker", "end when N (or N%) tasks did not complete; soon: drain; now: stop at once"),
    Flag("grace", "DUR", None, "worker", "how long a cancelled attempt may take until it is killed (1s)"),
    Flag("attempts", "N", None, "broker", "how many attempts may fail before the task fails (fanout)"),
    Flag("window", "N", None, "broker", "the most tasks in flight"),
    Flag("slots", "N", None, "worker", "places where work runs, in each worker"),
    Flag("source", "URL", values.queue, "launch", "messages of a queue, not of stdin: amqp://HOST/VHOST?queue=NAME", not_with=("input",)),
    Flag("sink", "URL", values.queue, "launch",
         "outcomes to amqp://HOST/VHOST?queue=NAME (or exchange=NAME&key=KEY; nothing: to who asked)", not_with=("output",)),
    Flag("input", "FILE", values.path, "launch", "read messages from FILE, not from stdin"),
    Flag("output", "FILE", values.output, "launch", "write outcomes to FILE (emptied first), or sqlite:FILE, not to stdout"),
    Flag("dead-letters", "FILE", values.output, "launch",
         "tasks that did not complete, as JSON lines (emptied first), sqlite:FILE, or a queue"),
    Flag("resume", "", None, "launch", "go on where the same command was, however that ended; needs --input and --output"),
    Flag("resume-failed", "", None, "launch", "the same, and what did not complete then is tried once more"),
    Flag("json", "", None, "launch",
         "a JSON line for each outcome; full: with its message, when, how long, exit code, stderr", words=("full",)),
    Flag("tag", "", None, "collector", "the message and a tab before each line of a result"),
    Flag("joblog", "FILE", values.path, "launch",
         "a line for each outcome: number, start, seconds, worker, exit, .. (emptied first)"),
    Flag("results", "DIR", values.path, "launch",
         "a folder for each message: stdout, stderr, meta.json (made, or emptied of those before)"),
    Flag("keep-order", "", None, "collector", "outcomes in the order of the messages"),
    Flag("null", "", None, "broker", "messages end with a NUL byte, not with a line's end"),
    Flag("max-message", "SIZE", None, "broker", "larger messages are refused, and counted (1m)"),
    Flag("max-output", "SIZE", None, "worker", "an attempt that writes more has failed (1m)"),
    Flag("ok-exit", "LIST", None, "worker", "exit codes of COMMAND that mean a result (0)", not_with=_NO_RUN),
    Flag("reject-exit", "LIST", None, "worker", "exit codes that mean: no other attempt will do better", not_with=_NO_RUN),
    Flag("stdin", "line|exact", None, "worker",
         "COMMAND reads the message with a newline, or as it is (line; exact with --null)", not_with=_NO_RUN),
    Flag("placeholder", "TOKEN", values.token, "worker", "what the message replaces in arguments of COMMAND ({})",
         letter="I", not_with=_NO_RUN),
    Flag("url", "URL", values.token, "launch", "in place of a COMMAND: a request to a service; {} is the message (again: one more)",
         repeats=True),
    Flag("pool", "NAME='COMMAND'", values.token, "launch", "in place of a COMMAND: a worker for each such program, without a shell",
         repeats=True),
    Flag("coprocess", "", None, "launch", "COMMAND stays, answers one message after the other, a line each, and flushes"),
    Flag("accept", "REGEX", None, "worker", "regular expression of RE2; a result in which it finds no match is a failure ((?m) for lines)"),
    Flag("handler", "NAME", None, "launch", "in place of a COMMAND: echo, sleep:DIST, spin:DUR, fail"),
    Flag("dry-run", "", None, "launch", "print the command of each message, a line for a shell each; run nothing"),
    Flag("run-dir", "DIR", values.path, "launch", "where the sockets are (a private one, removed at the end)",
         procfile=True),
    Flag("summary", "text|json|none", values.summary, "launch",
         "what racing gave, on stderr (text); json: on stdout, with --output or --sink", procfile=True),
    Flag("quiet", "", None, "launch", "no progress, notices, summary, books on stderr: errors, and what the processes warn of",
         procfile=True),
    Flag("log-level", "L", None, "all", "how much the processes log", procfile=True),
    Flag("version", "", None, "launch", "say which curfew this is", procfile=True),
    Flag("help", "", None, "launch", "show this", procfile=True, letter="h"),
    Flag("framing", "NAME", None, "worker", "line, netstring, or json: {\"seq\":1,\"message\":..}, answered by {\"ok\":..} (line)",
         goes_with="coprocess"),
    Flag("spare", "N", None, "worker", "COMMANDs of each worker that stand ready for when one has to be stopped (1)",
         goes_with="coprocess"),
    Flag("recycle", "N", None, "worker", "answers after which COMMAND is started anew (0: never)", goes_with="coprocess"),
    Flag("sync", "MODE", None, "collector", "what a power loss may take: always: nothing; 1s: the last second; none: more (1s)",
         goes_with="resume"),  # or with a database
    Flag("method", "M", None, "worker", "GET where the URL has {}, else POST with the message as its body", goes_with="url"),
    Flag("header", "'NAME: VALUE'", None, "worker", "or @FILE with such lines (secrets); may be repeated", repeats=True,
         goes_with="url"),
    Flag("ok-status", "LIST", None, "worker", "statuses that mean a result, such as 200-204,304 (2xx)", goes_with="url"),
    Flag("reject-status", "LIST", None, "worker", "statuses that mean: no other attempt will do better", goes_with="url"),
    Flag("connect-timeout", "DUR", None, "worker", "how long to wait for a connection (as the deadline allows)", goes_with="url"),
    Flag("max-redirects", "N", None, "worker", "how many redirects are followed (0)", goes_with="url"),
    Flag("http-result", "body|full", None, "worker", "the body, or JSON with status, headers and body (body)", goes_with="url"),
    Flag("http2", "", None, "worker", "HTTP/2 where the service speaks it, over TLS: requests share a connection", goes_with="url"),
    Flag("compressed", "", None, "worker", "ask for a compressed answer", goes_with="url"),
    Flag("pass-headers", "", None, "worker", "say what the sender of a message says of it, with --source", goes_with="url"),
    Flag("grpc-timeout", "", None, "worker", "say the time left as grpc-timeout, too", goes_with="url"),
    Flag("ca", "FILE", None, "tls", "the certificates that are trusted (of a queue server where there is no --url)", goes_with="url"),
    Flag("cert", "FILE", None, "tls", "the certificate to show", goes_with="url"),
    Flag("key", "FILE", None, "tls", "its key", goes_with="url"),
    Flag("password-file", "FILE", None, "queue", "the password is its first line; else CURFEW_AMQP_PASSWORD", goes_with=QUEUE),
    Flag("group-name", "NAME", None, "queue",
         "what the group is called where many share queues, as in its outcomes (as the machine)", goes_with=QUEUE),
    Flag("declare", "", None, "queue", "make queues that are missing (quorum queues)", goes_with=QUEUE),
    Flag("consumer-timeout", "DUR", None, "broker", "as the server has it; no task takes longer (30m)", goes_with="source"),
    Flag("on-source-lost", "WHAT", None, "broker", "of work in flight when the server is lost: finish, or cancel (finish)", goes_with="source"),
    Flag("dedup-window", "DUR", None, "broker", "a message that comes again so soon after it completed is not run (5m)", goes_with="source"),
    Flag("max-redeliveries", "N", None, "broker", "a message that came so often before runs alone (5)", goes_with="source"),
    Flag("unix-socket", "PATH", None, "worker", "the socket to connect to, whatever host the URL names", goes_with="url"),
)
_BY_NAME = {flag.name: flag for flag in FLAGS}
_BY_LETTER = {f"-{flag.letter}": flag for flag in FLAGS if flag.letter}

ARGUMENTS_OF_PARALLEL = (":::", ":::+", "::::", "::::+")

def default_grace():
    """Seconds; the processes look into the environment too."""
    said = values.seconds(os.environ.get("CURFEW_GRACE", ""))
    return _GRACE if said is None else min(said, values.LONGEST_GRACE)


def asked_fanout(text):
    """What somebody asked for in a flag or in the environment; 0 for nothing that we can judge."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0


def did_you_mean(word):
    """For a message: the option that was meant, where one is near. Dashes and capitals make no difference."""
    import difflib  # takes longer to load than most of launch

    bare = {name.replace("-", ""): name for name in _BY_NAME}
    said = word.lower().replace("-", "").replace("_", "")
    near = difflib.get_close_matches(said, bare, n=1, cutoff=0.7) if len(said) > 2 else []
    return f"; did you mean --{bare[near[0]]}?" if near else ""


def foreign_arguments(word):
    """What GNU parallel takes for the beginning of a list of messages is an argument like any other here."""
    return (f"'{word}' has no meaning here: messages come from stdin, a line each, or from --input FILE, as in"
            r" printf '%s\n' a b c | launch -- echo {}")


def _words(flag, value):
    if flag.repeats:
        return [word for one in value for word in _words_of_one(flag, one)]
    return _words_of_one(flag, value)


def _words_of_one(flag, value):
    if not flag.metavar:
        return [f"--{flag.name}"]
    return [f"--{flag.name}={value}"] if value.startswith("-") else [f"--{flag.name}", value]


@dataclass
class Options:
    given: dict = field(default_factory=dict)  # flag name -> the text to pass on; True for a switch
    command: Optional[list] = None  # None: there was no '--'
    procfile: Optional[str] = None
    asked_fanout: int = 0  # 0: it is the default
    letters_queue: str = ""  # where dead letters go; empty: to no queue

    @property
    def quiet(self):
        return "quiet" in self.given

    @property
    def fanout(self):
        """As far as we can tell: what was asked for, or the default."""
        return self.asked_fanout or asked_fanout(self.given.get("fanout", ""))

    @property
    def wants_details(self):
        """Whether the workers are to tell how their work went."""
        return self.given.get("json") == "full" or any(name in self.given for name in ("joblog", "results", "tag"))

    @property
    def is_coprocess(self):
        return "coprocess" in self.given

    @property
    def grace(self):
        said = values.seconds(self.given.get("grace", ""))  # what is none, the worker refuses
        return default_grace() if said is None else said

    def passed_on(self, role):
        """The arguments for a process of that role: what was said, nothing else (the binaries have the defaults)."""
        arguments = []
        for flag in FLAGS:
            if self._goes_to(flag, role) and flag.name in self.given:
                arguments += _words(flag, self.given[flag.name])
        return arguments

    def _goes_to(self, flag, role):
        if flag.to == "tls" and "url" in self.given:
            return role == "worker"
        queue = {"broker": "source" in self.given, "collector": "sink" in self.given or self.letters_queue}.get(role, False)
        return flag.to in (role, "all") or flag.to in ("queue", "tls") and bool(queue)

    def says_to(self, role):
        """Whether a value was said that a process of that role has to judge."""
        said = {**self.given, "fanout": None} if self.given.get("fanout") == DEFAULT_FANOUT else self.given
        return any(flag.metavar and self._goes_to(flag, role) and said.get(flag.name) is not None for flag in FLAGS)

    def finds_command(self):
        commands = [self.command] if self.command else [split_pool(pool)[1] for pool in self.given.get("pool", ())]
        return all(shutil.which(command[0]) is not None for command in commands)

    @property
    def stdin_form(self):
        """What the workers are told of the separator, which the broker has taken off: a line is read as a line."""
        if self.is_coprocess or "stdin" in self.given or os.environ.get("CURFEW_STDIN"):
            return []
        return ["--stdin", "exact" if self.is_null else "line"]

    @property
    def is_null(self):
        return "null" in self.given or os.environ.get("CURFEW_NULL", "").lower() not in _FALSE

    def check_files(self):
        """What no process can know: it sees one of the two, and other descriptors."""
        files.check(self)
        for command in [self.command or (), *[split_pool(pool)[1] for pool in self.given.get("pool", ())]]:
            _check_descriptors(command)


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
    flag = _BY_NAME.get(text[2:]) if text.startswith("--") else _BY_LETTER.get(argument[:2])
    if flag is not None and not text.startswith("--"):
        text, equals, value = argument[:2], argument[2:], argument[2:]  # -ITOKEN
    if flag is None:
        raise usage(f"unknown option {text}{did_you_mean(text)} (--help lists them)")
    if flag.name in options.given and not flag.repeats:
        raise usage(f"--{flag.name} is given twice")
    if not flag.metavar:
        if equals and flag.words:
            if value not in flag.words:
                raise usage(f"--{flag.name}={value}: say --{flag.name} or --{flag.name}={'|'.join(flag.words)}")
            options.given[flag.name] = value
            return flag.name
        if equals:
            raise usage(f"--{flag.name} takes no value" if text.startswith("--") else
                        f"unknown option {argument} (--help lists them)")
        options.given[flag.name] = True
        return flag.name
    if not equals:
        if not rest:
            raise usage(f"--{flag.name} needs a value: {flag.metavar}")
        value = rest.pop(0)
    try:
        value = flag.check(value) if flag.check else value
        options.given[flag.name] = [*options.given.get(flag.name, ()), value] if flag.repeats else value
    except ValueError as error:
        raise usage(f"--{flag.name}: '{value}' is not {error}") from None
    return flag.name


def _check_form(options, positional):
    """Exactly one of COMMAND, --handler and PROCFILE, and only the flags that go with it."""
    for name in ("input", "output"):
        if options.given.get(name) == "-":
            del options.given[name]  # stdin, stdout: what is without it
    for flag in FLAGS:
        if flag.words and options.given.get(flag.name) is True and positional and positional[0] in flag.words:
            raise usage(f"'{positional[0]}' is one too many: say --{flag.name}={positional[0]}")
    on_stdout = not positional and not any(name in options.given for name in ("output", "sink"))
    if options.given.get("summary") == "json" and on_stdout:
        raise usage("--summary json is written to stdout, where the results go: say --output FILE")
    if positional:
        _check_procfile_form(options, positional)
        return
    check_work(options)
    if values.is_queue(options.given.get("dead-letters", "")):
        options.letters_queue = options.given.pop("dead-letters")  # no file, which all others are
    for flag in FLAGS:
        _check_company(options, flag)
    if "resume-failed" in options.given:
        options.given["resume"] = True
    if "json" in options.given and files.is_database(options.given.get("output")):
        raise usage("--json has no meaning with --output sqlite:FILE: its table has all of it, in columns")
    if "tag" in options.given and "json" in options.given:
        raise usage("--tag has no meaning with --json: an outcome of --json=full has its message")
    if "tag" in options.given and files.is_database(options.given.get("output")):
        raise usage("--tag has no meaning with --output sqlite:FILE: its results are no lines")
    if "resume" in options.given and not ("input" in options.given and "output" in options.given):
        raise usage("--resume needs --input FILE, to read it again, and --output FILE, to go on with it")
    options.asked_fanout = asked_fanout(options.given.get("fanout") or os.environ.get("CURFEW_FANOUT", ""))
    if not os.environ.get("CURFEW_FANOUT"):  # the processes look into the environment too
        # One service, which nobody has asked to be asked twice
        alone = len(options.given.get("url", ())) == 1 and "hedge" not in options.given
        options.given.setdefault("fanout", "1" if alone else DEFAULT_FANOUT)


def _check_company(options, flag):
    """What it has no meaning without, or with."""
    if flag.name not in options.given:
        return
    has_queue = bool("source" in options.given or "sink" in options.given or options.letters_queue)
    at_home = (flag.goes_with in options.given or flag.goes_with == QUEUE and has_queue or flag.to == "tls" and has_queue
               or flag.name == "sync" and files.has_database(options))
    if flag.goes_with and not at_home:
        without = "--source, --sink or --dead-letters amqp:.." if flag.goes_with == QUEUE else f"--{flag.goes_with}"
        or_else = {"sync": " or a sqlite:FILE", "ca": " or a queue", "cert": " or a queue", "key": " or a queue"}
        raise usage(f"--{flag.name} has no meaning without {without}{or_else.get(flag.name, '')}")
    other = next((name for name in flag.not_with if name in options.given), None)
    if other:
        why = "give one" if other in ("input", "output") else "it is for a COMMAND that is run for each message"
        raise usage(f"--{flag.name} has no meaning with --{other}: {why}")


def _check_procfile_form(options, positional):
    foreign = next((word for word in positional if word in ARGUMENTS_OF_PARALLEL), None)
    if foreign is not None:
        raise usage(foreign_arguments(foreign))
    if options.command is not None:
        raise usage(f"both a PROCFILE ({positional[0]}) and a COMMAND: give one")
    if "handler" in options.given:
        raise usage(f"both a PROCFILE ({positional[0]}) and --handler: give one")
    if len(positional) > 1:
        raise usage(f"'{positional[1]}' is one too many: a PROCFILE stands alone, a COMMAND goes after '--'")
    for name in options.given:
        if not _BY_NAME[name].procfile:
            why = "its commands stand in it" if name == "dry-run" else "say it to the processes in it"
            raise usage(f"--{name} has no meaning with a PROCFILE: {why}")
    options.procfile = positional[0]


def _check_descriptors(command):
    for number in descriptors.named_in(command):
        if why := descriptors.why_not_for_attempts(number):
            raise usage(f"COMMAND names /dev/fd/{number}, which is {why}; use a file, or close the descriptor"
                        f" ({number}<&-) if the command opens its own")


_PROCFILE_LINE = re.compile(r"[ \t]*([A-Za-z0-9_-]+):[ \t]*([^ \t].*)")


def parse_procfile(name, text):
    """[(process name, command)] of a Procfile, in its order. Raises Refusal with the number of the line."""
    first_seen = {}
    commands = []
    for number, line in enumerate(text.split("\n"), start=1):
        line = line.removesuffix("\r")  # and nothing else: the end of a line may be an escaped space
        if not line.strip() or line.lstrip().startswith("#"):
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
        with open(name, "rb") as file:
            return parse_procfile(name, os.fsdecode(file.read()))  # what os.fsencode makes the same bytes of again
    except FileNotFoundError:
        raise usage(f"no such Procfile: {name} (a COMMAND goes after '--')") from None
    except IsADirectoryError:
        raise usage(f"{name} is a folder, not a Procfile") from None
    except OSError as error:
        raise Refusal(Exit.IO, f"cannot read {name}: {error.strerror}") from None

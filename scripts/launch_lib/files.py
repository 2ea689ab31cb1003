"""The files that launch reads and writes: no output is an input by another road, and only what may be emptied is.

Looked at by device and inode, so that a link, /dev/fd/N and a redirection count as what they lead to. Nothing is opened
for writing before all were compared.

    --output, --dead-letters,
    --joblog                     empty the file they name (O_TRUNC), or make it; a database (sqlite:PATH) that has
                                 outcomes is not emptied but refused
    --results                    what a run before has made in that folder goes, and nothing else
    what is open already         stdout, stderr, and the names of launch's descriptors (/dev/stdout, /dev/stderr,
                                 /dev/fd/N): never emptied; written on from where whoever opened them has put them
"""

import contextlib
import os
import re
import stat
from urllib.parse import quote

from . import descriptors, results
from .exits import Exit, Refusal, usage

MADE_ANEW = ("output", "dead-letters", "joblog")  # flags of files that are emptied
DATABASE = "sqlite:"  # what the name of one begins with
_DESCRIPTORS = re.compile(r"/proc/(?:self|thread-self|\d+(?:/task/\d+)?)/fd/\d+")


def absolute(what, name):
    """The path from the root, as every process needs it."""
    try:
        return os.path.abspath(name)
    except FileNotFoundError:
        raise usage(f"{what}: {name}: the working folder is gone: give a path from /") from None


_JOURNAL_HEAD = 16  # bytes: one that holds no more tells of nothing (collector/sinks/journal.h)


def is_database(name):
    """Whether an output is one; None is no output."""
    return (name or "").startswith(DATABASE)


def has_database(options):
    return any(is_database(options.given.get(flag)) for flag in MADE_ANEW)


def path_of(options, flag):
    """Of the file that was given, also in a database's name; None without it."""
    name = options.given.get(flag)
    return name.removeprefix(DATABASE) if flag in MADE_ANEW and is_database(name) else name


def sink_of(flag, name):
    """As the collector is told."""
    kind = DATABASE if is_database(name) else "file:"
    return f"{kind}{absolute(f'--{flag}', name.removeprefix(DATABASE))}"


def check(options):
    """Refuses what would read what it writes, or would empty what it is to read."""
    if "results" in options.given:
        results.check(absolute("--results", options.given["results"]))
    for flag in ("input", *MADE_ANEW):
        if (name := path_of(options, flag)) is not None:
            absolute(f"--{flag}", name)
            if descriptors.is_missing(name):
                raise usage(f"--{flag}: {name} is not open")
    if "input" in options.given and descriptors.is_stdin_without_input(options.given["input"]):
        raise Refusal(Exit.IO, f"--input: {options.given['input']}: nothing can be read there: it was closed")
    _check_files_of_their_own(options)
    _check_joblog(options)
    inputs = [_named("input", options)] if "input" in options.given else [("stdin", _look(0))]
    outputs = [_named(flag, options) for flag in MADE_ANEW if flag in options.given]
    if "output" not in options.given:
        outputs.append(("stdout", _look(1)))
    logs = ("stderr", _look(2))
    for source, read in inputs:
        for sink, written in (*outputs, logs):
            if _are_one(read, written) and (sink != "stderr" or stat.S_ISREG(read.st_mode)):
                raise usage(_words(source, sink))
    streams = [logs] + [output for output in outputs if output[0] == "stdout"]
    for sink, written in outputs:
        name = path_of(options, sink.removeprefix("--"))
        if name is None or is_open_already(name):
            continue
        for stream, there in streams:  # each would have an offset of its own
            if _are_one(written, there) and stat.S_ISREG(written.st_mode):
                raise usage(f"{sink}: {name} is {stream} too, and each would overwrite the other: say {sink} /dev/{stream}")


def _check_files_of_their_own(options):
    """Before anything is opened: what is no file can be read once, and is written for ever."""
    databases = [flag for flag in MADE_ANEW if is_database(options.given.get(flag))]
    for flag in ("input", *MADE_ANEW):
        name = path_of(options, flag)
        if name is None or flag not in databases and "resume" not in options.given:
            continue
        found = _look(name)
        if is_open_already(name) or found is not None and not stat.S_ISREG(found.st_mode):
            if flag in databases:
                raise usage(f"--{flag}: {name} is no file of its own: a database is one")
            raise usage(f"--resume: --{flag} {name} is no file of its own: only a file can be gone on with")
    if databases and len({os.path.realpath(path_of(options, flag)) for flag in ("output", "dead-letters") if flag in options.given}) == 1:
        if all(flag in options.given for flag in ("output", "dead-letters")):
            raise usage("--dead-letters: this is the file of --output, and a database is its alone: name another, or"
                        " leave it out: a database as --output has all outcomes")


def _check_joblog(options):
    """Its lines are its own."""
    if is_database(options.given.get("joblog")):
        raise usage("--joblog: a job log is a file; --output sqlite:FILE has what it tells in columns, but for exit and start")
    for flag in ("output", "dead-letters"):
        if flag in options.given and "joblog" in options.given:
            log, other = options.given["joblog"], path_of(options, flag)
            if os.path.realpath(log) == os.path.realpath(other) or _are_one(_look(log), _look(other)):
                raise usage(f"--joblog: {log} is the file of --{flag} too: name another one")


def make_anew(options):
    """Empties the files of these flags: the collector appends to them, also when it is started again. A run that is
    resumed goes on with them."""
    if "resume" in options.given:
        _refuse_outcomes_without_a_checkpoint(options)
        return
    for flag in MADE_ANEW:
        if flag in options.given:
            _refuse_what_can_be_gone_on_with(flag, options.given[flag])
    if "results" in options.given:  # before anything else is emptied: it may refuse
        results.empty(options.given["results"])
    for flag in MADE_ANEW:
        if flag in options.given and not is_database(options.given[flag]):
            _make_anew(flag, options.given[flag])


def _refuse_outcomes_without_a_checkpoint(options):
    """Of which messages they are, nobody would know: all would be done again, and stand there twice."""
    checkpoint = f"{path_of(options, 'output')}.checkpoint"
    if os.path.exists(checkpoint):
        return
    for flag in MADE_ANEW:
        path = path_of(options, flag)
        if path and (has_outcomes(path) if is_database(options.given[flag]) else _has_records(f"{path}.journal")):
            raise usage(f"--resume: {path} has outcomes, and {checkpoint}, which says of which messages, is not there: restore"
                        f" it, or move {path} away")


def _has_records(journal):
    found = _look(journal)
    return found is not None and found.st_size > _JOURNAL_HEAD


def is_open_already(name):
    """Whether it is the name of a descriptor, as /dev/stdout is, also behind links."""
    for _ in range(8):
        folder, last = os.path.split(os.path.abspath(name))
        name = os.path.join(os.path.realpath(folder), last)
        if _DESCRIPTORS.fullmatch(name):
            return True
        try:
            name = os.path.join(os.path.dirname(name), os.readlink(name))
        except OSError:
            return False
    return False


def _refuse_what_can_be_gone_on_with(flag, name):
    if is_database(name):
        path = name.removeprefix(DATABASE)
        if has_outcomes(path):
            raise usage(f"--{flag}: {path} has outcomes of a run already: say --resume to go on with it, or move it away")
        return
    if not is_open_already(name) and os.path.exists(f"{name}.journal"):
        raise usage(f"--{flag}: {name} is of a run that can be gone on with ({name}.journal): say --resume, or move both away")


def has_outcomes(path):
    """Whether a database has any. What is no database of curfew's the collector refuses, and says why."""
    if not os.path.exists(path):
        return False
    import sqlite3  # only for a database

    try:
        with contextlib.closing(sqlite3.connect(f"file:{quote(path)}?mode=rw", timeout=2, uri=True)) as database:
            return database.execute("SELECT 1 FROM outcomes LIMIT 1").fetchone() is not None
    except sqlite3.Error:
        return False


def _make_anew(flag, name):
    if is_open_already(name):
        return
    if os.path.exists(name) and not os.path.isfile(name) and not os.path.isdir(name):
        return  # a pipe or a device: there is nothing to empty, and opening could block
    try:
        os.close(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o666))
    except OSError as error:
        raise Refusal(Exit.IO, f"--{flag}: cannot write {name}: {error.strerror}") from None


def _named(flag, options):
    return f"--{flag}", _look(path_of(options, flag))


def _look(file):
    """Its stat, by name or descriptor; None where there is none (yet)."""
    try:
        return os.stat(file)
    except OSError:
        return None


def _are_one(read, written):
    """Files and pipes. A terminal, a socket or a device may well be both."""
    return (read is not None and written is not None and os.path.samestat(read, written)
            and (stat.S_ISREG(read.st_mode) or stat.S_ISFIFO(read.st_mode)))


def _words(source, sink):
    given = f"{sink}: this is the file of {source} too"
    if sink.startswith("--"):
        return f"{given}, and would be emptied or never end: write to another file, and move it when all is done"
    return f"{given}: what is written would be read, or has emptied it: use another file, and move it when all is done"

"""The folder of --results: whether it may be written to, and how what a run before has left in it goes.

Its layout is that of collector/sinks/results.h. Nothing is taken away that has another name or another place.
"""

import fcntl
import os
import re

from .exits import Exit, Refusal, usage

MARKER = ".curfew-results"  # the collector's: this folder is ours
FILES = ("stdout", "stderr", "stderr.end", "meta.json")
_GROUP = re.compile(r"[0-9]{6,}")
_MESSAGE = re.compile(r"\.?[0-9]{9,}")


def check(folder):
    """Refuses a folder that is somebody else's. `folder` is a path from the root."""
    try:
        found = os.listdir(folder)
    except FileNotFoundError:
        if not os.path.isdir(parent := os.path.dirname(folder)):
            raise usage(f"--results: cannot make {folder}: there is no folder {parent}") from None
        return
    except NotADirectoryError:
        raise usage(f"--results: {folder} is no folder: name one, or one that is to be made") from None
    except OSError as error:
        raise Refusal(Exit.IO, f"--results: cannot read {folder}: {error.strerror}") from None
    if found and MARKER not in found:
        raise usage(f"--results: {folder} is not empty, and not of curfew ({MARKER} is not in it): name another folder,"
                    " which is made")


def empty(folder):
    """Takes away what a run before has made in it, or nothing."""
    try:
        marker = os.open(os.path.join(folder, MARKER), os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    except OSError as error:
        raise Refusal(Exit.IO, f"--results: cannot read {error.filename}: {error.strerror}") from None
    try:
        fcntl.flock(marker, fcntl.LOCK_EX | fcntl.LOCK_NB)
        groups = [(group, list(_folders(group, _MESSAGE))) for group in _folders(folder, _GROUP)]
        for _, messages in groups:
            _refuse_what_is_not_ours(messages)
        for group, messages in groups:
            for message in messages:
                _remove(message)
            if not os.listdir(group):
                os.rmdir(group)
    except BlockingIOError:
        raise usage(f"--results: {folder} is being written by another run: name another folder") from None
    except OSError as error:
        raise Refusal(Exit.IO, f"--results: cannot empty {folder}: {error.filename}: {error.strerror}") from None
    finally:
        os.close(marker)


def _folders(folder, name):
    with os.scandir(folder) as entries:
        return [entry.path for entry in entries if name.fullmatch(entry.name) and entry.is_dir(follow_symlinks=False)]


def _refuse_what_is_not_ours(messages):
    for message in messages:
        if foreign := set(os.listdir(message)) - set(FILES):
            raise usage(f"--results: {os.path.join(message, min(foreign))} is not curfew's, and all of its folder would"
                        " go: move it away, or name another folder")


def _remove(message):
    for name in os.listdir(message):
        os.unlink(os.path.join(message, name))
    os.rmdir(message)

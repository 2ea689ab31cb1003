"""Descriptors that launch was started with and that words of its command line name: what a shell makes of `<(command)`,
`>(command)` and `3<file`. Whoever is to open /dev/fd/N has to have N: launch passes it on to that process alone.

What launch has opened itself is close-on-exec, and none of this. Nothing here opens, reads or closes anything.
"""

import fcntl
import os
import re
import stat

_WORD = re.compile(r"(?:/dev/fd|/proc/self/fd)/([0-9]{1,7})")


def named_by(path):
    """The descriptor that a path is, None where it is another file or was not handed to launch."""
    match = _WORD.fullmatch(os.path.abspath(path)) if path else None
    number = int(match[1]) if match else -1
    return number if number > 2 and _is_inherited(number) else None


def is_missing(path):
    """The path names a descriptor that launch was not given; one of ours may have its number by now."""
    match = _WORD.fullmatch(os.path.abspath(path))
    return match is not None and int(match[1]) > 2 and not _is_inherited(int(match[1]))


def is_stdin_without_input(path):
    """The path names stdin, and nothing can be read there: it was closed."""
    names_it = os.path.abspath(path) in ("/dev/stdin", "/dev/fd/0", "/proc/self/fd/0")
    return names_it and fcntl.fcntl(0, fcntl.F_GETFL) & os.O_ACCMODE == os.O_WRONLY


def named_in(texts):
    """The descriptors that these texts name anywhere, each once."""
    found = [int(number) for text in texts for number in _WORD.findall(text)]
    return tuple(number for number in dict.fromkeys(found) if number > 2 and _is_inherited(number))


def is_file(number):
    return stat.S_ISREG(os.fstat(number).st_mode)


def why_not_for_attempts(number):
    """Why no attempt can have it as its own, empty where each can. The worker judges the rest, by opening it."""
    mode = os.fstat(number).st_mode
    if stat.S_ISFIFO(mode) and fcntl.fcntl(number, fcntl.F_GETFL) & os.O_ACCMODE != os.O_WRONLY:
        return "a pipe: the first attempt would eat what is in it"
    if stat.S_ISSOCK(mode):
        return "a socket: attempts cannot share it"
    return ""


def _is_inherited(number):
    try:
        return os.get_inheritable(number)
    except OSError:
        return False


def let_go_of(source):
    """The broker alone holds it from here: who feeds us must notice when the broker has closed it."""
    null = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
    os.dup2(null, source, inheritable=source == 0)
    os.close(null)

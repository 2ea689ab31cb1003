"""Values of the flags that are launch's own, and lengths of time and sizes that it has to know besides. Pure.

What a value of a process may be, the process knows alone (checks.py). A check here takes the text that was given and
returns it; it raises ValueError with what would have been right.
"""

import re

_NUMBER = re.compile(r"0|[1-9][0-9]*")
_DURATION = re.compile(r"([0-9]+(?:\.[0-9]+)?)(us|ms|s|m|h)")

_SIZE = re.compile(r"(0|[1-9][0-9]{0,15})([kKmMgG]?)")
_SHIFTS = {"": 0, "k": 10, "m": 20, "g": 30}

_SECONDS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}

LONGEST_GRACE = 3600.0  # the most that launch waits for, whatever stands in a Procfile


def seconds(text):
    """The length of a duration that a process takes, or None where it would not: it will say so."""
    if text == "0":
        return 0.0
    match = _DURATION.fullmatch(text)
    return float(match[1]) * _SECONDS[match[2]] if match else None


def size(text):
    """The bytes of a size that a process takes, or None where it would not."""
    match = _SIZE.fullmatch(text)
    return int(match[1]) << _SHIFTS[match[2].lower()] if match else None


def whole(least, most):
    def check(text):
        if not _NUMBER.fullmatch(text) or not least <= int(text) <= most:
            raise ValueError(f"a whole number from {least} to {most}")
        return text

    return check


def summary(text):
    if text not in ("text", "json", "none"):
        raise ValueError("text, json or none")
    return text


def token(text):
    """Anything: the processes see the same bytes."""
    if not text or "\0" in text:
        raise ValueError("a text of one byte or more")
    return text


def output(text):
    """A path, also that of a database."""
    if not is_queue(text):
        path(text.removeprefix("sqlite:"))
    return text


_QUEUE = ("amqp:", "amqps:")


def is_queue(text):
    return text.startswith(_QUEUE)


def queue(text):
    """The process judges the rest."""
    if not is_queue(text):
        raise ValueError("a queue: amqp://HOST/VHOST?queue=NAME, or amqps://...")
    return text


def path(text):
    if not text or text.startswith("--"):
        raise ValueError("a path (write ./--name for a file of such a name)")
    return text

"""Checks of the values that flags take. Pure.

Each check takes the text that was given and returns the text to pass on, in the form that the binaries read; it raises
ValueError with what would have been right. Strict on purpose: a number is decimal, without sign or leading zeros
(010 is neither 8 nor 10 here), a duration always has its unit.
"""

import re

_NUMBER = re.compile(r"0|[1-9][0-9]*")
_DECIMAL = r"(?:0|[1-9][0-9]*)(?:\.[0-9]+)?"
_DURATION = re.compile(f"({_DECIMAL})(us|ms|s|m|h)")
_PERCENT = re.compile(f"({_DECIMAL})%")
_SIZE = re.compile(r"([1-9][0-9]*)([kmgKMG])?")

_SECONDS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_BYTES = {None: 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30}

LONGEST_GRACE = 3600.0
LONGEST_DURATION = 8760 * 3600.0  # a year: what is longer is meant as 'none'
LARGEST_SIZE = 64 << 20


def seconds(text):
    """The length of a duration in seconds, or None where the text is not one."""
    match = _DURATION.fullmatch(text)
    return float(match[1]) * _SECONDS[match[2]] if match else None


def whole(least, most):
    def check(text):
        if not _NUMBER.fullmatch(text) or not least <= int(text) <= most:
            raise ValueError(f"a whole number from {least} to {most}")
        return text

    return check


def _duration_within(text, longest, zero_allowed):
    length = seconds(text)
    return length is not None and length <= longest and (zero_allowed or length > 0)


def grace(text):
    if not _duration_within(text, LONGEST_GRACE, zero_allowed=True):
        raise ValueError("a duration with its unit, up to 1h, such as 500ms, 1s")
    return text


def deadline(text):
    if text != "none" and not _duration_within(text, LONGEST_DURATION, zero_allowed=False):
        raise ValueError("'none' or a duration with its unit, above 0, such as 500ms, 1.5s, 2m")
    return text


def patience(text):
    if text != "none" and not _duration_within(text, LONGEST_DURATION, zero_allowed=True):
        raise ValueError("'none' or a duration with its unit, such as 30s, 10m")
    return text


def hedge(text):
    percentile = re.fullmatch(r"p[1-9][0-9]?", text)
    if text != "0" and not percentile and not _duration_within(text, LONGEST_DURATION, zero_allowed=True):
        raise ValueError("0, a duration with its unit such as 20ms, or a percentile p1 to p99")
    return text


def percent(text):
    match = _PERCENT.fullmatch(text)
    if not match or float(match[1]) > 1000:
        raise ValueError("a percentage such as 5%, up to 1000%")
    return text


def size(text):
    match = _SIZE.fullmatch(text)
    count = int(match[1]) * _BYTES[match[2] and match[2].lower()] if match else 0
    if not 1 <= count <= LARGEST_SIZE:
        raise ValueError("a number of bytes, with k or m behind it (64k), up to 64m")
    return str(count)


def exit_list(text):
    codes = text.split(",")
    if not all(_NUMBER.fullmatch(code) and int(code) <= 255 for code in codes):
        raise ValueError("exit codes from 0 to 255 with commas between them, such as 0,1")
    return text


def word(text):
    """A name that only the binaries can judge."""
    if not text or text.startswith("-"):
        raise ValueError("a name")
    return text


def path(text):
    if not text or text.startswith("--"):
        raise ValueError("a path (write ./--name for a file of such a name)")
    return text

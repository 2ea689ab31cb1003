"""The exit codes of launch, and the one exception that carries one.

A Refusal ends launch before any process was started: its text is the one line that the user sees.
"""

import enum


class Exit(enum.IntEnum):
    OK = 0  # every task completed
    INCOMPLETE = 1  # some task did not complete, or a message was refused
    USAGE = 64  # wrong usage, of launch or of a process it started
    UNAVAILABLE = 69  # a queue server that is not there, or lacks what was named
    INTERNAL = 70  # the books do not balance, or a process cannot be kept running
    IO = 74  # an I/O error, a full disk, no descriptors
    NO_OUTCOME = 75  # messages were left without an outcome; of a process: stopped before it was ready
    SIGNAL = 128  # + the number of the signal that stopped the group


class Refusal(Exception):
    """Launch does not start: `code` is its exit code, the text says why and what to do."""

    def __init__(self, code, text):
        super().__init__(text)
        self.code = code


def usage(text):
    return Refusal(Exit.USAGE, text)

"""The books: the page that the broker keeps in DIR/books, the two laws, and the exit code that follows from them.

The page outlives the broker's SIGKILL, so what it says is also what is known of a broker that died. Reading never
fails: where there is no page, or not one of ours, there are no books (None).
"""

import os
import struct
from dataclasses import dataclass
from typing import Optional

from .exits import Exit

MAGIC = b"CURFEWB1"
# As in broker/books_page.h.
FIELDS = ("magic", "accepted", "completed", "failed", "expired", "cancelled", "tasks_in_flight", "started", "won", "late",
          "attempts_cancelled", "attempts_failed", "attempts_expired", "lost", "attempts_in_flight", "state",
          "input_total", "input_read", "refused", "pid", "left", "intake_ended", "workers_ready", "collector_synced",
          "rest", "rest_message", "rest_byte", "rest_messages", "rest_bytes", "cut_short", "first_in_flight",
          "settled_before", "failures_before", "halted")
_PAGE = struct.Struct("<8s33Q")

DRAINED, STOPPED_EARLY = 2, 3  # 1 is running
STATES_OF_AN_END = (DRAINED, STOPPED_EARLY)
TASK_ENDS = ("completed", "failed", "expired", "cancelled")
REST_NONE, REST_LINES, REST_RECORDS, REST_ENDLESS, REST_QUEUE = 1, 2, 3, 4, 5
_UNKNOWN = 2**64 - 1
ATTEMPT_ENDS = ("won", "late", "cancelled", "failed", "expired", "lost")


@dataclass(frozen=True)
class Books:
    accepted: int
    tasks: tuple  # by TASK_ENDS
    tasks_in_flight: int
    started: int
    attempts: tuple  # by ATTEMPT_ENDS
    attempts_in_flight: int
    state: int  # 1 running, 2 drained, 3 stopped early
    input_size: int  # bytes; 0: not known
    input_read: int  # bytes
    refused: int  # messages over --max-message: failed tasks of their own
    broker_pid: int
    left: int  # messages that were read ahead of a pipe, and never accepted
    intake_ended: bool  # no message is accepted any more
    workers_ready: int
    collector_synced: bool  # there is one
    rest: int = 0  # of the input: see REST_*; 0: a broker that does not say
    rest_message: int = 0  # where to go on: the number of the message, from 1
    rest_byte: int = 0  # and its offset
    rest_messages: Optional[int] = None  # from there to the end; None: nobody can say
    rest_bytes: Optional[int] = None
    cut_short: int = 0  # tasks, of those cancelled, for which a drain had no more time
    first_in_flight: int = 0  # the number of the oldest message in flight, from 1; 0: none is
    settled_before: int = 0  # in earlier lives of the broker, which it goes on from: not in the books above
    failures_before: int = 0  # of those: what did not complete
    halted: int = 0  # tasks that had not completed when --halt ended the intake; 0: it has not

    @property
    def settled(self):
        return sum(self.tasks)

    @property
    def balanced(self):
        return (self.accepted == self.settled + self.tasks_in_flight
                and self.started == sum(self.attempts) + self.attempts_in_flight)

    @property
    def complete(self):
        """Every message that came has completed, in this life of the broker or before."""
        return self.accepted == self.tasks[0] and self.refused == 0 and self.failures_before == 0

    @property
    def input_is_left(self):
        """The broker ended before its input did. A source without an end has none that could be missed."""
        at_end = self.rest_bytes is None and 0 < self.input_size <= self.input_read
        return self.rest in (REST_LINES, REST_RECORDS) and not at_end

    def lines(self):
        lines = [_line("tasks", self.accepted, TASK_ENDS, self.tasks, self.tasks_in_flight),
                 _line("attempts", self.started, ATTEMPT_ENDS, self.attempts, self.attempts_in_flight)]
        if self.settled_before:
            failed = f", {self.failures_before} of them did not complete" if self.failures_before else ""
            lines.append(f"{'before':<10}{messages(self.settled_before)} had an outcome already{failed}")
        if self.refused:
            lines.append(f"{'refused':<10}{messages(self.refused)} over --max-message, of the failed")
        return lines


def _line(label, total, names, counts, in_flight):
    terms = [f"{count} {name}" for name, count in zip((*names, "in flight"), (*counts, in_flight))]
    return f"{label:<10}{total} = {' + '.join(terms)}"


def counted(count, noun):
    return f"{count} {noun}" + ("" if count == 1 else "s")


def messages(count):
    return counted(count, "message")


def decode(page) -> Optional[Books]:
    if len(page) < _PAGE.size:
        return None
    page = dict(zip(FIELDS, _PAGE.unpack_from(page)))
    if page["magic"] != MAGIC:
        return None
    known = lambda name: None if page[name] == _UNKNOWN else page[name]
    return Books(accepted=page["accepted"], tasks=tuple(page[end] for end in TASK_ENDS),
                 tasks_in_flight=page["tasks_in_flight"], started=page["started"],
                 attempts=tuple(page[f"attempts_{end}" if end in TASK_ENDS else end] for end in ATTEMPT_ENDS),
                 attempts_in_flight=page["attempts_in_flight"], state=page["state"], input_size=page["input_total"],
                 input_read=page["input_read"], refused=page["refused"], broker_pid=page["pid"], left=page["left"],
                 intake_ended=page["intake_ended"] == 1, workers_ready=page["workers_ready"],
                 collector_synced=page["collector_synced"] == 1, rest=page["rest"],
                 rest_message=page["rest_message"], rest_byte=page["rest_byte"], rest_messages=known("rest_messages"),
                 rest_bytes=known("rest_bytes"), cut_short=page["cut_short"],
                 first_in_flight=page["first_in_flight"], settled_before=page["settled_before"],
                 failures_before=page["failures_before"], halted=page["halted"])


class Page:
    """The page at a path, read by a descriptor: it stays where it is when somebody removes the file. To have it from the
    start, the file is made here, empty; the broker takes it as it is."""

    def __init__(self, path):
        self._path = path
        try:
            self._file = os.open(path, os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError:
            self._file = -1  # a full disk: the broker will say so

    def read(self) -> Optional[Books]:
        try:
            found = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)  # another broker's, if there is one
            if self._file >= 0:
                os.close(self._file)
            self._file = found
        except OSError:
            pass
        try:
            return decode(os.pread(self._file, _PAGE.size, 0)) if self._file >= 0 else None
        except OSError:
            return None


# A broker makes its page before it takes a message; launch removes that of an earlier run first.
UNTOUCHED = decode(_PAGE.pack(MAGIC, *[0] * 33))


@dataclass
class Ending:
    """Why the group ended, as far as it was not its own good end."""

    signal: int = 0  # the signal that stopped it: not the first, which drains
    process_code: int = 0  # 64 or 74 of one of its processes, 69 of broker or collector
    cannot_run: bool = False  # a process could not be kept running
    nothing_taken: bool = False  # it was told to drain before its broker had reached the queue server
    broker_died: bool = False  # its books are then what it had written last


def exit_code(ending, books, books_expected):
    """What launch exits with: the table of the contract, the weightiest first."""
    if ending.signal:
        return Exit.SIGNAL + ending.signal
    if ending.process_code:
        return ending.process_code
    if ending.cannot_run:
        return Exit.INTERNAL
    if ending.broker_died:  # its page may have been caught in the middle of a change: an imbalance proves nothing
        return Exit.NO_OUTCOME
    if books is None:
        return Exit.INTERNAL if books_expected and not ending.nothing_taken else Exit.OK
    if not books.balanced:
        return Exit.INTERNAL
    dropped = books.rest == REST_ENDLESS and books.left  # nobody can read it again
    if books.tasks_in_flight or books.input_is_left or books.cut_short or dropped:
        return Exit.NO_OUTCOME
    return Exit.OK if books.complete else Exit.INCOMPLETE


def last_books(ending, books, books_expected):
    """The books at the end: a broker that died before it made its page had accepted nothing."""
    return UNTOUCHED if books is None and ending.broker_died and books_expected else books


def closing_words(ending, books, books_expected):
    """What has to be said at the end, before the books themselves."""
    words = []
    if books is not None and books.halted:
        words.append(f"{counted(books.halted, 'task')} did not complete: --halt")
    if books is None:
        if ending.broker_died:
            words.append("the broker left no books: how many messages have no outcome is not known")
        elif books_expected and ending == Ending():
            words.append("the broker left no books")
        return words
    if books.rest == REST_QUEUE and (books.tasks_in_flight or ending.broker_died):
        words.append(_what_the_queue_has_again(books))
    elif ending.broker_died and books.accepted == 0:
        words.append("the broker died before it had accepted a message: give the whole input again")
    elif books.tasks_in_flight or ending.broker_died:
        words.append(_what_has_no_outcome(books))
    elif books.left and not books.input_is_left:
        words.append(f"{messages(books.left)} read from the input and not accepted any more: give them again")
    if books.cut_short:
        words.append(f"{messages(books.cut_short)} cancelled: the drain was over (--drain-timeout)")
    if books.input_is_left and (books.rest_byte > 0 or not ending.broker_died):
        words.append(_what_is_left(books))
    if not books.balanced and not ending.broker_died:
        words.append("the books do not balance")
    return words


def _what_has_no_outcome(books):
    untaken = books.left
    if books.input_is_left and books.rest_messages is not None:
        untaken = books.rest_messages
    not_accepted = "" if books.rest == REST_ENDLESS and not untaken else f", {untaken} not accepted"
    words = (f"{messages(books.tasks_in_flight + untaken)} left without an outcome"
             f" ({books.tasks_in_flight} in flight{not_accepted})")
    if books.input_is_left and books.rest_messages is None:
        words += ", and what else the input holds"
    if books.first_in_flight and books.rest != REST_ENDLESS:
        words += f"; the first in flight is message {books.first_in_flight}"
    return words


def _what_the_queue_has_again(books):
    """What was in flight, and what was fetched or settled and not acknowledged, which nobody counts any more."""
    count = books.tasks_in_flight
    had = f"{messages(count)} had no outcome" if count else "what was not acknowledged is not lost"
    return (f"{had}: the queue has {'them' if count > 1 else 'it'} again, for other groups or for this one when it is"
            " started again")


def _what_is_left(books):
    """Of an input that has an end, and was not read up to it."""
    in_bytes = books.rest_bytes
    if in_bytes is None and books.input_size > 0:
        in_bytes = books.input_size - books.input_read
    known = [messages(books.rest_messages)] if books.rest_messages else []
    known += [counted(in_bytes, "byte")] if in_bytes else []
    left = f"{' in '.join(known)} left" if known else "how much is left is not known"
    again = f", and give what was in flight ({books.tasks_in_flight}) again" if books.tasks_in_flight else ""
    noun = "line" if books.rest == REST_LINES else "message"
    return (f"the input was not at its end: {left}; go on at {noun} {books.rest_message},"
            f" byte offset {books.rest_byte} (tail -c +{books.rest_byte + 1}){again}")


def remarks(books):
    """What is no fault and worth a notice."""
    if books is None or books.rest != REST_ENDLESS:
        return []
    return ["the source has no end: what its producers hold that was not accepted is not known here"]

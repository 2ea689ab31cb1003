"""What launch says, all of it on stderr: notices, errors, the progress line, the books.

It must never hold the loop up: what a stderr that nobody reads has no room for is dropped, after a short patience for
what is said at the end. Lines are far below PIPE_BUF, so a writable pipe takes one whole.
"""

import collections
import os
import select
import time

from .summary import columns, whole_time

STDERR = 2
_ERASE_LINE = "\r\x1b[K"
_PATIENCE = 0.2  # seconds
_LAST_PATIENCE = 1.0


class Console:
    def __init__(self, quiet, shows_progress):
        self._quiet = quiet
        self.shows_progress = shows_progress and not quiet
        self._drawn = False
        self._pace = Pace()

    def notice_if(self, line):
        if line:
            self.notice(line)

    def notice(self, text):
        """What is good to know; not said with --quiet."""
        if not self._quiet:
            self.error(text)

    def error(self, text):
        self._clear()
        text = text.replace("\n", "\\n")  # one line each, whatever a file is called
        _write(f"launch: {text}\n", _PATIENCE)

    def books(self, lines):
        self._clear()
        if not self._quiet and lines:
            _write("".join(f"{line}\n" for line in lines), _LAST_PATIENCE)

    def progress(self, now, books):
        if not self.shows_progress or books is None:
            return
        self._pace.take(now, books)
        self._drawn = True
        _write(_ERASE_LINE + self._pace.text(books)[: columns() - 1], 0)

    def _clear(self):
        if self._drawn:
            self._drawn = False
            _write(_ERASE_LINE, _PATIENCE)


class Pace:
    """How fast the books have moved of late. Pure."""

    SPAN = 5.0  # seconds

    def __init__(self):
        self._began = None
        self._samples = collections.deque()  # (instant, settled, input_read): those of the last SPAN, and one before

    def take(self, now, books):
        if self._began is None:
            self._began = now
        self._samples.append((now, books.settled, books.input_read))
        while len(self._samples) > 2 and self._samples[1][0] <= now - self.SPAN:
            self._samples.popleft()

    def text(self, books):
        first, last = self._samples[0], self._samples[-1]
        elapsed = last[0] - first[0]
        text = f"{books.settled}{self._of_all(books)} done, "
        if failed := books.settled - books.tasks[0]:
            text += f"{failed} failed, "
        text += f"{books.tasks_in_flight} in flight, {whole_time(last[0] - self._began)}"
        if elapsed > 0:
            text += f", {round((last[1] - first[1]) / elapsed)}/s"
        bytes_read = last[2] - first[2]
        if books.input_size and bytes_read > 0:
            text += f", {round(max(0, books.input_size - last[2]) * elapsed / bytes_read)} s left"
        return text


    @staticmethod
    def _of_all(books):
        """How many messages there are: known when the last is read, before that as far as the bytes tell."""
        if books.intake_ended and books.accepted:
            return f" of {books.accepted} ({books.settled / books.accepted:.0%})"
        if books.input_size and books.input_read and books.accepted:
            total = max(books.accepted, round(books.accepted * books.input_size / books.input_read))
            return f" of about {total} ({min(0.99, books.settled / total):.0%})"
        return ""


def has_room_for_progress(results_to_file):
    """Whether a line can be redrawn: stderr is a terminal, and results do not go to one too, in between."""
    return os.isatty(STDERR) and (results_to_file or not os.isatty(1))


def _write(text, patience):
    data = text.encode("utf-8", "surrogateescape")
    until = time.monotonic() + patience
    try:
        while data:
            left = max(0.0, until - time.monotonic())
            poll = select.poll()
            poll.register(STDERR, select.POLLOUT)
            if not poll.poll(left * 1000):
                return
            data = data[os.write(STDERR, data[: select.PIPE_BUF]):]
    except OSError:
        pass  # nobody is there to hear

"""What asks launch to stop: the signals as events, and which of them are a wish of their own.

`timeout` tells its child and then the child's whole group, a shell passes on what its terminal has sent to all, a
service manager sends HUP behind TERM: one wish, said twice. So the same signal, or one of the two that is HUP, within
ONE_STOP is that wish again, and only behind ONE_STOP does launch say that once more stops now: who answers to these
words is heard. (INT behind TERM nobody sends who does not mean both.) Who has asked to stop now is no longer waited for.
"""

import os
import select
import signal

ONE_STOP = 0.1  # seconds; nobody's Ctrl-C, pressed twice, is as quick


class Signals:
    """INT, TERM, HUP and CHLD as events: handlers only note them, a pipe wakes the loop."""

    def __init__(self):
        self._stops = []
        self._wake, writer = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda number, frame: None)
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._note)
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # nohup
            signal.signal(signal.SIGHUP, self._note)
        signal.pthread_sigmask(signal.SIG_UNBLOCK,
                               (signal.SIGCHLD, signal.SIGINT, signal.SIGTERM, signal.SIGHUP))

    def _note(self, number, frame):
        self._stops.append(number)

    def wait(self, seconds, descriptors=()):
        """Returns at a signal, when something can be read from a descriptor, or after so many seconds."""
        poll = select.poll()
        for descriptor in (self._wake, *descriptors):
            poll.register(descriptor, select.POLLIN)
        poll.poll(max(0, int(seconds * 1000) + 1))
        try:
            os.read(self._wake, 4096)
        except BlockingIOError:
            pass

    def take_stop(self):
        """The next signal that asks us to stop, 0 if there is none."""
        return self._stops.pop(0) if self._stops else 0


class Stops:
    """Counts the wishes to stop, and holds the words that answer to one until no signal can be the same wish. Pure."""

    def __init__(self):
        self.count = 0
        self.same_until = 0.0
        self._last = signal.SIGTERM  # that of a member
        self._words = ""

    def is_new(self, number, now):
        """Counts a signal. False if it is the first wish again, or that of a member."""
        if now < self.same_until and (number == self._last or signal.SIGHUP in (number, self._last)):
            return False
        self.count += 1
        self._last = number
        if self.count == 1:
            self.same_until = now + ONE_STOP
        return True

    def begin(self, now, words):
        """A drain begins: a wish whoever had it. The words are those that ask for another."""
        self.same_until = now + ONE_STOP
        self._words = words

    @property
    def words_at(self):
        return self.same_until if self._words else None

    def take_words(self, now):
        if now < self.same_until:
            return ""
        words, self._words = self._words, ""
        return words

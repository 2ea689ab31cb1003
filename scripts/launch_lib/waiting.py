"""What the group waits for, in words: said when it takes long, so that nobody has to guess. Pure.

The books tell it: all outcomes are written and attempts are left; a drain has tasks left; or no worker is there, and
none of our processes is one. A group that simply has work to do, or no message, waits for nothing.
"""

from dataclasses import dataclass

from .books import counted

FIRST = 2.0  # seconds until it is said; then after twice as long each time
GIVE_UP = 2.0  # so long without a process that is needed, and none that could come


@dataclass(frozen=True)
class Wait:
    kind: str  # one of these at a time; what and why may change with the books
    what: str
    why: str

    def line(self, seconds):
        return f"waiting for {self.what}, for {seconds:.0f} s: {self.why}"


def for_end(books, draining):
    """What keeps a group that takes no more messages, None if nothing does."""
    if books.tasks_in_flight == 0 and books.attempts_in_flight and (draining or books.intake_ended):
        attempts = counted(books.attempts_in_flight, "attempt")
        return Wait("attempts", f"{attempts} in flight", "all outcomes are written")
    if draining and books.tasks_in_flight:
        tasks = counted(books.tasks_in_flight, "task")
        return Wait("tasks", f"{tasks} in flight", "the group drains; once more to stop now")
    return None


def for_worker(books, has_worker):
    if has_worker or books.workers_ready:
        return None
    return Wait("worker", "a worker", "no process of this group is one that runs")


def for_members(names, seconds):
    """What keeps a group that was told to stop, and is killed in so many seconds; if soon, nothing is said."""
    if not names or seconds < 2 * FIRST:
        return None
    return Wait("members", f"the end of {', '.join(names[:5])}", f"told to stop; killed in {seconds:.0f} s")


class Patience:
    """When it is time to say what is waited for."""

    def __init__(self):
        self._kind = None
        self._since = self._say_after = 0.0

    def take(self, now, wait):
        """The line to say at this instant, None for none."""
        if wait is None or wait.kind != self._kind:
            self._kind = wait and wait.kind
            self._since, self._say_after = now, FIRST
            return None
        lasted = now - self._since
        if lasted < self._say_after:
            return None
        while self._say_after <= lasted:
            self._say_after *= 2
        return wait.line(lasted)

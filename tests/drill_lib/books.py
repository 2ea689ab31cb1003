"""What was published, confirmed and answered, counted by id, and the verdict. Clocks come in; no connection is known.

Any thread may call it.
"""

import collections
import threading


_ACK = 1.0  # seconds in which a message is acknowledged whose outcome is there; until then a fault meets it unsettled


class Books:
    def __init__(self):
        self._lock = threading.Lock()
        self._published = {}  # id: when
        self._accepted = set()
        self._outcomes = {}  # id: [names of the tasks whose outcome it was]
        self._twice_after = collections.Counter()  # by the kind of the fault before the second outcome
        self._first = {}  # id: when its first outcome came
        self._times = []  # of outcomes, in order
        self._faults = []  # (when, kind), in order
        self._over = []  # until when each of those may meet what is new
        self._unanswered = 0
        self.not_completed = 0

    # --- what happens ---

    def published(self, now, name):
        """It is about to be published: from now on it may come out."""
        with self._lock:
            self._published[name] = now

    def accepted(self, name):
        """The server has confirmed it: from now on it has to come out."""
        with self._lock:
            self._accepted.add(name)
            self._unanswered += name not in self._outcomes

    def outcome(self, now, name, task, redelivered, completed=True):
        """`redelivered`: the server says so. Then one that was counted before is the same outcome once more, whose
        acknowledgement by the consumer was lost: not a second one."""
        with self._lock:
            tasks = self._outcomes.setdefault(name, [])
            if redelivered and task in tasks:
                return
            tasks.append(task)
            self._first.setdefault(name, now)
            self._times.append(now)
            self.not_completed += not completed
            self._unanswered -= len(tasks) == 1 and name in self._accepted
            if len(tasks) == 2:
                self._twice_after[self._faults[-1][1] if self._faults else "none"] += 1

    def fault(self, now, kind):
        with self._lock:
            self._faults.append((now, kind))

    def over(self, when):
        """What is published after that the last fault has not met."""
        with self._lock:
            self._over.append(when)

    # --- what is asked ---

    @property
    def unanswered(self):
        """How many were accepted and have no outcome yet."""
        return self._unanswered

    def quiet_since(self):
        """When the last outcome came."""
        return self._times[-1] if self._times else float("inf")

    def lost(self):
        with self._lock:
            return sorted(self._accepted - self._outcomes.keys())

    def twice_though_settled(self):
        """Those that came twice, and no fault has met them between their publication and their first outcome."""
        with self._lock:
            return sorted(name for name in self._twice() if name in self._published and not self._was_met(name))

    def _twice(self):
        return [name for name, tasks in self._outcomes.items() if len(tasks) > 1]

    def _was_met(self, name):
        begin, end = self._published[name], self._first.get(name, float("inf")) + _ACK
        over = self._over + [float("inf")] * (len(self._faults) - len(self._over))
        return any(begin <= until and struck <= end for (struck, _), until in zip(self._faults, over))

    def unexpected(self):
        with self._lock:
            return sorted(self._outcomes.keys() - self._published.keys())

    def _longest_gap(self, begin, end):
        """Between two outcomes, of the gaps that have their middle in this time."""
        gaps = [after - before for before, after in zip(self._times, self._times[1:])
                if begin <= (before + after) / 2 < end]
        return max(gaps, default=0.0)

    def verdict(self):
        """The table, by name. `answered`: of what was accepted."""
        lost, unexpected, settled = self.lost(), self.unexpected(), self.twice_though_settled()
        with self._lock:
            after = {}
            ends = [when for when, _ in self._faults[1:]] + [float("inf")]
            for (when, kind), end in zip(self._faults, ends):
                after[kind] = max(after.get(kind, 0.0), self._longest_gap(when, end))
            return {
                "faults": dict(sorted(collections.Counter(kind for _, kind in self._faults).items())),
                "accepted": len(self._accepted),
                "answered": len(self._accepted & self._outcomes.keys()),
                "lost": len(lost),
                "unexpected": len(unexpected),
                "met": sum(map(self._was_met, self._published)),
                "twice": len(self._twice()),
                "twice_though_settled": len(settled),
                "longest_gap_s": round(self._longest_gap(float("-inf"), float("inf")), 2),
                "gap_after_s": {kind: round(gap, 2) for kind, gap in sorted(after.items())},
                "twice_after": dict(sorted(self._twice_after.items())),
                "unconfirmed": len(self._published.keys() - self._accepted),
                "not_completed": self.not_completed,
            }

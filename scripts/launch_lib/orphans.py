"""Work that outlived its supervisor and its worker: launch, which inherits it, kills it; and supervisors that do not
end.

A supervisor keeps what its work starts below itself, and so does a worker whose supervisor has died. When both die,
that comes to launch, the subreaper; only the work's first process dies by itself. Such an orphan descends from launch
by neither a member nor a living supervisor, and its environment names a task of this group. What a Procfile's own
processes leave behind names none, and is left alone. So is what empties its environment: that goes with the group.

A supervisor whose worker died ends by itself, with all that is below it, unless somebody has stopped it: it is told to
go on, and killed when it has had its time.

Owned by the group, on its thread. A look reads /proc once, never blocks and never fails; whoever is missed in one,
since processes are born and die while it reads, is found in the next.
"""

import os
import signal

from . import clock
from .member import descendants, signal_all

_CLEAN_LOOKS = 2  # in a row, after the last suspicion
_SOON, _LATEST = 0.05, 5.0  # seconds to the next look; what cannot be killed is looked at ever more seldom
_LOAD = 20  # a look waits so many times as long as the last one took
_MOST_NAMED = 5
_END_OF_SUPERVISOR = 2.0  # seconds on top of grace


class Orphans:
    def __init__(self, run_dir, grace):
        self._run_dir = os.fsencode(run_dir)
        self._patience = grace + _END_OF_SUPERVISOR
        self._alone = {}  # supervisors whose worker is dead, by their keys: as they were seen, and since when
        self._own_task = os.environb.get(b"CURFEW_TASK")  # launch itself may be somebody's work
        self._clean = _CLEAN_LOOKS
        self._looked_at = self._wait = 0.0
        self._named = set()  # their keys

    def suspect(self):
        """Some process of the group has died: there may be orphans."""
        self._clean = 0
        self._wait = min(self._wait, _SOON)

    @property
    def look_at(self):
        """The instant of the next look, None if there is nothing to look for."""
        return self._looked_at + self._wait if self._clean < _CLEAN_LOOKS else None

    def kill(self, members):
        """Kills those there are. Returns what to say of them: name, pid and task of each that was not named before."""
        began = clock.now()
        found = self._find(members)
        self._end_alone(began)
        new = [seen for seen in found if seen.key not in self._named]
        words = _words(found, new)
        signal_all(found, signal.SIGKILL)
        self._named = {seen.key for seen in found}
        self._looked_at = clock.now()
        left = found or self._alone
        self._clean = 0 if new else self._clean if left else self._clean + 1
        patience = _SOON if new or not left else min(2 * self._wait, _LATEST)
        self._wait = max(patience, _LOAD * (self._looked_at - began))
        return words

    def _find(self, members):
        """{process: its task}"""
        supervisors = []

        def spared(seen):
            return seen.pid in members or _is_supervisor(seen.pid) and (supervisors.append(seen) or True)

        below = descendants(spared)
        known, now = self._alone, clock.now()
        alone = [seen for seen in supervisors if seen.parent == os.getpid()]
        self._alone = {seen.key: (seen, known[seen.key][1] if seen.key in known else now) for seen in alone}
        return {seen: task for seen in below if (task := self._task_of(seen.pid))}

    def _end_alone(self, now):
        alone = self._alone.values()
        signal_all([seen for seen, _ in alone], signal.SIGCONT)
        signal_all([seen for seen, since in alone if now - since > self._patience], signal.SIGKILL)

    def _task_of(self, pid):
        """The task of this group for which it runs, None if there is none."""
        words = dict(word.partition(b"=")[::2] for word in _read(pid, "environ").split(b"\0"))
        task = words.get(b"CURFEW_TASK")
        return task if words.get(b"CURFEW_RUN_DIR") == self._run_dir and task != self._own_task else None


def _words(found, new):
    if not new:
        return ""
    text = lambda data: data.decode(errors="replace").strip()
    names = [f"{text(_read(seen.pid, 'comm'))} (pid {seen.pid}, task {text(found[seen])})" for seen in new[:_MOST_NAMED]]
    return ", ".join(names) + (f" and {len(new) - _MOST_NAMED} more" if len(new) > _MOST_NAMED else "")


def _is_supervisor(pid):
    try:
        return os.path.basename(os.readlink(f"/proc/{pid}/exe")).startswith("curfew-supervisor")
    except OSError:
        return False  # gone, or a zombie: it keeps nothing below itself any more


def _read(pid, name):
    try:
        with open(f"/proc/{pid}/{name}", "rb") as file:
            return file.read()
    except OSError:
        return b""

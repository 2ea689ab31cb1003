"""The clock of launch: monotonic, and it stands while launch stands still (Ctrl-Z, a frozen container, a paused machine),
as those of the processes do (common/process/clock.h). So what a stop or a back-off may take is not used up by a time in which
nobody ran.

One for the process. The loop of the group alone sleeps, and tells how long it meant to.
"""

import time

_MOST = 0.25  # seconds; what a turn takes beyond that and its sleep is no time

_stood = 0.0
_looked_at = None


def now():
    return time.monotonic() - _stood


def look(meant):
    """A turn is over, with a sleep that was to take so many seconds at most."""
    global _stood, _looked_at
    if _looked_at is not None:
        _stood += max(0.0, now() - _looked_at - meant - _MOST)
    _looked_at = now()

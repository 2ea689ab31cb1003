"""Private run directories that nobody cleared: their launch and all of its group ended at once, by QUIT, KILL or a crash.

Pure but for the file system. Nothing fails: what cannot be looked at or removed stays. A directory is a leftover if it
has the name and the mode of a private one, is ours, its launch.lock says that it is private, and nobody holds that lock
nor any other in it. A directory that is just being made says nothing yet, and is left alone.
"""

import fcntl
import os
import re
import shutil
import stat

_PRIVATE = re.compile(r"curfew-[a-z0-9_]{8}")  # as mkdtemp makes them


def clear(parents):
    for parent in parents:
        try:
            names = [name for name in os.listdir(parent) if _PRIVATE.fullmatch(name)]
        except OSError:
            continue
        for name in names:
            _clear(os.path.join(parent, name))


def _clear(path):
    lock = -1
    try:
        if not _is_ours(os.lstat(path)) or not _says_private(os.path.join(path, "launch.lock")):
            return
        lock = os.open(os.path.join(path, "launch.lock"), os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if not any(map(_is_held, _other_locks(path))):
            shutil.rmtree(path, ignore_errors=True)
    except OSError:
        pass  # held: its group lives; or gone by now
    finally:
        if lock >= 0:
            os.close(lock)


def _is_ours(found):
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid() and stat.S_IMODE(found.st_mode) == 0o700


def _says_private(path):
    file = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        return os.read(file, 64).endswith(b" private\n")
    finally:
        os.close(file)


def _other_locks(path):
    return [os.path.join(path, name) for name in os.listdir(path) if name.endswith(".lock") and name != "launch.lock"]


def _is_held(path):
    """A process of the group is about to end, and clears up itself."""
    file = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return False
    except OSError:
        return True
    finally:
        os.close(file)

"""The run directory: where a group's sockets, locks and books are.

Owned by launch for one run, under an flock on DIR/launch.lock. A private one is removed at the end with all that is in
it; a given one only loses what curfew made. Fails with a Refusal before anything was started; at the end nothing fails,
what cannot be removed stays.
"""

import fcntl
import os
import shutil
import tempfile

from . import leftovers
from .exits import usage

LONGEST_SOCKET_PATH = 107  # sun_path, without its NUL
LONGEST_SOCKET_NAME = 40  # with the slash before it
_LONGEST = LONGEST_SOCKET_PATH - LONGEST_SOCKET_NAME
_PREFIX = "curfew-"
_ENDINGS = (".sock", ".lock", ".running", ".running.before", ".sink.mark", ".dead-letters.mark")  # of what curfew makes, as in common/run_dir.cpp
_PRIVATE_NAME = len("/" + _PREFIX) + 8  # mkdtemp adds eight characters


class RunDir:
    """A directory with the lock held. `clear` gives both back."""

    def __init__(self, path, private, made):
        self.path = path
        self.private = private  # nobody else knows of it: it goes whatever is in it
        self._made = made  # it was not there before: it goes when it is empty
        self._lock = _take_lock(path, "private" if private else "made" if made else "given")
        _remove(self.file("books"))  # those of an earlier run, which was killed, must not pass for ours

    def file(self, name):
        return os.path.join(self.path, name)

    def clear(self):
        if self.private:
            shutil.rmtree(self.path, ignore_errors=True)
        else:
            self._clear_given()
        os.close(self._lock)  # after the removal: until then the directory is ours

    def _clear_given(self):
        try:
            for name in os.listdir(self.path):
                if name != "launch.lock" and (name == "books" or name.endswith(_ENDINGS)):
                    _remove(self.file(name))
            _remove(self.file("launch.lock"))  # last: whoever takes it then finds nothing of ours
            if self._made:
                os.rmdir(self.path)
        except OSError:
            pass  # it is gone already, or somebody put something of his own there


def open_run_dir(given):
    """The given directory (made if need be), or a private one where `given` is None."""
    if given is None:
        return _open_private()
    path = os.path.abspath(given)
    _check_length(path)
    made = _make(path)
    try:
        return RunDir(path, private=False, made=made)
    except BaseException:
        if made:
            shutil.rmtree(path, ignore_errors=True)
        raise


def _open_private():
    path = None
    leftovers.clear(set(_private_parents()))
    for parent in _private_parents():
        try:
            path = tempfile.mkdtemp(prefix=_PREFIX, dir=parent)
            break
        except OSError:
            continue
    if path is None:
        raise usage("cannot make a private run directory in XDG_RUNTIME_DIR, TMPDIR or /tmp: give --run-dir")
    try:
        return RunDir(path, private=True, made=True)
    except BaseException:
        shutil.rmtree(path, ignore_errors=True)
        raise


def _private_parents():
    """Where a private one may be made, best first; only such as leave room for the names of sockets."""
    for parent in (os.environ.get("XDG_RUNTIME_DIR"), os.environ.get("TMPDIR"), "/tmp"):
        if parent and os.path.isabs(parent) and len(os.fsencode(parent)) + _PRIVATE_NAME <= _LONGEST:
            yield parent


def _check_length(path):
    length = len(os.fsencode(path))
    if length > _LONGEST:
        raise usage(f"--run-dir: {path} is {length} bytes long, and only {_LONGEST} leave room for sockets in it")


def _make(path):
    try:
        os.mkdir(path, 0o700)
        return True
    except FileExistsError:
        if not os.path.isdir(path):
            raise usage(f"--run-dir: {path} is not a folder") from None
        return False
    except OSError as error:
        raise usage(f"--run-dir: cannot make {path}: {error.strerror}") from None


def _take_lock(path, whose):
    """Its text is the pid, and whose the directory is: if launch is killed, the last of its processes clears it."""
    lock_path = os.path.join(path, "launch.lock")
    while True:
        try:
            lock = os.open(lock_path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        except OSError as error:
            raise usage(f"--run-dir: cannot write in {path}: {error.strerror}") from None
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            holder = os.pread(lock, 32, 0).decode("ascii", "replace").partition(" ")[0] or "not known"
            os.close(lock)
            raise usage(f"run directory {path} is in use (pid {holder})") from None
        if _is_still(lock, lock_path):
            break
        os.close(lock)  # its holder removed it between our open and our lock: take the new one
    try:
        _check_other_locks(path)
    except BaseException:
        os.close(lock)
        raise
    os.ftruncate(lock, 0)
    os.pwrite(lock, f"{os.getpid()} {whose}\n".encode(), 0)
    return lock


def _is_still(lock, lock_path):
    try:
        return os.path.samestat(os.fstat(lock), os.stat(lock_path))
    except FileNotFoundError:
        return False


def _check_other_locks(path):
    """A process of an earlier group may still be about to end, or somebody runs a broker there by hand."""
    for name in os.listdir(path):
        if name.endswith(".lock") and name != "launch.lock" and _is_held(os.path.join(path, name)):
            raise usage(f"run directory {path} is in use ({name} is held)")


def _is_held(lock_path):
    try:
        lock = os.open(lock_path, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return False
    except OSError:
        return True
    finally:
        os.close(lock)


def _remove(path):
    try:
        os.unlink(path)
    except OSError:
        pass

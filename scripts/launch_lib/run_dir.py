"""The run directory: where a group's sockets, locks and books are.

Owned by launch for one run, under an flock on DIR/launch.lock. A private one is removed at the end with all that is in
it; a given one only loses what curfew made. Fails with a Refusal before anything was started; at the end nothing fails,
what cannot be removed stays.
"""

import errno
import fcntl
import os
import shutil
import tempfile

from . import leftovers
from .exits import Exit, Refusal, usage
from .options import absolute

LONGEST_SOCKET_PATH = 107  # sun_path, without its NUL
LONGEST_SOCKET_NAME = 40  # with the slash before it
_LONGEST = LONGEST_SOCKET_PATH - LONGEST_SOCKET_NAME
_PREFIX = "curfew-"
_OF_THE_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EIO)
_ENDINGS = (".sock", ".lock", ".running", ".running.before", ".sink.mark", ".dead-letters.mark",
            ".joblog.mark", ".last.json", ".last.json.new")  # of what curfew makes
LAST_STATS = "broker.last.json"  # what a broker had to say in the end; as in broker/server.cpp
_TICK = 0.02  # seconds: the time of a file may lag behind the clock by a tick of the kernel
_PRIVATE_NAME = len("/" + _PREFIX) + 8  # mkdtemp adds eight characters


class RunDir:
    """A directory with the lock held. `clear` gives both back."""

    def __init__(self, path, private, made):
        self.path = path
        self.private = private  # nobody else knows of it: it goes whatever is in it
        self._made = made  # it was not there before: it goes when it is empty
        self._lock = _take_lock(path, "private" if private else "made" if made else "given")
        for name in ("books", LAST_STATS):
            _remove(self.file(name))  # those of an earlier run, which was killed, must not pass for ours

    def file(self, name):
        return os.path.join(self.path, name)

    def process(self, name, since):
        """The id of the process that took this name in the group after an instant of time.time(); 0: none did."""
        try:
            with open(self.file(f"{name}.lock"), "rb") as file:
                taken = os.fstat(file.fileno()).st_mtime > since - _TICK
                return int(file.read(64).split()[1]) if taken else 0
        except (OSError, IndexError, ValueError):
            return 0

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
    path = absolute("--run-dir", given)
    _check_length(path)
    made = _make(path)
    try:
        return RunDir(path, private=False, made=made)
    except BaseException:
        if made:
            shutil.rmtree(path, ignore_errors=True)
        raise


def _open_private():
    leftovers.clear(set(_private_parents()))
    refusal = usage("cannot make a private run directory in XDG_RUNTIME_DIR, TMPDIR or /tmp: give --run-dir")
    for parent in _private_parents():
        try:
            path = tempfile.mkdtemp(prefix=_PREFIX, dir=parent)
        except OSError as error:
            if error.errno in _OF_THE_DISK:
                refusal = _refusal(f"cannot make a run directory in {parent}", error)
            continue
        try:
            return RunDir(path, private=True, made=True)
        except Refusal as error:  # its disk is full: perhaps the next is on another
            shutil.rmtree(path, ignore_errors=True)
            refusal = error
        except BaseException:
            shutil.rmtree(path, ignore_errors=True)
            raise
    raise refusal


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
        _check_there(path)
        return False
    except OSError as error:
        raise _refusal(f"--run-dir: cannot make {path}", error) from None


def _check_there(path):
    """It is somebody's, and stays as it is; so it is taken only where nobody else can reach our sockets in it."""
    if not os.path.isdir(path):
        raise usage(f"--run-dir: {path} is not a folder")
    found = os.stat(path)
    if found.st_uid != os.geteuid():
        raise usage(f"--run-dir: {path} belongs to somebody else: use a folder of your own")
    if found.st_mode & 0o077:
        raise usage(f"--run-dir: {path} is open to others (mode {found.st_mode & 0o7777:04o}), and they could reach the"
                    f" sockets in it: use --run-dir {os.path.join(path, 'curfew')}, which launch makes")


def _refusal(what, error):
    """A place that cannot be is wrong usage; a full or broken disk is not."""
    return Refusal(Exit.IO if error.errno in _OF_THE_DISK else Exit.USAGE, f"{what}: {error.strerror}")


def _take_lock(path, whose):
    """Its text is the pid, and whose the directory is: if launch is killed, the last of its processes clears it."""
    lock_path = os.path.join(path, "launch.lock")
    while True:
        try:
            lock = os.open(lock_path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        except OSError as error:
            raise _refusal(f"--run-dir: cannot write in {path}", error) from None
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
        os.ftruncate(lock, 0)
        os.pwrite(lock, f"{os.getpid()} {whose}\n".encode(), 0)
    except OSError as error:
        _remove(lock_path)  # while it is ours: nobody clears a run that never was
        os.close(lock)
        raise _refusal(f"--run-dir: cannot use {path}", error) from None
    except BaseException:
        os.close(lock)
        raise
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

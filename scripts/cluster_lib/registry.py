"""Which clusters there are: a file for each, TAG.json, which says all that is needed to use or remove it.

The file is made before anything else of a cluster, and removed after everything else. It is locked by the process that
keeps the cluster up; one that nobody locks was left by a process that was killed. The folder goes with a boot, as
namespaces and processes do: /run/curfew-cluster, or the user's own. Fails with Refusal and OSError.
"""

import contextlib
import fcntl
import json
import os
import stat
import tempfile

from .exits import UNAVAILABLE, Refusal


def _folder():
    uid = os.geteuid()
    if uid == 0:
        path = "/run/curfew-cluster"
    else:
        parent = os.environ.get("XDG_RUNTIME_DIR") or tempfile.gettempdir()
        path = os.path.join(parent, f"curfew-cluster-{uid}")
    os.makedirs(path, mode=0o700, exist_ok=True)
    found = os.lstat(path)
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != uid:
        raise Refusal(UNAVAILABLE, f"{path} is not a folder of ours")
    return path


class Entry:
    def __init__(self, path, descriptor):
        self.path = path
        self._descriptor = descriptor

    @property
    def tag(self):
        return int(os.path.basename(self.path).removesuffix(".json"))

    def write(self, layout):
        os.pwrite(self._descriptor, json.dumps(layout).encode(), 0)

    def remove(self):
        os.unlink(self.path)
        os.close(self._descriptor)


def claim(tags, is_free):
    """A new entry, locked, for the first of the tags that nobody has and that is free; None if there is none."""
    folder = _folder()
    descriptor, draft = tempfile.mkstemp(dir=folder)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        for tag in tags:
            path = os.path.join(folder, f"{tag}.json")
            try:
                os.link(draft, path)
            except FileExistsError:
                continue
            if is_free(tag):
                return Entry(path, descriptor)
            os.unlink(path)
    except BaseException:
        os.close(descriptor)
        raise
    finally:
        os.unlink(draft)
    os.close(descriptor)
    return None


def layouts():
    """{tag: what its file says}, without those that are just being made or removed."""
    found = {}
    folder = _folder()
    for name in sorted(os.listdir(folder)):
        if name.endswith(".json"):
            with contextlib.suppress(FileNotFoundError, ValueError):
                with open(os.path.join(folder, name), encoding="utf-8") as file:
                    found[int(name.removesuffix(".json"))] = json.loads(file.read())
    return found


def take(tag):
    """The entry, locked; None while somebody else has it, and where there is none."""
    path = os.path.join(_folder(), f"{tag}.json")
    descriptor = _locked(path, fcntl.LOCK_EX)
    if descriptor is None:
        return None
    if os.fstat(descriptor).st_nlink:
        return Entry(path, descriptor)
    os.close(descriptor)  # its owner removed it just now
    return None


def is_kept(tag):
    """Whether somebody keeps it up."""
    path = os.path.join(_folder(), f"{tag}.json")
    descriptor = _locked(path, fcntl.LOCK_SH)
    if descriptor is None:
        return os.path.exists(path)
    os.close(descriptor)
    return False


def _locked(path, kind):
    """A descriptor; None where that cannot be had now."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor

"""For the case that launch is killed together with all that would clean up after it: a cgroup and a guard.

Launch moves into a cgroup of its own, so that whatever it starts is in there, also what leaves its session and its
parents. The guard, a shell outside of it, waits for launch's end. It gives the group the time to end by itself, kills
what is then left, and removes the cgroup; after a good end nothing is left, and it goes at once.

This needs cgroup v2, the right to make a group below our own, and Linux 5.14 (cgroup.kill). Where it cannot be had,
nothing fails: launch does without, and says why with --log-level info.
"""

import os

ORDERLY_END = 6.0  # seconds on top of grace: a process whose launch is gone ends within grace and 5 s, whatever happens

# Its stdin is launch's pipe; it is in the cgroup's folder, and says nothing of curfew: who ends all processes of that
# name does not end the guard. What an inner launch has made goes first.
_GUARD = """
read -r _
populated() {
    while read -r name value; do [ "$name $value" = "populated 1" ] && return 0; done <cgroup.events
    return 1
}
while [ "$1" -gt 0 ] && populated; do sleep 0.1; set -- "$(($1 - 1))"; done
group=$PWD
tries=100
while [ -d "$group" ] && [ "$tries" -gt 0 ]; do
    populated && echo 1 >cgroup.kill
    find "$group" -depth -type d -exec rmdir {} +
    tries=$((tries - 1))
    [ -d "$group" ] && sleep 0.1
done
"""


def start(grace):
    """Moves this process into a cgroup that a guard watches. Returns why that cannot be, empty if it is done.

    To be called before this process is a subreaper: the guard must not be a child to wait for.
    """
    try:
        group = _make_group()
    except OSError as error:
        return f"{error.filename or 'cgroup v2'}: {error.strerror or error}"
    reader, writer = os.pipe2(os.O_CLOEXEC)
    try:
        _fork_guard(group, reader, str(round(10 * (grace + ORDERLY_END))))
        _enter(group)
        return ""  # the writer stays open until this process ends
    except OSError as error:
        os.close(writer)  # the guard, where there is one, removes the cgroup
        return f"{group}: {error}"
    finally:
        os.close(reader)


def _fork_guard(group, reader, tenths):
    """A grandchild in a session of its own, so that nobody of ours waits for it."""
    child = os.fork()
    if child:
        if os.waitpid(child, 0)[1] != 0:
            os.rmdir(group)
            raise OSError(0, "the guard cannot be started")
        return
    code = 1
    try:
        if os.fork() == 0:
            os.setsid()
            os.chdir(group)
            null = os.open(os.devnull, os.O_RDWR)
            for descriptor, source in ((0, reader), (1, null), (2, null)):
                os.dup2(source, descriptor)
            os.closerange(3, os.sysconf("SC_OPEN_MAX"))
            os.execve("/bin/sh", ["sh", "-c", _GUARD, "sh", tenths], {"PATH": os.defpath})
        code = 0
    finally:
        os._exit(code)


def _make_group():
    group = os.path.join(group_of(os.getpid()), f"curfew-{os.getpid()}")
    if os.path.isdir(group):
        os.rmdir(group)  # of an earlier process with our number, whose guard was killed
    os.mkdir(group)
    if not os.path.exists(os.path.join(group, "cgroup.kill")):
        os.rmdir(group)
        raise OSError(0, "no cgroup.kill: it needs Linux 5.14")
    return group


def can_start():
    """Whether a cgroup may be made here."""
    try:
        os.rmdir(_make_group())
        return True
    except OSError:
        return False


def group_of(pid):
    """The folder of the cgroup that a process is in. Raises OSError."""
    with open(f"/proc/{pid}/cgroup", encoding="utf-8", errors="surrogateescape") as file:
        path = next((line[3:].rstrip("\n") for line in file if line.startswith("0::")), None)
    with open("/proc/self/mounts", encoding="utf-8", errors="surrogateescape") as file:
        mounted = next((fields[1] for fields in map(str.split, file) if fields[2] == "cgroup2"), None)
    if path is None or mounted is None:
        raise OSError(0, "there is none")
    return mounted + path.rstrip("/")


def _enter(group):
    descriptor = os.open(os.path.join(group, "cgroup.procs"), os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(descriptor, b"0")  # this process
    finally:
        os.close(descriptor)

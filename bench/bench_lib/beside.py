"""Our own small C++ programs, which stand beside a group or speak to it: built, run, and what they say."""

import functools
import json
import os
import subprocess

from .group import Failure


def seconds_of(place, name, source, count, *words):
    """What `name` needs to bring the `count` messages of the file `source` into another file."""
    sink = place.file("beside")
    said = run(place, name, "--input", source, "--output", sink, *words)
    if said["messages"] != count or os.path.getsize(sink) != os.path.getsize(source):
        raise Failure(f"{name} lost messages: {said}")
    return said["seconds"]


def race(place, source, count, *words):
    """What the bare race (ceiling.cpp) says of the same messages."""
    sink = place.file("beside")
    said = run(place, "ceiling", "--input", source, "--output", sink, *words)
    if said["messages"] < count or os.path.getsize(sink) != os.path.getsize(source):
        raise Failure(f"the bare race lost messages: {said}")
    return said


def cpu_of(said):
    return sum(said[f"{who}_cpu_s"] for who in ("broker", "collector", "workers"))


def run(place, name, *words):
    """Its one JSON object."""
    return said_by(name, start(place, name, *words))


def start(place, name, *words, stdin=subprocess.DEVNULL):
    return subprocess.Popen([program(place, name), *map(str, words)], stdin=stdin, stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, text=True)


def start_to_stay(place, name, *words):
    """It has more to do when it has said its object: it ends with its stdin, which `process.communicate()` closes."""
    return start(place, name, *words, stdin=subprocess.PIPE)


def said_already(name, process):
    """The object of one that stays."""
    line = process.stdout.readline()
    return json.loads(line) if line else said_by(name, process)


def said_by(name, process):
    """The same of one that was started; waits for its end."""
    with process:
        out, words = process.communicate()
    if process.returncode != 0:
        raise Failure(f"{name}: {words.strip()}")
    return json.loads(out)


def program(place, name):
    """Built first where the binaries lie in a build, else as it lies beside them. A path is taken as it is."""
    return name if os.path.isabs(name) else _built(place.built_in, f"curfew-{name.replace('_', '-')}")


@functools.cache
def _built(bin_dir, name):
    build = os.path.dirname(bin_dir)
    if os.path.exists(os.path.join(build, "CMakeCache.txt")):
        made = subprocess.run(["cmake", "--build", build, "--target", name], capture_output=True, text=True, check=False)
        if made.returncode != 0:
            raise Failure(f"cannot build {name}: {(made.stderr or made.stdout).strip()}")
    path = os.path.join(bin_dir, name)
    if not os.access(path, os.X_OK):
        raise Failure(f"there is no {name} in {bin_dir}, nor a build that could make it: say -DCURFEW_BENCH=ON to cmake")
    return path

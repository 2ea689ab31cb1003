"""Our own small C++ programs, which stand beside a group or speak to it: found or compiled, run, and what they say."""

import json
import os
import subprocess

from .group import Failure

SOURCES = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


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


def start(place, name, *words):
    return subprocess.Popen([program(place, name), *map(str, words)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def said_by(name, process):
    """The same of one that was started; waits for its end."""
    with process:
        out, words = process.communicate()
    if process.returncode != 0:
        raise Failure(f"{name}: {words.strip()}")
    return json.loads(out)


def program(place, name):
    """The one of the build (-DCURFEW_BENCH=ON), else our own, compiled here."""
    built = os.path.join(place.built_in, f"curfew-{name.replace('_', '-')}")
    if os.access(built, os.X_OK):
        return built
    own = place.file(name)
    if not os.path.exists(own):
        compiled = subprocess.run([os.environ.get("CXX", "c++"), "-std=c++20", "-O2", os.path.join(SOURCES, f"{name}.cpp"),
                                   "-o", own, "-lzmq"], capture_output=True, text=True, check=False)
        if compiled.returncode != 0:
            raise Failure(f"cannot compile {name}.cpp: {compiled.stderr.strip()}")
    return own

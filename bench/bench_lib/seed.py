"""What the group of processes costs: the same race inside one process, in C++ and in Go, beside curfew's echo.

Both (seed_daemon.cpp, seed_daemon.go) count the end of every attempt, as curfew does. The Go one is left out where there
is no `go`.
"""

import os
import shutil
import subprocess

from . import beside, echo, messages
from .group import Failure

add_options = echo.add_options


def measure(place, options):
    source, sink = echo.input_of(place, options), place.file("out")
    words = ["--workers", options.workers, "--fanout", options.fanout]
    ending = echo.run(place, options, "--quiet", "--handler", "echo", *words, "--output", sink, "--input", source)
    if wrong := messages.check_file(sink, options.messages, options.size):
        raise Failure(wrong)
    rate = options.messages / ending.flow_s
    figures = {"curfew, first accepted to last settled": (rate, "1/s")}
    figures |= _one(place, "C++", "seed_daemon", source, options, words, rate)
    if not shutil.which("go"):
        return figures | {"one process in Go: no go installed": (0, "")}
    return figures | _one(place, "Go", _compiled_go(place), source, options, words, rate)


def _one(place, language, program, source, options, words, rate):
    other = options.messages / beside.seconds_of(place, program, source, options.messages, *words)
    return {f"one process in {language}": (other, "1/s"), f"one process in {language} / curfew": (other / rate, "x")}


def _compiled_go(place):
    """The program's path; the compiler's cache goes with the place."""
    path = place.file("seed_daemon_go")
    if not os.path.exists(path):
        compiled = subprocess.run(["go", "build", "-o", path, os.path.join(place.root, "bench", "seed_daemon.go")],
                                  env={**os.environ, "GOCACHE": place.file("go-cache")},
                                  capture_output=True, text=True, check=False)
        if compiled.returncode != 0:
            raise Failure(f"cannot compile seed_daemon.go: {compiled.stderr.strip()}")
    return path

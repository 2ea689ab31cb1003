"""What the figures were measured on. Whatever cannot be found out is 'unknown'; nothing here fails."""

import os
import platform
import re
import subprocess

from . import req


def describe(place):
    return {
        "cores": len(os.sched_getaffinity(0)),
        "cpu": _field("/proc/cpuinfo", r"model name\s*:\s*(.+)"),
        "memory_mib": int(_field("/proc/meminfo", r"MemTotal:\s*(\d+)", "0")) // 1024,
        "kernel": f"{platform.system()} {platform.release()}",
        "libzmq": req.version(),
        "commit": _commit(place.root),
        "build_type": _field(os.path.join(os.path.dirname(place.built_in), "CMakeCache.txt"),
                             r"CMAKE_BUILD_TYPE:\w+=(\w+)"),
        "load_before": load(),
    }


def load():
    """Of the last minute: what else ran here."""
    return round(os.getloadavg()[0], 2)


def _commit(root):
    git = lambda *words: subprocess.run(["git", "-C", root, *words], capture_output=True, text=True, check=True).stdout
    try:
        changed = git("status", "--porcelain", "--untracked-files=no").strip()
        return git("rev-parse", "--short", "HEAD").strip() + (" with changes" if changed else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def _field(path, pattern, otherwise="unknown"):
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            match = re.search(pattern, file.read())
    except OSError:
        match = None
    return match[1].strip() if match else otherwise

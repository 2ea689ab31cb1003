"""Removes what a drill leaves that is killed itself: a process beside it, which waits for its end.

Run as a program it reads words from stdin, its folder and the tag of its cluster, and after the end of that it removes
both. A drill that has removed all says `dismiss` before.
"""

import os
import shutil
import signal
import subprocess
import sys

_HERE = os.path.dirname(os.path.realpath(__file__))


class Guard:
    def __init__(self, home):
        self._process = subprocess.Popen([sys.executable, os.path.join(_HERE, "guard.py")], stdin=subprocess.PIPE,
                                         stdout=subprocess.DEVNULL, start_new_session=True)
        self._say(home)

    def _say(self, word):
        self._process.stdin.write(f"{word}\n".encode())
        self._process.stdin.flush()

    def knows(self, tag):
        self._say(tag)

    def dismiss(self):
        self._say("dismiss")
        self._process.stdin.close()
        self._process.wait(20)


def main():
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    said = [line.strip() for line in sys.stdin]
    if not said or said[-1] == "dismiss":
        return
    home, *tag = said
    from drill_lib.group import MARK
    from cluster_lib import processes
    from cluster_lib.cluster import Cluster
    if tag and (cluster := Cluster.take(int(tag[0]))):
        cluster.down()
    for name in os.listdir(home):
        processes.kill_marked(f"{MARK}={os.path.join(home, name)}")
    shutil.rmtree(home, ignore_errors=True)


if __name__ == "__main__":
    sys.dont_write_bytecode = True
    sys.path.insert(0, os.path.dirname(_HERE))
    main()

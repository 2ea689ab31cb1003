"""Asks the programs whether they take what they would be given: `PROGRAM --check ...`, all of them at once.

They alone know what a value may be; launch keeps no copy of limits and grammars. What the first of them refuses becomes
a Refusal in launch's own words: with its names of the flags, once, however many processes would have said it. A program that ends in another way has
judged nothing: the group will tell what is wrong with it, when it starts.
"""

import os
import re
import subprocess

from .exits import Exit, Refusal

_PATIENCE = 20.0  # seconds; a check takes some milliseconds, unless it reads a --config that does not end
_CODES = (Exit.USAGE, Exit.IO)
_OURS = {"--source": "--input", "--sink": "--output", "--results-dir": "--results"}  # what a process calls our flag


class Checks:
    """Started at once, so that other things can be done meanwhile; `settle` waits for them."""

    def __init__(self, processes, given):
        self._given = given  # names of the flags of launch's command line
        self._asked = []
        try:
            for process in processes:
                self._asked.append(_ask(process))
        except OSError as error:
            self.give_up()
            raise Refusal(Exit.INTERNAL, f"cannot start {process.argv[0]}: {error.strerror}") from None

    def settle(self):
        """Raises the Refusal of the first that refuses. After it, none is left."""
        try:
            for asked in self._asked:
                words = asked.communicate(timeout=_PATIENCE)[1].decode("utf-8", "surrogateescape")
                program = os.path.basename(asked.args[0])
                said, _, message = words.partition("\n")[0].partition(f"{program}: ")
                if asked.returncode in _CODES and not said and message:
                    raise Refusal(Exit(asked.returncode), self._in_our_words(message))
        except subprocess.TimeoutExpired:
            raise Refusal(Exit.INTERNAL, f"{' '.join(asked.args[:2])} does not end") from None
        finally:
            self.give_up()

    def give_up(self):
        for asked in self._asked:
            if asked.poll() is None:
                asked.kill()
            asked.communicate()
        self._asked = []

    def _in_our_words(self, message):
        match = re.match(r"--[a-z-]+", message)
        flag = match[0] if match else ""
        variable = "CURFEW_" + flag[2:].upper().replace("-", "_")
        where = f" ({variable} says so)" if flag and flag[2:] not in self._given and os.environ.get(variable) else ""
        ours = flag if flag[2:] in self._given else _OURS.get(flag, flag)
        return ours + message[len(flag):] + where


def _ask(process):
    """As it will be run, in its environment; without launch's pipe, which is not there yet."""
    environment = {**os.environ, **process.environment, "CURFEW_NAME": process.name}
    environment.pop("CURFEW_LIFELINE", None)
    environment.pop("CURFEW_READY_FD", None)
    return subprocess.Popen([process.argv[0], "--check", *process.argv[1:]], env=environment,
                            stdin=process.stdin_descriptor if process.gets_stdin else subprocess.DEVNULL,
                            pass_fds=process.descriptors,
                            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)

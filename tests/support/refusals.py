"""What tests of bad input share: a process that refuses what it was given."""

import re
import signal

from group import GroupTest

USAGE, INCOMPLETE, IO, NO_OUTCOME = 64, 1, 74, 75
ROLES = {"broker": (), "worker": ("--handler", "echo"), "collector": (), "monitor": ()}


class BadInputTest(GroupTest):
    def refuses(self, running, code=USAGE, saying=""):
        """It ends with the code and one line about it; a hint where help is may follow. Returns the line."""
        try:
            self.assertEqual(running.code(), code, running.err)
        finally:
            if running.alive:  # it was taken: let it not be in the way of the next
                running.signal(signal.SIGTERM)
                running.code()
        lines = [line for line in running.err.splitlines() if not re.fullmatch(r"Try '\S+ --help'\.", line)]
        self.assertEqual(len(lines), 1, running.err)
        self.assertEqual(running.out, b"")
        self.assertIn(saying, lines[0])
        return lines[0]

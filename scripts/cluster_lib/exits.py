"""The exit codes of scripts/cluster, and the one exception that carries one: its text is the one line that is said."""

OK, USAGE, UNAVAILABLE, FAILED = 0, 64, 69, 70


class Refusal(Exception):
    def __init__(self, code, text):
        super().__init__(text)
        self.code = code

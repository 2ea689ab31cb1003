"""launch --dry-run: the command of each message as a line for a shell. Runs nothing, starts nothing, writes no file.

A message that is printed as it would be run stands on its line with nothing in it that a terminal obeys: what is not
printable is written as bash's $'...' or, on stdin, as the format of a printf, which any shell understands. A message
that would fail before anything of it is run is named on stderr; what only a process can judge, such as a URL or a
duration, is not judged. Reads its input as the broker does; one message at a time is held, and none that is over
--max-message.
"""

import json
import os
import re
import shlex
import signal
import unicodedata

from . import values
from .exits import Exit, Refusal, usage
from .work import split_pool

_CHUNK = 1 << 16
_DEFAULT_MOST = "1m"  # of --max-message
_UNPRINTABLE = ("Cc", "Cf", "Cs", "Co", "Zl", "Zp")  # kinds of Unicode: what is no text, or turns it around
_SHORT = {"\n": "\\n", "\t": "\\t", "\r": "\\r", "\\": "\\\\"}


def run(options, console):
    """Prints the lines. Returns the exit code; raises Refusal before the first of them."""
    lines_of = _form(options)
    most = values.size(_said(options, "max-message") or _DEFAULT_MOST)
    if most is None:
        raise usage(f"--max-message: '{_said(options, 'max-message')}' is not a size like 4096, 64k or 1m")
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # nothing is to be cleaned up: as any filter
    with _opened(options.given.get("input")) as source, open(1, "wb", closefd=False) as out:
        for number, message, size in _messages(source, b"\0" if options.is_null else b"\n", most):
            try:
                if message is None:
                    raise ValueError(f"{size} bytes are over --max-message")
                for line in lines_of(number, message):
                    out.write(os.fsencode(line) + b"\n")
            except ValueError as why:
                out.flush()  # so that it stands where it belongs
                console.notice(f"message {number} would not be run: {why}")
    return Exit.OK


def _said(options, name):
    return options.given.get(name) or os.environ.get("CURFEW_" + name.upper().replace("-", "_"), "")


# --- the messages ---

def _opened(name):
    try:
        return open(0 if name is None else name, "rb", buffering=0, closefd=name is not None)
    except OSError as error:
        code = Exit.USAGE if isinstance(error, (FileNotFoundError, IsADirectoryError)) else Exit.IO
        raise Refusal(code, f"--input: cannot read {name or 'stdin'}: {error.strerror}") from None


def _messages(source, separator, most):
    """(number, message, size), as curfew-broker cuts them: the last needs no separator. None for one that is too large."""
    number, held, size = 1, [], 0
    while chunk := source.read(_CHUNK):
        parts = chunk.split(separator)
        for place, part in enumerate(parts):
            size += len(part)
            held = [*held, part] if size <= most else []
            if place < len(parts) - 1:
                yield number, b"".join(held) if size <= most else None, size
                number, held, size = number + 1, [], 0
    if size:
        yield number, b"".join(held) if size <= most else None, size


# --- what is run ---

def _form(options):
    """A function from a message and its number to the lines for it; raises ValueError where nothing would be run."""
    if "handler" in options.given:
        raise usage("--dry-run has no meaning with --handler: no command of yours is run")
    if "resume" in options.given:
        raise usage("--dry-run has no meaning with --resume: it prints all messages, and does not know what is done")
    if urls := options.given.get("url"):
        requests = [_request(url, _said(options, "method")) for url in urls]
        return lambda number, message: [of(message) for of in requests]
    programs = [("", options.command)] if options.command else [split_pool(pool) for pool in options.given["pool"]]
    if options.is_coprocess:
        feed = _FRAMINGS.get(_said(options, "framing") or "line")
        if feed is None:
            raise usage(f"--framing: '{_said(options, 'framing')}' is not line, netstring or json")
        return lambda number, message: [f"{_printf(*feed(number, message))} | {_shell(pool, words)}"
                                        for pool, words in programs]
    token = _said(options, "placeholder") or "{}"
    end = "\n" if (_said(options, "stdin") or options.stdin_form[-1]) == "line" else ""
    return lambda number, message: [_command(pool, words, token, message, end) for pool, words in programs]


def _command(pool, words, token, message, end):
    if not any(token in word for word in words[1:]):
        return f"{_printf(message, end)} | {_shell(pool, words)}"
    if b"\0" in message:
        raise ValueError(f"it holds a NUL byte, which no argument can ('{token}')")
    return _shell(pool, [words[0], *[word.replace(token, os.fsdecode(message)) for word in words[1:]]])


def _shell(pool, words):
    return " ".join([f"CURFEW_POOL={_quoted(pool)}"] * bool(pool) + [_quoted(word) for word in words])


def _request(url, method):
    method = method or ("GET" if "{}" in url else "POST")

    def request(message):
        asked = url.replace("{}", _percent_encoded(message))
        body = "" if "{}" in url else f" {_body(message)}"
        return f"{method} {_quoted(asked) if _is_unprintable(asked) else asked}{body}"
    return request


def _body(message):
    return f'"$(printf {_format(message)})"' if b"\0" in message else _quoted(os.fsdecode(message))


def _percent_encoded(message):
    return re.sub(rb"[^A-Za-z0-9._~-]", lambda byte: b"%%%02X" % byte[0][0], message).decode()


def _line(number, message):
    if b"\n" in message:
        raise ValueError("it has a newline, which would end its line: say --framing netstring or json")
    return message, "\n"


def _json(number, message):
    question = {"seq": number, "attempt": 1}
    try:
        question["message"] = message.decode()
    except UnicodeDecodeError:
        import base64

        question["message_base64"] = base64.b64encode(message).decode()
    return json.dumps(question, ensure_ascii=False, separators=(",", ":")).encode(), "\n"


_FRAMINGS = {"line": _line, "json": _json, "netstring": lambda number, message: (b"%d:%b," % (len(message), message), "")}


# --- words of a shell ---

def _is_unprintable(text):
    return any(unicodedata.category(char) in _UNPRINTABLE for char in text)


def _octal(char):
    return "".join(f"\\{byte:03o}" for byte in os.fsencode(char))


def _quoted(text):
    """A word that means this text; with what is not printable a word of bash, ksh and zsh."""
    if not _is_unprintable(text):
        return shlex.quote(text)
    inside = (_SHORT.get(char) or (_octal(char) if _is_unprintable(char) else char) for char in text)
    return "$'" + "".join(inside).replace("'", "\\'") + "'"


def _printf(message, end):
    text = os.fsdecode(message)
    if _is_unprintable(text):
        return f"printf {_format(message + end.encode())}"
    return f"printf {shlex.quote('%s' + end.replace(chr(10), chr(92) + 'n'))} {shlex.quote(text)}"


def _format(data):
    """As the format of a printf, which any shell understands; one that begins with a dash would be an option."""
    inside = [_SHORT.get(char) or (_octal(char) if _is_unprintable(char) else char) for char in os.fsdecode(data)]
    if inside[:1] == ["-"]:
        inside[0] = _octal("-")
    return shlex.quote("".join(inside).replace("%", "%%"))

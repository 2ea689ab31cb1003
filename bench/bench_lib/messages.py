"""Messages for the benches: lines of a fixed size that begin with a number, and the check of what came out."""

import os
import random
import time

DIGITS = 12
CHUNK = 8192  # messages
CHUNK_BYTES = 4 << 20  # the same for large ones


def write(descriptor, first, count, size):
    """Messages first to first + count - 1, each of `size` bytes and a newline; never more than a chunk in memory."""
    tail = "x" * (size - DIGITS) + "\n"
    chunk = max(1, min(CHUNK, CHUNK_BYTES // size))
    for start in range(first, first + count, chunk):
        stop = min(start + chunk, first + count)
        data = memoryview("".join(f"{number:0{DIGITS}d}{tail}" for number in range(start, stop)).encode())
        while data:
            data = data[os.write(descriptor, data):]


def make_file(path, count, size):
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        write(descriptor, 0, count, size)
    finally:
        os.close(descriptor)
    return path


def check_file(path, count, size):
    """None if each message is there once, whole, in any order; else what is wrong."""
    seen = bytearray(count)
    tail = b"x" * (size - DIGITS) + b"\n"
    with open(path, "rb") as file:
        for line in file:
            if line[DIGITS:] != tail or not line[:DIGITS].isdigit() or int(line[:DIGITS]) >= count:
                return f"{path} has a line that was no message: {line[:40]!r}"
            number = int(line[:DIGITS])
            if seen[number]:
                return f"{path} has message {number} twice"
            seen[number] = 1
    missing = count - sum(seen)
    return f"{path} lacks {missing} of {count} messages" if missing else None


def feed_at_random(pipe, count, rate):
    """Numbers from 0, each at its instant: a Poisson process of so many a second, the same one each time."""
    dice = random.Random(1)
    at, number = time.monotonic(), 0
    while number < count:
        now = time.monotonic()
        due = []
        while at <= now and number < count:
            due.append(b"%d\n" % number)
            number += 1
            at += dice.expovariate(rate)
        if due:
            pipe.write(b"".join(due))
            pipe.flush()
        time.sleep(max(0.0, min(at - time.monotonic(), 0.01)))

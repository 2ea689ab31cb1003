"""Which share of the workers' processor time is burned by losers after the win, where the work is a C++ function.

A race of two on two workers with one slot each; each attempt burns 10 ms and looks at its stop token, as that of
`--handler spin:10ms` does. What losers burn before the win is what a race is; what they burn after it is our fault.
The work keeps an account of itself (burner.cpp): when each attempt began and ended, and when it was without a
processor. So an attempt burned in vain from the instant when the first of its task was done, or from its own beginning
where that came later, to its own end, without its pauses.

`bare hops`, for comparison: what as many losers would burn in three hops with nothing in between (ring.cpp, beside work
that spins), if they had a processor all that time; on two cores they have not, since the hops need one.
"""

import subprocess

from . import accounts, beside, cancel, messages, procfile
from .group import Failure, Group
from .req import Client

WORK_MS = 10


def add_options(parser):
    parser.add_argument("--messages", type=int, default=1000)


def measure(place, options):
    count = options.messages
    account = place.file("account")
    times, ending, work_s = _race(place, count, account)
    burned, of_losers, losers, in_vain = _judged(account, count)
    bare_us = cancel.bare_hops(place, min(count, 500))["mean_us"]
    _, late, cancelled = ending.books.attempts[:3]
    return {
        "bare hops": (100 * losers * bare_us / 1e6 / work_s, "%"),
        "wasted": (100 * in_vain / work_s, "%"),
        "losers that began": (losers, ""),
        "losers called home": (sum(times["counts"]), ""),
        "losers ended cancelled": (cancelled, ""),
        "losers ended late": (late, ""),
        "a loser burns after the win: mean": (in_vain / losers * 1e6, "us"),
        "losers burned in the whole / messages x work": (of_losers / (count * WORK_MS / 1000), "x"),
        "cancel time: p50": (times["p50_us"], "us"),
        "cancel time: mean": (times["sum_us"] / sum(times["counts"]), "us"),
        "cancel time: p99": (times["p99_us"], "us"),
        "processor time of the workers": (work_s, "s"),
        "of it in the work": (100 * burned / work_s, "%"),
    }


def _race(place, count, account):
    """Returns the broker's times of cancels, how the group ended, and seconds of processor time of the workers."""
    burner = beside.program(place, "burner")
    place.copy_binaries()  # it is a worker: all of one build
    file = procfile.write(place, [("--slots", 1)] * 2, ("--fanout", 2), sink=f"file:{place.file('out')}", worker=burner)
    open(account, "wb").close()
    with Group(place, "--quiet", file, stdin=subprocess.PIPE, environment={"BURNER_ACCOUNT": account}) as group, \
            Client() as client:
        group.wait_for_workers(client, 2)
        before = accounts.processor_times(group, client)
        messages.write(group.process.stdin.fileno(), 0, count, messages.DIGITS)
        group.wait_for(lambda books: books.settled >= count and books.attempts_in_flight == 0, count)
        after = accounts.processor_times(group, client)
        answer = client.ask(group.endpoint("broker"), "stats")
        group.process.stdin.close()
        ending = group.finish(count)
    if answer is None or answer[0]["cancel_time"]["count"] == 0:
        raise Failure("there were no losers to call home")
    if wrong := messages.check_file(place.file("out"), count, messages.DIGITS):
        raise Failure(wrong)
    work_s = sum(after[name][1] - before[name][1] for name in ("w1", "w2"))
    return answer[0]["cancel_time"], ending, work_s


def _judged(account, count):
    """Seconds burned by all, by losers, how many losers began, and seconds burned by them after the win."""
    attempts = {}
    with open(account, encoding="ascii") as lines:
        for line in lines:
            seq, began, ended, how, *pauses = line.split()
            spans = [tuple(map(int, pause.split("-"))) for pause in pauses]
            attempts.setdefault(int(seq), []).append((int(began), int(ended), how, spans))
    of_winners, of_losers, losers, in_vain = 0, 0, 0, 0
    for seq, of_task in attempts.items():
        done = [attempt for attempt in of_task if attempt[2] == "done"]
        if not done:
            raise Failure(f"no attempt of task {seq} was done")
        winner = min(done, key=lambda attempt: attempt[1])
        of_winners += _burned(winner, 0)
        for loser in of_task:
            if loser is not winner:
                losers += 1
                of_losers += _burned(loser, 0)
                in_vain += _burned(loser, winner[1])
    if len(attempts) != count:
        raise Failure(f"{len(attempts)} tasks in the account in place of {count}")
    if losers == 0:
        raise Failure("no loser began")
    return (of_winners + of_losers) / 1e9, of_losers / 1e9, losers, in_vain / 1e9


def _burned(attempt, since):
    """Nanoseconds that it had a processor after `since`."""
    began, ended, _, pauses = attempt
    since = max(since, began)
    return max(0, ended - since) - sum(max(0, to - max(since, start)) for start, to in pauses)

"""What racing gave: the summary at the end of a run, as text for a person and as JSON for a script.

Made of the books and of what the broker answered last to `stats` (docs/monitor.md), which it leaves behind in the run
directory. A broker that was killed leaves none: then there is what the books know. Pure but for last_stats() and
columns().
"""

import json
import os

from .books import ATTEMPT_ENDS, TASK_ENDS, counted
from .run_dir import LAST_STATS

_LABEL = 10  # columns, as in the lines of the books
_MOST_POOLS, _MOST_REASONS = 10, 5


def last_stats(run_dir):
    """What the broker said last; empty where it could not, or is an older one."""
    try:
        with open(run_dir.file(LAST_STATS), encoding="utf-8") as file:
            said = json.load(file)
        return said if isinstance(said, dict) else {}
    except (OSError, ValueError):
        return {}


def text(books, said, elapsed, width):
    """Lines of at most `width` columns; none where there is no more to say than the books do."""
    if books is None or not said or books.accepted == 0:
        return []
    lines = [_labelled("summary", _overall(books, elapsed))]
    if _time(said, "task_time").get("count"):
        times = _time(said, "task_time")
        lines.append(_labelled("latency", ", ".join(f"{name} {short_time(times[key])}" for name, key in _QUANTILES)))
    lines += _hedges(said.get("hedges") or {})
    lines += _wins(said.get("pools") or [], width)
    lines += _failures(said.get("failures") or [], width)
    return [line[:width] for line in lines]


_QUANTILES = (("p50", "p50_us"), ("p99", "p99_us"), ("p99.9", "p999_us"))


def _labelled(label, words):
    return f"{label:<{_LABEL}}{words}"


def _time(said, name):
    return said.get(name) or {}


def _overall(books, elapsed):
    rate = books.settled / elapsed if elapsed > 0 else 0
    words = f"{counted(books.accepted, 'task')} in {short_time(elapsed * 1e6)} ({rate:,.{0 if rate >= 10 else 1}f}/s)"
    ends = [f"{count} {end}" for end, count in zip(TASK_ENDS, books.tasks) if count]
    return ", ".join([words, *ends])


def _hedges(hedges):
    if not hedges.get("sent"):
        return []
    words = f"{hedges['sent']} sent, {hedges.get('won', 0)} won"
    if hedges.get("saved_us"):
        words += f", {short_time(hedges['saved_us'])} saved at least"
    if hedges.get("withheld"):
        words += f"; {hedges['withheld']} more were due, and there was no budget"
    return [_labelled("hedges", words)]


def _wins(pools, width):
    """Who won, where there are several to choose from."""
    pools = sorted((pool for pool in pools if sum(pool.get(end, 0) for end in ATTEMPT_ENDS)),
                   key=lambda pool: -pool.get("won", 0))
    if len(pools) < 2:
        return []
    all_won = sum(pool.get("won", 0) for pool in pools) or 1
    shown = pools[:_MOST_POOLS]
    bar = max(8, min(30, (width - 40) // 2))
    names = min(max(len(pool["name"]) for pool in shown), max(8, width - _LABEL - bar - 29))
    lines = []
    for pool in shown:
        share = pool.get("won", 0) / all_won
        p99 = _time(pool, "won_time").get("p99_us")
        tail = f"  p99 {short_time(p99)}" if pool.get("won") and p99 else ""
        words = f"{_cut(pool['name'], names):<{names}}  {'#' * round(share * bar):<{bar}} {share:4.0%} {pool.get('won', 0):>7}"
        lines.append(_labelled("" if lines else "wins", words + tail))
    if len(pools) > len(shown):
        lines.append(_labelled("", f"and {counted(len(pools) - len(shown), 'pool')} more"))
    return lines


def _failures(failures, width):
    """Why attempts failed, the most frequent first."""
    lines = []
    for failure in failures[:_MOST_REASONS]:
        about = "about " if failure.get("at_most_too_many") else ""
        example = f" (message {failure['seq']}" + (f" at {failure['worker']})" if failure.get("worker") else ")")
        head = f"{about}{failure['count']} "
        room = max(16, width - _LABEL - len(head) - len(example))
        reason = failure["reason"] if failure["count"] > 1 else failure["reason"].split(":")[0] + ": " + failure["error"]
        lines.append(_labelled("" if lines else "failures", head + _cut(_one_line(reason), room) + example))
    if len(failures) > _MOST_REASONS:
        lines.append(_labelled("", f"and {counted(len(failures) - _MOST_REASONS, 'reason')} more"))
    return lines


def _one_line(words):
    return "".join(c if c.isprintable() else " " for c in words)


def _cut(words, room):
    return words if len(words) <= room else words[: room - 2] + ".."


def as_json(books, said, elapsed, code):
    """One line. Times that nobody knows are null; so are the tasks where there are no books."""
    times = _time(said, "task_time")
    tasks = None
    if books is not None:
        tasks = {"accepted": books.accepted, **dict(zip(TASK_ENDS, books.tasks)), "in_flight": books.tasks_in_flight,
                 "per_s": round(books.settled / elapsed, 3) if elapsed > 0 else None,
                 **{key: times.get(key) if times.get("count") else None for _, key in _QUANTILES}}
    attempts = books and {"started": books.started, **dict(zip(ATTEMPT_ENDS, books.attempts)),
                          "in_flight": books.attempts_in_flight}
    pools = [{"name": pool["name"], **{end: pool.get(end, 0) for end in ATTEMPT_ENDS},
              **{key: _time(pool, "won_time").get(key) if pool.get("won") else None for _, key in _QUANTILES}}
             for pool in said.get("pools") or []]
    return json.dumps({"code": int(code), "elapsed_s": round(elapsed, 6), "tasks": tasks, "attempts": attempts,
                       "hedges": said.get("hedges"), "pools": pools, "failures": said.get("failures") or []})


def short_time(us):
    """Three digits, as 10.1 ms or 2 min 5 s."""
    for unit, factor in (("us", 1), ("ms", 1e3), ("s", 1e6)):
        value = us / factor
        if value < 999.5 and (unit != "s" or value < 99.95):
            return f"{value:.{2 if value < 9.995 else 1 if value < 99.95 else 0}f} {unit}"
    seconds = round(us / 1e6)
    if seconds < 3600:
        return f"{seconds // 60} min {seconds % 60} s"
    return f"{seconds // 3600} h {seconds % 3600 // 60} min"


def whole_time(seconds):
    """As 5 s, or 2 min 5 s: for what changes while it is read."""
    return f"{round(seconds)} s" if seconds < 99.5 else short_time(seconds * 1e6)


def columns():
    """Of the terminal at stderr; 80 where it is none."""
    try:
        return os.get_terminal_size(2).columns or 80  # 0: the terminal does not know
    except OSError:
        return 80

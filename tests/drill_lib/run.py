"""A drill from its beginning to its verdict, on the thread that it is called on."""

import json
import signal
import sys
import time

from cluster_lib.exits import FAILED, Refusal
from cluster_lib.node import NodeError

from .books import Books
from .clients import ERRORS
from .faults import PARTS_NODES, Faults
from .field import Field, NotWell

_STOPS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_LAST = 300  # seconds for all that is left to come
_DRAIN = 60
_AFTERMATH = 3  # seconds in which those who were struck notice all of it
_COUNTS_ARE_OLD = 6  # seconds at most: the server's, of a queue


class _Stopped(BaseException):
    def __init__(self, number):
        super().__init__(number)
        self.number = number


def _stop(number, _):
    raise _Stopped(number)


def run(options):
    """The exit code."""
    for number in _STOPS:
        signal.signal(number, _stop)
    drill = None
    try:
        signal.pthread_sigmask(signal.SIG_BLOCK, _STOPS)  # what it has made by then is known
        drill = Drill(options)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _STOPS)
        return drill.run()
    except Refusal as refusal:
        print(f"drill: {refusal}", file=sys.stderr)
        return refusal.code
    except (NodeError, TimeoutError) as error:
        print(f"drill: {error}", file=sys.stderr)
        return FAILED
    except _Stopped as stopped:
        return 128 + stopped.number
    finally:
        for number in _STOPS:
            signal.signal(number, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _STOPS)
        if drill:
            drill.field.remove()


class Drill:
    def __init__(self, options):
        self._options = options
        self._began = time.monotonic()
        self.books = Books()
        self.field = Field(options, self.books)
        self._wrong = []
        self._dead = 0  # letters
        self._empty_since = None  # the queues; None: they are not

    def run(self):
        self.field.up()
        for part in (self._strike_all, self._end):  # the end also where not all was well: what is lost shows then
            try:
                part()
            except (NotWell, NodeError, *ERRORS) as error:
                self._wrong.append(str(error) or repr(error))
        return self._say()

    def _tell(self, text):
        print(f"{time.monotonic() - self._began:7.1f} s  {text}", file=sys.stderr, flush=True)

    def _strike_all(self):
        self.field.wait_until_well(self._tell)
        self._tell(f"seed {self._options.seed}: all is up")
        faults = Faults(self.field, self._options)
        for number in range(1, self._options.faults + 1):
            time.sleep(faults.pause())
            kind = faults.draw()
            struck, started_again = time.monotonic(), self.field.nodes_started_again
            self.books.fault(struck, kind)
            say = lambda what, head=f"{number:3} {kind}": self._tell(f"{head}: {what}")
            faults.strike(kind, say)
            mended = time.monotonic()
            self.field.wait_until_well(say)
            parts_nodes = kind in PARTS_NODES or self.field.nodes_started_again > started_again
            self.books.over(time.monotonic() if parts_nodes else mended + _AFTERMATH)
            say(f"all is well {time.monotonic() - mended:.1f} s later,"
                f" {self.books.unanswered} messages without an outcome")

    def _end(self):
        """All comes, and then nothing is left at the server either."""
        field = self.field
        if not field.producer.stop():
            self._wrong.append("the producer's last confirmation did not come")
        self._tell("the producer has stopped")
        try:
            field.wait(self._nothing_comes_any_more, "the last outcome", _LAST)
        except NotWell:
            self._wrong.append(f"after {_LAST} s {self.books.unanswered} messages had no outcome, and the queues"
                               f" (messages, outcomes) had {field.depths()}")
        self._dead = field.dead()
        for group in field.groups:
            if wrong := group.end(_DRAIN):
                self._wrong.append(wrong)
        field.consumer.stop()

    def _nothing_comes_any_more(self):
        if not self.field.all_is_empty():
            self._empty_since = None
            return False
        self._empty_since = self._empty_since or time.monotonic()
        return not self.books.unanswered or time.monotonic() - self._empty_since > _COUNTS_ARE_OLD

    def _say(self):
        verdict = {"seed": self._options.seed, **self.books.verdict(),
                   "restarts": sum(sum(group.ends.values()) for group in self.field.groups),
                   "nodes_started_again": self.field.nodes_started_again,
                   "seconds": round(time.monotonic() - self._began, 1), "wrong": self._wrong}
        is_good = not (verdict["lost"] or verdict["unexpected"] or verdict["twice_though_settled"] or self._wrong)
        for name in self.books.lost()[:10]:
            self._tell(f"lost: {name}")
        for name in self.books.unexpected()[:10]:
            self._tell(f"unexpected: {name}")
        for name in self.books.twice_though_settled()[:10]:
            self._tell(f"twice though settled: {name}")
        for what in self._wrong:
            self._tell(f"WRONG: {what}")
        verdict["dead"] = self._dead
        print(json.dumps(verdict) if self._options.json else _table(verdict), flush=True)
        return 0 if is_good else 1


def _table(verdict):
    lines = [f"{name.removesuffix('_s').replace('_', ' '):<14} {value}{' s' if name.endswith('_s') else ''}"
             for name, value in verdict.items() if not isinstance(value, (dict, list))]
    lines += ["", f"{'fault':<14} {'times':>5}  {'longest gap after':>17}  {'twice after':>11}"]
    lines += [f"{kind:<14} {count:>5}  {verdict['gap_after_s'][kind]:>15.2f} s  {verdict['twice_after'].get(kind, 0):>11}"
              for kind, count in verdict["faults"].items()]
    return "\n".join(lines)

"""The commands of scripts/cluster: words in, lines on stdout, an exit code.

`up` is the only one that stays. INT, TERM and HUP end it wherever it is, and it removes all of the cluster before it
leaves; while it does, further ones are ignored. `down` of a cluster that somebody keeps up asks that process to leave,
with TERM, and then removes what is left.
"""

import argparse
import contextlib
import os
import signal
import sys
import time

from . import registry
from .cluster import Cluster
from .exits import FAILED, OK, UNAVAILABLE, USAGE, Refusal
from .node import NodeError
from .processes import wait_for

_STOPS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_LEAVE = 60  # seconds that an `up` may need to leave


class _Stopped(BaseException):
    def __init__(self, number):
        super().__init__(number)
        self.number = number


class _Parser(argparse.ArgumentParser):
    def error(self, message):
        self.exit(USAGE, f"cluster: {message}; see --help\n")

    def format_help(self):
        return self.description.strip() + "\n"


def _parse(text, arguments):
    parser = _Parser(prog="cluster", description=text, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def command(name, *operands):
        one = commands.add_parser(name, description=text)
        for operand in operands:
            one.add_argument(operand, nargs={"words": argparse.REMAINDER, "hosts": "+"}.get(operand))
        if name != "up":
            one.add_argument("--tag", type=int, metavar="K")
        return one
    up = command("up")
    up.add_argument("--nodes", type=int, default=3)
    up.add_argument("--guests", type=int, default=0)
    up.add_argument("--one-address", action="store_true")
    up.add_argument("--queue", default="curfew")
    up.add_argument("--dir")
    for name in ("kill", "start", "cut", "join"):
        command(name, "hosts")
    for name in ("ctl", "exec"):
        command(name, "host", "words")
    command("status")
    command("down").add_argument("--all", action="store_true")
    return parser.parse_args(arguments)


def main(text, arguments):
    options = _parse(text, arguments)
    try:
        return _COMMANDS[options.command](options) or OK
    except Refusal as refusal:
        return _fail(refusal.code, refusal)
    except (NodeError, TimeoutError) as error:
        return _fail(FAILED, error)
    except OSError as error:
        return _fail(FAILED, f"{error.filename or ''}: {error.strerror or error}")
    except _Stopped as stopped:
        return 128 + stopped.number


def _fail(code, why):
    print(f"cluster: {why}", file=sys.stderr)
    return code


def _tell(text):
    print(f"cluster: {text}", file=sys.stderr, flush=True)


# --- up and down ---

def _up(options):
    began = time.monotonic()
    for number in _STOPS:
        signal.signal(number, _stop)
    cluster = None
    try:
        signal.pthread_sigmask(signal.SIG_BLOCK, _STOPS)  # what it has made by then is known
        cluster = Cluster.make(options.nodes, directory=options.dir, one_address=options.one_address,
                               queue=options.queue, guests=options.guests)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _STOPS)
        _tell_what_was_left(cluster.tag)
        _tell(f"starting {_nodes(options.nodes)} in {cluster.directory}, as cluster {cluster.tag}")
        cluster.up(_tell)
        print(_welcome(cluster, time.monotonic() - began), flush=True)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        while True:
            signal.pause()
            cluster.reap()
    finally:
        for number in _STOPS:
            signal.signal(number, signal.SIG_IGN)  # for the commands that remove it, too
        if cluster:
            cluster.down()
            _tell("all of it is removed")


def _stop(number, _):
    raise _Stopped(number)


def _nodes(count):
    return f"{count} node{'s' if count > 1 else ''}"


def _tell_what_was_left(own):
    for tag in registry.layouts():
        if tag != own and not registry.is_kept(tag):
            _tell(f"the `up` of cluster {tag} was killed: scripts/cluster down --tag {tag} removes what is left")


def _welcome(cluster, seconds):
    queue = cluster.queue
    lines = [f"cluster {cluster.tag}: {_nodes(len(cluster.hosts))}, ready after {seconds:.1f} s:"
             f" {cluster.memory() / 1e6:.0f} MB, {cluster.processor_seconds():.1f} s of processor time"]
    lines += [f"    {host}  {url}" for host, url in zip(cluster.hosts, cluster.urls())]
    if cluster.guests:
        lines.append(f"    hosts without a node: {', '.join(cluster.guests)}")
    lines += [f"quorum queues: {queue} (delivery limit 20), {queue}.outcomes, {queue}.dead", *_to_try(cluster),
              "Ctrl-C, or scripts/cluster down, removes it all"]
    return "\n".join(lines)


def _to_try(cluster):
    """Lines to paste: a message, a group, its outcome."""
    at, queue, urls = ",".join(cluster.places()), cluster.queue, cluster.urls()
    return [f"in another terminal{'' if not cluster.network else ', as root too'}:",
            f"    amqp-publish -u {urls[0]} -r {queue} -p -b 'a message'",
            f"    scripts/launch --source 'amqp://{at}/?queue={queue}' --sink 'amqp://{at}/?queue={queue}.outcomes' -- tr a-z A-Z",
            f"    amqp-consume -u {urls[-1]} -q {queue}.outcomes -c 1 cat"]


def _down(options):
    for tag in sorted(registry.layouts()) if options.all else [_the_one(options)]:
        _ask_to_leave(tag)
        if cluster := Cluster.take(tag):
            cluster.down()


def _ask_to_leave(tag):
    """Whoever keeps it up; it removes it."""
    cluster = Cluster.find(tag)
    if cluster and (keeper := cluster.keeper):
        with contextlib.suppress(ProcessLookupError):
            os.kill(keeper, signal.SIGTERM)
        wait_for(lambda: not registry.is_kept(tag), f"the end of its `up`, process {keeper}", _LEAVE)


# --- the others ---

def _the_one(options):
    tags = sorted(registry.layouts())
    if options.tag is not None:
        tags = [tag for tag in tags if tag == options.tag]
    if not tags:
        raise Refusal(UNAVAILABLE, "no such cluster is up" if options.tag is not None else "no cluster is up")
    if len(tags) > 1:
        raise Refusal(USAGE, f"{len(tags)} clusters are up: say --tag {' or --tag '.join(map(str, tags))}")
    return tags[0]


def _found(options, *, guests=False):
    """The cluster that is meant, where it has these hosts: nodes, or guests as well."""
    cluster = Cluster.find(_the_one(options))
    if cluster is None:
        raise Refusal(UNAVAILABLE, "no such cluster is up")
    there = cluster.hosts + (cluster.guests if guests else [])
    for host in getattr(options, "hosts", None) or [options.host]:
        if host not in there:
            raise Refusal(USAGE, f"there is no '{host}', only {', '.join(there)}")
    return cluster


def _kill(options):
    _found(options).kill(*options.hosts)


def _start(options):
    cluster = _found(options)
    _tell(f"starting {', '.join(options.hosts)}; a node waits for those that it last saw running")
    cluster.start(*options.hosts)


def _cut(options):
    _found(options, guests=True).cut(*options.hosts)


def _join(options):
    _found(options, guests=True).join(*options.hosts)


def _ctl(options):
    command, environment = _found(options).nodes[options.host].ctl_command(options.words)
    os.execvpe(command[0], command, environment)


def _exec(options):
    if not options.words:
        raise Refusal(USAGE, "exec: say a command")
    words = [*_found(options, guests=True).enter(options.host), *options.words]
    os.execvp(words[0], words)


def _status(options):
    for tag in [_the_one(options)] if options.tag is not None else sorted(registry.layouts()):
        cluster = Cluster.find(tag)
        if cluster:
            kept = f"kept up by process {cluster.keeper}" if cluster.keeper else "its `up` was killed"
            print(f"cluster {tag}, in {cluster.directory}, {kept}")
            for host in cluster.hosts + cluster.guests:
                print(f"    {_line(cluster, host)}")
    if not registry.layouts():
        print("no cluster is up")


def _line(cluster, host):
    cable = "" if not cluster.network else "cut" if cluster.network.is_cut(host) else "joined"
    if host in cluster.guests:
        return f"{host}  {cluster.network.address(host):<22} {'no node':<8} {cable}"
    node = cluster.nodes[host]
    costs = f"{node.memory() / 1e6:5.0f} MB  {node.processor_seconds():7.1f} s" if node.pid else ""
    state = "running" if node.pid else "down"
    return f"{host}  {f'{node.address}:{node.port}':<22} {state:<8} {cable:<7}{costs}".rstrip()


_COMMANDS = {"up": _up, "down": _down, "status": _status, "ctl": _ctl, "kill": _kill, "start": _start, "cut": _cut,
             "join": _join, "exec": _exec}

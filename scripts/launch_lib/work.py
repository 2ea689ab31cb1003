"""Which workers a quick group has, and what they do: a COMMAND or a handler, as many as --workers; or one for each --url
or --pool. Pure.
"""

import os
import shlex

from . import descriptors
from .exits import usage


def worker_count(options):
    """As many as there are cores, unless said; or one for each service or program."""
    each = options.given.get("url") or options.given.get("pool")
    return len(each) if each else int(options.given.get("workers") or len(os.sched_getaffinity(0)))


def worker_arguments(options):
    """For each worker what stands behind its program's name, and the descriptors of launch that it needs."""
    passed_on = options.passed_on("worker") + (["--report", "full"] if options.wants_details else [])
    if urls := options.given.get("url"):
        return [([*passed_on, "--handler", "http", "--url", url], ()) for url in urls]
    if pools := options.given.get("pool"):
        return [_of_pool(options, passed_on, *split_pool(pool)) for pool in pools]
    words = [*passed_on, "--handler", options.given.get("handler", "coprocess" if options.is_coprocess else "exec")]
    if options.command:
        words += [*options.stdin_form, "--", *options.command]
    return [(words, descriptors.named_in(options.command or ()))] * worker_count(options)


def _of_pool(options, passed_on, name, command):
    handler = "coprocess" if options.is_coprocess else "exec"
    return ([*passed_on, "--pool", name, "--handler", handler, *options.stdin_form, "--", *command],
            descriptors.named_in(command))


def words_of(options):
    """The work, as a person would write it: by this a later run says that it was another one."""
    words = [word for name in ("handler", "url", "pool") for value in _as_list(options.given.get(name))
             for word in (f"--{name}", value)]
    words += ["--coprocess"] if options.is_coprocess else []
    return shlex.join([*words, *(("--", *options.command) if options.command else ())])


def _as_list(value):
    return value if isinstance(value, list) else [value] if value else []


def split_pool(text):
    """`NAME=COMMAND ARG...`, split into words as a shell does it, and nothing else."""
    name, equals, command = text.partition("=")
    if not equals or not name:
        raise usage(f"--pool: '{text}' is not NAME='COMMAND ARG...'")
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise usage(f"--pool {name}: {str(error).lower()} in: {command}") from None
    if not words:
        raise usage(f"--pool {name}: no command")
    return name, words


def check_work(options):
    """Exactly one of COMMAND, --handler, --url and --pool, and what goes with it."""
    said = [what for what, is_said in (("a COMMAND", options.command is not None), ("--handler", "handler" in options.given),
                                       ("--url", "url" in options.given), ("--pool", "pool" in options.given)) if is_said]
    if not said:
        raise usage("nothing to run: give -- COMMAND, --url URL, --pool NAME='COMMAND', --handler NAME or a PROCFILE"
                    " (see --help)")
    if len(said) > 1:
        raise usage(f"both {said[0]} and {said[1]}: give one")
    if options.command == []:
        raise usage("no command: give it after '--'")
    if "workers" in options.given and said[0] in ("--url", "--pool"):
        raise usage(f"--workers has no meaning with {said[0]}: there is one worker for each; --slots says how many attempts"
                    " each works on at a time")
    if options.is_coprocess and said[0] not in ("a COMMAND", "--pool"):
        raise usage(f"--coprocess has no meaning with {said[0]}: it runs a COMMAND, or that of a --pool")
    names = [split_pool(pool)[0] for pool in options.given.get("pool", ())]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise usage(f"--pool {twice} is given twice: give each program a name of its own")
    if "unix-socket" in options.given and len(options.given.get("url", ())) > 1:
        raise usage("--unix-socket has no meaning with several --url: all of them would be asked there; write a PROCFILE"
                    " with a curfew-worker for each")


def remark(options):
    """What may surprise somebody: a service is asked more than once for the same."""
    if "url" not in options.given:
        return ""
    bodies = [url for url in options.given["url"] if "{}" not in url]
    method = options.given.get("method") or ("POST" if bodies else "GET")
    if method in ("GET", "HEAD") or options.fanout == 1:
        return ""
    return (f"a {method} may be sent more than once for a message: attempts race; where that does harm say --fanout 1"
            " --attempts 1, or let the service look at their Idempotency-Key")

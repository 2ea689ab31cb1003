"""launch: runs a group of curfew's processes, once over some messages or as a daemon, until its work is done.

Starts a collector, workers and a broker (or the processes of a Procfile), starts again those that die, ends them all
when the broker has finished or a signal says so, and closes with the broker's books. One thread, standard library only.
Fails with one line on stderr and a code of launch_lib/exits.py; whatever happens, no process and no private run
directory stay behind. When launch itself is killed, the processes notice by their lifelines (see launch_lib/member.py).
"""

import signal

if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # until there is a group to drain: no traceback

import contextlib
import os
import re
import resource
import sys
import traceback

from launch_lib import books as page
from launch_lib import clock, files, guard, summary
from launch_lib.checks import Checks
from launch_lib.console import Console, has_room_for_progress
from launch_lib.exits import Exit, Refusal
from launch_lib.group import Group
from launch_lib.options import ARGUMENTS_OF_PARALLEL, foreign_arguments, parse, read_procfile
from launch_lib.plan import procfile_plan, quick_plan
from launch_lib.run_dir import open_run_dir
from launch_lib.signals import Signals

_SPARE_DESCRIPTORS = 10  # to start a process, to look into /proc

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def main(arguments):
    _hold_standard_descriptors()
    console = Console(quiet=False, shows_progress=False)
    try:
        options = parse(arguments)
        if "help" in options.given:
            from launch_lib import help_page  # who runs work has no need of it

            return _say(help_page.help_text())
        if "version" in options.given:
            return _say(f"launch (curfew) {_version()}\n")
        console = Console(options.quiet, has_room_for_progress(_results_go_elsewhere(options)))
        return _run(options, console)
    except Refusal as refusal:
        console.error(str(refusal))
        return refusal.code
    except OSError as error:
        where = f"{error.filename}: " if isinstance(error.filename, str) else ""
        console.error(f"cannot go on: {where}{error.strerror or error}")
        return Exit.IO
    except Exception as error:
        console.error(f"a fault of launch itself: {error!r}")
        traceback.print_exc()
        return Exit.INTERNAL


def _results_go_elsewhere(options):
    """Not to stdout."""
    if options.procfile is None:
        return "output" in options.given or "sink" in options.given
    words = [word for _, line in read_procfile(options.procfile) for word in line.replace("=", " ").split()]
    return any(word == "--sink" and to != "stdout" for word, to in zip(words, words[1:]))


def _run(options, console):
    options.check_files()
    if "dry-run" in options.given:
        from launch_lib import dry_run

        return dry_run.run(options, console)
    plan = _plan(options)
    signals = Signals()  # before there is anything that a signal could leave behind
    _check_descriptors(len(plan.processes))
    checks = Checks(plan.asked, options.given)
    try:
        run_dir = open_run_dir(options.given.get("run-dir"))
    except BaseException:
        checks.give_up()
        raise
    try:
        checks.settle()
        files.make_anew(options)
        _guard(options, plan, console)
        for remark in (plan.remark, _on_foreign_arguments(options.command)):
            if remark:
                console.notice(remark)
        group = Group(plan, run_dir, console, signals)
        began = clock.now()
        ending = group.run()
        elapsed = clock.now() - began
        books = page.last_books(ending, group.books(), plan.books_expected)
        said = summary.last_stats(run_dir)
    finally:
        run_dir.clear()
    for words in page.closing_words(ending, books, plan.books_expected):
        console.error(words)
    for words in page.remarks(books):
        console.notice(words)
    code = page.exit_code(ending, books, plan.books_expected)
    form = options.given.get("summary", "text")
    if form == "text":
        # The last column is left, as by the progress line: there some terminals wrap
        console.books(summary.text(books, said, elapsed, summary.columns() - 1))
    console.books(books.lines() if books else [])
    if form == "json":
        _say(summary.as_json(books, said, elapsed, code) + "\n")
    if "resume" in options.given and code not in (Exit.OK, Exit.INCOMPLETE, Exit.USAGE):
        console.notice("the same command goes on from here")
    return code


def _check_descriptors(processes):
    """Each process has a pipe to us. Without them it would be started, and fail, again and again."""
    needed = len(os.listdir("/proc/self/fd")) + processes + _SPARE_DESCRIPTORS
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if limit < needed:
        raise Refusal(Exit.IO, f"ulimit -n is {limit}, and launch needs {needed} descriptors for {processes}"
                                    " processes: raise it, or start fewer")


def _on_foreign_arguments(command):
    """COMMAND is given on as it stands; but whoever knows GNU parallel may have meant something else."""
    foreign = next((word for word in command or () if word in ARGUMENTS_OF_PARALLEL), None)
    return f"{foreign_arguments(foreign)}; COMMAND gets it as it stands" if foreign else ""


def _guard(options, plan, console):
    """Against the end of launch and all of its group at once. That there can be none is said with --log-level info."""
    if "CURFEW_TASK" in os.environ:
        return  # this launch is the work of another curfew, which kills it with all it started
    lacking = guard.start(plan.grace)
    if lacking and options.given.get("log-level") in ("debug", "info"):
        console.notice(f"no cgroup ({lacking}): work may outlive a kill of launch and its whole group at once")


def _plan(options):
    bin_dir = os.path.abspath(os.environ.get("CURFEW_BIN_DIR") or os.path.join(ROOT, "build", "bin"))
    if options.procfile is not None:
        return procfile_plan(options, read_procfile(options.procfile), bin_dir)
    plan = quick_plan(options, bin_dir, wish=os.urandom(8).hex())
    for binary in sorted({process.argv[0] for process in plan.processes}):
        if not os.access(binary, os.X_OK):
            raise Refusal(Exit.INTERNAL, f"there is no {binary}: scripts/bootstrap builds it")
    return plan


def _hold_standard_descriptors():
    """Where 0, 1 or 2 is closed, the next file to be opened would pass for it. To use one of these fails, as it should."""
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:  # the lowest that is free is the next to be opened
            os.set_inheritable(os.open(os.devnull, os.O_WRONLY if descriptor == 0 else os.O_RDONLY), True)


def _version():
    try:
        with open(os.path.join(ROOT, "CMakeLists.txt"), encoding="utf-8") as file:
            match = re.search(r"project\s*\(\s*curfew\b[^)]*?\bVERSION\s+([0-9.]+)", file.read(), re.IGNORECASE)
    except OSError:
        match = None
    return match[1] if match else "of unknown version"


def _say(text):
    try:
        os.write(1, text.encode())
        return Exit.OK
    except OSError:
        return Exit.IO


if __name__ == "__main__":
    code = int(main(sys.argv[1:]))
    if sys.stderr is not None:  # it was closed
        with contextlib.suppress(OSError):
            sys.stderr.flush()
    os._exit(code)  # nothing else is buffered, and to take the interpreter apart takes as long as all of a good end

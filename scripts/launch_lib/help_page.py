"""What `launch --help` says. Pure: made from the table of flags."""

from .options import FLAGS

_HEAD = """\
usage: launch [OPTIONS] -- COMMAND [ARG...]    run COMMAND for each message
       launch [OPTIONS] --coprocess -- COMMAND [ARG...]  COMMAND stays, and answers a line with a line
       launch [OPTIONS] --url URL ...          ask a service, or several that do the same
       launch [OPTIONS] --pool NAME='COMMAND' ...  race programs that do the same
       launch [OPTIONS] --handler NAME         the same with a built-in handler
       launch [OPTIONS] PROCFILE               a process group of your own, lines of 'name: command'

Reads messages from stdin, a line each; races each one on up to K workers; writes the first result to stdout, a line
each, and calls the other attempts home. COMMAND gets the message on its stdin, as a line, and writes the result to its
stdout; {} in an argument is replaced by the message. COMMAND is taken byte for byte as it stands behind --. There is no
shell: write -- sh -c '...' for one.

    seq 10 | launch --handler echo
    launch --fanout 3 --hedge 0 --input puzzles --output answers -- ./solve
    launch --url http://a:8080/{} --url http://b:8080/{} --hedge p95 --hedge-budget 5% --deadline 2s < keys
    launch --pool a='cadical -q' --pool b='kissat -q' --hedge 0 --deadline 1m --input names
    launch --source 'amqp://host/?queue=jobs' --sink 'amqp://host/?queue=done' -- ./solve
    launch -I @ --input <(ls) -- awk 'BEGIN { print length(ARGV[1]) }' @

options (defaults in parentheses; DUR needs its unit: 100us, 5ms, 1.5s, 2m, 1h; SIZE is in bytes, or 64k, 1m):
"""
_TAIL = """
--output, --dead-letters and --joblog empty the file they name, or make it; --results takes away the folders of a run
before. With --resume they are gone on with: beside OUTPUT lie OUTPUT.journal and OUTPUT.checkpoint, which say what is
done; a first run begins with none of the three. What is open already is never emptied, but written on from where it is:
stdout, /dev/stdout, /dev/stderr, /dev/fd/N. A FIFO is written when somebody reads it; if the reader goes away, that is
an I/O error. The processes of a PROCFILE empty nothing: their file: sinks append.

--dry-run shows the message on stdin where no argument has {} (else it is there too); what is not printable is $'...'.
sqlite:FILE is a database with a table 'outcomes', a row for each task, which can be read meanwhile, as by
sqlite3 FILE "select seq, result from outcomes". One that has outcomes is gone on with (--resume), or refused.

The environment of COMMAND says what it works on: CURFEW_TASK, CURFEW_SEQ, CURFEW_ATTEMPT, CURFEW_DEADLINE_MS,
CURFEW_WORKER, CURFEW_POOL. Its limits (ulimit) are those of launch. FILE may be /dev/fd/N, which is what <(...) and
>(...) are. Where COMMAND names a /dev/fd/N that is a file, each attempt has it for itself; a pipe to read from is
refused there.

Each line of a PROCFILE is run by /bin/sh, in the folder in which launch was started. With one only --run-dir, --quiet,
--summary and --log-level have a meaning: say the rest to the processes. PATH then begins with the folder of the curfew
binaries, and CURFEW_PROCFILE_DIR names the folder of the PROCFILE.

Where it may, launch runs its group in a cgroup (v2) of its own, so that nothing of it outlives even a kill of all its
processes at once; --log-level info says so where it may not.

The first INT, TERM or HUP drains: what is in flight finishes, nothing new is taken; what was left of the input is said,
and from where to go on. TERM at any of its processes does the same. A second at launch stops now (the same one again
within 0.1 s is still the first). Under systemd say KillMode=mixed: else the work itself gets TERM too.

exit code: 0 every task completed; 1 some did not (with --resume: in this run or before); 64 wrong usage; 69 no queue
server there, or no such queue; 70 the books do not balance, or a process cannot be kept running; 74 I/O error, or no
descriptors (ulimit -n); 75 messages were left without an outcome, or the input was not at its end; 128+n stopped by
signal n.
"""


def help_text():
    lines = [_help_line(flag) for flag in FLAGS if not flag.goes_with]
    for other in dict.fromkeys(flag.goes_with for flag in FLAGS if flag.goes_with):
        lines += ["", f"with {other if ' ' in other else f'--{other}'}:", *[_help_line(flag) for flag in FLAGS if flag.goes_with == other]]
    return _HEAD + "\n".join(lines) + "\n" + _TAIL


def _help_line(flag):
    words = f"[={'|'.join(flag.words)}]" if flag.words else ""
    name = f"{f'-{flag.letter}, ' if flag.letter else ''}--{flag.name}{words} {flag.metavar}".rstrip()
    return f"  {name:<26}{flag.help}" if len(name) < 26 else f"  {name}\n{' ' * 28}{flag.help}"

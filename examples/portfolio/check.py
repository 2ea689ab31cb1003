#!/usr/bin/env python3
"""Checks the answers of the portfolio example and shows who won what.

    check.py [FILE...]          JSON outcomes of one or more runs, by default standard input
    check.py -- COMMAND ARG...  becomes COMMAND, and a child checks what that writes, line by line as it comes;
                                the lines themselves are kept in outcomes.jsonl beside the instances

A model must satisfy every clause of its formula. UNSAT must agree with what is known of the instance: by construction,
or because several solvers agreed when the instances were chosen; and no other answer read may be SAT.
Exit: 0 all answers are right (none at all is not wrong), 1 one is wrong, 64 wrong usage, 74 an I/O error.
"""
import collections
import dataclasses
import json
import os
import signal
import sys


@dataclasses.dataclass(frozen=True)
class Instance:
    name: str
    path: str
    family: str
    status: str  # SAT or UNSAT
    known_by: str  # construction, or solvers


@dataclasses.dataclass(frozen=True)
class Answer:
    instance: Instance
    solver: str  # '' where there is no answer
    seconds: float
    verdict: str  # SAT, UNSAT, or curfew's word for why there is none: expired, failed, cancelled
    wrong: str  # what is wrong with it; '' for nothing


def folder():
    """Where `prepare` puts the instances."""
    here = os.path.dirname(os.path.realpath(__file__))
    default = os.path.join(here, "..", "..", "build", "portfolio")
    return os.path.realpath(os.environ.get("CURFEW_PORTFOLIO_DIR") or default)


def read_instances():
    """In the order of the messages: an outcome's seq counts from 1 in it. Raises OSError."""
    with open(os.path.join(folder(), "manifest.json")) as file:
        entries = json.load(file)["instances"]
    return [Instance(e["name"], os.path.join(folder(), e["file"]), e["family"], e["status"], e["known_by"])
            for e in entries]


def parse_output(text):
    """A solver's output as (verdict, set of literals); verdict is None if it does not say.

    Most speak as in the SAT competitions (`s SATISFIABLE`, `v 1 -2 0`); minisat says `SAT`, then the model in a line.
    """
    verdict, model = None, set()
    for line in text.splitlines():
        words = line.split()
        if words in (["s", "SATISFIABLE"], ["SAT"]):
            verdict = "SAT"
        elif words in (["s", "UNSATISFIABLE"], ["UNSAT"]):
            verdict = "UNSAT"
        elif words[:1] == ["v"] or (words[-1:] == ["0"] and verdict == "SAT"):
            model.update(int(word) for word in words if word != "v")
    return verdict, model - {0}


def false_clause(path, model):
    """The first clause of a DIMACS file that a model does not satisfy, or None."""
    with open(path) as file:
        for line in file:
            if line[0] not in "cp":
                clause = [int(word) for word in line.split()[:-1]]
                if model.isdisjoint(clause):
                    return clause
    return None


def judge(instance, outcome):
    """The Answer that an outcome is."""
    seconds = outcome["latency_us"] / 1e6
    if outcome["outcome"] != "completed":
        return Answer(instance, "", seconds, outcome["outcome"], "")
    verdict, model = parse_output(outcome.get("result", ""))
    if verdict == "SAT":
        wrong = wrong_with_model(instance, model)
    elif verdict == "UNSAT":
        wrong = "it is satisfiable" if instance.status == "SAT" else ""
    else:
        verdict, wrong = "?", "no answer in the solver's output"
    return Answer(instance, outcome["pool"], seconds, verdict, wrong)


def wrong_with_model(instance, model):
    if any(-literal in model for literal in model):
        return "the model says both yes and no"
    clause = false_clause(instance.path, model)
    if clause is not None:
        return f"the model does not satisfy the clause {' '.join(map(str, clause))}"
    return "a model that holds, of what should be unsatisfiable" if instance.status == "UNSAT" else ""


def judge_lines(lines, instances):
    """Yields an Answer for each line of JSON. Raises ValueError for what is no outcome of these instances."""
    for number, line in enumerate(lines, 1):
        try:
            outcome = json.loads(line)
            if outcome["seq"] < 1:
                raise IndexError
            yield judge(instances[outcome["seq"] - 1], outcome)
        except (ValueError, KeyError, TypeError, IndexError) as error:
            raise ValueError(f"line {number} is no outcome of these instances: {line.strip()[:80]!r}") from error


def contradictions(answers):
    """Names of the instances that some say are satisfiable and some that they are not."""
    verdicts = collections.defaultdict(set)
    for answer in answers:
        verdicts[answer.instance.name].add(answer.verdict)
    return [name for name, said in verdicts.items() if {"SAT", "UNSAT"} <= said]


def row(answer, number):
    checks = {"SAT": "model holds", "UNSAT": f"known by {answer.instance.known_by}"}
    check = f"WRONG: {answer.wrong}" if answer.wrong else checks.get(answer.verdict, "")
    took, solver = f"{answer.seconds:8.3f} s", answer.solver or "-"
    return f"{number:3}  {answer.instance.name:30} {answer.verdict:9}{took}  {solver:14} {check}"


def winners(answers):
    """Who won how many of each family, as lines of a table."""
    solvers = sorted({answer.solver for answer in answers} - {""})
    families = list(dict.fromkeys(answer.instance.family for answer in answers))
    titles = [*solvers, "nobody", "in all"]
    yield f"{'won by':12}" + "".join(f"{title:>{len(title) + 2}}" for title in titles)
    for family in [*families, "in all"]:
        mine = [answer for answer in answers if family in (answer.instance.family, "in all")]
        won = collections.Counter(answer.solver for answer in mine)
        counts = [*(won[solver] for solver in solvers), won[""], len(mine)]
        yield f"{family:12}" + "".join(f"{count:{len(title) + 2}}" for count, title in zip(counts, titles))


def summary(answers):
    said = collections.Counter(answer.verdict for answer in answers if not answer.wrong)
    wrong = sum(bool(answer.wrong) for answer in answers)
    return (f"{said['SAT'] + said['UNSAT']} of {len(answers)} solved in {sum(a.seconds for a in answers):.1f} s:"
            f" {said['SAT']} models hold, {said['UNSAT']} UNSAT agree; {wrong} wrong answers")


def report(lines):
    """Prints each answer as it comes and the winners after the last. Returns whether all are right."""
    instances, answers = [], []
    for line in lines:
        instances = instances or read_instances()  # not earlier: at the first run `prepare` is still making them
        [answer] = judge_lines([line], instances)
        answers.append(answer)
        print(row(answer, len(answers)), flush=True)
    if answers:
        print("", *winners(answers), "", summary(answers), sep="\n", flush=True)
    for name in (conflicts := contradictions(answers)):
        print(f"WRONG: {name} is said to be satisfiable and unsatisfiable", flush=True)
    return not conflicts and not any(answer.wrong for answer in answers)


def keep(lines):
    """Passes lines on and writes them to outcomes.jsonl."""
    file = None
    for line in lines:
        file = file or open(os.path.join(folder(), "outcomes.jsonl"), "w")
        file.write(line)
        file.flush()
        yield line


def filter_command(argv):
    """Becomes argv, whose standard output a child of ours reads to its end; so whoever watches us watches argv."""
    reader, writer = os.pipe()
    if os.fork() == 0:
        os.close(writer)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)  # what argv still says at its end counts
        with open(reader) as lines:
            return report(keep(lines))
    os.dup2(writer, 1)
    os.close(reader)
    os.close(writer)
    os.execvp(argv[0], argv)


def main(arguments):
    if arguments[:1] == ["--"] and len(arguments) > 1:
        right = filter_command(arguments[1:])
    elif any(argument.startswith("-") and argument != "-" for argument in arguments):
        print(__doc__.strip(), file=sys.stderr)
        return 64
    else:
        right = report(line for name in arguments or ["-"]
                       for line in (sys.stdin if name == "-" else open(name)))
    return 0 if right else 1


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except ValueError as error:
        print(f"check: {error}", file=sys.stderr)
        sys.exit(1)
    except OSError as error:
        print(f"check: {error}", file=sys.stderr)
        sys.exit(74)

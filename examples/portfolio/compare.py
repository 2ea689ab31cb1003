#!/usr/bin/env python3
"""Measures each solver of the Procfile alone and all of them as a portfolio, checks every answer and prints the table.

    compare.py [--only TEXT] [--resume] [--json] [--launch FILE]

Everything runs through scripts/launch with the Procfile's own workers and deadline, on the same instances:
  - each solver alone, one task at a time;
  - twice more where it was not clearly beaten: of each instance the virtual best solver takes the best of the solvers'
    medians of three (who took more than twice the best time + 50 ms is not asked again, and counts with one run);
  - each solver alone with as many slots, and tasks at a time, as there are solvers: the portfolio's resources;
  - the portfolio, one task at a time, fanout as many as there are solvers.
PAR-2 is the mean time of an instance in seconds, where one that is not solved counts as twice the deadline.

--only takes the instances whose name has TEXT in it; --resume keeps the runs that an earlier call finished; --json
prints the figures as JSON; --launch stands in for scripts/launch. The runs are kept in `compare` beside the instances.
Exit: 0 all answers are right and the aims are met, 1 not so, 64 wrong usage, 70 a run failed, 74 an I/O error.
"""
import argparse
import collections
import dataclasses
import json
import os
import re
import shlex
import shutil
import statistics
import subprocess
import sys
import time

import check

HERE = os.path.dirname(os.path.realpath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
SLACK = 0.050  # seconds: what a race may cost in any case
TOLERANCE = 1.25  # on top of sharing the cores
WANTED_SHARE = 0.95


class RunFailed(Exception):
    pass


@dataclasses.dataclass(frozen=True)
class Setup:
    """What the Procfile says."""

    workers: dict  # solver (its pool): the worker's command
    deadline: str
    launch: str

    @property
    def deadline_s(self):
        number, unit = re.fullmatch(r"([0-9.]+)(ms|s|m)", self.deadline).groups()
        return float(number) * {"ms": 0.001, "s": 1, "m": 60}[unit]

    @property
    def slowdown(self):
        """How much slower a solver is for sharing the cores with the others."""
        return max(1, len(self.workers) / len(os.sched_getaffinity(0)))


@dataclasses.dataclass(frozen=True)
class Run:
    answers: dict  # instance: Answer
    seconds: float  # from launch's start to its end

    def time(self, instance):
        """None where it has no right answer."""
        answer = self.answers[instance]
        return answer.seconds if answer.solver and not answer.wrong else None


def read_procfile(path, launch):
    with open(path) as file:
        commands = [line.split(":", 1)[1].strip() for line in file if re.match(r"[\w-]+:", line)]
    [broker] = [command for command in commands if "curfew-broker" in command]
    workers = [command[command.index("curfew-worker"):]  # without `prepare` before it, which we have run
               for command in commands if "curfew-worker" in command]
    by_pool = {re.search(r"--pool +(\S+)", worker)[1]: worker for worker in workers}
    return Setup(by_pool, re.search(r"--deadline +(\S+)", broker)[1], launch)


def alone(setup, solver, slots):
    """(workers, broker's options) of a solver alone."""
    worker = re.sub(r"--(slots|credit) +\d+", rf"--\1 {slots}", setup.workers[solver])
    return [worker], f"--fanout 1 --window {slots}"


def portfolio(setup):
    return list(setup.workers.values()), f"--fanout {len(setup.workers)} --window 1"


def run(setup, label, instances, workers, options, resume):
    """The instances through one group, as a Run. Raises RunFailed, OSError."""
    folder = os.path.join(check.folder(), "compare", label)
    outcomes, seconds_file = os.path.join(folder, "outcomes.jsonl"), os.path.join(folder, "seconds")
    messages = "".join(f"{instance.path}\n" for instance in instances)
    procfile = "".join(f"worker{number}: {worker}\n" for number, worker in enumerate(workers, 1))
    procfile += (f"broker: curfew-broker --source {shlex.quote(f'file:{folder}/list')} {options}"
                 f" --deadline {setup.deadline}\ncollector: curfew-collector --sink stdout --format json\n")
    if not (resume and os.path.exists(seconds_file)
            and contents(f"{folder}/list") == messages and contents(f"{folder}/Procfile") == procfile):
        print(f"compare: {label}, {len(instances)} instances", file=sys.stderr, flush=True)
        shutil.rmtree(folder, ignore_errors=True)
        os.makedirs(folder)
        write(f"{folder}/list", messages)
        write(f"{folder}/Procfile", procfile)
        start = time.monotonic()
        with open(outcomes, "wb") as stdout:
            code = subprocess.run([setup.launch, "--quiet", f"{folder}/Procfile"], stdin=subprocess.DEVNULL,
                                  stdout=stdout).returncode
        if code not in (0, 1):  # 1: not every task completed
            raise RunFailed(f"{label}: launch exited with {code}")
        write(seconds_file, str(time.monotonic() - start))
    with open(outcomes) as lines:
        answers = {answer.instance: answer for answer in check.judge_lines(lines, instances)}
    if len(answers) != len(instances):
        raise RunFailed(f"{label}: {len(answers)} outcomes of {len(instances)} instances")
    return Run(answers, float(contents(seconds_file)))


def contents(path):
    with open(path) as file:
        return file.read()


def write(path, text):
    with open(path, "w") as file:
        file.write(text)


def measure(setup, instances, resume):
    """All runs: {solver: [Run...]} alone, the first of all instances; {solver: Run} with all slots; the portfolio's."""
    first = {solver: run(setup, f"alone-{solver}-1", instances, *alone(setup, solver, 1), resume)
             for solver in setup.workers}
    runs = {solver: [one] for solver, one in first.items()}
    for solver in setup.workers:
        open_questions = [instance for instance in instances if not clearly_beaten(first, solver, instance)]
        for repetition in (2, 3):
            if open_questions:
                runs[solver].append(run(setup, f"alone-{solver}-{repetition}", open_questions,
                                        *alone(setup, solver, 1), resume))
    slots = len(setup.workers)
    crowded = {solver: run(setup, f"slots-{solver}", instances, *alone(setup, solver, slots), resume)
               for solver in setup.workers}
    return runs, crowded, run(setup, "portfolio", instances, *portfolio(setup), resume)


def clearly_beaten(first, solver, instance):
    times = {name: one.time(instance) for name, one in first.items()}
    best = min((t for t in times.values() if t is not None), default=None)
    return times[solver] is None or times[solver] > 2 * best + SLACK


def median_time(runs, instance):
    """Of the runs that have the instance; None where that is no answer."""
    times = [one.time(instance) for one in runs if instance in one.answers]
    middle = statistics.median_low(float("inf") if t is None else t for t in times)
    return None if middle == float("inf") else middle


def figures(times, deadline_s):
    """solved and PAR-2 of {instance: seconds or None}."""
    solved = [t for t in times.values() if t is not None]
    return {"solved": len(solved), "par2_s": (sum(solved) + 2 * deadline_s * (len(times) - len(solved))) / len(times)}


def evaluate(setup, instances, runs, crowded, race):
    """Everything that the table says, as plain values."""
    times = {solver: {i: median_time(of_solver, i) for i in instances} for solver, of_solver in runs.items()}
    best = {i: min((t[i] for t in times.values() if t[i] is not None), default=None) for i in instances}
    raced = {i: race.time(i) for i in instances}
    wins = collections.Counter(race.answers[i].solver for i in instances)
    solvers = {}
    for solver in setup.workers:
        solvers[solver] = figures(times[solver], setup.deadline_s) | {
            "seconds": runs[solver][0].seconds,
            "best_on": sum(best[i] is not None and times[solver][i] == best[i] for i in instances),
            "wins": wins[solver],
            "all_slots": {"solved": sum(crowded[solver].time(i) is not None for i in instances),
                          "seconds": crowded[solver].seconds}}
    bounds = {i: TOLERANCE * setup.slowdown * best[i] + SLACK for i in instances if best[i] is not None}
    ratios = {i: float("inf") if raced[i] is None else raced[i] / bound for i, bound in bounds.items()}
    answers = [a for one in [*sum(runs.values(), []), *crowded.values(), race] for a in one.answers.values()]
    return {
        "instances": len(instances), "deadline_s": setup.deadline_s, "slowdown": setup.slowdown, "solvers": solvers,
        "portfolio": figures(raced, setup.deadline_s) | {"seconds": race.seconds},
        "virtual_best": figures(best, setup.deadline_s) | {"seconds": sum(t for t in best.values() if t is not None)},
        "within_bound": sum(r <= 1 for r in ratios.values()), "within_twice": sum(r <= 2 for r in ratios.values()),
        "bounded": len(bounds),
        "furthest": [{"instance": i.name, "portfolio_s": raced[i], "best_s": best[i], "bound_s": bounds[i]}
                     for i in sorted(ratios, key=ratios.get, reverse=True)[:5]],
        "answers": sum(bool(a.solver) for a in answers),
        "unsat_by_one_solver": unsat_by_one_solver(answers),
        "wrong": sorted({f"{a.instance.name} by {a.solver}: {a.wrong}" for a in answers if a.wrong}
                        | {f"{name}: SAT and UNSAT" for name in check.contradictions(answers)}),
    }


def unsat_by_one_solver(answers):
    """Instances whose UNSAT only one solver has found and nothing but that solver's word stands for."""
    finders = collections.defaultdict(set)
    for answer in answers:
        if answer.verdict == "UNSAT" and answer.instance.known_by != "construction":
            finders[answer.instance.name].add(answer.solver)
    return sorted(name for name, solvers in finders.items() if len(solvers) == 1)


def aims(result):
    """(what, whether it is met)."""
    single, own = result["solvers"].values(), result["portfolio"]
    share = result["within_bound"] / max(1, result["bounded"])
    bound = f"{TOLERANCE} * {result['slowdown']:g} * virtual best + {SLACK * 1000:.0f} ms"
    return [
        ("solves at least as many as the best single solver", own["solved"] >= max(s["solved"] for s in single)),
        ("has a better PAR-2 than any of them", own["par2_s"] < min(s["par2_s"] for s in single)),
        (f"within {bound} on {result['within_bound']} of {result['bounded']} ({share:.1%}; wanted {WANTED_SHARE:.0%})",
         share >= WANTED_SHARE),
        (f"within twice that on {result['within_twice']} of {result['bounded']} (wanted all)",
         result["within_twice"] == result["bounded"]),
        (f"{result['answers']} answers checked, {len(result['wrong'])} wrong", not result["wrong"]),
    ]


def print_table(result):
    slots = len(result["solvers"])
    print(f"{result['instances']} instances, deadline {result['deadline_s']:g} s, {slots} solvers,"
          f" {len(os.sched_getaffinity(0))} cores\n")
    print(f"{'':15}{'one task at a time':-^41}   {f'{slots} slots':-^17}")
    print(f"{'':15}{'solved':>8}{'PAR-2':>8}{'time':>10}{'best on':>9}{'wins':>6}   {'solved':>7}{'time':>10}")
    for solver, f in result["solvers"].items():
        print(f"{solver:15}{f['solved']:8}{f['par2_s']:8.2f}{f['seconds']:8.1f} s{f['best_on']:9}{f['wins']:6}"
              f"   {f['all_slots']['solved']:7}{f['all_slots']['seconds']:8.1f} s")
    for label, key in (("portfolio", "portfolio"), ("virtual best", "virtual_best")):
        f = result[key]
        print(f"{label:15}{f['solved']:8}{f['par2_s']:8.2f}{f['seconds']:8.1f} s")
    print("\nThe portfolio")
    for what, met in aims(result):
        print(f"  {'yes' if met else 'NO ':4}{what}")
    print("\nFurthest from the virtual best")
    for f in result["furthest"]:
        own = "unsolved" if f["portfolio_s"] is None else f"{f['portfolio_s']:.3f} s"
        print(f"  {f['instance']:32}{own:>10}, alone {f['best_s']:.3f} s, bound {f['bound_s']:.3f} s")
    for name in result["unsat_by_one_solver"]:
        print(f"Only one solver found that {name} is unsatisfiable")
    for what in result["wrong"]:
        print(f"WRONG: {what}")


class Parser(argparse.ArgumentParser):
    def error(self, message):
        self.exit(64, f"compare: {message}\n")


def main():
    parser = Parser(prog="compare.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", metavar="TEXT")
    parser.add_argument("--resume", action="store_true")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--launch", default=os.path.join(ROOT, "scripts", "launch"), metavar="FILE")
    options = parser.parse_args()
    prepared = subprocess.run([os.path.join(HERE, "prepare")], stdout=subprocess.DEVNULL).returncode
    if prepared != 0:
        return prepared
    setup = read_procfile(os.path.join(HERE, "Procfile"), options.launch)
    instances = [instance for instance in check.read_instances() if options.only in instance.name]
    if not instances:
        parser.error(f"no instance has {options.only!r} in its name")
    result = evaluate(setup, instances, *measure(setup, instances, options.resume))
    if options.json:
        print(json.dumps(result, indent=1))
    else:
        print_table(result)
    return 0 if all(met for _, met in aims(result)) else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (RunFailed, ValueError) as error:
        print(f"compare: {error}", file=sys.stderr)
        sys.exit(70)
    except OSError as error:
        print(f"compare: {error}", file=sys.stderr)
        sys.exit(74)
    except KeyboardInterrupt:
        sys.exit(130)

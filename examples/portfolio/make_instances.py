#!/usr/bin/env python3
"""Makes the instances of the portfolio example: DIMACS files, the same bytes each time.

    make_instances.py DIR

DIR gets one file for each instance, `list` (their paths, a line each: the messages of the run) and `manifest.json`
(family, status and how that is known). Every instance has its own seed. The bytes of all of them are checked against
DIGEST, so a Python with another random module is noticed and not silently measured. Nothing is made anew while the
manifest is from this very script. Exit: 0, 64 wrong usage, 70 other bytes than expected, 74 an I/O error.
"""
import hashlib
import itertools
import json
import os
import random
import sys

DIGEST = "bccef97368af27773c44a3973b2d18d7bbd974d093087615daccc491b30c9935"


class Formula:
    """Clauses over variables 1..count."""

    def __init__(self, count=0):
        self.count = count
        self.clauses = []

    def new(self, count):
        self.count += count
        return list(range(self.count - count + 1, self.count + 1))

    def add(self, *literals):
        self.clauses.append(list(literals))

    def at_most_one(self, literals):
        for a, b in itertools.combinations(literals, 2):
            self.add(-a, -b)

    def xor(self, variables, parity):
        """The sum of the variables is `parity`: a clause for each assignment of the other parity."""
        for bits in range(1 << len(variables)):
            if bin(bits).count("1") % 2 != parity:
                self.add(*(-v if bits >> i & 1 else v for i, v in enumerate(variables)))

    def long_xor(self, variables, parity, width=3):
        """The same with links of at most `width` variables, joined by new ones."""
        variables = list(variables)
        while len(variables) > width:
            [link] = self.new(1)
            self.xor(variables[:width - 1] + [link], 0)
            variables = [link] + variables[width - 1:]
        self.xor(variables, parity)


def random_ksat(size, seed, width=3, ratio=4.26, planted=False):
    """`ratio * size` clauses of `width` different variables; planted: all agree with one hidden assignment."""
    rng = random.Random(seed)
    formula = Formula(size)
    hidden = [rng.random() < .5 for _ in range(size + 1)]
    while len(formula.clauses) < round(size * ratio):
        clause = [v if rng.random() < .5 else -v for v in rng.sample(range(1, size + 1), width)]
        if not planted or any((literal > 0) == hidden[abs(literal)] for literal in clause):
            formula.add(*clause)
    return formula


def pigeonhole(pigeons, holes, seed):
    """Each pigeon in a hole of its own, of which there are too few; with a seed other than 0, in random order."""
    formula = Formula()
    rows = [formula.new(holes) for _ in range(pigeons)]
    for row in rows:
        formula.add(*row)
    for column in zip(*rows):
        formula.at_most_one(column)
    if seed:
        shuffle(formula, random.Random(seed))
    return formula


def shuffle(formula, rng):
    names = list(range(1, formula.count + 1))
    rng.shuffle(names)
    signed = [name * rng.choice((-1, 1)) for name in names]
    formula.clauses = [[signed[abs(l) - 1] * (1 if l > 0 else -1) for l in clause] for clause in formula.clauses]
    for clause in formula.clauses:
        rng.shuffle(clause)
    rng.shuffle(formula.clauses)


def parity_chain(size, seed):
    """The same variables added up in two orders, with two different sums: no one can do that."""
    formula = Formula()
    one = formula.new(size)
    other = list(one)
    random.Random(seed).shuffle(other)
    formula.long_xor(one, 0)
    formula.long_xor(other, 1)
    return formula


def parity_graph(size, seed):
    """Tseitin: on a random 3-regular graph the edges at each node have an even sum, at one node an odd one."""
    rng = random.Random(seed)
    while True:
        stubs = [node for node in range(size) for _ in range(3)]
        rng.shuffle(stubs)
        edges = [tuple(sorted(stubs[i:i + 2])) for i in range(0, len(stubs), 2)]
        if all(a != b for a, b in edges) and len(set(edges)) == len(edges):
            break
    formula = Formula()
    at = [[] for _ in range(size)]
    for a, b in edges:
        [edge] = formula.new(1)
        at[a].append(edge)
        at[b].append(edge)
    for node, incident in enumerate(at):
        formula.xor(incident, 1 if node == 0 else 0)
    return formula


def parity_noise(size, seed):
    """Learning parity: a hidden set of `size` bits from 2 * size sums over it, an eighth of them wrong."""
    rng = random.Random(seed)
    samples, wrong = 2 * size, size // 8
    formula = Formula()
    bits = formula.new(size)
    hidden = [rng.randrange(2) for _ in range(size)]
    noisy = set(rng.sample(range(samples), wrong))
    errors = []
    for sample in range(samples):
        chosen = [i for i in range(size) if rng.randrange(2)] or [0]
        value = sum(hidden[i] for i in chosen) % 2 ^ (sample in noisy)
        errors += formula.new(1)
        formula.long_xor([bits[i] for i in chosen] + errors[-1:], value, width=4)
    counters = [formula.new(wrong + 1) for _ in errors]  # counters[i][j]: more than j of the first i + 1 are wrong
    for i, error in enumerate(errors):
        formula.add(-error, counters[i][0])
        for j in range(wrong + 1):
            if i:
                formula.add(-counters[i - 1][j], counters[i][j])
            if i and j:
                formula.add(-error, -counters[i - 1][j - 1], counters[i][j])
    formula.add(-counters[-1][wrong])
    return formula


def colouring(size, seed, edges, colours, planted=False):
    """A random graph in a number of colours; planted: one colouring is known to do."""
    rng = random.Random(seed)
    formula = Formula()
    nodes = [formula.new(colours) for _ in range(size)]
    hidden = [i % colours for i in range(size)]
    rng.shuffle(hidden)
    chosen = set()
    while len(chosen) < edges:
        a, b = sorted(rng.sample(range(size), 2))
        if not planted or hidden[a] != hidden[b]:
            chosen.add((a, b))
    for node in nodes:
        formula.add(*node)
    for node in nodes:
        formula.at_most_one(node)
    for a, b in sorted(chosen):
        for colour in range(colours):
            formula.add(-nodes[a][colour], -nodes[b][colour])
    return formula


def instances():
    """Yields (name, family, status, how that is known, how to make it): by construction, or all that answered agreed.

    The sizes are chosen so that each solver is the best on some of them, and no use on others.
    """
    def name(*parts):
        return "-".join(str(part) for part in parts)

    for size, satisfiable, unsatisfiable in RANDOM:
        for seed in (*satisfiable, *unsatisfiable):
            status = "SAT" if seed in satisfiable else "UNSAT"
            yield name("random", size, seed), "random", status, "solvers", lambda: random_ksat(size, seed)
    for width, size, ratio, seeds in PLANTED:
        for seed in seeds:
            yield (name("planted", f"{width}sat", size, seed), "planted", "SAT", "construction",
                   lambda: random_ksat(size, seed, width, ratio, planted=True))
    for pigeons, holes, seeds in PIGEONHOLE:
        for seed in seeds:
            yield (name("pigeonhole", pigeons, "in", holes, *[seed] if seed else []), "pigeonhole", "UNSAT",
                   "construction", lambda: pigeonhole(pigeons, holes, seed))
    for kind, make, status, sizes in PARITY:
        for size, seed in sizes:
            yield name("parity", kind, size, seed), "parity", status, "construction", lambda: make(size, seed)
    for colours, size, edges, status, seeds in COLOURING:
        for seed in seeds:
            yield (name("colouring", colours, size, seed), "colouring", status, "solvers",
                   lambda: colouring(size, seed, edges, colours))
    for colours, size, edges, seeds in COLOURABLE:
        for seed in seeds:
            yield (name("colouring", colours, size, seed, "planted"), "colouring", "SAT", "construction",
                   lambda: colouring(size, seed, edges, colours, planted=True))


RANDOM = [  # variables, satisfiable seeds, unsatisfiable seeds; 4.26 clauses a variable, where it may go either way
    (200, (2, 4, 8), (1, 5, 6)),
    (220, (3, 4, 7), (2, 5, 8)),
    (240, (2, 7), (4, 8)),
    (250, (5, 6, 8), (1, 2, 3, 7)),
]
PLANTED = [  # literals a clause, variables, clauses a variable, seeds
    (3, 350, 4.3, (2, 3)),
    (3, 400, 4.3, (1,)),
    (3, 450, 4.3, (2, 3)),
    (3, 600, 4.3, (2,)),
    (3, 500, 5, (2, 3)),
    (3, 800, 5.5, (2,)),
    (5, 60, 20, (2, 3)),
    (5, 80, 21, (2,)),
    (5, 120, 20, (3,)),
    (5, 150, 18, (2,)),
    (7, 45, 85, (2,)),
]
PIGEONHOLE = [  # pigeons, holes, seeds of the order (0: as it comes)
    (8, 7, (0,)),
    (9, 8, (0, 1, 2, 3)),
    (10, 8, (0,)),
    (12, 8, (0,)),
    (16, 8, (0,)),
    (10, 9, (0,)),
]
PARITY = [  # kind, maker, status, (size, seed)
    ("chain", parity_chain, "UNSAT", ((28, 1), (32, 1), (32, 2), (36, 1), (45, 1), (60, 1), (100, 1))),
    ("graph", parity_graph, "UNSAT", ((50, 1), (60, 1), (60, 2), (70, 1), (70, 2), (80, 1))),
    ("noise", parity_noise, "SAT", ((20, 1), (22, 1), (22, 2), (26, 2))),
]
COLOURING = [  # colours, nodes, edges, status, seeds
    (3, 500, 1150, "SAT", (2, 3, 5, 6, 8, 9)),
    (3, 600, 1380, "SAT", (3,)),
    (4, 120, 530, "UNSAT", (2, 3)),
    (4, 140, 610, "UNSAT", (2,)),
    (5, 80, 540, "UNSAT", (2, 3)),
    (5, 85, 600, "UNSAT", (5, 7)),
]
COLOURABLE = [  # colours, nodes, edges, seeds; one colouring is planted
    (3, 500, 1150, (2, 3)),
    (3, 600, 1380, (3,)),
]


def dimacs(name, formula):
    lines = [f"c {name}, made by examples/portfolio/make_instances.py", f"p cnf {formula.count} {len(formula.clauses)}"]
    lines += [" ".join(map(str, clause)) + " 0" for clause in formula.clauses]
    return "\n".join(lines).encode() + b"\n"


def write(path, data):
    """The whole file or none of it, whoever else is writing."""
    part = f"{path}.{os.getpid()}"
    with open(part, "wb") as file:
        file.write(data)
    os.replace(part, path)


def main(arguments):
    if len(arguments) != 1 or arguments[0].startswith("-"):
        print(__doc__.strip(), file=sys.stderr)
        return 64
    folder = os.path.abspath(arguments[0])
    manifest = os.path.join(folder, "manifest.json")
    with open(__file__, "rb") as script:
        made_by = hashlib.sha256(script.read()).hexdigest()
    try:
        with open(manifest) as file:
            known = json.load(file)
        fresh = known["made_by"] == made_by and known["folder"] == folder
        if fresh and all(os.path.exists(os.path.join(folder, i["file"])) for i in known["instances"]):
            return 0
    except (OSError, ValueError, KeyError):
        pass
    os.makedirs(folder, exist_ok=True)
    entries, digest = [], hashlib.sha256()
    for name, family, status, known_by, make in instances():
        data = dimacs(name, make())
        digest.update(data)
        write(os.path.join(folder, name + ".cnf"), data)
        entries.append({"name": name, "file": name + ".cnf", "family": family, "status": status, "known_by": known_by})
    if digest.hexdigest() != DIGEST:
        print(f"make_instances: the instances are not the ones that were chosen: digest {digest.hexdigest()},"
              f" expected {DIGEST}; is this a Python whose random module differs?", file=sys.stderr)
        return 70
    write(os.path.join(folder, "list"), "".join(f"{folder}/{e['file']}\n" for e in entries).encode())
    write(manifest, json.dumps({"made_by": made_by, "folder": folder, "instances": entries}, indent=1).encode())
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except OSError as error:
        print(f"make_instances: {error}", file=sys.stderr)
        sys.exit(74)

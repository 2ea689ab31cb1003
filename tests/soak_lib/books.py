"""What launch says at the end, and whether it adds up."""

import re


def ends_of(said, law):
    """(the sum on the left, {end: number}) of the line of a law; None where there is none."""
    found = re.search(rf"^{law} +(\d+) = (.*)$", said, re.MULTILINE)
    if not found:
        return None
    return int(found[1]), {name: int(number) for number, name in re.findall(r"(\d+) ([a-z ]+?)(?: \+|$)", found[2])}


def wrong_books(code, said):
    wrong = [] if code == 0 else [f"launch ended with {code}"]
    for law in ("tasks", "attempts"):
        found = ends_of(said, law)
        if found is None:
            wrong.append(f"no books of the {law}")
        elif found[0] != sum(found[1].values()) or found[1].get("in flight") != 0:
            wrong.append(f"the books of the {law} do not balance: {found}")
    return wrong

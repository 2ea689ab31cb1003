"""Text for people: the machine, then a line for each figure."""


def show(name, machine, rows, runs):
    print(f"{name}, median of {runs} run{'s' if runs > 1 else ''}")
    print(f"  {machine['cpu']}, {machine['cores']} cores, {machine['kernel']}, libzmq {machine['libzmq']},"
          f" {machine['build_type']} build of {machine['commit']}")
    print(f"  load {machine['load_before']} before, {machine['load_after']} after\n")
    width = max(len(row["figure"]) for row in rows)
    print(f"{'':<{width}}  {'median':>12}  {'least':>12}  {'most':>12}  unit")
    for row in rows:
        cells = "  ".join(f"{_number(row[key]):>12}" for key in ("median", "least", "most"))
        print(f"{row['figure']:<{width}}  {cells}  {row['unit']}")


def _number(value):
    if isinstance(value, int) or abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.2f}" if abs(value) >= 10 else f"{value:.3f}"

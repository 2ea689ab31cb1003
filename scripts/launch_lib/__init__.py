"""The parts of scripts/launch.py: options, plan, run directory, books, console, members, orphans, guard,
waiting, group."""

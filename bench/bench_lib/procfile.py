"""A group from a Procfile, for what launch's own flags do not say: a ZeroMQ source or sink, workers that are not alike."""

import os
import shlex

INGEST = "ipc://$CURFEW_RUN_DIR/ingest.sock"
RESULTS = "ipc://$CURFEW_RUN_DIR/out.sock"


def write(place, workers, broker=(), sink="stdout", source="stdin", worker="curfew-worker"):
    """The file's path. `workers` has the flags of each, `worker` is their program; a sink's file is made anew.
    $CURFEW_RUN_DIR is the run directory."""
    if sink.startswith("file:") and os.path.exists(sink.removeprefix("file:")):
        os.unlink(sink.removeprefix("file:"))
    lines = [f'collector: curfew-collector --sink "{sink}"']
    lines += [f"w{number}: {worker} {_words(flags)}" for number, flags in enumerate(workers, start=1)]
    lines += [f'broker: curfew-broker --source "{source}" {_words(broker)}']
    path = place.file("Procfile")
    with open(path, "w", encoding="utf-8") as file:
        file.writelines(f"{line}\n" for line in lines)
    return path


def endpoint(group, name):
    """INGEST or RESULTS as a program outside of the group calls it."""
    return name.replace("$CURFEW_RUN_DIR", group.run_dir)


def _words(flags):
    return shlex.join(map(str, flags))

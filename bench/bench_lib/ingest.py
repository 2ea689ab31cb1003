"""How many messages a second pass through from a producer's ZeroMQ PUSH, one message a frame, to a file.

Beside it, in the same round: the race without books, credit, cancels and failures (ceiling.cpp), which reads a file. The
group has no end of its own; it is drained when the books say that all is settled.
"""

from . import beside, echo, messages, procfile
from .group import Failure, Group
from .req import Client


def add_options(parser):
    echo.add_options(parser)


def measure(place, options):
    source, sink = echo.input_of(place, options), place.file("out")
    ending, producer = flow(place, options, source, sink)
    if wrong := messages.check_file(sink, options.messages, options.size):
        raise Failure(wrong)
    ceiling = beside.seconds_of(place, "ceiling", source, options.messages, "--workers", options.workers)
    rate = options.messages / ending.flow_s
    return {
        "messages, first accepted to last settled": (rate, "1/s"),
        "attempts of a task": (ending.books.started / options.messages, ""),
        "processor time of a message": (ending.cpu_s / options.messages * 1e6, "us"),
        "messages, as the producer sent them": (options.messages / producer["seconds"], "1/s"),
        "ceiling": (options.messages / ceiling, "1/s"),
        "ingest / ceiling": (rate * ceiling / options.messages, "x"),
    }


def flow(place, options, source, sink):
    """(Ending, what the producer said) of one group that ends well."""
    file = procfile.write(place, [("--handler", "echo")] * options.workers, ("--fanout", options.fanout),
                          sink=f"file:{sink}", source=f"zmq:{procfile.INGEST}")
    beside.program(place, "producer")
    with Group(place, "--quiet", file) as group, Client() as client:
        group.wait_for_workers(client, options.workers)
        with beside.start(place, "producer", "--ingest", procfile.endpoint(group, procfile.INGEST), "--input", source) as process:
            try:
                ending = group.drain(options.messages)
                said = beside.said_by("producer", process)
            finally:
                process.kill()  # nothing, where it has ended
    if ending.books.started < echo.ATTEMPTS_SHARE * options.fanout * options.messages:
        raise Failure(f"only {ending.books.started} attempts for {options.messages} tasks, with --fanout {options.fanout}")
    return ending, said

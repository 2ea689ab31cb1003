#!/usr/bin/env python3
"""What hedging gives: the same keys, at the same instants, without and with it.

    examples/http/compare.py [--messages 3000] [--rate 200]
"""

import argparse
import asyncio
import json
import os
import random
import sys

from backends import start_three

LAUNCH = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "scripts", "launch")
RUNS = {
    "one backend, no hedging": (("a",), ("--fanout", "1")),
    "two, hedged at p95, 5%": (("a", "b"), ("--hedge", "p95", "--hedge-budget", "5%")),
    "and the one that fails": (("a", "b", "c"), ("--hedge", "p95", "--hedge-budget", "5%", "--attempts", "5")),
}


async def run(backends, words, messages, rate):
    """Latencies in ms, of those that completed; how many did not; requests in all."""
    urls = [word for backend in backends for word in ("--url", backend.url)]
    before = sum(backend.counts["requests"] for backend in backends)
    launch = await asyncio.create_subprocess_exec(
        LAUNCH, *urls, *words, "--slots", "256", "--json", "--quiet", stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL, limit=1 << 26)
    outcomes = asyncio.ensure_future(launch.stdout.read())
    dice = random.Random(7)  # an open loop: keys come when they come
    for number in range(messages):
        launch.stdin.write(b"key%d\n" % number)
        await asyncio.sleep(dice.expovariate(rate))
    launch.stdin.close()
    found = [json.loads(line) for line in (await outcomes).splitlines()]
    await launch.wait()
    latencies = sorted(outcome["latency_us"] / 1000 for outcome in found if outcome["outcome"] == "completed")
    return latencies, messages - len(latencies), sum(backend.counts["requests"] for backend in backends) - before


async def compare(messages, rate):
    backends = await start_three()
    print(f"{'':<26}{'p50':>8}{'p99':>9}{'p99.9':>9}{'calls':>9}{'failed':>8}")
    for name, (replicas, words) in RUNS.items():
        latencies, failed, calls = await run([backends[replica] for replica in replicas], words, messages, rate)
        at = lambda share: f"{latencies[min(len(latencies) - 1, int(share * len(latencies)))]:.0f} ms"
        print(f"{name:<26}{at(0.5):>8}{at(0.99):>9}{at(0.999):>9}{calls / messages:>8.2f}x{failed:>8}", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--messages", type=int, default=3000)
    parser.add_argument("--rate", type=float, default=200, help="messages a second, at random instants (%(default)s)")
    said = parser.parse_args()
    sys.exit(asyncio.run(compare(said.messages, said.rate)))

"""How many requests a second a worker makes, beside a bare client on the same library; and what 10,000 at once cost.

The service is nginx (`apt-get install nginx`), one process of it, with bodies of 1 KiB. The client (http_client.cpp)
makes the same requests over as many connections. `ab`, where it is there, stands beside both.
"""

import os
import resource
import shutil
import socket
import subprocess
import sys
import time

from . import beside
from .group import ROOT, Failure, Group

sys.path.append(os.path.join(ROOT, "tests", "support"))
from service import Service  # noqa: E402

RUNS = 3
BODY = 1024
MANY = 10_000


def add_options(parser):
    parser.add_argument("--messages", type=int, default=100_000)
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--skip-many", action="store_true", help="not the task of 10,000 attempts")


def measure(place, options):
    figures = {}
    with Nginx(place) as url:
        bare = beside.run(place, "http_client", "--url", url, "--count", options.messages, "--connections",
                          options.connections)
        figures["client on libcurl"] = (options.messages / bare["seconds"], "1/s")
        rate, cpu = _curfew(place, options, url)
        figures["curfew"] = (rate, "1/s")
        figures["curfew / client"] = (rate * bare["seconds"] / options.messages, "x")
        figures["curfew, processor time of a request"] = (cpu * 1e6, "us")
        if shutil.which("ab"):
            figures["ab"] = (_ab(url, options), "1/s")
    figures |= _calls_home(place)
    if not options.skip_many:
        figures |= _many(place)
    return figures


def _curfew(place, options, url):
    source, out = place.file("in"), place.file("out")
    with open(source, "w", encoding="ascii") as file:
        file.writelines(f"{number}\n" for number in range(options.messages))
    with Group(place, "--quiet", "--url", url + "{}", "--fanout", 1, "--slots", options.connections, "--input", source,
               "--output", out, environment=_DIRECT) as group:
        ending = group.finish(options.messages)
    if os.path.getsize(out) != options.messages * (BODY + 1):
        raise Failure(f"{os.path.getsize(out)} bytes of outcomes, not {options.messages * (BODY + 1)}")
    return options.messages / ending.flow_s, ending.cpu_s / options.messages


def _ab(url, options):
    done = subprocess.run(["ab", "-q", "-k", "-n", str(options.messages), "-c", str(options.connections), url + "1"],
                          capture_output=True, text=True, check=True)
    line = next(line for line in done.stdout.splitlines() if line.startswith("Requests per second"))
    return float(line.split()[3])


def _calls_home(place, count=1000):
    """From the first answer to the moment at which the other service sees that its client is gone."""
    import asyncio
    answered, gone = {}, {}

    async def quick(request):
        await asyncio.sleep(0.005)  # the other one has begun by then
        answered[request.path] = time.monotonic()
        return b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx"

    async def slow(request):
        try:
            await asyncio.sleep(1000)
        finally:
            gone[request.path] = time.monotonic()

    services = [Service(quick), Service(slow)]
    try:
        source = place.file("few")
        with open(source, "w", encoding="ascii") as file:
            file.writelines(f"{number}\n" for number in range(count))
        urls = [word for service in services for word in ("--url", service.url + "/{}")]
        with Group(place, "--quiet", *urls, "--hedge", 0, "--window", 4, "--input", source, "--output", place.file("out"),
                   environment=_DIRECT) as group:
            group.finish(count)
        until = time.monotonic() + 10
        while len(gone) < services[1].ends.total() and time.monotonic() < until:
            time.sleep(0.01)
    finally:
        for service in services:
            service.close()
    took = sorted(gone[path] - answered[path] for path in gone if path in answered)
    if len(took) < count / 2:
        raise Failure(f"only {len(took)} losers of {count}")
    return {f"called home: {text}": (1000 * took[int(share * len(took))], "ms")
            for text, share in (("p50", 0.5), ("p99", 0.99))}


def _many(place):
    """One task of 10,000 attempts at one service, which answers when all are there, and then one."""
    import asyncio
    state = {}

    async def answer(request):
        event = state.setdefault("all", asyncio.Event())
        if request.number == MANY:
            state["at"] = time.monotonic()
            event.set()
            return b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\none"
        await event.wait()
        await asyncio.sleep(1000)

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < MANY + 500:
        raise Failure(f"10,000 connections need {MANY + 500} descriptors (ulimit -Hn)")
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    service = Service(answer)
    try:
        began = time.monotonic()
        peak = _race_of_many(place, service)
        return {"10,000 at once: until all are there": (state["at"] - began, "s"),
                "10,000 at once: memory of the worker": (peak, "MiB")}
    finally:
        service.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def _race_of_many(place, service):
    """To its end, with all losers called home. Returns what the worker had in memory at most, in MiB."""
    source = place.file("one")
    with open(source, "w", encoding="ascii") as file:
        file.write("m\n")
    with Group(place, "--quiet", "--url", service.url + "/{}", "--fanout", MANY, "--hedge", 0, "--slots", MANY,
               "--deadline", "2m", "--input", source, "--output", place.file("out"), environment=_DIRECT) as group:
        peak = 0
        while group.look(1):
            peak = max(peak, _worker_mib(group))
            time.sleep(0.05)
        group.finish(1)
    until = time.monotonic() + 10
    while service.ends["reset"] < MANY - 1 and time.monotonic() < until:
        time.sleep(0.01)
    if service.ends["reset"] != MANY - 1:
        raise Failure(f"{service.ends['reset']} connections were seen to be reset, of {MANY - 1}")
    return peak


def _worker_mib(group):
    try:
        with open(os.path.join(group.run_dir, "w1.lock"), encoding="ascii") as file:
            pid = int(file.read().split()[1])
        with open(f"/proc/{pid}/status", encoding="ascii") as file:
            return next(int(line.split()[1]) / 1024 for line in file if line.startswith("VmHWM"))
    except (OSError, ValueError, IndexError, StopIteration):
        return 0


_DIRECT = {name: "" for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY")}

_CONFIG = """
daemon off; master_process off; pid {dir}/pid; error_log {dir}/error;
events {{ worker_connections 4096; }}
http {{
    access_log off; keepalive_requests 1000000000; default_type text/plain;
    client_body_temp_path {dir}/b; proxy_temp_path {dir}/p; fastcgi_temp_path {dir}/f; uwsgi_temp_path {dir}/u;
    scgi_temp_path {dir}/s;
    server {{ listen 127.0.0.1:{port} backlog=4096; location / {{ return 200 "{body}"; }} }}
}}
"""


class Nginx:
    """`with Nginx(place) as url:` one that answers every request with BODY bytes."""

    def __init__(self, place):
        self._program = shutil.which("nginx") or "/usr/sbin/nginx"
        if not os.access(self._program, os.X_OK):
            raise Failure("needs nginx: apt-get install nginx")
        self._dir = place.file("nginx")

    def __enter__(self):
        os.makedirs(self._dir, exist_ok=True)
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            self._port = listener.getsockname()[1]
        config = os.path.join(self._dir, "conf")
        with open(config, "w", encoding="ascii") as file:
            file.write(_CONFIG.format(dir=self._dir, port=self._port, body="x" * BODY))
        self._process = subprocess.Popen([self._program, "-c", config, "-e", os.path.join(self._dir, "error")])
        for _ in range(200):
            with socket.socket() as client:
                if client.connect_ex(("127.0.0.1", self._port)) == 0:
                    return f"http://127.0.0.1:{self._port}/"
            time.sleep(0.05)
        raise Failure("nginx does not start")

    def __exit__(self, *_):
        self._process.terminate()
        self._process.wait(10)

"""Hosts on one machine: network namespaces at a switch, 10.99.TAG.0/24, and the machine as one more host at it.

The switch is a bridge in a namespace of its own. All that the machine's network sees is one link, `curfewTAG`, with the
address 10.99.TAG.1: no forwarding, no firewall rule, and no route out of a host. A bridge on the machine itself would
be under its firewall, which Docker makes drop what it does not know.

All names have the tag in them, so whoever has the tag can remove everything, whatever happened to who made it. The
commands of iproute2, as root. Fails with Refusal.
"""

import ipaddress
import json
import os
import shutil
import signal
import subprocess

from .exits import UNAVAILABLE, Refusal
from .processes import wait_for

TAGS = range(255)
_WIDEST = 16  # bits: a wider route of somebody's is no reason not to use a /24 within it
_ENTER = 'mount --bind "$1" /etc/hosts && hostname "$2" && shift 2 && exec "$@"'  # seen by that command alone


def lack():
    """Why there can be no hosts here, None if there can."""
    if os.geteuid() != 0:
        return "network namespaces need root (sudo)"
    for program in ("ip", "unshare"):
        if not shutil.which(program):
            return f"there is no '{program}' here (install: iproute2 util-linux)"
    return None


def _ip(*words, inside=None, may_fail=False):
    command = ["ip", *(("-n", inside) if inside else ()), *words]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode and not may_fail:
        raise Refusal(UNAVAILABLE, f"{' '.join(command)}: {done.stderr.strip()}")
    return done.stdout


def subnet_of(tag):
    return ipaddress.ip_network(f"10.99.{tag}.0/24")


def is_free(tag):
    """Whether no route of the machine leads to a part of it, and no link has its name."""
    routes = json.loads(_ip("-j", "-4", "route", "show", "table", "all") or "[]")
    known = [ipaddress.ip_network(route["dst"], strict=False) for route in routes if route["dst"] != "default"]
    taken = any(net.prefixlen >= _WIDEST and net.overlaps(subnet_of(tag)) for net in known)
    return not taken and not os.path.exists(f"/sys/class/net/curfew{tag}") and not _namespaces(tag)


def _namespaces(tag):
    names = (line.split()[0] for line in _ip("netns", "list").splitlines() if line.strip())
    return [name for name in names if name.startswith(f"curfew{tag}-")]


class Network:
    """`hosts`: {name: last number of its address}."""

    def __init__(self, tag, hosts, hosts_file):
        self._tag = tag
        self._hosts = hosts
        self._hosts_file = hosts_file  # what the hosts see as /etc/hosts
        self._link = f"curfew{tag}"
        self._switch = f"curfew{tag}-switch"

    def address(self, host):
        return f"10.99.{self._tag}.{self._hosts[host]}"

    def _space(self, host):
        return f"curfew{self._tag}-{host}"

    def _port(self, host):
        return f"to-{host}"

    def up(self):
        names = "".join(f"{self.address(host)} {host}\n" for host in self._hosts)
        with open(self._hosts_file, "w", encoding="ascii") as file:
            file.write("127.0.0.1 localhost\n" + names)
        _ip("netns", "add", self._switch)
        _ip("link", "add", "switch", "type", "bridge", inside=self._switch)
        _ip("link", "set", "switch", "up", inside=self._switch)
        _ip("link", "add", self._link, "type", "veth", "peer", "name", "to-machine", "netns", self._switch)
        self._plug("to-machine")
        _ip("addr", "add", f"10.99.{self._tag}.1/24", "dev", self._link)
        _ip("link", "set", self._link, "up")
        for host in self._hosts:
            self._add(host)

    def _add(self, host):
        space = self._space(host)
        _ip("netns", "add", space)
        _ip("link", "add", "net", "type", "veth", "peer", "name", self._port(host), "netns", self._switch, inside=space)
        self._plug(self._port(host))
        _ip("addr", "add", f"{self.address(host)}/24", "dev", "net", inside=space)
        for link in ("lo", "net"):
            _ip("link", "set", link, "up", inside=space)

    def _plug(self, port):
        _ip("link", "set", port, "master", "switch", "up", inside=self._switch)

    def enter(self, host):
        """The words before a command that is to run there."""
        return ("ip", "netns", "exec", self._space(host), "unshare", "--uts", "sh", "-c", _ENTER, "sh",
                self._hosts_file, host)

    def cut(self, host):
        """Pulls its cable: what it sends and what is sent to it is lost, connections stay as they are."""
        _ip("link", "set", self._port(host), "down", inside=self._switch)

    def join(self, host):
        _ip("link", "set", self._port(host), "up", inside=self._switch)

    def is_cut(self, host):
        links = json.loads(_ip("-j", "link", "show", self._port(host), inside=self._switch, may_fail=True) or "[]")
        return not links or "UP" not in links[0]["flags"]

    def down(self):
        """Kills what runs in the hosts, and removes all that has the tag."""
        for space in _namespaces(self._tag):
            wait_for(lambda: not _killed(space), f"the end of what runs in {space}", 20)
            _ip("netns", "del", space)
        _ip("link", "del", self._link, may_fail=True)  # is gone with the other end of it
        wait_for(lambda: not os.path.exists(f"/sys/class/net/{self._link}"), f"the end of {self._link}", 20)


def _killed(space):
    """The processes that it had just now."""
    pids = [int(pid) for pid in _ip("netns", "pids", space, may_fail=True).split()]
    for pid in pids:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
    return pids

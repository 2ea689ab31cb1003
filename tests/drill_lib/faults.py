"""The faults of a drill: each strikes, lasts for a time that is drawn, and is mended by whoever struck.

What is drawn depends on the seed alone, not on what happens meanwhile: the same seed has the same faults at the same
groups and nodes, for as long. (Who leads a queue does depend on it.)
"""

import os
import random

from .field import SERVER_PATIENCE, NotWell


class Faults:
    def __init__(self, field, options):
        self._field = field
        self._chance = random.Random(f"{options.seed} faults")
        self._kinds = list(options.kinds)
        self._deck = []

    def draw(self):
        """A kind. Each comes once before one comes again."""
        if not self._deck:
            self._deck = self._chance.sample(self._kinds, len(self._kinds))
        return self._deck.pop()

    def pause(self):
        """Seconds until the next."""
        return self._chance.uniform(1, 5)

    def strike(self, kind, say):
        """All of it: when it returns the fault is mended. `say` is called when it has struck, with what it is."""
        KINDS[kind](self, say)

    # --- what is drawn ---

    def _node(self):
        return self._chance.choice(self._field.cluster.hosts)

    def _group(self):
        return self._chance.choice(self._field.groups)

    def _minority(self):
        """A node that does not lead the queue."""
        leader = self._field.leader()
        return self._chance.choice([host for host in self._field.cluster.hosts if host != leader])

    def _lasts(self, least, most, say, what):
        """Quick ones as often as slow ones."""
        seconds = round(least * (most / least) ** self._chance.random(), 1)
        say(f"{what} for {seconds:g} s")
        self._field.rest(seconds, say)

    # --- the faults ---

    def _kill_node(self, host, say):
        self._field.cluster.kill(host)
        self._lasts(1, 10, say, host)
        self._field.start_node(host, say)

    def _kill_leader(self, say):
        self._kill_node(self._field.leader(), say)

    def _kill_any_node(self, say):
        self._kill_node(self._node(), say)

    def _kill_one_of_group(self, role, say):
        group = self._group()
        if not group.kill(role):
            raise NotWell(f"{group.name} has no {role}")
        say(group.name)

    def _kill_broker(self, say):
        self._kill_one_of_group("broker", say)

    def _kill_collector(self, say):
        self._kill_one_of_group("collector", say)

    def _kill_group(self, say):
        group = self._group()
        group.kill_all()
        say(group.name)

    def _cut(self, host, say):
        self._field.cluster.cut(host)
        self._lasts(5, 60, say, host)
        self._field.cluster.join(host)

    def _cut_leader(self, say):
        self._cut(self._field.leader(), say)

    def _cut_minority(self, say):
        self._cut(self._minority(), say)

    def _cut_group(self, say):
        self._cut(self._group().name, say)

    def _alarm(self, say):
        host = self._node()
        self._set_limit(host, "0.00001")
        self._lasts(3, 20, say, host)
        self._set_limit(host, '{absolute, "512MB"}')

    def _set_limit(self, host, limit):
        self._field.cluster.ctl(host, "eval", f"vm_memory_monitor:set_vm_memory_high_watermark({limit}).")

    def _hang(self, say):
        """Work that hangs until the server has lost patience with a group that has it."""
        path = os.path.join(self._field.home, "hang")
        before = self._field.times_impatient()
        with open(path, "xb"):
            pass
        try:
            self._field.producer.say(path)
            say(f"until the server's consumer timeout of {SERVER_PATIENCE} s")
            self._field.wait(lambda: self._field.times_impatient() > before, "the consumer timeout", 60)
        finally:
            os.unlink(path)

    def _remake(self, say):
        host = self._node()
        self._field.delete_queue()
        self._lasts(1, 10, say, f"made anew at {host}, after it was away")
        self._field.make_queue(host)

    def _freeze(self, say):
        """Beyond two heartbeats: the server gives its messages to others."""
        group = self._group()
        group.freeze()
        try:
            self._lasts(15, 35, say, group.name)
        finally:
            group.thaw()


KINDS = {
    "kill-leader": Faults._kill_leader,
    "kill-node": Faults._kill_any_node,
    "kill-broker": Faults._kill_broker,
    "kill-collector": Faults._kill_collector,
    "kill-group": Faults._kill_group,
    "cut-leader": Faults._cut_leader,
    "cut-minority": Faults._cut_minority,
    "cut-group": Faults._cut_group,
    "alarm": Faults._alarm,
    "hang": Faults._hang,
    "remake": Faults._remake,
    "freeze": Faults._freeze,
}
PARTS_NODES = ("cut-leader", "cut-minority")  # they join again, and end connections once more, until all is well
WITH_HOSTS = ("cut-leader", "cut-minority", "cut-group", "kill-leader")  # more than one node, each with a cable

"""What a group cannot do without, and has not: a broker, a worker, a collector, where no process of it is one or will be.

In a private run directory nobody else can join, so a group that lacks one would wait for ever. Reads no clock.
"""

from .plan import Role
from .waiting import GIVE_UP

_NEEDED = {Role.WORKER: "'w1: curfew-worker -- COMMAND'", Role.COLLECTOR: "'collector: curfew-collector'"}
_OF_A_BROKER = "'broker: curfew-broker'"


class Lack:
    def __init__(self, members, is_broker):
        """`is_broker`: whether a member is one, by what it is called or by the books."""
        self._members = members
        self._is_broker = is_broker
        self._since = None

    def may_have(self, role):
        """Whether a process that runs, or will again, has the role, or hides in a script what it is."""
        alive = (member for member in self._members if member.running or member.restart_at is not None)
        return any(member.process.role is role or member.process.role is Role.OTHER and not self._is_broker(member)
                   for member in alive)

    def is_needed(self, role, books):
        """Something is in flight, and no other process that we know to be a worker (a collector) is there for it."""
        others = any(member.process.role is role and (member.running or member.restart_at is not None)
                     for member in self._members)
        return role in _NEEDED and not others and (books is None or books.tasks_in_flight > 0)

    def take(self, now, books, closed):
        """Why the group has to end, once it has lacked something for GIVE_UP; None: it has not. `closed`: none can
        join."""
        role = self._role(books) if closed else None
        if role is None:
            self._since = None
            return None
        if self._since is None:
            self._since = now
        return self._words(role) if now - self._since >= GIVE_UP else None

    def _role(self, books):
        if books is None:  # workers or a collector without a broker; a group that has neither may be anything
            for_a_broker = any(member.process.role in _NEEDED for member in self._members)
            return Role.BROKER if for_a_broker and not self.may_have(Role.BROKER) else None
        role = next((role for role in _NEEDED if not self.may_have(role)), None)
        is_there = books.workers_ready > 0 if role is Role.WORKER else books.collector_synced
        return None if is_there else role

    def _words(self, role):
        ended = [member.name for member in self._members if member.process.role is Role.OTHER and not member.running]
        been = f" ({', '.join(ended[:3])} ended with 0, which is not started again)" if ended else ""
        return (f"there is no {role.name.lower()}: no process of this group is one{been}, and in a private run directory"
                f" none can join: stopping the group; add a line such as {_NEEDED.get(role, _OF_A_BROKER)}")

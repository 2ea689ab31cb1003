"""The supervision of a process group: one loop on one thread, woken by signals and by its timers, that never blocks.

                 first signal             second signal, broker's end, 64/74, crash loop
       RUNNING ---------------> DRAINING ----------------------+
          |                                                    v
          +----------- the same ---------------------------> STOPPING --- kill_at ---> KILLING ---> OVER
                                                 members gone |                           ^  no child left,
                                                              v                           |  or KILL does not help
                                                           SWEEPING ------- kill_at ------+

The first signal is launch's own, or TERM at a member, which tells us by its lifeline. Where there is no broker, or it
has not reached its queue server yet, there is nothing to drain: the group stops.

STOPPING: every member was told to stop, by its lifeline and by TERM. SWEEPING: every member is reaped, what they left
behind got TERM. KILLING: KILL to all that is left, again and again, since it may fork. OVER: nothing is left. Launch is
a subreaper: as long as any descendant lives, there is a child to wait for, so 'no child' means that nothing is left.

If the loop itself fails (a bug), what is left is killed before the error goes up.
"""

import enum
import os
import signal

from . import books as page
from . import clock, descriptors
from .books import Ending
from .exits import Exit
from .lack import Lack
from .member import QUICK_DEATH, QUICK_DEATHS, Member, become_subreaper, descendants, describe, look_at, signal_all
from .options import default_grace
from .orphans import Orphans
from .plan import Role
from .signals import Stops
from .waiting import Patience, for_end, for_members, for_worker

PROGRESS_EVERY = 0.5  # seconds
WATCH_EVERY = 0.5
KILL_EVERY = 0.1
KILL_PATIENCE = 2.0  # after the first KILL: what then still lives hangs in the kernel
STOP_MARGIN = 1.0  # on top of grace, before the KILL
FINISH_MARGIN = 2.0  # the same after a good end
SWEEP_MARGIN = 3.0  # the same for what the members leave behind, counted from the first TERM
_NO_COMMAND = (126, 127)  # of a shell
_ADVICE = {0: "; it is to run until it is told to stop: look at its command",
           **dict.fromkeys(_NO_COMMAND, "; a shell says so of a command that is not there, or cannot be run")}
_OBEDIENT = (0, -signal.SIGTERM, 128 + signal.SIGTERM)  # the last: of a shell whose command got it
_CODES_OF_THE_GROUP = {Role.WORKER: (Exit.USAGE, Exit.IO),
                       **dict.fromkeys((Role.BROKER, Role.COLLECTOR), (Exit.USAGE, Exit.IO, Exit.UNAVAILABLE))}
_CODES_OF_NO_DEATH = (Exit.NO_OUTCOME, Exit.INTERNAL)  # of a broker: the next life would end as this one


class State(enum.Enum):
    RUNNING = enum.auto()
    DRAINING = enum.auto()
    STOPPING = enum.auto()
    SWEEPING = enum.auto()
    KILLING = enum.auto()
    OVER = enum.auto()


class Group:
    def __init__(self, plan, run_dir, console, signals):
        self._plan = plan
        self._run_dir = run_dir
        self._console = console
        self._signals = signals
        self._members = [Member(process) for process in plan.processes]
        self._page = page.Page(run_dir.file("books"))
        self._orphans = Orphans(run_dir.path, plan.grace)
        self._state = State.RUNNING
        self._ending = Ending()
        self._stops = Stops()
        self._foreign = set()  # keys of the children that we had before there was a group
        self._stop_at = self._kill_at = self._give_up_at = 0.0
        self._progress_at = self._watch_at = 0.0
        self._to_connect = plan.source
        self._patience = Patience()
        self._lack = Lack(self._members, self._is_broker)

    def run(self):
        """Runs the group to its end. Returns why it ended (books.Ending)."""
        self._foreign = {seen.key for seen in descendants()}
        become_subreaper()
        try:
            self._start_all()
            while self._state is not State.OVER:
                self._turn(clock.now())
                if self._state is not State.OVER:
                    meant = self._time_to_next(clock.now())
                    self._signals.wait(meant, self._said_on())
                    clock.look(meant)
        finally:
            if self._state is not State.OVER:
                signal_all(self._descendants(), signal.SIGKILL)
        return self._ending

    def books(self):
        return self._page.read()

    # --- the loop ---

    def _turn(self, now):
        while number := self._signals.take_stop():
            self._on_signal(number, now)
        self._listen(now)
        self._console.notice_if(self._stops.take_words(now))
        left = self._reap(now)
        for member in self._members:
            if self._supervises and member.may_start(now):
                self._start(member, now)
        self._kill_orphans(now)
        self._watch(now)
        if not self._supervises:
            self._press_on(now, left)
        if self._to_connect and self.books():  # a broker's page comes after its connection
            self._console.notice(f"takes messages from {self._to_connect} until INT or TERM; they drain what it has")
            self._to_connect = ""
        if self._console.shows_progress and now >= self._progress_at and self._supervises:
            self._progress_at = now + PROGRESS_EVERY
            self._console.progress(now, self.books())

    def _time_to_next(self, now):
        instants = [member.restart_at for member in self._members
                    if member.restart_at is not None and not member.outlived_by]
        instants.append(self._watch_at)
        if self._stops.words_at is not None:
            instants.append(self._stops.words_at)
        if not self._supervises:
            instants.append(self._kill_at)
        else:
            instants += [self._progress_at] if self._console.shows_progress else []
            instants += [look_at] if (look_at := self._orphans.look_at) is not None else []
        return max(0.0, min(instants) - now)

    @property
    def _supervises(self):
        return self._state in (State.RUNNING, State.DRAINING)

    # --- starts and ends of members ---

    def _start_all(self):
        now = clock.now()
        for member in self._members:
            if self._supervises:
                self._start(member, now)

    def _start(self, member, now):
        try:
            member.start(self._run_dir.path)
        except OSError as error:
            self._on_death(member, now, f"cannot be started: {error.strerror or error}", f"{member.name}")
            return
        if self._state is State.DRAINING and self._is_broker(member):
            member.say("drain")  # that came while it was dead
        if member.process.gets_stdin:
            descriptors.let_go_of(member.process.stdin_descriptor or 0)

    def _reap(self, now):
        """Takes every end there is. Returns whether any child is left."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return False
            if pid == 0:
                return not self._foreign or bool(self._descendants())
            self._orphans.suspect()
            member = next((member for member in self._members if member.pid == pid), None)
            if member is not None:
                self._on_end(member, pid, os.waitstatus_to_exitcode(status), now)
            else:
                self._on_end_of_left_behind(pid, os.waitstatus_to_exitcode(status))

    def _descendants(self):
        """Without those of the shell that has become this launch (`exec launch ... > >(cat)`), and what they start."""
        return descendants(lambda seen: seen.key in self._foreign)

    def _kill_orphans(self, now):
        """As long as the group lives: at its end all that is left goes."""
        if not self._supervises or (look_at := self._orphans.look_at) is None or now < look_at:
            return
        if words := self._orphans.kill({member.pid for member in self._members}):
            self._console.notice(f"killed work whose worker and supervisor died: {words}")

    def _on_end(self, member, pid, code, now):
        is_broker, lifeline = self._is_broker(member), member.lifeline
        shell, pid = pid, self._own_pid(member)
        member.reaped()
        if pid != shell and self._is_left_behind(pid):  # its shell is gone, it is not, and ends with its lifeline
            member.outlived_by, member.outlived_lifeline = pid, lifeline
            os.kill(pid, signal.SIGCONT)  # a child of ours that is not reaped yet
        else:
            self._say_end(member, pid, code, lifeline)
        obeyed = self._obeyed(code)
        role = member.process.role
        if code in _CODES_OF_THE_GROUP.get(Role.BROKER if is_broker else role, ()) and not self._ending.nothing_taken:
            self._ending.process_code = self._ending.process_code or code
            self._stop(now, STOP_MARGIN)  # its own message stands on stderr already
        elif not self._supervises:
            return
        elif is_broker:
            self._on_broker_end(member, pid, code, now)
        elif code == 0 and role is Role.OTHER:
            self._on_good_end(member, pid, now)
        elif obeyed:
            self._on_obedience(member, pid, code, now)
        else:
            how = "left" if code == 0 else "died"
            self._on_death(member, now, f"{how} ({describe(code)})", f"{member.name} (pid {pid})", code)

    def _own_pid(self, member):
        """What its hello says: not the pid of a shell that a Procfile's line has left in between."""
        return self._run_dir.process(member.name, member.started_on) or member.pid

    def _is_left_behind(self, pid):
        """Whether it is a child of ours, alive or not reaped yet, that came to us when its parent died."""
        seen = look_at(pid)
        return seen is not None and seen.parent == os.getpid() and all(member.pid != pid for member in self._members)

    def _on_end_of_left_behind(self, pid, code):
        member = next((member for member in self._members if member.outlived_by == pid), None)
        if member is not None:
            member.outlived_by = 0
            self._say_end(member, pid, code, member.outlived_lifeline)

    def _say_end(self, member, pid, code, lifeline):
        for other in self._members:
            other.say(f"{'left' if code == 0 or self._obeyed(code) else 'died'} {member.name} {pid} {lifeline}")

    def _obeyed(self, code):
        """Who ends in a drain as one ends that was told to has not died."""
        return self._state is State.DRAINING and code in _OBEDIENT

    def _on_broker_end(self, member, pid, code, now):
        books = self.books()
        left = self._state is State.DRAINING and books is not None and books.state == page.STOPPED_EARLY
        meant = left or books is not None and (books.state == page.DRAINED or books.halted)
        if code == 0 or code == Exit.NO_OUTCOME and meant:  # the books say what was left of the input
            self._finish(now)
            return
        is_ending = self._state is not State.RUNNING or books is not None and books.halted
        if member.process.goes_on and not is_ending and code not in _CODES_OF_NO_DEATH:
            for other in self._members:
                other.say("alone")  # sooner than they would notice, so that they are free for the next life
            self._on_death(member, now, f"died ({describe(code)})", f"broker (pid {pid})", code)
            return
        self._console.error(f"broker (pid {pid}) died ({describe(code)}): stopping the group")
        self._ending.broker_died = True
        self._stop(now, STOP_MARGIN)

    def _on_good_end(self, member, pid, now):
        """A producer that finished. Without a broker, or with one that is done behind a script, so is the group."""
        books = self.books()
        if not self._has_broker() or (books is not None and books.state in page.STATES_OF_AN_END):
            self._console.notice(f"{member.name} (pid {pid}) has ended: stopping the group")
            self._finish(now)

    def _on_obedience(self, member, pid, code, now):
        """In a drain it had nothing more to do, or TERM was sent to the whole group: it comes back only if it has to."""
        who = f"{member.name} (pid {pid})"
        if self._lack.is_needed(member.process.role, self.books()):
            self._on_death(member, now, f"has ended ({describe(code)}) before the work in flight has", who, forgiven=True)
        else:
            self._console.notice(f"{who} has ended ({describe(code)}): the group drains, it is not started again")

    def _on_death(self, member, now, what, who, code=None, forgiven=False):
        lived = now - member.started_at
        wait = member.deaths.count(lived, forgiven)
        no_command = code in _NO_COMMAND and lived < QUICK_DEATH  # it will not be there the next time
        is_broker = member.process.role is Role.BROKER
        if is_broker and not member.process.goes_on or wait is None or no_command:
            many = "" if wait is not None else f", {QUICK_DEATHS} times in a row within a second of its start"
            self._console.error(f"{who} {what}{many}: stopping the group{_ADVICE.get(code, '')}")
            self._ending.broker_died = is_broker and member.process.goes_on
            self._ending.cannot_run = not self._ending.broker_died
            self._stop(now, STOP_MARGIN)
            return
        member.restart_at = now + wait
        in_ms = f"{wait * 1000:.0f} ms" if wait < 1 else f"{wait:.1f} s"
        self._console.notice(f"{who} {what}, starting it again in {in_ms}")

    def _is_broker(self, member):
        """By what it is called, or (behind a script of the user's) by the books."""
        if member.process.role is Role.BROKER:
            return True
        if member.process.role is not Role.OTHER:
            return False
        books = self.books()
        return books is not None and books.broker_pid in (member.pid, self._own_pid(member))

    def _has_broker(self):
        return any(self._is_broker(member) for member in self._members) or self.books() is not None

    # --- waiting ---

    def _watch(self, now):
        """Says what the group waits for when that takes long, and ends one that waits for what cannot come."""
        if now < self._watch_at:
            return
        self._watch_at = now + WATCH_EVERY
        if not self._supervises:
            running = [member.name for member in self._members if member.running]
            self._console.notice_if(self._patience.take(now, for_members(running, self._kill_at - now)))
            return
        books = self.books()
        if books is not None and books.state in page.STATES_OF_AN_END:
            return
        if books is not None:
            wait = for_end(books, self._state is State.DRAINING) or for_worker(books, self._lack.may_have(Role.WORKER))
            self._console.notice_if(self._patience.take(now, wait))
        if why := self._lack.take(now, books, closed=self._run_dir.private and not self._plan.open):
            self._console.error(why)
            self._ending.cannot_run = True
            self._stop(now, STOP_MARGIN)

    # --- the end of the group ---

    def _on_signal(self, number, now):
        if not self._stops.is_new(number, now):
            return
        if self._state is State.RUNNING:
            self._drain(now)
        elif self._stops.count == 1:  # the group was ending by itself, or a member had asked for the drain
            if self._state is State.DRAINING:
                self._stops.begin(now, "draining already; once more to stop now")
        else:
            self._ending.signal = self._ending.signal or number
            if self._supervises:
                self._console.notice("stopping now")
                self._stop(now, STOP_MARGIN)
            else:
                self._kill_at = min(self._kill_at, now)  # asked once more: no patience is left

    def _said_on(self):
        return [said_on for member in self._members if (said_on := member.says_on) is not None]

    def _listen(self, now):
        """TERM at a member is a drain of the group: whoever sends it to all of them at once means no more than that."""
        for member in self._members:
            if member.asks_for_drain() and self._state is State.RUNNING:
                self._console.notice(f"{member.name} (pid {member.pid}) got TERM: that is a drain of the group")
                self._drain(now)

    def _drain(self, now):
        books = self.books()
        if books is None and self._to_connect:  # it may wait for that server for long
            self._console.notice(f"stopping: nothing was taken from {self._to_connect} yet")
            self._ending.nothing_taken = True
            self._stop(now, STOP_MARGIN + default_grace())  # --grace is for workers: a broker has its own
            return
        if not self._has_broker():
            self._stop(now, STOP_MARGIN)
            return
        self._state = State.DRAINING
        in_flight = books.tasks_in_flight if books else 0
        self._stops.begin(now, f"draining, {in_flight} in flight; once more to stop now")
        for member in self._members:
            member.say("drain")

    def _finish(self, now):
        """A good end. Where the broker has drained all is in the books, and nobody is left to hear the others."""
        books = self.books()
        if self._plan.brokers <= 1 and books is not None and books.state == page.DRAINED:
            for member in self._members:
                member.say("over")  # before TERM: who stops then waits for no answer
        self._stop(now, FINISH_MARGIN)

    def _stop(self, now, margin):
        if not self._supervises:
            return
        self._console.notice_if(self._stops.take_words(self._stops.same_until))
        self._state = State.STOPPING
        self._stop_at = now
        self._kill_at = now + self._plan.grace + margin
        for member in self._members:
            member.restart_at = None
            member.say("stop")  # before TERM, which alone is a wish for a drain to one of curfew's
            member.signal(signal.SIGTERM)
            member.signal(signal.SIGCONT)  # who was stopped would not hear of it

    def _press_on(self, now, left):
        """The moves from STOPPING to OVER."""
        if not left:
            self._state = State.OVER
        elif self._state is State.STOPPING and not any(member.running for member in self._members):
            self._state = State.SWEEPING
            self._kill_at = min(now + self._plan.grace, self._stop_at + self._plan.grace + SWEEP_MARGIN)
            remaining = self._descendants()
            signal_all(remaining, signal.SIGTERM)
            signal_all(remaining, signal.SIGCONT)
        if self._state is not State.OVER and now >= self._kill_at:
            self._kill(now)

    def _kill(self, now):
        remaining = self._descendants()
        if self._state is not State.KILLING:
            self._state = State.KILLING
            self._give_up_at = now + KILL_PATIENCE
            names = [f"{member.name} (pid {member.pid})" for member in self._members if member.running]
            if names:
                self._console.notice(f"did not stop in time, killed: {', '.join(names)}")
        elif now >= self._give_up_at:
            self._console.error(f"cannot be killed, left behind: {', '.join(str(seen.pid) for seen in remaining)}")
            self._state = State.OVER
            return
        signal_all(remaining, signal.SIGKILL)
        self._kill_at = now + KILL_EVERY

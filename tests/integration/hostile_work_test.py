"""Work that attacks what runs it: it stops, traces or kills its supervisor. The deadline holds all the same, nothing of
it is left, its slot takes the next message, and what the outcome says of it is true.
"""

import json
import os
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))

from group import PYTHON, GroupTest, attempts_running, eventually  # noqa: E402

TRACE = """
import ctypes, os, time
if ctypes.CDLL(None).ptrace(16, os.getppid(), 0, 0) == 0:  # PTRACE_ATTACH
    os.waitpid(os.getppid(), 0x40000000)
    open(os.environ["TEST_HOME"] + "/traced", "w").close()
time.sleep(1000)
"""


class SupervisorTest(GroupTest):
    def run_hostile(self, attack, deadline="5s", grace="1s"):
        """One message whose work attacks, then one that is good, in one slot. Returns (outcome of the attack, launch)."""
        script = f'read -r word; [ "$word" = good ] && exec echo done; (setsid sleep {self.sleep} &); {attack}'
        launch = self.launch("--workers", "1", "--fanout", "1", "--deadline", deadline, "--grace", grace, "--json",
                             "--", "sh", "-c", script, stdin="pipe")
        launch.feed(b"bad\n")
        launch.writes(1)
        launch.feed(b"good\n")
        launch.end_of_input()
        self.ends_well(launch, code=1)
        bad, good = sorted((json.loads(line) for line in launch.lines), key=lambda outcome: outcome["seq"])
        self.assertEqual((good["outcome"], good.get("result")), ("completed", "done"), launch.err)
        self.nothing_runs(self.sleep)
        return bad, launch

    def test_work_that_stops_its_supervisor_expires_at_its_deadline(self):
        bad, launch = self.run_hostile("kill -STOP $PPID; sleep 777")
        self.assertEqual(bad["outcome"], "expired")
        self.assertRegex(bad["error"], r"^deadline exceeded: \d+\w+$")
        self.assertRegex(launch.err, r"supervisor_stopped pid=\d+ attempt=\d+\.\d+ next=continue")

    def test_work_that_stops_its_supervisor_when_it_is_to_stop_expires_too(self):
        bad, launch = self.run_hostile("trap 'kill -STOP $PPID' TERM; while :; do sleep 0.01; done")
        self.assertEqual(bad["outcome"], "expired")
        self.assertRegex(bad["error"], r"^deadline exceeded: \d+\w+$")
        self.assertNotIn("not even when it is killed", launch.err)

    def test_work_that_stops_its_supervisor_again_and_again_is_killed_with_it(self):
        bad, launch = self.run_hostile("while :; do kill -STOP $PPID; done", deadline="15s")
        self.assertEqual(bad["outcome"], "failed", bad)
        self.assertIn("its supervisor was stopped", bad["error"])
        self.assertRegex(launch.err, r"supervisor_stopped pid=\d+ attempt=\d+\.\d+ next=kill")

    def test_work_that_traces_its_supervisor_is_killed_with_it(self):
        bad, launch = self.run_hostile(f"exec {PYTHON} {self.write('trace.py', TRACE)}", deadline="20s")
        if not os.path.exists(self.path("traced")):
            self.skipTest("needs a kernel that lets a process trace another (ptrace_scope 0 or 1)")
        self.assertEqual(bad["outcome"], "failed", bad)
        self.assertIn("its supervisor was stopped", bad["error"])
        self.assertIn("next=kill", launch.err)

    def test_work_that_kills_its_supervisor_fails_with_its_whole_tree(self):
        bad, _ = self.run_hostile("kill -KILL $PPID; sleep 777", deadline="15s")
        self.assertEqual((bad["outcome"], bad["error"]), ("failed", "its supervisor died"))

    def test_work_that_stops_its_own_tree_expires_at_its_deadline(self):
        bad, _ = self.run_hostile(f"sleep {self.sleep} & kill -STOP $! $$")
        self.assertEqual(bad["outcome"], "expired")
        self.assertRegex(bad["error"], r"^deadline exceeded: \d+\w+$")

    def test_work_that_stops_the_supervisors_of_others_holds_up_nobody(self):
        script = ('read -r word; case $word in '
                  'bad) for i in $(cat /proc/$(cut -d" " -f4 /proc/$PPID/stat)/task/*/children); do kill -STOP $i; done;; '
                  f'*) [ "$word" = good ] || sleep {self.sleep};; esac; echo $word')
        launch = self.launch("--workers", "1", "--slots", "3", "--fanout", "1", "--deadline", "15s", "--quiet", "--",
                             "sh", "-c", script, stdin="pipe")
        launch.feed(b"other\n")
        eventually(lambda: attempts_running(self.sleep), "work in one slot")
        launch.feed(b"bad\n")
        launch.says("supervisor_stopped")
        launch.feed(b"good\ngood\ngood\n")
        launch.writes(4)
        self.assertTrue(launch.alive)
        self.assertEqual(sorted(launch.lines), ["bad", "good", "good", "good"])
        launch.signal(15)
        launch.signal(2)
        launch.code()
        self.nothing_runs(self.sleep)


if __name__ == "__main__":
    unittest.main()

#!/usr/bin/env python3
"""Outcomes that cannot be written: a reader of stdout that stands still, and a hole under
--keep-order. While as many bytes as the backlog wait for the sink the broker takes no message; what
is kept meanwhile has a bound; when the sink goes on, every message has its outcome once.

Counted, not timed: without a bound all messages would be accepted before the work comes to a rest.
"""

import os
import subprocess
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))

from group import GroupTest, eventually, numbers  # noqa: E402

MESSAGES = 120
SIZE = 100_000  # bytes of a result, beside its number
BACKLOG = 1 << 20
WORKERS, CREDIT = 2, 2
# The collector says how much waits whenever that has grown by 1 MiB; then come the results in flight.
MOST = BACKLOG + (1 << 20) + WORKERS * CREDIT * (SIZE + 10)
WORK = f'head -c {SIZE} /dev/zero | tr "\\0" x; printf " %s" "$1"'


class ReaderTest(GroupTest):
    def group(self, *words, work=WORK, **how):
        return self.launch("--run-dir", self.run_dir, "--workers", str(WORKERS), "--slots", str(CREDIT),
                           "--deadline", "none", *words, "--", "sh", "-c", work, "sh", "{}", stdin=numbers(MESSAGES),
                           environment={"CURFEW_BACKLOG": str(BACKLOG), "CURFEW_CREDIT": str(CREDIT)}, **how)

    def stands(self, running):
        """The group's snapshots once the backlog is full and only so many attempts are left at the workers."""
        def look():
            group = self.snapshots()
            workers = [one for one in group.values() if one["role"] == "worker"]
            if len(workers) < WORKERS or not {"broker", "collector"} <= group.keys():
                return None
            left = sum(one["held"][state] for one in workers for state in ("queued", "running", "cancelling"))
            return group if left == running and group["broker"]["backlog_bytes"] >= BACKLOG else None
        return eventually(look, lambda: f"the intake to stand: {self.snapshots().get('broker')}")

    def keeps_no_more_than_is_promised(self, group):
        accepted = group["broker"]["tasks"]["accepted"]
        self.assertLessEqual(accepted * SIZE, MOST + (1 << 16), "messages were taken above the backlog")
        self.assertLessEqual(group["collector"]["sink"]["waiting_bytes"], MOST)
        self.assertLessEqual(sum(one.get("kept_bytes", 0) for one in group.values()), MOST)

    def each_comes_once(self, lines):
        self.assertEqual(sorted(int(line.split()[1]) for line in lines), list(range(1, MESSAGES + 1)))
        self.assertEqual({len(line.split()[0]) for line in lines}, {SIZE})

    def no_message_is_taken_until_the_reader_goes_on(self, fanout):
        reader, writer = os.pipe()
        launch = self.group("--fanout", str(fanout), stdout=writer)
        os.close(writer)
        with open(reader, encoding="ascii") as outcomes:
            self.keeps_no_more_than_is_promised(self.stands(running=0))
            self.each_comes_once(outcomes.read().splitlines())
        self.ends_well(launch)

    def test_while_the_reader_stands_no_message_is_taken(self):
        self.no_message_is_taken_until_the_reader_goes_on(fanout=1)

    def test_while_the_reader_stands_no_message_is_taken_in_a_race_either(self):
        self.no_message_is_taken_until_the_reader_goes_on(fanout=2)

    def test_what_waits_behind_a_hole_counts_as_well(self):
        gate = self.path("gate")
        os.mkfifo(gate)
        launch = self.group("--fanout", "1", "--output", self.path("out"), "--keep-order",
                            stdout=subprocess.DEVNULL, work=f'if [ "$1" = 1 ]; then read -r word < {gate}; fi; {WORK}')
        self.keeps_no_more_than_is_promised(self.stands(running=1))
        self.let_go("gate")
        self.ends_well(launch)
        with open(self.path("out"), encoding="ascii") as file:
            lines = file.read().splitlines()
        self.each_comes_once(lines)
        self.assertEqual([int(line.split()[1]) for line in lines], list(range(1, MESSAGES + 1)), "in order")


if __name__ == "__main__":
    unittest.main()

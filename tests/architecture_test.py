"""The arrows between the folders: who may include whom. docs/architecture.md says why."""

import pathlib
import re
import unittest

ROOT = pathlib.Path(__file__).resolve().parent.parent
INCLUDE = re.compile(r'^\s*#\s*include\s+["<]([^">]+)[">]', re.MULTILINE)
PROGRAMS = ("broker", "worker", "collector", "monitor")

# The cores: what decides does no I/O, reads no clock, writes no log.
PURE = [
    "common/words/vocabulary", "common/tables/interval_set", "common/tables/dense_table", "common/tables/timer_heap", "common/tables/histogram", "common/wire/stream",
    "common/wire/wire", "common/wire/wire_reader", "common/wire/wire_writer", "broker/ledger", "broker/roster", "broker/hedging", "broker/dispatcher", "broker/dispatcher_workers",
    "broker/dispatcher_collector", "broker/dispatcher_recall", "broker/shared_batches", "broker/end_log", "broker/hearsay", "common/words/limits", "worker/session", "worker/session_work", "worker/standstill", "common/tables/bad_records", "collector/judge",
]
FORBIDDEN_IN_PURE = re.compile(r"zmq|spdlog|fmt/|<thread>|<mutex>|common/(log|socket|daemon|options|run_dir)\.h|Clock::now|<iostream>")


def sources(folder):
    return [path for path in (ROOT / folder).rglob("*") if path.suffix in (".h", ".cpp")]


def includes(path):
    return INCLUDE.findall(path.read_text())


# Where the counts of a core are shown.
COUNTS = {"broker/dispatcher.h": "broker/snapshot.cpp", "broker/hedging.h": "broker/snapshot.cpp",
          "worker/session.h": "worker/server.cpp", "collector/judge.h": "collector/server.cpp"}


class Counts(unittest.TestCase):
    def test_whatever_is_counted_is_shown(self):
        with_counts = {str(path.relative_to(ROOT)) for folder in PROGRAMS for path in sources(folder)
                       if "struct Counts {" in path.read_text()}
        self.assertEqual(with_counts, set(COUNTS), "say where its counts are shown")
        for header, shown_in in COUNTS.items():
            body = (ROOT / header).read_text().partition("struct Counts {")[2].partition("\n    };")[0]
            names = re.findall(r"(\w+)(?: = 0|\{\})[,;]", body)
            self.assertGreater(len(names), 2, header)
            text = (ROOT / shown_in).read_text()
            for name in names:
                self.assertRegex(text, rf"\w\.{name}\b", f"{header}: {name} is counted, and {shown_in} does not show it")


class Documents(unittest.TestCase):
    def test_the_index_of_decisions_has_each_of_them_once(self):
        index, _, rest = (ROOT / "docs/decisions.md").read_text().partition("\n## ")
        index = index.replace("\n  ", " ")  # an entry may go on in a second line
        headings = re.findall(r"^## (.*)$", "## " + rest, re.MULTILINE)
        self.assertEqual(sorted(re.findall(r"^- \[(.*)\]\(#", index, re.MULTILINE)), sorted(headings))
        for heading, anchor in re.findall(r"^- \[(.*)\]\(#(.*)\)$", index, re.MULTILINE):
            self.assertEqual(anchor, re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-"))


class Arrows(unittest.TestCase):
    def test_programs_never_include_each_other(self):
        for folder in PROGRAMS:
            for path in sources(folder):
                for name in includes(path):
                    other = name.split("/")[0]
                    if other in PROGRAMS:
                        self.assertEqual(other, folder, f"{path.relative_to(ROOT)} includes {name}")

    def test_common_knows_no_program(self):
        for path in sources("common"):
            for name in includes(path):
                self.assertNotIn(name.split("/")[0], PROGRAMS, f"{path.relative_to(ROOT)} includes {name}")

    def test_only_common_and_the_shells_see_zeromq(self):
        allowed = {"common/process/socket.h", "common/process/connection_events.h", "common/process/daemon.h", "broker/source.h", "common/process/peer_watch.h", "monitor/client.h"}
        for folder in ("common",) + PROGRAMS:
            for path in sources(folder):
                if "zmq.hpp" in includes(path):
                    self.assertIn(str(path.relative_to(ROOT)), allowed)

    def test_msgpack_stays_in_the_codec(self):
        for folder in ("common",) + PROGRAMS:
            for path in sources(folder):
                if any(name.startswith("msgpack") for name in includes(path)):
                    self.assertIn(str(path.relative_to(ROOT)), ("common/wire/wire_reader.cpp", "common/wire/wire_writer.cpp"))

    def test_cores_are_pure(self):
        for name in PURE:
            self.assertTrue(any((ROOT / (name + suffix)).exists() for suffix in (".h", ".cpp")), f"{name} is no more")
            for suffix in (".h", ".cpp"):
                path = ROOT / (name + suffix)
                if not path.exists():
                    continue
                for number, line in enumerate(path.read_text().splitlines(), 1):
                    if line.lstrip().startswith("//"):
                        continue
                    self.assertIsNone(FORBIDDEN_IN_PURE.search(line), f"{name}{suffix}:{number}: {line.strip()}")


if __name__ == "__main__":
    unittest.main()

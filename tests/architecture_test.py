"""The arrows between the folders: who may include whom. docs/architecture.md says why.

    tests/architecture_test.py --report     sizes of classes, functions, files and lines, and all arrows
"""

import os
import re
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "support"))

import house  # noqa: E402
from house import FLOORS, PROGRAMS, ROOT, floor_of, includes, sources, text_of  # noqa: E402

sys.path.insert(0, os.path.join(ROOT, "scripts"))

from launch_lib import books, results, run_dir  # noqa: E402
from launch_lib.exits import Exit  # noqa: E402

# The cores: what decides does no I/O, reads no clock, writes no log. Beside them the floors of common/ that are pure.
PURE_FLOORS = ("words", "tables", "wire")
PURE = {
    "broker": ("admissions", "attempt", "beats", "collector_link", "counts", "delay", "dispatcher", "dispatcher_collector",
               "dispatcher_tasks", "dispatcher_token", "dispatcher_workers", "earlier_life", "end_log", "expiry", "halt", "hearsay", "hedges",
               "hedging", "ledger", "losers", "mail", "mailbox", "offered_sync", "out_frame", "owed_ack", "recalls",
               "roster", "shared_batches", "stories", "tallies", "waiting"),
    "broker/sources": ("consumer_watch", "deliveries", "line_buffer", "overlong_message", "prefetch"),
    "common/amqp": ("back_off",),
    "worker": ("attempts", "counts", "credit", "lease", "owed_rounds", "session", "session_work", "slots", "work_times"),
    "worker/handlers": ("breaker", "standstill"),
    "collector/sinks": ("journal", "sync_pace", "unconfirmed"),
    "collector": ("broker_link", "counts", "hello_pace", "judge", "last_work", "judge_sync", "news", "outcome_record", "own_number", "settled",
                  "sink_queue"),
}
IMPURE_HEADERS = re.compile(
    r"zmq.*|spdlog/.*|fmt/.*|thread|mutex|condition_variable|future|iostream|fstream|ostream|filesystem|unistd\.h|fcntl\.h"
    r"|poll\.h|signal\.h|csignal|sys/(?!un\.h).*|common/process/.*|.*/server\.h")
IMPURE_WORDS = re.compile(r"\b(?:system_clock|\w*[cC]lock::now|getenv|std::cerr|std::cout)\b")

# Where the counts of a core are shown.
COUNTS = {"broker/counts.h": "broker/snapshot.cpp", "broker/hedging.h": "broker/snapshot.cpp",
          "worker/counts.h": "worker/server.cpp", "collector/counts.h": "collector/server.cpp",
          "broker/sources/deliveries.h": "broker/sources/amqp.cpp"}


_COUNTS = re.compile(r"struct \w*Counts \{")

# All moves of a state are made in one file: by its owner.
MOVES = {"SessionState": ("broker/roster.cpp", "broker/roster.h"), "TaskState": ("broker/ledger.cpp", "broker/ledger.h"),
         "AttemptState": ("broker/ledger.cpp", "broker/ledger.h", "broker/attempt.h", "worker/attempts.cpp",
                          "worker/attempts.h")}


class Moves(unittest.TestCase):
    def test_a_state_is_changed_by_its_owner_alone(self):
        for path in sources(*PROGRAMS):
            for move in re.findall(r"\bstate = (\w+)::", text_of(path)):
                self.assertIn(str(path), MOVES.get(move, (str(path),)), f"{path} moves a {move}")


class Counts(unittest.TestCase):
    def test_whatever_is_counted_is_shown(self):
        with_counts = {str(path) for path in sources(*PROGRAMS) if _COUNTS.search(text_of(path))}
        self.assertEqual(with_counts, set(COUNTS), "say where its counts are shown")
        for header, shown_in in COUNTS.items():
            body = re.split(r"\n *\};", _COUNTS.split(text_of(header))[1])[0]
            names = re.findall(r"(\w+)(?: = 0|\{\})[,;]", body)
            self.assertGreater(len(names), 2, header)
            text = text_of(shown_in)
            for name in names:
                self.assertRegex(text, rf"\w\.{name}\b", f"{header}: {name} is counted, and {shown_in} does not show it")


class OneTruth(unittest.TestCase):
    """What C++ and Python both have to know stands in each, and is the same. docs/decisions.md says why it is not shared."""

    def test_the_books_have_one_layout(self):
        enum = re.search(r"enum Field[^{]*\{(.*?)\};", text_of("broker/books_page.h"), re.S)[1]
        fields = re.findall(r"\b([a-z_]+)(?: = \d+)?\b(?=,|\n|$| =)", re.sub(r"//.*", "", enum))
        self.assertEqual((*books.FIELDS, "fields"), tuple(fields))
        self.assertIn("fields = 34", enum)
        self.assertEqual(books._PAGE.size, len(books.FIELDS) * 8)
        self.assertIn(f'"{books.MAGIC.decode()}"', text_of("broker/books_page.h"))

    def test_the_books_mean_the_same_by_their_numbers(self):
        def numbers(header, enum):
            body = re.search(rf"{enum} : [^{{]*\{{(.*?)\}};", text_of(header), re.S)[1]
            return {name: int(number) for name, number in re.findall(r"(\w+) = (\d+)", body)}
        self.assertEqual(numbers("broker/books_page.h", "enum State"),
                         {"running": 1, "drained": books.DRAINED, "stopped": books.STOPPED_EARLY})
        self.assertEqual(numbers("broker/sources/source.h", "enum class Kind"),
                         {"none": books.REST_NONE, "lines": books.REST_LINES, "records": books.REST_RECORDS,
                          "endless": books.REST_ENDLESS, "queue": books.REST_QUEUE})
        self.assertIn("kUnknown = UINT64_MAX;", text_of("broker/books_page.h"))
        self.assertEqual(books._UNKNOWN, 2**64 - 1)

    def test_launch_has_the_exit_codes_of_the_processes(self):
        codes = dict(re.findall(r"kExit(\w+) = (\d+)", text_of("common/words/exit_code.h")))
        names = {"Ok": "OK", "Incomplete": "INCOMPLETE", "Usage": "USAGE", "Imbalance": "INTERNAL", "Io": "IO",
                 "LeftBehind": "NO_OUTCOME",
                 "Unavailable": "UNAVAILABLE"}
        for theirs, ours in names.items():
            self.assertEqual(int(codes[theirs]), Exit[ours], theirs)
        self.assertEqual(set(codes) - set(names), {"WornOut"}, "a worker's own, which launch starts again")

    def test_launch_and_the_processes_clear_up_the_same_files(self):
        endings = re.search(r"kEndings\[\] = \{(.*?)\}", text_of("common/process/run_dir.cpp"), re.S)[1]
        self.assertEqual(tuple(re.findall(r'"([^"]+)"', endings)), run_dir._ENDINGS)

    def test_launch_and_the_collector_know_the_same_folder_of_results(self):
        text = text_of("collector/sinks/results.cpp")
        self.assertEqual(re.search(r'kMarker = "(.*)";', text)[1], results.MARKER)
        self.assertEqual(tuple(re.findall(r'"([^"]+)"', re.search(r"kNames\{(.*)\};", text)[1])), results.FILES)


class Documents(unittest.TestCase):
    def test_the_index_of_decisions_has_each_of_them_once(self):
        index, _, rest = (ROOT / "docs/decisions.md").read_text().partition("\n## ")
        index = index.replace("\n  ", " ")  # an entry may go on in a second line
        headings = re.findall(r"^## (.*)$", "## " + rest, re.MULTILINE)
        self.assertEqual(sorted(re.findall(r"^- \[(.*)\]\(#", index, re.MULTILINE)), sorted(headings))
        for heading, anchor in re.findall(r"^- \[(.*)\]\(#(.*)\)$", index, re.MULTILINE):
            self.assertEqual(anchor, re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-"))


    def test_what_they_name_is_there(self):
        named = re.compile(r"\b(?:bench|broker|collector|common|docs|examples|include|monitor|scripts|tests|worker)"
                           r"/[\w/.-]+\.(?:h|cpp|md|py|sh|js)\b")
        for path in house.files(".md", ".h", ".cpp"):
            for name in named.findall(text_of(path)):
                there = any((ROOT / at / name).exists() for at in ("", "include", "build/generated", str(path.parent)))
                self.assertTrue(there or name == "common/version.h", f"{path} names {name}")

    def test_the_drawing_of_the_rooms_is_what_the_includes_say(self):
        block = text_of("docs/architecture.md").partition("## Who may include whom")[2].partition("```")[2].partition("```")[0]
        drawn = {}
        for line in block.strip().splitlines():
            here, _, there = line.partition("->")
            drawn[here.split()[0]] = sorted(there.replace(",", " ").split())
        found = {room: [] for room in drawn}
        for here, there in house.arrows():
            found.setdefault(here, []).append(there)
        self.assertEqual(drawn, {room: sorted(there) for room, there in found.items()})


class Arrows(unittest.TestCase):
    def test_programs_never_include_each_other(self):
        for path in sources(*PROGRAMS):
            for name in includes(path):
                if (other := name.split("/")[0]) in PROGRAMS:
                    self.assertEqual(other, path.parts[0], f"{path} includes {name}")

    def test_common_knows_no_program(self):
        for path in sources("common"):
            for name in includes(path):
                self.assertNotIn(name.split("/")[0], PROGRAMS, f"{path} includes {name}")

    def test_each_file_of_common_stands_on_a_floor_and_includes_only_those_below(self):
        for path in sources("common"):
            floor = floor_of(path)
            self.assertIn(floor, FLOORS, f"{path} stands on no floor")
            for name in includes(path):
                if (below := floor_of(name)) is not None and below != floor:
                    self.assertIn(below, FLOORS[floor], f"{path} includes {name}")

    def test_only_common_and_the_shells_see_zeromq(self):
        allowed = {"common/process/socket.h", "common/process/connection_events.h", "common/process/sockets.h",
                   "common/process/peer_watch.h", "broker/sources/lines.h", "monitor/client.h"}
        for path in sources("common", *PROGRAMS):
            if "zmq.hpp" in includes(path):
                self.assertIn(str(path), allowed)

    def test_msgpack_stays_in_the_codec(self):
        for path in sources("common", *PROGRAMS):
            if any(name.startswith("msgpack") for name in includes(path)):
                self.assertIn(str(path), ("common/wire/wire_fields.h", "common/wire/wire_writer.cpp",
                                          "common/wire/message_properties.cpp"))


class Purity(unittest.TestCase):
    def pure_files(self):
        found = [path for path in sources("common") if floor_of(path) in PURE_FLOORS]
        for folder, names in PURE.items():
            for name in names:
                here = [path for path in sources() if str(path.parent) == folder and path.stem == name]
                self.assertTrue(here, f"{folder}/{name} is no more")
                found += here
        return found

    def test_cores_include_nothing_that_does_something(self):
        for path in self.pure_files():
            for name in includes(path):
                self.assertIsNone(IMPURE_HEADERS.fullmatch(name), f"{path} includes {name}")

    def test_cores_read_no_clock_and_no_environment(self):
        for path in self.pure_files():
            for number, line in enumerate(text_of(path).splitlines(), 1):
                if not line.lstrip().startswith("//"):
                    self.assertIsNone(IMPURE_WORDS.search(line), f"{path}:{number}: {line.strip()}")


class Prose(unittest.TestCase):
    def test_documents_and_comments_are_within_a_hundred_columns(self):
        self.assertEqual([f"{path}:{number}" for path, number in house.wide_lines()], [])


    def test_nothing_names_a_rule_by_a_number_that_no_reader_has(self):
        for path in house.files(".md", ".h", ".cpp", ".py"):
            self.assertIsNone(re.search(r"\b[Ee]dge " + r"rule|\bRule[0-9]|\b[Rr]ule [0-9]", text_of(path)), path)


class Sizes(unittest.TestCase):
    def test_no_class_is_several_objects(self):
        self.assertEqual([f"{name} has {count} members" for count, name, _ in house.members() if count > 34], [])

    def test_no_source_is_long(self):
        self.assertEqual([str(path) for _, path in house.long_files() if path.suffix != ".py"
                          and path.parts[0] != "tests"], [])


class Report(unittest.TestCase):
    def test_can_be_made(self):
        self.assertIn("includes from one room to another", house.report())


if __name__ == "__main__":
    if sys.argv[1:] == ["--report"]:
        print(house.report())
    else:
        unittest.main()

"""What stands at the doors: folders that are others', ports that are taken, wrong words, inputs that
nobody feeds, disks and descriptors that are used up.

Always: one clear line that says what is wrong and what to do, the code of the contract, never a traceback, and nothing
is changed that curfew did not make.
"""

import contextlib
import json
import os
import re
import signal
import socket
import stat
import subprocess
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))

from group import BIN_DIR, LAUNCH, PYTHON, ROOT, GroupTest, numbers  # noqa: E402

sys.path.insert(0, os.path.join(ROOT, "scripts"))

from launch_lib import options, values  # noqa: E402

USAGE, IO = 64, 74
PROCESSES = {"broker": (), "worker": ("--handler", "echo"), "collector": ()}
HINT = r"Try '\S+ --help'\."


class DoorTest(GroupTest):
    def refuses(self, running, code=USAGE, saying="", hint=None):
        """It ends with the code and one line. `hint`: whether a second one says where help is; None: either."""
        self.assertEqual(running.code(), code, running.err)
        lines = running.err.splitlines()
        hints = [line for line in lines if re.fullmatch(HINT, line)]
        self.assertEqual(len(lines) - len(hints), 1, running.err)
        self.assertIn(saying, lines[0])
        self.assertNotIn("Traceback", running.err)
        self.assertEqual(running.out, b"")
        if hint is not None:
            self.assertEqual(len(hints), int(hint), running.err)
        return lines[0]

    def stops(self, running):
        running.signal(signal.SIGTERM)
        running.code()


class RunDirectories(DoorTest):
    def mode_of(self, path):
        return stat.S_IMODE(os.stat(path).st_mode)

    def folder(self, mode, name="open"):
        os.makedirs(self.path(name), exist_ok=True)
        os.chmod(self.path(name), mode)
        return self.path(name)

    def test_a_folder_that_is_open_to_others_is_refused_and_its_mode_stays(self):
        for mode in (0o755, 0o770, 0o701, 0o1777, 0o710):
            folder = self.folder(mode)
            for running in (self.launch("--run-dir", folder, "--handler", "echo", stdin=numbers(1)),
                            *(self.binary(role, *words, "--run-dir", folder) for role, words in PROCESSES.items())):
                with self.subTest(mode=oct(mode), program=running.process.args[:4]):
                    line = self.refuses(running, saying=folder, hint=False)
                    self.assertIn("open to others", line)
                    self.assertIn(f"--run-dir {folder}/curfew", line)
                    self.assertEqual(self.mode_of(folder), mode)
                    self.assertEqual(os.listdir(folder), [])

    def test_the_folder_one_stands_in_is_no_exception(self):
        folder = self.folder(0o755)
        launch = self.run_words("sh", "-c", 'cd "$1" && shift && exec "$@"', "sh", folder, PYTHON, "-E", LAUNCH,
                                "--run-dir", ".", "--handler", "echo")
        self.refuses(launch, saying=f"{folder}/curfew")
        self.assertEqual(self.mode_of(folder), 0o755)

    def test_what_the_message_proposes_works(self):
        folder = self.folder(0o755)
        launch = self.launch("--run-dir", f"{folder}/curfew", "--handler", "sleep:1h", stdin=numbers(1))
        self.run_dir = f"{folder}/curfew"
        self.workers_are_ready(1)
        self.assertEqual(self.mode_of(self.run_dir), 0o700)
        launch.signal(signal.SIGTERM)
        launch.signal(signal.SIGINT)
        launch.code()
        self.assertEqual(os.listdir(folder), [], "launch made it, launch removes it")
        self.ready("broker", "--run-dir", f"{folder}/curfew", stdin="pipe")  # a process makes it too
        self.assertEqual((self.mode_of(folder), self.mode_of(self.run_dir)), (0o755, 0o700))

    def test_a_folder_that_is_closed_to_others_is_taken_as_it_is(self):
        folder = self.folder(0o700)
        self.ends_well(self.launch("--run-dir", folder, "--handler", "echo", stdin=numbers(3)))
        self.assertEqual((self.mode_of(folder), os.listdir(folder)), (0o700, []))

    @unittest.skipUnless(os.geteuid() == 0, "needs root, to give a folder away")
    def test_a_folder_of_somebody_else_is_refused(self):
        folder = self.folder(0o700)
        os.chown(folder, 12345, 12345)
        self.refuses(self.launch("--run-dir", folder, "--handler", "echo"), saying="belongs to somebody else")
        self.refuses(self.binary("broker", "--run-dir", folder), saying="belongs to somebody else")


class Disks(DoorTest):
    """A disk of our own that is full, or read only."""

    def setUp(self):
        super().setUp()
        self.disk = self.path("disk")
        os.mkdir(self.disk)
        mount = ["mount", "-t", "tmpfs", "-o", "size=64k,nr_inodes=12,mode=0700", "tmpfs", self.disk]
        if os.geteuid() != 0 or subprocess.run(mount, stderr=subprocess.DEVNULL).returncode:
            self.skipTest("needs the right to mount")
        self.addCleanup(subprocess.run, ["umount", "-l", self.disk], check=True)

    def fill(self):
        with contextlib.suppress(OSError), open(os.path.join(self.disk, "full"), "wb", buffering=0) as file:
            while True:
                file.write(b"x" * 4096)

    def use_up_names(self):
        with contextlib.suppress(OSError):
            for number in range(100):
                os.close(os.open(os.path.join(self.disk, f"{number}"), os.O_CREAT | os.O_WRONLY))

    def test_a_full_run_directory_is_one_line_and_74(self):
        for use_up in (self.fill, self.use_up_names):
            for name in os.listdir(self.disk):
                os.unlink(os.path.join(self.disk, name))
            use_up()
            before = sorted(os.listdir(self.disk))
            with self.subTest(how=use_up.__name__):
                for where in (self.disk, os.path.join(self.disk, "made")):
                    launch = self.launch("--run-dir", where, "--handler", "echo", stdin=numbers(3))
                    self.refuses(launch, IO, saying=self.disk, hint=False)
                    self.assertEqual(sorted(os.listdir(self.disk)), before, "nothing of it stays")
                for role, words in PROCESSES.items():
                    self.refuses(self.binary(role, *words, "--run-dir", self.disk), IO, saying=self.disk, hint=False)
                    with contextlib.suppress(FileNotFoundError):
                        os.unlink(os.path.join(self.disk, f"{role}.lock"))
                    for lock in (name for name in os.listdir(self.disk) if name.endswith(".lock")):
                        os.unlink(os.path.join(self.disk, lock))

    def test_a_disk_that_becomes_full_under_the_start_is_told_by_the_process_and_ends_the_group(self):
        """The lock of launch fits, the files of the processes do not."""
        self.use_up_names()
        for number in range(2):  # for launch.lock and one more
            os.unlink(os.path.join(self.disk, f"{number}"))
        launch = self.launch("--run-dir", self.disk, "--workers", "1", "--handler", "echo", stdin=numbers(3))
        self.assertEqual(launch.code(), IO, launch.err)
        self.assertIn("No space left", launch.err)
        self.assertNotIn("Traceback", launch.err)
        self.assertNotIn("starting it again", launch.err)

    def test_a_full_private_directory_is_not_taken_while_there_is_another(self):
        self.fill()
        launch = self.launch("--handler", "echo", stdin=numbers(3),
                             environment={"XDG_RUNTIME_DIR": self.disk, "TMPDIR": self.private})
        self.ends_well(launch)
        self.assertEqual(os.listdir(self.disk), ["full"])

    def test_a_run_directory_that_cannot_be_written_is_one_line_and_64(self):
        subprocess.run(["mount", "-o", "remount,ro", self.disk], check=True)
        for where in (self.disk, os.path.join(self.disk, "new")):
            with self.subTest(where=where):
                self.refuses(self.launch("--run-dir", where, "--handler", "echo"), saying=where, hint=False)
                self.refuses(self.binary("broker", "--run-dir", where), saying=where, hint=False)


class Folders(DoorTest):
    def test_a_folder_as_stdin_is_one_line_and_64(self):
        stub = os.path.join(ROOT, "scripts", "launch")
        for words in ((stub, "--handler", "echo"), (stub, "--", "cat"),
                      (os.path.join(BIN_DIR, "curfew-broker"), "--run-dir", self.run_dir)):
            with self.subTest(words=words):
                running = self.run_words("sh", "-c", f'exec "$@" <{self.private}', "sh", *words)
                self.refuses(running, saying="stdin is a folder", hint=False)

    def test_a_working_folder_that_is_gone_hurts_only_who_names_a_file_in_it(self):
        gone = self.path("gone")
        in_it = ("sh", "-c", 'mkdir "$1" && cd "$1" && rmdir "$1" && shift && exec "$@"', "sh", gone, PYTHON, "-E",
                 LAUNCH)
        for words, file in ((("--handler", "echo", "--input", "x"), "--input: x"),
                            (("--run-dir", "x", "--handler", "echo"), "--run-dir: x"),
                            (("--handler", "echo", "--output", "x"), "--output: x"),
                            (("--handler", "echo", "--dead-letters", "x"), "--dead-letters: x"), (("P",), "P")):
            with self.subTest(words=words):
                line = self.refuses(self.run_words(*in_it, *words), saying=file)
                if words != ("P",):
                    self.assertIn("the working folder is gone", line)
        launch = self.run_words(*in_it, "--", "cat", stdin=numbers(3))
        self.assertEqual(self.ends_well(launch)[0]["completed"], 3)

    def test_a_folder_is_neither_input_nor_config_nor_command(self):
        self.refuses(self.launch("--input", self.private, "--handler", "echo"),
                     saying=f"--input: cannot read '{self.private}'", hint=False)
        self.refuses(self.binary("broker", "--source", f"file:{self.private}"), saying=self.private, hint=False)
        self.refuses(self.launch("--", self.private), saying=f"cannot run '{self.private}'")
        self.refuses(self.binary("broker", "--config", self.private), saying=self.private)


class NamesOfDescriptors(DoorTest):
    def test_one_that_is_not_open_is_refused_and_nothing_is_lost_in_one_of_ours(self):
        for flag in ("--input", "--output", "--dead-letters"):
            for number in (3, 4, 8, 10):
                with self.subTest(flag, number=number):
                    launch = self.launch("--workers", "1", "--fanout", "1", flag, f"/dev/fd/{number}", "--handler", "echo",
                                         stdin=numbers(3))
                    self.refuses(launch, saying=f"{flag}: /dev/fd/{number} is not open", hint=False)

    def test_a_process_takes_none_of_its_own_for_one_that_it_was_given(self):
        for number in (3, 4, 5, 8, 10):
            for role, words, code in (("broker", f"--source file:/dev/fd/{number}", USAGE),
                                      ("collector", f"--sink file:/dev/fd/{number}", IO),
                                      ("collector", f"--dead-letters file:/proc/self/fd/{number}", IO)):
                with self.subTest(words):
                    self.refuses(self.binary(role, *words.split()), code=code, saying=f"fd/{number}", hint=False)

    def test_a_closed_stdin_is_no_empty_input_by_any_of_its_names(self):
        for name in ("", "/dev/stdin", "/dev/fd/0"):
            with self.subTest(name):
                words = ("--input", name) if name else ()
                command = [PYTHON, "-E", LAUNCH, "--workers", "1", "--fanout", "1", *words, "--handler", "echo"]
                launch = self.run_words("/bin/sh", "-c", 'exec "$@" <&-', "sh", *command)
                self.assertEqual(launch.code(), 74, launch.err)
                self.assertEqual(launch.out, b"")


class AProcfileThatReadsWhatItWrites(DoorTest):
    """By all roads, and whichever of the two is there first."""

    def test_is_refused_and_the_file_stays_as_it_was(self):
        same, hard = self.write("same", numbers(1000)), self.path("hard")
        os.link(same, hard)
        for broker, collector in ((f"--source file:{same}", f"--sink file:{hard}"), (f"<{hard}", f">>{same}"),
                                  (f"--source file:{hard}", f"--dead-letters file:{same}")):
            for first in ("broker", "collector"):
                with self.subTest(broker=broker, first=first):
                    lines = [f"broker: curfew-broker {broker}", f"collector: curfew-collector {collector}"]
                    lines = lines if first == "broker" else lines[::-1]
                    launch = self.launch_procfile(*lines, "w: curfew-worker --handler fail")
                    self.assertEqual(launch.code(), USAGE, launch.err)
                    self.assertRegex(launch.err, "so it would never end")
                    with open(same, "rb") as file:
                        self.assertEqual(file.read(), numbers(1000))


class TwoOfOneKind(DoorTest):
    def test_a_second_collector_in_one_run_directory_is_refused_and_takes_nothing(self):
        broker = self.ready("broker", "--fanout", "1", stdin="pipe")
        first = self.ready("collector")
        self.ready("worker", "--handler", "echo")
        self.workers_are_ready(1)
        second = self.binary("collector", "--name", "other", "--sink", f"file:{self.path('other')}")
        self.refuses(second, saying="another process has the results of", hint=False)
        broker.feed(numbers(20))
        first.writes(20)
        self.assertEqual(os.path.getsize(self.path("other")) if os.path.exists(self.path("other")) else 0, 0)
        broker.end_of_input()
        self.assertEqual(broker.code(), 0, broker.err)

    def test_a_second_in_one_run_directory_is_refused_and_does_the_first_no_harm(self):
        first = self.ready("broker", stdin="pipe")
        second = self.binary("broker", "--name", "other", stdin=numbers(3))
        self.refuses(second, saying="another broker keeps its books in", hint=False)
        self.assertTrue({"events.sock", "admin.sock"} <= set(os.listdir(self.run_dir)))
        self.assertEqual(self.answer()["tasks"]["accepted"], 0)
        self.stops(first)


class Ports(DoorTest):
    def test_two_monitors_do_not_share_a_port(self):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            where = f"127.0.0.1:{probe.getsockname()[1]}"
        os.mkdir(self.run_dir, 0o700)
        serve = ("monitor", "--run-dir", self.run_dir, "--http", where, "serve")
        first = self.binary(*serve)
        first.says(rf"http://{where}/")
        self.refuses(self.binary(*serve), saying=where, hint=False)
        self.assertTrue(first.alive)
        self.stops(first)
        again = self.binary(*serve)  # at once, whatever connections of the first still linger
        again.says(rf"http://{where}/")
        self.stops(again)


class Values(DoorTest):
    """One place knows what a value may be: the program that takes it."""

    def test_launch_takes_what_the_programs_take(self):
        for words in (("--hedge", "p99.9"), ("--hedge-budget", "none"), ("--hedge-budget", "0.05"), ("--grace", "0"),
                      ("--hedge", "0ms"),
                      ("--hedge=20ms", "--hedge-budget=2000%"), ("--max-message", "64K"), ("--attempts", "1000000"),
                      ("--slots", "2000"), ("--deadline", "none"), ("--log-level", "warn")):
            with self.subTest(words=words):
                self.ends_well(self.launch("--workers", "2", *words, "--handler", "echo", stdin=numbers(3)))

    WRONG = (("broker", "--hedge", "soon"), ("broker", "--hedge-budget", "many"), ("broker", "--fanout", "0"),
             ("broker", "--attempts", "-1"), ("broker", "--window", "4000001"), ("broker", "--deadline", "0"),
             ("broker", "--max-message", "65m"), ("worker", "--grace", "2h"), ("worker", "--slots", "20000"),
             ("worker", "--max-output", "0"), ("worker", "--ok-exit", "1,"), ("worker", "--reject-exit", "256"),
             ("worker", "--handler", "coprocess"), ("worker", "--handler", "sleep:5"),
             ("broker", "--log-level", "loud"))

    def test_launch_says_once_and_in_the_same_words_what_the_program_refuses(self):
        asked = [(words, self.binary(role, "--check", *PROCESSES[role][:0 if words[0] == "--handler" else None],
                                     f"{words[0]}={words[1]}"),
                  self.launch("--workers", "4", f"{words[0]}={words[1]}",
                              *(() if words[0] == "--handler" else ("--handler", "echo")),
                              stdin=numbers(3)))
                 for role, *words in self.WRONG]
        for words, program, launch in asked:
            with self.subTest(words=words):
                self.assertEqual(program.code(), USAGE, program.err)
                message = program.err.splitlines()[0].partition(": ")[2]
                self.assertTrue(message.startswith(words[0]), message)
                self.assertEqual(self.refuses(launch), f"launch: {message}")

    def test_it_says_so_in_its_own_names_of_the_flags(self):
        for words, saying in ((("--input", "missing"), f"launch: --input: cannot read '{self.path('missing')}'"),
                              (("--window=-1",), "launch: --window: '-1'")):
            with self.subTest(words=words):
                self.refuses(self.launch(*words, "--", "cat"), saying=saying)

    def test_a_wrong_word_of_the_environment_is_said_once_and_where_it_stands(self):
        for variable, value in (("CURFEW_WINDOW", "many"), ("CURFEW_SLOTS", "0"), ("CURFEW_AWAIT_WORKERS", "x"),
                                ("CURFEW_LOG_LEVEL", "loud")):
            with self.subTest(variable=variable):
                self.refuses(self.launch("--workers", "3", "--", "cat", environment={variable: value}),
                             saying=f"{variable} says so")

    def test_a_wrong_log_level_of_a_procfile_is_said_once(self):
        launch = self.launch_procfile("b: curfew-broker", "w: curfew-worker --handler echo", "c: curfew-collector",
                                      words=("--log-level", "loud"))
        self.refuses(launch, saying="--log-level: 'loud'")

    def test_nothing_is_touched_before_the_verdict(self):
        kept = self.write("kept", "mine\n")
        for words in (("--output", kept), ("--dead-letters", kept)):
            self.refuses(self.launch(*words, "--hedge", "soon", "--handler", "echo"), saying="--hedge")
        with open(kept, encoding="ascii") as file:
            self.assertEqual(file.read(), "mine\n")

    def test_check_judges_and_opens_nothing(self):
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            listener.listen()
            taken = f"tcp://127.0.0.1:{listener.getsockname()[1]}"
            good = (("broker",), ("broker", "--insecure", "--events", taken, "--source",
                                  f"file:{self.write('in', '')}"), ("worker", "--", "cat"),
                    ("worker", "--handler", "sleep:exp:5ms"), ("collector", "--sink", f"file:{self.path('out')}"),
                    ("collector", "--dead-letters", f"file:{self.path('dead')}", "--sink", "zmq:tcp://127.0.0.1:5555"),
                    ("monitor", "stats"),
                    ("monitor", "--http", taken[6:], "serve"), ("monitor", "cancel", "7"))
            for role, *words in good:
                with self.subTest(role=role, words=words):
                    check = self.binary(role, "--check", *words)
                    self.assertEqual((check.code(), check.err), (0, ""))
                    self.assertEqual(json.loads(check.out)["program"], f"curfew-{role}")
        for name in ("run", "out", "dead"):
            self.assertFalse(os.path.exists(self.path(name)), name)
        bad = (("broker", "--source", "http:x"), ("broker", "--events", "nope"),
               ("broker", "--admin", "tcp://127.0.0.1:5555"),
               ("broker", "--config", self.write("config", "fan-out = 3\n")), ("worker",),
               ("worker", "--handler", "echo", "--", "cat"),
               ("worker", "--", "no-such-command"), ("collector", "--sink", "pipe:x"), ("collector", "--sink", "zmq:"),
               ("collector", "--sink", "zmq:tcp://192.0.2.1:5"), ("collector", "--dead-letters", "x"), ("monitor",),
               ("monitor", "--http", "x", "serve"),
               ("monitor", "cancel"), ("monitor", "cancel", "x"), ("monitor", "stats", "x"),
               ("monitor", "--connect", "x", "stats"))
        for role, *words in bad:
            with self.subTest(role=role, words=words):
                self.refuses(self.binary(role, "--check", *words))


class OneTruth(DoorTest):
    """What launch says of a flag that it passes on is what the program says: --check describes each."""

    DEFAULT = re.compile(r"\(([^() ]+)\)$")
    SHARED = {"all": ("broker", "worker", "collector"), "queue": ("broker", "collector"), "tls": ("broker", "worker", "collector")}
    OF_LAUNCH = {"--fanout": options.DEFAULT_FANOUT, "--attempts": "fanout", "--stdin": "line; exact with --null"}

    def flags_of(self, role):
        check = self.binary(role, "--check", *PROCESSES[role])
        self.assertEqual(check.code(), 0, check.err)
        return {flag["flag"]: flag for flag in json.loads(check.out)["flags"]}

    def test_what_launch_passes_on_is_there_and_has_the_default_that_it_says(self):
        programs = {role: self.flags_of(role) for role in ("broker", "worker", "collector")}
        compared = 0
        for flag in options.FLAGS:
            for role in self.SHARED.get(flag.to, {flag.to} & set(programs)):
                with self.subTest(flag=flag.name, role=role):
                    there = programs[role][f"--{flag.name}"]
                    self.assertEqual(there["kind"] == "switch", not flag.metavar)
                    said = self.DEFAULT.search(flag.help)
                    if said and f"--{flag.name}" not in self.OF_LAUNCH:
                        length = values.seconds(said[1])
                        self.assertIn(there["default"], (said[1], str(size(said[1])), length and f"{length:g}s"))
                        compared += 1
        self.assertGreater(compared, 6)

    def test_a_flag_of_one_handler_is_refused_with_another(self):
        values = {"text": "x", "list": "A: b", "codes": "0", "count": "1", "size": "1", "duration": "1s"}
        flags = {name: flag for name, flag in self.flags_of("worker").items()
                 if re.match(r"(exec|coprocess|http)(, [a-z]+)*: ", flag["help"])}
        self.assertGreater(len(flags), 20)
        for name, flag in flags.items():
            with self.subTest(flag=name):
                value = flag["words"][0] if flag["kind"] == "choice" else values.get(flag["kind"])
                said = [name] if flag["kind"] == "switch" else [name, value]
                refused = self.binary("worker", "--check", "--handler", "echo", *said)
                self.refuses(refused, saying=f"{name}: goes with --handler")
                said_to_all = {f"CURFEW_{name[2:].upper().replace('-', '_')}": value or "true"}
                taken = self.binary("worker", "--check", "--handler", "echo", environment=said_to_all)
                self.assertEqual(taken.code(), 0, taken.err)

    def test_the_grace_that_launch_counts_with_is_that_of_the_worker(self):
        grace = self.flags_of("worker")["--grace"]
        self.assertEqual(grace["default"], f"{options._GRACE:g}s")
        self.assertEqual(grace["most"], values.LONGEST_GRACE * 1e6)

    def test_each_flag_of_a_program_has_a_kind_a_help_and_its_limits(self):
        for role in PROCESSES:
            for name, flag in self.flags_of(role).items():
                with self.subTest(role=role, flag=name):
                    self.assertTrue(flag["help"])
                    self.assertIn(flag["kind"], ("text", "choice", "count", "size", "duration", "switch", "codes", "list", "value"))
                    self.assertEqual("least" in flag and "most" in flag, flag["kind"] in ("count", "size", "duration"))
                    self.assertEqual("words" in flag, flag["kind"] == "choice")


def size(text):
    number, unit = re.fullmatch(r"([0-9]+)([km]?)", text).groups() if re.fullmatch(r"[0-9]+[km]?", text) else (0, "")
    return int(number) * {"": 1, "k": 1024, "m": 1024 * 1024}[unit]


class Words(DoorTest):
    def test_a_typing_mistake_gets_a_suggestion(self):
        for running, meant in ((self.launch("--fan-out", "3", "--", "cat"), "--fanout"),
                               (self.launch("--hegde", "0", "--", "cat"), "--hedge"),
                               (self.launch("--work=2", "--", "cat"), "--workers"),
                               (self.launch("--handler", "ecko"), "echo"),
                               (self.launch("--handler", "slep:5ms"), "sleep:DIST"),
                               (self.launch("--log-level", "inof", "--", "cat"), "info"),
                               (self.binary("broker", "--fan-out", "3"), "--fanout"),
                               (self.binary("worker", "--slot=3", "--handler", "echo"), "--slots"),
                               (self.binary("collector", "--keeporder"), "--keep-order"),
                               (self.binary("monitor", "statz"), "stats"),
                               (self.binary("monitor", "sevre"), "serve"),
                               (self.binary("monitor", "--state", "runing", "dump"), "running"),
                               (self.binary("monitor", "--olderthan", "5s", "dump"), "--older-than"),
                               (self.binary("broker", "--config", self.write("config", "fan-out = 3\n")), "--fanout"),
                               (self.binary("broker", "--source", "file"), "file:PATH"),
                               (self.binary("collector", "--format", "jsn"), "json")):
            with self.subTest(words=running.process.args):
                self.refuses(running, saying=f"did you mean {meant}?")

    def test_what_resembles_nothing_gets_none(self):
        for running in (self.launch("--quux", "--", "cat"), self.launch("-x", "--", "cat"),
                        self.binary("broker", "--quux"),
                        self.binary("monitor", "quux"), self.binary("worker", "--handler", "quux")):
            with self.subTest(words=running.process.args):
                self.assertNotIn("did you mean", self.refuses(running, saying=""))

    def test_arguments_of_parallel_are_told_where_messages_come_from(self):
        for word in (":::", "::::", ":::+"):
            launch = self.launch("--", "echo", "{}", word, "a", "b", "c")
            self.ends_well(launch)
            self.assertRegex(launch.err, rf"launch: '{re.escape(word)}' has no meaning here: messages come from stdin,"
                                         r" .*--input FILE")
        launch = self.launch("--workers", "1", "--fanout", "1", "--", "echo", "{}", ":::", "a", stdin=b"x\n")
        self.ends_well(launch)
        self.assertEqual(launch.out, b"x ::: a\n", "a COMMAND gets every argument as it stands")
        for words in (("echo", ":::", "a"), ("--handler", "echo", ":::", "a")):
            self.refuses(self.launch(*words), saying="messages come from stdin")

    def test_help_is_proposed_behind_wrong_usage_only(self):
        wrong = (("broker", "--nope"), ("broker", "--fanout", "x"), ("worker",), ("worker", "--handler", "x"),
                 ("collector", "--sink", "x"),
                 ("monitor",), ("monitor", "--http", "x", "serve"), ("broker", "--events", "nope"))
        for role, *words in wrong:
            with self.subTest(role=role, words=words):
                self.refuses(self.binary(role, *words), hint=True)
        self.ready("broker", stdin="pipe")
        missing = self.path("missing")
        others = (("broker",), ("broker", "--source", f"file:{missing}"), ("worker", "--", missing),
                  ("worker", "--handler", "echo", "--run-dir", "/dev/null"),
                  ("monitor", "--run-dir", missing, "stats"), ("monitor", "--token-file", missing, "serve"),
                  ("broker", "--name", "b", "--events", f"ipc://{self.run_dir}/no/such"))
        for role, *words in others:
            with self.subTest(role=role, words=words):
                self.refuses(self.binary(role, *words), hint=False)


class Fifos(DoorTest):
    def setUp(self):
        super().setUp()
        self.fifo = self.path("fifo")
        os.mkfifo(self.fifo)

    def waiting(self, *words):
        launch = self.launch("--run-dir", self.run_dir, "--workers", "1", "--input", self.fifo, *words, "--handler",
                             "echo")
        self.workers_are_ready(1)
        return launch

    def test_one_that_nobody_writes_to_is_waited_for_and_named_and_can_be_drained(self):
        launch = self.waiting()
        stats = self.broker_until(lambda broker: broker["source"]["waits_for"], "that the monitor shows it")
        self.assertIn(self.fifo, stats["source"]["waits_for"])
        self.assertIn(f"waits for somebody who writes to the FIFO {self.fifo}",
                      self.monitor("--run-dir", self.run_dir, "stats")[1])
        launch.says(rf"waiting for=.*{re.escape(self.fifo)}")
        self.assertEqual(self.monitor("--run-dir", self.run_dir, "drain")[0], 0)
        self.assertEqual(self.ends_well(launch, 75)[0]["all"], 0, "it was not at its end")

    def test_a_signal_drains_it_too(self):
        launch = self.waiting()
        launch.signal(signal.SIGTERM)
        self.assertEqual(launch.code(), 75, launch.err)

    def test_who_comes_late_is_heard_to_the_end(self):
        launch = self.waiting("--keep-order")
        with open(self.fifo, "wb", buffering=0) as writer:
            writer.write(b"one\ntwo\n")
            launch.writes(2)
            self.assertEqual(self.snapshot()["source"]["waits_for"], "")
            writer.write(b"three\nfour")
        self.assertEqual(self.ends_well(launch)[0]["completed"], 4)
        self.assertEqual(launch.lines, ["one", "two", "three", "four"])

    def test_who_comes_and_goes_without_a_word_ends_it(self):
        launch = self.waiting()
        os.close(os.open(self.fifo, os.O_WRONLY | os.O_NONBLOCK))
        self.assertEqual(self.ends_well(launch)[0]["all"], 0)


class Descriptors(DoorTest):
    def test_more_processes_than_launch_has_descriptors_for_are_refused_before_any_starts(self):
        self.refuses(self.limited(60, "--workers", "64", "--handler", "echo"), IO, saying="ulimit -n is 60")

    def limited(self, limit, *words):
        return self.run_words("sh", "-c", f'ulimit -n {limit} && exec "$@"', "sh", PYTHON, "-E", LAUNCH, *words,
                              stdin=numbers(3))

    def test_a_limit_that_lets_no_worker_in_is_said_and_ends_the_group(self):
        ends = {}
        for limit in (*range(10, 64, 3), 64):
            launch = self.limited(limit, "--workers", "1", "--handler", "echo")
            with self.subTest(limit=limit):
                ends[limit] = launch.code()
                self.assertNotIn("Traceback", launch.err)
                if ends[limit] != 0:
                    self.assertRegex(launch.err, r"ulimit -n|[Tt]oo many open files|cannot open a socket")
        self.assertEqual({end for limit, end in ends.items() if limit <= 40}, {IO}, ends)
        self.assertEqual(ends[64], 0, "what the message asks for is enough")


if __name__ == "__main__":
    unittest.main()

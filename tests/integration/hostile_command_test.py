"""What a user's command gets is what the user wrote: each byte of each argument, the message as a line or as it is, the
caller's limits and descriptors, and a Procfile line as a shell reads it.
"""

import contextlib
import json
import os
import random
import re
import shlex
import signal
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))

from group import (LAUNCH, PYTHON, GroupTest, command_of, eventually, is_over, numbers, parent_of,  # noqa: E402
                   processes_with)

WRONG_USAGE = 64
ONE = ("--workers", "1", "--fanout", "1")
SHOW = r"import os, sys; print(b'\0'.join(map(os.fsencode, sys.argv[1:])).hex())"
LOOKS_LIKE_MORE = ["", "[a,b]", "[]", "[[x]]", "[", "]", "--", "---", "-", "-I", "--name", "--name=x", "-h", "--help",
                   "a=b", "=", "'", '"', "\\", "\n", "a\nb", "\r", "\t", " ", "$HOME", "`id`", "*", "~", "#", ";", "%s",
                   "{", "}", "a,b", "/dev/fd", "\x7f", "@file", "!x", b"\xff", b"\xc3", b"[\xfe,\xff]", "ü"]


def arguments(seed, count=60, without=b"\0"):
    """Drawn at random; the same for the same seed."""
    draw = random.Random(seed)
    bytes_of = lambda word: word if isinstance(word, bytes) else word.encode()
    allowed = [byte for byte in range(1, 256) if byte not in without]
    found = [bytes_of(word) for word in LOOKS_LIKE_MORE]
    found += [bytes(draw.choice(allowed) for _ in range(draw.randrange(12))) for _ in range(count)]
    found += [b"[" + b",".join(found[i:i + 3]) + b"]" for i in range(0, 30, 3)]
    draw.shuffle(found)
    return [word for word in found if b"{}" not in word and not set(word) & set(without)]


def links_of(pid):
    """What its descriptors are."""
    found = []
    with contextlib.suppress(OSError):
        for name in os.listdir(f"/proc/{pid}/fd"):
            with contextlib.suppress(OSError):
                found.append(os.readlink(f"/proc/{pid}/fd/{name}"))
    return found


class CommandTest(GroupTest):
    def result(self, launch):
        """The only one."""
        self.ends_well(launch)
        return launch.out.removesuffix(b"\n")

    def one(self, *words, message=b"hello\n", **how):
        """What the command answers to a message, through launch."""
        return self.result(self.launch(*ONE, *words, stdin=message, **how))

    def script(self, name, text):
        os.chmod(self.write(name, text), 0o755)
        return self.path(name)


class Arguments(CommandTest):
    def shown(self, text):
        return bytes.fromhex(text.decode()).split(b"\0")

    def test_every_byte_of_every_argument_arrives_through_launch(self):
        for seed in range(3):
            words = arguments(seed)
            with self.subTest(seed=seed):
                self.assertEqual(self.shown(self.one("--", PYTHON, "-c", SHOW, *words)), words)

    def test_every_byte_of_every_argument_arrives_through_a_worker_alone(self):
        words = arguments(7)
        collector = self.ready("collector")
        self.ready("worker", "--", PYTHON, "-c", SHOW, *words)
        broker = self.binary("broker", "--fanout", "1", stdin=b"hello\n")
        self.assertEqual(broker.code(), 0, broker.err)
        collector.writes(1)
        self.assertEqual(self.shown(collector.out.strip()), words)

    def test_every_byte_of_every_argument_arrives_through_a_procfile(self):
        for locale in ("C.UTF-8", "C"):
            words = arguments(11, without=b"\0\n")
            quoted = b" ".join(b"'" + word.replace(b"'", b"'\\''") + b"'" for word in words)
            line = f"w: curfew-worker -- {PYTHON} -c {shlex.quote(SHOW)} ".encode() + quoted
            procfile = self.write("Procfile", b"broker: curfew-broker --fanout 1\nc: curfew-collector\n" + line + b"\n")
            with self.subTest(locale=locale):
                launch = self.launch(procfile, stdin=b"hello\n", environment={"LC_ALL": locale})
                self.assertEqual(self.shown(self.result(launch)), words)

    def test_an_escaped_space_at_the_end_of_a_procfile_line_is_an_argument(self):
        procfile = self.write("Procfile", "broker: curfew-broker --fanout 1\r\nc: curfew-collector\r\n"
                                          "w: curfew-worker -- printf '[%s]' a \\ \r\n")
        self.assertEqual(self.result(self.launch(procfile, stdin=b"x\n")), b"[a][ ]")

    def test_what_people_write_in_brackets_is_no_list(self):
        self.assertEqual(self.one("--", "tr", "[:lower:]", "[:upper:]", message=b"hello world\n"), b"HELLO WORLD")
        self.assertEqual(self.one("--", "echo", "[]", "[a,b]", "[.a,.b]"), b"[] [a,b] [.a,.b]")

    def test_a_word_before_the_dashes_is_no_command(self):
        worker = self.binary("worker", "tr", "[:lower:]", "[:upper:]")
        self.assertEqual(worker.code(), WRONG_USAGE)
        self.assertIn("-- COMMAND", worker.err)
        worker = self.binary("worker", "--name", "--", "true")
        self.assertEqual(worker.code(), WRONG_USAGE)
        self.assertIn("--name", worker.err, "the dashes are no value")

    def test_the_caller_chooses_what_the_message_replaces(self):
        for token in ("@", "[]", "--", "-x", "+", b"\xff", "a b", "="):
            text = token if isinstance(token, bytes) else token.encode()
            for words in (("-I", token), (b"-I" + text,), (b"--placeholder=" + text,)):
                with self.subTest(words=words):
                    self.assertEqual(self.one(*words, "--", "printf", "%s|", "{}", token, b"<" + text + text + b">"),
                                     b"{}|hello|<hellohello>|")
        launch = self.launch("-I", "", "--", "true", stdin=b"x\n")
        self.assertEqual(launch.code(), WRONG_USAGE)


class Stdin(CommandTest):
    COUNT = ("--", "wc", "-c")

    def test_a_line_is_read_as_a_line(self):
        loop = 'while read -r word; do echo "got $word"; done'
        self.assertEqual(self.one("--", "sh", "-c", loop, message=b"a"), b"got a")
        self.assertEqual(self.one(*self.COUNT, message=b"abc\n"), b"4")
        self.assertEqual(self.one(*self.COUNT, message=b"\n"), b"1")
        self.assertEqual(self.one("--input", self.write("input", "abc\n"), *self.COUNT), b"4")

    def test_what_is_not_a_line_is_read_as_it_is(self):
        self.assertEqual(self.one("--null", *self.COUNT, message=b"abc\0"), b"3")
        self.assertEqual(self.one(*self.COUNT, message=b"abc\0", environment={"CURFEW_NULL": "true"}), b"3")
        self.assertEqual(self.one("--stdin", "exact", *self.COUNT, message=b"abc\n"), b"3")
        self.assertEqual(self.one("--null", "--stdin", "line", *self.COUNT, message=b"abc\0"), b"4")
        self.assertEqual(self.one(*self.COUNT, message=b"abc\n", environment={"CURFEW_STDIN": "exact"}), b"3")

    def test_a_worker_adds_nothing_unless_it_is_told_to(self):
        for words, count in (((), "3"), (("--stdin", "exact"), "3"), (("--stdin", "line"), "4")):
            with self.subTest(words=words):
                launch = self.launch_procfile("broker: curfew-broker --fanout 1", "c: curfew-collector",
                                              f"w: curfew-worker {' '.join(words)} -- wc -c", stdin=b"abc\n")
                self.assertEqual(self.result(launch), count.encode())

    def test_the_newline_is_in_what_is_read_and_nowhere_else(self):
        words = ("--", "sh", "-c", 'cat >/dev/null; printf %s "$1"', "sh", "<{}>")
        launch = self.launch(*ONE, "--json", *words, stdin=b"abc\n")
        self.ends_well(launch)
        self.assertEqual(json.loads(launch.out)["result"], "<abc>")
        self.assertEqual(self.one("--", "cat", message=b"abc\n"), b"abc")
        self.assertEqual(self.one("--handler", "echo", message=b"abc\n"), b"abc")
        long = b"x" * 100000
        self.assertEqual(self.one("--max-message", "100000", "--max-output", "100000", "--", "cat", message=long + b"\n"),
                         long, "also where it does not fit into a pipe")

    def test_a_message_that_failed_is_handed_back_without_it(self):
        launch = self.launch(*ONE, "--dead-letters", self.path("dead"), "--", "false", stdin=b"abc\n")
        self.ends_well(launch, code=1)
        with open(self.path("dead"), encoding="utf-8") as dead:
            self.assertEqual(json.load(dead)["message"], "abc")


class Programs(CommandTest):
    def test_a_script_without_a_first_line_is_run_by_a_shell(self):
        script = self.script("script", 'read -r word\necho "$0 $1 $word"\n')
        self.assertEqual(self.one("--", script, "a b"), f"{script} a b hello".encode())
        self.assertEqual(self.one("--", "script", "{}", environment={"PATH": self.home + ":" + os.environ["PATH"]}),
                         f"{script} hello hello".encode(), "found in PATH as well")

    def test_what_is_neither_a_program_nor_a_text_is_given_to_no_shell(self):
        script = self.script("garbage", b"\x01\x02\0echo ran\n")
        launch = self.launch(*ONE, "--json", "--", script, stdin=b"x\n")
        self.ends_well(launch, code=1)
        self.assertIn("Exec format error", json.loads(launch.out)["error"])

    def test_an_interpreter_that_is_missing_is_named_before_the_first_message(self):
        for line, name in (("#!/nowhere/python9 -E", "/nowhere/python9"), ("#! /bin/sh\r", r"/bin/sh\r"),
                           ("#!/etc/passwd", "/etc/passwd")):
            with self.subTest(line=line):
                launch = self.launch("--workers", "1", "--", self.script("script", line + "\necho ran\n"), stdin=b"x\n")
                self.assertEqual(launch.code(), WRONG_USAGE)
                self.assertIn(f"its interpreter '{name}'", launch.err)

    def test_a_binary_whose_loader_is_missing_names_it(self):
        with open("/bin/true", "rb") as file:
            program = file.read()
        loader = re.search(rb"/lib[^\0]*/ld[^\0]*\0", program)
        if not loader:
            self.skipTest("/bin/true is no dynamic binary")
        nowhere = b"/nowhere".ljust(len(loader[0]) - 1, b"x") + b"\0"
        worker = self.binary("worker", "--", self.script("program", program.replace(loader[0], nowhere, 1)))
        self.assertEqual(worker.code(), WRONG_USAGE)
        self.assertIn(f"its interpreter '{nowhere[:-1].decode()}' is missing", worker.err)

    def test_an_interpreter_that_goes_is_named_by_the_message_that_fails(self):
        shell, script = self.path("shell"), self.path("script")
        os.symlink("/bin/sh", shell)
        self.script("script", f"#!{shell}\necho ran\n")
        launch = self.launch("--run-dir", self.run_dir, *ONE, "--json", "--", script, stdin="pipe")
        launch.feed(b"one\n")
        launch.writes(1)
        os.unlink(shell)
        launch.feed(b"two\n")
        launch.end_of_input()
        self.ends_well(launch, code=1)
        self.assertIn(f"its interpreter '{shell}' is missing", json.loads(launch.lines[1])["error"])


class Surroundings(CommandTest):
    def limited(self, limit, *words, **how):
        return self.run_words("sh", "-c", f'{limit}; exec "$@"', "sh", PYTHON, "-E", LAUNCH, *ONE,
                              *words, stdin=b"x\n", **how)

    def test_work_has_the_limits_of_the_caller(self):
        look = "ulimit -Sn; ulimit -Hn; ulimit -Sf; ulimit -Sc; ulimit -Ss"
        for limit in ("ulimit -Sn 123", "ulimit -Sn 200; ulimit -Hn 300", "ulimit -Sf 70000; ulimit -Ss 4096", ":"):
            there = self.run_words("sh", "-c", f"{limit}; {look}")
            self.assertEqual(there.code(), 0)
            with self.subTest(limit=limit):
                self.assertEqual(self.result(self.limited(limit, "--", "sh", "-c", look)) + b"\n", there.out)

    def test_work_has_no_descriptor_that_nobody_named(self):
        look = "for n in $(seq 0 99); do [ ! -e /proc/$$/fd/$n ] || echo $n; done"
        with open(os.devnull, "rb") as other:
            launch = self.launch(*ONE, "--", "sh", "-c", look, stdin=b"x\n",
                                 pass_fds=(other.fileno(),))
            self.assertEqual(self.result(launch).split(), [b"0", b"1", b"2"])

    def test_work_knows_its_worker_and_its_pool(self):
        look = "echo $CURFEW_WORKER $CURFEW_POOL"
        self.assertEqual(self.one("--", "sh", "-c", look), b"w1 default")
        launch = self.launch_procfile("broker: curfew-broker --fanout 1", "c: curfew-collector",
                                      f"mine: curfew-worker --pool fast -- sh -c '{look}'", stdin=b"x\n",
                                      environment={"CURFEW_WORKER": "of nobody"})
        self.assertEqual(self.result(launch), b"mine fast")


class Descriptors(CommandTest):
    def bash(self, line, **how):
        """A line with "$@" in it, which is launch."""
        return self.run_words("bash", "-c", line, "bash", PYTHON, "-E", LAUNCH, **how)

    def test_input_and_output_may_be_what_a_shell_makes_of_commands(self):
        got = self.path("got")
        running = self.bash(f'"$@" --input <(seq 3) --output >(cat >{got}) --keep-order -- cat')
        self.assertEqual(running.code(), 0, running.err)
        eventually(lambda: os.path.exists(got) and os.path.getsize(got) == 6, lambda: running.err)
        with open(got, "rb") as file:
            self.assertEqual(file.read(), numbers(3))

    def test_what_a_shell_had_started_before_it_became_launch_is_left_alone(self):
        """A shell that runs one command becomes that command: the reader of >(...) is then a child of launch."""
        got, gate = self.path("got"), self.path("gate")
        os.mkfifo(gate)
        slow = f"sh -c 'read -r word < {gate}; cat; echo end' >{got}"
        launch = self.bash(f'exec "$@" --workers 1 --fanout 1 --input <(seq 3) --output >({slow}) -- cat')
        self.assertEqual(launch.code(), 0, launch.err)
        self.let_go("gate")
        eventually(lambda: os.path.exists(got) and os.path.getsize(got) == 10, "the reader to go on to its end")

    def test_outcomes_go_on_to_a_descriptor_when_the_collector_is_started_again(self):
        reader, writer = os.pipe()
        launch = self.launch("--run-dir", self.run_dir, *ONE, "--output", f"/dev/fd/{writer}",
                             "--handler", "echo", stdin="pipe", pass_fds=(writer,))
        os.close(writer)
        os.set_blocking(reader, False)
        with open(reader, "rb", buffering=0) as results:
            found = bytearray()

            def has(line):
                found.extend(results.read(100) or b"")
                return line in found
            launch.feed(b"one\n")
            eventually(lambda: has(b"one\n"), "the first outcome")
            os.kill(self.pid_of("collector"), signal.SIGKILL)
            launch.says("collector .* died")
            launch.feed(b"two\n")
            eventually(lambda: has(b"two\n"), "the second")
            launch.end_of_input()
            self.ends_well(launch)
            self.assertEqual(results.read(100), b"", "nobody keeps it open")

    def test_the_broker_alone_holds_a_pipe_that_is_the_input(self):
        reader, writer = os.pipe()
        launch = self.launch("--run-dir", self.run_dir, *ONE, "--input", f"/dev/fd/{reader}",
                             "--handler", "echo", pass_fds=(reader,))
        pipe = os.readlink(f"/proc/self/fd/{reader}")
        os.close(reader)
        with open(writer, "wb", buffering=0) as source:
            source.write(b"one\n")
            launch.writes(1)
            # Launch may be a moment behind. Else who writes would not hear of the broker's end.
            eventually(lambda: [pid for pid in processes_with(self.home) if pipe in links_of(pid)]
                       == [self.pid_of("broker")], "the broker to be the only one that holds it")
        self.ends_well(launch)

    def test_each_attempt_has_a_file_for_itself_that_the_command_names_as_a_descriptor(self):
        patterns = self.write("patterns", "2\n4\n")
        launch = self.bash('"$@" --workers 2 --slots 2 --fanout 1 --keep-order --input <(seq 5) --json -- '
                           f'grep -xf /dev/fd/3 3<{patterns}')
        self.assertEqual(launch.code(), 1)
        self.assertEqual([json.loads(line)["outcome"] for line in launch.lines],
                         ["failed", "completed", "failed", "completed", "failed"])

    def test_an_attempt_reads_on_where_the_caller_stood(self):
        text = self.write("text", "head\nbody\nmore\n")
        launch = self.bash(f'exec 3<{text}; read -r -u 3 head; "$@" --workers 1 --fanout 1 --input <(seq 3) -- '
                           "sh -c 'read -r own <&3; echo $own' /dev/fd/3")
        self.assertEqual(launch.code(), 0, launch.err)
        self.assertEqual(launch.lines, ["body"] * 3)

    def test_what_attempts_write_to_a_descriptor_stands_one_behind_the_other(self):
        log = self.path("log")
        launch = self.bash(f'"$@" --workers 2 --fanout 1 --input <(seq 20) -- sh -c \'cat >&7\' /dev/fd/7 7>{log}')
        self.assertEqual(launch.code(), 0, launch.err)
        with open(log, "rb") as written:
            self.assertEqual(sorted(map(int, written.read().split())), list(range(1, 21)))

    def test_a_pipe_that_attempts_write_to_is_shared(self):
        log = self.path("log")
        launch = self.bash('"$@" --workers 2 --fanout 1 --input <(seq 20) -- tee /dev/fd/7 '
                           f'7> >(sort -n > {log}.part; mv {log}.part {log})')
        self.assertEqual(launch.code(), 0, launch.err)
        eventually(lambda: os.path.exists(log), "the end of the pipe")
        with open(log, "rb") as written:
            self.assertEqual(written.read().split(), [b"%d" % number for number in range(1, 21)])

    def test_many_descriptors_keep_their_numbers(self):
        names = [self.write(f"file{number}", f"{number}\n") for number in range(3, 10)]
        redirections = " ".join(f"{number}<{name}" for number, name in enumerate(names, start=3))
        words = " ".join(f"/dev/fd/{number}" for number in range(9, 2, -1))
        launch = self.bash(f'"$@" --workers 1 --fanout 1 --input <(seq 2) -- cat {words} {redirections}')
        self.assertEqual(launch.code(), 0, launch.err)
        self.assertEqual(launch.lines, ["9", "8", "7", "6", "5", "4", "3"] * 2)

    def test_a_pipe_in_a_command_is_refused_with_the_reason(self):
        for line in ('"$@" -- grep -f <(seq 3)', '"$@" -- grep --file=<(seq 3)'):
            with self.subTest(line=line):
                launch = self.bash(line, stdin=b"x\n")
                self.assertEqual(launch.code(), WRONG_USAGE)
                self.assertRegex(launch.err, "^launch: COMMAND names /dev/fd/[0-9]+, which is a pipe: the first attempt")
        reader, writer = os.pipe()
        try:
            worker = self.binary("worker", "--", "cat", f"/dev/fd/{reader}", pass_fds=(reader,))
            self.assertEqual(worker.code(), WRONG_USAGE)
            self.assertIn("pipe", worker.err)
        finally:
            os.close(reader)
            os.close(writer)

    def test_a_descriptor_that_the_command_opens_itself_is_its_own_affair(self):
        code = "exec 3</dev/null 9</dev/null; cat /dev/fd/3 /dev/fd/9 /dev/fd/10; echo done"
        self.assertEqual(self.one("--", "sh", "-c", code), b"done")


class Procfiles(CommandTest):
    GROUP = ("broker: curfew-broker --fanout 1 --deadline none", "c: curfew-collector")

    def test_a_line_is_what_a_shell_reads(self):
        os.mkdir(self.path("x"))
        lines = {"cd x && exec curfew-worker -- pwd": self.path("x"),
                 "cd x && curfew-worker -- pwd": self.path("x"),
                 "echo before >&2; exec curfew-worker -- echo a": "a",
                 "FOO=1 curfew-worker -- sh -c 'echo $FOO'": "1",
                 "FOO=1 BAR='a b' exec curfew-worker -- sh -c 'echo $FOO $BAR'": "1 a b",
                 "if true; then curfew-worker -- echo b; fi": "b",
                 "for i in 1; do curfew-worker -- echo $i; done": "1",
                 "exec 3</dev/null 4</dev/null 5</dev/null 9</dev/null; exec curfew-worker -- echo c": "c",
                 "curfew-worker -- echo 'd'   # a remark": "d"}
        for line, result in lines.items():
            with self.subTest(line=line):
                launch = self.launch_procfile(*self.GROUP, f"w: {line}", stdin=b"x\n")
                self.assertEqual(self.result(launch).decode(), result)
                self.assertNotIn("died", launch.err)

    def test_a_broker_and_a_collector_may_stand_behind_a_shell(self):
        launch = self.launch_procfile("broker: curfew-broker --fanout 1; exit $?", "c: curfew-collector; exit $?",
                                      "w: curfew-worker -- cat; exit $?", stdin=numbers(5))
        self.assertEqual(self.ends_well(launch)[0]["completed"], 5)
        self.assertNotIn("died", launch.err)

    def work(self):
        """The processes that wait at the FIFO."""
        return [pid for pid in processes_with(self.home) if command_of(pid).startswith("sh -c read -r go")]

    def start_behind_a_shell(self):
        """A worker whose shell stays, and its work."""
        os.mkfifo(self.path("hang"))
        launch = self.launch_procfile(
            *self.GROUP, 'w: curfew-worker -- sh -c \'read -r go <"$TEST_HOME/hang"; cat\'; exit $?', stdin=b"one\n",
            environment={"CURFEW_HEARTBEAT": "1m"})
        self.broker_until(lambda broker: broker["attempts"]["in_flight"] == 1, "the attempt to be there")
        worker = self.pid_of("w")
        self.assertNotEqual(parent_of(worker), launch.pid, "a shell stands in between")
        return launch, worker, eventually(self.work, "the work")

    def let_go_of_the_next(self, work):
        """The work of the next life; it must not be the old one that reads what is written to the FIFO."""
        eventually(lambda: not set(work) & set(self.work()), "the end of the old work")
        self.let_go("hang")

    def test_launch_says_of_a_dead_worker_what_its_hello_said(self):
        launch, worker, work = self.start_behind_a_shell()
        os.kill(worker, signal.SIGKILL)
        launch.says(rf"w \(pid {worker}\) died")
        broker = self.broker_until(lambda broker: broker["attempts"]["lost"] == 1, "the loss")
        self.assertEqual((broker["workers_died"], broker["workers_silent"]), (1, 0), "nobody waited for its silence")
        self.let_go_of_the_next(work)
        self.assertEqual(self.ends_well(launch)[0]["completed"], 1)

    def test_a_worker_that_outlives_its_shell_ends_before_the_next_life_begins(self):
        launch, worker, work = self.start_behind_a_shell()
        os.kill(parent_of(worker), signal.SIGKILL)
        eventually(lambda: is_over(worker), "the end of the worker")
        self.assertNotEqual(self.pid_of("w"), worker)
        self.let_go_of_the_next(work)
        self.assertEqual(self.ends_well(launch)[0]["completed"], 1)
        self.assertNotIn("is in use", launch.err)


if __name__ == "__main__":
    unittest.main()

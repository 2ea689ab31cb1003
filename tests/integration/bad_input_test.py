"""What comes of bad input, with the real processes: wrong usage, files and endpoints that are not there or are taken, odd
messages, a reader that goes away, and junk on every socket.

Always: the exit code of the contract, one clear error line, no hang, and whatever was good goes on.
"""

import json
import os
import signal
import socket
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))

from peers import Peers  # noqa: E402
import zmq  # noqa: E402
from group import LAUNCH, PYTHON, ROOT, eventually, numbers  # noqa: E402
from refusals import INCOMPLETE, IO, ROLES, USAGE, BadInputTest  # noqa: E402


class Usage(BadInputTest):
    def test_unknown_flags_are_refused_by_each_process(self):
        for role in ROLES:
            for flag in ("--nope", "-x", "--fanoutt=2"):
                with self.subTest(role=role, flag=flag):
                    self.refuses(self.binary(role, flag), saying=flag.partition("=")[0])
        self.refuses(self.launch("--nope", "--", "cat"), saying="--nope")

    def test_words_that_no_flag_takes_are_refused(self):
        for role in ("broker", "collector"):
            self.refuses(self.binary(role, "word"), saying="word")
        self.refuses(self.binary("worker", "--handler", "echo", "--", "cat"), saying="COMMAND")
        for words in ((), ("look",), ("stats", "more"), ("cancel",)):
            self.refuses(self.binary("monitor", *words), saying="stats, dump")

    def test_unknown_keys_in_a_config_file_are_refused_and_named(self):
        config = self.write("config", "nope = 3\n")
        for role in ROLES:
            with self.subTest(role=role):
                self.refuses(self.binary(role, "--config", config), saying="nope")

    def test_a_config_file_that_is_missing_or_is_no_text_is_refused(self):
        junk = self.write("junk", bytes(range(256)))
        for role in ROLES:
            with self.subTest(role=role):
                self.refuses(self.binary(role, "--config", self.path("missing")), saying="missing")
                self.assertEqual(self.binary(role, "--config", junk).code(), USAGE)

    def test_values_of_a_config_file_are_judged_as_those_of_flags(self):
        for line in ("window = -1", "window = 010", "deadline = 5", "hedge = soon"):
            with self.subTest(line=line):
                self.refuses(self.binary("broker", "--config", self.write("config", line + "\n")), saying="--" + line.split()[0])

    def test_numbers_are_plain_and_in_range(self):
        flags = (("broker", "--fanout"), ("broker", "--window"), ("broker", "--attempts"), ("broker", "--poison"),
                 ("broker", "--max-message"), ("broker", "--window-bytes"), ("worker", "--slots"), ("worker", "--credit"),
                 ("worker", "--max-output"), ("monitor", "--limit"))
        running = [(flag, value, self.binary(role, *ROLES[role], f"{flag}={value}")) for role, flag in flags
                   for value in ("-1", "010", "0x10", "1e3", "1.5", "", "many", "99999999999999999999")]
        for flag, value, process in running:
            with self.subTest(flag=flag, value=value):
                self.refuses(process, saying=flag)

    def test_zero_is_refused_where_nothing_would_run(self):
        for role, flag in (("broker", "--fanout"), ("broker", "--window"), ("broker", "--attempts"), ("broker", "--max-message"),
                           ("broker", "--deadline"), ("worker", "--slots"), ("worker", "--credit"), ("monitor", "--limit")):
            with self.subTest(flag=flag):
                self.refuses(self.binary(role, *ROLES[role], flag, "0"), saying=flag)

    def test_durations_need_their_unit_and_are_in_range(self):
        flags = (("broker", "--deadline"), ("broker", "--grace"), ("broker", "--heartbeat"), ("broker", "--hedge"),
                 ("broker", "--hedge-max"), ("worker", "--grace"), ("worker", "--heartbeat"), ("collector", "--heartbeat"),
                 ("monitor", "--watch"))
        running = [(flag, value, self.binary(role, *ROLES[role], f"{flag}={value}")) for role, flag in flags
                   for value in ("5", "-5ms", "5 ms", "05s", "5sec", "1h30m", "1e3ms", "", "99999999999h")]
        for flag, value, process in running:
            with self.subTest(flag=flag, value=value):
                self.refuses(process, saying=flag)

    def test_handlers_and_their_arguments_are_checked_before_anything_runs(self):
        for handler in ("nope", "sleep", "sleep:", "sleep:5", "sleep:exp:", "sleep:tail:1ms:2ms", "sleep:tail:1ms:2ms:200%",
                        "spin:5", ""):
            with self.subTest(handler=handler):
                self.refuses(self.binary("worker", "--handler", handler), saying="--handler")

    def test_lists_of_exit_codes_are_checked(self):
        for flag in ("--ok-exit", "--reject-exit"):
            for value in ("256", "-1", "0,", "0,,1", "x", "01", "1-3"):
                with self.subTest(flag=flag, value=value):
                    self.refuses(self.binary("worker", "--handler", "echo", f"{flag}={value}"), saying=flag)

    def test_launch_refuses_what_its_processes_would_refuse(self):
        for words in (("--window", "-1"), ("--window", "010"), ("--fanout", "1e3"), ("--deadline", "5"), ("--hedge", "20"),
                      ("--max-message", "0x10"), ("--workers", "0")):
            with self.subTest(words=words):
                self.refuses(self.launch(*words, "--handler", "echo"), saying=words[0])

    def test_a_wrong_handler_under_launch_ends_the_group_with_64(self):
        launch = self.launch("--workers", "2", "--handler", "nope", stdin=numbers(3))
        self.assertEqual(launch.code(), USAGE)
        self.assertEqual(launch.err.count("'nope' is not exec, coprocess, http, echo"), 1, launch.err)
        self.assertNotIn("starting it again", launch.err)

    def test_a_word_in_the_environment_is_judged_as_its_flag(self):
        self.refuses(self.binary("broker", environment={"CURFEW_WINDOW": "-1"}), saying="--window")

    def test_descriptors_that_are_not_open_are_refused(self):
        self.refuses(self.binary("broker", "--lifeline", "77"), saying="--lifeline")
        self.refuses(self.binary("broker", "--ready-fd", "77"), saying="--ready-fd")


    def test_a_bench_refuses_shares_that_are_none(self):
        for name, flag, refused in (("tail", "--load", ("30", "2.1", "0", "-1", "nan", "x")), ("latency", "--share", ("50", "1.1"))):
            for value in refused:
                with self.subTest(bench=name, value=value):
                    bench = self.run_words(PYTHON, os.path.join(ROOT, "bench", "run"), name, flag, value)
                    self.assertEqual(bench.code(), 2)
                    self.assertRegex(bench.err, rf"argument {flag}: .*share")


class Files(BadInputTest):
    def test_a_missing_source_is_refused(self):
        self.refuses(self.binary("broker", "--source", "file:" + self.path("missing")), saying=self.path("missing"))
        self.refuses(self.launch("--input", self.path("missing"), "--", "cat"), saying="missing")
        for source in ("", "file", "stdout", "http://x"):
            self.refuses(self.binary("broker", "--source", source), saying="--source")

    def test_an_input_that_is_a_folder_is_refused(self):
        self.refuses(self.launch("--input", self.private, "--", "cat"), saying=self.private)
        self.assertIn(self.binary("broker", "--source", "file:" + self.private).code(), (USAGE, IO))

    def test_an_output_that_cannot_be_written_is_74(self):
        self.refuses(self.launch("--output", "/nonexistent/x", "--handler", "echo"), code=IO, saying="/nonexistent/x")
        self.refuses(self.launch("--output", self.private, "--handler", "echo"), code=IO, saying=self.private)
        for sink in ("/nonexistent/x", self.private):
            self.refuses(self.binary("collector", "--sink", f"file:{sink}"), code=IO, saying=sink)

    def test_a_closed_stdin_or_stdout_is_74_and_no_other_descriptor_passes_for_it(self):
        for stdin, stdout in (("", ">&-"), ("<&-", "")):
            with self.subTest(stdin=stdin, stdout=stdout):
                launch = self.launch_procfile(f"broker: curfew-broker --source stdin {stdin}", "w: curfew-worker --handler echo",
                                              f"collector: curfew-collector {stdout}", stdin=numbers(5))
                try:
                    self.assertEqual(launch.code(), IO, launch.err)
                finally:
                    launch.signal(signal.SIGTERM)
                    launch.signal(signal.SIGINT)
                    launch.code()

    def test_a_closed_stderr_costs_nothing_but_the_words(self):
        for words, code in ((("--version",), 0), (("--no-such-flag",), 64)):
            with self.subTest(words=words):
                launch = self.run_words("sh", "-c", 'exec "$@" 2>&-', "sh", PYTHON, "-E", LAUNCH, *words)
                self.assertEqual(launch.code(), code)

    def test_a_command_that_does_not_exist_is_one_error_and_not_one_a_message(self):
        self.refuses(self.launch("--workers", "2", "--", "no-such-command", stdin=numbers(1000)), saying="no-such-command")
        self.refuses(self.binary("worker", "--", "no-such-command"), saying="no-such-command")
        self.refuses(self.binary("worker", "--", self.write("not-executable", "")), saying="not-executable")
        self.refuses(self.binary("worker", "--", self.private), saying=self.private)
        self.refuses(self.binary("worker"), saying="command")
        script = self.write("script", "#!/nonexistent/interpreter\n")
        os.chmod(script, 0o755)
        self.refuses(self.binary("worker", "--", script), saying="/nonexistent/interpreter")


class Endpoints(BadInputTest):
    def taken(self):
        listener = socket.socket()
        self.addCleanup(listener.close)
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        return f"tcp://127.0.0.1:{listener.getsockname()[1]}"

    def free(self):
        """An endpoint that nobody has: its port was chosen by the system and is let go again."""
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            return f"tcp://127.0.0.1:{listener.getsockname()[1]}"

    FLAGS = (("broker", "--events"), ("broker", "--admin"), ("broker", "--monitor"), ("worker", "--tasks"),
             ("worker", "--control"), ("worker", "--monitor"), ("collector", "--results"), ("collector", "--monitor"))

    def test_an_endpoint_that_is_taken_is_refused(self):
        taken = self.taken()
        for role, flag in (*self.FLAGS, ("broker", "--source")):
            with self.subTest(role=role, flag=flag):
                value = f"zmq:{taken}" if flag == "--source" else taken
                line = self.refuses(self.binary(role, "--insecure", *ROLES[role], flag, value), saying=taken)
                self.assertIn("in use", line)

    def test_a_socket_of_the_group_over_tcp_needs_insecure_on_loopback_too(self):
        connecting = (("broker", "--collector"), ("worker", "--broker"), ("worker", "--collector"), ("collector", "--broker"))
        for role, flag in (*self.FLAGS, *connecting):
            for address in ("tcp://127.0.0.1:5555", "tcp://localhost:5555", "tcp://[::1]:5555", "tcp://192.0.2.1:5555",
                            "ipc://@curfew"):
                with self.subTest(role=role, flag=flag, address=address):
                    line = self.refuses(self.binary(role, *ROLES[role], flag, address), saying=address)
                    self.assertIn("use ipc://PATH or, if everybody who can reach it is trusted, say --insecure", line)

    def test_a_bind_that_others_could_reach_needs_insecure(self):
        for role, flag in (*self.FLAGS, ("broker", "--source")):
            for address in ("tcp://0.0.0.0:*", "tcp://*:*", "tcp://[::]:*", "tcp://*:5555", "tcp://0:*"):
                with self.subTest(role=role, flag=flag, address=address):
                    value = f"zmq:{address}" if flag == "--source" else address
                    self.refuses(self.binary(role, *ROLES[role], flag, value), saying="--insecure")

    def test_messages_and_outcomes_may_pass_over_loopback_and_no_further(self):
        for address in ("tcp://192.0.2.1:5555", "tcp://127.example.org:5555", "tcp://127.0.0.1:0;192.0.2.1:5555"):
            for role, flag in (("broker", "--source"), ("collector", "--sink")):
                with self.subTest(flag=flag, address=address):
                    line = self.refuses(self.binary(role, flag, f"zmq:{address}"), saying=address)
                    self.assertIn("use ipc://PATH, a loopback address or, if everybody", line)
        for role, flag in (("broker", "--source"), ("collector", "--sink")):
            self.ready(role, flag, f"zmq:{self.free()}")

    def test_a_host_name_that_only_looks_like_loopback_is_no_way_out(self):
        for address in ("tcp://127.example.org:*", "tcp://127.0.0.1.example.org:*", "tcp://localhost.example.org:*"):
            with self.subTest(address=address):
                self.refuses(self.binary("broker", "--events", address), saying=address)

    def test_with_insecure_a_group_may_be_all_tcp(self):
        collector_at = self.free()
        broker = self.ready("broker", "--insecure", "--events", "tcp://127.0.0.1:*", "--admin", "tcp://127.0.0.1:*",
                            "--monitor", "tcp://0.0.0.0:*", "--collector", collector_at, "--source", "zmq:tcp://127.0.0.1:*")
        self.assertRegex(broker.endpoints["monitor"], r"^tcp://0\.0\.0\.0:\d+$")
        broker_at = broker.endpoints["events"]
        collector = self.ready("collector", "--insecure", "--results", collector_at, "--broker", broker_at)
        self.ready("worker", "--insecure", "--handler", "echo", "--broker", broker_at, "--collector", collector_at,
                   "--tasks", "tcp://127.0.0.1:*", "--control", "tcp://127.0.0.1:*")
        context = Peers()
        self.addCleanup(context.close)
        context.socket(zmq.PUSH, connect=broker.endpoints["source"]).send(b"round the ring")
        eventually(lambda: collector.out == b"round the ring\n", "the outcome")
        code, out, _ = self.monitor("--connect", broker.endpoints["monitor"].replace("0.0.0.0", "127.0.0.1"), "stats")
        self.assertEqual(code, 0, "to ask needs no flag")
        self.assertIn("completed", out)

    def test_a_worker_that_names_a_tcp_endpoint_is_not_served_by_a_broker_without_insecure(self):
        broker = self.ready("broker", stdin="pipe")
        self.ready("worker", "--insecure", "--handler", "echo", "--tasks", "tcp://127.0.0.1:*")
        broker.says(r"worker_unreachable .*--insecure")

    def test_endpoints_that_are_none_are_refused(self):
        for address in ("nope", "tcp://", "tcp://127.0.0.1", "tcp://127.0.0.1:", "tcp://127.0.0.1:99999", "tcp://127.0.0.1:x",
                        "tcp://127.0.0.1:-1", "udp://127.0.0.1:1", "inproc://x", "ipc://", "ipc://" + "x" * 200,
                        "ipc:///nonexistent/x"):
            for role, flag in (("broker", "--events"), ("broker", "--collector"), ("worker", "--broker"),
                               ("collector", "--results")):
                if address == "ipc:///nonexistent/x" and flag in ("--collector", "--broker"):
                    continue  # who connects may come before the folder does
                with self.subTest(flag=flag, address=address):
                    self.refuses(self.binary(role, *ROLES[role], flag, address), saying=address[:100])

    def test_a_run_directory_in_use_is_refused(self):
        first = self.ready("broker", stdin="pipe")
        line = self.refuses(self.binary("broker"), saying=self.run_dir)
        self.assertIn(f"process {first.pid}", line)
        self.refuses(self.launch("--run-dir", self.run_dir, "--handler", "echo"), saying="in use")
        self.assertTrue(first.alive)
        self.assertEqual(self.monitor("--connect", first.endpoints["monitor"], "stats")[0], 0, "the first still answers")

    def test_a_run_directory_that_cannot_be_is_refused(self):
        file = self.write("file", "")
        for where in (file, self.path("no", "parent"), self.path("x" * 120)):
            for role in ("broker", "worker", "collector"):
                with self.subTest(role=role, where=where):
                    self.refuses(self.binary(role, *ROLES[role], "--run-dir", where), saying=where[:60])
            self.refuses(self.launch("--run-dir", where, "--handler", "echo"), saying="--run-dir")


class Answers(BadInputTest):
    """What counts as an answer."""

    def test_quicker_work_with_a_bad_exit_code_does_not_win(self):
        work = 'if [ "$CURFEW_ATTEMPT" = 1 ]; then echo wrong; exit 3; fi; sleep 0.1; echo right'
        launch = self.launch("--workers", "2", "--slots", "4", "--fanout", "2", "--", "sh", "-c", work, stdin=numbers(20))
        tasks, attempts = self.ends_well(launch)
        self.assertEqual((launch.lines, tasks["completed"]), (["right"] * 20, 20))
        self.assertGreater(attempts["failed"], 0)

    def test_exit_codes_that_are_said_to_be_good_are(self):
        launch = self.launch("--workers", "1", "--fanout", "1", "--ok-exit", "10,20", "--json", "--",
                             "sh", "-c", 'read m; echo "$m"; exit "$m"', stdin=b"10\n20\n0\n")
        tasks, _ = self.ends_well(launch, code=INCOMPLETE)
        outcomes = {outcome["seq"]: outcome["outcome"] for outcome in map(json.loads, launch.lines)}
        self.assertEqual(outcomes, {1: "completed", 2: "completed", 3: "failed"})

    def test_an_empty_answer_with_a_good_exit_code_is_an_answer(self):
        launch = self.launch("--workers", "1", "--", "true", stdin=numbers(3))
        tasks, _ = self.ends_well(launch)
        self.assertEqual((tasks["completed"], launch.out), (3, b"\n\n\n"))

    def test_work_that_reads_nothing_of_a_long_message_is_not_hurt(self):
        launch = self.launch("--workers", "1", "--fanout", "1", "--", "echo", "ok", stdin=b"x" * 900_000 + b"\n")
        self.ends_well(launch)
        self.assertEqual(launch.lines, ["ok"])

    def test_output_over_the_limit_is_a_failure_with_its_reason(self):
        launch = self.launch("--workers", "1", "--fanout", "1", "--json", "--max-output", "64k", "--", "yes", stdin=b"x\n")
        self.assertEqual(self.ends_well(launch, code=INCOMPLETE)[0]["failed"], 1)
        self.assertIn("--max-output", json.loads(launch.lines[0])["error"])

    def test_a_message_is_one_argument_whatever_is_in_it(self):
        messages = [b"two words", b"$(touch no)", b"; exit 9", b"'\"", b"*", b"--help", b"-e \\n", b"a" * 100_000]
        launch = self.launch("--workers", "1", "--keep-order", "--", "printf", "%s", "{}", stdin=b"\n".join(messages) + b"\n")
        self.ends_well(launch)
        self.assertEqual(launch.out, b"\n".join(messages) + b"\n")
        self.assertFalse(os.path.exists(self.path("no")))

    def test_a_message_too_long_for_an_argument_fails_with_its_reason(self):
        launch = self.launch("--workers", "1", "--fanout", "1", "--json", "--", "printf", "%s", "{}",
                             stdin=b"a" * 900_000 + b"\nok\n")
        tasks, _ = self.ends_well(launch, code=INCOMPLETE)
        self.assertEqual((tasks["completed"], tasks["failed"]), (1, 1))


if __name__ == "__main__":
    unittest.main()

"""What a queue server does not take of a group, and what nobody else keeps: it holds up no other, and is not lost."""

import os
import signal
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "support"))

from group import eventually  # noqa: E402
from queue_group import QueueTest  # noqa: E402
from rabbit import needs_rabbit  # noqa: E402

FAILS = ("--", "sh", "-c", "exit 5")
LARGEST = 4096  # bytes of a message, for the server


@needs_rabbit
class Answers(QueueTest):
    def test_a_question_that_fails_is_answered_beside_its_dead_letter(self):
        answers = self.channel.queue_declare("", exclusive=True).method.queue
        for letters in (self.url(queue=self.dead), self.path("letters")):
            self.publish("q", message_id="i", reply_to=answers, correlation_id="c")
            launch = self.group("--dead-letters", letters, *FAILS)
            (properties, body), = self.take(answers)
            self.assertEqual((properties.correlation_id, properties.headers["outcome"], body), ("c", "failed", b"exit code 5"))
            self.drained(launch, code=1)
            self.nothing_waits()
        self.assertEqual(self.take_bodies(self.dead), {"q": 1})
        with open(self.path("letters"), encoding="utf-8") as file:
            self.assertEqual(file.read().count('"id":"i"'), 1)
        self.assertEqual([self.depth(queue) for queue in (answers, self.dead, self.done)], [0, 0, 0])

    def test_a_queue_of_answers_that_is_full_holds_up_nobody_and_makes_nothing_come_twice(self):
        full = f"full.{self.jobs}"
        self.channel.queue_declare(full, arguments={"x-max-length": 1, "x-overflow": "reject-publish"})
        self.publish("the first", queue=full)
        for number in range(1, 11):
            self.publish(str(number), message_id=f"id{number}", reply_to=full)
        self.publish_numbers(200, first=11)
        launch = self.group("--handler", "echo")
        self.assertEqual(self.take_bodies(self.done, 210), {str(number): 1 for number in range(1, 211)})
        launch.says("answer_refused .*the server does not take it")
        self.drained(launch)
        self.nothing_waits()
        self.assertEqual((self.depth(self.done), self.depth(full)), (0, 1))
        self.assertNotIn("sink_waits", launch.err, "no connection was given up for it")

    def test_an_answer_on_which_the_server_closes_is_left(self):
        self.publish_numbers(50)
        self.publish("odd", message_id="odd", reply_to="amq.rabbitmq.reply-to.x.y", correlation_id="c")
        self.publish_numbers(50, first=51)
        launch = self.group("--handler", "echo")
        eventually(lambda: self.depth(self.done) >= 101, "all outcomes")
        launch.says("answer_refused .*amq.rabbitmq.reply-to.x.y.*the server has closed")
        self.drained(launch)
        self.nothing_waits()
        found = set(self.take_bodies(self.done, self.depth(self.done)))  # it may have had some that go again
        self.assertEqual(found, {str(number) for number in range(1, 101)} | {"odd"})

    def test_of_what_nobody_here_keeps_the_queue_has_the_dead_letter(self):
        self.publish("bad")
        launch = self.launch("--run-dir", self.run_dir, "--source", self.url(queue=self.jobs), "--sink", self.url(), "--json", *FAILS)
        self.assertEqual(self.take_bodies(self.dead), {"bad": 1})
        self.drained(launch, code=1)

    def test_of_a_message_over_the_limit_the_queue_has_all_and_who_asked_hears(self):
        answers = self.channel.queue_declare("", exclusive=True).method.queue
        self.publish(b"x" * 5000, message_id="long", reply_to=answers, correlation_id="c")
        self.publish(b"m", message_id="wide", reply_to=answers, correlation_id="c",
                     headers={f"h{number}": "x" * 1000 for number in range(100)})
        launch = self.group("--max-message", "4k", "--json", "--handler", "echo")
        said = {properties.message_id: properties for properties, _ in self.take(answers, 2)}
        self.assertIn("5000 bytes, over --max-message 4096", said["long"].headers["error"])
        self.assertIn("its properties and headers have", said["wide"].headers["error"])
        self.assertEqual({properties.correlation_id for properties in said.values()}, {"c"})
        self.assertEqual({properties.message_id: len(body) for properties, body in self.take(self.dead, 2)}, {"long": 5000, "wide": 1})
        self.drained(launch, code=1)


@needs_rabbit
class Outcomes(QueueTest):
    HOW = {"settings": (f"max_message_size = {LARGEST}",)}

    def test_an_outcome_that_the_server_refuses_waits_and_holds_up_nobody(self):
        self.publish_numbers(20)
        self.publish("long", message_id="long")
        self.publish_numbers(20, first=21)
        work = f'read -r m; case "$m" in long) head -c {LARGEST + 1} /dev/zero | tr "\\0" x;; *) printf %s "$m";; esac'
        launch = self.group("--", "sh", "-c", work)
        launch.says("sink_waits .*an outcome that the server refuses.*task .*larger than")
        self.publish("later", message_id="later")
        eventually(lambda: self.depth(self.done) >= 41, "all other outcomes")
        self.assertEqual(len(self.take_bodies(self.done, self.depth(self.done))), 41)
        launch.signal(signal.SIGINT)
        launch.says("draining")
        launch.signal(signal.SIGINT)
        self.assertEqual(launch.code(), 130, launch.err)
        eventually(lambda: self.depth(self.jobs) == 1, "the message in its queue")


if __name__ == "__main__":
    import unittest
    unittest.main()

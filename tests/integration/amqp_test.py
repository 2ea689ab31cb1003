"""Queues of RabbitMQ as source and sink: what comes is answered, whatever is killed; what waits, waits where others get it."""

import collections
import json
import os
import signal
import socket
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "support"))

from group import eventually  # noqa: E402
from queue_group import QueueTest  # noqa: E402
from rabbit import needs_rabbit, pika  # noqa: E402
from service import Service, reply  # noqa: E402


def ids_of(taken):
    return collections.Counter(properties.message_id for properties, _ in taken)


def all_ids(count):
    return collections.Counter(f"id{number}" for number in range(1, count + 1))


@needs_rabbit
class Queues(QueueTest):
    def test_each_message_has_its_outcome_once(self):
        count = 500
        self.publish_numbers(count)
        launch = self.group("--handler", "echo", "--group-name", "rack 1")
        taken = self.take(self.done, count)
        self.assertEqual(ids_of(taken), all_ids(count))
        for properties, body in taken:
            self.assertEqual(f"id{body.decode()}", properties.message_id)
            self.assertEqual(properties.headers["outcome"], "completed")
            self.assertIn(properties.headers["worker"], ("w1", "w2"))
            self.assertEqual(properties.headers["group"], "rack 1")
            self.assertEqual(properties.delivery_mode, 2)
            self.assertRegex(properties.headers["task"], r"^\d+-\d+$")
        tasks, _ = self.drained(launch)
        self.assertEqual(tasks["completed"], count)
        self.nothing_waits()
        self.assertEqual(self.depth(self.done), 0)

    def test_a_message_without_an_id_has_the_name_of_its_task(self):
        self.publish("plain")
        launch = self.group("--handler", "echo")
        (properties, body), = self.take(self.done)
        self.assertEqual((body, properties.message_id), (b"plain", properties.headers["task"]))
        self.assertEqual(properties.headers["group"], socket.gethostname())
        launch.says(f"takes messages from .*{self.jobs} until INT or TERM")
        self.drained(launch)

    def test_who_asks_is_answered(self):
        answers = self.channel.queue_declare("", exclusive=True).method.queue
        for number in range(10):
            self.publish(f"question {number}", reply_to=answers, correlation_id=f"c{number}")
        self.publish("fail", reply_to=answers, correlation_id="f")
        launch = self.launch("--run-dir", self.run_dir, "--source", self.url(queue=self.jobs), "--sink", self.url(),
                             "--", "sh", "-c", 'read -r m; case "$m" in fail) echo no >&2; exit 3;; *) echo "answer to $m";; esac')
        taken = {properties.correlation_id: (properties, body.decode()) for properties, body in self.take(answers, 11)}
        for number in range(10):
            self.assertEqual(taken[f"c{number}"][1], f"answer to question {number}")
        properties, body = taken["f"]
        self.assertEqual((properties.headers["outcome"], body), ("failed", "exit code 3: no"))
        self.assertEqual(properties.headers["error"], "exit code 3: no")
        self.drained(launch, code=1)
        self.assertEqual(self.take_bodies(self.dead), {"fail": 1}, "what did not complete is in the queue's dead letters")

    def test_a_question_that_is_asked_again_is_answered_again(self):
        answers = self.channel.queue_declare("", exclusive=True).method.queue
        launch = self.group("--handler", "echo")
        for correlation in ("first", "second"):
            self.publish("question", message_id="q", reply_to=answers, correlation_id=correlation)
            (properties, body), = self.take(answers)
            self.assertEqual((properties.correlation_id, body), (correlation, b"question"))
        self.drained(launch)

    def test_an_answer_that_nobody_waits_for_holds_up_nobody(self):
        self.publish("who has gone", reply_to="nobody", correlation_id="c")
        self.publish("who is there")
        launch = self.group("--handler", "echo")
        self.assertEqual(self.take_bodies(self.done, 2), {"who has gone": 1, "who is there": 1})
        self.drained(launch)
        self.nothing_waits()

    def test_dead_letters_are_the_messages_and_say_why(self):
        self.publish("bad", message_id="b", correlation_id="c", content_type="text/plain", headers={"tenant": "t1", "outcome": "mine"})
        launch = self.group("--dead-letters", self.url(queue=self.dead), "--attempts", "2", "--", "sh", "-c", "exit 5")
        (properties, body), = self.take(self.dead)
        self.assertEqual((body, properties.message_id, properties.correlation_id, properties.content_type), (b"bad", "b", "c", "text/plain"))
        headers = properties.headers
        self.assertEqual((headers["outcome"], headers["error"], headers["tenant"]), ("failed", "exit code 5", "t1"))
        self.assertEqual([attempt["end"] for attempt in json.loads(headers["history"])], ["failed", "failed"])
        self.drained(launch, code=1)
        self.nothing_waits()
        self.assertEqual(self.depth(self.dead), 0, "it was acknowledged: the dead letter is kept by us, once")

    def test_json_outcomes(self):
        self.publish("x", message_id="i")
        launch = self.group("--json", "--handler", "echo")
        (properties, body), = self.take(self.done)
        outcome = json.loads(body)
        self.assertEqual((outcome["id"], outcome["outcome"], outcome["result"]), ("i", "completed", "x"))
        self.assertEqual(properties.content_type, "application/json")
        self.drained(launch)

    def test_a_command_hears_what_the_sender_says(self):
        self.publish("m", message_id="i1", correlation_id="c1", content_type="text/x", headers={"Trace-Id": "t1", "n": 7, "LD_PRELOAD": "x"})
        launch = self.group("--fanout", "1", "--", "sh", "-c", "env | grep -E '^(CURFEW_(MESSAGE|CORR|CONTENT|HEADER)|LD_)' | sort")
        (_, body), = self.take(self.done)
        self.assertEqual(body.decode().split("\n"), [
            "CURFEW_CONTENT_TYPE=text/x", "CURFEW_CORRELATION_ID=c1", "CURFEW_HEADER_LD_PRELOAD=x", "CURFEW_HEADER_N=7",
            "CURFEW_HEADER_TRACE_ID=t1", "CURFEW_MESSAGE_ID=i1"])
        self.drained(launch)

    def test_a_service_hears_it_where_that_is_wanted(self):
        async def headers_of(request):
            return reply(json.dumps({name.lower(): value for name, value in request.headers.items()}))

        service = Service(headers_of)
        self.addCleanup(service.close)
        self.publish("m", content_type="text/x", headers={"Trace-Id": "t1", "Host": "evil", "a b": "c", "split": "x\r\ny: z"})
        launch = self.group("--url", f"{service.url}/", "--pass-headers")
        (_, body), = self.take(self.done)
        heard = json.loads(body)
        self.assertEqual((heard["content-type"], heard["trace-id"]), ("text/x", "t1"))
        self.assertTrue(heard["host"].startswith("127.0.0.1"))
        self.assertFalse({"a b", "split", "y"} & heard.keys())
        self.drained(launch)

    def test_an_expiration_is_a_deadline(self):
        answers = self.channel.queue_declare("", exclusive=True).method.queue
        launch = self.group("--grace", "100ms", "--", "sleep", self.sleep, sink=False)
        self.broker_until(lambda broker: broker["source"]["prefetch"] > 0, "a consumer")
        self.publish("m", expiration="3000", reply_to=answers)
        # Without a sink that answers it goes to the queue's dead letters
        self.assertEqual(self.take_bodies(self.dead), {"m": 1})
        self.drained(launch, code=1)


@needs_rabbit
class Sharing(QueueTest):
    def test_a_group_takes_what_it_can_do_and_leaves_the_rest(self):
        self.publish_numbers(50)
        launch = self.group("--workers", "2", "--slots", "2", "--fanout", "1", "--", "sleep", self.sleep)
        broker = self.broker_until(lambda broker: broker["tasks"]["in_flight"] >= 4, "four tasks")
        time_for_more = self.broker_until(lambda broker: broker["source"]["unacked"] >= 4, "what it holds")
        self.assertLessEqual(time_for_more["source"]["unacked"] + time_for_more["source"]["fetched"], 8, broker)
        eventually(lambda: sum(self.depths(self.jobs)) == 50 and self.depths(self.jobs)[1] <= 8,
                   lambda: f"a few that are held: {self.depths(self.jobs)}")
        launch.signal(signal.SIGINT)
        # What it had fetched and not begun goes back at once, though the drain goes on
        eventually(lambda: self.depths(self.jobs) == (46, 4), lambda: f"the rest of the queue: {self.depths(self.jobs)}")
        launch.signal(signal.SIGTERM)
        launch.code()
        eventually(lambda: self.depths(self.jobs) == (50, 0), lambda: f"all of it again: {self.depths(self.jobs)}")

    def test_a_message_that_came_often_runs_alone(self):
        self.publish("suspect")
        for _ in range(6):
            method, _, _ = eventually(lambda: (got := self.channel.basic_get(self.jobs))[0] and got, "the message")
            self.channel.basic_nack(method.delivery_tag, requeue=True)
        self.publish("innocent")
        launch = self.group("--json", "--workers", "3", "--fanout", "3", "--hedge", "0", "--", "sh", "-c", "sleep 0.2; cat")
        taken = {json.loads(body)["result"]: json.loads(body)["attempts"] for _, body in self.take(self.done, 2)}
        self.assertEqual(taken, {"suspect": 1, "innocent": 3})
        self.drained(launch)


@needs_rabbit
class Lost(QueueTest):
    COUNT = 300

    def log_of_runs(self):
        with open(self.path("runs"), encoding="ascii") as file:
            return collections.Counter(file.read().split())

    def work(self, seconds=0.02):
        """Says that it ran, waits a little, and echoes."""
        return ("--fanout", "1", "--slots", "4", "--", "sh", "-c", 'read -r m; echo "$m" >> "$TEST_HOME/runs"; sleep ' + f'{seconds}; echo "$m"')

    def test_a_group_that_is_killed_loses_nothing(self):
        self.publish_numbers(self.COUNT)
        launch = self.group(*self.work())
        first = self.take(self.done, 50)
        pid = self.pid_of("broker")
        os.kill(pid, signal.SIGKILL)
        self.assertEqual(launch.code(), 75)
        launch.says(r"\d+ messages? had no outcome: the queue has (it|them) again, for other groups or for this one when")
        for word in ("without an outcome", "has no end"):
            self.assertNotIn(word, launch.err)
        second = self.group(*self.work())
        taken = first + self.take(self.done, self.COUNT - len(ids_of(first)))
        eventually(lambda: (taken.extend(self.take(self.done, self.depth(self.done))) if self.depth(self.done) else None)
                   or len(ids_of(taken)) == self.COUNT, lambda: f"all outcomes, not {len(ids_of(taken))}")
        self.drained(second)
        self.nothing_waits()
        rest = self.depth(self.done)
        taken += self.take(self.done, rest) if rest else []
        self.assertEqual(set(ids_of(taken)), set(all_ids(self.COUNT)), "none lost, none unexpected")
        twice = [name for name, times in ids_of(taken).items() if times > 1]
        self.assertLessEqual(len(twice), 32, "more than what was in flight came twice")

    def test_a_collector_that_is_killed_loses_nothing(self):
        self.publish_numbers(self.COUNT)
        launch = self.group(*self.work())
        taken = self.take(self.done, 50)
        os.kill(self.pid_of("collector"), signal.SIGKILL)
        eventually(lambda: (taken.extend(self.take(self.done, self.depth(self.done))) if self.depth(self.done) else None)
                   or len(ids_of(taken)) == self.COUNT, lambda: f"all outcomes, not {len(ids_of(taken))}")
        self.drained(launch)
        self.nothing_waits()
        self.assertEqual(set(ids_of(taken)), set(all_ids(self.COUNT)))

    def test_connections_that_are_closed_make_nothing_run_twice(self):
        self.publish_numbers(self.COUNT)
        launch = self.group(*self.work())
        taken = self.take(self.done, 30)
        self.server.ctl("close_all_connections", "test")
        self.open_channel()
        taken += self.take(self.done, self.COUNT - len(taken))
        eventually(lambda: len(ids_of(taken)) == self.COUNT
                   or taken.extend(self.take(self.done, self.depth(self.done)) if self.depth(self.done) else []),
                   lambda: f"all outcomes, not {len(ids_of(taken))}")
        source = self.answer()["source"]
        self.assertEqual(source["connections_lost"], 1, source)
        self.drained(launch)
        self.nothing_waits()
        self.assertEqual(set(self.log_of_runs().values()), {1}, "what was in flight is adopted, not run again")

    def test_what_completed_is_known_also_after_a_standstill(self):
        clock = f"clock.{self.jobs}"  # the server's: what is in it is in `dead` five seconds later
        self.channel.queue_declare(clock, arguments={"x-message-ttl": 5000, "x-dead-letter-exchange": "", "x-dead-letter-routing-key": self.dead})
        launch = self.group("--dedup-window", "4s", "--handler", "echo")
        self.publish("before", message_id="before")
        self.take(self.done)
        broker = self.pid_of("broker")
        os.kill(broker, signal.SIGSTOP)
        self.publish("five seconds", queue=clock)
        self.take(self.dead)
        os.kill(broker, signal.SIGCONT)
        for _ in range(2):
            self.publish("m", message_id="m")
        self.publish("last", message_id="last")
        self.assertEqual(self.take_bodies(self.done, 2), {"m": 1, "last": 1})
        self.publish("m", message_id="m")
        eventually(lambda: self.answer()["source"]["known"] + self.answer()["source"]["adopted"] == 2, lambda: f"the same: {self.answer()['source']}")
        self.drained(launch)
        self.assertEqual(self.depth(self.done), 0)

    def test_a_server_that_is_killed_and_comes_back_loses_nothing(self):
        count = 200
        self.publish_numbers(count)
        launch = self.group(*self.work(0.2))
        taken = self.take(self.done, 10)
        self.server.kill()
        eventually(lambda: "source_lost" in launch.err and "sink_waits" in launch.err, lambda: f"the loss is said: {launch.err[-2000:]}")
        broker = self.answer()
        self.assertEqual(broker["source"]["connected"], "")
        self.server.start()
        self.open_channel()
        eventually(lambda: len(ids_of(taken)) == count
                   or taken.extend(self.take(self.done, self.depth(self.done)) if self.depth(self.done) else []),
                   lambda: f"all outcomes, not {len(ids_of(taken))}")
        self.assertIn("source_is_back", launch.err)
        self.drained(launch)
        self.nothing_waits()
        self.assertEqual(set(ids_of(taken)), set(all_ids(count)))

    def test_work_of_a_lost_source_can_be_called_home(self):
        self.publish("m", message_id="i")
        launch = self.group("--on-source-lost", "cancel", "--fanout", "1", "--", "sleep", self.sleep)
        self.broker_until(lambda broker: broker["tasks"]["in_flight"] == 1, "its task")
        self.server.kill()
        broker = self.broker_until(lambda broker: broker["tasks"]["in_flight"] == 0, "the end of the task")
        self.assertEqual(broker["tasks"]["cancelled"], 1)
        self.nothing_runs_of_the_work()
        self.server.start()
        self.open_channel()
        self.broker_until(lambda broker: broker["tasks"]["in_flight"] == 1, "the same message, once more")
        self.assertEqual(self.depth(self.done), 0, "nothing was said of it")
        launch.signal(signal.SIGINT)
        launch.signal(signal.SIGTERM)
        launch.code()

    def nothing_runs_of_the_work(self):
        from group import processes_running
        eventually(lambda: not processes_running(self.sleep), "the end of the work")

    def test_a_queue_that_is_deleted_and_made_again(self):
        self.publish("before")
        launch = self.group("--handler", "echo")
        self.assertEqual(self.take_bodies(self.done), {"before": 1})
        self.channel.queue_delete(self.jobs)
        eventually(lambda: "source_lost" in launch.err, lambda: f"that it is gone: {launch.err[-1000:]}")
        self.channel.queue_declare(self.jobs, durable=True, arguments={"x-queue-type": "quorum"})
        self.publish("after")
        self.assertEqual(self.take_bodies(self.done), {"after": 1})
        self.drained(launch)

    def test_a_consumer_that_the_server_forgets_is_made_anew(self):
        """As RabbitMQ may when a queue is deleted and made again: the channel has its consumer, the queue has none."""
        launch = self.group("--handler", "echo")
        self.publish("before")
        self.assertEqual(self.take_bodies(self.done), {"before": 1})
        forgotten = self.server.eval(
            f'{{ok, Q}} = rabbit_amqqueue:lookup(rabbit_misc:r(<<"/">>, queue, <<"{self.jobs}">>)),'
            " [element(1, ra:process_command(amqqueue:get_pid(Q), rabbit_fifo:make_checkout({element(2, C), element(1, C)},"
            " cancel, #{}))) || C <- rabbit_amqqueue:consumers(Q)].")
        self.assertEqual(forgotten, "[ok]")
        self.publish("after")
        self.assertEqual(self.take_bodies(self.done), {"after": 1})
        self.broker_until(lambda broker: broker["source"]["consumers_renewed"] == 1, "that it says so")
        self.assertEqual(self.answer("broker")["source"]["connections_lost"], 0)
        launch.says("consumer_renewed")
        self.drained(launch)

    def test_a_server_with_an_alarm_is_waited_for(self):
        launch = self.group("--handler", "echo")
        self.publish("one")
        self.assertEqual(self.take_bodies(self.done), {"one": 1})
        self.publish_numbers(5)
        self.server.set_memory_alarm(True)
        self.addCleanup(self.server.set_memory_alarm, False)
        eventually(lambda: "alarm" in launch.err or self.depth(self.jobs) == 0, "what there is")
        self.server.set_memory_alarm(False)
        taken = self.take(self.done, 5)
        self.assertEqual(ids_of(taken), all_ids(5))
        self.drained(launch)

    def test_an_outcome_that_no_queue_takes_waits(self):
        exchange = f"ex.{self.jobs}"
        self.channel.exchange_declare(exchange, "direct", durable=True)
        self.publish("m", message_id="i")
        launch = self.group("--sink", self.url(exchange=exchange, key="k"), "--handler", "echo", sink=False)
        eventually(lambda: "no queue takes" in launch.err, lambda: f"why it waits: {launch.err[-1000:]}")
        self.assertEqual(self.answer("collector")["sink"]["waits_for"], "a queue")
        self.channel.queue_bind(self.done, exchange, "k")
        (properties, _), = self.take(self.done)
        self.assertEqual(properties.message_id, "i")
        self.drained(launch)
        self.nothing_waits()


@needs_rabbit
class Impatient(QueueTest):
    HOW = {"consumer_timeout": 10, "tick": 1}  # longer than the group is told, so that a busy machine has the time

    def test_while_outcomes_wait_for_longer_than_the_server_does_nothing_is_taken(self):
        exchange = f"ex.{self.jobs}"
        self.channel.exchange_declare(exchange, "direct", durable=True)
        self.publish_numbers(3)
        launch = self.group("--sink", self.url(exchange=exchange, key="k"), "--handler", "echo", "--fanout", "1", "--deadline", "2s",
                            "--grace", "1s", "--consumer-timeout", "5s", sink=False)
        launch.says("source_stands")
        self.publish_numbers(1, first=4)
        # The server has taken back the three; they are not asked for again, which would count against them
        broker = self.broker_until(lambda broker: broker["source"]["connections_lost"] == 1 and broker["source"]["connected"], "a new one")
        self.assertEqual(broker["source"]["prefetch"], 0)
        eventually(lambda: self.depths(self.jobs) == (4, 0), "all of them in the queue")
        self.channel.queue_bind(self.done, exchange, "k")
        self.assertEqual(self.ids(4), all_ids(4))
        launch.says("source_goes_on")
        self.nothing_waits()
        self.assertEqual(self.answer()["source"]["known"], 3)
        self.drained(launch)
        self.assertEqual(self.depth(self.done), 0)

    def ids(self, count):
        return ids_of(self.take(self.done, count))


if __name__ == "__main__":
    import unittest

    unittest.main()

"""A judge of racing clients: a service that answers only if its client does what one must do that races requests. The
scenarios are those that are asked of such clients elsewhere, too (EasyRacer).
"""

import asyncio
import json
import os
import resource
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))

from group import PATIENCE, GroupTest, eventually  # noqa: E402
from service import Service, reply  # noqa: E402

MANY = 10_000


class JudgeTest(GroupTest):
    def service(self, answer):
        service = Service(answer)
        self.addCleanup(service.close)
        return service

    def outcomes(self, service, *words, messages=("m",), code=0):
        launch = self.launch("--url", service.url + "/{}", *words, "--json",
                             stdin="".join(f"{message}\n" for message in messages).encode())
        self.ends_well(launch, code=code)
        return sorted((json.loads(line) for line in launch.lines), key=lambda outcome: outcome["seq"])

    def test_a_race_of_two(self):
        both = Meeting(2)

        async def answer(request):
            await both.arrive()
            if request.number == 1:
                return reply("first")
            await asyncio.sleep(1000)

        service = self.service(answer)
        outcome, = self.outcomes(service, "--fanout", "2", "--hedge", "0")
        self.assertEqual((outcome["result"], outcome["attempts"]), ("first", 2))
        eventually(lambda: service.ends["reset"] == 1, "the loser is called home")

    def test_a_race_of_ten_thousand(self):
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        if hard != resource.RLIM_INFINITY and hard < MANY + 500:
            self.skipTest(f"needs {MANY + 500} descriptors (ulimit -Hn)")
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        self.addCleanup(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        all_of_them = Meeting(MANY)

        async def answer(request):
            await all_of_them.arrive()
            if request.number == MANY // 2:
                return reply("one of many")
            await asyncio.sleep(1000)

        service = self.service(answer)
        outcome, = self.outcomes(service, "--fanout", str(MANY), "--slots", str(MANY), "--hedge", "0", "--deadline", "2m")
        self.assertEqual((outcome["result"], outcome["attempts"]), ("one of many", MANY))
        eventually(lambda: service.ends["reset"] == MANY - 1, lambda: f"all losers are called home: {service.ends}", 2 * PATIENCE)

    def test_a_loser_has_to_be_gone_before_the_next_is_answered(self):
        async def answer(request):
            if request.path == "/first":
                if request.headers["x-curfew-attempt"] == "2":
                    return reply("won")
                await asyncio.sleep(1000)
            while not service.ends["reset"]:
                await asyncio.sleep(0.01)
            return reply("after it")

        service = self.service(answer)
        outcomes = self.outcomes(service, "--fanout", "2", "--hedge", "200ms", "--slots", "2", "--window", "1",
                                 messages=("first", "second"))
        self.assertEqual([outcome["result"] for outcome in outcomes], ["won", "after it"])

    def test_errors_do_not_win(self):
        both = Meeting(2)

        async def answer(request):
            await both.arrive()
            if request.number == 1:
                return reply("", "500 Internal Server Error")
            await asyncio.sleep(0.2)
            return reply("right")

        outcome, = self.outcomes(self.service(answer), "--fanout", "2", "--hedge", "0", "--attempts", "2")
        self.assertEqual(outcome["result"], "right")

    def test_an_error_is_replaced_without_delay(self):
        async def answer(request):
            return reply("", "500 Internal Server Error") if request.number < 4 else reply("the fourth")

        outcome, = self.outcomes(self.service(answer), "--attempts", "4", "--hedge", "1m")
        self.assertEqual((outcome["result"], outcome["attempts"]), ("the fourth", 4))

    def test_a_hedge_after_three_seconds(self):
        async def answer(request):
            if request.number == 2:
                return reply("the hedge")
            await asyncio.sleep(1000)

        service = self.service(answer)
        outcome, = self.outcomes(service, "--hedge", "3s", "--fanout", "2")
        self.assertEqual(outcome["result"], "the hedge")
        self.assertGreaterEqual(outcome["latency_us"], 3_000_000)
        eventually(lambda: service.ends["reset"] == 1, "the first is called home")

    def test_ten_requests_that_need_each_other(self):
        ten = Meeting(10)

        async def answer(request):
            await ten.arrive()
            return reply(request.path)

        outcomes = self.outcomes(self.service(answer), "--slots", "10", messages=range(10))
        self.assertEqual([outcome["result"] for outcome in outcomes], [f"/{number}" for number in range(10)])

    def test_what_an_attempt_holds_is_released_when_it_is_called_home(self):
        holders = set()

        async def answer(request):
            if request.number == 1:
                holders.add(request.number)
                try:
                    await asyncio.sleep(1000)
                finally:
                    holders.discard(request.number)
            if request.path == "/next":
                while holders:
                    await asyncio.sleep(0.01)
            return reply("free")

        service = self.service(answer)
        outcomes = self.outcomes(service, "--fanout", "2", "--hedge", "200ms", "--window", "1", messages=("m", "next"))
        self.assertEqual([outcome["result"] for outcome in outcomes], ["free", "free"])
        self.assertEqual(holders, set())


class Meeting:
    """Nobody goes on before so many have come."""

    def __init__(self, count):
        self._missing = count
        self._all = asyncio.Event()

    async def arrive(self):
        self._missing -= 1
        if self._missing == 0:
            self._all.set()
        await self._all.wait()


if __name__ == "__main__":
    unittest.main()

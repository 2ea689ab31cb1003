"""The http handler against services on loopback: what it sends, what wins, how losers are called home, and what services
do that is wrong. Each attempt has one end, and the rest goes on.
"""

import asyncio
import json
import os
import socket
import ssl
import subprocess
import sys
import threading
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))

from group import BIN_DIR, LAUNCH, PYTHON, eventually  # noqa: E402
from service import reply, zipped  # noqa: E402
from service_group import DIRECT, Http2Test, HttpTest, TlsTest, after, echo, never, says  # noqa: E402


class Requests(HttpTest):
    def test_the_message_stands_in_the_url_percent_encoded(self):
        service = self.service()
        outcomes = self.race(service.url + "/get?key={}", messages=("a b", "ä/?&=", "..", "%41"))
        self.assertEqual([outcome["result"] for outcome in outcomes],
                         ["/get?key=a%20b", "/get?key=%C3%A4%2F%3F%26%3D", "/get?key=..", "/get?key=%2541"])
        self.assertEqual({request.method for request in service.requests}, {"GET"})

    def test_dots_are_no_way_up(self):
        self.assertEqual(self.one(echo, place="/a/{}/b", messages=("..",))["result"], "/a/../b")

    def test_without_a_place_it_is_the_body(self):
        service = self.service()
        message = "x" * 100_000
        outcome, = self.race(service.url + "/run", messages=(message,))
        self.assertEqual(outcome["result"], message)
        request, = service.requests
        self.assertEqual((request.method, request.headers["content-type"]), ("POST", "application/octet-stream"))
        self.assertNotIn("expect", request.headers)

    def test_bytes_that_are_no_utf8_and_newlines_go_as_they_are(self):
        service = self.service()
        launch = self.launch("--url", service.url + "/", "--null", "--json", stdin=b"a\r\nb\xff\0", environment=DIRECT)
        self.ends_well(launch)
        self.assertEqual(service.requests[0].body, b"a\r\nb\xff")

    def test_attempts_say_who_they_are_and_how_long_they_have(self):
        services = [self.service(after(0.5)), self.service(after(0.5))]
        self.race(*(service.url + "/{}" for service in services), words=("--deadline", "99s", "--grpc-timeout"))
        headers = [service.requests[0].headers for service in services]
        self.assertEqual({header["x-curfew-attempt"] for header in headers}, {"1", "2"})
        self.assertEqual(len({header["idempotency-key"] for header in headers}), 1)
        for header in headers:
            self.assertLessEqual(60_000, int(header["x-curfew-deadline-ms"]), header)
            self.assertLessEqual(int(header["x-curfew-deadline-ms"]), 99_000)
            self.assertEqual(header["grpc-timeout"], header["x-curfew-deadline-ms"] + "m")

    def test_headers_are_the_users_and_take_the_place_of_ours(self):
        service = self.service()
        secret = self.write("secret", "Authorization: Bearer hush\nIdempotency-Key: mine\n")
        self.race(service.url + "/", words=("--header", "Content-Type: text/plain", "--header", f"@{secret}"))
        headers = service.requests[0].headers
        self.assertEqual((headers["authorization"], headers["content-type"], headers["idempotency-key"]),
                         ("Bearer hush", "text/plain", "mine"))

    def test_a_full_result_has_status_headers_and_body(self):
        outcome = self.one(says(reply(b"\xff!", "201 Created", "X-A: 1", "X-A: 2")), "--http-result", "full")
        result = json.loads(outcome["result"])
        self.assertEqual((result["status"], result["body_base64"]), (201, "/yE="))
        self.assertEqual([value for name, value in result["headers"] if name == "X-A"], ["1", "2"])

    def test_a_compressed_answer_is_what_it_contains(self):
        self.assertEqual(self.one(says(zipped(b"hello" * 1000)), "--compressed")["result"], "hello" * 1000)

    def test_a_head_has_no_body_whatever_the_service_sends(self):
        outcome = self.one(says(reply(b"a body")), "--method", "HEAD", "--http-result", "full")
        self.assertEqual(json.loads(outcome["result"])["status"], 200)

    def test_answers_that_come_before_the_answer_are_not_it(self):
        early = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"
        self.assertEqual(self.one(says(early + reply(b"late")))["result"], "late")

    def test_connections_are_kept(self):
        service = self.service()
        self.race(service.url + "/{}", words=("--slots", "1"), messages=range(50))
        self.assertEqual((len(service.requests), service.connections), (50, 1))


class Statuses(HttpTest):
    def test_what_is_a_result_is_for_the_user_to_say(self):
        self.assertEqual(self.one(says(reply("gone", "404 Not Found")), "--ok-status", "2xx,404")["result"], "gone")
        self.fails(says(reply("no\nmore", "404 Not Found")), saying="status 404: no")

    def test_a_status_that_rejects_settles_at_once(self):
        service = self.service(says(reply("", "400 Bad Request")))
        outcome, = self.race(service.url + "/{}", words=("--reject-status", "400", "--attempts", "5"), code=1)
        self.assertEqual((outcome["error"], len(service.requests)), ("status 400", 1))

    def test_an_error_neither_wins_nor_calls_the_others_home(self):
        wrong, right = self.service(says(reply("", "500 Oops"))), self.service(after(0.2))
        outcomes = self.race(wrong.url + "/{}", right.url + "/{}", words=("--attempts", "9"), messages=range(3))
        self.assertEqual([outcome["result"] for outcome in outcomes], ["/0", "/1", "/2"])

    def test_redirects_are_followed_when_that_is_said_and_not_for_ever(self):
        service = self.service(says(reply("", "302 Found", "Location: /again")))
        self.fails(says(reply("", "302 Found", "Location: /x")), saying="--max-redirects")
        outcome, = self.race(service.url + "/{}", words=("--max-redirects", "3"), code=1)
        self.assertEqual((outcome["outcome"], len(service.requests)), ("failed", 4))

    def test_a_redirected_post_keeps_its_message(self):
        async def answer(request):
            return await echo(request) if request.path == "/there" else reply("", "302 Found", "Location: /there")

        service = self.service(answer)
        outcome, = self.race(service.url + "/", words=("--max-redirects", "2"), messages=("hello",))
        self.assertEqual((outcome["result"], service.requests[-1].method), ("hello", "POST"))

    def test_no_secret_follows_a_redirect_to_another_origin(self):
        other = self.service()
        home = self.service(lambda request: says(reply("", "302 Found", f"Location: {other.url}/there"))(request))
        secret = self.write("secret", "X-Api-Key: hush\n")
        self.race(home.url + "/{}", words=("--max-redirects", "2", "--header", f"@{secret}", "--header", "X-Open: yes"))
        self.assertEqual(home.requests[0].headers["x-api-key"], "hush")
        self.assertNotIn("x-api-key", other.requests[0].headers)
        self.assertEqual(other.requests[0].headers["x-open"], "yes")
        self.assertIn("idempotency-key", other.requests[0].headers)

    def test_a_redirect_that_stays_at_its_service_has_all_headers(self):
        async def answer(request):
            return await echo(request) if request.path == "/there" else reply("", "302 Found", "Location: /there")

        service, secret = self.service(answer), self.write("secret", "X-Api-Key: hush\n")
        self.race(service.url + "/{}", words=("--max-redirects", "2", "--header", f"@{secret}"))
        self.assertEqual(service.requests[1].headers["x-api-key"], "hush")

    def test_a_redirect_leads_to_http_alone(self):
        self.fails(says(reply("", "302 Found", "Location: file:///etc/passwd")), "--max-redirects", "3", saying="rotocol")


class Losers(HttpTest):
    def test_a_loser_is_called_home_by_a_reset(self):
        quick, slow = self.service(after(0.05)), self.service(never)
        self.race(quick.url + "/{}", slow.url + "/{}", messages=range(5))
        eventually(lambda: slow.ends["reset"] == len(slow.requests), "the losers' connections are reset")
        self.assertGreaterEqual(len(slow.requests), 1)

    def test_many_attempts_of_a_task_go_to_one_service_and_all_but_one_are_called_home(self):
        release = asyncio.Event()

        async def answer(request):
            if request.number == 300:
                return reply("the last")
            await release.wait()

        service = self.service(answer)
        outcome, = self.race(service.url + "/{}", words=("--fanout", "300", "--slots", "300", "--hedge", "0"))
        self.assertEqual((outcome["result"], outcome["attempts"]), ("the last", 300))
        eventually(lambda: service.ends["reset"] == 299, "all others are reset")

    def test_a_hedge_goes_to_the_other_service_first(self):
        slow, quick = self.service(never), self.service(after(0.05))
        outcomes = self.race(slow.url + "/{}", quick.url + "/{}", words=("--hedge", "300ms"), messages=range(4))
        self.assertEqual({outcome["outcome"] for outcome in outcomes}, {"completed"})

    def test_a_service_that_is_slow_is_over_at_the_deadline(self):
        async def trickle(request):
            await request.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
            while True:
                await request.send(b".")
                await asyncio.sleep(0.05)

        service = self.service(trickle)
        outcome, = self.race(service.url + "/{}", words=("--deadline", "3s"), code=1)
        self.assertEqual(outcome["outcome"], "expired")
        eventually(lambda: service.ends["reset"] + service.ends["idle"] == 1, "its connection is gone")

    def test_a_name_that_nobody_looks_up_holds_up_nothing(self):
        resolver = os.path.join(BIN_DIR, "..", "lib", "libcurfew-slow-resolver.so")
        service = self.service()
        outcomes = self.race("http://slow.invalid/{}", service.url + "/{}", words=("--deadline", "30s", "--hedge", "100ms"),
                             messages=range(20), environment={"LD_PRELOAD": os.path.realpath(resolver)})
        self.assertEqual({outcome["outcome"] for outcome in outcomes}, {"completed"})


class Refusals(HttpTest):
    def test_a_service_that_is_down_fails_and_the_other_one_answers(self):
        service = self.service()
        outcomes = self.race("http://127.0.0.1:1/{}", service.url + "/{}", words=("--attempts", "3"), messages=range(10))
        self.assertEqual([outcome["result"] for outcome in outcomes], [f"/{number}" for number in range(10)])

    def test_one_that_refuses_is_asked_no_more_than_now_and_then(self):
        refusing = self.service(says(reply("", "500 Oops")))
        service = self.service(after(0.01))
        self.race(refusing.url + "/{}", service.url + "/{}", words=("--attempts", "9", "--fanout", "1", "--slots", "1"),
                  messages=range(100))
        self.assertLess(len(refusing.requests), 12)
        self.assertIn("backend_held", self.err)

    def test_one_that_comes_back_is_asked_again(self):
        async def answer(request):
            return reply("", "500 Oops") if request.number <= 5 else reply("well")

        service = self.service(answer)
        outcomes = self.race(service.url + "/{}", words=("--attempts", "7", "--slots", "1"), messages=range(3))
        self.assertEqual({outcome["result"] for outcome in outcomes}, {"well"})

    def test_one_that_asks_to_come_later_is_and_that_is_no_failure(self):
        async def answer(request):
            return reply("", "429 Too Many", "Retry-After: 1") if request.number == 1 else reply("now")

        for status in ("429 Too Many", "503 Busy"):
            with self.subTest(status=status):
                service = self.service(answer)
                outcome, = self.race(service.url + "/{}", words=("--attempts", "1"))
                self.assertEqual((outcome["result"], len(service.requests)), ("now", 2))
                self.assertGreaterEqual(outcome["latency_us"], 900_000)

    def test_one_that_says_at_once_is_asked_again_soon_and_that_is_no_failure(self):
        async def answer(request):
            return reply("", "429 Too Many", "Retry-After: 0") if request.number < 3 else reply("now")

        outcome, = self.race(self.service(answer).url + "/{}", words=("--attempts", "1"))
        self.assertEqual(outcome["result"], "now")

    def test_a_message_that_expires_while_its_service_is_left_alone_says_so(self):
        outcome = self.one(says(reply("busy", "503 Busy", "Retry-After: 60")), "--deadline", "5s", code=1)
        self.assertEqual((outcome["outcome"], outcome["attempts"]), ("expired", 0))
        self.assertIn("no worker took it, whose logs say why: no slot in service at w1", outcome["error"])
        self.assertIn('reason="status 503: busy (it asks to come later: Retry-After)"', self.err)

    def test_what_it_does_is_shown(self):
        answers = [reply("", "500 Oops")]

        async def answer(request):
            return answers[-1]

        service = self.service(answer)
        launch = self.launch("--url", service.url + "/{}", "--attempts", "100", "--slots", "1", "--deadline", "20s",
                             "--run-dir", self.path("run"), stdin="pipe", environment=DIRECT)
        launch.feed(b"m\n")
        eventually(lambda: self.answer("w1")["http"]["times_held"] >= 1, "it is held")
        shown = self.answer("w1")["http"]
        self.assertEqual(shown["backend"], f"127.0.0.1:{service.port}")
        self.assertGreaterEqual(shown["answers"]["5xx"], 5)
        self.assertEqual(shown["last_refusal"], "status 500")
        answers.append(reply("well"))
        launch.end_of_input()
        self.ends_well(launch)


class WhatServicesDoWrong(HttpTest):
    def test_a_reset_in_the_middle_of_an_answer(self):
        async def answer(request):
            await request.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nabc")
            request.reset()

        self.fails(answer, saying="")

    def test_an_end_in_the_middle_of_an_answer(self):
        async def answer(request):
            await request.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nabc")

        self.fails(answer, saying="transfer closed")

    def test_nothing_at_all(self):
        async def answer(request):
            return None

        self.fails(answer, saying="Empty reply")

    def test_no_http(self):
        self.fails(says(b"SSH-2.0-OpenSSH_9\r\n\r\n"), saying="HTTP/0.9")

    def test_broken_chunks(self):
        self.fails(says(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nabc\r\n"), saying="chunk")

    def test_an_answer_without_an_end(self):
        async def answer(request):
            await request.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10000000000\r\n\r\n")
            while True:
                await request.send(b"x" * 65536)

        service = self.service(answer)
        outcome, = self.race(service.url + "/{}", words=("--max-output", "1m"), code=1)
        self.assertIn("--max-output 1048576", outcome["error"])
        eventually(lambda: service.ends["reset"] + service.ends["idle"] + service.ends["closed"] == 1, "it is left")

    def test_a_header_of_a_mebibyte(self):
        self.fails(says(reply("", "200 OK", "X-Long: " + "x" * (1 << 20))), saying="")

    def test_headers_without_an_end(self):
        async def answer(request):
            await request.send(b"HTTP/1.1 200 OK\r\n")
            while True:
                await request.send(b"X-Header: %s\r\n" % (b"x" * 1000) * 10)

        self.fails(answer, saying="headers")

    def test_a_proxy_that_is_down(self):
        service = self.service()
        outcome, = self.race(service.url + "/{}", code=1, environment={"http_proxy": "http://127.0.0.1:1"})
        self.assertIn("127.0.0.1 port 1", outcome["error"])
        self.assertEqual(service.requests, [])

    def test_a_message_that_is_too_long_for_a_url(self):
        outcome = self.fails(echo, messages=("ä" * 250_000,), saying="the URL would have 1500")
        self.assertEqual(outcome["attempts"], 1)


class Certificates(TlsTest):
    def test_one_that_is_trusted_answers(self):
        outcome, = self.race(self.tls_service()[1], words=("--ca", self.path("cert")))
        self.assertEqual(outcome["result"], "/m")

    def test_a_foreign_one_fails(self):
        outcome, = self.race(self.tls_service()[1], code=1)
        self.assertIn("certificate", outcome["error"])

    def test_an_expired_one_fails(self):
        self.write("ca.conf", "[ca]\ndefault_ca = d\n[d]\ndatabase = index\nserial = serial\nnew_certs_dir = .\ndefault_md = sha256\n"
                              "policy = p\n[p]\ncommonName = supplied\n")
        self.write("index", "")
        self.write("serial", "01\n")
        for words in (("req", "-new", "-key", "key", "-subj", "/CN=localhost", "-out", "request"),
                      ("ca", "-batch", "-selfsign", "-config", "ca.conf", "-keyfile", "key", "-in", "request", "-notext",
                       "-startdate", "20200101000000Z", "-enddate", "20200102000000Z", "-out", "cert")):
            subprocess.run(["openssl", *words], check=True, capture_output=True, cwd=self.home)
        outcome, = self.race(self.tls_service()[1], words=("--ca", self.path("cert")), code=1)
        self.assertIn("expired", outcome["error"])

    def test_one_for_another_name_fails(self):
        url = self.tls_service()[1].replace("127.0.0.1", "127.0.0.2")
        outcome, = self.race(url, words=("--ca", self.path("cert")), code=1)
        self.assertEqual(outcome["outcome"], "failed")


class TlsFiles(TlsTest):
    def test_those_that_cannot_be_used_are_named_before_the_start(self):
        cert, key, junk = self.path("cert"), self.path("key"), self.write("junk", "no PEM\n")
        for words in (("genrsa", "-out", "other"), ("rsa", "-in", "key", "-aes128", "-passout", "pass:x", "-out", "locked")):
            subprocess.run(["openssl", *words], check=True, capture_output=True, cwd=self.home)
        for words, saying in ((("--ca", junk), f"--ca: '{junk}'"), (("--cert", junk, "--key", key), f"--cert: '{junk}'"),
                              (("--cert", cert, "--key", junk), f"--key '{junk}'"),
                              (("--cert", cert, "--key", self.path("other")), "--key"),
                              (("--cert", cert, "--key", self.path("locked")), "--key")):
            with self.subTest(words=words):
                launch = self.launch("--url", "https://127.0.0.1:1/{}", *words, stdin=b"m\n")
                self.assertEqual(launch.code(), 64)
                self.assertIn(saying, launch.err)
                self.assertEqual(len(launch.err.splitlines()), 1, launch.err)

    def test_a_service_that_asks_for_one_gets_it(self):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.path("cert"), self.path("key"))
        context.load_verify_locations(self.path("cert"))
        context.verify_mode = ssl.CERT_REQUIRED
        url = f"https://127.0.0.1:{self.service(tls=context).port}/{{}}"
        outcome, = self.race(url, words=("--ca", self.path("cert"), "--cert", self.path("cert"), "--key", self.path("key")))
        self.assertEqual(outcome["result"], "/m")


class Schemes(TlsTest):
    def plain_one(self):
        """The https URL of a service that refuses whatever is no plain request."""
        listener = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(listener.close)

        def refuse():
            with listener.accept()[0] as client:
                client.recv(65536)
                client.sendall(reply("", "400 Bad Request"))

        threading.Thread(target=refuse, daemon=True).start()
        return f"https://127.0.0.1:{listener.getsockname()[1]}"

    def test_the_error_asks_for_the_scheme_where_it_may_be_the_wrong_one(self):
        service = self.tls_service()[0]
        refusing = says(reply("<html>\r\nThe plain HTTP request was sent to HTTPS port", "400 Bad Request"))
        for url in (service.url + "/{}", self.plain_one() + "/{}", self.service(refusing).url + "/{}"):
            with self.subTest(url=url):
                outcome, = self.race(url, code=1)
                self.assertIn("is it http or https that the service speaks there?", outcome["error"])


class UnixSockets(HttpTest):
    def test_the_error_names_the_socket(self):
        path = self.path("socket")
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(path)
            outcome, = self.race("http://h/{}", words=("--unix-socket", path), code=1)
        os.unlink(path)
        self.assertEqual(outcome["error"], f"unix socket {path}: Connection refused")
        outcome, = self.race("http://h/{}", words=("--unix-socket", path + "x"), code=1)
        self.assertEqual(outcome["error"], f"unix socket {path}x: No such file or directory")


class Wrong(HttpTest):
    def test_what_cannot_be_is_said_before_the_start(self):
        for words, saying in ((("--url", "ftp://h/{}"), "only http and https"), (("--url", "http:///{}"), "names no host"),
                              (("--url", "http://{}.example/"), "may stand in the path"),
                              (("--url", "http://u:p@h/{}"), "--header @FILE"), (("--url", "http://h/", "--method", "GET"), "nowhere"),
                              (("--url", "http://h/{}", "--ok-status", "2x"), "--ok-status: '2x'"),
                              (("--url", "http://h/#{}"), "behind #"),
                              (("--url", "http://h/{}", "--reject-status", "200"), "--ok-status has, too"),
                              (("--url", "http://h/{}", "--header", "x"), "'NAME: VALUE'"),
                              (("--url", "http://h/{}", "--ca", "/missing"), "--ca: cannot read"),
                              (("--url", "http://h/{}", "--", "cat"), "both a COMMAND and --url"),
                              (("--header", "A: b", "--", "cat"), "without --url"),
                              (("--url", "http://h/{}", "--workers", "3"), "one worker for each"),
                              (("--url", "http://h/{}", "--method", ""), "--method: is empty"),
                              (("--url", "http://h/{}", "--header", "Content-Length: 5"), "is not for you to say"),
                              (("--url", "http://h/{}", "--unix-socket", "/" + "x" * 107), "has at most 107"),
                              (("--url", "http://h/{}", "--url", "http://i/{}", "--unix-socket", "/s"), "for each"),
                              (("--url", "http://h/{}", "--stdin", "line"), "no meaning with --url"),
                              (("--pool", "a=cat", "--pool", "a=tac"), "--pool a is given twice")):
            with self.subTest(words=words):
                launch = self.launch(*words, stdin=b"m\n")
                self.assertEqual(launch.code(), 64)
                self.assertIn(saying, launch.err)
                self.assertEqual(len(launch.err.splitlines()), 1, launch.err)

    def test_more_slots_than_descriptors_are_refused(self):
        launch = self.run_words("sh", "-c", f"ulimit -n 1000; exec {PYTHON} -E {LAUNCH} --url http://h/{{}} --slots 2000",
                                stdin=b"m\n")
        self.assertEqual(launch.code(), 74)
        self.assertIn("allow 2064 or more", launch.err)


class Http2(Http2Test):
    def test_all_requests_share_a_connection(self):
        url = self.nghttpd(m=10)
        outcomes = self.race(url, words=("--http2", "--ca", self.path("cert"), "--slots", "8"), messages=["m"] * 40)
        self.assertEqual({outcome["result"] for outcome in outcomes}, {"\0" * 10})
        self.assertEqual(self.seen("; Open new stream"), 40)
        self.assertEqual(self.seen("[SETTINGS_ENABLE_PUSH"), 1)

    def test_a_loser_is_called_home_at_once(self):
        url = self.nghttpd(big=1 << 30, m=10)
        quick = self.tls_service(after(0.1))[1]
        launch = self.launch("--url", url, "--url", quick, "--http2", "--ca", self.path("cert"), "--max-output", "64m",
                             stdin="pipe", environment=DIRECT)
        launch.feed(b"big\n")
        launch.writes(1)
        eventually(lambda: self.seen("closed") == 1, "nothing else is on the connection: it is closed")
        launch.feed(b"m\n")
        launch.end_of_input()
        self.ends_well(launch)
        self.assertEqual(launch.lines[0], "/big")
        self.assertEqual(len(launch.lines), 2)

    def test_it_is_not_spoken_without_tls(self):
        launch = self.launch("--url", "http://127.0.0.1:1/{}", "--http2", stdin=b"m\n")
        self.assertEqual(launch.code(), 64)
        self.assertIn("--http2: needs https", launch.err)


if __name__ == "__main__":
    unittest.main()

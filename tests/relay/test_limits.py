"""What a port takes of a client at most, in bytes and in seconds."""

import json

from tests.relay.harness import RelayCase, post, request, response

CHUNKED = b"Transfer-Encoding: chunked"


class LimitCase(RelayCase):
    def refused(self, client, status, code):
        """One answer with this error, and the connection closes."""
        answer = self.answer(client)
        self.assertEqual((answer.status, answer.one(b"x-agentproxy-error")), (status, code))
        self.assertEqual(answer.one(b"connection"), b"close")
        self.assertEqual(json.loads(answer.body)["error"]["code"], code.decode())
        self.assertTrue(client.half_closed)
        self.assertTrue(answer.whole)


class BodyLimitTests(LimitCase):
    def test_by_length(self):
        """A body told to be over the limit is refused before upstream hears of it, and not taken for a request."""
        for body in (b"", b"x" * 101, request(b"GET /smuggled").ljust(101)):
            harness = self.start(limits={"body_bytes": 100})
            client = harness.client()
            client.say(request(b"POST /", b"Content-Length: 101", body=body))
            self.refused(client, 413, b"body_too_large")
            client.say(request(b"GET /smuggled"))
            self.assertEqual((harness.upstreams, client.taken()), ([], b""))

    def test_at_the_limit(self):
        """A body of exactly the limit passes, in either framing."""
        for message in (
            post(b"x" * 100),
            request(b"POST /", CHUNKED, body=b"64\r\n" + b"x" * 100 + b"\r\n0\r\n\r\n"),
        ):
            harness = self.start(limits={"body_bytes": 100})
            client = harness.client()
            client.say(message)
            self.assertEqual(self.asked(harness).body, b"x" * 100)
            harness.upstream.say(response())
            self.assertEqual(self.answer(client).status, 200)

    def test_chunked(self):
        """A chunked body that grows over it ends with 413, and upstream sees it cut off."""
        harness = self.start(limits={"body_bytes": 100})
        client = harness.client()
        client.say(request(b"POST /", CHUNKED, body=b"64\r\n" + b"x" * 100 + b"\r\n"))
        self.assertEqual(client.taken(), b"")
        client.say(b"1\r\nx\r\n0\r\n\r\n" + request(b"GET /smuggled"))
        self.refused(client, 413, b"body_too_large")
        [asked] = [harness.upstream.taken()]
        self.assertFalse(asked.endswith(b"0\r\n\r\n"))
        self.assertTrue(harness.upstream.aborted)
        self.assertEqual(len(harness.upstreams), 1)

    def test_while_answered(self):
        """Once the answer has begun it can only be cut off."""
        harness = self.start(limits={"body_bytes": 100})
        client = harness.client()
        client.say(request(b"POST /", CHUNKED, body=b"2\r\nab\r\n"))
        harness.upstream.say(b"HTTP/1.1 200 OK\r\n" + CHUNKED + b"\r\n\r\n3\r\nabc\r\n")
        client.say(b"64\r\n" + b"x" * 100 + b"\r\n")
        answer = self.answer(client)
        self.assertEqual((answer.status, answer.body, answer.whole), (200, b"abc", False))
        self.assertTrue(client.half_closed)
        self.assertTrue(harness.upstream.aborted)
        self.assertEqual(harness.ended()["error"], "body_too_large")

    def test_broken_chunks(self):
        """A chunked body that breaks RFC 9112 is a 400, and upstream sees it cut off."""
        for broken in (
            b"zz\r\n",
            b"3\r\nabcd\r\n",
            b"-1\r\n",
            b"0x3\r\nabc\r\n",
            b"3 \nabc\r\n",
            b"0\r\nbad trailer\r\n\r\n",
        ):
            harness = self.start()
            client = harness.client()
            client.say(request(b"POST /", CHUNKED, body=broken + request(b"GET /smuggled")))
            self.refused(client, 400, b"bad_request")
            self.assertTrue(harness.upstream.aborted)
            self.assertEqual(len(harness.upstreams), 1)
            self.assertNotIn(b"smuggled", harness.upstream.taken())


class HeadLimitTests(LimitCase):
    def test_header_bytes(self):
        """A head of exactly header_bytes passes, whole or in pieces; one byte more is 431."""
        empty = len(request(b"GET /", b"X: "))
        for size, passes in ((4096, True), (4097, False)):
            message = request(b"GET /", b"X: " + b"x" * (size - empty))
            self.assertEqual(len(message), size)
            for cut in (0, 10, size - 1):
                harness = self.start()
                client = harness.client()
                for piece in (message[:cut], message[cut:]):
                    if piece:
                        client.say(piece)
                if passes:
                    self.assertEqual(len(self.asked(harness).one(b"x")), size - empty)
                else:
                    self.refused(client, 431, b"headers_too_large")
                    self.assertEqual(harness.upstreams, [])

    def test_target(self):
        """A target of 16 KiB passes, a longer one is 414."""
        for size, passes in ((16384, True), (16385, False)):
            harness = self.start(limits={"header_bytes": 65536})
            client = harness.client()
            client.say(request(b"GET /" + b"x" * (size - 1)))
            if passes:
                self.assertEqual(len(self.asked(harness).line), size + len(b"GET  HTTP/1.1"))
            else:
                self.refused(client, 414, b"uri_too_long")

    def test_endless(self):
        """A head without end is refused as soon as it is over."""
        harness = self.start()
        client = harness.client()
        client.say(request(b"GET /")[:-2])
        for _ in range(200):
            if client.half_closed:
                break
            client.say(b"X: " + b"x" * 50 + b"\r\n")
        self.refused(client, 431, b"headers_too_large")


class TimeLimitTests(LimitCase):
    def test_slow_head(self):
        """A head that is not whole in time is 408, however steadily it trickles; one that is passes."""
        harness = self.start()
        client = harness.client()
        for byte in request()[:30]:
            if client.half_closed:
                break
            client.say(bytes((byte,)))
            harness.settle(1)
        self.refused(client, 408, b"request_timeout")
        self.assertEqual(harness.upstreams, [])

    def test_next_head(self):
        """The time of a later head begins with its own first byte."""
        harness = self.start()
        client = harness.client()
        client.say(request(b"GET /health"))
        harness.settle(30)
        client.say(b"GET")
        harness.settle(14)
        client.say(request(b"GET /health")[3:])
        self.assertEqual([each.status for each in self.answers(client)], [200, 200])
        client.say(b"G")
        harness.settle(16)
        self.refused(client, 408, b"request_timeout")

    def test_stuck_upload(self):
        """A body that stops coming is 408, and upstream is freed; one that goes on slowly is not."""
        harness = self.start()
        client = harness.client()
        client.say(request(b"POST /", b"Content-Length: 10", body=b"a"))
        harness.settle(290)
        client.say(b"b")
        harness.settle(290)
        self.assertEqual(client.taken(), b"")
        harness.settle(11)
        self.refused(client, 408, b"request_timeout")
        self.assertTrue(harness.upstream.aborted)

    def test_stuck_upstream(self):
        """Where it is upstream that takes no more, that is said: 504, phase send."""
        for whole in (False, True):
            harness = self.start()
            client = harness.client()
            client.say(request(b"POST /v1/responses", b"Content-Length: 10", body=b"a"))
            harness.upstream.fill()
            if whole:
                client.paused = False  # What had been read before the pause still comes.
                client.say(b"b" * 9)
            harness.settle(301)
            answer = self.answer(client)
            self.assertEqual((answer.status, answer.one(b"x-agentproxy-error")), (504, b"upstream_timeout"))
            self.assertTrue(harness.upstream.aborted)
            self.assertEqual(harness.ended()["phase"], "send")
            # Upstream never had all of the request: there is no turn.
            self.assertEqual((len(harness.sink.calls), harness.sink.turns), (1, []))

    def test_slow_upstream(self):
        """An upstream that takes some of an upload, however slowly, is waited for."""
        harness = self.start()
        client = harness.client()
        client.say(request(b"POST /", b"Content-Length: 10", body=b"a"))
        harness.upstream.fill()
        for _ in range(5):
            harness.settle(200)
            taken = harness.upstream.value()
            harness.upstream.clear()
            harness.upstream.io.write(taken[10:])
            self.assertFalse(harness.upstream.aborted)
        harness.settle(601)
        self.assertEqual(harness.ended()["phase"], "send")

    def test_idle_answer(self):
        """An answer in which nothing moves for idle_http is cut off, and seen as such; 1.0's by a reset."""
        for version in (b"HTTP/1.1", b"HTTP/1.0"):
            harness = self.start()
            client = harness.client()
            client.say(request(version=version))
            harness.upstream.say(b"HTTP/1.1 200 OK\r\n" + CHUNKED + b"\r\n\r\n3\r\nabc\r\n")
            harness.settle(290)
            harness.upstream.say(b"3\r\ndef\r\n")
            harness.settle(290)
            self.assertFalse(client.half_closed)
            harness.settle(11)
            if version == b"HTTP/1.1":
                answer = self.answer(client)
                self.assertEqual((answer.body, answer.whole, client.half_closed), (b"abcdef", False, True))
            else:
                self.assertTrue(client.aborted)
            self.assertTrue(harness.upstream.aborted)
            ended = harness.ended()
            self.assertEqual((ended["error"], ended["phase"]), ("upstream_timeout", "idle"))

    def test_client_that_does_not_read(self):
        """Where it is the client that stops an answer, it may take its time as long as it takes something."""
        for reads in (True, False):
            harness = self.start()
            client = harness.client()
            client.say(request())
            harness.upstream.say(b"HTTP/1.1 200 OK\r\n" + CHUNKED + b"\r\n\r\n3\r\nabc\r\n")
            client.fill()
            harness.settle(250)
            self.assertFalse(client.half_closed)
            if reads:
                client.taken()
            harness.settle(200)
            self.assertEqual(client.half_closed, not reads)
            if reads:
                client.drain()
                harness.upstream.say(b"0\r\n\r\n")
                self.assertIsNone(harness.ended()["error"])
            else:
                self.assertEqual(harness.ended()["error"], "client_stalled")
                self.assertTrue(harness.upstream.aborted)

    def test_upload_keeps_the_answer(self):
        """Bytes that still go up keep an answer from being idle."""
        harness = self.start()
        client = harness.client()
        client.say(request(b"POST /", b"Content-Length: 10", body=b"a"))
        harness.upstream.say(b"HTTP/1.1 200 OK\r\n" + CHUNKED + b"\r\n\r\n")
        for _ in range(4):
            harness.settle(200)
            client.say(b"b")
        self.assertFalse(client.half_closed)

    def test_never(self):
        """0 seconds is never."""
        harness = self.start(timeouts={"idle_http": 0, "first_byte": 0})
        client = harness.client()
        client.say(request(b"POST /", b"Content-Length: 2", body=b"a"))
        harness.settle(2000)
        client.say(b"b")
        harness.settle(2000)
        harness.upstream.say(response())
        self.assertEqual(self.answer(client).status, 200)

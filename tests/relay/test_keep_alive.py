"""A client's connection between its calls: pipelining, keep-alive, close, HTTP/1.0, expiry."""

from tests.relay.harness import RelayCase, post, request, response


class PipelineTests(RelayCase):
    def test_in_order(self):
        """Requests sent at once go up one by one, and their answers come back in their order."""
        harness = self.start()
        client = harness.client()
        client.say(b"".join(request(b"GET /%d" % number) for number in range(40)))
        for number in range(40):
            self.assertEqual(self.asked(harness).line, b"GET /%d HTTP/1.1" % number)
            harness.upstream.say(response(b"%d" % number))
        self.assertEqual([each.body for each in self.answers(client)], [b"%d" % number for number in range(40)])
        self.assertEqual(len(harness.upstreams), 1)
        self.assertFalse(client.half_closed)

    def test_behind_bodies(self):
        """A request behind a chunked body, and one behind a body of known length, begin where those end."""
        harness = self.start()
        client = harness.client()
        chunked = request(b"POST /a", b"Transfer-Encoding: chunked", body=b"3\r\nabc\r\n0\r\n\r\n")
        client.say(chunked + post(b"xyz") + request(b"GET /b"))
        for line in (b"POST /a", b"POST /v1/responses", b"GET /b"):
            asked = self.asked(harness)
            self.assertEqual((asked.line, asked.whole), (line + b" HTTP/1.1", True))
            harness.upstream.say(response(line))
        self.assertEqual([each.body for each in self.answers(client)], [b"POST /a", b"POST /v1/responses", b"GET /b"])

    def test_behind_the_last_answer(self):
        """What a client sends behind a request that ends its connection is read and thrown away, however much it is."""
        harness = self.start()
        client = harness.client()
        client.say(request(b"GET /health", b"Connection: close") + request(b"GET /a") * 10000)
        self.assertEqual([each.body for each in self.answers(client)], [b'{"status":"ok"}'])
        self.assertTrue(client.half_closed)
        client.say(request(b"GET /b") * 10000)
        self.assertFalse(client.paused)
        self.assertEqual(harness.upstreams, [])
        client.lost()

    def test_with_local_ones(self):
        """What the port answers by itself keeps its place in the order."""
        harness = self.start()
        client = harness.client()
        local = request(b"GET /health")
        client.say(local * 2 + request(b"GET /a") + local + request(b"GET /b") + local * 3)
        self.assertEqual([each.body for each in self.answers(client)], [b'{"status":"ok"}'] * 2)
        harness.upstream.say(response(b"a"))
        self.assertEqual([each.body for each in self.answers(client)], [b"a", b'{"status":"ok"}'])
        harness.upstream.say(response(b"b"))
        self.assertEqual([each.body for each in self.answers(client)], [b"b"] + [b'{"status":"ok"}'] * 3)

    def test_many_local_ones(self):
        """Thousands at once need no deep stack."""
        harness = self.start()
        client = harness.client()
        client.say(request(b"GET /health") * 5000)
        while harness.timers()[0].getTime() <= harness.clock.seconds():
            harness.settle()
        self.assertEqual(len(self.answers(client)), 5000)

    def test_turns(self):
        """Nor do they keep other connections from their turn: only some are answered at a time."""
        harness = self.start()
        client = harness.client()
        client.say(request(b"GET /health") * 50)
        self.assertTrue(0 < len(self.answers(client)) < 50)

    def test_unread_answers(self):
        """A client that sends on and on and reads nothing is not read, nor answered, beyond what may wait for it."""
        harness = self.start(limits={"buffer_bytes": 2000})
        client = harness.client()
        client.congested = True
        sent = 0
        while not client.paused:
            client.say(request(b"GET /health"))
            sent += 1
            harness.settle(0.25)
            self.assertLess(sent, 1000)
        self.assertLess(len(client.value()), 4000)
        answers = self.answers(client)
        client.drain()
        harness.settle(10)
        self.assertEqual(len(answers + self.answers(client)), sent)
        self.assertFalse(client.paused)

    def test_local_targets(self):
        """Only a GET of exactly that target is answered here."""
        for line in (b"GET /health?x", b"POST /health", b"GET /healthy", b"HEAD /health", b"GET /health/"):
            harness = self.start()
            harness.client().say(request(line))
            self.assertEqual(self.asked(harness).line, line + b" HTTP/1.1")

    def test_local_with_a_body(self):
        """A body with such a GET is not taken for a request: the connection closes."""
        harness = self.start()
        client = harness.client()
        body = request(b"GET /smuggled")
        client.say(request(b"GET /health", b"Content-Length: %d" % len(body), body=body))
        self.assertEqual(self.answer(client).one(b"connection"), b"close")
        self.assertTrue(client.half_closed)
        self.assertEqual(harness.upstreams, [])

    def test_queue_limit(self):
        """A client that sends far ahead is not read until its turn; nothing of it is lost."""
        harness = self.start()
        client = harness.client()
        client.say(request(b"GET /first"))
        one = request(b"GET /queued")
        sent = 0
        while not client.paused:
            client.say(one)
            sent += 1
            self.assertLess(sent * len(one), 2 * harness.limits.header_bytes)
        for _ in range(sent + 1):
            self.assertEqual(len(harness.upstreams), 1)
            harness.upstream.say(response())
        self.assertFalse(client.paused)
        self.assertEqual(len(self.answers(client)), sent + 1)

    def test_behind_a_close(self):
        """Nothing behind a request that ends the connection is taken for a request."""
        harness = self.start()
        client = harness.client()
        client.say(request(b"GET /a", b"Connection: close") + request(b"GET /b"))
        harness.upstream.say(response())
        self.assertEqual(len(self.answers(client)), 1)
        client.say(request(b"GET /c"))
        self.assertEqual(len(harness.upstreams), 1)
        self.assertEqual(len(harness.events("call.start")), 1)


class KeepAliveTests(RelayCase):
    def test_matrix(self):
        """The connection lives on by version and Connection (RFC 9112, 9.3), and the answer says what must be said."""
        cases = [
            (b"HTTP/1.1", (), True, None),
            (b"HTTP/1.1", (b"Connection: close",), False, b"close"),
            (b"HTTP/1.1", (b"Connection: x, CLOSE",), False, b"close"),
            (b"HTTP/1.1", (b"Connection: keep-alive",), True, None),
            (b"HTTP/1.0", (), False, b"close"),
            (b"HTTP/1.0", (b"Connection: keep-alive",), True, b"keep-alive"),
            (b"HTTP/1.0", (b"Connection: keep-alive, close",), False, b"close"),
        ]
        for target in (b"GET /x", b"GET /health"):
            for version, fields, lives, said in cases:
                harness = self.start()
                client = harness.client()
                client.say(request(target, *fields, version=version))
                if target == b"GET /x":
                    harness.upstream.say(response())
                self.assertEqual(self.answer(client).one(b"connection"), said, (version, fields))
                self.assertEqual(client.half_closed, not lives, (version, fields))

    def test_upstreams_close_is_its_own(self):
        """Upstream closing its connection does not close the client's, and the next call takes a new one."""
        harness = self.start()
        client = harness.client()
        for count in (1, 2):
            client.say(request())
            harness.upstream.say(response(b"hello", b"Connection: close"))
            self.assertIsNone(self.answer(client).one(b"connection"))
            self.assertEqual(len(harness.upstreams), count)

    def test_expiry(self):
        """An idle connection is closed after keep_alive, counted from the last call's end."""
        harness = self.start()
        client = harness.client()
        harness.settle(70)
        client.say(request())
        harness.settle(100)
        harness.upstream.say(response())
        harness.settle(74)
        self.assertFalse(client.half_closed)
        harness.settle(2)
        self.assertTrue(client.half_closed)
        self.assertEqual(len(self.answers(client)), 1)

    def test_unused(self):
        """One on which nothing ever came is closed too."""
        harness = self.start()
        client = harness.client()
        harness.settle(76)
        self.assertEqual((client.half_closed, client.taken()), (True, b""))

    def test_head_has_begun(self):
        """A connection on which a head has begun is not idle: that head has its own time."""
        harness = self.start()
        client = harness.client()
        harness.settle(74)
        whole = request()
        client.say(whole[:10])
        harness.settle(5)
        client.say(whole[10:])
        harness.upstream.say(response())
        self.assertEqual(self.answer(client).status, 200)
        harness.settle(74)
        self.assertFalse(client.half_closed)
        harness.settle(2)
        self.assertTrue(client.half_closed)

    def test_empty_lines(self):
        """Empty lines before a request are skipped (RFC 9112, 2.2)."""
        harness = self.start()
        client = harness.client()
        client.say(b"\r\n\r\n" + request(b"GET /health") + b"\r\n" + request(b"GET /health"))
        self.assertEqual(len(self.answers(client)), 2)


class CloseTests(RelayCase):
    def closed(self):
        harness = self.start()
        client = harness.client()
        client.congested = True
        client.say(request(b"GET /", b"Connection: close"))
        harness.upstream.say(response(b"x" * 60000))
        return harness, client

    def test_linger(self):
        """Our half closes first; what the client still sends is thrown away, and in the end it is dropped."""
        harness = self.start()
        client = harness.client()
        client.say(request(b"GET /", b"Connection: close"))
        harness.upstream.say(response())
        self.assertTrue(client.half_closed)
        client.say(b"more")
        self.assertTrue(client.connected)
        harness.settle(3)
        self.assertTrue(client.aborted)

    def test_slow_reader(self):
        """A client that reads slowly gets all of the answer: its time to linger begins when all has gone out."""
        harness, client = self.closed()
        harness.settle(30)
        self.assertFalse(client.aborted)
        client.drain()
        self.assertEqual(len(self.answer(client).body), 60000)
        harness.settle(3)
        self.assertTrue(client.aborted)

    def test_no_reader(self):
        """One that reads nothing at all is dropped in the end."""
        harness, client = self.closed()
        harness.settle(harness.timeouts.keep_alive + 1)
        self.assertTrue(client.aborted)

    def test_client_closes(self):
        """One that closes by itself, before or behind us, leaves nothing behind."""
        for fields in ((), (b"Connection: close",)):
            harness = self.start()
            client = harness.client()
            client.say(request(b"GET /health", *fields))
            client.fin()
            harness.settle()
            self.assertFalse(client.connected)
            self.assertEqual(len(self.answers(client)), 1)
            self.assertEqual(harness.timers(), [])

"""HTTP calls through a port: heads both ways, request ids, cookies, interim responses, bodyless answers."""

from tests.relay.harness import RelayCase, post, request, response, upgrade


class HeadTests(RelayCase):
    def test_request(self):
        """Method, target, fields and body reach upstream as sent, under upstream's own authority."""
        harness = self.start()
        body = b'{"model":"m"}'
        harness.client().say(post(body, b"User-Agent: x/1", b"X-Odd:   spaced\xe9 ", b"x-odd: again"))
        asked = self.asked(harness)
        self.assertEqual(asked.line, b"POST /v1/responses HTTP/1.1")
        self.assertEqual(asked.one(b"host"), b"api.example")
        self.assertEqual(asked.one(b"user-agent"), b"x/1")
        self.assertEqual(asked.all(b"x-odd"), [b"spaced\xe9", b"again"])
        self.assertEqual((asked.body, asked.one(b"content-length")), (body, b"13"))

    def test_names_keep_their_case(self):
        """Header names go up and down as they were written."""
        harness = self.start()
        client = harness.client()
        client.say(request(b"GET /", b"X-MiXed: 1"))
        self.assertIn(b"\r\nX-MiXed: 1\r\n", harness.upstream.taken())
        harness.upstream.say(response(b"", b"OpenAI-MoDel: m"))
        self.assertIn(b"\r\nOpenAI-MoDel: m\r\n", client.taken())

    def test_methods(self):
        """Any method but TRACE and CONNECT is relayed, one that nobody knows too, in its own case."""
        for method in (b"GET", b"DELETE", b"PUT", b"PATCH", b"OPTIONS", b"PURGE", b"get", b"M-SEARCH"):
            harness = self.start()
            client = harness.client()
            client.say(request(method + b" /x?a=b%20c"))
            self.assertEqual(self.asked(harness).line, method + b" /x?a=b%20c HTTP/1.1")
            harness.upstream.say(response())
            self.assertEqual(self.answer(client).body, b"hello")

    def test_base_path(self):
        """Upstream's path is put before the target's unless it is there, by whole segments."""
        cases = {
            b"/responses": b"/v1/responses",
            b"/v1/responses": b"/v1/responses",
            b"/v1": b"/v1",
            b"/v1?x=1": b"/v1?x=1",
            b"/v1beta/x": b"/v1/v1beta/x",
            b"/": b"/v1/",
        }
        for target, wanted in cases.items():
            harness = self.start(path="/v1")
            harness.client().say(request(b"GET " + target))
            self.assertEqual(self.asked(harness).line, b"GET " + wanted + b" HTTP/1.1")

    def test_configured_headers(self):
        """A provider's configured headers replace the client's of that name."""
        harness = self.start(headers=((b"X-Team", b"ours"),))
        harness.client().say(request(b"GET /", b"x-team: theirs", b"X-TEAM: again"))
        self.assertEqual(self.asked(harness).all(b"x-team"), [b"ours"])

    def test_hop_by_hop(self):
        """What is one leg's own goes no further, in either direction, with what Connection names."""
        harness = self.start()
        client = harness.client()
        mine = (
            b"Connection: keep-alive, X-Mine, authorization",
            b"X-Mine: 1",
            b"Keep-Alive: timeout=5",
            b"TE: trailers",
            b"Trailer: X-T",
            b"Proxy-Authorization: Basic abc",
            b"Proxy-Connection: keep-alive",
            b"Via: 1.1 x",
            b"Forwarded: for=1.2.3.4",
            b"X-Forwarded-For: 1.2.3.4",
            b"X-Real-IP: 1.2.3.4",
            b"X-Agentproxy-Token: t",
        )
        client.say(request(b"GET /", *mine))
        names = {name for name, _ in self.asked(harness).fields}
        self.assertEqual(names, {b"host", b"x-request-id", b"authorization"})
        theirs = (
            b"Connection: X-Theirs", b"X-Theirs: 1", b"Keep-Alive: timeout=5", b"Trailer: X", b"Upgrade: h2c",
            b"X-Agentproxy-Error: fake", b"Proxy-Authenticate: Basic",
        )  # fmt: skip
        harness.upstream.say(response(b"", *theirs))
        answer = self.answer(client)
        self.assertEqual(
            {name for name, _ in answer.fields}, {b"content-length", b"x-request-id", b"x-agentproxy-request-id"}
        )

    def test_answer(self):
        """An upstream's answer passes as it is, an error of its own too: status, reason, fields, body."""
        harness = self.start()
        client = harness.client()
        client.say(request())
        fields = (b"Content-Type: application/json", b"Retry-After: 7", b"Content-Encoding: gzip", b"X-A: 1", b"X-A: 2")
        harness.upstream.say(response(b"\x1f\x8b\x00", *fields, status=b"429 Slow Down"))
        answer = self.answer(client)
        self.assertEqual(answer.line, b"HTTP/1.1 429 Slow Down")
        self.assertEqual(answer.body, b"\x1f\x8b\x00")
        for field in fields:
            name, _, value = field.partition(b": ")
            self.assertIn((name.lower(), value), answer.fields)
        self.assertEqual(answer.all(b"via"), [])

    def test_refused_credential(self):
        """Upstream's 401 passes as any answer, and the credentials hear of it, over HTTP and in a handshake."""
        for sent in (request(), upgrade()):
            harness, told = self.start(), []
            harness.credentials.refused = told.append
            client = harness.client()
            client.say(sent)
            harness.upstream.say(response(status=b"401 No"))
            self.assertEqual(self.answer(client).status, 401)
            self.assertEqual(told, [harness.clock])

    def test_other_upgrades(self):
        """An upgrade to anything but websocket is ignored and not forwarded, and its body is a body."""
        harness = self.start()
        client = harness.client()
        client.say(post(b"abc", b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", b"HTTP2-Settings: AAA"))
        asked = self.asked(harness)
        self.assertEqual(asked.body, b"abc")
        self.assertEqual((asked.all(b"upgrade"), asked.all(b"connection"), asked.all(b"http2-settings")), ([], [], []))
        harness.upstream.say(response())
        self.assertEqual(self.answer(client).status, 200)

    def test_log(self):
        """What is logged of a call: its path without the query, its status and its bytes."""
        harness = self.start()
        client = harness.client()
        client.say(request(b"POST /v1/x?key=secret", b"Content-Length: 3", body=b"abc"))
        harness.upstream.say(response())
        ended = harness.ended()
        self.assertEqual(
            [ended[key] for key in ("method", "path", "status", "bytes_in", "bytes_out", "error", "close")],
            ["POST", "/v1/x", 200, 3, 5, None, None],
        )
        self.assertEqual(harness.series("requests_total"), {'protocol="http",provider="one",status="200"': 1})


class RequestIdTests(RelayCase):
    def ids(self, sent, theirs=()):
        """(what upstream got, x-request-id of the answer, x-agentproxy-request-id of it, what is logged)."""
        self.harness = harness = self.start()
        client = harness.client()
        client.say(request(b"GET /", *sent))
        asked = self.asked(harness)
        harness.upstream.say(response(b"", *theirs))
        answer = self.answer(client)
        ours = answer.one(b"x-agentproxy-request-id")
        return asked.one(b"x-request-id"), answer.one(b"x-request-id"), ours, harness.ended()["id"].encode()

    def test_kept(self):
        """A sane one of the client's goes up, comes back, and is the call's."""
        for value in (b"a", b"Az09_.-", b"x" * 128):
            self.assertEqual(self.ids([b"X-Request-ID: " + value]), (value,) * 4)

    def test_made(self):
        """Without one, or with one that is too long or holds other characters, a new one is made."""
        for sent in ([], [b"x-request-id: "], [b"x-request-id: " + b"x" * 129], [b"x-request-id: a b"]):
            up, down, ours, logged = self.ids(sent)
            self.assertEqual({up, down, ours, logged}, {up})
            self.assertRegex(up, rb"\A[A-Za-z0-9_.-]{1,128}\Z")
            self.assertNotIn(up, b" ".join(sent))

    def test_upstreams_own(self):
        """Upstream's own is never replaced: it comes back beside ours, and is recorded."""
        ids = self.ids([b"x-request-id: mine"], [b"X-Request-Id: theirs"])
        self.assertEqual(ids, (b"mine", b"theirs", b"mine", b"mine"))
        [call] = self.harness.observer.calls
        self.assertEqual((call.id, call.upstream_request_id), ("mine", "theirs"))


class CookieTests(RelayCase):
    def cookies(self, cookies):
        harness = self.start(cookies=cookies)
        client = harness.client()
        client.say(request(b"GET /", b"Cookie: a=b", b"cOOKIE: c=d"))
        up = self.asked(harness).all(b"cookie")
        harness.upstream.say(response(b"", b"Set-Cookie: a=b", b"set-cookie: c=d"))
        return up, self.answer(client).all(b"set-cookie")

    def test_dropped(self):
        """Both ways, where the provider does not keep them."""
        self.assertEqual(self.cookies(False), ([], []))

    def test_kept(self):
        """Each as it was, where it does."""
        self.assertEqual(self.cookies(True), ([b"a=b", b"c=d"], [b"a=b", b"c=d"]))


class InterimTests(RelayCase):
    HINTS = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"

    def test_passed(self):
        """1xx responses pass to a client of HTTP/1.1, each, before the final one."""
        harness = self.start()
        client = harness.client()
        client.say(request())
        harness.upstream.say(self.HINTS + b"HTTP/1.1 102 Processing\r\n\r\n")
        self.assertEqual(
            [each.line for each in self.answers(client)], [b"HTTP/1.1 103 Early Hints", b"HTTP/1.1 102 Processing"]
        )
        harness.upstream.say(self.HINTS + response())
        hints, final = self.answers(client)
        self.assertEqual((hints.status, hints.one(b"link"), final.body), (103, b"</a>", b"hello"))

    def test_not_to_1_0(self):
        """They do not to one of HTTP/1.0, which knows none."""
        harness = self.start()
        client = harness.client()
        client.say(request(version=b"HTTP/1.0"))
        harness.upstream.say(self.HINTS + response())
        self.assertEqual(self.answer(client).status, 200)


class BodylessTests(RelayCase):
    def test_head(self):
        """HEAD's answer has upstream's length and no body, and the connection goes on behind it."""
        harness = self.start()
        client = harness.client()
        client.say(request(b"HEAD /v1/responses"))
        self.assertEqual(self.asked(harness).line, b"HEAD /v1/responses HTTP/1.1")
        harness.upstream.say(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n")
        answer = self.answer(client, heads={0})
        self.assertEqual((answer.one(b"content-length"), answer.all(b"transfer-encoding")), (b"99", []))
        client.say(request())
        harness.upstream.say(response())
        self.assertEqual(self.answer(client).body, b"hello")
        self.assertEqual(len(harness.upstreams), 1)

    def test_head_of_a_chunked_one(self):
        """A HEAD whose answer speaks of chunks ends at its head."""
        harness = self.start()
        client = harness.client()
        client.say(request(b"HEAD /"))
        harness.upstream.say(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        self.assertEqual(self.answer(client, heads={0}).status, 200)
        self.freed(harness)
        self.assertFalse(client.half_closed)

    def test_204_and_304(self):
        """They end at their heads; a 304 keeps its length, a 204 has none."""
        for status, length in ((b"204 No Content", None), (b"304 Not Modified", b"7")):
            harness = self.start()
            client = harness.client()
            client.say(request())
            harness.upstream.say(b"HTTP/1.1 " + status + b"\r\nContent-Length: 7\r\n\r\n")
            answer = self.answer(client)
            self.assertEqual((answer.one(b"content-length"), answer.all(b"transfer-encoding")), (length, []))
            self.freed(harness)
            self.assertFalse(client.half_closed)

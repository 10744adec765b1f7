"""The errors that a provider port makes itself: status, headers, and a body that the provider's clients can read."""

import json

from agentproxy.errors import UpstreamTimeout, UpstreamUnreachable
from tests.relay.harness import SECRETS, RelayCase, post, request, response, upgrade

CHUNKED = b"Transfer-Encoding: chunked"
LIMITS = {"body_bytes": 10, "header_bytes": 40000}

# (code, status, retry helps, bytes the client sends, options of the port, whether the connection lives on)
CASES = [
    ("bad_request", 400, False, b"NONSENSE\r\n\r\n", {}, False),
    ("bad_request", 400, False, request(b"GET http://a/"), {}, False),
    ("bad_request", 400, False, request(b"GET *"), {}, False),
    ("bad_request", 400, False, request(b"GET //x"), {}, False),
    ("bad_request", 400, False, request(b"POST /", b"Content-Length: 1", CHUNKED), {}, False),
    ("bad_request", 400, False, request(b"POST /", b"Content-Length: 1", b"Content-Length: 1"), {}, False),
    ("bad_request", 400, False, request(b"GET /", b"X : y"), {}, False),
    ("bad_request", 400, False, request(b"GET /", b"X: a\r\n b"), {}, False),
    ("bad_request", 400, False, b"GET / HTTP/1.1\nHost: x\n\n", {}, False),
    ("bad_request", 400, False, request(b"POST /", CHUNKED, body=b"zz\r\n"), {}, False),
    ("bad_request", 400, False, upgrade(key=b"short"), {}, False),
    ("provider_not_configured", 403, False, request(), {"secrets": {}}, True),
    ("provider_not_configured", 403, False, upgrade(), {"secrets": {}}, True),
    ("method_not_allowed", 405, False, request(b"TRACE /"), {}, False),
    ("method_not_allowed", 405, False, b"CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n", {}, False),
    ("body_too_large", 413, False, request(b"POST /", b"Content-Length: 11"), {}, False),
    ("uri_too_long", 414, False, request(b"GET /" + b"x" * 16384), {}, False),
    ("headers_too_large", 431, False, request(b"GET /", b"X: " + b"x" * 40000), {}, False),
    ("expectation_failed", 417, False, request(b"GET /", b"Expect: 200-ok"), {}, False),
    ("websocket_disabled", 426, False, upgrade(), {"websocket": False}, True),
    ("websocket_version", 426, False, upgrade().replace(b"Version: 13", b"Version: 8"), {}, True),
]


class ShapeCase(RelayCase):
    def check(self, answer, kind, status, code, retryable):
        """The whole of an error's answer; returns its message."""
        self.assertEqual(answer.status, status)
        self.assertEqual(answer.one(b"x-agentproxy-error"), code.encode())
        self.assertEqual(answer.one(b"content-type"), b"application/json")
        self.assertEqual(answer.one(b"x-should-retry"), None if retryable else b"false")
        request_id = answer.one(b"x-request-id")
        self.assertTrue(request_id)
        self.assertEqual(answer.one(b"x-agentproxy-request-id"), request_id)
        message = self.shape(json.loads(answer.body), kind, status, code, request_id.decode())
        self.assertTrue(message.startswith(f"[{code}] "), message)
        self.assertGreater(len(message), len(code) + 20)
        for secret in SECRETS[kind].values():
            self.assertNotIn(secret.encode(), answer.body)
        return message

    def shape(self, body, kind, status, code, request_id):
        if kind == "anthropic":
            self.assertEqual((set(body), body["type"]), ({"type", "error", "request_id"}, "error"))
            self.assertEqual((set(body["error"]), body["request_id"]), ({"type", "message"}, request_id))
            types = {403: "permission_error", 413: "request_too_large", 503: "overloaded_error"}
            default = "api_error" if status >= 500 else "invalid_request_error"
            self.assertEqual(body["error"]["type"], types.get(status, default))
        elif kind == "gemini":
            self.assertEqual(set(body["error"]), {"code", "message", "status", "details"})
            self.assertEqual((body["error"]["code"], body["error"]["details"][0]["reason"]), (status, code))
            self.assertRegex(body["error"]["status"], r"\A[A-Z_]+\Z")
        else:
            self.assertEqual(set(body["error"]), {"message", "type", "code", "param"})
            self.assertEqual((body["error"]["code"], body["error"]["param"]), (code, None))
        return body["error"]["message"]


class OwnErrorTests(ShapeCase):
    def test_table(self):
        """Every refusal, in every kind's shape; upstream never hears of it, and the log and the metrics do."""
        for kind in SECRETS:
            for code, status, retryable, sent, options, lives in CASES:
                harness = self.start(kind, limits=LIMITS, **options)
                client = harness.client()
                client.say(sent)
                answer = self.answer(client)
                self.check(answer, kind, status, code, retryable)
                self.assertEqual(client.half_closed, not lives, (code, sent))
                self.assertEqual(answer.one(b"connection"), None if lives else b"close")
                self.assertEqual([wire.value() for wire in harness.upstreams if code != "bad_request"], [])
                [denied] = harness.events("call.denied")
                self.assertEqual((denied["code"], denied["status"]), (code, status))
                self.assertEqual(denied["id"].encode(), answer.one(b"x-request-id"))
                self.assertEqual((harness.ended()["error"], harness.ended()["status"]), (code, status))
                self.assertEqual(harness.series("denials_total"), {f'code="{code}",provider="one"': 1})

    def test_version(self):
        """Another version of WebSocket is told which one is spoken."""
        for versions in ([b"8"], [b"13", b"8"], [b"13, 8"], []):
            harness = self.start()
            client = harness.client()
            fields = [b"Sec-WebSocket-Version: " + version for version in versions]
            client.say(request(b"GET /", b"Connection: Upgrade", b"Upgrade: websocket", *fields))
            answer = self.answer(client)
            self.assertEqual((answer.status, answer.one(b"sec-websocket-version")), (426, b"13"))

    def test_client_goes_on(self):
        """Behind a refusal that leaves the connection, the next call works; a body in between closes it."""
        for sent, lives in ((upgrade(), True), (upgrade(b"Content-Length: 3"), False), (upgrade() + b"abc", False)):
            harness = self.start(websocket=False)
            client = harness.client()
            client.say(sent)
            self.assertEqual(self.answer(client).status // 100, 4)
            self.assertEqual(client.half_closed, not lives)
            if lives:
                client.say(request())
                harness.upstream.say(response())
                self.assertEqual(self.answer(client).body, b"hello")

    def test_unread_body(self):
        """The body of a refused request is never taken for a request, whether it is there already or comes later."""
        smuggled = request(b"GET /health")
        for sent in ([post(smuggled)], [post(smuggled)[: -len(smuggled)], smuggled]):
            harness = self.start(secrets={})
            client = harness.client()
            for piece in sent:
                client.say(piece)
            self.assertEqual(self.answer(client).status, 403)
            self.assertTrue(client.half_closed)
        old = upgrade(b"Content-Length: %d" % len(smuggled)).replace(b"Version: 13", b"Version: 8")
        client = self.start().client()
        client.say(old)
        client.say(smuggled)
        self.assertEqual(self.answer(client).status, 426)

    def test_head(self):
        """HEAD's refusal has the length and no body."""
        harness = self.start(secrets={})
        client = harness.client()
        client.say(request(b"HEAD /"))
        answer = self.answer(client, heads={0})
        self.assertEqual((answer.status, answer.body), (403, b""))
        self.assertGreater(int(answer.one(b"content-length")), 50)

    def test_version_1_0(self):
        """A client of HTTP/1.0 is told what becomes of its connection."""
        harness = self.start(secrets={})
        client = harness.client()
        client.say(request(b"GET /", version=b"HTTP/1.0"))
        self.assertEqual(self.answer(client).one(b"connection"), b"close")
        self.assertTrue(client.half_closed)


class UpstreamErrorTests(ShapeCase):
    PHASES = ("connect", "tunnel", "tls")

    def test_connecting(self):
        """A failure to connect is 502 or 504 in every kind's shape, its phase in log and metrics; calls go on."""
        for kind in SECRETS:
            for phase in self.PHASES:
                for error, status in ((UpstreamUnreachable, 502), (UpstreamTimeout, 504)):
                    for sent in (request(), upgrade(), post(b"abc")):
                        harness = self.start(kind)
                        harness.connector.at_once = False
                        client = harness.client()
                        client.say(sent)
                        harness.connector.refused(error(f"Something about {phase} at api.example.", phase=phase))
                        message = self.check(self.answer(client), kind, status, error.code, True)
                        self.assertIn(phase, message)
                        self.assertEqual(harness.ended()["phase"], phase)
                        self.assertEqual(harness.ended()["error"], error.code)
                        self.assertEqual(
                            harness.series("upstream_errors_total"), {f'phase="{phase}",provider="one"': 1}
                        )
                        self.assertFalse(client.half_closed)
                        client.say(request(b"GET /health"))
                        self.assertEqual(self.answer(client).status, 200)

    def test_broken_answers(self):
        """An answer that is none is 502 that names the hop, and its connection is dropped."""
        for said in (
            b"HTTP/1.1 2000 OK\r\n\r\n",
            b"SSH-2.0-x\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nX: " + b"x" * 5000 + b"\r\n\r\n",
            b"HTTP/1.1 103 Early Hints\r\n\r\n" * 17 + response(),
        ):
            harness = self.start()
            client = harness.client()
            client.say(request())
            harness.upstream.say(said)
            *interim, answer = self.answers(client)
            self.assertIn("api.example:443", self.check(answer, "openai", 502, "upstream_unreachable", True))
            self.assertTrue(all(each.status == 103 for each in interim))
            self.assertTrue(harness.upstream.aborted)
            self.assertEqual(harness.ended()["phase"], "first_byte")

    def test_lost_before_an_answer(self):
        """Upstream gone before it answered a request is 502."""
        for sent in (request(), post(b"abc"), request(b"POST /", b"Content-Length: 3", body=b"a")):
            harness = self.start()
            client = harness.client()
            client.say(sent)
            harness.upstream.lost(clean=False)
            self.check(self.answer(client), "openai", 502, "upstream_unreachable", True)
            self.assertEqual(client.half_closed, sent.endswith(b"\r\na"))

    def test_late(self):
        """No answer within first_byte is 504, and the connection to upstream is dropped."""
        harness = self.start(timeouts={"first_byte": 60})
        client = harness.client()
        client.say(request())
        harness.settle(59)
        self.assertEqual(client.taken(), b"")
        harness.settle(2)
        message = self.check(self.answer(client), "openai", 504, "upstream_timeout", True)
        self.assertIn("api.example:443", message)
        self.assertTrue(harness.upstream.aborted)
        self.assertEqual(harness.ended()["phase"], "first_byte")

    def test_fault_at_once(self):
        """Nor does it lose the client where it happens before anything was waited for, whatever was asked."""
        for data in (request(), upgrade()):
            harness = self.start()

            def connect(factory):
                raise ZeroDivisionError

            harness.connector.connect = connect
            client = harness.client()
            client.say(data)
            self.check(self.answer(client), "openai", 500, "internal_error", True)
            self.assertEqual([fault["fault"] for fault in harness.events("call.fault")], ["ZeroDivisionError"])

    def test_fault_of_ours(self):
        """What nobody foresaw is 500, logged with its traceback, and tells the client nothing of it."""
        harness = self.start()
        harness.connector.at_once = False
        client = harness.client()
        client.say(request())
        harness.connector.refused(ZeroDivisionError("inner secret"))
        self.assertNotIn("inner secret", self.check(self.answer(client), "openai", 500, "internal_error", True))
        [fault] = harness.events("call.fault")
        self.assertEqual((fault["fault"], fault["id"]), ("ZeroDivisionError", harness.ended()["id"]))

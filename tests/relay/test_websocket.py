"""The WebSocket handshake through a port: upstream's first, the client's only once that is done; or a refusal."""

import base64
import hashlib

from tests.relay.harness import ACCEPT, KEY, MASK, RelayCase, request, response, upgrade
from tests.relay.wires import frame, messages

GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
DEFLATE = b"Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits"


class WebSocketCase(RelayCase):
    """Opens WebSockets."""

    def asks(self, harness, *fields):
        """A client's upgrade: (client, upstream, which has it)."""
        client = harness.client()
        client.say(upgrade(*fields))
        return client, harness.upstream

    def switching(self, upstream, *fields, key=None):
        """The bytes of upstream's 101 to what it was asked."""
        if key is None:
            [asked] = messages(upstream.taken())
            key = asked.one(b"sec-websocket-key")
        accept = base64.b64encode(hashlib.sha1(key + GUID).digest())
        head = [b"HTTP/1.1 101 Switching Protocols", b"Upgrade: websocket", b"Connection: Upgrade"]
        return b"\r\n".join([*head, b"Sec-WebSocket-Accept: " + accept, *fields, b"", b""])

    def accepts(self, upstream, *fields, surplus=b""):
        """Upstream's 101, and frames right behind it."""
        upstream.say(self.switching(upstream, *fields) + surplus)

    def opened(self, kind="openai", *, fields=(), answered=(), **options):
        """An open one: (harness, client, upstream)."""
        harness = self.start(kind, **options)
        client, upstream = self.asks(harness, *fields)
        self.accepts(upstream, *answered)
        self.assertEqual(self.answer(client).status, 101)
        return harness, client, upstream


class HandshakeTests(WebSocketCase):
    def test_request(self):
        """The upgrade goes up with the client's own fields and a key of ours."""
        harness = self.start()
        _, upstream = self.asks(harness, b"OpenAI-Beta: responses_websockets=2026-02-06", b"originator: x", DEFLATE)
        [asked] = messages(upstream.taken())
        self.assertEqual(asked.line, b"GET /v1/responses HTTP/1.1")
        for name, value in (
            (b"host", b"api.example"), (b"connection", b"Upgrade"), (b"upgrade", b"websocket"),
            (b"sec-websocket-version", b"13"), (b"openai-beta", b"responses_websockets=2026-02-06"),
            (b"originator", b"x"), (b"authorization", b"Bearer true-credential"),
            (b"sec-websocket-extensions", b"permessage-deflate; client_max_window_bits"),
        ):  # fmt: skip
            self.assertEqual(asked.one(name), value)
        self.assertEqual(len(base64.b64decode(asked.one(b"sec-websocket-key"))), 16)
        self.assertNotEqual(asked.one(b"sec-websocket-key"), KEY)
        self.assertEqual(asked.all(b"sec-websocket-protocol"), [])

    def test_upstream_first(self):
        """The client gets nothing before upstream's 101, and that one's fields with it, exactly."""
        harness = self.start()
        client, upstream = self.asks(harness, DEFLATE, b"Sec-WebSocket-Protocol: realtime, other")
        self.assertEqual(client.taken(), b"")
        answer = self.switching(
            upstream,
            b"x-codex-turn-state: abc",
            b"OpenAI-Model: m",
            b"Set-Cookie: a=b",
            b"X-Request-Id: theirs",
            b"Sec-WebSocket-Protocol: other",
            b"Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover",
        )
        for at in range(len(answer)):
            self.assertEqual(client.value(), b"")
            upstream.say(answer[at : at + 1])
        said = client.taken()
        self.assertIn(b"\r\nx-codex-turn-state: abc\r\n", said)
        [switched] = messages(said)
        self.assertEqual(switched.line, b"HTTP/1.1 101 Switching Protocols")
        fields = dict(switched.fields)
        self.assertEqual(len(fields), len(switched.fields))
        ours = fields.pop(b"x-agentproxy-request-id")
        self.assertEqual(
            fields,
            {
                b"upgrade": b"websocket",
                b"connection": b"Upgrade",
                b"sec-websocket-accept": ACCEPT,
                b"x-codex-turn-state": b"abc",
                b"openai-model": b"m",
                b"x-request-id": b"theirs",
                b"sec-websocket-protocol": b"other",
                b"sec-websocket-extensions": b"permessage-deflate; server_no_context_takeover",
            },
        )
        client.fin()
        harness.settle(2)
        [call] = harness.observer.calls
        self.assertEqual((call.id.encode(), call.upstream_request_id, call.status), (ours, "theirs", 101))

    def test_nothing_chosen(self):
        """Where upstream takes no subprotocol and no extension, the client is told of none."""
        harness = self.start()
        client, upstream = self.asks(harness, DEFLATE, b"Sec-WebSocket-Protocol: realtime")
        self.accepts(upstream)
        switched = self.answer(client)
        self.assertEqual((switched.all(b"sec-websocket-protocol"), switched.all(b"sec-websocket-extensions")), ([], []))

    def test_cookies(self):
        """A 101's cookies pass where the provider keeps them."""
        harness = self.start(cookies=True)
        client, upstream = self.asks(harness, b"Cookie: a=b")
        self.assertIn(b"\r\nCookie: a=b\r\n", upstream.value())
        self.accepts(upstream, b"Set-Cookie: c=d")
        self.assertEqual(self.answer(client).all(b"set-cookie"), [b"c=d"])

    def test_interim(self):
        """A 1xx before the 101 passes."""
        harness = self.start()
        client, upstream = self.asks(harness)
        switching = self.switching(upstream)
        upstream.say(b"HTTP/1.1 103 Early Hints\r\n\r\n" + switching)
        self.assertEqual([each.status for each in self.answers(client)], [103, 101])

    def test_early_bytes(self):
        """What comes right behind either head goes to the other side once there is one."""
        harness = self.start()
        client = harness.client()
        mine, theirs = frame(1, b"mine", mask=MASK), frame(1, b"theirs")
        client.say(upgrade() + mine[:3])
        client.say(mine[3:])
        upstream = harness.upstream
        switching = self.switching(upstream)
        self.assertEqual(upstream.value(), b"")
        upstream.say(switching + theirs)
        self.assertTrue(client.taken().endswith(b"\r\n\r\n" + theirs))
        self.assertEqual(upstream.taken(), mine)

    def test_bad_answers(self):
        """A 101 that accepts another handshake, or takes what was not offered, is 502."""
        for fields, key in (
            ((), b"another"),
            ((b"Sec-WebSocket-Protocol: realtime",), None),
            ((b"Sec-WebSocket-Extensions: permessage-deflate",), None),
        ):
            harness = self.start()
            client, upstream = self.asks(harness)
            upstream.say(self.switching(upstream, *fields, key=key))
            answer = self.answer(client)
            self.assertEqual((answer.status, answer.one(b"x-agentproxy-error")), (502, b"upstream_unreachable"))
            self.assertTrue(upstream.aborted)
            self.assertEqual(harness.ended()["phase"], "handshake")
            self.assertFalse(client.half_closed)

    def test_no_answer(self):
        """No answer in time is 504, phase handshake; a connection lost before is 502."""
        harness = self.start()
        client, upstream = self.asks(harness)
        harness.settle(11)
        self.assertEqual((self.answer(client).status, upstream.aborted), (504, True))
        self.assertEqual(harness.ended()["phase"], "handshake")
        client, upstream = self.asks(harness)
        upstream.lost()
        self.assertEqual(self.answer(client).status, 502)
        self.assertEqual(harness.series("upstream_errors_total"), {'phase="handshake",provider="one"': 2})


class RefusalTests(WebSocketCase):
    def test_passed_on(self):
        """Another answer than 101 reaches the client whole, and its connection lives on."""
        for status in (
            b"400 Bad",
            b"401 No",
            b"426 Upgrade Required",
            b"429 Slow",
            b"503 Busy",
            b"200 OK",
            b"302 There",
        ):
            harness = self.start()
            client, upstream = self.asks(harness)
            upstream.say(response(b'{"error":', b"Retry-After: 3", b"Set-Cookie: a=b", status=status)[:-5])
            upstream.say(b'ror":')
            answer = self.answer(client)
            self.assertEqual((answer.line, answer.body), (b"HTTP/1.1 " + status, b'{"error":'))
            self.assertEqual((answer.one(b"retry-after"), answer.all(b"set-cookie")), (b"3", []))
            self.assertFalse(client.half_closed)
            harness.settle()
            self.assertFalse(upstream.connected, "a refusal's connection serves that one answer")
            ended = harness.ended()
            self.assertEqual((ended["protocol"], ended["status"]), ("websocket", int(status[:3])))
            client.say(request())
            harness.upstream.say(response())
            self.assertEqual(self.answer(client).body, b"hello")

    def test_early_bytes(self):
        """Frames behind a refused upgrade go nowhere, and the connection ends, as nobody can tell them apart."""
        for sent_with_it in (True, False):
            harness = self.start()
            client = harness.client()
            early = request(b"GET /health")
            client.say(upgrade() + (early if sent_with_it else b""))
            if not sent_with_it:
                client.say(early)
            harness.upstream.taken()
            harness.upstream.say(response(status=b"403 No"))
            answer = self.answer(client)
            self.assertEqual((answer.status, answer.one(b"connection")), (403, b"close"))
            self.assertTrue(client.half_closed)
            self.assertEqual((harness.upstream.taken(), len(harness.upstreams)), (b"", 1))

    def test_disabled(self):
        """With websocket off the upgrade is 426 and upstream never hears of it, while HTTP goes on."""
        harness = self.start(websocket=False)
        client = harness.client()
        client.say(upgrade())
        self.assertEqual((self.answer(client).status, harness.upstreams), (426, []))
        client.say(request())
        self.assertEqual(self.asked(harness).line, b"GET /v1/models HTTP/1.1")

    def test_malformed(self):
        """An upgrade that RFC 6455 does not allow is 400, and upstream never hears of it."""
        good = upgrade()
        cases = {
            "POST": good.replace(b"GET ", b"POST "),
            "body": upgrade(b"Content-Length: 3") + b"abc",
            "chunked body": upgrade(b"Transfer-Encoding: chunked"),
            "no key": good.replace(b"Sec-WebSocket-Key: " + KEY + b"\r\n", b""),
            "two keys": upgrade(b"Sec-WebSocket-Key: " + KEY),
            "short key": upgrade(key=b"c2hvcnQ="),
            "key of 18 bytes": upgrade(key=base64.b64encode(b"x" * 18)),
            "no base64": upgrade(key=b"!" * 24),
            "no Connection": good.replace(b"Connection: Upgrade\r\n", b""),
            "another Connection": good.replace(b"Connection: Upgrade", b"Connection: keep-alive"),
            "doubled subprotocol": upgrade(b"Sec-WebSocket-Protocol: a, b,a"),
            "doubled over two fields": upgrade(b"Sec-WebSocket-Protocol: a", b"sec-websocket-protocol: a"),
        }
        for name, sent in cases.items():
            harness = self.start()
            client = harness.client()
            client.say(sent)
            answer = self.answer(client)
            self.assertEqual((answer.status, answer.one(b"x-agentproxy-error")), (400, b"bad_request"), name)
            self.assertTrue(client.half_closed, name)
            self.assertEqual(harness.upstreams, [], name)

    def test_odd_but_right(self):
        """Case, further options and several fields are all legal."""
        for old, new in (
            (b"Connection: Upgrade", b"connection: keep-alive, uPGRADE"),
            (b"Upgrade: websocket", b"UPGRADE: h2c, WebSocket"),
            (b"Connection: Upgrade", b"Connection: keep-alive\r\nConnection: upgrade"),
        ):
            harness = self.start()
            harness.client().say(upgrade().replace(old, new))
            [asked] = messages(harness.upstream.taken())
            self.assertEqual((asked.one(b"upgrade"), asked.one(b"connection")), (b"websocket", b"Upgrade"))

    def test_not_over_1_0(self):
        """HTTP/1.0 knows no upgrade: it is an ordinary request."""
        harness = self.start()
        harness.client().say(upgrade().replace(b"HTTP/1.1", b"HTTP/1.0"))
        asked = self.asked(harness)
        self.assertEqual((asked.all(b"upgrade"), asked.all(b"sec-websocket-key")), ([], []))

"""Shutting down: who is closed at once, who goes on, and until when."""

import zlib

from tests.relay.harness import MASK, RelayCase, request, response, upgrade
from tests.relay.test_splice_limits import ANSWERED
from tests.relay.test_websocket import DEFLATE
from tests.relay.test_websocket_closes import CloseCase
from tests.relay.wires import close, closes, frame

CREATE = b'{"type":"response.create","model":"m"}'
PREWARM = b'{"type":"response.create","generate":false}'
CREATED = b'{"type":"response.created","response":{"id":"resp_1"}}'
DELTA = b'{"type":"response.output_text.delta","delta":"x"}'
COMPLETED = b'{"type":"response.completed","response":{}}'


class HttpDrainTests(RelayCase):
    def test_idle(self):
        """Idle connections close, used before or not."""
        harness = self.start()
        fresh, used = harness.client(), harness.client()
        used.say(request())
        harness.upstream.say(response())
        harness.factory.drain()
        self.assertTrue(fresh.half_closed and used.half_closed)

    def test_running(self):
        """A running response goes on to its end; then its connection closes."""
        harness = self.start()
        client = harness.client()
        client.say(request())
        harness.upstream.say(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")
        harness.factory.drain()
        harness.settle(20)
        self.assertFalse(client.half_closed)
        harness.upstream.say(b"3\r\ndef\r\n0\r\n\r\n")
        answer = self.answer(client)
        self.assertEqual((answer.body, answer.whole, client.half_closed), (b"abcdef", True, True))

    def test_waiting(self):
        """So does a call whose answer has not begun, and one whose body is still coming."""
        harness = self.start()
        client = harness.client()
        client.say(request(b"POST /", b"Content-Length: 2", body=b"a"))
        harness.factory.drain()
        client.say(b"b")
        harness.upstream.say(response())
        self.assertEqual((self.answer(client).body, client.half_closed), (b"hello", True))

    def test_new_request(self):
        """A request on a live connection is 503, that may be tried again elsewhere; upstream never hears of it."""
        for sent in (request(), upgrade()):
            harness = self.start()
            client = harness.client()
            client.say(sent[:10])
            harness.factory.drain()
            self.assertFalse(client.half_closed)
            client.say(sent[10:])
            answer = self.answer(client)
            self.assertEqual((answer.status, answer.one(b"x-agentproxy-error")), (503, b"draining"))
            self.assertEqual((answer.all(b"x-should-retry"), answer.one(b"connection")), ([], b"close"))
            self.assertTrue(answer.one(b"retry-after").isdigit())
            self.assertTrue(client.half_closed)
            self.assertEqual(harness.upstreams, [])

    def test_pipelined(self):
        """One behind a running response gets nothing: its connection closes behind that response."""
        harness = self.start()
        client = harness.client()
        client.say(request() + request())
        harness.factory.drain()
        harness.upstream.say(response())
        self.assertEqual(len(self.answers(client)), 1)
        self.assertTrue(client.half_closed)
        self.assertEqual(len(harness.events("call.start")), 1)

    def test_health(self):
        """The port's own answers still come, and close."""
        harness = self.start()
        client = harness.client()
        client.say(b"G")
        harness.factory.drain()
        client.say(request(b"GET /health")[1:])
        answer = self.answer(client)
        self.assertEqual((answer.status, answer.one(b"connection")), (200, b"close"))

    def test_close_now(self):
        """At the drain's end what is left is dropped, upstream too."""
        harness = self.start()
        clients = [harness.client() for _ in range(3)]
        clients[0].say(request())
        clients[1].say(upgrade())
        clients[2].say(b"GET /half")
        harness.factory.drain()
        harness.factory.close_now()
        harness.settle()
        self.assertEqual([wire for wire in (*clients, *harness.upstreams) if wire.connected], [])
        self.assertEqual([each["error"] for each in harness.events("call.end")], ["draining"] * 2)


class WebSocketDrainTests(CloseCase):
    def going_away(self, harness, client, upstream):
        """Both sides were told 1001, and end."""
        self.assertEqual([each[:2] for each in closes(client.taken())], [(False, 1001)])
        self.assertEqual([each[:2] for each in closes(upstream.taken())], [(True, 1001)])
        client.say(close(1001, mask=MASK))
        upstream.say(close(1001))
        harness.settle()
        self.assertFalse(client.aborted or upstream.aborted)
        self.ends(harness, "proxy", 1001, "going away", clean=True)

    def drained(self, *messages, kind="openai"):
        """A socket over which these have passed, draining: (from the client?, text)."""
        harness, client, upstream = self.opened(kind)
        for from_client, text in messages:
            (client if from_client else upstream).say(frame(1, text, mask=MASK if from_client else None))
        client.taken(), upstream.taken()
        harness.factory.drain()
        return harness, client, upstream

    def test_nothing_runs(self):
        """Between responses a socket closes at once, for every kind whose turns are understood."""
        turn = [
            (True, PREWARM),
            (False, CREATED),
            (False, COMPLETED),
            (True, CREATE),
            (False, DELTA),
            (False, COMPLETED),
        ]
        for kind in ("openai", "copilot", "chatgpt"):
            for messages in ([], turn[:3], turn):
                self.going_away(*self.drained(*messages, kind=kind))

    def test_response_runs(self):
        """While one runs the socket goes on, however quiet; then it closes."""
        for begun in ([(True, CREATE)], [(True, PREWARM), (False, CREATED)], [(False, CREATED)]):
            for end in (COMPLETED, b'{"type":"response.failed"}', b'{"type":"error","status":429}'):
                harness, client, upstream = self.drained(*begun)
                harness.settle(20)
                upstream.say(frame(1, DELTA))
                harness.settle(3)
                self.assertEqual(client.taken(), frame(1, DELTA))
                upstream.say(frame(1, end))
                self.assertEqual(client.taken(), frame(1, end))
                harness.settle(0.25)
                self.going_away(harness, client, upstream)

    def test_two_lanes(self):
        """Of two responses at once both end first."""
        harness, client, upstream = self.drained((True, CREATE), (True, CREATE), (False, COMPLETED))
        harness.settle(5)
        self.assertEqual(client.taken(), b"")
        upstream.say(frame(1, COMPLETED))
        client.taken()
        harness.settle(0.25)
        self.going_away(harness, client, upstream)

    def test_deflated(self):
        """Turns are understood in compressed messages too, with one context over all of a direction's."""
        harness, client, upstream = self.opened(fields=(DEFLATE,), answered=(ANSWERED,))
        up, down = (zlib.compressobj(wbits=-15) for _ in range(2))

        def deflated(stream, text):
            return (stream.compress(text) + stream.flush(zlib.Z_SYNC_FLUSH))[:-4]

        for _ in range(2):
            client.say(frame(1, deflated(up, CREATE), mask=MASK, rsv1=True))
            upstream.say(frame(1, deflated(down, CREATED), rsv1=True))
            upstream.say(frame(1, deflated(down, COMPLETED), rsv1=True))
        client.say(frame(1, deflated(up, CREATE), mask=MASK, rsv1=True))
        client.taken(), upstream.taken()
        harness.factory.drain()
        harness.settle(5)
        self.assertEqual(client.taken() + upstream.taken(), b"")
        upstream.say(frame(1, deflated(down, COMPLETED), rsv1=True))
        client.taken()
        harness.settle(0.25)
        self.going_away(harness, client, upstream)

    def test_not_understood(self):
        """Where turns are not understood a socket closes once it has been quiet for 2 s."""
        for kind, messages in (("gemini", []), ("anthropic", []), ("openai", [(True, b"setup"), (False, b"\xff")])):
            harness, client, upstream = self.drained(*messages, kind=kind)
            for _ in range(5):
                harness.settle(1.5)
                upstream.say(frame(2, b"audio"))
                self.assertEqual(client.taken(), frame(2, b"audio"))
            harness.settle(1.5)
            self.assertEqual(client.taken(), b"")
            harness.settle(1)
            self.going_away(harness, client, upstream)

    def test_opened_during_the_drain(self):
        """A handshake that was under way is completed, and its socket drained as the others."""
        harness = self.start()
        client, upstream = self.asks(harness)
        harness.factory.drain()
        self.accepts(upstream)
        head, end, rest = client.taken().partition(b"\r\n\r\n")
        self.assertIn(b" 101 ", head + end)
        self.assertEqual([each[1] for each in closes(rest)], [1001])

    def test_close_now(self):
        """At the drain's end a running response is cut off with 1001, or where it is in a frame without a word."""
        for in_frame in (False, True):
            harness, client, upstream = self.drained((True, CREATE))
            if in_frame:
                upstream.say(frame(1, DELTA)[:9])
                client.taken()
            harness.factory.close_now()
            self.assertEqual([each[1] for each in closes(client.taken())], [] if in_frame else [1001])
            self.assertEqual([each[1] for each in closes(upstream.taken())], [1001])
            harness.settle(1.5)
            self.ends(harness, "proxy", 1001, "going away", clean=True)

    def test_finish(self):
        """When there is no time left, what still runs is booked as it stands, and once."""
        harness, client, upstream = self.drained((True, CREATE), (False, CREATED))
        harness.factory.finish()
        [turn], [call] = harness.sink.turns, harness.sink.calls
        self.assertEqual((turn.status, turn.source, call.frames_in), ("unsettled", "estimated", 1))
        self.assertEqual(len(harness.events("call.end")), 1)
        client.lost()
        upstream.lost()
        harness.settle(20)
        self.assertEqual((len(harness.sink.turns), len(harness.sink.calls)), (1, 1))

    def test_ends_by_itself(self):
        """A socket that closes while it is drained ends as ever."""
        harness, client, upstream = self.drained((True, CREATE))
        client.say(close(1000, mask=MASK))
        upstream.say(close(1000))
        harness.settle()
        self.ends(harness, "client", 1000, clean=True)

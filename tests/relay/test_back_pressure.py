"""A reader that does not read pauses who sends to it, over HTTP and WebSocket, and nothing is lost."""

from tests.relay.harness import MASK, RelayCase, request, response
from tests.relay.test_websocket import WebSocketCase
from tests.relay.wires import frame, messages


class HttpTests(RelayCase):
    def test_slow_client(self):
        """Upstream is not read while the client does not read; then all of it goes on."""
        harness = self.start()
        client = harness.client()
        client.say(request())
        harness.upstream.say(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nabc")
        client.fill()
        self.assertTrue(harness.upstream.paused)
        client.drain()
        self.assertFalse(harness.upstream.paused)
        harness.upstream.say(b"def")
        self.assertEqual(self.answer(client).body, b"abcdef")

    def test_slow_before_the_body(self):
        """The same where the client was behind already when the answer began."""
        harness = self.start()
        client = harness.client()
        client.say(request())
        client.fill()
        harness.upstream.say(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n")
        self.assertTrue(harness.upstream.paused)
        client.drain()
        harness.upstream.say(b"abc")
        self.assertEqual(self.answer(client).body, b"abc")

    def test_slow_upstream(self):
        """The client is not read while upstream does not read."""
        for head, body in ((b"Content-Length: 9", b"abc"), (b"Transfer-Encoding: chunked", b"3\r\nabc\r\n")):
            harness = self.start()
            client = harness.client()
            client.say(request(b"POST /", head, body=body))
            harness.upstream.fill()
            self.assertTrue(client.paused)
            harness.upstream.taken()
            harness.upstream.drain()
            self.assertFalse(client.paused)
            client.say(body)
            self.assertEqual(harness.upstream.taken(), body)

    def test_connecting(self):
        """While upstream is connected to, no more than buffer_bytes of a body are taken."""
        harness = self.start(limits={"buffer_bytes": 1000})
        harness.connector.at_once = False
        client = harness.client()
        client.say(request(b"POST /", b"Content-Length: 3000"))
        client.say(b"x" * 999)
        self.assertFalse(client.paused)
        client.say(b"x")
        self.assertTrue(client.paused)
        harness.connector.made()
        self.assertFalse(client.paused)
        client.say(b"x" * 2000)
        self.assertEqual(len(self.asked(harness).body), 3000)

    def test_body_with_its_head(self):
        """The same where head and body come at once, or behind another call: the rest waits, and then goes on."""
        for first in (b"", request(b"GET /health")):
            harness = self.start(limits={"buffer_bytes": 1000})
            harness.connector.at_once = False
            client = harness.client()
            client.say(first + request(b"POST /", b"Content-Length: 3000", body=b"x" * 2000))
            self.assertTrue(client.paused)
            harness.connector.made()
            self.assertFalse(client.paused)
            client.say(b"x" * 1000)
            self.assertEqual(len(self.asked(harness).body), 3000)

    def test_body_at_the_end_of_a_long_queue(self):
        """A client that was paused as its queue was long is read again for a body that is still to come."""
        harness = self.start()
        client = harness.client()
        client.say(request())
        while not client.paused:
            client.say(request(b"GET /health"))
        client.paused = False  # What had been read before the pause still comes.
        client.say(request(b"POST /last", b"Content-Length: 4", body=b"ab"))
        harness.upstream.say(response())
        harness.settle(1)
        self.assertFalse(client.paused)
        client.say(b"cd")
        self.assertEqual(messages(harness.upstream.taken())[-1].body, b"abcd")

    def test_refused_while_paused(self):
        """A client that was paused reads its answer, and its connection ends as it must."""
        harness = self.start()
        client = harness.client()
        client.say(request(b"POST /", b"Content-Length: 9", body=b"abc"))
        harness.upstream.fill()
        harness.upstream.say(b"HTTP/1.1 400 No\r\nContent-Length: 2\r\n\r\nno")
        self.assertEqual(self.answer(client).body, b"no")
        self.assertFalse(client.paused)
        self.assertTrue(client.half_closed)

    def test_marks(self):
        """Both transports pause their senders above buffer_bytes."""
        harness = self.start(limits={"buffer_bytes": 12345})
        client = harness.client()
        client.say(request())
        self.assertEqual((client.bufferSize, harness.upstream.bufferSize), (12345, 12345))


class SpliceTests(WebSocketCase):
    def test_both_directions(self):
        """Each side is not read while the other does not read, and goes on behind that."""
        harness, client, upstream = self.opened()
        for sender, reader, mask in ((client, upstream, MASK), (upstream, client, None)):
            reader.fill()
            self.assertTrue(sender.paused)
            self.assertFalse(reader.paused)
            reader.drain()
            self.assertFalse(sender.paused)
            sender.say(frame(2, b"x" * 70000, mask=mask))
            self.assertEqual(len(reader.taken()), 70000 + (14 if mask else 10))
        self.assertEqual((client.bufferSize, upstream.bufferSize), (harness.limits.buffer_bytes,) * 2)

    def test_early_bytes(self):
        """What a client sends behind its upgrade is taken up to buffer_bytes, then waits with it."""
        harness = self.start(limits={"buffer_bytes": 1000})
        client, upstream = self.asks(harness)
        message = frame(2, b"x" * 1500, mask=MASK)
        client.say(message[:1000])
        self.assertFalse(client.paused)
        client.say(message[1000:])
        self.assertTrue(client.paused)
        self.accepts(upstream)
        self.assertFalse(client.paused)
        self.assertEqual(upstream.taken(), message)

    def test_full_upstream_behind_the_handshake(self):
        """A client whose early bytes fill upstream stays paused."""
        harness = self.start(limits={"buffer_bytes": 1000})
        client, upstream = self.asks(harness)
        client.say(frame(2, b"x" * 1500, mask=MASK))
        upstream.congested = True
        self.accepts(upstream)
        self.assertTrue(client.paused)
        upstream.drain()
        self.assertFalse(client.paused)

    def test_close_to_a_full_side(self):
        """A side that does not read can't hold up a close: it is dropped in the end."""
        harness, client, upstream = self.opened()
        client.fill()
        upstream.paused = False  # What had been read before the pause still comes.
        upstream.say(frame(8, b"\x03\xe8"))
        harness.settle(9)
        self.assertTrue(client.connected)
        harness.settle(13)
        self.assertFalse(client.connected or upstream.connected)

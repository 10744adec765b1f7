"""The records over a real port: a thread that reads, sockets that don't."""

import json
from pathlib import Path

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint, connectProtocol
from twisted.internet.protocol import Protocol
from twisted.trial.unittest import TestCase

from agentproxy.admin.events import MOST_UNSENT
from agentproxy.admin.health import Status
from agentproxy.admin.reading import ReadingThread, Records
from agentproxy.admin.site import admin_site
from agentproxy.observe.feed import Feed
from agentproxy.observe.metrics import Metrics
from agentproxy.records.queries import Store
from agentproxy.records.schema import FILE
from agentproxy.records.writer import Writer
from agentproxy.relay.listener import listen
from tests.admin.stored import a_turn, key

TURNS = 300


class Client(Protocol):
    """
    Sends one request.

    :ivar data: what came.
    :ivar ended: fires when the connection has.
    """

    def __init__(self, path, last=None):
        fields = ["Host: localhost", *([f"Last-Event-ID: {last}"] if last else []), "", ""]
        self._head = "\r\n".join([f"GET {path} HTTP/1.0", *fields]).encode()
        self._wanted = None
        self.data = b""
        self.ended = Deferred()

    def connectionMade(self):
        self.transport.write(self._head)

    def dataReceived(self, data):
        self.data += data
        if self._wanted is not None and self._wanted[0] in self.data:
            (_, there), self._wanted = self._wanted, None
            there.callback(None)

    def connectionLost(self, reason):
        self.ended.callback(None)

    def until(self, text):
        """Fires when this has come."""
        there = Deferred()
        self._wanted = (text, there)
        self.dataReceived(b"")
        return there

    def ids(self):
        """Of the events that are whole: one that was cut off in its middle was not seen."""
        whole = self.data[: self.data.rindex(b"\n\n")].decode()
        return [int(line[4:], 16) for line in whole.split("\n") if line.startswith("id: ")]


class LiveTests(TestCase):
    def setUp(self):
        folder = Path(self.mktemp())
        self.writer = Writer(folder, clean=lambda data: data, told=lambda *_, **__: None, days=0, megabytes=0)
        self.writer.start()
        self.addCleanup(self.writer.stop, 10.0)
        thread = ReadingThread(reactor)
        self.addCleanup(thread.stop)
        self.feed = Feed(100)
        status = Status("1", [], {}, clock=reactor, active={})
        records = Records(lambda: Store(folder / FILE), thread, self.feed)
        self.site = admin_site(reactor, status, Metrics("1"), token=None, records=records)
        # As the service does.
        self.port = listen(reactor, 0, self.site, "127.0.0.1", lambda: None)
        self.addCleanup(self.port.stopListening)

    async def client(self, *args):
        number = self.port.getHost().port
        return await connectProtocol(TCP4ClientEndpoint(reactor, "127.0.0.1", number), Client(*args))

    def publish(self, *numbers, **changes):
        for number in numbers:
            record = a_turn(number, **changes)
            self.feed.publish(record)
            self.writer.turn(record)

    async def test_queries(self):
        """Many ask at once, and each is answered from the store."""
        self.publish(*range(1, 6))
        self.assertTrue(self.writer.flush(10.0))
        clients = [await self.client("/api/turns?limit=2") for _ in range(10)]
        for client in clients:
            await client.ended
            head, _, body = client.data.partition(b"\r\n\r\n")
            self.assertIn(b" 200 OK\r\n", head)
            self.assertEqual([turn["id"] for turn in json.loads(body)["turns"]], [key(5), key(4)])

    async def test_follow(self):
        """What was written, what is not yet, and what comes: one stream, in order, until the service stops."""
        self.publish(*range(1, TURNS + 1))
        self.assertTrue(self.writer.flush(10.0))
        client = await self.client("/api/events", key(1))
        await client.until(f"id: {key(100)}\n".encode())
        self.publish(*range(TURNS + 1, TURNS + 51))
        await client.until(f"id: {key(TURNS + 50)}\n".encode())
        self.site.close()
        await client.ended
        self.assertEqual(client.ids(), list(range(2, TURNS + 51)))

    async def test_slow(self):
        """Who doesn't read is dropped when too much is unsent, and goes on where it was when it comes back."""
        client = await self.client("/api/events")
        await client.until(b"retry: ")
        client.transport.pauseProducing()
        number, size, note = 0, 0, "x" * 100_000
        # The system's buffers take some of it first.
        while self.feed._callbacks and size < 200 * MOST_UNSENT:
            # A turn of the reactor's for each: what was written is to be sent.
            await self._turn()
            number, size = number + 1, size + 100_000
            self.publish(number, note=note)
        self.assertLess(size, 200 * MOST_UNSENT)
        client.transport.resumeProducing()
        await client.ended
        seen = client.ids()
        self.assertEqual(seen, list(range(1, len(seen) + 1)))
        self.assertTrue(self.writer.flush(10.0))
        again = await self.client("/api/events", key(len(seen)))
        await again.until(f"id: {key(number)}\n".encode())
        self.site.close()
        await again.ended
        self.assertEqual(seen + again.ids(), list(range(1, number + 1)))

    async def _turn(self):
        later = Deferred()
        reactor.callLater(0, later.callback, None)
        await later

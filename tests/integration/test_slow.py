"""Clients that are slow, and a service that is short of descriptors: late, but whole."""

from __future__ import annotations

import re

from twisted.internet.task import deferLater

from tests.integration.chain import ChainCase, reactor
from tests.integration.raw import Raw, connect, request, upgrade


class SlowReaderTests(ChainCase):
    """Bytes that a client has not taken yet are its own, even where its connection is to end."""

    async def sip(self, client: Raw, size: int, a_second: int) -> bytes:
        """Read at so many bytes a second, a tenth of that at a time, until so many are here or the end."""
        taken = b""
        client.transport.bufferSize = a_second // 10
        while len(taken) < size and not client.closed:
            client.transport.pauseProducing()
            await deferLater(reactor, 0.1)
            client.transport.resumeProducing()
            await deferLater(reactor, 0)
            taken, client.data = taken + client.data, b""
        return taken

    async def test_the_last_answer(self) -> None:
        """An answer that ends its connection comes whole, however long behind its end it is read."""
        await self.build()
        client = await self.connect()
        client.send(request("/simulator/bytes?n=6000000", "Connection: close"))
        head = await client.head()
        self.assertEqual(head.first(b"connection"), b"close")
        self.assertEqual(len(await self.sip(client, 6_000_000, 1_500_000)), 6_000_000)

    async def test_the_last_frames(self) -> None:
        """What upstream sent before it closed a socket reaches the client, and the close frame behind it."""
        await self.build()
        client = await self.connect()
        client.send(upgrade("/simulator/ws/push?n=60&bytes=100000"))
        self.assertEqual((await client.head()).status, 101)
        taken = await self.sip(client, 1 << 30, 1_500_000)
        self.assertRegex(taken[-40:], re.compile(rb"\x88.\x03\xe8[a-z ]*\Z", re.DOTALL))
        self.assertGreater(len(taken), 6_000_000)


class DescriptorTests(ChainCase):
    """File descriptors run out."""

    async def test_shortage(self) -> None:
        """Accepting pauses and comes back by itself; running calls go on, and who waited is answered."""
        # Without records, whose file comes and goes with descriptors of its own.
        await self.build(scheme="http", limit=60, tables='[record]\ncontent = "off"')
        running = await self.connect()
        running.send(request("/simulator/sse?events=30&pace=0.1"))
        await running.until(lambda: b"data" in running.data)
        crowd = [await self.connect() for _ in range(80)]
        watched = self.service.watched
        await watched.until(lambda: "accept.paused" in watched.out)
        # A health check is not turned away: it waits its turn.
        health = await connect(self.service.ports["admin"])
        self.addCleanup(health.drop)
        health.send(request("/health"))
        head, body = await running.response()
        self.assertEqual((head.status, body.count(b"data")), (200, 30))
        self.assertFalse(health.closed)
        for client in crowd[:70]:
            client.drop()
        crowd[-1].send(request("/health"))
        head, _ = await crowd[-1].response()
        self.assertEqual(head.status, 200)
        self.assertEqual((await health.response())[0].status, 200)
        for client in crowd[70:]:
            client.drop()

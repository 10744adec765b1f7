"""WebSocket through the whole chain."""

from __future__ import annotations

import base64
import hashlib
import os
import re
from typing import Any

from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import deferLater

from agentproxy.wire.frames import close_frame
from agentproxy.wire.masking import whole_frame
from agentproxy.wire.messages import TEXT
from tests.integration.chain import CLIENT_SECRET, KEYS, ChainCase, reactor
from tests.integration.raw import KEY, Raw, upgrade

MASK = b"\x11\x22\x33\x44"


def accept(key: bytes) -> bytes:
    """The answer to a key (RFC 6455, 4.2.2)."""
    return base64.b64encode(hashlib.sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest())


class Deaf(Protocol):
    """An upstream that accepts a WebSocket and then reads nothing."""

    transport: Any
    asked = b""

    def dataReceived(self, data: bytes) -> None:
        self.asked += data
        if b"\r\n\r\n" in self.asked:
            self.transport.pauseProducing()
            [key] = re.findall(rb"(?i)sec-websocket-key: (\S+)", self.asked)
            fields = b"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: " + accept(key)
            self.transport.write(b"HTTP/1.1 101 Switching Protocols\r\n" + fields + b"\r\n\r\n")


class WebSocketTests(ChainCase):
    """What an agent sees of a socket."""

    async def open(self, target: str, *fields: str) -> Raw:
        """Upgrade, and hold the 101 to the handshake."""
        client = await self.connect()
        client.send(upgrade(target, *fields))
        head = await client.head()
        self.assertEqual(head.status, 101)
        self.assertEqual(head.first(b"sec-websocket-accept"), accept(KEY.encode()))
        self.head = head
        return client

    async def test_other_reactors(self) -> None:
        """`twistd --reactor` still chooses, and frames of any size pass by one of Twisted's own, over TLS and through
        the proxy."""
        await self.build(reactor_name="poll")
        client = await self.open("/simulator/ws/echo")
        client.send(whole_frame(0x2, bytes(300_000), MASK))
        self.assertEqual(await client.read(300_010), b"\x82\x7f" + (300_000).to_bytes(8, "big") + bytes(300_000))

    async def test_frames_pass_both_ways(self) -> None:
        """Text, binary, fragments and pings come back as they went; the credential is injected, cookies dropped."""
        await self.build()
        client = await self.open("/simulator/ws/echo", f"Authorization: Bearer {CLIENT_SECRET}")
        client.send(whole_frame(TEXT, b"hello", MASK) + whole_frame(0x2, b"\x00\xff", MASK))
        self.assertEqual(await client.read(11), b"\x81\x05hello\x82\x02\x00\xff")
        client.send(whole_frame(0x9, b"are you there", MASK))
        self.assertEqual(await client.read(15), b"\x8a\x0dare you there")
        handshake = self.simulator.websockets[0].handshake
        self.assertEqual(handshake.values(b"authorization"), [b"Bearer " + KEYS["openai"].encode()])
        self.assertEqual(handshake.target, b"/v1/simulator/ws/echo")

    async def test_the_101_carries_upstreams_headers(self) -> None:
        """What Codex reads of the 101 is there, deflate as upstream took it, and no cookie."""
        await self.build()
        await self.open("/responses", "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits")
        self.assertIsNotNone(self.head.first(b"x-codex-turn-state"))
        self.assertIn(b"permessage-deflate", self.head.first(b"sec-websocket-extensions"))
        self.assertIsNone(self.head.first(b"set-cookie"))
        self.assertIsNotNone(self.head.first(b"x-agentproxy-request-id"))

    async def test_subprotocol_with_a_key_in_it(self) -> None:
        """A key hidden in a subprotocol stays here; the harmless one is offered and chosen."""
        await self.build()
        offer = f"Sec-WebSocket-Protocol: realtime, openai-insecure-api-key.{CLIENT_SECRET}"
        await self.open("/realtime?model=gpt-realtime", offer)
        handshake = self.simulator.websockets[0].handshake
        self.assertEqual(handshake.values(b"sec-websocket-protocol"), [b"realtime"])
        self.assertEqual(self.head.first(b"sec-websocket-protocol"), b"realtime")

    async def test_early_frames_wait(self) -> None:
        """What a client sends right behind its upgrade reaches upstream once there is a socket."""
        await self.build()
        client = await self.connect()
        client.send(upgrade("/simulator/ws/echo") + whole_frame(TEXT, b"early", MASK))
        self.assertEqual((await client.head()).status, 101)
        self.assertEqual(await client.read(7), b"\x81\x05early")

    async def test_sixteen_megabyte_frame(self) -> None:
        """A 16 MiB frame goes up and comes back whole, and memory stays bounded."""
        await self.build()
        client = await self.open("/simulator/ws/echo")
        before = self.service.resident()
        payload = os.urandom(1 << 20) * 16
        client.send(whole_frame(0x2, payload, MASK))
        frame = await client.read(10 + len(payload))
        self.assertEqual(frame[10:], payload)
        self.assertLess(self.service.resident() - before, 48 * 2**20)

    async def test_codex_ends_by_dropping(self) -> None:
        """A client that drops TCP without a close frame is a normal end: upstream gets 1001, the log says how."""
        await self.build()
        client = await self.open("/responses")
        client.transport.loseConnection()
        (end,) = await self.service.ends(1)
        self.assertEqual(end["close"], {"side": "client", "code": 1006, "reason": "", "clean": False})
        self.assertIsNone(end["error"])
        self.assertEqual(end["status"], 101)
        await self.gone()
        self.assertEqual(self.simulator.websockets[0].close[0], 1001)

    async def gone(self) -> None:
        """Upstream's side has ended, within a second."""
        began = reactor.seconds()
        while not self.simulator.websockets[-1].gone and reactor.seconds() - began < 1.0:
            await deferLater(reactor, 0.01)
        self.assertTrue(self.simulator.websockets[-1].gone)

    async def test_copilot_ends_by_an_empty_close(self) -> None:
        """A close frame without a code passes as it is."""
        await self.build()
        client = await self.open("/simulator/ws/silent")
        client.send(close_frame(None, mask=MASK))
        self.assertEqual((await client.end())[:2], b"\x88\x00")
        self.assertEqual(self.simulator.websockets[0].close, (1005, ""))
        (end,) = await self.service.ends(1)
        self.assertEqual(end["close"], {"side": "client", "code": 1005, "reason": "", "clean": True})

    async def test_upstream_closes(self) -> None:
        """Upstream's code and reason reach the client, whatever code may travel."""
        await self.build()
        client = await self.open("/simulator/ws/close?code=1009&reason=too%20big")
        self.assertEqual(await client.read(11), b"\x88\x09" + (1009).to_bytes(2, "big") + b"too big")
        client.send(close_frame(1009, mask=MASK))
        await client.end()
        (end,) = await self.service.ends(1)
        self.assertEqual(end["close"], {"side": "upstream", "code": 1009, "reason": "too big", "clean": True})

    async def test_upstream_drops(self) -> None:
        """A lost upstream is 1011 to the client, and in the middle of a frame the connection is dropped."""
        await self.build()
        client = await self.open("/simulator/ws/drop")
        self.assertEqual((await client.read(4))[2:], (1011).to_bytes(2, "big"))
        client = await self.open("/simulator/ws/drop?partial=1")
        self.assertNotIn((1011).to_bytes(2, "big"), await client.end())

    async def test_violations(self) -> None:
        """A frame that breaks the rules goes no further: its sender gets 1002, the other side a lost peer's code."""
        await self.build()
        client = await self.open("/simulator/ws/echo")
        client.send(b"\x83\x80" + MASK)
        self.assertEqual((await client.read(4))[2:], (1002).to_bytes(2, "big"))
        await self.gone()
        self.assertEqual(self.simulator.websockets[-1].close[0], 1001)
        self.assertIsNone(self.simulator.websockets[-1].violation)
        client = await self.open("/simulator/ws/bad")
        self.assertEqual((await client.read(4))[2:], (1011).to_bytes(2, "big"))

    async def test_a_refusal_is_upstreams(self) -> None:
        """Another answer than 101 reaches the client with status, headers and body; the connection lives on."""
        await self.build()
        client = await self.connect()
        client.send(upgrade("/simulator/ws/refuse?code=429&retry-after=7"))
        head, body = await client.response()
        self.assertEqual((head.status, head.first(b"retry-after")), (429, b"7"))
        self.assertIn(b"429", body)
        client.send(upgrade("/simulator/ws/echo"))
        self.assertEqual((await client.head()).status, 101)
        metrics = await self.admin("/metrics")
        self.assertIn('agentproxy_upstream_connect_seconds_count{phase="handshake",provider="openai"} 2.0', metrics)

    async def test_switched_off(self) -> None:
        """``websocket = false`` answers 426 at once, and HTTP goes on over the same connection."""
        await self.build(provider_keys="websocket = false")
        client = await self.connect()
        client.send(upgrade("/responses"))
        head, _ = await client.response()
        self.assertEqual((head.status, head.first(b"x-agentproxy-error")), (426, b"websocket_disabled"))
        self.assertEqual(self.proxy.connects, [])

    async def test_idle_timeout(self) -> None:
        """With ``idle_websocket`` set, a quiet socket is closed to both, 1001 "idle timeout"."""
        await self.build(tables="[timeouts]\nidle_websocket = 0.3")
        client = await self.open("/simulator/ws/silent")
        self.assertEqual(await client.read(16), b"\x88\x0e" + (1001).to_bytes(2, "big") + b"idle timeout")
        await self.gone()
        self.assertEqual(self.simulator.websockets[-1].close, (1001, "idle timeout"))

    async def test_a_client_that_goes_while_upstream_does_not_read(self) -> None:
        """A socket whose client is not read, since upstream takes nothing, ends when the client goes."""
        deaf = Deaf()
        listening = reactor.listenTCP(0, Factory.forProtocol(lambda: deaf), interface="127.0.0.1")
        self.addCleanup(listening.stopListening)
        self.serve()
        self.served.port = listening.getHost().port
        await self.build(
            scheme="http", egress="direct", upstream_host="127.0.0.1", tables="[limits]\nbuffer_bytes = 100000"
        )
        before = self.service.descriptors()
        client = await self.open("/responses")
        client.send(whole_frame(0x2, bytes(30_000_000), MASK))
        await deferLater(reactor, 1)
        self.assertEqual(await self.gauge(), 1)
        client.drop()
        await self.settled(before)
        deaf.transport.abortConnection()
        await deferLater(reactor, 0.05)

    async def test_a_hundred_sockets_leave_nothing(self) -> None:
        """Sockets opened and dropped leave no call, descriptor or tunnel behind."""
        await self.build()
        before = self.service.descriptors()
        clients = [await self.open("/simulator/ws/echo") for _ in range(100)]
        self.assertEqual(await self.gauge(), 100)
        for client in clients:
            client.drop()
        await self.settled(before)
        self.assertEqual(self.proxy.tunnels, 0)

"""The WebSocket handshake with upstream: the request's bytes, which answers open it, and what all others become."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IProtocolFactory
from twisted.internet.task import Clock
from zope.interface.verify import verifyObject

from agentproxy.errors import UpstreamUnreachable
from agentproxy.upstream.websocket import Handshake, Opened, WebSocketOpener
from agentproxy.wire.head import ResponseHead
from agentproxy.wire.rules import Pair
from tests.fakes import FakeTransport, timers
from tests.upstream.harness import Dialler, Inner, UpstreamCase, build, cut, outbound, properties

GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
UPGRADED = b"Upgrade: websocket\r\nConnection: Upgrade\r\n"
INTERIM = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
SAID = "api.example:443 sent an invalid answer to the WebSocket handshake: "


class Opening:
    """An attempt to open a WebSocket, with upstream's end in hand."""

    def __init__(
        self,
        subprotocols: tuple[bytes, ...] = (),
        extensions: bytes | None = None,
        fields: tuple[Pair, ...] = (),
        interim: Callable[[ResponseHead], object] | None = None,
    ) -> None:
        self.clock = Clock()
        self.dialler = Dialler()
        self.phases: list[tuple[str, float]] = []
        self.opener = WebSocketOpener(
            self.clock,
            self.dialler,  # type: ignore[arg-type]
            lambda: build(self.clock, lambda done, reusable: done.abort() if reusable else None),
            host_header=b"api.example",
            head_limit=4096,
            timeout=10.0,
            phases=lambda phase, seconds: self.phases.append((phase, seconds)),
        )
        head = outbound(b"GET", b"/v1/realtime?model=x%2f", fields, interim)
        self.waiting: Deferred[Any] = self.opener.open(Handshake(head, subprotocols, extensions))
        self.protocol = self.transport.protocol
        self.request = self.transport.taken()

    @property
    def transport(self) -> FakeTransport:
        return self.dialler.transports[-1]

    @property
    def accept(self) -> bytes:
        """The field that answers this handshake's key."""
        (key,) = (line[19:] for line in self.request.split(b"\r\n") if line.startswith(b"Sec-WebSocket-Key: "))
        digest = base64.b64encode(hashlib.sha1(key + GUID).digest())
        return b"Sec-WebSocket-Accept: %b\r\n" % digest

    def switching(self, fields: bytes = b"", upgraded: bytes = UPGRADED) -> bytes:
        """The right 101."""
        return b"HTTP/1.1 101 Switching Protocols\r\n%b%b%b\r\n" % (upgraded, self.accept, fields)

    def say(self, *pieces: bytes) -> None:
        for piece in pieces:
            self.transport.protocol.dataReceived(piece)


class WebSocketCase(UpstreamCase):
    def opened(self, opening: Opening) -> Opened:
        result = self.successResultOf(opening.waiting)
        self.assertIsInstance(result, Opened)
        self.assertFalse(opening.transport.aborted)
        self.check_left(opening)
        opened: Opened = result
        return opened

    def check_left(self, opening: Opening) -> None:
        """Autobahn is out of it: closed, no timer, and none of its bytes were written."""
        self.assertEqual(timers(opening.clock), [])
        self.assertEqual(opening.protocol.state, opening.protocol.STATE_CLOSED)
        self.assertEqual(opening.transport.taken(), b"")

    def check_invalid(self, opening: Opening, said: str) -> None:
        error = self.failed(opening.waiting, "handshake")
        self.assertIsInstance(error, UpstreamUnreachable)
        self.assertEqual(error.message, f"{SAID}{said}.")
        self.assertTrue(opening.transport.aborted)
        self.assertEqual(timers(opening.clock), [])
        # What comes behind it is nobody's.
        opening.say(b"\x81\x00")
        opening.transport.lost(clean=False)
        self.check_left(opening)


class RequestTests(WebSocketCase):
    def test_least(self) -> None:
        """Without offers the request has Host and the four fields of a handshake, once each, and nothing else."""
        request = Opening().request
        start, _, end = request.partition(b"Sec-WebSocket-Key: ")
        self.assertEqual(
            start,
            b"GET /v1/realtime?model=x%2f HTTP/1.1\r\nHost: api.example\r\n"
            b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n",
        )
        self.assertTrue(end.endswith(b"\r\n\r\n"))
        self.assertEqual(len(base64.b64decode(end[:-4], validate=True)), 16)

    def test_offers(self) -> None:
        """Subprotocols and extensions are offered as given, behind the fields as they are."""
        fields = ((b"authorization", b"Bearer x"), (b"X-b", b"\x80\xff"), (b"x-B", b"2"))
        offered = b'permessage-deflate; client_max_window_bits, x-y;z="1"'
        request = Opening((b"realtime", b"v2.a"), offered, fields).request
        lines = request.split(b"\r\n")
        self.assertEqual(lines[2:5], [b"authorization: Bearer x", b"X-b: \x80\xff", b"x-B: 2"])
        self.assertEqual(lines[-4], b"Sec-WebSocket-Protocol: realtime, v2.a")
        self.assertEqual(lines[-3], b"Sec-WebSocket-Extensions: " + offered)

    def test_keys_differ(self) -> None:
        """Each handshake has a key of its own."""
        self.assertNotEqual(Opening().accept, Opening().accept)

    def test_attempt(self) -> None:
        """What is handed to the connector is a protocol factory."""
        opening = Opening()
        seen: list[Any] = []

        def connect(factory: Any) -> Deferred[Any]:
            seen.append(factory)
            return Deferred()

        opening.dialler.connect = connect  # type: ignore[method-assign]
        opening.opener.open(Handshake(outbound(), (), None))
        self.assertTrue(verifyObject(IProtocolFactory, seen[0]))


class OpenedTests(WebSocketCase):
    def test_opened(self) -> None:
        """The right 101 opens it: its head as it came, the transport, and nothing chosen that was not."""
        opening = Opening()
        opening.say(opening.switching(b"X-Codex-Turn-State: \xe9\x85\xff\r\nSet-Cookie: a\r\nset-cookie: b\r\n"))
        opened = self.opened(opening)
        self.assertIs(opened.transport, opening.transport)
        self.assertEqual((opened.subprotocol, opened.extensions, opened.surplus), (None, None, b""))
        self.assertEqual((opened.head.status, opened.head.reason), (101, b"Switching Protocols"))
        self.assertEqual(opened.head.first(b"x-codex-turn-state"), b"\xe9\x85\xff")
        self.assertEqual(opened.head.values(b"set-cookie"), [b"a", b"b"])

    def test_phase(self) -> None:
        """How long upstream took to answer is told."""
        opening = Opening()
        opening.clock.advance(1.5)
        opening.say(opening.switching())
        self.assertEqual(opening.phases, [("handshake", 1.5)])

    def test_cut(self) -> None:
        """It opens wherever the answer is cut; frames that came with it are the surplus, up to that."""
        size = len(Opening().switching())
        for at in range(1, size):
            opening = Opening()
            opening.say(*cut(opening.switching(), [at]))
            self.opened(opening)
        opening = Opening()
        opening.say(*cut(opening.switching(), range(1, size)))
        self.assertEqual(self.opened(opening).surplus, b"")

    @properties
    @given(st.sets(st.integers(1, 150)))
    def test_pieces(self, at: set[int]) -> None:
        """However an answer with interim ones before it and frames behind it is cut, no byte is lost."""
        opening = Opening()
        opened: list[Any] = []
        got = Inner()

        def take(it: Opened) -> None:
            opened.append(it)
            it.transport.protocol = got
            got.makeConnection(it.transport)
            got.dataReceived(it.surplus)

        opening.waiting.addCallback(take)
        opening.say(*cut(INTERIM + opening.switching() + b"\x81\x02hi\x8a\x00", at))
        self.assertEqual(len(opened), 1)
        self.assertEqual(got.data, b"\x81\x02hi\x8a\x00")
        self.check_left(opening)

    def test_negotiated(self) -> None:
        """What was chosen among the offers is told as upstream wrote it."""
        offered = b"permessage-deflate; client_max_window_bits"
        opening = Opening((b"v1", b"v2"), offered)
        chosen = b"permessage-deflate;  server_no_context_takeover"
        opening.say(opening.switching(b"Sec-WebSocket-Protocol: v2\r\nSec-WebSocket-Extensions: %b\r\n" % chosen))
        opened = self.opened(opening)
        self.assertEqual((opened.subprotocol, opened.extensions), (b"v2", chosen))

    def test_spellings(self) -> None:
        """Case and company of the upgrade's own fields don't matter, nor do spaces about their values."""
        for upgraded in (
            b"upgrade:   WebSocket  \r\nCONNECTION:keep-alive, upGRADE\r\n",
            b"Connection: keep-alive\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n",
        ):
            opening = Opening()
            opening.say(opening.switching(upgraded=upgraded))
            self.opened(opening)

    def test_confusing(self) -> None:
        """Bytes that some take for line ends make no further field: not 0x85, nor any other over 0x7f."""
        for value in (b"a\x85Sec-WebSocket-Protocol: v9", b"a\xc2\x85Upgrade: h2c", bytes(range(0x80, 0x100))):
            opening = Opening((b"v1",))
            opening.say(opening.switching(b"X-A: %b\r\n" % value))
            self.assertEqual(self.opened(opening).head.first(b"x-a"), value)

    def test_interim(self) -> None:
        """1xx responses before the 101 are told; a seventeenth is too many."""
        told: list[ResponseHead] = []
        opening = Opening(interim=told.append)
        opening.say(INTERIM * 3)
        self.assertNoResult(opening.waiting)
        opening.say(INTERIM * 13 + opening.switching())
        self.opened(opening)
        self.assertEqual([head.status for head in told], [103] * 16)
        opening = Opening()
        opening.say(INTERIM * 17 + opening.switching())
        self.check_invalid(opening, "more than 16 interim responses")


class InvalidTests(WebSocketCase):
    def test_no_handshake(self) -> None:
        """A 101 that does not answer this handshake opens nothing (RFC 6455, 4.1)."""
        wrong = b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
        cases: list[Callable[[bytes], bytes]] = [
            lambda accept: UPGRADED + wrong,
            lambda accept: UPGRADED,
            lambda accept: UPGRADED + accept + accept,
            lambda accept: UPGRADED + accept.lower(),
            lambda accept: b"Connection: Upgrade\r\n" + accept,
            lambda accept: b"Upgrade: websocket\r\n" + accept,
            lambda accept: b"Upgrade: h2c\r\nConnection: Upgrade\r\n" + accept,
            lambda accept: b"Upgrade: websocket\r\nConnection: close\r\n" + accept,
            lambda accept: b"Upgrade: websocket\r\n" + UPGRADED + accept,
        ]
        for fields in cases:
            opening = Opening()
            opening.say(b"HTTP/1.1 101 Switching\r\n" + fields(opening.accept) + b"\r\n\x81\x00")
            self.check_invalid(opening, "a 101 that accepts no handshake of ours")

    def test_not_offered(self) -> None:
        """Nor one that chose what was not offered, or two things where one is chosen."""
        protocol, extension = "a subprotocol that was not offered", "an extension that was not offered"
        chosen, used = b"Sec-WebSocket-Protocol: %b\r\n", b"Sec-WebSocket-Extensions: %b\r\n"
        for offers, fields, said in (
            (((b"v1",), None), chosen % b"v2", protocol),
            (((), None), chosen % b"v1", protocol),
            (((b"v1", b"v2"), None), chosen % b"v1, v2", protocol),
            (((b"v1",), None), chosen % b"V1", protocol),
            (((b"v1",), None), chosen % b"v1" + chosen % b"v1", "sec-websocket-protocol given twice"),
            (((b"v1", b"v2"), None), chosen % b"v1" + chosen % b"v2", "sec-websocket-protocol given twice"),
            (((), None), used % b"permessage-deflate", extension),
            (((), b"permessage-deflate"), used % b"x-webkit-deflate-frame", extension),
            (((), b"permessage-deflate"), used % b"permessage-deflate; client_max_window_bits=10", extension),
            (((), b"permessage-deflate"), used % b"permessage-deflate" + used % b"permessage-deflate", extension),
        ):
            opening = Opening(*offers)
            opening.say(opening.switching(fields))
            self.check_invalid(opening, said)

    def test_bytes(self) -> None:
        """Control bytes make a bad head; bytes over 0x7f in the handshake's own fields make no right answer."""
        opening = Opening()
        opening.say(opening.switching(b"X-A: a\x0bb\r\n"))
        self.check_invalid(opening, "a malformed header line")
        for value in (b"websocket\x85", b"websocket\xc2\x85", b"\xff"):
            opening = Opening()
            opening.say(opening.switching(upgraded=b"Upgrade: %b\r\nConnection: Upgrade\r\n" % value))
            self.check_invalid(opening, "bytes over 0x7f in upgrade")

    def test_garbage(self) -> None:
        """What is no response opens nothing."""
        for answer, said in (
            (b"SSH-2.0-x\r\n\r\n", "a malformed status line"),
            (b"HTTP/1.1 101\r\nA b\r\n\r\n", "a malformed header line"),
            (b"HTTP/1.1 101 X\r\n" + b"a: b\r\n" * 700, "a head of more than 4096 bytes"),
        ):
            opening = Opening()
            opening.say(answer)
            self.check_invalid(opening, said)

"""WebSockets that upstream does not open: its own answer passed on, silence, loss, and whoever gives up."""

from __future__ import annotations

from hypothesis import given
from twisted.internet.defer import CancelledError
from twisted.web.client import ResponseDone, ResponseFailed

from agentproxy.errors import ProxyError, UpstreamTimeout, UpstreamUnreachable
from agentproxy.upstream.websocket import Handshake
from agentproxy.wire.head import ResponseHead
from tests.fakes import timers
from tests.upstream.harness import Reader, cuts, every_cut, outbound, properties
from tests.upstream.test_websocket import INTERIM, Opening, WebSocketCase

CHUNKED = b"HTTP/1.1 429 Slow Down\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nlater\r\n0\r\n\r\n"
REFUSAL = b"HTTP/1.1 429 Slow Down\r\nRetry-After: 3\r\nContent-Length: 5\r\n\r\nlater"


class RefusedTests(WebSocketCase):
    def check_refused(self, pieces: list[bytes], *, lost: bool = False) -> None:
        opening = Opening()
        reader = Reader()
        got: list[ResponseHead] = []

        def take(response: object) -> None:
            got.append(response.head)  # type: ignore[attr-defined]
            response.deliverBody(reader)  # type: ignore[attr-defined]

        opening.waiting.addCallback(take)
        for piece in pieces:
            opening.say(piece)
        if lost:
            opening.transport.lost()
        self.assertEqual([(head.status, head.reason) for head in got], [(429, b"Slow Down")])
        self.assertEqual((reader.data, reader.ended), (b"later", ResponseDone))
        self.check_left(opening)
        # It has carried a handshake: it carries no other request.
        self.assertTrue(opening.transport.aborted or lost)

    def test_every_cut(self) -> None:
        """An answer other than 101 is passed on with its body, wherever it is cut."""
        for pieces in every_cut(REFUSAL):
            self.check_refused(pieces)

    @properties
    @given(cuts(INTERIM + CHUNKED))
    def test_chunked(self, pieces: list[bytes]) -> None:
        """So is a chunked one behind an interim one, in any pieces."""
        self.check_refused(pieces)

    def test_until_close(self) -> None:
        """So is one that ends with its connection."""
        self.check_refused([REFUSAL.replace(b"Content-Length: 5\r\n", b"")], lost=True)

    def test_streams(self) -> None:
        """Its body streams: each piece as it comes, the connection paused with its reader, its failure told."""
        opening = Opening()
        opening.say(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n")
        self.assertTrue(opening.transport.paused)
        reader = Reader()
        self.successResultOf(opening.waiting).deliverBody(reader)
        self.assertFalse(opening.transport.paused)
        opening.say(b"1\r\nl\r\n")
        self.assertEqual(reader.pieces, [b"he", b"l"])
        reader.transport.pauseProducing()
        self.assertTrue(opening.transport.paused)
        # However long it takes.
        opening.clock.advance(3600)
        self.assertIsNone(reader.ended)
        opening.transport.lost()
        self.assertIs(reader.ended, ResponseFailed)
        self.check_left(opening)

    def test_invalid(self) -> None:
        """An answer with ambiguous framing is none."""
        opening = Opening()
        opening.say(b"HTTP/1.1 403 No\r\nTransfer-Encoding: gzip\r\n\r\n")
        self.check_invalid(opening, "a transfer coding other than chunked")


class HangingTests(WebSocketCase):
    def check_dropped(self, opening: Opening) -> None:
        self.assertTrue(opening.transport.aborted)
        self.assertEqual(timers(opening.clock), [])
        opening.say(opening.switching())
        opening.transport.lost(clean=False)
        self.check_left(opening)

    def test_late(self) -> None:
        """No answer in time is a 504 of this phase; interim ones and part of a head don't push it back."""
        opening = Opening()
        opening.clock.advance(9)
        opening.say(INTERIM + b"HTTP/1.1 101")
        self.assertNoResult(opening.waiting)
        opening.clock.advance(1)
        error = self.failed(opening.waiting, "handshake")
        self.assertIsInstance(error, UpstreamTimeout)
        told = "No progress within 10 s while waiting for api.example:443 to answer the WebSocket handshake."
        self.assertEqual(error.message, told)
        self.check_dropped(opening)

    def test_lost(self) -> None:
        """Upstream's going away before its answer was whole is a 502 of this phase."""
        for said in (b"", b"HTTP/1.1 101 Switching\r\n", INTERIM):
            for clean in (True, False):
                opening = Opening()
                opening.say(said)
                opening.transport.lost(clean=clean)
                error = self.failed(opening.waiting, "handshake")
                told = (
                    "Failed waiting for api.example:443 to answer the WebSocket handshake: the connection was closed."
                )
                self.assertEqual(error.message, told)
                self.check_left(opening)

    def test_cancel(self) -> None:
        """Giving up drops the connection and leaves nothing of the attempt."""
        opening = Opening()
        opening.say(b"HTTP/1.1 1")
        opening.waiting.cancel()
        self.failureResultOf(opening.waiting, CancelledError)
        self.check_dropped(opening)

    def test_cancel_at_interim(self) -> None:
        """Whoever gives up while he is told of an interim response is told no more."""
        told: list[ResponseHead] = []

        def stop(head: ResponseHead) -> None:
            told.append(head)
            opening.waiting.cancel()

        opening = Opening(interim=stop)
        opening.say(INTERIM * 2 + opening.switching())
        self.failureResultOf(opening.waiting, CancelledError)
        self.assertEqual(len(told), 1)
        self.check_dropped(opening)

    def test_unreached(self) -> None:
        """Where upstream is not reached, that is what is told."""
        opening = Opening()
        opening.dialler.error = UpstreamUnreachable("No.", phase="tls")
        waiting = opening.opener.open(Handshake(outbound(), (), None))
        self.assertEqual(self.failureResultOf(waiting, ProxyError).value.phase, "tls")

    def test_lost_once_opened(self) -> None:
        """Once open, the connection's end is its new reader's; told to the old one it harms nothing."""
        opening = Opening()
        opening.say(opening.switching())
        self.opened(opening)
        opening.transport.lost()
        self.check_left(opening)

"""One connection, one request at a time: what is written, what each answer becomes, and if it may be used again."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IConsumer
from twisted.web.client import ResponseDone
from zope.interface.verify import verifyObject

from agentproxy.errors import ProxyError, UpstreamTimeout, UpstreamUnreachable
from agentproxy.wire.head import ResponseHead
from tests.fakes import timers
from tests.upstream.harness import Reader, UpstreamCase, Wire, cuts, every_cut, outbound, properties

PLAIN = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nhel\r\n2\r\nlo\r\n0\r\nT: t\r\n\r\n"
CLOSING = b"HTTP/1.1 200 OK\r\n\r\nhello"
INTERIM = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"


class AnswerCase(UpstreamCase):
    def read(self, wire: Wire, waiting: Deferred[Any]) -> tuple[Any, Reader]:
        """The response that is here, and its body's reader."""
        response = self.successResultOf(waiting)
        reader = Reader()
        response.deliverBody(reader)
        return response, reader

    def check_invalid(self, wire: Wire, waiting: Deferred[Any], said: str) -> None:
        """It was no response: 502, the connection gone, no timer left."""
        error = self.failed(waiting, "first_byte")
        self.assertIsInstance(error, UpstreamUnreachable)
        self.assertEqual(error.message, f"api.example:443 sent an invalid response: {said}.")
        self.assertTrue(wire.transport.aborted)
        self.assertEqual(wire.released, [False])
        self.assertEqual(timers(wire.clock), [])


class RequestTests(AnswerCase):
    def test_request(self) -> None:
        """Request line, our Host, then the fields as they were given: their order, case, doubles and bytes."""
        wire = Wire()
        fields = [(b"X-b", b"2"), (b"x-B", b"\x80\xff\xe9"), (b"accept-ENCODING", b"br"), (b"X-b", b""), (b"A", b"1")]
        wire.connection.request(outbound(b"pAtCh", b"/v1/a%2f;x?q=%zz&\"<>'|[]{}^`\\", fields), None)
        self.assertEqual(
            wire.transport.taken(),
            b"pAtCh /v1/a%2f;x?q=%zz&\"<>'|[]{}^`\\ HTTP/1.1\r\nHost: api.example\r\n"
            b"X-b: 2\r\nx-B: \x80\xff\xe9\r\naccept-ENCODING: br\r\nX-b: \r\nA: 1\r\n\r\n",
        )

    def test_buffer(self) -> None:
        """The transport holds as much as the limit says before the sender is paused; it is a consumer of bodies."""
        wire = Wire()
        self.assertEqual(wire.transport.bufferSize, 123456)
        self.assertTrue(verifyObject(IConsumer, wire.connection))


class FramingTests(AnswerCase):
    def check(self, pieces: list[bytes], body: bytes, keep: bool, method: bytes = b"GET", lost: bool = False) -> None:
        wire = Wire()
        waiting = wire.ask(method)
        reader = Reader()
        waiting.addCallback(lambda response: response.deliverBody(reader))
        wire.say(*pieces)
        if lost:
            self.assertIsNone(reader.ended)
            wire.transport.lost()
        self.assertEqual(reader.data, body)
        self.assertIs(reader.ended, ResponseDone)
        self.assertEqual(wire.released, [keep])
        self.assertEqual(wire.transport.aborted, not keep and not lost)
        self.assertEqual(timers(wire.clock), [])

    def test_framings(self) -> None:
        """Every framing gives its body, and the connection back where it may live on (RFC 9112, 6.3 and 9.3)."""
        for answer, keep in (
            (PLAIN, True),
            (CHUNKED, True),
            (PLAIN.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"), False),
            (CHUNKED.replace(b"\r\n\r\n3", b"\r\nConnection: x, Close\r\n\r\n3"), False),
            (PLAIN.replace(b"/1.1", b"/1.0"), False),
            (PLAIN.replace(b"/1.1", b"/1.0").replace(b"\r\n\r\n", b"\r\nConnection: Keep-Alive\r\n\r\n"), True),
        ):
            self.check([answer], b"hello", keep)

    def test_until_close(self) -> None:
        """Without a length the body ends with its connection, and so does the connection."""
        self.check([CLOSING], b"hello", False, lost=True)
        self.check([b"HTTP/1.0 200 OK\r\n\r\nhello"], b"hello", False, lost=True)

    def test_without_body(self) -> None:
        """HEAD, 204 and 304 have none, whatever their fields say."""
        for method, status in ((b"HEAD", 200), (b"GET", 204), (b"GET", 304), (b"POST", 204)):
            for fields in (b"Content-Length: 5\r\n", b"Transfer-Encoding: chunked\r\n", b""):
                self.check([b"HTTP/1.1 %d X\r\n%b\r\n" % (status, fields)], b"", True, method)
        self.check([b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"], b"", True)

    def test_surplus(self) -> None:
        """Bytes behind the answer are nobody's, and so the connection is not used again."""
        for answer in (PLAIN, CHUNKED):
            self.check([answer + b"HTTP/1.1 200 OK\r\n\r\n"], b"hello", False)
        self.check([b"HTTP/1.1 204 X\r\n\r\nx"], b"", False)

    def test_every_cut(self) -> None:
        """An answer is the same wherever it is cut."""
        for answer in (PLAIN, CHUNKED, INTERIM + PLAIN):
            for pieces in every_cut(answer):
                self.check(pieces, b"hello", True)
        for pieces in every_cut(CLOSING):
            self.check(pieces, b"hello", False, lost=True)

    @properties
    @given(st.sampled_from([PLAIN, INTERIM + CHUNKED, INTERIM * 3 + PLAIN]).flatmap(cuts))
    def test_any_pieces(self, pieces: list[bytes]) -> None:
        """And so in any pieces."""
        self.check(pieces, b"hello", True)

    def test_again(self) -> None:
        """Requests follow each other on one connection."""
        wire = Wire()
        for number in range(1, 4):
            waiting = wire.ask()
            self.assertEqual(wire.transport.taken().count(b"\r\n\r\n"), 1)
            wire.say(INTERIM, PLAIN)
            _, reader = self.read(wire, waiting)
            self.assertEqual(reader.data, b"hello")
            self.assertEqual(wire.connection.used, number)
            self.assertEqual(wire.released, [True] * number)

    def test_head(self) -> None:
        """The response's head is as it came."""
        wire = Wire()
        waiting = wire.ask()
        wire.say(b"HTTP/1.1 299 \xe9t\xe9\r\nX-A: \x80\r\nset-cookie: a\r\nx-a: 2\r\nContent-Length: 0\r\n\r\n")
        head = self.successResultOf(waiting).head
        self.assertEqual((head.status, head.reason), (299, b"\xe9t\xe9"))
        pairs = [(name, value) for _, name, value in head.fields]
        wanted = [(b"X-A", b"\x80"), (b"set-cookie", b"a"), (b"x-a", b"2"), (b"Content-Length", b"0")]
        self.assertEqual(pairs, wanted)


class InterimTests(AnswerCase):
    def test_told(self) -> None:
        """1xx responses are told in order, before the final one, and don't end the wait."""
        wire = Wire()
        told: list[ResponseHead] = []
        waiting = wire.ask(interim=told.append)
        wire.say(b"HTTP/1.1 100 Continue\r\n\r\n" + INTERIM)
        self.assertEqual([head.status for head in told], [100, 103])
        self.assertEqual(told[1].values(b"link"), [b"</a>"])
        self.assertNoResult(waiting)
        wire.say(INTERIM + PLAIN)
        self.assertEqual(len(told), 3)
        self.assertEqual(self.successResultOf(waiting).code, 200)

    def test_too_many(self) -> None:
        """Sixteen are let through, and one more is no answer; a second request may have sixteen again."""
        wire = Wire()
        for _ in range(2):
            waiting = wire.ask()
            wire.say(INTERIM * 16 + PLAIN)
            self.read(wire, waiting)
        wire = Wire()
        waiting = wire.ask()
        wire.say(INTERIM * 17 + PLAIN)
        self.check_invalid(wire, waiting, "more than 16 interim responses")

    def test_switching(self) -> None:
        """A 101 nobody asked for is no answer."""
        wire = Wire()
        told: list[ResponseHead] = []
        waiting = wire.ask(interim=told.append)
        wire.say(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\n\r\n")
        self.check_invalid(wire, waiting, "a 101 that was not asked for")
        self.assertEqual(told, [])

    def test_given_up(self) -> None:
        """Whoever gives the request up while he is told of one is told no more."""
        wire = Wire()
        told: list[ResponseHead] = []

        def stop(head: ResponseHead) -> None:
            told.append(head)
            waiting.cancel()

        waiting = wire.ask(interim=stop)
        wire.say(INTERIM * 2 + PLAIN)
        self.failureResultOf(waiting, ProxyError)
        self.assertEqual(len(told), 1)
        self.assertTrue(wire.transport.aborted)
        self.assertEqual(timers(wire.clock), [])


class InvalidTests(AnswerCase):
    def test_invalid(self) -> None:
        """What is no response, or one that two could read apart (RFC 9112, 6.3), is a 502."""
        ambiguous, line = "malformed or ambiguous header fields", "a malformed status line"
        for answer, said in (
            (b"SSH-2.0-x\r\n\r\n", line),
            (b"\x15\x03\x01\r\n\r\n", line),
            (b"HTTP/2 200 OK\r\n\r\n", line),
            (b"\r\nHTTP/1.1 200 OK\r\n\r\n", line),
            (b"HTTP/1.1 200 OK\r\nA : b\r\n\r\n", "a malformed header line"),
            (b"HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n", "a malformed header line"),
            (b"HTTP/1.1 200 OK\r\nA: b\x0bc\r\n\r\n", "a malformed header line"),
            (b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n", ambiguous),
            (b"HTTP/1.1 200 OK\r\nContent-Length: +1\r\n\r\n", ambiguous),
            (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", "a transfer coding other than chunked"),
        ):
            wire = Wire()
            waiting = wire.ask()
            wire.say(answer)
            self.check_invalid(wire, waiting, said)

    def test_long_head(self) -> None:
        """A head over the limit is refused once it is over it, whole or not; one at the limit is not."""
        start = b"HTTP/1.1 204 X\r\nA: "
        fits = start + b"x" * (4096 - len(start) - 4) + b"\r\n\r\n"
        wire = Wire()
        waiting = wire.ask()
        wire.say(fits)
        self.assertEqual(self.successResultOf(waiting).code, 204)
        for pieces in ([fits.replace(b"A:", b"AA:")], [start, b"x" * 4096], [start + b"x" * 4100]):
            wire = Wire()
            waiting = wire.ask()
            wire.say(*pieces)
            self.check_invalid(wire, waiting, "a head of more than 4096 bytes")

    def test_unasked(self) -> None:
        """Bytes on an idle connection end it."""
        wire = Wire()
        wire.say(b"HTTP/1.1 408 Request Timeout\r\n\r\n")
        self.assertTrue(wire.transport.aborted)
        self.assertEqual(wire.released, [False])
        self.assertTrue(wire.connection.lost)


class WaitTests(AnswerCase):
    def test_late(self) -> None:
        """No head within the time of `first_byte` is a 504 of that phase; part of a head does not push it back."""
        wire = Wire()
        waiting = wire.ask()
        wire.clock.advance(29)
        wire.say(INTERIM + b"HTTP/1.1 200")
        self.assertNoResult(waiting)
        wire.clock.advance(1)
        error = self.failed(waiting, "first_byte")
        self.assertIsInstance(error, UpstreamTimeout)
        self.assertEqual(
            error.message, "No progress within 30 s while waiting for api.example:443 to answer the request."
        )
        self.assertTrue(wire.transport.aborted)
        self.assertEqual(wire.released, [False])
        wire.transport.lost(clean=False)
        self.assertFalse(wire.connection.died)

    def test_never(self) -> None:
        """0 waits for ever."""
        wire = Wire(first_byte=0)
        waiting = wire.ask()
        self.assertEqual(timers(wire.clock), [])
        wire.say(PLAIN)
        self.assertEqual(self.successResultOf(waiting).code, 200)

    def test_lost(self) -> None:
        """A connection that goes before the head was whole has failed in this phase."""
        for said in ((), (b"HTTP/1.1 200 OK\r\n",), (INTERIM,)):
            for clean in (True, False):
                wire = Wire()
                waiting = wire.ask()
                wire.say(*said)
                wire.transport.lost(clean=clean)
                error = self.failed(waiting, "first_byte")
                told = "Failed waiting for api.example:443 to answer the request: the connection was closed."
                self.assertEqual(error.message, told)
                self.assertEqual((wire.connection.died, wire.connection.answered), (True, bool(said)))
                self.assertIn(False, wire.released)
                self.assertEqual(timers(wire.clock), [])

    def test_cancel(self) -> None:
        """Giving up drops the connection and leaves no timer."""
        wire = Wire()
        waiting = wire.ask()
        wire.say(b"HTTP/1.1 20")
        waiting.cancel()
        self.failureResultOf(waiting, ProxyError)
        self.assertTrue(wire.transport.aborted)
        self.assertEqual(wire.released, [False])
        self.assertEqual(timers(wire.clock), [])

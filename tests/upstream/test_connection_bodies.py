"""Bodies over a connection, both ways: framing, back-pressure, early answers, and bodies that break off."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.web.client import ResponseDone, ResponseFailed

from agentproxy.errors import ProxyError, UpstreamUnreachable
from tests.fakes import timers
from tests.upstream.harness import Body, Reader, UpstreamCase, WholeBody, Wire, every_cut

PLAIN = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


class RequestBodyTests(UpstreamCase):
    def test_whole(self) -> None:
        """A body that is all here goes out with its head, with its length, even where it is empty."""
        for whole in (b"", b"{}"):
            wire = Wire()
            wire.ask(b"POST", WholeBody(whole))
            want = b"POST /v1/x HTTP/1.1\r\nHost: api.example\r\nContent-Length: %d\r\n\r\n%b" % (len(whole), whole)
            self.assertEqual(wire.transport.taken(), want)
            # Its wait for an answer has begun.
            self.assertEqual(len(timers(wire.clock)), 1)

    def test_length(self) -> None:
        """A body of known length is sent as it is."""
        wire, body = Wire(), Body(6)
        wire.ask(b"POST", body)
        self.assertTrue(wire.transport.taken().endswith(b"\r\nContent-Length: 6\r\n\r\n"))
        body.send(b"abc")
        body.send(b"def")
        body.finish()
        self.assertEqual(wire.transport.taken(), b"abcdef")

    def test_chunked(self) -> None:
        """One of unknown length is sent in chunks, and ended."""
        wire, body = Wire(), Body()
        wire.ask(b"POST", body)
        self.assertTrue(wire.transport.taken().endswith(b"\r\nTransfer-Encoding: chunked\r\n\r\n"))
        body.send(b"a" * 18)
        body.send(b"b")
        self.assertEqual(wire.transport.taken(), b"12\r\n" + b"a" * 18 + b"\r\n1\r\nb\r\n")
        body.finish()
        self.assertEqual(wire.transport.taken(), b"0\r\n\r\n")

    def test_framing_is_the_requests(self) -> None:
        """A chunked body leaves nothing behind for the request that follows."""
        wire, body = Wire(), Body()
        waiting = wire.ask(b"POST", body)
        body.finish()
        wire.say(PLAIN)
        self.successResultOf(waiting).deliverBody(Reader())
        wire.transport.taken()
        body = Body(1)
        wire.ask(b"POST", body)
        body.send(b"a")
        self.assertTrue(wire.transport.taken().endswith(b"\r\nContent-Length: 1\r\n\r\na"))

    def test_first_byte(self) -> None:
        """The wait for an answer begins at the body's end, however long that took."""
        wire, body = Wire(), Body(1)
        waiting = wire.ask(b"POST", body)
        wire.clock.advance(600)
        body.send(b"a")
        body.finish()
        wire.clock.advance(29)
        self.assertNoResult(waiting)
        wire.clock.advance(1)
        self.failed(waiting, "first_byte")

    def test_paused(self) -> None:
        """The transport tells the body to pause and to go on."""
        wire, body = Wire(), Body()
        wire.ask(b"POST", body)
        self.assertTrue(wire.transport.streaming)
        producer: Any = wire.transport.producer
        producer.pauseProducing()
        producer.resumeProducing()
        self.assertEqual(body.calls, ["pause", "resume"])
        body.finish()
        self.assertIsNone(wire.transport.producer)

    def test_lost(self) -> None:
        """A connection lost in the middle of it stops the body and says that it was being sent."""
        wire, body = Wire(), Body()
        waiting = wire.ask(b"POST", body)
        wire.transport.lost(clean=False)
        error = self.failed(waiting, "send")
        self.assertIsInstance(error, UpstreamUnreachable)
        self.assertEqual(error.message, "Failed sending the request to api.example:443: the connection was closed.")
        self.assertEqual(body.calls, ["stop"])

    def test_cancel(self) -> None:
        """Giving up in the middle of it stops the body and drops the connection."""
        wire, body = Wire(), Body()
        waiting = wire.ask(b"POST", body)
        waiting.cancel()
        self.failureResultOf(waiting, ProxyError)
        self.assertTrue(wire.transport.aborted)
        self.assertEqual((body.calls, wire.released), (["stop"], [False]))

    def test_body_fails(self) -> None:
        """A body that can't go on drops the connection, since what was sent can't be ended."""
        wire, body = Wire(), Body()
        waiting = wire.ask(b"POST", body)
        body.done.errback(ZeroDivisionError())
        self.failureResultOf(waiting, ProxyError)
        self.assertTrue(wire.transport.aborted)
        self.assertEqual(wire.released, [False])
        self.assertNotIn(b"0\r\n\r\n", wire.transport.taken())


class EarlyAnswerTests(UpstreamCase):
    def test_whole(self) -> None:
        """An answer that ends before the request did ends the request: body stopped, connection not used again."""
        wire, body = Wire(), Body()
        waiting = wire.ask(b"POST", body)
        body.send(b"abc")
        wire.say(b"HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno")
        reader = Reader()
        response = self.successResultOf(waiting)
        response.deliverBody(reader)
        self.assertEqual((response.code, reader.data, reader.ended), (413, b"no", ResponseDone))
        self.assertEqual((body.calls, wire.released), (["stop"], [False]))
        self.assertTrue(wire.transport.aborted)
        self.assertEqual(timers(wire.clock), [])

    def test_going_on(self) -> None:
        """While both go on, both go on; where the request ends first the connection may live on."""
        wire, body = Wire(), Body()
        waiting = wire.ask(b"POST", body)
        reader = Reader()
        waiting.addCallback(lambda response: response.deliverBody(reader))
        wire.say(HEAD, b"he")
        body.send(b"abc")
        wire.say(b"ll")
        body.finish()
        self.assertTrue(wire.transport.taken().endswith(b"3\r\nabc\r\n0\r\n\r\n"))
        # No wait for an answer that is here.
        self.assertEqual(timers(wire.clock), [])
        wire.say(b"o")
        self.assertEqual((reader.data, reader.ended), (b"hello", ResponseDone))
        self.assertEqual((body.calls, wire.released), ([], [True]))

    def test_reader_leaves(self) -> None:
        """A reader who wants no more ends the request too."""
        wire, body = Wire(), Body()
        waiting = wire.ask(b"POST", body)
        wire.say(HEAD, b"he")
        reader = Reader()
        self.successResultOf(waiting).deliverBody(reader)
        reader.transport.stopProducing()
        self.assertIs(reader.ended, ResponseFailed)
        self.assertEqual(body.calls, ["stop"])
        self.assertTrue(wire.transport.aborted)


class ResponseBodyTests(UpstreamCase):
    def reading(self, wire: Wire, *said: bytes) -> Reader:
        reader = Reader()
        waiting: Deferred[Any] = wire.ask()
        waiting.addCallback(lambda response: response.deliverBody(reader))
        wire.say(*said)
        return reader

    def test_streams(self) -> None:
        """Bytes are passed on as they come, none held back."""
        wire = Wire()
        reader = self.reading(wire, HEAD, b"he", b"l", b"lo")
        self.assertEqual(reader.pieces, [b"he", b"l", b"lo"])

    def test_paused(self) -> None:
        """A reader pauses and resumes the transport."""
        wire = Wire()
        reader = self.reading(wire, HEAD)
        reader.transport.pauseProducing()
        self.assertTrue(wire.transport.paused)
        reader.transport.resumeProducing()
        self.assertFalse(wire.transport.paused)

    def test_paused_at_the_end(self) -> None:
        """A connection whose reader was paused when the body ended is read from again once it is free."""
        wire = Wire()
        reader = self.reading(wire, HEAD)
        reader.transport.pauseProducing()
        wire.say(b"hello")
        self.assertEqual(wire.released, [True])
        self.assertFalse(wire.transport.paused)
        # And the reader's hand is off it.
        reader.transport.pauseProducing()
        self.assertFalse(wire.transport.paused)
        reader.transport.stopProducing()
        self.assertFalse(wire.transport.aborted)

    def test_nobody_reads(self) -> None:
        """A whole answer that nobody has read yet is kept, and its connection, free now, is not left paused."""
        wire = Wire()
        waiting = wire.ask()
        wire.say(PLAIN)
        self.assertFalse(wire.transport.paused)
        again = wire.ask()
        wire.say(PLAIN.replace(b"hello", b"again"))
        for each, body in ((waiting, b"hello"), (again, b"again")):
            reader = Reader()
            self.successResultOf(each).deliverBody(reader)
            self.assertEqual((reader.data, reader.ended), (body, ResponseDone))

    def test_broken_off(self) -> None:
        """A body that ends before its framing does has failed, however clean the connection's end was."""
        for said, clean in (
            ([HEAD, b"hell"], True),
            ([CHUNKED, b"5\r\nhello\r\n"], True),
            ([CHUNKED, b"5\r\nhello\r\n0\r\n"], False),
            ([HEAD, b"h"], False),
            # Without framing, a clean end is the only true one.
            ([b"HTTP/1.1 200 OK\r\n\r\nhello"], False),
        ):
            wire = Wire()
            reader = self.reading(wire, *said)
            self.assertIsNone(reader.ended)
            wire.transport.lost(clean=clean)
            self.assertIs(reader.ended, ResponseFailed)
            self.assertNotIn(True, wire.released)

    def test_broken_framing(self) -> None:
        """So has one whose chunks are malformed; the connection is dropped."""
        for pieces in every_cut(CHUNKED + b"5\r\nhelloXX"):
            wire = Wire()
            reader = self.reading(wire, *pieces)
            self.assertIs(reader.ended, ResponseFailed)
            self.assertTrue(wire.transport.aborted)
            self.assertEqual(wire.released, [False])

    def test_end(self) -> None:
        """A reader is told the end once, though the connection ends later too."""
        wire = Wire()
        reader = self.reading(wire, PLAIN)
        wire.transport.lost(clean=False)
        self.assertIs(reader.ended, ResponseDone)
        self.assertEqual(wire.released, [True, False])

    def test_all_at_once(self) -> None:
        """A response that comes in one piece is whole, and its connection free before anybody looks at it."""
        for leave in (False, True):
            wire, reader = Wire(), Reader()
            free: list[list[bool]] = []

            def answered(response: Any, wire: Any = wire, free: Any = free, leave: bool = leave) -> Any:
                free.append(list(wire.released))
                if leave:
                    response.stopProducing()
                return response

            waiting = wire.ask().addCallback(answered)
            wire.say(PLAIN)
            response = self.successResultOf(waiting)
            self.assertEqual((free, response.whole, wire.transport.aborted), ([[True]], b"hello", False))
            if not leave:
                response.deliverBody(reader)
                self.assertEqual((reader.data, reader.ended), (b"hello", ResponseDone))

    def test_all_at_once_and_closed(self) -> None:
        """Where upstream says that it closes, or the request is still on its way, the connection is not kept."""
        wire = Wire()
        waiting = wire.ask()
        wire.say(PLAIN.replace(b"\r\n", b"\r\nConnection: close\r\n", 1))
        self.assertEqual((self.successResultOf(waiting).whole, wire.released), (b"hello", [False]))
        wire, body = Wire(), Body(6)
        waiting = wire.ask(b"POST", body)
        wire.say(PLAIN)
        response, reader = self.successResultOf(waiting), Reader()
        response.deliverBody(reader)
        self.assertEqual((response.whole, reader.data, wire.released), (None, b"hello", [False]))

    def test_stopped_from_inside(self) -> None:
        """A reader may want no more while it is given bytes; it is given none of the rest, and its end once."""

        class Leaving(Reader):
            def dataReceived(self, data: bytes) -> None:
                super().dataReceived(data)
                self.transport.stopProducing()

        wire = Wire()
        reader = Leaving()
        waiting: Deferred[Any] = wire.ask()
        waiting.addCallback(lambda response: response.deliverBody(reader))
        wire.say(CHUNKED, b"2\r\nhe\r\n", b"3\r\nllo\r\n0\r\n\r\n")
        self.assertEqual((reader.data, reader.ended), (b"he", ResponseFailed))
        self.assertTrue(wire.transport.aborted)
        self.assertEqual(wire.released, [False])
        # The very last bytes, too.
        head, body = PLAIN[:-5], PLAIN[-5:]
        wire, reader = Wire(), Leaving()
        waiting = wire.ask()
        waiting.addCallback(lambda response: response.deliverBody(reader))
        wire.say(head, body)
        self.assertEqual((reader.data, reader.ended), (b"hello", ResponseFailed))
        self.assertEqual(wire.released, [False])

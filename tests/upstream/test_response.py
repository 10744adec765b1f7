"""A response on its own: what came before there was a reader, back-pressure, and its one end."""

from __future__ import annotations

from twisted.internet.interfaces import IPushProducer
from twisted.python.failure import Failure
from twisted.web.client import ResponseDone, ResponseFailed
from twisted.web.iweb import UNKNOWN_LENGTH, IResponse
from zope.interface.verify import verifyObject

from agentproxy.upstream.response import Response
from agentproxy.wire.parse import parse_response
from tests.upstream.harness import Reader, UpstreamCase

DONE = Failure(ResponseDone())


class Source:
    """
    A connection as a response sees it.

    :ivar calls: what was asked of it.
    """

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.response: Response | None = None

    def pause(self) -> None:
        self.calls.append("pause")

    def resume(self) -> None:
        self.calls.append("resume")

    def abort(self) -> None:
        self.calls.append("abort")
        if self.response is not None:
            self.response.ended(Failure(ResponseFailed([])))


def a_response(fields: bytes = b"Content-Length: 5\r\n") -> tuple[Response, Source]:
    source = Source()
    head = parse_response(b"HTTP/1.1 200 Fine\r\n" + fields + b"\r\n", b"GET")
    response = source.response = Response(head, source)
    return response, source


class ResponseTests(UpstreamCase):
    def test_interfaces(self) -> None:
        """It is a response and a push producer."""
        response, _ = a_response()
        self.assertTrue(verifyObject(IResponse, response))
        self.assertTrue(verifyObject(IPushProducer, response))

    def test_told(self) -> None:
        """Status and phrase are the head's; the length is known or not; the headers are a copy."""
        for fields, length in (
            (b"Content-Length: 5\r\n", 5),
            (b"Transfer-Encoding: chunked\r\n", UNKNOWN_LENGTH),
            (b"", UNKNOWN_LENGTH),
        ):
            response, _ = a_response(fields)
            self.assertEqual((response.code, response.phrase, response.length), (200, b"Fine", length))
            shown = [(name.lower(), *values) for name, values in response.headers.getAllRawHeaders()]
            self.assertEqual(shown, [(key, value) for key, _, value in response.head.fields])
            response.headers.setRawHeaders(b"x-other", [b"1"])
            self.assertFalse(response.headers.hasHeader(b"x-other"))

    def test_reader_first(self) -> None:
        """With a reader there, nothing is held and nothing paused."""
        response, source = a_response()
        reader = Reader()
        response.deliverBody(reader)
        self.assertIs(reader.transport, response)
        response.received(b"he")
        response.received(b"llo")
        self.assertEqual((reader.pieces, source.calls), ([b"he", b"llo"], []))
        response.ended(DONE)
        self.assertIs(reader.ended, ResponseDone)

    def test_reader_later(self) -> None:
        """Until there is a reader the connection is paused; then he gets what came, and it is read from again."""
        response, source = a_response()
        response.received(b"he")
        self.assertEqual(source.calls, ["pause"])
        response.received(b"l")
        reader = Reader()
        response.deliverBody(reader)
        self.assertEqual((reader.pieces, source.calls[-1]), ([b"he", b"l"], "resume"))
        response.received(b"lo")
        self.assertEqual(reader.data, b"hello")

    def test_reader_after_the_end(self) -> None:
        """A reader who comes after the end gets bytes and end; the connection is not touched any more."""
        for end in (ResponseDone(), ResponseFailed([])):
            response, source = a_response()
            response.received(b"hello")
            response.ended(Failure(end))
            reader = Reader()
            response.deliverBody(reader)
            self.assertEqual((reader.data, reader.ended, source.calls), (b"hello", type(end), ["pause"]))

    def test_pausing_reader(self) -> None:
        """A reader who pauses as he comes is not overruled."""

        class Pausing(Reader):
            def connectionMade(self) -> None:
                self.transport.pauseProducing()

        response, source = a_response()
        response.received(b"he")
        response.deliverBody(Pausing())
        self.assertEqual(source.calls, ["pause", "resume", "pause"])

    def test_back_pressure(self) -> None:
        """What a reader asks for reaches the connection, as long as the response has one."""
        response, source = a_response()
        response.deliverBody(Reader())
        response.pauseProducing()
        response.resumeProducing()
        self.assertEqual(source.calls, ["pause", "resume"])
        response.ended(DONE)
        response.pauseProducing()
        response.resumeProducing()
        response.stopProducing()
        self.assertEqual(source.calls, ["pause", "resume"])

    def test_stop(self) -> None:
        """Whoever wants no more drops the connection, once, and gets his end."""
        for stop in ("stopProducing", "loseConnection", "abortConnection"):
            response, source = a_response()
            reader = Reader()
            response.deliverBody(reader)
            getattr(response, stop)()
            getattr(response, stop)()
            self.assertEqual((source.calls, reader.ended), (["abort"], ResponseFailed))

    def test_stop_unread(self) -> None:
        """A response that nobody will read can be dropped too."""
        response, source = a_response()
        response.received(b"he")
        response.stopProducing()
        self.assertEqual(source.calls, ["pause", "abort"])

    def test_stop_while_catching_up(self) -> None:
        """A reader who wants no more of what was held is given no more, and one end."""

        class Leaving(Reader):
            def dataReceived(self, data: bytes) -> None:
                super().dataReceived(data)
                self.transport.stopProducing()

        for ended in (False, True):
            response, _ = a_response()
            response.received(b"he")
            response.received(b"llo")
            if ended:
                response.ended(DONE)
            reader = Leaving()
            response.deliverBody(reader)
            self.assertEqual(reader.data, b"he")
            self.assertIs(reader.ended, ResponseDone if ended else ResponseFailed)

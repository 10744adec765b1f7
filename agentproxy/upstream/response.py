"""A response as treq hands it on: its head as it came, and a body that streams to one reader."""

from __future__ import annotations

from typing import Any
from typing import Protocol as Interface

from twisted.internet.interfaces import IProtocol, IPushProducer
from twisted.python.failure import Failure
from twisted.web.client import ResponseDone
from twisted.web.http_headers import Headers
from twisted.web.iweb import UNKNOWN_LENGTH, IResponse
from zope.interface import implementer

from agentproxy.wire.head import ResponseHead

DONE = Failure(ResponseDone())
"""What a body's reader is told at its true end."""


class Source(Interface):
    """The connection that a body comes over."""

    def pause(self) -> None:
        """Stop reading."""

    def resume(self) -> None:
        """Read again."""

    def abort(self) -> None:
        """Drop it."""


@implementer(IResponse, IPushProducer)
class Response:
    """
    An upstream response.

    :param source: where its body comes from, unless it is here already.
    :ivar head: the head as it came.
    :ivar whole: the body, where all of it is here.
    """

    version = (b"HTTP", 1, 1)
    request = None
    previousResponse = None

    def __init__(self, head: ResponseHead, source: Source | None, whole: bytes | None = None) -> None:
        self.head = head
        self.whole = whole
        self.code = head.status
        self.phrase = head.reason
        self.length = head.length if head.length >= 0 else UNKNOWN_LENGTH
        self._source = source
        self._reader: IProtocol | None = None
        # Bytes and the end that came before there was a reader.
        self._early: list[bytes] = [whole] if whole else []
        self._end: Failure | None = None if whole is None else DONE
        self._unwanted = False

    @property
    def headers(self) -> Headers:
        """A copy of the head's fields, for whoever looks at them as Twisted's clients do."""
        headers = Headers()
        for _, name, value in self.head.fields:
            headers.addRawHeader(name, value)
        return headers

    def setPreviousResponse(self, response: IResponse) -> None:
        """Redirects are the client's business."""

    def deliverBody(self, protocol: Any) -> None:
        """
        Stream the body to ``protocol``: its transport is this response as a push producer, its ``connectionLost``
        gets `ResponseDone` at a true end and `ResponseFailed` where the body broke off.
        """
        self._reader = protocol
        early, self._early = self._early, []
        if early:
            # First, lest a reader that pauses at once be overruled.
            self.resumeProducing()
        protocol.makeConnection(self)
        for data in early:
            if not self._unwanted:
                protocol.dataReceived(data)
        if self._end is not None:
            protocol.connectionLost(self._end)

    def received(self, data: bytes) -> None:
        """Body bytes, from the connection."""
        if self._reader is not None:
            self._reader.dataReceived(data)
            return
        self._early.append(data)
        if self._source is not None:
            self._source.pause()

    def ended(self, reason: Failure) -> None:
        """The body's end, from the connection."""
        self._source = None
        reader, self._reader = self._reader, None
        if reader is not None:
            reader.connectionLost(reason)
        else:
            self._end = reason

    def pauseProducing(self) -> None:
        """Stop reading from upstream."""
        if self._source is not None:
            self._source.pause()

    def resumeProducing(self) -> None:
        """Read from upstream again."""
        if self._source is not None:
            self._source.resume()

    def stopProducing(self) -> None:
        """Nobody wants the rest: drop the connection."""
        self._unwanted = True
        source, self._source = self._source, None
        if source is not None:
            source.abort()

    loseConnection = abortConnection = stopProducing

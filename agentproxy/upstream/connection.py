"""One HTTP/1.1 connection to upstream: a request at a time, bodies streamed both ways, then free for the next."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IConsumer
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from twisted.web.client import ResponseFailed
from twisted.web.iweb import UNKNOWN_LENGTH, IBodyProducer
from zope.interface import implementer

from agentproxy.errors import UpstreamUnreachable
from agentproxy.sockets import lookout, tcp_of, unsent
from agentproxy.timers import Wait
from agentproxy.upstream.failures import timed_out, unreachable
from agentproxy.upstream.leg import Leg
from agentproxy.upstream.outbound import Outbound
from agentproxy.upstream.response import DONE, Response
from agentproxy.wire.body import LAST_CHUNK, BadBody, BodyReader, UntilCloseReader, body_reader, chunk
from agentproxy.wire.head import BadHead, ResponseHead
from agentproxy.wire.parse import ResponseHeads


@implementer(IConsumer)
class Connection(Protocol):
    """
    An upstream connection, idle between requests.

    :param leg: what it has in common with all others to its upstream.
    :param released: called when it may be used again, or with ``False`` when it never may.
    :ivar used: how many requests it has carried.
    :ivar lost: whether it is gone.
    :ivar died: whether it went by itself, not by a timer or by our hand.
    :ivar answered: whether any byte of an answer to the last request has come.
    """

    transport: Any

    def __init__(self, leg: Leg, released: Callable[[Connection, bool], object]) -> None:
        self._leg = leg
        self._released = released
        self.used = 0
        self.lost = False
        self.died = False
        self.answered = False
        self._look: Callable[[int], Sequence[object]] | None = None
        self._idle()

    def _idle(self) -> None:
        self._outbound: Outbound | None = None
        self._waiting: Deferred[Response] | None = None
        self._response: Response | None = None
        self._reader: BodyReader | None = None
        self._body: Any = None
        self._chunked = False
        self._sent = True
        self._keep = False
        self._heads: ResponseHeads | None = None
        self._timer: Wait | None = None

    def connectionMade(self) -> None:
        self._tcp = tcp_of(self.transport)
        # Pause a sender above this many waiting bytes; Twisted's own figure is 64 KiB.
        self._tcp.bufferSize = self._leg.buffer_bytes

    def stale(self) -> bool:
        """Whether a request written into it would be lost: upstream has closed it, or said something unasked."""
        if self._look is None:
            self._look = lookout(self._tcp)
        return self._tcp.disconnecting or bool(self._look(0))

    def request(self, outbound: Outbound, body: IBodyProducer | None) -> Deferred[Response]:
        """
        Send a request.

        The Deferred fires with the final response once its head is here, and fails with `UpstreamUnreachable` or
        `UpstreamTimeout`. Cancelling it drops the connection.
        """
        self.used += 1
        self.answered = False
        self._outbound = outbound
        outbound.begun = True
        self._waiting = waiting = Deferred[Response](lambda _: self.abort())
        self._heads = ResponseHeads(outbound.method, self._leg.head_limit)
        head = outbound.lines(self._leg.host_header)
        if body is None:
            head.append(b"\r\n")
            self.transport.write(b"".join(head))
            self._request_sent()
            return waiting
        length = body.length
        if length == UNKNOWN_LENGTH:
            self._chunked = True
            head.append(b"Transfer-Encoding: chunked\r\n\r\n")
        else:
            head.append(b"Content-Length: %d\r\n\r\n" % length)
        whole = getattr(body, "whole", None)
        if whole is not None:
            head.append(whole)
            self.transport.write(b"".join(head))
            self._request_sent()
            return waiting
        self.transport.write(b"".join(head))
        self._sent = False
        self._body = body
        body.startProducing(self).addCallbacks(self._body_sent, lambda _: self.abort())
        return waiting

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        """The body is told to pause while upstream doesn't read."""
        self.transport.registerProducer(producer, streaming)

    def unregisterProducer(self) -> None:
        """The body has ended."""
        self.transport.unregisterProducer()

    def write(self, data: bytes) -> None:
        """The body's next bytes, at least one."""
        self.transport.write(chunk(data) if self._chunked else data)

    def _body_sent(self, _: object) -> None:
        if self._outbound is not None and not self._sent:
            if self._chunked:
                self.transport.write(LAST_CHUNK)
            self._request_sent()

    def _request_sent(self) -> None:
        self._sent = True
        self._body = None
        if self._waiting is not None:
            self._timer = self._leg.first_byte.begin(self._late)

    def _late(self) -> None:
        self._timer = None
        self._fail(Failure(timed_out("first_byte", self._leg.hop, self._leg.first_byte.seconds)))

    def dataReceived(self, data: bytes) -> None:
        if self._reader is not None:
            self._body_received(data)
        elif self._waiting is not None:
            self.answered = True
            self._head_received(data)
        else:
            # Nobody asked.
            self.abort()

    def _head_received(self, data: bytes) -> None:
        assert self._outbound is not None
        heads, interim = self._heads, self._outbound.interim
        assert heads is not None
        try:
            head = heads.feed(data)
            # Whoever is told of an interim response may give the request up.
            while head is not None and head.interim and self._waiting is not None:
                interim(head)
                head = heads.feed(b"")
            if head is not None and head.status == 101:
                raise BadHead("a 101 that was not asked for")
        except BadHead as bad:
            message = f"{self._leg.hop} sent an invalid response: {bad}."
            self._fail(Failure(UpstreamUnreachable(message, phase="first_byte")))
            return
        if head is not None and self._waiting is not None:
            self._respond(head, heads.rest)

    def _respond(self, head: ResponseHead, data: bytes) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if len(data) == head.length and self._sent:
            self._respond_whole(head, data)
            return
        self._keep = head.keep_alive
        self._reader = body_reader(head.length, self._leg.head_limit)
        response = self._response = Response(head, self)
        waiting, self._waiting = self._waiting, None
        assert waiting is not None
        waiting.callback(response)
        if self._response is response:
            self._body_received(data)

    def _respond_whole(self, head: ResponseHead, body: bytes) -> None:
        """All of the response is here, as small ones mostly are: there is nothing to stream."""
        waiting, keep = self._waiting, head.keep_alive and not self.lost
        self._idle()
        if not keep:
            self._drop()
        self._released(self, keep)
        assert waiting is not None
        waiting.callback(Response(head, None, body))

    def _body_received(self, data: bytes) -> None:
        reader, response = self._reader, self._response
        assert reader is not None
        assert response is not None
        try:
            body = reader.feed(data)
        except BadBody:
            self._broken(Failure(ResponseFailed([Failure()])))
            return
        if body:
            response.received(body)
        if reader.done and self._response is response:
            self._finished(reader.rest)

    def _finished(self, rest: bytes) -> None:
        response = self._response
        # With bytes behind the answer, or a request cut short, nothing that follows could be told apart.
        keep = self._keep and self._sent and not rest and not self.lost
        body = self._body
        self._idle()
        if keep:
            # Its reader may have paused it last.
            self.transport.resumeProducing()
        else:
            self._drop(body)
        self._released(self, keep)
        assert response is not None
        response.ended(DONE)

    def _broken(self, reason: Failure) -> None:
        response, body = self._response, self._body
        self._idle()
        self._drop(body)
        self._released(self, False)
        if response is not None:
            response.ended(reason)

    def _fail(self, reason: Failure) -> None:
        """The request has no response."""
        waiting, body, timer = self._waiting, self._body, self._timer
        self._idle()
        if timer is not None:
            timer.cancel()
        self._drop(body)
        self._released(self, False)
        if waiting is not None and not waiting.called:
            waiting.errback(reason)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.died = not self.lost
        self.lost = True
        if self._response is not None:
            if isinstance(self._reader, UntilCloseReader) and reason.check(ConnectionDone):
                self._finished(b"")
            else:
                self._broken(Failure(ResponseFailed([reason])))
        elif self._outbound is not None:
            self._fail(Failure(unreachable("first_byte" if self._sent else "send", self._leg.hop, reason)))
        else:
            self._released(self, False)

    def abort(self) -> None:
        """Drop it at once, whatever is on it; whoever waits is told."""
        if self._response is not None:
            self._broken(Failure(ResponseFailed([])))
        elif self._outbound is not None:
            self._fail(Failure(UpstreamUnreachable("The call was given up.", phase="first_byte")))
        else:
            self._drop()
            self._released(self, False)

    def adopt(self, outbound: Outbound, head: ResponseHead, data: bytes, waiting: Deferred[Any]) -> None:
        """
        Read on in the response to a request that another protocol has sent over this transport.

        :param head: the response's; ``data``: what came behind it.
        :param waiting: fired with the response.
        """
        self._outbound = outbound
        outbound.begun = True
        self._waiting = waiting
        self._respond(head, data)

    def unsent(self) -> int:
        """Bytes written that upstream has not taken yet."""
        return unsent(self.transport)

    def pause(self) -> None:
        """Stop reading."""
        if not self.lost:
            self.transport.pauseProducing()

    def resume(self) -> None:
        """Read again."""
        if not self.lost:
            self.transport.resumeProducing()

    def _drop(self, body: Any = None) -> None:
        if body is not None:
            body.stopProducing()
        if not self.lost:
            self.lost = True
            self.transport.abortConnection()

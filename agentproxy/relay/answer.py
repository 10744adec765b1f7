"""A response on its way down: its head made for the client's leg, its body streamed, its end told truly."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

from twisted.internet.interfaces import IPushProducer
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from twisted.web.client import ResponseDone
from zope.interface import implementer

from agentproxy.call import Call
from agentproxy.errors import UpstreamTimeout
from agentproxy.relay import reply
from agentproxy.relay.port import Port
from agentproxy.sockets import unsent
from agentproxy.timers import Wait
from agentproxy.upstream.response import Response
from agentproxy.wire.body import LAST_CHUNK, chunk
from agentproxy.wire.head import RequestHead, ResponseHead
from agentproxy.wire.rules import Pair, response_fields


def down_fields(head: ResponseHead, port: Port, request_id: str) -> list[Pair]:
    """Upstream's header fields for the client, and the request id (upstream's own is never replaced)."""
    fields = response_fields(head, cookies=port.provider.cookies)
    own = request_id.encode("ascii")
    if head.first(b"x-request-id") is None:
        fields.append((b"x-request-id", own))
    fields.append((b"x-agentproxy-request-id", own))
    return fields


def begun(
    port: Port, request: RequestHead, call: Call, head: ResponseHead, keep_alive: bool
) -> tuple[bytes, Literal["length", "chunked", "close"]]:
    """
    An answer begins: what is to be known of it is noted.

    :returns: the head's bytes for the client, and what ends the body behind it.
    """
    call.first_byte = port.clock.seconds()
    call.status = head.status
    if head.status == 401:
        port.credentials.refused(port.clock)
    own_id = head.first(b"x-request-id")
    if own_id is not None:
        call.upstream_request_id = own_id.decode("latin-1")
    fields = down_fields(head, port, call.id)
    framing: Literal["length", "chunked", "close"] = "length"
    lengths = head.values(b"content-length")
    if lengths and head.status != 204:
        # Of a HEAD or a 304 too: it says what the body would have been.
        fields.append((b"Content-Length", lengths[0]))
    elif head.length < 0:
        if request.minor == 1:
            framing = "chunked"
            fields.append((b"Transfer-Encoding", b"chunked"))
        else:
            framing = "close"
            keep_alive = False
    fields += reply.connection_fields(request.minor, keep_alive)
    return reply.head(head.status, head.reason, fields), framing


@implementer(IPushProducer)
class Answer(Protocol):
    """
    Relays one response to the client; its transport is the `Response`, and it is the producer of the client's.

    :param client: the client's transport.
    :param keep_alive: whether the client's connection may live on.
    :param fed: told each piece of the body once it is on its way, if there is one who wants to know.
    :param ended: called once, with whether the body came to its true end.
    """

    def __init__(
        self,
        port: Port,
        request: RequestHead,
        call: Call,
        client: Any,
        *,
        keep_alive: bool,
        fed: Callable[[bytes], object] | None,
        ended: Callable[[bool], object],
    ) -> None:
        self._port = port
        self._request = request
        self._call = call
        self._client = client
        self._keep_alive = keep_alive
        self._fed = fed
        self._ended = ended
        self._chunked = False
        self._until_close = False
        self._over = False
        self._idle: Wait | None = None
        self._response: Response | None = None
        self._paused = False
        self._unsent = 0

    def begin(self, response: Response) -> None:
        """Write the head, then stream the body."""
        self._response = response
        written, framing = begun(self._port, self._request, self._call, response.head, self._keep_alive)
        self._chunked = framing == "chunked"
        if framing == "close":
            self._until_close = True
            self._keep_alive = False
        self._client.write(written)
        self._client.registerProducer(self, True)
        response.deliverBody(self)
        if not self._over:
            self._idle = self._port.waits.idle_http.begin(self._late)

    @property
    def keep_alive(self) -> bool:
        """Whether the client's connection may live on behind this response."""
        return self._keep_alive

    def touch(self) -> None:
        """Bytes moved in the other direction."""
        if self._idle is not None:
            self._idle.touch()

    def dataReceived(self, data: bytes) -> None:
        self._call.bytes_out += len(data)
        self._client.write(chunk(data) if self._chunked else data)
        if self._idle is not None:
            self._idle.touch()
        if self._fed is not None:
            self._fed(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if self._over:
            return
        complete = reason.check(ResponseDone) is not None
        if complete and self._chunked:
            self._client.write(LAST_CHUNK)
        elif not complete:
            self._call.error = self._call.error or "upstream_broken"
            if self._until_close:
                # Its end is the connection's: a quiet close would look complete.
                self._client.abortConnection()
        self._finish(complete)

    def pauseProducing(self) -> None:
        """The client does not read."""
        self._paused = True
        self._unsent = unsent(self._client)
        if self._response is not None:
            self._response.pauseProducing()

    def resumeProducing(self) -> None:
        """It does again."""
        self._paused = False
        self.touch()
        if self._response is not None:
            self._response.resumeProducing()

    def stopProducing(self) -> None:
        """The client has gone: its connection tells the exchange in a moment, which gives us up."""

    def give_up(self) -> None:
        """Nobody wants the rest: free upstream. `ended` is not called."""
        if not self._over:
            self._stop(False)

    def _late(self) -> None:
        self._idle = None
        if self._paused:
            # Upstream says nothing since we keep it from it; what counts is whether the client takes anything.
            before, self._unsent = self._unsent, unsent(self._client)
            if self._unsent < before:
                self._idle = self._port.waits.idle_http.begin(self._late)
                return
            self._call.error, self._call.phase = "client_stalled", "idle"
        else:
            self._call.error, self._call.phase = UpstreamTimeout.code, "idle"
        if self._until_close:
            self._client.abortConnection()
        self._finish(False)

    def _finish(self, complete: bool) -> None:
        self._stop(complete)
        self._ended(complete)

    def _stop(self, complete: bool) -> None:
        self._over = True
        if self._idle is not None:
            self._idle.cancel()
            self._idle = None
        self._client.unregisterProducer()
        if not complete and self._response is not None:
            self._response.stopProducing()

"""
The WebSocket handshake with upstream: Autobahn's client, over the provider's connector, spoken in our own bytes.

Autobahn writes and reads headers in ways a relay can't use (one value a name, its own cache headers, no body of a
refusal), so it is shown a head reduced to the handshake's own fields, and judges that.
"""

from __future__ import annotations

import base64
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

from autobahn.twisted.websocket import WebSocketClientFactory, WebSocketClientProtocol
from autobahn.wamp.types import TransportDetails
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IAddress, IProtocolFactory
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from agentproxy.errors import ProxyError, UpstreamUnreachable
from agentproxy.upstream.connection import Connection
from agentproxy.upstream.connector import Connector, Phases
from agentproxy.upstream.failures import timed_out, unreachable
from agentproxy.upstream.handover import hand_over
from agentproxy.upstream.outbound import Outbound
from agentproxy.upstream.response import Response
from agentproxy.wire.deflate import negotiation_allowed
from agentproxy.wire.head import BadHead, ResponseHead
from agentproxy.wire.parse import ResponseHeads


@dataclass(frozen=True, slots=True)
class Handshake:
    """
    An upgrade to ask upstream for.

    :ivar outbound: the head, without the handshake's own fields.
    :ivar subprotocols: those offered, in order.
    :ivar extensions: the value of ``Sec-WebSocket-Extensions``, or ``None``.
    """

    outbound: Outbound
    subprotocols: tuple[bytes, ...]
    extensions: bytes | None


@dataclass(frozen=True, slots=True)
class Opened:
    """
    Upstream sent its 101.

    :ivar head: it, as it came.
    :ivar transport: the connection, to be handed over before anything else is awaited.
    :ivar surplus: bytes that came behind the head: the first frames'.
    :ivar subprotocol: the one chosen; ``extensions``: those accepted, as upstream wrote them.
    """

    head: ResponseHead
    transport: Any
    surplus: bytes
    subprotocol: bytes | None
    extensions: bytes | None


class WebSocketOpener:
    """
    A provider's way to open WebSockets upstream.

    :param build: makes the `Connection` that reads a refusal's response.
    :param timeout: seconds for the answer to the handshake.
    :param phases: told that it came, and its seconds.
    """

    def __init__(
        self,
        reactor: Any,
        connector: Connector,
        build: Callable[[], Connection],
        *,
        host_header: bytes,
        head_limit: int,
        timeout: float,
        phases: Phases,
    ) -> None:
        self._connector = connector
        self.phases = phases
        self.clock = reactor
        self.hop = connector.hop
        self.build = build
        self.host_header = host_header
        self.head_limit = head_limit
        self.timeout = timeout
        self._factory = _Factory(reactor=reactor)
        # Every phase has a timer of ours; Autobahn's know no names.
        self._factory.setProtocolOptions(openHandshakeTimeout=0, tcpNoDelay=False)
        self._options = {name: getattr(self._factory, name) for name in WebSocketClientProtocol.CONFIG_ATTRS}

    def open(self, handshake: Handshake) -> Deferred[Opened | Response]:
        """
        Ask upstream to upgrade.

        The Deferred fires with `Opened`, or with the response that upstream sent instead; it fails with a
        `ProxyError`. Cancelling it drops what was begun.
        """
        attempt = _Attempt(self, handshake)
        connecting: Deferred[Any] = self._connector.connect(attempt)
        return connecting.addCallback(lambda protocol: protocol.result)

    def protocol(self, handshake: Handshake) -> UpstreamWebSocket:
        """An unconnected protocol for one attempt."""
        protocol = UpstreamWebSocket(self, handshake)
        protocol.factory = self._factory
        protocol.__dict__.update(self._options)
        return protocol


class _Factory(WebSocketClientFactory):  # type: ignore[misc]
    """One a provider: what Autobahn keeps a factory for (options, timers) does not differ by call."""

    noisy = False


@implementer(IProtocolFactory)
class _Attempt:
    """A protocol factory for one connection."""

    def __init__(self, opener: WebSocketOpener, handshake: Handshake) -> None:
        self._opener = opener
        self._handshake = handshake

    def doStart(self) -> None:
        """Nothing to start."""

    def doStop(self) -> None:
        """Nothing to stop."""

    def buildProtocol(self, addr: IAddress | None) -> UpstreamWebSocket:
        """The protocol of this attempt."""
        return self._opener.protocol(self._handshake)


class UpstreamWebSocket(WebSocketClientProtocol):  # type: ignore[misc]
    """
    Speaks the opening handshake; whatever the answer, it then hands its transport over and is gone.

    :ivar result: what `WebSocketOpener.open` returns.
    """

    # As with the clients' handshakes: Autobahn's options are put in at once, and printed nowhere.
    CONFIG_ATTRS: ClassVar[list[str]] = []

    def __init__(self, opener: WebSocketOpener, handshake: Handshake) -> None:
        super().__init__()
        self._opener = opener
        self._handshake = handshake
        self._heads = ResponseHeads(b"GET", opener.head_limit)
        self._timer: Any = None
        self._opened: Opened | None = None
        self.result: Deferred[Opened | Response] = Deferred(lambda _: self._abort())

    def connectionMade(self) -> None:
        # Autobahn would gather the peer's certificate and process ids here.
        self._transport_details = TransportDetails(peer="", is_server=False, is_secure=False)
        self.peer = ""
        self._began = self._opener.clock.seconds()
        self._timer = self._opener.clock.callLater(self._opener.timeout, self._late)
        self._connectionMade()

    def startHandshake(self) -> None:
        """Called by Autobahn: write the request."""
        outbound = self._handshake.outbound
        self.websocket_key = base64.b64encode(os.urandom(16))
        lines = outbound.lines(self._opener.host_header)
        lines.append(b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n")
        lines.append(b"Sec-WebSocket-Key: %b\r\n" % self.websocket_key)
        if self._handshake.subprotocols:
            lines.append(b"Sec-WebSocket-Protocol: %b\r\n" % b", ".join(self._handshake.subprotocols))
        if self._handshake.extensions is not None:
            lines.append(b"Sec-WebSocket-Extensions: %b\r\n" % self._handshake.extensions)
        lines.append(b"\r\n")
        self.transport.write(b"".join(lines))

    def dataReceived(self, data: bytes) -> None:
        if self._timer is None:
            return
        try:
            self._read_answer(data)
        except BadHead as bad:
            message = f"{self._opener.hop} sent an invalid answer to the WebSocket handshake: {bad}."
            self._fail(UpstreamUnreachable(message, phase="handshake"))

    def _read_answer(self, data: bytes) -> None:
        heads = self._heads
        head = heads.feed(data)
        # Whoever is told of an interim response may give the attempt up.
        while head is not None and head.interim and self._timer is not None:
            self._handshake.outbound.interim(head)
            head = heads.feed(b"")
        if head is None or self._timer is None:
            return
        self._opener.phases("handshake", self._opener.clock.seconds() - self._began)
        if head.status == 101:
            self._switched(head, heads.rest)
        else:
            self._refused(head, heads.rest)

    def _switched(self, head: ResponseHead, surplus: bytes) -> None:
        subprotocol = _only(head, b"sec-websocket-protocol")
        if subprotocol is not None and subprotocol not in self._handshake.subprotocols:
            raise BadHead("a subprotocol that was not offered")
        answered = head.values(b"sec-websocket-extensions")
        extensions = b", ".join(answered) if answered else None
        if not negotiation_allowed(self._handshake.extensions, extensions):
            raise BadHead("an extension that was not offered")
        self._opened = Opened(head, self.transport, surplus, subprotocol, extensions)
        shown = [b"HTTP/1.1 101 Switching Protocols\r\n"]
        for key in (b"upgrade", b"connection", b"sec-websocket-accept"):
            for value in head.values(key):
                # Autobahn decodes before it judges, and takes some of these for line ends.
                if not value.isascii():
                    raise BadHead(f"bytes over 0x7f in {key.decode()}")
                shown.append(b"%b: %b\r\n" % (key, value))
        self._dataReceived(b"".join([*shown, b"\r\n"]))

    def onOpen(self) -> None:
        """Called by Autobahn: upgrade, connection and accept key are right."""
        assert self._opened is not None
        self._stop_timer()
        self.result.callback(self._opened)
        self._leave()

    def failHandshake(self, reason: str) -> None:
        """Called by Autobahn: they are not."""
        raise BadHead("a 101 that accepts no handshake of ours")

    def _refused(self, head: ResponseHead, data: bytes) -> None:
        self._stop_timer()
        connection = self._opener.build()
        transport = self.transport
        self._leave()
        hand_over(transport, connection)
        connection.adopt(self._handshake.outbound, head, data, self.result)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if self._timer is not None:
            self._fail(unreachable("handshake", self._opener.hop, reason))
        self._leave()

    def onClose(self, wasClean: bool, code: int | None, reason: str | None) -> None:
        """Called by Autobahn as it leaves; the splice keeps the true close."""

    def _leave(self) -> None:
        """End Autobahn's own bookkeeping, once; the transport goes on without it."""
        if self.state != self.STATE_CLOSED:
            self._connectionLost("handed over")

    def _late(self) -> None:
        self._timer = None
        self._fail(timed_out("handshake", self._opener.hop, self._opener.timeout))

    def _stop_timer(self) -> None:
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()

    def _fail(self, error: ProxyError) -> None:
        self._abort()
        self.result.errback(error)

    def _abort(self) -> None:
        self._stop_timer()
        self.transport.abortConnection()


def _only(head: ResponseHead, key: bytes) -> bytes | None:
    values = head.values(key)
    if len(values) > 1:
        raise BadHead(f"{key.decode()} given twice")
    return values[0] if values else None

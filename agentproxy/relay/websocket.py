"""
A WebSocket call: upstream's handshake first, then the client's, by Autobahn; then both transports are spliced.

Autobahn sees a request reduced to the handshake's own fields (its header parser can be led astray by legal bytes),
and the 101 is written by us, since it has to carry what upstream answered.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from typing import Any, ClassVar

from autobahn.twisted.websocket import WebSocketServerFactory, WebSocketServerProtocol
from autobahn.wamp.types import TransportDetails
from twisted.internet.defer import Deferred
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure

from agentproxy.errors import BadRequest, ProxyError, WebSocketVersion
from agentproxy.observe.pages import SocketPage
from agentproxy.providers import CREDENTIAL_SUBPROTOCOLS
from agentproxy.relay import reply
from agentproxy.relay.answer import down_fields
from agentproxy.relay.exchange import Exchange
from agentproxy.relay.splice import Splice
from agentproxy.upstream.response import Response
from agentproxy.upstream.websocket import Handshake, Opened
from agentproxy.wire.head import RequestHead, options
from agentproxy.wire.rules import subprotocols


def asks_for_upgrade(head: RequestHead) -> bool:
    """Whether a request asks for a WebSocket (RFC 6455, 4.1; RFC 9110, 7.8: not over HTTP/1.0)."""
    return head.minor == 1 and b"websocket" in options(head.values(b"upgrade"))


def check_upgrade(head: RequestHead) -> bytes:
    """
    Check an upgrade's fields (RFC 6455, 4.2.1).

    :returns: the value of ``Sec-WebSocket-Key``.
    :raises ProxyError: 400, or 426 for another version of the protocol.
    """
    versions = head.values(b"sec-websocket-version")
    if versions != [b"13"] and head.method == b"GET":
        raise WebSocketVersion(
            "Only version 13 of the WebSocket protocol is spoken. Send `Sec-WebSocket-Version: 13`.",
            headers=(("Sec-WebSocket-Version", "13"), ("Upgrade", "websocket")),
        )
    keys = head.values(b"sec-websocket-key")
    offered = [item.strip() for value in head.values(b"sec-websocket-protocol") for item in value.split(b",")]
    if (
        head.method != b"GET"
        or head.length != 0
        or b"upgrade" not in head.connection
        or len(keys) != 1
        or not _is_key(keys[0])
        or len(set(offered)) != len(offered)
    ):
        raise BadRequest(
            "The WebSocket upgrade is malformed (RFC 6455, 4.1). Send GET without a body, `Connection: Upgrade`, "
            "`Upgrade: websocket`, one `Sec-WebSocket-Key` of 16 bytes in base64, and no subprotocol twice."
        )
    return keys[0]


def _is_key(value: bytes) -> bool:
    try:
        return len(value) == 24 and len(base64.b64decode(value, validate=True)) == 16
    except binascii.Error:
        return False


class ServerFactory(WebSocketServerFactory):  # type: ignore[misc]
    """One a port: Autobahn's options and timers for the handshakes with clients."""

    noisy = False

    def __init__(self, reactor: Any) -> None:
        super().__init__(reactor=reactor)
        # The head's timer and upstream's are ours; Autobahn's know no names.
        self.setProtocolOptions(openHandshakeTimeout=0, tcpNoDelay=False, webStatus=False)
        self._options = {name: getattr(self, name) for name in WebSocketServerProtocol.CONFIG_ATTRS}

    def protocol_for(self, transport: Any) -> ClientWebSocket:
        """An Autobahn protocol on a client's transport, which stays its own reader's."""
        protocol = ClientWebSocket()
        protocol.factory = self
        protocol.__dict__.update(self._options)
        protocol.makeConnection(transport)
        return protocol


class ClientWebSocket(WebSocketServerProtocol):  # type: ignore[misc]
    """Speaks the opening handshake with a client; its answer waits until upstream has given one."""

    # Autobahn would copy its options one by one and print them all to a log that nobody reads: half a handshake's cost.
    CONFIG_ATTRS: ClassVar[list[str]] = []

    _answer: list[tuple[bytes, bytes]]

    def connectionMade(self) -> None:
        # Autobahn would gather addresses, certificates and process ids here.
        self._transport_details = TransportDetails(peer="", is_server=True, is_secure=False)
        self.peer = ""
        self._upstream: Deferred[None] = Deferred()
        self._connectionMade()

    def ask(self, key: bytes) -> None:
        """
        Show Autobahn the request.

        :raises BadRequest: it finds fault with it.
        """
        self._dataReceived(
            b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: %b\r\n\r\n" % key
        )

    def onConnect(self, request: object) -> Deferred[None]:
        """Called by Autobahn: the request is in order, and its answer waits for this Deferred."""
        return self._upstream

    def failHandshake(self, reason: str, code: int = 400, responseHeaders: object = None) -> None:
        """Called by Autobahn: the request is not."""
        raise BadRequest("The WebSocket upgrade is malformed (RFC 6455, 4.1).")

    def accept(self, answer: list[tuple[bytes, bytes]]) -> None:
        """Complete the handshake with these fields."""
        self._answer = answer
        self._upstream.callback(None)

    def succeedHandshake(self, res: object) -> None:
        """Called by Autobahn: write the 101."""
        digest = hashlib.sha1(self._wskey.encode("ascii") + self._WS_MAGIC, usedforsecurity=False).digest()
        fields = [
            (b"Upgrade", b"websocket"),
            (b"Connection", b"Upgrade"),
            (b"Sec-WebSocket-Accept", base64.b64encode(digest)),
            *self._answer,
        ]
        self.transport.write(reply.head(101, b"Switching Protocols", fields))
        self.leave()

    def leave(self) -> None:
        """End Autobahn's own bookkeeping; the transport goes on without it."""
        if self.state != self.STATE_CLOSED:
            self._connectionLost("handed over")

    def onClose(self, wasClean: bool, code: int | None, reason: str | None) -> None:
        """Called by Autobahn as it leaves; the splice keeps the true close."""


class WebSocketExchange(Exchange):
    """One WebSocket, or its refusal."""

    protocol = "websocket"
    page: SocketPage

    _opening: Deferred[Opened | Response] | None = None
    _server: ClientWebSocket | None = None
    _splice: Splice | None = None
    _early = b""

    def open_page(self) -> SocketPage:
        return SocketPage(self.port.ledger, self.call, self.port.provider, self.head)

    def start(self, data: bytes) -> bytes:
        # What comes behind an upgrade is the WebSocket's, or nobody's.
        self.wants_bytes = bool(data) or self.head.length != 0
        try:
            key = check_upgrade(self.head)
            secrets = self.port.gate.judge(self.head, upgrade=True)
            self._server = self.client.websocket_factory.protocol_for(self.client.transport)
            self._server.ask(key)
        except ProxyError as error:
            self.deny(error)
            return b""
        self.wants_bytes = True
        self._early = data
        offered = subprotocols(self.head.values(b"sec-websocket-protocol"), CREDENTIAL_SUBPROTOCOLS)
        extensions = self.head.values(b"sec-websocket-extensions")
        handshake = Handshake(
            self.port.outbound(self.head, self.call.id, secrets, self.interim),
            tuple(offered),
            b", ".join(extensions) if extensions else None,
        )
        opening = self._opening = self.port.opener.open(handshake)
        opening.addCallbacks(self._answered_by, self._failed).addErrback(self.failed)
        return b""

    def received(self, data: bytes) -> bytes:
        self._early += data
        if len(self._early) > self.port.limits.buffer_bytes:
            self.client.pause()
        return b""

    def _answered_by(self, answer: Opened | Response) -> None:
        if self._opening is None:
            (answer.stopProducing if isinstance(answer, Response) else answer.transport.abortConnection)()
            return
        self._opening = None
        self.call.first_byte = self.port.clock.seconds()
        assert self._server is not None
        if isinstance(answer, Response):
            self._server.leave()
            # Bytes sent behind the upgrade were meant for a WebSocket that there is none of.
            self.wants_bytes = bool(self._early)
            self._early = b""
            self.relay(answer, keep_alive=self.head.keep_alive and not self.wants_bytes)
            return
        self.call.status = 101
        if answer.head.first(b"x-request-id") is not None:
            self.call.upstream_request_id = answer.head.values(b"x-request-id")[0].decode("latin-1")
        fields = down_fields(answer.head, self.port, self.call.id)
        if answer.subprotocol is not None:
            fields.append((b"Sec-WebSocket-Protocol", answer.subprotocol))
        if answer.extensions is not None:
            fields.append((b"Sec-WebSocket-Extensions", answer.extensions))
        self._server.accept(fields)
        self._server = None
        early, self._early = self._early, b""
        self.page.begin(answer.head)
        self._splice = Splice(self.port, self.call, self.page, self._ended, extensions=answer.extensions)
        self.client.handed_over()
        self.client.resume()
        self._splice.join(self.client.transport, answer.transport, early, answer.surplus)
        if self.port.gate.draining:
            self._splice.drain()

    def failed(self, failure: Failure) -> None:
        if self._splice is not None:
            self.port.observer.fault(self.call, type(failure.value).__name__, failure.getTraceback())
            self._splice.close(1011, "internal error")
        else:
            super().failed(failure)

    def _failed(self, failure: Failure) -> None:
        if self._opening is None:
            # It was given up, which is no news.
            return
        self._opening = None
        assert self._server is not None
        self._server.leave()
        self.wants_bytes = bool(self._early)
        self._early = b""
        self.failed(failure)

    def _ended(self) -> None:
        """The splice is over, both transports gone."""
        self.client.connectionLost(connectionDone)

    def client_lost(self) -> None:
        if self._splice is not None:
            # How that ended, the close tells.
            self.finish(False)
            return
        self.call.error = self.call.error or "client_gone"
        opening, self._opening = self._opening, None
        if opening is not None:
            opening.cancel()
        if self._server is not None:
            self._server.leave()
        if self.answer is not None:
            self.answer.give_up()
        self.finish(False)

    def drain(self) -> None:
        if self._splice is not None:
            self._splice.drain()

    def close_now(self) -> None:
        if self._splice is not None:
            self._splice.close(1001, "going away")
        else:
            super().close_now()

    def progress(self) -> None:
        if self._splice is not None:
            self._splice.count()
        super().progress()

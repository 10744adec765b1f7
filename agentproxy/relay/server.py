"""
The provider port's own protocol: request heads read strictly, one exchange at a time, pipelined ones in order.

Connections are kept alive between exchanges; a WebSocket's transport is handed over and never comes back.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.interfaces import IHalfCloseableProtocol
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from agentproxy.call import Call
from agentproxy.errors import ProxyError, RequestTimeout
from agentproxy.relay import reply
from agentproxy.relay.exchange import Exchange
from agentproxy.relay.http import HttpExchange
from agentproxy.relay.patience import Patience, Watch
from agentproxy.relay.port import Port
from agentproxy.relay.websocket import ServerFactory as WebSocketFactory
from agentproxy.relay.websocket import WebSocketExchange, asks_for_upgrade
from agentproxy.sockets import buffered, tune
from agentproxy.timers import Wait
from agentproxy.wire.head import RequestHead
from agentproxy.wire.parse import RequestHeads

LINGER = 2.0
"""Seconds that a client has to close its half too, once it has taken the answer that ends its connection."""
HEADS_A_TURN = 16
"""Pipelined requests that are begun before other connections have their turn."""
CROWDED = 0.05
"""Seconds until a client that does not read its answers is looked at again."""


@implementer(IHalfCloseableProtocol)
class PortProtocol(Protocol):
    """
    One client's connection to a provider port.

    :param connections: it is among them while it lives.
    :ivar websocket_factory: the port's Autobahn factory.
    """

    transport: Any

    def __init__(self, port: Port, websockets: WebSocketFactory, connections: set[PortProtocol]) -> None:
        self._port = port
        self.websocket_factory = websockets
        self._connections = connections
        self._heads = RequestHeads(self._port.limits.header_bytes)
        self._exchange: Exchange | None = None
        self._queued = b""
        self._pumping = self._paused = self._closing = self._lost = False
        # Whether the exchange wants no more for now.
        self._held = False
        self._timer: Any = None
        self._later: Any = None
        self._watch = Watch(port.clock)
        self._idle: Wait | None = None

    def connectionMade(self) -> None:
        tune(self.transport, self._port.limits.buffer_bytes)
        self._connections.add(self)
        self._wait()

    def dataReceived(self, data: bytes) -> None:
        exchange = self._exchange
        if self._closing:
            # What a client still sends behind an answer that ends its connection is read and thrown away.
            return
        if exchange is not None and exchange.wants_bytes:
            data = exchange.received(data)
            if not data:
                return
        self._queued = self._queued + data if self._queued else data
        if self._exchange is None:
            self._pump()
        else:
            self._regulate()

    def _pump(self) -> None:
        """Begin the requests that wait, one after the other."""
        if self._pumping:
            return
        self._pumping = True
        try:
            for _ in range(HEADS_A_TURN):
                if not self._queued or self._exchange is not None or self._closing or self._lost:
                    break
                if buffered(self.transport) > self._port.limits.buffer_bytes:
                    self._pump_later(CROWDED)
                    break
                data, self._queued = self._queued, b""
                self._head_bytes(data)
            else:
                self._pump_later(0)
        finally:
            self._pumping = False
        self._regulate()

    def _pump_later(self, seconds: float) -> None:
        if self._later is None:
            self._later = self._port.clock.callLater(seconds, self._pump_now)

    def _pump_now(self) -> None:
        self._later = None
        self._pump()

    def _head_bytes(self, data: bytes) -> None:
        try:
            got = self._heads.feed(data)
        except ProxyError as error:
            self._refuse(error)
            return
        if got is None:
            if self._timer is None and self._heads.pending:
                self._timer = self._port.clock.callLater(self._port.timeouts.request_head, self._late)
            return
        self._stop_timer()
        head, rest = got
        if head.method == b"GET" and head.target in self._port.local:
            self._answer_locally(head)
            self._requeue(rest)
            return
        exchange: Exchange
        if asks_for_upgrade(head):
            exchange = WebSocketExchange(self._port, self, head)
        else:
            exchange = HttpExchange(self._port, self, head)
        self._exchange = exchange
        try:
            rest = exchange.start(rest)
        except Exception:
            exchange.failed(Failure())
            return
        self._requeue(rest)

    def _requeue(self, rest: bytes) -> None:
        """What came behind a request is the next one's, unless there is to be none."""
        if rest and not self._closing:
            self._queued = rest + self._queued

    def _answer_locally(self, head: RequestHead) -> None:
        keep_alive = head.keep_alive and head.length == 0 and not self._port.gate.draining
        fields = [(b"cache-control", b"no-store"), *reply.connection_fields(head.minor, keep_alive)]
        body = self._port.local[head.target]()
        self.transport.write(reply.json_reply(200, body, fields, without_body=False))
        self.exchange_ended(keep_alive)

    def _refuse(self, error: ProxyError) -> None:
        """No head could be made of the bytes: nothing that follows can be told apart."""
        port = self._port
        call = Call(port.new_request_id(), port.provider.name, "http", "", "", port.clock.seconds())
        call.status, call.error = error.status, error.code
        port.observer.call_started(call)
        port.observer.denied(call, error)
        fields = reply.connection_fields(1, False)
        self.transport.write(reply.error_reply(error, port.provider.kind, call.id, fields, without_body=False))
        port.observer.call_ended(call)
        self.exchange_ended(False)

    def exchange_ended(self, keep_alive: bool) -> None:
        """Called by the exchange: the next request may begin, or the connection closes."""
        self._exchange = None
        self._held = False
        if self._lost:
            return
        if not keep_alive:
            self._close()
            return
        self._wait()
        self._pump()

    def handed_over(self) -> None:
        """Called by the exchange: the transport has another reader now; `connectionLost` is told by hand."""
        self._stop_timers()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._lost = True
        self._stop_timers()
        self._connections.discard(self)
        self._queued = b""
        if self._exchange is not None:
            self._exchange.client_lost()

    def pause(self) -> None:
        """Called by the exchange: stop reading."""
        self._held = True
        self._regulate()

    def resume(self) -> None:
        """Called by the exchange: read again."""
        self._held = False
        self._regulate()

    def _regulate(self) -> None:
        """Read, unless the exchange wants no more or enough requests wait."""
        crowded = len(self._queued) > self._port.limits.header_bytes
        pause = (self._held or crowded) and not self._closing
        if pause == self._paused or self._lost:
            return
        self._paused = pause
        if pause:
            self.transport.pauseProducing()
            self._watch.begin(self.transport)
        else:
            self._watch.cancel()
            self.transport.resumeProducing()

    @property
    def idle(self) -> bool:
        """Whether no request is on it, nor a part of one."""
        return self._exchange is None and not self._heads.pending

    def drain(self) -> None:
        """The service is shutting down: close if idle, else when the exchange ends."""
        if self._exchange is not None:
            self._exchange.drain()
        elif self.idle and not self._closing:
            self._close()

    def close_now(self) -> None:
        """The drain is over."""
        if self._exchange is not None:
            self._exchange.close_now()
        else:
            self.transport.abortConnection()

    def finish(self) -> None:
        """There is no time left: what still runs is told as it stands."""
        if self._exchange is not None:
            self._exchange.progress()
            self._exchange.finish(False)

    def progress(self) -> None:
        """Tell what a long call has moved so far."""
        if self._exchange is not None:
            self._exchange.progress()

    def _wait(self) -> None:
        if self._idle is None:
            self._idle = self._port.waits.keep_alive.begin(self._idle_over)
        else:
            self._idle.touch()

    def _idle_over(self) -> None:
        self._idle = None
        if self.idle and not self._closing:
            self._close()
        # With an exchange or a head's beginning on it, the wait begins anew at that one's end.

    def _late(self) -> None:
        self._timer = None
        seconds = self._port.timeouts.request_head
        self._refuse(RequestTimeout(f"The request's head was not whole within {seconds:g} s. Send it again."))

    def _close(self) -> None:
        """
        Close behind what has been written: our half first, so that bytes still coming in can't reset the answer away.
        """
        self._closing = True
        self._queued = b""
        self._stop_timers()
        self.resume()
        self._timer = Patience(self._port.clock, self.transport, self._port.timeouts.keep_alive, self._drop)
        self.transport.loseWriteConnection()

    def writeConnectionLost(self) -> None:
        """Called by the transport: the system has all of it, and our half is closed."""
        self._stop_timer()
        self._timer = Patience(self._port.clock, self.transport, LINGER, self._drop)

    def readConnectionLost(self) -> None:
        """Called by the transport: the client has closed its half, which ends a running call as its whole loss does."""
        if self._exchange is None:
            self.transport.loseConnection()
        else:
            self.transport.abortConnection()

    def _drop(self) -> None:
        self._timer = None
        self.transport.abortConnection()

    def _stop_timer(self) -> None:
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()

    def _stop_timers(self) -> None:
        self._stop_timer()
        self._watch.cancel()
        if self._later is not None:
            self._later.cancel()
            self._later = None
        if self._idle is not None:
            self._idle.cancel()
            self._idle = None

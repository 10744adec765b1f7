"""
One provider's way up: name and TCP, perhaps a CONNECT tunnel, perhaps TLS. Each phase has its timer and its name.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.abstract import isIPAddress, isIPv6Address
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import HostnameEndpoint, TCP4ClientEndpoint, TCP6ClientEndpoint
from twisted.internet.error import NoProtocol
from twisted.internet.interfaces import IHandshakeListener, IProtocol, IProtocolFactory, IStreamClientEndpoint
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from agentproxy.config import ProxyUrl, Upstream
from agentproxy.engine.tls import Sessions, TLSEndpoint
from agentproxy.sockets import tune
from agentproxy.upstream.failures import timed_out, unreachable
from agentproxy.upstream.handover import hand_over
from agentproxy.upstream.tls import HostCreator, Trust, verify_peer
from agentproxy.upstream.tunnel import TunnelEndpoint
from agentproxy.wire.connect import authority

LATER = 5.0
"""Seconds behind the phase's own time at which an attempt would give up by itself: ours names the phase."""

Phases = Callable[[str, float], object]
"""Told each phase that ended well, and its seconds."""


class Connector:
    """
    Connects protocols to a provider's upstream.

    :param reactor: TCP, name resolution and time.
    :param proxy: the egress proxy, or ``None`` for the direct way.
    :param timeout: seconds for each phase.
    """

    def __init__(
        self, reactor: Any, upstream: Upstream, proxy: ProxyUrl | None, trust: Trust, timeout: float, phases: Phases
    ) -> None:
        self._reactor = reactor
        self._upstream = upstream
        self._proxy = proxy
        self._trust = trust
        self._timeout = timeout
        self._phases = phases
        self._endpoint: IStreamClientEndpoint | None = None
        self.hop = authority(upstream.host, upstream.port)

    def connect(self, factory: IProtocolFactory) -> Deferred[IProtocol]:
        """
        Build ``factory``'s protocol on a connection that is ready for its first byte.

        The Deferred fails with `UpstreamUnreachable` or `UpstreamTimeout`. Cancelling it drops what was begun.
        """
        # Made at the first use: reading the roots takes tens of milliseconds a provider.
        if self._endpoint is None:
            self._endpoint = self._build()
        return self._endpoint.connect(factory)

    def _build(self) -> IStreamClientEndpoint:
        upstream, proxy = self._upstream, self._proxy
        endpoint: IStreamClientEndpoint
        if proxy is None:
            endpoint = self._tcp(upstream.host, upstream.port)
        else:
            hop = authority(proxy.host, proxy.port)
            endpoint = self._tcp(proxy.host, proxy.port)
            if proxy.scheme == "https":
                endpoint = self._tls(endpoint, proxy.host, hop)
            endpoint = TunnelEndpoint(
                endpoint,
                upstream.host,
                upstream.port,
                hop=hop,
                authorization=proxy.authorization,
                clock=self._reactor,
                timeout=self._timeout,
                opened=lambda seconds: self._phases("tunnel", seconds),
            )
        if upstream.scheme == "https":
            endpoint = self._tls(endpoint, upstream.host, self.hop)
        return endpoint

    def _tcp(self, host: str, port: int) -> IStreamClientEndpoint:
        # The endpoint's own timeout is an attempt's; ours is the phase's.
        inner: IStreamClientEndpoint
        if isIPAddress(host):
            # A name's way leads through a thread and a race of addresses.
            inner = TCP4ClientEndpoint(self._reactor, host, port, timeout=self._timeout + LATER)
        elif isIPv6Address(host):
            inner = TCP6ClientEndpoint(self._reactor, host, port, timeout=self._timeout + LATER)
        else:
            inner = HostnameEndpoint(self._reactor, host, port, timeout=self._timeout)
        return _TcpEndpoint(inner, authority(host, port), self._reactor, self._timeout, self._phases)

    def _tls(self, endpoint: IStreamClientEndpoint, host: str, hop: str) -> IStreamClientEndpoint:
        sessions = Sessions(HostCreator(host, self._trust), self._reactor)
        return _SecureEndpoint(sessions, endpoint, host, hop, self._reactor, self._timeout, self._phases)


@implementer(IStreamClientEndpoint)
class _TcpEndpoint:
    """Name and TCP: phase ``connect``."""

    def __init__(self, inner: IStreamClientEndpoint, hop: str, clock: Any, timeout: float, phases: Phases) -> None:
        self._inner = inner
        self._hop = hop
        self._clock = clock
        self._timeout = timeout
        self._phases = phases

    def connect(self, factory: IProtocolFactory) -> Deferred[IProtocol]:
        began = self._clock.seconds()
        late = False

        def on_time() -> None:
            nonlocal late
            late = True
            connecting.cancel()

        def made(protocol: IProtocol) -> IProtocol:
            timer.cancel()
            self._phases("connect", self._clock.seconds() - began)
            return protocol

        def failed(failure: Failure) -> None:
            if timer.active():
                timer.cancel()
            if late:
                raise timed_out("connect", self._hop, self._timeout)
            raise unreachable("connect", self._hop, failure)

        outer = Factory.forProtocol(lambda: _Raw(factory))
        outer.noisy = False
        connecting: Deferred[Any] = self._inner.connect(outer)
        timer = self._clock.callLater(self._timeout, on_time)
        connecting.addCallbacks(made, failed)
        # The next protocol is built only now, so that its own phase begins behind this one's end.
        return connecting.addCallback(lambda raw: raw.build())


class _Raw(Protocol):
    """A fresh TCP connection, before the first protocol that means something."""

    transport: Any

    def __init__(self, factory: IProtocolFactory) -> None:
        self._factory = factory
        self._lost: Failure | None = None

    def connectionMade(self) -> None:
        tune(self.transport)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._lost = reason

    def build(self) -> IProtocol:
        inner = self._factory.buildProtocol(self.transport.getPeer())
        if inner is None:
            self.transport.abortConnection()
            raise NoProtocol
        hand_over(self.transport, inner)
        if self._lost is not None:
            inner.connectionLost(self._lost)
        return inner


@implementer(IStreamClientEndpoint)
class _SecureEndpoint:
    """TLS, connected only once the handshake is complete and the name verified: phase ``tls``."""

    def __init__(
        self,
        sessions: Sessions,
        inner: IStreamClientEndpoint,
        host: str,
        hop: str,
        clock: Any,
        timeout: float,
        phases: Phases,
    ) -> None:
        self._endpoint = TLSEndpoint(sessions, inner, clock)
        self.sessions = sessions
        self.host = host
        self.hop = hop
        self.clock = clock
        self.timeout = timeout
        self.phases = phases

    def connect(self, factory: IProtocolFactory) -> Deferred[IProtocol]:
        outer = Factory.forProtocol(lambda: _Securing(self, factory))
        connecting: Deferred[Any] = self._endpoint.connect(outer)
        return connecting.addCallback(lambda securing: securing.done)


@implementer(IHandshakeListener)
class _Securing(Protocol):
    """Waits for the handshake's end, then hands the transport over."""

    transport: Any

    def __init__(self, endpoint: _SecureEndpoint, factory: IProtocolFactory) -> None:
        self._endpoint = endpoint
        self._factory = factory
        self.done: Deferred[IProtocol] = Deferred(lambda _: self._abort())

    def connectionMade(self) -> None:
        clock = self._endpoint.clock
        self._began = clock.seconds()
        self._timer = clock.callLater(self._endpoint.timeout, self._late)

    def handshakeCompleted(self) -> None:
        if not self._timer.active():
            return
        try:
            verify_peer(self.transport.getHandle(), self._endpoint.host)
        except Exception:
            # Whatever it was that could not be checked, it was not verified.
            self._endpoint.sessions.forget()
            self._abort()
            self.done.errback(unreachable("tls", self._endpoint.hop, Failure()))
            return
        self._timer.cancel()
        self._endpoint.phases("tls", self._endpoint.clock.seconds() - self._began)
        inner = self._factory.buildProtocol(self.transport.getPeer())
        if inner is None:
            self._abort()
            self.done.errback(NoProtocol())
            return
        hand_over(self.transport, inner)
        self.done.callback(inner)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if self._timer.active():
            self._timer.cancel()
            self._endpoint.sessions.forget()
            self.done.errback(unreachable("tls", self._endpoint.hop, reason))

    def _late(self) -> None:
        self._endpoint.sessions.forget()
        self._abort()
        self.done.errback(timed_out("tls", self._endpoint.hop, self._endpoint.timeout))

    def _abort(self) -> None:
        if self._timer.active():
            self._timer.cancel()
        self.transport.abortConnection()

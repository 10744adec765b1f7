"""The CONNECT tunnel as an endpoint: what connects over it neither knows nor pays for the proxy before it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import NoProtocol
from twisted.internet.interfaces import IProtocol, IProtocolFactory, IReactorTime, IStreamClientEndpoint
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from agentproxy.call import Secret
from agentproxy.errors import UpstreamUnreachable
from agentproxy.upstream.failures import timed_out, unreachable
from agentproxy.upstream.handover import hand_over
from agentproxy.wire.connect import ConnectHandshake, TunnelGarbled, TunnelRefused, connect_request


@implementer(IStreamClientEndpoint)
class TunnelEndpoint:
    """
    Reaches ``host:port`` through a CONNECT proxy (RFC 9110, 9.3.6).

    :param proxy: reaches the proxy itself.
    :param hop: the proxy's ``host:port``, for messages.
    :param authorization: the value of ``Proxy-Authorization``.
    :param timeout: seconds for the proxy's answer.
    :param opened: told the seconds that the answer took.
    """

    def __init__(
        self,
        proxy: IStreamClientEndpoint,
        host: str,
        port: int,
        *,
        hop: str,
        authorization: Secret | None,
        clock: IReactorTime,
        timeout: float,
        opened: Callable[[float], object],
    ) -> None:
        self._proxy = proxy
        self._host = host
        self._port = port
        self.hop = hop
        self._authorization = authorization
        self.clock = clock
        self.timeout = timeout
        self.opened = opened

    def request(self) -> bytes:
        """The CONNECT request, the credential in it."""
        credential = self._authorization.reveal() if self._authorization else None
        return connect_request(self._host, self._port, credential)

    def connect(self, factory: IProtocolFactory) -> Deferred[IProtocol]:
        """
        Open a tunnel and build ``factory``'s protocol on it.

        The Deferred fails with `UpstreamUnreachable` or `UpstreamTimeout` of phase ``tunnel``, with `NoProtocol` where
        ``factory`` builds none, or as the proxy's endpoint fails. Cancelling it drops the connection.
        """
        outer = Factory.forProtocol(lambda: _Tunnel(self, factory))
        connecting: Deferred[Any] = self._proxy.connect(outer)
        return connecting.addCallback(lambda tunnel: tunnel.done)


class _Tunnel(Protocol):
    """Speaks CONNECT, then hands its transport over and is gone."""

    transport: Any

    def __init__(self, endpoint: TunnelEndpoint, factory: IProtocolFactory) -> None:
        self._endpoint = endpoint
        self._factory = factory
        self._handshake = ConnectHandshake()
        self.done: Deferred[IProtocol] = Deferred(lambda _: self._abort())

    def connectionMade(self) -> None:
        clock = self._endpoint.clock
        self._began = clock.seconds()
        self._timer = clock.callLater(self._endpoint.timeout, self._late)
        self.transport.write(self._endpoint.request())

    def dataReceived(self, data: bytes) -> None:
        if not self._timer.active():
            return
        try:
            surplus = self._handshake.feed(data)
        except TunnelRefused as refusal:
            what = f"CONNECT to {self._endpoint.hop} was refused: {refusal.status}."
            if refusal.status == 407:
                what += " Put the proxy's user and password into egress.proxy's URL."
            elif refusal.status == 403:
                what += " Allow the provider's host there."
            self._fail(UpstreamUnreachable(what, phase="tunnel"))
        except TunnelGarbled as garbled:
            what = f"{self._endpoint.hop} is no CONNECT proxy: {garbled}."
            self._fail(UpstreamUnreachable(what, phase="tunnel"))
        else:
            if surplus is not None:
                self._open(surplus)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if self._timer.active():
            self._fail(unreachable("tunnel", self._endpoint.hop, reason))

    def _open(self, surplus: bytes) -> None:
        self._timer.cancel()
        self._endpoint.opened(self._endpoint.clock.seconds() - self._began)
        inner = self._factory.buildProtocol(self.transport.getPeer())
        if inner is None:
            self._fail(NoProtocol())
            return
        hand_over(self.transport, inner)
        if surplus:
            inner.dataReceived(surplus)
        self.done.callback(inner)

    def _late(self) -> None:
        self._fail(timed_out("tunnel", self._endpoint.hop, self._endpoint.timeout))

    def _fail(self, error: Exception) -> None:
        self._abort()
        self.done.errback(error)

    def _abort(self) -> None:
        if self._timer.active():
            self._timer.cancel()
        self.transport.abortConnection()

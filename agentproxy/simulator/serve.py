"""Listens with the simulator on loopback, in the clear and with TLS."""

from __future__ import annotations

from typing import Any

from twisted.internet.interfaces import IAddress
from twisted.internet.protocol import Protocol, connectionDone
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.python.failure import Failure

from agentproxy.simulator.ca import ServerCertificate, ServerContext, ThrowawayCA
from agentproxy.simulator.server import Simulator
from agentproxy.simulator.shapes import HOSTS

NAMES = (*(host.decode() for host in HOSTS), "*.githubcopilot.com", "localhost", "127.0.0.1", "::1")
"""What the simulator's certificate is for, where no other is given."""


class _Mute(Protocol):
    """Says nothing, not even a TLS hello."""

    transport: Any

    def __init__(self, simulator: Simulator) -> None:
        self._simulator = simulator

    def connectionMade(self) -> None:
        self._simulator.connected(self)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._simulator.disconnected(self)

    def abort(self) -> None:
        self.transport.abortConnection()


class TlsFactory(TLSMemoryBIOFactory):
    """
    TLS before the simulator, unless its script is ``silence="tls"``.

    :param certificate: what it shows, whatever name is asked for.
    """

    noisy = False

    def __init__(self, certificate: ServerCertificate, simulator: Simulator) -> None:
        super().__init__(ServerContext(certificate), False, simulator, simulator.clock)
        self._simulator = simulator

    def buildProtocol(self, addr: IAddress | None) -> Any:
        if self._simulator.script.silence == "tls":
            return _Mute(self._simulator)
        return super().buildProtocol(addr)


class Served:
    """
    A simulator that listens.

    :ivar port: its port in the clear; ``tls_port``: its port with TLS.
    :ivar ca: who signed its certificate; ``ca.pem`` is what clients need.
    """

    def __init__(self, reactor: Any, simulator: Simulator, ca: ThrowawayCA, certificate: ServerCertificate) -> None:
        self.simulator = simulator
        self.ca = ca
        self._plain = reactor.listenTCP(0, simulator, interface="127.0.0.1")
        self._tls = reactor.listenTCP(0, TlsFactory(certificate, simulator), interface="127.0.0.1")
        self.port: int = self._plain.getHost().port
        self.tls_port: int = self._tls.getHost().port

    @property
    def url(self) -> str:
        """``http://127.0.0.1:PORT``."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def tls_url(self) -> str:
        """``https://127.0.0.1:PORT``."""
        return f"https://127.0.0.1:{self.tls_port}"

    def mapping(self) -> dict[tuple[str, int], tuple[str, int]]:
        """Every provider's name at port 443, mapped to the TLS port, for `connect_proxy.ConnectProxy`."""
        return {(host.decode(), 443): ("127.0.0.1", self.tls_port) for host in HOSTS}

    async def stop(self) -> None:
        """Stop listening and reset what is still connected; returns once all is gone."""
        await self._plain.stopListening()
        await self._tls.stopListening()
        await self.simulator.disconnect()


def serve(
    reactor: Any,
    simulator: Simulator | None = None,
    *,
    ca: ThrowawayCA | None = None,
    certificate: ServerCertificate | None = None,
) -> Served:
    """
    Listen on 127.0.0.1, at ports that the system picks, in the clear and with TLS.

    :param reactor: an `IReactorTCP` and `IReactorTime`.
    :param certificate: another than one of ``ca`` for all of `NAMES`.
    """
    ca = ca or ThrowawayCA()
    return Served(reactor, simulator or Simulator(reactor), ca, certificate or ca.issue(*NAMES))

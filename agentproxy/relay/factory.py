"""A provider port's factory: the connections that live, and what is told to all of them."""

from __future__ import annotations

from twisted.internet.interfaces import IAddress
from twisted.internet.protocol import ServerFactory

from agentproxy.relay.port import Port
from agentproxy.relay.server import PortProtocol
from agentproxy.relay.websocket import ServerFactory as WebSocketFactory


class PortFactory(ServerFactory):
    """
    A provider port's factory.

    :ivar connections: the live ones.
    :ivar websockets: the port's Autobahn factory, for the handshake with clients.
    """

    noisy = False

    def __init__(self, port: Port) -> None:
        self.port = port
        self.connections: set[PortProtocol] = set()
        self.websockets = WebSocketFactory(port.clock)

    def buildProtocol(self, addr: IAddress | None) -> PortProtocol:
        return PortProtocol(self.port, self.websockets, self.connections)

    def drain(self) -> None:
        """Take no new calls; close what is idle."""
        self.port.gate.draining = True
        for connection in list(self.connections):
            connection.drain()

    def close_now(self) -> None:
        """Close what is left."""
        for connection in list(self.connections):
            connection.close_now()

    def finish(self) -> None:
        """The process is about to end: what still runs is told as it stands."""
        for connection in list(self.connections):
            connection.finish()

    def progress(self) -> None:
        """Tell what long calls have moved so far."""
        for connection in list(self.connections):
            connection.progress()

"""The simulator itself: what is configured, remembered and seen of all its connections."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IAddress
from twisted.internet.protocol import Factory

from agentproxy.simulator.connection import Connection
from agentproxy.simulator.journal import Journal, Seen, SeenSocket
from agentproxy.simulator.memory import Memory
from agentproxy.simulator.script import Script


class Simulator(Factory):
    """
    The providers, simulated, as a factory for a plain TCP port (`serve` listens with TLS, too).

    :param clock: an `IReactorTime`.
    :param keys: the keys that each provider (``openai``, ``anthropic``, ``copilot``, ``gemini``, ``chatgpt``)
        accepts; one that is not named accepts any request, with a key or without.
    :param script: how to answer; may be replaced while running, for the requests to come.
    :param journal: whether to keep `requests` and `websockets`.
    :ivar accepted: connections accepted so far.
    """

    noisy = False

    def __init__(
        self,
        clock: Any,
        *,
        keys: Mapping[str, str | tuple[str, ...]] | None = None,
        script: Script | None = None,
        journal: bool = True,
    ) -> None:
        self.clock = clock
        self.keys = {name: (key,) if isinstance(key, str) else key for name, key in (keys or {}).items()}
        self.script = script or Script()
        self.journal = Journal() if journal else None
        self.memory = Memory()
        self.accepted = 0
        self.served = 0
        self.connections: set[Any] = set()
        self._emptied: Deferred[None] | None = None

    @property
    def requests(self) -> list[Seen]:
        """The requests of late, WebSocket upgrades included, oldest first; bounded (`journal`)."""
        return list(self.journal.requests) if self.journal else []

    @property
    def websockets(self) -> list[SeenSocket]:
        """The WebSockets of late, oldest first; bounded (`journal`)."""
        return list(self.journal.websockets) if self.journal else []

    def buildProtocol(self, addr: IAddress | None) -> Connection:
        self.accepted += 1
        return Connection(self, self.accepted)

    def connected(self, connection: Any) -> None:
        """A connection, which can be told to `abort`, has begun."""
        self.connections.add(connection)

    def disconnected(self, connection: Any) -> None:
        """It has ended."""
        self.connections.discard(connection)
        if self._emptied is not None and not self.connections:
            emptied, self._emptied = self._emptied, None
            emptied.callback(None)

    def disconnect(self) -> Deferred[None]:
        """Reset every connection; fires once all have ended. Not to be called again before that."""
        if not self.connections:
            return succeed(None)
        self._emptied = emptied = Deferred[None]()
        for connection in list(self.connections):
            connection.abort()
        return emptied

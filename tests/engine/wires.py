"""A transport of the engine on a real socket pair, and a reactor that does only what it is told."""

from __future__ import annotations

import socket
from typing import Any

from twisted.internet.error import ConnectionDone
from twisted.internet.protocol import Protocol, connectionDone
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from agentproxy.engine.transport import DirectServer, turn


class Descriptors(Clock):
    """A reactor that remembers who wants to read and to write."""

    def __init__(self) -> None:
        super().__init__()
        self.readers: set[Any] = set()
        self.writers: set[Any] = set()

    def addReader(self, reader: Any) -> None:
        self.readers.add(reader)

    def addWriter(self, writer: Any) -> None:
        self.writers.add(writer)

    def removeReader(self, reader: Any) -> None:
        self.readers.discard(reader)

    def removeWriter(self, writer: Any) -> None:
        self.writers.discard(writer)


class Remembering(Protocol):
    """Keeps what it is given; ``answer`` is called with each piece."""

    transport: Any

    def __init__(self) -> None:
        self.data = b""
        self.sizes: list[int] = []
        self.ended: Failure | None = None
        self.answer: Any = lambda data: None

    def dataReceived(self, data: bytes) -> None:
        self.data += data
        self.sizes.append(len(data))
        self.answer(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        assert self.ended is None
        self.ended = reason


class CountingSocket:
    """
    A socket whose sends are counted.

    :ivar sends: bytes of each that was taken.
    """

    def __init__(self, inner: socket.socket) -> None:
        self._inner = inner
        self.sends: list[int] = []

    def send(self, data: Any) -> int:
        sent = self._inner.send(data)
        self.sends.append(sent)
        return sent

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


class Producer:
    """Remembers what it is told."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    def pauseProducing(self) -> None:
        self.calls.append("pause")

    def resumeProducing(self) -> None:
        self.calls.append("resume")

    def stopProducing(self) -> None:
        self.calls.append("stop")


class Wire:
    """
    A transport and its peer's socket.

    :param buffer_bytes: of each of the system's buffers, so that they are soon full.
    """

    def __init__(self, reactor: Descriptors | None = None, buffer_bytes: int = 16384) -> None:
        self.reactor = reactor or Descriptors()
        ours, self.peer = socket.socketpair()
        for end in (ours, self.peer):
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, buffer_bytes)
            end.setblocking(False)
        self.socket = CountingSocket(ours)
        self.protocol = Remembering()
        handle: Any = self.socket
        server: Any = None
        self.transport: Any = DirectServer(handle, self.protocol, ("127.0.0.1", 1), server, 0, self.reactor)
        self.protocol.makeConnection(self.transport)

    def close(self) -> None:
        """Leave nothing open."""
        self.peer.close()
        if self.transport.connected:
            self.transport.connectionLost(Failure(ConnectionDone()))

    @property
    def writes(self) -> bool:
        """Whether the reactor is to say when the system takes more."""
        return self.transport in self.reactor.writers

    def taken(self) -> bytes:
        """What has reached the peer."""
        data = b""
        while True:
            try:
                piece = self.peer.recv(1 << 20)
            except BlockingIOError:
                return data
            if not piece:
                return data
            data += piece

    def drained(self) -> bytes:
        """Let the reactor write until nothing waits; returns what the peer got."""
        data = self.taken()
        while self.writes:
            why = self.transport.doWrite()
            data += self.taken()
            if why is not None:
                self.reactor.removeWriter(self.transport)
                self.transport.connectionLost(Failure(why))
        return data


class OpenTurn:
    """A turn, as the reactor opens one for a round of reads."""

    def __enter__(self) -> None:
        turn.open = True

    def __exit__(self, *_: object) -> None:
        turn.end()

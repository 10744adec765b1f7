"""A listening port that waits when file descriptors run out, instead of turning clients away or spinning."""

from __future__ import annotations

import errno
from collections.abc import Callable
from typing import Any

from twisted.internet import address, tcp
from twisted.internet.protocol import ServerFactory, connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure

from agentproxy.engine.transport import DirectServer

PAUSE = 0.25
"""Seconds until accepting is tried again."""

_EXHAUSTED = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
_ACCEPTS = 64
_log = Logger()


class PausingPort(tcp.Port):
    """
    A TCP port whose clients stay in the kernel's queue while there is no descriptor for them.

    :param exhausted: told, once a shortage, that accepting pauses.
    """

    def __init__(
        self, port: int, factory: ServerFactory[Any], interface: str, reactor: Any, exhausted: Callable[[], object]
    ) -> None:
        super().__init__(port, factory, 511, interface, reactor)
        self.transport = DirectServer
        self._clients = factory
        self._clock = reactor
        self._exhausted = exhausted
        self._short = False
        self._pause: Any = None

    def doRead(self) -> None:
        """Accept what waits, up to a bound, so that running calls have their turn."""
        for _ in range(_ACCEPTS):
            try:
                connection, peer = self.socket.accept()
            except OSError as error:
                if error.errno in _EXHAUSTED:
                    self._wait()
                return
            self._short = False
            self._serve(connection, peer)

    def _serve(self, connection: Any, peer: tuple[Any, ...]) -> None:
        kind = address.IPv6Address if len(peer) == 4 else address.IPv4Address
        protocol = self._clients.buildProtocol(kind("TCP", *peer))
        if protocol is None:
            connection.close()
            return
        number = self.sessionno
        self.sessionno = number + 1
        transport = self.transport(connection, protocol, peer, self, number, self.reactor)
        try:
            protocol.makeConnection(transport)
        except Exception:
            # The reactor would take the whole port away.
            _log.failure("A client could not be served.")
            transport.abortConnection()

    def _wait(self) -> None:
        if not self._short:
            self._short = True
            self._exhausted()
        self.stopReading()
        self._pause = self._clock.callLater(PAUSE, self._resume)

    def _resume(self) -> None:
        self._pause = None
        if not self.disconnecting:
            self.startReading()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Called by the reactor: the port is closed."""
        pause, self._pause = self._pause, None
        if pause is not None:
            pause.cancel()
        super().connectionLost(reason)


def listen(
    reactor: Any, port: int, factory: ServerFactory[Any], interface: str, exhausted: Callable[[], object]
) -> PausingPort:
    """
    Listen on TCP.

    :raises twisted.internet.error.CannotListenError: the port is taken, or not ours to take.
    """
    listening = PausingPort(port, factory, interface, reactor, exhausted)
    listening.startListening()
    return listening

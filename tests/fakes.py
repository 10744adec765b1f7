"""Fakes that the rooms' tests share: transports that remember what was asked of them."""

from __future__ import annotations

from typing import Any

from twisted.internet.error import ConnectionAborted, ConnectionDone
from twisted.internet.protocol import connectionDone
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure

from agentproxy.timers import Waits


class FakeTransport(StringTransport):
    """
    A TCP transport over memory.

    :ivar half_closed: whether our half was closed.
    :ivar aborted: whether it was dropped.
    """

    bufferSize = 65536

    def __init__(self) -> None:
        super().__init__()
        self.half_closed = False
        self.aborted = False
        self.no_delay = False
        self.keep_alive = False
        self.paused = False
        self.protocol: Any = None

    def setTcpNoDelay(self, enabled: bool) -> None:
        self.no_delay = enabled

    def setTcpKeepAlive(self, enabled: bool) -> None:
        self.keep_alive = enabled

    def loseWriteConnection(self) -> None:
        self.half_closed = True

    def abortConnection(self) -> None:
        self.aborted = True
        self.disconnecting = True

    def pauseProducing(self) -> None:
        self.paused = True

    def resumeProducing(self) -> None:
        self.paused = False

    def taken(self) -> bytes:
        """What was written since last asked."""
        data: bytes = self.value()
        self.clear()
        return data

    def lost(self, *, clean: bool = True) -> None:
        """The peer's end, as the reactor tells it to whoever reads now."""
        self.connected = False
        self.protocol.connectionLost(connectionDone if clean else Failure(ConnectionAborted()))


def connected(protocol: Any) -> FakeTransport:
    """Connect a protocol to a new `FakeTransport`; `hand_over` changes who reads, as with a real one."""
    transport = FakeTransport()
    transport.protocol = protocol
    protocol.makeConnection(transport)
    return transport


def timers(clock: Clock) -> list[Any]:
    """What is still to come: scheduled calls, but for the look of `Waits` of which none is left."""
    owners = [(call, getattr(call.func, "__self__", None)) for call in clock.getDelayedCalls()]
    return [call for call, owner in owners if not isinstance(owner, Waits) or owner.running]


CLEAN = Failure(ConnectionDone())

"""A provider's idle connections: kept for the next call, dropped when they have been idle too long."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.protocol import Factory

from agentproxy.upstream.connection import Connection
from agentproxy.upstream.connector import Connector

MAX_IDLE = 32
"""Idle connections kept a provider. Those with a call on them are not bounded: each call has its own."""
IDLE_SECONDS = 55.0
"""How long an idle one is kept: less than the minute after which common servers and firewalls drop theirs."""


class Pool:
    """
    Connections to one provider's upstream.

    :param build: makes an unconnected connection, given whom it tells that it is free.
    """

    def __init__(
        self,
        clock: Any,
        connector: Connector,
        build: Callable[[Callable[[Connection, bool], object]], Connection],
    ) -> None:
        self._clock = clock
        self._connector = connector
        self._factory = Factory.forProtocol(lambda: build(self._released))
        self._idle: dict[Connection, float] = {}
        self._sweep: Any = None
        self._closed = False

    def idle(self) -> Connection | None:
        """The one used last, if it is still good; it is the caller's now."""
        while self._idle:
            connection, _ = self._idle.popitem()
            if not connection.lost and not connection.stale():
                return connection
            connection.abort()
        return None

    def fresh(self) -> Deferred[Any]:
        """A new `Connection`; fails as `Connector.connect` does."""
        return self._connector.connect(self._factory)

    def close(self) -> None:
        """Drop the idle ones, and keep none from now on."""
        self._closed = True
        if self._sweep is not None:
            self._sweep.cancel()
            self._sweep = None
        for connection in list(self._idle):
            connection.abort()
        self._idle.clear()

    def _released(self, connection: Connection, reusable: bool) -> None:
        if not reusable:
            self._idle.pop(connection, None)
            return
        if self._closed or len(self._idle) >= MAX_IDLE:
            connection.abort()
            return
        self._idle[connection] = self._clock.seconds() + IDLE_SECONDS
        if self._sweep is None:
            self._sweep = self._clock.callLater(IDLE_SECONDS, self._expire)

    def _expire(self) -> None:
        self._sweep = None
        now = self._clock.seconds()
        for connection, until in list(self._idle.items()):
            if until <= now:
                self._idle.pop(connection, None)
                connection.abort()
        if self._idle:
            first = next(iter(self._idle.values()))
            self._sweep = self._clock.callLater(max(first - now, 0.1), self._expire)

"""
Twisted's epoll reactor with a lean poll loop: a read goes straight to its transport, and what a round of reads makes
be written is sent when the round is over.

The stock loop enters a logging context for each event, looks the descriptor up twice and asks it for its number. All
that is left out is done for writes, ends and errors as before.
"""

from __future__ import annotations

import sys
from select import EPOLLIN
from typing import Any

from twisted.internet.epollreactor import EPollReactor
from twisted.internet.interfaces import IConnector
from twisted.internet.main import installReactor
from twisted.logger import Logger
from twisted.python import log as twisted_log

from agentproxy.engine.transport import DirectConnector, turn

ROUND = 32
"""Events dispatched before what they wrote is sent: enough to wake a busy peer only once, few enough not to be felt."""
ROUNDS = 8
"""Rounds of events until the main loop has its turn in any case."""

_log = Logger()


class LeanReactor(EPollReactor):
    """An `EPollReactor` whose TCP clients have `Direct` transports."""

    def doPoll(self, timeout: float | None) -> None:
        """Wait for events, at most ``timeout`` seconds, and dispatch them."""
        poll, selectables = self._poller.poll, self._selectables
        wait = -1 if timeout is None else timeout
        for _ in range(ROUNDS):
            events = poll(wait, ROUND)
            turn.open = True
            try:
                for fd, event in events:
                    selectable = selectables.get(fd)
                    if selectable is None:
                        continue
                    if event != EPOLLIN:
                        twisted_log.callWithLogger(selectable, self._doReadOrWrite, selectable, fd, event)
                        continue
                    try:
                        why = selectable.doRead()
                    except BaseException as error:
                        why = error
                        _log.failure("A connection's reader raised.")
                    if why:
                        twisted_log.callWithLogger(selectable, self._disconnectSelectable, selectable, why, True)
            finally:
                turn.end()
            # While there is nothing to do but to read, the main loop need not be asked.
            if not events or self.threadCallQueue or self._newTimedCalls or self._due():
                return
            wait = 0

    def _due(self) -> bool:
        """Whether the main loop has a timed call to make."""
        pending = self._pendingTimedCalls
        return bool(pending) and pending[0].time <= self.seconds()

    doIteration = doPoll

    def connectTCP(
        self, host: str, port: int, factory: Any, timeout: float = 30.0, bindAddress: Any = None
    ) -> IConnector:
        """As every reactor's."""
        connector = DirectConnector(host, port, factory, timeout, bindAddress, self)
        connector.connect()
        return connector


def install() -> None:
    """Make it the process's reactor, unless there is one already (``twistd --reactor``)."""
    if "twisted.internet.reactor" not in sys.modules:
        installReactor(LeanReactor())

"""
Waits for peers: for one to take what was sent to it before its connection is dropped, and for one that is not read.

An abort throws away what lies in our buffer and in the system's, and an answer that lies there is an answer lost.
And of a peer that is not read the reactor tells nothing, not even its end.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from agentproxy.sockets import hung_up, unsent

STALLED = 10.0
"""Seconds without any of it being taken after which a peer is given up."""
LOOK = 0.5
"""Seconds between two looks at a peer that is not read."""


class Patience:
    """
    Acts once a peer has taken all that was sent to it and had a moment more, or has taken nothing for `STALLED`.

    :param clock: an `IReactorTime`.
    :param moment: seconds.
    """

    def __init__(self, clock: Any, transport: Any, moment: float, act: Callable[[], object]) -> None:
        self._clock = clock
        self._transport = transport
        self._moment = moment
        self._act = act
        self._unsent = unsent(transport)
        self._still = 0.0
        self._call = clock.callLater(moment, self._look)

    def cancel(self) -> None:
        """Stop waiting, and don't act."""
        call, self._call = self._call, None
        if call is not None:
            call.cancel()

    def _look(self) -> None:
        before, self._unsent = self._unsent, unsent(self._transport)
        if self._unsent < before:
            self._still = 0.0
        elif self._unsent:
            self._still += self._moment
        if before and self._still < STALLED:
            self._call = self._clock.callLater(self._moment, self._look)
        else:
            self._call = None
            self._act()


class Watch:
    """
    Looks, while nothing is read from a peer, whether it is still there, and drops its connection where it is not.

    A reset ends it at once. So does an orderly end, unless what the peer sent before it is still on its way to
    ``onward``, which is waited for as long as that takes any.

    :param clock: an `IReactorTime`.
    """

    def __init__(self, clock: Any) -> None:
        self._clock = clock
        self._call: Any = None

    def begin(self, transport: Any, onward: Any = None) -> None:
        """
        The peer is not read from now on.

        :param onward: the transport that its bytes go to, or ``None`` where its end ends everything.
        """
        self.cancel()
        self._transport = transport
        self._onward = onward
        self._unsent = -1
        self._still = 0.0
        self._call = self._clock.callLater(LOOK, self._look)

    def cancel(self) -> None:
        """It is read again, or gone."""
        call, self._call = self._call, None
        if call is not None:
            call.cancel()

    def _look(self) -> None:
        end = hung_up(self._transport)
        if end == "reset" or (end == "end" and not self._waits()):
            self._call = None
            self._transport.abortConnection()
        else:
            self._call = self._clock.callLater(LOOK, self._look)

    def _waits(self) -> bool:
        if self._onward is None:
            return False
        before, self._unsent = self._unsent, unsent(self._onward)
        self._still = 0.0 if before < 0 or self._unsent < before else self._still + LOOK
        return self._still < STALLED

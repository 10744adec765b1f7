"""A timer that is cheap to push back: for waits that end only when nothing has moved for so long."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


class IdleTimer:
    """
    Calls back once when `touch` has not been called for ``seconds``; 0 seconds never does.

    `touch` only notes the time: the one scheduled call looks at it when it comes and goes on waiting if it must.

    :param clock: an `IReactorTime`.
    """

    __slots__ = ("_call", "_clock", "_fire", "_last", "_seconds")

    def __init__(self, clock: Any, seconds: float, fire: Callable[[], object]) -> None:
        self._clock = clock
        self._seconds = seconds
        self._fire = fire
        self._last = clock.seconds()
        self._call = clock.callLater(seconds, self._look) if seconds > 0 else None

    def touch(self) -> None:
        """Something moved."""
        self._last = self._clock.seconds()

    def cancel(self) -> None:
        """Stop for good; may be called more than once."""
        call, self._call = self._call, None
        if call is not None:
            call.cancel()

    def _look(self) -> None:
        left = self._last + self._seconds - self._clock.seconds()
        if left > 0:
            self._call = self._clock.callLater(left, self._look)
        else:
            self._call = None
            self._fire()

"""Timers that are cheap to begin, push back and end: those of one duration share one scheduled call."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


class Waits:
    """
    Timers of one duration. They come in the order in which they were begun or last touched, so the first is all that
    the clock need know of.

    :param clock: an `IReactorTime`.
    :ivar seconds: how long each waits; 0 is for ever.
    """

    __slots__ = ("_call", "_clock", "_due", "_looking", "seconds")

    def __init__(self, clock: Any, seconds: float) -> None:
        self.seconds = seconds
        self._clock = clock
        # When each is due, the next one first.
        self._due: dict[Wait, float] = {}
        self._call: Any = None
        self._looking = False

    @property
    def running(self) -> int:
        """How many are still to come."""
        return len(self._due)

    def begin(self, fire: Callable[[], object]) -> Wait:
        """A timer that calls ``fire`` once when it has not been touched for so long."""
        wait = Wait(self, fire)
        self.put_back(wait)
        return wait

    def put_back(self, wait: Wait) -> None:
        """Its time counts from now."""
        if self.seconds <= 0:
            return
        due = self._due
        due.pop(wait, None)
        due[wait] = self._clock.seconds() + self.seconds
        if self._call is None and not self._looking:
            self._call = self._clock.callLater(self.seconds, self._look)

    def end(self, wait: Wait) -> None:
        """It is not to come any more."""
        self._due.pop(wait, None)

    def has(self, wait: Wait) -> bool:
        """Whether it is still to come."""
        return wait in self._due

    def close(self) -> None:
        """End them all."""
        self._due.clear()
        call, self._call = self._call, None
        if call is not None:
            call.cancel()

    def _look(self) -> None:
        self._call = None
        self._looking = True
        waiting, now = self._due, self._clock.seconds()
        try:
            while waiting:
                wait = next(iter(waiting))
                if waiting[wait] > now:
                    break
                del waiting[wait]
                wait.fire()
        finally:
            # What was begun meanwhile comes later than what has been waiting, which is first.
            self._looking = False
            if waiting:
                self._call = self._clock.callLater(max(next(iter(waiting.values())) - now, 0), self._look)


class Wait:
    """One of `Waits`."""

    __slots__ = ("_waits", "fire")

    def __init__(self, waits: Waits, fire: Callable[[], object]) -> None:
        self._waits = waits
        self.fire = fire

    def touch(self) -> None:
        """Something moved."""
        if self._waits.has(self):
            self._waits.put_back(self)

    def cancel(self) -> None:
        """Stop for good; may be called more than once."""
        self._waits.end(self)

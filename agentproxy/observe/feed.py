"""
The turns as they end, for whoever looks on: the latest are kept, so that who comes back misses none. No I/O.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from twisted.logger import Logger

from agentproxy.records.values import TurnRecord

RECENT = 1000
"""Turns that are kept."""

Callback = Callable[[TurnRecord], object]


class Feed:
    """
    Passes ended turns on.

    :param most: turns that are kept.
    """

    _log = Logger()

    def __init__(self, most: int = RECENT) -> None:
        # One more than is shown: the oldest tells where what is kept begins.
        self._recent: deque[TurnRecord] = deque(maxlen=most + 1)
        self._callbacks: tuple[Callback, ...] = ()

    def publish(self, record: TurnRecord) -> None:
        """
        A turn has ended. On the reactor's thread, in the order of the records' keys; never raises.

        The record is kept as it is, and is not to be changed any more.
        """
        self._recent.append(record)
        for callback in self._callbacks:
            try:
                callback(record)
            except Exception:
                self._log.failure("a follower of the turns failed")

    def subscribe(self, callback: Callback) -> Callable[[], None]:
        """
        Call this with each turn from now on.

        :param callback: one that is not there yet.
        :returns: ends it, however often it is called.
        """
        # Made anew each time, so that who leaves while a turn is told disturbs nobody.
        self._callbacks = (*self._callbacks, callback)

        def unsubscribe() -> None:
            self._callbacks = tuple(each for each in self._callbacks if each is not callback)

        return unsubscribe

    @property
    def full(self) -> bool:
        """Whether a turn was forgotten already."""
        return len(self._recent) == self._recent.maxlen

    @property
    def floor(self) -> str | None:
        """The key behind which every turn is still here, or ``None`` before the first."""
        recent = self._recent
        if not recent:
            return None
        oldest = recent[0].key
        return oldest if self.full else before(oldest)

    def recent_after(self, key: str) -> list[TurnRecord] | None:
        """The turns with greater keys, oldest first; ``None`` where some of them may not be here any more."""
        floor = self.floor
        if floor is None or key < floor:
            return None
        return self.latest(key)

    def latest(self, key: str = "") -> list[TurnRecord]:
        """What is here of the turns with greater keys, oldest first."""
        floor = max(key, self.floor or "")
        return [record for record in self._recent if record.key > floor]


def before(key: str) -> str:
    """The greatest key that is less: keys are numbers in 16 hex digits."""
    return f"{max(int(key, 16) - 1, 0):016x}"

"""Waiting for a condition that holds once something has come; bounded, and told well where it never does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet import reactor as _reactor
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

reactor: Any = _reactor


class Waiting:
    """What has `until`, and looks at what is waited for whenever `look` is called."""

    def __init__(self) -> None:
        self._waiting: list[tuple[Callable[[], bool], Deferred[None]]] = []

    def until(self, condition: Callable[[], bool], seconds: float = 30.0) -> Deferred[None]:
        """Fires once the condition holds; fails after so many seconds, saying what there is."""
        waiting: Deferred[None] = Deferred()
        self._waiting.append((condition, waiting))
        waiting.addTimeout(seconds, reactor)
        waiting.addErrback(self._tell)
        self.look()
        return waiting

    def look(self) -> None:
        """Something has come."""
        for each in list(self._waiting):
            condition, waiting = each
            if waiting.called:
                self._waiting.remove(each)
            elif condition():
                self._waiting.remove(each)
                waiting.callback(None)

    def state(self) -> str:
        """What there is, for who waited in vain."""
        raise NotImplementedError

    def _tell(self, failure: Failure) -> Failure:
        raise AssertionError(f"waited in vain: {failure.value!r}\n{self.state()}")

"""A reader of turns under test: what was sent in, and the turns that came out."""

from __future__ import annotations

import json
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from agentproxy.providers.openai_reader import reader
from agentproxy.usage import Turn, Usage


class Reading:
    """
    One call's reader; each message is a second after the one before.

    :ivar turns: those that have ended, in order.
    """

    def __init__(self, path: str, *, upgrade: bool = False) -> None:
        self.turns: list[Turn] = []
        method = b"GET" if upgrade else b"POST"
        found = reader(method, path.encode(), upgrade, self.turns.append)
        assert found is not None
        self.reader = found
        self.now = 0.0

    @property
    def degraded(self) -> str | None:
        return self.reader.degraded

    def ask(self, value: Any) -> None:
        """The client sends this: bytes, or a value as JSON."""
        self.now += 1
        self.reader.asked(encoded(value), self.now)

    def tell(self, *values: Any) -> None:
        """Upstream sends these."""
        for value in values:
            self.now += 1
            self.reader.told(encoded(value), self.now)

    def close(self, *status: Any) -> list[Turn]:
        """The call ends; returns all turns."""
        self.now += 1
        self.reader.closed(self.now, *status)
        return self.turns


def encoded(value: Any) -> bytes:
    return value if isinstance(value, bytes) else json.dumps(value, separators=(",", ":")).encode()


class TurnCase(SynchronousTestCase):
    def assert_used(self, turn: Turn, source: str = "reported", **counts: int) -> None:
        """The turn's usage is exactly this: what is not named is 0."""
        self.assertEqual((turn.usage, turn.source), (Usage(**counts), source))

    def assert_guessed(self, turn: Turn, status: str = "unsettled") -> None:
        """The turn is booked with an estimate that is not zero."""
        self.assertEqual((turn.status, turn.source), (status, "estimated"))
        assert turn.usage is not None
        self.assertGreater(turn.usage.input_tokens, 0)
        self.assertGreater(turn.usage.output_tokens, 0)
